//! Content: chunks, their ids, packs and the index. Pure: bytes in, bytes out.

mod chunk;

pub use chunk::ChunkId;
