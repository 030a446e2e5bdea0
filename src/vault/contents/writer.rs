//! Writes chunks: each content once, into packs, each pack noted locally before it is sent, so that a run
//! that is killed leaves nothing to send again. The chunks of many packs are listed there at once; those of a run
//! that was killed before, when the next one begins.
//!
//! The job's own thread names chunks and fills packs. Compressing, sealing and sending go on beside it, as far
//! as the job's threads and memory allow.

mod pages;

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    sync::Arc,
};

use super::{
    ContentReader, KindAccess,
    maker::{ChunkMaker, Encoded, Form, MadeChunk, Small},
    shipping::{Sent, Shipment, Unlisted, adopt_orphans},
};
use crate::{
    Result,
    content::{ChunkId, Chunker, PackBuilder, PackEntry, Packer, Shelf, StoredFrame},
    crypto::{ObjectKey, OpenPart, Random, Sealed},
    limits::CHUNK_BYTES_MAX,
    vault::{
        Job,
        clock::Clock,
        crew::{Crew, Later, Line, Tools, hands},
        state::{Database, NewNote, Run},
    },
    wire::messages,
};

/// What a backup notes about its entries until a pack takes it to the disk.
type Notes = Vec<NewNote>;

/// Writes one kind's chunks. Shared by reference between the tree editor and what feeds it.
pub(crate) struct ContentWriter<'a> {
    reader: ContentReader<'a>,
    run: Run,
    job: &'a Job,
    clock: &'a dyn Clock,
    epoch: u32,
    key: ObjectKey,
    maker: Arc<ChunkMaker>,
    compress_pages: bool,
    inner: RefCell<Inner<'a>>,
    sent: Cell<u64>,
    /// Memory for reading what is cut by its content.
    ahead: Cell<Vec<u8>>,
}

struct Inner<'a> {
    random: &'a mut dyn Random,
    crew: Crew,
    /// Small chunks that wait for others, to be compressed together.
    small: Small,
    encoding: Line<Encoded>,
    /// Bytes that they were made from.
    encoding_bytes: usize,
    packer: Packer,
    sealing: Line<(PackEntry, Sealed, Notes)>,
    shipping: Line<Sent>,
    /// Chunks that the database does not list yet.
    open: HashSet<ChunkId>,
    /// Those of them that were sent.
    unlisted: Unlisted,
    /// How often chunks have left `open`.
    noted: u64,
    notes: Notes,
}

const OPEN_PACKS: usize = 2;

impl<'a> ContentWriter<'a> {
    pub(crate) fn new(
        access: KindAccess<'a>,
        run: Run,
        job: &'a Job,
        clock: &'a dyn Clock,
        random: &'a mut dyn Random,
        compress_pages: bool,
    ) -> Result<Self> {
        /// Open packs and caches come first; a small budget has no room for packs and chunks on their way.
        const FIRST_BYTES: usize = 40 * 1024 * 1024;
        const HAND_BYTES: usize = 12 * 1024 * 1024;
        let (epoch, key) = (access.current.0, access.keys.writing_key(access.current)?);
        let hands = hands(job, FIRST_BYTES, HAND_BYTES);
        let inner = Inner {
            random,
            crew: Crew::new(hands),
            small: Small::default(),
            encoding: Line::new(8 * hands),
            encoding_bytes: 0,
            packer: Packer::new(OPEN_PACKS),
            sealing: Line::new(1),
            shipping: Line::new(1),
            open: HashSet::new(),
            unlisted: Unlisted::default(),
            noted: 0,
            notes: Vec::new(),
        };
        let id_key = access.keys.chunk_id_key().duplicate();
        let chunker = Chunker::new(access.keys.chunk_cut_key(), epoch);
        adopt_orphans(&access)?;
        Ok(Self {
            reader: ContentReader::new(access, job.memory_bytes() / 8)?,
            maker: Arc::new(ChunkMaker::new(Arc::clone(access.database), id_key, chunker)),
            run,
            job,
            clock,
            epoch,
            key,
            compress_pages,
            inner: RefCell::new(inner),
            sent: Cell::new(0),
            ahead: Cell::default(),
        })
    }

    /// Bytes sent to the store so far.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent.get()
    }

    /// Lends the memory that values are read into before they are cut.
    pub(super) fn lend_ahead(&self) -> Vec<u8> {
        let mut ahead = self.ahead.take();
        ahead.clear();
        // The more, the less often what is left over is moved to the front.
        ahead.reserve_exact(CHUNK_BYTES_MAX + CHUNK_BYTES_MAX / 8);
        ahead
    }

    /// Takes it back.
    pub(super) fn return_ahead(&self, memory: Vec<u8>) {
        self.ahead.set(memory);
    }

    /// Takes note of a pack that a simulation sent past it.
    #[cfg(test)]
    pub(crate) fn count_sent(
        &self,
        bytes: u64,
        (number, chunks): (u64, impl Iterator<Item = ChunkId>),
    ) -> Result<()> {
        self.sent.set(self.sent.get() + bytes);
        let inner = &mut *self.inner.borrow_mut();
        let before = inner.open.len();
        inner.open.extend(chunks);
        inner.unlisted.add(number, inner.open.len() - before);
        if inner.unlisted.chunks < self.unlisted_max() { Ok(()) } else { self.list(inner) }
    }

    /// Whether a chunk is stored, or will be.
    #[cfg(test)]
    pub(crate) fn has(&self, id: ChunkId) -> Result<bool> {
        Ok(self.inner.borrow().open.contains(&id) || self.access().database.stored(id)?.is_some())
    }

    /// Reads what is in the store already.
    pub(crate) fn reader(&self) -> &ContentReader<'a> {
        &self.reader
    }

    /// Whether there was an epoch before this one.
    pub(crate) fn has_rotated(&self) -> bool {
        self.epoch > 0
    }

    /// Whether a value was written in an epoch before or after this one.
    pub(crate) fn is_of_another_epoch(&self, content: &messages::Content) -> Result<bool> {
        let database = self.access().database;
        let first = content.chunks.first_chunk().map(|id| database.chunk(ChunkId(*id))).transpose()?;
        let pack = first.flatten().map(|place| database.pack(place.pack)).transpose()?;
        Ok(pack.flatten().is_some_and(|pack| pack.epoch != self.epoch))
    }

    pub(crate) fn job(&self) -> &Job {
        self.job
    }

    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    pub(crate) fn access(&self) -> &KindAccess<'a> {
        &self.reader.access
    }

    /// Stores a chunk unless it is there already.
    pub(crate) fn put_chunk(&self, plain: Vec<u8>, compress: bool) -> Result<ChunkId> {
        self.put(Shelf::Content, plain, compress)
    }

    fn put(&self, shelf: Shelf, plain: Vec<u8>, compress: bool) -> Result<ChunkId> {
        let access = &self.reader.access;
        let id = ChunkId::derive(access.keys.chunk_id_key(), &plain);
        let inner = &mut *self.inner.borrow_mut();
        if inner.open.contains(&id) || access.database.stored(id)?.is_some() {
            return Ok(id);
        }
        let plain_bytes = plain.len();
        let encode = move |tools: &mut Tools| {
            let frame = StoredFrame::encode(id, plain, compress.then_some(&mut tools.compressor))?;
            Ok(Encoded { shelf, frames: vec![frame], plain_bytes })
        };
        let frame =
            if compress { inner.crew.give_first(encode)? } else { Later::Here(inner.crew.here(encode)) };
        inner.open.insert(id);
        self.pack_later(inner, frame, plain_bytes)?;
        Ok(id)
    }

    /// Threads that work beside the caller's.
    pub(crate) fn hands(&self) -> usize {
        self.inner.borrow().crew.size()
    }

    /// Cuts what changes in the middle.
    pub(crate) fn chunker(&self) -> &Chunker {
        self.maker.chunker()
    }

    /// Makes chunks on the caller's thread.
    pub(crate) fn here<T>(&self, task: impl FnOnce(&ChunkMaker, &mut Tools) -> Result<T>) -> Result<T> {
        self.inner.borrow_mut().crew.here(|tools| task(&self.maker, tools))
    }

    /// Lets the hands make chunks, or whatever else leads to them.
    pub(crate) fn give<T: Send + 'static>(
        &self,
        task: impl FnOnce(&ChunkMaker, &mut Tools) -> Result<T> + Send + 'static,
    ) -> Result<Later<T>> {
        let maker = Arc::clone(&self.maker);
        self.inner.borrow_mut().crew.give(move |tools| task(&maker, tools))
    }

    /// The same, for what the caller is about to wait for.
    pub(crate) fn give_first<T: Send + 'static>(
        &self,
        task: impl FnOnce(&ChunkMaker, &mut Tools) -> Result<T> + Send + 'static,
    ) -> Result<Later<T>> {
        let maker = Arc::clone(&self.maker);
        self.inner.borrow_mut().crew.give_first(move |tools| task(&maker, tools))
    }

    /// The same, for what goes on from what the one before it came to.
    pub(crate) fn give_in_turn<T: Send + 'static>(
        &self,
        task: impl FnOnce(&ChunkMaker) -> Result<T> + Send + 'static,
    ) -> Result<Later<T>> {
        let maker = Arc::clone(&self.maker);
        self.inner.borrow_mut().crew.give_in_turn(move |_| task(&maker))
    }

    /// A number that stays the same as long as no chunk has been noted: what was made since then may be stored
    /// already.
    pub(crate) fn noted(&self) -> u64 {
        self.inner.borrow().noted
    }

    /// Stores a chunk that was made when [`Self::noted`] was `noted`.
    pub(crate) fn put_made(&self, chunk: MadeChunk, noted: u64) -> Result<ChunkId> {
        let MadeChunk { id, form } = chunk;
        let inner = &mut *self.inner.borrow_mut();
        if inner.open.contains(&id) {
            return Ok(id);
        }
        if inner.noted != noted && self.reader.access.database.stored(id)?.is_some() {
            return Ok(id);
        }
        match form {
            Form::Known => return Ok(id),
            Form::Frame(frame) => {
                let plain_bytes = frame.bytes().len();
                let frames = Encoded { shelf: Shelf::Content, frames: vec![frame], plain_bytes };
                self.pack_later(inner, Later::Here(Ok(frames)), plain_bytes)?;
            }
            Form::Plain(plain) => {
                inner.small.add(id, plain);
                if inner.small.is_full() {
                    self.pack_small(inner)?;
                }
            }
        }
        inner.open.insert(id);
        Ok(id)
    }

    /// Lets the small chunks that wait go into packs.
    fn pack_small(&self, inner: &mut Inner<'_>) -> Result<()> {
        let small = std::mem::take(&mut inner.small);
        let plain_bytes = small.bytes;
        let frames = inner.crew.give_first(move |tools| {
            let frames = small.encode(&mut tools.compressor)?;
            Ok(Encoded { shelf: Shelf::Content, frames, plain_bytes })
        })?;
        self.pack_later(inner, frames, plain_bytes)
    }

    /// Lets frames go into packs once they are made, after those before them.
    fn pack_later(&self, inner: &mut Inner<'_>, frames: Later<Encoded>, plain_bytes: usize) -> Result<()> {
        /// What the hands and the caller's thread may each have before them: more helps nothing, and takes memory.
        const BYTES_EACH: usize = 1024 * 1024;
        let bytes_max = BYTES_EACH * (inner.crew.size() + 1);
        inner.encoding.push(frames);
        inner.encoding_bytes += plain_bytes;
        loop {
            let is_much = inner.encoding_bytes > bytes_max;
            let due = if is_much { inner.encoding.next() } else { inner.encoding.next_due() };
            let Some(frames) = due else { break };
            self.pack(inner, frames?)?;
        }
        self.ship_what_is_due(inner)
    }

    fn pack(&self, inner: &mut Inner<'_>, encoded: Encoded) -> Result<()> {
        let Encoded { shelf, frames, plain_bytes } = encoded;
        inner.encoding_bytes -= plain_bytes;
        frames.into_iter().try_for_each(|frame| {
            if let Some(full) = inner.packer.make_room(shelf, &frame) {
                self.seal(inner, full)?;
            }
            inner.packer.add(shelf, &frame, inner.random)
        })
    }

    /// Gives a pack away to be sealed, with the notes that were made so far. The one before it is sent first: each
    /// that waits takes 8 MiB.
    fn seal(&self, inner: &mut Inner<'_>, pack: PackBuilder) -> Result<()> {
        self.ship_sealed(inner)?;
        let access = &self.reader.access;
        let notes = std::mem::take(&mut inner.notes);
        let (sealing, parts) =
            pack.begin_sealing(&self.key, access.account, self.epoch, access.kind, inner.random)?;
        let later = inner.crew.give_first_in_parts(parts, OpenPart::seal, |parts| {
            let (entry, sealed) = sealing.join(parts)?;
            Ok((entry, sealed, notes))
        })?;
        inner.sealing.push(later);
        self.ship_what_is_due(inner)
    }

    fn ship_what_is_due(&self, inner: &mut Inner<'_>) -> Result<()> {
        while let Some(sealed) = inner.sealing.next_due() {
            self.ship(inner, sealed?)?;
        }
        while let Some(sent) = inner.shipping.next_due() {
            inner.settle(sent?);
        }
        Ok(())
    }

    /// Lets a pack be noted, and sent, after the one before it.
    fn ship(&self, inner: &mut Inner<'_>, (entry, sealed, notes): (PackEntry, Sealed, Notes)) -> Result<()> {
        let length = u64::from(entry.length());
        let access = &self.reader.access;
        inner.wait_until_sent()?;
        let unlisted = if inner.unlisted.chunks < self.unlisted_max() {
            None
        } else {
            std::mem::take(&mut inner.unlisted).first
        };
        let shipment = Shipment {
            entry,
            sealed,
            epoch: self.epoch,
            kind: access.kind.to_owned(),
            run: self.run.clone(),
            notes,
            now_ms: self.clock.now_ms(),
            unlisted,
        };
        let (gate, database) = (Arc::clone(access.gate), Arc::clone(access.database));
        let sent = inner.crew.give_slow(move |_| shipment.send(&gate, &database))?;
        inner.shipping.push(sent);
        self.sent.set(self.sent.get() + length);
        self.job.step(|progress| progress.sent_bytes += length)
    }

    /// How many chunks that were sent may be unlisted: each takes some 100 bytes, all together some hundredth of the
    /// budget.
    fn unlisted_max(&self) -> usize {
        self.job.memory_bytes() / 8192
    }

    /// Lists the chunks of what was sent. Nothing may be on its way.
    fn list(&self, inner: &mut Inner<'_>) -> Result<()> {
        let Some(first) = std::mem::take(&mut inner.unlisted).first else { return Ok(()) };
        let access = &self.reader.access;
        access.database.list_chunks(access.kind, first, &mut |id| inner.leave_open(id))
    }

    /// Remembers what an entry looked like; it is written with the next pack.
    pub(crate) fn note(&self, note: NewNote) -> Result<()> {
        const NOTES_MAX: usize = 4096;
        let mut inner = self.inner.borrow_mut();
        inner.notes.push(note);
        if inner.notes.len() < NOTES_MAX {
            return Ok(());
        }
        let notes = std::mem::take(&mut inner.notes);
        drop(inner);
        let access = &self.reader.access;
        access.database.write(|transaction| Database::write_notes(transaction, &self.run, &notes))
    }

    /// Sends what is still open, and waits until all is in the store.
    pub(crate) fn flush(&self) -> Result<()> {
        let inner = &mut *self.inner.borrow_mut();
        self.pack_small(inner)?;
        self.pack_all(inner)?;
        inner.packer.finish().into_iter().try_for_each(|pack| self.seal(inner, pack))?;
        self.ship_all(inner)?;
        // What follows, an index, needs memory too.
        inner.open = HashSet::new();
        inner.packer.let_spare_go();
        self.ahead.take();
        Ok(())
    }

    /// Waits until every frame lies in a pack.
    fn pack_all(&self, inner: &mut Inner<'_>) -> Result<()> {
        while let Some(frames) = inner.encoding.next() {
            self.pack(inner, frames?)?;
        }
        Ok(())
    }

    fn ship_sealed(&self, inner: &mut Inner<'_>) -> Result<()> {
        while let Some(sealed) = inner.sealing.next() {
            self.ship(inner, sealed?)?;
        }
        Ok(())
    }

    fn ship_all(&self, inner: &mut Inner<'_>) -> Result<()> {
        self.ship_sealed(inner)?;
        inner.wait_until_sent()?;
        self.list(inner)
    }

    /// Notes that no pack took along.
    pub(crate) fn remaining_notes(&self) -> Notes {
        std::mem::take(&mut self.inner.borrow_mut().notes)
    }

    /// Randomness, for what else this run seals.
    pub(crate) fn with_random<T>(&self, work: impl FnOnce(&mut dyn Random) -> T) -> T {
        work(self.inner.borrow_mut().random)
    }
}

impl Inner<'_> {
    fn wait_until_sent(&mut self) -> Result<()> {
        while let Some(sent) = self.shipping.next() {
            self.settle(sent?);
        }
        Ok(())
    }

    fn leave_open(&mut self, id: ChunkId) {
        self.open.remove(&id);
        self.noted += 1;
    }

    fn settle(&mut self, sent: Sent) {
        sent.listed.into_iter().for_each(|id| self.leave_open(id));
        self.unlisted.add(sent.number, sent.chunks);
        self.packer.reuse(sent.memory);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "test code")]
mod tests;
