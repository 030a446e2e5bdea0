//! Entries of a folder that look different, gathered so that the small files among them are read, named and
//! compressed beside the job's thread, many at a time. What they become follows in the order of the walk.

use std::{collections::VecDeque, io::Read as _};

use super::files::{is_picture, taken_from};
use crate::{
    Error, Result,
    content::{ChunkId, Chunker},
    kinds::{Kind, Policy, looks_incompressible},
    limits::INLINE_BYTES_MAX,
    vault::{
        contents::{ChunkMaker, ContentWriter, MadeChunk},
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
    /// It has grown meanwhile.
    TooLong(SourceFile),
    Whole(FileContent<Small>),
}

/// A file's content, and what else its bytes told.
pub(super) struct FileContent<C> {
    pub(super) meta: FileMeta,
    /// Whether it stood still while it was read.
    pub(super) settled: bool,
    pub(super) taken_ms: Option<i64>,
    pub(super) content: C,
}

/// The content of a small file.
pub(super) enum Small {
    Inline(Vec<u8>),
    Chunk(MadeChunk, u64),
}

impl Small {
    /// Stores it, if it was made when [`ContentWriter::noted`] was `noted`.
    pub(super) fn store(self, writer: &ContentWriter<'_>, noted: u64) -> Result<messages::Content> {
        let (length, inline, ids) = match self {
            Self::Inline(bytes) => (u64::try_from(bytes.len()).unwrap_or(0), bytes, Vec::new()),
            Self::Chunk(chunk, length) => {
                let ChunkId(id) = writer.put_made(chunk, noted)?;
                (length, Vec::new(), id.to_vec())
            }
        };
        Ok(messages::Content { length, inline, list_level: 0, chunks: ids })
    }
}

/// Files up to this length are one chunk, however they are cut.
const SMALL_BYTES: u64 = Chunker::BYTES_MIN as u64;

/// Entries, and what the hands read of them.
pub(super) struct Batch {
    steps: Vec<Step>,
    files: Later<Vec<Result<ReadFile>>>,
    noted: u64,
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
#[derive(Default)]
pub(super) struct Gathering {
    steps: Vec<Step>,
    files: Vec<SmallFile>,
    bytes: u64,
}

struct SmallFile {
    opening: Opening,
    is_picture: bool,
}

impl Gathering {
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
            if item.meta.size > SMALL_BYTES {
                content = Content::File(opening);
            } else {
                content = Content::Coming;
                self.bytes += item.meta.size;
                self.files.push(SmallFile { opening, is_picture: is_picture(kind, &item) });
            }
        }
        self.steps.push(Step::Present(Entry { key, item, note, content }));
    }

    /// Lets the hands read its files.
    pub(super) fn read(self, kind: &Kind, writer: &ContentWriter<'_>) -> Result<Batch> {
        let Self { steps, files, bytes: _ } = self;
        let compress = Policy::of(kind).compress;
        let noted = writer.noted();
        let files = writer.give(move |maker, tools| {
            Ok(files.into_iter().map(|file| file.read(compress, maker, tools)).collect())
        })?;
        Ok(Batch { steps, files, noted })
    }
}

impl SmallFile {
    fn read(self, compress: bool, maker: &ChunkMaker, tools: &mut Tools) -> Result<ReadFile> {
        let mut file = match self.opening.open() {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(ReadFile::Vanished),
            Err(reason) => return Ok(ReadFile::LeftOut(reason)),
        };
        let failed = |error| Error::io("reading the source")(error);
        let meta = file.meta().map_err(failed)?;
        let mut bytes = Vec::with_capacity(usize::try_from(meta.size.min(SMALL_BYTES)).unwrap_or(0) + 1);
        (&mut file).take(SMALL_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > SMALL_BYTES {
            return Ok(ReadFile::TooLong(file));
        }
        let settled = file.meta().is_ok_and(|after| after == meta);
        let taken_ms = if self.is_picture { taken_from(&bytes) } else { None };
        let content = if bytes.len() <= INLINE_BYTES_MAX {
            Small::Inline(bytes)
        } else {
            let compress = compress && !looks_incompressible(&bytes);
            Small::Chunk(maker.make(bytes, compress, tools)?, length)
        };
        Ok(ReadFile::Whole(FileContent { meta, settled, taken_ms, content }))
    }
}
