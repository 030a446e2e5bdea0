//! The way out after a rollback or a fork, once the owner agreed: go on from what the store has, and give
//! back to it what this device wrote and still has.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Job, Vault,
    contents::fetch_fragment,
    sync::Outcome,
    vault::{Work, own_device},
    view::View,
};
use crate::{
    Error, Result,
    crypto::Place,
    history::{Commit, KindState},
    kinds::Kind,
};

const NOTHING_WENT_BACK: Error =
    Error::InvalidArgument("nothing went back: the store shows all that was seen there");

impl Vault {
    /// Goes on from what the store has, after [`Error::Rollback`] or [`Error::Fork`] and with the owner's
    /// word: pins on other devices are forgotten, this device's own commits are sent again where the store
    /// lost them, and a new commit says what is true now. What others wrote and the store no longer has
    /// comes back when they do the same. The next backup sends again what is missing.
    ///
    /// It goes back to the newest state of which nothing is missing. Where nobody went back, the others would take
    /// that for an edit, and what lies between for deleted: so it is refused, lost packs or not.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the store shows all that this device has seen; [`Error::Cloned`] when another
    /// copy of this device wrote in its place: only enrolling it again helps; [`Error::Damaged`], [`Error::Missing`],
    /// [`Error::Store`].
    pub fn re_anchor(&self, job: &Job) -> Result<Outcome> {
        let work = &mut *self.work();
        let seen = self.refresh(work);
        let mut pins = self.home.read_pins()?;
        match seen {
            // What was begun and cut short goes on.
            Ok(_) if pins.is_giving_up(self.device()) => {}
            Ok(_) => return Err(NOTHING_WENT_BACK),
            Err(error) if error.is_freshness() || error.is_damage() => {}
            Err(error) => return Err(error),
        }
        let others: Vec<_> =
            pins.iter().map(|(device, _)| device).filter(|id| *id != self.device()).collect();
        others.into_iter().for_each(|device| pins.forget(device));
        pins.distrust(self.device());
        // First of all: once its own commits are back, nothing else shows that this device has to go on.
        self.home.write_pins(&pins)?;
        self.send_lost_commits(work)?;
        self.database.forget_store()?;
        let mut view = self.refresh(work)?;
        let present = self.objects_present(job)?;
        let is_present = |whole: &crate::keys::ObjectRef| present.contains(&whole.id());
        view.rosters.whole = view.rosters.whole.filter(is_present);
        view.keyrings.whole = view.keyrings.whole.filter(is_present);
        let mut outcome = Outcome::new(view.freshness);
        let states = self.whole_states(work, &view, &present)?;
        self.reconcile(work, &mut view)?;
        outcome.commit = Some(self.commit(work, &mut view, states)?);
        Ok(outcome)
    }

    /// Sends this device's own commits again that the store no longer has, oldest first.
    fn send_lost_commits(&self, work: &mut Work) -> Result<()> {
        let known = self.home.read_roster(self.account())?;
        let device = own_device(&known.roster, self.device())?;
        let mut sequence = self.home.read_pins()?.head(self.device()).map_or(0, |head| head.sequence);
        let mut lost = Vec::new();
        while sequence > 0 {
            let place = Place::Commit { device: self.device().0, sequence };
            if self.gate.length(place)?.is_some() {
                break;
            }
            let kept = self.reader(work).kept(device, sequence)?;
            lost.push(kept.ok_or(Error::Missing { what: crate::Part::Commit })?);
            sequence -= 1;
        }
        for commit in lost.iter().rev() {
            let sealed = commit.seal_again(&work.keys.roots, work.random.as_mut())?;
            self.gate.put(&sealed, self.clock.now_ms())?;
        }
        Ok(())
    }

    fn objects_present(&self, job: &Job) -> Result<BTreeSet<[u8; 16]>> {
        let mut present = BTreeSet::new();
        self.gate.list("objects/", &mut |object| present.extend(object.name.id()))?;
        job.step(|_| ())?;
        Ok(present)
    }

    /// For each kind this device's newest state of which nothing is missing in the store.
    fn whole_states(&self, work: &Work, view: &View, present: &BTreeSet<[u8; 16]>) -> Result<Vec<KindState>> {
        let mut found: BTreeMap<String, KindState> = BTreeMap::new();
        let device = own_device(&view.roster, self.device())?;
        let mut commit = view.heads.get(&self.device()).cloned();
        while let Some(own) = commit {
            for state in &own.body().kinds {
                if !found.contains_key(&state.kind) && self.is_whole(view, state, present)? {
                    found.insert(state.kind.clone(), state.clone());
                }
            }
            commit = self.commit_before(work, &own, device)?;
        }
        Ok(found.into_values().collect())
    }

    fn commit_before(
        &self,
        work: &Work,
        commit: &Commit,
        device: &crate::keys::Device,
    ) -> Result<Option<Commit>> {
        match commit.body().previous {
            Some(before) => self.reader(work).kept(device, before.sequence),
            None => Ok(None),
        }
    }

    fn is_whole(&self, view: &View, state: &KindState, present: &BTreeSet<[u8; 16]>) -> Result<bool> {
        let kind = Kind::parse(&state.kind)?;
        let access = self.access(kind.name(), view)?;
        let mut seen = BTreeSet::new();
        let mut open = state.index.clone();
        while let Some(reference) = open.pop() {
            if !seen.insert(reference.id()) {
                continue;
            }
            let fragment = match fetch_fragment(&access, &reference) {
                Ok(fragment) => fragment,
                Err(error) if error.is_damage() => return Ok(false),
                Err(error) => return Err(error),
            };
            if !fragment.packs().iter().all(|pack| present.contains(&pack.id())) {
                return Ok(false);
            }
            open.extend(fragment.older().iter().cloned());
        }
        Ok(true)
    }
}
