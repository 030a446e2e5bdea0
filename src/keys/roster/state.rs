//! What a set of entries adds up to.

use std::collections::BTreeSet;

use super::{
    entry::{Change, Member, SignerId},
    graph::{EntryHash, Node, Past},
};
use crate::{
    Error, Part, Result,
    crypto::{FORMAT_VERSION, VerifyingKey},
    keys::{DeviceId, EpochRoot, RootId, recipient::Recipient},
    limits::DEVICES_MAX,
};

/// A device as the roster knows it.
#[derive(Clone)]
pub struct Device {
    member: Member,
    added: EntryHash,
    state: DeviceState,
}

/// Whether a device may still speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceState {
    /// It reads and writes.
    Active,
    /// Commits after this one are refused (D6).
    Revoked {
        /// Its last accepted commit.
        last_sequence: u64,
        /// That commit's hash.
        last_hash: [u8; 32],
    },
}

impl Device {
    fn new(member: &Member, added: EntryHash) -> Self {
        Self { member: member.clone(), added, state: DeviceState::Active }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        self.member.id
    }

    /// Checks its commits.
    #[must_use]
    pub fn signing_key(&self) -> &VerifyingKey {
        &self.member.signing_key
    }

    /// Where epoch roots are sealed for it.
    #[must_use]
    pub fn recipient(&self) -> &Recipient {
        &self.member.recipient
    }

    /// As its owner calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.member.name
    }

    /// Whether it may still speak.
    #[must_use]
    pub fn state(&self) -> DeviceState {
        self.state
    }

    /// Whether it still speaks.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state == DeviceState::Active
    }

    /// Of two revocations at once the one that believes less counts.
    fn cut(&mut self, sequence: u64, hash: [u8; 32]) {
        let earlier = match self.state {
            DeviceState::Active => true,
            DeviceState::Revoked { last_sequence, last_hash } => {
                (sequence, hash) < (last_sequence, last_hash)
            }
        };
        if earlier {
            self.state = DeviceState::Revoked { last_sequence: sequence, last_hash: hash };
        }
    }
}

/// A code's or password's recipient, and the entry that set it.
#[derive(Clone)]
struct Holder {
    recipient: Recipient,
    set: EntryHash,
}

/// What a set of entries says together.
#[derive(Clone)]
pub struct RosterState {
    devices: Vec<Device>,
    recovery: Option<Holder>,
    password: Option<Holder>,
    /// Every root that was announced, with whether it may be written under.
    epochs: Vec<(u32, RootId, bool)>,
    rotation_due: bool,
    format_version: u32,
}

impl RosterState {
    /// Every device there ever was.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// A device by id.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.iter().find(|device| device.id() == id)
    }

    /// The recovery code's recipient; none when whoever replaced it was cut off meanwhile, and not beyond doubt.
    #[must_use]
    pub fn recovery(&self) -> Option<&Recipient> {
        self.recovery.as_ref().map(|holder| &holder.recipient)
    }

    /// The password's recipient, if one is set.
    #[must_use]
    pub fn password(&self) -> Option<&Recipient> {
        self.password.as_ref().map(|holder| &holder.recipient)
    }

    /// The current epoch and its root: what is written is sealed under it. Of several with one number the
    /// one with the highest id (D10).
    #[must_use]
    pub fn epoch(&self) -> (u32, RootId) {
        let written = self.epochs.iter().filter(|(_, _, counts)| *counts);
        written.map(|(epoch, id, _)| (*epoch, *id)).max().unwrap_or_default()
    }

    /// Whether a device or secret was cut off by an entry that the current epoch does not stand on: before
    /// anything is written, a new epoch has to begin.
    #[must_use]
    pub fn is_rotation_due(&self) -> bool {
        self.rotation_due
    }

    /// Whether an entry announces this root. Only such roots are believed (D1, D6).
    #[must_use]
    pub fn announces(&self, root: &EpochRoot) -> bool {
        self.epochs.iter().any(|(epoch, id, _)| (*epoch, *id) == (root.epoch(), root.id()))
    }

    /// The number that a new epoch has.
    #[must_use]
    pub fn next_epoch(&self) -> Option<u32> {
        self.epochs.iter().map(|(epoch, ..)| *epoch).max()?.checked_add(1)
    }

    /// The lowest format version that may still be written or read.
    #[must_use]
    pub fn format_version(&self) -> u32 {
        self.format_version
    }

    /// Everybody that an epoch root has to be sealed to, and nobody else (K12).
    pub fn recipients(&self) -> impl Iterator<Item = &Recipient> {
        let devices = self.devices.iter().filter(|device| device.is_active()).map(Device::recipient);
        devices.chain(self.recovery()).chain(self.password())
    }

    /// The entry that added a device.
    pub(super) fn added(&self, id: DeviceId) -> Option<EntryHash> {
        self.device(id).map(|device| device.added)
    }

    /// The key that checks a signer's entries, and the entry that let it in, if it may sign now.
    pub(super) fn standing(&self, signer: SignerId) -> Option<(&VerifyingKey, EntryHash)> {
        let holder = match signer {
            SignerId::Device(id) => {
                let device = self.device(id).filter(|device| device.is_active())?;
                return Some((device.signing_key(), device.added));
            }
            SignerId::Recovery => self.recovery.as_ref()?,
            SignerId::Password => self.password.as_ref()?,
        };
        Some((holder.recipient.signing_key()?, holder.set))
    }
}

/// What the entries in `within` (all, if `None`) say together.
pub(super) fn evaluate(nodes: &[Node], within: Option<&Past>) -> Result<RosterState> {
    let damaged = || Error::damaged(Part::Roster);
    let inside = |place: &usize| within.is_none_or(|past| past.contains(*place));
    let places: Vec<(usize, &Node)> = nodes.iter().enumerate().filter(|(place, _)| inside(place)).collect();
    let cuts = cuts(&places);
    let ((_, genesis), rest) = places.split_first().ok_or_else(damaged)?;
    let Change::Genesis { device, recovery, format_version, root_id, .. } = genesis.change.as_ref() else {
        return Err(damaged());
    };
    check_format(*format_version)?;
    let mut state = RosterState {
        devices: vec![Device::new(device, genesis.hash)],
        recovery: None,
        password: None,
        epochs: vec![(0, *root_id, true)],
        rotation_due: false,
        format_version: *format_version,
    };
    let mut written = Written {
        let_in: BTreeSet::from([genesis.hash]),
        recoveries: vec![(0, recovery)],
        passwords: Vec::new(),
        epochs: vec![0],
    };
    for (place, node) in rest {
        let counts = written.let_in.contains(&node.standing) && !is_void(*place, node, &cuts);
        state.apply(*place, node, counts, &mut written)?;
    }
    let replaced = |place: usize, signer| {
        cuts.iter().any(|(_, cut)| cut.change.cuts(signer) && cut.past.contains(place))
    };
    let newest = |granted: &[(usize, &Recipient)], signer| {
        let (place, recipient) = granted.iter().rev().find(|(place, _)| !replaced(*place, signer))?;
        Some(Holder { recipient: (*recipient).clone(), set: nodes.get(*place)?.hash })
    };
    state.recovery = newest(&written.recoveries, SignerId::Recovery);
    state.password = newest(&written.passwords, SignerId::Password);
    let current = state.epoch();
    let begun = state.epochs.iter().position(|(epoch, id, counts)| (*epoch, *id) == current && *counts);
    let begun = begun.and_then(|index| written.epochs.get(index)).and_then(|place| nodes.get(*place));
    let begun = begun.ok_or_else(damaged)?;
    state.rotation_due = cuts.iter().any(|(place, _)| !begun.past.contains(*place));
    Ok(state)
}

/// The grants that count, and where those stand that later cuts may replace.
struct Written<'a> {
    /// The entries by which somebody was let in who may let in others: what counts stands on one of them.
    let_in: BTreeSet<EntryHash>,
    recoveries: Vec<(usize, &'a Recipient)>,
    passwords: Vec<(usize, &'a Recipient)>,
    epochs: Vec<usize>,
}

/// The cuts that hold. A revocation always does. Who was cut off, and whoever came in through him meanwhile,
/// takes no code or password from its owner; but only a cut that is itself beyond doubt says so, or whoever
/// was cut off could undo that by cutting off in turn.
fn cuts<'a>(places: &[(usize, &'a Node)]) -> Vec<(usize, &'a Node)> {
    let mut cuts: Vec<_> = places.iter().copied().filter(|(_, node)| node.change.is_cut()).collect();
    let doubtful = shut_out(places, &cuts);
    let sure: Vec<_> = cuts.iter().copied().filter(|(_, node)| !doubtful.contains(&node.hash)).collect();
    let tainted = shut_out(places, &sure);
    let is_revocation = |node: &Node| matches!(node.change.as_ref(), Change::RevokeDevice { .. });
    cuts.retain(|(_, node)| is_revocation(node) || !tainted.contains(&node.hash));
    cuts
}

/// What those wrote whom `cuts` shut out, and whoever came in through what they wrote.
fn shut_out(places: &[(usize, &Node)], cuts: &[(usize, &Node)]) -> BTreeSet<EntryHash> {
    let mut all = BTreeSet::new();
    for (place, node) in places {
        if all.contains(&node.standing) || is_void(*place, node, cuts) {
            all.insert(node.hash);
        }
    }
    all
}

/// Whether the signer was cut off by somebody who did not know of this entry. A code or password that was
/// replaced later is no reason to doubt what its holder did before, known or not, if he knew of the change.
fn is_void(place: usize, node: &Node, cuts: &[(usize, &Node)]) -> bool {
    cuts.iter().any(|(cut_place, cut)| {
        cut.cuts_off(node)
            && *cut_place != place
            && !cut.past.contains(place)
            && !node.past.contains(*cut_place)
    })
}

impl Node {
    /// Whether it takes the right to sign from who signed `other`. A device is the one that was known by an
    /// entry: another under the same id is not cut off with it.
    fn cuts_off(&self, other: &Self) -> bool {
        self.change.cuts(other.signer) && self.target.is_none_or(|target| target == other.standing)
    }
}

impl RosterState {
    /// A cut applies always, a grant only if it `counts`.
    fn apply<'a>(
        &mut self,
        place: usize,
        node: &'a Node,
        counts: bool,
        written: &mut Written<'a>,
    ) -> Result<()> {
        match node.change.as_ref() {
            Change::Genesis { .. } => return Err(Error::damaged(Part::Roster)),
            // Those for whom there was room until others were added at once are not let in.
            Change::AddDevice(member)
                if counts && self.device(member.id).is_none() && self.devices.len() < DEVICES_MAX =>
            {
                self.devices.push(Device::new(member, node.hash));
                written.let_in.insert(node.hash);
            }
            Change::RevokeDevice { device, last_sequence, last_hash } => {
                let is_meant =
                    |known: &&mut Device| known.id() == *device && node.target == Some(known.added);
                if let Some(known) = self.devices.iter_mut().find(is_meant) {
                    known.cut(*last_sequence, *last_hash);
                }
            }
            Change::SetRecovery(recipient) if counts => {
                written.recoveries.push((place, recipient));
                written.let_in.insert(node.hash);
            }
            Change::SetPassword(recipient) if counts => {
                written.passwords.push((place, recipient));
                written.let_in.insert(node.hash);
            }
            Change::BeginEpoch(epoch, root_id) => {
                self.epochs.push((*epoch, *root_id, counts));
                written.epochs.push(place);
            }
            Change::RequireFormat(version) => {
                check_format(*version)?;
                self.format_version = self.format_version.max(*version);
            }
            _ => {}
        }
        Ok(())
    }
}

pub(super) fn check_format(version: u32) -> Result<()> {
    match version {
        0 => Err(Error::damaged(Part::Roster)),
        version if version > FORMAT_VERSION => {
            Err(Error::NewerFormat { needed: version, supported: FORMAT_VERSION })
        }
        _ => Ok(()),
    }
}
