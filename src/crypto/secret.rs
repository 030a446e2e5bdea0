//! Bytes that are wiped when dropped and cannot be copied, compared or printed (V4).

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Random, random::refuse_zeros};
use crate::Result;

/// `N` secret bytes on the heap, so that moving the owner does not copy them.
#[derive(ZeroizeOnDrop)]
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// All zero, to be filled by a derivation in this room.
    pub(crate) fn zeroed() -> Self {
        Self(Box::new([0; N]))
    }

    /// Fresh from `random`.
    ///
    /// # Errors
    /// [`Error::Randomness`](crate::Error::Randomness).
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        let mut secret = Self::zeroed();
        random.fill(secret.expose_mut())?;
        refuse_zeros(secret.expose())?;
        Ok(secret)
    }

    /// Takes the bytes over and wipes the source.
    #[must_use]
    pub fn take(source: &mut [u8; N]) -> Self {
        let mut secret = Self::zeroed();
        secret.0.copy_from_slice(source);
        source.zeroize();
        secret
    }

    /// Copies from a slice of exactly `N` bytes.
    #[must_use]
    pub fn from_slice(source: &[u8]) -> Option<Self> {
        let mut secret = Self::zeroed();
        if source.len() != N {
            return None;
        }
        secret.0.copy_from_slice(source);
        Some(secret)
    }

    /// The bytes. Every use is a place to review.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    pub(crate) fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }

    /// A second copy, named so that it can be found.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(Box::new(*self.0))
    }
}

impl<const N: usize> ConstantTimeEq for Secret<N> {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SeededRandom;

    #[test]
    fn a_taken_source_is_wiped_and_equality_is_by_bytes() {
        let mut source = [9; 32];
        let secret = Secret::take(&mut source);
        assert_eq!(source, [0; 32]);
        assert_eq!(secret.expose(), &[9; 32]);
        assert!(bool::from(secret.ct_eq(&secret.duplicate())));
        let other = Secret::<32>::generate(&mut SeededRandom::new(1)).unwrap();
        assert!(!bool::from(secret.ct_eq(&other)));
        assert!(Secret::<32>::from_slice(&[0; 31]).is_none());
    }
}
