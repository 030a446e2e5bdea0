//! Chunks of one kind, between the pure content room, the local database and the gate.

mod compare;
mod cutting;
mod index;
mod maker;
mod packs;
mod reader;
mod shipping;
mod spare;
mod values;
mod writer;

pub(crate) use compare::{has_value, is_value};
pub(crate) use index::{fetch_fragment, load_index, write_index};
pub(crate) use maker::{ChunkMaker, MadeChunk, Packing};
pub(crate) use packs::{PackSource, Piece};
pub(crate) use reader::{ContentReader, KindAccess};
pub(crate) use shipping::adopt_orphans;
pub(crate) use values::{
    Compress, Cut, Parcel, ValueReader, decode_entry, encode_entry, record_of, write_content,
};
pub(crate) use writer::ContentWriter;
