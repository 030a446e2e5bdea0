//! What shares a frame, and what never does.

use std::{fs, path::Path};

use super::*;
use crate::{
    content::Chunker,
    crypto::SeededRandom,
    kinds::Kind,
    limits::CHUNK_BYTES_MAX,
    store::MemoryStore,
    tree::{PageReader as _, PageWriter as _},
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

#[test]
fn attack_l6_the_last_piece_of_a_long_file_shares_no_frame() {
    let home = tempfile::tempdir().unwrap();
    let device = NewDevice::named("phone").unwrap();
    let (vault, _) = Vault::create(MemoryStore::new(), &MemoryHome::new(), device).unwrap();
    vault.consent().grant(&Kind::FILES).unwrap();
    // A beginning that the vault's own key ends a chunk with, wherever that may be.
    let beginning = {
        let work = &mut *vault.work();
        let view = vault.refresh(work).unwrap();
        let (access, job) = (vault.access("files", &view).unwrap(), Job::new());
        let run = vault.database.begin_run("files").unwrap();
        let (clock, random) = (vault.clock.as_ref(), work.random.as_mut());
        let writer = ContentWriter::new(access, run, &job, clock, random, false).unwrap();
        let mut bytes = vec![0; CHUNK_BYTES_MAX];
        SeededRandom::new(3).fill(&mut bytes).unwrap();
        let cut = writer.chunker().next_cut(&bytes, false).unwrap();
        let text = text(0).into_iter().cycle().take(Chunker::BYTES_MIN);
        let text: Vec<u8> = text.chain(bytes[cut - 64..cut].iter().copied()).collect();
        assert_eq!(writer.chunker().next_cut(&[text.as_slice(), &[0]].concat(), true), Some(text.len()));
        text
    };
    let ends: Vec<_> = (1..100).map(text).collect();
    for (n, end) in ends.iter().enumerate() {
        fs::write(home.path().join(format!("{n}.txt")), [beginning.as_slice(), end].concat()).unwrap();
    }
    let (folder, job) = (Folder::at(home.path()), Job::new().with_threads(2));
    vault.backup(&Kind::FILES, "folder", Source::Folder(&folder), &job).unwrap();
    assert_eq!(frames(&vault, &ends), (ends.len(), 0));
}

#[test]
fn what_was_sent_is_read_and_not_stored_again_before_and_after_its_chunks_are_listed() {
    const PAGE_BYTES: usize = 48 * 1024;
    let device = NewDevice::named("phone").unwrap();
    let (vault, _) = Vault::create(MemoryStore::new(), &MemoryHome::new(), device).unwrap();
    vault.consent().grant(&Kind::FILES).unwrap();
    let work = &mut *vault.work();
    let view = vault.refresh(work).unwrap();
    let page = |n: u64| {
        let mut page = vec![0; PAGE_BYTES];
        SeededRandom::new(n).fill(&mut page).unwrap();
        page
    };
    for job in [Job::new().with_threads(1), Job::new().with_threads(3)] {
        let access = vault.access("files", &view).unwrap();
        let run = vault.database.begin_run("files").unwrap();
        let (clock, random) = (vault.clock.as_ref(), work.random.as_mut());
        let mut writer = &ContentWriter::new(access, run, &job, clock, random, false).unwrap();
        let first = writer.put_page(page(0)).unwrap();
        let mut more = 1..;
        let is_sent = |inner: &Inner<'_>| inner.unlisted.chunks > 0 && inner.packer.find(first).is_none();
        while !is_sent(&writer.inner.borrow()) {
            writer.put_page(page(more.next().unwrap())).unwrap();
        }
        assert_eq!(vault.database.chunk(first).unwrap(), None);
        let open = writer.inner.borrow().open.len();
        assert_eq!(writer.put(Shelf::Pages, page(0), false).unwrap(), first);
        assert_eq!(writer.inner.borrow().open.len(), open, "it is known");
        assert_eq!(writer.page(&first).unwrap(), page(0));
        assert!(vault.database.chunk(first).unwrap().is_some());
        let open = writer.inner.borrow().open.len();
        assert_eq!(writer.put(Shelf::Pages, page(0), false).unwrap(), first);
        assert_eq!(writer.inner.borrow().open.len(), open, "it is stored");
        writer.flush().unwrap();
        for n in 0..more.start {
            let id = ChunkId::derive(writer.access().keys.chunk_id_key(), &page(n));
            assert!(vault.database.chunk(id).unwrap().is_some(), "page {n}");
        }
        vault.database.forget_store().unwrap();
    }
}
