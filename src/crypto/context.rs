//! What a sealed object is bound to: an object in another place, of another type, kind, epoch or account
//! has another key and fails at its commitment (I4).

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

    /// The bytes that go into the key derivation (F-12). No two contexts have the same bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.kind.len());
        out.extend(self.account);
        out.extend(self.epoch.to_le_bytes());
        out.push(self.object as u8);
        match self.place {
            Place::Object(id) => {
                out.push(1);
                out.extend(id);
                out.extend([0; 16]);
            }
            Place::Commit { device, sequence } => {
                out.push(2);
                out.extend(device);
                out.extend(sequence.to_le_bytes());
                out.extend([0; 8]);
            }
            Place::Envelope { locator, id } => {
                out.push(3);
                out.extend(locator);
                out.extend(id);
            }
            Place::EnrollRequest(rendezvous) => {
                out.push(4);
                out.extend(rendezvous);
                out.extend([0; 16]);
            }
            Place::EnrollAnswer(rendezvous) => {
                out.push(5);
                out.extend(rendezvous);
                out.extend([0; 16]);
            }
            Place::EnrollReveal(rendezvous) => {
                out.push(6);
                out.extend(rendezvous);
                out.extend([0; 16]);
            }
        }
        out.extend(self.kind.as_bytes());
        out
    }
}
