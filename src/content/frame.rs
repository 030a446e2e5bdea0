//! Frames: the stretches of a pack that are unpacked as a whole. Most hold one chunk; small neighbours share one,
//! since compressed together they take less (FORMAT F-22).
//!
//! A chunk is named, found and checked by itself all the same: which frame it lies in says nothing about it.

use std::borrow::Cow;

use super::{ChunkEntry, ChunkId};
use crate::{
    Error, Part, Result,
    crypto::Secret,
    limits::{CHUNK_BYTES_MAX, SHARED_FRAME_BYTES_MAX},
};

/// A stretch of a pack's plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Where it begins.
    pub offset: u32,
    /// Bytes in the pack.
    pub stored: u32,
    /// Bytes once it is unpacked; 0 when stored as it is.
    pub plain: u32,
}

/// Where a chunk lies: a part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSlot {
    /// The chunk's name.
    pub id: ChunkId,
    /// What is unpacked to get it.
    pub frame: Frame,
    /// Where it begins in there.
    pub at: u32,
    /// Its bytes.
    pub length: u32,
}

impl ChunkSlot {
    /// Whether it lies within its frame, and that within what a frame may be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let Frame { offset, stored, plain } = self.frame;
        let bytes = if plain == 0 { stored } else { plain };
        let ends = self.at.checked_add(self.length).is_some_and(|end| end <= bytes);
        let max = if self.is_alone() { CHUNK_BYTES_MAX } else { SHARED_FRAME_BYTES_MAX };
        let fits = |bytes: u32| usize::try_from(bytes).is_ok_and(|bytes| bytes <= max);
        ends && self.length > 0 && fits(stored) && fits(plain) && offset.checked_add(stored).is_some()
    }

    /// Whether it has its frame for itself.
    fn is_alone(&self) -> bool {
        self.at == 0 && (self.frame.plain == 0 || self.frame.plain == self.length)
    }
}

/// The slots of a directory's lines, in order. A line without stored bytes goes on in the frame before it.
pub fn slots_of(lines: &[ChunkEntry]) -> impl Iterator<Item = ChunkSlot> {
    let mut next = 0_u32;
    let mut frame = Frame { offset: 0, stored: 0, plain: 0 };
    let mut at = 0_u32;
    lines.iter().enumerate().map(move |(n, line)| {
        if line.begins_frame() {
            let shared = lines.get(n.saturating_add(1)..).unwrap_or_default().iter();
            let shared = shared.take_while(|line| !line.begins_frame());
            let plain = shared.fold(line.plain_length(), |sum, line| sum.saturating_add(line.plain_length()));
            frame = Frame { offset: next, stored: line.stored_length(), plain };
            next = next.saturating_add(frame.stored);
            at = 0;
        }
        let length = if line.plain_length() == 0 { frame.stored } else { line.plain_length() };
        let slot = ChunkSlot { id: line.id(), frame, at, length };
        at = at.saturating_add(length);
        slot
    })
}

/// Whether lines make frames as the format has them. A line without a length before compression takes the whole
/// frame for itself, so where others go on in there one of them does not lie within it.
pub(super) fn are_frames(lines: &[ChunkEntry]) -> bool {
    lines.first().is_none_or(ChunkEntry::begins_frame)
        && slots_of(lines).all(|slot| {
            let Frame { stored, plain, .. } = slot.frame;
            slot.is_sound() && (plain == 0 || stored < plain)
        })
}

/// A zstd context that is kept from chunk to chunk, and the shared frame that was unpacked last: neighbours are
/// mostly wanted one after the other.
pub struct Decompressor {
    context: zstd::bulk::Decompressor<'static>,
    kept: Option<([u8; 16], Frame)>,
    plain: Vec<u8>,
}

impl Decompressor {
    /// A context.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be made.
    pub fn new() -> Result<Self> {
        let context = zstd::bulk::Decompressor::new().map_err(|_| Error::Internal("zstd context"))?;
        Ok(Self { context, kept: None, plain: Vec::new() })
    }

    /// Keeps no frame: bytes of the same name may come that are not the same.
    pub fn forget(&mut self) {
        self.kept = None;
    }

    fn unpack(&mut self, frame: Frame, stored: &[u8]) -> Result<Vec<u8>> {
        let length = usize::try_from(frame.plain).map_err(|_| DAMAGED)?;
        let plain = self.context.decompress(stored, length).map_err(|_| DAMAGED)?;
        if plain.len() == length { Ok(plain) } else { Err(DAMAGED) }
    }

    /// A frame of the pack `pack`, unpacked now or before.
    fn shared(&mut self, pack: [u8; 16], frame: Frame, stored: &[u8]) -> Result<&[u8]> {
        if self.kept != Some((pack, frame)) {
            self.kept = None;
            self.plain.clear();
            let length = usize::try_from(frame.plain).map_err(|_| DAMAGED)?;
            self.plain.reserve_exact(length);
            let unpacked = self.context.decompress_to_buffer(stored, &mut self.plain);
            if unpacked.ok() != Some(length) {
                return Err(DAMAGED);
            }
            self.kept = Some((pack, frame));
        }
        Ok(&self.plain)
    }
}

const DAMAGED: Error = Error::Damaged { what: Part::Chunk };

/// A chunk's part of its unpacked frame.
fn part_of<'p>(slot: &ChunkSlot, plain: &'p [u8]) -> Option<&'p [u8]> {
    let (at, length) = (usize::try_from(slot.at).ok()?, usize::try_from(slot.length).ok()?);
    plain.get(at..)?.get(..length)
}

/// The plain bytes of a chunk whose frame was unpacked last, if they are the ones named: nothing has to be fetched.
#[must_use]
pub fn kept_chunk(
    id_key: &Secret<32>,
    (pack, slot): ([u8; 16], &ChunkSlot),
    decompressor: &Decompressor,
) -> Option<Vec<u8>> {
    decompressor.kept.filter(|kept| *kept == (pack, slot.frame) && slot.is_sound())?;
    let plain = part_of(slot, &decompressor.plain)?;
    (ChunkId::derive(id_key, plain) == slot.id).then(|| plain.to_vec())
}

/// Gives back the plain bytes of a chunk of the pack `pack` from its frame's `stored` bytes, and checks that they
/// are the ones named (promise 3).
///
/// # Errors
/// [`Error::Damaged`] when they are not, or when they unpack to more or less than the slot says (R4).
pub fn decode_chunk<'s>(
    id_key: &Secret<32>,
    (pack, slot): ([u8; 16], &ChunkSlot),
    stored: &'s [u8],
    decompressor: &'s mut Decompressor,
) -> Result<Cow<'s, [u8]>> {
    if !slot.is_sound() || u32::try_from(stored.len()) != Ok(slot.frame.stored) {
        return Err(DAMAGED);
    }
    let plain = if slot.is_alone() {
        if slot.frame.plain == 0 {
            Cow::Borrowed(stored)
        } else {
            Cow::Owned(decompressor.unpack(slot.frame, stored)?)
        }
    } else if slot.frame.plain == 0 {
        return Err(DAMAGED);
    } else {
        let shared = decompressor.shared(pack, slot.frame, stored)?;
        Cow::Borrowed(part_of(slot, shared).ok_or(DAMAGED)?)
    };
    if ChunkId::derive(id_key, &plain) == slot.id { Ok(plain) } else { Err(DAMAGED) }
}
