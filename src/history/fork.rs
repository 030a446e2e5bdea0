//! The proof of a fork: two signed statements that cannot both be true. Whoever holds the file can check it
//! without the store and without a secret: the account id names the genesis, the roster leads from there to
//! the signers.

use prost::Message as _;

use super::Commit;
use crate::{
    Error, Part, Result,
    keys::{AccountId, DeviceId, Roster},
    limits::OBJECT_BYTES_MAX,
    wire::{decode_strict, messages},
};

/// A verified proof that one device's history forks (F3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkProof {
    account: AccountId,
    device: DeviceId,
    sequence: u64,
    witness: DeviceId,
    bytes: Vec<u8>,
}

impl ForkProof {
    /// Puts a proof together: `commit` is of the device whose history forks; `witness` is another of the
    /// same device and number or one that follows another, or another device's that has seen another.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the two do not contradict each other.
    pub fn new(roster: &Roster, commit: &[u8], witness: &[u8]) -> Result<Self> {
        let wire = messages::ForkProof {
            account: roster.account().0.to_vec(),
            roster: roster.encode(),
            commit: commit.to_vec(),
            witness: witness.to_vec(),
        };
        Self::verify(&wire.encode_to_vec())
    }

    /// Checks a proof, offline.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it proves nothing; [`Error::NewerFormat`].
    pub fn verify(bytes: &[u8]) -> Result<Self> {
        let nothing = || Error::damaged(Part::ForkProof);
        let wire: messages::ForkProof = decode_strict(bytes, 3 * OBJECT_BYTES_MAX, Part::ForkProof)?;
        let account = AccountId::from_slice(&wire.account).ok_or_else(nothing)?;
        let roster = Roster::parse(account, &wire.roster)?;
        let read = |plain: &[u8]| {
            let device = Commit::claimed_device(plain).ok_or_else(nothing)?;
            let device = roster.state().device(device).ok_or_else(nothing)?;
            Commit::parse_kept(account, device, plain)
        };
        let (commit, witness) = (read(&wire.commit)?, read(&wire.witness)?);
        let (device, head) = (commit.device(), commit.head());
        let contradicts = if witness.device() == device {
            let beside = witness.head().sequence == head.sequence && witness.head().hash != head.hash;
            let follows_another = witness
                .body()
                .previous
                .is_some_and(|previous| previous.sequence == head.sequence && previous.hash != head.hash);
            beside || follows_another
        } else {
            let mut seen = witness.body().seen.iter();
            seen.any(|(of, seen)| *of == device && seen.sequence == head.sequence && seen.hash != head.hash)
        };
        if !contradicts {
            return Err(nothing());
        }
        let (sequence, witness) = (head.sequence, witness.device());
        Ok(Self { account, device, sequence, witness, bytes: bytes.to_vec() })
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The device whose history forks.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Where it forks.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Who else signed: the same device, or one that had seen the other history.
    #[must_use]
    pub fn witness(&self) -> DeviceId {
        self.witness
    }

    /// The proof as it is written to a file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
