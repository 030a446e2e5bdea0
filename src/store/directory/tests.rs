#![expect(clippy::disallowed_methods, reason = "these tests damage the folder on purpose")]

use std::time::{Duration, SystemTime};

use super::*;
use crate::store::{MemoryStore, conformance};

const NAME: [u8; 16] = [0xab; 16];
const HEX: &str = "abababababababababababababababab";

fn scene() -> (tempfile::TempDir, DirectoryStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(folder.path()).unwrap();
    (folder, store)
}

fn names(store: &DirectoryStore) -> Vec<String> {
    let lines = store.list_at_most("", 100).unwrap();
    lines.into_iter().map(|line| line.name.to_string()).collect()
}

fn files_in(folder: PathBuf) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn the_directory_store_keeps_the_contract() {
    let (folder, store) = scene();
    conformance::check(&store, true).unwrap();
    conformance::check(&Box::new(store) as &dyn Store, true).unwrap();
    assert_eq!(files_in(folder.path().join("tmp")), 0);
}

#[test]
fn two_stores_on_one_folder_keep_the_contract_between_them() {
    let (folder, store) = scene();
    let other = DirectoryStore::open(folder.path()).unwrap();
    let name = ObjectName::commit(&NAME, 1);
    store.put(&name, b"ours").unwrap();
    assert_eq!(other.put(&name, b"theirs").unwrap_err().kind(), StoreErrorKind::AlreadyExists);
    assert_eq!(other.get(&name, 4).unwrap(), b"ours");
}

#[test]
fn objects_lie_where_the_format_says() {
    let (folder, store) = scene();
    for (name, path) in [
        (ObjectName::object(&NAME), format!("objects/ab/{HEX}")),
        (ObjectName::envelope(&NAME, &NAME), format!("envelopes/{HEX}/{HEX}")),
        (ObjectName::commit(&NAME, 12), format!("commits/{HEX}/00000000000000000012")),
    ] {
        store.put(&name, b"x").unwrap();
        assert!(folder.path().join(path).is_file());
    }
}

#[test]
fn put_never_overwrites_whatever_has_the_name() {
    let (folder, store) = scene();
    let name = ObjectName::object(&NAME);
    let path = folder.path().join("objects/ab").join(HEX);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let taken = || assert_eq!(store.put(&name, b"new").unwrap_err().kind(), StoreErrorKind::AlreadyExists);
    fs::write(&path, b"").unwrap();
    taken();
    assert_eq!(fs::read(&path).unwrap(), b"");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    taken();
    assert_eq!(files_in(folder.path().join("objects/ab")), 1);
    let temporary = Temporary::write(&{ folder.path().to_owned() }, b"late").unwrap();
    assert_eq!(temporary.publish(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[test]
fn a_killed_writer_leaves_nothing_visible_and_is_swept_after_a_day() {
    let (folder, store) = scene();
    store.put(&ObjectName::object(&[1; 16]), b"kept").unwrap();
    let before = names(&store);
    let file = |name: &str, age_hours: u64| {
        let path = folder.path().join("tmp").join(name);
        fs::write(&path, b"half").unwrap();
        let written =
            fs::metadata(&path).unwrap().modified().unwrap() - Duration::from_secs(age_hours * 3600);
        set_modified(&path, written);
        path
    };
    let old = file(HEX, 25);
    let young = file(&HEX.replace("ab", "cd"), 23);
    let foreign = file("notes.txt", 1000);
    let future = file(&HEX.replace("ab", "ef"), 0);
    set_modified(&future, fs::metadata(&future).unwrap().modified().unwrap() + Duration::from_secs(1 << 20));

    let reopened = DirectoryStore::open(folder.path()).unwrap();
    assert_eq!(names(&reopened), before);
    assert!(!old.exists() && young.exists() && foreign.exists() && future.exists());
    assert_eq!(files_in(folder.path().join("tmp")), 3);
    assert_eq!(reopened.get(&ObjectName::object(&[1; 16]), 9).unwrap(), b"kept");
}

fn set_modified(path: &Path, time: SystemTime) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_writer_killed_between_publishing_and_tidying_has_published() {
    let (folder, store) = scene();
    let name = ObjectName::object(&NAME);
    let place = store.place(&name);
    store.make_folders(&place.folders).unwrap();
    make_folder(&store.temporaries()).unwrap();
    let temporary = Temporary::write(&store.temporaries(), b"whole").unwrap();
    temporary.publish(&place.file).unwrap();
    std::mem::forget(temporary);
    let reopened = DirectoryStore::open(folder.path()).unwrap();
    assert_eq!(reopened.get(&name, 5).unwrap(), b"whole");
    assert_eq!(reopened.put(&name, b"whole").unwrap_err().kind(), StoreErrorKind::AlreadyExists);
}

#[test]
fn attack_r5_a_listing_or_body_larger_than_expected_is_refused() {
    let (folder, store) = scene();
    let memory = MemoryStore::new();
    let name = ObjectName::object(&NAME);
    for store in [&store as &dyn Store, &memory] {
        (1..5).for_each(|n| store.put(&ObjectName::commit(&NAME, n), b"x").unwrap());
        let expected = |most| store.list_at_most("commits/", most);
        assert_eq!(expected(4).unwrap().len(), 4);
        assert_eq!(expected(3).unwrap_err().kind(), StoreErrorKind::Malformed);
        store.put(&name, &[1; 101]).unwrap();
        assert_eq!(store.get(&name, 101).unwrap().len(), 101);
        assert_eq!(store.get(&name, 100).unwrap_err().kind(), StoreErrorKind::Malformed);
    }
    // More than any memory: reading it, or allocating for it, would end the test.
    let file = fs::OpenOptions::new().write(true).open(folder.path().join("objects/ab").join(HEX)).unwrap();
    file.set_len(1 << 43).unwrap();
    assert_eq!(store.get(&name, 8 << 20).unwrap_err().kind(), StoreErrorKind::Malformed);
    file.set_len(101).unwrap();
    assert_eq!(store.get_range(&name, 0, 1 << 43).unwrap_err().kind(), StoreErrorKind::Malformed);
}

#[test]
fn foreign_files_are_skipped_and_not_entered() {
    let (folder, store) = scene();
    store.put(&ObjectName::object(&NAME), b"x").unwrap();
    store.put(&ObjectName::commit(&NAME, 1), b"x").unwrap();
    let root = folder.path();
    for path in [
        "readme.txt".to_owned(),
        format!("objects/{HEX}"),
        format!("objects/cd/{HEX}"),
        format!("objects/aba/{HEX}"),
        format!("objects/ab/{HEX}.tmp"),
        format!("objects/ab/{}", HEX.to_uppercase()),
        format!("objects/ab/deep/{HEX}"),
        format!("commits/{HEX}/1"),
        format!("commits/x/{:020}", 1),
        format!("elsewhere/{HEX}/{HEX}"),
    ] {
        fs::create_dir_all(root.join(&path).parent().unwrap()).unwrap();
        fs::write(root.join(&path), b"foreign").unwrap();
    }
    assert_eq!(names(&store).len(), 2);
    fs::remove_dir_all(root.join("objects/ab")).unwrap();
    fs::create_dir_all(root.join("objects/ab").join(HEX)).unwrap();
    assert_eq!(names(&store).len(), 1);
    assert_eq!(store.get(&ObjectName::object(&NAME), 9).unwrap_err().kind(), StoreErrorKind::Malformed);
    assert_eq!(store.length(&ObjectName::object(&NAME)).unwrap_err().kind(), StoreErrorKind::Malformed);
}

#[cfg(unix)]
#[test]
fn links_and_pipes_in_place_of_objects_are_not_followed() {
    use std::os::unix::fs::symlink;
    let (folder, store) = scene();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join(HEX), b"secret").unwrap();
    fs::create_dir_all(folder.path().join("objects/ab")).unwrap();
    let name = ObjectName::object(&NAME);
    let path = folder.path().join("objects/ab").join(HEX);
    let malformed = || {
        assert_eq!(store.get(&name, 9).unwrap_err().kind(), StoreErrorKind::Malformed);
        assert_eq!(store.get_range(&name, 0, 1).unwrap_err().kind(), StoreErrorKind::Malformed);
        assert_eq!(store.length(&name).unwrap_err().kind(), StoreErrorKind::Malformed);
        assert!(names(&store).is_empty());
    };

    symlink(outside.path().join(HEX), &path).unwrap();
    malformed();
    fs::remove_file(&path).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path));
    malformed();
    fs::remove_file(&path).unwrap();
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        malformed();
        fs::remove_file(&path).unwrap();
    }

    fs::remove_dir(folder.path().join("objects/ab")).unwrap();
    symlink(outside.path(), folder.path().join("objects/ab")).unwrap();
    malformed();
    assert!(store.put(&name, b"x").is_err() && store.delete(&name).is_err());
    assert_eq!(fs::read(outside.path().join(HEX)).unwrap(), b"secret");
}

#[test]
fn a_missing_disk_is_not_a_missing_object() {
    let (folder, store) = scene();
    let name = ObjectName::object(&NAME);
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(store.get(&name, 9).unwrap_err().kind(), StoreErrorKind::Transient);
    assert_eq!(store.length(&name).unwrap_err().kind(), StoreErrorKind::Transient);
    assert_eq!(store.put(&name, b"x").unwrap_err().kind(), StoreErrorKind::Transient);
    assert_eq!(store.delete(&name).unwrap_err().kind(), StoreErrorKind::Transient);
    assert_eq!(store.list_at_most("", 9).unwrap_err().kind(), StoreErrorKind::Transient);
    assert!(!folder.path().exists());
}

#[test]
fn errors_and_debug_do_not_name_the_folder() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("private-name");
    let store = DirectoryStore::open(&root).unwrap();
    let name = ObjectName::object(&NAME);
    let missing = store.get(&name, 9).unwrap_err();
    fs::remove_dir_all(&root).unwrap();
    fs::write(&root, b"a file").unwrap();
    for shown in [
        missing.to_string(),
        store.get(&name, 9).unwrap_err().to_string(),
        store.put(&name, b"x").unwrap_err().to_string(),
        DirectoryStore::open(&root).unwrap_err().to_string(),
        DirectoryStore::open(root.join("below")).unwrap_err().to_string(),
        format!("{store:?}"),
    ] {
        assert!(!shown.contains("private-name"), "{shown}");
    }
}
