//! X-Wing: ML-KEM-768 and X25519 together, so that what is stored today stays closed to a quantum computer
//! later, and to whoever breaks the younger half (V6).
//!
//! A share that contributes nothing on the X25519 side is refused (D4).

use x_wing::{
    Ciphertext, DecapsulationKeyRejectNonContrib, Decapsulator as _, EncapsulationKey, KeyExport as _,
    TryDecapsulate as _,
};
use zeroize::Zeroize as _;

use super::{Random, Secret};
use crate::{Error, Part, Result};

/// Bytes of a public key.
pub const HYBRID_PUBLIC_BYTES: usize = x_wing::ENCAPSULATION_KEY_SIZE;
/// Bytes of a ciphertext.
pub const HYBRID_CIPHERTEXT_BYTES: usize = x_wing::CIPHERTEXT_SIZE;

/// A public key that secrets are encapsulated to.
#[derive(Clone)]
pub struct HybridPublicKey {
    key: EncapsulationKey,
    bytes: Box<[u8; HYBRID_PUBLIC_BYTES]>,
}

impl HybridPublicKey {
    /// Reads 1216 bytes.
    ///
    /// # Errors
    /// [`Error::Damaged`] when they are not a valid key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::damaged(Part::Roster);
        let key = EncapsulationKey::try_from(bytes).map_err(|_| damaged())?;
        let bytes: [u8; HYBRID_PUBLIC_BYTES] = bytes.try_into().map_err(|_| damaged())?;
        Ok(Self { key, bytes: Box::new(bytes) })
    }

    fn of(key: &EncapsulationKey) -> Self {
        Self { key: key.clone(), bytes: Box::new(key.to_bytes().into()) }
    }

    /// The 1216 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; HYBRID_PUBLIC_BYTES] {
        &self.bytes
    }
}

/// A secret key, kept as the seed it is expanded from.
pub struct HybridSecretKey {
    seed: Secret<32>,
    key: DecapsulationKeyRejectNonContrib,
    public: HybridPublicKey,
}

impl HybridSecretKey {
    /// Expands a seed.
    #[must_use]
    pub fn from_seed(seed: Secret<32>) -> Self {
        let key = DecapsulationKeyRejectNonContrib::from(*seed.expose());
        let public = HybridPublicKey::of(key.encapsulation_key());
        Self { seed, key, public }
    }

    /// The seed, to keep on the device.
    #[must_use]
    pub fn seed(&self) -> &Secret<32> {
        &self.seed
    }

    /// The other half.
    #[must_use]
    pub fn public_key(&self) -> &HybridPublicKey {
        &self.public
    }

    /// The secret that was encapsulated; some other secret when the ciphertext was not made for this key.
    ///
    /// # Errors
    /// [`Error::WrongSecret`] for a ciphertext of another length or one that contributes nothing.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>> {
        let ciphertext = Ciphertext::try_from(ciphertext).map_err(|_| Error::WrongSecret)?;
        let mut shared = self.key.try_decapsulate(&ciphertext).map_err(|_| Error::WrongSecret)?;
        let secret = Secret::from_slice(&shared).ok_or(Error::WrongSecret);
        shared.zeroize();
        secret
    }
}

/// A fresh secret for the holder of a key: the ciphertext to send, and the secret.
///
/// # Errors
/// [`Error::Randomness`].
pub fn encapsulate(
    key: &HybridPublicKey,
    random: &mut dyn Random,
) -> Result<([u8; HYBRID_CIPHERTEXT_BYTES], Secret<32>)> {
    let randomness: Secret<64> = Secret::generate(random)?;
    let (ciphertext, mut shared) = key.key.encapsulate_deterministic(randomness.expose().into());
    let secret = Secret::from_slice(&shared).ok_or(Error::Internal("shared secret length"));
    shared.zeroize();
    Ok((ciphertext.into(), secret?))
}
