//! An invitation as text: five bits a character in the alphabet of the recovery code, the last bytes a check
//! over all before them (FORMAT F-91).
//!
//! Every typing error is found here, without asking the store. Characters are turned to bits and back
//! without a table or a branch that a secret selects (V3).

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{
    Error, Result,
    crypto::{Label, labelled_hash},
    keys::recovery_code::{decode, encode, is_separator},
};

const CHECK_BYTES: usize = 4;
const SYMBOL_BITS: u32 = 5;
const GROUP: usize = 4;

/// The characters of `bytes` and their check, without separators.
pub(super) fn print(bytes: &[u8]) -> Zeroizing<String> {
    // Room for all from the start: a growing string would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(symbols_of(bytes.len())));
    let (mut buffer, mut bits) = (0_u16, 0_u32);
    for byte in bytes.iter().chain(&check(bytes)) {
        buffer = (buffer << 8) | u16::from(*byte);
        bits += 8;
        while bits >= SYMBOL_BITS {
            bits -= SYMBOL_BITS;
            text.push(encode(low_five(buffer >> bits)));
        }
    }
    if bits > 0 {
        text.push(encode(low_five(buffer << (SYMBOL_BITS - bits))));
    }
    text
}

/// The same in groups of four, for people.
pub(super) fn grouped(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len() + text.len() / GROUP));
    for (place, character) in text.chars().enumerate() {
        if place > 0 && place % GROUP == 0 {
            out.push('-');
        }
        out.push(character);
    }
    out
}

/// Reads at most `limit` bytes. Case, spaces, hyphens and line ends do not matter.
pub(super) fn read(text: &str, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + CHECK_BYTES));
    let (mut buffer, mut bits) = (0_u16, 0_u32);
    for character in text.chars().filter(|character| !is_separator(*character)) {
        let value = decode(character).ok_or(Error::MistypedCode("a character that no invitation has"))?;
        buffer = (buffer << SYMBOL_BITS) | u16::from(value);
        bits += SYMBOL_BITS;
        if bits >= 8 {
            bits -= 8;
            if bytes.len() == limit + CHECK_BYTES {
                return Err(Error::MistypedCode("there are too many characters"));
            }
            let [_, byte] = (buffer >> bits).to_be_bytes();
            bytes.push(byte);
        }
    }
    let filling = buffer & !(u16::MAX << bits);
    if filling != 0 || bits >= SYMBOL_BITS {
        return Err(wrong());
    }
    let length = bytes.len().checked_sub(CHECK_BYTES).ok_or(missing())?;
    let (content, found) = bytes.split_at_checked(length).ok_or(missing())?;
    if !bool::from(check(content).ct_eq(found)) {
        return Err(if length < limit { missing() } else { wrong() });
    }
    bytes.truncate(length);
    Ok(bytes)
}

const fn symbols_of(bytes: usize) -> usize {
    ((bytes + CHECK_BYTES) * 8).div_ceil(SYMBOL_BITS as usize)
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let [a, b, c, d, ..] = labelled_hash(Label::INVITATION_CHECK, &[bytes]);
    [a, b, c, d]
}

fn low_five(value: u16) -> u8 {
    let [_, low] = value.to_be_bytes();
    low & 31
}

fn missing() -> Error {
    Error::MistypedCode("characters are missing or wrong")
}

fn wrong() -> Error {
    Error::MistypedCode("characters are wrong or swapped")
}
