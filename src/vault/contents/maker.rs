//! Chunks on their way into packs: what the hands make of them.

use std::{borrow::Cow, sync::Arc};

use crate::{
    Result,
    content::{ChunkId, Chunker, Compressor, Shelf, StoredFrame},
    crypto::Secret,
    limits::SHARED_FRAME_BYTES_MAX,
    vault::{crew::Tools, state::Database},
};

/// A shorter chunk shares a frame, or is compressed sooner than a hand is free.
const SHORT_BYTES: usize = 64 * 1024;

/// Bytes from which on a shared frame is full: it never takes more than it may. Whoever wants one chunk unpacks all
/// of it.
const FRAME_BYTES: usize = SHARED_FRAME_BYTES_MAX - SHORT_BYTES;

/// Names a chunk and makes its stored form, on any thread.
pub(crate) struct ChunkMaker {
    database: Arc<Database>,
    id_key: Secret<32>,
    chunker: Chunker,
}

/// How a chunk is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    AsItIs,
    Compressed,
    /// Compressed, and if it is short in one frame with its neighbours: only for what this device never had before
    /// (L6).
    WithOthers,
}

/// A chunk on its way into a pack.
pub(crate) struct MadeChunk {
    pub(super) id: ChunkId,
    pub(super) form: Form,
}

impl MadeChunk {
    pub(crate) fn id(&self) -> ChunkId {
        self.id
    }
}

/// Frames for a shelf, made from so many plain bytes.
pub(super) struct Encoded {
    pub(super) shelf: Shelf,
    pub(super) frames: Vec<StoredFrame>,
    pub(super) plain_bytes: usize,
}

pub(super) enum Form {
    /// It is stored already.
    Known,
    Frame(StoredFrame),
    /// To be compressed with its neighbours.
    Plain(Vec<u8>),
}

/// Small new chunks, up to a full frame. Only a full one is compressed as a whole: what few chunks take together
/// would tell how alike they are (L6).
#[derive(Default)]
pub(super) struct Small {
    chunks: Vec<(ChunkId, Vec<u8>)>,
    pub(super) bytes: usize,
}

impl Small {
    pub(super) fn add(&mut self, id: ChunkId, plain: Vec<u8>) {
        self.bytes += plain.len();
        self.chunks.push((id, plain));
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= FRAME_BYTES
    }

    pub(super) fn holds(&self, id: ChunkId) -> bool {
        self.chunks.iter().any(|(of, _)| *of == id)
    }

    pub(super) fn encode(self, compressor: &mut Compressor) -> Result<Vec<StoredFrame>> {
        if self.is_full() {
            return StoredFrame::encode_together(self.chunks, compressor);
        }
        let alone = |(id, plain)| StoredFrame::encode(id, plain, Some(compressor));
        self.chunks.into_iter().map(alone).collect()
    }
}

impl ChunkMaker {
    pub(super) fn new(database: Arc<Database>, id_key: Secret<32>, chunker: Chunker) -> Self {
        Self { database, id_key, chunker }
    }

    pub(crate) fn chunker(&self) -> &Chunker {
        &self.chunker
    }

    /// Makes it of bytes that are given away, or lent.
    pub(crate) fn make<'p>(
        &self,
        plain: impl Into<Cow<'p, [u8]>>,
        packing: Packing,
        tools: &mut Tools,
    ) -> Result<MadeChunk> {
        let plain = plain.into();
        let compress = packing != Packing::AsItIs;
        let id = ChunkId::derive(&self.id_key, &plain);
        let form = if self.database.stored(id)?.is_some() {
            Form::Known
        } else if packing == Packing::WithOthers && plain.len() < SHORT_BYTES {
            Form::Plain(plain.into_owned())
        } else {
            Form::Frame(StoredFrame::encode(id, plain, compress.then_some(&mut tools.compressor))?)
        };
        Ok(MadeChunk { id, form })
    }
}
