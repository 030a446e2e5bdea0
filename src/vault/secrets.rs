//! Changing who may read: password, recovery code, devices, and the epoch that makes old ones blind to
//! what comes later. No data is uploaded again.

use super::{Vault, vault::Work, view::View};
use crate::{
    Error, Result,
    crypto::{
        HybridSecretKey, OsRandom, PasswordParameters, Place, Signature, SigningKey, derive_password_seeds,
    },
    history::Freshness,
    keys::{Change, DeviceId, DeviceSecret, Recipient, RecoveryCode, Signer, SignerId},
};

impl Vault {
    /// Sets or replaces the password. The password alone opens nothing: together with the device secret
    /// that this returns it does, on a new device. Show the secret once; it exists nowhere else.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty or too long password; [`Error::Store`], [`Error::Rollback`].
    pub fn set_password(&self, password: &str) -> Result<DeviceSecret> {
        let secret = DeviceSecret::generate(&mut OsRandom)?;
        self.set_password_with(password, &secret)?;
        Ok(secret)
    }

    /// As [`Vault::set_password`], with a device secret that was generated and kept before.
    ///
    /// # Errors
    /// As [`Vault::set_password`].
    pub fn set_password_with(&self, password: &str, secret: &DeviceSecret) -> Result<()> {
        let work = &mut *self.work();
        let view = self.refresh(work)?;
        let parameters = PasswordParameters::default_with(work.random.bytes()?);
        let seeds = derive_password_seeds(password, secret.secret(), &parameters)?;
        let hybrid = HybridSecretKey::from_seed(seeds.hybrid);
        let signing = SigningKey::from_seed(seeds.signing);
        let recipient = Recipient::password(
            hybrid.public().clone(),
            secret.locator(),
            signing.verifying_key(),
            parameters,
        );
        let acceptance = recipient.accept(self.account(), &signing);
        let replaced = view.roster.state().password().map(Recipient::locator);
        self.change(work, view, &Change::SetPassword(recipient), Some(&acceptance), replaced)
    }

    /// Removes the password: what is written afterwards cannot be opened with it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; [`Error::Store`], [`Error::Rollback`].
    pub fn remove_password(&self) -> Result<()> {
        let work = &mut *self.work();
        let view = self.refresh(work)?;
        let password = view.roster.state().password().ok_or(Error::NotFound("a password"))?;
        let replaced = Some(password.locator());
        self.change(work, view, &Change::RemovePassword, None, replaced)
    }

    /// Replaces the recovery code: the old one opens nothing that is written afterwards.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Rollback`].
    pub fn new_recovery_code(&self) -> Result<RecoveryCode> {
        let code = RecoveryCode::generate(&mut OsRandom)?;
        self.replace_recovery_code(&code)?;
        Ok(code)
    }

    /// As [`Vault::new_recovery_code`], with a code that was generated and kept before.
    ///
    /// # Errors
    /// As [`Vault::new_recovery_code`].
    pub fn replace_recovery_code(&self, code: &RecoveryCode) -> Result<()> {
        let work = &mut *self.work();
        let view = self.refresh(work)?;
        let signing = code.signing_key();
        let recipient =
            Recipient::recovery(code.hybrid_key().public().clone(), code.locator(), signing.verifying_key());
        let acceptance = recipient.accept(self.account(), &signing);
        let replaced = view.roster.state().recovery().map(Recipient::locator);
        self.change(work, view, &Change::SetRecovery(recipient), Some(&acceptance), replaced)
    }

    /// How far this device can vouch for what the store shows.
    ///
    /// # Errors
    /// [`Error::Rollback`], [`Error::Fork`]; [`Error::Store`].
    pub fn freshness(&self) -> Result<Freshness> {
        Ok(self.refresh(&mut self.work())?.freshness)
    }

    /// Begins a new epoch: what is written from now on is sealed under new keys.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Rollback`].
    pub fn rotate(&self) -> Result<()> {
        let work = &mut *self.work();
        let mut view = self.refresh(work)?;
        self.begin_epoch(work, &mut view)?;
        self.reconcile(work, &mut view)?;
        let kinds = self.own_kinds(&view);
        self.commit(work, &mut view, kinds)?;
        Ok(())
    }

    /// Cuts a device off: it reads nothing that is written afterwards, and its later commits are refused.
    /// What it could read before it can read still. Needs no password and no code.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such device or it is revoked already;
    /// [`Error::InvalidArgument`] for this very device; [`Error::Store`], [`Error::Rollback`].
    pub fn revoke(&self, device: DeviceId) -> Result<()> {
        if device == self.device() {
            return Err(Error::InvalidArgument("a device cannot revoke itself: use another"));
        }
        let work = &mut *self.work();
        let view = self.refresh(work)?;
        let known = view.roster.state().device(device).filter(|device| device.is_active());
        let locator = known.ok_or(Error::NotFound("an active device with this id"))?.recipient().locator();
        let head = view.heads.get(&device).map(crate::history::Commit::head);
        let change = Change::RevokeDevice {
            device,
            last_sequence: head.map_or(0, |head| head.sequence),
            last_hash: head.map_or([0; 32], |head| head.hash),
        };
        self.change(work, view, &change, None, Some(locator))
    }

    /// A change of secrets and a new epoch, in one commit. `replaced` is the locator of a recipient that is
    /// one no more: its envelopes are deleted, as far as the store obeys.
    fn change(
        &self,
        work: &mut Work,
        mut view: View,
        change: &Change,
        acceptance: Option<&Signature>,
        replaced: Option<[u8; 16]>,
    ) -> Result<()> {
        // The new recipient may have the same locator: what is written for it must stay.
        let old = replaced.map(|locator| (locator, self.envelope_ids(locator)));
        let signer = Signer { id: SignerId::Device(self.device()), key: &work.keys.signing };
        view.roster.append(&signer, change, acceptance, self.clock.now_ms())?;
        view.rosters.whole = None;
        self.reconcile(work, &mut view)?;
        let kinds = self.own_kinds(&view);
        self.commit(work, &mut view, kinds)?;
        if let Some((locator, ids)) = old {
            ids?.into_iter().try_for_each(|id| self.gate.delete(Place::Envelope { locator, id }))?;
        }
        Ok(())
    }
}
