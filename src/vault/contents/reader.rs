//! Reads chunks: whole packs where neighbours will be wanted too, single segments where not.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::packs::{Pack, PackSource, Packs, Piece};
use crate::{
    Error, Part, Result,
    content::ChunkId,
    keys::{AccountId, KindKeys, RootId},
    limits::{OBJECT_BYTES_MAX, PAGE_ENCODED_BYTES_MAX},
    privacy::Gate,
    tree::{PageReader, is_inner_page},
    vault::{
        crew::{Crew, Later, Tools},
        state::{ChunkPlace, ChunksNow, Database, PackRow},
    },
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

/// Pages, newest last, up to a number of bytes.
struct Pages {
    entries: VecDeque<(ChunkId, Vec<u8>)>,
    bytes: usize,
    limit: usize,
}

impl Pages {
    fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, limit }
    }

    fn get(&mut self, id: ChunkId) -> Option<Vec<u8>> {
        let position = self.entries.iter().position(|(of, _)| *of == id)?;
        let entry = self.entries.remove(position)?;
        let page = entry.1.clone();
        self.entries.push_back(entry);
        Some(page)
    }

    fn add(&mut self, id: ChunkId, page: Vec<u8>) {
        self.bytes += page.len();
        self.entries.push_back((id, page));
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
    source: Arc<PackSource>,
    packs: RefCell<Packs>,
    /// Bytes that were asked for of each pack.
    asked: RefCell<BTreeMap<u64, u32>>,
    /// Whether few of a pack's chunks will be wanted.
    sparse: bool,
    /// What the database knows, once and for all; or it is asked each time.
    chunks: Option<ChunksNow>,
    pages: RefCell<Pages>,
    /// Whether inner pages come from the store, too.
    all_from_store: bool,
    /// Inner pages that the local database has not got yet.
    inner: RefCell<Vec<(ChunkId, Vec<u8>)>>,
    tools: RefCell<Tools>,
    crew: RefCell<Crew>,
}

impl<'a> ContentReader<'a> {
    /// `memory_bytes` is for opened packs; less than two packs' worth makes it read single segments.
    pub(crate) fn new(access: KindAccess<'a>, memory_bytes: usize) -> Result<Self> {
        const PAGES_BYTES: usize = 2 * 1024 * 1024;
        Ok(Self {
            access,
            source: Arc::new(PackSource::new(&access)),
            packs: RefCell::new(Packs::new(memory_bytes.saturating_sub(PAGES_BYTES))),
            asked: RefCell::default(),
            sparse: false,
            chunks: None,
            pages: RefCell::new(Pages::new(PAGES_BYTES.min(memory_bytes / 2))),
            all_from_store: false,
            inner: RefCell::default(),
            tools: RefCell::new(Tools::new()?),
            crew: RefCell::new(Crew::new(0)),
        })
    }

    /// For a look here and there, as a comparison of two trees takes it.
    pub(crate) fn sparse(access: KindAccess<'a>, memory_bytes: usize) -> Result<Self> {
        let mut reader = Self::new(access, memory_bytes)?;
        reader.sparse = true;
        Ok(reader)
    }

    /// Believes only what the store has: for a check.
    pub(crate) fn with_all_from_store(mut self) -> Self {
        self.all_from_store = true;
        self
    }

    /// Looks only for chunks that are known now, which is quicker.
    pub(crate) fn of_now(mut self) -> Result<Self> {
        self.chunks = Some(self.access.database.chunks_now()?);
        Ok(self)
    }

    /// Lets `hands` threads read beside the caller's.
    pub(crate) fn with_hands(mut self, hands: usize) -> Self {
        self.crew = RefCell::new(Crew::new(hands));
        self
    }

    /// Threads that read beside the caller's.
    pub(crate) fn hands(&self) -> usize {
        self.crew.borrow().size()
    }

    /// Gives a task to the hands, or does it at once if there are none.
    pub(crate) fn give<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Tools) -> Result<T> + Send + 'static,
    ) -> Result<Later<T>> {
        self.crew.borrow_mut().give(task)
    }

    /// Whether pieces should be used before more are asked for, or memory grows beyond its bound.
    pub(crate) fn is_crowded(&self) -> bool {
        self.packs.borrow().is_crowded()
    }

    /// Whether pieces that were asked for need more memory than there is.
    pub(super) fn is_over(&self) -> bool {
        self.packs.borrow().is_over()
    }

    /// The plain bytes of a chunk, checked against its id.
    pub(crate) fn chunk(&self, id: ChunkId) -> Result<Vec<u8>> {
        let place = self.locate(id)?;
        let decompressor = &mut self.tools.borrow_mut().decompressor;
        match self.pack(&place)? {
            Ok(pack) => {
                let piece = Piece::new(Arc::clone(&self.source), pack, place.slot);
                piece.bytes(decompressor)
            }
            Err(row) => self.source.read_alone(&row, &place.slot, decompressor),
        }
    }

    /// A chunk, to be read by whichever thread: it fetches a pack as a whole, whatever there is of memory.
    pub(crate) fn piece(&self, id: ChunkId) -> Result<Piece> {
        let place = self.locate(id)?;
        let pack = match self.pack(&place)? {
            Ok(pack) => pack,
            Err(row) => self.keep_pack(place.pack, row),
        };
        Ok(Piece::new(Arc::clone(&self.source), pack, place.slot))
    }

    /// Lets a hand open the pack of a piece that will be read, before all else: when the first who reads of it opens
    /// it, the second waits for him.
    pub(crate) fn open_ahead(&self, piece: &Piece) {
        if self.hands() > 0
            && let Some(open) = piece.opening()
        {
            // What fails here, fails again for whoever reads the piece.
            let _opened_later = self.crew.borrow_mut().give_first(move |_| open());
        }
    }

    /// How long a chunk is, as the index has it.
    pub(super) fn length(&self, id: ChunkId) -> Result<usize> {
        let slot = self.locate(id)?.slot;
        usize::try_from(slot.length).ok().filter(|_| slot.is_sound()).ok_or(Error::damaged(Part::Chunk))
    }

    fn locate(&self, id: ChunkId) -> Result<ChunkPlace> {
        let place = match &self.chunks {
            Some(chunks) => chunks.chunk(id)?,
            None => self.access.database.chunk(id)?,
        };
        place.ok_or(Error::Missing { what: Part::Chunk })
    }

    /// The pack of a chunk; its row alone if it is not worth fetching as a whole.
    fn pack(&self, place: &ChunkPlace) -> Result<std::result::Result<Arc<Pack>, PackRow>> {
        if let Some(pack) = self.packs.borrow_mut().get(place.pack) {
            return Ok(Ok(pack));
        }
        let row = self.access.database.pack(place.pack)?.ok_or(Error::Missing { what: Part::Pack })?;
        if row.kind != self.access.kind {
            return Err(Error::damaged(Part::Chunk));
        }
        if self.packs.borrow().limit() < 2 * OBJECT_BYTES_MAX || !self.is_worth_all(&row, place) {
            return Ok(Err(row));
        }
        Ok(Ok(self.keep_pack(place.pack, row)))
    }

    fn keep_pack(&self, number: u64, row: PackRow) -> Arc<Pack> {
        let pack = Arc::new(Pack::new(row));
        self.packs.borrow_mut().add(number, Arc::clone(&pack));
        pack
    }

    /// A pack is fetched as a whole once as much of it was asked for as it takes to fetch it by segments: a
    /// walk through neighbours soon does, a look here and there never.
    fn is_worth_all(&self, row: &PackRow, place: &ChunkPlace) -> bool {
        if !self.sparse {
            return true;
        }
        let mut asked = self.asked.borrow_mut();
        let bytes = asked.entry(place.pack).or_default();
        *bytes = bytes.saturating_add(place.slot.frame.stored);
        u64::from(*bytes) * 8 >= u64::from(row.length)
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
        let kept = if self.all_from_store { None } else { self.access.database.inner_page(id)? };
        Ok(kept.filter(|page| ChunkId::derive(self.access.keys.chunk_id_key(), page) == id))
    }

    pub(crate) fn cached_page(&self, id: ChunkId) -> Option<Vec<u8>> {
        self.pages.borrow_mut().get(id)
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
