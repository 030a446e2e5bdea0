//! The vault: all that one account keeps at one store, seen from one device.
//!
//! Every call blocks and may be made from any thread; one job runs at a time. This file holds what all
//! jobs share: bringing the view up to date, and committing.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use subtle::ConstantTimeEq as _;

use super::{
    Clock,
    state::{Database, DeviceKeys, Home, Pending, StateLocation},
    view::{Reader, View},
};
use crate::{
    Error, Part, Result,
    crypto::{Place, Random},
    history::{Commit, CommitBody, Head, KindState, Pins},
    keys::{AccountId, DeviceId, Envelope, EpochRoot, ObjectRef, Roster},
    privacy::{Audit, Gate, Ledger},
    store::Store,
};

/// An open vault.
pub struct Vault {
    pub(super) gate: Gate,
    pub(super) home: Home,
    pub(super) database: Database,
    pub(super) clock: Box<dyn Clock>,
    account: AccountId,
    device: DeviceId,
    work: Mutex<Work>,
}

/// What one job at a time works with.
pub(super) struct Work {
    pub(super) keys: DeviceKeys,
    pub(super) random: Box<dyn Random>,
    /// Envelopes to this device that were read already.
    read_envelopes: BTreeSet<[u8; 16]>,
}

/// The root of an epoch. A root that was made but never announced lies above the roster's epoch and is never
/// used (R8).
fn root_of(keys: &DeviceKeys, epoch: u32) -> Result<&EpochRoot> {
    keys.roots.iter().find(|root| root.epoch() == epoch).ok_or(Error::damaged(Part::LocalState))
}

/// How many epochs a roster has announced.
fn epochs_of(roster: &Roster) -> usize {
    usize::try_from(roster.state().epoch()).map_or(usize::MAX, |epoch| epoch.saturating_add(1))
}

fn is_same_root((a, b): (&EpochRoot, &EpochRoot)) -> bool {
    a.epoch() == b.epoch() && bool::from(a.root().ct_eq(b.root()))
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
    /// [`Error::NoVault`] when the folder holds none; [`Error::Io`], [`Error::Database`].
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
        let home = Home::open(&state.into())?;
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
        let gate = Gate::new(store, home.read_consent()?, home.ledger()?);
        Ok(Self {
            gate,
            database: home.database()?,
            home,
            clock: environment.clock,
            account: keys.account,
            device: keys.device,
            work: Mutex::new(Work { keys, random: environment.random, read_envelopes: BTreeSet::new() }),
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

    pub(super) fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the view up to date and pins it; epochs that others began are learned on the way.
    pub(super) fn refresh(&self, work: &mut Work) -> Result<View> {
        self.settle_pending(work)?;
        self.learn(work)?;
        let view = self.try_refresh(work)?;
        self.home.write_pins_if_new(&view.pins)?;
        self.home.write_roster_if_new(&view.roster)?;
        Ok(view)
    }

    fn try_refresh(&self, work: &Work) -> Result<View> {
        let roster = self.home.read_roster(self.account)?;
        self.reader(work).refresh(self.device, self.home.read_pins()?, roster)
    }

    pub(super) fn reader<'a>(&'a self, work: &'a Work) -> Reader<'a> {
        Reader { gate: &self.gate, account: self.account, roots: &work.keys.roots }
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
        let roster = self.home.read_roster(self.account)?;
        let device = roster.state().device(self.device).ok_or(Error::damaged(Part::LocalState))?;
        let (roots, sequence) = (&work.keys.roots, pending.sequence);
        let commit = Commit::open(self.account, device, roster.state(), roots, sequence, &pending.object)?;
        let place = Place::Commit { device: self.device.0, sequence };
        match self.gate.get(place)? {
            Some(stored) if stored == pending.object => {}
            Some(_) => return Err(Error::Fork { device: self.device.label(), sequence }),
            None => {
                let sealed = Commit::again(self.account, self.device, roots, sequence, &pending.object)?;
                self.gate.put(&sealed, self.clock.now_ms())?;
            }
        }
        pins.advance(&commit)?;
        self.home.write_pins(pins)
    }

    /// Reads the envelopes that others left for this device: they tell of devices that joined and of epochs
    /// that began.
    fn learn(&self, work: &mut Work) -> Result<()> {
        let mut known = self.home.read_roster(self.account)?;
        let locator = own_device(&known, self.device)?.recipient().locator();
        let ids = match self.envelope_ids(locator) {
            // A listing is a hint: a store that does not give it is no reason to stop.
            Err(Error::Store(_)) => return Ok(()),
            ids => ids?,
        };
        for id in ids {
            if work.read_envelopes.contains(&id) {
                continue;
            }
            match self.read_envelope(work, &known, locator, id) {
                Ok(None) => {
                    work.read_envelopes.insert(id);
                }
                Ok(Some((roster, roots))) => {
                    work.keys.roots = roots;
                    self.home.write_keys(&work.keys)?;
                    self.home.write_roster(&roster)?;
                    known = roster;
                    work.read_envelopes.insert(id);
                }
                // What does not open, leads somewhere else or stands on no commit yet.
                Err(error) if error.is_damage() || matches!(error, Error::WrongSecret) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What an envelope brings, if it is anything new: a roster that continues the known one, vouching for the writer, and roots
    /// that continue the known ones (K1).
    fn read_envelope(
        &self,
        work: &Work,
        known: &Roster,
        locator: [u8; 16],
        id: [u8; 16],
    ) -> Result<Option<(Roster, Vec<EpochRoot>)>> {
        let refused = || Error::damaged(Part::Envelope);
        let bytes = self.gate.get(Place::Envelope { locator, id })?.ok_or_else(refused)?;
        let envelope = Envelope::open(&work.keys.hybrid, locator, id, bytes)?;
        let reference = envelope.roster().clone();
        let bytes = self.gate.get(Place::Object(reference.id()))?.ok_or_else(refused)?;
        let roster = Roster::open(self.account, envelope.newest_root()?, &reference, bytes)?;
        if roster.length() <= known.length() {
            return Ok(None);
        }
        if envelope.account() != self.account || !roster.continues(known) {
            return Err(refused());
        }
        let roots = envelope.verify(&roster)?;
        let announced = epochs_of(known);
        let kept = roots.iter().zip(&work.keys.roots).take(announced).all(is_same_root);
        if !kept || roots.len() != epochs_of(&roster) {
            return Err(refused());
        }
        let reader = Reader { gate: &self.gate, account: self.account, roots: &roots };
        let view = reader.refresh(self.device, self.home.read_pins()?, roster.clone())?;
        if reader.confirms(&view, &roster)? { Ok(Some((roster, roots))) } else { Err(refused()) }
    }

    pub(super) fn envelope_ids(&self, locator: [u8; 16]) -> Result<Vec<[u8; 16]>> {
        envelope_ids(&self.gate, locator)
    }

    /// Signs, keeps, sends and pins the next commit of this device.
    pub(super) fn commit(&self, work: &mut Work, view: &mut View, next: NextCommit) -> Result<Head> {
        let body = CommitBody {
            previous: view.pins.head(self.device),
            roster: next.roster,
            keyring: next.keyring,
            keyring_version: next.keyring_version,
            kinds: next.kinds,
            seen: view.seen(self.device),
            nonce: work.random.bytes()?,
            device_time_ms: self.clock.now_ms(),
        };
        let Work { keys, random, .. } = work;
        let root = root_of(keys, next.epoch)?;
        let (commit, sealed) =
            Commit::seal(self.account, (self.device, &keys.signing), body, root, random.as_mut())?;
        let sequence = commit.head().sequence;
        self.home.write_pending(&Pending { sequence, object: sealed.bytes().to_vec() })?;
        self.gate.put(&sealed, self.clock.now_ms())?;
        view.pins.advance(&commit)?;
        self.home.write_pins(&view.pins)?;
        self.home.clear_pending()?;
        let head = commit.head();
        view.heads.insert(self.device, commit);
        Ok(head)
    }

    /// The kinds' states that the next commit starts from: for each the newest that any device has.
    pub(super) fn kind_states(&self, view: &View) -> Vec<KindState> {
        let mut names: Vec<&str> = view
            .heads
            .values()
            .flat_map(|commit| commit.body().kinds.iter().map(|state| state.kind.as_str()))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .filter_map(|kind| view.kind(kind, self.device).map(|(_, state)| state.clone()))
            .collect()
    }
}

/// What the next commit says beyond what follows from the view.
pub(super) struct NextCommit {
    pub(super) epoch: u32,
    pub(super) roster: ObjectRef,
    pub(super) keyring: ObjectRef,
    pub(super) keyring_version: u64,
    pub(super) kinds: Vec<KindState>,
}

impl NextCommit {
    /// The same keys, other data.
    pub(super) fn of_kinds(view: &View, kinds: Vec<KindState>) -> Self {
        Self {
            epoch: view.roster.state().epoch(),
            roster: view.roster_ref.clone(),
            keyring: view.keyring_ref.clone(),
            keyring_version: view.keyring.version(),
            kinds,
        }
    }
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

/// A roster that this device may rely on, for callers that build one.
pub(super) fn own_device(roster: &Roster, device: DeviceId) -> Result<&crate::keys::Device> {
    roster.state().device(device).ok_or(Error::damaged(Part::Roster))
}
