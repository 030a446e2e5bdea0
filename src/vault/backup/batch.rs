//! Entries of a folder that look different, gathered so that the small files among them are read, named and
//! compressed beside the job's thread, many at a time. What they become follows in the order of the walk.

use std::collections::VecDeque;

use super::{
    files::{is_picture, taken_from},
    pieces::{FileInPieces, PIECE_BYTES},
};
use crate::{
    Error, Result,
    content::{ChunkId, Chunker},
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
    /// In a file that they read in pieces, which are waited for in its turn.
    InPieces(FileInPieces),
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
    Stored(messages::Content),
}

impl Whole {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Inline(bytes) => u64::try_from(bytes.len()).unwrap_or(0),
            Self::Chunks(_, length) => *length,
            Self::Stored(content) => content.length,
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
            Self::Stored(content) => return Ok(content),
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

/// The longest files that hands read, if there are any.
const WHOLE_BYTES: u64 = CHUNK_BYTES_MAX as u64;

/// Entries, and what the hands read of them.
pub(super) struct Batch {
    steps: Vec<Step>,
    files: Later<Vec<Result<ReadFile>>>,
    noted: u64,
    /// Bytes of its files as the walk saw them; of a longer one than hands read, as many as of the longest that they do.
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
    noted: u64,
    bytes: u64,
    longest: u64,
}

/// A file that whoever has time reads: in one piece, or in several.
pub(super) struct WholeFile {
    pub(super) opening: Opening,
    pub(super) is_picture: bool,
    /// As the walk saw it: so much was set aside for it.
    pub(super) size: u64,
    /// Whether this device has it for the first time.
    pub(super) is_new: bool,
}

impl Gathering {
    pub(super) fn new(writer: &ContentWriter<'_>) -> Self {
        let longest = if writer.hands() > 0 { WHOLE_BYTES } else { PIECE_BYTES };
        Self { steps: Vec::new(), files: Vec::new(), noted: writer.noted(), bytes: 0, longest }
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
        (kind, writer): (&Kind, &ContentWriter<'_>),
        (key, item, note): (Vec<u8>, SourceItem, Option<Note>),
        opening: impl FnOnce(&SourceItem) -> Opening,
    ) -> Result<()> {
        let mut content = Content::Nowhere;
        if item.meta.entry_type == EntryType::Regular {
            let (opening, size) = (opening(&item), item.meta.size);
            // Of one that hands do not read some megabytes lie ready too, once it is its turn.
            self.bytes += size.min(WHOLE_BYTES);
            if size > self.longest {
                content = Content::File(opening);
            } else {
                let file =
                    WholeFile { opening, is_picture: is_picture(kind, &item), size, is_new: note.is_none() };
                if size > PIECE_BYTES {
                    content = Content::InPieces(FileInPieces::give(file, Policy::of(kind), writer)?);
                } else {
                    content = Content::Coming;
                    self.files.push(file);
                }
            }
        }
        self.steps.push(Step::Present(Entry { key, item, note, content }));
        Ok(())
    }

    /// Lets the hands read its files.
    pub(super) fn read(self, kind: &Kind, writer: &ContentWriter<'_>) -> Result<Batch> {
        let Self { steps, files, noted, bytes, longest: _ } = self;
        let policy = Policy::of(kind);
        // A task for no file would be waited for as long as all that was given before it.
        let files = if files.is_empty() {
            Later::Here(Ok(Vec::new()))
        } else {
            writer.give(move |maker, tools| {
                Ok(files.into_iter().map(|file| file.read(policy, maker, tools)).collect())
            })?
        };
        Ok(Batch { steps, files, noted, bytes })
    }
}

impl WholeFile {
    /// Reads it in one piece, unless it has grown.
    fn read(self, policy: Policy, maker: &ChunkMaker, tools: &mut Tools) -> Result<ReadFile> {
        let Self { opening, is_picture, size, is_new } = self;
        let longest = size.max(SMALL_BYTES);
        let mut file = match opening.open() {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(ReadFile::Vanished),
            Err(reason) => return Ok(ReadFile::LeftOut(reason)),
        };
        let meta = file.meta_when_opened();
        if meta.size > longest {
            return Ok(ReadFile::TooLong(file));
        }
        let bytes = file.read_whole(longest).map_err(Error::io("reading the source"))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > longest {
            return Ok(ReadFile::TooLong(file));
        }
        let settled = file.meta().is_ok_and(|after| after == meta);
        let taken_ms = if is_picture { taken_from(&bytes) } else { None };
        let content = if length <= INLINE_BYTES_MAX as u64 {
            Whole::Inline(bytes)
        } else {
            let is_cut =
                bytes.len() > Chunker::BYTES_MIN && policy.cutting_of(length, &bytes) != Cutting::Fixed;
            let chunks = if is_cut { cut(maker.chunker(), &bytes) } else { vec![bytes] };
            let policy = (policy, is_new && chunks.len() == 1);
            let made = chunks.into_iter().map(|chunk| make(chunk, policy, maker, tools));
            Whole::Chunks(made.collect::<Result<_>>()?, length)
        };
        Ok(ReadFile::Whole(FileContent { meta, settled, taken_ms, content }))
    }
}

/// Makes a chunk, which may share a frame if it is all of a file that this device never had.
pub(super) fn make(
    chunk: Vec<u8>,
    (policy, may_share): (Policy, bool),
    maker: &ChunkMaker,
    tools: &mut Tools,
) -> Result<MadeChunk> {
    let packing = if !policy.compress || looks_incompressible(&chunk) {
        Packing::AsItIs
    } else if may_share {
        Packing::WithOthers
    } else {
        Packing::Compressed
    };
    maker.make(chunk, packing, tools)
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
