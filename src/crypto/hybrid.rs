//! X-Wing (draft-connolly-cfrg-xwing-kem): ML-KEM-768 and X25519 as one key encapsulation.
//!
//! What is stored today stays closed while either half holds (V6). A low-order X25519 share is refused
//! on both sides (D4), and every failure to open is one error (K3). The seed is the only form in which a
//! secret key is kept; all else is derived again when it is needed.

use std::fmt;

use x_wing::{Decapsulator as _, KeyExport as _, KeyInit as _, TryDecapsulate as _};
use x25519_dalek::{PublicKey, StaticSecret};

use super::{Random, Secret};
use crate::{Error, Part, Result};

/// Bytes of a public key: ML-KEM-768, then X25519.
pub const HYBRID_PUBLIC_KEY_BYTES: usize = x_wing::ENCAPSULATION_KEY_SIZE;
/// Bytes of a ciphertext: ML-KEM-768, then X25519.
pub const HYBRID_CIPHERTEXT_BYTES: usize = x_wing::CIPHERTEXT_SIZE;

/// A secret key, kept as its seed.
pub struct HybridSecretKey {
    seed: Secret<32>,
    public: HybridPublicKey,
}

impl HybridSecretKey {
    /// The key pair of `seed`, which must be uniformly random.
    #[must_use]
    pub fn from_seed(seed: Secret<32>) -> Self {
        let public = HybridPublicKey::of(expand(&seed).encapsulation_key());
        Self { seed, public }
    }

    /// A fresh key pair.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        Ok(Self::from_seed(Secret::generate(random)?))
    }

    /// The seed, for sealed local storage.
    #[must_use]
    pub fn seed(&self) -> &Secret<32> {
        &self.seed
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &HybridPublicKey {
        &self.public
    }

    /// The secret inside `ciphertext`. A ciphertext made for another key gives another secret, not an
    /// error: what is sealed with it decides.
    ///
    /// # Errors
    /// [`Error::WrongSecret`] for a wrong length or a low-order X25519 share.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>> {
        let ciphertext = x_wing::Ciphertext::try_from(ciphertext).map_err(|_| Error::WrongSecret)?;
        let mut shared = expand(&self.seed).try_decapsulate(&ciphertext).map_err(|_| Error::WrongSecret)?;
        Ok(Secret::take(&mut shared.0))
    }
}

fn expand(seed: &Secret<32>) -> x_wing::DecapsulationKeyRejectNonContrib {
    x_wing::DecapsulationKeyRejectNonContrib::new(seed.expose().into())
}

/// A public key whose ML-KEM half is well formed and whose X25519 half is not of low order.
#[derive(Clone, PartialEq, Eq)]
pub struct HybridPublicKey {
    bytes: Box<[u8; HYBRID_PUBLIC_KEY_BYTES]>,
    key: Box<x_wing::EncapsulationKey>,
}

impl HybridPublicKey {
    /// Parses a public key found in `part`.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a wrong length, an ML-KEM coefficient out of range (FIPS 203, 7.2) or a
    /// low-order X25519 point.
    pub fn from_bytes(bytes: &[u8], part: Part) -> Result<Self> {
        let key = x_wing::EncapsulationKey::try_from(bytes).map_err(|_| Error::damaged(part))?;
        let public = Self::of(&key);
        if public.is_low_order() { Err(Error::damaged(part)) } else { Ok(public) }
    }

    fn of(key: &x_wing::EncapsulationKey) -> Self {
        Self { bytes: Box::new(key.to_bytes().0), key: Box::new(key.clone()) }
    }

    /// The bytes that [`from_bytes`](Self::from_bytes) reads.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; HYBRID_PUBLIC_KEY_BYTES] {
        &self.bytes
    }

    /// A fresh secret and the ciphertext from which the key's owner gets it.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn encapsulate(
        &self,
        random: &mut dyn Random,
    ) -> Result<(Box<[u8; HYBRID_CIPHERTEXT_BYTES]>, Secret<32>)> {
        let coins = Secret::<{ x_wing::ENCAPSULATION_RANDOMNESS_SIZE }>::generate(random)?;
        let (ciphertext, mut shared) = self.key.encapsulate_deterministic(coins.expose().into());
        Ok((Box::new(ciphertext.0), Secret::take(&mut shared.0)))
    }

    /// A clamped scalar is a multiple of eight, so any of them takes exactly the low-order points to zero.
    fn is_low_order(&self) -> bool {
        self.bytes.last_chunk::<32>().is_none_or(|point| {
            !StaticSecret::from([64; 32]).diffie_hellman(&PublicKey::from(*point)).was_contributory()
        })
    }
}

impl fmt::Debug for HybridPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HybridPublicKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SeededRandom;

    #[test]
    fn a_secret_reaches_the_owner_of_the_key_and_nobody_else() {
        let mut random = SeededRandom::new(1);
        let owner = HybridSecretKey::generate(&mut random).unwrap();
        let other = HybridSecretKey::generate(&mut random).unwrap();
        let public = HybridPublicKey::from_bytes(owner.public().as_bytes(), Part::Roster).unwrap();
        let (ciphertext, shared) = public.encapsulate(&mut random).unwrap();
        assert_eq!(owner.decapsulate(ciphertext.as_slice()).unwrap().expose(), shared.expose());
        assert_ne!(other.decapsulate(ciphertext.as_slice()).unwrap().expose(), shared.expose());
        let again = HybridSecretKey::from_seed(owner.seed().duplicate());
        assert_eq!(again.decapsulate(ciphertext.as_slice()).unwrap().expose(), shared.expose());
    }

    #[test]
    fn lengths_other_than_the_one_are_refused() {
        let owner = HybridSecretKey::generate(&mut SeededRandom::new(2)).unwrap();
        for length in [0, HYBRID_CIPHERTEXT_BYTES - 1, HYBRID_CIPHERTEXT_BYTES + 1] {
            assert!(matches!(owner.decapsulate(&vec![1; length]), Err(Error::WrongSecret)));
        }
        for length in [0, HYBRID_PUBLIC_KEY_BYTES - 1, HYBRID_PUBLIC_KEY_BYTES + 1] {
            let parsed = HybridPublicKey::from_bytes(&vec![1; length], Part::Roster);
            assert!(matches!(parsed, Err(Error::Damaged { what: Part::Roster })));
        }
    }

    #[test]
    fn attack_v7_ml_kem_coefficients_out_of_range_are_refused() {
        let owner = HybridSecretKey::generate(&mut SeededRandom::new(3)).unwrap();
        let mut bytes = *owner.public().as_bytes();
        // The first coefficient is twelve bits: 0xfff is above the modulus 3329.
        bytes[0] = 0xff;
        bytes[1] |= 0x0f;
        assert!(HybridPublicKey::from_bytes(&bytes, Part::Roster).is_err());
    }

    #[test]
    fn no_randomness_gives_no_ciphertext() {
        struct Broken;
        impl Random for Broken {
            fn fill(&mut self, _: &mut [u8]) -> Result<()> {
                Err(Error::Randomness)
            }
        }
        let owner = HybridSecretKey::generate(&mut SeededRandom::new(4)).unwrap();
        assert!(matches!(owner.public().encapsulate(&mut Broken), Err(Error::Randomness)));
        assert!(matches!(HybridSecretKey::generate(&mut Broken), Err(Error::Randomness)));
    }

    #[test]
    fn attack_v4_the_wiping_features_below_x_wing_are_on() {
        fn wiped_on_drop<T: zeroize::ZeroizeOnDrop>() {}
        wiped_on_drop::<x_wing::DecapsulationKey>();
        wiped_on_drop::<ml_kem::ml_kem_768::DecapsulationKey>();
        wiped_on_drop::<StaticSecret>();
        wiped_on_drop::<x25519_dalek::SharedSecret>();
    }
}
