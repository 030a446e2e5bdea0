//! Writes chunks: each content once, into packs, each pack noted locally before it is sent, so that a run
//! that is killed leaves nothing to send again.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
};

use prost::Message as _;

use super::{ContentReader, KindAccess};
use crate::{
    Error, Result,
    content::{ChunkId, Compressor, PackBuilder, Packer, StoredChunk, decode_chunk},
    crypto::{ObjectKey, Place, Random},
    tree::{PageReader, PageWriter},
    vault::{
        Job,
        clock::Clock,
        state::{Database, NewNote, PackRow, Run},
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
    compress_pages: bool,
    inner: RefCell<Inner<'a>>,
    sent: Cell<u64>,
}

struct Inner<'a> {
    random: &'a mut dyn Random,
    packer: Packer,
    compressor: Compressor,
    open: HashSet<ChunkId>,
    notes: Notes,
}

impl<'a> ContentWriter<'a> {
    pub(crate) fn new(
        access: KindAccess<'a>,
        run: Run,
        job: &'a Job,
        clock: &'a dyn Clock,
        random: &'a mut dyn Random,
        compress_pages: bool,
    ) -> Result<Self> {
        const OPEN_PACKS: usize = 2;
        const READ_BYTES: usize = 8 * 1024 * 1024;
        let (epoch, key) = (access.current.0, access.keys.writing_key(access.current)?);
        let inner = Inner {
            random,
            packer: Packer::new(OPEN_PACKS),
            compressor: Compressor::new()?,
            open: HashSet::new(),
            notes: Vec::new(),
        };
        let writer = Self {
            reader: ContentReader::new(access, READ_BYTES),
            run,
            job,
            clock,
            epoch,
            key,
            compress_pages,
            inner: RefCell::new(inner),
            sent: Cell::new(0),
        };
        writer.adopt_orphans()?;
        Ok(writer)
    }

    /// Packs that a killed run sent are used; those that never arrived are forgotten.
    fn adopt_orphans(&self) -> Result<()> {
        let access = &self.reader.access;
        for (number, row) in access.database.uncommitted_packs(access.kind)? {
            if access.gate.length(Place::Object(row.id))? == Some(u64::from(row.length)) {
                continue;
            }
            let entry = messages::PackEntry::decode(row.uncommitted.as_slice()).unwrap_or_default();
            let ids = entry.chunks.iter().filter_map(|chunk| ChunkId::from_slice(&chunk.id));
            access.database.write(|transaction| Database::forget_pack(transaction, number, ids))?;
        }
        Ok(())
    }

    /// Bytes sent to the store so far.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent.get()
    }

    /// Reads what is in the store already.
    pub(crate) fn reader(&self) -> &ContentReader<'a> {
        &self.reader
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
        let access = &self.reader.access;
        let id = ChunkId::derive(access.keys.chunk_id_key(), &plain);
        let mut inner = self.inner.borrow_mut();
        if inner.open.contains(&id) || access.database.chunk(id)?.is_some() {
            return Ok(id);
        }
        let Inner { random, packer, compressor, open, .. } = &mut *inner;
        let chunk = StoredChunk::encode(id, plain, compress.then_some(compressor))?;
        let full = packer.add(&chunk, *random)?;
        open.insert(id);
        drop(inner);
        full.map_or(Ok(()), |pack| self.send(pack))?;
        Ok(id)
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

    /// Seals a pack, notes it and its chunks, then sends it.
    fn send(&self, pack: PackBuilder) -> Result<()> {
        let access = &self.reader.access;
        let mut inner = self.inner.borrow_mut();
        let (entry, sealed) = pack.seal(&self.key, access.account, self.epoch, access.kind, inner.random)?;
        let notes = std::mem::take(&mut inner.notes);
        let length = u32::try_from(entry.object().length()).map_err(|_| Error::Internal("pack length"))?;
        let row = PackRow {
            id: entry.object().id(),
            length,
            epoch: self.epoch,
            kind: access.kind.to_owned(),
            uncommitted: entry.to_wire().encode_to_vec(),
        };
        let chunks = entry
            .chunks()
            .map(|(offset, chunk)| (chunk.id(), offset, chunk.stored_length(), chunk.compressed_from()));
        access.database.write(|transaction| {
            Database::write_notes(transaction, &self.run, &notes)?;
            Database::add_pack(transaction, &row, chunks)
        })?;
        entry.chunks().for_each(|(_, chunk)| {
            inner.open.remove(&chunk.id());
        });
        drop(inner);
        access.gate.put(&sealed, self.clock.now_ms())?;
        self.sent.set(self.sent.get() + u64::from(length));
        self.job.step(|progress| progress.sent_bytes += u64::from(length))
    }

    /// Sends what is still open.
    pub(crate) fn flush(&self) -> Result<()> {
        let packer = std::mem::replace(&mut self.inner.borrow_mut().packer, Packer::new(2));
        packer.finish().into_iter().try_for_each(|pack| self.send(pack))
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
        let open = self.inner.borrow().packer.find(*id);
        match open {
            Some((entry, stored)) => decode_chunk(self.reader.access.keys.chunk_id_key(), &entry, &stored),
            None => self.reader.page(id),
        }
    }
}

impl PageWriter for &ContentWriter<'_> {
    fn put_page(&mut self, bytes: Vec<u8>) -> Result<ChunkId> {
        let id = self.put_chunk(bytes.clone(), self.compress_pages)?;
        self.reader.remember_page(id, bytes);
        Ok(id)
    }
}
