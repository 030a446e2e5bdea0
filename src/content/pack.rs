//! A pack: chunks one after the other, zeros, a directory at the end (FORMAT F-20).
//!
//! The directory lets the index be rebuilt from packs alone. Its length is the last four plaintext bytes.

use bytes::BytesMut;
use prost::Message as _;

use super::{
    ChunkEntry, ChunkId, ChunkSlot, StoredFrame,
    frame::{are_frames, slots_of},
};
use crate::{
    Error, Part, Result,
    crypto::{
        Context, HEADER_BYTES, ObjectKey, ObjectType, OpenPart, Opener, Place, Random, SealBuffer, Sealed,
        SealedPart, Sealing, is_object_length,
    },
    keys::AccountId,
    limits::{OBJECT_BYTES_MAX, PACK_CHUNKS_MAX},
    wire::{decode_strict, messages},
};

/// Plaintext bytes of the longest object.
const CAPACITY: usize = capacity(OBJECT_BYTES_MAX);

/// Plaintext bytes of an object of at least a segment.
const fn capacity(object: usize) -> usize {
    object - HEADER_BYTES - object / 65_536 * 16
}
const TRAILER_BYTES: usize = 4;

/// A pack's line in the index: the object and its chunks in order. It has no hash of the object, which would say no
/// more than the chunks' ids: whoever reads a chunk compares its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackEntry {
    id: [u8; 16],
    length: u32,
    epoch: u32,
    chunks: Vec<ChunkEntry>,
}

impl PackEntry {
    /// Reads one from the wire.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn from_wire(wire: &messages::PackEntry) -> Result<Self> {
        let messages::PackEntry { object, chunks } = wire;
        let chunks = chunks_from_wire(chunks, Part::Index)?;
        let read = object.as_ref().and_then(|object| {
            let messages::ObjectRef { name, length, hash, epoch } = object;
            let id = name.as_slice().try_into().ok()?;
            usize::try_from(*length).ok().filter(|length| is_object_length(*length))?;
            hash.is_empty().then_some(Self { id, length: *length, epoch: *epoch, chunks })
        });
        read.ok_or(Error::damaged(Part::Index))
    }

    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> messages::PackEntry {
        messages::PackEntry {
            object: Some(messages::ObjectRef {
                name: self.id.to_vec(),
                length: self.length,
                hash: Vec::new(),
                epoch: self.epoch,
            }),
            chunks: self.chunks.iter().map(ChunkEntry::to_wire).collect(),
        }
    }

    /// The pack's 16-byte name.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The length of the object in bytes.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.length
    }

    /// The epoch of the key that opens it.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Its chunks, in the order of their bytes.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkSlot> {
        slots_of(&self.chunks)
    }

    /// Its lines in the index.
    #[must_use]
    pub fn lines(&self) -> &[ChunkEntry] {
        &self.chunks
    }
}

/// At most the cap, frames as they may be, and not more bytes than a pack holds.
fn chunks_from_wire(wire: &[messages::ChunkEntry], part: Part) -> Result<Vec<ChunkEntry>> {
    if wire.len() > PACK_CHUNKS_MAX {
        return Err(Error::damaged(part));
    }
    let chunks = wire.iter().map(|chunk| ChunkEntry::from_wire(chunk, part)).collect::<Result<Vec<_>>>()?;
    let total: u64 = chunks.iter().map(|chunk| u64::from(chunk.stored_length())).sum();
    let fits = total <= u64::try_from(CAPACITY).unwrap_or(0) && are_frames(&chunks);
    if fits { Ok(chunks) } else { Err(Error::damaged(part)) }
}

/// A pack being filled.
pub struct PackBuilder {
    buffer: SealBuffer,
    chunks: Vec<ChunkEntry>,
    directory: usize,
    /// Plaintext bytes at most.
    capacity: usize,
}

impl PackBuilder {
    /// Whether `memory` is that of a full pack.
    #[must_use]
    pub fn fits(memory: &BytesMut) -> bool {
        memory.capacity() >= CAPACITY
    }

    /// An empty pack; with its first chunk it takes the memory of a full one.
    #[must_use]
    pub fn new() -> Self {
        Self::reusing(BytesMut::new())
    }

    /// The same in memory that another pack had.
    #[must_use]
    pub fn reusing(memory: BytesMut) -> Self {
        Self { buffer: SealBuffer::reusing(memory), chunks: Vec::new(), directory: 0, capacity: CAPACITY }
    }

    /// An empty pack for an object of at most `object` bytes, one of the ten lengths from 64 KiB up.
    #[must_use]
    pub fn up_to(object: usize) -> Self {
        Self { capacity: capacity(object), ..Self::new() }
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Plaintext bytes that it would take when sealed now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.buffer.plain_length() + self.directory + TRAILER_BYTES
    }

    /// Whether so little room is left that sealing it now wastes next to nothing.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        self.used() > self.capacity - self.capacity / 32
    }

    /// Whether `frame` still fits.
    #[must_use]
    pub fn has_room_for(&self, frame: &StoredFrame) -> bool {
        let lines: usize = frame.lines().iter().map(line_bytes).sum();
        self.chunks.len() + frame.lines().len() <= PACK_CHUNKS_MAX
            && self.used() + frame.bytes().len() + lines <= self.capacity
    }

    /// Appends a frame for which there is room.
    pub fn push(&mut self, frame: &StoredFrame) {
        if self.is_empty() {
            self.buffer.make_room(self.capacity);
        }
        self.buffer.append(frame.bytes());
        self.directory += frame.lines().iter().map(line_bytes).sum::<usize>();
        self.chunks.extend_from_slice(frame.lines());
    }

    /// A chunk that lies in this pack, and the stored bytes of its frame.
    #[must_use]
    pub fn find(&self, id: ChunkId) -> Option<(ChunkSlot, Vec<u8>)> {
        let slot = slots_of(&self.chunks).find(|slot| slot.id == id)?;
        let number = |value| usize::try_from(value).ok();
        Some((slot, self.buffer.read(number(slot.frame.offset)?, number(slot.frame.stored)?)?))
    }

    /// Moves everything into `other`, if it fits there.
    pub fn merge_into(&mut self, other: &mut Self) -> bool {
        let both = self.used() + other.used() - TRAILER_BYTES;
        let Some(bytes) = self.buffer.read(0, self.buffer.plain_length()).filter(|_| both <= CAPACITY) else {
            return false;
        };
        other.buffer.append(&bytes);
        other.directory += self.directory;
        other.chunks.append(&mut self.chunks);
        *self = Self::new();
        true
    }

    /// Seals it under a fresh name.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn seal(
        self,
        key: &ObjectKey,
        account: AccountId,
        epoch: u32,
        kind: &str,
        random: &mut dyn Random,
    ) -> Result<(PackEntry, Sealed)> {
        let (sealing, parts) = self.begin_sealing(key, account, epoch, kind, random)?;
        sealing.join(parts.into_iter().map(OpenPart::seal).collect::<Result<_>>()?)
    }

    /// The same in parts of some half a millisecond, for several threads.
    ///
    /// # Errors
    /// As [`PackBuilder::seal`].
    pub fn begin_sealing(
        self,
        key: &ObjectKey,
        account: AccountId,
        epoch: u32,
        kind: &str,
        random: &mut dyn Random,
    ) -> Result<(PackSealing, Vec<OpenPart>)> {
        const SEGMENTS: usize = 16;
        let wire = messages::PackDirectory { chunks: self.chunks.iter().map(ChunkEntry::to_wire).collect() };
        let directory = wire.encode_to_vec();
        let length = u32::try_from(directory.len()).map_err(|_| Error::Internal("pack directory"))?;
        let trailer = [&directory[..], &length.to_le_bytes()].concat();
        let id = random.bytes()?;
        let context = pack_context(account, epoch, kind, id);
        let (sealing, parts) =
            self.buffer.begin_sealing(key, context, (&directory, &trailer), SEGMENTS, random)?;
        let length = u32::try_from(sealing.length()).map_err(|_| Error::Internal("pack length"))?;
        let entry = PackEntry { id, length, epoch, chunks: self.chunks };
        Ok((PackSealing { sealing, entry }, parts))
    }
}

/// A pack whose parts are being sealed.
#[must_use = "nothing of it leaves before all is sealed"]
pub struct PackSealing {
    sealing: Sealing,
    entry: PackEntry,
}

impl PackSealing {
    /// Joins all its parts, in order.
    ///
    /// # Errors
    /// [`Error::Internal`] for other parts than its own.
    pub fn join(self, parts: Vec<SealedPart>) -> Result<(PackEntry, Sealed)> {
        Ok((self.entry, self.sealing.join(parts)?))
    }
}

impl Default for PackBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// What a pack is bound to.
#[must_use]
pub fn pack_context(account: AccountId, epoch: u32, kind: &str, id: [u8; 16]) -> Context {
    Context::new(account.0, epoch, ObjectType::Pack, kind, Place::Object(id))
}

/// Opens a whole pack from its bytes alone: its plaintext and its directory.
///
/// # Errors
/// [`Error::Damaged`].
pub fn open_pack(key: &ObjectKey, context: &Context, bytes: Vec<u8>) -> Result<(Vec<u8>, Vec<ChunkEntry>)> {
    let length = bytes.len();
    let plain = Opener::new(key, context, &bytes, length)
        .and_then(|o| o.open_all(bytes))
        .map_err(Error::while_opening(Part::Pack))?;
    let chunks = read_directory(&plain)?;
    Ok((plain, chunks))
}

/// Reads the directory at the end of a pack's plaintext.
///
/// # Errors
/// [`Error::Damaged`] when it is not the one valid form, or does not fit the bytes before it.
pub fn read_directory(plain: &[u8]) -> Result<Vec<ChunkEntry>> {
    let damaged = || Error::damaged(Part::Pack);
    let (rest, length) = plain.split_last_chunk::<TRAILER_BYTES>().ok_or_else(damaged)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| damaged())?;
    let start = rest.len().checked_sub(length).ok_or_else(damaged)?;
    let (content, directory) = rest.split_at(start);
    let wire: messages::PackDirectory = decode_strict(directory, length, Part::Pack)?;
    let chunks = chunks_from_wire(&wire.chunks, Part::Pack)?;
    let used: usize = chunks.iter().filter_map(|c| usize::try_from(c.stored_length()).ok()).sum();
    let padding = content.get(used..).ok_or_else(damaged)?;
    if padding.iter().any(|byte| *byte != 0) { Err(damaged()) } else { Ok(chunks) }
}

/// Bytes of one line of the directory.
fn line_bytes(entry: &ChunkEntry) -> usize {
    let length = entry.to_wire().encoded_len();
    length + 1 + prost::length_delimiter_len(length)
}
