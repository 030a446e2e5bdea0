//! Tree pages, written like any other chunk, and read again before they are stored.

use super::{super::values::size_of, ContentWriter};
use crate::{
    Result,
    content::{ChunkId, Decompressor, Shelf, decode_chunk},
    tree::{PageReader, PageWriter},
};

impl ContentWriter<'_> {
    /// The stored form of a chunk that no committed pack has yet, if it still lies here.
    fn find_open(&self, id: ChunkId) -> Result<Option<Vec<u8>>> {
        let inner = &mut *self.inner.borrow_mut();
        if !inner.open.contains(&id) {
            return Ok(None);
        }
        if inner.small.holds(id) {
            self.pack_small(inner)?;
        }
        self.pack_all(inner)?;
        match inner.packer.find(id) {
            Some((slot, stored)) => {
                const NO_NAME_YET: [u8; 16] = [0; 16];
                let key = self.reader.access.keys.chunk_id_key();
                let decompressor = &mut Decompressor::new()?;
                let plain = decode_chunk(key, (NO_NAME_YET, &slot), &stored, decompressor)?;
                Ok(Some(plain.into_owned()))
            }
            // It was sent, or is on its way: once it is listed it is read like any other.
            None => self.ship_all(inner).map(|()| None),
        }
    }
}

impl PageReader for &ContentWriter<'_> {
    fn page(&self, id: &ChunkId) -> Result<Vec<u8>> {
        <ContentWriter<'_> as PageReader>::page(self, id)
    }
}

impl PageReader for ContentWriter<'_> {
    fn page(&self, id: &ChunkId) -> Result<Vec<u8>> {
        if let Some(page) = self.reader.cached_page(*id) {
            return Ok(page);
        }
        self.find_open(*id)?.map_or_else(|| self.reader.page(id), Ok)
    }
}

impl PageWriter for &ContentWriter<'_> {
    fn put_page(&mut self, bytes: Vec<u8>) -> Result<ChunkId> {
        let id = self.put(Shelf::Pages, bytes.clone(), self.compress_pages)?;
        self.reader.remember_page(id, bytes);
        Ok(id)
    }

    fn size_of(&self, value: &[u8]) -> u64 {
        size_of(value)
    }
}
