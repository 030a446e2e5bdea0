//! Check: proves that what the commits promise is in the store, and with the data read, that it restores.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Failure, Job, Vault,
    contents::{ContentReader, KindAccess, PackSource, decode_entry, fetch_fragment},
    crew::{Crew, Later, Line, hands},
    restore::lost_entries,
    snapshots::{display_key, entries_below},
    vault::Work,
    view::View,
};
use crate::{
    Error, Part, Result,
    content::{ChunkId, Decompressor, IndexFragment, PackEntry},
    crypto::Place,
    history::{Freshness, KindState},
    keys::ObjectRef,
    kinds::Kind,
    limits::OBJECT_BYTES_MAX,
    wire::messages,
};

/// How thorough a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckOptions {
    read_percent: u8,
}

impl CheckOptions {
    /// History, keys, indexes, trees, and that every pack is there with its length.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also fetches this share of the packs, chosen by chance, and verifies every byte of them.
    #[must_use]
    pub fn read_data(mut self, percent: u8) -> Self {
        self.read_percent = percent.min(100);
        self
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Commits verified.
    pub commits: u64,
    /// Packs that are there.
    pub packs: u64,
    /// Chunks in them.
    pub chunks: u64,
    /// Entries of the newest trees.
    pub entries: u64,
    /// Bytes of packs read and verified.
    pub bytes_read: u64,
    /// What is damaged or missing, by name.
    pub failures: Vec<Failure>,
    /// How new the checked state is.
    pub freshness: Freshness,
}

impl CheckReport {
    pub(super) fn new(freshness: Freshness) -> Self {
        Self { commits: 0, packs: 0, chunks: 0, entries: 0, bytes_read: 0, failures: Vec::new(), freshness }
    }
}

impl Vault {
    /// Verifies the vault against the store. Never changes anything.
    ///
    /// # Errors
    /// [`Error::Rollback`], [`Error::Fork`]; [`Error::Cancelled`]; [`Error::Store`]. Damage is in the report.
    pub fn check(&self, options: &CheckOptions, job: &Job) -> Result<CheckReport> {
        let work = &mut *self.work();
        let view = self.refresh(work)?;
        let mut report = CheckReport::new(view.freshness);
        self.check_history(work, &view, &mut report)?;
        for kind in view.kinds() {
            let kind = Kind::parse(&kind)?;
            // Devices that are in step have one state between them.
            let mut checked = Vec::new();
            for state in view.newest(kind.name()).into_iter().filter_map(|commit| commit.kind(kind.name())) {
                let mut index = state.index.clone();
                index.sort_unstable_by_key(ObjectRef::id);
                let what = (state.root, index);
                if checked.contains(&what) {
                    continue;
                }
                checked.push(what);
                let access = self.access(kind.name(), &view)?;
                let mut check = KindCheck::new(access, &kind, &mut report, job);
                // Another device may not have heard of it.
                check.given_up = self.database.lost_packs(Some(kind.name()))?;
                let known = check.index(state, options, work)?;
                check.tree(state, &known)?;
            }
        }
        Ok(report)
    }

    fn check_history(&self, work: &Work, view: &View, report: &mut CheckReport) -> Result<()> {
        self.walk_history(work, view, &mut |commit| {
            match commit {
                Ok(_) => report.commits += 1,
                Err(fork @ Error::Fork { .. }) => return Err(fork),
                Err(error) => report.failures.push(Failure {
                    kind: String::new(),
                    path: "(history)".to_owned(),
                    reason: error.to_string(),
                    damage: true,
                }),
            }
            Ok(())
        })
    }
}

type PackPosition = u32;

/// What is lost of a pack.
enum Lost {
    All,
    /// In order.
    Chunks(Box<[HalfId]>),
}

/// How many bytes of a pack were read; or what is wrong with it, and what is lost.
type Looked = std::result::Result<u64, (Error, Lost)>;

/// Which pack holds a chunk, as the store's own index lists it: 20 bytes a chunk. Ids are hashes, so half of one
/// tells it apart.
#[derive(Default)]
pub(super) struct Known {
    chunks: Vec<(HalfId, PackPosition)>,
    packs: PackPosition,
}

type HalfId = [u8; 16];

impl Known {
    fn add(&mut self, pack: &PackEntry) -> PackPosition {
        let number = self.packs;
        self.chunks.extend(pack.chunks().map(|slot| (half(slot.id), number)));
        self.packs = number.saturating_add(1);
        number
    }

    /// The packs that hold a chunk, once all were added and sorted.
    fn packs_of(&self, id: ChunkId) -> impl Iterator<Item = PackPosition> {
        let id = half(id);
        let start = self.chunks.partition_point(|(known, _)| *known < id);
        let found = self.chunks.get(start..).unwrap_or_default().iter();
        found.take_while(move |(known, _)| *known == id).map(|(_, pack)| *pack)
    }
}

fn half(ChunkId(id): ChunkId) -> HalfId {
    id.first_chunk().copied().unwrap_or_default()
}

/// Reads all of a pack.
fn look(source: &PackSource, pack: &PackEntry, decompressor: &mut Decompressor) -> Result<Looked> {
    Ok(match source.verify(pack, decompressor) {
        Ok(read) => Ok(read),
        Err(error) if error.is_damage() => {
            let lost = source.lost_chunks(pack, decompressor)?;
            let sorted = |lost: Vec<ChunkId>| {
                let mut lost: Box<[_]> = lost.iter().copied().map(half).collect();
                lost.sort_unstable();
                Lost::Chunks(lost)
            };
            Err((error, lost.map_or(Lost::All, sorted)))
        }
        Err(error) => return Err(error),
    })
}

pub(super) struct KindCheck<'c> {
    access: KindAccess<'c>,
    kind: &'c Kind,
    report: &'c mut CheckReport,
    job: &'c Job,
    /// Packs that are not there or not whole, and what is lost with them.
    lost: BTreeMap<PackPosition, Lost>,
    /// Those of them of which that is not known.
    newly_lost: BTreeSet<[u8; 16]>,
    /// Packs that are known to be lost.
    given_up: BTreeSet<[u8; 16]>,
}

impl<'c> KindCheck<'c> {
    pub(super) fn new(
        access: KindAccess<'c>,
        kind: &'c Kind,
        report: &'c mut CheckReport,
        job: &'c Job,
    ) -> Self {
        let (lost, newly_lost, given_up) = Default::default();
        Self { access, kind, report, job, lost, newly_lost, given_up }
    }

    /// The packs that the index counts on and that are not there or not whole.
    pub(super) fn newly_lost(self) -> Vec<[u8; 16]> {
        self.newly_lost.into_iter().collect()
    }

    fn fail(&mut self, path: String, reason: &str) {
        let kind = self.kind.name().to_owned();
        self.report.failures.push(Failure { kind, path, reason: reason.to_owned(), damage: true });
    }

    /// Reads every live fragment from the store, not from the local database, and looks for its packs.
    pub(super) fn index(
        &mut self,
        state: &KindState,
        options: &CheckOptions,
        work: &mut Work,
    ) -> Result<Known> {
        let mut known = Known::default();
        let mut seen = BTreeSet::new();
        let mut open: Vec<ObjectRef> = state.index.clone();
        for newest in &open {
            match fetch_fragment(&self.access, newest) {
                Ok(fragment) => self.given_up.extend(fragment.lost()),
                Err(error) if error.is_damage() => {} // It is met again.
                Err(error) => return Err(error),
            }
        }
        while let Some(reference) = open.pop() {
            if !seen.insert(reference.id()) {
                continue;
            }
            match fetch_fragment(&self.access, &reference) {
                Ok(fragment) => {
                    open.extend(fragment.older().iter().filter(|one| !seen.contains(&one.id())).cloned());
                    self.packs(&fragment, &mut known, (options.read_percent, work))?;
                }
                Err(error) if error.is_damage() => self.fail("(index)".to_owned(), &error.to_string()),
                Err(error) => return Err(error),
            }
        }
        known.chunks.sort_unstable();
        Ok(known)
    }

    fn packs(
        &mut self,
        fragment: &IndexFragment,
        known: &mut Known,
        (percent, work): (u8, &mut Work),
    ) -> Result<()> {
        const FIRST_BYTES: usize = 16 * 1024 * 1024;
        const HAND_BYTES: usize = 2 * OBJECT_BYTES_MAX;
        let source = Arc::new(PackSource::new(&self.access));
        let mut crew = Crew::new(hands(self.job, FIRST_BYTES, HAND_BYTES));
        let mut line = Line::new(crew.size());
        let mut packs = fragment.packs().iter().map(|pack| (known.add(pack), pack));
        for pack in fragment.packs() {
            let [dice] = work.random.bytes::<1>()?;
            let read = u32::from(dice) * 100 < u32::from(percent) * 256;
            let looked = if read {
                let (source, pack) = (Arc::clone(&source), pack.clone());
                crew.give(move |tools| look(&source, &pack, &mut tools.decompressor))?
            } else {
                Later::Here(self.find_pack(pack))
            };
            line.push(looked);
            while let Some(looked) = line.next_due() {
                self.settle(looked?, packs.next())?;
            }
        }
        while let Some(looked) = line.next() {
            self.settle(looked?, packs.next())?;
        }
        Ok(())
    }

    /// Counts a pack, or lists it as lost.
    fn settle(&mut self, looked: Looked, pack: Option<(u32, &PackEntry)>) -> Result<()> {
        let Some((number, pack)) = pack else { return Ok(()) };
        match looked {
            Ok(read) => {
                self.report.packs += 1;
                self.report.chunks += u64::try_from(pack.lines().len()).unwrap_or(0);
                self.report.bytes_read += read;
                self.job.step(|progress| progress.bytes += read)?;
            }
            Err((error, lost)) => {
                self.lost.insert(number, lost);
                let id = pack.id();
                if !self.given_up.contains(&id) && self.newly_lost.insert(id) {
                    let name = crate::privacy::object_name(Place::Object(id));
                    self.fail(format!("(pack {name})"), &error.to_string());
                }
            }
        }
        self.job.step(|progress| progress.items += 1)
    }

    /// Nothing is read of it.
    fn find_pack(&self, pack: &PackEntry) -> Result<Looked> {
        let length = self.access.gate.length(Place::Object(pack.id()))?;
        Ok(match length {
            Some(length) if length == u64::from(pack.length()) => Ok(0),
            Some(_) => Err((Error::damaged(Part::Pack), Lost::All)),
            None => Err((Error::Missing { what: Part::Pack }, Lost::All)),
        })
    }

    /// Why a chunk cannot be had from a pack, if it cannot.
    fn lack(&self, pack: PackPosition, id: ChunkId) -> Option<Error> {
        match self.lost.get(&pack)? {
            Lost::All => Some(Error::damaged(Part::Pack)),
            Lost::Chunks(lost) => lost.binary_search(&half(id)).ok().map(|_| Error::damaged(Part::Chunk)),
        }
    }

    /// Walks the newest tree: every entry decodes and every chunk it needs is in a pack that is whole.
    fn tree(&mut self, state: &KindState, known: &Known) -> Result<()> {
        super::contents::load_index(&self.access, state)?;
        let reader = ContentReader::new(self.access, self.job.memory_bytes() / 16 * 5)?.with_all_from_store();
        let mut below = entries_below(state.root, &reader, &[]);
        let mut after = String::new();
        while let Some(entry) = below.next() {
            match entry {
                Ok((key, value)) => {
                    after = display_key(self.kind, &key);
                    self.report.entries += 1;
                    if let Err(error) = self.entry(&reader, &value, known) {
                        if !error.is_damage() {
                            return Err(error);
                        }
                        self.fail(after.clone(), &error.to_string());
                    }
                }
                Err(error) if error.is_damage() => {
                    let lost = below.skip_page();
                    self.fail(lost_entries(lost, &after), &error.to_string());
                }
                Err(error) => return Err(error),
            }
            self.job.step(|progress| progress.items += 1)?;
        }
        Ok(())
    }

    fn entry(&self, reader: &ContentReader<'_>, value: &[u8], known: &Known) -> Result<()> {
        let entry = decode_entry(value)?;
        for content in entry.content.iter().chain(&entry.record_content) {
            self.content(reader, content, known)?;
        }
        Ok(())
    }

    fn content(&self, reader: &ContentReader<'_>, content: &messages::Content, known: &Known) -> Result<()> {
        let mut open = vec![(content.list_level, content.chunks.clone())];
        while let Some((level, ids)) = open.pop() {
            let (ids, rest) = ids.as_chunks::<32>();
            if !rest.is_empty() || level > crate::limits::CHUNK_LIST_LEVELS_MAX {
                return Err(Error::damaged(Part::Record));
            }
            for id in ids {
                let lacks = known.packs_of(ChunkId(*id)).map(|pack| self.lack(pack, ChunkId(*id)));
                // One good copy is enough.
                let lack = lacks.reduce(Option::and).unwrap_or(Some(Error::Missing { what: Part::Chunk }));
                if let Some(error) = lack {
                    return Err(error);
                }
                if let Some(below) = level.checked_sub(1) {
                    open.push((below, reader.chunk(ChunkId(*id))?));
                }
            }
        }
        Ok(())
    }
}
