//! An epoch: a random root that everything the current devices write hangs on.

use zeroize::Zeroize as _;

use super::AccountId;
use crate::{
    Result,
    crypto::{Label, ObjectKey, Random, Secret, derive_from_key},
    limits::EPOCHS_MAX,
    wire::messages,
};

/// Which root an epoch has: follows from the root and gives nothing of it away. The roster announces it, so
/// that nobody can plant a root of his own (D1).
pub type RootId = [u8; 16];

/// The root of one epoch.
pub struct EpochRoot {
    epoch: u32,
    id: RootId,
    root: Secret<32>,
}

impl EpochRoot {
    /// A root that was stored or unsealed.
    #[must_use]
    pub fn new(epoch: u32, root: Secret<32>) -> Self {
        let id = *derive_from_key(&root, Label::EPOCH_ID, &[&epoch.to_le_bytes()]).expose();
        Self { epoch, id, root }
    }

    /// A fresh root.
    ///
    /// # Errors
    /// [`Error::Randomness`](crate::Error::Randomness).
    pub fn generate(epoch: u32, random: &mut dyn Random) -> Result<Self> {
        Ok(Self::new(epoch, Secret::generate(random)?))
    }

    /// Its number, from 0.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Which root it is.
    #[must_use]
    pub fn id(&self) -> RootId {
        self.id
    }

    /// A second copy, to hand on.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { epoch: self.epoch, id: self.id, root: self.root.duplicate() }
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

/// All roots that a device was given, ascending by epoch and id. Two devices may begin an epoch with the
/// same number at once (D10): both roots are kept, to read what was written under either.
#[derive(Default)]
pub struct EpochRoots(Vec<EpochRoot>);

impl EpochRoots {
    /// The roots in `roots`, in order and each once.
    #[must_use]
    pub fn new(roots: impl IntoIterator<Item = EpochRoot>) -> Self {
        let mut all = Self::default();
        roots.into_iter().for_each(|root| {
            all.add(root);
        });
        all
    }

    /// Adds a root; says whether it was new.
    pub fn add(&mut self, root: EpochRoot) -> bool {
        let known = |other: &EpochRoot| (other.epoch, other.id).cmp(&(root.epoch, root.id));
        match self.0.binary_search_by(known) {
            Ok(_) => false,
            Err(place) => {
                self.0.insert(place, root);
                true
            }
        }
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &EpochRoot> {
        self.0.iter()
    }

    /// The roots of one epoch.
    pub fn of(&self, epoch: u32) -> impl Iterator<Item = &EpochRoot> {
        self.0.iter().filter(move |root| root.epoch == epoch)
    }

    /// One root by epoch and id.
    #[must_use]
    pub fn get(&self, (epoch, id): (u32, RootId)) -> Option<&EpochRoot> {
        self.of(epoch).find(|root| root.id == id)
    }

    /// The wire form; the caller wipes it.
    #[must_use]
    pub fn to_wire(&self) -> Vec<messages::EpochSecret> {
        let secret =
            |root: &EpochRoot| messages::EpochSecret { epoch: root.epoch, root: root.root.expose().to_vec() };
        self.0.iter().map(secret).collect()
    }

    /// Reads the wire form and wipes it; `None` unless it has its one form.
    #[must_use]
    pub fn from_wire(wire: &mut [messages::EpochSecret]) -> Option<Self> {
        let read = |secret: &messages::EpochSecret| {
            Some(EpochRoot::new(secret.epoch, Secret::from_slice(&secret.root)?))
        };
        let roots: Option<Vec<_>> = wire.iter().map(read).collect();
        wire.iter_mut().for_each(|secret| secret.root.zeroize());
        let roots = roots.filter(|roots| !roots.is_empty() && roots.len() <= EPOCHS_MAX)?;
        let place = |root: &EpochRoot| (root.epoch, root.id);
        let ascending = roots.windows(2).all(|pair| matches!(pair, [a, b] if place(a) < place(b)));
        ascending.then_some(Self(roots))
    }
}
