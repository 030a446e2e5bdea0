//! Content: chunks, their ids, packs and the index. Pure: bytes in, bytes out.

mod chunk;
mod chunker;

pub use chunk::ChunkId;
pub use chunker::{Chunker, MEDIA_PIECE_BYTES, media_piece};
