//! Whether an entry may stand where it stands: judged by what its signer knew, and by nothing else.

use std::sync::Arc;

use super::{
    entry::{Change, SignerId},
    graph::{EntryHash, Node, Past, hash_entry, past_of},
    state::{RosterState, check_format, evaluate},
};
use crate::{
    Error, Part, Result,
    crypto::{Label, Signature},
    keys::AccountId,
    limits::{DEVICES_MAX, OBJECT_BYTES_MAX},
    wire::{decode_strict, messages},
};

/// Verifies one more entry and appends it; its parents are among `nodes`, which stand in order.
pub(super) fn accept(
    account: AccountId,
    nodes: &mut Vec<Node>,
    signed: messages::SignedRosterEntry,
) -> Result<()> {
    let damaged = || Error::damaged(Part::Roster);
    let entry: messages::RosterEntry = decode_strict(&signed.entry, OBJECT_BYTES_MAX, Part::Roster)?;
    let messages::RosterEntry { account: of, parents, signer, change, acceptance, device_time_ms: _ } =
        &entry;
    let change = Change::from_wire(change.as_ref().filter(|_| *of == account.0).ok_or_else(damaged)?)?;
    match change.accepting() {
        Some(recipient) => recipient.verify_acceptance(account, acceptance)?,
        None if acceptance.is_empty() => {}
        None => return Err(damaged()),
    }
    let parents = parents.iter().map(|hash| hash.as_slice().try_into().ok()).collect::<Option<Vec<_>>>();
    let parents: Vec<EntryHash> = parents.ok_or_else(damaged)?;
    let (depth, past) = stand(nodes, &parents).ok_or_else(damaged)?;
    let mut node = Node {
        hash: hash_entry(&signed),
        depth,
        parents,
        signer: SignerId::from_wire(signer)?,
        standing: EntryHash::default(),
        target: None,
        change: Arc::new(change),
        past,
        signed: Arc::new(signed),
    };
    if nodes.last().is_some_and(|last| (last.depth, last.hash) >= (node.depth, node.hash)) {
        return Err(damaged());
    }
    (node.standing, node.target) = check(account, nodes, &node)?;
    nodes.push(node);
    Ok(())
}

/// Depth and past of an entry on top of `parents`, which ascend; only the first entry has none.
fn stand(nodes: &[Node], parents: &[EntryHash]) -> Option<(u32, Past)> {
    let ascending = parents.is_sorted_by(|a, b| a < b);
    if !ascending || parents.is_empty() != nodes.is_empty() {
        return None;
    }
    let place = |hash: &EntryHash| nodes.iter().position(|node| node.hash == *hash);
    let places: Vec<usize> = parents.iter().map(place).collect::<Option<_>>()?;
    let deepest = places.iter().filter_map(|place| nodes.get(*place)).map(|node| node.depth).max();
    let depth = deepest.map_or(Some(0), |depth| depth.checked_add(1))?;
    let past = past_of(places.into_iter(), |place| nodes.get(place).map(|node| &node.past));
    Some((depth, past))
}

/// The signer could sign then, did sign, and was allowed to do this then; gives the entry that let it in, and
/// the one that let in whom it revokes.
fn check(account: AccountId, nodes: &[Node], node: &Node) -> Result<(EntryHash, Option<EntryHash>)> {
    let damaged = || Error::damaged(Part::Roster);
    let state = match (nodes.is_empty(), node.change.as_ref()) {
        (true, genesis @ Change::Genesis { device, .. }) => {
            if genesis.account() != account || node.signer != SignerId::Device(device.id) {
                return Err(damaged());
            }
            evaluate(std::slice::from_ref(node), None)?
        }
        (false, change) => {
            let state = evaluate(nodes, Some(&node.past))?;
            if !may(&state, node.signer, change)? {
                return Err(damaged());
            }
            state
        }
        _ => return Err(damaged()),
    };
    let (key, standing) = state.standing(node.signer).ok_or_else(damaged)?;
    let signature = Signature::from_bytes(&node.signed.signature, Part::Roster)?;
    key.verify(Label::SIGN_ROSTER, &node.signed.entry, &signature, Part::Roster)?;
    let target = match node.change.as_ref() {
        Change::RevokeDevice { device, .. } => state.added(*device),
        _ => None,
    };
    Ok((standing, target))
}

/// Codes and passwords may only add their holder's new device.
fn may(state: &RosterState, signer: SignerId, change: &Change) -> Result<bool> {
    let by_device = matches!(signer, SignerId::Device(_));
    Ok(match change {
        Change::Genesis { .. } => false,
        Change::AddDevice(member) => state.devices().len() < DEVICES_MAX && state.device(member.id).is_none(),
        Change::RevokeDevice { device, .. } => {
            by_device && state.device(*device).is_some_and(super::Device::is_active)
        }
        Change::SetRecovery(_) | Change::SetPassword(_) => by_device,
        Change::RemovePassword => by_device && state.password().is_some(),
        Change::BeginEpoch(epoch, _) => by_device && state.next_epoch() == Some(*epoch),
        Change::RequireFormat(version) => {
            check_format(*version)?;
            by_device && *version > state.format_version()
        }
    })
}
