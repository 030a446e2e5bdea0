//! The eight digits that people compare (D2).
//!
//! They follow from everything that both devices said and from a secret that neither sent: whoever stands
//! between them has one guess in a hundred million, and the invitation is spent when it fails.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};

use crate::{Error, Result, crypto::Secret};

const DIGITS: usize = 8;
const CODES: u64 = 100_000_000;

/// A check code: two groups of four digits.
#[derive(Clone)]
pub struct CheckCode([u8; DIGITS]);

impl CheckCode {
    /// Reads a typed code. Spaces and hyphens do not matter.
    ///
    /// # Errors
    /// [`Error::MistypedCode`] when it has not eight digits.
    pub fn parse(text: &str) -> Result<Self> {
        let is_separator = |character: &char| character.is_whitespace() || *character == '-';
        let mut digits = [0; DIGITS];
        let mut typed = text.chars().filter(|character| !is_separator(character));
        for place in &mut digits {
            let digit = typed.next().and_then(|character| character.to_digit(10));
            let digit = digit.and_then(|digit| u8::try_from(digit).ok());
            *place = digit.ok_or(Error::MistypedCode("a check code has eight digits"))?;
        }
        match typed.next() {
            None => Ok(Self(digits)),
            Some(_) => Err(Error::MistypedCode("a check code has eight digits")),
        }
    }

    /// The digits of a derived secret. 64 bits over 10^8 codes: no code is likelier than another by more
    /// than one in 10^11.
    pub(super) fn of(secret: &Secret<8>) -> Self {
        let mut rest = u64::from_le_bytes(*secret.expose()) % CODES;
        let mut digits = [0; DIGITS];
        for place in digits.iter_mut().rev() {
            *place = u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        Self(digits)
    }
}

impl ConstantTimeEq for CheckCode {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Display for CheckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, digit) in self.0.iter().enumerate() {
            write!(f, "{}{digit}", if place == DIGITS / 2 { " " } else { "" })?;
        }
        Ok(())
    }
}
