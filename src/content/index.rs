//! Index fragments: which chunk lies in which pack (FORMAT F-21).
//!
//! A fragment never changes. The newest one of a kind names all others that are live, so a commit names
//! one object and a new device finds them all.

use std::collections::BTreeSet;

use prost::Message as _;

use super::PackEntry;
use crate::{
    Error, Part, Result,
    crypto::{Context, ObjectKey, ObjectType, Place, Random, Sealed, open_message, seal_message},
    keys::{AccountId, ObjectRef},
    limits::{FRAGMENT_LOST_MAX, FRAGMENT_OLDER_MAX, FRAGMENT_PACKS_MAX, OBJECT_BYTES_MAX},
    wire::{decode_strict, messages},
};

/// One fragment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexFragment {
    packs: Vec<PackEntry>,
    older: Vec<ObjectRef>,
    lost: Vec<[u8; 16]>,
}

impl IndexFragment {
    /// A fragment that names `packs`, the other live fragments, and the packs that are not counted on any more.
    #[must_use]
    pub fn new(packs: Vec<PackEntry>, older: Vec<ObjectRef>, lost: BTreeSet<[u8; 16]>) -> Self {
        Self { packs, older, lost: lost.into_iter().collect() }
    }

    /// Cuts `packs` into as many fragments as fit into objects each; the last one is the newest and is
    /// to name the others. Never empty.
    #[must_use]
    pub fn split(packs: Vec<PackEntry>) -> Vec<Vec<PackEntry>> {
        const ROOM_BYTES: usize = OBJECT_BYTES_MAX - 1024 * 1024;
        let mut parts = vec![Vec::new()];
        let mut used = 0;
        for pack in packs {
            let bytes = pack.to_wire().encoded_len() + 8;
            if used + bytes > ROOM_BYTES {
                parts.push(Vec::new());
                used = 0;
            }
            used += bytes;
            if let Some(part) = parts.last_mut() {
                part.push(pack);
            }
        }
        parts
    }

    /// The packs it names.
    #[must_use]
    pub fn packs(&self) -> &[PackEntry] {
        &self.packs
    }

    /// The other fragments that are live.
    #[must_use]
    pub fn older(&self) -> &[ObjectRef] {
        &self.older
    }

    /// Names of packs that a check found missing or damaged: whoever writes does not count what they hold as stored,
    /// whoever reads looks there last.
    #[must_use]
    pub fn lost(&self) -> &[[u8; 16]] {
        &self.lost
    }

    /// Seals it under a fresh name.
    ///
    /// # Errors
    /// [`Error::Randomness`]; [`Error::Internal`] when it is too long, which [`Self::split`] prevents.
    pub fn seal(
        &self,
        key: &ObjectKey,
        account: AccountId,
        epoch: u32,
        kind: &str,
        random: &mut dyn Random,
    ) -> Result<(ObjectRef, Sealed)> {
        let wire = messages::IndexFragment {
            packs: self.packs.iter().map(PackEntry::to_wire).collect(),
            older: self.older.iter().map(ObjectRef::to_wire).collect(),
            lost: self.lost.iter().map(|name| name.to_vec()).collect(),
        };
        let context = context(account, epoch, kind, random.bytes()?);
        let sealed = seal_message(key, context, &wire.encode_to_vec(), random)?;
        Ok((ObjectRef::of(&sealed)?, sealed))
    }

    /// Opens what `reference` names.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn open(
        key: &ObjectKey,
        account: AccountId,
        kind: &str,
        reference: &ObjectRef,
        bytes: Vec<u8>,
    ) -> Result<Self> {
        if !reference.matches(&bytes) {
            return Err(Error::damaged(Part::Index));
        }
        let context = context(account, reference.epoch(), kind, reference.id());
        Self::parse(&open_message(key, &context, bytes).map_err(Error::while_opening(Part::Index))?)
    }

    /// Reads an authenticated fragment.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn parse(plain: &[u8]) -> Result<Self> {
        let wire: messages::IndexFragment = decode_strict(plain, OBJECT_BYTES_MAX, Part::Index)?;
        let messages::IndexFragment { packs, older, lost } = wire;
        let is_much = packs.len() > FRAGMENT_PACKS_MAX || older.len() > FRAGMENT_OLDER_MAX;
        if is_much || lost.len() > FRAGMENT_LOST_MAX {
            return Err(Error::damaged(Part::Index));
        }
        let packs = packs.iter().map(PackEntry::from_wire).collect::<Result<_>>()?;
        let older = older.iter().map(|o| ObjectRef::from_wire(o, Part::Index)).collect::<Result<_>>()?;
        let name = |name: Vec<u8>| name.try_into().map_err(|_| Error::damaged(Part::Index));
        let lost: Vec<[u8; 16]> = lost.into_iter().map(name).collect::<Result<_>>()?;
        if lost.is_sorted_by(|a, b| a < b) {
            Ok(Self { packs, older, lost })
        } else {
            Err(Error::damaged(Part::Index))
        }
    }
}

fn context(account: AccountId, epoch: u32, kind: &str, id: [u8; 16]) -> Context {
    Context::new(account.0, epoch, ObjectType::Index, kind, Place::Object(id))
}
