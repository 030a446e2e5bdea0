//! What shares a frame, and what never does.

use std::{fs, path::Path};

use super::*;
use crate::{
    kinds::Kind,
    store::MemoryStore,
    vault::{At, Folder, NewDevice, Selection, Source, Vault, contents::fetch_fragment, testing::MemoryHome},
};

fn backup(vault: &Vault, folder: &Path) {
    let source = Source::Folder(&Folder::at(folder));
    vault.backup(&Kind::FILES, "folder", source, &Job::new()).unwrap();
}

/// How many of `texts` have a frame for themselves, and how many chunks share one.
fn frames(vault: &Vault, texts: &[Vec<u8>]) -> (usize, usize) {
    let work = &mut *vault.work();
    let view = vault.refresh(work).unwrap();
    let (_, state) = view.kind("files", vault.device()).unwrap();
    let access = vault.access("files", &view).unwrap();
    let mut open = state.index.clone();
    let (mut alone, mut shared) = (HashSet::new(), HashSet::new());
    while let Some(reference) = open.pop() {
        let fragment = fetch_fragment(&access, &reference).unwrap();
        open.extend(fragment.older().iter().cloned());
        for slot in fragment.packs().iter().flat_map(PackEntry::chunks) {
            let is_alone = slot.frame.plain == 0 || slot.frame.plain == slot.length;
            if is_alone {
                alone.insert(slot.id)
            } else {
                shared.insert(slot.id)
            };
        }
    }
    let ids = texts.iter().map(|text| ChunkId::derive(access.keys.chunk_id_key(), text));
    (ids.filter(|id| alone.contains(id)).count(), shared.len())
}

fn text(n: usize) -> Vec<u8> {
    (0..400).flat_map(|line| format!("{n} and {line}, {}\n", n * 7919 + line).into_bytes()).collect()
}

#[test]
fn attack_l6_a_file_that_changes_is_never_compressed_with_another() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let write = |n: usize, bytes: &[u8]| fs::write(folder.join(format!("{n:03}.txt")), bytes).unwrap();
    (0..100).for_each(|n| write(n, &text(n)));
    let device = NewDevice::named("phone").unwrap();
    let (vault, _) = Vault::create(MemoryStore::new(), &MemoryHome::new(), device).unwrap();
    vault.consent().grant(&Kind::FILES).unwrap();
    backup(&vault, &folder);
    let (_, many) = frames(&vault, &[]);
    assert!(many > 30, "small files that are new share frames");
    // Secrets that change, beside few files and beside as many new ones as fill frames.
    let mut secrets = Vec::new();
    for round in 0..3 {
        if round > 0 {
            (0..100).for_each(|n| write(1000 * round + n, &text(1000 * round + n)));
        }
        for n in 40..48 {
            secrets.push([text(n), b"guess".repeat(round + 1)].concat());
            write(n, secrets.last().unwrap());
        }
        backup(&vault, &folder);
    }
    let (alone, shared) = frames(&vault, &secrets);
    assert!(shared > many + 60);
    assert_eq!(alone, secrets.len());
    // All of them come back.
    let plan = vault.plan_restore(&[Selection::kind(Kind::FILES)], &At::Latest, &Job::new()).unwrap();
    let into = home.path().join("restored");
    assert_eq!(vault.restore(plan, &into, &Job::new()).unwrap().failures, []);
    for n in 0..100 {
        let name = format!("{n:03}.txt");
        let there = fs::read(into.join("files/folder").join(&name)).unwrap();
        assert_eq!(there, fs::read(folder.join(&name)).unwrap(), "{name}");
    }
}
