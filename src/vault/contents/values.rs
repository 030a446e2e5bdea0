//! Values: short ones lie in the tree, longer ones are chunks, very long ones lists of chunks (FORMAT F-24).

use std::{borrow::Cow, io::Read};

use prost::Message as _;

use super::{
    ChunkMaker, ContentReader, ContentWriter, MadeChunk, Packing, Piece,
    cutting::{Block, Cutting},
};
use crate::{
    Error, Part, Result,
    content::{ChunkId, Chunker, Decompressor, MEDIA_PIECE_BYTES},
    kinds::looks_incompressible,
    limits::{CHUNK_BYTES_MAX, CHUNK_LIST_LEVELS_MAX, CHUNK_LIST_MAX, INLINE_BYTES_MAX, RECORD_BYTES_MAX},
    vault::crew::{Later, Line},
    wire::{decode_lenient, messages},
};

const ID_BYTES: usize = 32;
/// Chunk ids that may lie in the tree itself.
const DIRECT_IDS_MAX: usize = 64;

/// As many hands have enough else to do while one thread searches a long file for its cuts, a quarter of the work.
const IN_TURN_HANDS: usize = 3;

/// How a value is cut and whether its chunks are compressed.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    /// Pieces of one length: what is written once and never edited.
    Fixed,
    /// Where the content says so: what changes in the middle.
    ByContent,
}

/// Whether chunks are compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compress {
    Never,
    Always,
    /// Those of which a sample says that it helps.
    Sampled,
}

impl Compress {
    /// Always or never.
    pub(crate) fn all(compress: bool) -> Self {
        if compress { Self::Always } else { Self::Never }
    }

    fn packing(self, chunk: &[u8]) -> Packing {
        match self {
            Self::Never => Packing::AsItIs,
            Self::Sampled if looks_incompressible(chunk) => Packing::AsItIs,
            Self::Always | Self::Sampled => Packing::Compressed,
        }
    }
}

/// Reads everything from `source` and stores it. The caller's thread reads, the hands do the rest.
pub(crate) fn write_content(
    writer: &ContentWriter<'_>,
    source: &mut dyn Read,
    cut: Cut,
    compress: Compress,
) -> Result<messages::Content> {
    let mut buffer = Buffer::default();
    buffer.fill(source, INLINE_BYTES_MAX + 1, INLINE_BYTES_MAX + 1)?;
    if buffer.bytes.len() <= INLINE_BYTES_MAX {
        let length = length_of(&buffer.bytes)?;
        return Ok(messages::Content { length, inline: buffer.bytes, ..Default::default() });
    }
    let mut chunks = Chunks::new(writer, compress);
    match cut {
        Cut::Fixed => chunks.add_all(|| buffer.next_piece(source))?,
        Cut::ByContent if writer.hands() > 0 => {
            let chunker = writer.chunker();
            let in_turn = chunker.is_fast() && writer.hands() <= IN_TURN_HANDS;
            let search = |maker: &ChunkMaker, block: Block| Ok(block.search(maker.chunker()));
            let give = |block: Block| {
                if in_turn {
                    writer.give_in_turn(move |maker| search(maker, block))
                } else {
                    writer.give_first(move |maker, _| search(maker, block))
                }
            };
            let mut source = buffer.bytes.as_slice().chain(source);
            let mut cutting = Cutting::new(&mut source, (chunker, in_turn), &give);
            chunks.add_all(|| cutting.next_chunk())?;
        }
        Cut::ByContent => {
            buffer.move_to(writer.lend_ahead());
            while let Some(chunk) = buffer.next_chunk(source, writer.chunker())? {
                chunks.add_here(chunk)?;
            }
            writer.return_ahead(buffer.bytes);
        }
    }
    let length = chunks.length;
    let (list_level, ids) = write_lists(writer, chunks.finish()?)?;
    Ok(messages::Content { length, inline: Vec::new(), list_level, chunks: concat(&ids) })
}

/// A chunk, its bytes, and what was noted when it was given away.
type Made = (MadeChunk, usize, u64);

/// A value's chunks, which the hands name and compress.
struct Chunks<'w, 'a> {
    writer: &'w ContentWriter<'a>,
    coming: Line<Made>,
    /// Of those that are coming.
    bytes: usize,
    ids: Vec<ChunkId>,
    /// Of all chunks.
    length: u64,
    compress: Compress,
}

impl<'w, 'a> Chunks<'w, 'a> {
    fn new(writer: &'w ContentWriter<'a>, compress: Compress) -> Self {
        Self { writer, coming: Line::new(usize::MAX), bytes: 0, ids: Vec::new(), length: 0, compress }
    }

    fn add_all(&mut self, mut next: impl FnMut() -> Result<Option<Vec<u8>>>) -> Result<()> {
        while let Some(chunk) = next()? {
            self.length += length_of(&chunk)?;
            self.add(chunk)?;
        }
        Ok(())
    }

    fn add(&mut self, chunk: Vec<u8>) -> Result<()> {
        /// What the hands and the caller's thread may each have before them; at least one chunk, whatever its length.
        const BYTES_EACH: usize = 1024 * 1024;
        let bytes_max = BYTES_EACH * (self.writer.hands() + 1);
        let (bytes, noted, compress) = (chunk.len(), self.writer.noted(), self.compress);
        let made = self.writer.give_first(move |maker, tools| {
            let packing = compress.packing(&chunk);
            Ok((maker.make(chunk, packing, tools)?, bytes, noted))
        })?;
        self.coming.push(made);
        self.bytes += bytes;
        loop {
            let is_much = self.bytes > bytes_max && self.coming.len() > 1;
            let due = if is_much { self.coming.next() } else { self.coming.next_due() };
            let Some(made) = due else { return Ok(()) };
            self.put(made?)?;
        }
    }

    /// Stores a chunk at once, on the caller's thread, from where it lies.
    fn add_here(&mut self, chunk: &[u8]) -> Result<()> {
        self.length += length_of(chunk)?;
        let (noted, packing) = (self.writer.noted(), self.compress.packing(chunk));
        let made = self.writer.here(|maker, tools| maker.make(chunk, packing, tools))?;
        self.ids.push(self.writer.put_made(made, noted)?);
        Ok(())
    }

    fn put(&mut self, (made, bytes, noted): Made) -> Result<()> {
        self.bytes -= bytes;
        self.ids.push(self.writer.put_made(made, noted)?);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<ChunkId>> {
        while let Some(made) = self.coming.next() {
            self.put(made?)?;
        }
        Ok(self.ids)
    }
}

/// Turns too many ids into lists of ids, as often as it takes.
fn write_lists(writer: &ContentWriter<'_>, mut ids: Vec<ChunkId>) -> Result<(u32, Vec<ChunkId>)> {
    let mut level = 0;
    while ids.len() > DIRECT_IDS_MAX {
        ids = ids
            .chunks(CHUNK_LIST_MAX)
            .map(|list| writer.put_chunk(concat(list), false))
            .collect::<Result<_>>()?;
        level += 1;
    }
    Ok((level, ids))
}

fn concat(ids: &[ChunkId]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.0).collect()
}

fn length_of(bytes: &[u8]) -> Result<u64> {
    u64::try_from(bytes.len()).map_err(|_| Error::Internal("length"))
}

/// Bytes read ahead, from the start of the next chunk on.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    ended: bool,
}

impl Buffer {
    /// Goes on in `memory`, whose bytes go.
    fn move_to(&mut self, mut memory: Vec<u8>) {
        memory.clear();
        memory.extend_from_slice(&self.bytes);
        self.bytes = memory;
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Makes sure that `wanted` bytes are there if the source has them. Reads on up to `room`, so that what is
    /// left over is moved to the front only now and then.
    fn fill(&mut self, source: &mut dyn Read, wanted: usize, room: usize) -> Result<()> {
        if self.ended || self.rest().len() >= wanted {
            return Ok(());
        }
        self.bytes.drain(..self.start);
        self.start = 0;
        let missing = room - self.bytes.len();
        self.bytes.reserve_exact(missing);
        let limit = u64::try_from(missing).map_err(|_| Error::Internal("length"))?;
        let read =
            source.take(limit).read_to_end(&mut self.bytes).map_err(Error::io("reading the source"))?;
        self.ended = read < missing;
        Ok(())
    }

    fn next_piece(&mut self, source: &mut dyn Read) -> Result<Option<Vec<u8>>> {
        self.fill(source, MEDIA_PIECE_BYTES, MEDIA_PIECE_BYTES)?;
        let length = MEDIA_PIECE_BYTES.min(self.rest().len());
        if length > 0 && self.start == 0 && length == self.bytes.len() {
            return Ok(Some(std::mem::take(&mut self.bytes)));
        }
        Ok(self.take(length).map(<[u8]>::to_vec))
    }

    fn next_chunk(&mut self, source: &mut dyn Read, chunker: &Chunker) -> Result<Option<&[u8]>> {
        self.fill(source, CHUNK_BYTES_MAX, self.bytes.capacity().max(CHUNK_BYTES_MAX))?;
        let rest = self.rest();
        let length = chunker.next_cut(rest, self.ended).unwrap_or(rest.len());
        Ok(self.take(length))
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let start = self.start;
        self.start += length;
        self.bytes.get(start..self.start).filter(|chunk| !chunk.is_empty())
    }
}

/// Gives a value's bytes, piece by piece.
pub(crate) struct ValueReader<'r, 'a> {
    reader: &'r ContentReader<'a>,
    inline: Option<Vec<u8>>,
    /// Ids still to read with their list level, last first.
    open: Vec<(u32, ChunkId)>,
    /// Pieces that are being read.
    coming: Line<Vec<u8>>,
    left: u64,
}

impl<'r, 'a> ValueReader<'r, 'a> {
    pub(crate) fn new(reader: &'r ContentReader<'a>, content: &messages::Content) -> Result<Self> {
        let (inline, open) = parts_of(content)?;
        let inline = Some(inline.to_vec()).filter(|bytes| !bytes.is_empty());
        let coming = Line::new(reader.hands());
        Ok(Self { reader, inline, open, coming, left: content.length })
    }

    /// The next bytes; `None` at the end, which is an error unless all declared bytes came.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if let Some(bytes) = self.inline.take() {
            return self.count(bytes).map(Some);
        }
        while let Some((level, id)) = self.open.pop() {
            if let Some(below) = level.checked_sub(1) {
                self.open.extend(list_of(self.reader, below, id)?);
            } else if self.reader.hands() == 0 {
                return self.reader.chunk(id).and_then(|bytes| self.count(bytes)).map(Some);
            } else {
                self.coming.push(self.ask(id));
                if self.coming.is_full() || self.reader.is_crowded() {
                    break;
                }
            }
        }
        match self.coming.next() {
            Some(bytes) => bytes.and_then(|bytes| self.count(bytes)).map(Some),
            None if self.left == 0 => Ok(None),
            None => Err(Error::damaged(Part::Record)),
        }
    }

    /// Lets the hands read a chunk.
    fn ask(&self, id: ChunkId) -> Later<Vec<u8>> {
        let asked = self.reader.piece(id).and_then(|piece| {
            self.reader.open_ahead(&piece);
            self.reader.give(move |tools| piece.bytes(&mut tools.decompressor))
        });
        asked.unwrap_or_else(|error| Later::Here(Err(error)))
    }

    /// Everything at once, at most `limit` bytes.
    pub(crate) fn read_all(mut self, limit: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next()? {
            if all.len() + bytes.len() > limit {
                return Err(Error::damaged(Part::Record));
            }
            all.extend(bytes);
        }
        Ok(all)
    }

    fn count(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let left = self.left.checked_sub(length_of(&bytes)?);
        self.left = left.ok_or(Error::damaged(Part::Record))?;
        Ok(bytes)
    }
}

/// Ids with their list level, last first.
pub(super) type Ids = Vec<(u32, ChunkId)>;

/// What a content says about its bytes: those that lie in it, and the ids of the others.
pub(super) fn parts_of(content: &messages::Content) -> Result<(&[u8], Ids)> {
    let messages::Content { length: _, inline, list_level, chunks } = content;
    let damaged = || Error::damaged(Part::Record);
    if *list_level > CHUNK_LIST_LEVELS_MAX || (!inline.is_empty() && !chunks.is_empty()) {
        return Err(damaged());
    }
    Ok((inline, split_ids(*list_level, chunks).ok_or_else(damaged)?))
}

/// The ids of a list that is a chunk itself, last first.
pub(super) fn list_of(reader: &ContentReader<'_>, level: u32, list: ChunkId) -> Result<Ids> {
    let ids = split_ids(level, &reader.chunk(list)?).filter(|ids| ids.len() <= CHUNK_LIST_MAX);
    ids.ok_or(Error::damaged(Part::Record))
}

/// A short value, to be read by whichever thread.
pub(crate) struct Parcel {
    content: messages::Content,
    pieces: Vec<Piece>,
}

impl Parcel {
    /// Whether a value has so few pieces that they may all be held.
    pub(crate) fn suits(content: &messages::Content) -> bool {
        const PIECES_MAX: usize = 8;
        content.list_level == 0 && content.chunks.len() <= PIECES_MAX * ID_BYTES
    }

    /// The pieces of a value that suits; none where they lie in more packs than there is memory for.
    pub(crate) fn of(reader: &ContentReader<'_>, content: &messages::Content) -> Result<Option<Self>> {
        /// Neighbours lie in as many as are written to at a time.
        const PACKS: usize = 2;
        let (_, ids) = parts_of(content)?;
        let mut pieces: Vec<Piece> = Vec::with_capacity(ids.len());
        let mut packs = 0;
        for (_, id) in ids.into_iter().rev() {
            let piece = reader.piece(id)?;
            packs += usize::from(!pieces.iter().any(|other| other.is_beside(&piece)));
            pieces.push(piece);
            if (packs > PACKS && reader.is_crowded()) || (packs > 1 && reader.is_over()) {
                return Ok(None);
            }
        }
        pieces.iter().for_each(|piece| reader.open_ahead(piece));
        Ok(Some(Self { content: content.clone(), pieces }))
    }

    /// What the entry says of the value.
    pub(crate) fn content(&self) -> &messages::Content {
        &self.content
    }

    /// Whether `next` begins in the frame in which this ends.
    pub(crate) fn goes_on_in(&self, next: &Self) -> bool {
        matches!((self.pieces.last(), next.pieces.first()), (Some(last), Some(first)) if last.shares(first))
    }

    /// Hands the value's bytes on, piece by piece.
    pub(crate) fn read<E: From<Error>>(
        &self,
        decompressor: &mut Decompressor,
        mut use_it: impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<u64, E> {
        let Self { content, pieces } = self;
        let mut left = content.length;
        let mut count = |bytes: &[u8]| {
            left = length_of(bytes).ok().and_then(|length| left.checked_sub(length)).ok_or(WRONG_LENGTH)?;
            use_it(bytes)
        };
        if !content.inline.is_empty() {
            count(&content.inline)?;
        }
        for piece in pieces {
            piece.read(decompressor, |bytes| count(&bytes))??;
        }
        if left == 0 { Ok(content.length) } else { Err(WRONG_LENGTH.into()) }
    }
}

const WRONG_LENGTH: Error = Error::Damaged { what: Part::Record };

/// The ids of a list, last first.
fn split_ids(level: u32, chunks: &[u8]) -> Option<Ids> {
    let (ids, rest) = chunks.as_chunks::<ID_BYTES>();
    rest.is_empty().then(|| ids.iter().rev().map(|id| (level, ChunkId(*id))).collect())
}

/// Encodes a record and, for a file, its content as the value of a tree entry.
pub(crate) fn encode_entry(
    writer: &ContentWriter<'_>,
    record: Vec<u8>,
    content: Option<messages::Content>,
    compress: bool,
) -> Result<Vec<u8>> {
    let mut entry = messages::Entry { record, record_content: None, content };
    if entry.record.len() > INLINE_BYTES_MAX {
        let record = std::mem::take(&mut entry.record);
        let stored = write_content(writer, &mut record.as_slice(), Cut::Fixed, Compress::all(compress))?;
        entry.record_content = Some(stored);
    }
    Ok(entry.encode_to_vec())
}

/// Reads the value of a tree entry.
pub(crate) fn decode_entry(value: &[u8]) -> Result<messages::Entry> {
    decode_lenient(value, RECORD_BYTES_MAX, Part::Record)
}

/// Bytes of the content that an entry has (F-53). Asked of every entry that is written: nothing else of it is
/// decoded, and a value that is no entry has whatever size.
pub(super) fn size_of(value: &[u8]) -> u64 {
    /// The part of [`messages::Entry`].
    #[derive(Clone, PartialEq, prost::Message)]
    struct Entry {
        #[prost(message, optional, tag = "3")]
        content: Option<Content>,
    }
    /// The part of [`messages::Content`].
    #[derive(Clone, PartialEq, prost::Message)]
    struct Content {
        #[prost(uint64, tag = "1")]
        length: u64,
    }
    decode_lenient::<Entry>(value, RECORD_BYTES_MAX, Part::Record)
        .ok()
        .and_then(|entry| entry.content)
        .map_or(0, |content| content.length)
}

/// The encoded record of an entry, wherever it lies.
pub(crate) fn record_of<'e>(reader: &ContentReader<'_>, entry: &'e messages::Entry) -> Result<Cow<'e, [u8]>> {
    const RECORD_MAX: usize = 256 * 1024 * 1024;
    match &entry.record_content {
        Some(content) if entry.record.is_empty() => {
            ValueReader::new(reader, content)?.read_all(RECORD_MAX).map(Cow::Owned)
        }
        Some(_) => Err(Error::damaged(Part::Record)),
        None => Ok(Cow::Borrowed(&entry.record)),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn the_size_of_a_value_is_the_length_that_its_entry_tells() {
        let content =
            |length| Some(messages::Content { length, inline: b"inline".to_vec(), ..Default::default() });
        let entries = [
            messages::Entry::default(),
            messages::Entry { record: b"record".to_vec(), ..Default::default() },
            messages::Entry { record_content: content(9), ..Default::default() },
            messages::Entry { record_content: content(9), content: content(6), record: b"record".to_vec() },
            messages::Entry { content: content(u64::MAX), ..Default::default() },
        ];
        // Entries one after the other are one: what comes twice is merged.
        let twice = entries.iter().map(messages::Entry::encode_to_vec).collect::<Vec<_>>().concat();
        for value in entries.iter().map(messages::Entry::encode_to_vec).chain([twice]) {
            let told = decode_entry(&value).unwrap().content.map_or(0, |content| content.length);
            assert_eq!(size_of(&value), told);
        }
        assert_eq!(size_of(&[0xff; 20]), 0);
    }
}
