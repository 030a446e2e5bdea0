//! The view: what this device believes, brought up to date against the store before each job.
//!
//! Every commit that was ever pinned must still be there (F1, F2); whatever follows must follow it (F3); and
//! whatever one device has seen of another, this device must be able to see too.

use std::collections::{BTreeMap, BTreeSet};

use super::state::Database;
use crate::{
    Error, Part, Result,
    crypto::Place,
    history::{Commit, ForkProof, Freshness, Head, KindState, Pins},
    keys::{AccountId, Device, DeviceId, DeviceState, EpochRoots, Keyring, ObjectRef, Roster},
    privacy::Gate,
};

/// Something that grows by taking over what objects hold, and which objects those were.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) objects: BTreeSet<[u8; 16]>,
    /// The object that holds exactly what was gathered, if there is one.
    pub(crate) whole: Option<ObjectRef>,
}

/// What this device knew before it asked the store.
pub(crate) struct Known {
    /// What commits stand on; none before this device has seen one.
    pub(crate) roster: Option<Roster>,
    /// What envelopes lead to: devices that may have joined. It counts once one of their commits names it.
    pub(crate) hinted: Roster,
    pub(crate) rosters: Gathered,
    pub(crate) keyring: Option<Keyring>,
    pub(crate) keyrings: Gathered,
    pub(crate) pins: Pins,
}

/// Verified state of the account: roster, keyring and every device's newest commit.
pub(crate) struct View {
    pub(crate) roster: Roster,
    pub(crate) rosters: Gathered,
    pub(crate) keyring: Keyring,
    pub(crate) keyrings: Gathered,
    pub(crate) heads: BTreeMap<DeviceId, Commit>,
    pub(crate) pins: Pins,
    pub(crate) freshness: Freshness,
    /// Commits that were read now for the first time.
    pub(crate) new_commits: Vec<Commit>,
}

/// What it takes to read commits.
pub(crate) struct Reader<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) account: AccountId,
    pub(crate) roots: &'a EpochRoots,
    /// Where commits are kept that were read before; none before this device has a vault.
    pub(crate) database: Option<&'a Database>,
    pub(crate) now_ms: i64,
}

impl Reader<'_> {
    /// A commit; `None` when the store says that there is none.
    pub(crate) fn commit(&self, device: &Device, roster: &Roster, sequence: u64) -> Result<Option<Commit>> {
        let place = Place::Commit { device: device.id().0, sequence };
        match self.gate.get(place)? {
            Some(bytes) => {
                Commit::open(self.account, device, roster.state(), self.roots, sequence, &bytes).map(Some)
            }
            None => Ok(None),
        }
    }

    /// A commit as it was when this device first read it, if it was kept.
    pub(crate) fn kept(&self, device: &Device, sequence: u64) -> Result<Option<Commit>> {
        let Some(database) = self.database else { return Ok(None) };
        let kept = database.commit(device.id(), sequence)?;
        Ok(kept.and_then(|plain| Commit::parse_kept(self.account, device, &plain).ok()))
    }

    pub(crate) fn roster(&self, reference: &ObjectRef) -> Result<Roster> {
        Roster::open(self.account, self.roots, reference, self.object(reference, Part::Roster)?)
    }

    pub(crate) fn keyring(&self, reference: &ObjectRef) -> Result<Keyring> {
        Keyring::open(self.account, self.roots, reference, self.object(reference, Part::Keyring)?)
    }

    fn object(&self, reference: &ObjectRef, part: Part) -> Result<Vec<u8>> {
        self.gate.get(Place::Object(reference.id()))?.ok_or(Error::Missing { what: part })
    }

    /// Brings `known` up to date. `own` is this device; none before it has joined.
    pub(crate) fn refresh(&self, own: Option<DeviceId>, known: Known) -> Result<View> {
        let Known { mut roster, hinted, mut rosters, keyring, mut keyrings, pins } = known;
        let mut walk =
            Walk { reader: self, own, before: pins.clone(), pins, heads: BTreeMap::new(), new: vec![] };
        let roster = loop {
            for device in roster.iter().flat_map(|roster| roster.state().devices()) {
                walk.visit(device, roster.as_ref().unwrap_or(&hinted))?;
            }
            walk.follow_hints(&hinted, roster.as_ref())?;
            let grown = self.unite_rosters(&mut roster, &mut rosters, &walk.heads)?;
            let counted = roster.as_ref().ok_or(Error::Missing { what: Part::Commit })?;
            if grown {
                walk.forget_refused(counted);
            } else {
                walk.forget_strangers(counted);
                if !walk.cross_check(counted)? {
                    break counted.clone();
                }
            }
        };
        let revoked = |id| roster.state().device(id).is_none_or(|device| !device.is_active());
        if own.is_some_and(revoked) {
            return Err(Error::Revoked);
        }
        let Walk { mut pins, heads, new, .. } = walk;
        let keyring = self.unite_keyrings(keyring, &mut keyrings, &heads)?;
        let others = heads.values().filter(|commit| Some(commit.device()) != own);
        let seen = others.clone().flat_map(|commit| &commit.body().seen);
        seen.filter(|(device, _)| Some(*device) == own).for_each(|(_, seen)| pins.witness(*seen));
        let speaking = others.map(Commit::device).filter(|id| !revoked(*id));
        let freshness = pins.freshness(speaking, self.now_ms);
        Ok(View { roster, rosters, keyring, keyrings, heads, pins, freshness, new_commits: new })
    }

    /// Takes over the entries of every roster that a head names; says whether there was a new one.
    fn unite_rosters(
        &self,
        counted: &mut Option<Roster>,
        gathered: &mut Gathered,
        heads: &BTreeMap<DeviceId, Commit>,
    ) -> Result<bool> {
        let mut grown = false;
        for commit in heads.values() {
            let reference = &commit.body().roster;
            if !gathered.objects.insert(reference.id()) {
                continue;
            }
            let named = self.roster(reference)?;
            grown |= counted.is_none();
            let roster = counted.get_or_insert_with(|| named.clone());
            if roster.unite(&named)? {
                grown = true;
                gathered.whole = None;
            }
            if named.length() == roster.length() {
                gathered.whole = Some(reference.clone());
            }
        }
        Ok(grown)
    }

    /// Takes over the keys of every keyring that a head names.
    fn unite_keyrings(
        &self,
        keyring: Option<Keyring>,
        gathered: &mut Gathered,
        heads: &BTreeMap<DeviceId, Commit>,
    ) -> Result<Keyring> {
        let mut all = keyring;
        for commit in heads.values() {
            let reference = &commit.body().keyring;
            if !gathered.objects.insert(reference.id()) {
                continue;
            }
            let named = self.keyring(reference)?;
            if named.version() != commit.body().keyring_version {
                return Err(Error::damaged(Part::Keyring));
            }
            let copy = named.duplicate();
            let mut united = match all.take() {
                Some(known) => known,
                None => named.duplicate(),
            };
            let before = united.duplicate();
            united.unite(named)?;
            if !united.is_same(&before) {
                gathered.whole = None;
            }
            if united.is_same(&copy) {
                gathered.whole = Some(reference.clone());
            }
            all = Some(united);
        }
        all.ok_or(Error::Missing { what: Part::Keyring })
    }
}

/// One walk along the chains of all devices.
struct Walk<'r, 'a> {
    reader: &'r Reader<'a>,
    own: Option<DeviceId>,
    /// The pins as they were when the walk began.
    before: Pins,
    pins: Pins,
    heads: BTreeMap<DeviceId, Commit>,
    new: Vec<Commit>,
}

impl Walk<'_, '_> {
    fn visit(&mut self, device: &Device, roster: &Roster) -> Result<()> {
        if self.heads.contains_key(&device.id()) {
            return Ok(());
        }
        match device.state() {
            DeviceState::Revoked { last_sequence: 0, .. } => return Ok(()),
            DeviceState::Revoked { last_sequence, .. }
                if self.pins.head(device.id()).is_some_and(|head| head.sequence > last_sequence) =>
            {
                // What was believed before its revocation was known stays merged, and counts no more.
                let last = self.reader.commit(device, roster, last_sequence)?;
                self.heads.extend(last.map(|commit| (device.id(), commit)));
                return Ok(());
            }
            _ => {}
        }
        let newest = match self.pins.head(device.id()) {
            Some(pinned) => Some(self.pinned(device, roster, pinned)?),
            None => self.first_contact(device, roster)?,
        };
        self.walk_on(device, roster, newest)
    }

    /// The pinned commit of a device, which the store must still show.
    fn pinned(&mut self, device: &Device, roster: &Roster, pinned: Head) -> Result<Commit> {
        let shown = self.reader.commit(device, roster, pinned.sequence)?;
        let shown = shown.ok_or_else(|| self.pins.withheld(device.id()))?;
        if shown.head() == pinned {
            return Ok(shown);
        }
        let kept = self.reader.kept(device, pinned.sequence)?;
        Err(self.fork(roster, &shown, kept.as_ref()))
    }

    /// Asks for the next commit of a device until there is none.
    fn walk_on(&mut self, device: &Device, roster: &Roster, mut newest: Option<Commit>) -> Result<()> {
        loop {
            let next = newest.as_ref().map_or(1, |commit| commit.head().sequence.saturating_add(1));
            if ended(device, next) {
                break;
            }
            let Some(commit) = self.reader.commit(device, roster, next)? else { break };
            if Some(device.id()) == self.own {
                return Err(Error::Cloned { sequence: next });
            }
            if !self.pins.is_next(&commit) {
                let before = newest.as_ref().unwrap_or(&commit);
                return Err(self.fork(roster, before, Some(&commit)));
            }
            self.note(&commit);
            newest = Some(commit);
        }
        self.heads.extend(newest.map(|commit| (device.id(), commit)));
        Ok(())
    }

    fn note(&mut self, commit: &Commit) {
        self.pins.pin(commit, self.reader.now_ms);
        self.new.push(commit.clone());
    }

    /// The newest commit that a listing admits to, for a device that was never seen. A hint: what follows
    /// is asked for by number.
    fn first_contact(&mut self, device: &Device, roster: &Roster) -> Result<Option<Commit>> {
        let mut newest = 0;
        let prefix = format!("commits/{}/", device.id());
        self.reader.gate.list(&prefix, &mut |object| {
            let sequence = object.name.as_str().rsplit('/').next().and_then(|part| part.parse().ok());
            newest = newest.max(sequence.unwrap_or(0));
        })?;
        if let DeviceState::Revoked { last_sequence, .. } = device.state() {
            newest = newest.min(last_sequence);
        }
        let commit = match newest {
            0 => None,
            sequence => self.reader.commit(device, roster, sequence)?,
        };
        commit.iter().for_each(|commit| self.note(commit));
        Ok(commit)
    }

    fn fork(&self, roster: &Roster, shown: &Commit, kept: Option<&Commit>) -> Error {
        let (device, sequence) = (shown.device(), shown.head().sequence);
        if Some(device) == self.own {
            return Error::Cloned { sequence };
        }
        let proof = kept.and_then(|kept| ForkProof::new(roster, shown.signed(), kept.signed()).ok());
        Error::Fork { device: device.label(), sequence, proof: proof.map(|proof| proof.bytes().into()) }
    }

    /// Devices that only envelopes tell of. What does not open yet is nothing: it counts for nobody, unless
    /// it is pinned.
    fn follow_hints(&mut self, hinted: &Roster, counted: Option<&Roster>) -> Result<()> {
        let is_counted = |id| counted.is_some_and(|roster| roster.state().device(id).is_some());
        for device in hinted.state().devices().iter().filter(|device| !is_counted(device.id())) {
            match self.visit(device, hinted) {
                Err(error) if error.is_damage() && self.before.head(device.id()).is_none() => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// A roster that grew may have cut devices off, or let in some whose heads were read under a hint only:
    /// what it refuses is looked at again, and so is what it may allow more of.
    fn forget_refused(&mut self, roster: &Roster) {
        let before = &self.before;
        self.heads.retain(|id, commit| match roster.state().device(*id).map(Device::state) {
            Some(DeviceState::Active) => before.head(*id).is_some(),
            Some(DeviceState::Revoked { last_sequence, .. }) => commit.head().sequence <= last_sequence,
            None => false,
        });
    }

    /// Whoever no commit's roster has is nobody.
    fn forget_strangers(&mut self, roster: &Roster) {
        let strangers: Vec<_> =
            self.heads.keys().filter(|id| roster.state().device(**id).is_none()).copied().collect();
        for id in strangers {
            self.heads.remove(&id);
            self.pins.forget(id);
            self.new.retain(|commit| commit.device() != id);
        }
    }

    /// What other devices have seen of each other, this device must be able to see (F2, F3). Says whether
    /// it saw more on the way, which has to be checked as well.
    fn cross_check(&mut self, roster: &Roster) -> Result<bool> {
        let before = self.new.len();
        let fresh: Vec<Commit> = self
            .heads
            .values()
            .filter(|commit| self.before.head(commit.device()) != Some(commit.head()))
            .cloned()
            .collect();
        for commit in &fresh {
            for (device, seen) in &commit.body().seen {
                let Some(device) = roster.state().device(*device) else { continue };
                if !ended(device, seen.sequence) {
                    self.check_seen(device, *seen, commit, roster)?;
                }
            }
        }
        Ok(self.new.len() > before)
    }

    fn check_seen(&mut self, device: &Device, seen: Head, by: &Commit, roster: &Roster) -> Result<()> {
        let id = device.id();
        let is_own = Some(id) == self.own;
        if self.pins.head(id).is_none_or(|head| head.sequence < seen.sequence) {
            if is_own {
                return Err(Error::Cloned { sequence: seen.sequence });
            }
            // It may have been written since this device was visited.
            let newest = self.heads.remove(&id);
            self.walk_on(device, roster, newest)?;
        }
        let withheld = Error::Rollback { device: id.label(), sequence: seen.sequence };
        let Some(head) = self.heads.get(&id) else { return Err(withheld) };
        let same = match head.head().sequence.cmp(&seen.sequence) {
            std::cmp::Ordering::Less => return Err(withheld),
            std::cmp::Ordering::Equal => Some(head.clone()),
            std::cmp::Ordering::Greater => match self.reader.kept(device, seen.sequence)? {
                Some(kept) => Some(kept),
                None => self.reader.commit(device, roster, seen.sequence)?,
            },
        };
        let same = same.ok_or(withheld)?;
        if same.head().hash == seen.hash { Ok(()) } else { Err(self.fork(roster, &same, Some(by))) }
    }
}

/// Whether a device was cut off before it wrote this.
pub(super) fn ended(device: &Device, sequence: u64) -> bool {
    matches!(device.state(), DeviceState::Revoked { last_sequence, .. } if sequence > last_sequence)
}

impl View {
    /// The newest state of a kind, from whichever device has it; among states that do not know each other
    /// one that has the own one in it, else the later by the devices' clocks.
    pub(crate) fn kind(&self, kind: &str, own: DeviceId) -> Option<(&Commit, &KindState)> {
        let newest = self.newest(kind);
        let own = self.heads.get(&own).filter(|commit| commit.kind(kind).is_some());
        let has_own = |commit: &Commit| own.is_some_and(|own| commit.holds(kind, own));
        let rank = |commit: &&Commit| (has_own(commit), commit.body().device_time_ms, commit.device());
        let commit = newest.into_iter().max_by_key(rank)?;
        Some((commit, commit.kind(kind)?))
    }

    /// The newest commits of a kind whose data is not that of [`Self::kind`].
    pub(crate) fn unmerged(&self, kind: &str, own: DeviceId) -> impl Iterator<Item = &Commit> {
        let root = |commit: &Commit| commit.kind(kind).and_then(|state| state.root);
        let chosen = self.kind(kind, own).and_then(|(commit, _)| root(commit));
        self.newest(kind).into_iter().filter(move |commit| root(commit) != chosen)
    }

    /// The heads whose data of a kind is not part of another's, by device.
    pub(crate) fn newest(&self, kind: &str) -> Vec<&Commit> {
        let holding: Vec<&Commit> =
            self.heads.values().filter(|commit| commit.kind(kind).is_some()).collect();
        let is_newest = |commit: &&Commit| {
            !holding.iter().any(|other| other.holds(kind, commit) && !commit.holds(kind, other))
        };
        holding.iter().copied().filter(is_newest).collect()
    }

    /// The names of all kinds that any head holds.
    pub(crate) fn kinds(&self) -> BTreeSet<String> {
        let states = self.heads.values().flat_map(|commit| &commit.body().kinds);
        states.map(|state| state.kind.clone()).collect()
    }

    /// What the next commit of `own` says it has seen.
    pub(crate) fn seen(&self, own: DeviceId) -> Vec<(DeviceId, Head)> {
        self.heads
            .values()
            .filter(|commit| commit.device() != own)
            .map(|commit| (commit.device(), commit.head()))
            .collect()
    }
}
