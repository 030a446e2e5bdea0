//! The two secrets a user writes down: the recovery code and the device secret.
//!
//! Their text is a version, a type, the secret and a checksum, in the alphabet and the code of bech32m
//! (BIP 350). Every error of up to four characters is found here, without asking the store (K14).
//! Characters are turned to bits and back without a table or a branch that a secret selects (V3).

use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::{
    Error, Result,
    crypto::{HybridSecretKey, Label, Random, Secret, SigningKey, derive_from_material},
};

const RECOVERY_CODE_BYTES: usize = 20;
const DEVICE_SECRET_BYTES: usize = 16;

/// 160 random bits that open the vault alone.
pub struct RecoveryCode(Secret<RECOVERY_CODE_BYTES>);

impl RecoveryCode {
    /// A fresh code.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        Ok(Self(Secret::generate(random)?))
    }

    /// Reads a typed code. Case, spaces, hyphens and line ends do not matter.
    ///
    /// # Errors
    /// [`Error::MistypedCode`], [`Error::NewerFormat`].
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self(read(Type::RECOVERY_CODE, text)?))
    }

    /// The code as the user writes it down: ten groups of four characters.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        print(Type::RECOVERY_CODE, self.0.expose())
    }

    /// The pair to which epoch roots are sealed.
    #[must_use]
    pub fn hybrid_key(&self) -> HybridSecretKey {
        HybridSecretKey::from_seed(self.derive(Label::RECOVERY_SEED))
    }

    /// The key that signs roster entries on behalf of the owner.
    #[must_use]
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_seed(self.derive(Label::RECOVERY_SIGNING))
    }

    /// Where the store keeps the envelopes of this code. Not secret.
    #[must_use]
    pub fn locator(&self) -> [u8; 16] {
        *self.derive(Label::RECOVERY_LOCATOR).expose()
    }

    fn derive<const N: usize>(&self, label: Label) -> Secret<N> {
        derive_from_material(b"", self.0.expose(), label, &[])
    }
}

/// 128 random bits without which a password opens nothing (K10).
pub struct DeviceSecret(Secret<DEVICE_SECRET_BYTES>);

impl DeviceSecret {
    /// A fresh secret.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        Ok(Self(Secret::generate(random)?))
    }

    /// Takes over a secret from sealed local storage.
    #[must_use]
    pub fn from_secret(secret: Secret<DEVICE_SECRET_BYTES>) -> Self {
        Self(secret)
    }

    /// Reads a typed secret. Case, spaces, hyphens and line ends do not matter.
    ///
    /// # Errors
    /// [`Error::MistypedCode`], [`Error::NewerFormat`].
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self(read(Type::DEVICE_SECRET, text)?))
    }

    /// The secret as the user writes it down: 34 characters in groups of four.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        print(Type::DEVICE_SECRET, self.0.expose())
    }

    /// What goes into the derivation with the password, and into sealed local storage.
    #[must_use]
    pub fn secret(&self) -> &Secret<DEVICE_SECRET_BYTES> {
        &self.0
    }

    /// Where the store keeps the envelopes of the password. Not secret.
    #[must_use]
    pub fn locator(&self) -> [u8; 16] {
        *derive_from_material(b"", self.0.expose(), Label::PASSWORD_LOCATOR, &[]).expose()
    }
}

/// The second character of a code: what the code is for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Type(u8);

impl Type {
    /// 'r'.
    const RECOVERY_CODE: Self = Self(3);
    /// 'd'.
    const DEVICE_SECRET: Self = Self(13);
}

fn print(kind: Type, secret: &[u8]) -> Zeroizing<String> {
    let mut symbols = Symbols::new();
    symbols.push(VERSION);
    symbols.push(kind.0);
    symbols.push_bytes(secret);
    symbols.push_checksum();
    symbols.print()
}

fn read<const N: usize>(kind: Type, text: &str) -> Result<Secret<N>> {
    let symbols = Symbols::read(text)?;
    let length = symbols_of(N);
    if !symbols.is_intact() {
        return Err(Error::MistypedCode(match symbols.as_slice().len() {
            len if len < length => "characters are missing",
            len if len > length => "there are too many characters",
            _ => "characters are wrong or swapped",
        }));
    }
    match symbols.as_slice() {
        [VERSION, found, ..] if *found != kind.0 => Err(Error::MistypedCode("this is another type of code")),
        [VERSION, _, rest @ ..] if symbols.as_slice().len() == length => unpack(rest),
        [version, ..] if *version != VERSION => {
            Err(Error::NewerFormat { needed: u32::from(*version) + 1, supported: u32::from(VERSION) + 1 })
        }
        _ => Err(Error::MistypedCode("the code has another length")),
    }
}

/// The first character of every code: format version 1 is 'q'.
const VERSION: u8 = 0;
const HEADER_SYMBOLS: usize = 2;
const CHECKSUM_SYMBOLS: usize = 6;
const SYMBOL_BITS: usize = 5;
/// The longest code is a recovery code.
const SYMBOLS_MAX: usize = symbols_of(RECOVERY_CODE_BYTES);
const GROUP: usize = 4;

const fn symbols_of(secret_bytes: usize) -> usize {
    HEADER_SYMBOLS + (secret_bytes * 8).div_ceil(SYMBOL_BITS) + CHECKSUM_SYMBOLS
}

/// The alphabet of bech32, without the look-alikes `1`, `b`, `i` and `o`.
const ALPHABET: [u8; 32] = *b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// The characters of a code as five-bit values.
struct Symbols {
    values: Secret<SYMBOLS_MAX>,
    len: usize,
}

impl Symbols {
    fn new() -> Self {
        Self { values: Secret::zeroed(), len: 0 }
    }

    /// Whether there was room for one more.
    fn push(&mut self, value: u8) -> bool {
        let Some(place) = self.values.expose_mut().get_mut(self.len) else { return false };
        *place = value;
        self.len += 1;
        true
    }

    fn as_slice(&self) -> &[u8] {
        self.values.expose().get(..self.len).unwrap_or_default()
    }

    /// Five bits a symbol, most significant first, the last filled up with zeros.
    fn push_bytes(&mut self, bytes: &[u8]) {
        let (mut buffer, mut bits) = (0_u16, 0);
        for byte in bytes {
            buffer = (buffer << 8) | u16::from(*byte);
            bits += 8;
            while bits >= SYMBOL_BITS {
                bits -= SYMBOL_BITS;
                self.push(low_five(buffer >> bits));
            }
        }
        if bits > 0 {
            self.push(low_five(buffer << (SYMBOL_BITS - bits)));
        }
    }

    fn push_checksum(&mut self) {
        let padded = self.as_slice().iter().chain(&[0; CHECKSUM_SYMBOLS]);
        let checksum = remainder(padded) ^ BECH32M;
        for place in (0..CHECKSUM_SYMBOLS).rev() {
            let [.., high, low] = (checksum >> (place * SYMBOL_BITS)).to_be_bytes();
            self.push(low_five(u16::from_be_bytes([high, low])));
        }
    }

    fn is_intact(&self) -> bool {
        remainder(self.as_slice()).ct_eq(&BECH32M).into()
    }

    fn read(text: &str) -> Result<Self> {
        let mut symbols = Self::new();
        for character in text.chars().filter(|character| !is_separator(*character)) {
            let group = symbols.len / GROUP;
            let value = decode(character).ok_or_else(|| foreign_character(group))?;
            if !symbols.push(value) {
                return Err(Error::MistypedCode("there are too many characters"));
            }
        }
        Ok(symbols)
    }

    fn print(&self) -> Zeroizing<String> {
        // Room for all from the start: a growing string would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(SYMBOLS_MAX + SYMBOLS_MAX / GROUP));
        for (place, value) in self.as_slice().iter().enumerate() {
            if place > 0 && place % GROUP == 0 {
                text.push('-');
            }
            text.push(encode(*value));
        }
        text
    }
}

/// The bytes before the checksum. What does not fill a byte must be zero: a code has one form.
fn unpack<const N: usize>(symbols: &[u8]) -> Result<Secret<N>> {
    let mut secret = Secret::zeroed();
    let (mut buffer, mut bits) = (0_u16, 0);
    let mut symbols = symbols.iter();
    for byte in secret.expose_mut() {
        while bits < 8 {
            buffer = (buffer << SYMBOL_BITS) | symbols.next().map_or(0, |value| u16::from(*value));
            bits += SYMBOL_BITS;
        }
        bits -= 8;
        [_, *byte] = (buffer >> bits).to_be_bytes();
    }
    let filling = buffer & !(u16::MAX << bits);
    if filling == 0 { Ok(secret) } else { Err(Error::MistypedCode("characters are wrong or swapped")) }
}

fn low_five(value: u16) -> u8 {
    let [_, low] = value.to_be_bytes();
    low & 31
}

pub(super) fn is_separator(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '\u{2010}'..='\u{2015}')
}

/// Looks at the whole alphabet whatever the character is.
pub(super) fn decode(character: char) -> Option<u8> {
    if !character.is_ascii_graphic() {
        return None;
    }
    // Sets the bit that tells small letters from capitals; digits have it already.
    let wanted = u32::from(character) | 0x20;
    let (mut value, mut found) = (0, Choice::from(0));
    for (candidate, letter) in (0..).zip(ALPHABET) {
        let same = wanted.ct_eq(&u32::from(letter));
        value.conditional_assign(&candidate, same);
        found |= same;
    }
    bool::from(found).then_some(value)
}

/// Looks at the whole alphabet whatever the value is.
pub(super) fn encode(value: u8) -> char {
    let mut letter = 0;
    for (candidate, other) in (0..).zip(ALPHABET) {
        letter.conditional_assign(&other, value.ct_eq(&candidate));
    }
    char::from(letter)
}

/// What a code is checked against (BIP 350).
const BECH32M: u32 = 0x2bc8_30a3;

/// The remainder after the human-readable part "strongroom", which is not printed: no code of another
/// program is taken for one of ours.
const DOMAIN: u32 = domain(b"strongroom");

/// The high bits of every character, a zero, the low bits of every character (BIP 173).
const fn domain(text: &[u8]) -> u32 {
    let separated = step(absorb(1, text, SYMBOL_BITS), 0);
    absorb(separated, text, 0)
}

const fn absorb(mut state: u32, mut text: &[u8], shift: usize) -> u32 {
    while let [first, rest @ ..] = text {
        state = step(state, (*first >> shift) & 31);
        text = rest;
    }
    state
}

fn remainder<'a>(symbols: impl IntoIterator<Item = &'a u8>) -> u32 {
    symbols.into_iter().fold(DOMAIN, |state, value| step(state, *value))
}

/// One symbol into the BCH remainder (BIP 173), with masks where the usual code branches.
const fn step(state: u32, value: u8) -> u32 {
    let top = state >> 25;
    let shifted = ((state & 0x01ff_ffff) << SYMBOL_BITS) ^ value as u32;
    shifted
        ^ (0x3b6a_57b2 & mask(top))
        ^ (0x2650_8e6d & mask(top >> 1))
        ^ (0x1ea1_19fa & mask(top >> 2))
        ^ (0x3d42_33dd & mask(top >> 3))
        ^ (0x2a14_62b3 & mask(top >> 4))
}

/// All ones if the lowest bit is set.
const fn mask(bits: u32) -> u32 {
    (bits & 1).wrapping_neg()
}

/// Names the group, so that the user finds the place; the text is fixed, so that nothing leaks.
fn foreign_character(group: usize) -> Error {
    Error::MistypedCode(match group {
        0 => "group 1 has a character that codes never use (like b, i, o or 1)",
        1 => "group 2 has a character that codes never use (like b, i, o or 1)",
        2 => "group 3 has a character that codes never use (like b, i, o or 1)",
        3 => "group 4 has a character that codes never use (like b, i, o or 1)",
        4 => "group 5 has a character that codes never use (like b, i, o or 1)",
        5 => "group 6 has a character that codes never use (like b, i, o or 1)",
        6 => "group 7 has a character that codes never use (like b, i, o or 1)",
        7 => "group 8 has a character that codes never use (like b, i, o or 1)",
        8 => "group 9 has a character that codes never use (like b, i, o or 1)",
        9 => "group 10 has a character that codes never use (like b, i, o or 1)",
        _ => "there are too many characters",
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Display};

    use super::*;
    use crate::crypto::{ExchangeSecret, HybridPublicKey, SeededRandom, VerifyingKey};

    fn codes(count: u64) -> impl Iterator<Item = RecoveryCode> {
        (0..count).map(|seed| RecoveryCode::generate(&mut SeededRandom::new(seed)).unwrap())
    }

    fn characters(code: &RecoveryCode) -> Vec<u8> {
        code.reveal().bytes().filter(|byte| *byte != b'-').collect()
    }

    /// The reason why `characters` are refused; fails the test if they are not.
    fn reason(characters: &[u8]) -> &'static str {
        match RecoveryCode::parse(std::str::from_utf8(characters).unwrap()) {
            Err(Error::MistypedCode(reason)) => reason,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("accepted"),
        }
    }

    #[test]
    fn a_code_is_read_back_however_it_is_typed() {
        for code in codes(32) {
            let text = code.reveal();
            assert!(text.starts_with("qr"));
            assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [4; 10]);
            for typed in [
                text.to_string(),
                text.to_uppercase(),
                text.replace('-', ""),
                text.replace('-', " \r\n\t"),
                text.replace('-', "\u{2013}"),
                format!("\n {} \n", text.as_str()),
            ] {
                assert_eq!(RecoveryCode::parse(&typed).unwrap().0.expose(), code.0.expose());
            }
        }
    }

    #[test]
    fn a_device_secret_is_read_back_and_has_34_characters() {
        for seed in 0..32 {
            let secret = DeviceSecret::generate(&mut SeededRandom::new(seed)).unwrap();
            let text = secret.reveal();
            assert!(text.starts_with("qd"));
            assert_eq!(text.replace('-', "").len(), 34);
            assert_eq!(DeviceSecret::parse(&text).unwrap().0.expose(), secret.0.expose());
        }
    }

    #[test]
    fn one_secret_is_never_taken_for_the_other() {
        let mut random = SeededRandom::new(1);
        let device = DeviceSecret::generate(&mut random).unwrap();
        let another_type = "this is another type of code";
        assert_eq!(reason(device.reveal().as_bytes()), another_type);
        let code = RecoveryCode::generate(&mut random).unwrap();
        assert!(
            matches!(DeviceSecret::parse(&code.reveal()), Err(Error::MistypedCode(text)) if text == another_type)
        );
        // Nor one of the right length with a right checksum.
        let same_length = print(Type::DEVICE_SECRET, code.0.expose());
        assert_eq!(reason(same_length.as_bytes()), another_type);
    }

    #[test]
    fn a_code_of_a_later_version_is_named_so() {
        let mut symbols = Symbols::new();
        symbols.push(VERSION + 1);
        symbols.push(Type::RECOVERY_CODE.0);
        symbols.push_bytes(&[3; RECOVERY_CODE_BYTES]);
        symbols.push_checksum();
        let parsed = RecoveryCode::parse(&symbols.print());
        assert!(matches!(parsed, Err(Error::NewerFormat { needed: 2, supported: 1 })));
    }

    #[test]
    fn a_right_checksum_does_not_excuse_filling_bits_or_another_length() {
        let with_data = |data: &[u8]| {
            let mut symbols = Symbols::new();
            symbols.push(VERSION);
            symbols.push(Type::DEVICE_SECRET.0);
            data.iter().for_each(|value| assert!(symbols.push(*value)));
            symbols.push_checksum();
            DeviceSecret::parse(&symbols.print()).is_ok()
        };
        assert!(with_data(&[0; 26]));
        for filling in 1..4 {
            let mut data = [0; 26];
            data[25] = filling;
            assert!(!with_data(&data));
        }
        assert!(!with_data(&[0; 25]));
        assert!(!with_data(&[0; 27]));
        assert!(!with_data(&[]));
    }

    #[test]
    fn the_checksum_is_bech32m() {
        // Valid strings of BIP 350: human-readable part, then data and checksum.
        for (part, data) in [("a", "lqfn3a"), ("abcdef", "l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx")] {
            let values = data.chars().map(|character| decode(character).unwrap());
            assert_eq!(values.fold(domain(part.as_bytes()), step), BECH32M, "{part}");
        }
    }

    #[test]
    fn every_character_is_decoded_as_the_alphabet_says() {
        for byte in 0..=u8::MAX {
            let character = char::from(byte);
            let place =
                ALPHABET.iter().position(|letter| byte.is_ascii() && *letter == byte.to_ascii_lowercase());
            assert_eq!(decode(character).map(usize::from), place, "{byte}");
        }
        for (value, letter) in (0..).zip(ALPHABET) {
            assert_eq!(encode(value), char::from(letter));
        }
        // Folds to 'k' in Unicode, and the low byte of this one is 'q'.
        assert_eq!([decode('\u{212a}'), decode('\u{171}')], [None, None]);
    }

    #[test]
    fn attack_k14_typing_errors_are_found_locally() {
        for code in codes(8) {
            let right = characters(&code);
            assert_eq!(right.len(), 40);
            for place in 0..right.len() {
                for letter in ALPHABET.into_iter().filter(|letter| *letter != right[place]) {
                    let mut typed = right.clone();
                    typed[place] = letter;
                    assert_eq!(reason(&typed), "characters are wrong or swapped");
                }
            }
            for place in (1..right.len()).filter(|place| right[*place] != right[place - 1]) {
                let mut typed = right.clone();
                typed.swap(place - 1, place);
                assert_eq!(reason(&typed), "characters are wrong or swapped");
            }
            for place in 0..right.len() {
                let (mut short, mut long) = (right.clone(), right.clone());
                short.remove(place);
                long.insert(place, right[place]);
                assert_eq!(reason(&short), "characters are missing");
                assert_eq!(reason(&long), "there are too many characters");
            }
        }
    }

    /// The code is linear: what an error adds to the remainder is the same for every code. So this one
    /// run over all errors of one and two characters holds for all codes of this length.
    #[test]
    fn attack_k14_no_two_errors_cancel_in_any_code() {
        let added = |place: usize, error: u8| {
            let mut symbols = [0; SYMBOLS_MAX];
            let clean = remainder(&symbols);
            symbols[place] = error;
            remainder(&symbols) ^ clean
        };
        let mut all: Vec<u32> =
            (0..SYMBOLS_MAX).flat_map(|place| (1..32).map(move |error| added(place, error))).collect();
        assert_eq!(all.len(), 40 * 31);
        assert!(!all.contains(&0));
        // Two errors cancel exactly if they add the same.
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn attack_k14_a_hundred_thousand_random_pairs_of_errors_are_found() {
        let code = codes(1).next().unwrap();
        let right = characters(&code);
        let mut random = SeededRandom::new(5);
        let random: &mut dyn Random = &mut random;
        let mut tried = 0;
        while tried < 100_000 {
            let [a, b, x, y] = random.bytes().unwrap().map(usize::from);
            let mut typed = right.clone();
            typed[a % 40] = ALPHABET[x % 32];
            typed[b % 40] = ALPHABET[y % 32];
            if typed != right {
                assert_eq!(reason(&typed), "characters are wrong or swapped");
                tried += 1;
            }
        }
    }

    #[test]
    fn attack_k14_look_alikes_are_named_by_group() {
        let right = characters(&codes(1).next().unwrap());
        for (place, look_alike) in (0..40).zip(b"bio1BIO".iter().cycle()) {
            let mut typed = right.clone();
            typed[place] = *look_alike;
            let found = reason(&typed);
            assert!(found.starts_with(&format!("group {} has", place / 4 + 1)), "{found}");
        }
        assert_eq!(reason(&[b'q'; 400]), "there are too many characters");
        assert_eq!(reason(&[b'1'; 400]), "group 1 has a character that codes never use (like b, i, o or 1)");
        assert_eq!(reason(b""), "characters are missing");
    }

    #[test]
    fn what_a_code_derives_is_always_the_same_and_its_own() {
        let [a, b] = [0, 1].map(|seed| RecoveryCode::generate(&mut SeededRandom::new(seed)).unwrap());
        let again = RecoveryCode::parse(&a.reveal()).unwrap();
        assert!(a.hybrid_key().public() == again.hybrid_key().public());
        assert_eq!(a.signing_key().verifying_key(), again.signing_key().verifying_key());
        assert_eq!(a.locator(), again.locator());
        assert!(a.hybrid_key().public() != b.hybrid_key().public());
        assert_ne!(a.locator(), b.locator());
        assert_ne!(a.hybrid_key().seed().expose(), a.signing_key().seed().expose());
        assert_ne!(a.locator(), a.hybrid_key().seed().expose()[..16]);
        let device = DeviceSecret::generate(&mut SeededRandom::new(0)).unwrap();
        let same = DeviceSecret::from_secret(device.secret().duplicate());
        assert_eq!(device.locator(), same.locator());
    }

    /// Does not compile if a type has the trait: the method is then found twice.
    macro_rules! assert_lacks {
        ($type:ty: $($trait:path),+) => {$({
            trait Lacks<Which> {
                fn here() {}
            }
            impl<T: ?Sized> Lacks<()> for T {}
            struct TheTrait;
            impl<T: ?Sized + $trait> Lacks<TheTrait> for T {}
            <$type as Lacks<_>>::here();
        })+};
    }

    #[test]
    fn attack_v4_secrets_can_be_neither_printed_copied_nor_compared() {
        assert_lacks!(Secret<32>: Debug, Display, Clone, PartialEq);
        assert_lacks!(RecoveryCode: Debug, Display, Clone, PartialEq);
        assert_lacks!(DeviceSecret: Debug, Display, Clone, PartialEq);
        assert_lacks!(HybridSecretKey: Debug, Display, Clone, PartialEq);
        assert_lacks!(SigningKey: Debug, Display, Clone, PartialEq);
        assert_lacks!(ExchangeSecret: Debug, Display, Clone, PartialEq);
    }

    #[test]
    fn attack_v4_public_keys_print_no_bytes() {
        let code = codes(1).next().unwrap();
        let public: HybridPublicKey = code.hybrid_key().public().clone();
        assert_eq!(format!("{public:?}"), "HybridPublicKey { .. }");
        let verifying: VerifyingKey = code.signing_key().verifying_key();
        assert_eq!(format!("{verifying:?}"), "VerifyingKey { .. }");
    }
}
