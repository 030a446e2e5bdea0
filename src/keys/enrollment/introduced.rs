//! Who brought a device into the roster, and with which keys (D1).

use prost::Message as _;

use crate::{
    Error, Part, Result,
    keys::{DeviceId, DeviceState, Member, Roster},
    wire::messages::{self, roster_entry::Change},
};

/// Checks that a verified `roster` has `member` exactly as it introduced itself, added by `inviter` and not
/// revoked since.
///
/// # Errors
/// [`Error::Damaged`].
pub fn check_introduced(roster: &Roster, member: &Member, inviter: DeviceId) -> Result<()> {
    let active = |id| roster.state().device(id).is_some_and(|device| device.state() == DeviceState::Active);
    let wanted = Change::AddDevice(member.to_wire());
    let chain = messages::Roster::decode(roster.encode().as_slice()).unwrap_or_default();
    let introduced = chain.entries.iter().any(|signed| {
        messages::RosterEntry::decode(signed.entry.as_slice())
            .is_ok_and(|entry| entry.signer == inviter.0 && entry.change.as_ref() == Some(&wanted))
    });
    if introduced && active(member.id) { Ok(()) } else { Err(Error::damaged(Part::Roster)) }
}
