//! Folders: every entry becomes a record; content is read only when an entry looks different from what it
//! looked like at this device's last backup.

use std::{
    cmp::Ordering,
    collections::VecDeque,
    io::{Read, Seek as _, SeekFrom},
};

use super::{
    NextEdit, SkippedItem, Tally,
    batch::{Batch, Content, Entry, FileContent, Gathering, ReadFile, SMALL_BYTES, Step, Whole},
    edits::Pass,
};
use crate::{
    Error, Result,
    content::MEDIA_PIECE_BYTES,
    kinds::{
        Cutting, FileMeta as FileRecord, FileType, Kind, PHOTO_HEAD_BYTES, Policy, Record, file_key,
        is_media_name, taken_ms,
    },
    tree::Edit,
    vault::{
        contents::{Compress, ContentWriter, Cut, decode_entry, encode_entry, has_value, write_content},
        folder::{EntryType, FileMeta, Folder, SkipReason, Skipped, SourceFile, SourceItem, Walk},
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
    /// Entries that look different, in order; the small files among them are being read.
    batches: VecDeque<Batch>,
    /// Those whose turn it is, and what their batch counted for.
    ready: VecDeque<Step>,
    ready_bytes: u64,
    replica: Replica,
    /// Keys of folders that could not be read: what lies below has not vanished.
    unseen: Vec<Vec<u8>>,
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
            batches: VecDeque::new(),
            ready: VecDeque::new(),
            ready_bytes: 0,
            replica: folder_replica(kind, folder.path())?,
            unseen: Vec::new(),
        })
    }

    pub(super) fn ended(&self) -> bool {
        self.has_walked() && self.batches.is_empty() && self.ready.is_empty()
    }

    /// Whether every entry was walked to.
    fn has_walked(&self) -> bool {
        self.walked && self.item.is_none() && self.known_after.is_none() && self.known.is_empty()
    }

    pub(super) fn next_edit(&mut self, pass: &mut Pass<'_, '_>) -> NextEdit {
        loop {
            match self.try_next_edit(pass) {
                Ok(None) => return None,
                Ok(Some(None)) => {}
                Ok(Some(Some(edit))) => return Some(Ok(edit)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The edit that the next entry makes, if it makes one; nothing when there is no entry, or the pass has
    /// sent enough.
    fn try_next_edit(&mut self, pass: &mut Pass<'_, '_>) -> Result<Option<Option<Edit>>> {
        while !pass.is_full() && self.has_room(pass.writer) && !self.has_walked() {
            let batch = self.gather(pass)?;
            self.batches.push_back(batch);
        }
        if self.ready.is_empty() {
            let Some(batch) = self.batches.pop_front() else { return Ok(None) };
            self.ready_bytes = batch.bytes;
            self.ready = batch.wait()?;
        }
        match self.ready.pop_front() {
            None => Ok(Some(None)),
            Some(Step::Vanished(key, note)) => self.vanished(key, note, pass).map(Some),
            Some(Step::Present(entry)) => self.present(entry, pass).map(Some),
        }
    }

    /// Whether another batch may be given away before the first is waited for.
    fn has_room(&self, writer: &ContentWriter<'_>) -> bool {
        /// What the hands and the caller's thread may each have before them.
        const BYTES_EACH: usize = 2 * 1024 * 1024 + 512 * 1024;
        let share = (BYTES_EACH * (writer.hands() + 1)).min(writer.job().memory_bytes() / 8);
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        let ready = if self.ready.is_empty() { 0 } else { self.ready_bytes };
        let bytes = ready + self.batches.iter().map(|batch| batch.bytes).sum::<u64>();
        self.batches.is_empty() || (self.batches.len() <= 8 * writer.hands() && bytes < share)
    }

    /// Walks on to the next entries that look different or have vanished.
    fn gather(&mut self, pass: &mut Pass<'_, '_>) -> Result<Batch> {
        let mut batch = Gathering::new(pass.writer);
        while !batch.is_full() && self.gather_next(&mut batch, pass)? {}
        batch.read(&self.kind, pass.writer)
    }

    /// Whether there was another entry.
    fn gather_next(&mut self, batch: &mut Gathering, pass: &mut Pass<'_, '_>) -> Result<bool> {
        self.walk_on(pass.tally)?;
        self.fill_known(pass.writer)?;
        let order = match (&self.item, self.known.front()) {
            (None, None) => return Ok(false),
            (Some((key, _)), Some((known, _))) => known.cmp(key),
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
        };
        let known = if order == Ordering::Greater { None } else { self.known.pop_front() };
        let item = if order == Ordering::Less { None } else { self.item.take() };
        match (item, known) {
            (None, None) => {}
            (None, Some((key, note))) => batch.vanished(key, note),
            (Some((key, item)), known) => {
                pass.tally.seen += 1;
                pass.writer.job().step(|progress| progress.items += 1)?;
                let note = known.map(|(_, note)| note);
                if note.is_none_or(|note| note.stat != stat_of(&item.meta)) {
                    let to = (&self.kind, pass.writer);
                    batch.present(to, (key, item, note), |item| self.walk.opening(item))?;
                }
            }
        }
        Ok(true)
    }

    /// Makes sure that the next entry of the folder is at hand.
    fn walk_on(&mut self, tally: &mut Tally) -> Result<()> {
        while self.item.is_none() && !self.walked {
            match self.walk.next() {
                None => self.walked = true,
                Some(Ok(item)) => {
                    let key = file_key(&self.source, &item.components)?;
                    self.item = Some((key, item));
                }
                Some(Err(skipped)) => self.skip(&skipped, tally)?,
            }
        }
        Ok(())
    }

    fn skip(&mut self, skipped: &Skipped, tally: &mut Tally) -> Result<()> {
        if skipped.components.is_empty() {
            return Err(Error::InvalidArgument("the source cannot be read"));
        }
        self.unseen.push(file_key(&self.source, &skipped.components)?);
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

    fn present(&mut self, entry: Entry, pass: &mut Pass<'_, '_>) -> Result<Option<Edit>> {
        let Entry { key, item, note, content } = entry;
        let Some((value, settled)) = self.value((&key, note.as_ref()), &item, content, pass)? else {
            return Ok(None);
        };
        let noted = if settled { stat_of(&item.meta) } else { FileStat([0; 6]) };
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
        // Since a rotation a long file that was only touched looks edited; so the other version keeps its name.
        let is_doubtful = note.is_some() && pass.writer.has_rotated() && is_long(&value)?;
        let Decision { value: winner, copy } = if is_doubtful {
            Decision { value: Some(known.clone()), copy: Some(value) }
        } else {
            keep_both(&value, &known)?
        };
        if let Some(copy) = copy {
            let under = conflict_key(&self.kind, &key, &copy)?;
            pass.tally.conflicts.push(Conflict::new(&self.kind, &key, &under));
            pass.tally.copies.insert(under, copy);
        }
        Ok((winner.as_ref() != Some(&known)).then_some(Edit { key, value: winner }))
    }

    /// The entry's value, and whether it stood still while it was read; `None` when it cannot be had.
    fn value(
        &mut self,
        known: (&[u8], Option<&Note>),
        item: &SourceItem,
        content: Content,
        pass: &mut Pass<'_, '_>,
    ) -> Result<Option<(Vec<u8>, bool)>> {
        let content = match content {
            Content::InPieces(file) => {
                // What is the same, cut otherwise, is not stored again.
                let is_other = cut_otherwise(known, file.bytes, pass)?.is_some();
                let noted = file.noted;
                let read = file.wait(pass.writer, !is_other)?;
                Content::Read(Box::new(read), noted)
            }
            content => content,
        };
        let read = match content {
            Content::Nowhere => None,
            Content::Coming | Content::InPieces(_) => return Err(Error::Internal("a file was not read")),
            Content::File(opening) => match opening.open() {
                Ok(Some(file)) => Some(self.read_long(file, known, item, pass)?),
                Ok(None) => return Ok(None),
                Err(reason) => return Ok(leave_out(item, reason, pass.tally)),
            },
            Content::Read(read, noted) => match *read {
                ReadFile::Vanished => return Ok(None),
                ReadFile::LeftOut(reason) => return Ok(leave_out(item, reason, pass.tally)),
                ReadFile::TooLong(mut file) => {
                    file.rewind().map_err(Error::io("reading the source"))?;
                    Some(self.read_long(file, known, item, pass)?)
                }
                ReadFile::Whole(FileContent { meta, settled, taken_ms, content }) => {
                    let content = match self.unchanged(known, item, &content, pass)? {
                        Some(content) => content,
                        None => content.store(pass.writer, noted)?,
                    };
                    Some(FileContent { meta, settled, taken_ms, content })
                }
            },
        };
        let Some(FileContent { meta, settled, taken_ms, content }) = read else {
            let record = record_of(&item.meta, item.link_target.clone(), None);
            return self.encode(record, None, pass).map(|value| Some((value, true)));
        };
        pass.tally.read_bytes += content.length;
        pass.writer.job().step(|progress| progress.bytes += content.length)?;
        let value = self.encode(record_of(&meta, None, taken_ms), Some(content), pass)?;
        Ok(Some((value, settled)))
    }

    fn encode(
        &self,
        record: Record,
        content: Option<messages::Content>,
        pass: &Pass<'_, '_>,
    ) -> Result<Vec<u8>> {
        encode_entry(pass.writer, record.encode()?, content, Policy::of(&self.kind).compress)
    }

    /// What the tree holds of a file that the hands have read, if it is the same, cut otherwise.
    fn unchanged(
        &mut self,
        known: (&[u8], Option<&Note>),
        item: &SourceItem,
        read: &Whole,
        pass: &mut Pass<'_, '_>,
    ) -> Result<Option<messages::Content>> {
        // It was asked before it was stored.
        if let Whole::Stored(_) = read {
            return Ok(None);
        }
        let Some(content) = cut_otherwise(known, read.length(), pass)? else { return Ok(None) };
        if read.is_cut_as(&content) {
            return Ok(None);
        }
        let Ok(Some(mut file)) = self.walk.opening(item).open() else { return Ok(None) };
        Ok(self.is_still(&content, file.reader(), pass)?.then_some(content))
    }

    /// Reads a file of any length, piece by piece.
    fn read_long(
        &self,
        mut file: SourceFile,
        known: (&[u8], Option<&Note>),
        item: &SourceItem,
        pass: &mut Pass<'_, '_>,
    ) -> Result<FileContent<messages::Content>> {
        let failed = || Error::io("reading the source");
        let meta = file.meta().map_err(failed())?;
        let is_picture = is_picture(&self.kind, item);
        // The head is kept until all that comes after it is read.
        let is_wanted = is_picture || Policy::depends_on_head(meta.size);
        let wanted = if is_wanted { MEDIA_PIECE_BYTES } else { 0 };
        let mut head = Vec::with_capacity(wanted);
        file.reader().take(wanted as u64).read_to_end(&mut head).map_err(failed())?;
        let taken_ms = if is_picture { taken_from(&head) } else { None };
        if let Some(content) = cut_otherwise(known, meta.size, pass)? {
            if self.is_still(&content, &mut head.as_slice().chain(file.reader()), pass)? {
                let settled = file.meta().is_ok_and(|after| after == meta);
                return Ok(FileContent { meta, settled, taken_ms, content });
            }
            let behind = u64::try_from(head.len()).map_err(|_| Error::Internal("length"))?;
            file.seek(SeekFrom::Start(behind)).map_err(failed())?;
        }
        let policy = Policy::of(&self.kind);
        let cut = match policy.cutting_of(meta.size, &head) {
            Cutting::Fixed => Cut::Fixed,
            _ => Cut::ByContent,
        };
        let compress = if policy.compress { Compress::Sampled } else { Compress::Never };
        let content = write_content(pass.writer, &mut head.as_slice().chain(file.reader()), cut, compress)?;
        let settled = file.meta().is_ok_and(|after| after == meta);
        Ok(FileContent { meta, settled, taken_ms, content })
    }

    fn is_still(
        &self,
        content: &messages::Content,
        source: &mut dyn Read,
        pass: &Pass<'_, '_>,
    ) -> Result<bool> {
        has_value(pass.writer, content, source, Policy::of(&self.kind).compress)
    }
}

fn is_long(value: &[u8]) -> Result<bool> {
    Ok(decode_entry(value)?.content.is_some_and(|content| content.length > SMALL_BYTES))
}

/// What the tree holds of a file that may be the same and cut otherwise: of its length, and from elsewhere or from
/// another epoch, which had another key to cut with, also if it was sent again since then. Cut anew it would be sent
/// anew, and look as if it had been edited.
fn cut_otherwise(
    (key, note): (&[u8], Option<&Note>),
    length: u64,
    pass: &mut Pass<'_, '_>,
) -> Result<Option<messages::Content>> {
    if length <= SMALL_BYTES {
        return Ok(None);
    }
    let Some(known) = pass.known(key)? else { return Ok(None) };
    let is_own = match note {
        Some(note) => content_id(known)? == note.value,
        None => false,
    };
    let Some(content) = decode_entry(known)?.content.filter(|content| content.length == length) else {
        return Ok(None);
    };
    let may_be_again = pass.writer.has_rotated() && pass.writer.access().database.has_lost_packs();
    let is_other = !is_own || may_be_again || pass.writer.is_of_another_epoch(&content)?;
    Ok(Some(content).filter(|_| is_other))
}

/// Reports an entry that cannot be read.
fn leave_out<T>(item: &SourceItem, reason: SkipReason, tally: &mut Tally) -> Option<T> {
    tally.skipped.push(skipped_item(&item.components, reason));
    None
}

/// When a picture was taken, from its first bytes.
pub(super) fn taken_from(bytes: &[u8]) -> Option<i64> {
    taken_ms(bytes.get(..PHOTO_HEAD_BYTES).unwrap_or(bytes))
}

/// Whether to look for when it was taken.
pub(super) fn is_picture(kind: &Kind, item: &SourceItem) -> bool {
    *kind == Kind::PHOTOS && item.components.last().is_some_and(|name| is_media_name(name))
}

/// The folder as this device knows it: the same name in another place is another replica.
pub(crate) fn folder_replica(kind: &Kind, path: &std::path::Path) -> Result<Replica> {
    let path = path.canonicalize().map_err(Error::io("opening the source"))?;
    Ok(replica_at(kind, &path))
}

/// The same of a folder that is still to be made in `parent`, or in a folder that is still to be made there.
pub(crate) fn future_replica(kind: &Kind, parent: &std::path::Path, names: [&str; 2]) -> Result<Replica> {
    let mut path = parent.canonicalize().map_err(Error::io("opening the source"))?;
    for name in names {
        path.push(name);
        // What is there may be a link.
        path = path.canonicalize().unwrap_or(path);
    }
    Ok(replica_at(kind, &path))
}

fn replica_at(kind: &Kind, path: &std::path::Path) -> Replica {
    let [a, b, c, d, e, f, g, h, ..] = value_id(path.as_os_str().as_encoded_bytes());
    Replica::new(kind.name(), [a, b, c, d, e, f, g, h])
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
