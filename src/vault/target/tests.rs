#![expect(clippy::disallowed_methods, reason = "the tests look at the disk behind the target's back")]

mod attacks;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::vault::folder::{EntryType, FileMeta, Folder, SourceItem};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn path(text: &str) -> Vec<Component> {
    Component::parse_all(&text.split('/').collect::<Vec<_>>()).unwrap()
}

fn plain() -> Attributes {
    Attributes { mode: 0o644, modified_s: 1_000_000_000, modified_ns: 123_456_789 }
}

fn put(target: &mut Target, at: &[Component], content: &[u8]) -> Result<Placed, ItemError> {
    let mut file = target.file(at)?;
    file.write(content)?;
    file.finish(plain())
}

fn no_problems(finished: &Finished) {
    assert!(finished.problems.is_empty(), "{:?}", finished.problems);
}

/// What a later look must find unchanged.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    inode: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
    content: Vec<u8>,
}

fn snapshot(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let meta = path.symlink_metadata().unwrap();
        let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if meta.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let modified = (meta.mtime(), meta.mtime_nsec());
        let changed = (meta.ctime(), meta.ctime_nsec());
        seen.insert(path, Seen { inode: meta.ino(), mode: meta.mode(), modified, changed, content });
    }
    seen
}

fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        snapshot(root).into_keys().map(|p| p.strip_prefix(root).unwrap().display().to_string()).collect();
    names.remove(0);
    names
}

fn copy(from: &Path, to: &Path) {
    let mut target = Target::create(to).unwrap().with_special_bits();
    let mut walk = Folder::at(from).walk().unwrap();
    while let Some(item) = walk.next() {
        let item = item.unwrap();
        let at = Component::parse_all(&item.components).unwrap();
        match item.meta.entry_type {
            EntryType::Directory => target.folder(&at, item.meta.attributes).unwrap(),
            EntryType::Symlink => {
                target.link(&at, item.link_target.as_ref().unwrap(), item.meta.attributes).unwrap()
            }
            EntryType::Regular => {
                let (mut source, mut buffer) = (walk.open(&item).unwrap().unwrap(), vec![0; 10_000]);
                let mut file = target.file(&at).unwrap();
                loop {
                    match source.read(&mut buffer).unwrap() {
                        0 => break,
                        some => file.write(&buffer[..some]).unwrap(),
                    }
                }
                assert_eq!(file.finish(item.meta.attributes).unwrap(), Placed::Whole);
            }
        }
    }
    no_problems(&target.finish());
}

/// What a restore must give back of an entry.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    components: Vec<Vec<u8>>,
    attributes: Attributes,
    entry_type: EntryType,
    link_target: Option<Vec<u8>>,
}

fn facts(root: &Path) -> Vec<Facts> {
    let items = Folder::at(root).walk().unwrap().map(|item| item.unwrap());
    let facts = |SourceItem { components, meta, link_target, .. }| {
        let FileMeta { attributes, entry_type, .. } = meta;
        Facts { components, attributes, entry_type, link_target }
    };
    items.map(facts).collect()
}

#[test]
fn a_tree_comes_back_with_modes_times_links_and_empty_folders() {
    let (source, restored) = (folder(), folder());
    {
        let mut target = Target::create(source.path()).unwrap().with_special_bits();
        let odd = |mode, modified_s, modified_ns| Attributes { mode, modified_s, modified_ns };
        target.folder(&path("empty"), odd(0o750, -5, 999_999_999)).unwrap();
        target.folder(&path("read-only"), odd(0o555, 1, 1)).unwrap();
        target.folder(&path("read-only/deep"), odd(0o1777, 2, 2)).unwrap();
        for (name, mode) in [("plain", 0o644), ("none", 0o000), ("run", 0o4755)] {
            let mut file = target.file(&path(&format!("read-only/deep/{name}"))).unwrap();
            file.write(name.as_bytes()).unwrap();
            assert_eq!(file.finish(odd(mode, 1_700_000_000, 5)).unwrap(), Placed::Whole);
        }
        target.link(&path("read-only/link"), b"../../up/\xff", odd(0, 77, 7)).unwrap();
        no_problems(&target.finish());
    }
    copy(source.path(), restored.path());
    assert_eq!(facts(source.path()), facts(restored.path()));
    assert_eq!(facts(source.path()).len(), 7);
    let empty = source.path().join("empty").metadata().unwrap();
    assert_eq!((empty.mode() & 0o7777, empty.mtime(), empty.mtime_nsec()), (0o750, -5, 999_999_999));
    assert_eq!(source.path().join("read-only").metadata().unwrap().mtime(), 1);
    assert_eq!(fs::read(restored.path().join("read-only/deep/run")).unwrap(), b"run");
}

#[test]
fn a_gigabyte_of_zeros_takes_no_room() {
    let root = folder();
    let mut target = Target::create(root.path()).unwrap();
    let mut file = target.file(&path("sparse")).unwrap();
    let (zeros, end) = (vec![0; 1 << 20], [1; 10]);
    file.write(&end).unwrap();
    for _ in 0..1024 {
        file.write(&zeros).unwrap();
    }
    file.write(&end).unwrap();
    file.write(&zeros).unwrap();
    assert_eq!(file.length(), 1025 * (1 << 20) + 20);
    file.finish(plain()).unwrap();
    let meta = root.path().join("sparse").metadata().unwrap();
    assert_eq!(meta.len(), 1025 * (1 << 20) + 20);
    assert!(meta.blocks() * 512 <= 1 << 20, "{} blocks", meta.blocks());
}

#[test]
fn holes_change_no_byte() {
    let root = folder();
    let mut content = vec![0_u8; 700_001];
    for at in [0, 1, 65_535, 65_536, 200_000, 393_216, 393_217, 524_287] {
        content[at] = 7;
    }
    for (number, length) in [700_001, 524_288, 524_289, 65_536, 65_537, 1, 0].into_iter().enumerate() {
        for step in [700_001, 1000, 65_536, 65_537] {
            let at = path(&format!("{number}-{step}"));
            let mut file = Target::create(root.path()).unwrap().file(&at).unwrap();
            content[..length].chunks(step).for_each(|piece| file.write(piece).unwrap());
            file.finish(plain()).unwrap();
            assert!(fs::read(root.path().join(at[0].as_os_str())).unwrap() == content[..length]);
        }
    }
}

#[test]
fn attack_i9_a_file_that_is_not_finished_leaves_nothing() {
    let root = folder();
    let mut target = Target::create(root.path()).unwrap();
    let mut file = target.file(&path("a")).unwrap();
    file.write(b"unverified").unwrap();
    let during = names(root.path());
    assert!(during.len() == 1 && during[0] != "a");
    let mode = root.path().join(&during[0]).metadata().unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(file);
    assert!(names(root.path()).is_empty());
}

#[test]
fn a_taken_name_is_reported_and_keeps_what_it_had() {
    let root = folder();
    fs::write(root.path().join("file"), "mine").unwrap();
    fs::create_dir(root.path().join("folder")).unwrap();
    symlink("nowhere", root.path().join("link")).unwrap();
    let before = snapshot(root.path());
    let mut target = Target::create(root.path()).unwrap();
    for name in ["file", "folder", "link"] {
        assert!(matches!(target.file(&path(name)), Err(ItemError::AlreadyThere)), "{name}");
        assert!(matches!(target.link(&path(name), b"x", plain()), Err(ItemError::AlreadyThere)), "{name}");
    }
    target.folder(&path("folder"), Attributes { mode: 0, ..plain() }).unwrap();
    for name in ["file", "link", "file/below", "link/below"] {
        assert!(matches!(target.folder(&path(name), plain()), Err(ItemError::NotAFolder)), "{name}");
    }
    no_problems(&target.finish());
    assert_eq!(snapshot(root.path()), before);
}

#[test]
fn a_name_taken_between_opening_and_finishing_is_reported() {
    let root = folder();
    let mut target = Target::create(root.path()).unwrap();
    let mut file = target.file(&path("a")).unwrap();
    file.write(b"new").unwrap();
    target.link(&path("b"), b"x", plain()).unwrap();
    fs::write(root.path().join("a"), "mine").unwrap();
    fs::write(root.path().join("b"), "mine").unwrap();
    assert!(matches!(file.finish(plain()), Err(ItemError::AlreadyThere)));
    let finished = target.finish();
    assert!(matches!(finished.problems[0].error, ItemError::AlreadyThere));
    assert_eq!(names(root.path()), ["a", "b"]);
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"mine");
}

#[test]
fn replace_replaces_files_and_links_but_no_folder_and_nothing_of_its_own() {
    let root = folder();
    fs::write(root.path().join("file"), "old").unwrap();
    fs::create_dir(root.path().join("folder")).unwrap();
    fs::write(root.path().join("behind"), "behind").unwrap();
    symlink("behind", root.path().join("link")).unwrap();
    symlink("behind", root.path().join("relink")).unwrap();
    let mut target = Target::create(root.path()).unwrap().overwrite(Overwrite::Replace);
    put(&mut target, &path("file"), b"new").unwrap();
    put(&mut target, &path("link"), b"new").unwrap();
    target.link(&path("relink"), b"elsewhere", plain()).unwrap();
    assert!(matches!(put(&mut target, &path("folder"), b"new"), Err(ItemError::AlreadyThere)));
    assert!(matches!(put(&mut target, &path("file"), b"again"), Err(ItemError::AlreadyThere)));
    assert!(matches!(target.link(&path("file"), b"x", plain()), Err(ItemError::AlreadyThere)));
    target.folder(&path("folder"), Attributes { mode: 0o711, ..plain() }).unwrap();
    no_problems(&target.finish());
    assert_eq!(names(root.path()), ["behind", "file", "folder", "link", "relink"]);
    for (name, content) in [("file", "new"), ("link", "new"), ("behind", "behind")] {
        assert_eq!(fs::read(root.path().join(name)).unwrap(), content.as_bytes());
    }
    assert_eq!(fs::read_link(root.path().join("relink")).unwrap(), Path::new("elsewhere"));
    assert_eq!(root.path().join("folder").metadata().unwrap().mode() & 0o777, 0o711);
}

/// A file system that ignores case shows one file under two names; here a rename does.
#[test]
fn what_is_found_is_a_file_that_looks_as_recorded_and_found_once() {
    let root = folder();
    let mut before = Target::create(root.path()).unwrap();
    before.folder(&path("a"), plain()).unwrap();
    put(&mut before, &path("a/file"), b"text").unwrap();
    assert!(before.file_place(&path("a/file")).unwrap().found(plain(), 4).is_none(), "it has just made it");
    no_problems(&before.finish());
    symlink("file", root.path().join("a/link")).unwrap();
    let rename = |from: &str, to: &str| fs::rename(root.path().join(from), root.path().join(to)).unwrap();
    for overwrite in [Overwrite::No, Overwrite::Replace] {
        let mut target = Target::create(root.path()).unwrap().overwrite(overwrite);
        let mut place = |name: &str| target.file_place(&path(name)).unwrap();
        for name in ["a", "a/link", "a/none"] {
            assert!(place(name).found(plain(), 4).is_none(), "{name}");
        }
        assert!(place("a/file").found(plain(), 5).is_none());
        assert!(place("a/file").found(Attributes { mode: 0o600, ..plain() }, 4).is_none());
        assert!(place("a/file").found(Attributes { modified_ns: 1, ..plain() }, 4).is_none());
        let file = place("a/file").found(plain(), 4).unwrap();
        assert!(place("a/file").keep(&file) && !place("a/file").keep(&file));
        rename("a/file", "a/FILE");
        assert!(place("a/FILE").found(plain(), 4).is_none());
        assert!(matches!(put(&mut target, &path("a/FILE"), b"more"), Err(ItemError::AlreadyThere)));
        rename("a/FILE", "a/file");
        put(&mut target, &path("a/new"), b"text").unwrap();
        rename("a/new", "a/NEW");
        assert!(target.file_place(&path("a/NEW")).unwrap().found(plain(), 4).is_none(), "it has made it");
        assert!(target.has_link(&path("a/link"), b"file").unwrap());
        assert!(!target.has_link(&path("a/link"), b"file").unwrap());
        no_problems(&target.finish());
        fs::remove_file(root.path().join("a/NEW")).unwrap();
    }
    fs::hard_link(root.path().join("a/file"), root.path().join("a/same")).unwrap();
    let mut target = Target::create(root.path()).unwrap().overwrite(Overwrite::Replace);
    assert!(target.file_place(&path("a/file")).unwrap().found(plain(), 4).is_none(), "it has two names");
    put(&mut target, &path("a/same"), b"other").unwrap();
    no_problems(&target.finish());
    assert_eq!(fs::read(root.path().join("a/file")).unwrap(), b"text");
}

/// A file system that ignores case shows one folder under two names; here a rename does.
#[test]
fn two_folders_that_become_one_are_reported() {
    let root = folder();
    let mut target = Target::create(root.path()).unwrap();
    target.folder(&path("Photos"), plain()).unwrap();
    target.leave_to(0);
    fs::rename(root.path().join("Photos"), root.path().join("photos")).unwrap();
    assert!(matches!(target.folder(&path("photos"), plain()), Err(ItemError::AlreadyThere)));
    assert!(matches!(target.file(&path("photos/a")), Err(ItemError::AlreadyThere)));
    assert!(names(&root.path().join("photos")).is_empty());
}

#[test]
fn two_names_that_lead_into_one_older_folder_are_reported() {
    for overwrite in [Overwrite::No, Overwrite::Replace] {
        let root = folder();
        fs::create_dir(root.path().join("Photos")).unwrap();
        let mut target = Target::create(root.path()).unwrap().overwrite(overwrite);
        put(&mut target, &path("Photos/a"), b"one").unwrap();
        target.leave_to(0);
        put(&mut target, &path("Photos/b"), b"two").unwrap();
        target.leave_to(0);
        fs::rename(root.path().join("Photos"), root.path().join("photos")).unwrap();
        assert!(matches!(put(&mut target, &path("photos/a"), b"other"), Err(ItemError::AlreadyThere)));
        assert_eq!(fs::read(root.path().join("photos/a")).unwrap(), b"one");
    }
}

#[test]
fn reserving_a_name_takes_it_only_if_it_is_free() {
    let root = folder();
    let dir = Arc::new(Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap());
    for name in ["one", "two"] {
        fs::write(root.path().join(name), name).unwrap();
    }
    let name = |text: &str| Component::parse(text.as_bytes()).unwrap();
    let taken = writer::reserve_and_rename(&dir, "one", &name("two"));
    assert!(matches!(taken, Err(ItemError::AlreadyThere)));
    writer::reserve_and_rename(&dir, "one", &name("three")).unwrap();
    assert!(writer::reserve_and_rename(&dir, "missing", &name("four")).is_err());
    assert_eq!(names(root.path()), ["three", "two"]);
    assert_eq!(fs::read(root.path().join("three")).unwrap(), b"one");
}

#[test]
fn a_tree_deeper_than_the_open_handles_is_written_and_dressed() {
    let root = folder();
    let mut target = Target::create(root.path()).unwrap();
    let deep: Vec<Component> = vec![Component::parse(b"d").unwrap(); 150];
    for depth in 1..=deep.len() {
        target.folder(&deep[..depth], Attributes { mode: 0o555, ..plain() }).unwrap();
    }
    for depth in (1..deep.len()).rev() {
        let mut at = deep[..depth].to_vec();
        at.push(Component::parse(b"e").unwrap());
        put(&mut target, &at, b"x").unwrap();
    }
    no_problems(&target.finish());
    let facts = facts(root.path());
    assert_eq!(facts.len(), 299);
    for Facts { attributes, entry_type, .. } in facts {
        let mode = if entry_type == EntryType::Directory { 0o555 } else { 0o644 };
        assert_eq!(attributes, Attributes { mode, ..plain() });
    }
    for depth in 1..=deep.len() {
        let at: PathBuf = deep[..depth].iter().map(Component::as_os_str).collect();
        fs::set_permissions(root.path().join(at), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn attributes_that_the_system_cannot_hold_do_not_cost_the_file() {
    let root = folder();
    let mut target = Target::create(root.path()).unwrap();
    let mut file = target.file(&path("a")).unwrap();
    file.write(b"kept").unwrap();
    let impossible = Attributes { modified_ns: u32::MAX, ..plain() };
    assert_eq!(file.finish(impossible).unwrap(), Placed::WithoutAttributes);
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"kept");
    for modified_s in [i64::MIN, i64::MAX] {
        let extreme = Attributes { modified_s, ..plain() };
        let at = path(&format!("time {modified_s}"));
        let _any = target.file(&at).unwrap().finish(extreme).unwrap();
        target.folder(&path(&format!("folder {modified_s}")), extreme).unwrap();
        target.link(&path(&format!("link {modified_s}")), b"x", extreme).unwrap();
    }
    let _extreme_times_may_be_refused = target.finish();
    assert_eq!(names(root.path()).len(), 7);
}

#[test]
fn a_folder_that_was_exchanged_meanwhile_is_not_touched() {
    for still_held in [true, false] {
        let root = folder();
        let mut target = Target::create(root.path()).unwrap();
        target.folder(&path("a"), Attributes { mode: 0o777, ..plain() }).unwrap();
        if !still_held {
            put(&mut target, &path("elsewhere"), b"x").unwrap();
        }
        fs::rename(root.path().join("a"), root.path().join("b")).unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        let before = snapshot(&root.path().join("a"));
        let finished = target.finish();
        let moved = matches!(finished.problems[..], [Problem { error: ItemError::Moved, .. }]);
        assert!(if still_held { finished.problems.is_empty() } else { moved });
        assert_eq!(snapshot(&root.path().join("a")), before);
    }
}

/// cap-std panics on this one. Where the disk cannot hold it, the system moves it to the nearest it can.
#[test]
fn a_file_with_the_earliest_time_there_is_can_be_walked() {
    for root in [folder(), tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| folder())] {
        let mut target = Target::create(root.path()).unwrap();
        let earliest = Attributes { modified_s: i64::MIN, ..plain() };
        let _any = target.file(&path("a")).unwrap().finish(earliest).unwrap();
        target.link(&path("b"), b"x", earliest).unwrap();
        no_problems(&target.finish());
        assert!(facts(root.path()).iter().all(|facts| facts.attributes.modified_s < 0));
    }
}

#[test]
fn names_are_not_shown_by_debug_nor_by_errors() {
    let root = folder();
    let mut target = Target::create(root.path()).unwrap();
    let file = target.file(&path("hidden/hidden")).unwrap();
    target.link(&path("hidden/link"), b"hidden", plain()).unwrap();
    target.folder(&path("hidden/hidden folder"), plain()).unwrap();
    let shown = format!("{target:?} {file:?}");
    file.finish(plain()).unwrap();
    let error = target.folder(&path("hidden/hidden"), plain()).unwrap_err();
    let finished = target.finish();
    assert!(!format!("{shown} {error} {error:?} {finished:?}").contains("hidden"));
}
