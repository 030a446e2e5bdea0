//! One device does the whole job: backs up, is lost, and a new one restores with the code alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "test code"
)]

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use strongroom::{
    Error,
    crypto::{Random as _, SeededRandom},
    history::Freshness,
    keys::RecoveryCode,
    kinds::{CardReader, Kind},
    store::{
        MemoryStore, StoreErrorKind,
        faults::{Fault, FaultStore, Method},
    },
    vault::{At, Folder, Job, NewDevice, Selection, Source, Vault},
};

fn device(name: &str) -> NewDevice {
    NewDevice::named(name).unwrap()
}

fn sample_folder(at: &Path) {
    fs::create_dir_all(at.join("sub/empty")).unwrap();
    fs::write(at.join("a.txt"), "hello").unwrap();
    fs::write(at.join("a"), vec![7; 5000]).unwrap();
    fs::write(
        at.join("sub/big.bin"),
        (0..3_000_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect::<Vec<_>>(),
    )
    .unwrap();
    fs::write(at.join("sub/zero"), "").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("../a.txt", at.join("sub/link")).unwrap();
}

/// Everything below a folder: name to (bytes or link target).
fn contents(at: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut open = vec![at.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(at).unwrap().to_str().unwrap().to_owned();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_symlink() {
                found.insert(name, fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes());
            } else if meta.is_dir() {
                found.insert(name, b"folder".to_vec());
                open.push(path);
            } else {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_lost_phone_comes_back_with_the_code_alone() {
    let work = tempfile::tempdir().unwrap();
    let source = work.path().join("source");
    sample_folder(&source);
    let store = MemoryStore::new();
    let (vault, code) = Vault::create(store.clone(), work.path().join("old"), device("old phone")).unwrap();
    let job = Job::new();
    let folder = Folder::at(&source);

    let before = store.traffic();
    let refused = vault.backup(&Kind::FILES, "source", Source::Folder(&folder), &job);
    assert!(matches!(refused, Err(Error::NotConsented { .. })));
    assert_eq!(store.traffic().puts, before.puts, "nothing was sent");

    vault.consent().grant(&Kind::FILES).unwrap();
    let report = vault.backup(&Kind::FILES, "source", Source::Folder(&folder), &job).unwrap();
    assert_eq!(report.freshness, Freshness::Fresh);
    assert!(report.changed >= 6 && report.skipped.is_empty());
    let again = vault.backup(&Kind::FILES, "source", Source::Folder(&folder), &job).unwrap();
    assert_eq!((again.changed, again.sent_bytes, again.read_bytes), (0, 0, 0));
    drop(vault);

    let code = RecoveryCode::parse(&code.reveal()).unwrap();
    let vault = Vault::recover(store, work.path().join("new"), &code, device("new phone")).unwrap();
    let plan = vault.plan_restore(&[Selection::kind(Kind::FILES)], &At::Latest, &Job::new()).unwrap();
    assert_eq!(plan.freshness(), Freshness::Unproven);
    let restored = vault.restore(plan, work.path().join("out"), &job).unwrap();
    assert_eq!(restored.failures, []);
    assert_eq!(contents(&work.path().join("out/files/source")), contents(&source));
}

#[test]
fn a_file_comes_back_whatever_pieces_it_fills() {
    const PIECE: usize = strongroom::content::MEDIA_PIECE_BYTES;
    const LONG: usize = 4 * 1024 * 1024;
    let lengths = [0, 1, 4096, 300_000, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 4 * PIECE, LONG, LONG + 1];
    let work = tempfile::tempdir().unwrap();
    let source = work.path().join("source");
    fs::create_dir(&source).unwrap();
    let mut bytes = vec![0; LONG + 1];
    SeededRandom::new(21).fill(&mut bytes).unwrap();
    for length in lengths {
        fs::write(source.join(format!("{length}.jpg")), &bytes[bytes.len() - length..]).unwrap();
        fs::write(source.join(format!("{length}.txt")), vec![b'a'; length]).unwrap();
    }
    for threads in [1, 3] {
        let at = |name: &str| work.path().join(format!("{name}-{threads}"));
        let (vault, _) = Vault::create(MemoryStore::new(), at("home"), device("phone")).unwrap();
        let job = Job::new().with_threads(threads);
        for kind in [Kind::PHOTOS, Kind::FILES] {
            vault.consent().grant(&kind).unwrap();
            vault.backup(&kind, "source", Source::Folder(&Folder::at(&source)), &job).unwrap();
        }
        let selections = [Kind::PHOTOS, Kind::FILES].map(Selection::kind);
        let plan = vault.plan_restore(&selections, &At::Latest, &job).unwrap();
        let report = vault.restore(plan, at("out"), &job).unwrap();
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        for kind in ["photos", "files"] {
            assert!(contents(&at("out").join(kind).join("source")) == contents(&source), "{kind}, {threads}");
        }
    }
}

#[test]
fn a_card_without_its_line_end_does_not_swallow_the_next() {
    let work = tempfile::tempdir().unwrap();
    let store = MemoryStore::new();
    let (vault, _) = Vault::create(store, work.path().join("state"), device("phone")).unwrap();
    vault.consent().grant(&Kind::CONTACTS).unwrap();
    let cards = ["a", "b", "c", "d"].map(|name| format!("BEGIN:VCARD\r\nFN:{name}\r\nEND:VCARD"));
    for (name, last) in [("one", 0), ("two", 1), ("three", 2), ("four", 3)] {
        // Whichever card comes last in the stream, restored it stands where its key does.
        let mut order: Vec<_> = cards.iter().map(String::as_str).collect();
        let end = order.remove(last);
        let stream = format!("{}\r\n{end}", order.join("\r\n"));
        vault.backup(&Kind::CONTACTS, name, Source::Stream(&mut stream.as_bytes()), &Job::new()).unwrap();
        let selection = [Selection::path(Kind::CONTACTS, name).unwrap()];
        let plan = vault.plan_restore(&selection, &At::Latest, &Job::new()).unwrap();
        let planned = plan.entries();
        let report = vault.restore(plan, work.path().join("out"), &Job::new()).unwrap();
        assert_eq!((report.entries, report.failures), (planned, vec![]));
        let restored = fs::read(work.path().join("out/contacts").join(name)).unwrap();
        let mut back: Vec<_> = CardReader::new(restored.as_slice())
            .map(|card| String::from_utf8(card.unwrap()).unwrap().trim_end().to_owned())
            .collect();
        back.sort();
        assert_eq!(back, cards);
    }
}

/// A root that was made for a change which never got through is in no envelope: no roster announces it.
#[test]
fn a_change_that_failed_at_any_write_and_was_made_again_keeps_no_secret_out() {
    for failing in 0..5 {
        let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
        let state = |name: &str| folder.path().join(name);
        let (vault, code) = Vault::create(store.clone(), state("phone"), device("phone")).unwrap();
        drop(vault);
        let writes = AtomicU32::new(0);
        let faulty = FaultStore::new(store.clone(), move |request| {
            let stop = request.method == Method::Put && writes.fetch_add(1, Ordering::Relaxed) == failing;
            if stop { Fault::Before(StoreErrorKind::Refused) } else { Fault::None }
        });
        let vault = Vault::open(faulty, state("phone")).unwrap();
        assert!(vault.rotate().is_err());
        vault.rotate().unwrap();
        vault.sync(&Job::new()).unwrap();
        Vault::recover(store, state("new"), &code, device("new")).unwrap();
        assert_eq!(vault.sync(&Job::new()).unwrap().freshness, Freshness::Fresh, "write {failing}");
    }
}

#[test]
fn a_backup_that_failed_on_the_way_sends_nothing_again_that_arrived() {
    const FILES: u64 = 40;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let mut random = SeededRandom::new(7);
    for n in 0..FILES {
        let mut bytes = vec![0; 1 << 20];
        random.fill(&mut bytes).unwrap();
        fs::write(folder.join(format!("{n}.jpg")), bytes).unwrap();
    }
    // How many objects may come; the first ones of a backup are packs.
    let room = Arc::new(AtomicU32::new(u32::MAX));
    let left = Arc::clone(&room);
    let store = FaultStore::new(MemoryStore::new(), move |request| {
        let is_put = request.method == Method::Put;
        let one_less = |left: u32| left.checked_sub(1);
        if is_put && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
            return Fault::Before(StoreErrorKind::NoSpace);
        }
        Fault::None
    });
    let (vault, _) = Vault::create(store, home.path().join("home"), device("phone")).unwrap();
    vault.consent().grant(&Kind::PHOTOS).unwrap();
    let source = Folder::at(&folder);
    let backup = || vault.backup(&Kind::PHOTOS, "dcim", Source::Folder(&source), &Job::new());
    room.store(3, Ordering::Relaxed);
    assert!(matches!(backup(), Err(Error::Store(_))));
    room.store(u32::MAX, Ordering::Relaxed);
    let report = backup().unwrap();
    assert!(report.sent_bytes < (FILES - 3 * 7 + 2) << 20, "{} bytes sent", report.sent_bytes);
}

#[test]
fn in_the_least_memory_too_small_neighbours_are_fetched_together() {
    const FILES: usize = 400;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("folder");
    fs::create_dir(&folder).unwrap();
    for n in 0..FILES {
        let line = format!("the {n}th file says the same on each of its lines\n");
        fs::write(folder.join(format!("{n:03}.txt")), line.repeat(120)).unwrap();
    }
    let store = MemoryStore::new();
    let (vault, _) = Vault::create(store.clone(), home.path().join("home"), device("phone")).unwrap();
    vault.consent().grant(&Kind::NOTES).unwrap();
    vault.backup(&Kind::NOTES, "notes", Source::Folder(&Folder::at(&folder)), &Job::new()).unwrap();
    let job = Job::new().with_memory(Job::MEMORY_BYTES_MIN);
    let plan = vault.plan_restore(&[Selection::kind(Kind::NOTES)], &At::Latest, &job).unwrap();
    let before = store.traffic();
    let restored = vault.restore(plan, home.path().join("out"), &job).unwrap();
    assert_eq!(restored.failures, []);
    assert_eq!(contents(&home.path().join("out/notes/notes")), contents(&folder));
    let gets = store.traffic().gets - before.gets;
    assert!(gets < FILES as u64 / 4, "{gets} requests");
}
