//! Where a block of a file may be cut, wherever chunks begin.
//!
//! A pure function of the block and the bytes before it, so that blocks can be searched side by side. Promises
//! the cuts of the rule, in time and memory that no content can make more than the block's length: a list is
//! short, and what lies beyond its end is searched when it is asked for.

use super::Chunker;

/// More are in no block of usual length but of one that repeats itself.
const LISTED_MAX: usize = 64;

/// The first places in a block before which a chunk may end.
pub(crate) struct Candidates {
    /// In order, counted from the block's first byte; a chunk may end before the block.
    places: Vec<usize>,
}

impl Candidates {
    pub(super) fn find(chunker: &Chunker, block: &[u8]) -> Self {
        let mut places = Vec::new();
        let mut from = 0;
        while let Some(place) = first_from(chunker, block, from).filter(|_| places.len() < LISTED_MAX) {
            places.push(place);
            from = place.saturating_add(1);
        }
        Self { places }
    }

    /// The first from `from` on, in the same `block`. The place after its last byte is the next one's.
    pub(crate) fn first_from(&self, chunker: &Chunker, block: &[u8], from: usize) -> Option<usize> {
        let listed = self.places.iter().copied().find(|place| *place >= from);
        let is_short = self.places.len() < LISTED_MAX;
        listed.or_else(|| if is_short { None } else { first_from(chunker, block, from) })
    }
}

fn first_from(chunker: &Chunker, block: &[u8], from: usize) -> Option<usize> {
    chunker.first_window(block.get(from..)?).and_then(|at| at.checked_add(from))
}
