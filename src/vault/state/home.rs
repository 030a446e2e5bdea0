//! The state folder: this device's keys, pins, consent, the commit about to be made; the ledger and the
//! database lie there too.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use prost::Message as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{super::view::Gathered, Database, Medium, StateLocation, state_file::StateFile};
use crate::{
    Error, Part, Result,
    crypto::{HybridSecretKey, Secret, SigningKey},
    history::{Head, Pin, Pins},
    keys::{AccountId, DeviceId, EpochRoots, Keyring, ObjectRef, Roster, wipe_keyring},
    privacy::{Consent, Ledger},
    wire::{decode_strict, messages},
};

/// What makes this device itself.
pub(crate) struct DeviceKeys {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) signing: SigningKey,
    pub(crate) hybrid: HybridSecretKey,
    pub(crate) roots: EpochRoots,
}

/// Every roster entry that was ever seen.
pub(crate) struct KnownRoster {
    pub(crate) roster: Roster,
    pub(crate) objects: Gathered,
    /// The entries that the owner was told of.
    pub(crate) told: BTreeSet<[u8; 32]>,
}

/// A commit that was signed and may or may not have reached the store.
pub(crate) struct Pending {
    pub(crate) sequence: u64,
    pub(crate) object: Vec<u8>,
}

/// An open state folder.
pub(crate) struct Home {
    medium: Arc<dyn Medium>,
    keys: StateFile,
    pins: StateFile,
    consent: StateFile,
    pending: StateFile,
    roster: StateFile,
    keyring: StateFile,
    ready: StateFile,
    /// The roster of these bytes was verified by this very process: jobs read it several times, and each
    /// signature in it costs more than the rest of a small backup.
    verified: Mutex<Option<(Vec<u8>, Roster)>>,
}

impl Home {
    /// Opens or makes the folder, readable for its owner only.
    pub(crate) fn open(location: &StateLocation) -> Result<Self> {
        let medium = location.open()?;
        let file = |name| StateFile::new(&medium, name);
        Ok(Self {
            keys: file("device"),
            pins: file("pins"),
            consent: file("consent"),
            pending: file("pending"),
            roster: file("roster"),
            keyring: file("keyring"),
            ready: file("ready"),
            verified: Mutex::default(),
            medium,
        })
    }

    pub(crate) fn ledger(&self) -> Result<Ledger> {
        Ledger::in_file(self.medium.ledger().map_err(Error::io("opening the ledger"))?)
    }

    pub(crate) fn database(&self) -> Result<Database> {
        Database::open(self.medium.as_ref())
    }

    /// Whether this device finished entering its vault.
    pub(crate) fn is_ready(&self) -> Result<bool> {
        Ok(self.ready.read_unless_torn_at_first()?.is_some())
    }

    /// The device is in: what the folder holds is a vault's from now on.
    pub(crate) fn set_ready(&self) -> Result<()> {
        self.ready.write(&[])
    }

    /// Forgets what a device left behind that was interrupted before it was ready.
    pub(crate) fn forget_unfinished(&self) -> Result<()> {
        [&self.keys, &self.pins, &self.pending, &self.roster, &self.keyring]
            .into_iter()
            .try_for_each(StateFile::remove)
    }

    /// This device's keys; `None` in a fresh folder.
    pub(crate) fn read_keys(&self) -> Result<Option<DeviceKeys>> {
        let Some(bytes) = self.keys.read()? else { return Ok(None) };
        let mut wire: messages::LocalDevice = decode_strict(&bytes, bytes.len(), Part::LocalState)?;
        let keys = keys_from_wire(&mut wire);
        wipe(&mut wire);
        keys.map(Some).ok_or(Error::damaged(Part::LocalState))
    }

    pub(crate) fn write_keys(&self, keys: &DeviceKeys) -> Result<()> {
        let mut wire = messages::LocalDevice {
            account: keys.account.0.to_vec(),
            device: keys.device.0.to_vec(),
            signing_seed: keys.signing.seed().expose().to_vec(),
            hybrid_seed: keys.hybrid.seed().expose().to_vec(),
            roots: keys.roots.to_wire(),
        };
        let bytes = Zeroizing::new(wire.encode_to_vec());
        wipe(&mut wire);
        self.keys.write(&bytes)
    }

    pub(crate) fn read_pins(&self) -> Result<Pins> {
        let Some(bytes) = self.pins.read()? else { return Ok(Pins::new()) };
        let wire: messages::LocalPins = decode_strict(&bytes, bytes.len(), Part::LocalState)?;
        let pins = wire.heads.iter().map(|pin| {
            let head = Head { sequence: pin.sequence, hash: pin.hash.as_slice().try_into().ok()? };
            Some((DeviceId::from_slice(&pin.device)?, Pin { head, heard_ms: pin.heard_ms }))
        });
        let pins = pins.collect::<Option<Vec<_>>>().ok_or(Error::damaged(Part::LocalState))?;
        Ok(Pins::from_pins(pins, wire.awaited))
    }

    pub(crate) fn write_pins(&self, pins: &Pins) -> Result<()> {
        let heads = pins.iter().map(|(device, pin)| messages::LocalHead {
            device: device.0.to_vec(),
            sequence: pin.head.sequence,
            hash: pin.head.hash.to_vec(),
            heard_ms: pin.heard_ms,
        });
        self.pins
            .write(&messages::LocalPins { heads: heads.collect(), awaited: pins.awaited() }.encode_to_vec())
    }

    /// As [`Self::write_pins`], sparing the disk when nothing moved.
    pub(crate) fn write_pins_if_new(&self, pins: &Pins) -> Result<()> {
        if self.read_pins()? == *pins { Ok(()) } else { self.write_pins(pins) }
    }

    pub(crate) fn read_consent(&self) -> Result<Consent> {
        // Off is the default, so consent that was never wholly written was never given.
        let Some(bytes) = self.consent.read_unless_torn_at_first()? else { return Ok(Consent::none()) };
        let wire: messages::LocalConsent = decode_strict(&bytes, bytes.len(), Part::LocalState)?;
        Ok(Consent::from_names(wire.kinds))
    }

    pub(crate) fn write_consent(&self, consent: &Consent) -> Result<()> {
        let kinds = consent.names().map(str::to_owned).collect();
        self.consent.write(&messages::LocalConsent { kinds }.encode_to_vec())
    }

    pub(crate) fn read_pending(&self) -> Result<Option<Pending>> {
        // A commit is sent after it was wholly kept here, so one that was not was never sent.
        let Some(bytes) = self.pending.read_unless_torn_at_first()? else { return Ok(None) };
        let wire: messages::LocalPending = decode_strict(&bytes, bytes.len(), Part::LocalState)?;
        Ok(Some(Pending { sequence: wire.sequence, object: wire.object }))
    }

    pub(crate) fn write_pending(&self, pending: &Pending) -> Result<()> {
        let wire = messages::LocalPending { sequence: pending.sequence, object: pending.object.clone() };
        self.pending.write(&wire.encode_to_vec())
    }

    /// Every roster entry that this device has verified.
    pub(crate) fn read_roster(&self, account: AccountId) -> Result<KnownRoster> {
        let damaged = || Error::damaged(Part::LocalState);
        let bytes = self.roster.read()?.ok_or_else(damaged)?;
        let wire: messages::LocalRoster = decode_strict(&bytes, bytes.len(), Part::LocalState)?;
        let told = wire.told.iter().map(|hash| hash.as_slice().try_into().ok()).collect::<Option<_>>();
        Ok(KnownRoster {
            roster: self.verified_roster(account, wire.roster)?,
            objects: gathered(&wire.objects, wire.whole.as_ref())?,
            told: told.ok_or_else(damaged)?,
        })
    }

    fn verified_roster(&self, account: AccountId, bytes: Vec<u8>) -> Result<Roster> {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        match verified.as_ref() {
            Some((known, roster)) if *known == bytes && roster.account() == account => Ok(roster.clone()),
            _ => {
                let roster = Roster::parse(account, &bytes)?;
                *verified = Some((bytes, roster.clone()));
                Ok(roster)
            }
        }
    }

    pub(crate) fn write_roster(&self, known: &KnownRoster) -> Result<()> {
        let wire = messages::LocalRoster {
            roster: known.roster.encode(),
            objects: known.objects.objects.iter().map(|id| id.to_vec()).collect(),
            told: known.told.iter().map(|hash| hash.to_vec()).collect(),
            whole: known.objects.whole.as_ref().map(ObjectRef::to_wire),
        };
        self.roster.write(&wire.encode_to_vec())
    }

    /// Every key of every kind that this device was given; `None` before it has seen any.
    pub(crate) fn read_keyring(&self, account: AccountId) -> Result<Option<(Keyring, Gathered)>> {
        let damaged = || Error::damaged(Part::LocalState);
        let Some(bytes) = self.keyring.read()? else { return Ok(None) };
        let mut wire: messages::LocalKeyring = decode_strict(&bytes, bytes.len(), Part::LocalState)?;
        let gathered = gathered(&wire.objects, wire.whole.as_ref())?;
        let keyring = wire.keyring.as_mut().and_then(|wire| Keyring::take_wire(wire, account));
        Ok(Some((keyring.ok_or_else(damaged)?, gathered)))
    }

    pub(crate) fn write_keyring(&self, keyring: &Keyring, gathered: &Gathered) -> Result<()> {
        let mut wire = messages::LocalKeyring {
            keyring: Some(keyring.to_wire()),
            objects: gathered.objects.iter().map(|id| id.to_vec()).collect(),
            whole: gathered.whole.as_ref().map(ObjectRef::to_wire),
        };
        let bytes = Zeroizing::new(wire.encode_to_vec());
        wire.keyring.iter_mut().for_each(wipe_keyring);
        self.keyring.write(&bytes)
    }

    pub(crate) fn clear_pending(&self) -> Result<()> {
        self.pending.remove()
    }
}

fn gathered(objects: &[Vec<u8>], whole: Option<&messages::ObjectRef>) -> Result<Gathered> {
    let objects = objects.iter().map(|id| id.as_slice().try_into().ok()).collect::<Option<_>>();
    Ok(Gathered {
        objects: objects.ok_or(Error::damaged(Part::LocalState))?,
        whole: whole.map(|wire| ObjectRef::from_wire(wire, Part::LocalState)).transpose()?,
    })
}

fn keys_from_wire(wire: &mut messages::LocalDevice) -> Option<DeviceKeys> {
    let messages::LocalDevice { account, device, signing_seed, hybrid_seed, roots } = wire;
    Some(DeviceKeys {
        roots: EpochRoots::from_wire(roots)?,
        account: AccountId::from_slice(account)?,
        device: DeviceId::from_slice(device)?,
        signing: SigningKey::from_seed(Secret::from_slice(signing_seed)?),
        hybrid: HybridSecretKey::from_seed(Secret::from_slice(hybrid_seed)?),
    })
}

fn wipe(wire: &mut messages::LocalDevice) {
    wire.signing_seed.zeroize();
    wire.hybrid_seed.zeroize();
    wire.roots.iter_mut().for_each(|secret| secret.root.zeroize());
}
