//! The local database: where chunks lie, what files looked like at the last backup, packs on their way.
//!
//! Everything in it can be rebuilt from the store; nothing in it is trusted for more than speed (I10).

use std::{collections::BTreeSet, sync::RwLock};

use prost::Message as _;
use redb::{
    Database as Redb, ReadOnlyTable, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition, WriteTransaction,
};

use super::{
    Medium,
    journal::{EDITS, SENT_EDITS},
    lost::LOST,
    notes::{FILES, RUNS},
};
use crate::{
    Error, Part, Result,
    content::{ChunkId, ChunkSlot, Frame, PackEntry},
    history::Commit,
    keys::DeviceId,
    wire::messages,
};

/// Chunk id to its pack and slot there.
const CHUNKS: TableDefinition<'_, [u8; 32], ChunkColumns> = TableDefinition::new("slots");
/// Pack number; the frame's offset, stored and plain bytes; where the chunk begins in there, and its length.
type ChunkColumns = (u64, u32, u32, u32, u32, u32);
/// Pack number to (name, length, epoch, kind, encoded pack entry while no committed fragment has it).
const PACKS: TableDefinition<'_, u64, PackColumns<'_>> = TableDefinition::new("packs");
type PackColumns<'a> = (&'a [u8], u32, u32, &'a str, &'a [u8]);
/// Numbers of the packs that no committed fragment has: they are looked for often, and few among many.
const UNCOMMITTED: TableDefinition<'_, u64, ()> = TableDefinition::new("uncommitted");
/// Index fragments whose packs are known here.
pub(super) const FRAGMENTS: TableDefinition<'_, [u8; 16], &str> = TableDefinition::new("fragments");
/// Device and sequence to the signed commit as it was first read.
const COMMITS: TableDefinition<'_, ([u8; 16], u64), &[u8]> = TableDefinition::new("commits");
/// Envelopes to this device that were read.
const ENVELOPES: TableDefinition<'_, [u8; 16], ()> = TableDefinition::new("envelopes");
/// Inner tree pages by their ids: what it takes to see which parts of a tree changed.
const INNER_PAGES: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("inner-pages");
/// Name to number.
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");

/// A larger one makes no job faster: the system caches the file anyway.
const CACHE_BYTES: usize = 2 * 1024 * 1024;

/// Where a chunk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkPlace {
    pub(crate) pack: u64,
    pub(crate) slot: ChunkSlot,
}

/// A pack as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackRow {
    pub(crate) id: [u8; 16],
    pub(crate) length: u32,
    pub(crate) epoch: u32,
    pub(crate) kind: String,
    /// Encoded wire `PackEntry` until a committed fragment names the pack; empty afterwards.
    pub(crate) uncommitted: Vec<u8>,
}

impl PackRow {
    /// The pack's entry in the index, as long as no committed fragment has it.
    pub(crate) fn entry(&self) -> Result<PackEntry> {
        let wire = messages::PackEntry::decode(self.uncommitted.as_slice());
        PackEntry::from_wire(&wire.map_err(|_| Error::damaged(Part::LocalState))?)
    }
}

/// The open database.
pub(crate) struct Database {
    pub(super) tables: Redb,
    /// The names in their table, all in memory: mostly none, and asked for at every chunk.
    pub(super) lost: RwLock<BTreeSet<[u8; 16]>>,
}

impl Database {
    /// Opens or makes it; one that cannot be opened is put aside and made anew.
    pub(crate) fn open(medium: &dyn Medium) -> Result<Self> {
        let open = || medium.database(Redb::builder().set_cache_size(CACHE_BYTES));
        let database = match open() {
            Ok(database) => database,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
                return Err(Error::InUse);
            }
            Err(_) => {
                medium.put_database_aside().map_err(Error::io("putting the old database aside"))?;
                open().map_err(failed)?
            }
        };
        let this = Self { tables: database, lost: RwLock::default() };
        this.write(|transaction| {
            transaction.open_table(CHUNKS).map_err(failed)?;
            transaction.open_table(PACKS).map_err(failed)?;
            transaction.open_table(UNCOMMITTED).map_err(failed)?;
            transaction.open_table(FRAGMENTS).map_err(failed)?;
            transaction.open_table(LOST).map_err(failed)?;
            transaction.open_table(FILES).map_err(failed)?;
            transaction.open_table(RUNS).map_err(failed)?;
            transaction.open_table(COMMITS).map_err(failed)?;
            transaction.open_table(ENVELOPES).map_err(failed)?;
            transaction.open_table(EDITS).map_err(failed)?;
            transaction.open_table(SENT_EDITS).map_err(failed)?;
            transaction.open_table(INNER_PAGES).map_err(failed)?;
            transaction.open_table(COUNTERS).map_err(failed)?;
            Ok(())
        })?;
        this.read_lost_packs()?;
        Ok(this)
    }

    /// One durable transaction.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<T>) -> Result<T> {
        let mut transaction = self.tables.begin_write().map_err(failed)?;
        transaction.set_quick_repair(true);
        let value = work(&transaction)?;
        transaction.commit().map_err(failed)?;
        Ok(value)
    }

    pub(crate) fn chunk(&self, id: ChunkId) -> Result<Option<ChunkPlace>> {
        self.chunks_now()?.chunk(id)
    }

    /// The chunks as they are known now.
    pub(crate) fn chunks_now(&self) -> Result<ChunksNow> {
        let table = self.tables.begin_read().map_err(failed)?.open_table(CHUNKS).map_err(failed)?;
        Ok(ChunksNow(table))
    }

    pub(crate) fn pack(&self, number: u64) -> Result<Option<PackRow>> {
        let table = self.tables.begin_read().map_err(failed)?.open_table(PACKS).map_err(failed)?;
        let row = table.get(number).map_err(failed)?;
        Ok(row.and_then(|row| pack_row(row.value())))
    }

    /// The name of every pack, as often as it stands here.
    #[cfg(test)]
    pub(crate) fn pack_ids(&self) -> Vec<[u8; 16]> {
        let table = self.tables.begin_read().unwrap().open_table(PACKS).unwrap();
        table.iter().unwrap().filter_map(|row| Some(pack_row(row.unwrap().1.value())?.id)).collect()
    }

    /// An inner tree page, if it is kept here. Whoever asks checks it.
    pub(crate) fn inner_page(&self, id: ChunkId) -> Result<Option<Vec<u8>>> {
        let table = self.tables.begin_read().map_err(failed)?.open_table(INNER_PAGES).map_err(failed)?;
        Ok(table.get(id.0).map_err(failed)?.map(|row| row.value().to_vec()))
    }

    /// Keeps inner tree pages, for speed only: what a power cut loses is read again. When there are too many,
    /// all of them begin anew.
    pub(crate) fn keep_inner_pages(&self, pages: &[(ChunkId, Vec<u8>)]) -> Result<()> {
        const INNER_PAGES_MAX: u64 = 4096;
        let mut transaction = self.tables.begin_write().map_err(failed)?;
        transaction.set_durability(redb::Durability::None).map_err(failed)?;
        {
            let mut table = transaction.open_table(INNER_PAGES).map_err(failed)?;
            if table.len().map_err(failed)? >= INNER_PAGES_MAX {
                table.retain(|_, _| false).map_err(failed)?;
            }
            for (id, page) in pages {
                table.insert(id.0, page.as_slice()).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }

    /// The numbers, from `first` on, of the packs of a kind that no committed fragment names yet.
    pub(crate) fn uncommitted_packs(&self, kind: &str, first: u64) -> Result<Vec<u64>> {
        let transaction = self.tables.begin_read().map_err(failed)?;
        let packs = transaction.open_table(PACKS).map_err(failed)?;
        let mut found = Vec::new();
        for row in transaction.open_table(UNCOMMITTED).map_err(failed)?.range(first..).map_err(failed)? {
            let number = row.map_err(failed)?.0.value();
            let pack = packs.get(number).map_err(failed)?;
            let is_one = pack.is_some_and(|pack| pack.value().3 == kind && pack_row(pack.value()).is_some());
            found.extend(is_one.then_some(number));
        }
        Ok(found)
    }

    /// Adds a pack and its chunks; returns its number.
    pub(crate) fn add_pack(
        transaction: &WriteTransaction,
        pack: &PackRow,
        chunks: impl Iterator<Item = ChunkSlot>,
    ) -> Result<u64> {
        let number = Self::add_pack_alone(transaction, pack)?;
        add_chunks(transaction, chunks.map(|slot| (number, slot)))?;
        Ok(number)
    }

    /// Adds a pack whose chunks are not found yet: [`Self::list_chunks`] sees to it.
    pub(crate) fn add_pack_alone(transaction: &WriteTransaction, pack: &PackRow) -> Result<u64> {
        let number = next_number(transaction)?;
        let mut packs = transaction.open_table(PACKS).map_err(failed)?;
        let row = (&pack.id[..], pack.length, pack.epoch, pack.kind.as_str(), &pack.uncommitted[..]);
        packs.insert(number, row).map_err(failed)?;
        if !pack.uncommitted.is_empty() {
            transaction.open_table(UNCOMMITTED).map_err(failed)?.insert(number, ()).map_err(failed)?;
        }
        Ok(number)
    }

    /// Lets the chunks be found of a kind's uncommitted packs with this number or a higher one, and tells their ids.
    /// Many at once, in order: each pack's chunks lie all over the table, and a transaction writes every page of it
    /// that it touches. A chunk that is found already stays where it is: that pack may be a committed one, and this
    /// one may turn out not to be in the store.
    pub(crate) fn list_chunks(&self, kind: &str, first: u64, listed: &mut dyn FnMut(ChunkId)) -> Result<()> {
        const AT_ONCE: usize = 32_768;
        let mut chunks: Vec<(u64, ChunkSlot)> = Vec::new();
        let mut numbers = self.uncommitted_packs(kind, first)?.into_iter().peekable();
        while let Some(number) = numbers.next() {
            if let Some(row) = self.pack(number)? {
                chunks.extend(row.entry()?.chunks().map(|slot| (number, slot)));
            }
            if chunks.len() >= AT_ONCE || numbers.peek().is_none() {
                self.list_new(&mut chunks)?;
                chunks.drain(..).for_each(|(_, slot)| listed(slot.id));
            }
        }
        Ok(())
    }

    fn list_new(&self, chunks: &mut [(u64, ChunkSlot)]) -> Result<()> {
        chunks.sort_unstable_by_key(|(_, slot)| slot.id);
        let known = self.chunks_now()?;
        let mut new = Vec::new();
        for (number, slot) in chunks.iter() {
            let place = known.chunk(slot.id)?;
            if place.map(|place| self.is_lost(place.pack)).transpose()?.unwrap_or(true) {
                new.push((*number, *slot));
            }
        }
        drop(known);
        if new.is_empty() {
            Ok(())
        } else {
            self.write(|transaction| add_chunks(transaction, new.into_iter()))
        }
    }

    /// Forgets a pack that turned out not to be in the store, and its chunks.
    pub(crate) fn forget_pack(
        transaction: &WriteTransaction,
        number: u64,
        chunks: impl Iterator<Item = ChunkId>,
    ) -> Result<()> {
        transaction.open_table(PACKS).map_err(failed)?.remove(number).map_err(failed)?;
        transaction.open_table(UNCOMMITTED).map_err(failed)?.remove(number).map_err(failed)?;
        let mut table = transaction.open_table(CHUNKS).map_err(failed)?;
        for id in chunks {
            let here = table.get(id.0).map_err(failed)?.is_some_and(|row| row.value().0 == number);
            if here {
                table.remove(id.0).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// A committed fragment names this pack now.
    pub(crate) fn settle_pack(transaction: &WriteTransaction, number: u64) -> Result<()> {
        let mut packs = transaction.open_table(PACKS).map_err(failed)?;
        let row = packs.get(number).map_err(failed)?.and_then(|row| pack_row(row.value()));
        if let Some(row) = row {
            let settled: PackColumns<'_> = (&row.id, row.length, row.epoch, row.kind.as_str(), &[]);
            packs.insert(number, settled).map_err(failed)?;
        }
        transaction.open_table(UNCOMMITTED).map_err(failed)?.remove(number).map_err(failed)?;
        Ok(())
    }

    pub(crate) fn knows_fragment(&self, id: [u8; 16]) -> Result<bool> {
        let table = self.tables.begin_read().map_err(failed)?.open_table(FRAGMENTS).map_err(failed)?;
        Ok(table.get(id).map_err(failed)?.is_some())
    }

    pub(crate) fn add_fragment(transaction: &WriteTransaction, id: [u8; 16], kind: &str) -> Result<()> {
        transaction.open_table(FRAGMENTS).map_err(failed)?.insert(id, kind).map_err(failed)?;
        Ok(())
    }

    /// A commit as it was when this device first read it.
    pub(crate) fn commit(&self, device: DeviceId, sequence: u64) -> Result<Option<Vec<u8>>> {
        let table = self.tables.begin_read().map_err(failed)?.open_table(COMMITS).map_err(failed)?;
        let row = table.get((device.0, sequence)).map_err(failed)?;
        Ok(row.map(|row| row.value().to_vec()))
    }

    /// Keeps commits that were verified; what is there stays.
    pub(crate) fn keep_commits<'c>(&self, commits: impl IntoIterator<Item = &'c Commit>) -> Result<()> {
        let mut commits = commits.into_iter().peekable();
        if commits.peek().is_none() {
            return Ok(());
        }
        self.write(|transaction| {
            let mut table = transaction.open_table(COMMITS).map_err(failed)?;
            for commit in commits {
                let key = (commit.device().0, commit.head().sequence);
                if table.get(key).map_err(failed)?.is_none() {
                    table.insert(key, commit.signed()).map_err(failed)?;
                }
            }
            Ok(())
        })
    }

    pub(crate) fn has_read_envelope(&self, id: [u8; 16]) -> Result<bool> {
        let table = self.tables.begin_read().map_err(failed)?.open_table(ENVELOPES).map_err(failed)?;
        Ok(table.get(id).map_err(failed)?.is_some())
    }

    pub(crate) fn note_envelope(&self, id: [u8; 16]) -> Result<()> {
        self.write(|transaction| {
            transaction.open_table(ENVELOPES).map_err(failed)?.insert(id, ()).map_err(failed)?;
            Ok(())
        })
    }

    /// Forgets everything that was said about objects of the store and about files: it is found anew.
    pub(crate) fn forget_store(&self) -> Result<()> {
        self.write(|transaction| {
            transaction.delete_table(CHUNKS).map_err(failed)?;
            transaction.delete_table(PACKS).map_err(failed)?;
            transaction.delete_table(UNCOMMITTED).map_err(failed)?;
            transaction.delete_table(FRAGMENTS).map_err(failed)?;
            transaction.delete_table(LOST).map_err(failed)?;
            transaction.delete_table(FILES).map_err(failed)?;
            transaction.delete_table(INNER_PAGES).map_err(failed)?;
            transaction.open_table(CHUNKS).map_err(failed)?;
            transaction.open_table(PACKS).map_err(failed)?;
            transaction.open_table(UNCOMMITTED).map_err(failed)?;
            transaction.open_table(FRAGMENTS).map_err(failed)?;
            transaction.open_table(LOST).map_err(failed)?;
            transaction.open_table(FILES).map_err(failed)?;
            transaction.open_table(INNER_PAGES).map_err(failed)?;
            Ok(())
        })?;
        self.read_lost_packs()
    }
}

pub(super) fn add_chunks(
    transaction: &WriteTransaction,
    chunks: impl Iterator<Item = (u64, ChunkSlot)>,
) -> Result<()> {
    let mut table = transaction.open_table(CHUNKS).map_err(failed)?;
    for (pack, ChunkSlot { id, frame: Frame { offset, stored, plain }, at, length }) in chunks {
        table.insert(id.0, (pack, offset, stored, plain, at, length)).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn next_number(transaction: &WriteTransaction) -> Result<u64> {
    let next = counter(transaction, "next")?.max(1);
    set_counter(transaction, "next", next.saturating_add(1))?;
    Ok(next)
}

/// 0 if it was never set.
pub(super) fn counter(transaction: &WriteTransaction, name: &str) -> Result<u64> {
    let counters = transaction.open_table(COUNTERS).map_err(failed)?;
    Ok(counters.get(name).map_err(failed)?.map_or(0, |row| row.value()))
}

pub(super) fn set_counter(transaction: &WriteTransaction, name: &str, value: u64) -> Result<()> {
    transaction.open_table(COUNTERS).map_err(failed)?.insert(name, value).map_err(failed)?;
    Ok(())
}

/// Where chunks lie, as was known at one moment: for a job that reads many and adds none.
pub(crate) struct ChunksNow(ReadOnlyTable<[u8; 32], ChunkColumns>);

impl ChunksNow {
    /// Where a chunk lies, if that was known.
    pub(crate) fn chunk(&self, id: ChunkId) -> Result<Option<ChunkPlace>> {
        let row = self.0.get(id.0).map_err(failed)?;
        Ok(row.map(|row| {
            let (pack, offset, stored, plain, at, length) = row.value();
            ChunkPlace { pack, slot: ChunkSlot { id, frame: Frame { offset, stored, plain }, at, length } }
        }))
    }
}

fn pack_row((id, length, epoch, kind, uncommitted): PackColumns<'_>) -> Option<PackRow> {
    Some(PackRow {
        id: id.try_into().ok()?,
        length,
        epoch,
        kind: kind.to_owned(),
        uncommitted: uncommitted.to_vec(),
    })
}

pub(super) fn failed(error: impl std::fmt::Display) -> Error {
    Error::Database(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::state::StateLocation;

    fn open(folder: &tempfile::TempDir) -> Database {
        Database::open(StateLocation::from(folder).open().unwrap().as_ref()).unwrap()
    }

    fn row(uncommitted: Vec<u8>) -> PackRow {
        PackRow { id: [1; 16], length: 16_384, epoch: 1, kind: "notes".into(), uncommitted }
    }

    #[test]
    fn packs_that_no_commit_names_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder);
        let add = |row: PackRow| {
            database.write(|transaction| Database::add_pack(transaction, &row, [].into_iter())).unwrap()
        };
        add(row(Vec::new()));
        let (lost, settled) = (add(row(vec![1])), add(row(vec![2])));
        let waiting = add(row(vec![3]));
        database
            .write(|transaction| {
                Database::settle_pack(transaction, settled)?;
                Database::forget_pack(transaction, lost, [].into_iter())
            })
            .unwrap();
        assert_eq!(database.uncommitted_packs("notes", 0).unwrap(), [waiting]);
        assert_eq!(database.pack(waiting).unwrap(), Some(row(vec![3])));
        for (kind, first) in [("files", 0), ("notes", waiting + 1)] {
            assert_eq!(database.uncommitted_packs(kind, first).unwrap(), []);
        }
    }

    #[test]
    fn a_chunk_of_a_committed_pack_stays_found_when_another_pack_that_has_it_is_listed_and_lost() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder);
        let chunk = |id: u8| messages::ChunkEntry { id: vec![id; 32], stored_length: 100, plain_length: 0 };
        let object = messages::ObjectRef { name: vec![1; 16], length: 16_384, hash: Vec::new(), epoch: 1 };
        let entry = messages::PackEntry { object: Some(object), chunks: vec![chunk(1), chunk(2)] };
        let orphan = row(entry.encode_to_vec());
        let slots: Vec<_> = orphan.entry().unwrap().chunks().collect();
        let orphan = database.write(|transaction| Database::add_pack_alone(transaction, &orphan)).unwrap();
        let committed = database
            .write(|transaction| {
                Database::add_pack(transaction, &row(Vec::new()), slots[..1].iter().copied())
            })
            .unwrap();
        let pack = |slot: usize| database.chunk(slots[slot].id).unwrap().map(|place| place.pack);
        let mut listed = Vec::new();
        database.list_chunks("notes", 0, &mut |id| listed.push(id)).unwrap();
        assert_eq!(listed, [slots[0].id, slots[1].id]);
        assert_eq!((pack(0), pack(1)), (Some(committed), Some(orphan)));
        let ids = slots.iter().map(|slot| slot.id);
        database.write(|transaction| Database::forget_pack(transaction, orphan, ids)).unwrap();
        assert_eq!((pack(0), pack(1)), (Some(committed), None));
    }
}
