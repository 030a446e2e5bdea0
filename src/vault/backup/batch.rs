//! Entries of a folder that look different, gathered so that the small files among them are read, named and
//! compressed beside the job's thread, many at a time. What they become follows in the order of the walk.

use std::{collections::VecDeque, io::Read as _};

use super::files::{is_picture, taken_from};
use crate::{
    Error, Result,
    content::{ChunkId, Chunker, MEDIA_PIECE_BYTES},
    kinds::{Cutting, Kind, Policy, looks_incompressible},
    limits::{CHUNK_BYTES_MAX, INLINE_BYTES_MAX},
    vault::{
        contents::{ChunkMaker, ContentWriter, MadeChunk, Packing},
        crew::{Later, Tools},
        folder::{EntryType, FileMeta, Opening, SkipReason, SourceFile, SourceItem},
        state::Note,
    },
    wire::messages,
};

/// What to do next: an entry of the folder, or one that is there no more.
pub(super) enum Step {
    Present(Entry),
    Vanished(Vec<u8>, Note),
}

/// An entry of the folder that looks different from what is known of it.
pub(super) struct Entry {
    pub(super) key: Vec<u8>,
    pub(super) item: SourceItem,
    pub(super) note: Option<Note>,
    pub(super) content: Content,
}

/// Where an entry's content is to be had.
pub(super) enum Content {
    /// It has none.
    Nowhere,
    /// In a file that is read in its turn.
    File(Opening),
    /// In a file that the hands read, together with others.
    Coming,
    /// It was read; chunks may have been noted since then.
    Read(Box<ReadFile>, u64),
}

/// What came of reading a file.
pub(super) enum ReadFile {
    Vanished,
    LeftOut(SkipReason),
    /// It has grown meanwhile, or is to be cut where its content says.
    TooLong(SourceFile),
    Whole(FileContent<Whole>),
}

/// A file's content, and what else its bytes told.
pub(super) struct FileContent<C> {
    pub(super) meta: FileMeta,
    /// Whether it stood still while it was read.
    pub(super) settled: bool,
    pub(super) taken_ms: Option<i64>,
    pub(super) content: C,
}

/// The content of a file that was read as a whole.
pub(super) enum Whole {
    Inline(Vec<u8>),
    Chunks(Vec<MadeChunk>, u64),
}

impl Whole {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Inline(bytes) => u64::try_from(bytes.len()).unwrap_or(0),
            Self::Chunks(_, length) => *length,
        }
    }

    /// Whether it was cut into the very chunks of `content`.
    pub(super) fn is_cut_as(&self, content: &messages::Content) -> bool {
        let Self::Chunks(made, length) = self else { return false };
        let ids = made.iter().map(|chunk| chunk.id().0);
        content.length == *length
            && content.list_level == 0
            && ids.eq(content.chunks.as_chunks().0.iter().copied())
    }

    /// Stores it, if it was made when [`ContentWriter::noted`] was `noted`.
    pub(super) fn store(self, writer: &ContentWriter<'_>, noted: u64) -> Result<messages::Content> {
        let length = self.length();
        let (inline, made) = match self {
            Self::Inline(bytes) => (bytes, Vec::new()),
            Self::Chunks(made, _) => (Vec::new(), made),
        };
        let mut chunks = Vec::with_capacity(made.len() * size_of::<ChunkId>());
        for chunk in made {
            chunks.extend(writer.put_made(chunk, noted)?.0);
        }
        Ok(messages::Content { length, inline, list_level: 0, chunks })
    }
}

/// Files up to this length are one chunk, however they are cut.
pub(super) const SMALL_BYTES: u64 = Chunker::BYTES_MIN as u64;

/// The longest files that are read as a whole, if there are hands.
const WHOLE_BYTES: u64 = CHUNK_BYTES_MAX as u64;
/// The longest that one thread alone reads so: one piece.
const PIECE_BYTES: u64 = MEDIA_PIECE_BYTES as u64;

/// Entries, and what the hands read of them.
pub(super) struct Batch {
    steps: Vec<Step>,
    files: Later<Vec<Result<ReadFile>>>,
    noted: u64,
    /// Bytes that it was thought to have when it was given away.
    pub(super) bytes: u64,
}

impl Batch {
    /// Waits until its files were read.
    pub(super) fn wait(self) -> Result<VecDeque<Step>> {
        let mut files = self.files.wait()?.into_iter();
        let mut steps = VecDeque::with_capacity(self.steps.len());
        for mut step in self.steps {
            if let Step::Present(entry) = &mut step
                && matches!(entry.content, Content::Coming)
            {
                let read = files.next().ok_or(Error::Internal("a file was not read"))??;
                entry.content = Content::Read(Box::new(read), self.noted);
            }
            steps.push_back(step);
        }
        Ok(steps)
    }
}

/// A batch that is being filled.
pub(super) struct Gathering {
    steps: Vec<Step>,
    files: Vec<WholeFile>,
    bytes: u64,
    longest: u64,
}

struct WholeFile {
    opening: Opening,
    /// As the walk saw it: so much was set aside for it.
    size: u64,
    is_picture: bool,
    /// Whether this device has it for the first time.
    is_new: bool,
}

impl Gathering {
    pub(super) fn new(writer: &ContentWriter<'_>) -> Self {
        let longest = if writer.hands() > 0 { WHOLE_BYTES } else { PIECE_BYTES };
        Self { steps: Vec::new(), files: Vec::new(), bytes: 0, longest }
    }

    pub(super) fn is_full(&self) -> bool {
        const ENTRIES: usize = 64;
        const FILES: usize = 16;
        const BYTES: u64 = 1024 * 1024;
        self.steps.len() >= ENTRIES || self.files.len() >= FILES || self.bytes >= BYTES
    }

    pub(super) fn vanished(&mut self, key: Vec<u8>, note: Note) {
        self.steps.push(Step::Vanished(key, note));
    }

    /// Adds an entry; `opening` is asked for a file.
    pub(super) fn present(
        &mut self,
        kind: &Kind,
        (key, item, note): (Vec<u8>, SourceItem, Option<Note>),
        opening: impl FnOnce(&SourceItem) -> Opening,
    ) {
        let mut content = Content::Nowhere;
        if item.meta.entry_type == EntryType::Regular {
            let opening = opening(&item);
            if item.meta.size > self.longest {
                content = Content::File(opening);
            } else {
                content = Content::Coming;
                self.bytes += item.meta.size;
                self.files.push(WholeFile {
                    opening,
                    size: item.meta.size,
                    is_picture: is_picture(kind, &item),
                    is_new: note.is_none(),
                });
            }
        }
        self.steps.push(Step::Present(Entry { key, item, note, content }));
    }

    /// Lets the hands read its files.
    pub(super) fn read(self, kind: &Kind, writer: &ContentWriter<'_>) -> Result<Batch> {
        let Self { steps, files, bytes, longest } = self;
        let policy = Policy::of(kind);
        let noted = writer.noted();
        let files = writer.give(move |maker, tools| {
            Ok(files.into_iter().map(|file| file.read(longest, policy, maker, tools)).collect())
        })?;
        Ok(Batch { steps, files, noted, bytes })
    }
}

impl WholeFile {
    fn read(self, longest: u64, policy: Policy, maker: &ChunkMaker, tools: &mut Tools) -> Result<ReadFile> {
        let mut file = match self.opening.open() {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(ReadFile::Vanished),
            Err(reason) => return Ok(ReadFile::LeftOut(reason)),
        };
        let meta = file.meta_when_opened();
        let longest = longest.min(self.size.max(SMALL_BYTES));
        let mut making = Making {
            policy,
            is_new: self.is_new,
            maker,
            tools,
            length: 0,
            chunks: Vec::new(),
            taken_ms: None,
        };
        let Some((cutting, rest)) = making.read(&mut file, (meta.size, longest), self.is_picture)? else {
            return Ok(ReadFile::TooLong(file));
        };
        let settled = file.meta().is_ok_and(|after| after == meta);
        let taken_ms = making.taken_ms;
        let content = making.finish(cutting, rest)?;
        Ok(ReadFile::Whole(FileContent { meta, settled, taken_ms, content }))
    }
}

/// A file on its way into chunks. Each piece is made into one at once, while a processor's cache still has it.
struct Making<'m> {
    policy: Policy,
    is_new: bool,
    maker: &'m ChunkMaker,
    tools: &'m mut Tools,
    /// Bytes that were read.
    length: u64,
    chunks: Vec<MadeChunk>,
    taken_ms: Option<i64>,
}

impl Making<'_> {
    /// Reads a file of about `size` bytes in pieces, and gives the last one, which is not full, with how the file is
    /// to be cut. None if it turns out longer than `longest`, or has more than one piece and is cut otherwise.
    fn read(
        &mut self,
        file: &mut SourceFile,
        (size, longest): (u64, u64),
        is_picture: bool,
    ) -> Result<Option<(Cutting, Vec<u8>)>> {
        let mut cutting = None;
        loop {
            let limit = PIECE_BYTES.min(longest + 1 - self.length);
            // One byte more, so that the end is seen without growing.
            let expected = limit.min(size.saturating_sub(self.length));
            let mut piece = self.maker.memory(usize::try_from(expected).unwrap_or(0));
            let read = file.reader().take(limit).read_to_end(&mut piece);
            read.map_err(Error::io("reading the source"))?;
            let cutting = *cutting.get_or_insert_with(|| {
                self.taken_ms = if is_picture { taken_from(&piece) } else { None };
                self.policy.cutting_of(size, &piece)
            });
            let read = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            self.length += read;
            if self.length > longest || (read == PIECE_BYTES && cutting != Cutting::Fixed) {
                return Ok(None);
            }
            if read < PIECE_BYTES {
                return Ok(Some((cutting, piece)));
            }
            self.make(piece)?;
        }
    }

    fn make(&mut self, chunk: Vec<u8>) -> Result<()> {
        let packing = if !self.policy.compress || looks_incompressible(&chunk) {
            Packing::AsItIs
        } else if self.is_new && u64::try_from(chunk.len()).is_ok_and(|length| length == self.length) {
            Packing::WithOthers
        } else {
            Packing::Compressed
        };
        self.chunks.push(self.maker.make(chunk, packing, self.tools)?);
        Ok(())
    }

    fn finish(mut self, cutting: Cutting, rest: Vec<u8>) -> Result<Whole> {
        if self.length <= INLINE_BYTES_MAX as u64 {
            return Ok(Whole::Inline(rest));
        }
        if cutting != Cutting::Fixed && rest.len() > Chunker::BYTES_MIN {
            cut(self.maker.chunker(), &rest).into_iter().try_for_each(|chunk| self.make(chunk))?;
        } else if !rest.is_empty() {
            self.make(rest)?;
        }
        Ok(Whole::Chunks(self.chunks, self.length))
    }
}

fn cut(chunker: &Chunker, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut rest = bytes;
    while let Some((chunk, after)) = chunker.next_cut(rest, true).and_then(|at| rest.split_at_checked(at)) {
        chunks.push(chunk.to_vec());
        rest = after;
    }
    chunks
}
