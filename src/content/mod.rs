//! Content: chunks, their ids, packs and the index.
//!
//! Pure: bytes in, bytes out. A chunk is given out only after its id was computed again from its bytes.

mod chunk;
mod chunker;
mod frame;
mod index;
mod pack;
mod packer;

pub use chunk::{ChunkEntry, ChunkId, Compressor, StoredFrame};
pub(crate) use chunker::Candidates;
pub use chunker::{Chunker, MEDIA_PIECE_BYTES, media_piece};
pub use frame::{ChunkSlot, Decompressor, Frame, decode_chunk, kept_chunk, slots_of};
pub use index::IndexFragment;
pub use pack::{PackBuilder, PackEntry, PackSealing, open_pack, pack_context, read_directory};
pub use packer::{Packer, Shelf};
