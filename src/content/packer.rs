//! Fills packs: at least two are open, and chance decides which one a chunk goes to, so that neither the
//! order nor the neighbourhood of chunks follows from where they lie (L4).

use bytes::BytesMut;

use super::{ChunkId, ChunkSlot, PackBuilder, StoredFrame};
use crate::{Error, Result, crypto::Random, limits::OBJECT_BYTES_MAX};

/// What a frame holds. Tree pages lie in packs of their own: a look at a tree then reads little else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shelf {
    /// Content of values.
    Content,
    /// Tree pages.
    Pages,
}

/// Packs being filled.
pub struct Packer {
    open: Vec<PackBuilder>,
    pages: [PackBuilder; 1],
    /// Memory of packs that were sent.
    spare: Vec<BytesMut>,
}

impl Packer {
    /// A packer with `open` packs for content, at least two, which take 8 MiB of memory each once they are used,
    /// and one for tree pages, which takes 2 MiB.
    #[must_use]
    pub fn new(open: usize) -> Self {
        Self {
            open: (0..open.max(2)).map(|_| PackBuilder::new()).collect(),
            pages: [Self::empty(Shelf::Pages)],
            spare: Vec::new(),
        }
    }

    fn empty(shelf: Shelf) -> PackBuilder {
        const PAGES_BYTES: usize = OBJECT_BYTES_MAX / 4;
        match shelf {
            Shelf::Content => PackBuilder::new(),
            Shelf::Pages => PackBuilder::up_to(PAGES_BYTES),
        }
    }

    /// Takes the memory of a pack that was sent, for the next one. None of it goes back as long as packs are
    /// filled: what is shorter would take a place in the gap, and the next pack be more memory. So it keeps as many as
    /// are ever used at once.
    pub fn reuse(&mut self, memory: BytesMut) {
        const SPARE_MAX: usize = 4;
        if self.spare.len() < SPARE_MAX && PackBuilder::fits(&memory) {
            self.spare.push(memory);
        }
    }

    /// Gives spare memory back to the allocator.
    pub fn let_spare_go(&mut self) {
        self.spare = Vec::new();
    }

    fn shelf(&mut self, shelf: Shelf) -> &mut [PackBuilder] {
        match shelf {
            Shelf::Content => &mut self.open,
            Shelf::Pages => &mut self.pages,
        }
    }

    /// Closes a pack that has no room for `frame` and is full, or the fullest if none has room; it is to be
    /// sealed. A full one that stayed open would leave chance nothing to choose: all that follows would go into
    /// the others, in order (L4).
    pub fn make_room(&mut self, shelf: Shelf, frame: &StoredFrame) -> Option<PackBuilder> {
        let open = self.shelf(shelf);
        let is_none_roomy = !open.iter().any(|pack| pack.has_room_for(frame));
        let closed =
            |pack: &&mut PackBuilder| !pack.has_room_for(frame) && (is_none_roomy || pack.is_nearly_full());
        let full = open.iter_mut().filter(closed).max_by_key(|pack| pack.used());
        full.map(|pack| std::mem::replace(pack, Self::empty(shelf)))
    }

    /// Adds a frame for which there is room.
    ///
    /// # Errors
    /// [`Error::Randomness`](crate::Error::Randomness).
    pub fn add(&mut self, shelf: Shelf, frame: &StoredFrame, random: &mut dyn Random) -> Result<()> {
        let [dice] = random.bytes::<1>()?;
        let mut spare = if shelf == Shelf::Content { self.spare.pop() } else { None };
        let roomy = self.shelf(shelf).iter_mut().filter(|pack| pack.has_room_for(frame));
        let mut roomy: Vec<_> = roomy.collect();
        let chosen = usize::from(dice) % roomy.len().max(1);
        let pack = roomy.get_mut(chosen).ok_or(Error::Internal("a pack without room"))?;
        if pack.is_empty()
            && let Some(memory) = spare.take()
        {
            **pack = PackBuilder::reusing(memory);
        }
        pack.push(frame);
        self.spare.extend(spare);
        Ok(())
    }

    /// A chunk that lies in an open pack, and the stored bytes of its frame.
    #[must_use]
    pub fn find(&self, id: ChunkId) -> Option<(ChunkSlot, Vec<u8>)> {
        self.open.iter().chain(&self.pages).find_map(|pack| pack.find(id))
    }

    /// Closes what is open. What fits together into the shortest object goes together: splitting it
    /// would hide nothing and cost a whole object.
    #[must_use]
    pub fn finish(&mut self) -> Vec<PackBuilder> {
        const TOGETHER_BYTES: usize = 64 * 1024;
        let mut open: Vec<PackBuilder> = self.open.iter_mut().map(std::mem::take).collect();
        open.extend(self.pages.iter_mut().map(|pack| std::mem::replace(pack, Self::empty(Shelf::Pages))));
        open.retain(|pack| !pack.is_empty());
        open.sort_by_key(PackBuilder::used);
        let mut closed: Vec<PackBuilder> = Vec::new();
        for mut pack in open {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SeededRandom;

    /// Fills packs with frames of `lengths`; which frames came to lie in each that was closed, and how full it is.
    fn packed(lengths: impl Iterator<Item = usize>) -> Vec<(Vec<usize>, f64)> {
        let (mut packer, mut random) = (Packer::new(2), SeededRandom::new(3));
        let (mut closed, mut left) = (Vec::new(), Vec::new());
        for (n, length) in lengths.enumerate() {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(n as u64).to_le_bytes());
            let frame = StoredFrame::encode(ChunkId(id), vec![1; length], None).unwrap();
            left.push((n, ChunkId(id)));
            if let Some(full) = packer.make_room(Shelf::Content, &frame) {
                let inside =
                    left.extract_if(.., |(_, id)| full.find(*id).is_some()).map(|(n, _)| n).collect();
                closed.push((inside, full.used() as f64 / OBJECT_BYTES_MAX as f64));
            }
            packer.add(Shelf::Content, &frame, &mut random).unwrap();
        }
        closed
    }

    /// How many frames lie beside the one that came before them.
    fn neighbours(packs: &[(Vec<usize>, f64)]) -> f64 {
        let all: usize = packs.iter().map(|(frames, _)| frames.len()).sum();
        let beside = |frames: &[usize]| frames.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count();
        packs.iter().map(|(frames, _)| beside(frames)).sum::<usize>() as f64 / all as f64
    }

    fn fullness(packs: &[(Vec<usize>, f64)]) -> f64 {
        packs.iter().map(|(_, full)| full).sum::<f64>() / packs.len() as f64
    }

    #[test]
    fn attack_l4_chance_chooses_from_the_first_pack_to_the_last() {
        let packs = packed((0..6000).map(|n| 1000 + n * 7919 % 60_000));
        assert!(packs.len() > 15);
        assert!(neighbours(&packs) < 0.6, "{}", neighbours(&packs));
        assert!(fullness(&packs) > 0.97, "{}", fullness(&packs));
    }

    #[test]
    fn packs_of_pictures_are_full() {
        let picture = |n: usize| [crate::content::MEDIA_PIECE_BYTES, n * 7919 % 500_000 + 10_000];
        let packs = packed((0..150).flat_map(picture));
        assert!(packs.len() > 15);
        assert!(fullness(&packs) > 0.97, "{}", fullness(&packs));
    }
}
