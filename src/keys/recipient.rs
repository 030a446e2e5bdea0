//! Who may open an epoch root: a device, the recovery code, or the password with its device secret.

use super::AccountId;
use crate::{
    Error, Part, Result,
    crypto::{HybridPublicKey, Label, PasswordParameters, Signature, SigningKey, VerifyingKey},
    wire::messages,
};

/// A public key that epoch roots are sealed to, and where its envelopes lie.
#[derive(Clone)]
pub struct Recipient {
    public_key: HybridPublicKey,
    locator: [u8; 16],
    signing_key: Option<VerifyingKey>,
    password: Option<PasswordParameters>,
}

impl Recipient {
    /// A device's recipient: its signing key stands beside it in the roster.
    #[must_use]
    pub fn device(public_key: HybridPublicKey, locator: [u8; 16]) -> Self {
        Self { public_key, locator, signing_key: None, password: None }
    }

    /// The recovery code's recipient.
    #[must_use]
    pub fn recovery(public_key: HybridPublicKey, locator: [u8; 16], signing_key: VerifyingKey) -> Self {
        Self { public_key, locator, signing_key: Some(signing_key), password: None }
    }

    /// The password's recipient, with the parameters that its owner's next device needs.
    #[must_use]
    pub fn password(
        public_key: HybridPublicKey,
        locator: [u8; 16],
        signing_key: VerifyingKey,
        parameters: PasswordParameters,
    ) -> Self {
        Self { public_key, locator, signing_key: Some(signing_key), password: Some(parameters) }
    }

    /// The key that roots are sealed to.
    #[must_use]
    pub fn public_key(&self) -> &HybridPublicKey {
        &self.public_key
    }

    /// Where its envelopes lie.
    #[must_use]
    pub fn locator(&self) -> [u8; 16] {
        self.locator
    }

    /// The key with which its holder signs roster entries; none for a device.
    #[must_use]
    pub fn signing_key(&self) -> Option<&VerifyingKey> {
        self.signing_key.as_ref()
    }

    /// Only for a password.
    #[must_use]
    pub fn password_parameters(&self) -> Option<&PasswordParameters> {
        self.password.as_ref()
    }

    /// The holder's own signature that it agrees to this account (K12, K1).
    #[must_use]
    pub fn accept(&self, account: AccountId, holder: &SigningKey) -> Signature {
        holder.sign(Label::SIGN_ACCEPTANCE, &self.acceptance_message(account))
    }

    pub(super) fn verify_acceptance(&self, account: AccountId, signature: &[u8]) -> Result<()> {
        let key = self.signing_key.as_ref().ok_or(Error::damaged(Part::Roster))?;
        let signature = Signature::from_bytes(signature, Part::Roster)?;
        key.verify(Label::SIGN_ACCEPTANCE, &self.acceptance_message(account), &signature, Part::Roster)
    }

    fn acceptance_message(&self, account: AccountId) -> Vec<u8> {
        [&account.0[..], &self.locator, self.public_key.as_bytes()].concat()
    }

    pub(super) fn to_wire(&self) -> messages::Recipient {
        messages::Recipient {
            public_key: self.public_key.as_bytes().to_vec(),
            locator: self.locator.to_vec(),
            signing_key: self.signing_key.as_ref().map_or_else(Vec::new, |key| key.as_bytes().to_vec()),
            password: self.password.as_ref().map(|parameters| messages::PasswordParameters {
                memory_kib: parameters.memory_kib(),
                passes: parameters.passes(),
                lanes: parameters.lanes(),
                salt: parameters.salt().to_vec(),
            }),
        }
    }

    pub(super) fn from_wire(wire: &messages::Recipient, role: Role) -> Result<Self> {
        let damaged = || Error::damaged(Part::Roster);
        let messages::Recipient { public_key, locator, signing_key, password } = wire;
        let signing_key = match (role, signing_key.is_empty()) {
            (Role::Device, true) => None,
            (Role::Recovery | Role::Password, false) => {
                Some(VerifyingKey::from_bytes(signing_key, Part::Roster)?)
            }
            _ => return Err(damaged()),
        };
        let password = match (role, password) {
            (Role::Password, Some(wire)) => {
                let salt = wire.salt.as_slice().try_into().map_err(|_| damaged())?;
                Some(PasswordParameters::checked(wire.memory_kib, wire.passes, wire.lanes, salt)?)
            }
            (Role::Device | Role::Recovery, None) => None,
            _ => return Err(damaged()),
        };
        Ok(Self {
            public_key: HybridPublicKey::from_bytes(public_key, Part::Roster)?,
            locator: locator.as_slice().try_into().map_err(|_| damaged())?,
            signing_key,
            password,
        })
    }
}

/// What a recipient is, which decides the fields it must and must not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Device,
    Recovery,
    Password,
}
