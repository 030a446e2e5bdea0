//! Repair: packs that the store lost are counted on no more, so that the next backups send again what was in them.
//!
//! Chunks are named after their content: what is sent again completes every snapshot that has it. Nothing is forgotten:
//! a pack that was given up and comes back is read where no other has the chunk.

use super::{
    CheckOptions, CheckReport, Job, Vault,
    backup::replace,
    check::KindCheck,
    contents::{ContentReader, KindAccess, load_index, write_index},
    snapshots::entries_below,
    sync::Outcome,
};
#[cfg(doc)]
use crate::Error;
use crate::{
    Result,
    history::{Freshness, Head, KindState},
    kinds::Kind,
};

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairReport {
    /// Packs that are counted on no more, since this repair.
    pub lost: u64,
    /// Packs that are there.
    pub packs: u64,
    /// Bytes of packs read and verified.
    pub bytes_read: u64,
    /// The commit, if there was anything to say.
    pub commit: Option<Head>,
    /// How new the state was that this builds on.
    pub freshness: Freshness,
}

impl Vault {
    /// Looks for the packs of a kind as [`Vault::check`] does, and counts on no more that is missing or damaged. What
    /// only those hold, the next backup of its source sends again, from this device or from another that has synced;
    /// it reads every file once. A check then says what is missing still.
    ///
    /// For a store that is known to be all that there is: what a mount hides for now is sent again, too.
    ///
    /// # Errors
    /// [`Error::NotConsented`]; [`Error::Missing`], [`Error::Damaged`] when the index itself is lost or a page of the
    /// tree, and then nothing is given up;
    /// [`Error::InvalidArgument`] when too many packs are; [`Error::Rollback`], [`Error::Fork`];
    /// [`Error::Cancelled`]; [`Error::Store`].
    pub fn repair(&self, kind: &Kind, options: &CheckOptions, job: &Job) -> Result<RepairReport> {
        self.gate.consent().require(kind.name())?;
        let work = &mut *self.work();
        let mut view = self.refresh(work)?;
        let mut report =
            RepairReport { lost: 0, packs: 0, bytes_read: 0, commit: None, freshness: view.freshness };
        if view.keyring.kind(kind.name()).is_err() {
            return Ok(report);
        }
        self.prepare_kind(work, &mut view, kind)?;
        let mut outcome = Outcome::new(view.freshness);
        let united = self.unite(work, &mut view, (std::slice::from_ref(kind), false), job, &mut outcome)?;
        let Some(before) = united.into_iter().find(|state| state.kind == kind.name()) else {
            return Ok(report);
        };
        let (after, settled) = {
            let access = self.access(kind.name(), &view)?;
            if let Some(damage) = load_index(&access, &before)?.into_iter().next() {
                return Err(damage.error);
            }
            let mut found = CheckReport::new(view.freshness);
            let mut check = KindCheck::new(access, kind, &mut found, job);
            check.index(&before, options, work)?;
            let lost = check.newly_lost();
            (report.packs, report.bytes_read) = (found.packs, found.bytes_read);
            report.lost = u64::try_from(lost.len()).unwrap_or(u64::MAX);
            if lost.is_empty() {
                return Ok(report);
            }
            let access = self.access(kind.name(), &view)?;
            has_all_pages(access, &before, job)?;
            let now_ms = self.clock.now_ms();
            let (index, settled) = write_index(&access, work.random.as_mut(), &before.index, &lost, now_ms)?;
            (KindState { index, ..before }, settled)
        };
        let kinds = replace(self.own_kinds(&view), after.clone());
        report.commit = Some(self.commit(work, &mut view, kinds)?);
        self.settle(&after, &settled, None)?;
        Ok(report)
    }
}

/// No backup gets past a page of the tree that is lost: what it told of is not known any more.
fn has_all_pages(access: KindAccess<'_>, state: &KindState, job: &Job) -> Result<()> {
    let reader = ContentReader::new(access, job.memory_bytes() / 16 * 5)?.with_all_from_store();
    for entry in entries_below(state.root, &reader, &[]) {
        entry?;
        job.step(|progress| progress.items += 1)?;
    }
    Ok(())
}
