//! Packs that are not counted on any more: what only they hold is sent again.

use std::{collections::BTreeSet, sync::PoisonError};

use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};

use super::{
    ChunkPlace, Database,
    database::{FRAGMENTS, add_chunks, failed},
    notes::look_again,
};
use crate::{
    Result,
    content::{ChunkId, ChunkSlot},
};

/// Name and kind of each.
pub(super) const LOST: TableDefinition<'_, [u8; 16], &str> = TableDefinition::new("lost");

impl Database {
    /// Takes their names from the table into memory.
    pub(super) fn read_lost_packs(&self) -> Result<()> {
        let lost = self.lost_packs(None)?;
        *self.lost.write().unwrap_or_else(PoisonError::into_inner) = lost;
        Ok(())
    }

    /// Where a chunk lies that need not be stored again: in a pack that is counted on.
    pub(crate) fn stored(&self, id: ChunkId) -> Result<Option<ChunkPlace>> {
        let Some(place) = self.chunk(id)? else { return Ok(None) };
        Ok(if self.is_lost(place.pack)? { None } else { Some(place) })
    }

    pub(super) fn is_lost(&self, number: u64) -> Result<bool> {
        if !self.has_lost_packs() {
            return Ok(false);
        }
        Ok(self.pack(number)?.is_some_and(|row| self.is_given_up(row.id)))
    }

    /// Whether there are any, of whichever kind.
    pub(crate) fn has_lost_packs(&self) -> bool {
        !self.lost.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether a pack is not counted on any more.
    pub(crate) fn is_given_up(&self, pack: [u8; 16]) -> bool {
        self.lost.read().unwrap_or_else(PoisonError::into_inner).contains(&pack)
    }

    /// The packs of a kind, or of all, that are not counted on any more.
    pub(crate) fn lost_packs(&self, kind: Option<&str>) -> Result<BTreeSet<[u8; 16]>> {
        let table = self.tables.begin_read().map_err(failed)?.open_table(LOST).map_err(failed)?;
        let mut lost = BTreeSet::new();
        for row in table.iter().map_err(failed)? {
            let (id, of) = row.map_err(failed)?;
            if kind.is_none_or(|kind| kind == of.value()) {
                lost.insert(id.value());
            }
        }
        Ok(lost)
    }

    /// Counts on these packs of a kind no more; whether that is news. If so, the index is to be read again, for other
    /// packs that have the same chunks, and every file of the next backups.
    pub(crate) fn give_up(&self, kind: &str, packs: &[[u8; 16]]) -> Result<bool> {
        if packs.iter().all(|pack| self.is_given_up(*pack)) {
            return Ok(false);
        }
        self.write(|transaction| {
            let mut lost = transaction.open_table(LOST).map_err(failed)?;
            for pack in packs {
                lost.insert(pack, kind).map_err(failed)?;
            }
            forget_fragments(transaction, kind)?;
            look_again(transaction, kind)
        })?;
        self.lost.write().unwrap_or_else(PoisonError::into_inner).extend(packs);
        Ok(true)
    }

    /// Lets the index of a kind be read again.
    pub(crate) fn forget_fragments(&self, kind: &str) -> Result<()> {
        self.write(|transaction| forget_fragments(transaction, kind))
    }

    /// Of a pack that is known here: lets these of its chunks be found in it.
    pub(crate) fn add_to_pack(
        transaction: &WriteTransaction,
        number: u64,
        chunks: impl Iterator<Item = ChunkSlot>,
    ) -> Result<()> {
        add_chunks(transaction, chunks.map(|slot| (number, slot)))
    }
}

fn forget_fragments(transaction: &WriteTransaction, kind: &str) -> Result<()> {
    let mut fragments = transaction.open_table(FRAGMENTS).map_err(failed)?;
    fragments.retain(|_, of| of != kind).map_err(failed)
}
