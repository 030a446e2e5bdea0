//! Sync: pull what other devices committed, merge, and commit the result to this device's own chain.
//!
//! Nothing new costs one small request a device and writes nothing.

use super::{
    Job, Vault,
    contents::{ContentReader, adopt_orphans, load_index, write_index},
    merge::{Conflict, Merged, stream_replica, value_id},
    snapshots::display_key,
    state::{Database, FileStat, NewNote, Run},
    vault::Work,
    view::View,
};
use crate::{
    Error, Result,
    history::{Freshness, Head, KindState},
    keys::{Change, DeviceId, SignerId},
    kinds::Kind,
    tree::{self, Root},
};

/// How often a device says that it is there, in milliseconds: once a day.
const HEARTBEAT_MS: i64 = 24 * 60 * 60 * 1000;

/// Changes that an outcome lists one by one; more are only counted, and [`Vault::diff`] gives them all. A
/// first sync that brings more lists none.
pub const LISTED_CHANGES_MAX: usize = 100_000;

/// What a sync brought.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What other devices changed, at most [`LISTED_CHANGES_MAX`].
    pub changes: Vec<EntryChange>,
    /// How many changes there are in all.
    pub changed: u64,
    /// Entries that two devices edited at once; both versions are there.
    pub conflicts: Vec<Conflict>,
    /// What happened to the account since its owner was last told on this device.
    pub events: Vec<Event>,
    /// How new the state is that this device has now.
    pub freshness: Freshness,
    /// Bytes sent to the store.
    pub sent_bytes: u64,
    /// The commit, if there was anything to say.
    pub commit: Option<Head>,
}

/// An entry that another device changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryChange {
    /// The kind.
    pub kind: String,
    /// The entry, as [`Vault::list`] names it.
    pub path: String,
    /// Whether it was there before.
    pub before: bool,
    /// Whether it is there now.
    pub after: bool,
}

/// What happened to the account. Every device's owner is told of each (D8, K12).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What.
    pub what: EventKind,
    /// The device that signed it; `None` when the recovery code or the password did.
    pub by: Option<DeviceId>,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A device joined.
    DeviceAdded {
        /// Its id.
        device: DeviceId,
        /// As its owner calls it.
        name: String,
    },
    /// A device was revoked.
    DeviceRevoked {
        /// Its id.
        device: DeviceId,
    },
    /// There is a new recovery code; older ones open nothing new.
    RecoveryCodeChanged,
    /// There is a new password.
    PasswordChanged,
    /// There is no password any more.
    PasswordRemoved,
    /// A new epoch began.
    EpochBegan {
        /// Its number.
        epoch: u32,
    },
    /// Older formats are refused from now on.
    FormatRequired {
        /// The lowest version.
        version: u32,
    },
}

impl Outcome {
    pub(super) fn new(freshness: Freshness) -> Self {
        Self {
            changes: Vec::new(),
            changed: 0,
            conflicts: Vec::new(),
            events: Vec::new(),
            freshness,
            sent_bytes: 0,
            commit: None,
        }
    }
}

impl Vault {
    /// Takes over what other devices committed, merges it with this device's state, sends the result, and
    /// tells what happened. Edits made through [`Vault::records`] are sent too.
    ///
    /// # Errors
    /// [`Error::Rollback`], [`Error::Fork`], [`Error::Cloned`], [`Error::Revoked`];
    /// [`Error::TooManyDeletions`] unless the job allows them; [`Error::Damaged`], [`Error::Missing`];
    /// [`Error::Store`], [`Error::Cancelled`].
    pub fn sync(&self, job: &Job) -> Result<Outcome> {
        let work = &mut *self.work();
        let mut view = self.refresh(work)?;
        let mut kinds = view.kinds();
        kinds.extend(self.database.edited_kinds()?);
        let kinds = kinds.iter().map(|name| Kind::parse(name)).collect::<Result<Vec<_>>>()?;
        let mut outcome = Outcome::new(view.freshness);
        let force = self.has_to_speak(&view);
        self.unite(work, &mut view, (&kinds, force), job, &mut outcome)?;
        outcome.events = self.tell()?;
        Ok(outcome)
    }

    /// Whether a commit is due although no data changed: the account has to be reconciled, or nothing was
    /// heard from this device for a day.
    fn has_to_speak(&self, view: &View) -> bool {
        let spoke_ms = view.heads.get(&self.device()).map_or(i64::MIN, |own| own.body().device_time_ms);
        view.roster.state().is_rotation_due()
            || view.rosters.whole.is_none()
            || view.keyrings.whole.is_none()
            // A clock that was ahead and was set right must not keep it silent.
            || !(0..HEARTBEAT_MS).contains(&self.clock.now_ms().saturating_sub(spoke_ms))
    }

    /// Merges `kinds` with what other devices have, and commits if that changed anything. Gives this device's states
    /// of all kinds, which hold what the others have also when there was nothing to commit.
    pub(super) fn unite(
        &self,
        work: &mut Work,
        view: &mut View,
        (kinds, force): (&[Kind], bool),
        job: &Job,
        outcome: &mut Outcome,
    ) -> Result<Vec<KindState>> {
        self.settle_edits()?;
        if force {
            // What a merge writes is data too: sealed under an epoch that is whole, and that nobody reads
            // who was cut off.
            self.reconcile(work, view)?;
        }
        let mut states = self.own_kinds(view);
        let mut done = Vec::new();
        let mut journals = Vec::new();
        for kind in kinds {
            let adopted = self.adopt_orphans(view, kind)?;
            let own = states.iter().find(|state| state.kind == kind.name()).and_then(|state| state.root);
            let journal = self.apply_journal(work, view, kind, job)?;
            let start = journal.as_ref().map_or(own, |journal| journal.root);
            let mut merged = self.merge_kind(work, view, kind, start, job)?;
            let run = self.report_changes(view, kind, (start, &merged.state), job, outcome)?;
            let changed = merged.state.root != own || journal.is_some() || merged.is_news;
            let settled = if changed {
                self.index_new_packs(work, view, &mut merged.state, adopted)?
            } else {
                Vec::new()
            };
            states.retain(|state| state.kind != kind.name());
            if merged.state != KindState::empty(kind.name()) {
                states.push(merged.state.clone());
            }
            done.push((merged, settled, run, changed));
            journals.extend(journal);
        }
        states.sort_by(|a, b| a.kind.cmp(&b.kind));
        if force || done.iter().any(|(.., changed)| *changed) {
            self.reconcile(work, view)?;
            let edits: Vec<_> = journals.into_iter().flat_map(|journal| journal.applied).collect();
            outcome.commit = Some(self.commit_edits(work, view, states.clone(), &edits)?);
            self.settle_edits()?;
            self.settle_merges(
                done.into_iter().map(|(merged, settled, run, _)| (merged, settled, run)),
                outcome,
            )?;
            states = self.own_kinds(view);
        }
        Ok(states)
    }

    /// A merge need not write a chunk, and would name packs that never arrived. Whether there was consent to do it.
    fn adopt_orphans(&self, view: &View, kind: &Kind) -> Result<bool> {
        let allowed = self.gate.consent().allows(kind.name());
        if allowed && !self.database.uncommitted_packs(kind.name(), 0)?.is_empty() {
            adopt_orphans(&self.access(kind.name(), view)?)?;
        }
        Ok(allowed)
    }

    /// Names the packs that were sent for `state` in its index; their numbers in the database.
    fn index_new_packs(
        &self,
        work: &mut Work,
        view: &View,
        state: &mut KindState,
        adopted: bool,
    ) -> Result<Vec<u64>> {
        if !self.gate.consent().allows(&state.kind) {
            return Ok(Vec::new());
        }
        let access = self.access(&state.kind, view)?;
        if !adopted {
            // Consent was given in the middle of the sync.
            adopt_orphans(&access)?;
        }
        let now_ms = self.clock.now_ms();
        let (index, settled) = write_index(&access, work.random.as_mut(), &state.index, &[], now_ms)?;
        state.index = index;
        Ok(settled)
    }

    /// The commit is in the store: what the merges noted counts.
    fn settle_merges(
        &self,
        merges: impl Iterator<Item = (Merged, Vec<u64>, Option<Run>)>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        for (merged, settled, run) in merges {
            outcome.sent_bytes += merged.sent_bytes;
            outcome.conflicts.extend(merged.conflicts);
            self.settle(&merged.state, &settled, run.as_ref())?;
        }
        Ok(())
    }

    /// A commit names these packs and fragments now, and what the run noted counts.
    pub(super) fn settle(&self, state: &KindState, packs: &[u64], run: Option<&Run>) -> Result<()> {
        if packs.is_empty() && run.is_none() {
            return Ok(());
        }
        self.database.write(|transaction| {
            packs.iter().try_for_each(|number| Database::settle_pack(transaction, *number))?;
            let mut index = state.index.iter();
            if !packs.is_empty() {
                index.try_for_each(|one| Database::add_fragment(transaction, one.id(), &state.kind))?;
            }
            run.map_or(Ok(()), |run| Database::finish_run(transaction, &state.kind, run))
        })
    }

    /// Lists what others changed, and stops before too much would vanish unasked. What a phone's own export
    /// still has as it was before is noted: that is no edit of its owner's.
    fn report_changes(
        &self,
        view: &View,
        kind: &Kind,
        (before, after): (Option<Root>, &KindState),
        job: &Job,
        outcome: &mut Outcome,
    ) -> Result<Option<Run>> {
        if before == after.root {
            return Ok(None);
        }
        let entries = after.root.map_or(0, Root::entries);
        if before.is_none() && entries > u64::try_from(LISTED_CHANGES_MAX).unwrap_or(u64::MAX) {
            outcome.changed += entries;
            return Ok(None);
        }
        let is_stream = [Kind::MESSAGES, Kind::CALLS, Kind::CONTACTS].contains(kind);
        let mut replaced = Replaced { database: &self.database, kind, run: None, notes: Vec::new() };
        let access = self.access(kind.name(), view)?;
        load_index(&access, after)?;
        let reader = ContentReader::sparse(access, job.memory_bytes() / 2)?;
        let mut deleted = 0;
        tree::diff(before, after.root, &reader, &mut |change| {
            job.step(|progress| progress.items += 1)?;
            outcome.changed += 1;
            deleted += u64::from(change.after.is_none());
            match &change.before {
                Some(before) if is_stream => replaced.note(&change.key, before)?,
                _ => {}
            }
            if outcome.changes.len() < LISTED_CHANGES_MAX {
                outcome.changes.push(EntryChange {
                    kind: kind.name().to_owned(),
                    path: display_key(kind, &change.key),
                    before: change.before.is_some(),
                    after: change.after.is_some(),
                });
            }
            Ok(())
        })?;
        guard_deletions(kind, deleted, before, job)?;
        replaced.write()?;
        Ok(replaced.run)
    }

    /// What the roster says that this device's owner was not told of yet.
    fn tell(&self) -> Result<Vec<Event>> {
        let mut known = self.home.read_roster(self.account())?;
        let news = known.roster.entries().filter(|(hash, ..)| !known.told.contains(hash));
        let (hashes, events): (Vec<_>, Vec<_>) =
            news.map(|(hash, signer, change)| (hash, event(signer, change))).unzip();
        if !hashes.is_empty() {
            known.told.extend(hashes);
            self.home.write_roster(&known)?;
        }
        Ok(events.into_iter().flatten().collect())
    }
}

/// Notes what others replaced in a kind that this device exports as a whole.
struct Replaced<'s> {
    database: &'s Database,
    kind: &'s Kind,
    run: Option<Run>,
    notes: Vec<NewNote>,
}

impl Replaced<'_> {
    fn note(&mut self, key: &[u8], before: &[u8]) -> Result<()> {
        const BATCH: usize = 4096;
        let note = Some((FileStat([0; 6]), value_id(before)));
        self.notes.push(stream_replica(self.kind).note(key, note));
        if self.notes.len() < BATCH { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<()> {
        if self.notes.is_empty() {
            return Ok(());
        }
        let run = match self.run.take() {
            Some(run) => run,
            None => self.database.begin_run(self.kind.name())?,
        };
        let notes = std::mem::take(&mut self.notes);
        self.database.write(|transaction| Database::write_notes(transaction, &run, &notes))?;
        self.run = Some(run);
        Ok(())
    }
}

/// Deleting more than a fifth of a kind, and more than fifty entries, needs its owner's word.
pub(super) fn guard_deletions(kind: &Kind, deleted: u64, before: Option<Root>, job: &Job) -> Result<()> {
    const UNASKED: u64 = 50;
    let entries = before.map_or(0, Root::entries);
    if deleted > UNASKED.max(entries / 5) && !job.allows_deletions() {
        return Err(Error::TooManyDeletions { kind: kind.name().to_owned(), deleted, entries });
    }
    Ok(())
}

fn event(signer: SignerId, change: &Change) -> Option<Event> {
    let by = match signer {
        SignerId::Device(device) => Some(device),
        SignerId::Recovery | SignerId::Password => None,
    };
    let what = match change {
        Change::Genesis { .. } => return None,
        Change::AddDevice(member) => EventKind::DeviceAdded { device: member.id, name: member.name.clone() },
        Change::RevokeDevice { device, .. } => EventKind::DeviceRevoked { device: *device },
        Change::SetRecovery(_) => EventKind::RecoveryCodeChanged,
        Change::SetPassword(_) => EventKind::PasswordChanged,
        Change::RemovePassword => EventKind::PasswordRemoved,
        Change::BeginEpoch(epoch, _) => EventKind::EpochBegan { epoch: *epoch },
        Change::RequireFormat(version) => EventKind::FormatRequired { version: *version },
    };
    Some(Event { what, by })
}
