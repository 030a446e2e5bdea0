//! The store lost packs: a repair counts on them no more, and the next backups send again what was in them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "test code"
)]

mod attack_support;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use attack_support::{Phone, backup, device, files, noise, objects, remove, replace, restore_all};
use strongroom::{
    Error,
    kinds::Kind,
    limits::SEGMENT_BYTES,
    store::{
        StoreErrorKind,
        faults::{Fault, FaultStore, Method},
    },
    vault::{CheckOptions, CheckReport, Job, RepairReport, Vault},
};

fn repair(vault: &Vault) -> RepairReport {
    vault.repair(&Kind::FILES, &CheckOptions::new(), &Job::new()).unwrap()
}

fn check(vault: &Vault) -> CheckReport {
    vault.check(&CheckOptions::new().read_data(100), &Job::new()).unwrap()
}

/// A phone with short and long files in its store.
fn phone_with_files() -> (Phone, BTreeMap<String, Vec<u8>>) {
    let phone = Phone::new();
    for number in 0..30 {
        phone.write(&format!("short {number}"), noise(number, 9_000));
    }
    phone.write("long", noise(100, 3_000_000));
    phone.write("alike", noise(100, 3_000_000));
    phone.backup(&Kind::FILES).unwrap();
    let files = files(&phone.path("source"));
    (phone, files)
}

/// The packs that are there of a device's, but for short ones, as those of tree pages are here.
fn content_packs(vault: &Vault, phone: &Phone) -> Vec<String> {
    let all = objects(&phone.store);
    let lines = vault.ledger().since(0).unwrap().map(Result::unwrap);
    let packs = lines.filter(|line| line.object == "pack").map(|line| line.name);
    packs.filter(|name| all.get(name).is_some_and(|bytes| bytes.len() > 100_000)).collect()
}

fn content_pack(phone: &Phone) -> String {
    content_packs(&phone.vault, phone).remove(0)
}

fn assert_restores(vault: &Vault, into: &Path, expected: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(restore_all(vault, into).unwrap().failures, []);
    assert_eq!(&files(&into.join("files/source")), expected);
}

#[test]
fn what_was_lost_is_sent_again_after_a_repair_and_only_that() {
    let (phone, expected) = phone_with_files();
    let sound = check(&phone.vault);
    assert_eq!((sound.failures.len(), repair(&phone.vault).commit), (0, None));
    let lost = content_pack(&phone);
    let bytes = objects(&phone.store)[&lost].len() as u64;
    remove(&phone.store, &lost);
    assert!(check(&phone.vault).failures.len() > 1);
    // Nothing looks new, and what was sent once counts as stored.
    let report = phone.backup(&Kind::FILES).unwrap();
    assert_eq!((report.sent_bytes, report.commit), (0, None));

    let report = repair(&phone.vault);
    assert_eq!((report.lost, report.packs, report.commit.is_some()), (1, sound.packs - 1, true));
    let named = check(&phone.vault).failures;
    assert!(!named.is_empty() && named.iter().all(|failure| !failure.path.contains("pack")), "{named:?}");
    let report = phone.backup(&Kind::FILES).unwrap();
    assert_eq!((report.changed, report.deleted, report.conflicts.len()), (0, 0, 0));
    assert!(report.sent_bytes > 0 && report.sent_bytes <= 2 * bytes, "{} of {bytes}", report.sent_bytes);
    assert_eq!(check(&phone.vault).failures, []);
    assert_restores(&phone.vault, &phone.path("out"), &expected);
    assert_restores(&phone.recover("new").unwrap(), &phone.path("new out"), &expected);

    let report = phone.backup(&Kind::FILES).unwrap();
    assert_eq!((report.read_bytes, report.sent_bytes, report.commit), (0, 0, None));
    assert_eq!((repair(&phone.vault).lost, repair(&phone.vault).commit), (0, None));
    // What comes back does no harm, and neither does the next pack that is lost.
    let lost = content_pack(&phone);
    remove(&phone.store, &lost);
    assert_eq!(repair(&phone.vault).lost, 1);
    phone.backup(&Kind::FILES).unwrap();
    assert_eq!(check(&phone.vault).failures, []);
}

#[test]
fn a_pack_that_was_given_up_and_comes_back_is_read() {
    let (phone, expected) = phone_with_files();
    let name = content_pack(&phone);
    let bytes = objects(&phone.store)[&name].clone();
    remove(&phone.store, &name);
    assert_eq!(repair(&phone.vault).lost, 1);
    replace(&phone.store, &name, &bytes);
    assert_restores(&phone.vault, &phone.path("out"), &expected);
    assert_restores(&phone.recover("new").unwrap(), &phone.path("new out"), &expected);
    assert_eq!(check(&phone.vault).failures, []);
}

#[test]
fn a_damaged_pack_is_found_by_reading_it() {
    let (phone, expected) = phone_with_files();
    let name = content_pack(&phone);
    let mut bytes = objects(&phone.store)[&name].clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    replace(&phone.store, &name, &bytes);
    assert_eq!(repair(&phone.vault).lost, 0);
    let report = phone.vault.repair(&Kind::FILES, &CheckOptions::new().read_data(100), &Job::new()).unwrap();
    assert_eq!(report.lost, 1);
    assert!(report.bytes_read > 0);
    assert!(phone.backup(&Kind::FILES).unwrap().sent_bytes > 0);
    assert_restores(&phone.recover("new").unwrap(), &phone.path("out"), &expected);
}

#[test]
fn what_a_device_has_of_the_tree_itself_does_not_hide_that_the_store_lost_it() {
    const FILES: u64 = 4000;
    const TAG_BYTES: usize = 16;
    let phone = Phone::new();
    for number in 0..FILES {
        phone.write(&format!("short {number}"), noise(number, 20));
    }
    phone.backup(&Kind::FILES).unwrap();
    let check = || phone.vault.check(&CheckOptions::new(), &Job::new()).unwrap();
    assert_eq!((check().failures.len(), check().entries >= FILES), (0, true));
    let lines = phone.vault.ledger().since(0).unwrap().map(Result::unwrap);
    let (mut parts, mut whole_trees) = (0, 0);
    for name in lines.filter(|line| line.object == "pack").map(|line| line.name) {
        let bytes = objects(&phone.store)[&name].clone();
        for at in (0..bytes.len()).step_by(SEGMENT_BYTES + TAG_BYTES) {
            let mut spoiled = bytes.clone();
            spoiled[(at + 1000).min(bytes.len() - 1)] ^= 1;
            replace(&phone.store, &name, &spoiled);
            let report = check();
            parts += usize::from(!report.failures.is_empty());
            whole_trees += usize::from(report.entries == 0);
        }
        replace(&phone.store, &name, &bytes);
    }
    assert_eq!(check().failures, []);
    assert!(parts > 1 && whole_trees > 0, "{parts} parts that matter, {whole_trees} with the root");
}

#[test]
fn another_device_that_has_the_source_sends_what_was_lost_once_it_has_synced() {
    let (phone, expected) = phone_with_files();
    let other = phone.recover("other").unwrap();
    other.consent().grant(&Kind::FILES).unwrap();
    other.sync(&Job::new()).unwrap();
    let copy = phone.path("copy");
    fs::create_dir(&copy).unwrap();
    expected.iter().for_each(|(name, bytes)| fs::write(copy.join(name), bytes).unwrap());
    assert_eq!(backup(&other, &Kind::FILES, &copy).unwrap().conflicts, []);
    phone.vault.sync(&Job::new()).unwrap();

    remove(&phone.store, &content_pack(&phone));
    assert_eq!(repair(&phone.vault).lost, 1);
    let report = backup(&other, &Kind::FILES, &copy).unwrap();
    assert_eq!((report.changed, report.conflicts.len(), report.sent_bytes > 0), (0, 0, true));
    assert_eq!(check(&other).failures, []);
    for vault in [&phone.vault, &other, &phone.vault] {
        vault.sync(&Job::new()).unwrap();
    }
    assert_eq!(check(&phone.vault).failures, []);
    assert_restores(&phone.vault, &phone.path("out"), &expected);
    assert_restores(&phone.recover("third").unwrap(), &phone.path("third out"), &expected);
    for vault in [&phone.vault, &other] {
        assert_eq!(vault.sync(&Job::new()).unwrap().commit, None, "they never come to rest");
    }
}

#[test]
fn what_another_device_sent_again_is_found_after_a_sync() {
    let (phone, expected) = phone_with_files();
    let first = content_pack(&phone);
    let other = phone.recover("other").unwrap();
    other.consent().grant(&Kind::FILES).unwrap();
    remove(&phone.store, &first);
    assert_eq!(repair(&other).lost, 1);
    backup(&other, &Kind::FILES, &phone.path("source")).unwrap();
    assert_eq!(check(&other).failures, []);
    // The first device sends nothing: it only has to learn of it.
    phone.vault.sync(&Job::new()).unwrap();
    assert_restores(&phone.vault, &phone.path("out"), &expected);
    let report = phone.backup(&Kind::FILES).unwrap();
    assert_eq!((report.changed, report.sent_bytes), (0, 0));
}

#[test]
fn without_consent_nothing_is_repaired() {
    let (phone, _) = phone_with_files();
    phone.vault.consent().revoke(&Kind::FILES).unwrap();
    let refused = phone.vault.repair(&Kind::FILES, &CheckOptions::new(), &Job::new());
    assert!(matches!(refused, Err(Error::NotConsented { .. })), "{refused:?}");
}

/// Two devices sent the same, neither knowing of the other; the packs of one are lost.
fn lose_one_of_two(lose_own: bool) {
    let phone = Phone::new();
    let other = phone.recover("other").unwrap();
    other.consent().grant(&Kind::FILES).unwrap();
    let source = phone.path("source");
    phone.write("file", noise(1, 6_000_000));
    // What only one of them sends lies before what both do.
    phone.write("alone", noise(2, if lose_own { 3000 } else { 300_000 }));
    let before = objects(&phone.store);
    phone.backup(&Kind::FILES).unwrap();
    let mut sent = objects(&phone.store);
    sent.retain(|name, _| !before.contains_key(name));
    sent.keys().for_each(|name| remove(&phone.store, name));
    let expected = files(&source);
    fs::rename(source.join("alone"), phone.path("alone")).unwrap();
    backup(&other, &Kind::FILES, &source).unwrap();
    fs::rename(phone.path("alone"), source.join("alone")).unwrap();
    sent.iter().for_each(|(name, bytes)| replace(&phone.store, name, bytes));
    for vault in [&phone.vault, &other, &phone.vault] {
        vault.sync(&Job::new()).unwrap();
    }
    assert_eq!((check(&phone.vault).failures.len(), repair(&phone.vault).lost), (0, 0));
    let lost = content_packs(if lose_own { &phone.vault } else { &other }, &phone);
    lost.iter().for_each(|name| remove(&phone.store, name));
    assert_eq!(repair(&phone.vault).lost, lost.len() as u64);
    assert_eq!(check(&phone.vault).failures, []);
    assert_restores(&phone.vault, &phone.path("out"), &expected);
    assert_restores(&phone.recover("new").unwrap(), &phone.path("new out"), &expected);
    assert_eq!(phone.backup(&Kind::FILES).unwrap().sent_bytes, 0);
}

#[test]
fn what_another_pack_has_too_is_found_there_without_being_sent_again() {
    [true, false].into_iter().for_each(lose_one_of_two);
}

#[test]
fn a_device_with_edits_of_its_own_learns_what_is_lost_and_where_it_is_again() {
    let (phone, mut expected) = phone_with_files();
    let other = phone.recover("other").unwrap();
    other.consent().grant(&Kind::FILES).unwrap();
    backup(&other, &Kind::FILES, &phone.path("source")).unwrap();
    remove(&phone.store, &content_pack(&phone));
    assert_eq!(repair(&other).lost, 1);
    assert!(backup(&other, &Kind::FILES, &phone.path("source")).unwrap().sent_bytes > 0);
    phone.vault.records(&Kind::FILES).unwrap().put("source/edit", b"offline").unwrap();
    phone.vault.sync(&Job::new()).unwrap();
    expected.insert("edit".to_owned(), b"offline".to_vec());
    assert_restores(&phone.vault, &phone.path("out"), &expected);
    assert_restores(&phone.recover("new").unwrap(), &phone.path("new out"), &expected);
    assert_eq!(check(&phone.vault).failures, []);
}

#[test]
fn what_an_earlier_epoch_cut_is_sent_again_as_it_was() {
    let phone = Phone::new();
    let other = phone.recover("other").unwrap();
    phone.write("long", noise(3, 9_000_000));
    phone.backup(&Kind::FILES).unwrap();
    phone.vault.revoke(other.device()).unwrap();
    let lost = content_packs(&phone.vault, &phone);
    phone.write("later", "of the next epoch");
    phone.backup(&Kind::FILES).unwrap();
    lost.iter().for_each(|name| remove(&phone.store, name));
    assert_eq!(repair(&phone.vault).lost, lost.len() as u64);
    let report = phone.backup(&Kind::FILES).unwrap();
    assert_eq!((report.changed, report.conflicts.len(), report.sent_bytes > 9_000_000), (0, 0, true));
    assert_eq!(check(&phone.vault).failures, []);
    let expected = files(&phone.path("source"));
    assert_restores(&phone.recover("new").unwrap(), &phone.path("out"), &expected);
}

#[test]
fn nothing_is_given_up_when_a_page_of_the_tree_is_lost() {
    let (phone, _) = phone_with_files();
    let content = content_packs(&phone.vault, &phone);
    let pages: Vec<String> =
        phone.written("pack").into_iter().filter(|name| !content.contains(name)).collect();
    assert!(!pages.is_empty());
    pages.iter().chain(&content[..1]).for_each(|name| remove(&phone.store, name));
    let before = check(&phone.vault).failures;
    let refused = phone.vault.repair(&Kind::FILES, &CheckOptions::new(), &Job::new());
    assert!(refused.as_ref().is_err_and(Error::is_damage), "{refused:?}");
    assert_eq!(check(&phone.vault).failures, before);
}

/// One device sends again what was lost, and its put with this number fails.
fn send_again_with_a_failure(at: u32) {
    let (phone, expected) = phone_with_files();
    let countdown = Arc::new(AtomicU32::new(u32::MAX));
    let left = Arc::clone(&countdown);
    let store = FaultStore::new(phone.store.clone(), move |request| {
        let counts = request.method == Method::Put && left.load(Ordering::Relaxed) != u32::MAX;
        let fails = counts && left.fetch_sub(1, Ordering::Relaxed) == 0;
        if fails { Fault::Before(StoreErrorKind::NoSpace) } else { Fault::None }
    });
    let other = Vault::recover(store, phone.path("other"), &phone.code, device("other")).unwrap();
    other.consent().grant(&Kind::FILES).unwrap();
    let source = phone.path("source");
    assert_eq!(backup(&other, &Kind::FILES, &source).unwrap().changed, 0);
    remove(&phone.store, &content_pack(&phone));
    assert_eq!(repair(&other).lost, 1);
    countdown.store(at, Ordering::Relaxed);
    assert!(backup(&other, &Kind::FILES, &source).is_err());
    countdown.store(u32::MAX, Ordering::Relaxed);
    backup(&other, &Kind::FILES, &source).unwrap();
    assert_eq!(check(&other).failures, [], "at {at}");
    assert_restores(&phone.recover("new").unwrap(), &phone.path("out"), &expected);
}

#[test]
fn what_was_sent_again_counts_also_when_something_failed_on_the_way() {
    // A pack or two, the index, the commit.
    (0..3).for_each(send_again_with_a_failure);
}
