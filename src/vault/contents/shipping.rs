//! A sealed pack on its way: noted in the local database, then sent.

use prost::Message as _;

use crate::{
    Error, Result,
    content::{ChunkId, PackEntry},
    crypto::Sealed,
    privacy::Gate,
    vault::state::{Database, NewNote, PackRow, Run},
};

/// A sealed pack, and what is noted together with it.
pub(super) struct Shipment {
    pub(super) entry: PackEntry,
    pub(super) sealed: Sealed,
    pub(super) epoch: u32,
    pub(super) kind: String,
    pub(super) run: Run,
    pub(super) notes: Vec<NewNote>,
    pub(super) now_ms: i64,
}

impl Shipment {
    /// Notes it, then puts it into the store.
    pub(super) fn send(self, gate: &Gate, database: &Database) -> Result<Sent> {
        let row = PackRow {
            id: self.entry.object().id(),
            length: u32::try_from(self.entry.object().length())
                .map_err(|_| Error::Internal("pack length"))?,
            epoch: self.epoch,
            kind: self.kind,
            uncommitted: self.entry.to_wire().encode_to_vec(),
        };
        database.write(|transaction| {
            Database::write_notes(transaction, &self.run, &self.notes)?;
            Database::add_pack(transaction, &row, self.entry.chunks()).map(drop)
        })?;
        gate.put(&self.sealed, self.now_ms)?;
        let chunks = self.entry.chunks().map(|slot| slot.id).collect();
        Ok(Sent { chunks, memory: self.sealed.into_memory() })
    }
}

/// A pack that was sent.
pub(super) struct Sent {
    /// Its chunks, which the database knows by now.
    pub(super) chunks: Vec<ChunkId>,
    /// Its memory.
    pub(super) memory: Vec<u8>,
}
