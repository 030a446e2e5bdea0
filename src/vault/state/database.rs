//! The local database: where chunks lie, what files looked like at the last backup, packs on their way.
//!
//! Everything in it can be rebuilt from the store; nothing in it is trusted for more than speed (I10).

use redb::{Database as Redb, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};

use super::Medium;
use crate::{Error, Result, content::ChunkId};

/// Chunk id to (pack, offset, stored length, plain length or 0).
const CHUNKS: TableDefinition<'_, [u8; 32], (u64, u32, u32, u32)> = TableDefinition::new("chunks");
/// Pack number to (name, length, epoch, kind, encoded pack entry while no committed fragment has it).
const PACKS: TableDefinition<'_, u64, PackColumns<'_>> = TableDefinition::new("packs");
type PackColumns<'a> = (&'a [u8], u32, u32, &'a str, &'a [u8]);
/// Index fragments whose packs are known here.
const FRAGMENTS: TableDefinition<'_, [u8; 16], &str> = TableDefinition::new("fragments");
/// (kind NUL tree key) to what the file looked like, and in which run.
const FILES: TableDefinition<'_, &[u8], (u64, [u64; 6])> = TableDefinition::new("files");
/// Kind to (first run whose files count, newest run begun, whether that one is still open, the tree that
/// the last commit led to, runs that never committed as 8 bytes each).
const RUNS: TableDefinition<'_, &str, RunColumns<'_>> = TableDefinition::new("runs");
type RunColumns<'a> = (u64, u64, bool, [u8; 32], &'a [u8]);
/// Name to number.
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");

const CACHE_BYTES: usize = 4 * 1024 * 1024;
const DEAD_RUNS_MAX: usize = 1000;

/// Where a chunk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkPlace {
    pub(crate) pack: u64,
    pub(crate) offset: u32,
    pub(crate) stored: u32,
    pub(crate) plain: u32,
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

/// What a file looked like: if nothing of it changed, neither did its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStat(pub(crate) [u64; 6]);

/// The open database.
pub(crate) struct Database(Redb);

impl Database {
    /// Opens or makes it; one that cannot be opened is put aside and made anew.
    pub(crate) fn open(medium: &dyn Medium) -> Result<Self> {
        let open = || medium.database(Redb::builder().set_cache_size(CACHE_BYTES));
        let database = match open() {
            Ok(database) => database,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
                return Err(Error::Database("another process uses this state folder".into()));
            }
            Err(_) => {
                medium.put_database_aside().map_err(Error::io("database"))?;
                open().map_err(failed)?
            }
        };
        let this = Self(database);
        this.write(|transaction| {
            transaction.open_table(CHUNKS).map_err(failed)?;
            transaction.open_table(PACKS).map_err(failed)?;
            transaction.open_table(FRAGMENTS).map_err(failed)?;
            transaction.open_table(FILES).map_err(failed)?;
            transaction.open_table(RUNS).map_err(failed)?;
            transaction.open_table(COUNTERS).map_err(failed)?;
            Ok(())
        })?;
        Ok(this)
    }

    /// One durable transaction.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<T>) -> Result<T> {
        let mut transaction = self.0.begin_write().map_err(failed)?;
        transaction.set_quick_repair(true);
        let value = work(&transaction)?;
        transaction.commit().map_err(failed)?;
        Ok(value)
    }

    pub(crate) fn chunk(&self, id: ChunkId) -> Result<Option<ChunkPlace>> {
        let table = self.0.begin_read().map_err(failed)?.open_table(CHUNKS).map_err(failed)?;
        let row = table.get(id.0).map_err(failed)?;
        Ok(row.map(|row| {
            let (pack, offset, stored, plain) = row.value();
            ChunkPlace { pack, offset, stored, plain }
        }))
    }

    pub(crate) fn pack(&self, number: u64) -> Result<Option<PackRow>> {
        let table = self.0.begin_read().map_err(failed)?.open_table(PACKS).map_err(failed)?;
        let row = table.get(number).map_err(failed)?;
        Ok(row.and_then(|row| pack_row(row.value())))
    }

    /// The packs of a kind that no committed fragment names yet.
    pub(crate) fn uncommitted_packs(&self, kind: &str) -> Result<Vec<(u64, PackRow)>> {
        let table = self.0.begin_read().map_err(failed)?.open_table(PACKS).map_err(failed)?;
        let mut found = Vec::new();
        for row in table.iter().map_err(failed)? {
            let (number, value) = row.map_err(failed)?;
            if let Some(pack) =
                pack_row(value.value()).filter(|p| p.kind == kind && !p.uncommitted.is_empty())
            {
                found.push((number.value(), pack));
            }
        }
        Ok(found)
    }

    /// Adds a pack and its chunks; returns its number.
    pub(crate) fn add_pack(
        transaction: &WriteTransaction,
        pack: &PackRow,
        chunks: impl Iterator<Item = (ChunkId, u32, u32, u32)>,
    ) -> Result<u64> {
        let number = next_number(transaction)?;
        let mut packs = transaction.open_table(PACKS).map_err(failed)?;
        let row = (&pack.id[..], pack.length, pack.epoch, pack.kind.as_str(), &pack.uncommitted[..]);
        packs.insert(number, row).map_err(failed)?;
        let mut table = transaction.open_table(CHUNKS).map_err(failed)?;
        for (id, offset, stored, plain) in chunks {
            table.insert(id.0, (number, offset, stored, plain)).map_err(failed)?;
        }
        Ok(number)
    }

    /// Forgets a pack that turned out not to be in the store, and its chunks.
    pub(crate) fn forget_pack(
        transaction: &WriteTransaction,
        number: u64,
        chunks: impl Iterator<Item = ChunkId>,
    ) -> Result<()> {
        transaction.open_table(PACKS).map_err(failed)?.remove(number).map_err(failed)?;
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
        Ok(())
    }

    pub(crate) fn knows_fragment(&self, id: [u8; 16]) -> Result<bool> {
        let table = self.0.begin_read().map_err(failed)?.open_table(FRAGMENTS).map_err(failed)?;
        Ok(table.get(id).map_err(failed)?.is_some())
    }

    pub(crate) fn add_fragment(transaction: &WriteTransaction, id: [u8; 16], kind: &str) -> Result<()> {
        transaction.open_table(FRAGMENTS).map_err(failed)?.insert(id, kind).map_err(failed)?;
        Ok(())
    }

    /// Begins a run for `kind`; what earlier runs noted about files counts only while the kind's tree is
    /// the one that they led to, and never when they were killed before their commit.
    pub(crate) fn begin_run(&self, kind: &str, tree: [u8; 32]) -> Result<Run> {
        self.write(|transaction| {
            let number = next_number(transaction)?;
            let mut runs = transaction.open_table(RUNS).map_err(failed)?;
            let (mut first, mut dead) = (number, Vec::new());
            if let Some(row) = runs.get(kind).map_err(failed)? {
                let (of_first, last, open, of_tree, of_dead) = row.value();
                if of_tree == tree {
                    first = of_first;
                    dead = of_dead.as_chunks().0.iter().map(|run| u64::from_le_bytes(*run)).collect();
                    dead.extend(open.then_some(last));
                }
            }
            if dead.len() > DEAD_RUNS_MAX {
                (first, dead) = (number, Vec::new());
            }
            let run = Run { number, first, dead };
            runs.insert(kind, (run.first, run.number, true, tree, run.dead_bytes().as_slice()))
                .map_err(failed)?;
            Ok(run)
        })
    }

    /// The run's commit is in the store: what it noted about files counts.
    pub(crate) fn finish_run(
        transaction: &WriteTransaction,
        kind: &str,
        run: &Run,
        tree: [u8; 32],
    ) -> Result<()> {
        let mut runs = transaction.open_table(RUNS).map_err(failed)?;
        let row = (run.first, run.number, false, tree, &run.dead_bytes()[..]);
        runs.insert(kind, row).map_err(failed)?;
        Ok(())
    }

    /// What the file looked like when the current tree got it, if that is known.
    pub(crate) fn file(&self, run: &Run, kind: &str, key: &[u8]) -> Result<Option<FileStat>> {
        let table = self.0.begin_read().map_err(failed)?.open_table(FILES).map_err(failed)?;
        let row = table.get(file_key(kind, key).as_slice()).map_err(failed)?;
        Ok(row.and_then(|row| {
            let (noted, stat) = row.value();
            run.counts(noted).then_some(FileStat(stat))
        }))
    }

    /// Notes what files look like, for the run to come.
    pub(crate) fn note_files(
        transaction: &WriteTransaction,
        run: &Run,
        kind: &str,
        files: &[(Vec<u8>, Option<FileStat>)],
    ) -> Result<()> {
        let mut table = transaction.open_table(FILES).map_err(failed)?;
        for (key, stat) in files {
            let key = file_key(kind, key);
            match stat {
                Some(stat) => table.insert(key.as_slice(), (run.number, stat.0)).map_err(failed)?,
                None => table.remove(key.as_slice()).map_err(failed)?,
            };
        }
        Ok(())
    }

    /// The next known key of `kind` after `after` that begins with `prefix`, with its run's standing.
    pub(crate) fn files_from(
        &self,
        run: &Run,
        kind: &str,
        prefix: &[u8],
        after: &[u8],
        count: usize,
    ) -> Result<Vec<(Vec<u8>, bool)>> {
        let table = self.0.begin_read().map_err(failed)?.open_table(FILES).map_err(failed)?;
        let start = file_key(kind, after);
        let kind_bytes = kind.len() + 1;
        let full_prefix = file_key(kind, prefix);
        let bounds = (std::ops::Bound::Excluded(start.as_slice()), std::ops::Bound::Unbounded);
        let mut found = Vec::new();
        for row in table.range::<&[u8]>(bounds).map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            if !key.value().starts_with(&full_prefix) || found.len() == count {
                break;
            }
            let tree_key = key.value().get(kind_bytes..).unwrap_or_default().to_vec();
            found.push((tree_key, run.counts(value.value().0)));
        }
        Ok(found)
    }
}

/// One backup of one kind, for telling what earlier ones noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    number: u64,
    first: u64,
    dead: Vec<u64>,
}

impl Run {
    /// What an earlier, committed run noted counts; so does what this one noted before its last commit
    /// only once it is a later run.
    fn counts(&self, noted: u64) -> bool {
        noted >= self.first && noted < self.number && !self.dead.contains(&noted)
    }

    fn dead_bytes(&self) -> Vec<u8> {
        self.dead.iter().flat_map(|run| run.to_le_bytes()).collect()
    }
}

fn next_number(transaction: &WriteTransaction) -> Result<u64> {
    let mut counters = transaction.open_table(COUNTERS).map_err(failed)?;
    let next = counters.get("next").map_err(failed)?.map_or(1, |row| row.value());
    counters.insert("next", next.saturating_add(1)).map_err(failed)?;
    Ok(next)
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

fn file_key(kind: &str, key: &[u8]) -> Vec<u8> {
    [kind.as_bytes(), &[0], key].concat()
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Database(error.to_string())
}
