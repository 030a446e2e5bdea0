//! Ed25519 (RFC 8032): a label before every message, strict verification (D5).

use ed25519_dalek::{Signer as _, SigningKey as Dalek, VerifyingKey as DalekPublic};

use super::{Label, Random, Secret};
use crate::{Error, Part, Result};

/// A key that signs.
pub struct SigningKey {
    seed: Secret<32>,
    key: Dalek,
}

impl SigningKey {
    /// Takes a seed over.
    #[must_use]
    pub fn from_seed(seed: Secret<32>) -> Self {
        let key = Dalek::from_bytes(seed.expose());
        Self { seed, key }
    }

    /// A fresh key.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        Ok(Self::from_seed(Secret::generate(random)?))
    }

    /// The seed, to keep on the device.
    #[must_use]
    pub fn seed(&self) -> &Secret<32> {
        &self.seed
    }

    /// The other half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.key.verifying_key())
    }

    /// Signs label, zero byte, message.
    #[must_use]
    pub fn sign(&self, label: Label, message: &[u8]) -> Signature {
        Signature(self.key.sign(&labelled(label, message)).to_bytes())
    }
}

/// A key that checks signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(DalekPublic);

impl VerifyingKey {
    /// Reads a key; weak ones, under which anybody can sign, are refused.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self> {
        let key = DalekPublic::from_bytes(bytes).map_err(|_| Error::damaged(Part::Roster))?;
        if key.is_weak() { Err(Error::damaged(Part::Roster)) } else { Ok(Self(key)) }
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Checks a signature over label and message.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming `part`.
    pub fn verify(&self, label: Label, message: &[u8], signature: &Signature, part: Part) -> Result<()> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(&labelled(label, message), &signature).map_err(|_| Error::damaged(part))
    }
}

/// A signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Reads 64 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 64 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

fn labelled(label: Label, message: &[u8]) -> Vec<u8> {
    [label.as_str().as_bytes(), &[0], message].concat()
}
