//! The view: what this device believes, brought up to date against the store before each job.
//!
//! Every commit that was ever pinned must still be there (F1, F2); whatever follows must follow it (F3).

use std::collections::BTreeMap;

use crate::{
    Error, Part, Result,
    crypto::Place,
    history::{Commit, Freshness, Head, KindState, Pins},
    keys::{AccountId, Device, DeviceId, DeviceState, EpochRoot, Keyring, ObjectRef, Roster},
    privacy::Gate,
};

/// Verified state of the account: roster, keyring and every device's newest commit.
pub(crate) struct View {
    pub(crate) roster: Roster,
    pub(crate) roster_ref: ObjectRef,
    pub(crate) keyring: Keyring,
    pub(crate) keyring_ref: ObjectRef,
    pub(crate) heads: BTreeMap<DeviceId, Commit>,
    pub(crate) pins: Pins,
    pub(crate) freshness: Freshness,
}

/// What it takes to read commits.
pub(crate) struct Reader<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) account: AccountId,
    pub(crate) roots: &'a [EpochRoot],
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

    pub(crate) fn root(&self, epoch: u32, part: Part) -> Result<&EpochRoot> {
        self.roots.iter().find(|root| root.epoch() == epoch).ok_or(Error::damaged(part))
    }

    pub(crate) fn roster(&self, reference: &ObjectRef) -> Result<Roster> {
        let bytes = self.object(reference, Part::Roster)?;
        Roster::open(self.account, self.root(reference.epoch(), Part::Roster)?, reference, bytes)
    }

    pub(crate) fn keyring(&self, reference: &ObjectRef) -> Result<Keyring> {
        let bytes = self.object(reference, Part::Keyring)?;
        Keyring::open(self.account, self.root(reference.epoch(), Part::Keyring)?, reference, bytes)
    }

    fn object(&self, reference: &ObjectRef, part: Part) -> Result<Vec<u8>> {
        self.gate.get(Place::Object(reference.id()))?.ok_or(Error::Missing { what: part })
    }

    /// Brings `pins` up to date and returns everything that follows from it. `own` is this device;
    /// `known` is a roster that was verified before.
    pub(crate) fn refresh(&self, own: DeviceId, mut pins: Pins, mut known: Roster) -> Result<View> {
        let mut heads = BTreeMap::new();
        loop {
            for device in known.state().devices() {
                if heads.contains_key(&device.id()) {
                    continue;
                }
                if let Some(commit) = self.head_of(device, &known, &mut pins, own)? {
                    heads.insert(device.id(), commit);
                }
            }
            match self.longer_roster(&known, &heads)? {
                Some(longer) => known = longer,
                None => break,
            }
        }
        let newest = newest(&heads, own).ok_or_else(|| pins.withheld(own))?;
        let roster_ref = newest.body().roster.clone();
        let keyring_ref = newest.body().keyring.clone();
        let keyring = self.keyring(&keyring_ref)?;
        if keyring.version() != newest.body().keyring_version {
            return Err(Error::damaged(Part::Keyring));
        }
        let freshness = pins.freshness();
        Ok(View { roster: known, roster_ref, keyring, keyring_ref, heads, pins, freshness })
    }

    /// Whether some device's newest commit stands on `offered` or a continuation of it: a roster that was
    /// written but never committed to counts for nothing.
    pub(crate) fn confirms(&self, view: &View, offered: &Roster) -> Result<bool> {
        for commit in view.heads.values() {
            if self.roster(&commit.body().roster)?.continues(offered) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Confirms the pinned commit of a device and walks on from it to its newest.
    fn head_of(
        &self,
        device: &Device,
        roster: &Roster,
        pins: &mut Pins,
        own: DeviceId,
    ) -> Result<Option<Commit>> {
        let mut newest = match pins.head(device.id()) {
            Some(pinned) => {
                let commit = self.commit(device, roster, pinned.sequence)?;
                let commit = commit.ok_or_else(|| pins.withheld(device.id()))?;
                pins.confirm(&commit)?;
                Some(commit)
            }
            None => self.first_contact(device, roster)?,
        };
        if let Some(commit) = &newest {
            pins.adopt(commit);
        }
        loop {
            let next = newest.as_ref().map_or(1, |commit| commit.head().sequence.saturating_add(1));
            if ended(device, next) {
                return Ok(newest);
            }
            let Some(commit) = self.commit(device, roster, next)? else { return Ok(newest) };
            if device.id() == own {
                // Somebody else writes with this device's keys: a copy of it (R9).
                return Err(Error::Fork { device: own.label(), sequence: next });
            }
            pins.advance(&commit)?;
            newest = Some(commit);
        }
    }

    /// The newest commit that a listing admits to, for a device that was never seen. A hint: what follows
    /// is asked for by number.
    fn first_contact(&self, device: &Device, roster: &Roster) -> Result<Option<Commit>> {
        let mut newest = 0;
        let prefix = format!("commits/{}/", device.id());
        self.gate.list(&prefix, &mut |object| {
            let sequence = object.name.as_str().rsplit('/').next().and_then(|part| part.parse().ok());
            newest = newest.max(sequence.unwrap_or(0));
        })?;
        if let DeviceState::Revoked { last_sequence, .. } = device.state() {
            newest = newest.min(last_sequence);
        }
        match newest {
            0 => Ok(None),
            sequence => self.commit(device, roster, sequence),
        }
    }

    /// A roster that some head names and that continues `known`.
    fn longer_roster(&self, known: &Roster, heads: &BTreeMap<DeviceId, Commit>) -> Result<Option<Roster>> {
        let mut references: Vec<&ObjectRef> = heads.values().map(|commit| &commit.body().roster).collect();
        references.sort_by_key(|reference| reference.id());
        references.dedup();
        let mut longest: Option<Roster> = None;
        for reference in references {
            let roster = self.roster(reference)?;
            let best = longest.as_ref().unwrap_or(known);
            if roster.length() > best.length() {
                if !roster.continues(best) {
                    return Err(Error::damaged(Part::Roster));
                }
                longest = Some(roster);
            }
        }
        Ok(longest)
    }
}

fn ended(device: &Device, next: u64) -> bool {
    matches!(device.state(), DeviceState::Revoked { last_sequence, .. } if next > last_sequence)
}

/// The commit that has seen all others; among commits that do not know each other the own one, else the
/// one with the newest keyring, else the later by the devices' clocks.
pub(crate) fn newest(heads: &BTreeMap<DeviceId, Commit>, own: DeviceId) -> Option<&Commit> {
    heads.values().reduce(|best, other| {
        let other_knows = other.has_seen(best.device(), best.head());
        let best_knows = best.has_seen(other.device(), other.head());
        let rank = |commit: &Commit| {
            (commit.body().keyring_version, commit.device() == own, commit.body().device_time_ms)
        };
        match (best_knows, other_knows) {
            (true, false) => best,
            (false, true) => other,
            _ if rank(other) > rank(best) => other,
            _ => best,
        }
    })
}

impl View {
    /// The newest state of a kind, from whichever device has it.
    pub(crate) fn kind(&self, kind: &str, own: DeviceId) -> Option<(&Commit, &KindState)> {
        let holding: BTreeMap<DeviceId, Commit> = self
            .heads
            .iter()
            .filter(|(_, commit)| commit.kind(kind).is_some())
            .map(|(device, commit)| (*device, commit.clone()))
            .collect();
        let device = newest(&holding, own)?.device();
        let commit = self.heads.get(&device)?;
        Some((commit, commit.kind(kind)?))
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
