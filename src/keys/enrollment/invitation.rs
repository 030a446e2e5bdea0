//! The invitation: what goes from the inviting device to the new one without touching the store.
//!
//! It is a secret, worth one enrollment within ten minutes. It must never be logged, printed by accident or
//! sent through the store; the type is wiped on drop.

use zeroize::Zeroizing;

use super::text;
use crate::{
    Error, Result,
    crypto::{ExchangeSecret, Label, Random, Secret, labelled_hash},
    keys::{AccountId, DeviceId},
};

const VERSION: u8 = 1;
const INVITATION_BYTES: usize = 1 + 16 + 32 + 16 + 32 + 16 + 8 + 32;

/// A commit of the inviting device, by number and hash: whatever the store shows must not be older (F8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Anchor {
    /// Its number, from 1.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Anchor {
    /// The commit with that number and hash.
    #[must_use]
    pub fn new(sequence: u64, hash: [u8; 32]) -> Self {
        Self { sequence, hash }
    }
}

/// What an invitation says that is not secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// Where the two devices meet in the store.
    pub rendezvous: [u8; 16],
    /// The account that the new device will belong to.
    pub account: AccountId,
    /// The device that invites.
    pub device: DeviceId,
    /// The newest commit of the device that invites.
    pub anchor: Anchor,
}

/// What a new device has to be shown, as a QR code or as text. Of the inviting device's share it has the hash
/// alone: who replaces an invitation has to answer for a share that he does not know yet (D2).
pub struct Invitation {
    terms: Terms,
    secret: Secret<32>,
    share_hash: [u8; 32],
}

impl Invitation {
    /// A fresh invitation by `device`, and the secret half of its exchange.
    pub(super) fn generate(
        account: AccountId,
        (device, anchor): (DeviceId, Anchor),
        random: &mut dyn Random,
    ) -> Result<(Self, ExchangeSecret)> {
        let exchange = ExchangeSecret::generate(random)?;
        let share_hash = hash_share(exchange.public());
        let (rendezvous, secret) = (random.bytes()?, Secret::generate(random)?);
        let terms = Terms { rendezvous, account, device, anchor };
        Ok((Self { terms, secret, share_hash }, exchange))
    }

    /// A second copy, named so that it can be found.
    pub(super) fn duplicate(&self) -> Self {
        Self { terms: self.terms, secret: self.secret.duplicate(), share_hash: self.share_hash }
    }

    /// Reads a typed or scanned invitation. Case, spaces, hyphens and line ends do not matter.
    ///
    /// # Errors
    /// [`Error::MistypedCode`], [`Error::NewerFormat`]; nothing is asked of a store.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = text::read(text, INVITATION_BYTES)?;
        match bytes.split_first() {
            Some((&VERSION, fields)) => {
                Self::from_fields(fields).ok_or(Error::MistypedCode("this is no invitation"))
            }
            Some((&version, _)) if version > VERSION => {
                Err(Error::NewerFormat { needed: u32::from(version), supported: u32::from(VERSION) })
            }
            _ => Err(Error::MistypedCode("this is no invitation")),
        }
    }

    /// The invitation in groups of four characters, to be typed.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        text::grouped(&text::print(self.encode().as_slice()))
    }

    /// The same without hyphens and in capitals, which makes a QR code of alphanumeric mode.
    #[must_use]
    pub fn qr_text(&self) -> Zeroizing<String> {
        let mut text = text::print(self.encode().as_slice());
        text.make_ascii_uppercase();
        text
    }

    /// What it says that is not secret.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// Whether this is the X25519 share of the device that invites.
    pub(super) fn is_share(&self, share: &[u8; 32]) -> bool {
        self.share_hash == hash_share(share)
    }

    pub(super) fn secret(&self) -> &Secret<32> {
        &self.secret
    }

    /// Stands for every bit of the invitation in whatever is sealed or signed about it.
    pub(super) fn hash(&self) -> [u8; 32] {
        labelled_hash(Label::HASH_INVITATION, &[self.encode().as_slice()])
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(INVITATION_BYTES));
        let Terms { rendezvous, account, device, anchor } = self.terms;
        bytes.push(VERSION);
        bytes.extend(rendezvous);
        bytes.extend(self.secret.expose());
        bytes.extend(account.0);
        bytes.extend(self.share_hash);
        bytes.extend(device.0);
        bytes.extend(anchor.sequence.to_le_bytes());
        bytes.extend(anchor.hash);
        bytes
    }

    fn from_fields(bytes: &[u8]) -> Option<Self> {
        let (rendezvous, bytes) = bytes.split_first_chunk()?;
        let (secret, bytes) = bytes.split_first_chunk::<32>()?;
        let (account, bytes) = bytes.split_first_chunk()?;
        let (share_hash, bytes) = bytes.split_first_chunk()?;
        let (device, bytes) = bytes.split_first_chunk()?;
        let (sequence, bytes) = bytes.split_first_chunk()?;
        let (hash, rest) = bytes.split_first_chunk()?;
        let anchor = Anchor { sequence: u64::from_le_bytes(*sequence), hash: *hash };
        let (account, device) = (AccountId(*account), DeviceId(*device));
        let terms = Terms { rendezvous: *rendezvous, account, device, anchor };
        let secret = Secret::from_slice(secret)?;
        (rest.is_empty() && anchor.sequence > 0).then_some(Self { terms, secret, share_hash: *share_hash })
    }
}

fn hash_share(share: &[u8; 32]) -> [u8; 32] {
    labelled_hash(Label::HASH_SHARE, &[share])
}
