//! Small files that are restored by the hands, some at a time: read, decoded and written off the job's thread.

use super::{Failed, Recorded, Seen};
use crate::{
    content::Decompressor,
    kinds::FileType,
    vault::{Attributes, FilePlace, contents::Parcel, crew::Line, merge::file_content_id},
    wire::messages,
};

/// What came of a file: how many bytes were written, and what to note of it.
pub(super) struct Written {
    pub(super) key: Vec<u8>,
    pub(super) done: std::result::Result<u64, Failed>,
    pub(super) seen: Option<Seen>,
}

/// A file that is read and written in one go.
pub(super) struct SmallFile {
    pub(super) key: Vec<u8>,
    pub(super) planned: PlannedFile,
    pub(super) parcel: Parcel,
}

impl SmallFile {
    pub(super) fn write(self, decompressor: &mut Decompressor) -> Written {
        let Self { key, planned, parcel } = self;
        let mut write = || {
            let mut file = planned.place.create()?;
            let bytes = parcel.read(decompressor, |bytes| file.write(bytes).map_err(Failed::Item))?;
            file.finish(planned.attributes)?;
            Ok(bytes)
        };
        let done = write();
        let seen = planned.look(&done, parcel.content());
        Written { key, done, seen }
    }
}

/// Where a file will be, and what it will look like.
pub(super) struct PlannedFile {
    pub(super) place: FilePlace,
    pub(super) attributes: Attributes,
    /// Whether it is looked at again, to be noted.
    pub(super) is_noted: bool,
}

impl PlannedFile {
    /// What to note of it: its name changed it last, so it is looked at under that. What had the name before is
    /// not noted: the file system may take two names for one.
    pub(super) fn look<T>(
        &self,
        done: &std::result::Result<T, Failed>,
        content: &messages::Content,
    ) -> Option<Seen> {
        if !self.is_noted || !done.is_ok() {
            return None;
        }
        let recorded = Recorded::file(self.attributes, content.length);
        recorded.seen(&self.place.look().ok()?, || file_content_id(FileType::Regular, &[], content))
    }
}

/// Small files on their way, some at a time, since giving a task away has its price.
pub(super) struct Files {
    waiting: Vec<SmallFile>,
    bytes: u64,
    /// Folders that they keep open.
    folders: usize,
    pub(super) line: Line<Vec<Written>>,
}

impl Files {
    pub(super) fn new(hands: usize) -> Self {
        Self { waiting: Vec::new(), bytes: 0, folders: 0, line: Line::new(2 * hands + 6) }
    }

    pub(super) fn add(&mut self, file: SmallFile) {
        self.bytes += file.parcel.content().length;
        let place = &file.planned.place;
        let is_beside = self.waiting.last().is_some_and(|last| last.planned.place.is_beside(place));
        self.folders += usize::from(!is_beside);
        self.waiting.push(file);
    }

    /// Whether no more should wait, whatever comes.
    pub(super) fn is_full(&self) -> bool {
        const FILES: usize = 256;
        const BYTES: u64 = 2 * 1024 * 1024;
        /// A handle each, and a process may have few.
        const FOLDERS: usize = 8;
        self.waiting.len() >= FILES || self.bytes >= BYTES || self.folders >= FOLDERS
    }

    /// Whether those that wait should go before `next` comes: there are enough of them, and what has to be
    /// unpacked for them is not what it takes for `next`.
    pub(super) fn is_due_before(&self, next: &Parcel) -> bool {
        const FILES: usize = 32;
        const BYTES: u64 = 512 * 1024;
        let are_enough = self.waiting.len() >= FILES || self.bytes >= BYTES;
        are_enough && !self.waiting.last().is_some_and(|last| last.parcel.goes_on_in(next))
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || !self.line.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<SmallFile> {
        self.bytes = 0;
        self.folders = 0;
        std::mem::take(&mut self.waiting)
    }
}
