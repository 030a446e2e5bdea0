//! How a device gets into a vault: it creates it, or it holds the recovery code or the password.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Environment, Vault,
    admission::{anchored_pins, head},
    state::{DeviceKeys, Home, KnownRoster, StateLocation},
    vault::{Work, envelope_ids},
    view::{Gathered, Known, Reader, View},
};
use crate::{
    Error, Result,
    crypto::{
        FORMAT_VERSION, HybridSecretKey, OsRandom, Place, Random, Secret, SigningKey, derive_password_seeds,
    },
    history::{Freshness, Pins},
    keys::{
        Change, DeviceId, DeviceSecret, Envelope, EnvelopeContents, EpochRoot, EpochRoots, HeadCode, Keyring,
        Member, ObjectRef, Recipient, RecoveryCode, RootId, Roster, Signer, SignerId,
    },
    kinds::Kind,
    limits::DEVICE_NAME_BYTES_MAX,
    privacy::{Consent, Gate},
    store::Store,
};

/// A new device of the account, as its owner calls it.
pub struct NewDevice {
    name: String,
    head_code: Option<HeadCode>,
}

impl NewDevice {
    /// A device with a name of at most 128 bytes and without control characters.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn named(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        if name.is_empty() || name.len() > DEVICE_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(Error::InvalidArgument("a device name has 1 to 128 bytes and no control characters"));
        }
        Ok(Self { name, head_code: None })
    }

    /// Holds the store to a commit that another device of the account told of: with it a device that comes
    /// in with the code or the password sees a rollback at once, and what it is shown counts as fresh.
    #[must_use]
    pub fn holding_to(self, head_code: HeadCode) -> Self {
        Self { head_code: Some(head_code), ..self }
    }
}

/// A device's fresh keys and its line for the roster.
pub(super) struct FreshDevice {
    pub(super) signing: SigningKey,
    pub(super) hybrid: HybridSecretKey,
    pub(super) member: Member,
}

impl FreshDevice {
    pub(super) fn generate(device: NewDevice, random: &mut dyn Random) -> Result<Self> {
        let signing = SigningKey::generate(random)?;
        let hybrid = HybridSecretKey::from_seed(Secret::generate(random)?);
        let recipient = Recipient::device(hybrid.public().clone(), random.bytes()?);
        let member = Member {
            id: DeviceId(random.bytes()?),
            signing_key: signing.verifying_key(),
            recipient,
            name: device.name,
        };
        Ok(Self { signing, hybrid, member })
    }
}

impl Vault {
    /// Makes a new account and its vault in an empty store. The recovery code exists nowhere else: show it
    /// once and let its owner keep it on paper.
    ///
    /// # Errors
    /// [`Error::VaultExists`] when the store or the folder already holds a vault; [`Error::Store`],
    /// [`Error::Io`].
    pub fn create(
        store: impl Store + 'static,
        state: impl Into<StateLocation>,
        device: NewDevice,
    ) -> Result<(Self, RecoveryCode)> {
        let code = RecoveryCode::generate(&mut OsRandom)?;
        let vault = Self::create_with(store, state, device, &code)?;
        Ok((vault, code))
    }

    /// As [`Vault::create`], with a code that was generated and kept before: nothing that happens meanwhile
    /// can lose it.
    ///
    /// # Errors
    /// As [`Vault::create`].
    pub fn create_with(
        store: impl Store + 'static,
        state: impl Into<StateLocation>,
        device: NewDevice,
        code: &RecoveryCode,
    ) -> Result<Self> {
        Self::create_in(store, state, device, code, Environment::default())
    }

    /// As [`Vault::create_with`], in an environment of the caller's.
    ///
    /// # Errors
    /// As [`Vault::create`].
    pub fn create_in(
        store: impl Store + 'static,
        state: impl Into<StateLocation>,
        device: NewDevice,
        code: &RecoveryCode,
        mut environment: Environment,
    ) -> Result<Self> {
        let home = empty_home(&state.into())?;
        let store: Arc<dyn Store> = Arc::new(store);
        let random = environment.random.as_mut();
        let fresh = FreshDevice::generate(device, random)?;
        let root = EpochRoot::generate(0, random)?;
        let roster = genesis(&fresh, code, root.id(), environment.clock.now_ms(), random)?;
        let names = Kind::ALL;
        let names: Vec<&str> = names.iter().map(Kind::name).collect();
        let keyring = Keyring::generate(roster.account(), &names, &root, random)?;
        let keys = DeviceKeys {
            account: roster.account(),
            device: fresh.member.id,
            signing: fresh.signing,
            hybrid: fresh.hybrid,
            roots: EpochRoots::new([root]),
        };
        if holds_vault(&Gate::new(Arc::clone(&store), Consent::none(), home.ledger()?))? {
            return Err(Error::VaultExists);
        }
        home.write_roster(&unseen(&roster))?;
        home.write_keys(&keys)?;
        let vault = Self::assemble(store, home, keys, environment)?;
        vault.write_genesis(roster, keyring)?;
        vault.home.set_ready()?;
        Ok(vault)
    }

    /// Keyring, roster with its envelopes, and the first commit.
    fn write_genesis(&self, roster: Roster, keyring: Keyring) -> Result<()> {
        let mut view = View {
            roster,
            rosters: Gathered::default(),
            keyring,
            keyrings: Gathered::default(),
            heads: BTreeMap::new(),
            pins: Pins::anchored(),
            freshness: Freshness::Fresh,
            new_commits: Vec::new(),
        };
        self.first_commit(&mut view)
    }

    /// This device's first commit. It has no data yet; what it has seen of the others it says.
    pub(super) fn first_commit(&self, view: &mut View) -> Result<()> {
        let work = &mut *self.work();
        self.reconcile(work, view)?;
        self.database.keep_commits(&view.new_commits)?;
        self.commit(work, view, Vec::new())?;
        Ok(())
    }

    /// Seals all roots to everybody in the roster and nobody else (K12). The owner's own secrets come first:
    /// a device that is killed on the way leaves a vault that they open (R8).
    pub(super) fn write_envelopes(
        &self,
        work: &mut Work,
        roster: &Roster,
        at: &ObjectRef,
    ) -> Result<Vec<Place>> {
        let mut recipients: Vec<&Recipient> = roster.state().recipients().collect();
        recipients.sort_by_key(|recipient| recipient.signing_key().is_none());
        // A root that this device began and nobody was told of would make the envelope worthless.
        let announced = work.keys.roots.iter().filter(|root| roster.state().announces(root));
        let roots = EpochRoots::new(announced.map(EpochRoot::duplicate));
        recipients.into_iter().map(|recipient| self.write_envelope(work, recipient, (&roots, at))).collect()
    }

    /// Seals the roots to one recipient, and says where the envelope lies.
    fn write_envelope(
        &self,
        work: &mut Work,
        recipient: &Recipient,
        (roots, roster): (&EpochRoots, &ObjectRef),
    ) -> Result<Place> {
        let Work { keys, random, .. } = work;
        let contents = EnvelopeContents { account: self.account(), roots, roster };
        let signer = (self.device(), &keys.signing);
        let sealed = Envelope::seal(&contents, recipient, signer, random.as_mut())?;
        self.gate.put(&sealed, self.clock.now_ms())?;
        Ok(sealed.context().place)
    }

    /// Joins with the recovery code, on a new device, without any other. What the store shows cannot be
    /// compared with anything yet: freshness is [`Freshness::Unproven`].
    ///
    /// # Errors
    /// [`Error::NoVault`] when the store is empty; [`Error::WrongSecret`] when the code opens nothing there;
    /// [`Error::VaultExists`] when the folder already holds a vault; [`Error::Damaged`], [`Error::Missing`];
    /// [`Error::Rollback`], [`Error::Fork`] when the store does not show what the device holds it to.
    pub fn recover(
        store: impl Store + 'static,
        state: impl Into<StateLocation>,
        code: &RecoveryCode,
        device: NewDevice,
    ) -> Result<Self> {
        Self::recover_in(store, state, code, device, Environment::default())
    }

    /// As [`Vault::recover`], in an environment of the caller's.
    ///
    /// # Errors
    /// As [`Vault::recover`].
    pub fn recover_in(
        store: impl Store + 'static,
        state: impl Into<StateLocation>,
        code: &RecoveryCode,
        device: NewDevice,
        environment: Environment,
    ) -> Result<Self> {
        let secret = AccountSecret {
            signer: SignerId::Recovery,
            locator: code.locator(),
            hybrid: code.hybrid_key(),
            signing: code.signing_key(),
        };
        Self::enter(Arc::new(store), &state.into(), &secret, device, environment)
    }

    /// Joins with the password and the device secret that [`Vault::set_password`] gave out.
    ///
    /// # Errors
    /// As [`Vault::recover`]; [`Error::PasswordParameters`] when the store offers parameters outside the
    /// allowed range, before anything was derived (K4, K5).
    pub fn recover_with_password(
        store: impl Store + 'static,
        state: impl Into<StateLocation>,
        (password, device_secret): (&str, &DeviceSecret),
        device: NewDevice,
    ) -> Result<Self> {
        let store: Arc<dyn Store> = Arc::new(store);
        let state = state.into();
        let home = empty_home(&state)?;
        let gate = Gate::new(Arc::clone(&store), Consent::none(), home.ledger()?);
        let secret = AccountSecret::of_password(&gate, password, device_secret)?;
        drop((gate, home));
        Self::enter(store, &state, &secret, device, Environment::default())
    }

    fn enter(
        store: Arc<dyn Store>,
        state: &StateLocation,
        secret: &AccountSecret,
        device: NewDevice,
        mut environment: Environment,
    ) -> Result<Self> {
        let home = empty_home(state)?;
        let gate = Gate::new(Arc::clone(&store), Consent::none(), home.ledger()?);
        let (roots, mut before) = secret.open_newest(&gate, environment.clock.now_ms(), device.head_code)?;
        let account = before.roster.account();
        let fresh = FreshDevice::generate(device, environment.random.as_mut())?;
        let signer = Signer { id: secret.signer, key: &secret.signing };
        let now_ms = environment.clock.now_ms();
        before.roster.append(&signer, &Change::AddDevice(fresh.member.clone()), None, now_ms)?;
        before.rosters.whole = None;
        drop(gate);
        let keys = DeviceKeys {
            account,
            device: fresh.member.id,
            signing: fresh.signing,
            hybrid: fresh.hybrid,
            roots,
        };
        home.write_roster(&unseen(&before.roster))?;
        home.write_keys(&keys)?;
        let vault = Self::assemble(store, home, keys, environment)?;
        // Every other device finds the new one through the envelope that is addressed to it (D8).
        vault.first_commit(&mut before)?;
        vault.home.set_ready()?;
        Ok(vault)
    }
}

/// A secret that opens an account without any device.
struct AccountSecret {
    signer: SignerId,
    locator: [u8; 16],
    hybrid: HybridSecretKey,
    signing: SigningKey,
}

impl AccountSecret {
    /// The keys of a password: with the parameters of an envelope that they open. The store may have others
    /// there; each set that it offers costs a derivation, so only some are tried.
    fn of_password(gate: &Gate, password: &str, device_secret: &DeviceSecret) -> Result<Self> {
        const TRIES: usize = 4;
        let locator = device_secret.locator();
        let (mut tried, mut failure) = (Vec::new(), None);
        for id in envelope_ids(gate, locator)? {
            let Some(bytes) = gate.get(Place::Envelope { locator, id })? else { continue };
            let parameters = match Envelope::password_parameters(&bytes) {
                Ok(parameters) if tried.contains(&parameters) => continue,
                Ok(parameters) => parameters,
                Err(error) => {
                    failure.get_or_insert(error);
                    continue;
                }
            };
            if tried.len() == TRIES {
                break;
            }
            tried.push(parameters);
            let seeds = derive_password_seeds(password, device_secret.secret(), &parameters)?;
            let secret = Self {
                signer: SignerId::Password,
                locator,
                hybrid: HybridSecretKey::from_seed(seeds.hybrid),
                signing: SigningKey::from_seed(seeds.signing),
            };
            match secret.open_one(gate, id) {
                Ok(_) => return Ok(secret),
                Err(error @ (Error::Store(_) | Error::Io { .. } | Error::NewerFormat { .. })) => {
                    return Err(error);
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| nothing_opens(gate)))
    }

    /// The roots of all envelopes that open and are vouched for, and what they lead to.
    fn open_newest(
        &self,
        gate: &Gate,
        now_ms: i64,
        head_code: Option<HeadCode>,
    ) -> Result<(EpochRoots, View)> {
        let mut all: Option<(EpochRoots, Roster)> = None;
        let mut failure = None;
        for id in envelope_ids(gate, self.locator)? {
            match self.open_one(gate, id) {
                Ok(opened) => all = Some(unite(all, opened)?),
                Err(error @ (Error::Store(_) | Error::Io { .. })) => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        let Some((roots, roster)) = all else { return Err(failure.unwrap_or_else(|| nothing_opens(gate))) };
        let reader = Reader { gate, account: roster.account(), roots: &roots, database: None, now_ms };
        let pins = head_code.map_or(Ok(Pins::new()), |code| pins_of(&code, &reader, &roster))?;
        let known = Known {
            roster: None,
            hinted: roster,
            rosters: Gathered::default(),
            keyring: None,
            keyrings: Gathered::default(),
            pins,
        };
        let view = reader.refresh(None, known)?;
        // A code or password that was replaced meanwhile opens the past, and nothing else (K13).
        self.check_agreed(&view.roster).map_err(|_| Error::WrongSecret)?;
        Ok((roots, view))
    }

    fn open_one(&self, gate: &Gate, id: [u8; 16]) -> Result<(EpochRoots, Roster)> {
        let place = Place::Envelope { locator: self.locator, id };
        let bytes = gate.get(place)?.ok_or(Error::Missing { what: crate::Part::Envelope })?;
        let envelope = Envelope::open(&self.hybrid, self.locator, id, bytes)?;
        let reference = envelope.roster().clone();
        let missing = Error::Missing { what: crate::Part::Roster };
        let bytes = gate.get(Place::Object(reference.id()))?.ok_or(missing)?;
        let roster = Roster::open(envelope.account(), envelope.unverified_roots(), &reference, bytes)?;
        self.check_agreed(&roster)?;
        Ok((envelope.verify(&roster)?, roster))
    }

    /// The roster names this very secret, and its holder once agreed to that account (K1).
    fn check_agreed(&self, roster: &Roster) -> Result<()> {
        let state = roster.state();
        let recipient = match self.signer {
            SignerId::Password => state.password(),
            _ => state.recovery(),
        };
        let named = recipient.is_some_and(|recipient| {
            recipient.public_key().as_bytes() == self.hybrid.public().as_bytes()
                && recipient
                    .signing_key()
                    .is_some_and(|key| key.as_bytes() == self.signing.verifying_key().as_bytes())
        });
        if named { Ok(()) } else { Err(Error::damaged(crate::Part::Roster)) }
    }
}

/// Holds the store to what the commit of a head code says.
fn pins_of(code: &HeadCode, reader: &Reader<'_>, roster: &Roster) -> Result<Pins> {
    if code.account != reader.account {
        return Err(Error::InvalidArgument("this head code is of another account"));
    }
    let (device, sequence) = (code.device.label(), code.anchor.sequence);
    let withheld = || Error::Rollback { device, sequence };
    let maker = roster.state().device(code.device).ok_or_else(withheld)?;
    let commit = reader.commit(maker, roster, sequence)?.ok_or_else(withheld)?;
    if commit.head() != head(code.anchor) {
        return Err(Error::Fork { device, sequence, proof: None });
    }
    Ok(anchored_pins(&commit, roster, reader.now_ms))
}

/// Both envelopes' roots and roster entries; envelopes of one secret are of one account.
fn unite(
    all: Option<(EpochRoots, Roster)>,
    (roots, roster): (EpochRoots, Roster),
) -> Result<(EpochRoots, Roster)> {
    let Some((mut all_roots, mut all_entries)) = all else { return Ok((roots, roster)) };
    all_entries.unite(&roster)?;
    for root in roots.iter() {
        all_roots.add(root.duplicate());
    }
    Ok((all_roots, all_entries))
}

/// A roster as a new device keeps it; nothing in it is news to its owner, who is there.
pub(super) fn unseen(roster: &Roster) -> KnownRoster {
    let told = roster.entries().map(|(hash, ..)| hash).collect();
    KnownRoster { roster: roster.clone(), objects: Gathered::default(), told }
}

fn genesis(
    fresh: &FreshDevice,
    code: &RecoveryCode,
    root_id: RootId,
    now_ms: i64,
    random: &mut dyn Random,
) -> Result<Roster> {
    let signing = code.signing_key();
    let recovery =
        Recipient::recovery(code.hybrid_key().public().clone(), code.locator(), signing.verifying_key());
    let genesis = Change::Genesis {
        salt: random.bytes()?,
        device: fresh.member.clone(),
        recovery,
        format_version: FORMAT_VERSION,
        root_id,
    };
    Roster::begin(&genesis, &fresh.signing, &signing, now_ms)
}

pub(super) fn empty_home(state: &StateLocation) -> Result<Home> {
    let home = Home::open(state)?;
    if home.is_ready()? {
        return Err(Error::VaultExists);
    }
    home.forget_unfinished()?;
    Ok(home)
}

fn holds_vault(gate: &Gate) -> Result<bool> {
    let mut found = false;
    gate.list("commits/", &mut |_| found = true)?;
    Ok(found)
}

fn nothing_opens(gate: &Gate) -> Error {
    match holds_vault(gate) {
        Ok(true) => Error::WrongSecret,
        Ok(false) => Error::NoVault,
        Err(error) => error,
    }
}
