//! Loads index fragments into the local database, and writes the one that a commit will name.

use std::collections::BTreeSet;

use prost::Message as _;

use super::KindAccess;
use crate::{
    Error, Part, Result,
    content::{IndexFragment, PackEntry},
    crypto::{Place, Random},
    history::KindState,
    keys::ObjectRef,
    vault::state::{Database, PackRow},
    wire::messages,
};

/// A fragment that could not be read. Chunks that only it names are missing until it is found again.
pub(crate) struct IndexDamage {
    pub(crate) error: Error,
}

/// Makes sure that every pack a kind's state leads to is known here. A fragment counts as known once all that
/// it leads to is: whoever is killed in between begins again.
pub(crate) fn load_index(access: &KindAccess<'_>, state: &KindState) -> Result<Vec<IndexDamage>> {
    let mut damage = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<Step> = state.index.iter().cloned().map(Step::Fetch).collect();
    while let Some(step) = open.pop() {
        let reference = match step {
            Step::Fetch(reference) => reference,
            Step::Remember(reference, fragment) => {
                remember(access, &reference, &fragment, damage.is_empty())?;
                continue;
            }
        };
        if !seen.insert(reference.id()) || access.database.knows_fragment(reference.id())? {
            continue;
        }
        match fetch_fragment(access, &reference) {
            Ok(fragment) => {
                let older: Vec<_> = fragment.older().iter().cloned().map(Step::Fetch).collect();
                open.push(Step::Remember(reference, fragment));
                open.extend(older);
            }
            Err(error) if error.is_damage() => damage.push(IndexDamage { error }),
            Err(error) => return Err(error),
        }
    }
    Ok(damage)
}

/// What is left to do, last first.
enum Step {
    Fetch(ObjectRef),
    Remember(ObjectRef, IndexFragment),
}

pub(crate) fn fetch_fragment(access: &KindAccess<'_>, reference: &ObjectRef) -> Result<IndexFragment> {
    let bytes =
        access.gate.get(Place::Object(reference.id()))?.ok_or(Error::Missing { what: Part::Index })?;
    let mut failure = Error::damaged(Part::Index);
    for key in access.keys.content_keys(reference.epoch()) {
        match IndexFragment::open(&key, access.account, access.kind, reference, bytes.clone()) {
            Err(error) => failure = error,
            opened => return opened,
        }
    }
    Err(failure)
}

fn remember(
    access: &KindAccess<'_>,
    reference: &ObjectRef,
    fragment: &IndexFragment,
    is_whole: bool,
) -> Result<()> {
    access.database.write(|transaction| {
        for pack in fragment.packs() {
            let row = PackRow {
                id: pack.object().id(),
                length: u32::try_from(pack.object().length()).map_err(|_| Error::Internal("length"))?,
                epoch: pack.object().epoch(),
                kind: access.kind.to_owned(),
                uncommitted: Vec::new(),
            };
            let chunks = pack
                .chunks()
                .map(|(offset, chunk)| (chunk.id(), offset, chunk.stored_length(), chunk.compressed_from()));
            Database::add_pack(transaction, &row, chunks)?;
        }
        if is_whole { Database::add_fragment(transaction, reference.id(), access.kind) } else { Ok(()) }
    })
}

/// The new fragments of this run: what the commit's index is to be, and the database numbers of the packs
/// that it settles. Nothing new leaves the index as it is.
pub(crate) fn write_index(
    access: &KindAccess<'_>,
    random: &mut dyn Random,
    before: &[ObjectRef],
    now_ms: i64,
) -> Result<(Vec<ObjectRef>, Vec<u64>)> {
    let uncommitted = access.database.uncommitted_packs(access.kind)?;
    if uncommitted.is_empty() {
        return Ok((before.to_vec(), Vec::new()));
    }
    let mut packs = Vec::new();
    for (_, row) in &uncommitted {
        let wire = messages::PackEntry::decode(row.uncommitted.as_slice())
            .map_err(|_| Error::damaged(Part::LocalState))?;
        packs.push(PackEntry::from_wire(&wire)?);
    }
    let mut older = live_fragments(access, before)?;
    merge_small(access, &mut older, &mut packs)?;
    let (epoch, key) = (access.current.0, access.keys.writing_key(access.current)?);
    let mut parts = IndexFragment::split(packs).into_iter().peekable();
    let mut newest = Vec::new();
    while let Some(part) = parts.next() {
        let names = if parts.peek().is_none() { std::mem::take(&mut older) } else { Vec::new() };
        let fragment = IndexFragment::new(part, names);
        let (reference, sealed) = fragment.seal(&key, access.account, epoch, access.kind, random)?;
        access.gate.put(&sealed, now_ms)?;
        if parts.peek().is_some() {
            older.push(reference);
        } else {
            newest = vec![reference];
        }
    }
    Ok((newest, uncommitted.into_iter().map(|(number, _)| number).collect()))
}

/// The fragments that `before` leads to.
fn live_fragments(access: &KindAccess<'_>, before: &[ObjectRef]) -> Result<Vec<ObjectRef>> {
    let mut live: Vec<ObjectRef> = Vec::new();
    for reference in before {
        let fragment = fetch_fragment(access, reference)?;
        for one in fragment.older().iter().chain([reference]) {
            if !live.contains(one) {
                live.push(one.clone());
            }
        }
    }
    Ok(live)
}

/// Too many fragments make a new device wait: the small ones become part of the new one.
fn merge_small(
    access: &KindAccess<'_>,
    older: &mut Vec<ObjectRef>,
    packs: &mut Vec<PackEntry>,
) -> Result<()> {
    const FRAGMENTS_MAX: usize = 24;
    const SMALL_BYTES: usize = 256 * 1024;
    if older.len() <= FRAGMENTS_MAX {
        return Ok(());
    }
    let (small, large): (Vec<_>, Vec<_>) =
        std::mem::take(older).into_iter().partition(|reference| reference.length() <= SMALL_BYTES);
    for reference in small {
        packs.extend(fetch_fragment(access, &reference)?.packs().iter().cloned());
    }
    *older = large;
    Ok(())
}
