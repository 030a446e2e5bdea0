//! Where pages end (T5 to T8). Deterministic and keyed: who does not hold the kind's key can neither foresee
//! nor steer a border.

use crate::{
    crypto::{Label, Secret, derive_from_key, keyed_hash},
    limits,
};

/// Weight at which a page is expected to end.
const PAGE_TARGET: u128 = 8192;
const LEAF_OVERHEAD: usize = 16;
const CHILD_OVERHEAD: usize = 48;

/// The border rule of one kind.
pub struct Borders {
    key: Secret<32>,
}

impl Borders {
    /// Derives the border key from the kind's chunk-cut key (T6).
    #[must_use]
    pub fn new(chunk_cut_key: &Secret<32>) -> Self {
        Self { key: derive_from_key(chunk_cut_key, Label::PAGE_BORDER, &[]) }
    }

    /// Whether the page is closed after the entry `last` (T8).
    pub(super) fn ends_page(&self, level: u32, last: &Laid<'_>, page: Filled) -> bool {
        let full = page.weight >= limits::PAGE_BYTES_MAX || page.entries >= limits::PAGE_ENTRIES_MAX;
        let fewest = if level == 0 { 1 } else { 2 };
        page.entries >= fewest && (full || self.is_border(level, last))
    }

    fn is_border(&self, level: u32, last: &Laid<'_>) -> bool {
        let threshold = ((last.weight as u128) << 64) / PAGE_TARGET;
        u128::from(self.hash(level, last.key)) < threshold
    }

    fn hash(&self, level: u32, key: &[u8]) -> u64 {
        let mut input = Vec::with_capacity(4 + key.len());
        input.extend_from_slice(&level.to_le_bytes());
        input.extend_from_slice(key);
        let [a, b, c, d, e, f, g, h, ..] = keyed_hash(&self.key, &input);
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

/// An entry as the border rule sees it.
pub(super) struct Laid<'a> {
    pub(super) key: &'a [u8],
    pub(super) weight: usize,
}

/// A page as the border rule sees it, the newest entry included.
#[derive(Clone, Copy)]
pub(super) struct Filled {
    pub(super) entries: usize,
    pub(super) weight: usize,
}

pub(super) fn leaf_weight(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + LEAF_OVERHEAD
}

pub(super) fn child_weight(last_key: &[u8]) -> usize {
    last_key.len() + CHILD_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn borders() -> Borders {
        Borders::new(&Secret::take(&mut [7; 32]))
    }

    #[test]
    fn an_entry_as_heavy_as_the_target_always_ends_its_page() {
        let page = Filled { entries: 1, weight: 8192 };
        for n in 0..100_u32 {
            let key = n.to_le_bytes();
            assert!(borders().ends_page(0, &Laid { key: &key, weight: 8192 }, page));
        }
    }

    #[test]
    fn borders_come_in_proportion_to_weight() {
        let borders = borders();
        let hits = |weight| {
            let page = Filled { entries: 2, weight };
            (0..40_000_u32)
                .filter(|n| borders.ends_page(1, &Laid { key: &n.to_be_bytes(), weight }, page))
                .count()
        };
        assert!((1100..1400).contains(&hits(256)), "{}", hits(256));
        assert!((4700..5300).contains(&hits(1024)), "{}", hits(1024));
    }

    #[test]
    fn a_page_ends_when_full_but_never_with_one_child() {
        let borders = borders();
        let key = (0..1000_u32)
            .map(u32::to_be_bytes)
            .find(|key| {
                (0..2).all(|level| {
                    !borders.ends_page(level, &Laid { key, weight: 50 }, Filled { entries: 2, weight: 99 })
                })
            })
            .unwrap();
        let last = Laid { key: &key, weight: 50 };
        let ends = |level, entries, weight| borders.ends_page(level, &last, Filled { entries, weight });
        assert!(ends(0, 1, limits::PAGE_BYTES_MAX) && !ends(0, 1, limits::PAGE_BYTES_MAX - 1));
        assert!(ends(0, limits::PAGE_ENTRIES_MAX, 99) && !ends(0, limits::PAGE_ENTRIES_MAX - 1, 99));
        assert!(ends(1, 2, limits::PAGE_BYTES_MAX) && !ends(1, 1, limits::PAGE_BYTES_MAX));
    }

    /// Pins T6 and T7: another implementation must find this number.
    #[test]
    fn the_border_hash_is_pinned() {
        assert_ne!(borders().hash(0, b"key"), borders().hash(1, b"key"));
        assert_eq!(borders().hash(0, b"key"), 3_654_330_245_213_841_493);
    }
}
