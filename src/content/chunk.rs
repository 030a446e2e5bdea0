//! A chunk: what names it, and the form in which it goes into a pack.

use std::{borrow::Cow, fmt};

use zstd::zstd_safe::{CParameter, Strategy};

use crate::{
    Error, Part, Result,
    crypto::{Secret, keyed_hash},
    limits::{CHUNK_BYTES_MAX, SHARED_FRAME_BYTES_MAX},
    wire::messages,
};

/// Keyed BLAKE3 of a chunk's plain bytes, under the chunk-id key of its kind. Seen only inside sealed
/// objects (L5, L9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(pub [u8; 32]);

impl ChunkId {
    /// The id of `bytes` under `key`.
    #[must_use]
    pub fn derive(key: &Secret<32>, bytes: &[u8]) -> Self {
        Self(keyed_hash(key, bytes))
    }

    /// Reads 32 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, ..] = self.0;
        write!(f, "ChunkId({a:02x}{b:02x}…)")
    }
}

/// A chunk's line in a directory or index. Offsets follow from the lines before; a line without stored bytes
/// goes on in the frame of the line before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    id: ChunkId,
    stored: u32,
    plain: u32,
}

impl ChunkEntry {
    /// Reads one from the wire.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming `part`.
    pub fn from_wire(wire: &messages::ChunkEntry, part: Part) -> Result<Self> {
        let messages::ChunkEntry { id, stored_length, plain_length } = wire;
        let id = ChunkId::from_slice(id).ok_or(Error::damaged(part))?;
        let max = u32::try_from(CHUNK_BYTES_MAX).unwrap_or(u32::MAX);
        let fits = *stored_length <= max && *plain_length <= max && *stored_length + *plain_length > 0;
        if fits {
            Ok(Self { id, stored: *stored_length, plain: *plain_length })
        } else {
            Err(Error::damaged(part))
        }
    }

    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> messages::ChunkEntry {
        messages::ChunkEntry { id: self.id.0.to_vec(), stored_length: self.stored, plain_length: self.plain }
    }

    /// The chunk's name.
    #[must_use]
    pub fn id(&self) -> ChunkId {
        self.id
    }

    /// Bytes in the pack; 0 when it goes on in the frame before it.
    #[must_use]
    pub fn stored_length(&self) -> u32 {
        self.stored
    }

    /// Bytes before compression; 0 when stored as it is.
    #[must_use]
    pub fn plain_length(&self) -> u32 {
        self.plain
    }

    /// Whether a frame begins with it.
    #[must_use]
    pub fn begins_frame(&self) -> bool {
        self.stored > 0
    }
}

/// Chunks ready for a pack: one alone, or small ones that were compressed together.
pub struct StoredFrame {
    lines: Vec<ChunkEntry>,
    bytes: Vec<u8>,
}

impl StoredFrame {
    /// A chunk of `plain`, compressed where `compressor` is given and makes it smaller.
    ///
    /// # Errors
    /// [`Error::Internal`] for an empty or too long chunk.
    pub fn encode<'p>(
        id: ChunkId,
        plain: impl Into<Cow<'p, [u8]>>,
        compressor: Option<&mut Compressor>,
    ) -> Result<Self> {
        let plain = plain.into();
        let length = length_of(&plain)?;
        let smaller = compressor.and_then(|compressor| compressor.compress(&plain));
        let (stored, plain_length, bytes) = match smaller {
            Some((bytes, stored)) => (stored, length, bytes),
            None => (length, 0, plain.into_owned()),
        };
        Ok(Self { lines: vec![ChunkEntry { id, stored, plain: plain_length }], bytes })
    }

    /// Several chunks compressed as one; each alone if that makes nothing smaller.
    ///
    /// # Errors
    /// [`Error::Internal`] for an empty or too long chunk, or too many bytes.
    pub fn encode_together(
        chunks: Vec<(ChunkId, Vec<u8>)>,
        compressor: &mut Compressor,
    ) -> Result<Vec<Self>> {
        let mut lines = chunks
            .iter()
            .map(|(id, plain)| Ok(ChunkEntry { id: *id, stored: 0, plain: length_of(plain)? }))
            .collect::<Result<Vec<_>>>()?;
        let smaller = compressor.compress_together(chunks.iter().map(|(_, plain)| plain.as_slice()))?;
        match (smaller, lines.first_mut()) {
            (Some((bytes, stored)), Some(first)) => {
                first.stored = stored;
                Ok(vec![Self { lines, bytes }])
            }
            _ => chunks.into_iter().map(|(id, plain)| Self::encode(id, plain, Some(compressor))).collect(),
        }
    }

    /// Its lines in the directory.
    #[must_use]
    pub fn lines(&self) -> &[ChunkEntry] {
        &self.lines
    }

    /// The bytes that lie in the pack.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn length_of(plain: &[u8]) -> Result<u32> {
    let fits = (1..=CHUNK_BYTES_MAX).contains(&plain.len());
    u32::try_from(plain.len()).ok().filter(|_| fits).ok_or(Error::Internal("chunk length"))
}

/// A zstd context that is kept from frame to frame; nothing else is (L6).
pub struct Compressor {
    context: zstd::bulk::Compressor<'static>,
    /// Has room for the worst case, so that what is kept takes no more than it has to.
    scratch: Vec<u8>,
    /// Chunks one after the other.
    joined: Vec<u8>,
}

impl Compressor {
    /// A context for the house's one level: level 3 with tables of 192 KiB, which stay in a processor's second
    /// cache, a phone's too, and matches of six bytes. Larger tables or shorter matches take longer and hardly make
    /// source code or notes smaller; one table in place of two is quicker, and makes them larger.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be made.
    pub fn new() -> Result<Self> {
        const LEVEL: i32 = 3;
        const TABLES: [CParameter; 4] = [
            CParameter::Strategy(Strategy::ZSTD_dfast),
            CParameter::HashLog(15),
            CParameter::ChainLog(14),
            CParameter::MinMatch(6),
        ];
        let failed = |_| Error::Internal("zstd context");
        let mut context = zstd::bulk::Compressor::new(LEVEL).map_err(failed)?;
        TABLES.into_iter().try_for_each(|table| context.set_parameter(table)).map_err(failed)?;
        Ok(Self { context, scratch: Vec::new(), joined: Vec::new() })
    }

    /// The smaller form, if there is one.
    fn compress(&mut self, plain: &[u8]) -> Option<(Vec<u8>, u32)> {
        /// Longer room is given away with what was written into it: kept by every hand it would take more
        /// memory than all chunks on their way.
        const KEPT_BYTES: usize = 1024 * 1024;
        self.scratch.clear();
        self.scratch.reserve_exact(zstd::zstd_safe::compress_bound(plain.len()));
        let length = self.context.compress_to_buffer(plain, &mut self.scratch).ok()?;
        let stored = u32::try_from(length).ok()?;
        if length >= plain.len() {
            return None;
        }
        if self.scratch.capacity() <= KEPT_BYTES {
            return Some((self.scratch.clone(), stored));
        }
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.shrink_to_fit();
        Some((bytes, stored))
    }

    /// The smaller form of all of them.
    fn compress_together<'c>(
        &mut self,
        chunks: impl Iterator<Item = &'c [u8]>,
    ) -> Result<Option<(Vec<u8>, u32)>> {
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        joined.reserve_exact(SHARED_FRAME_BYTES_MAX);
        chunks.for_each(|chunk| joined.extend_from_slice(chunk));
        if joined.len() > SHARED_FRAME_BYTES_MAX {
            return Err(Error::Internal("frame length"));
        }
        let smaller = self.compress(&joined);
        self.joined = joined;
        Ok(smaller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{
        Decompressor, decode_chunk,
        frame::{are_frames, slots_of},
    };

    fn key() -> Secret<32> {
        Secret::take(&mut [3; 32])
    }

    fn decompressor() -> Decompressor {
        Decompressor::new().unwrap()
    }

    fn encoded(plain: &[u8]) -> StoredFrame {
        let mut compressor = Compressor::new().unwrap();
        StoredFrame::encode(ChunkId::derive(&key(), plain), plain.to_vec(), Some(&mut compressor)).unwrap()
    }

    fn together(chunks: &[Vec<u8>]) -> Vec<StoredFrame> {
        let named = chunks.iter().map(|plain| (ChunkId::derive(&key(), plain), plain.clone()));
        StoredFrame::encode_together(named.collect(), &mut Compressor::new().unwrap()).unwrap()
    }

    const PACK: [u8; 16] = [9; 16];

    /// All chunks of a frame.
    fn decoded(frame: &StoredFrame) -> Result<Vec<Vec<u8>>> {
        let mut decompressor = decompressor();
        slots_of(frame.lines())
            .map(|slot| {
                Ok(decode_chunk(&key(), (PACK, &slot), frame.bytes(), &mut decompressor)?.into_owned())
            })
            .collect()
    }

    #[test]
    fn chunks_come_back_whether_or_not_they_shrink() {
        let text = b"the same words again and again ".repeat(500);
        let stored = encoded(&text);
        assert!(stored.bytes().len() < text.len() / 10);
        assert_eq!(decoded(&stored).unwrap(), [text]);
        let short = encoded(b"x");
        assert_eq!(short.lines()[0].plain_length(), 0);
        assert_eq!(decoded(&short).unwrap(), [b"x"]);
    }

    #[test]
    fn small_chunks_that_are_compressed_together_take_less_and_come_back_each_alone() {
        let text = |n: u32| format!("number {n}: the same words, not twice in one text; ").into_bytes();
        let chunks: Vec<Vec<u8>> = (0..50).map(text).collect();
        let [frame] = &together(&chunks)[..] else { panic!("one frame") };
        let alone: usize = chunks.iter().map(|plain| encoded(plain).bytes().len()).sum();
        assert!(frame.bytes().len() < alone / 3, "{} of {alone}", frame.bytes().len());
        assert_eq!(decoded(frame).unwrap(), chunks);
        let mut slots: Vec<_> = slots_of(frame.lines()).collect();
        slots.reverse();
        for (slot, plain) in slots.iter().zip(chunks.iter().rev()) {
            let one =
                decode_chunk(&key(), (PACK, slot), frame.bytes(), &mut decompressor()).map(Cow::into_owned);
            assert_eq!(one.unwrap(), *plain);
        }
    }

    #[test]
    fn chunks_that_do_not_shrink_together_stay_alone() {
        let chunks = [b"x".to_vec(), b"yz".to_vec()];
        let frames = together(&chunks);
        assert_eq!(frames.iter().flat_map(|frame| decoded(frame).unwrap()).collect::<Vec<_>>(), chunks);
        assert_eq!(frames.len(), 2);
    }

    #[test]
    fn a_shared_frame_of_another_pack_is_not_taken_for_this_one() {
        let of =
            |text: &str| (0..9).map(|n| format!("{text} {n} ").repeat(9).into_bytes()).collect::<Vec<_>>();
        let (a, b) = (of("first"), of("other"));
        let (one, other) = (together(&a), together(&b));
        let mut decompressor = decompressor();
        for (pack, frames, chunks) in [([1; 16], &one, &a), ([2; 16], &other, &b), ([1; 16], &one, &a)] {
            let slot = slots_of(frames[0].lines()).nth(4).unwrap();
            let plain = decode_chunk(&key(), (pack, &slot), frames[0].bytes(), &mut decompressor).unwrap();
            assert_eq!(*plain, chunks[4]);
        }
    }

    #[test]
    fn attack_r4_a_bomb_stops_at_the_declared_length() {
        let bomb = encoded(&vec![0; CHUNK_BYTES_MAX]);
        let line = bomb.lines()[0];
        for plain in [1000, 65_536, u32::try_from(SHARED_FRAME_BYTES_MAX).unwrap() - 100] {
            let lines = [ChunkEntry { plain, ..line }];
            let shared = [lines[0], ChunkEntry { stored: 0, plain: 100, ..line }];
            for lines in [&lines[..], &shared[..]] {
                let slot = slots_of(lines).next().unwrap();
                assert!(decode_chunk(&key(), (PACK, &slot), bomb.bytes(), &mut decompressor()).is_err());
            }
        }
        let longer = messages::ChunkEntry { plain_length: u32::MAX, ..line.to_wire() };
        assert!(ChunkEntry::from_wire(&longer, Part::Pack).is_err());
    }

    #[test]
    fn a_chunk_that_is_not_the_one_named_is_refused() {
        let (a, b) = (encoded(b"some bytes"), encoded(b"other byte"));
        let slot = slots_of(a.lines()).next().unwrap();
        assert!(decode_chunk(&key(), (PACK, &slot), b.bytes(), &mut decompressor()).is_err());
    }

    #[test]
    fn attack_i2_chunks_of_a_shared_frame_that_change_places_are_refused() {
        let chunks: Vec<Vec<u8>> = (0..9).map(|n| format!("text {n} ").repeat(9).into_bytes()).collect();
        let frame = together(&chunks).remove(0);
        let mut lines = frame.lines().to_vec();
        let (second, third) = (lines[1].id, lines[2].id);
        (lines[1].id, lines[2].id) = (third, second);
        assert!(decoded(&StoredFrame { lines, bytes: frame.bytes }).is_err());
    }

    #[test]
    fn lines_that_make_no_frames_are_refused() {
        let line = |stored, plain| ChunkEntry { id: ChunkId([1; 32]), stored, plain };
        let [max, shared] = [CHUNK_BYTES_MAX, SHARED_FRAME_BYTES_MAX].map(|max| u32::try_from(max).unwrap());
        for lines in [
            vec![],
            vec![line(5, 0), line(5, 9), line(max, 0)],
            vec![line(5, 3), line(0, 3), line(0, 1), line(1, 0)],
            vec![line(5, max)],
            vec![line(5, shared - 1), line(0, 1)],
        ] {
            assert!(are_frames(&lines), "{lines:?}");
        }
        for lines in [
            vec![line(0, 5)],
            vec![line(5, 5)],
            vec![line(5, 0), line(0, 9)],
            vec![line(7, 3), line(0, 3), line(0, 1)],
            vec![line(5, max + 1)],
            vec![line(5, shared), line(0, 1)],
            vec![line(5, 3), line(0, u32::MAX), line(0, u32::MAX)],
        ] {
            assert!(!are_frames(&lines), "{lines:?}");
        }
    }
}
