//! Values: short ones lie in the tree, longer ones are chunks, very long ones lists of chunks (FORMAT F-24).

use std::io::Read;

use prost::Message as _;

use super::{ContentReader, ContentWriter};
use crate::{
    Error, Part, Result,
    content::{ChunkId, Chunker, MEDIA_PIECE_BYTES},
    limits::{CHUNK_BYTES_MAX, CHUNK_LIST_LEVELS_MAX, CHUNK_LIST_MAX, INLINE_BYTES_MAX, RECORD_BYTES_MAX},
    wire::{decode_lenient, messages},
};

const ID_BYTES: usize = 32;
/// Chunk ids that may lie in the tree itself.
const DIRECT_IDS_MAX: usize = 64;

/// How a value is cut and whether its chunks are compressed.
#[derive(Clone, Copy)]
pub(crate) enum Cut<'a> {
    /// Pieces of one length: what is written once and never edited.
    Fixed,
    /// Where the content says so: what changes in the middle.
    ByContent(&'a Chunker),
}

/// Reads everything from `source` and stores it. `compress` is asked for each chunk.
pub(crate) fn write_content(
    writer: &ContentWriter<'_>,
    source: &mut dyn Read,
    cut: Cut<'_>,
    compress: &dyn Fn(&[u8]) -> bool,
) -> Result<messages::Content> {
    let mut buffer = Buffer { bytes: Vec::new(), ended: false };
    buffer.fill(source, INLINE_BYTES_MAX + 1)?;
    if buffer.bytes.len() <= INLINE_BYTES_MAX {
        let length = length_of(&buffer.bytes)?;
        return Ok(messages::Content { length, inline: buffer.bytes, ..Default::default() });
    }
    let mut ids = Vec::new();
    let mut length = 0;
    while let Some(chunk) = buffer.next_chunk(source, cut)? {
        length += length_of(&chunk)?;
        let compressed = compress(&chunk);
        ids.push(writer.put_chunk(chunk, compressed)?);
    }
    let (list_level, ids) = write_lists(writer, ids)?;
    Ok(messages::Content { length, inline: Vec::new(), list_level, chunks: concat(&ids) })
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
struct Buffer {
    bytes: Vec<u8>,
    ended: bool,
}

impl Buffer {
    fn fill(&mut self, source: &mut dyn Read, wanted: usize) -> Result<()> {
        let missing = wanted.saturating_sub(self.bytes.len());
        if missing > 0 && !self.ended {
            let limit = u64::try_from(missing).map_err(|_| Error::Internal("length"))?;
            let read =
                source.take(limit).read_to_end(&mut self.bytes).map_err(Error::io("reading the source"))?;
            self.ended = read < missing;
        }
        Ok(())
    }

    fn next_chunk(&mut self, source: &mut dyn Read, cut: Cut<'_>) -> Result<Option<Vec<u8>>> {
        let length = match cut {
            Cut::Fixed => {
                self.fill(source, MEDIA_PIECE_BYTES)?;
                MEDIA_PIECE_BYTES.min(self.bytes.len())
            }
            Cut::ByContent(chunker) => {
                self.fill(source, CHUNK_BYTES_MAX)?;
                chunker.next_cut(&self.bytes, self.ended).unwrap_or(self.bytes.len())
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let rest = self.bytes.split_off(length.min(self.bytes.len()));
        Ok(Some(std::mem::replace(&mut self.bytes, rest)))
    }
}

/// Gives a value's bytes, piece by piece.
pub(crate) struct ValueReader<'r, 'a> {
    reader: &'r ContentReader<'a>,
    inline: Option<Vec<u8>>,
    /// Ids still to read with their list level, last first.
    open: Vec<(u32, ChunkId)>,
    left: u64,
}

impl<'r, 'a> ValueReader<'r, 'a> {
    pub(crate) fn new(reader: &'r ContentReader<'a>, content: &messages::Content) -> Result<Self> {
        let messages::Content { length, inline, list_level, chunks } = content;
        let damaged = || Error::damaged(Part::Record);
        if *list_level > CHUNK_LIST_LEVELS_MAX || (!inline.is_empty() && !chunks.is_empty()) {
            return Err(damaged());
        }
        let open = split_ids(*list_level, chunks).ok_or_else(damaged)?;
        let inline = Some(inline.clone()).filter(|bytes| !bytes.is_empty());
        Ok(Self { reader, inline, open, left: *length })
    }

    /// The next bytes; `None` at the end, which is an error unless all declared bytes came.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if let Some(bytes) = self.inline.take() {
            return self.count(bytes).map(Some);
        }
        while let Some((level, id)) = self.open.pop() {
            let bytes = self.reader.chunk(id)?;
            let Some(below) = level.checked_sub(1) else { return self.count(bytes).map(Some) };
            let ids = split_ids(below, &bytes).filter(|ids| ids.len() <= CHUNK_LIST_MAX);
            self.open.extend(ids.ok_or(Error::damaged(Part::Record))?);
        }
        if self.left == 0 { Ok(None) } else { Err(Error::damaged(Part::Record)) }
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

/// The ids of a list, last first.
fn split_ids(level: u32, chunks: &[u8]) -> Option<Vec<(u32, ChunkId)>> {
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
        let stored = write_content(writer, &mut record.as_slice(), Cut::Fixed, &|_| compress)?;
        entry.record_content = Some(stored);
    }
    Ok(entry.encode_to_vec())
}

/// Reads the value of a tree entry.
pub(crate) fn decode_entry(value: &[u8]) -> Result<messages::Entry> {
    decode_lenient(value, RECORD_BYTES_MAX, Part::Record)
}

/// The encoded record of an entry, wherever it lies.
pub(crate) fn record_of(reader: &ContentReader<'_>, entry: &messages::Entry) -> Result<Vec<u8>> {
    const RECORD_MAX: usize = 256 * 1024 * 1024;
    match &entry.record_content {
        Some(content) if entry.record.is_empty() => ValueReader::new(reader, content)?.read_all(RECORD_MAX),
        Some(_) => Err(Error::damaged(Part::Record)),
        None => Ok(entry.record.clone()),
    }
}
