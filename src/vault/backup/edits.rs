//! One face for all sources: edits of a kind's tree in ascending key order, as many as one pass takes.

use std::io::BufRead;

use super::{
    NextEdit, Source, Tally, bad_source, cards::CardSource, files::FolderSource, messages::MessageSource,
};
use crate::{
    Result,
    kinds::Kind,
    tree::{Edit, Root},
    vault::contents::ContentWriter,
};

/// An open source, kept from pass to pass.
pub(super) enum EditSource<'s> {
    Folder(Box<FolderSource>),
    Messages(Box<MessageSource<&'s mut dyn BufRead>>),
    Cards(CardSource<&'s mut dyn BufRead>),
}

impl<'s> EditSource<'s> {
    pub(super) fn open(kind: &Kind, name: &str, source: Source<'s>) -> Result<Self> {
        match (kind.name(), source) {
            ("notes" | "photos" | "files", Source::Folder(folder)) => {
                Ok(Self::Folder(Box::new(FolderSource::open(kind, name, folder)?)))
            }
            ("messages" | "calls", Source::Stream(stream)) => {
                Ok(Self::Messages(Box::new(MessageSource::open(kind, stream))))
            }
            ("contacts", Source::Stream(stream)) => Ok(Self::Cards(CardSource::open(name, stream))),
            _ => Err(bad_source()),
        }
    }

    /// The edits of one pass: until the source ends or `limit` bytes were sent.
    pub(super) fn edits<'e, 'a>(
        &'e mut self,
        writer: &'e ContentWriter<'a>,
        root: Option<Root>,
        tally: &'e mut Tally,
        limit: u64,
    ) -> Result<Edits<'e, 's, 'a>> {
        match self {
            Self::Folder(_) => {}
            Self::Messages(source) => source.fill()?,
            Self::Cards(source) => source.fill()?,
        }
        Ok(Edits { source: self, pass: Pass { writer, root, tally, limit }, ended: false })
    }
}

/// What a source needs while its edits are taken.
pub(super) struct Pass<'e, 'a> {
    pub(super) writer: &'e ContentWriter<'a>,
    pub(super) root: Option<Root>,
    pub(super) tally: &'e mut Tally,
    limit: u64,
}

impl Pass<'_, '_> {
    pub(super) fn is_full(&self) -> bool {
        self.writer.sent_bytes() >= self.limit
    }

    /// Whether the tree holds exactly this value already; counts it if not.
    pub(super) fn is_known(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        let known = crate::tree::get(self.root, key, &self.writer)?.is_some_and(|known| known == value);
        if !known {
            self.tally.changed += 1;
        }
        Ok(known)
    }
}

/// The edits of one pass.
pub(super) struct Edits<'e, 's, 'a> {
    source: &'e mut EditSource<'s>,
    pass: Pass<'e, 'a>,
    ended: bool,
}

impl Edits<'_, '_, '_> {
    /// Whether the source has nothing more to give.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }
}

impl Iterator for Edits<'_, '_, '_> {
    type Item = Result<Edit>;

    fn next(&mut self) -> NextEdit {
        let pass = &mut self.pass;
        let (next, ended) = match self.source {
            EditSource::Folder(source) => (source.next_edit(pass), source.ended()),
            EditSource::Messages(source) => (source.next_edit(pass), source.ended()),
            EditSource::Cards(source) => (source.next_edit(pass), source.ended()),
        };
        self.ended = next.is_none() && ended;
        next
    }
}
