//! The new device's side: ask, show a code, read the answer.

use super::{
    CheckCode, EnrollAnswer, Invitation, request,
    session::{Session, answer_context, request_context, request_key},
};
use crate::{
    Error, Part, Result,
    crypto::{Context, ExchangeSecret, ObjectKey, Random, Sealed, SigningKey, open_message, seal_message},
    keys::Member,
};

/// A new device that asked to be admitted.
pub struct Joiner {
    check_code: CheckCode,
    key: ObjectKey,
    context: Context,
}

impl Joiner {
    /// The request of `member`, signed with its own key, and what is needed to read the answer.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the invitation's share is a point of low order (D4); [`Error::Randomness`].
    pub fn ask(
        invitation: &Invitation,
        (member, key): (&Member, &SigningKey),
        random: &mut dyn Random,
    ) -> Result<(Self, Sealed)> {
        let exchange = ExchangeSecret::generate(random)?;
        let plain = request::sign(invitation, exchange.public(), (member, key));
        let session = Session::agree(invitation, &plain, (&exchange, invitation.share()))?;
        let context = request_context(invitation);
        let sealed = seal_message(&request_key(invitation), context, &plain, random)?;
        let (check_code, key) = (session.check_code(), session.answer_key());
        Ok((Self { check_code, key, context: answer_context(invitation) }, sealed))
    }

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
