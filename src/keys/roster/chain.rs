//! The chain: entries hash-linked from genesis, each signed by a member of the state before it.

use prost::Message as _;

use super::{
    entry::{Change, SignerId},
    state::RosterState,
};
use crate::{
    Error, Part, Result,
    crypto::{
        Context, Label, ObjectType, Place, Random, Sealed, Signature, SigningKey, labelled_hash,
        open_message, seal_message,
    },
    keys::{AccountId, EpochRoot, ObjectRef},
    limits::{OBJECT_BYTES_MAX, ROSTER_ENTRIES_MAX},
    wire::{decode_strict, messages},
};

/// A verified roster.
#[derive(Clone)]
pub struct Roster {
    account: AccountId,
    entries: Vec<messages::SignedRosterEntry>,
    head: [u8; 32],
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
            index: 0,
            previous: Vec::new(),
            signer: SignerId::Device(member.id).to_wire(),
            device_time_ms,
            change: Some(genesis.to_wire()),
            acceptance: recipient.accept(account, recovery).as_bytes().to_vec(),
        };
        Self::verify(account, vec![sign_entry(&entry, device)])
    }

    /// Appends an entry. `acceptance` is the agreement of a recipient that the change names.
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
            index: u32::try_from(self.entries.len()).map_err(|_| Error::Internal("roster length"))?,
            previous: self.head.to_vec(),
            signer: signer.id.to_wire(),
            device_time_ms,
            change: Some(change.to_wire()),
            acceptance: acceptance.map_or_else(Vec::new, |signature| signature.as_bytes().to_vec()),
        };
        let signed = sign_entry(&entry, signer.key);
        let mut next = self.clone();
        next.accept(signed)?;
        *self = next;
        Ok(())
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
        self.entries.len()
    }

    /// Whether this roster is `other` or a continuation of it.
    #[must_use]
    pub fn continues(&self, other: &Self) -> bool {
        self.account == other.account && self.entries.starts_with(&other.entries)
    }

    /// The chain as bytes, for [`Self::parse`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        messages::Roster { entries: self.entries.clone() }.encode_to_vec()
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
    pub fn open(account: AccountId, root: &EpochRoot, reference: &ObjectRef, bytes: Vec<u8>) -> Result<Self> {
        if !reference.matches(&bytes) || reference.epoch() != root.epoch() {
            return Err(Error::damaged(Part::Roster));
        }
        let context = context(account, root.epoch(), reference.id());
        let plain = open_message(&root.roster_key(account), &context, bytes)
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
        let damaged = || Error::damaged(Part::Roster);
        if entries.len() > ROSTER_ENTRIES_MAX {
            return Err(damaged());
        }
        let mut entries = entries.into_iter();
        let genesis = entries.next().ok_or_else(damaged)?;
        let parsed = ParsedEntry::new(account, 0, &[], &genesis)?;
        let state = RosterState::begin(&parsed.change)?;
        if parsed.change.account() != account {
            return Err(damaged());
        }
        parsed.check_signature(&state, &genesis)?;
        let head = hash_entry(&genesis);
        let mut roster = Self { account, entries: vec![genesis], head, state };
        entries.try_for_each(|entry| roster.accept(entry))?;
        Ok(roster)
    }

    fn accept(&mut self, signed: messages::SignedRosterEntry) -> Result<()> {
        let parsed = ParsedEntry::new(self.account, self.entries.len(), &self.head, &signed)?;
        parsed.check_signature(&self.state, &signed)?;
        self.state.apply(parsed.signer, parsed.change)?;
        self.head = hash_entry(&signed);
        self.entries.push(signed);
        Ok(())
    }
}

/// An entry whose place in the chain was checked, but not yet its signature.
struct ParsedEntry {
    signer: SignerId,
    change: Change,
}

impl ParsedEntry {
    fn new(
        account: AccountId,
        position: usize,
        head: &[u8],
        signed: &messages::SignedRosterEntry,
    ) -> Result<Self> {
        let damaged = || Error::damaged(Part::Roster);
        let entry: messages::RosterEntry = decode_strict(&signed.entry, OBJECT_BYTES_MAX, Part::Roster)?;
        let messages::RosterEntry { account: of, index, previous, signer, change, acceptance, .. } = &entry;
        let in_place = *of == account.0 && usize::try_from(*index) == Ok(position) && previous == head;
        let change = Change::from_wire(change.as_ref().filter(|_| in_place).ok_or_else(damaged)?)?;
        match change.accepting() {
            Some(recipient) => recipient.verify_acceptance(account, acceptance)?,
            None if acceptance.is_empty() => {}
            None => return Err(damaged()),
        }
        Ok(Self { signer: SignerId::from_wire(signer)?, change })
    }

    fn check_signature(&self, state: &RosterState, signed: &messages::SignedRosterEntry) -> Result<()> {
        let damaged = || Error::damaged(Part::Roster);
        let key = state.signing_key(self.signer).ok_or_else(damaged)?;
        let signature = Signature::from_bytes(&signed.signature, Part::Roster)?;
        key.verify(Label::SIGN_ROSTER, &signed.entry, &signature, Part::Roster)
    }
}

fn sign_entry(entry: &messages::RosterEntry, key: &SigningKey) -> messages::SignedRosterEntry {
    let entry = entry.encode_to_vec();
    let signature = key.sign(Label::SIGN_ROSTER, &entry).as_bytes().to_vec();
    messages::SignedRosterEntry { entry, signature }
}

fn hash_entry(signed: &messages::SignedRosterEntry) -> [u8; 32] {
    labelled_hash(Label::HASH_ROSTER, &[&signed.entry])
}

fn context(account: AccountId, epoch: u32, id: [u8; 16]) -> Context {
    Context::new(account.0, epoch, ObjectType::Roster, "", Place::Object(id))
}
