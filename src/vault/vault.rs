//! The vault: all that one account keeps at one store, seen from one device.
//!
//! Every call blocks and may be made from any thread; one job runs at a time. This file holds what all
//! jobs share: bringing the view up to date, and committing.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Clock,
    merge::value_id,
    records::MergeFunctions,
    state::{Database, DeviceKeys, Home, KnownRoster, Pending, StateLocation, WaitingEdit},
    view::{Gathered, Known, Reader, View},
};
use crate::{
    Error, Part, Result,
    crypto::{Place, Random, Sealed},
    history::{Commit, CommitBody, Head, KindState, Pins},
    keys::{AccountId, Change, DeviceId, Envelope, EpochRoot, Keyring, Roster, Signer, SignerId},
    privacy::{Audit, Gate, Ledger},
    store::{Store, StoreErrorKind},
};

/// An open vault.
pub struct Vault {
    pub(super) gate: Arc<Gate>,
    pub(super) home: Home,
    pub(super) database: Arc<Database>,
    pub(super) clock: Box<dyn Clock>,
    account: AccountId,
    device: DeviceId,
    work: Mutex<Work>,
    merge_functions: Mutex<MergeFunctions>,
}

/// What one job at a time works with.
pub(super) struct Work {
    pub(super) keys: DeviceKeys,
    pub(super) random: Box<dyn Random>,
}

/// What a vault is opened with, besides the store.
pub struct Environment {
    pub(super) clock: Box<dyn Clock>,
    pub(super) random: Box<dyn Random>,
}

impl Default for Environment {
    /// The system's clock and randomness.
    fn default() -> Self {
        Self { clock: Box::new(super::SystemClock), random: Box::new(crate::crypto::OsRandom) }
    }
}

#[cfg(any(test, feature = "test-support"))]
impl Environment {
    /// A clock and randomness of the test's own.
    #[must_use]
    pub fn new(clock: Box<dyn Clock>, random: Box<dyn Random>) -> Self {
        Self { clock, random }
    }
}

impl Vault {
    /// Opens the vault of a state folder that [`Vault::create`] or [`Vault::recover`] made.
    ///
    /// # Errors
    /// [`Error::NoVault`] when the folder holds none; [`Error::InUse`];
    /// [`Error::Io`], [`Error::Database`].
    pub fn open(store: impl Store + 'static, state: impl Into<StateLocation>) -> Result<Self> {
        Self::open_in(store, state, Environment::default())
    }

    /// As [`Vault::open`], in an environment of the caller's.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_in(
        store: impl Store + 'static,
        state: impl Into<StateLocation>,
        environment: Environment,
    ) -> Result<Self> {
        let state = state.into();
        if !state.exists() {
            return Err(Error::NoVault);
        }
        let home = Home::open(&state)?;
        if !home.is_ready()? {
            return Err(Error::NoVault);
        }
        let keys = home.read_keys()?.ok_or(Error::NoVault)?;
        Self::assemble(Arc::new(store), home, keys, environment)
    }

    pub(super) fn assemble(
        store: Arc<dyn Store>,
        home: Home,
        keys: DeviceKeys,
        environment: Environment,
    ) -> Result<Self> {
        let gate = Arc::new(Gate::new(store, home.read_consent()?, home.ledger()?));
        Ok(Self {
            gate,
            database: Arc::new(home.database()?),
            home,
            clock: environment.clock,
            account: keys.account,
            device: keys.device,
            work: Mutex::new(Work { keys, random: environment.random }),
            merge_functions: Mutex::default(),
        })
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// This device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// What left this device, line by line.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.gate.ledger()
    }

    /// What the store can see.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn audit(&self) -> Result<Audit> {
        Audit::of(&self.gate)
    }

    pub(super) fn merge_functions(&self) -> MutexGuard<'_, MergeFunctions> {
        self.merge_functions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the view up to date and pins it; epochs that others began are learned on the way.
    pub(super) fn refresh(&self, work: &mut Work) -> Result<View> {
        self.settle_pending(work)?;
        loop {
            match self.refresh_once(work) {
                Err(error) if error.is_damage() && self.learn_more(work)? => {}
                result => return result,
            }
        }
    }

    /// Whether an epoch began after the envelopes were read: what is sealed under it is no damage.
    fn learn_more(&self, work: &mut Work) -> Result<bool> {
        let before = work.keys.roots.iter().count();
        self.learn(work, &self.home.read_roster(self.account)?)?;
        Ok(work.keys.roots.iter().count() > before)
    }

    fn refresh_once(&self, work: &mut Work) -> Result<View> {
        let known = self.home.read_roster(self.account)?;
        let Hints { roster: hinted, envelopes } = self.learn(work, &known)?;
        let (length, whole) = (known.roster.length(), known.objects.whole.clone());
        let (keyring, keyrings) = match self.home.read_keyring(self.account)? {
            Some((keyring, gathered)) => (Some(keyring), gathered),
            None => (None, Gathered::default()),
        };
        let before = keyring.as_ref().map(Keyring::duplicate);
        let (pins, told) = (self.home.read_pins()?, known.told);
        let (roster, rosters) = (Some(known.roster), known.objects);
        let known = Known { roster, hinted, rosters, keyring, keyrings, pins };
        let view = self.reader(work).refresh(Some(self.device), known)?;
        self.database.keep_commits(&view.new_commits)?;
        self.home.write_pins_if_new(&view.pins)?;
        if (view.roster.length(), &view.rosters.whole) != (length, &whole) {
            self.keep_roster(&view, told)?;
        }
        if before.is_none_or(|before| !before.is_same(&view.keyring)) {
            self.home.write_keyring(&view.keyring, &view.keyrings)?;
        }
        // Read for good only now that what it led to is kept.
        for (envelope, roster) in envelopes {
            if view.rosters.objects.contains(&roster) {
                self.database.note_envelope(envelope)?;
            }
        }
        Ok(view)
    }

    fn keep_roster(&self, view: &View, told: BTreeSet<[u8; 32]>) -> Result<()> {
        let Gathered { objects, whole } = &view.rosters;
        let objects = Gathered { objects: objects.clone(), whole: whole.clone() };
        self.home.write_roster(&KnownRoster { roster: view.roster.clone(), objects, told })
    }

    pub(super) fn reader<'a>(&'a self, work: &'a Work) -> Reader<'a> {
        Reader {
            gate: &self.gate,
            account: self.account,
            roots: &work.keys.roots,
            database: Some(&self.database),
            now_ms: self.clock.now_ms(),
        }
    }

    /// Edits that a commit of this device's has wait no longer.
    pub(super) fn settle_edits(&self) -> Result<()> {
        self.database.settle_edits(|sequence, commit| {
            let kept = self.database.commit(self.device, sequence)?;
            Ok(kept.is_some_and(|signed| value_id(&signed) == commit))
        })
    }

    /// Finishes a commit that was signed when this device was last interrupted: the same bytes are sent
    /// again, so that at most one commit can ever exist under that number.
    fn settle_pending(&self, work: &Work) -> Result<()> {
        let Some(pending) = self.home.read_pending()? else { return Ok(()) };
        let mut pins = self.home.read_pins()?;
        if pins.head(self.device).is_none_or(|head| head.sequence < pending.sequence) {
            self.send_pending(work, &pending, &mut pins)?;
        }
        self.home.clear_pending()
    }

    fn send_pending(&self, work: &Work, pending: &Pending, pins: &mut Pins) -> Result<()> {
        let known = self.home.read_roster(self.account)?;
        let device = own_device(&known.roster, self.device)?;
        let (roots, sequence) = (&work.keys.roots, pending.sequence);
        let state = known.roster.state();
        let commit = Commit::open(self.account, device, state, roots, sequence, &pending.object)?;
        let place = Place::Commit { device: self.device.0, sequence };
        match self.gate.get(place)? {
            Some(stored) if stored == pending.object => {}
            Some(_) => return Err(Error::Cloned { sequence }),
            None => {
                let sealed = Commit::again(self.account, self.device, roots, sequence, &pending.object)?;
                self.gate.put(&sealed, self.clock.now_ms())?;
            }
        }
        if !pins.is_next(&commit) {
            return Err(Error::damaged(Part::LocalState));
        }
        pins.pin(&commit, self.clock.now_ms());
        self.database.keep_commits([&commit])?;
        self.home.write_pins(pins)
    }

    /// Reads the envelopes that others left for this device: they tell of devices that joined and of epochs
    /// that began.
    fn learn(&self, work: &mut Work, known: &KnownRoster) -> Result<Hints> {
        let locator = own_device(&known.roster, self.device)?.recipient().locator();
        let mut hints = Hints { roster: known.roster.clone(), envelopes: Vec::new() };
        let ids = match envelope_ids(&self.gate, locator) {
            // A listing is a hint: a store that does not give it is no reason to stop.
            Err(Error::Store(_)) => return Ok(hints),
            ids => ids?,
        };
        for id in ids {
            if self.database.has_read_envelope(id)? {
                continue;
            }
            match self.read_envelope(work, (known, &mut hints), locator, id) {
                Ok(()) => {}
                Err(Error::WrongSecret) => self.database.note_envelope(id)?,
                // What it leads to may not have arrived yet.
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(hints)
    }

    /// Takes over the roots that an envelope brings and its roster announces (K1). The roster itself counts
    /// once a commit names it: a member's commits are found anyway; of who is no member yet, and may have
    /// joined with the code, only the envelope tells.
    fn read_envelope(
        &self,
        work: &mut Work,
        (known, hints): (&KnownRoster, &mut Hints),
        locator: [u8; 16],
        id: [u8; 16],
    ) -> Result<()> {
        let refused = || Error::damaged(Part::Envelope);
        let bytes = self.gate.get(Place::Envelope { locator, id })?.ok_or_else(refused)?;
        let envelope = Envelope::open(&work.keys.hybrid, locator, id, bytes)?;
        if envelope.account() != self.account {
            return Err(Error::WrongSecret);
        }
        let reference = envelope.roster().clone();
        let mut roster = known.roster.clone();
        if !known.objects.objects.contains(&reference.id()) {
            let bytes = self.gate.get(Place::Object(reference.id()))?.ok_or_else(refused)?;
            roster.unite(&Roster::open(self.account, envelope.unverified_roots(), &reference, bytes)?)?;
        }
        let is_by_member = known.roster.state().device(envelope.signer()).is_some();
        let roots = envelope.verify(&roster)?;
        let mut learned = false;
        for root in roots.iter() {
            learned |= work.keys.roots.add(root.duplicate());
        }
        if learned {
            self.home.write_keys(&work.keys)?;
        }
        if is_by_member {
            return self.database.note_envelope(id);
        }
        hints.roster.unite(&roster)?;
        hints.envelopes.push((id, reference.id()));
        Ok(())
    }

    pub(super) fn envelope_ids(&self, locator: [u8; 16]) -> Result<Vec<[u8; 16]>> {
        envelope_ids(&self.gate, locator)
    }

    /// Makes the account ready to be written in: whoever was cut off is cut off by a new epoch, and what
    /// several devices wrote at once about devices and keys becomes one roster and one keyring (D7, D10).
    /// The commit that follows makes it known. Gives the places of the envelopes that it wrote.
    pub(super) fn reconcile(&self, work: &mut Work, view: &mut View) -> Result<Vec<Place>> {
        if view.roster.state().is_rotation_due() {
            self.begin_epoch(work, view)?;
        }
        let current = view.roster.state().epoch();
        let Work { keys, random, .. } = work;
        let root = keys.roots.get(current).ok_or(Error::Missing { what: Part::Envelope })?;
        if view.keyring.complete(root, random.as_mut())? {
            view.keyrings.whole = None;
        }
        if view.keyrings.whole.is_none() {
            let (reference, sealed) = view.keyring.seal(root, random.as_mut())?;
            self.gate.put(&sealed, self.clock.now_ms())?;
            view.keyrings.objects.insert(reference.id());
            view.keyrings.whole = Some(reference);
        }
        let mut envelopes = Vec::new();
        if view.rosters.whole.is_none() {
            let (reference, sealed) = view.roster.seal(root, random.as_mut())?;
            self.gate.put(&sealed, self.clock.now_ms())?;
            envelopes = self.write_envelopes(work, &view.roster, &reference)?;
            view.rosters.objects.insert(reference.id());
            view.rosters.whole = Some(reference);
        }
        Ok(envelopes)
    }

    /// A new root, announced and kept on this device first: nothing may be sealed under a root that could
    /// be lost.
    pub(super) fn begin_epoch(&self, work: &mut Work, view: &mut View) -> Result<()> {
        let epoch = view.roster.state().next_epoch().ok_or(Error::Internal("epochs"))?;
        let root = EpochRoot::generate(epoch, work.random.as_mut())?;
        let signer = Signer { id: SignerId::Device(self.device), key: &work.keys.signing };
        let change = Change::BeginEpoch(epoch, root.id());
        view.roster.append(&signer, &change, None, self.clock.now_ms())?;
        work.keys.roots.add(root);
        self.home.write_keys(&work.keys)?;
        view.rosters.whole = None;
        Ok(())
    }

    /// Signs, keeps, sends and pins the next commit of this device. The view was reconciled.
    pub(super) fn commit(&self, work: &mut Work, view: &mut View, kinds: Vec<KindState>) -> Result<Head> {
        self.commit_edits(work, view, kinds, &[])
    }

    /// The same, with edits of single records in it.
    pub(super) fn commit_edits(
        &self,
        work: &mut Work,
        view: &mut View,
        kinds: Vec<KindState>,
        edits: &[WaitingEdit],
    ) -> Result<Head> {
        let unready = Error::Internal("a commit without roster or keyring");
        let (Some(roster), Some(keyring)) = (view.rosters.whole.clone(), view.keyrings.whole.clone()) else {
            return Err(unready);
        };
        let previous = view.pins.head(self.device);
        let number = previous.map_or(Some(1), |head| head.sequence.checked_add(1));
        let number = number.ok_or(Error::Internal("commit numbers ran out"))?;
        let own = view.heads.get(&self.device);
        let follow = |state: KindState| {
            let before = own.and_then(|own| own.kind(&state.kind));
            state.following(before, number)
        };
        let kinds = kinds.into_iter().map(follow).collect();
        let body = CommitBody {
            previous,
            roster,
            keyring,
            keyring_version: view.keyring.version(),
            kinds,
            seen: view.seen(self.device),
            nonce: work.random.bytes()?,
            device_time_ms: self.clock.now_ms(),
        };
        let Work { keys, random, .. } = work;
        let current = view.roster.state().epoch();
        let root = keys.roots.get(current).ok_or(Error::Missing { what: Part::Envelope })?;
        let (commit, sealed) =
            Commit::seal(self.account, (self.device, &keys.signing), body, root, random.as_mut())?;
        let sequence = commit.head().sequence;
        if !edits.is_empty() {
            self.database.mark_edits(edits, sequence, value_id(commit.signed()))?;
        }
        self.home.write_pending(&Pending { sequence, object: sealed.bytes().to_vec() })?;
        self.send_commit(&sealed, sequence)?;
        view.pins.pin(&commit, self.clock.now_ms());
        self.database.keep_commits([&commit])?;
        self.home.write_pins(&view.pins)?;
        self.home.clear_pending()?;
        self.keep_view(view)?;
        let head = commit.head();
        view.heads.insert(self.device, commit);
        Ok(head)
    }

    /// A commit that somebody else wrote under this device's name and number is a copy's of this device.
    fn send_commit(&self, sealed: &Sealed, sequence: u64) -> Result<()> {
        self.gate.put(sealed, self.clock.now_ms()).map_err(|error| match error {
            Error::Store(store) if store.kind() == StoreErrorKind::AlreadyExists => {
                Error::Cloned { sequence }
            }
            other => other,
        })
    }

    /// Keeps roster and keyring as they are now; entries of this device's own are no news to its owner.
    fn keep_view(&self, view: &View) -> Result<()> {
        let kept = self.home.read_keyring(self.account)?;
        let is_kept = |(keyring, gathered): &(Keyring, Gathered)| {
            keyring.is_same(&view.keyring) && gathered.whole == view.keyrings.whole
        };
        if !kept.as_ref().is_some_and(is_kept) {
            self.home.write_keyring(&view.keyring, &view.keyrings)?;
        }
        let known = self.home.read_roster(self.account)?;
        let is_kept =
            known.roster.length() == view.roster.length() && known.objects.whole == view.rosters.whole;
        let own = view.roster.entries().filter(|(_, signer, _)| *signer == SignerId::Device(self.device));
        let mut told = known.told.clone();
        told.extend(own.map(|(hash, ..)| hash));
        if is_kept && told == known.told { Ok(()) } else { self.keep_roster(view, told) }
    }

    /// The kinds' states of this device's own newest commit.
    pub(super) fn own_kinds(&self, view: &View) -> Vec<KindState> {
        view.heads.get(&self.device).map_or_else(Vec::new, |commit| commit.body().kinds.clone())
    }
}

/// What envelopes by devices that are no members yet lead to.
struct Hints {
    roster: Roster,
    /// Ids of those envelopes, and of the roster objects that they name.
    envelopes: Vec<([u8; 16], [u8; 16])>,
}

/// The ids of the envelopes that the store admits to have for a recipient.
pub(super) fn envelope_ids(gate: &Gate, locator: [u8; 16]) -> Result<Vec<[u8; 16]>> {
    const ENVELOPES_MAX: usize = 4096;
    let mut ids = Vec::new();
    gate.list(&crate::store::ObjectName::envelope_prefix(&locator), &mut |object| {
        if ids.len() < ENVELOPES_MAX {
            ids.extend(object.name.id());
        }
    })?;
    Ok(ids)
}

/// A device that the roster has to have.
pub(super) fn own_device(roster: &Roster, device: DeviceId) -> Result<&crate::keys::Device> {
    roster.state().device(device).ok_or(Error::damaged(Part::Roster))
}
