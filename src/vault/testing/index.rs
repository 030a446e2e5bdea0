//! The local index alone, to be measured: where chunks lie, as a device's database keeps it.

use crate::{
    Result,
    content::{ChunkId, PackEntry},
    vault::{
        StateLocation,
        state::{Database, PackRow},
    },
};

/// A device's database, open for its index only.
pub struct LocalIndex(Database);

impl LocalIndex {
    /// Opens or makes the database at `state`.
    ///
    /// # Errors
    /// As [`Vault::open`](crate::vault::Vault::open).
    pub fn open(state: impl Into<StateLocation>) -> Result<Self> {
        Ok(Self(Database::open(state.into().open()?.as_ref())?))
    }

    /// Adds packs with their chunks, in one transaction.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn add(&self, kind: &str, packs: &[PackEntry]) -> Result<()> {
        self.0.write(|transaction| {
            for pack in packs {
                let row = PackRow {
                    id: pack.id(),
                    length: pack.length(),
                    epoch: pack.epoch(),
                    kind: kind.to_owned(),
                    uncommitted: Vec::new(),
                };
                let chunks = pack.chunks();
                Database::add_pack(transaction, &row, chunks)?;
            }
            Ok(())
        })
    }

    /// Whether a pack is known that holds the chunk.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn holds(&self, id: ChunkId) -> Result<bool> {
        Ok(self.0.chunk(id)?.is_some())
    }
}
