//! Fills packs: at least two are open, and chance decides which one a chunk goes to, so that neither the
//! order nor the neighbourhood of chunks follows from where they lie (L4).

use super::{ChunkEntry, ChunkId, PackBuilder, StoredChunk};
use crate::{Result, crypto::Random};

/// Packs being filled.
pub struct Packer {
    open: Vec<PackBuilder>,
}

impl Packer {
    /// A packer with `open` packs, at least two; each takes 8 MiB of memory once it is used.
    #[must_use]
    pub fn new(open: usize) -> Self {
        Self { open: (0..open.max(2)).map(|_| PackBuilder::new()).collect() }
    }

    /// Adds a chunk. When no open pack has room the fullest is closed and returned, to be sealed.
    ///
    /// # Errors
    /// [`Error::Randomness`](crate::Error::Randomness).
    pub fn add(&mut self, chunk: &StoredChunk, random: &mut dyn Random) -> Result<Option<PackBuilder>> {
        let roomy: Vec<usize> = self
            .open
            .iter()
            .enumerate()
            .filter(|(_, pack)| pack.has_room_for(chunk))
            .map(|(index, _)| index)
            .collect();
        let [dice] = random.bytes::<1>()?;
        if let Some(index) = roomy.get(usize::from(dice) % roomy.len().max(1)) {
            if let Some(pack) = self.open.get_mut(*index) {
                pack.push(chunk);
            }
            return Ok(None);
        }
        let Some(fullest) = self.open.iter_mut().max_by_key(|pack| pack.used()) else {
            return Ok(None);
        };
        let full = std::mem::take(fullest);
        fullest.push(chunk);
        Ok(Some(full))
    }

    /// The stored bytes of a chunk that lies in an open pack.
    #[must_use]
    pub fn find(&self, id: ChunkId) -> Option<(ChunkEntry, Vec<u8>)> {
        self.open.iter().find_map(|pack| pack.find(id))
    }

    /// Closes what is open. What fits together into the shortest object goes together: splitting it
    /// would hide nothing and cost a whole object.
    #[must_use]
    pub fn finish(mut self) -> Vec<PackBuilder> {
        const TOGETHER_BYTES: usize = 64 * 1024;
        self.open.retain(|pack| !pack.is_empty());
        self.open.sort_by_key(PackBuilder::used);
        let mut closed: Vec<PackBuilder> = Vec::new();
        for mut pack in self.open {
            let merged = closed
                .last_mut()
                .is_some_and(|last| last.used() + pack.used() <= TOGETHER_BYTES && pack.merge_into(last));
            if !merged {
                closed.push(pack);
            }
        }
        closed
    }
}
