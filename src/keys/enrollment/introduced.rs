//! Who brought a device into the roster, and with which keys (D1).

use crate::{
    Error, Part, Result,
    keys::{Change, DeviceId, DeviceState, Member, Roster, SignerId},
};

/// Checks that a verified `roster` has `member` exactly as it introduced itself, added by `inviter` and not
/// revoked since.
///
/// # Errors
/// [`Error::Damaged`].
pub fn check_introduced(roster: &Roster, member: &Member, inviter: DeviceId) -> Result<()> {
    let active = |id| roster.state().device(id).is_some_and(|device| device.state() == DeviceState::Active);
    let wanted = member.to_wire();
    let introduced = roster.entries().any(|(_, signer, change)| {
        signer == SignerId::Device(inviter)
            && matches!(change, Change::AddDevice(added) if added.to_wire() == wanted)
    });
    if introduced && active(member.id) { Ok(()) } else { Err(Error::damaged(Part::Roster)) }
}
