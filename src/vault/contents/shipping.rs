//! A sealed pack on its way: noted in the local database, then sent. Its chunks are listed there later, with those
//! of others.

use bytes::BytesMut;
use prost::Message as _;

use super::KindAccess;
use crate::{
    Result,
    content::{ChunkId, PackEntry},
    crypto::{Place, Sealed},
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
    /// From this number on the chunks are to be listed of the packs before it.
    pub(super) unlisted: Option<u64>,
}

impl Shipment {
    /// Lists the chunks of those before it, notes it, then puts it into the store.
    pub(super) fn send(self, gate: &Gate, database: &Database) -> Result<Sent> {
        let mut listed = Vec::new();
        if let Some(first) = self.unlisted {
            database.list_chunks(&self.kind, first, &mut |id| listed.push(id))?;
        }
        let row = PackRow {
            id: self.entry.id(),
            length: self.entry.length(),
            epoch: self.epoch,
            kind: self.kind,
            uncommitted: self.entry.to_wire().encode_to_vec(),
        };
        let number = database.write(|transaction| {
            Database::write_notes(transaction, &self.run, &self.notes)?;
            Database::add_pack_alone(transaction, &row)
        })?;
        gate.put(&self.sealed, self.now_ms)?;
        let chunks = self.entry.lines().len();
        Ok(Sent { number, chunks, listed, memory: self.sealed.into_memory() })
    }
}

/// A pack that was sent.
pub(super) struct Sent {
    /// Its number in the database.
    pub(super) number: u64,
    /// How many chunks it has.
    pub(super) chunks: usize,
    /// Chunks of those before it, which the database lists by now.
    pub(super) listed: Vec<ChunkId>,
    /// Its memory.
    pub(super) memory: BytesMut,
}

/// Packs that were sent, and whose chunks the database does not list yet.
#[derive(Default)]
pub(super) struct Unlisted {
    /// The first one's number there.
    pub(super) first: Option<u64>,
    pub(super) chunks: usize,
}

impl Unlisted {
    pub(super) fn add(&mut self, number: u64, chunks: usize) {
        self.first.get_or_insert(number);
        self.chunks += chunks;
    }
}

/// Packs that a run sent which was killed, or failed, are used; those that never arrived are forgotten. No index
/// may be written before, since it names all that are noted.
pub(crate) fn adopt_orphans(access: &KindAccess<'_>) -> Result<()> {
    let mut arrived = false;
    for number in access.database.uncommitted_packs(access.kind, 0)? {
        let Some(row) = access.database.pack(number)? else { continue };
        if access.gate.length(Place::Object(row.id))? == Some(u64::from(row.length)) {
            arrived = true;
            continue;
        }
        // An entry that cannot be read must not keep the pack noted for ever.
        let entry = row.entry().ok();
        let ids = entry.iter().flat_map(PackEntry::chunks).map(|slot| slot.id);
        access.database.write(|transaction| Database::forget_pack(transaction, number, ids))?;
        if access.database.has_lost_packs() {
            // What it had may be in one of these, where nobody looked while it was here.
            access.database.forget_fragments(access.kind)?;
        }
    }
    if arrived { access.database.list_chunks(access.kind, 0, &mut |_| {}) } else { Ok(()) }
}
