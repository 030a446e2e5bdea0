//! A chunk: what names it, and the form in which it lies in a pack.

use std::{borrow::Cow, fmt};

use crate::{
    Error, Part, Result,
    crypto::{Secret, keyed_hash},
    limits::CHUNK_BYTES_MAX,
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

/// A chunk's line in a directory or index. Offsets follow from the lines before.
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
        let fits = (1..=max).contains(stored_length)
            && (*plain_length == 0 || (*stored_length < *plain_length && *plain_length <= max));
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

    /// Bytes in the pack.
    #[must_use]
    pub fn stored_length(&self) -> u32 {
        self.stored
    }

    /// Bytes before compression; 0 when stored as it is.
    #[must_use]
    pub fn compressed_from(&self) -> u32 {
        self.plain
    }
}

/// A chunk ready for a pack.
pub struct StoredChunk {
    entry: ChunkEntry,
    bytes: Vec<u8>,
}

impl StoredChunk {
    /// A chunk of `plain`, compressed where `compressor` is given and makes it smaller.
    ///
    /// # Errors
    /// [`Error::Internal`] for an empty or too long chunk.
    pub fn encode(id: ChunkId, plain: Vec<u8>, compressor: Option<&mut Compressor>) -> Result<Self> {
        let length = u32::try_from(plain.len()).map_err(|_| Error::Internal("chunk length"))?;
        if plain.is_empty() || plain.len() > CHUNK_BYTES_MAX {
            return Err(Error::Internal("chunk length"));
        }
        let smaller = compressor.and_then(|compressor| compressor.compress(&plain));
        Ok(match smaller {
            Some((bytes, stored)) => Self { entry: ChunkEntry { id, stored, plain: length }, bytes },
            None => Self { entry: ChunkEntry { id, stored: length, plain: 0 }, bytes: plain },
        })
    }

    /// Its line in the directory.
    #[must_use]
    pub fn entry(&self) -> &ChunkEntry {
        &self.entry
    }

    /// The bytes that lie in the pack.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A zstd context that is kept from chunk to chunk; nothing else is (L6).
pub struct Compressor {
    context: zstd::bulk::Compressor<'static>,
    /// Has room for the worst case, so that what is kept takes no more than it has to.
    scratch: Vec<u8>,
}

impl Compressor {
    /// A context for the house's one level.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be made.
    pub fn new() -> Result<Self> {
        const LEVEL: i32 = 3;
        let context = zstd::bulk::Compressor::new(LEVEL).map_err(|_| Error::Internal("zstd context"))?;
        Ok(Self { context, scratch: Vec::new() })
    }

    /// The smaller form, if there is one.
    fn compress(&mut self, plain: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.scratch.clear();
        self.scratch.reserve_exact(zstd::zstd_safe::compress_bound(plain.len()));
        let length = self.context.compress_to_buffer(plain, &mut self.scratch).ok()?;
        let stored = u32::try_from(length).ok()?;
        (length < plain.len()).then(|| (self.scratch.clone(), stored))
    }
}

/// A zstd context for the other way, kept from chunk to chunk.
pub struct Decompressor(zstd::bulk::Decompressor<'static>);

impl Decompressor {
    /// A context.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be made.
    pub fn new() -> Result<Self> {
        zstd::bulk::Decompressor::new().map(Self).map_err(|_| Error::Internal("zstd context"))
    }
}

/// Gives back the plain bytes of a stored chunk and checks that they are the ones named (promise 3).
///
/// # Errors
/// [`Error::Damaged`] when they are not, or when they unpack to more or less than the entry says (R4).
pub fn decode_chunk<'s>(
    id_key: &Secret<32>,
    entry: &ChunkEntry,
    stored: &'s [u8],
    decompressor: &mut Decompressor,
) -> Result<Cow<'s, [u8]>> {
    let damaged = || Error::damaged(Part::Chunk);
    let plain = match usize::try_from(entry.plain) {
        Ok(0) => Cow::Borrowed(stored),
        Ok(length) => Cow::Owned(decompressor.0.decompress(stored, length).map_err(|_| damaged())?),
        Err(_) => return Err(damaged()),
    };
    let length_fits = entry.plain == 0 || u32::try_from(plain.len()) == Ok(entry.plain);
    if length_fits && ChunkId::derive(id_key, &plain) == entry.id { Ok(plain) } else { Err(damaged()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Secret<32> {
        Secret::take(&mut [3; 32])
    }

    fn decompressor() -> Decompressor {
        Decompressor::new().unwrap()
    }

    fn encoded(plain: &[u8]) -> StoredChunk {
        let mut compressor = Compressor::new().unwrap();
        StoredChunk::encode(ChunkId::derive(&key(), plain), plain.to_vec(), Some(&mut compressor)).unwrap()
    }

    #[test]
    fn chunks_come_back_whether_or_not_they_shrink() {
        let text = b"the same words again and again ".repeat(500);
        let stored = encoded(&text);
        assert!(stored.bytes().len() < text.len() / 10);
        assert_eq!(decode_chunk(&key(), stored.entry(), stored.bytes(), &mut decompressor()).unwrap(), text);
        let short = encoded(b"x");
        assert_eq!(short.entry().compressed_from(), 0);
        assert_eq!(*decode_chunk(&key(), short.entry(), short.bytes(), &mut decompressor()).unwrap(), *b"x");
    }

    #[test]
    fn attack_r4_a_bomb_stops_at_the_declared_length() {
        let bomb = encoded(&vec![0; CHUNK_BYTES_MAX]);
        for plain in [1000, 65_536, u32::try_from(CHUNK_BYTES_MAX).unwrap() - 1] {
            let lie = ChunkEntry { plain, ..*bomb.entry() };
            assert!(decode_chunk(&key(), &lie, bomb.bytes(), &mut decompressor()).is_err());
        }
        let longer = messages::ChunkEntry { plain_length: u32::MAX, ..bomb.entry().to_wire() };
        assert!(ChunkEntry::from_wire(&longer, Part::Pack).is_err());
    }

    #[test]
    fn a_chunk_that_is_not_the_one_named_is_refused() {
        let a = encoded(b"some bytes");
        let b = encoded(b"other bytes");
        assert!(decode_chunk(&key(), a.entry(), b.bytes(), &mut decompressor()).is_err());
    }
}
