//! The inviting device's side: invite, hear who asks, compare codes, answer.

use prost::Message as _;
use subtle::ConstantTimeEq as _;

use super::{
    Anchor, CheckCode, EnrollAnswer, EnrollRequest, Invitation,
    session::{Session, answer_context, request_context, request_key, reveal_context, reveal_key},
};
use crate::{
    Error, Part, Result,
    crypto::{Context, ExchangeSecret, ObjectKey, Random, Sealed, open_message, seal_message},
    keys::{AccountId, DeviceId, Member},
    wire::messages,
};

/// A device that invites another.
pub struct Inviter {
    invitation: Invitation,
    exchange: ExchangeSecret,
}

impl Inviter {
    /// A fresh invitation by `device`, whose newest commit is `anchor`.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(account: AccountId, device: (DeviceId, Anchor), random: &mut dyn Random) -> Result<Self> {
        let (invitation, exchange) = Invitation::generate(account, device, random)?;
        Ok(Self { invitation, exchange })
    }

    /// What the new device has to be shown.
    #[must_use]
    pub fn invitation(&self) -> &Invitation {
        &self.invitation
    }

    /// Opens and verifies the request that lies at the rendezvous.
    ///
    /// # Errors
    /// [`Error::Damaged`] for whatever reason (K3); [`Error::NewerFormat`].
    pub fn receive(&self, object: Vec<u8>) -> Result<Applicant> {
        let context = request_context(&self.invitation);
        let plain = open_message(&request_key(&self.invitation), &context, object)
            .map_err(Error::while_opening(Part::Enrollment))?;
        let (member, share) = EnrollRequest::parse(&plain, &self.invitation)?.into_parts();
        let session = Session::agree(&self.invitation, &plain, (&self.exchange, &share))?;
        let (check_code, key) = (session.check_code(), session.answer_key());
        let confirmed = Confirmed { member, key, context: answer_context(&self.invitation) };
        let reveal = Reveal {
            key: reveal_key(&self.invitation, &plain),
            context: reveal_context(&self.invitation),
            share: *self.exchange.public(),
        };
        Ok(Applicant { check_code, reveal, confirmed })
    }
}

/// A device that asks to be admitted, and of which nobody knows yet whether it is the one that was meant.
pub struct Applicant {
    check_code: CheckCode,
    reveal: Reveal,
    confirmed: Confirmed,
}

impl Applicant {
    /// Its id.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.confirmed.member.id
    }

    /// As it calls itself: an attacker may call itself anything.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.confirmed.member.name
    }

    /// Seals this device's share for it. From here on its request stands: nobody could know before which
    /// code it makes (D2).
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn reveal(&self, random: &mut dyn Random) -> Result<Sealed> {
        let Reveal { key, context, share } = &self.reveal;
        let wire = messages::EnrollReveal { share: share.to_vec() };
        seal_message(key, context.clone(), &wire.encode_to_vec(), random)
    }

    /// What the new device must show if it is the one that was invited.
    #[must_use]
    pub fn check_code(&self) -> &CheckCode {
        &self.check_code
    }

    /// Compares in constant time. A wrong code ends it: there is no second guess (D2).
    ///
    /// # Errors
    /// [`Error::CheckCodeDiffers`].
    pub fn confirm(self, shown: &CheckCode) -> Result<Confirmed> {
        if bool::from(self.check_code.ct_eq(shown)) {
            Ok(self.confirmed)
        } else {
            Err(Error::CheckCodeDiffers)
        }
    }
}

/// This device's share, for who made the request.
struct Reveal {
    key: ObjectKey,
    context: Context,
    share: [u8; 32],
}

/// A device whose code was compared: it may enter the roster, and be answered.
pub struct Confirmed {
    member: Member,
    key: ObjectKey,
    context: Context,
}

impl Confirmed {
    /// Its line for the roster.
    #[must_use]
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Seals what it needs to begin.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn answer(&self, answer: &EnrollAnswer, random: &mut dyn Random) -> Result<Sealed> {
        seal_message(&self.key, self.context.clone(), &answer.encode(), random)
    }
}
