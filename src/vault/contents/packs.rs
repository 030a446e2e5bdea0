//! Packs of one kind: each is fetched and opened once, by whichever thread needs it first.

use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{KindAccess, spare::Spare};
use crate::{
    Error, Part, Result,
    content::{
        ChunkId, ChunkSlot, Decompressor, PackEntry, decode_chunk, kept_chunk, pack_context, read_directory,
    },
    crypto::{HEADER_BYTES, Opener, Place},
    keys::{AccountId, KindKeys},
    limits::OBJECT_BYTES_MAX,
    privacy::Gate,
    vault::state::PackRow,
};

/// What it takes to fetch and open a kind's packs, on any thread.
pub(crate) struct PackSource {
    gate: Arc<Gate>,
    account: AccountId,
    kind: String,
    keys: KindKeys,
    spare: Arc<Spare>,
}

/// A pack's plaintext; its memory is spare once it is dropped.
struct Plain {
    bytes: Vec<u8>,
    spare: Arc<Spare>,
}

impl Drop for Plain {
    fn drop(&mut self) {
        // A short one, of tree pages, would push out the memory of a long one, and the allocator cut that up.
        if self.bytes.capacity() > OBJECT_BYTES_MAX / 2 {
            self.spare.give(std::mem::take(&mut self.bytes));
        }
    }
}

impl PackSource {
    pub(crate) fn new(access: &KindAccess<'_>) -> Self {
        /// With fewer, memory is asked for anew, and the allocator keeps more of it than these.
        const SPARE_MAX: usize = 2;
        Self {
            gate: Arc::clone(access.gate),
            account: access.account,
            kind: access.kind.to_owned(),
            keys: access.keys.duplicate(),
            spare: Arc::new(Spare::new(SPARE_MAX)),
        }
    }

    /// The plaintext of a pack. Where it cannot be had there are zeros: of what lies there no id fits, and the
    /// rest can be read.
    fn open_pack(&self, row: &PackRow) -> Result<Plain> {
        let length = usize::try_from(row.length).map_err(|_| Error::damaged(Part::Pack))?;
        let bytes = self.fetch(row.id, length)?;
        // So much of the budget was set aside for it.
        if bytes.len() != length {
            return Err(Error::damaged(Part::Pack));
        }
        let opener = self.opener((row.epoch, row.id), &bytes, length)?;
        let opened = opener.open_all(bytes).map_err(damaged);
        let opened = if matches!(opened, Err(Error::Damaged { .. })) {
            opener.open_what_is_whole(self.fetch(row.id, length)?).map_err(damaged)
        } else {
            opened
        };
        Ok(self.plain(opened?))
    }

    fn plain(&self, bytes: Vec<u8>) -> Plain {
        Plain { bytes, spare: Arc::clone(&self.spare) }
    }

    fn fetch(&self, id: [u8; 16], length: usize) -> Result<Vec<u8>> {
        self.fetch_into(self.spare.take(length).unwrap_or_default(), id)
    }

    fn fetch_into(&self, mut bytes: Vec<u8>, id: [u8; 16]) -> Result<Vec<u8>> {
        let found = self.gate.get_into(Place::Object(id), &mut bytes)?;
        if found { Ok(bytes) } else { Err(Error::Missing { what: Part::Pack }) }
    }

    /// Fetches a pack that the index lists, verifies every byte of it, and says how many they were.
    pub(crate) fn verify(&self, pack: &PackEntry, decompressor: &mut Decompressor) -> Result<u64> {
        // Any pack has room in it, if the store reads into what it is given: memory that a short one does not fit would
        // go and come, and the allocator keep it.
        let room = self.spare.take(OBJECT_BYTES_MAX).unwrap_or_else(|| Vec::with_capacity(OBJECT_BYTES_MAX));
        let bytes = self.fetch_into(room, pack.id())?;
        let read = u64::try_from(bytes.len()).unwrap_or(0);
        if read != u64::from(pack.length()) {
            return Err(Error::damaged(Part::Pack));
        }
        let opener = self.opener((pack.epoch(), pack.id()), &bytes, bytes.len())?;
        let plain = self.plain(opener.open_all(bytes).map_err(damaged)?);
        let directory = read_directory(&plain.bytes)?;
        if pack.lines() != directory {
            return Err(Error::damaged(Part::Pack));
        }
        decompressor.forget();
        for slot in pack.chunks() {
            let stored = cut(&plain.bytes, &slot)?;
            decode_chunk(self.keys.chunk_id_key(), (pack.id(), &slot), stored, decompressor)?;
        }
        Ok(read)
    }

    /// The chunks that cannot be had any more of a pack that is not whole; none said if that is all of them.
    pub(crate) fn lost_chunks(
        &self,
        pack: &PackEntry,
        decompressor: &mut Decompressor,
    ) -> Result<Option<Vec<ChunkId>>> {
        let plain = match self.what_is_whole(pack) {
            Err(error) if error.is_damage() => return Ok(None),
            plain => plain?,
        };
        decompressor.forget();
        let mut lost = Vec::new();
        for slot in pack.chunks() {
            let read = cut(&plain.bytes, &slot).and_then(|stored| {
                decode_chunk(self.keys.chunk_id_key(), (pack.id(), &slot), stored, decompressor)
            });
            if read.is_err() {
                lost.push(slot.id);
            }
        }
        // Nobody else takes what lies there for the pack.
        decompressor.forget();
        Ok(Some(lost).filter(|lost| lost.len() < pack.lines().len()))
    }

    fn what_is_whole(&self, pack: &PackEntry) -> Result<Plain> {
        let bytes = self.fetch(pack.id(), usize::try_from(pack.length()).unwrap_or(OBJECT_BYTES_MAX))?;
        if u64::try_from(bytes.len()) != Ok(u64::from(pack.length())) {
            return Err(Error::damaged(Part::Pack));
        }
        let opener = self.opener((pack.epoch(), pack.id()), &bytes, bytes.len())?;
        Ok(self.plain(opener.open_what_is_whole(bytes).map_err(damaged)?))
    }

    /// Fetches the header and only the segments that hold a chunk, unless its frame was unpacked last, and gives its
    /// plain bytes.
    pub(super) fn read_alone(
        &self,
        row: &PackRow,
        slot: &ChunkSlot,
        decompressor: &mut Decompressor,
    ) -> Result<Vec<u8>> {
        if let Some(plain) = kept_chunk(self.keys.chunk_id_key(), (row.id, slot), decompressor) {
            return Ok(plain);
        }
        let missing = || Error::Missing { what: Part::Pack };
        let at = Place::Object(row.id);
        let length = usize::try_from(row.length).map_err(|_| damaged(Error::Internal("length")))?;
        let head = self.gate.get_range(at, 0, HEADER_BYTES)?.ok_or_else(missing)?;
        let opener = self.opener((row.epoch, row.id), &head, length)?;
        let (offset, wanted) = range(slot)?;
        let (from, bytes) = opener.stored_range(offset, wanted).ok_or(Error::Damaged { what: Part::Pack })?;
        let stored = self.gate.get_range(at, from, bytes)?.ok_or_else(missing)?;
        let stored = opener.open_range(offset, wanted, stored).map_err(damaged)?;
        decode_chunk(self.keys.chunk_id_key(), (row.id, slot), &stored, decompressor).map(Cow::into_owned)
    }

    /// Opens a pack's header with whichever key of its epoch fits.
    fn opener(&self, (epoch, id): (u32, [u8; 16]), head: &[u8], length: usize) -> Result<Opener> {
        let context = pack_context(self.account, epoch, &self.kind, id);
        let mut failure = Error::damaged(Part::Pack);
        for key in self.keys.content_keys(epoch) {
            match Opener::new(&key, &context, head, length) {
                Ok(opener) => return Ok(opener),
                Err(error) => failure = damaged(error),
            }
        }
        Err(failure)
    }
}

/// A pack, and its plaintext once somebody has opened it.
pub(super) struct Pack {
    row: PackRow,
    opened: Mutex<Opened>,
    /// Whether somebody was told to open it.
    awaited: AtomicBool,
}

/// What came of opening a pack. One that cannot be opened is not fetched again for each chunk.
#[derive(Default)]
enum Opened {
    #[default]
    NotYet,
    Plain(Arc<Plain>),
    Damaged,
    Missing,
}

impl Pack {
    pub(super) fn new(row: PackRow) -> Self {
        Self { row, opened: Mutex::default(), awaited: AtomicBool::new(false) }
    }

    /// Whether nobody was told to open it: whoever asks will see to it.
    fn is_to_be_opened(&self) -> bool {
        !self.awaited.swap(true, Ordering::Relaxed)
    }

    /// Opens it before a piece of it is read. What hinders that, whoever reads the piece meets too.
    fn open(&self, source: &PackSource) -> Result<()> {
        self.plain(source).map(drop)
    }

    /// Opens it, or waits until another thread has.
    fn plain(&self, source: &PackSource) -> Result<Arc<Plain>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Opened::NotYet = *opened {
            *opened = match source.open_pack(&self.row) {
                Ok(plain) => Opened::Plain(Arc::new(plain)),
                Err(Error::Damaged { .. }) => Opened::Damaged,
                Err(Error::Missing { .. }) => Opened::Missing,
                // It may go better the next time.
                Err(error) => return Err(error),
            };
        }
        match &*opened {
            Opened::Plain(plain) => Ok(Arc::clone(plain)),
            Opened::Missing => Err(Error::Missing { what: Part::Pack }),
            Opened::Damaged | Opened::NotYet => Err(Error::damaged(Part::Pack)),
        }
    }

    fn bytes(&self) -> usize {
        usize::try_from(self.row.length).unwrap_or(usize::MAX)
    }
}

/// A chunk of a pack, to be read by any thread.
pub(crate) struct Piece {
    source: Arc<PackSource>,
    pack: Arc<Pack>,
    slot: ChunkSlot,
}

impl Piece {
    pub(super) fn new(source: Arc<PackSource>, pack: Arc<Pack>, slot: ChunkSlot) -> Self {
        Self { source, pack, slot }
    }

    /// What opens its pack, if nobody was told to yet.
    pub(super) fn opening(&self) -> Option<impl FnOnce() -> Result<()> + Send + use<>> {
        let (source, pack) = (Arc::clone(&self.source), Arc::clone(&self.pack));
        self.pack.is_to_be_opened().then_some(move || pack.open(&source))
    }

    /// Whether both lie in one frame.
    pub(super) fn shares(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pack, &other.pack) && self.slot.frame == other.slot.frame
    }

    /// Whether both lie in one pack.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pack, &other.pack)
    }

    /// Hands its plain bytes on, checked against its id.
    pub(crate) fn read<T>(
        &self,
        decompressor: &mut Decompressor,
        use_it: impl FnOnce(Cow<'_, [u8]>) -> T,
    ) -> Result<T> {
        let plain = self.pack.plain(&self.source)?;
        let stored = cut(&plain.bytes, &self.slot)?;
        let slot = (self.pack.row.id, &self.slot);
        decode_chunk(self.source.keys.chunk_id_key(), slot, stored, decompressor).map(use_it)
    }

    /// As [`Self::read`], in memory of their own.
    pub(crate) fn bytes(&self, decompressor: &mut Decompressor) -> Result<Vec<u8>> {
        self.read(decompressor, |bytes| bytes.into_owned())
    }
}

/// Packs that were opened or are to be, newest last, up to a number of bytes.
pub(super) struct Packs {
    packs: VecDeque<(u64, Arc<Pack>)>,
    bytes: usize,
    limit: usize,
}

impl Packs {
    pub(super) fn new(limit: usize) -> Self {
        Self { packs: VecDeque::new(), bytes: 0, limit }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn get(&mut self, number: u64) -> Option<Arc<Pack>> {
        let position = self.packs.iter().position(|(of, _)| *of == number)?;
        let entry = self.packs.remove(position)?;
        let pack = Arc::clone(&entry.1);
        self.packs.push_back(entry);
        Some(pack)
    }

    pub(super) fn add(&mut self, number: u64, pack: Arc<Pack>) {
        self.bytes = self.bytes.saturating_add(pack.bytes());
        self.packs.push_back((number, pack));
        while self.bytes > self.limit && self.packs.len() > 1 && self.drop_one() {}
    }

    /// Whether there is no room for another pack before one is let go that a piece still needs.
    pub(super) fn is_crowded(&self) -> bool {
        const ONE: usize = crate::limits::OBJECT_BYTES_MAX;
        self.needed().saturating_add(ONE) > self.limit
    }

    /// Whether pieces need more than there is room for.
    pub(super) fn is_over(&self) -> bool {
        self.needed() > self.limit
    }

    /// Bytes of packs that a piece needs.
    fn needed(&self) -> usize {
        let needed = self.packs.iter().filter(|(_, pack)| Arc::strong_count(pack) > 1);
        needed.fold(0, |bytes: usize, (_, pack)| bytes.saturating_add(pack.bytes()))
    }

    /// Lets the oldest go that nobody needs.
    fn drop_one(&mut self) -> bool {
        let unneeded = self.packs.iter().position(|(_, pack)| Arc::strong_count(pack) == 1);
        let Some((_, pack)) = unneeded.and_then(|at| self.packs.remove(at)) else { return false };
        self.bytes = self.bytes.saturating_sub(pack.bytes());
        true
    }
}

/// The stored bytes of a chunk's frame.
fn cut<'p>(plain: &'p [u8], slot: &ChunkSlot) -> Result<&'p [u8]> {
    let (offset, length) = range(slot)?;
    plain.get(offset..).and_then(|rest| rest.get(..length)).ok_or(Error::damaged(Part::Chunk))
}

/// Offset and length of a chunk's frame in a pack's plaintext.
fn range(slot: &ChunkSlot) -> Result<(usize, usize)> {
    let number = |value| usize::try_from(value).map_err(|_| Error::damaged(Part::Chunk));
    Ok((number(slot.frame.offset)?, number(slot.frame.stored)?))
}

fn damaged(error: Error) -> Error {
    match error {
        Error::Damaged { .. } | Error::Internal(_) => Error::damaged(Part::Pack),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        content::{ChunkId, PackBuilder, StoredFrame},
        crypto::{OsRandom, Random},
        kinds::Kind,
        store::MemoryStore,
        vault::{
            Job, NewDevice, Vault,
            contents::{ContentReader, ContentWriter},
            testing::MemoryHome,
        },
    };

    #[test]
    fn a_hand_opens_a_pack_before_a_piece_of_it_is_read() {
        let device = NewDevice::named("phone").unwrap();
        let (vault, _) = Vault::create(MemoryStore::new(), &MemoryHome::new(), device).unwrap();
        vault.consent().grant(&Kind::FILES).unwrap();
        let work = &mut *vault.work();
        let view = vault.refresh(work).unwrap();
        let (job, run) = (Job::new(), vault.database.begin_run("files").unwrap());
        let (clock, random) = (vault.clock.as_ref(), work.random.as_mut());
        let access = vault.access("files", &view).unwrap();
        let writer = ContentWriter::new(access, run, &job, clock, random, false).unwrap();
        let id = writer.put_chunk(vec![7; 100_000], false).unwrap();
        writer.flush().unwrap();
        drop(writer);

        for hands in [0, 1] {
            let access = vault.access("files", &view).unwrap();
            let reader = ContentReader::new(access, 4 * OBJECT_BYTES_MAX).unwrap().with_hands(hands);
            let piece = reader.piece(id).unwrap();
            reader.open_ahead(&piece);
            // What was given before is begun before, and ends before the hands do.
            reader.give(|_| Ok(())).unwrap().wait().unwrap();
            drop(reader);
            assert_eq!(matches!(*piece.pack.opened.lock().unwrap(), Opened::Plain(_)), hands > 0);
            assert_eq!(piece.bytes(&mut Decompressor::new().unwrap()).unwrap(), [7; 100_000]);
        }
    }

    /// Gives a pack this name, and seals it otherwise as always.
    struct Named(Option<[u8; 16]>);

    impl Random for Named {
        fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
            match self.0.take() {
                Some(name) => buffer.copy_from_slice(&name),
                None => OsRandom.fill(buffer)?,
            }
            Ok(())
        }
    }

    #[test]
    fn a_pack_that_whoever_has_its_key_sealed_anew_must_have_the_lines_and_the_chunks_of_the_index() {
        let device = NewDevice::named("phone").unwrap();
        let (vault, _) = Vault::create(MemoryStore::new(), &MemoryHome::new(), device).unwrap();
        vault.consent().grant(&Kind::FILES).unwrap();
        let view = vault.refresh(&mut vault.work()).unwrap();
        let access = vault.access("files", &view).unwrap();
        let key = access.keys.writing_key(access.current).unwrap();
        let id = |plain: &[u8]| ChunkId::derive(access.keys.chunk_id_key(), plain);
        let frame = |id: ChunkId, plain: &[u8]| StoredFrame::encode(id, plain.to_vec(), None).unwrap();
        let seal = |name: u8, frames: &[StoredFrame]| {
            let mut pack = PackBuilder::new();
            frames.iter().for_each(|frame| pack.push(frame));
            pack.seal(&key, access.account, access.current.0, "files", &mut Named(Some([name; 16]))).unwrap()
        };
        let (first, second) = (frame(id(b"first"), b"first"), frame(id(b"second"), b"second"));
        let other_bytes = frame(id(b"first"), b"FIRST");
        let frames = [first, second];
        let (both, one, other) = (&frames[..], &frames[..1], &[other_bytes][..]);
        let verified = [(1, both, both), (2, one, both), (3, one, other)].map(|(name, indexed, stored)| {
            let ((entry, _), (_, sealed)) = (seal(name, indexed), seal(name, stored));
            access.gate.put(&sealed, 0).unwrap();
            let verified = PackSource::new(&access).verify(&entry, &mut Decompressor::new().unwrap());
            verified.map_err(|error| error.is_damage())
        });
        assert_eq!(verified, [Ok(16_384), Err(true), Err(true)]);
    }

    fn pack() -> Arc<Pack> {
        let length = u32::try_from(OBJECT_BYTES_MAX).unwrap_or(u32::MAX);
        let (kind, uncommitted) = ("files".to_owned(), Vec::new());
        Arc::new(Pack::new(PackRow { id: [1; 16], length, epoch: 0, kind, uncommitted }))
    }

    #[test]
    fn what_a_piece_needs_stays_whatever_else_comes_and_what_nobody_needs_makes_no_crowd() {
        let mut packs = Packs::new(3 * OBJECT_BYTES_MAX);
        let needed = pack();
        packs.add(0, Arc::clone(&needed));
        (1..6).for_each(|number| packs.add(number, pack()));
        let there: Vec<u64> = (0..6).filter(|number| packs.get(*number).is_some()).collect();
        assert_eq!(there, [0, 4, 5]);
        assert!(!packs.is_crowded());

        let also_needed = (packs.get(4), packs.get(5));
        assert!(packs.is_crowded() && !packs.is_over());
        let new = pack();
        packs.add(6, Arc::clone(&new));
        let there: Vec<u64> = (0..7).filter(|number| packs.get(*number).is_some()).collect();
        assert_eq!(there, [0, 4, 5, 6]);
        assert!(packs.is_over());

        drop((needed, also_needed, new));
        assert!(!packs.is_crowded());
        packs.add(7, pack());
        assert_eq!(packs.packs.len(), 3);
    }
}
