//! The new device's side: ask, learn whom it asked, show a code, read the answer.

use super::{
    CheckCode, EnrollAnswer, Invitation, request,
    session::{Session, answer_context, request_context, request_key, reveal_context, reveal_key},
};
use crate::{
    Error, Part, Result,
    crypto::{Context, ExchangeSecret, ObjectKey, Random, Sealed, SigningKey, open_message, seal_message},
    keys::Member,
    wire::{decode_strict, messages},
};

/// A new device that asked to be admitted, and does not know yet which share it has to agree with.
pub struct Asking {
    invitation: Invitation,
    exchange: ExchangeSecret,
    request: Vec<u8>,
}

impl Asking {
    /// The request of `member`, signed with its own key, and what is needed to go on.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn ask(
        invitation: &Invitation,
        (member, key): (&Member, &SigningKey),
        random: &mut dyn Random,
    ) -> Result<(Self, Sealed)> {
        let exchange = ExchangeSecret::generate(random)?;
        let request = request::sign(invitation, exchange.public(), (member, key));
        let context = request_context(invitation);
        let sealed = seal_message(&request_key(invitation), context, &request, random)?;
        Ok((Self { invitation: invitation.duplicate(), exchange, request }, sealed))
    }

    /// Opens the inviting device's share, which must be the one that the invitation has the hash of.
    ///
    /// # Errors
    /// [`Error::Damaged`] for whatever reason (D4, K3); [`Error::NewerFormat`].
    pub fn hear(&self, object: Vec<u8>) -> Result<Joiner> {
        let Self { invitation, exchange, request } = self;
        let plain = open_message(&reveal_key(invitation, request), &reveal_context(invitation), object)
            .map_err(Error::while_opening(Part::Enrollment))?;
        let wire: messages::EnrollReveal = decode_strict(&plain, plain.len(), Part::Enrollment)?;
        let share = wire.share.as_slice().try_into().ok().filter(|share| invitation.is_share(share));
        let share = share.ok_or(Error::damaged(Part::Enrollment))?;
        let session = Session::agree(invitation, request, (exchange, &share))?;
        let (check_code, key) = (session.check_code(), session.answer_key());
        Ok(Joiner { check_code, key, context: answer_context(invitation) })
    }
}

/// A new device that shares a secret with whoever made its invitation.
pub struct Joiner {
    check_code: CheckCode,
    key: ObjectKey,
    context: Context,
}

impl Joiner {
    /// What the user types on the inviting device.
    #[must_use]
    pub fn check_code(&self) -> &CheckCode {
        &self.check_code
    }

    /// Opens the answer that lies at the rendezvous. Only the device whose invitation this was can have
    /// made it, and only after its user compared the codes.
    ///
    /// # Errors
    /// [`Error::Damaged`] for whatever reason (K3); [`Error::NewerFormat`].
    pub fn open_answer(&self, object: Vec<u8>) -> Result<EnrollAnswer> {
        let plain =
            open_message(&self.key, &self.context, object).map_err(Error::while_opening(Part::Enrollment))?;
        EnrollAnswer::parse(&plain)
    }
}
