//! What of a sorted list a tree holds already, told by the ids of its pages: a page of leaves that would come
//! out the same need not be read.

use prost::Message as _;

use super::{
    PageReader, Root,
    cursor::{Cursor, Item},
};
use crate::{
    Result,
    content::ChunkId,
    wire::messages::{LeafEntry, TreePage},
};

/// Entries, as key and value, that may not be in a tree.
#[derive(Default)]
pub struct Sifted {
    /// In the order of their keys.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where those begin that lie in the same page as the last: with more entries they may make up a page
    /// that the tree holds. Their number, if the last lies in no page.
    pub open: usize,
}

/// Leaves out of `entries`, whose keys ascend strictly, what lies in pages of the tree that hold nothing else.
/// Reads inner pages only. `id_of` gives the id of a page's bytes. For entries of size 0 alone: pages of others
/// are never found to be known, and all their entries are left.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged), and whatever the reader says.
pub fn sift<R: PageReader + ?Sized>(
    root: Option<Root>,
    reader: &R,
    id_of: impl Fn(&[u8]) -> ChunkId,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
) -> Result<Sifted> {
    let mut sifted = Sifted::default();
    let mut rest = entries.into_iter();
    let mut cursor = match root {
        Some(Root { page, level: 0, extent }) => {
            let count = rest.len();
            sifted.take(&mut rest, (count, extent.entries), |bytes| id_of(bytes) == page);
            return Ok(sifted);
        }
        root => Cursor::open(root, reader)?,
    };
    while let Some(Item::Page { level, child }) = cursor.item() {
        let count = rest.as_slice().partition_point(|(key, _)| *key <= child.last_key);
        if count > 0 && level > 0 {
            cursor.enter(reader)?;
            continue;
        }
        sifted.take(&mut rest, (count, child.extent.entries), |bytes| id_of(bytes) == child.page);
        cursor.step();
        if rest.as_slice().is_empty() {
            return Ok(sifted);
        }
    }
    sifted.entries.extend(rest);
    sifted.open = sifted.entries.len();
    Ok(sifted)
}

impl Sifted {
    /// Takes the next `count` of `rest`, unless they are the page of `wanted` entries that lies there.
    fn take(
        &mut self,
        rest: &mut std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
        (count, wanted): (usize, u64),
        is_known: impl Fn(&[u8]) -> bool,
    ) {
        let begin = self.entries.len();
        let found = u64::try_from(count).unwrap_or(u64::MAX);
        if count > 0 {
            let leaves = rest.take(count).map(|(key, value)| LeafEntry { key, value, size: 0 }).collect();
            let page = TreePage { level: 0, leaves, children: Vec::new() };
            if found != wanted || !is_known(&page.encode_to_vec()) {
                self.entries.extend(page.leaves.into_iter().map(|leaf| (leaf.key, leaf.value)));
            }
        }
        self.open = if found < wanted { begin } else { self.entries.len() };
    }
}
