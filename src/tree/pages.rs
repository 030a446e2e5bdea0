//! Where pages come from and go to. The only way out of this room; it never learns how pages are stored.

use crate::{Result, content::ChunkId};

/// Gives pages by id.
pub trait PageReader {
    /// The bytes of the page `id`, exactly as they were put. An implementor should refuse bytes that do not
    /// hash to `id`; the tree stays safe, though not right, if it does not.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) when there is no such page, and whatever the store says.
    fn page(&self, id: &ChunkId) -> Result<Vec<u8>>;
}

/// Takes pages.
pub trait PageWriter: PageReader {
    /// Stores a page and gives its id, which is keyed BLAKE3 of its bytes. A page may be put that is there
    /// already: that must be cheap. Pages put are not read back during the same build or edit.
    ///
    /// # Errors
    /// Whatever the store says.
    fn put_page(&mut self, bytes: Vec<u8>) -> Result<ChunkId>;

    /// Bytes of content that a value stands for. It follows from the value alone: one map has one tree.
    fn size_of(&self, value: &[u8]) -> u64;
}
