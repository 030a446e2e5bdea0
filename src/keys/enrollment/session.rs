//! What the two devices share once each has the other's share: a session bound to every byte that was said
//! (FORMAT F-94).

use zeroize::Zeroizing;

use super::{CheckCode, Invitation};
use crate::{
    Error, Part, Result,
    crypto::{
        Context, ExchangeSecret, Label, ObjectKey, ObjectType, Place, Secret, derive_from_key,
        derive_from_material, labelled_hash,
    },
};

/// The secret of one enrollment, and the transcript that it hangs on.
pub(super) struct Session {
    secret: Secret<32>,
    transcript: [u8; 32],
}

impl Session {
    /// From this device's secret and the other's share; `request` is the signed request as it was sealed.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the share is a point of low order (D4).
    pub(super) fn agree(
        invitation: &Invitation,
        request: &[u8],
        (own, other): (&ExchangeSecret, &[u8; 32]),
    ) -> Result<Self> {
        let shared = own.agree(other).map_err(|_| Error::damaged(Part::Enrollment))?;
        let transcript = transcript(invitation, request);
        let material = Zeroizing::new([*invitation.secret().expose(), *shared.expose()]);
        let secret = derive_from_material(&transcript, material.as_flattened(), Label::ENROLL_SESSION, &[]);
        Ok(Self { secret, transcript })
    }

    pub(super) fn check_code(&self) -> CheckCode {
        CheckCode::of(&derive_from_key(&self.secret, Label::ENROLL_CHECK_CODE, &[&self.transcript]))
    }

    /// Seals the answer: only who took part can make it or read it.
    pub(super) fn answer_key(&self) -> ObjectKey {
        ObjectKey::new(derive_from_key(&self.secret, Label::ENROLL_ANSWER, &[&self.transcript]))
    }
}

/// Seals the request: whoever holds the invitation.
pub(super) fn request_key(invitation: &Invitation) -> ObjectKey {
    ObjectKey::new(derive_from_key(invitation.secret(), Label::ENROLL_REQUEST, &[&invitation.hash()]))
}

/// Seals the inviting device's share: whoever holds the invitation, for one request.
pub(super) fn reveal_key(invitation: &Invitation, request: &[u8]) -> ObjectKey {
    let transcript = transcript(invitation, request);
    ObjectKey::new(derive_from_key(invitation.secret(), Label::ENROLL_REVEAL, &[&transcript]))
}

fn transcript(invitation: &Invitation, request: &[u8]) -> [u8; 32] {
    labelled_hash(Label::HASH_ENROLLMENT, &[&invitation.hash(), request])
}

pub(super) fn reveal_context(invitation: &Invitation) -> Context {
    let place = Place::EnrollReveal(invitation.terms().rendezvous);
    Context::new(invitation.terms().account.0, 0, ObjectType::EnrollReveal, "", place)
}

pub(super) fn request_context(invitation: &Invitation) -> Context {
    let place = Place::EnrollRequest(invitation.terms().rendezvous);
    Context::new(invitation.terms().account.0, 0, ObjectType::EnrollRequest, "", place)
}

pub(super) fn answer_context(invitation: &Invitation) -> Context {
    let place = Place::EnrollAnswer(invitation.terms().rendezvous);
    Context::new(invitation.terms().account.0, 0, ObjectType::EnrollAnswer, "", place)
}
