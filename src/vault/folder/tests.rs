#![expect(clippy::disallowed_methods, reason = "the tests lay out the folders that are walked")]

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use tempfile::TempDir;

use super::*;
use crate::vault::component::{Component, Platform, unfinished_name};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Works while another thread exchanges two entries, again and again.
pub(in crate::vault) fn while_swapping<T>(one: &Path, other: &Path, work: impl FnOnce() -> T) -> T {
    struct StopOnDrop<'a>(&'a AtomicBool);
    impl Drop for StopOnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(false, Ordering::Relaxed);
        }
    }
    let swapping = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while swapping.load(Ordering::Relaxed) {
                renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let _stop = StopOnDrop(&swapping);
        work()
    })
}

fn key(components: &[Vec<u8>]) -> Vec<u8> {
    components.join(&0)
}

fn items(path: &Path) -> Vec<SourceItem> {
    Folder::at(path).walk().unwrap().map(|found| found.unwrap()).collect()
}

fn reasons(walk: Walk) -> Vec<SkipReason> {
    walk.filter_map(Result::err).map(|skipped| skipped.reason).collect()
}

fn content(walk: &mut Walk, item: &SourceItem) -> Vec<u8> {
    let mut content = Vec::new();
    walk.open(item).unwrap().unwrap().read_to_end(&mut content).unwrap();
    content
}

/// Names that sort differently as strings, as paths and as keys.
fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec!["a", "a.b", "a-b", "a b", "A", "ab", "b", "é", "a\u{1}", "~", "…"])
            .prop_map(|name| name.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..6),
    ]
    .prop_filter("no name", |name| Component::check_for(Platform::Unix, name).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_walk_goes_in_the_byte_order_of_keys(
        paths in prop::collection::vec(prop::collection::vec(name(), 1..5), 0..24),
    ) {
        let root = folder();
        let mut keys = std::collections::BTreeSet::new();
        for path in &paths {
            let on_disk: PathBuf = path.iter().map(|name| OsStr::from_bytes(name)).collect();
            if fs::create_dir_all(root.path().join(on_disk)).is_ok() {
                keys.extend((1..=path.len()).map(|depth| key(&path[..depth])));
            }
        }
        let walked: Vec<_> = items(root.path()).iter().map(|item| key(&item.components)).collect();
        prop_assert_eq!(walked, keys.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_path_to_a_file_gives_that_one_file() {
    let root = folder();
    fs::write(root.path().join("notes.md"), "text").unwrap();
    fs::write(root.path().join("other.md"), "other").unwrap();
    let mut walk = Folder::at(root.path().join("notes.md")).walk().unwrap();
    let item = walk.next().unwrap().unwrap();
    assert_eq!(item.components, [b"notes.md"]);
    assert_eq!((item.meta.entry_type, item.meta.size), (EntryType::Regular, 4));
    assert_eq!(content(&mut walk, &item), b"text");
    assert!(walk.next().is_none());
}

#[test]
fn a_source_that_is_missing_or_no_folder_is_an_error_without_its_path() {
    let root = folder();
    let missing = Folder::at(root.path().join("secret-name")).walk().unwrap_err();
    assert!(!missing.to_string().contains("secret-name") && !format!("{missing:?}").contains("secret-name"));
    fifo(&root.path().join("fifo"));
    assert!(matches!(Folder::at(root.path().join("fifo")).walk(), Err(Error::InvalidArgument(_))));
}

#[test]
fn links_are_recorded_and_not_followed() {
    let (root, outside) = (folder(), folder());
    fs::write(outside.path().join("secret"), "x").unwrap();
    symlink(outside.path(), root.path().join("out")).unwrap();
    symlink(OsStr::from_bytes(b"../no where/\xff"), root.path().join("dangling")).unwrap();
    symlink(".", root.path().join("loop")).unwrap();
    let items = items(root.path());
    let targets: Vec<_> = items.iter().map(|item| item.link_target.clone().unwrap()).collect();
    assert_eq!(targets, [b"../no where/\xff".as_slice(), b".", outside.path().as_os_str().as_bytes()]);
    assert!(items.iter().all(|item| item.meta.entry_type == EntryType::Symlink));
}

#[test]
fn fifos_and_sockets_are_reported_and_never_waited_for() {
    let root = folder();
    fifo(&root.path().join("fifo"));
    let _listening = UnixListener::bind(root.path().join("socket")).unwrap();
    let walk = Folder::at(root.path()).walk().unwrap();
    assert_eq!(reasons(walk), [SkipReason::Special, SkipReason::Special]);
}

#[test]
fn what_vanishes_during_the_walk_is_passed_over() {
    let root = folder();
    for name in ["a", "b/c", "d/e", "f"] {
        fs::create_dir_all(root.path().join(name)).unwrap();
    }
    fs::write(root.path().join("a/file"), "").unwrap();
    let mut walk = Folder::at(root.path()).walk().unwrap();
    walk.next().unwrap().unwrap();
    let file = walk.next().unwrap().unwrap();
    for name in ["a", "b", "f"] {
        fs::remove_dir_all(root.path().join(name)).unwrap();
    }
    assert!(walk.open(&file).unwrap().is_none());
    let left: Vec<_> = walk.by_ref().map(|found| found.unwrap().components).collect();
    assert_eq!(left, [vec![b"d".to_vec()], vec![b"d".to_vec(), b"e".to_vec()]]);
}

#[test]
fn a_folder_that_vanishes_before_it_is_entered_has_no_content() {
    let root = folder();
    fs::create_dir_all(root.path().join("a/b")).unwrap();
    let mut walk = Folder::at(root.path()).walk().unwrap();
    walk.next().unwrap().unwrap();
    fs::remove_dir_all(root.path().join("a")).unwrap();
    assert!(walk.next().is_none());
}

#[test]
fn attack_m4_a_folder_swapped_for_a_link_is_not_entered() {
    let (root, outside) = (folder(), folder());
    fs::write(outside.path().join("secret"), "x").unwrap();
    fs::create_dir(root.path().join("a")).unwrap();
    let mut walk = Folder::at(root.path()).walk().unwrap();
    walk.next().unwrap().unwrap();
    fs::remove_dir(root.path().join("a")).unwrap();
    symlink(outside.path(), root.path().join("a")).unwrap();
    assert_eq!(reasons(walk), [SkipReason::Changed]);
}

#[test]
fn attack_m4_a_file_swapped_for_something_else_is_not_opened() {
    let (root, outside) = (folder(), folder());
    fs::write(outside.path().join("secret"), "x").unwrap();
    let file = root.path().join("a");
    fs::write(&file, "x").unwrap();
    let mut walk = Folder::at(root.path()).walk().unwrap();
    let item = walk.next().unwrap().unwrap();
    fs::remove_file(&file).unwrap();
    symlink(outside.path().join("secret"), &file).unwrap();
    assert_eq!(walk.open(&item).unwrap_err(), SkipReason::Changed);
    fs::remove_file(&file).unwrap();
    fifo(&file);
    assert_eq!(walk.open(&item).unwrap_err(), SkipReason::Changed);
}

#[test]
fn attack_m4_a_walk_under_a_race_never_shows_the_outside() {
    let (root, outside) = (folder(), folder());
    for name in ["d", "d/d"] {
        fs::create_dir(root.path().join(name)).unwrap();
        fs::write(root.path().join(name).join("own"), "own").unwrap();
    }
    fs::create_dir(outside.path().join("d")).unwrap();
    fs::write(outside.path().join("d/stolen"), "stolen").unwrap();
    fs::write(outside.path().join("stolen"), "stolen").unwrap();
    symlink(outside.path(), root.path().join("link")).unwrap();
    let seen = while_swapping(&root.path().join("d"), &root.path().join("link"), || {
        let mut seen = 0;
        for _ in 0..2000 {
            let mut walk = Folder::at(root.path()).walk().unwrap();
            while let Some(found) = walk.next() {
                let Ok(item) = found else { continue };
                assert!(!item.components.iter().any(|name| name == b"stolen"));
                if let (EntryType::Regular, Ok(Some(mut file))) = (item.meta.entry_type, walk.open(&item)) {
                    let mut text = String::new();
                    file.read_to_string(&mut text).unwrap();
                    assert_eq!(text, "own");
                    seen += 1;
                }
            }
        }
        seen
    });
    assert!(seen > 0, "the race always won");
}

#[test]
fn a_change_during_reading_shows() {
    let root = folder();
    let file = root.path().join("a");
    fs::write(&file, "one").unwrap();
    let mut walk = Folder::at(root.path()).walk().unwrap();
    let item = walk.next().unwrap().unwrap();
    let open = walk.open(&item).unwrap().unwrap();
    assert_eq!(open.meta().unwrap(), item.meta);
    fs::write(&file, "three").unwrap();
    assert_ne!(open.meta().unwrap(), item.meta);
}

/// The one file at `path`, opened.
fn opened(path: &Path) -> SourceFile {
    let mut walk = Folder::at(path).walk().unwrap();
    let item = walk.next().unwrap().unwrap();
    walk.open(&item).unwrap().unwrap()
}

#[test]
fn a_whole_file_is_read_whatever_size_it_had_when_it_was_opened() {
    let root = folder();
    let file = root.path().join("a");
    fs::write(&file, "12345").unwrap();
    assert_eq!(opened(&file).read_whole(5).unwrap(), b"12345");
    assert_eq!(opened(&file).read_whole(3).unwrap(), b"1234", "one more, to show that it is longer");
    let (mut longer, mut too_long, mut shorter) = (opened(&file), opened(&file), opened(&file));
    fs::write(&file, "1234567").unwrap();
    assert_eq!(longer.read_whole(9).unwrap(), b"1234567");
    assert_eq!(too_long.read_whole(6).unwrap().len(), 7);
    fs::write(&file, "12").unwrap();
    assert_eq!(shorter.read_whole(9).unwrap(), b"12");
}

/// As the system's own files do.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_says_it_is_empty_is_read_to_its_end() {
    let mut file = opened(Path::new("/proc/sys/kernel/ostype"));
    assert_eq!(file.meta_when_opened().size, 0);
    assert_eq!(file.read_whole(100).unwrap(), b"Linux\n");
}

#[test]
fn an_unreadable_folder_is_reported_and_the_walk_goes_on() {
    let root = folder();
    fs::create_dir_all(root.path().join("a/in")).unwrap();
    fs::create_dir_all(root.path().join("b")).unwrap();
    fs::set_permissions(root.path().join("a"), fs::Permissions::from_mode(0o0)).unwrap();
    let found: Vec<_> = Folder::at(root.path()).walk().unwrap().collect();
    let denied = fs::read_dir(root.path().join("a")).is_err();
    fs::set_permissions(root.path().join("a"), fs::Permissions::from_mode(0o700)).unwrap();
    let refused = SkipReason::Unreadable(io::ErrorKind::PermissionDenied);
    match found.as_slice() {
        [Ok(_), Err(skipped), Ok(_)] => assert!(denied && skipped.reason == refused),
        // The superuser is not denied.
        all => assert!(!denied && all.len() == 3 && all.iter().all(Result::is_ok)),
    }
}

#[test]
fn what_is_passed_over_is_not_met_whatever_it_is_called() {
    let root = folder();
    for name in ["a/own/key", "a/other", "own"] {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    symlink("a/own", root.path().join("link")).unwrap();
    let by_link = Folder::at(root.path()).without(root.path().join("link")).without(root.path().join("gone"));
    let names: Vec<_> = by_link.walk().unwrap().map(|found| found.unwrap().components.concat()).collect();
    assert_eq!(names, [b"a".as_slice(), b"aother", b"link", b"own"]);
}

#[test]
fn a_tree_deeper_than_the_open_handles_is_walked_and_read() {
    let root = folder();
    let mut path = root.path().to_owned();
    for _ in 0..150 {
        path.push("d");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("e"), path.as_os_str().len().to_string()).unwrap();
    }
    let mut walk = Folder::at(root.path()).walk().unwrap();
    let mut files = Vec::new();
    while let Some(item) = walk.next() {
        let item = item.unwrap();
        if item.meta.entry_type == EntryType::Regular {
            let text = content(&mut walk, &item);
            assert_eq!(
                text,
                (root.path().as_os_str().len() + 2 * (item.components.len() - 1)).to_string().as_bytes()
            );
            files.push(item);
        }
        assert!(walk.handles.open_handles() <= 32);
    }
    assert_eq!(files.len(), 150);
    // Also long after the walk has left the folder.
    assert!(content(&mut walk, &files[0]).len() > 1);
}

#[test]
fn names_are_not_shown_by_debug() {
    let root = folder();
    fs::write(root.path().join("hidden-name"), "").unwrap();
    symlink("hidden-target", root.path().join("link")).unwrap();
    let folder = Folder::at(root.path());
    let mut walk = folder.walk().unwrap();
    let file = walk.next().unwrap().unwrap();
    let file = walk.open(&file).unwrap().unwrap();
    let shown = format!("{folder:?} {:?} {walk:?} {file:?}", items(root.path()));
    assert!(!shown.contains("hidden") && !shown.contains(root.path().to_str().unwrap()));
}

#[test]
fn what_a_restore_has_not_finished_is_left_out_and_reported() {
    let home = folder();
    fs::write(home.path().join(unfinished_name(u64::MAX)), b"half a").unwrap();
    symlink("a", home.path().join(unfinished_name(0))).unwrap();
    fs::create_dir(home.path().join(unfinished_name(1))).unwrap();
    fs::write(home.path().join(".strongroom-notes"), b"mine").unwrap();
    let walk = || Folder::at(home.path()).walk().unwrap();
    let found: Vec<_> = walk().filter_map(Result::ok).map(|item| key(&item.components)).collect();
    assert_eq!(found, [unfinished_name(1).as_bytes(), b".strongroom-notes"]);
    assert_eq!(reasons(walk()), [SkipReason::Unfinished, SkipReason::Unfinished]);
}
