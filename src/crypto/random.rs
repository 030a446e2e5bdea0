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

    /// The stream of a device of a simulation, another one after each of its starts.
    #[must_use]
    pub fn of_device(seed: u64, device: u8, start: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(&[device]).update(&start.to_le_bytes());
        Self(hasher.finalize_xof())
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
    fn every_start_of_every_device_has_a_stream_of_its_own() {
        let first = |mut random: SeededRandom| (&mut random as &mut dyn Random).bytes::<16>().unwrap();
        let streams = [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4)]
            .map(|(seed, device, start)| first(SeededRandom::of_device(seed, device, start)));
        assert_eq!(streams[0], first(SeededRandom::of_device(1, 2, 3)));
        let different: std::collections::BTreeSet<_> = streams.iter().collect();
        assert_eq!(different.len(), 4);
    }

    #[test]
    fn attack_i8_a_source_of_zeros_is_refused() {
        assert!(refuse_zeros(&[0; 32]).is_err());
        assert!(refuse_zeros(&[0; 8]).is_ok());
        let mut random = OsRandom;
        let random: &mut dyn Random = &mut random;
        assert_ne!(random.bytes::<32>().unwrap(), random.bytes::<32>().unwrap());
    }
}
