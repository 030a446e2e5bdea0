//! The request: a new device introduces itself to the one that invited it (FORMAT F-92, F-93).

use prost::Message as _;

use super::Invitation;
use crate::{
    Error, Part, Result,
    crypto::{Label, Signature, SigningKey},
    keys::Member,
    wire::{decode_strict, messages},
};

/// What a new device says of itself, its signature checked. There is no other way to have one.
pub struct EnrollRequest {
    member: Member,
    share: [u8; 32],
}

impl EnrollRequest {
    /// Reads an authenticated request that answers `invitation`, and checks its signature (D1, D5).
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn parse(plain: &[u8], invitation: &Invitation) -> Result<Self> {
        let refused = |_| Error::damaged(Part::Enrollment);
        let signed: messages::SignedEnrollRequest = decode_strict(plain, plain.len(), Part::Enrollment)?;
        let messages::SignedEnrollRequest { request: bytes, signature } = signed;
        let wire: messages::EnrollRequest = decode_strict(&bytes, bytes.len(), Part::Enrollment)?;
        let messages::EnrollRequest { share, device } = wire;
        let device = device.ok_or(Error::damaged(Part::Enrollment))?;
        let member = Member::from_wire(&device).map_err(refused)?;
        let signature = Signature::from_bytes(&signature, Part::Enrollment)?;
        let message = signed_message(invitation, &bytes);
        member.signing_key.verify(Label::SIGN_ENROLLMENT, &message, &signature, Part::Enrollment)?;
        let share = share.as_slice().try_into().map_err(|_| Error::damaged(Part::Enrollment))?;
        Ok(Self { member, share })
    }

    /// The device that asks, as the roster shall have it.
    #[must_use]
    pub fn member(&self) -> &Member {
        &self.member
    }

    pub(super) fn into_parts(self) -> (Member, [u8; 32]) {
        (self.member, self.share)
    }
}

/// The signed request of `member`, to be sealed.
pub(super) fn sign(
    invitation: &Invitation,
    share: &[u8; 32],
    (member, key): (&Member, &SigningKey),
) -> Vec<u8> {
    let wire = messages::EnrollRequest { share: share.to_vec(), device: Some(member.to_wire()) };
    let request = wire.encode_to_vec();
    let signature = key.sign(Label::SIGN_ENROLLMENT, &signed_message(invitation, &request));
    let signature = signature.as_bytes().to_vec();
    messages::SignedEnrollRequest { request, signature }.encode_to_vec()
}

/// The hash has a fixed length, so no two pairs of invitation and request have one message.
fn signed_message(invitation: &Invitation, request: &[u8]) -> Vec<u8> {
    [&invitation.hash(), request].concat()
}
