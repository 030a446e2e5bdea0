//! Restore: plan, then act. What is damaged or missing is named; everything else comes back, exactly.

mod cards;
mod elements;
mod noted;
mod plan;
mod small;

use std::path::Path;

use cards::Cards;
use noted::{Noting, Recorded, Seen};
use plan::Part;
pub use plan::{RestorePlan, Selection, Unmerged};
use small::{Files, PlannedFile, SmallFile, Written};

use super::{
    Attributes, Component, ItemError, Job, Problem, Target, Vault,
    contents::{ContentReader, Parcel, ValueReader, decode_entry, is_value, load_index, record_of},
    crew::hands,
    folder::Alone,
    merge::file_content_id,
    snapshots::{display_key, entries_below, has_paths},
    view::View,
};
use crate::{
    Error, Result,
    history::Freshness,
    kinds::{FileMeta, FileType, Kind, Record, parse_contact_key, parse_file_key},
    wire::messages,
};

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// Entries that are there now as they are to be.
    pub entries: u64,
    /// Those of them that were found so, most likely since an earlier restore was cut off.
    pub found: u64,
    /// Bytes of content written.
    pub bytes: u64,
    /// What could not be restored.
    pub failures: Vec<Failure>,
    /// How new the restored state is.
    pub freshness: Freshness,
}

/// One entry that could not be restored or verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The kind.
    pub kind: String,
    /// Its path, for the owner's eyes; not for logs.
    pub path: String,
    /// Why.
    pub reason: String,
    /// Whether the store is to blame (damaged or missing data), not the target folder.
    pub damage: bool,
}

/// Why one entry was not restored.
enum Failed {
    Entry(Error),
    Item(ItemError),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Entry(error)
    }
}

impl From<ItemError> for Failed {
    fn from(error: ItemError) -> Self {
        Self::Item(error)
    }
}

impl Vault {
    /// Carries a plan out: writes `INTO/KIND/SOURCE/…`, `INTO/messages/messages.xml`,
    /// `INTO/calls/calls.xml`. An entry that is damaged or missing is left out and listed; a file appears
    /// under its name only when all of it was verified. A file that is there already, with the recorded length, time
    /// and mode, is read, and if it has the very content neither fetched nor written: so a restore that was cut off
    /// goes on when it is asked for again, with [`RestorePlan::replacing`] also for the attributes of folders.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be used; [`Error::InvalidArgument`] when it lies where the plan keeps out
    /// of; [`Error::Cancelled`]; [`Error::Store`]. Damage of single entries is in the report.
    pub fn restore(&self, plan: RestorePlan, into: impl AsRef<Path>, job: &Job) -> Result<RestoreReport> {
        let work = &mut *self.work();
        let view = self.refresh(work)?;
        let into = into.as_ref();
        let mut target = open_target(&plan, into)?;
        let mut notings = Noting::all(&self.database, &plan, into);
        let mut report =
            RestoreReport { entries: 0, found: 0, bytes: 0, failures: Vec::new(), freshness: plan.freshness };
        job.step(|progress| {
            progress.items_total = Some(plan.entries);
            progress.bytes_total = Some(plan.bytes);
        })?;
        for part in &plan.parts {
            let noting = notings.iter_mut().find(|noting| *noting.kind() == part.kind);
            self.restore_part(&view, (part, noting), &mut target, &mut report, job)?;
        }
        let mut noted = Ok(());
        let finished = target.finish_with(&mut |settled| {
            if let (Ok(()), Some(noting)) = (&noted, Noting::of_path(&mut notings, settled.path)) {
                noted = noting.add_settled(&settled);
            }
        });
        noted?;
        for Problem { path, error } in &finished.problems {
            if let (Some(noting), false) = (Noting::of_path(&mut notings, path), error.is_taken()) {
                noting.lose_settled(path)?;
            }
        }
        report.failures.extend(finished.problems.iter().map(Failure::of_problem));
        for noting in notings {
            self.finish_notes(&view, noting)?;
        }
        Ok(report)
    }

    fn restore_part(
        &self,
        view: &View,
        (part, noting): (&Part, Option<&mut Noting>),
        target: &mut Target,
        report: &mut RestoreReport,
        job: &Job,
    ) -> Result<()> {
        /// What is left of the usual budget has room for four packs: three of which files are written, and one that
        /// is being opened meanwhile.
        const OTHER_BYTES: usize = 30 * 1024 * 1024;
        /// Tree pages, at least.
        const LEAST_BYTES: usize = 8 * 1024 * 1024;
        /// With less than this and a hand's share there is room for few packs, and the caller's thread works alone.
        const FIRST_BYTES: usize = 40 * 1024 * 1024;
        const HAND_BYTES: usize = 12 * 1024 * 1024;
        let access = self.access(part.kind.name(), view)?;
        for damage in load_index(&access, &part.state)? {
            report.fail(&part.kind, "(index)", &damage.error.to_string(), true);
        }
        let hands = hands(job, FIRST_BYTES, HAND_BYTES);
        let memory = job.memory_bytes().saturating_sub(OTHER_BYTES).max(LEAST_BYTES);
        let reader = ContentReader::new(access, memory)?.of_now()?.with_hands(hands);
        let files = Files::new(hands);
        let mut run = Run { part, reader: &reader, target, report, noting, files, job };
        if has_paths(&part.kind) { run.paths() } else { run.elements() }
    }

    fn finish_notes(&self, view: &View, mut noting: Noting) -> Result<()> {
        const PAGES_BYTES: usize = 8 * 1024 * 1024;
        if noting.is_in_doubt() {
            let kind = noting.kind().clone();
            let reader = ContentReader::new(self.access(kind.name(), view)?, PAGES_BYTES)?;
            match noting.add_listed(&reader) {
                // The restore itself told of it.
                Err(error) if error.is_damage() => {}
                listed => listed?,
            }
        }
        noting.finish()
    }
}

/// Opens the folder to restore into, unless it lies in one that is to be left alone.
fn open_target(plan: &RestorePlan, into: &Path) -> Result<Target> {
    let failed = || Error::io("looking at a folder to leave alone");
    let alone = Alone::find(&plan.without).map_err(failed())?;
    if alone.surround(into).map_err(failed())? {
        return Err(Error::InvalidArgument("the target lies in a folder that is to be left alone"));
    }
    Ok(Target::create(into)?.overwrite(plan.overwrite).leaving(alone))
}

impl Failure {
    fn of_problem(problem: &Problem) -> Self {
        let mut path = problem.path.iter().map(|part| String::from_utf8_lossy(part.as_bytes()));
        let kind = path.next().unwrap_or_default().into_owned();
        let path = path.collect::<Vec<_>>().join("/");
        Self { kind, path, reason: problem.error.to_string(), damage: false }
    }
}

impl RestoreReport {
    fn fail(&mut self, kind: &Kind, path: &str, reason: &str, damage: bool) {
        let (kind, path, reason) = (kind.name().to_owned(), path.to_owned(), reason.to_owned());
        self.failures.push(Failure { kind, path, reason, damage });
    }
}

/// The restore of one part.
struct Run<'r, 'a> {
    part: &'r Part,
    reader: &'r ContentReader<'a>,
    target: &'r mut Target,
    report: &'r mut RestoreReport,
    /// Where to note what was restored, if it is to be noted.
    noting: Option<&'r mut Noting>,
    files: Files,
    job: &'r Job,
}

impl Run<'_, '_> {
    /// Files, folders, links and contacts.
    fn paths(&mut self) -> Result<()> {
        let mut cards = Cards::default();
        // The path of the entry before: most of it is the next one's too.
        let mut names = Vec::new();
        let mut after = Vec::new();
        // The last key before pages that are lost.
        let mut lost_after = None;
        let mut below = entries_below(self.part.state.root, self.reader, &self.part.prefix);
        while let Some(entry) = below.next() {
            let (key, value) = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.lose_page(below.skip_page(), &after, error)?;
                    lost_after.get_or_insert_with(|| after.clone());
                    continue;
                }
            };
            self.lose_between(lost_after.take(), Some(&key))?;
            after.clone_from(&key);
            match self.path_entry(&key, &value, &mut names, &mut cards) {
                Ok(Placing::Done(bytes)) => self.settle(&key, Ok(bytes), 0)?,
                Ok(Placing::Found(bytes)) => {
                    self.report.found += 1;
                    self.settle(&key, Ok(0), bytes)?;
                }
                Ok(Placing::Later(planned, parcel)) => {
                    if self.files.is_due_before(&parcel) {
                        self.give_files()?;
                    }
                    self.files.add(SmallFile { key, planned, parcel });
                    self.write_files(false)?;
                }
                Err(failed) => self.settle(&key, Err(failed), 0)?,
            }
        }
        self.write_files(true)?;
        self.lose_between(lost_after, None)?;
        match cards.finish(self.has_lost()) {
            Ok(()) => Ok(()),
            Err(failed) => self.note("contacts", failed),
        }
    }

    /// Whether anything of this kind was lost so far: kinds come one after the other.
    fn has_lost(&self) -> bool {
        self.report.failures.last().is_some_and(|failure| failure.kind == self.part.kind.name())
    }

    fn path_entry(
        &mut self,
        key: &[u8],
        value: &[u8],
        names: &mut Vec<Component>,
        cards: &mut Cards,
    ) -> std::result::Result<Placing, Failed> {
        let entry = decode_entry(value)?;
        let kind = self.part.kind.name().as_bytes();
        match Record::decode(&record_of(self.reader, &entry)?)? {
            Record::Contact(card) => {
                let path = [kind, parse_contact_key(key)?.as_bytes()];
                Component::parse_next(names, &path).map_err(ItemError::from)?;
                let has_lost = self.has_lost();
                cards.add(names, &card, self.target, has_lost).map(Placing::Done)
            }
            Record::File(meta) => {
                let (source, parts) = parse_file_key(key)?;
                if parts.is_empty() {
                    return Err(Failed::Entry(Error::damaged(crate::Part::Record)));
                }
                if let Some(noting) = &mut self.noting {
                    noting.begin_source(source)?;
                }
                let path = [&[kind, source.as_bytes()], &parts[..]].concat();
                Component::parse_next(names, &path).map_err(ItemError::from)?;
                self.file((key, names), &meta, entry)
            }
            Record::Element(_) => Err(Failed::Entry(Error::damaged(crate::Part::Record))),
        }
    }

    fn file(
        &mut self,
        (key, names): (&[u8], &[Component]),
        meta: &FileMeta,
        entry: messages::Entry,
    ) -> std::result::Result<Placing, Failed> {
        let &FileMeta { file_type, mode, modified_s, modified_ns, ref link_target, .. } = meta;
        let attributes = Attributes { mode, modified_s, modified_ns };
        // What tells of an entry lies in its value, or it is not noted.
        let is_noted = self.noting.is_some() && entry.record_content.is_none();
        let mark =
            || is_noted.then(|| file_content_id(file_type, link_target, &messages::Content::default()));
        match (file_type, entry.content) {
            (FileType::Directory, None) => self.target.folder_marked(names, attributes, mark())?,
            (FileType::Symlink, None) => {
                match self.target.link_marked(names, link_target, attributes, mark()) {
                    Err(error) if error.is_taken() && self.target.has_link(names, link_target)? => {
                        return Ok(Placing::Found(0));
                    }
                    made => made?,
                }
            }
            (FileType::Regular, Some(content)) => {
                return self.regular((key, names), (attributes, is_noted), content);
            }
            _ => return Err(Failed::Entry(Error::damaged(crate::Part::Record))),
        }
        Ok(Placing::Done(0))
    }

    /// A long file is written here and only read by the hands; a short one is theirs altogether.
    fn regular(
        &mut self,
        (key, names): (&[u8], &[Component]),
        (attributes, is_noted): (Attributes, bool),
        content: messages::Content,
    ) -> std::result::Result<Placing, Failed> {
        while self.reader.is_crowded() && self.files.is_busy() {
            self.give_files()?;
            self.settle_next()?;
        }
        let planned = PlannedFile { place: self.target.file_place(names)?, attributes, is_noted };
        if let Some(mut file) = planned.place.found(attributes, content.length)
            && is_value((self.reader, self.job), &content, file.reader())?
            && planned.place.keep(&file)
        {
            self.note_seen(key, planned.look(&Ok(()), &content))?;
            return Ok(Placing::Found(content.length));
        }
        if self.reader.hands() > 0
            && Parcel::suits(&content)
            && let Some(parcel) = Parcel::of(self.reader, &content)?
        {
            return Ok(Placing::Later(planned, parcel));
        }
        let written = self.long(&planned, &content);
        self.note_seen(key, planned.look(&written, &content))?;
        written.map(|()| Placing::Done(content.length))
    }

    fn long(&self, planned: &PlannedFile, content: &messages::Content) -> std::result::Result<(), Failed> {
        let mut file = planned.place.create_if_free()?;
        let mut bytes = ValueReader::new(self.reader, content)?;
        while let Some(piece) = bytes.next()? {
            file.write(&piece)?;
            let written = u64::try_from(piece.len()).unwrap_or(0);
            self.job.step(|progress| progress.bytes += written)?;
        }
        file.finish(planned.attributes)?;
        Ok(())
    }

    /// Gives files away when there are enough of them, and settles those that are written.
    fn write_files(&mut self, all: bool) -> Result<()> {
        if all || self.files.is_full() {
            self.give_files()?;
        }
        while let Some(written) = if all { self.files.line.next() } else { self.files.line.next_due() } {
            self.settle_written(written?)?;
        }
        Ok(())
    }

    fn give_files(&mut self) -> Result<()> {
        let files = self.files.take();
        if files.is_empty() {
            return Ok(());
        }
        let written = self.reader.give(move |tools| {
            Ok(files.into_iter().map(|file| file.write(&mut tools.decompressor)).collect())
        })?;
        self.files.line.push(written);
        Ok(())
    }

    fn settle_next(&mut self) -> Result<()> {
        self.files.line.next().map_or(Ok(()), |written| self.settle_written(written?))
    }

    fn settle_written(&mut self, written: Vec<Written>) -> Result<()> {
        for Written { key, done, seen } in written {
            self.note_seen(&key, seen)?;
            let bytes = *done.as_ref().unwrap_or(&0);
            self.settle(&key, done, bytes)?;
        }
        Ok(())
    }

    fn note_seen(&mut self, key: &[u8], seen: Option<Seen>) -> Result<()> {
        match (&mut self.noting, seen) {
            (Some(noting), Some(seen)) => noting.add(key, seen),
            _ => Ok(()),
        }
    }

    /// One entry is done with; `bytes` of it the job has not been told of.
    fn settle(&mut self, key: &[u8], done: std::result::Result<u64, Failed>, bytes: u64) -> Result<()> {
        match done {
            Ok(bytes) => {
                self.report.entries += 1;
                self.report.bytes += bytes;
            }
            Err(failed) => {
                let is_taken = matches!(&failed, Failed::Item(error) if error.is_taken());
                self.note(&display_key(&self.part.kind, key), failed)?;
                if let (Some(noting), false) = (&mut self.noting, is_taken) {
                    noting.lose(key)?;
                }
            }
        }
        self.job.step(|progress| {
            progress.items += 1;
            progress.bytes += bytes;
        })
    }

    fn lose_page(&mut self, lost: Option<u64>, after: &[u8], error: Error) -> Result<()> {
        self.note(&lost_entries(lost, &display_key(&self.part.kind, after)), Failed::Entry(error))
    }

    /// What lost pages told of is not known any more.
    fn lose_between(&mut self, after: Option<Vec<u8>>, before: Option<&[u8]>) -> Result<()> {
        match (&mut self.noting, after) {
            (Some(noting), Some(after)) => noting.lose_between(&self.part.prefix, (&after, before)),
            _ => Ok(()),
        }
    }

    /// Lists a failure; only what concerns the whole job ends it.
    fn note(&mut self, path: &str, failed: Failed) -> Result<()> {
        match failed {
            Failed::Entry(error @ (Error::Cancelled | Error::Store(_) | Error::Database(_))) => Err(error),
            Failed::Entry(error) => {
                self.report.fail(&self.part.kind, path, &error.to_string(), error.is_damage());
                Ok(())
            }
            Failed::Item(error) => {
                self.report.fail(&self.part.kind, path, &error.to_string(), false);
                Ok(())
            }
        }
    }
}

/// What became of an entry, or what has to be done yet.
enum Placing {
    Done(u64),
    Found(u64),
    Later(PlannedFile, Parcel),
}

/// What is said of entries whose names went with a page.
pub(super) fn lost_entries(count: Option<u64>, after: &str) -> String {
    let place = if after.is_empty() { "at the beginning".to_owned() } else { format!("after {after}") };
    count.map_or_else(|| format!("everything {place}"), |count| format!("{count} entries {place}"))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "test code")]
mod tests;
