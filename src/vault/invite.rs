//! Inviting: how a device of the account lets a new one in (`docs/PROTOCOL.md`, "Enrollment").
//!
//! Nothing about the account leaves this device before its user compared the check codes, and the answer is
//! written only after the commit that made the new device known to all others (D8).

use zeroize::Zeroizing;

use super::{
    Job, Vault,
    rendezvous::{Lifetime, clean, wait_for},
    vault::Work,
    view::View,
};
use crate::{
    Error, Part, Result,
    crypto::Place,
    history::Head,
    keys::{
        Anchor, Applicant, Change, CheckCode, Confirmed, DeviceId, EnrollAnswer, HeadCode, Invitation,
        Inviter, Member, Recipient, Roster, Signer, SignerId,
    },
};

/// An invitation that this device gave out: good for ten minutes by its clock, for one device.
pub struct Inviting<'v> {
    vault: &'v Vault,
    inviter: Inviter,
    lifetime: Lifetime,
    state: State,
}

enum State {
    Open,
    /// Who asked, and whether this device's share lies at the rendezvous.
    Asked(Box<Applicant>, bool),
    Spent,
}

impl Vault {
    /// Invites a new device. Show the invitation to its owner only, as a QR code or as text: it is a secret.
    ///
    /// # Errors
    /// [`Error::Rollback`], [`Error::Fork`]; [`Error::Store`].
    pub fn invite(&self) -> Result<Inviting<'_>> {
        let work = &mut *self.work();
        let view = self.refresh(work)?;
        let device = (self.device(), anchor_of(self.newest(&view)?));
        let inviter = Inviter::generate(self.account(), device, work.random.as_mut())?;
        let lifetime = Lifetime::starting(self.clock.as_ref());
        Ok(Inviting { vault: self, inviter, lifetime, state: State::Open })
    }

    /// What this device committed last, to be kept on paper: a new device that has it holds the store to it
    /// ([`NewDevice::holding_to`](super::NewDevice::holding_to)). It is no secret, and good for ever; the
    /// newer it is, the more it holds.
    ///
    /// # Errors
    /// [`Error::Rollback`], [`Error::Fork`]; [`Error::Store`].
    pub fn head_code(&self) -> Result<HeadCode> {
        let newest = self.newest(&self.refresh(&mut self.work())?)?;
        Ok(HeadCode::new(self.account(), self.device(), anchor_of(newest)))
    }

    fn newest(&self, view: &View) -> Result<Head> {
        view.pins.head(self.device()).ok_or(Error::damaged(Part::LocalState))
    }

    /// The device enters the roster, everybody gets an envelope, and a commit makes it known.
    fn admit(&self, work: &mut Work, member: &Member) -> Result<EnrollAnswer> {
        let mut view = self.refresh(work)?;
        check_new(&view.roster, member)?;
        let signer = Signer { id: SignerId::Device(self.device()), key: &work.keys.signing };
        let change = Change::AddDevice(member.clone());
        view.roster.append(&signer, &change, None, self.clock.now_ms())?;
        view.rosters.whole = None;
        let envelopes = self.reconcile(work, &mut view)?;
        let kinds = self.own_kinds(&view);
        let head = self.commit(work, &mut view, kinds)?;
        let own = envelopes.into_iter().find_map(|place| match place {
            Place::Envelope { locator, id } if locator == member.recipient.locator() => Some(id),
            _ => None,
        });
        let envelope = own.ok_or(Error::Internal("no envelope for the new device"))?;
        Ok(EnrollAnswer::new(anchor_of(head), envelope))
    }
}

impl Inviting<'_> {
    /// The invitation as text, to be typed or sent by a way that nobody else reads or changes.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        self.invitation().text()
    }

    /// The invitation itself.
    #[must_use]
    pub fn invitation(&self) -> &Invitation {
        self.inviter.invitation()
    }

    /// Waits until a device asks to be admitted, and lets it know this device's share. May be called again
    /// after it was cancelled, or after an error of the store's.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; [`Error::InvitationRefused`] when the ten minutes are over; [`Error::Damaged`]
    /// when what was said is no request made with this invitation; [`Error::Store`].
    pub fn wait(&mut self, job: &Job) -> Result<()> {
        match self.state {
            State::Asked(..) => return self.reveal(),
            State::Spent => return Err(Error::InvitationRefused("it was used already")),
            State::Open => {}
        }
        let time = (self.lifetime, self.vault.clock.as_ref());
        let object = wait_for(&self.vault.gate, self.request(), time, job)?;
        // Whatever was said first is the only thing that is listened to (D3).
        self.state = State::Spent;
        match self.inviter.receive(object) {
            Ok(applicant) => {
                self.state = State::Asked(Box::new(applicant), false);
                self.reveal()
            }
            Err(error) => {
                clean(&self.vault.gate, [self.request()]);
                Err(error)
            }
        }
    }

    fn reveal(&mut self) -> Result<()> {
        if let State::Asked(applicant, is_revealed @ false) = &mut self.state {
            let sealed = applicant.reveal(self.vault.work().random.as_mut())?;
            self.vault.gate.put(&sealed, self.vault.clock.now_ms())?;
            *is_revealed = true;
        }
        Ok(())
    }

    /// The asking device, once one asks.
    #[must_use]
    pub fn applicant_device(&self) -> Option<DeviceId> {
        self.applicant().map(Applicant::device)
    }

    /// The name that the asking device gives itself, once one asks. Proves nothing.
    #[must_use]
    pub fn applicant_name(&self) -> Option<&str> {
        self.applicant().map(Applicant::name)
    }

    /// What the asking device must show, once one asks.
    #[must_use]
    pub fn check_code(&self) -> Option<&CheckCode> {
        self.applicant().map(Applicant::check_code)
    }

    /// Admits the asking device if it shows this device's check code. The invitation is spent either way.
    ///
    /// # Errors
    /// [`Error::CheckCodeDiffers`]: somebody else may have read the invitation, and nothing was told to
    /// anybody; [`Error::InvitationRefused`] when the ten minutes are over; [`Error::InvalidArgument`] before a device asked;
    /// [`Error::Rollback`], [`Error::Fork`]; [`Error::Store`], after which the device may be in the roster
    /// without knowing: revoke it, and invite again.
    pub fn admit(mut self, shown: &CheckCode) -> Result<()> {
        let state = std::mem::replace(&mut self.state, State::Spent);
        let State::Asked(applicant, _) = state else {
            return Err(Error::InvalidArgument("no device has asked to be admitted"));
        };
        let result = self
            .lifetime
            .check(self.vault.clock.as_ref())
            .and_then(|()| applicant.confirm(shown))
            .and_then(|confirmed| self.answer(&confirmed));
        // The answer stays until the new device has read it.
        clean(&self.vault.gate, [self.request(), Place::EnrollReveal(self.rendezvous())]);
        result
    }

    fn answer(&self, confirmed: &Confirmed) -> Result<()> {
        let work = &mut *self.vault.work();
        let answer = self.vault.admit(work, confirmed.member())?;
        let sealed = confirmed.answer(&answer, work.random.as_mut())?;
        self.vault.gate.put(&sealed, self.vault.clock.now_ms())
    }

    fn applicant(&self) -> Option<&Applicant> {
        match &self.state {
            State::Asked(applicant, _) => Some(applicant),
            State::Open | State::Spent => None,
        }
    }

    fn request(&self) -> Place {
        Place::EnrollRequest(self.rendezvous())
    }

    fn rendezvous(&self) -> [u8; 16] {
        self.invitation().terms().rendezvous
    }
}

fn anchor_of(head: Head) -> Anchor {
    Anchor::new(head.sequence, head.hash)
}

/// A new device brings keys and places of its own: none that a member has (D1, D5).
fn check_new(roster: &Roster, member: &Member) -> Result<()> {
    let state = roster.state();
    let taken = state.devices().iter().any(|known| {
        known.id() == member.id
            || *known.signing_key() == member.signing_key
            || clashes(known.recipient(), member)
    });
    let taken = taken || state.recipients().any(|known| clashes(known, member));
    if taken { Err(Error::damaged(Part::Enrollment)) } else { Ok(()) }
}

fn clashes(known: &Recipient, member: &Member) -> bool {
    known.locator() == member.recipient.locator()
        || known.public_key().as_bytes() == member.recipient.public_key().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{admission::Admission, enroll::FreshDevice},
        *,
    };
    use crate::{crypto::OsRandom, keys::Terms, store::MemoryStore, vault::NewDevice};

    #[test]
    fn attack_f3_an_admission_leads_to_the_very_commit_that_the_answer_names() {
        let folder = tempfile::tempdir().unwrap();
        let phone = NewDevice::named("phone").unwrap();
        let (vault, _) = Vault::create(MemoryStore::new(), folder.path(), phone).unwrap();
        let fresh = FreshDevice::generate(NewDevice::named("laptop").unwrap(), &mut OsRandom).unwrap();
        let invited = vault.invite().unwrap();
        let Terms { anchor, .. } = invited.invitation().terms();
        let answer = vault.admit(&mut vault.work(), &fresh.member).unwrap();
        let admission = |anchor, answer| {
            let terms = Terms { anchor, ..invited.invitation().terms() };
            Admission { gate: &vault.gate, terms, fresh: &fresh, answer }.verify(0).map(drop)
        };
        admission(anchor, answer).unwrap();
        let elsewhere = |of: Anchor| Anchor { hash: [7; 32], ..of };
        let other_end = EnrollAnswer { head: elsewhere(answer.head), ..answer };
        assert!(matches!(admission(anchor, other_end), Err(Error::Fork { .. })));
        assert!(matches!(admission(elsewhere(anchor), answer), Err(Error::Fork { .. })));
        let before = EnrollAnswer { head: anchor, ..answer };
        assert!(admission(anchor, before).is_err(), "a commit that does not know the new device");
        assert!(matches!(admission(answer.head, before), Err(Error::Fork { .. })), "an end before the start");
    }
}
