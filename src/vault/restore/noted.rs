//! What a restore leaves behind: a folder that this device had from now on. What is edited or deleted there
//! later is an edit or a deletion, as if the folder had been backed up before.
//!
//! Each entry is looked at when it is as it stays, and noted only if it looks as recorded. No note counts
//! before the restore has ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{RestorePlan, has_paths};
use crate::{
    Result,
    kinds::{FileMeta as FileRecord, FileType, Kind, Record, file_key},
    tree::{Lookup, Root},
    vault::{
        Attributes, Component, Folder, Settled,
        backup::{folder_replica, future_replica, stat_of},
        contents::{ContentReader, decode_entry},
        folder::{EntryType, FileMeta, Stat},
        keeps_names,
        merge::content_id,
        state::{Database, FileStat, NewNote, Replica, Run},
    },
    wire::messages,
};

/// What an entry looks like, and the id of its value.
pub(super) type Seen = (FileStat, [u8; 16]);

/// What a record says that a look at the entry must show.
pub(super) struct Recorded {
    entry_type: EntryType,
    attributes: Attributes,
    length: u64,
}

impl Recorded {
    pub(super) fn file(attributes: Attributes, length: u64) -> Self {
        Self { entry_type: EntryType::Regular, attributes, length }
    }

    /// What to note of an entry that looks like this; nothing if it looks otherwise.
    pub(super) fn seen(&self, stat: &Stat, content: impl FnOnce() -> [u8; 16]) -> Option<Seen> {
        let meta = FileMeta::from_stat(stat).filter(|meta| self.shows_in(meta))?;
        Some((stat_of(&meta), content()))
    }

    fn of(entry: &messages::Entry) -> Option<Self> {
        let Ok(Record::File(FileRecord { file_type, mode, modified_s, modified_ns, .. })) =
            Record::decode(&entry.record)
        else {
            return None;
        };
        let entry_type = match file_type {
            FileType::Regular => EntryType::Regular,
            FileType::Directory => EntryType::Directory,
            FileType::Symlink => EntryType::Symlink,
        };
        let length = entry.content.as_ref().map_or(0, |content| content.length);
        Some(Self { entry_type, attributes: Attributes { mode, modified_s, modified_ns }, length })
    }

    fn shows_in(&self, meta: &FileMeta) -> bool {
        let time = |of: &Attributes| (of.modified_s, of.modified_ns);
        meta.entry_type == self.entry_type
            && time(&meta.attributes) == time(&self.attributes)
            && (self.entry_type != EntryType::Regular || meta.size == self.length)
    }
}

/// The notes of one kind's entries.
pub(super) struct Noting {
    database: Arc<Database>,
    kind: Kind,
    root: Option<Root>,
    /// Where the restore goes.
    into: PathBuf,
    /// The folder there that has the sources.
    folder: PathBuf,
    /// Where nothing is restored.
    without: Vec<PathBuf>,
    /// Sources of which something was to be restored.
    begun: BTreeSet<String>,
    /// None for a source whose names may not be what they were to be.
    sources: BTreeMap<String, Option<Replica>>,
    run: Option<Run>,
    notes: Vec<NewNote>,
}

impl Noting {
    /// For each kind of a plan whose entries are noted.
    pub(super) fn all(database: &Arc<Database>, plan: &RestorePlan, into: &Path) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for part in plan.parts.iter().filter(|_| plan.newest) {
            let is_noted = has_paths(&part.kind) && part.kind != Kind::CONTACTS;
            if is_noted && !all.iter().any(|noting| noting.kind == part.kind) {
                all.push(Self {
                    database: Arc::clone(database),
                    kind: part.kind.clone(),
                    root: part.state.root,
                    into: into.to_owned(),
                    folder: into.join(part.kind.name()),
                    without: plan.without.clone(),
                    begun: BTreeSet::new(),
                    sources: BTreeMap::new(),
                    run: None,
                    notes: Vec::new(),
                });
            }
        }
        all
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The one for what lies at KIND/….
    pub(super) fn of_path<'n>(notings: &'n mut [Self], path: &[Component]) -> Option<&'n mut Self> {
        let kind = path.first()?.as_bytes();
        notings.iter_mut().find(|noting| noting.kind.name().as_bytes() == kind)
    }

    /// Before the first entry of a source is restored. Where its folder is gone, all that was noted of it is
    /// forgotten at once: what does not come back, though the restore be cut off, was not deleted.
    pub(super) fn begin_source(&mut self, source: &str) -> Result<()> {
        if self.begun.contains(source) {
            return Ok(());
        }
        self.begun.insert(source.to_owned());
        if self.folder.join(source).symlink_metadata().is_ok() {
            return Ok(());
        }
        let replica = future_replica(&self.kind, &self.into, [self.kind.name(), source])?;
        self.database.forget_folder(&replica)
    }

    /// Notes an entry that was restored, or found as it is recorded.
    pub(super) fn add(&mut self, key: &[u8], seen: Seen) -> Result<()> {
        let Some(source) = source_of(key) else { return Ok(()) };
        if !self.sources.contains_key(source) {
            let path = self.folder.join(source);
            let replica = folder_replica(&self.kind, &path).ok().filter(|_| keeps_names(&path));
            self.sources.insert(source.to_owned(), replica);
        }
        match self.sources.get(source) {
            Some(Some(replica)) => self.keep(replica.note(key, Some(seen))),
            _ => Ok(()),
        }
    }

    /// Forgets an entry that could not be restored: what is not there was not deleted.
    pub(super) fn lose(&mut self, key: &[u8]) -> Result<()> {
        let Some(source) = source_of(key) else { return Ok(()) };
        match folder_replica(&self.kind, &self.folder.join(source)) {
            Ok(replica) => self.keep(replica.note(key, None)),
            Err(_) => Ok(()),
        }
    }

    /// Forgets the entries below `prefix` and between two others: a page that tells of them could not be read.
    pub(super) fn lose_between(
        &mut self,
        prefix: &[u8],
        (after, before): (&[u8], Option<&[u8]>),
    ) -> Result<()> {
        const BATCH: usize = 1024;
        let sources = BTreeSet::from([source_of(after.max(prefix)), before.and_then(source_of)]);
        for source in sources.into_iter().flatten() {
            let Ok(replica) = folder_replica(&self.kind, &self.folder.join(source)) else { continue };
            let mut from = Some(after.max(prefix).to_vec());
            while let Some(key) = from {
                let run = self.run()?.clone();
                let (notes, next) = self.database.notes_from(&run, &replica, (prefix, &key), BATCH)?;
                from = next;
                for (key, _) in notes {
                    if before.is_some_and(|before| key.as_slice() >= before) {
                        from = None;
                        break;
                    }
                    self.keep(replica.note(&key, None))?;
                }
            }
        }
        Ok(())
    }

    /// Notes a folder or a link, if it looks as recorded.
    pub(super) fn add_settled(&mut self, settled: &Settled<'_>) -> Result<()> {
        let Settled { path, mark, entry_type, attributes, stat } = settled;
        let recorded = Recorded { entry_type: *entry_type, attributes: *attributes, length: 0 };
        match (recorded.seen(stat, || *mark), key_of(path)?) {
            (Some(seen), Some(key)) => self.add(&key, seen),
            _ => Ok(()),
        }
    }

    /// Forgets a folder or a link that could not be restored.
    pub(super) fn lose_settled(&mut self, path: &[Component]) -> Result<()> {
        key_of(path)?.map_or(Ok(()), |key| self.lose(&key))
    }

    /// Where names may be other than they were to be, notes what the folder itself lists, as long as it looks
    /// as recorded.
    pub(super) fn add_listed(&mut self, reader: &ContentReader<'_>) -> Result<()> {
        let sources = self.sources.iter().filter(|(_, replica)| replica.is_none());
        for source in sources.map(|(source, _)| source.clone()).collect::<Vec<_>>() {
            let path = self.folder.join(&source);
            let folder = self.without.iter().fold(Folder::at(&path), Folder::without);
            let (Ok(walk), Ok(replica)) = (folder.walk(), folder_replica(&self.kind, &path)) else {
                continue;
            };
            let mut lookup = Lookup::new(self.root, reader);
            for item in walk.flatten() {
                let key = file_key(&source, &item.components)?;
                let Some(value) = lookup.value(&key)? else { continue };
                if Recorded::of(&decode_entry(value)?).is_some_and(|recorded| recorded.shows_in(&item.meta)) {
                    self.keep(replica.note(&key, Some((stat_of(&item.meta), content_id(value)?))))?;
                }
            }
        }
        Ok(())
    }

    /// Takes the folder's own list of names for `source`.
    #[cfg(test)]
    pub(super) fn doubt(&mut self, source: &str) {
        self.sources.insert(source.to_owned(), None);
    }

    /// Whether [`Self::add_listed`] has anything to do.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.sources.values().any(Option::is_none)
    }

    /// From now on the notes count.
    pub(super) fn finish(mut self) -> Result<()> {
        self.write()?;
        let (database, kind) = (&self.database, self.kind.name());
        self.run
            .as_ref()
            .map_or(Ok(()), |run| database.write(|transaction| Database::finish_run(transaction, kind, run)))
    }

    fn keep(&mut self, note: NewNote) -> Result<()> {
        const BATCH: usize = 4096;
        self.notes.push(note);
        if self.notes.len() >= BATCH { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        let notes = std::mem::take(&mut self.notes);
        if notes.is_empty() {
            return Ok(());
        }
        let database = Arc::clone(&self.database);
        let run = self.run()?;
        database.write(|transaction| Database::write_notes(transaction, run, &notes))
    }

    fn run(&mut self) -> Result<&Run> {
        let run = match self.run.take() {
            Some(run) => run,
            None => self.database.begin_run(self.kind.name())?,
        };
        Ok(self.run.insert(run))
    }
}

fn source_of(key: &[u8]) -> Option<&str> {
    let source = key.split(|byte| *byte == 0).next().filter(|source| !source.is_empty())?;
    std::str::from_utf8(source).ok()
}

/// The key of what lies at KIND/SOURCE/….
fn key_of(path: &[Component]) -> Result<Option<Vec<u8>>> {
    let [_, source, parts @ ..] = path else { return Ok(None) };
    let Ok(source) = std::str::from_utf8(source.as_bytes()) else { return Ok(None) };
    let parts: Vec<_> = parts.iter().map(Component::as_bytes).collect();
    file_key(source, &parts).map(Some)
}
