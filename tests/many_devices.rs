//! Several devices of one owner on one store: they edit, sync in any order, and agree.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "test code"
)]

mod devices_support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use devices_support::{World, objects, world};
use strongroom::{
    Error,
    history::Freshness,
    keys::DeviceState,
    kinds::Kind,
    store::{
        Store as _, StoreErrorKind,
        faults::{Fault, FaultStore, Method},
    },
    vault::{At, BackupReport, EventKind, Folder, Job, NewDevice, Selection, Source, Vault},
};

#[test]
fn three_devices_edit_and_sync_in_any_order() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let world = world(3, &[Kind::NOTES]);
        world.put(0, &Kind::NOTES, "n/shared", "first");
        world.put(0, &Kind::NOTES, "n/gone", "to be deleted");
        world.settle();
        world.assert_all_have(&Kind::NOTES, &[("n/gone", "to be deleted"), ("n/shared", "first")]);
        world.put(0, &Kind::NOTES, "n/a", "of a");
        world.put(1, &Kind::NOTES, "n/b", "of b");
        world.put(2, &Kind::NOTES, "n/shared", "edited by c");
        world.devices[1].records(&Kind::NOTES).unwrap().delete("n/gone").unwrap();
        order.iter().for_each(|n| {
            world.sync(*n);
        });
        world.settle();
        world.assert_all_have(&Kind::NOTES, &[("n/a", "of a"), ("n/b", "of b"), ("n/shared", "edited by c")]);
    }
}

#[test]
fn a_true_conflict_leaves_both_versions_and_an_edit_beats_a_deletion() {
    let world = world(3, &[Kind::NOTES]);
    world.put(0, &Kind::NOTES, "n/note.md", "base");
    world.put(0, &Kind::NOTES, "n/other.md", "base");
    world.settle();
    world.put(0, &Kind::NOTES, "n/note.md", "from a");
    world.put(1, &Kind::NOTES, "n/note.md", "from b");
    world.devices[1].records(&Kind::NOTES).unwrap().delete("n/other.md").unwrap();
    world.put(2, &Kind::NOTES, "n/other.md", "edited");
    let conflicts: usize = (0..3).map(|n| world.sync(n).conflicts.len()).sum();
    assert!(conflicts >= 1);
    world.settle();
    let all = world.contents(0, &Kind::NOTES);
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(all["n/other.md"], "edited");
    let mut versions: Vec<_> =
        all.iter().filter(|(path, _)| path.starts_with("n/note")).map(|(_, text)| text.as_str()).collect();
    versions.sort_unstable();
    assert_eq!(versions, ["from a", "from b"]);
    let copy = all.keys().find(|path| path.contains("(conflict ")).unwrap();
    assert!(copy.ends_with(").md"), "{copy}");
    for n in 1..3 {
        assert_eq!(world.contents(n, &Kind::NOTES), all);
    }
}

#[test]
fn a_commit_without_data_makes_no_kind_newer() {
    let world = world(2, &[Kind::NOTES]);
    world.put(0, &Kind::NOTES, "n/a", "of a");
    world.settle();
    world.put(0, &Kind::NOTES, "n/later", "of a");
    world.sync(0);
    // Device 1 has not heard of that, and speaks of something else.
    world.devices[1].rotate().unwrap();
    let all = [("n/a", "of a"), ("n/later", "of a")];
    let (code, device) = (&world.code, NewDevice::named("new").unwrap());
    let new = Vault::recover(world.store.clone(), world.folder.path().join("new"), code, device).unwrap();
    let plan = new.plan_restore(&Selection::all(), &At::Latest, &Job::new()).unwrap();
    assert_eq!((plan.entries(), plan.unmerged()), (2, [].as_slice()), "both notes");
    world.settle();
    world.assert_all_have(&Kind::NOTES, &all);
}

#[test]
fn a_state_that_adds_nothing_hides_none_that_does() {
    let world = world(2, &[Kind::NOTES]);
    world.put(0, &Kind::NOTES, "n/a", "of a");
    world.sync(0);
    let before = world.store.snapshot();
    world.put(0, &Kind::NOTES, "n/later", "of a");
    world.sync(0);
    let after_first = objects(&world.store);
    world.store.restore(&before);
    // Device 1 takes over what there was, not knowing of what came after, and later by the clock.
    assert!(world.sync(1).commit.is_some());
    after_first.iter().for_each(|(name, bytes)| drop(world.store.put(name, bytes)));
    let all = BTreeMap::from(["n/a", "n/later"].map(|path| (path.to_owned(), "of a".to_owned())));
    assert_eq!(world.contents(0, &Kind::NOTES), all, "before it has said so");
    assert!(world.sync(0).commit.is_some(), "it says that it has merged the other");
    assert!(world.sync(0).commit.is_none(), "once");
    let (code, device) = (&world.code, NewDevice::named("new").unwrap());
    let new = Vault::recover(world.store.clone(), world.folder.path().join("new"), code, device).unwrap();
    let plan = new.plan_restore(&Selection::all(), &At::Latest, &Job::new()).unwrap();
    assert_eq!((plan.entries(), plan.unmerged()), (2, [].as_slice()));
    world.settle();
    assert_eq!(world.contents(1, &Kind::NOTES), all);
}

#[test]
fn a_plan_names_what_no_device_has_merged_yet() {
    let world = world(2, &[Kind::NOTES]);
    world.settle();
    let before = world.store.snapshot();
    world.put(0, &Kind::NOTES, "n/a", "of a");
    world.sync(0);
    let after_first = objects(&world.store);
    world.store.restore(&before);
    world.put(1, &Kind::NOTES, "n/b", "of b");
    world.sync(1);
    after_first.iter().for_each(|(name, bytes)| drop(world.store.put(name, bytes)));
    let (code, device) = (&world.code, NewDevice::named("new").unwrap());
    let new = Vault::recover(world.store.clone(), world.folder.path().join("new"), code, device).unwrap();
    let plan = new.plan_restore(&Selection::all(), &At::Latest, &Job::new()).unwrap();
    let [other] = plan.unmerged() else { panic!("{:?}", plan.unmerged()) };
    assert_eq!(other.kind, "notes");
    let latest =
        new.plan_restore(&Selection::all(), &At::Snapshot(other.snapshot.clone()), &Job::new()).unwrap();
    assert_eq!((plan.entries(), latest.entries()), (1, 1), "each has its own note");
    new.consent().grant(&Kind::NOTES).unwrap();
    new.sync(&Job::new()).unwrap();
    let plan = new.plan_restore(&Selection::all(), &At::Latest, &Job::new()).unwrap();
    assert_eq!((plan.entries(), plan.unmerged()), (2, [].as_slice()));
}

#[test]
fn nothing_new_writes_nothing_and_reads_one_object_a_device() {
    let world = world(3, &[Kind::NOTES]);
    world.put(0, &Kind::NOTES, "n/a", "x");
    world.settle();
    let before = objects(&world.store).len();
    for n in 0..3 {
        let outcome = world.sync(n);
        assert_eq!((outcome.commit, outcome.changed, outcome.sent_bytes), (None, 0, 0));
    }
    assert_eq!(objects(&world.store).len(), before);
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
}

fn backup(world: &World, device: usize, folder: &Path) -> BackupReport {
    let source = Folder::at(folder);
    world.devices[device].backup(&Kind::NOTES, "notes", Source::Folder(&source), &Job::new()).unwrap()
}

fn restored(world: &World, device: usize, name: &str) -> BTreeMap<String, String> {
    let out = world.folder.path().join(name);
    let vault = &world.devices[device];
    let plan = vault.plan_restore(&[Selection::kind(Kind::NOTES)], &At::Latest, &Job::new()).unwrap();
    vault.restore(plan, &out, &Job::new()).unwrap();
    let folder = out.join("notes/notes");
    let files = fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
    });
    files.collect()
}

#[test]
fn folders_on_two_devices_are_one_source() {
    let world = world(2, &[Kind::NOTES]);
    let [a, b] = ["a/notes", "b/notes"].map(|name| world.folder.path().join(name));
    for folder in [&a, &b] {
        write(folder, "shared.md", "base");
        write(folder, "deleted.md", "soon gone");
    }
    backup(&world, 0, &a);
    backup(&world, 1, &b);
    world.settle();
    write(&a, "of-a.md", "a");
    write(&a, "shared.md", "edited by a, longer");
    fs::remove_file(b.join("deleted.md")).unwrap();
    write(&b, "of-b.md", "b");
    backup(&world, 0, &a);
    backup(&world, 1, &b);
    world.settle();
    let wanted: BTreeMap<String, String> =
        [("of-a.md", "a"), ("of-b.md", "b"), ("shared.md", "edited by a, longer")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into();
    assert_eq!(restored(&world, 0, "out-0"), wanted);
    assert_eq!(restored(&world, 1, "out-1"), wanted);
    // What b's folder never had is not deleted by it, and its old version of the shared note is no edit.
    backup(&world, 1, &b);
    backup(&world, 0, &a);
    world.settle();
    assert_eq!(restored(&world, 0, "out-2"), wanted);
    // An edit in a folder that lacks another device's edit is a true conflict.
    write(&b, "shared.md", "edited by b, much longer");
    let report = backup(&world, 1, &b);
    assert_eq!(report.conflicts.len(), 1);
    world.settle();
    let all = restored(&world, 0, "out-3");
    assert_eq!(all.len(), 4);
    let mut texts: Vec<_> = all.values().map(String::as_str).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["a", "b", "edited by a, longer", "edited by b, much longer"]);
}

/// Text that is cut in several places.
fn long_text() -> String {
    (0..200_000_u64).map(|n| format!("{:016x}\n", (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

#[test]
fn the_same_long_file_backed_up_elsewhere_in_another_epoch_is_no_conflict() {
    let world = world(2, &[Kind::NOTES]);
    let [a, b] = ["a/notes", "b/notes"].map(|name| world.folder.path().join(name));
    let text = long_text();
    write(&a, "long.txt", &text);
    write(&a, "other.txt", &text);
    backup(&world, 0, &a);
    world.devices[0].rotate().unwrap();
    world.settle();
    write(&b, "long.txt", &text);
    write(&b, "other.txt", &text.replacen("cafe", "babe", 1));
    let report = backup(&world, 1, &b);
    assert_eq!(report.conflicts.len(), 1, "of the other, which differs: {report:?}");
    assert!(report.sent_bytes < 4_500_000, "of one file: {report:?}");
    let edited = format!("{text}, edited");
    write(&b, "long.txt", &edited);
    let report = backup(&world, 1, &b);
    assert_eq!((report.changed, report.conflicts.len()), (1, 0), "{report:?}");
    world.settle();
    assert_eq!(restored(&world, 0, "out")["long.txt"], edited);
}

#[test]
fn a_long_file_that_is_only_touched_after_a_rotation_is_not_edited() {
    let world = world(2, &[Kind::NOTES]);
    let [a, b] = ["a/notes", "b/notes"].map(|name| world.folder.path().join(name));
    let text = long_text();
    let other = text.replace('f', "e");
    for folder in [&a, &b] {
        write(folder, "edited.txt", &text);
        write(folder, "deleted.txt", &other);
    }
    backup(&world, 0, &a);
    world.settle();
    backup(&world, 1, &b);
    world.settle();
    let before = world.store.snapshot();
    let edited = format!("{text}, edited");
    write(&a, "edited.txt", &edited);
    fs::remove_file(a.join("deleted.txt")).unwrap();
    backup(&world, 0, &a);
    let of_first = objects(&world.store);
    world.store.restore(&before);
    // Device 1 hears nothing of that, and goes on in an epoch of its own.
    world.devices[1].rotate().unwrap();
    write(&b, "edited.txt", &text);
    write(&b, "deleted.txt", &other);
    let report = backup(&world, 1, &b);
    assert_eq!(report.changed, 2, "their times");
    assert!(report.sent_bytes < 100_000, "{report:?}");
    of_first.iter().for_each(|(name, bytes)| drop(world.store.put(name, bytes)));
    world.settle();
    for device in 0..2 {
        let all = restored(&world, device, &format!("out-{device}"));
        assert_eq!(all.keys().collect::<Vec<_>>(), ["edited.txt"]);
        assert!(all["edited.txt"] == edited);
    }
}

/// Two devices that have backed up the same long file, each from a folder of its own, and have synced.
fn two_with_a_long_file() -> (World, [PathBuf; 2], String) {
    let world = world(2, &[Kind::NOTES]);
    let folders = ["a/notes", "b/notes"].map(|name| world.folder.path().join(name));
    let text = long_text();
    for (device, folder) in folders.iter().enumerate() {
        write(folder, "long.txt", &text);
        backup(&world, device, folder);
        world.settle();
    }
    (world, folders, text)
}

#[test]
fn of_long_files_that_two_devices_edit_the_newer_keeps_the_name_as_long_as_nothing_was_rotated() {
    let (world, [a, b], text) = two_with_a_long_file();
    write(&a, "long.txt", &format!("{text}, edited"));
    backup(&world, 0, &a);
    world.settle();
    let newer = format!("{text}, edited later");
    write(&b, "long.txt", &newer);
    assert_eq!(backup(&world, 1, &b).conflicts.len(), 1);
    world.settle();
    assert!(restored(&world, 0, "out")["long.txt"] == newer);
}

#[test]
fn what_looks_edited_since_a_rotation_takes_no_edit_of_another_device_its_name() {
    let (world, [a, b], text) = two_with_a_long_file();
    world.devices[0].rotate().unwrap();
    let edited = format!("{text}, edited");
    write(&a, "long.txt", &edited);
    backup(&world, 0, &a);
    world.settle();
    write(&b, "long.txt", &text);
    assert_eq!(backup(&world, 1, &b).conflicts.len(), 1);
    world.settle();
    let all = restored(&world, 0, "out");
    assert_eq!(all.len(), 2);
    assert!(all["long.txt"] == edited && all.values().any(|content| *content == text));
}

#[test]
fn lists_of_messages_unite_without_duplicates() {
    let world = world(2, &[Kind::MESSAGES]);
    let document = |messages: &[(&str, &str)]| {
        let line = |(n, who): &(&str, &str)| {
            format!("<sms address='+1' date='{n}' type='1' body='message {n}' contact_name='{who}'/>")
        };
        let lines: Vec<_> = messages.iter().map(line).collect();
        format!("<?xml version='1.0'?><smses count='{}'>{}</smses>", lines.len(), lines.join(""))
    };
    let backup = |device: usize, text: &str| {
        let mut stream = text.as_bytes();
        world.devices[device]
            .backup(&Kind::MESSAGES, "messages.xml", Source::Stream(&mut stream), &Job::new())
            .unwrap()
    };
    let a = document(&[("1", "Ana"), ("2", "Ana"), ("3", "Ana")]);
    let b = document(&[("2", "Anna M."), ("3", "Ana"), ("4", "Ana")]);
    backup(0, &a);
    backup(1, &b);
    world.settle();
    let count = |device: usize| {
        let mut count = 0;
        let vault = &world.devices[device];
        vault
            .list(&Kind::MESSAGES, "", &At::Latest, &mut |_| {
                count += 1;
                Ok(())
            })
            .unwrap();
        count
    };
    assert_eq!((count(0), count(1)), (4, 4));
    // The same exports again say nothing new, on either phone: no tug of war over the name.
    for _ in 0..2 {
        let changed = (backup(0, &a).changed, backup(1, &b).changed);
        world.settle();
        assert_eq!(changed, (0, 0));
    }
}

#[test]
fn every_device_is_told_of_devices_and_secrets() {
    let world = world(2, &[Kind::NOTES]);
    world.settle();
    let third = Vault::recover(
        world.store.clone(),
        world.folder.path().join("third"),
        &world.code,
        NewDevice::named("new").unwrap(),
    )
    .unwrap();
    let events = world.sync(0).events;
    assert!(events.iter().any(|event| event.by.is_none()
        && matches!(&event.what, EventKind::DeviceAdded { name, .. } if name == "new")));
    world.devices[1].set_password("correct horse").unwrap();
    let events: Vec<_> = world.sync(0).events.into_iter().map(|event| event.what).collect();
    assert!(events.contains(&EventKind::PasswordChanged), "{events:?}");
    world.devices[0].revoke(third.device()).unwrap();
    let events: Vec<_> = world.sync(1).events.into_iter().map(|event| event.what).collect();
    assert!(events.contains(&EventKind::DeviceRevoked { device: third.device() }), "{events:?}");
    assert!(world.sync(1).events.is_empty());
    let info = world.devices[1].devices().unwrap();
    assert!(info.iter().any(|info| info.id == third.device() && info.state != DeviceState::Active));
}

#[test]
fn a_recovered_device_becomes_fresh_once_another_has_seen_it() {
    let world = world(2, &[Kind::NOTES]);
    assert_eq!(world.devices[1].freshness().unwrap(), Freshness::Unproven);
    world.put(0, &Kind::NOTES, "n/a", "x");
    world.sync(0);
    assert_eq!(world.sync(1).freshness, Freshness::Fresh);
}

#[test]
fn two_rotations_at_once_end_in_one_state() {
    let world = world(3, &[Kind::NOTES]);
    world.settle();
    let before = world.store.snapshot();
    // Device 1 rotates in a store that device 0's rotation has not reached yet.
    world.devices[0].set_password("one").unwrap();
    let after_first = objects(&world.store);
    world.store.restore(&before);
    world.devices[1].rotate().unwrap();
    after_first.iter().for_each(|(name, bytes)| drop(world.store.put(name, bytes)));
    world.put(2, &Kind::NOTES, "n/a", "x");
    world.settle();
    world.assert_all_have(&Kind::NOTES, &[("n/a", "x")]);
}

#[test]
fn a_restored_folder_is_this_devices_own_from_then_on() {
    let world = world(2, &[Kind::NOTES]);
    let a = world.folder.path().join("a/notes");
    for name in ["kept.md", "deleted.md", "edited.md", "twice.md"] {
        write(&a, name, "base");
    }
    fs::create_dir_all(a.join("folder")).unwrap();
    fs::write(a.join("folder/inside.md"), "inside").unwrap();
    backup(&world, 0, &a);
    world.sync(1);
    let all = restored_paths(&world, 1, "b");
    assert_eq!(all.len(), 6);
    let b = world.folder.path().join("b/notes/notes");
    fs::remove_file(b.join("deleted.md")).unwrap();
    fs::remove_dir_all(b.join("folder")).unwrap();
    write(&b, "edited.md", "edited by b");
    write(&b, "twice.md", "by b, later");
    write(&a, "twice.md", "by a");
    fs::write(a.join("folder/new.md"), "a new one in a folder that b deletes").unwrap();
    backup(&world, 0, &a);
    let report = backup(&world, 1, &b);
    assert_eq!((report.deleted, report.conflicts.len()), (3, 1), "{report:?}");
    world.settle();
    let all = restored_paths(&world, 0, "out");
    let copy = all.keys().find(|path| path.contains("conflict")).unwrap().clone();
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    let wanted = ["edited.md", "folder", "folder/new.md", "kept.md", copy.as_str(), "twice.md"];
    assert_eq!(names, wanted);
    assert_eq!(all["edited.md"], "edited by b");
    let mut twice = [all["twice.md"].as_str(), all[&copy].as_str()];
    twice.sort_unstable();
    assert_eq!(twice, ["by a", "by b, later"]);
}

#[test]
fn only_what_is_as_it_was_recorded_is_this_devices_own_after_a_restore() {
    let world = world(2, &[Kind::NOTES]);
    let a = world.folder.path().join("a/notes");
    let names = ["kept.md", "other.md", "found.md", "found-and-edited.md", "edited.md"];
    for name in names {
        write(&a, name, "base");
    }
    backup(&world, 0, &a);
    world.sync(1);
    let b = world.folder.path().join("b/notes/notes");
    write(&b, "other.md", "was there, of other length");
    write(&b, "found-and-edited.md", "BASE");
    write(&b, "found.md", "base");
    let recorded = fs::metadata(a.join("found.md")).unwrap().modified().unwrap();
    fs::File::options().write(true).open(b.join("found.md")).unwrap().set_modified(recorded).unwrap();
    let vault = &world.devices[1];
    let plan = || vault.plan_restore(&[Selection::kind(Kind::NOTES)], &At::Latest, &Job::new()).unwrap();
    let report = vault.restore(plan(), world.folder.path().join("b"), &Job::new()).unwrap();
    assert_eq!((report.failures.len(), report.found), (2, 1), "{:?}", report.failures);
    for name in names.iter().filter(|name| **name != "edited.md") {
        fs::remove_file(b.join(name)).unwrap();
    }
    write(&b, "edited.md", "edit");
    let report = backup(&world, 1, &b);
    // What was found there as it was to be is as good as restored: it was deleted like `kept.md`.
    assert_eq!((report.deleted, report.changed), (2, 1), "{report:?}");
    world.settle();
    let all = restored_paths(&world, 0, "out");
    let wanted = [("edited.md", "edit"), ("found-and-edited.md", "base"), ("other.md", "base")];
    assert!(all.iter().map(|(name, text)| (name.as_str(), text.as_str())).eq(wanted), "{all:?}");
}

#[test]
fn a_restore_that_was_cancelled_makes_nothing_this_devices_own() {
    let world = world(2, &[Kind::NOTES]);
    let a = world.folder.path().join("a/notes");
    for name in 0..6000 {
        write(&a, &format!("{name:04}.md"), "base");
    }
    backup(&world, 0, &a);
    world.sync(1);
    let vault = &world.devices[1];
    let plan = vault.plan_restore(&[Selection::kind(Kind::NOTES)], &At::Latest, &Job::new()).unwrap();
    let job = Arc::new_cyclic(|job: &Weak<Job>| {
        let job = job.clone();
        Job::new().watched(move |progress| {
            if progress.items > 5000 {
                job.upgrade().unwrap().cancel();
            }
        })
    });
    let cancelled = vault.restore(plan, world.folder.path().join("b"), &job);
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    let b = world.folder.path().join("b/notes/notes");
    fs::remove_file(b.join("0000.md")).unwrap();
    let report = backup(&world, 1, &b);
    assert_eq!((report.deleted, report.changed), (0, 0), "{report:?}");
}

#[test]
fn a_file_that_could_not_be_restored_was_not_deleted() {
    let world = world(1, &[Kind::NOTES]);
    let (vault, into) = (&world.devices[0], world.folder.path().join("a"));
    let folder = into.join("notes/notes");
    write(&folder, "kept.md", "base");
    backup(&world, 0, &folder);
    let before = objects(&world.store);
    // Enough to fill packs of its own.
    let mut noise = 1_u64;
    let noise = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (noise >> 56) as u8
    });
    fs::write(folder.join("lost.md"), noise.take(20 << 20).collect::<Vec<_>>()).unwrap();
    backup(&world, 0, &folder);
    fs::remove_file(folder.join("lost.md")).unwrap();
    let restore = || {
        let plan = vault.plan_restore(&[Selection::kind(Kind::NOTES)], &At::Latest, &Job::new())?;
        vault.restore(plan, &into, &Job::new())
    };
    // The object with the content is the one without which only the file cannot be had.
    let is_lost = |name: &_| {
        world.store.delete(name).unwrap();
        let report = restore();
        fs::remove_file(folder.join("lost.md")).ok();
        report.is_ok_and(|report| report.failures.iter().any(|failure| failure.path.ends_with("lost.md")))
    };
    let new = objects(&world.store).into_iter().filter(|object| !before.contains(object));
    let found = new.into_iter().any(|(name, bytes)| {
        let is_lost = is_lost(&name);
        world.store.put(&name, &bytes).unwrap();
        is_lost
    });
    assert!(found);
    let report = backup(&world, 0, &folder);
    assert_eq!((report.deleted, report.changed), (0, 0), "{report:?}");
    assert!(restore().unwrap().failures.iter().all(|failure| failure.path.ends_with("kept.md")));
    assert!(folder.join("lost.md").exists());
}

#[test]
fn a_pack_that_never_arrived_is_named_by_no_commit() {
    let world = world(1, &[Kind::NOTES]);
    let (b, is_cut) = (&world.devices[0], Arc::new(AtomicBool::new(false)));
    let cut = Arc::clone(&is_cut);
    let store = FaultStore::new(world.store.clone(), move |request| {
        let fails = request.method == Method::Put && cut.load(Ordering::Relaxed);
        if fails { Fault::Before(StoreErrorKind::NoSpace) } else { Fault::None }
    });
    let a = Vault::recover(store, world.folder.path().join("a"), &world.code, NewDevice::named("a").unwrap());
    let a = a.unwrap();
    a.consent().grant(&Kind::NOTES).unwrap();
    world.put(0, &Kind::NOTES, "n/one", "of b");
    world.sync(0);
    a.sync(&Job::new()).unwrap();
    let folder = world.folder.path().join("notes");
    (0..50_u32).for_each(|n| write(&folder, &format!("{n}.md"), &format!("{n} ").repeat(3000)));
    let source = Folder::at(&folder);
    let backup = || a.backup(&Kind::NOTES, "notes", Source::Folder(&source), &Job::new());

    is_cut.store(true, Ordering::Relaxed);
    assert!(matches!(backup(), Err(Error::Store(_))));
    is_cut.store(false, Ordering::Relaxed);
    world.put(0, &Kind::NOTES, "n/two", "of b");
    world.sync(0);
    a.sync(&Job::new()).unwrap();
    backup().unwrap();
    world.sync(0);
    let out = world.folder.path().join("out");
    let plan = b.plan_restore(&[Selection::kind(Kind::NOTES)], &At::Latest, &Job::new()).unwrap();
    let report = b.restore(plan, &out, &Job::new()).unwrap();
    assert!(report.failures.is_empty(), "{report:?}");
    assert_eq!(fs::read_dir(out.join("notes/notes")).unwrap().count(), 50);
}

/// A backup's packs do not arrive, and consent, taken back, is given again at a request in the middle of a sync.
/// Whether that request came; another device backs the same files up then, and all of them are there.
fn consent_in_the_middle_of_a_sync(at: u32) -> bool {
    let world = world(1, &[Kind::NOTES]);
    let (b, is_cut) = (&world.devices[0], Arc::new(AtomicBool::new(false)));
    let (left, granting) = (Arc::new(AtomicU32::new(u32::MAX)), Arc::new(OnceLock::<Weak<Vault>>::new()));
    let (cut, countdown, to_grant) = (Arc::clone(&is_cut), Arc::clone(&left), Arc::clone(&granting));
    let store = FaultStore::new(world.store.clone(), move |request| {
        let counts = countdown.load(Ordering::Relaxed) != u32::MAX;
        if counts && countdown.fetch_sub(1, Ordering::Relaxed) == 0 {
            let vault = to_grant.get().and_then(Weak::upgrade).unwrap();
            vault.consent().grant(&Kind::NOTES).unwrap();
        }
        let fails = request.method == Method::Put && cut.load(Ordering::Relaxed);
        if fails { Fault::Before(StoreErrorKind::NoSpace) } else { Fault::None }
    });
    let a = Vault::recover(store, world.folder.path().join("a"), &world.code, NewDevice::named("a").unwrap());
    let a = Arc::new(a.unwrap());
    granting.set(Arc::downgrade(&a)).unwrap();
    a.consent().grant(&Kind::NOTES).unwrap();
    world.put(0, &Kind::NOTES, "n/one", "of b");
    world.sync(0);
    a.sync(&Job::new()).unwrap();
    let folder = world.folder.path().join("notes");
    (0..50_u32).for_each(|n| write(&folder, &format!("{n}.md"), &format!("{n} ").repeat(3000)));
    is_cut.store(true, Ordering::Relaxed);
    let cut_off = a.backup(&Kind::NOTES, "notes", Source::Folder(&Folder::at(&folder)), &Job::new());
    assert!(matches!(cut_off, Err(Error::Store(_))));
    is_cut.store(false, Ordering::Relaxed);
    a.consent().revoke(&Kind::NOTES).unwrap();
    world.put(0, &Kind::NOTES, "n/two", "of b");
    world.sync(0);

    left.store(at, Ordering::Relaxed);
    a.sync(&Job::new()).unwrap();
    let came = a.consent().allows(&Kind::NOTES);
    left.store(u32::MAX, Ordering::Relaxed);
    a.consent().grant(&Kind::NOTES).unwrap();
    // With news of it the other device takes over its index.
    a.records(&Kind::NOTES).unwrap().put("n/three", b"of a").unwrap();
    a.sync(&Job::new()).unwrap();
    world.sync(0);
    backup(&world, 0, &folder);
    let out = world.folder.path().join("out");
    let plan = b.plan_restore(&[Selection::kind(Kind::NOTES)], &At::Latest, &Job::new()).unwrap();
    let report = b.restore(plan, &out, &Job::new()).unwrap();
    assert!(report.failures.is_empty(), "request {at}: {report:?}");
    came
}

#[test]
fn consent_in_the_middle_of_a_sync_names_no_pack_that_never_arrived() {
    let requests = (0..100).take_while(|at| consent_in_the_middle_of_a_sync(*at)).count();
    assert!((1..100).contains(&requests), "{requests}");
}

#[test]
fn what_a_damaged_page_told_of_was_not_deleted() {
    let world = world(1, &[Kind::NOTES]);
    let (vault, into) = (&world.devices[0], world.folder.path().join("a"));
    let folder = into.join("notes/notes");
    let note =
        |n: u64| format!("{:032x}", u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    (0..4000).for_each(|n| write(&folder, &format!("{n:04}.md"), &note(n)));
    backup(&world, 0, &folder);
    let restore = || {
        let plan = vault.plan_restore(&[Selection::kind(Kind::NOTES)], &At::Latest, &Job::new()).unwrap();
        vault.restore(plan, &into, &Job::new()).unwrap()
    };
    // Short notes lie in the tree: the largest object is the pack of its pages.
    let (pages, whole) = objects(&world.store).into_iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let put = |bytes: &[u8]| {
        world.store.delete(&pages).unwrap();
        world.store.put(&pages, bytes).unwrap();
    };
    let mut damaged = whole.clone();
    damaged[70_000] ^= 1;

    // The owner lost notes, and whatever else there was.
    for is_folder_there in [true, false] {
        fs::remove_dir_all(&folder).unwrap();
        if is_folder_there {
            fs::create_dir(&folder).unwrap();
        }
        put(&damaged);
        let report = restore();
        assert!(report.entries > 1000 && report.failures.iter().any(|failure| failure.damage), "{report:?}");
        assert!(fs::read_dir(&folder).unwrap().count() < 4000);
        put(&whole);
        let report = backup(&world, 0, &folder);
        assert_eq!((report.deleted, report.changed), (0, 0), "{report:?}");
        restore();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 4000);
    }
}

#[test]
fn a_restore_that_was_cut_off_deletes_nothing_of_a_folder_that_was_lost() {
    let world = world(1, &[Kind::NOTES]);
    let (vault, into) = (&world.devices[0], world.folder.path().join("a"));
    let folder = into.join("notes/notes");
    (0..6000).for_each(|n| write(&folder, &format!("{n:04}.md"), "base"));
    backup(&world, 0, &folder);
    fs::remove_dir_all(&into).unwrap();
    let plan = vault.plan_restore(&[Selection::kind(Kind::NOTES)], &At::Latest, &Job::new()).unwrap();
    let job = Arc::new_cyclic(|job: &Weak<Job>| {
        let job = job.clone();
        Job::new().watched(move |progress| {
            if progress.items > 3000 {
                job.upgrade().unwrap().cancel();
            }
        })
    });
    assert!(matches!(vault.restore(plan, &into, &job), Err(Error::Cancelled)));
    assert!((3000..6000).contains(&fs::read_dir(&folder).unwrap().count()));
    let report = backup(&world, 0, &folder);
    assert_eq!((report.deleted, report.changed), (0, 0), "{report:?}");
}

/// Restores and gives every path below the source, with the text of files.
fn restored_paths(world: &World, device: usize, name: &str) -> BTreeMap<String, String> {
    let out = world.folder.path().join(name);
    let vault = &world.devices[device];
    let plan = vault.plan_restore(&[Selection::kind(Kind::NOTES)], &At::Latest, &Job::new()).unwrap();
    let report = vault.restore(plan, &out, &Job::new()).unwrap();
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    let root = out.join("notes/notes");
    let mut found = BTreeMap::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                open.push(path);
                found.insert(name, String::new());
            } else {
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}
