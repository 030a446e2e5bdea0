//! Small files that are restored by the hands, some at a time: read, decoded and written off the job's thread.

use super::Failed;
use crate::{
    content::Decompressor,
    vault::{Attributes, FilePlace, contents::Parcel, crew::Line},
};

/// A path, and the bytes that were written there.
pub(super) type Written = (String, std::result::Result<u64, Failed>);

/// A file that is read and written in one go.
pub(super) struct SmallFile {
    pub(super) path: String,
    pub(super) place: FilePlace,
    pub(super) parcel: Parcel,
    pub(super) attributes: Attributes,
}

impl SmallFile {
    pub(super) fn write(self, decompressor: &mut Decompressor) -> Written {
        let Self { path, place, parcel, attributes } = self;
        let write = || {
            let mut file = place.create()?;
            let bytes = parcel.read(decompressor, |bytes| file.write(bytes).map_err(Failed::Item))?;
            file.finish(attributes)?;
            Ok(bytes)
        };
        (path, write())
    }
}

/// Small files on their way, some at a time, since giving a task away has its price.
pub(super) struct Files {
    waiting: Vec<SmallFile>,
    bytes: u64,
    pub(super) line: Line<Vec<Written>>,
}

impl Files {
    pub(super) fn new(hands: usize) -> Self {
        Self { waiting: Vec::new(), bytes: 0, line: Line::new(2 * hands) }
    }

    pub(super) fn add(&mut self, file: SmallFile) {
        self.bytes += file.parcel.length();
        self.waiting.push(file);
    }

    pub(super) fn is_due(&self) -> bool {
        const FILES: usize = 16;
        const BYTES: u64 = 1024 * 1024;
        self.waiting.len() >= FILES || self.bytes >= BYTES
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || !self.line.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<SmallFile> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }
}
