//! A tree that one of the owner's own devices signed, and that wants to get out of its folder (M5).

use std::collections::BTreeSet;

use super::*;
use crate::{
    history::KindState,
    store::MemoryStore,
    tree::{Borders, Edit, apply},
    vault::{
        At, NewDevice,
        backup::folder_replica,
        contents::{Compress, ContentWriter, Cut, encode_entry, write_content, write_index},
        state::{Database, FileStat},
    },
};

/// A vault whose newest, validly signed commit holds exactly these entries of the kind "files".
/// A tree entry: key, record, content.
type Entry<'a> = (Vec<u8>, Record, Option<&'a [u8]>);

fn committed(folder: &Path, mut entries: Vec<Entry<'_>>) -> Vault {
    let device = NewDevice::named("phone").unwrap();
    let (vault, _) = Vault::create(MemoryStore::new(), folder.join("state"), device).unwrap();
    vault.consent().grant(&Kind::FILES).unwrap();
    {
        let work = &mut *vault.work();
        let mut view = vault.refresh(work).unwrap();
        vault.reconcile(work, &mut view).unwrap();
        let job = Job::new();
        let state = {
            let access = vault.access("files", &view).unwrap();
            let run = vault.database.begin_run("files").unwrap();
            let (clock, random) = (vault.clock.as_ref(), work.random.as_mut());
            let writer = ContentWriter::new(access, run, &job, clock, random, false).unwrap();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            let edits: Vec<_> = entries
                .into_iter()
                .map(|(key, record, content)| {
                    let content = content.map(|mut bytes| {
                        write_content(&writer, &mut bytes, Cut::Fixed, Compress::Never).unwrap()
                    });
                    let value = encode_entry(&writer, record.encode().unwrap(), content, false).unwrap();
                    Ok(Edit { key, value: Some(value) })
                })
                .collect();
            let borders = Borders::new(access.keys.chunk_cut_key());
            let root = apply(None, edits.into_iter(), &mut &writer, &borders).unwrap();
            writer.flush().unwrap();
            let index = writer.with_random(|random| write_index(&access, random, &[], &[], 0)).unwrap().0;
            KindState { root, index, ..KindState::empty("files") }
        };
        vault.commit(work, &mut view, vec![state]).unwrap();
    }
    vault
}

fn record(file_type: FileType, link_target: Option<&[u8]>) -> Record {
    Record::File(FileMeta {
        file_type,
        mode: 0o777,
        modified_s: 0,
        modified_ns: 0,
        link_target: link_target.map(<[u8]>::to_vec).unwrap_or_default(),
        taken_ms: None,
    })
}

/// Everything below a folder, without following links.
fn everything(at: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![at.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(at).unwrap().to_string_lossy().into_owned());
            if path.symlink_metadata().unwrap().is_dir() {
                open.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn attack_m5_a_signed_tree_with_hostile_names_writes_nothing_outside_and_is_named() {
    let work = tempfile::tempdir().unwrap();
    let outside = work.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let absolute = [b"source\0", outside.as_os_str().as_encoded_bytes(), b"/evil"].concat();
    let long = [&b"source\0"[..], &[b'x'; 300]].concat();
    let hostile: Vec<Vec<u8>> = [
        &b"source\0..\0evil"[..],
        b"source\0..\0..\0outside\0evil",
        b"source\0../../outside/evil",
        b"source\0.\0evil",
        b"source\0a\0..\0..\0..\0evil",
        b"source\0\0evil",
        b"source\0/evil",
        b"source\0sub/evil",
        b"source\0",
        b"..\0evil",
        b".\0evil",
        b"../outside\0evil",
        b"\0evil",
        b"/\0evil",
        b"\xff\0evil",
        b"evil",
    ]
    .into_iter()
    .map(<[u8]>::to_vec)
    .chain([absolute, long])
    .collect();
    let regular = || record(FileType::Regular, None);
    let mut entries: Vec<_> =
        hostile.iter().map(|key| (key.clone(), regular(), Some(&b"evil"[..]))).collect();
    entries.push((b"source\0good".to_vec(), regular(), Some(&b"good"[..])));
    let count = hostile.len();
    let vault = committed(work.path(), entries);
    let before = everything(&outside);
    let plan = vault.plan_restore(&[Selection::kind(Kind::FILES)], &At::Latest, &Job::new()).unwrap();
    let report = vault.restore(plan, work.path().join("deep/er/out"), &Job::new()).unwrap();
    let named: Vec<_> = report.failures.iter().map(|failure| failure.path.as_str()).collect();
    for key in &hostile {
        assert!(named.contains(&display_key(&Kind::FILES, key).as_str()), "{key:?} is not named: {named:?}");
    }
    assert_eq!(report.failures.len(), count);
    assert_eq!(everything(&outside), before);
    let all = everything(work.path());
    let files: Vec<_> = all.iter().filter(|path| path.ends_with("evil") || path.ends_with("good")).collect();
    assert_eq!(files, ["deep/er/out/files/source/good"]);
    assert_eq!(everything(&work.path().join("deep")).len(), 5, "{all:?}");
}

#[cfg(unix)]
#[test]
fn attack_m4_m5_a_signed_tree_cannot_write_through_a_link_that_it_made() {
    let work = tempfile::tempdir().unwrap();
    let outside = work.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("kept"), "kept").unwrap();
    let target = outside.as_os_str().as_encoded_bytes().to_vec();
    let kept = outside.join("kept").as_os_str().as_encoded_bytes().to_vec();
    let regular = || record(FileType::Regular, None);
    let vault = committed(
        work.path(),
        vec![
            (b"source\0link".to_vec(), record(FileType::Symlink, Some(&target)), None),
            (b"source\0link\0evil".to_vec(), regular(), Some(b"evil")),
            (b"source\0link\0kept".to_vec(), regular(), Some(b"evil")),
            (b"source\0up".to_vec(), record(FileType::Symlink, Some(b"..")), None),
            (b"source\0up\0..\0evil".to_vec(), regular(), Some(b"evil")),
            (b"source\0file".to_vec(), record(FileType::Symlink, Some(&kept)), None),
            (b"source\0empty".to_vec(), regular(), None),
        ],
    );
    let plan = vault.plan_restore(&[Selection::kind(Kind::FILES)], &At::Latest, &Job::new()).unwrap();
    let report = vault.restore(plan.replacing(), work.path().join("out"), &Job::new()).unwrap();
    assert_eq!(everything(&outside), ["kept"]);
    assert_eq!(std::fs::read(outside.join("kept")).unwrap(), b"kept");
    assert!(!everything(work.path()).iter().any(|path| path == "evil" || path == "out/evil"));
    let named: Vec<_> = report.failures.iter().map(|failure| failure.path.as_str()).collect();
    for path in ["source/up/../evil", "source/empty"] {
        assert!(named.contains(&path), "{path}: {named:?}");
    }
    // Whichever came first at `link`, the other is named and nothing went through it.
    let followed = everything(&work.path().join("out"));
    let link = followed.iter().any(|path| path == "files/source/link");
    assert!(link && !named.is_empty());
}

#[cfg(unix)]
#[test]
fn what_a_folder_lists_is_noted_as_what_was_restored_is() {
    let work = tempfile::tempdir().unwrap();
    let vault = committed(
        work.path(),
        vec![
            (b"source\0file".to_vec(), record(FileType::Regular, None), Some(b"text")),
            (b"source\0folder".to_vec(), record(FileType::Directory, None), None),
            (b"source\0folder\0file".to_vec(), record(FileType::Regular, None), Some(b"")),
            (b"source\0link".to_vec(), record(FileType::Symlink, Some(b"file")), None),
        ],
    );
    let out = work.path().join("out");
    let plan = vault.plan_restore(&[Selection::kind(Kind::FILES)], &At::Latest, &Job::new()).unwrap();
    let mut noting = Noting::all(&vault.database, &plan, &out).pop().unwrap();
    assert_eq!(vault.restore(plan, &out, &Job::new()).unwrap().failures, []);
    let replica = folder_replica(&Kind::FILES, &out.join("files/source")).unwrap();
    let notes = || {
        let run = vault.database.begin_run("files").unwrap();
        vault.database.notes_from(&run, &replica, (b"source\0", b"source\0"), 100).unwrap().0
    };
    let restored = notes();
    assert_eq!(restored.len(), 4);
    assert!(restored.iter().all(|(_, note)| note.stat != FileStat([0; 6])));
    let run = vault.database.begin_run("files").unwrap();
    let gone: Vec<_> = restored.iter().map(|(key, _)| replica.note(key, None)).collect();
    vault
        .database
        .write(|transaction| {
            Database::write_notes(transaction, &run, &gone)?;
            Database::finish_run(transaction, "files", &run)
        })
        .unwrap();
    assert!(notes().is_empty());
    noting.doubt("source");
    let view = vault.refresh(&mut vault.work()).unwrap();
    vault.finish_notes(&view, noting).unwrap();
    assert_eq!(notes(), restored);
}

#[test]
fn a_plan_counts_what_lies_below_a_path_and_can_be_cancelled() {
    const FILES: u64 = 5000;
    let work = tempfile::tempdir().unwrap();
    let entry = |n: u64| {
        let key = format!("source\0folder of {}\0file {n}", n / 100).into_bytes();
        (key, record(FileType::Regular, None), Some(&b"content"[..]))
    };
    let vault = committed(work.path(), (0..FILES).map(entry).collect());
    let selections = [Selection::kind(Kind::FILES)];
    let plan = vault.plan_restore(&selections, &At::Latest, &Job::new()).unwrap();
    assert_eq!((plan.entries(), plan.bytes()), (FILES, FILES * 7));
    for (path, files) in
        [("source/folder of 3", 100), ("source/folder of 49/file 4999", 1), ("source", FILES)]
    {
        let selection = [Selection::path(Kind::FILES, path).unwrap()];
        let plan = vault.plan_restore(&selection, &At::Latest, &Job::new()).unwrap();
        assert_eq!((plan.entries(), plan.bytes()), (files, files * 7), "{path}");
    }
    for path in ["source/folder of", "source/folder of 5/file 4999", "sourc"] {
        let selection = [Selection::path(Kind::FILES, path).unwrap()];
        let planned = vault.plan_restore(&selection, &At::Latest, &Job::new());
        assert!(matches!(planned, Err(Error::NotFound(_))), "{path}: {planned:?}");
    }
    for selections in [&selections[..], &[Selection::path(Kind::FILES, "source/folder of 3").unwrap()]] {
        let job = Job::new();
        job.cancel();
        let cancelled = vault.plan_restore(selections, &At::Latest, &job);
        assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_restore_that_is_asked_for_again_writes_only_what_is_not_there() {
    use std::os::unix::fs::PermissionsExt;
    let work = tempfile::tempdir().unwrap();
    let long: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let file = |name: &str, content| (key_of(name), record(FileType::Regular, None), Some(content));
    let vault = committed(
        work.path(),
        vec![
            (key_of("folder"), record(FileType::Directory, None), None),
            file("folder/as it was", &long[..]),
            file("folder/edited", &long[..2_000_000]),
            file("folder/empty", b""),
            file("folder/gone", &long[..1_000_000]),
            file("folder/mode", b"mode"),
            file("folder/short", b"short"),
            (key_of("link"), record(FileType::Symlink, Some(b"folder/short")), None),
            (key_of("other link"), record(FileType::Symlink, Some(b"folder/mode")), None),
        ],
    );
    let out = work.path().join("out");
    let restore = |replaces: bool| {
        let plan = vault.plan_restore(&[Selection::kind(Kind::FILES)], &At::Latest, &Job::new()).unwrap();
        vault.restore(if replaces { plan.replacing() } else { plan }, &out, &Job::new()).unwrap()
    };
    let counts = |report: &RestoreReport| (report.entries, report.found, report.bytes);
    assert_eq!(counts(&restore(false)), (9, 0, 6_000_009));
    let restored = |name: &str| out.join("files/source").join(name);
    let mode = |mode| std::fs::set_permissions(restored("folder/mode"), PermissionsExt::from_mode(mode));
    let edit = || {
        let edited = restored("folder/edited");
        let modified = edited.metadata().unwrap().modified().unwrap();
        let mut bytes = std::fs::read(&edited).unwrap();
        bytes[1_999_999] ^= 1;
        std::fs::write(&edited, &bytes).unwrap();
        std::fs::File::options().write(true).open(&edited).unwrap().set_modified(modified).unwrap();
    };
    edit();
    mode(0o600).unwrap();
    std::fs::remove_file(restored("folder/gone")).unwrap();
    std::fs::remove_file(restored("other link")).unwrap();
    std::os::unix::fs::symlink("elsewhere", restored("other link")).unwrap();
    let again = restore(false);
    // Three files and a link were found; the folder is there, too, and one file was written.
    assert_eq!(counts(&again), (6, 4, 1_000_000));
    let taken: BTreeSet<_> = again.failures.iter().map(|failure| failure.path.as_str()).collect();
    assert_eq!(Vec::from_iter(taken), ["source/folder/edited", "source/folder/mode", "source/other link"]);
    assert!(again.failures.iter().all(|failure| failure.reason == ItemError::AlreadyThere.to_string()));
    let replaced = restore(true);
    assert_eq!((counts(&replaced), &replaced.failures[..]), ((9, 4, 2_000_004), &[][..]));
    assert_eq!(std::fs::read(restored("folder/edited")).unwrap(), long[..2_000_000]);
    assert_eq!(std::fs::read(restored("folder/as it was")).unwrap(), long);
    assert_eq!(restored("folder/mode").metadata().unwrap().permissions().mode() & 0o777, 0o777);
    assert_eq!(std::fs::read_link(restored("other link")).unwrap(), Path::new("folder/mode"));
}

#[cfg(unix)]
fn key_of(path: &str) -> Vec<u8> {
    [b"source", &[0][..], path.replace('/', "\0").as_bytes()].concat()
}
