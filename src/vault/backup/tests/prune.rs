//! What a prune would find and do, computed from the real tree and index of a vault: the crate has none yet. It
//! keeps the newest state alone.

use std::{collections::BTreeSet, fmt, ops::Bound};

use super::bytes;
use crate::{
    content::ChunkId,
    kinds::Kind,
    limits::OBJECT_BYTES_MAX,
    tree::{self, Walk},
    vault::{
        Vault,
        contents::{ContentReader, decode_entry, fetch_fragment},
    },
};

/// What there is, and what is to be done with it.
#[derive(Default)]
pub(super) struct Plan {
    live_chunks: u64,
    index_chunks: u64,
    fragments: u64,
    fragment_bytes: u64,
    dead_fragments: u64,
    kept: Group,
    /// Nothing of them is needed.
    dead: Group,
    /// Less than half of them is needed: that is written anew.
    sparse: Group,
}

#[derive(Default)]
struct Group {
    packs: u64,
    bytes: u64,
    live_bytes: u64,
}

pub(super) fn plan(vault: &Vault, kind: &Kind) -> Plan {
    let work = &mut *vault.work();
    let view = vault.refresh(work).unwrap();
    let (_, state) = view.kind(kind.name(), vault.device()).unwrap();
    let access = vault.access(kind.name(), &view).unwrap();
    let reader = ContentReader::new(access, 32 * 1024 * 1024).unwrap();
    let live = live(state.root, &reader);
    let mut plan = Plan { live_chunks: live.len() as u64, ..Plan::default() };
    let (mut open, mut seen) = (state.index.clone(), BTreeSet::new());
    while let Some(reference) = open.pop() {
        if !seen.insert(reference.id()) {
            continue;
        }
        let fragment = fetch_fragment(&access, &reference).unwrap();
        plan.fragments += 1;
        plan.fragment_bytes += reference.length() as u64;
        for pack in fragment.packs() {
            let live = pack.chunks().filter(|slot| live.binary_search(&short(slot.id)).is_ok());
            let live_bytes: u64 = live.map(|slot| u64::from(slot.length)).sum();
            plan.index_chunks += pack.lines().len() as u64;
            plan.add(u64::from(pack.length()), live_bytes);
        }
        open.extend(fragment.older().iter().filter(|older| !seen.contains(&older.id())).cloned());
    }
    let lines = vault.ledger().since(0).unwrap().map(Result::unwrap);
    plan.dead_fragments = lines.filter(|line| line.object == "index").count() as u64 - plan.fragments;
    plan
}

/// What the newest state needs, 16 bytes a chunk: ids are hashes, and half of one tells it apart.
fn live(root: Option<tree::Root>, reader: &ContentReader<'_>) -> Vec<u128> {
    let mut live = Vec::new();
    let mut page = |id: &ChunkId, _| {
        live.push(short(*id));
        Ok(Walk::Below)
    };
    tree::walk_pages(root, reader, &mut page).unwrap();
    for entry in tree::scan(root, reader, Bound::Unbounded) {
        let content = decode_entry(&entry.unwrap().1).unwrap().content.unwrap_or_default();
        assert_eq!(content.list_level, 0, "no file here needs lists");
        live.extend(content.chunks.as_chunks().0.iter().map(|id| short(ChunkId(*id))));
    }
    live.sort_unstable();
    live.dedup();
    live
}

fn short(id: ChunkId) -> u128 {
    u128::from_be_bytes(*id.0.first_chunk().unwrap())
}

impl Plan {
    fn add(&mut self, length: u64, live_bytes: u64) {
        let group = match live_bytes {
            0 => &mut self.dead,
            _ if live_bytes * 2 < length => &mut self.sparse,
            _ => &mut self.kept,
        };
        group.packs += 1;
        group.bytes += length;
        group.live_bytes += live_bytes;
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { live_chunks, index_chunks, fragments, fragment_bytes, dead_fragments, kept, dead, sparse } =
            self;
        writeln!(f, "prune: {live_chunks} chunks and pages are needed of {index_chunks} in the index")?;
        writeln!(
            f,
            "prune: {fragments} fragments of {} name them; {dead_fragments} more are not needed",
            bytes(*fragment_bytes)
        )?;
        for (what, group) in [("stay", kept), ("are deleted", dead), ("are written anew", sparse)] {
            let Group { packs, bytes: length, live_bytes } = group;
            writeln!(
                f,
                "prune: {packs} packs {what}: {}, {} of it needed",
                bytes(*length),
                bytes(*live_bytes)
            )?;
        }
        let put = sparse.live_bytes.div_ceil(OBJECT_BYTES_MAX as u64);
        let deleted = dead.packs + sparse.packs + dead_fragments;
        write!(
            f,
            "prune, computed: get {} packs ({}), put {put}, delete {deleted} objects in {} requests",
            sparse.packs,
            bytes(sparse.bytes),
            deleted.div_ceil(1000)
        )
    }
}
