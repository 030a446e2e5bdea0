//! Backup: a source becomes edits of a kind's tree, new content becomes packs, and one commit says so.
//!
//! Order of writes: packs, index fragment, commit. Whatever kills it in between costs nothing but the
//! commit; the packs are found and used by the next run.

mod batch;
mod cards;
mod edits;
mod files;
mod messages;
mod pieces;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io::BufRead};

use super::{
    Folder, Job, Vault,
    contents::{ContentWriter, KindAccess, load_index, write_index},
    merge::Conflict,
    state::Database,
    sync::{Outcome, guard_deletions},
    vault::Work,
    view::View,
};
use crate::{
    Error, Result,
    history::{Freshness, Head, KindState},
    kinds::{Kind, Policy, file_key},
    tree::{Borders, Edit, apply},
};
use edits::EditSource;
pub(super) use files::{folder_replica, future_replica, stat_of};

/// Where the data comes from.
#[non_exhaustive]
pub enum Source<'a> {
    /// A folder, or one file, for notes, photos and files.
    Folder(&'a Folder),
    /// A stream: XML of messages or calls, or contact cards.
    Stream(&'a mut dyn BufRead),
    /// A folder of which names and lengths are real and the content is not: what costs grow with.
    #[cfg(test)]
    Sizes(&'a Folder, &'a tests::CountingStore),
}

/// What a backup did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// Entries that are new or different.
    pub changed: u64,
    /// Entries that vanished at the source and are gone from the newest state.
    pub deleted: u64,
    /// Entries looked at.
    pub seen: u64,
    /// Bytes that were read because they might be new.
    pub read_bytes: u64,
    /// Bytes sent to the store.
    pub sent_bytes: u64,
    /// What could not be read, for the owner's eyes.
    pub skipped: Vec<SkippedItem>,
    /// Entries that were edited here and on another device; both versions are there.
    pub conflicts: Vec<Conflict>,
    /// The commit, if there was anything to say.
    pub commit: Option<Head>,
    /// How new the state was that this builds on.
    pub freshness: Freshness,
}

/// An entry that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedItem {
    /// Its path below the source, for the owner's eyes; not for logs.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Counters that a source adds to while its edits are applied.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) changed: u64,
    pub(super) deleted: u64,
    pub(super) seen: u64,
    pub(super) read_bytes: u64,
    pub(super) skipped: Vec<SkippedItem>,
    pub(super) conflicts: Vec<Conflict>,
    /// Versions that lost against another device's edit, under keys of their own.
    pub(super) copies: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// One pass of a backup sends about this much before it commits, so that a device that is killed again and
/// again still gets ahead.
const PASS_BYTES: u64 = 512 * 1024 * 1024;

impl Vault {
    /// Backs up `source` under its name. The same name on two devices is the same data.
    ///
    /// # Errors
    /// [`Error::NotConsented`] before anything is read or sent; [`Error::Rollback`], [`Error::Fork`];
    /// [`Error::BadInput`] for a stream that is not what its kind needs; [`Error::Cancelled`]: what was sent
    /// is used again by the next run.
    pub fn backup(&self, kind: &Kind, name: &str, source: Source<'_>, job: &Job) -> Result<BackupReport> {
        self.gate.consent().require(kind.name())?;
        file_key::<&[u8]>(name, &[])?;
        let work = &mut *self.work();
        let mut view = self.refresh(work)?;
        self.prepare_kind(work, &mut view, kind)?;
        let mut outcome = Outcome::new(view.freshness);
        let united = self.unite(work, &mut view, (std::slice::from_ref(kind), false), job, &mut outcome)?;
        let mut before = united.into_iter().find(|state| state.kind == kind.name());
        let mut tally = Tally { conflicts: outcome.conflicts, ..Tally::default() };
        let mut sent_bytes = outcome.sent_bytes;
        let mut commit = outcome.commit;
        let mut source = EditSource::open(kind, name, source)?;
        loop {
            let pass = self.pass(work, &mut view, (kind, job), before, (&mut source, &mut tally))?;
            before = Some(pass.state);
            sent_bytes += pass.sent_bytes;
            commit = pass.commit.or(commit);
            if pass.ended {
                break;
            }
        }
        let Tally { changed, deleted, seen, read_bytes, skipped, conflicts, copies: _ } = tally;
        let freshness = view.freshness;
        let report = BackupReport {
            changed,
            deleted,
            seen,
            read_bytes,
            sent_bytes,
            skipped,
            conflicts,
            commit,
            freshness,
        };
        Ok(report)
    }

    /// Applies edits until the source ends or enough was sent, then commits.
    fn pass(
        &self,
        work: &mut Work,
        view: &mut View,
        (kind, job): (&Kind, &Job),
        before: Option<KindState>,
        (source, tally): (&mut EditSource<'_>, &mut Tally),
    ) -> Result<Pass> {
        let before = before.unwrap_or_else(|| KindState::empty(kind.name()));
        let (after, settled, run, sent_bytes, ended) = {
            let access = self.access(kind.name(), view)?;
            if let Some(damage) = load_index(&access, &before)?.into_iter().next() {
                return Err(damage.error);
            }
            let run = self.database.begin_run(kind.name())?;
            let random = work.random.as_mut();
            let compress = Policy::of(kind).compress;
            let writer = ContentWriter::new(access, run, job, self.clock.as_ref(), random, compress)?;
            let borders = Borders::new(access.keys.chunk_cut_key());
            let (mut root, mut ended) = (before.root, false);
            while !ended && writer.sent_bytes() < PASS_BYTES {
                let mut edits = source.edits(&writer, root, tally, PASS_BYTES)?;
                root = apply(root, &mut edits, &mut &writer, &borders)?;
                ended = edits.ended();
            }
            let copies = std::mem::take(&mut tally.copies).into_iter();
            let copies = copies.map(|(key, value)| Ok(Edit { key, value: Some(value) }));
            root = apply(root, copies, &mut &writer, &borders)?;
            guard_deletions(kind, tally.deleted, before.root, job)?;
            writer.flush()?;
            // What an earlier run sent that never committed is named, too, although nothing else may be new.
            let now_ms = self.clock.now_ms();
            let (index, settled) =
                writer.with_random(|random| write_index(&access, random, &before.index, &[], now_ms))?;
            let after = KindState { root, index, ..before.clone() };
            let notes = writer.remaining_notes();
            let run = writer.run().clone();
            self.database.write(|transaction| Database::write_notes(transaction, &run, &notes))?;
            (after, settled, run, writer.sent_bytes(), ended)
        };
        let commit = if after == before {
            None
        } else {
            let kinds = replace(self.own_kinds(view), after.clone());
            Some(self.commit(work, view, kinds)?)
        };
        self.settle(&after, &settled, Some(&run))?;
        let own = view.heads.get(&self.device()).and_then(|commit| commit.kind(kind.name())).cloned();
        let state = if commit.is_some() { own.unwrap_or(after) } else { after };
        Ok(Pass { sent_bytes, commit, ended, state })
    }

    pub(super) fn access<'a>(&'a self, kind: &'a str, view: &'a View) -> Result<KindAccess<'a>> {
        Ok(KindAccess {
            gate: &self.gate,
            database: &self.database,
            account: self.account(),
            kind,
            keys: view.keyring.kind(kind)?,
            current: view.roster.state().epoch(),
        })
    }
}

struct Pass {
    sent_bytes: u64,
    commit: Option<Head>,
    ended: bool,
    /// What the kind is now.
    state: KindState,
}

/// The states with this one in the place of its kind's.
pub(super) fn replace(mut kinds: Vec<KindState>, state: KindState) -> Vec<KindState> {
    kinds.retain(|known| known.kind != state.kind);
    kinds.push(state);
    kinds.sort_by(|a, b| a.kind.cmp(&b.kind));
    kinds
}

/// An edit, or nothing more for now.
type NextEdit = Option<Result<Edit>>;

fn bad_source() -> Error {
    Error::InvalidArgument("this kind is backed up from a folder, or from a stream, but not from this")
}
