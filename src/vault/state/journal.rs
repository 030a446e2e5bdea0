//! Edits of single records that wait for a sync.

use std::collections::BTreeSet;

use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::{
    database::{Database, failed, next_number},
    notes::ValueId,
};
use crate::Result;

/// (kind NUL tree key) to (number, when, whether it is a deletion, bytes): edits that wait for a sync.
pub(super) const EDITS: TableDefinition<'_, &[u8], (u64, i64, bool, &[u8])> = TableDefinition::new("edits");
/// (kind NUL tree key) to (number of the edit, sequence and value id of the commit that has it).
pub(super) const SENT_EDITS: TableDefinition<'_, &[u8], (u64, u64, ValueId)> =
    TableDefinition::new("sent-edits");

impl Database {
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
        let table = self.tables.begin_read().map_err(failed)?.open_table(EDITS).map_err(failed)?;
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
        let table = self.tables.begin_read().map_err(failed)?.open_table(EDITS).map_err(failed)?;
        let row = table.get(edit_row(kind, key).as_slice()).map_err(failed)?;
        Ok(row.map(|row| {
            let (number, time_ms, ..) = row.value();
            WaitingEdit { kind: kind.to_owned(), key: key.to_vec(), number, time_ms }
        }))
    }

    /// What an edit puts; `None` for a deletion.
    pub(crate) fn edit_bytes(&self, edit: &WaitingEdit) -> Result<Option<Vec<u8>>> {
        let table = self.tables.begin_read().map_err(failed)?.open_table(EDITS).map_err(failed)?;
        let row = table.get(edit_row(&edit.kind, &edit.key).as_slice()).map_err(failed)?;
        Ok(row.and_then(|row| {
            let (_, _, is_deletion, bytes) = row.value();
            (!is_deletion).then(|| bytes.to_vec())
        }))
    }

    /// The kinds that have edits waiting.
    pub(crate) fn edited_kinds(&self) -> Result<BTreeSet<String>> {
        let table = self.tables.begin_read().map_err(failed)?.open_table(EDITS).map_err(failed)?;
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
        let table = self.tables.begin_read().map_err(failed)?.open_table(SENT_EDITS).map_err(failed)?;
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
