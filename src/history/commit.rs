//! A commit: what one device says is true, signed by it and sealed under the epoch (FORMAT F-40).
//!
//! It is created under the device's own name and next number, never overwritten. Nothing in the store
//! counts unless a verified commit leads to it (I6).

use std::collections::BTreeMap;

use prost::Message as _;

use crate::{
    Error, Part, Result,
    crypto::{
        Context, FORMAT_VERSION, Label, ObjectType, Place, Random, Sealed, Signature, SigningKey,
        labelled_hash, open_message, seal_message,
    },
    keys::{AccountId, Device, DeviceId, DeviceState, EpochRoot, EpochRoots, ObjectRef, RosterState},
    limits::{DEVICES_MAX, KIND_BYTES_MAX, KINDS_MAX, OBJECT_BYTES_MAX},
    tree::Root,
    wire::{decode_strict, messages},
};

/// One kind's data at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindState {
    /// The kind's name.
    pub kind: String,
    /// Its tree; `None` when it holds nothing.
    pub root: Option<Root>,
    /// The newest index fragment, or several after a merge.
    pub index: Vec<ObjectRef>,
    /// The other devices' commits whose data of this kind is in it, by device.
    pub merged: Vec<(DeviceId, u64)>,
    /// The device's first commit from which on the data is as it is here: who has merged that one has it,
    /// and all that was merged since then added nothing to it. 0 before it is in a commit.
    pub since: u64,
}

impl KindState {
    /// A kind without data.
    #[must_use]
    pub fn empty(kind: &str) -> Self {
        Self { kind: kind.to_owned(), root: None, index: Vec::new(), merged: Vec::new(), since: 0 }
    }

    /// As it enters the commit with number `sequence`, the next after the one that holds `before`.
    #[must_use]
    pub fn following(mut self, before: Option<&Self>, sequence: u64) -> Self {
        let is_same = |before: &&Self| (before.root, &before.index) == (self.root, &self.index);
        self.since = before.filter(is_same).map_or(sequence, |before| before.since);
        self
    }
}

/// A device's commit, by number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// Its number, from 1.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// Everything a commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitBody {
    /// The device's commit before, if this is not its first.
    pub previous: Option<Head>,
    /// The roster as the device knows it.
    pub roster: ObjectRef,
    /// The keyring as the device knows it.
    pub keyring: ObjectRef,
    /// The keyring's version; it never goes down.
    pub keyring_version: u64,
    /// The kinds that hold or held data, by name.
    pub kinds: Vec<KindState>,
    /// The other devices' newest commits that this device had verified, by id.
    pub seen: Vec<(DeviceId, Head)>,
    /// Tells the device's own write from another's after a doubtful answer.
    pub nonce: [u8; 16],
    /// The device's clock; a hint for people, never for decisions (F9).
    pub device_time_ms: i64,
}

/// A commit whose seal, signature and form were verified. There is no other way to have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    account: AccountId,
    device: DeviceId,
    head: Head,
    epoch: u32,
    format_version: u32,
    body: CommitBody,
    signed: Vec<u8>,
}

impl Commit {
    /// Signs and seals the next commit of `device`.
    ///
    /// # Errors
    /// [`Error::Randomness`]; [`Error::Internal`] when the body has not its one valid form.
    pub fn seal(
        account: AccountId,
        (device, key): (DeviceId, &SigningKey),
        body: CommitBody,
        root: &EpochRoot,
        random: &mut dyn Random,
    ) -> Result<(Self, Sealed)> {
        let sequence = body.previous.map_or(0, |head| head.sequence) + 1;
        let wire = to_wire(account, device, sequence, root.epoch(), &body);
        let bytes = wire.encode_to_vec();
        let signature = key.sign(Label::SIGN_COMMIT, &bytes).as_bytes().to_vec();
        let head = Head { sequence, hash: hash(&bytes) };
        let checked = from_wire(&wire).ok_or(Error::Internal("a commit out of form"))?;
        let signed = messages::SignedCommit { commit: bytes, signature }.encode_to_vec();
        let context = context(account, root.epoch(), device, sequence);
        let sealed = seal_message(&root.commit_key(account), context, &signed, random)?;
        let (epoch, format_version) = (root.epoch(), FORMAT_VERSION);
        Ok((Self { account, device, head, epoch, format_version, body: checked, signed }, sealed))
    }

    /// Opens the commit with `sequence` of `device`, whatever epoch it was written in.
    ///
    /// # Errors
    /// [`Error::Damaged`] for whatever reason; [`Error::NewerFormat`].
    pub fn open(
        account: AccountId,
        device: &Device,
        roster: &RosterState,
        roots: &EpochRoots,
        sequence: u64,
        bytes: &[u8],
    ) -> Result<Self> {
        let damaged = || Error::damaged(Part::Commit);
        for root in roots.iter().rev() {
            let context = context(account, root.epoch(), device.id(), sequence);
            match open_message(&root.commit_key(account), &context, bytes.to_vec()) {
                Ok(plain) => {
                    let commit = Self::parse(account, device, root.epoch(), sequence, &plain)?;
                    commit.check_standing(device, roster)?;
                    return Ok(commit);
                }
                Err(newer @ Error::NewerFormat { .. }) => return Err(newer),
                Err(_) => {}
            }
        }
        Err(damaged())
    }

    /// Reads an authenticated commit and checks its signature.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::NewerFormat`].
    pub fn parse(
        account: AccountId,
        device: &Device,
        epoch: u32,
        sequence: u64,
        plain: &[u8],
    ) -> Result<Self> {
        let damaged = || Error::damaged(Part::Commit);
        let signed: messages::SignedCommit = decode_strict(plain, OBJECT_BYTES_MAX, Part::Commit)?;
        let signature = Signature::from_bytes(&signed.signature, Part::Commit)?;
        device.signing_key().verify(Label::SIGN_COMMIT, &signed.commit, &signature, Part::Commit)?;
        let wire: messages::Commit = decode_strict(&signed.commit, OBJECT_BYTES_MAX, Part::Commit)?;
        if wire.format_version > FORMAT_VERSION {
            return Err(Error::NewerFormat { needed: wire.format_version, supported: FORMAT_VERSION });
        }
        let in_place = wire.account == account.0
            && wire.device == device.id().0
            && wire.sequence == sequence
            && wire.epoch == epoch;
        let body = from_wire(&wire).filter(|_| in_place).ok_or_else(damaged)?;
        let head = Head { sequence, hash: hash(&signed.commit) };
        let (device, format_version, signed) = (device.id(), wire.format_version, plain.to_vec());
        Ok(Self { account, device, head, epoch, format_version, body, signed })
    }

    /// Reads a signed commit that was kept, wherever in its device's chain it stands.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::NewerFormat`].
    pub fn parse_kept(account: AccountId, device: &Device, plain: &[u8]) -> Result<Self> {
        let signed: messages::SignedCommit = decode_strict(plain, OBJECT_BYTES_MAX, Part::Commit)?;
        let wire: messages::Commit = decode_strict(&signed.commit, OBJECT_BYTES_MAX, Part::Commit)?;
        Self::parse(account, device, wire.epoch, wire.sequence, plain)
    }

    /// The device that a signed commit names, before anything is verified.
    pub(super) fn claimed_device(plain: &[u8]) -> Option<DeviceId> {
        let signed: messages::SignedCommit = decode_strict(plain, OBJECT_BYTES_MAX, Part::Commit).ok()?;
        let wire: messages::Commit = decode_strict(&signed.commit, OBJECT_BYTES_MAX, Part::Commit).ok()?;
        DeviceId::from_slice(&wire.device)
    }

    /// Seals a commit of this device's own once more, exactly as signed: for a store that lost it.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the epoch's root is not among `roots`; [`Error::Randomness`].
    pub fn seal_again(&self, roots: &EpochRoots, random: &mut dyn Random) -> Result<Sealed> {
        let root = roots.of(self.epoch).next().ok_or(Error::damaged(Part::Commit))?;
        let context = context(self.account, self.epoch, self.device, self.head.sequence);
        seal_message(&root.commit_key(self.account), context, &self.signed, random)
    }

    /// The commit with its signature, as bytes for [`Self::parse_kept`].
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// A commit that this device sealed before and kept, for sending it once more.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn again(
        account: AccountId,
        device: DeviceId,
        roots: &EpochRoots,
        sequence: u64,
        bytes: &[u8],
    ) -> Result<Sealed> {
        for root in roots.iter().rev() {
            let context = context(account, root.epoch(), device, sequence);
            if let Ok(sealed) = Sealed::again(&root.commit_key(account), context, bytes.to_vec()) {
                return Ok(sealed);
            }
        }
        Err(Error::damaged(Part::Commit))
    }

    /// A revoked device is believed up to the commit that its revocation names (D6).
    fn check_standing(&self, device: &Device, roster: &RosterState) -> Result<()> {
        let refused = match device.state() {
            DeviceState::Active => false,
            DeviceState::Revoked { last_sequence, last_hash } => {
                self.head.sequence > last_sequence
                    || (self.head.sequence == last_sequence && self.head.hash != last_hash)
            }
        };
        let too_old = self.format_version < roster.format_version();
        if refused || too_old { Err(Error::damaged(Part::Commit)) } else { Ok(()) }
    }

    /// The device that signed it.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Its number and hash.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// The epoch it was written in.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What it says.
    #[must_use]
    pub fn body(&self) -> &CommitBody {
        &self.body
    }

    /// How far the data of `kind` in this commit goes: for each device the newest of its commits whose data
    /// is in it, this commit itself included. Nobody has merged what he has not seen: of a claim to more,
    /// what was seen counts.
    #[must_use]
    pub fn merged(&self, kind: &str) -> BTreeMap<DeviceId, u64> {
        let merged = self.kind(kind).map(|state| state.merged.as_slice()).unwrap_or_default();
        let seen: BTreeMap<_, _> =
            self.body.seen.iter().map(|(device, head)| (*device, head.sequence)).collect();
        let reached = |(device, known): &(DeviceId, u64)| Some((*device, *known.min(seen.get(device)?)));
        merged.iter().filter_map(reached).chain([(self.device, self.head.sequence)]).collect()
    }

    /// Whether the data of `kind` in this commit is that of `other`, or has it in it.
    #[must_use]
    pub fn holds(&self, kind: &str, other: &Self) -> bool {
        let since = other.kind(kind).map_or(0, |state| state.since);
        self.merged(kind).get(&other.device).is_some_and(|known| *known >= since)
    }

    /// One kind's data, if it has any.
    #[must_use]
    pub fn kind(&self, kind: &str) -> Option<&KindState> {
        self.body.kinds.iter().find(|state| state.kind == kind)
    }
}

fn to_wire(
    account: AccountId,
    device: DeviceId,
    sequence: u64,
    epoch: u32,
    body: &CommitBody,
) -> messages::Commit {
    messages::Commit {
        format_version: FORMAT_VERSION,
        account: account.0.to_vec(),
        device: device.0.to_vec(),
        sequence,
        previous: body.previous.map_or_else(Vec::new, |head| head.hash.to_vec()),
        epoch,
        roster: Some(body.roster.to_wire()),
        keyring: Some(body.keyring.to_wire()),
        keyring_version: body.keyring_version,
        kinds: body.kinds.iter().map(kind_to_wire).collect(),
        seen: body
            .seen
            .iter()
            .map(|(device, head)| messages::SeenHead {
                device: device.0.to_vec(),
                sequence: head.sequence,
                hash: head.hash.to_vec(),
            })
            .collect(),
        nonce: body.nonce.to_vec(),
        device_time_ms: body.device_time_ms,
    }
}

fn kind_to_wire(state: &KindState) -> messages::KindState {
    messages::KindState {
        kind: state.kind.clone(),
        root: state.root.map(Root::to_wire),
        index: state.index.iter().map(ObjectRef::to_wire).collect(),
        merged: state
            .merged
            .iter()
            .map(|(device, sequence)| messages::MergedCommit {
                device: device.0.to_vec(),
                sequence: *sequence,
            })
            .collect(),
        since: state.since,
    }
}

/// Every field named; lists strictly ascending, so that one state has one form.
fn from_wire(wire: &messages::Commit) -> Option<CommitBody> {
    let messages::Commit {
        format_version,
        account: _,
        device: _,
        sequence,
        previous,
        epoch: _,
        roster,
        keyring,
        keyring_version,
        kinds,
        seen,
        nonce,
        device_time_ms,
    } = wire;
    if *format_version == 0 || kinds.len() > KINDS_MAX || seen.len() > DEVICES_MAX {
        return None;
    }
    let previous = match (*sequence, previous.as_slice()) {
        (0, _) | (1, [_, ..]) => return None,
        (1, []) => None,
        (sequence, hash) => Some(Head { sequence: sequence - 1, hash: hash.try_into().ok()? }),
    };
    let kinds = kinds.iter().map(|state| kind_from_wire(state, *sequence)).collect::<Option<Vec<_>>>()?;
    let seen = seen.iter().map(seen_from_wire).collect::<Option<Vec<_>>>()?;
    let ascending = kinds.windows(2).all(|pair| matches!(pair, [a, b] if a.kind < b.kind))
        && seen.windows(2).all(|pair| matches!(pair, [a, b] if a.0 < b.0));
    ascending.then_some(CommitBody {
        previous,
        roster: ObjectRef::from_wire(roster.as_ref()?, Part::Commit).ok()?,
        keyring: ObjectRef::from_wire(keyring.as_ref()?, Part::Commit).ok()?,
        keyring_version: *keyring_version,
        kinds,
        seen,
        nonce: nonce.as_slice().try_into().ok()?,
        device_time_ms: *device_time_ms,
    })
}

fn kind_from_wire(wire: &messages::KindState, sequence: u64) -> Option<KindState> {
    let messages::KindState { kind, root, index, merged, since } = wire;
    if kind.is_empty() || kind.len() > KIND_BYTES_MAX || index.len().max(merged.len()) > DEVICES_MAX {
        return None;
    }
    let root = match root {
        Some(root) => Some(Root::from_wire(root).ok()?),
        None => None,
    };
    let index =
        index.iter().map(|one| ObjectRef::from_wire(one, Part::Commit).ok()).collect::<Option<_>>()?;
    let merged = merged
        .iter()
        .map(|one| Some((DeviceId::from_slice(&one.device)?, one.sequence)))
        .collect::<Option<Vec<_>>>()?;
    let holds = merged.is_sorted_by(|a, b| a.0 < b.0) && (1..=sequence).contains(since);
    holds.then_some(KindState { kind: kind.clone(), root, index, merged, since: *since })
}

fn seen_from_wire(wire: &messages::SeenHead) -> Option<(DeviceId, Head)> {
    let messages::SeenHead { device, sequence, hash } = wire;
    let head = Head { sequence: *sequence, hash: hash.as_slice().try_into().ok()? };
    (*sequence > 0).then_some((DeviceId::from_slice(device)?, head))
}

fn hash(commit: &[u8]) -> [u8; 32] {
    labelled_hash(Label::HASH_COMMIT, &[commit])
}

fn context(account: AccountId, epoch: u32, device: DeviceId, sequence: u64) -> Context {
    Context::new(account.0, epoch, ObjectType::Commit, "", Place::Commit { device: device.0, sequence })
}
