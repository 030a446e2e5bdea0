//! Changing the account's secrets: password, recovery code, and the epoch that makes old ones blind to
//! what comes later. No data is uploaded again.

use super::{
    Vault,
    vault::{NextCommit, Work},
    view::View,
};
use crate::{
    Error, Result,
    crypto::{
        HybridSecretKey, OsRandom, PasswordParameters, Place, Signature, SigningKey, derive_password_seeds,
    },
    history::Freshness,
    keys::{Change, DeviceSecret, EpochRoot, Recipient, RecoveryCode, Roster, Signer, SignerId},
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
        let replaced = Some(view.roster.state().recovery().locator());
        self.change(work, view, &Change::SetRecovery(recipient), Some(&acceptance), replaced)
    }

    /// How far this device can vouch for what the store shows.
    ///
    /// # Errors
    /// [`Error::Rollback`], [`Error::Fork`]; [`Error::Store`].
    pub fn freshness(&self) -> Result<Freshness> {
        Ok(self.refresh(&mut self.work())?.freshness)
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
        let mut roster = view.roster.clone();
        let now_ms = self.clock.now_ms();
        let signer = Signer { id: SignerId::Device(self.device()), key: &work.keys.signing };
        roster.append(&signer, change, acceptance, now_ms)?;
        let epoch = roster.state().epoch().checked_add(1).ok_or(Error::Internal("epochs"))?;
        roster.append(&signer, &Change::BeginEpoch(epoch), None, now_ms)?;
        self.begin_epoch(work, &mut view, &roster, epoch)?;
        for id in replaced.map_or(Ok(Vec::new()), |locator| self.envelope_ids(locator))? {
            if let Some(locator) = replaced {
                self.gate.delete(Place::Envelope { locator, id })?;
            }
        }
        Ok(())
    }

    /// New root, new content keys, new envelopes, then the commit that makes them known. The root is kept
    /// on this device first: a commit must never be sealed under a root that could be lost.
    fn begin_epoch(&self, work: &mut Work, view: &mut View, roster: &Roster, epoch: u32) -> Result<()> {
        let root = EpochRoot::generate(epoch, work.random.as_mut())?;
        view.keyring.begin_epoch(epoch, work.random.as_mut())?;
        let (roster_ref, sealed_roster) = roster.seal(&root, work.random.as_mut())?;
        let (keyring_ref, sealed_keyring) = view.keyring.seal(&root, work.random.as_mut())?;
        self.gate.put(&sealed_roster, self.clock.now_ms())?;
        self.gate.put(&sealed_keyring, self.clock.now_ms())?;
        work.keys.roots.retain(|known| known.epoch() < epoch);
        work.keys.roots.push(root);
        self.write_envelopes(work, roster, &roster_ref)?;
        self.home.write_keys(&work.keys)?;
        let next = NextCommit {
            epoch,
            roster: roster_ref,
            keyring: keyring_ref,
            keyring_version: view.keyring.version(),
            kinds: self.kind_states(view),
        };
        self.commit(work, view, next)?;
        self.home.write_roster(roster)
    }
}
