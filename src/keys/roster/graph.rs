//! The graph of entries, and how one is written, united with another, sealed and opened.

use std::{collections::BTreeMap, sync::Arc};

use prost::Message as _;

use super::{
    entry::{Change, SignerId},
    state::{RosterState, evaluate},
    verify,
};
use crate::{
    Error, Part, Result,
    crypto::{
        Context, Label, ObjectType, Place, Random, Sealed, Signature, SigningKey, labelled_hash,
        open_message, seal_message,
    },
    keys::{AccountId, EpochRoot, EpochRoots, ObjectRef},
    limits::{OBJECT_BYTES_MAX, ROSTER_ENTRIES_MAX},
    wire::{decode_strict, messages},
};

/// The hash that names an entry.
pub(super) type EntryHash = [u8; 32];

/// A set of places in the order of a roster's entries.
#[derive(Clone, Default)]
pub(super) struct Past(Vec<u64>);

impl Past {
    pub(super) fn contains(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    fn insert(&mut self, place: usize) {
        let word = place / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (place % 64);
        }
    }

    fn unite(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }
}

/// An entry in its place.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) signed: Arc<messages::SignedRosterEntry>,
    pub(super) hash: EntryHash,
    pub(super) depth: u32,
    pub(super) parents: Vec<EntryHash>,
    pub(super) signer: SignerId,
    /// The entry that let its signer in, as the signer knew it; zeros at genesis.
    pub(super) standing: EntryHash,
    /// The entry that let in the device which it revokes, as the signer knew it.
    pub(super) target: Option<EntryHash>,
    pub(super) change: Arc<Change>,
    /// Every entry that its signer knew.
    pub(super) past: Past,
}

/// A verified roster.
#[derive(Clone)]
pub struct Roster {
    account: AccountId,
    /// Ascending by depth and hash, so that parents come first and one set has one order.
    nodes: Vec<Node>,
    state: RosterState,
}

/// A member with its signing key, about to sign an entry.
pub struct Signer<'a> {
    /// Who it is.
    pub id: SignerId,
    /// Its key.
    pub key: &'a SigningKey,
}

impl Roster {
    /// Begins an account: the first device signs, and the recovery code's holder agrees.
    ///
    /// # Errors
    /// [`Error::Internal`] when `genesis` is not one or lacks the agreement.
    pub fn begin(
        genesis: &Change,
        device: &SigningKey,
        recovery: &SigningKey,
        device_time_ms: i64,
    ) -> Result<Self> {
        let Change::Genesis { device: member, recovery: recipient, .. } = genesis else {
            return Err(Error::Internal("a roster begins with a genesis"));
        };
        let account = genesis.account();
        let entry = messages::RosterEntry {
            account: account.0.to_vec(),
            parents: Vec::new(),
            signer: SignerId::Device(member.id).to_wire(),
            device_time_ms,
            change: Some(genesis.to_wire()),
            acceptance: recipient.accept(account, recovery).as_bytes().to_vec(),
        };
        Self::verify(account, vec![sign_entry(&entry, device)])
    }

    /// Appends an entry on top of all others. `acceptance` is the agreement of a recipient that the change
    /// names.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the signer may not do this.
    pub fn append(
        &mut self,
        signer: &Signer<'_>,
        change: &Change,
        acceptance: Option<&Signature>,
        device_time_ms: i64,
    ) -> Result<()> {
        let entry = messages::RosterEntry {
            account: self.account.0.to_vec(),
            parents: self.newest().map(|hash| hash.to_vec()).collect(),
            signer: signer.id.to_wire(),
            device_time_ms,
            change: Some(change.to_wire()),
            acceptance: acceptance.map_or_else(Vec::new, |signature| signature.as_bytes().to_vec()),
        };
        let mut nodes = self.nodes.clone();
        verify::accept(self.account, &mut nodes, sign_entry(&entry, signer.key))?;
        *self = Self::of(self.account, nodes)?;
        Ok(())
    }

    /// The entries that no other was written on top of, ascending.
    fn newest(&self) -> impl Iterator<Item = EntryHash> {
        let is_known = |place: usize| self.nodes.iter().any(|node| node.past.contains(place));
        let mut newest: Vec<_> = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(place, _)| !is_known(*place))
            .map(|(_, n)| n.hash)
            .collect();
        newest.sort_unstable();
        newest.into_iter()
    }

    /// Takes over every entry of `other`; says whether there was a new one.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is another account's, or both together are too many.
    pub fn unite(&mut self, other: &Self) -> Result<bool> {
        if self.account != other.account {
            return Err(Error::damaged(Part::Roster));
        }
        if self.includes(other) {
            return Ok(false);
        }
        let both = self.nodes.iter().chain(&other.nodes);
        let nodes: BTreeMap<_, _> = both.map(|node| ((node.depth, node.hash), node.clone())).collect();
        *self = Self::of(self.account, place_in_order(nodes.into_values().collect()))?;
        Ok(true)
    }

    /// Whether it has every entry of `other`.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self.account == other.account && other.nodes.iter().all(|node| self.place(node).is_ok())
    }

    fn place(&self, node: &Node) -> std::result::Result<usize, usize> {
        self.nodes.binary_search_by(|known| (known.depth, known.hash).cmp(&(node.depth, node.hash)))
    }

    fn of(account: AccountId, nodes: Vec<Node>) -> Result<Self> {
        if nodes.len() > ROSTER_ENTRIES_MAX {
            return Err(Error::damaged(Part::Roster));
        }
        let state = evaluate(&nodes, None)?;
        Ok(Self { account, nodes, state })
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Who belongs to it.
    #[must_use]
    pub fn state(&self) -> &RosterState {
        &self.state
    }

    /// How many entries it has.
    #[must_use]
    pub fn length(&self) -> usize {
        self.nodes.len()
    }

    /// Its entries with their hashes and signers, parents first.
    pub fn entries(&self) -> impl Iterator<Item = ([u8; 32], SignerId, &Change)> {
        self.nodes.iter().map(|node| (node.hash, node.signer, node.change.as_ref()))
    }

    /// The entries as bytes, for [`Self::parse`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let entries = self.nodes.iter().map(|node| node.signed.as_ref().clone()).collect();
        messages::Roster { entries }.encode_to_vec()
    }

    /// Seals it under an epoch root.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn seal(&self, root: &EpochRoot, random: &mut dyn Random) -> Result<(ObjectRef, Sealed)> {
        let bytes = self.encode();
        let context = context(self.account, root.epoch(), random.bytes()?);
        let sealed = seal_message(&root.roster_key(self.account), context, &bytes, random)?;
        Ok((ObjectRef::of(&sealed)?, sealed))
    }

    /// Opens and verifies what `reference` names.
    ///
    /// # Errors
    /// [`Error::Damaged`] for whatever reason.
    pub fn open(
        account: AccountId,
        roots: &EpochRoots,
        reference: &ObjectRef,
        bytes: Vec<u8>,
    ) -> Result<Self> {
        if !reference.matches(&bytes) {
            return Err(Error::damaged(Part::Roster));
        }
        let context = context(account, reference.epoch(), reference.id());
        let keys = roots.of(reference.epoch()).map(|root| root.roster_key(account));
        let plain = crate::keys::open_with_any(keys, bytes, |key, bytes| open_message(key, &context, bytes))
            .map_err(Error::while_opening(Part::Roster))?;
        Self::parse(account, &plain)
    }

    /// Verifies an authenticated roster, entry by entry.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::NewerFormat`].
    pub fn parse(account: AccountId, plain: &[u8]) -> Result<Self> {
        let wire: messages::Roster = decode_strict(plain, OBJECT_BYTES_MAX, Part::Roster)?;
        Self::verify(account, wire.entries)
    }

    fn verify(account: AccountId, entries: Vec<messages::SignedRosterEntry>) -> Result<Self> {
        if entries.len() > ROSTER_ENTRIES_MAX {
            return Err(Error::damaged(Part::Roster));
        }
        let mut nodes = Vec::with_capacity(entries.len());
        entries.into_iter().try_for_each(|entry| verify::accept(account, &mut nodes, entry))?;
        Self::of(account, nodes)
    }
}

/// Gives nodes that stand in order their pasts; each node's parents are among them.
fn place_in_order(mut nodes: Vec<Node>) -> Vec<Node> {
    let places: BTreeMap<EntryHash, usize> =
        nodes.iter().enumerate().map(|(place, node)| (node.hash, place)).collect();
    let mut done: Vec<Past> = Vec::with_capacity(nodes.len());
    for node in &mut nodes {
        let parents = node.parents.iter().filter_map(|hash| places.get(hash).copied());
        node.past = past_of(parents, |place| done.get(place));
        done.push(node.past.clone());
    }
    nodes
}

/// The parents and everything that they stand on.
pub(super) fn past_of<'a>(
    parents: impl Iterator<Item = usize>,
    past: impl Fn(usize) -> Option<&'a Past>,
) -> Past {
    let mut all = Past::default();
    for place in parents {
        all.insert(place);
        past(place).into_iter().for_each(|past| all.unite(past));
    }
    all
}

fn sign_entry(entry: &messages::RosterEntry, key: &SigningKey) -> messages::SignedRosterEntry {
    let entry = entry.encode_to_vec();
    let signature = key.sign(Label::SIGN_ROSTER, &entry).as_bytes().to_vec();
    messages::SignedRosterEntry { entry, signature }
}

pub(super) fn hash_entry(signed: &messages::SignedRosterEntry) -> EntryHash {
    labelled_hash(Label::HASH_ROSTER, &[&signed.entry])
}

fn context(account: AccountId, epoch: u32, id: [u8; 16]) -> Context {
    Context::new(account.0, epoch, ObjectType::Roster, "", Place::Object(id))
}
