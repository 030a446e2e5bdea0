//! Three homes on one folder as the store: what each edits reaches the others, and who is cut off is.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use super::{
    enroll::let_in,
    support::{Content, Desk, Entry, entries, noise},
};

const HOMES: [&str; 3] = ["old", "b", "c"];
/// As much as changing a secret may write.
const SMALL_BYTES: u64 = 256 * 1024;

fn message(n: u64) -> String {
    let date = 1_700_000_000_000 + n * 1000;
    format!("<sms address='+43 1 {n}' date='{date}' type='1' body='message {n}' read='1' />\n")
}

fn write_messages(at: &Path, numbers: &[u64]) {
    let messages: String = numbers.iter().map(|n| message(*n)).collect();
    fs::write(at, format!("<?xml version='1.0'?>\n<smses count='{}'>{messages}</smses>", numbers.len()))
        .unwrap();
}

/// One account on three homes, each with a folder of notes that holds what the first one wrote.
fn three_homes() -> Desk {
    let desk = Desk::with_vault();
    fs::create_dir_all(desk.path("old files/notes/notes")).unwrap();
    fs::write(desk.path("old files/notes/notes/common.txt"), "as it was\n").unwrap();
    fs::write(desk.path("old files/notes/notes/deleted.txt"), "soon gone\n").unwrap();
    desk.run("old", ["backup", "notes", "old files/notes/notes"]).exits(0);
    for home in ["b", "c"] {
        let_in(&desk, home);
        desk.run(home, ["consent", "grant", "messages", "notes", "photos"]).exits(0);
        desk.run(home, ["restore", "notes", "--into", &format!("{home} files")]).exits(0);
    }
    desk
}

fn backup_all(desk: &Desk, home: &str) {
    for (kind, name) in [("notes", "notes/notes"), ("photos", "DCIM"), ("messages", "sms.xml")] {
        desk.run(home, ["backup", kind, &format!("{home} files/{name}")]).exits(0);
    }
}

/// The files that a home restores, with the order of the syncs in its name.
fn restored(desk: &Desk, home: &str, order: &str) -> BTreeMap<Vec<u8>, Entry> {
    let out = format!("{home} out {order}");
    desk.run(home, ["restore", "--into", &out]).exits(0);
    let mut all = entries(&desk.path(&out));
    all.retain(|_, entry| matches!(entry.content, Content::File(_)));
    all
}

#[test]
fn what_three_homes_edit_in_any_order_is_the_same_on_all_three() {
    for order in ["cbaabc", "abcabc", "bacbcab"] {
        let desk = three_homes();
        for (n, home) in HOMES.into_iter().enumerate() {
            let folder = desk.path(&format!("{home} files"));
            fs::write(folder.join(format!("notes/notes/by {home}.txt")), home).unwrap();
            fs::create_dir(folder.join("DCIM")).unwrap();
            fs::write(folder.join(format!("DCIM/{home}.jpg")), noise(20_000 + n)).unwrap();
            let n = n as u64;
            write_messages(&folder.join("sms.xml"), &[n, n + 1, n + 2]);
        }
        fs::write(desk.path("b files/notes/notes/common.txt"), "edited on b\n").unwrap();
        fs::write(desk.path("c files/notes/notes/common.txt"), "edited on c\n").unwrap();
        fs::remove_file(desk.path("old files/notes/notes/deleted.txt")).unwrap();
        HOMES.iter().for_each(|home| backup_all(&desk, home));
        let home = |letter: char| HOMES["abc".find(letter).unwrap()];
        for letter in order.chars() {
            desk.run(home(letter), ["sync"]).exits(0);
        }
        HOMES.iter().for_each(|home| drop(desk.run(home, ["sync"]).exits(0)));

        let first = restored(&desk, "old", order);
        for home in ["b", "c"] {
            assert_eq!(restored(&desk, home, order), first, "{home}, {order}");
        }
        let files: Vec<_> = first.keys().map(|path| String::from_utf8(path.clone()).unwrap()).collect();
        let below = |folder: &str| files.iter().filter(|path| path.starts_with(folder)).count();
        assert_eq!((below("photos/DCIM/"), below("notes/notes/by ")), (3, 3), "{files:?}");
        let out = desk.path(&format!("old out {order}"));
        let mut versions: Vec<_> = files
            .iter()
            .filter(|path| path.starts_with("notes/notes/common"))
            .map(|path| fs::read_to_string(out.join(path)).unwrap())
            .collect();
        versions.sort();
        assert_eq!(versions, ["edited on b\n", "edited on c\n"], "{files:?}");
        assert!(!files.iter().any(|path| path.contains("deleted")), "{files:?}");
        let lists: Vec<_> = files.iter().filter(|path| path.starts_with("messages/")).collect();
        let list = lists.iter().find(|path| path.ends_with(".xml")).unwrap();
        let list = fs::read_to_string(out.join(list)).unwrap();
        assert_eq!(list.matches("<sms ").count(), 5, "{list}");
    }
}

/// Bytes that a command adds to the store.
fn written(desk: &Desk, command: impl FnOnce()) -> u64 {
    let size = || fs_size(&desk.path("store"));
    let before = size();
    command();
    size().saturating_sub(before)
}

fn fs_size(folder: &Path) -> u64 {
    let sizes = fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        if meta.is_dir() { fs_size(&entry.path()) } else { meta.len() }
    });
    sizes.sum()
}

fn id_of(desk: &Desk, name: &str) -> String {
    let listed = desk.run("old", ["--json", "devices", "list"]).exits(0).json();
    assert_eq!(listed.as_object().unwrap().keys().collect::<Vec<_>>(), ["devices"]);
    let devices = listed["devices"].as_array().unwrap();
    for device in devices {
        let fields: Vec<_> = device.as_object().unwrap().keys().map(String::as_str).collect();
        for field in ["id", "last_commit_ms", "name", "state"] {
            assert!(fields.contains(&field), "{fields:?}");
        }
        assert!(device["last_commit_ms"].as_u64().is_some());
    }
    let device = devices.iter().find(|device| device["name"] == name).unwrap();
    device["id"].as_str().unwrap().to_owned()
}

#[test]
fn who_is_cut_off_reads_nothing_new_and_is_not_heard_and_secrets_change_without_uploads() {
    let desk = three_homes();
    fs::write(desk.path("old files/notes/notes/large"), noise(3_000_000)).unwrap();
    desk.run("old", ["backup", "notes", "old files/notes/notes"]).exits(0);
    let id = id_of(&desk, "c");
    let bytes = written(&desk, || drop(desk.run("old", ["devices", "revoke", &id]).exits(0)));
    assert!(bytes <= SMALL_BYTES, "revoking wrote {bytes} bytes");
    let state = |name: &str| -> Value {
        let listed = desk.run("old", ["--json", "devices", "list"]).exits(0).json();
        let found =
            listed["devices"].as_array().unwrap().iter().find(|device| device["name"] == name).cloned();
        found.unwrap()["state"].clone()
    };
    assert_eq!((state("b"), state("c")), ("active".into(), "revoked".into()));
    fs::write(desk.path("old files/notes/notes/new"), "not for c").unwrap();
    desk.run("old", ["backup", "notes", "old files/notes/notes"]).exits(0);
    for args in [&["sync"][..], &["restore", "--into", "c out"], &["backup", "notes", "c files/notes/notes"]]
    {
        let refused = desk.run("c", args);
        assert!(refused.status != 0 && refused.stderr.contains("revoked"), "{refused:?}");
    }
    desk.run("b", ["sync"]).exits(0);
    desk.run("b", ["restore", "notes", "--into", "b out"]).exits(0);
    assert_eq!(fs::read_to_string(desk.path("b out/notes/notes/new")).unwrap(), "not for c");

    fs::write(desk.path("password"), "correct horse\n").unwrap();
    let set = ["password", "set", "--password-file", "password", "--secret-file"];
    let commands: [(&str, Vec<&str>); 4] = [
        ("rotating", vec!["devices", "rotate"]),
        ("a password", set.iter().copied().chain(["secret"]).collect()),
        ("another password", set.iter().copied().chain(["other secret"]).collect()),
        ("a new code", vec!["recovery", "new", "--code-file", "new code"]),
    ];
    for (what, args) in commands {
        let bytes = written(&desk, || drop(desk.run("old", &args).exits(0)));
        assert!(bytes <= SMALL_BYTES, "{what} wrote {bytes} bytes");
    }
    let with = |secret| ["recover", "--password-file", "password", "--device-secret-file", secret];
    desk.run("d", with("secret")).exits(4);
    desk.run("e", ["recover", "--code-file", "code"]).exits(4);
    desk.run("f", with("other secret")).exits(0);
    desk.run("g", ["recover", "--code-file", "new code"]).exits(0);
}
