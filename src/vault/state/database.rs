//! The local database: where chunks lie, what files looked like at the last backup, packs on their way.
//!
//! Everything in it can be rebuilt from the store; nothing in it is trusted for more than speed (I10).

use std::collections::{BTreeSet, VecDeque};

use redb::{Database as Redb, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};

use super::Medium;
use crate::{Error, Result, content::ChunkId, history::Commit, keys::DeviceId};

/// Chunk id to (pack, offset, stored length, plain length or 0).
const CHUNKS: TableDefinition<'_, [u8; 32], (u64, u32, u32, u32)> = TableDefinition::new("chunks");
/// Pack number to (name, length, epoch, kind, encoded pack entry while no committed fragment has it).
const PACKS: TableDefinition<'_, u64, PackColumns<'_>> = TableDefinition::new("packs");
type PackColumns<'a> = (&'a [u8], u32, u32, &'a str, &'a [u8]);
/// Index fragments whose packs are known here.
const FRAGMENTS: TableDefinition<'_, [u8; 16], &str> = TableDefinition::new("fragments");
/// (kind NUL replica tree key) to (run, what the file looked like, value id then, value id before that run).
const FILES: TableDefinition<'_, &[u8], NoteColumns> = TableDefinition::new("files");
type NoteColumns = (u64, [u64; 6], ValueId, ValueId);
/// Kind to (newest run begun, whether it is still open, runs that never committed as 8 bytes each).
const RUNS: TableDefinition<'_, &str, RunColumns<'_>> = TableDefinition::new("runs");
type RunColumns<'a> = (u64, bool, &'a [u8]);
/// Device and sequence to the signed commit as it was first read.
const COMMITS: TableDefinition<'_, ([u8; 16], u64), &[u8]> = TableDefinition::new("commits");
/// Envelopes to this device that were read.
const ENVELOPES: TableDefinition<'_, [u8; 16], ()> = TableDefinition::new("envelopes");
/// (kind NUL tree key) to (number, when, whether it is a deletion, bytes): edits that wait for a sync.
const EDITS: TableDefinition<'_, &[u8], (u64, i64, bool, &[u8])> = TableDefinition::new("edits");
/// (kind NUL tree key) to (number of the edit, sequence and value id of the commit that has it).
const SENT_EDITS: TableDefinition<'_, &[u8], (u64, u64, ValueId)> = TableDefinition::new("sent-edits");
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
            transaction.open_table(COMMITS).map_err(failed)?;
            transaction.open_table(ENVELOPES).map_err(failed)?;
            transaction.open_table(EDITS).map_err(failed)?;
            transaction.open_table(SENT_EDITS).map_err(failed)?;
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

    /// A commit as it was when this device first read it.
    pub(crate) fn commit(&self, device: DeviceId, sequence: u64) -> Result<Option<Vec<u8>>> {
        let table = self.0.begin_read().map_err(failed)?.open_table(COMMITS).map_err(failed)?;
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

    /// Keeps an edit until it is synced, in place of an earlier one of the same record.
    pub(crate) fn put_edit(&self, kind: &str, key: &[u8], time_ms: i64, bytes: Option<&[u8]>) -> Result<()> {
        self.write(|transaction| {
            let number = next_number(transaction)?;
            let mut edits = transaction.open_table(EDITS).map_err(failed)?;
            let row = (number, time_ms, bytes.is_none(), bytes.unwrap_or_default());
            edits.insert(edit_row(kind, key).as_slice(), row).map_err(failed)?;
            Ok(())
        })
    }

    /// The edits of a kind that wait, in the order of their keys.
    pub(crate) fn edits(&self, kind: &str) -> Result<Vec<WaitingEdit>> {
        let table = self.0.begin_read().map_err(failed)?.open_table(EDITS).map_err(failed)?;
        let start = edit_row(kind, &[]);
        let mut found = Vec::new();
        for row in table.range::<&[u8]>(start.as_slice()..).map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            let Some(tree_key) = key.value().strip_prefix(start.as_slice()) else { break };
            let (number, time_ms, ..) = value.value();
            found.push(WaitingEdit { kind: kind.to_owned(), key: tree_key.to_vec(), number, time_ms });
        }
        Ok(found)
    }

    /// The edit of one record that waits.
    pub(crate) fn edit(&self, kind: &str, key: &[u8]) -> Result<Option<WaitingEdit>> {
        let table = self.0.begin_read().map_err(failed)?.open_table(EDITS).map_err(failed)?;
        let row = table.get(edit_row(kind, key).as_slice()).map_err(failed)?;
        Ok(row.map(|row| {
            let (number, time_ms, ..) = row.value();
            WaitingEdit { kind: kind.to_owned(), key: key.to_vec(), number, time_ms }
        }))
    }

    /// What an edit puts; `None` for a deletion.
    pub(crate) fn edit_bytes(&self, edit: &WaitingEdit) -> Result<Option<Vec<u8>>> {
        let table = self.0.begin_read().map_err(failed)?.open_table(EDITS).map_err(failed)?;
        let row = table.get(edit_row(&edit.kind, &edit.key).as_slice()).map_err(failed)?;
        Ok(row.and_then(|row| {
            let (_, _, is_deletion, bytes) = row.value();
            (!is_deletion).then(|| bytes.to_vec())
        }))
    }

    /// The kinds that have edits waiting.
    pub(crate) fn edited_kinds(&self) -> Result<BTreeSet<String>> {
        let table = self.0.begin_read().map_err(failed)?.open_table(EDITS).map_err(failed)?;
        let mut kinds = BTreeSet::new();
        let mut start = Vec::new();
        while let Some(row) = table.range::<&[u8]>(start.as_slice()..).map_err(failed)?.next() {
            let (key, _) = row.map_err(failed)?;
            let kind = key.value().split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
            start = [&kind[..], &[1]].concat();
            kinds.extend(String::from_utf8(kind));
        }
        Ok(kinds)
    }

    /// Notes which commit is going to have these edits, before it is sent: a device that is killed right
    /// after must not apply them again, on top of what the same commit took over from others.
    pub(crate) fn mark_edits(&self, edits: &[WaitingEdit], sequence: u64, commit: ValueId) -> Result<()> {
        self.write(|transaction| {
            let mut table = transaction.open_table(SENT_EDITS).map_err(failed)?;
            for edit in edits {
                let row = edit_row(&edit.kind, &edit.key);
                table.insert(row.as_slice(), (edit.number, sequence, commit)).map_err(failed)?;
            }
            Ok(())
        })
    }

    /// Forgets the edits that a commit of this device's has; one that was made again meanwhile waits on.
    pub(crate) fn settle_edits(&self, is_sent: impl Fn(u64, ValueId) -> Result<bool>) -> Result<()> {
        let table = self.0.begin_read().map_err(failed)?.open_table(SENT_EDITS).map_err(failed)?;
        let mut marked = Vec::new();
        for row in table.iter().map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            let (number, sequence, commit) = value.value();
            marked.push((key.value().to_vec(), is_sent(sequence, commit)?.then_some(number)));
        }
        if marked.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let mut edits = transaction.open_table(EDITS).map_err(failed)?;
            let mut sent = transaction.open_table(SENT_EDITS).map_err(failed)?;
            for (row, number) in &marked {
                let waiting = edits.get(row.as_slice()).map_err(failed)?.map(|known| known.value().0);
                if number.is_some() && waiting == *number {
                    edits.remove(row.as_slice()).map_err(failed)?;
                }
                sent.remove(row.as_slice()).map_err(failed)?;
            }
            Ok(())
        })
    }

    pub(crate) fn has_read_envelope(&self, id: [u8; 16]) -> Result<bool> {
        let table = self.0.begin_read().map_err(failed)?.open_table(ENVELOPES).map_err(failed)?;
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
            transaction.delete_table(FRAGMENTS).map_err(failed)?;
            transaction.delete_table(FILES).map_err(failed)?;
            transaction.open_table(CHUNKS).map_err(failed)?;
            transaction.open_table(PACKS).map_err(failed)?;
            transaction.open_table(FRAGMENTS).map_err(failed)?;
            transaction.open_table(FILES).map_err(failed)?;
            Ok(())
        })
    }

    /// Begins a run for `kind`. What runs noted that never committed does not count.
    pub(crate) fn begin_run(&self, kind: &str) -> Result<Run> {
        self.write(|transaction| {
            let number = next_number(transaction)?;
            let mut runs = transaction.open_table(RUNS).map_err(failed)?;
            let (mut first, mut dead) = (0, Vec::new());
            if let Some(row) = runs.get(kind).map_err(failed)? {
                let (last, open, of_dead) = row.value();
                dead = of_dead.as_chunks().0.iter().map(|run| u64::from_le_bytes(*run)).collect();
                dead.extend(open.then_some(last));
            }
            if dead.len() > DEAD_RUNS_MAX {
                (first, dead) = (number, Vec::new());
            }
            let run = Run { number, first, dead };
            runs.insert(kind, (run.number, true, run.dead_bytes().as_slice())).map_err(failed)?;
            Ok(run)
        })
    }

    /// The run's commit is in the store: what it noted counts.
    pub(crate) fn finish_run(transaction: &WriteTransaction, kind: &str, run: &Run) -> Result<()> {
        let mut runs = transaction.open_table(RUNS).map_err(failed)?;
        runs.insert(kind, (run.number, false, &run.dead_bytes()[..])).map_err(failed)?;
        Ok(())
    }

    /// What is known of the entry `key` of a replica.
    pub(crate) fn note(&self, run: &Run, replica: &Replica, key: &[u8]) -> Result<Option<Note>> {
        let table = self.0.begin_read().map_err(failed)?.open_table(FILES).map_err(failed)?;
        let row = table.get(replica.row(key).as_slice()).map_err(failed)?;
        Ok(row.and_then(|row| run.read(row.value())))
    }

    /// Notes what entries look like and which value they stand for, for the runs to come; `None`: they are
    /// gone.
    pub(crate) fn write_notes(transaction: &WriteTransaction, run: &Run, notes: &[NewNote]) -> Result<()> {
        let mut table = transaction.open_table(FILES).map_err(failed)?;
        for NewNote { row, note } in notes {
            let known = table.get(row.as_slice()).map_err(failed)?.and_then(|known| run.read(known.value()));
            let before = known.map_or(NO_VALUE, |known| known.value);
            let (stat, value) = note.map_or((NO_STAT, NO_VALUE), |(stat, value)| (stat, value));
            if (value, before) == (NO_VALUE, NO_VALUE) {
                table.remove(row.as_slice()).map_err(failed)?;
            } else {
                table.insert(row.as_slice(), (run.number, stat.0, value, before)).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The next known entries of a replica after `after` that begin with `prefix`; and where to go on.
    pub(crate) fn notes_from(
        &self,
        run: &Run,
        replica: &Replica,
        (prefix, after): (&[u8], &[u8]),
        count: usize,
    ) -> Result<(Notes, Option<Vec<u8>>)> {
        let table = self.0.begin_read().map_err(failed)?.open_table(FILES).map_err(failed)?;
        let start = replica.row(after);
        let full_prefix = replica.row(prefix);
        let head_bytes = replica.row(&[]).len();
        let bounds = (std::ops::Bound::Excluded(start.as_slice()), std::ops::Bound::Unbounded);
        let mut found = Notes::new();
        for row in table.range::<&[u8]>(bounds).map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            if !key.value().starts_with(&full_prefix) {
                break;
            }
            let tree_key = key.value().get(head_bytes..).unwrap_or_default().to_vec();
            if found.len() == count {
                let last = found.back().map(|(key, _)| key.clone());
                return Ok((found, last));
            }
            found.extend(run.read(value.value()).map(|note| (tree_key, note)));
        }
        Ok((found, None))
    }
}

/// Tells whether a value is still the same.
pub(crate) type ValueId = [u8; 16];

const NO_VALUE: ValueId = [0; 16];
const NO_STAT: FileStat = FileStat([0; 6]);

/// What this device knows of an entry of a folder or stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// What it looked like; all zero when it has to be looked at again.
    pub(crate) stat: FileStat,
    /// The value that it stood for then.
    pub(crate) value: ValueId,
}

/// Keys and notes, ascending.
pub(crate) type Notes = VecDeque<(Vec<u8>, Note)>;

/// A note to be written.
pub(crate) struct NewNote {
    row: Vec<u8>,
    note: Option<(FileStat, ValueId)>,
}

/// A folder or stream on this device that is backed up as a source: what is known of one says nothing of
/// another with the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replica {
    kind: String,
    id: [u8; 8],
}

impl Replica {
    pub(crate) fn new(kind: &str, id: [u8; 8]) -> Self {
        Self { kind: kind.to_owned(), id }
    }

    fn row(&self, key: &[u8]) -> Vec<u8> {
        [self.kind.as_bytes(), &[0], &self.id, key].concat()
    }

    /// The note that the entry `key` looks like this now and stands for this value.
    pub(crate) fn note(&self, key: &[u8], note: Option<(FileStat, ValueId)>) -> NewNote {
        NewNote { row: self.row(key), note }
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
    /// For work that notes nothing.
    pub(crate) fn without_notes() -> Self {
        Self { number: 0, first: 0, dead: Vec::new() }
    }

    /// What a committed run noted counts; of what another noted only what was true before it.
    fn read(&self, (noted, stat, value, before): NoteColumns) -> Option<Note> {
        let counts = noted >= self.first && noted < self.number && !self.dead.contains(&noted);
        let note =
            if counts { Note { stat: FileStat(stat), value } } else { Note { stat: NO_STAT, value: before } };
        (note.value != NO_VALUE).then_some(note)
    }

    fn dead_bytes(&self) -> Vec<u8> {
        self.dead.iter().flat_map(|run| run.to_le_bytes()).collect()
    }
}

/// An edit of one record that waits for a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WaitingEdit {
    kind: String,
    key: Vec<u8>,
    number: u64,
    time_ms: i64,
}

impl WaitingEdit {
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// When it was made, by this device's clock.
    pub(crate) fn time_ms(&self) -> i64 {
        self.time_ms
    }
}

fn edit_row(kind: &str, key: &[u8]) -> Vec<u8> {
    [kind.as_bytes(), &[0], key].concat()
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

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Database(error.to_string())
}
