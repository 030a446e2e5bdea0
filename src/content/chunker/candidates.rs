//! Where a block of a file may be cut, wherever chunks begin.
//!
//! A pure function of the block and the bytes before it, so that blocks can be searched side by side. A place that
//! was found most likely ends a chunk; then nothing less than the shortest chunk behind it matters. So the search
//! goes on behind that, and what was left out is searched when it is asked for. The places are those of the rule, in
//! time and memory that no content can make more than the block's length.

use super::Chunker;

/// Places in a block before which a chunk may end.
pub(crate) struct Candidates {
    /// In order, counted from the block's first byte; a chunk may end before the block. None is left out but less than
    /// the shortest chunk behind one of them.
    places: Vec<usize>,
}

impl Candidates {
    pub(super) fn find(chunker: &Chunker, block: &[u8]) -> Self {
        let mut places = Vec::new();
        let mut from = 0;
        while let Some(place) = chunker.first_place(block, from, block.len()) {
            places.push(place);
            from = place.saturating_add(Chunker::BYTES_MIN);
        }
        Self { places }
    }

    /// The first from `from` on, in the same `block`. The place after its last byte is the next one's.
    pub(crate) fn first_from(&self, chunker: &Chunker, block: &[u8], from: usize) -> Option<usize> {
        let (before, behind) = self.places.split_at(self.places.partition_point(|place| *place < from));
        let left_out_until = before.last().map_or(0, |place| place.saturating_add(Chunker::BYTES_MIN));
        chunker.first_place(block, from, left_out_until).or_else(|| behind.first().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Random, Secret, SeededRandom};

    #[test]
    fn what_was_left_out_is_searched_when_it_is_asked_for() {
        let chunker = Chunker::new(&Secret::take(&mut [1; 32]), 0);
        let mut random = SeededRandom::new(14);
        let mut bytes = vec![0; 3_000_000];
        random.fill(&mut bytes).unwrap();
        let cut = chunker.next_cut(&bytes, false).unwrap();
        let low = bytes[cut - Chunker::WINDOW_BYTES..cut].to_vec();
        let mut left_out = 0;
        for round in 0..8 {
            // Zeros have no place; these do.
            let mut block = vec![0; 600_000 + Chunker::WINDOW_BYTES];
            let mut expected = Vec::new();
            for _ in 0..round {
                let mut place = [0; 4];
                random.fill(&mut place).unwrap();
                let place = u32::from_le_bytes(place) as usize % 600_000;
                block[place..place + low.len()].copy_from_slice(&low);
                expected.push(place);
            }
            expected.retain(|place| block[*place..].starts_with(&low));
            expected.sort_unstable();
            let found = Candidates::find(&chunker, &block);
            assert!(found.places.len() <= 2);
            left_out += expected.len() - found.places.len();
            let around = expected.iter().flat_map(|place| [place - place.min(&1), *place, place + 1]);
            for from in around.chain([0, 599_999, 600_000, 700_000]) {
                let next = expected.iter().copied().find(|place| *place >= from);
                assert_eq!(found.first_from(&chunker, &block, from), next, "from {from} of {expected:?}");
            }
        }
        assert!(left_out > 5);
    }
}
