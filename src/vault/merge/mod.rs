//! Merging: what several devices made of a kind's data becomes one state.
//!
//! Two trees are compared page by page with the states that both know; what only one side changed is taken
//! over, and what both changed is decided by [`decide`]. The same two states give the same result on every
//! device, so devices that merge at once agree.

mod conflict;
mod decide;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::{
    Job, Vault,
    contents::{ContentWriter, load_index},
    state::{Replica, Run},
    vault::Work,
    view::{View, ended},
};
use crate::{
    Error, Part, Result,
    crypto::{Label, labelled_hash},
    history::{Commit, KindState},
    keys::DeviceId,
    kinds::{Kind, Policy},
    tree::{self, Borders, Edit, Root, apply},
};
pub use conflict::Conflict;
use conflict::is_folder;
pub(crate) use conflict::{conflict_key, content_id, file_content_id, kept_both};
pub use decide::MergeFunction;
pub(crate) use decide::{Decision, keep_both};
use decide::{Sides, decide};

/// How far a state goes: for each device the newest of its commits whose data is in it.
type Reach = BTreeMap<DeviceId, u64>;

/// A kind's state after a merge, not yet committed.
pub(crate) struct Merged {
    pub(crate) state: KindState,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) sent_bytes: u64,
    /// Whether others have to be told what was merged, even if that changed nothing: a state that does not
    /// have this device's in it would stay as new as this.
    pub(crate) is_news: bool,
}

/// Whether neither of two states of a kind has the other in it.
fn is_apart(a: &Commit, b: &Commit, kind: &str) -> bool {
    a.kind(kind).is_some() && !a.holds(kind, b) && !b.holds(kind, a)
}

/// Tells whether a value is still the same.
pub(crate) fn value_id(value: &[u8]) -> [u8; 16] {
    let hash = labelled_hash(Label::VALUE_ID, &[value]);
    let mut id = [0; 16];
    id.iter_mut().zip(hash).for_each(|(target, source)| *target = source);
    id
}

/// The stream of a kind on this device: messages, calls, contacts as the phone exports them.
pub(crate) fn stream_replica(kind: &Kind) -> Replica {
    Replica::new(kind.name(), [0; 8])
}

/// What is merged now: the own state so far and how far it goes.
struct Current {
    state: KindState,
    reach: Reach,
}

/// What both sides know: the newest states that both have, none of them part of another. Where those are
/// several, the same of them comes next, and so on.
type Levels = Vec<Vec<KindState>>;

/// One step of a merge: the other side and what both have in common.
struct Step {
    levels: Levels,
    theirs: KindState,
}

/// How far two states go together.
fn both(a: &Reach, b: &Reach) -> Reach {
    let common = |(device, known): (&DeviceId, &u64)| Some((*device, *known.min(b.get(device)?)));
    a.iter().filter_map(common).collect()
}

impl Vault {
    /// This device's state of `kind` together with what every other device made of it. Without consent for
    /// the kind nothing can be written, so only a state that holds everything is taken over.
    pub(super) fn merge_kind(
        &self,
        work: &mut Work,
        view: &View,
        kind: &Kind,
        start: Option<Root>,
        job: &Job,
    ) -> Result<Merged> {
        let own = view.heads.get(&self.device());
        let state = own.and_then(|commit| commit.kind(kind.name()).cloned());
        let mut state = state.unwrap_or_else(|| KindState::empty(kind.name()));
        state.root = start;
        let reach = own.map(|commit| commit.merged(kind.name())).unwrap_or_default();
        let mut current = Current { state, reach };
        let empty = KindState::empty(kind.name());
        let mut merged = Merged { state: empty, conflicts: Vec::new(), sent_bytes: 0, is_news: false };
        for theirs in view.newest(kind.name()) {
            if theirs.device() != self.device() {
                self.merge_one(work, view, kind, theirs, (&mut current, &mut merged), job)?;
                let since = theirs.kind(kind.name()).map_or(0, |state| state.since);
                let is_in = current.reach.get(&theirs.device()).is_some_and(|known| *known >= since);
                merged.is_news |= is_in && own.is_some_and(|own| is_apart(own, theirs, kind.name()));
            }
        }
        let Current { mut state, mut reach } = current;
        reach.remove(&self.device());
        state.merged = reach.into_iter().collect();
        merged.state = state;
        Ok(merged)
    }

    fn merge_one(
        &self,
        work: &mut Work,
        view: &View,
        kind: &Kind,
        commit: &Commit,
        (current, merged): (&mut Current, &mut Merged),
        job: &Job,
    ) -> Result<()> {
        let (Some(theirs), reach) = (commit.kind(kind.name()), commit.merged(kind.name())) else {
            return Ok(());
        };
        if current.reach.get(&commit.device()).is_some_and(|known| *known >= theirs.since) {
            return Ok(());
        }
        let levels = self.common(work, view, kind, &current.reach, &reach)?;
        // Of several, a side that equals one may have gone back to it: only the entries tell.
        let base = match levels.first().map(Vec::as_slice) {
            None => Some(None),
            Some([base]) => Some(base.root),
            Some(_) => None,
        };
        let is_same = current.state.root == theirs.root;
        if base == Some(current.state.root) {
            current.state.root = theirs.root;
        } else if current.state.root != theirs.root && base != Some(theirs.root) {
            if !self.gate.consent().allows(kind.name()) {
                return Ok(());
            }
            let step = Step { levels, theirs: theirs.clone() };
            self.merge_trees(work, view, kind, (current, merged), &step, job)?;
        }
        if is_same && theirs.index.iter().any(|reference| !current.state.index.contains(reference)) {
            // No entry is new. The index may say which packs are lost, or have again what was in them.
            load_index(&self.access(kind.name(), view)?, theirs)?;
            merged.is_news |= !self.database.lost_packs(Some(kind.name()))?.is_empty();
        }
        // Who has all that is here names all that is here.
        let needed = |(device, known): (&DeviceId, &u64)| match *device == self.device() {
            true => (*device, current.state.since),
            false => (*device, *known),
        };
        let mut needed = current.reach.iter().map(needed);
        if needed.all(|(device, needed)| reach.get(&device).is_some_and(|known| *known >= needed)) {
            current.state.index.clear();
        }
        for reference in &theirs.index {
            if !current.state.index.contains(reference) {
                current.state.index.push(reference.clone());
            }
        }
        for (device, sequence) in reach {
            let known = current.reach.entry(device).or_default();
            *known = sequence.max(*known);
        }
        Ok(())
    }

    /// What both sides know of `kind`. Deeper than some levels nobody looks: what differs so far down counts
    /// as new.
    fn common(&self, work: &Work, view: &View, kind: &Kind, ours: &Reach, theirs: &Reach) -> Result<Levels> {
        const LEVELS_MAX: usize = 16;
        let mut levels = Levels::new();
        let mut reach = both(ours, theirs);
        while levels.len() < LEVELS_MAX {
            let newest = self.newest_within(work, view, kind, &reach)?;
            let reaches = newest.iter().map(|commit| commit.merged(kind.name()));
            let Some(known) = reaches.reduce(|a, b| both(&a, &b)) else { break };
            let mut level: Vec<KindState> = Vec::new();
            for commit in &newest {
                let state = commit.kind(kind.name()).cloned();
                let state = state.unwrap_or_else(|| KindState::empty(kind.name()));
                if !level.iter().any(|other| other.root == state.root) {
                    level.push(state);
                }
            }
            let is_one = level.len() == 1;
            levels.push(level);
            if is_one {
                break;
            }
            reach = known;
        }
        Ok(levels)
    }

    /// The commits at the ends of `reach` that are no part of another.
    fn newest_within(&self, work: &Work, view: &View, kind: &Kind, reach: &Reach) -> Result<Vec<Commit>> {
        let mut known: Vec<Commit> = Vec::new();
        for (device, sequence) in reach {
            known.extend(self.old_commit(work, view, *device, *sequence)?);
        }
        let name = kind.name();
        let is_newest = |a: &&Commit| !known.iter().any(|b| b.holds(name, a) && !a.holds(name, b));
        Ok(known.iter().filter(is_newest).cloned().collect())
    }

    /// An earlier commit of a device, kept or fetched.
    fn old_commit(
        &self,
        work: &Work,
        view: &View,
        device: DeviceId,
        sequence: u64,
    ) -> Result<Option<Commit>> {
        let Some(device) = view.roster.state().device(device).filter(|_| sequence > 0) else {
            return Ok(None);
        };
        let reader = self.reader(work);
        if let Some(kept) = reader.kept(device, sequence)? {
            return Ok(Some(kept));
        }
        // What a revoked device wrote too late may be part of what others merged. Nobody reads it any more.
        if ended(device, sequence) {
            return Ok(None);
        }
        let missing = Error::Missing { what: Part::Commit };
        reader.commit(device, &view.roster, sequence)?.ok_or(missing).map(Some)
    }

    fn merge_trees(
        &self,
        work: &mut Work,
        view: &View,
        kind: &Kind,
        (current, merged): (&mut Current, &mut Merged),
        step: &Step,
        job: &Job,
    ) -> Result<()> {
        let access = self.access(kind.name(), view)?;
        for state in [&current.state, &step.theirs] {
            if let Some(damage) = load_index(&access, state)?.into_iter().next() {
                return Err(damage.error);
            }
        }
        for base in step.levels.iter().flatten() {
            load_index(&access, base)?;
        }
        let run = Run::without_notes();
        let compress = Policy::of(kind).compress;
        let writer =
            ContentWriter::new(access, run, job, self.clock.as_ref(), work.random.as_mut(), compress)?;
        let ours = current.state.root;
        let mut pass = MergePass {
            vault: self,
            kind,
            writer: &writer,
            borders: Borders::new(access.keys.chunk_cut_key()),
            levels: &step.levels,
            root: ours,
            edits: Vec::new(),
            edit_bytes: 0,
            late: BTreeMap::new(),
            files_over_folders: Vec::new(),
            conflicts: Vec::new(),
        };
        tree::diff(ours, step.theirs.root, &writer, &mut |change| pass.visit(change))?;
        pass.finish()?;
        current.state.root = pass.root;
        merged.conflicts.append(&mut pass.conflicts);
        writer.flush()?;
        merged.sent_bytes += writer.sent_bytes();
        Ok(())
    }
}

/// One comparison of two trees.
struct MergePass<'m, 'a> {
    vault: &'m Vault,
    kind: &'m Kind,
    writer: &'m ContentWriter<'a>,
    borders: Borders,
    levels: &'m [Vec<KindState>],
    /// Ours, with the edits so far.
    root: Option<Root>,
    edits: Vec<Edit>,
    edit_bytes: usize,
    /// Copies of what lost, under names of their own.
    late: BTreeMap<Vec<u8>, Vec<u8>>,
    files_over_folders: Vec<(Vec<u8>, Vec<u8>)>,
    conflicts: Vec<Conflict>,
}

impl MergePass<'_, '_> {
    fn visit(&mut self, change: tree::Change) -> Result<()> {
        let tree::Change { key, before: ours, after: theirs } = change;
        let bases = self.known(&key, self.levels)?;
        let sides = Sides { bases: &bases, ours: ours.as_deref(), theirs: theirs.as_deref() };
        let decision =
            decide(self.kind, &sides, self.vault.merge_function(self.kind).as_deref(), self.writer)?;
        let Decision { value, copy } = decision;
        if let Some(copy) = copy {
            self.keep_copy(&key, copy)?;
        }
        self.guard_folder(&key, &value, &[ours.as_deref(), theirs.as_deref()]);
        if value != ours {
            self.edit_bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            self.edits.push(Edit { key, value });
        }
        const BATCH_BYTES: usize = 4 * 1024 * 1024;
        if self.edit_bytes > BATCH_BYTES { self.apply() } else { Ok(()) }
    }

    /// What both sides have known of an entry: one value, unless the merge of several states was a conflict.
    /// Of several the one counts that is not what came before.
    fn known(&self, key: &[u8], levels: &[Vec<KindState>]) -> Result<Vec<Option<Vec<u8>>>> {
        let Some((level, older)) = levels.split_first() else { return Ok(vec![None]) };
        let values = level.iter().map(|base| tree::get(base.root, key, self.writer));
        let mut values = values.collect::<Result<Vec<_>>>()?;
        values.sort_unstable();
        values.dedup();
        if values.len() > 1 {
            let before = self.known(key, older)?;
            if values.iter().any(|value| !before.contains(value)) {
                values.retain(|value| !before.contains(value));
            }
        }
        Ok(values)
    }

    fn keep_copy(&mut self, key: &[u8], copy: Vec<u8>) -> Result<()> {
        let under = conflict_key(self.kind, key, &copy)?;
        self.conflicts.push(Conflict::new(self.kind, key, &under));
        self.late.insert(under, copy);
        Ok(())
    }

    /// A file where the other side has a folder cannot stay if anything below the folder does.
    fn guard_folder(&mut self, key: &[u8], value: &Option<Vec<u8>>, sides: &[Option<&[u8]>]) {
        let folder = sides.iter().flatten().find(|side| is_folder(side));
        if let (Some(folder), Some(value)) = (folder, value)
            && !is_folder(value)
        {
            self.files_over_folders.push((key.to_vec(), folder.to_vec()));
        }
    }

    fn apply(&mut self) -> Result<()> {
        let edits = std::mem::take(&mut self.edits);
        self.edit_bytes = 0;
        self.root = apply(self.root, edits.into_iter().map(Ok), &mut &*self.writer, &self.borders)?;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.apply()?;
        for (key, folder) in std::mem::take(&mut self.files_over_folders) {
            let below = [&key[..], &[0]].concat();
            if tree::scan_prefix(self.root, self.writer, &below).next().transpose()?.is_some()
                && let Some(file) = tree::get(self.root, &key, self.writer)?
            {
                self.keep_copy(&key, file)?;
                self.late.insert(key, folder);
            }
        }
        let late = std::mem::take(&mut self.late);
        self.edits = late.into_iter().map(|(key, value)| Edit { key, value: Some(value) }).collect();
        self.apply()
    }
}
