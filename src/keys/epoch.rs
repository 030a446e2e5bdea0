//! An epoch: a random root that everything the current devices write hangs on.

use super::AccountId;
use crate::{
    Result,
    crypto::{Label, ObjectKey, Random, Secret, derive_from_key},
};

/// The root of one epoch.
pub struct EpochRoot {
    epoch: u32,
    root: Secret<32>,
}

impl EpochRoot {
    /// A root that was stored or unsealed.
    #[must_use]
    pub fn new(epoch: u32, root: Secret<32>) -> Self {
        Self { epoch, root }
    }

    /// A fresh root.
    ///
    /// # Errors
    /// [`Error::Randomness`](crate::Error::Randomness).
    pub fn generate(epoch: u32, random: &mut dyn Random) -> Result<Self> {
        Ok(Self { epoch, root: Secret::generate(random)? })
    }

    /// Its number, from 0.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The root itself, to seal it to a recipient or to keep it on the device.
    #[must_use]
    pub fn root(&self) -> &Secret<32> {
        &self.root
    }

    /// The key that seals this epoch's commits.
    #[must_use]
    pub fn commit_key(&self, account: AccountId) -> ObjectKey {
        self.object_key(Label::EPOCH_COMMIT, account)
    }

    /// The key that seals this epoch's keyrings.
    #[must_use]
    pub fn keyring_key(&self, account: AccountId) -> ObjectKey {
        self.object_key(Label::EPOCH_KEYRING, account)
    }

    /// The key that seals this epoch's rosters.
    #[must_use]
    pub fn roster_key(&self, account: AccountId) -> ObjectKey {
        self.object_key(Label::EPOCH_ROSTER, account)
    }

    fn object_key(&self, label: Label, account: AccountId) -> ObjectKey {
        ObjectKey::new(derive_from_key(&self.root, label, &[&account.0, &self.epoch.to_le_bytes()]))
    }
}
