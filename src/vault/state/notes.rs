//! What the entries of each replica looked like when a backup last saw them, run by run.

use std::collections::VecDeque;

use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};

use super::database::{Database, counter, failed, next_number, set_counter};
use crate::Result;

/// (kind NUL replica tree key) to (run, what the file looked like, value id then, value id before that run).
pub(super) const FILES: TableDefinition<'_, &[u8], NoteColumns> = TableDefinition::new("files");
type NoteColumns = (u64, [u64; 6], ValueId, ValueId);
/// Kind to (newest run begun, whether it is still open, runs that never committed as 8 bytes each).
pub(super) const RUNS: TableDefinition<'_, &str, RunColumns<'_>> = TableDefinition::new("runs");
type RunColumns<'a> = (u64, bool, &'a [u8]);

const DEAD_RUNS_MAX: usize = 1000;

/// What a file looked like: if nothing of it changed, neither did its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStat(pub(crate) [u64; 6]);

impl Database {
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
            let look_again = counter(transaction, &look_again_at(kind))?;
            let run = Run { number, first, look_again, dead };
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
        let table = self.tables.begin_read().map_err(failed)?.open_table(FILES).map_err(failed)?;
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

    /// Forgets all that is known of a folder, whatever run noted it.
    pub(crate) fn forget_folder(&self, replica: &Replica) -> Result<()> {
        // Keys begin with a source's name, and no text begins with this byte.
        let (first, end) = (replica.row(&[]), replica.row(&[0xff]));
        let range = first.as_slice()..end.as_slice();
        let table = self.tables.begin_read().map_err(failed)?.open_table(FILES).map_err(failed)?;
        if table.range::<&[u8]>(range.clone()).map_err(failed)?.next().is_none() {
            return Ok(());
        }
        self.write(|transaction| {
            let mut table = transaction.open_table(FILES).map_err(failed)?;
            table.retain_in::<&[u8], _>(range, |_, _| false).map_err(failed)
        })
    }

    /// The next known entries of a replica after `after` that begin with `prefix`; and where to go on.
    pub(crate) fn notes_from(
        &self,
        run: &Run,
        replica: &Replica,
        (prefix, after): (&[u8], &[u8]),
        count: usize,
    ) -> Result<(Notes, Option<Vec<u8>>)> {
        let table = self.tables.begin_read().map_err(failed)?.open_table(FILES).map_err(failed)?;
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

/// Lets every entry of a kind look different to the runs to come: chunks of its content may be lost.
pub(super) fn look_again(transaction: &WriteTransaction, kind: &str) -> Result<()> {
    let number = next_number(transaction)?;
    set_counter(transaction, &look_again_at(kind), number)
}

fn look_again_at(kind: &str) -> String {
    format!("look-again/{kind}")
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
    /// What runs noted before this one has to be looked at again.
    look_again: u64,
    dead: Vec<u64>,
}

impl Run {
    /// For work that notes nothing.
    pub(crate) fn without_notes() -> Self {
        Self { number: 0, first: 0, look_again: 0, dead: Vec::new() }
    }

    /// What a committed run noted counts; of what another noted only what was true before it.
    fn read(&self, (noted, stat, value, before): NoteColumns) -> Option<Note> {
        let counts = noted >= self.first && noted < self.number && !self.dead.contains(&noted);
        let stat = if noted < self.look_again { NO_STAT } else { FileStat(stat) };
        let note = if counts { Note { stat, value } } else { Note { stat: NO_STAT, value: before } };
        (note.value != NO_VALUE).then_some(note)
    }

    fn dead_bytes(&self) -> Vec<u8> {
        self.dead.iter().flat_map(|run| run.to_le_bytes()).collect()
    }
}
