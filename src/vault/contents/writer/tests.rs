//! What shares a frame, and what never does.

use std::{fs, path::Path};

use super::*;
use crate::{
    content::ChunkEntry,
    kinds::Kind,
    store::MemoryStore,
    vault::{At, Folder, NewDevice, Selection, Source, Vault, contents::fetch_fragment, testing::MemoryHome},
};

fn backup(vault: &Vault, folder: &Path) {
    let source = Source::Folder(&Folder::at(folder));
    vault.backup(&Kind::FILES, "folder", source, &Job::new()).unwrap();
}

/// How many frames of the newest fragments hold one chunk, and how many several.
fn frames(vault: &Vault) -> (usize, usize) {
    let work = &mut *vault.work();
    let view = vault.refresh(work).unwrap();
    let (_, state) = view.kind("files", vault.device()).unwrap();
    let access = vault.access("files", &view).unwrap();
    let mut open = state.index.clone();
    let (mut alone, mut shared) = (0, 0);
    let mut packs = HashSet::new();
    while let Some(reference) = open.pop() {
        let fragment = fetch_fragment(&access, &reference).unwrap();
        open.extend(fragment.older().iter().cloned());
        for pack in fragment.packs().iter().filter(|pack| packs.insert(pack.object().id())) {
            let begins = |line: &ChunkEntry| line.begins_frame();
            let lines = pack.lines();
            let follow = lines.windows(2).filter(|pair| begins(&pair[0]) && !begins(&pair[1])).count();
            shared += follow;
            alone += lines.iter().filter(|line| begins(line)).count() - follow;
        }
    }
    (alone, shared)
}

fn text(n: usize) -> Vec<u8> {
    (0..400).flat_map(|line| format!("{n} and {line}, {}\n", n * 7919 + line).into_bytes()).collect()
}

#[test]
fn attack_l6_few_files_are_never_compressed_with_each_other() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let write = |n: usize, bytes: &[u8]| fs::write(folder.join(format!("{n:03}.txt")), bytes).unwrap();
    (0..100).for_each(|n| write(n, &text(n)));
    let device = NewDevice::named("phone").unwrap();
    let (vault, _) = Vault::create(MemoryStore::new(), &MemoryHome::new(), device).unwrap();
    vault.consent().grant(&Kind::FILES).unwrap();
    backup(&vault, &folder);
    let many = frames(&vault);
    assert!(many.1 > 1, "many small files share frames");
    // A secret that changes, and guesses beside it.
    for round in 0..3 {
        (40..48).for_each(|n| write(n, &[text(n), b"guess".repeat(round + 1)].concat()));
        backup(&vault, &folder);
    }
    let few = frames(&vault);
    assert_eq!(few.1, many.1);
    assert!(few.0 >= many.0 + 3 * 8);
    // All of them come back.
    let plan = vault.plan_restore(&[Selection::kind(Kind::FILES)], &At::Latest).unwrap();
    let into = home.path().join("restored");
    assert_eq!(vault.restore(plan, &into, &Job::new()).unwrap().failures, []);
    for n in 0..100 {
        let name = format!("{n:03}.txt");
        let there = fs::read(into.join("files/folder").join(&name)).unwrap();
        assert_eq!(there, fs::read(folder.join(&name)).unwrap(), "{name}");
    }
}
