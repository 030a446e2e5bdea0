//! The codes on paper: the recovery code (160 bits) and the device secret of the password path (128 bits).
//!
//! Form (FORMAT F-30): version, type, data, six check characters, in groups of four, in the alphabet of
//! bech32. The check is a BCH code: every error of up to four characters is found here, without asking
//! anybody (K14). Which characters are in a code does not show in time (V3).

use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    Error, Result,
    crypto::{HybridSecretKey, Label, Random, Secret, SigningKey, derive_from_material},
};

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
/// The constant of bech32m.
const RESIDUE: u32 = 0x2bc8_30a3;
const VERSION: u8 = 0;
const CHECK_CHARS: usize = 6;

/// What a code is for: one is never taken for the other.
#[derive(Clone, Copy)]
enum CodeType {
    Recovery,
    DeviceSecret,
}

impl CodeType {
    /// The value of its character: `r` or `s`.
    fn value(self) -> u8 {
        match self {
            Self::Recovery => 3,
            Self::DeviceSecret => 16,
        }
    }
}

/// 160 random bits on paper: the account secret.
pub struct RecoveryCode(Secret<20>);

impl RecoveryCode {
    /// A fresh code.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        Ok(Self(Secret::generate(random)?))
    }

    /// Reads a code as a person types it: any case, with or without spaces and hyphens.
    ///
    /// # Errors
    /// [`Error::MistypedCode`].
    pub fn parse(text: &str) -> Result<Self> {
        decode(CodeType::Recovery, text).map(Self)
    }

    /// The code in groups of four, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        encode(CodeType::Recovery, &self.0)
    }

    /// The key pair that epoch roots are sealed to.
    #[must_use]
    pub fn hybrid_key(&self) -> HybridSecretKey {
        HybridSecretKey::from_seed(self.derive(Label::RECOVERY_SEED))
    }

    /// The key that signs for its holder.
    #[must_use]
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_seed(self.derive(Label::RECOVERY_SIGNING))
    }

    /// Where its envelopes lie.
    #[must_use]
    pub fn locator(&self) -> [u8; 16] {
        *self.derive(Label::RECOVERY_LOCATOR).expose()
    }

    fn derive<const N: usize>(&self, label: Label) -> Secret<N> {
        derive_from_material(&[], self.0.expose(), label, &[])
    }
}

/// 128 random bits that make a password more than a password.
pub struct DeviceSecret(Secret<16>);

impl DeviceSecret {
    /// A fresh secret.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        Ok(Self(Secret::generate(random)?))
    }

    /// Reads one as a person types it.
    ///
    /// # Errors
    /// [`Error::MistypedCode`].
    pub fn parse(text: &str) -> Result<Self> {
        decode(CodeType::DeviceSecret, text).map(Self)
    }

    /// The secret in groups of four, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        encode(CodeType::DeviceSecret, &self.0)
    }

    /// Where the password's envelopes lie.
    #[must_use]
    pub fn locator(&self) -> [u8; 16] {
        let locator: Secret<16> = derive_from_material(&[], self.0.expose(), Label::PASSWORD_LOCATOR, &[]);
        *locator.expose()
    }

    /// The secret itself, for the derivation.
    #[must_use]
    pub fn secret(&self) -> &Secret<16> {
        &self.0
    }
}

fn encode<const N: usize>(kind: CodeType, secret: &Secret<N>) -> Zeroizing<String> {
    let mut values = Zeroizing::new(vec![VERSION, kind.value()]);
    values.extend_from_slice(&to_fives(secret.expose()));
    let check = polymod(values.iter().copied().chain([0; CHECK_CHARS])) ^ RESIDUE;
    values.extend((0..6_u32).rev().map(|place| u8::try_from((check >> (5 * place)) & 31).unwrap_or(0)));
    let mut text = Zeroizing::new(String::with_capacity(64));
    for (index, value) in values.iter().enumerate() {
        if index > 0 && index.is_multiple_of(4) {
            text.push('-');
        }
        text.push(char::from(character(*value)));
    }
    text
}

fn decode<const N: usize>(kind: CodeType, text: &str) -> Result<Secret<N>> {
    let chars = (N * 8).div_ceil(5) + 2 + CHECK_CHARS;
    let mut values = Zeroizing::new(Vec::with_capacity(chars));
    for character in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let byte = u8::try_from(character).map(|byte| byte.to_ascii_lowercase()).unwrap_or(0);
        values.push(value(byte).ok_or(Error::MistypedCode("a character that no code contains"))?);
        if values.len() > chars {
            return Err(Error::MistypedCode("too many characters"));
        }
    }
    if values.len() < chars {
        return Err(Error::MistypedCode("characters are missing"));
    }
    if polymod(values.iter().copied()) != RESIDUE {
        return Err(Error::MistypedCode("at least one character is wrong or two are swapped"));
    }
    match values.as_slice() {
        [version, ..] if *version != VERSION => Err(Error::MistypedCode("a code of another version")),
        [_, of, data @ ..] if *of == kind.value() => {
            let data = data.get(..data.len() - CHECK_CHARS).unwrap_or_default();
            from_fives(data).ok_or(Error::MistypedCode("unused bits are set"))
        }
        _ => Err(Error::MistypedCode("a code of another type")),
    }
}

/// Groups of five bits, first bit first, the last group filled with zeros.
fn to_fives(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity((bytes.len() * 8).div_ceil(5)));
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = ((held << 8) | u32::from(*byte)) & 0xffff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(u8::try_from((held >> bits) & 31).unwrap_or(0));
        }
    }
    if bits > 0 {
        out.push(u8::try_from((held << (5 - bits)) & 31).unwrap_or(0));
    }
    out
}

fn from_fives<const N: usize>(values: &[u8]) -> Option<Secret<N>> {
    let mut out = Zeroizing::new(Vec::with_capacity(N));
    let (mut held, mut bits) = (0_u32, 0);
    for value in values {
        held = ((held << 5) | u32::from(*value)) & 0xffff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((held >> bits) & 255).unwrap_or(0));
        }
    }
    let unused = held & ((1 << bits) - 1);
    held.zeroize();
    if unused == 0 { Secret::from_slice(&out) } else { None }
}

fn polymod(values: impl Iterator<Item = u8>) -> u32 {
    values.fold(1, |sum, value| {
        let top = sum >> 25;
        let shifted = ((sum & 0x01ff_ffff) << 5) ^ u32::from(value);
        (0_u32..)
            .zip(GENERATOR)
            .fold(shifted, |sum, (bit, generator)| sum ^ (generator & ((top >> bit) & 1).wrapping_neg()))
    })
}

/// The character of a value, by looking at all of them.
fn character(value: u8) -> u8 {
    (0_u8..)
        .zip(ALPHABET)
        .fold(0, |found, (of, character)| u8::conditional_select(&found, character, of.ct_eq(&value)))
}

/// The value of a character, by looking at all of them.
fn value(character: u8) -> Option<u8> {
    let none = 255;
    let found = (0_u8..)
        .zip(ALPHABET)
        .fold(none, |found, (value, of)| u8::conditional_select(&found, &value, of.ct_eq(&character)));
    (found != none).then_some(found)
}
