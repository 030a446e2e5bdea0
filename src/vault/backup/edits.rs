//! One face for all sources: edits of a kind's tree in ascending key order, as many as one pass takes.

use std::io::BufRead;

use super::{
    NextEdit, Source, Tally, bad_source, cards::CardSource, files::FolderSource, messages::MessageSource,
};
use crate::{
    Result,
    content::ChunkId,
    kinds::Kind,
    tree::{self, Edit, Lookup, Root, Sifted},
    vault::{
        contents::ContentWriter,
        merge::{stream_replica, value_id},
    },
};

/// An open source, kept from pass to pass.
pub(super) enum EditSource<'s> {
    Folder(Box<FolderSource>),
    Messages(Box<MessageSource<&'s mut dyn BufRead>>),
    Cards(CardSource<&'s mut dyn BufRead>),
    #[cfg(test)]
    Sizes(Box<super::tests::SizesSource<'s>>),
}

impl<'s> EditSource<'s> {
    pub(super) fn open(kind: &Kind, name: &str, source: Source<'s>) -> Result<Self> {
        match (kind.name(), source) {
            ("notes" | "photos" | "files", Source::Folder(folder)) => {
                Ok(Self::Folder(Box::new(FolderSource::open(kind, name, folder)?)))
            }
            ("messages" | "calls", Source::Stream(stream)) => {
                Ok(Self::Messages(Box::new(MessageSource::open(kind, stream)?)))
            }
            ("contacts", Source::Stream(stream)) => Ok(Self::Cards(CardSource::open(name, stream))),
            #[cfg(test)]
            ("files", Source::Sizes(folder, store)) => {
                Ok(Self::Sizes(Box::new(super::tests::SizesSource::open(kind, name, folder, store)?)))
            }
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
        let known = Known { root, writer, lookup: Lookup::new(root, writer) };
        match self {
            Self::Folder(_) => {}
            Self::Messages(source) => source.fill(&known, tally)?,
            Self::Cards(source) => source.fill(&known, tally)?,
            #[cfg(test)]
            Self::Sizes(_) => {}
        }
        Ok(Edits { source: self, pass: Pass { writer, known, tally, limit }, ended: false })
    }
}

/// What a source needs while its edits are taken.
pub(super) struct Pass<'e, 'a> {
    pub(super) writer: &'e ContentWriter<'a>,
    pub(super) tally: &'e mut Tally,
    known: Known<'e, 'a>,
    limit: u64,
}

/// What the tree holds already, asked for in ascending order.
pub(super) struct Known<'e, 'a> {
    root: Option<Root>,
    writer: &'e ContentWriter<'a>,
    lookup: Lookup<'e, ContentWriter<'a>>,
}

impl<'a> Known<'_, 'a> {
    pub(super) fn writer(&self) -> &ContentWriter<'a> {
        self.writer
    }

    /// Counts an entry that was read from a stream.
    pub(super) fn count(&self, tally: &mut Tally, length: usize) -> Result<()> {
        let bytes = u64::try_from(length).unwrap_or(0);
        tally.seen += 1;
        tally.read_bytes += bytes;
        self.writer.job().step(|progress| {
            progress.items += 1;
            progress.bytes += bytes;
        })
    }

    /// Leaves out what lies in pages that the tree holds already.
    pub(super) fn sift(&self, entries: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Sifted> {
        let keys = self.writer.access().keys;
        tree::sift(self.root, self.writer, |page| ChunkId::derive(keys.chunk_id_key(), page), entries)
    }
}

impl Pass<'_, '_> {
    pub(super) fn is_full(&self) -> bool {
        self.writer.sent_bytes() >= self.limit
    }

    /// What the tree holds under `key`; keys ascend.
    pub(super) fn known(&mut self, key: &[u8]) -> Result<Option<&[u8]>> {
        self.known.lookup.value(key)
    }

    /// The edit that an entry of a stream makes: none when the tree holds this value already, or another
    /// device's in its place which this device's owner has not edited since.
    pub(super) fn stream_edit(&mut self, kind: &Kind, key: Vec<u8>, value: Vec<u8>) -> Result<Option<Edit>> {
        match self.known.lookup.value(&key)? {
            Some(known) if known == value => return Ok(None),
            Some(_) => {
                let replica = stream_replica(kind);
                let note = self.writer.access().database.note(self.writer.run(), &replica, &key)?;
                match note {
                    Some(note) if note.value == value_id(&value) => return Ok(None),
                    Some(_) => self.writer.note(replica.note(&key, None))?,
                    None => {}
                }
            }
            None => {}
        }
        self.tally.changed += 1;
        Ok(Some(Edit { key, value: Some(value) }))
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
            #[cfg(test)]
            EditSource::Sizes(source) => (source.next_edit(pass), source.ended()),
        };
        self.ended = next.is_none() && ended;
        next
    }
}
