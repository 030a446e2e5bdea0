//! What names a chunk.

use std::fmt;

/// Keyed BLAKE3 of a chunk's plain bytes, under the chunk-id key of its kind. Seen only inside sealed
/// objects (L5, L9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(pub [u8; 32]);

impl ChunkId {
    /// The id of `bytes` under `key`.
    #[must_use]
    pub fn derive(key: &crate::crypto::Secret<32>, bytes: &[u8]) -> Self {
        Self(crate::crypto::keyed_hash(key, bytes))
    }

    /// Reads 32 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkId({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}
