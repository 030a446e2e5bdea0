//! Reads chunks: whole packs where neighbours will be wanted too, single segments where not.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    Error, Part, Result,
    content::{ChunkEntry, ChunkId, decode_chunk, pack_context},
    crypto::{HEADER_BYTES, Opener, Place},
    keys::{AccountId, KindKeys, RootId},
    limits::{OBJECT_BYTES_MAX, PAGE_ENCODED_BYTES_MAX},
    privacy::Gate,
    tree::{PageReader, is_inner_page},
    vault::state::{ChunkPlace, Database, PackRow},
    wire::messages,
};

/// One kind's keys and where its chunks are to be had.
#[derive(Clone, Copy)]
pub(crate) struct KindAccess<'a> {
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) database: &'a Arc<Database>,
    pub(crate) account: AccountId,
    pub(crate) kind: &'a str,
    pub(crate) keys: &'a KindKeys,
    /// The epoch in which it is written, and its root.
    pub(crate) current: (u32, RootId),
}

/// Opened packs and pages, newest last, up to a number of bytes.
struct Cache<K> {
    entries: VecDeque<(K, Vec<u8>)>,
    bytes: usize,
    limit: usize,
}

impl<K: PartialEq + Copy> Cache<K> {
    fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, limit }
    }

    fn with<T>(&mut self, key: K, use_it: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let position = self.entries.iter().position(|(of, _)| *of == key)?;
        let entry = self.entries.remove(position)?;
        let value = use_it(&entry.1);
        self.entries.push_back(entry);
        Some(value)
    }

    fn add(&mut self, key: K, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.entries.push_back((key, bytes));
        while self.bytes > self.limit && self.entries.len() > 1 {
            if let Some((_, old)) = self.entries.pop_front() {
                self.bytes -= old.len();
            }
        }
    }
}

/// Reads one kind's chunks, within a memory budget.
pub(crate) struct ContentReader<'a> {
    pub(crate) access: KindAccess<'a>,
    packs: RefCell<Cache<u64>>,
    /// Bytes that were asked for of each pack.
    asked: RefCell<BTreeMap<u64, u32>>,
    /// Whether few of a pack's chunks will be wanted.
    sparse: bool,
    pages: RefCell<Cache<ChunkId>>,
    /// Inner pages that the local database has not got yet.
    inner: RefCell<Vec<(ChunkId, Vec<u8>)>>,
}

impl<'a> ContentReader<'a> {
    /// `memory_bytes` is for opened packs; less than two packs' worth makes it read single segments.
    pub(crate) fn new(access: KindAccess<'a>, memory_bytes: usize) -> Self {
        const PAGES_BYTES: usize = 4 * 1024 * 1024;
        let packs = memory_bytes.saturating_sub(PAGES_BYTES);
        Self {
            access,
            packs: RefCell::new(Cache::new(packs)),
            asked: RefCell::default(),
            sparse: false,
            pages: RefCell::new(Cache::new(PAGES_BYTES.min(memory_bytes / 2))),
            inner: RefCell::default(),
        }
    }

    /// For a look here and there, as a comparison of two trees takes it.
    pub(crate) fn sparse(access: KindAccess<'a>, memory_bytes: usize) -> Self {
        let mut reader = Self::new(access, memory_bytes);
        reader.sparse = true;
        reader
    }

    /// The plain bytes of a chunk, checked against its id.
    pub(crate) fn chunk(&self, id: ChunkId) -> Result<Vec<u8>> {
        let missing = Error::Missing { what: Part::Chunk };
        let place = self.access.database.chunk(id)?.ok_or(missing)?;
        let row = self.access.database.pack(place.pack)?.ok_or(Error::Missing { what: Part::Pack })?;
        if row.kind != self.access.kind {
            return Err(Error::damaged(Part::Chunk));
        }
        let wire = messages::ChunkEntry {
            id: id.0.to_vec(),
            stored_length: place.stored,
            plain_length: place.plain,
        };
        let entry = ChunkEntry::from_wire(&wire, Part::Chunk)?;
        let stored = self.stored(&row, &place)?;
        decode_chunk(self.access.keys.chunk_id_key(), &entry, &stored)
    }

    fn stored(&self, row: &PackRow, place: &ChunkPlace) -> Result<Vec<u8>> {
        let cut = |plain: &[u8]| cut(plain, place);
        if let Some(found) = self.packs.borrow_mut().with(place.pack, cut) {
            return found;
        }
        if self.packs.borrow().limit < 2 * OBJECT_BYTES_MAX || !self.is_worth_all(row, place) {
            return self.segments(row, place);
        }
        let plain = self.open_pack(row)?;
        let found = cut(&plain);
        self.packs.borrow_mut().add(place.pack, plain);
        found
    }

    /// A pack is fetched as a whole once as much of it was asked for as it takes to fetch it by segments: a
    /// walk through neighbours soon does, a look here and there never.
    fn is_worth_all(&self, row: &PackRow, place: &ChunkPlace) -> bool {
        if !self.sparse {
            return true;
        }
        let mut asked = self.asked.borrow_mut();
        let bytes = asked.entry(place.pack).or_default();
        *bytes = bytes.saturating_add(place.stored);
        u64::from(*bytes) * 8 >= u64::from(row.length)
    }

    fn open_pack(&self, row: &PackRow) -> Result<Vec<u8>> {
        let place = Place::Object(row.id);
        let bytes = self.access.gate.get(place)?.ok_or(Error::Missing { what: Part::Pack })?;
        let opener = self.opener(row, &bytes, bytes.len())?;
        opener.open_all(bytes).map_err(damaged)
    }

    /// Fetches the header and only the segments that hold the chunk.
    fn segments(&self, row: &PackRow, place: &ChunkPlace) -> Result<Vec<u8>> {
        let missing = || Error::Missing { what: Part::Pack };
        let at = Place::Object(row.id);
        let length = usize::try_from(row.length).map_err(|_| damaged(Error::Internal("length")))?;
        let head = self.access.gate.get_range(at, 0, HEADER_BYTES)?.ok_or_else(missing)?;
        let opener = self.opener(row, &head, length)?;
        let (offset, wanted) = range(place)?;
        let (from, bytes) = opener.stored_range(offset, wanted).ok_or(Error::Damaged { what: Part::Pack })?;
        let stored = self.access.gate.get_range(at, from, bytes)?.ok_or_else(missing)?;
        opener.open_range(offset, wanted, stored).map_err(damaged)
    }

    /// Opens a pack's header with whichever key of its epoch fits.
    fn opener(&self, row: &PackRow, head: &[u8], length: usize) -> Result<Opener> {
        let context = pack_context(self.access.account, row.epoch, self.access.kind, row.id);
        let mut failure = Error::damaged(Part::Pack);
        for key in self.access.keys.content_keys(row.epoch) {
            match Opener::new(&key, &context, head, length) {
                Ok(opener) => return Ok(opener),
                Err(error) => failure = damaged(error),
            }
        }
        Err(failure)
    }

    /// Keeps a page that was just read or written.
    pub(crate) fn remember_page(&self, id: ChunkId, bytes: Vec<u8>) {
        const INNER_MAX: usize = 64;
        if is_inner_page(&bytes) {
            let mut inner = self.inner.borrow_mut();
            inner.push((id, bytes.clone()));
            if inner.len() >= INNER_MAX {
                self.keep(&mut inner);
            }
        }
        self.pages.borrow_mut().add(id, bytes);
    }

    /// What is not kept is read again.
    fn keep(&self, inner: &mut Vec<(ChunkId, Vec<u8>)>) {
        let _ = self.access.database.keep_inner_pages(inner);
        inner.clear();
    }

    /// An inner page from the local database, which is believed only after it was checked (I10).
    fn kept_page(&self, id: ChunkId) -> Result<Option<Vec<u8>>> {
        let kept = self.access.database.inner_page(id)?;
        Ok(kept.filter(|page| ChunkId::derive(self.access.keys.chunk_id_key(), page) == id))
    }

    pub(crate) fn cached_page(&self, id: ChunkId) -> Option<Vec<u8>> {
        self.pages.borrow_mut().with(id, <[u8]>::to_vec)
    }
}

impl Drop for ContentReader<'_> {
    fn drop(&mut self) {
        let mut inner = self.inner.take();
        if !inner.is_empty() {
            self.keep(&mut inner);
        }
    }
}

impl PageReader for ContentReader<'_> {
    fn page(&self, id: &ChunkId) -> Result<Vec<u8>> {
        if let Some(page) = self.cached_page(*id) {
            return Ok(page);
        }
        if let Some(page) = self.kept_page(*id)? {
            self.pages.borrow_mut().add(*id, page.clone());
            return Ok(page);
        }
        let page = self.chunk(*id).map_err(|error| match error {
            Error::Damaged { .. } => Error::damaged(Part::TreePage),
            Error::Missing { .. } => Error::Missing { what: Part::TreePage },
            other => other,
        })?;
        if page.len() > PAGE_ENCODED_BYTES_MAX {
            return Err(Error::damaged(Part::TreePage));
        }
        self.remember_page(*id, page.clone());
        Ok(page)
    }
}

fn range(place: &ChunkPlace) -> Result<(usize, usize)> {
    let number = |value| usize::try_from(value).map_err(|_| Error::damaged(Part::Chunk));
    Ok((number(place.offset)?, number(place.stored)?))
}

fn cut(plain: &[u8], place: &ChunkPlace) -> Result<Vec<u8>> {
    let (offset, length) = range(place)?;
    let bytes = plain.get(offset..).and_then(|rest| rest.get(..length));
    bytes.map(<[u8]>::to_vec).ok_or(Error::damaged(Part::Chunk))
}

fn damaged(error: Error) -> Error {
    match error {
        Error::Damaged { .. } | Error::Internal(_) => Error::damaged(Part::Pack),
        other => other,
    }
}
