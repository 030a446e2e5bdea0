//! Loads index fragments into the local database, and writes the one that a commit will name.

use std::{cmp::Reverse, collections::BTreeSet};

use prost::Message as _;

use super::KindAccess;
use crate::{
    Error, Part, Result,
    content::{IndexFragment, PackEntry},
    crypto::{Place, Random},
    history::KindState,
    keys::ObjectRef,
    limits::FRAGMENT_LOST_MAX,
    vault::state::{Database, PackRow},
};

/// A fragment that could not be read. Chunks that only it names are missing until it is found again.
pub(crate) struct IndexDamage {
    pub(crate) error: Error,
}

/// Makes sure that every pack a kind's state leads to is known here. A fragment counts as known once all that
/// it leads to is: whoever is killed in between goes on with what is missing. No more than one is in memory.
pub(crate) fn load_index(access: &KindAccess<'_>, state: &KindState) -> Result<Vec<IndexDamage>> {
    let mut damage = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<Step> = state.index.iter().cloned().map(Step::Fetch).collect();
    while let Some(step) = open.pop() {
        let reference = match step {
            Step::Fetch(reference) => reference,
            Step::Note(id) => {
                if damage.is_empty() {
                    access
                        .database
                        .write(|transaction| Database::add_fragment(transaction, id, access.kind))?;
                }
                continue;
            }
        };
        if !seen.insert(reference.id()) || access.database.knows_fragment(reference.id())? {
            continue;
        }
        match fetch_fragment(access, &reference) {
            // Packs are lost that were counted on: all is read again, for others that have the same chunks.
            Ok(fragment) if access.database.give_up(access.kind, fragment.lost())? => {
                seen.clear();
                damage.clear();
                open = state.index.iter().cloned().map(Step::Fetch).collect();
            }
            Ok(fragment) => {
                remember(access, &fragment)?;
                open.push(Step::Note(reference.id()));
                // The oldest, which leads to none, comes first: so most are noted as soon as they are read.
                open.extend(fragment.older().iter().rev().cloned().map(Step::Fetch));
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
    Note([u8; 16]),
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

fn remember(access: &KindAccess<'_>, fragment: &IndexFragment) -> Result<()> {
    let database = access.database;
    let (any_lost, mut packs) = (database.has_lost_packs(), Vec::new());
    for pack in fragment.packs().iter().filter(|pack| !pack.lines().is_empty()) {
        let number = known_number(access, pack)?;
        if any_lost || number.is_none() {
            packs.push((database.is_given_up(pack.id()), number, pack));
        }
    }
    // What lost ones have that is in others, too, is found in these.
    packs.sort_by_key(|(is_lost, ..)| !is_lost);
    database.write(|transaction| {
        for (is_lost, number, pack) in packs {
            let row = PackRow {
                id: pack.id(),
                length: pack.length(),
                epoch: pack.epoch(),
                kind: access.kind.to_owned(),
                uncommitted: Vec::new(),
            };
            if !any_lost {
                Database::add_pack(transaction, &row, pack.chunks())?;
                continue;
            }
            let mut chunks = Vec::new();
            for slot in pack.chunks() {
                let is_better = match (is_lost, number) {
                    (true, _) => database.chunk(slot.id)?.is_none(),
                    (false, Some(_)) => database.stored(slot.id)?.is_none(),
                    (false, None) => true,
                };
                chunks.extend(is_better.then_some(slot));
            }
            match number {
                _ if chunks.is_empty() => {}
                Some(number) => Database::add_to_pack(transaction, number, chunks.into_iter())?,
                None => {
                    Database::add_pack(transaction, &row, chunks.into_iter())?;
                }
            }
        }
        Ok(())
    })
}

/// The number of a pack that an earlier fragment named: merged fragments name their packs again.
fn known_number(access: &KindAccess<'_>, pack: &PackEntry) -> Result<Option<u64>> {
    let Some(first) = pack.chunks().next() else { return Ok(None) };
    let Some(place) = access.database.chunk(first.id)? else { return Ok(None) };
    let row = access.database.pack(place.pack)?;
    Ok(row.filter(|row| row.id == pack.id()).map(|_| place.pack))
}

/// The new fragments of this run: what the commit's index is to be, and the database numbers of the packs
/// that it settles. Nothing new leaves the index as it is: neither a pack, nor one in `lost`.
pub(crate) fn write_index(
    access: &KindAccess<'_>,
    random: &mut dyn Random,
    before: &[ObjectRef],
    lost: &[[u8; 16]],
    now_ms: i64,
) -> Result<(Vec<ObjectRef>, Vec<u64>)> {
    /// From so many fragments on that name no other of them, one is written that names them all.
    const NEWEST_MAX: usize = 16;
    let uncommitted = access.database.uncommitted_packs(access.kind, 0)?;
    if !uncommitted.is_empty() || !lost.is_empty() {
        return write_fragments(access, random, (before, uncommitted, lost), now_ms);
    }
    let as_it_is = (before.to_vec(), Vec::new());
    if before.len() < NEWEST_MAX {
        return Ok(as_it_is);
    }
    match write_fragments(access, random, (before, uncommitted, lost), now_ms) {
        Err(error) if error.is_damage() => Ok(as_it_is),
        written => written,
    }
}

fn write_fragments(
    access: &KindAccess<'_>,
    random: &mut dyn Random,
    (before, uncommitted, lost): (&[ObjectRef], Vec<u64>, &[[u8; 16]]),
    now_ms: i64,
) -> Result<(Vec<ObjectRef>, Vec<u64>)> {
    access.database.give_up(access.kind, lost)?;
    // The new fragment counts as known, and so does all that it leads to; and it has to say what all these say.
    let state = KindState { index: before.to_vec(), ..KindState::empty(access.kind) };
    if let Some(damage) = load_index(access, &state)?.into_iter().next() {
        return Err(damage.error);
    }
    let lost = access.database.lost_packs(Some(access.kind))?;
    if lost.len() > FRAGMENT_LOST_MAX {
        return Err(Error::InvalidArgument("more packs are lost than an index can name: begin a new store"));
    }
    if !lost.is_empty() {
        // What is in packs that are not committed yet may have been counted on in others so far.
        access.database.list_chunks(access.kind, 0, &mut |_| {})?;
    }
    let mut packs = Vec::new();
    for number in &uncommitted {
        packs.extend(access.database.pack(*number)?.map(|row| row.entry()).transpose()?);
    }
    let mut older = live_fragments(access, before)?;
    merge_short(access, &mut older, &mut packs, lost.len())?;
    let (epoch, key) = (access.current.0, access.keys.writing_key(access.current)?);
    let mut parts = IndexFragment::split(packs).into_iter().peekable();
    let mut newest = Vec::new();
    while let Some(part) = parts.next() {
        let (mut names, mut given_up) = (Vec::new(), BTreeSet::new());
        if parts.peek().is_none() {
            (names, given_up) = (std::mem::take(&mut older), lost.clone());
        }
        let fragment = IndexFragment::new(part, names, given_up);
        let (reference, sealed) = fragment.seal(&key, access.account, epoch, access.kind, random)?;
        access.gate.put(&sealed, now_ms)?;
        if parts.peek().is_some() {
            older.push(reference);
        } else {
            newest = vec![reference];
        }
    }
    Ok((newest, uncommitted))
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

/// Every fragment names all others that are live, and a new device reads them all. So that there are few, and
/// none is written too often, those become part of the new one that are shorter than it, or of which there are
/// several of one length. A fragment then never names a shorter one, and what is live leads to nothing that is
/// not.
fn merge_short(
    access: &KindAccess<'_>,
    older: &mut Vec<ObjectRef>,
    packs: &mut Vec<PackEntry>,
    lost: usize,
) -> Result<()> {
    /// From this length on they stay as they are: merging takes several times as much memory.
    const LONG_BYTES: usize = 1024 * 1024;
    const ALIKE_MAX: usize = 4;
    const REFERENCE_BYTES: usize = 72;
    const OTHER_BYTES: usize = 1024;
    const LOST_BYTES: usize = 18;
    let mut bytes: usize = packs.iter().map(encoded_bytes).sum::<usize>() + lost * LOST_BYTES;
    older.sort_by_key(|one| Reverse(one.length()));
    loop {
        let length = (bytes + REFERENCE_BYTES * older.len() + OTHER_BYTES).next_power_of_two();
        let is_one_of_many =
            |length: usize| older.iter().filter(|one| one.length() == length).count() >= ALIKE_MAX;
        let is_short = |one: &ObjectRef| {
            one.length() < LONG_BYTES && (one.length() < length || is_one_of_many(one.length()))
        };
        let Some(first) = older.iter().position(is_short) else { return Ok(()) };
        for reference in older.split_off(first) {
            let fragment = fetch_fragment(access, &reference)?;
            bytes += fragment.packs().iter().map(encoded_bytes).sum::<usize>();
            packs.extend(fragment.packs().iter().cloned());
        }
    }
}

/// Bytes of a pack's lines in a fragment.
fn encoded_bytes(pack: &PackEntry) -> usize {
    pack.to_wire().encoded_len() + 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kinds::Kind,
        store::MemoryStore,
        vault::{At, Folder, Job, NewDevice, Source, Vault, testing::MemoryHome},
    };

    /// All fragments that the newest state leads to, and those of them that its newest fragment names.
    fn fragments(vault: &Vault) -> (BTreeSet<[u8; 16]>, BTreeSet<[u8; 16]>) {
        let work = &mut *vault.work();
        let view = vault.refresh(work).unwrap();
        let (_, state) = view.kind("notes", vault.device()).unwrap();
        let access = vault.access("notes", &view).unwrap();
        let live = live_fragments(&access, &state.index).unwrap();
        let (mut reached, mut open) = (BTreeSet::new(), state.index.clone());
        while let Some(reference) = open.pop() {
            if reached.insert(reference.id()) {
                open.extend(fetch_fragment(&access, &reference).unwrap().older().iter().cloned());
            }
        }
        (live.iter().map(ObjectRef::id).collect(), reached)
    }

    fn put(vault: &Vault, n: usize, length: usize) {
        let bytes = vec![u8::try_from(n).unwrap(); length];
        vault.records(&Kind::NOTES).unwrap().put(&format!("n/{n}-{length}"), &bytes).unwrap();
    }

    fn entries(vault: &Vault) -> usize {
        let mut entries = 0;
        let mut count = |_| {
            entries += 1;
            Ok(())
        };
        vault.list(&Kind::NOTES, "", &At::Latest, &mut count).unwrap();
        entries
    }

    #[test]
    fn live_fragments_stay_few_and_lead_to_nothing_that_is_not_live() {
        let store = MemoryStore::new();
        let device = |name: &str| NewDevice::named(name).unwrap();
        let (vault, code) = Vault::create(store.clone(), &MemoryHome::new(), device("first")).unwrap();
        vault.consent().grant(&Kind::NOTES).unwrap();
        let recover = |name| Vault::recover(store.clone(), &MemoryHome::new(), &code, device(name));
        let second = recover("second").unwrap();
        let mut put_so_far = 0;
        for n in 0..150 {
            // Now and then a larger run, whose fragment is longer than those before.
            let count = if n % 40 == 9 { 800 } else { 1 };
            (0..count).for_each(|more| put(&vault, n, 5000 + more));
            put_so_far += count;
            vault.sync(&Job::new()).unwrap();
            let (live, reached) = fragments(&vault);
            assert!(live.len() <= 12, "{} after {n} commits", live.len());
            assert_eq!(live, reached, "after {n} commits");
            if n % 10 == 0 {
                assert_eq!(entries(&second), put_so_far);
            }
        }
        assert_eq!(entries(&recover("third").unwrap()), put_so_far);
        // Merged fragments named packs again that the second device knew: it did not note them twice.
        let mut packs = second.database.pack_ids();
        let count = packs.len();
        packs.sort_unstable();
        packs.dedup();
        assert_eq!((packs.len(), count > 100), (count, true));
    }

    /// A commit that named every fragment that its device took over would be refused after 256.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "test code")]
    fn who_only_follows_names_no_more_fragments_than_who_it_follows() {
        let store = MemoryStore::new();
        let device = |name: &str| NewDevice::named(name).unwrap();
        let (first, code) = Vault::create(store.clone(), &MemoryHome::new(), device("first")).unwrap();
        let recover = |name| Vault::recover(store.clone(), &MemoryHome::new(), &code, device(name)).unwrap();
        let (second, third) = (recover("second"), recover("third"));
        [&first, &second].into_iter().for_each(|vault| vault.consent().grant(&Kind::NOTES).unwrap());
        let folder = tempfile::tempdir().unwrap();
        for n in 0..24 {
            // Edits and syncs, and then backups alone.
            let writer = if n == 5 { &second } else { &first };
            if n < 8 {
                put(writer, n, 5000);
            } else {
                std::fs::write(folder.path().join(format!("{n}")), [u8::try_from(n).unwrap(); 5000]).unwrap();
                let source = Source::Folder(&Folder::at(folder.path()));
                first.backup(&Kind::NOTES, "m", source, &Job::new()).unwrap();
            }
            for vault in [writer, &second, &third] {
                vault.sync(&Job::new()).unwrap();
            }
        }
        for vault in [&first, &second, &third] {
            let work = &mut *vault.work();
            let view = vault.refresh(work).unwrap();
            let (_, state) = view.kind("notes", vault.device()).unwrap();
            assert!(state.index.len() <= 3, "{}", state.index.len());
        }
        assert_eq!([&first, &second, &third].map(entries), [24; 3]);
        assert_eq!(entries(&recover("fourth")), 24);
    }
}
