//! Whether two values are the same bytes. Their chunks tell, as long as both were cut alike: another epoch has
//! another key to cut with, and another version may have another rule.

use super::ValueReader;
use crate::{Result, wire::messages};

const ID_BYTES: usize = 32;

/// Whether two values of different chunks may be the same bytes: of one length, and with no chunk in common. Those
/// that were cut alike and differ somewhere mostly share the others.
pub(crate) fn may_be_cut_otherwise(a: &messages::Content, b: &messages::Content) -> bool {
    let ids = |content: &messages::Content| content.chunks.as_chunks::<ID_BYTES>().0.to_vec();
    let (of_a, of_b) = (ids(a), ids(b));
    let is_cut = !of_a.is_empty() && !of_b.is_empty();
    is_cut && a.length == b.length && !of_a.iter().any(|id| of_b.contains(id))
}

/// Whether a value has the bytes that `next` gives, piece by piece, up to the first that differ. What the store
/// does not have, or not unharmed, is not the same.
pub(crate) fn has_bytes(
    mut value: ValueReader<'_, '_>,
    next: impl FnMut() -> Result<Option<Vec<u8>>>,
) -> Result<bool> {
    match are_same(|| value.next(), next) {
        Err(error) if error.is_damage() => Ok(false),
        same => same,
    }
}

fn are_same(
    mut next_a: impl FnMut() -> Result<Option<Vec<u8>>>,
    mut next_b: impl FnMut() -> Result<Option<Vec<u8>>>,
) -> Result<bool> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    loop {
        if a.is_empty() {
            let Some(piece) = next_a()? else { return Ok(b.is_empty() && next_b()?.is_none()) };
            a = piece;
        }
        if b.is_empty() {
            let Some(piece) = next_b()? else { return Ok(false) };
            b = piece;
        }
        let both = a.len().min(b.len());
        if a.get(..both) != b.get(..both) {
            return Ok(false);
        }
        a.drain(..both);
        b.drain(..both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_same_in(a: &[&str], b: &[&str]) -> bool {
        let pieces = |of: &[&str]| {
            let mut pieces = of.iter().map(|piece| piece.as_bytes().to_vec()).collect::<Vec<_>>().into_iter();
            move || Ok(pieces.next())
        };
        are_same(pieces(a), pieces(b)).unwrap()
    }

    #[test]
    fn bytes_are_the_same_however_they_are_cut() {
        assert!(are_same_in(&[], &[]));
        assert!(are_same_in(&["abc", "def"], &["a", "bcde", "f"]));
        assert!(are_same_in(&["abc", "", "def"], &["abcdef"]));
        assert!(!are_same_in(&["abc", "def"], &["abc", "de"]));
        assert!(!are_same_in(&["abc"], &["a", "bcd"]));
        assert!(!are_same_in(&["abc", "def"], &["abc", "dxf"]));
        assert!(!are_same_in(&["abc"], &[]));
    }

    #[test]
    fn values_that_share_a_chunk_were_cut_alike() {
        let content = |length, ids: &[u8]| {
            let chunks = ids.iter().flat_map(|id| [*id; ID_BYTES]).collect();
            messages::Content { length, chunks, ..Default::default() }
        };
        assert!(may_be_cut_otherwise(&content(9, &[1, 2]), &content(9, &[3, 4, 5])));
        assert!(!may_be_cut_otherwise(&content(9, &[1, 2]), &content(8, &[3, 4])));
        assert!(!may_be_cut_otherwise(&content(9, &[1, 2]), &content(9, &[3, 2])));
        assert!(!may_be_cut_otherwise(&content(9, &[1, 2]), &content(9, &[])));
    }
}
