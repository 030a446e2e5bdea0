//! What a new device checks of the account that it was admitted to, before it believes any of it.
//!
//! The answer came from the inviting device; everything else comes from the store. It must lead from the
//! invitation's commit to the answer's, and from the account's genesis to this device (D1, F1, F3, F8).

use super::{
    enroll::FreshDevice,
    view::{Gathered, Known, Reader, View},
};
use crate::{
    Error, Part, Result,
    crypto::Place,
    history::{Commit, Head, Pin, Pins},
    keys::{
        Anchor, Device, DeviceState, EnrollAnswer, Envelope, EpochRoots, ObjectRef, Roster, Terms,
        check_introduced,
    },
    privacy::Gate,
};

/// A device's admission, to be verified.
pub(super) struct Admission<'a> {
    pub(super) gate: &'a Gate,
    pub(super) terms: Terms,
    pub(super) fresh: &'a FreshDevice,
    pub(super) answer: EnrollAnswer,
}

impl Admission<'_> {
    /// The roots of all epochs, and the account as it is now, pinned to what the inviting device has seen.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Missing`], [`Error::Rollback`], [`Error::Fork`]; [`Error::Store`].
    pub(super) fn verify(&self, now_ms: i64) -> Result<(EpochRoots, View)> {
        let (roots, roster, reference) = self.open_envelope()?;
        let (gate, account) = (self.gate, self.terms.account);
        let reader = Reader { gate, account, roots: &roots, database: None, now_ms };
        let inviter = roster.state().device(self.terms.device).ok_or(Error::damaged(Part::Roster))?;
        let commit = self.walk_to_answer(&reader, &roster, inviter)?;
        if commit.body().roster != reference {
            return Err(Error::damaged(Part::Envelope));
        }
        let pins = anchored_pins(&commit, &roster, now_ms);
        let known = Known {
            hinted: roster.clone(),
            roster: Some(roster),
            rosters: Gathered::default(),
            keyring: None,
            keyrings: Gathered::default(),
            pins,
        };
        let view = reader.refresh(None, known)?;
        Ok((roots, view))
    }

    /// The envelope that the answer names, and the roster that it leads to: this account's, with this device
    /// as it introduced itself, by the device that invited it.
    fn open_envelope(&self) -> Result<(EpochRoots, Roster, ObjectRef)> {
        let (locator, id) = (self.fresh.member.recipient.locator(), self.answer.envelope);
        let bytes = self.fetch(Place::Envelope { locator, id }, Part::Envelope)?;
        let envelope = Envelope::open(&self.fresh.hybrid, locator, id, bytes)
            .map_err(Error::while_opening(Part::Envelope))?;
        let reference = envelope.roster().clone();
        let bytes = self.fetch(Place::Object(reference.id()), Part::Roster)?;
        let roster = Roster::open(self.terms.account, envelope.unverified_roots(), &reference, bytes)?;
        check_introduced(&roster, &self.fresh.member, self.terms.device)?;
        if envelope.account() != self.terms.account {
            return Err(Error::damaged(Part::Envelope));
        }
        Ok((envelope.verify(&roster)?, roster, reference))
    }

    /// From the commit that the invitation names, each following the one before, to the one that the answer
    /// names.
    fn walk_to_answer(&self, reader: &Reader<'_>, roster: &Roster, inviter: &Device) -> Result<Commit> {
        let read = |sequence| {
            let withheld = Error::Rollback { device: inviter.id().label(), sequence };
            reader.commit(inviter, roster, sequence)?.ok_or(withheld)
        };
        let fork = |sequence| Error::Fork { device: inviter.id().label(), sequence, proof: None };
        let (anchor, end) = (head(self.terms.anchor), head(self.answer.head));
        let mut commit = read(anchor.sequence)?;
        if commit.head() != anchor {
            return Err(fork(anchor.sequence));
        }
        for sequence in anchor.sequence.saturating_add(1)..=end.sequence {
            let next = read(sequence)?;
            if next.body().previous != Some(commit.head()) {
                return Err(fork(sequence));
            }
            commit = next;
        }
        if commit.head() == end { Ok(commit) } else { Err(fork(end.sequence)) }
    }

    fn fetch(&self, place: Place, what: Part) -> Result<Vec<u8>> {
        self.gate.get(place)?.ok_or(Error::Missing { what })
    }
}

/// Whatever the device that made `commit` had seen then, this device holds the store to. Of a revoked device
/// the roster says what its last commit is.
pub(super) fn anchored_pins(commit: &Commit, roster: &Roster, now_ms: i64) -> Pins {
    let is_active =
        |device| roster.state().device(device).is_some_and(|device| device.state() == DeviceState::Active);
    let seen = commit.body().seen.iter().copied().filter(|(device, _)| is_active(*device));
    let own = is_active(commit.device()).then_some((commit.device(), commit.head()));
    let all = seen.chain(own);
    Pins::from_pins(all.map(|(device, head)| (device, Pin { head, heard_ms: now_ms })), 0)
}

pub(super) fn head(anchor: Anchor) -> Head {
    Head { sequence: anchor.sequence, hash: anchor.hash }
}
