//! The state folder: this device's keys, pins, consent, the commit about to be made; the ledger and the
//! database lie there too.

use std::sync::{Arc, Mutex, PoisonError};

use prost::Message as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Database, Medium, StateLocation, state_file::StateFile};
use crate::{
    Error, Part, Result,
    crypto::{HybridSecretKey, Secret, SigningKey},
    history::{Head, Pins},
    keys::{AccountId, DeviceId, EpochRoot, Roster},
    limits::EPOCHS_MAX,
    privacy::{Consent, Ledger},
    wire::{decode_strict, messages},
};

/// What makes this device itself.
pub(crate) struct DeviceKeys {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) signing: SigningKey,
    pub(crate) hybrid: HybridSecretKey,
    pub(crate) roots: Vec<EpochRoot>,
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
    ready: StateFile,
    /// The roster of these bytes was verified by this very process: jobs read it several times, and each
    /// signature in it costs more than the rest of a small backup.
    verified: Mutex<Option<(Zeroizing<Vec<u8>>, Roster)>>,
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
            ready: file("ready"),
            verified: Mutex::default(),
            medium,
        })
    }

    pub(crate) fn ledger(&self) -> Result<Ledger> {
        Ledger::in_file(self.medium.ledger().map_err(Error::io("ledger"))?)
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
        [&self.keys, &self.pins, &self.pending, &self.roster].into_iter().try_for_each(StateFile::remove)
    }

    /// This device's keys; `None` in a fresh folder.
    pub(crate) fn read_keys(&self) -> Result<Option<DeviceKeys>> {
        let Some(bytes) = self.keys.read()? else { return Ok(None) };
        let mut wire: messages::LocalDevice = decode_strict(&bytes, bytes.len(), Part::LocalState)?;
        let keys = keys_from_wire(&wire);
        wipe(&mut wire);
        keys.map(Some).ok_or(Error::damaged(Part::LocalState))
    }

    pub(crate) fn write_keys(&self, keys: &DeviceKeys) -> Result<()> {
        let mut wire = messages::LocalDevice {
            account: keys.account.0.to_vec(),
            device: keys.device.0.to_vec(),
            signing_seed: keys.signing.seed().expose().to_vec(),
            hybrid_seed: keys.hybrid.seed().expose().to_vec(),
            roots: keys.roots.iter().map(|root| root.root().expose().to_vec()).collect(),
        };
        let bytes = Zeroizing::new(wire.encode_to_vec());
        wipe(&mut wire);
        self.keys.write(&bytes)
    }

    pub(crate) fn read_pins(&self) -> Result<Pins> {
        let Some(bytes) = self.pins.read()? else { return Ok(Pins::new()) };
        let wire: messages::LocalPins = decode_strict(&bytes, bytes.len(), Part::LocalState)?;
        let heads = wire.heads.iter().map(|head| {
            let hash = head.hash.as_slice().try_into().ok()?;
            Some((DeviceId::from_slice(&head.device)?, Head { sequence: head.sequence, hash }))
        });
        let heads = heads.collect::<Option<Vec<_>>>().ok_or(Error::damaged(Part::LocalState))?;
        Ok(Pins::from_heads(heads, wire.anchored))
    }

    pub(crate) fn write_pins(&self, pins: &Pins) -> Result<()> {
        let heads = pins.heads().map(|(device, head)| messages::SeenHead {
            device: device.0.to_vec(),
            sequence: head.sequence,
            hash: head.hash.to_vec(),
        });
        self.pins.write(
            &messages::LocalPins { heads: heads.collect(), anchored: pins.is_anchored() }.encode_to_vec(),
        )
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

    /// The longest roster this device has verified.
    pub(crate) fn read_roster(&self, account: AccountId) -> Result<Roster> {
        let bytes = self.roster.read()?.ok_or(Error::damaged(Part::LocalState))?;
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

    pub(crate) fn write_roster(&self, roster: &Roster) -> Result<()> {
        self.roster.write(&roster.encode())
    }

    /// As [`Self::write_roster`], sparing the disk when it is the one already there.
    pub(crate) fn write_roster_if_new(&self, roster: &Roster) -> Result<()> {
        let known = self.read_roster(roster.account())?;
        if roster.length() > known.length() { self.write_roster(roster) } else { Ok(()) }
    }

    pub(crate) fn clear_pending(&self) -> Result<()> {
        self.pending.remove()
    }
}

fn keys_from_wire(wire: &messages::LocalDevice) -> Option<DeviceKeys> {
    let messages::LocalDevice { account, device, signing_seed, hybrid_seed, roots } = wire;
    if roots.is_empty() || roots.len() > EPOCHS_MAX {
        return None;
    }
    let roots = (0..)
        .zip(roots)
        .map(|(epoch, root)| Some(EpochRoot::new(epoch, Secret::from_slice(root)?)))
        .collect::<Option<_>>()?;
    Some(DeviceKeys {
        account: AccountId::from_slice(account)?,
        device: DeviceId::from_slice(device)?,
        signing: SigningKey::from_seed(Secret::from_slice(signing_seed)?),
        hybrid: HybridSecretKey::from_seed(Secret::from_slice(hybrid_seed)?),
        roots,
    })
}

fn wipe(wire: &mut messages::LocalDevice) {
    wire.signing_seed.zeroize();
    wire.hybrid_seed.zeroize();
    wire.roots.iter_mut().for_each(|root| root.zeroize());
}
