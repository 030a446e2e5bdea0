//! Joining: how a new device gets into the account that invited it (`docs/PROTOCOL.md`, "Enrollment").
//!
//! Until the answer was verified nothing is kept in the state folder but the ledger of what was sent; a
//! device that was interrupted begins again with a new invitation.

use std::sync::Arc;

use super::{
    Environment, Job, NewDevice, Vault,
    admission::Admission,
    enroll::{FreshDevice, empty_home, unseen},
    rendezvous::{Lifetime, clean, wait_for},
    state::{DeviceKeys, Home, StateLocation},
    view::View,
};
use crate::{
    Error, Result,
    crypto::Place,
    keys::{Asking, CheckCode, EpochRoots, Invitation, Joiner, Terms},
    privacy::{Consent, Gate},
    store::{Store, StoreErrorKind},
};

/// A new device that asked to be admitted.
pub struct Joining {
    terms: Terms,
    store: Arc<dyn Store>,
    gate: Gate,
    home: Home,
    environment: Environment,
    fresh: FreshDevice,
    asking: Asking,
    joiner: Option<Joiner>,
    lifetime: Lifetime,
}

impl Vault {
    /// Asks the device that gave out `invitation` to be admitted. Then show the check code
    /// ([`Joining::check_code`]): it is typed on that device.
    ///
    /// # Errors
    /// [`Error::InvitationRefused`] when another device used the invitation; [`Error::VaultExists`] when the
    /// folder already holds a vault; [`Error::Damaged`] for an invitation that no device made;
    /// [`Error::Store`], [`Error::Io`].
    pub fn join(
        store: impl Store + 'static,
        state: impl Into<StateLocation>,
        invitation: &Invitation,
        device: NewDevice,
    ) -> Result<Joining> {
        Self::join_in(store, state, invitation, device, Environment::default())
    }

    /// As [`Vault::join`], in an environment of the caller's.
    ///
    /// # Errors
    /// As [`Vault::join`].
    pub fn join_in(
        store: impl Store + 'static,
        state: impl Into<StateLocation>,
        invitation: &Invitation,
        device: NewDevice,
        mut environment: Environment,
    ) -> Result<Joining> {
        let home = empty_home(&state.into())?;
        let store: Arc<dyn Store> = Arc::new(store);
        let gate = Gate::new(Arc::clone(&store), Consent::none(), home.ledger()?);
        let random = environment.random.as_mut();
        let fresh = FreshDevice::generate(device, random)?;
        let (asking, sealed) = Asking::ask(invitation, (&fresh.member, &fresh.signing), random)?;
        let terms = invitation.terms();
        for place in [Place::EnrollReveal(terms.rendezvous), Place::EnrollAnswer(terms.rendezvous)] {
            if gate.length(place)?.is_some() {
                return Err(used());
            }
        }
        let lifetime = Lifetime::starting(environment.clock.as_ref());
        gate.put(&sealed, environment.clock.now_ms()).map_err(used_if_taken)?;
        Ok(Joining { terms, store, gate, home, environment, fresh, asking, joiner: None, lifetime })
    }
}

impl Joining {
    /// What the user types on the inviting device. Waits until that device has heard this one; may be called
    /// again after it was cancelled.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; [`Error::InvitationRefused`] when ten minutes passed;
    /// [`Error::Damaged`] when what came is not of the device that made the invitation; [`Error::Store`].
    pub fn check_code(&mut self, job: &Job) -> Result<CheckCode> {
        self.joiner(job).map(|joiner| joiner.check_code().clone())
    }

    fn joiner(&mut self, job: &Job) -> Result<&Joiner> {
        let joiner = match self.joiner.take() {
            Some(joiner) => joiner,
            None => {
                let place = Place::EnrollReveal(self.terms.rendezvous);
                let time = (self.lifetime, self.environment.clock.as_ref());
                let reveal = wait_for(&self.gate, place, time, job).map_err(unanswered)?;
                self.asking.hear(reveal)?
            }
        };
        Ok(self.joiner.insert(joiner))
    }

    /// Waits until this device is admitted, verifies what it was let in to, and makes its first commit.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; [`Error::InvitationRefused`] when ten minutes passed without an answer;
    /// [`Error::Damaged`], [`Error::Missing`], [`Error::Rollback`], [`Error::Fork`] when the store does not
    /// show what the inviting device had; [`Error::Store`], [`Error::Io`]. After any of these begin again
    /// with a new invitation.
    pub fn finish(mut self, job: &Job) -> Result<Vault> {
        self.joiner(job)?;
        let place = Place::EnrollAnswer(self.terms.rendezvous);
        let time = (self.lifetime, self.environment.clock.as_ref());
        let object = wait_for(&self.gate, place, time, job)?;
        let answer = self.joiner(job)?.open_answer(object)?;
        let admission = Admission { gate: &self.gate, terms: self.terms, fresh: &self.fresh, answer };
        let (roots, before) = admission.verify(self.environment.clock.now_ms())?;
        let rendezvous = self.terms.rendezvous;
        let places = [Place::EnrollRequest(rendezvous), Place::EnrollReveal(rendezvous), place];
        let vault = self.enter(roots, before)?;
        clean(&vault.gate, places);
        Ok(vault)
    }

    fn enter(self, roots: EpochRoots, mut before: View) -> Result<Vault> {
        let Self { terms, store, gate, home, environment, fresh, .. } = self;
        drop(gate);
        let FreshDevice { signing, hybrid, member } = fresh;
        let keys = DeviceKeys { account: terms.account, device: member.id, signing, hybrid, roots };
        home.write_roster(&unseen(&before.roster))?;
        home.write_keys(&keys)?;
        let vault = Vault::assemble(store, home, keys, environment)?;
        vault.first_commit(&mut before)?;
        vault.home.set_ready()?;
        Ok(vault)
    }
}

/// A request lies there already: the invitation was seen by somebody else, or used twice (D3).
fn used_if_taken(error: Error) -> Error {
    match error {
        Error::Store(error) if error.kind() == StoreErrorKind::AlreadyExists => used(),
        error => error,
    }
}

/// A device that was let in with it left nothing behind.
fn unanswered(error: Error) -> Error {
    match error {
        Error::InvitationRefused(_) => {
            Error::InvitationRefused("nobody answers: it has expired, or another device has used it")
        }
        error => error,
    }
}

fn used() -> Error {
    Error::InvitationRefused("another device has used it")
}
