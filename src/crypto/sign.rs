//! Ed25519 signatures (RFC 8032), always over a label and a message.
//!
//! Verification is strict: one encoding of a key, one of a signature, no small-order points (D5). The
//! public key is always derived from the seed, so no mismatched pair can be made to sign.

use std::fmt;

use ed25519_dalek::Signer as _;

use super::{Label, Random, Secret};
use crate::{Error, Part, Result};

/// Bytes of a verifying key.
pub const VERIFYING_KEY_BYTES: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// A secret signing key, kept as its seed.
pub struct SigningKey {
    seed: Secret<32>,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// The key of `seed`, which must be uniformly random.
    #[must_use]
    pub fn from_seed(seed: Secret<32>) -> Self {
        let verifying = VerifyingKey(ed25519_dalek::SigningKey::from_bytes(seed.expose()).verifying_key());
        Self { seed, verifying }
    }

    /// A fresh key.
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
    pub fn verifying_key(&self) -> VerifyingKey {
        self.verifying
    }

    /// Signs the label, a zero byte and the message.
    #[must_use]
    pub fn sign(&self, label: Label, message: &[u8]) -> Signature {
        let key = ed25519_dalek::SigningKey::from_bytes(self.seed.expose());
        Signature(key.sign(&labelled(label, message)).to_bytes())
    }
}

/// A public key in its one encoding, not of small order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// Parses a key found in `part`.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a wrong length, no point of the curve, a second encoding of a point, or a
    /// point of small order.
    pub fn from_bytes(bytes: &[u8], part: Part) -> Result<Self> {
        let damaged = || Error::damaged(part);
        let key = ed25519_dalek::VerifyingKey::try_from(bytes).map_err(|_| damaged())?;
        let canonical = key.to_edwards().compress().to_bytes();
        if key.is_weak() || canonical != key.to_bytes() { Err(damaged()) } else { Ok(Self(key)) }
    }

    /// The bytes that [`from_bytes`](Self::from_bytes) reads.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; VERIFYING_KEY_BYTES] {
        self.0.as_bytes()
    }

    /// Checks a signature over `label` and `message`, which were found in `part`.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn verify(&self, label: Label, message: &[u8], signature: &Signature, part: Part) -> Result<()> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(&labelled(label, message), &signature).map_err(|_| Error::damaged(part))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").finish_non_exhaustive()
    }
}

/// A signature, not yet checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_BYTES]);

impl Signature {
    /// Takes the bytes found in `part`.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a wrong length.
    pub fn from_bytes(bytes: &[u8], part: Part) -> Result<Self> {
        bytes.try_into().map(Self).map_err(|_| Error::damaged(part))
    }

    /// The bytes that [`from_bytes`](Self::from_bytes) reads.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.0
    }
}

/// No label holds a zero byte or begins another, so two labelled messages are never the same bytes.
fn labelled(label: Label, message: &[u8]) -> Vec<u8> {
    [label.as_str().as_bytes(), &[0], message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SeededRandom;

    #[test]
    fn a_signature_holds_for_its_key_label_and_message_only() {
        let mut random = SeededRandom::new(1);
        let key = SigningKey::generate(&mut random).unwrap();
        let other = SigningKey::generate(&mut random).unwrap();
        let signature = key.sign(Label::SIGN_COMMIT, b"message");
        let holds = |key: &SigningKey, label, message: &[u8], signature: &Signature| {
            key.verifying_key().verify(label, message, signature, Part::Commit).is_ok()
        };
        assert!(holds(&key, Label::SIGN_COMMIT, b"message", &signature));
        assert!(!holds(&other, Label::SIGN_COMMIT, b"message", &signature));
        assert!(!holds(&key, Label::SIGN_ROSTER, b"message", &signature));
        assert!(!holds(&key, Label::SIGN_COMMIT, b"massage", &signature));
        for bit in 0..SIGNATURE_BYTES * 8 {
            let mut bytes = *signature.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!holds(&key, Label::SIGN_COMMIT, b"message", &Signature(bytes)), "bit {bit}");
        }
        let again = SigningKey::from_seed(key.seed().duplicate());
        assert_eq!(again.sign(Label::SIGN_COMMIT, b"message"), signature);
        assert_eq!(again.verifying_key(), key.verifying_key());
    }

    #[test]
    fn keys_and_signatures_of_another_length_are_refused() {
        assert!(VerifyingKey::from_bytes(&[1; 31], Part::Roster).is_err());
        assert!(VerifyingKey::from_bytes(&[1; 33], Part::Roster).is_err());
        assert!(Signature::from_bytes(&[1; 63], Part::Commit).is_err());
        assert!(Signature::from_bytes(&[1; 65], Part::Commit).is_err());
    }

    #[test]
    fn attack_v4_the_wiping_feature_of_ed25519_is_on() {
        fn wiped_on_drop<T: zeroize::ZeroizeOnDrop>() {}
        wiped_on_drop::<ed25519_dalek::SigningKey>();
    }
}
