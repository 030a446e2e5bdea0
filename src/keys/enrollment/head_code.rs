//! A head code: which commit a device made last, on paper or on a screen (FORMAT F-99).
//!
//! It is no secret. A device that comes in with the recovery code, and has nobody to ask, holds the store to
//! it: an older state than that is a rollback (F8).

use super::{Anchor, text};
use crate::{
    Error, Result,
    keys::{AccountId, DeviceId},
};

const VERSION: u8 = 1;
const HEAD_CODE_BYTES: usize = 1 + 16 + 16 + 8 + 32;

/// A commit of one of an account's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadCode {
    /// The account.
    pub account: AccountId,
    /// The device that made the commit.
    pub device: DeviceId,
    /// The commit.
    pub anchor: Anchor,
}

impl HeadCode {
    /// The commit `anchor` of `device`.
    #[must_use]
    pub fn new(account: AccountId, device: DeviceId, anchor: Anchor) -> Self {
        Self { account, device, anchor }
    }

    /// Reads a typed or scanned head code. Case, spaces, hyphens and line ends do not matter.
    ///
    /// # Errors
    /// [`Error::MistypedCode`], [`Error::NewerFormat`]; nothing is asked of a store.
    pub fn parse(typed: &str) -> Result<Self> {
        let bytes = text::read(typed, HEAD_CODE_BYTES)?;
        match bytes.split_first() {
            Some((&VERSION, fields)) => Self::from_fields(fields).ok_or(NO_HEAD_CODE),
            Some((&version, _)) if version > VERSION => {
                Err(Error::NewerFormat { needed: u32::from(version), supported: u32::from(VERSION) })
            }
            _ => Err(NO_HEAD_CODE),
        }
    }

    /// The code in groups of four characters, to be printed and typed.
    #[must_use]
    pub fn text(&self) -> String {
        text::grouped(&text::print(&self.encode())).to_string()
    }

    /// The same without hyphens and in capitals, which makes a QR code of alphanumeric mode.
    #[must_use]
    pub fn qr_text(&self) -> String {
        text::print(&self.encode()).to_ascii_uppercase()
    }

    fn encode(&self) -> Vec<u8> {
        let Self { account, device, anchor } = self;
        let sequence = anchor.sequence.to_le_bytes();
        [&[VERSION][..], &account.0, &device.0, &sequence, &anchor.hash].concat()
    }

    fn from_fields(bytes: &[u8]) -> Option<Self> {
        let (account, bytes) = bytes.split_first_chunk()?;
        let (device, bytes) = bytes.split_first_chunk()?;
        let (sequence, bytes) = bytes.split_first_chunk()?;
        let (hash, rest) = bytes.split_first_chunk()?;
        let anchor = Anchor::new(u64::from_le_bytes(*sequence), *hash);
        let code = Self::new(AccountId(*account), DeviceId(*device), anchor);
        (rest.is_empty() && anchor.sequence > 0).then_some(code)
    }
}

const NO_HEAD_CODE: Error = Error::MistypedCode("this is no head code");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crypto::OsRandom, keys::enrollment::Invitation};

    #[test]
    fn a_head_code_reads_back_however_it_is_typed_and_nothing_else_is_one() {
        let code = HeadCode::new(AccountId([1; 16]), DeviceId([2; 16]), Anchor::new(3, [4; 32]));
        assert_eq!(HeadCode::parse(&code.text()).unwrap(), code);
        assert_eq!(HeadCode::parse(&code.qr_text()).unwrap(), code);
        assert_eq!(HeadCode::parse(&code.text().replace('-', " \n").to_uppercase()).unwrap(), code);
        let typed = code.qr_text();
        for at in 0..typed.len() {
            let mut wrong: Vec<char> = typed.chars().collect();
            let other = if wrong.get(at) == Some(&'7') { '8' } else { '7' };
            wrong.iter_mut().skip(at).take(1).for_each(|character| *character = other);
            let wrong: String = wrong.into_iter().collect();
            assert!(matches!(HeadCode::parse(&wrong), Err(Error::MistypedCode(_))));
        }
        let never = HeadCode { anchor: Anchor::new(0, [4; 32]), ..code };
        assert!(matches!(HeadCode::parse(&never.text()), Err(Error::MistypedCode(_))));
        let (invitation, _) =
            Invitation::generate(code.account, (code.device, code.anchor), &mut OsRandom).unwrap();
        assert!(matches!(HeadCode::parse(&invitation.text()), Err(Error::MistypedCode(_))));
        assert!(matches!(Invitation::parse(&code.text()), Err(Error::MistypedCode(_))));
    }
}
