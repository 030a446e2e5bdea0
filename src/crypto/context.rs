//! What a sealed object is bound to: an object in another place, of another type, kind, epoch or account
//! has another key and fails at its commitment (I4).
//!
//! A context has two halves (FORMAT F-12). Its *scope*, whose data that is, is the same for all that one key seals;
//! its *slot*, what an object is and where, is the object's own.

/// The types of sealed objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum ObjectType {
    /// Chunks and their directory.
    Pack = 1,
    /// A part of a kind's index.
    Index = 2,
    /// The kinds' keys.
    Keyring = 3,
    /// Devices and recipients.
    Roster = 4,
    /// A device's signed statement of what is true.
    Commit = 5,
    /// An epoch root for one recipient.
    Envelope = 6,
    /// A new device asks to be admitted.
    EnrollRequest = 7,
    /// What a device that was admitted needs to begin.
    EnrollAnswer = 8,
    /// The inviting device's share, shown to the new device once its request is bound.
    EnrollReveal = 9,
}

impl ObjectType {
    /// All types.
    pub const ALL: [Self; 9] = [
        Self::Pack,
        Self::Index,
        Self::Keyring,
        Self::Roster,
        Self::Commit,
        Self::Envelope,
        Self::EnrollRequest,
        Self::EnrollAnswer,
        Self::EnrollReveal,
    ];
}

/// Where a sealed object lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// Under 16 random bytes.
    Object([u8; 16]),
    /// In a device's chain.
    Commit {
        /// The device's pseudonym.
        device: [u8; 16],
        /// Its position, from 1.
        sequence: u64,
    },
    /// Among the envelopes of one recipient.
    Envelope {
        /// The recipient's locator.
        locator: [u8; 16],
        /// 16 random bytes.
        id: [u8; 16],
    },
    /// What a new device says at the rendezvous of an invitation.
    EnrollRequest([u8; 16]),
    /// What the inviting device says there.
    EnrollAnswer([u8; 16]),
    /// The inviting device's share.
    EnrollReveal([u8; 16]),
}

/// Everything a sealed object is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Context {
    /// The account.
    pub account: [u8; 16],
    /// The epoch of the key.
    pub epoch: u32,
    /// What it is.
    pub object: ObjectType,
    /// The kind of data; empty for what belongs to no kind.
    pub kind: String,
    /// Where it lies.
    pub place: Place,
}

impl Context {
    /// A context; `kind` is empty for account objects and at most 64 bytes.
    #[must_use]
    pub fn new(account: [u8; 16], epoch: u32, object: ObjectType, kind: &str, place: Place) -> Self {
        Self { account, epoch, object, kind: kind.to_owned(), place }
    }

    /// Account, epoch and kind. No two scopes have the same bytes.
    #[must_use]
    pub(super) fn scope(&self) -> Vec<u8> {
        [&self.account[..], &self.epoch.to_le_bytes(), self.kind.as_bytes()].concat()
    }

    /// Whether both have the same scope.
    pub(super) fn has_scope_of(&self, other: &Self) -> bool {
        self.account == other.account && self.epoch == other.epoch && self.kind == other.kind
    }

    /// All of it: slot, then scope (F-12). No two contexts have the same bytes.
    #[cfg(any(test, feature = "test-support"))]
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [self.slot().bytes(), &self.scope()].concat()
    }

    /// Type and place.
    pub(super) fn slot(&self) -> Slot {
        let (form, of, name, length) = match self.place {
            Place::Object(id) => (1, id, [0; 16], 18),
            Place::Commit { device, sequence } => (2, device, u128::from(sequence).to_le_bytes(), 26),
            Place::Envelope { locator, id } => (3, locator, id, 34),
            Place::EnrollRequest(rendezvous) => (4, rendezvous, [0; 16], 18),
            Place::EnrollAnswer(rendezvous) => (5, rendezvous, [0; 16], 18),
            Place::EnrollReveal(rendezvous) => (6, rendezvous, [0; 16], 18),
        };
        let mut bytes = [0; SLOT_BYTES_MAX];
        let (kinds, place) = bytes.split_at_mut(2);
        kinds.copy_from_slice(&[self.object as u8, form]);
        place.copy_from_slice([of, name].as_flattened());
        Slot { bytes, length }
    }
}

const SLOT_BYTES_MAX: usize = 34;

/// The half of a context that is an object's own: type and place. None is the beginning of another.
pub(super) struct Slot {
    bytes: [u8; SLOT_BYTES_MAX],
    length: usize,
}

impl Slot {
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }
}
