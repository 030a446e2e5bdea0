//! Randomness, passed in.
//!
//! The only source for keys is the operating system; its failure is an error, never a fallback (I8).

use crate::{Error, Result};

/// A source of random bytes.
pub trait Random: Send {
    /// Fills `bytes`, or fails.
    ///
    /// # Errors
    /// [`Error::Randomness`] when the source fails or gives only zeros.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()>;
}

impl dyn Random + '_ {
    /// `N` random bytes that are not secret: ids, salts, nonces of commits.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        refuse_zeros(&bytes)?;
        Ok(bytes)
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|_| Error::Randomness)?;
        refuse_zeros(bytes)
    }
}

/// Sixteen zero bytes in a row do not come from a working source.
pub(super) fn refuse_zeros(bytes: &[u8]) -> Result<()> {
    if bytes.len() >= 16 && bytes.iter().all(|byte| *byte == 0) { Err(Error::Randomness) } else { Ok(()) }
}

/// Repeatable bytes from a seed, for tests and vectors: BLAKE3 in extendable mode.
#[cfg(any(test, feature = "test-support"))]
#[derive(Debug)]
pub struct SeededRandom(blake3::OutputReader);

#[cfg(any(test, feature = "test-support"))]
impl SeededRandom {
    /// The stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }
}

#[cfg(any(test, feature = "test-support"))]
impl Random for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.0.fill(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_i8_a_source_of_zeros_is_refused() {
        assert!(refuse_zeros(&[0; 32]).is_err());
        assert!(refuse_zeros(&[0; 8]).is_ok());
        let mut random = OsRandom;
        let random: &mut dyn Random = &mut random;
        assert_ne!(random.bytes::<32>().unwrap(), random.bytes::<32>().unwrap());
    }
}
