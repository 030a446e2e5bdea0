//! Folders: every entry becomes a record; content is read only when an entry looks different from what it
//! looked like at this device's last backup.

use std::{collections::VecDeque, io::Read};

use super::{NextEdit, SkippedItem, Tally, edits::Pass};
use crate::{
    Error, Result,
    content::Chunker,
    kinds::{
        Cutting, FileMeta as FileRecord, FileType, Kind, PHOTO_HEAD_BYTES, Policy, Record, file_key,
        is_media_name, looks_incompressible, taken_ms,
    },
    tree::Edit,
    vault::{
        contents::{ContentWriter, Cut, encode_entry, write_content},
        folder::{EntryType, FileMeta, Folder, SkipReason, Skipped, SourceItem, Walk},
        merge::{Conflict, Decision, conflict_key, content_id, keep_both, kept_both, value_id},
        state::{FileStat, Note, Replica},
    },
    wire::messages,
};

/// A folder being backed up.
pub(super) struct FolderSource {
    kind: Kind,
    source: String,
    walk: Walk,
    /// The entry that was walked to and not yet handled.
    item: Option<(Vec<u8>, SourceItem)>,
    walked: bool,
    /// What this device backed up of this source before, in order, and after which key to ask for more.
    known: VecDeque<(Vec<u8>, Note)>,
    known_after: Option<Vec<u8>>,
    replica: Replica,
    /// Keys of folders that could not be read: what lies below has not vanished.
    unseen: Vec<Vec<u8>>,
}

/// What to do next: an entry of the folder, or one that is there no more.
enum Step {
    Present(Vec<u8>, SourceItem),
    Vanished(Vec<u8>, Note),
    End,
}

impl FolderSource {
    pub(super) fn open(kind: &Kind, source: &str, folder: &Folder) -> Result<Self> {
        let prefix = [source.as_bytes(), &[0]].concat();
        Ok(Self {
            kind: kind.clone(),
            source: source.to_owned(),
            walk: folder.walk()?,
            item: None,
            walked: false,
            known: VecDeque::new(),
            known_after: Some(prefix),
            replica: folder_replica(kind, folder.path())?,
            unseen: Vec::new(),
        })
    }

    pub(super) fn ended(&self) -> bool {
        self.walked && self.item.is_none() && self.known_after.is_none() && self.known.is_empty()
    }

    pub(super) fn next_edit(&mut self, pass: &mut Pass<'_, '_>) -> NextEdit {
        loop {
            if pass.is_full() {
                return None;
            }
            let step = match self.step(pass) {
                Ok(step) => step,
                Err(error) => return Some(Err(error)),
            };
            let edit = match step {
                Step::End => return None,
                Step::Present(key, item) => self.present(key, &item, pass),
                Step::Vanished(key, note) => self.vanished(key, note, pass),
            };
            if let Some(edit) = edit.transpose() {
                return Some(edit);
            }
        }
    }

    fn step(&mut self, pass: &mut Pass<'_, '_>) -> Result<Step> {
        self.walk_on(pass.tally)?;
        self.fill_known(pass.writer)?;
        let vanished = match (&self.item, self.known.front()) {
            (None, None) => return Ok(Step::End),
            (Some((key, _)), Some((known, _))) if known == key => {
                self.known.pop_front();
                false
            }
            (Some((key, _)), Some((known, _))) => known < key,
            (item, _) => item.is_none(),
        };
        if vanished {
            return Ok(self.known.pop_front().map_or(Step::End, |(key, note)| Step::Vanished(key, note)));
        }
        Ok(self.item.take().map_or(Step::End, |(key, item)| Step::Present(key, item)))
    }

    /// Makes sure that the next entry of the folder is at hand.
    fn walk_on(&mut self, tally: &mut Tally) -> Result<()> {
        while self.item.is_none() && !self.walked {
            match self.walk.next() {
                None => self.walked = true,
                Some(Ok(item)) => {
                    let parts: Vec<&[u8]> = item.components.iter().map(Vec::as_slice).collect();
                    let key = file_key(&self.source, &parts)?;
                    self.item = Some((key, item));
                }
                Some(Err(skipped)) => self.skip(&skipped, tally)?,
            }
        }
        Ok(())
    }

    fn skip(&mut self, skipped: &Skipped, tally: &mut Tally) -> Result<()> {
        let parts: Vec<&[u8]> = skipped.components.iter().map(Vec::as_slice).collect();
        if parts.is_empty() {
            return Err(Error::InvalidArgument("the source cannot be read"));
        }
        self.unseen.push(file_key(&self.source, &parts)?);
        tally.skipped.push(skipped_item(&skipped.components, skipped.reason));
        Ok(())
    }

    fn fill_known(&mut self, writer: &ContentWriter<'_>) -> Result<()> {
        const BATCH: usize = 1024;
        let prefix = [self.source.as_bytes(), &[0]].concat();
        while self.known.is_empty()
            && let Some(after) = self.known_after.take()
        {
            let database = writer.access().database;
            (self.known, self.known_after) =
                database.notes_from(writer.run(), &self.replica, (&prefix, &after), BATCH)?;
        }
        Ok(())
    }

    /// An entry that this device had and that is gone. Notes and files follow, unless another device edited
    /// it meanwhile; photos are kept.
    fn vanished(&mut self, key: Vec<u8>, note: Note, pass: &mut Pass<'_, '_>) -> Result<Option<Edit>> {
        let below_unseen = self.unseen.iter().any(|folder| {
            key.strip_prefix(folder.as_slice()).is_some_and(|rest| rest.is_empty() || rest.starts_with(&[0]))
        });
        if below_unseen {
            return Ok(None);
        }
        pass.writer.note(self.replica.note(&key, None))?;
        let is_same = pass.known(&key)?.map(content_id).transpose()? == Some(note.value);
        if !is_same || self.kind == Kind::PHOTOS {
            return Ok(None);
        }
        pass.tally.deleted += 1;
        Ok(Some(Edit { key, value: None }))
    }

    fn present(&mut self, key: Vec<u8>, item: &SourceItem, pass: &mut Pass<'_, '_>) -> Result<Option<Edit>> {
        pass.tally.seen += 1;
        pass.writer.job().step(|progress| progress.items += 1)?;
        let stat = stat_of(&item.meta);
        let access = pass.writer.access();
        let note = access.database.note(pass.writer.run(), &self.replica, &key)?;
        if note.is_some_and(|note| note.stat == stat) {
            return Ok(None);
        }
        let Some((value, settled)) = self.value(item, pass)? else { return Ok(None) };
        let noted = if settled { stat } else { FileStat([0; 6]) };
        pass.writer.note(self.replica.note(&key, Some((noted, content_id(&value)?))))?;
        self.edit(key, value, note, pass)
    }

    /// The edit that a changed entry makes. If another device edited it since this folder last had it, both
    /// versions are kept.
    fn edit(
        &self,
        key: Vec<u8>,
        value: Vec<u8>,
        note: Option<Note>,
        pass: &mut Pass<'_, '_>,
    ) -> Result<Option<Edit>> {
        let Some(known) = pass.known(&key)? else {
            pass.tally.changed += 1;
            return Ok(Some(Edit { key, value: Some(value) }));
        };
        let (mine, theirs) = (content_id(&value)?, content_id(known)?);
        let unedited = note.is_some_and(|note| note.value == mine) && theirs != mine;
        if known == value || unedited {
            return Ok(None);
        }
        let known = known.to_vec();
        pass.tally.changed += 1;
        if note.is_some_and(|note| note.value == theirs) || !kept_both(&value, &known)? {
            return Ok(Some(Edit { key, value: Some(value) }));
        }
        let Decision { value: winner, copy } = keep_both(&value, &known)?;
        if let Some(copy) = copy {
            let under = conflict_key(&self.kind, &key, &copy)?;
            pass.tally.conflicts.push(Conflict::new(&self.kind, &key, &under));
            pass.tally.copies.insert(under, copy);
        }
        Ok((winner.as_ref() != Some(&known)).then_some(Edit { key, value: winner }))
    }

    /// The entry's value, and whether it stood still while it was read; `None` when it cannot be had.
    fn value(&mut self, item: &SourceItem, pass: &mut Pass<'_, '_>) -> Result<Option<(Vec<u8>, bool)>> {
        let mut content = None;
        let mut settled = true;
        let mut taken = None;
        let mut meta = item.meta;
        if item.meta.entry_type == EntryType::Regular {
            let mut file = match self.walk.open(item) {
                Ok(Some(file)) => file,
                Ok(None) => return Ok(None),
                Err(reason) => {
                    pass.tally.skipped.push(skipped_item(&item.components, reason));
                    return Ok(None);
                }
            };
            meta = file.meta().map_err(Error::io("reading the source"))?;
            let stored = self.content(item, &mut file, pass)?;
            settled = file.meta().is_ok_and(|after| after == meta);
            taken = stored.1;
            pass.tally.read_bytes += stored.0.length;
            pass.writer.job().step(|progress| progress.bytes += stored.0.length)?;
            content = Some(stored.0);
        }
        let record = record_of(&meta, item.link_target.clone(), taken);
        let value = encode_entry(pass.writer, record.encode()?, content, Policy::of(&self.kind).compress)?;
        Ok(Some((value, settled)))
    }

    /// Stores a file's bytes; for a picture also tells when it was taken.
    fn content(
        &self,
        item: &SourceItem,
        file: &mut dyn Read,
        pass: &Pass<'_, '_>,
    ) -> Result<(messages::Content, Option<i64>)> {
        let name = item.components.last().map(Vec::as_slice).unwrap_or_default();
        let mut head = Vec::new();
        let mut taken = None;
        if self.kind == Kind::PHOTOS && is_media_name(name) {
            let limit = u64::try_from(PHOTO_HEAD_BYTES).unwrap_or(0);
            file.take(limit).read_to_end(&mut head).map_err(Error::io("reading the source"))?;
            taken = taken_ms(&head);
        }
        let (epoch, _) = pass.writer.access().current;
        let chunker = Chunker::new(pass.writer.access().keys.chunk_cut_key(), epoch);
        let Policy { cutting, compress } = Policy::of(&self.kind);
        let cut = if cutting == Cutting::Fixed { Cut::Fixed } else { Cut::ByContent(&chunker) };
        let compress = |chunk: &[u8]| compress && !looks_incompressible(chunk);
        let content = write_content(pass.writer, &mut head.as_slice().chain(file), cut, &compress)?;
        Ok((content, taken))
    }
}

/// The folder as this device knows it: the same name in another place is another replica.
pub(crate) fn folder_replica(kind: &Kind, path: &std::path::Path) -> Result<Replica> {
    let path = path.canonicalize().map_err(Error::io("opening the source"))?;
    let [a, b, c, d, e, f, g, h, ..] = value_id(path.as_os_str().as_encoded_bytes());
    Ok(Replica::new(kind.name(), [a, b, c, d, e, f, g, h]))
}

fn record_of(meta: &FileMeta, link_target: Option<Vec<u8>>, taken_ms: Option<i64>) -> Record {
    let attributes = meta.attributes;
    let file_type = match meta.entry_type {
        EntryType::Regular => FileType::Regular,
        EntryType::Directory => FileType::Directory,
        EntryType::Symlink => FileType::Symlink,
    };
    Record::File(FileRecord {
        file_type,
        mode: attributes.mode & 0o7777,
        modified_s: attributes.modified_s,
        modified_ns: attributes.modified_ns,
        link_target: link_target.unwrap_or_default(),
        taken_ms,
    })
}

pub(crate) fn stat_of(meta: &FileMeta) -> FileStat {
    let number = |value: i64| u64::from_le_bytes(value.to_le_bytes());
    FileStat([
        meta.size,
        number(meta.attributes.modified_s),
        u64::from(meta.attributes.modified_ns) | (u64::from(meta.attributes.mode) << 32),
        number(meta.changed_s),
        u64::from(meta.changed_ns),
        meta.inode,
    ])
}

fn skipped_item(components: &[Vec<u8>], reason: SkipReason) -> SkippedItem {
    let path: Vec<_> = components.iter().map(|part| String::from_utf8_lossy(part)).collect();
    SkippedItem { path: path.join("/"), reason: reason.to_string() }
}
