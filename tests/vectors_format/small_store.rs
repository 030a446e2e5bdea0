//! A whole store in the repository, restored exactly.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use strongroom::crypto::{Random, SeededRandom};
use strongroom::keys::RecoveryCode;
use strongroom::kinds::Kind;
use strongroom::store::DirectoryStore;
use strongroom::vault::{At, Clock, Environment, Folder, Job, NewDevice, Selection, Source, Vault};

use crate::world::{TIME_MS, base64, regenerating, seeded, vectors};

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

#[test]
fn the_small_store_is_restored_exactly() {
    let at = vectors().join("small_store");
    if regenerating() {
        write(&at);
    }
    let expected: Value =
        serde_json::from_str(&fs::read_to_string(at.join("expected.json")).unwrap()).unwrap();
    let work = tempfile::tempdir().unwrap();
    copy(&at.join("store"), &work.path().join("store"));
    let store = DirectoryStore::open(work.path().join("store")).unwrap();
    let code = RecoveryCode::parse(expected["recovery_code"].as_str().unwrap()).unwrap();
    let device = NewDevice::named("another").unwrap();
    let vault = Vault::recover(store, work.path().join("state"), &code, device).unwrap();
    let plan = vault.plan_restore(&Selection::all(), &At::Latest, &Job::new()).unwrap();
    let out = work.path().join("out");
    assert_eq!(vault.restore(plan, &out, &Job::new()).unwrap().failures, []);
    assert_eq!(Value::from(tree(&out)), expected["tree"]);
}

fn write(at: &Path) {
    fs::remove_dir_all(at).ok();
    let work = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(at.join("store")).unwrap();
    let random: Box<dyn Random> = Box::new(SeededRandom::new(2000));
    let environment = Environment::new(Box::new(FixedClock), random);
    let device = NewDevice::named("phone").unwrap();
    let first = RecoveryCode::generate(&mut SeededRandom::new(2001)).unwrap();
    let vault = Vault::create_in(store, work.path().join("state"), device, &first, environment).unwrap();
    let [docs, notes] = ["docs", "notes"].map(|name| work.path().join(name));
    fs::create_dir_all(docs.join("sub")).unwrap();
    fs::create_dir_all(&notes).unwrap();
    fs::write(docs.join("small.txt"), "small").unwrap();
    fs::write(docs.join("sub/large.txt"), "a line that repeats\n".repeat(1000)).unwrap();
    fs::write(docs.join("sub/noise"), seeded::<5000>(12).expose()).unwrap();
    fs::write(notes.join("note.md"), "# A note\n").unwrap();
    std::os::unix::fs::symlink("../small.txt", docs.join("sub/link")).unwrap();
    let sms = "<smses><sms address=\"1\" type=\"1\" date=\"5\" body=\"Hi &#128512;\"/>\
               <mms date=\"6\" msg_box=\"1\" m_id=\"m\"><parts><part data=\"AAEC\"/></parts></mms></smses>";
    let (job, mut stream) = (Job::new(), sms.as_bytes());
    for kind in [Kind::FILES, Kind::NOTES, Kind::MESSAGES] {
        vault.consent().grant(&kind).unwrap();
    }
    let code = RecoveryCode::generate(&mut SeededRandom::new(2002)).unwrap();
    vault.replace_recovery_code(&code).unwrap();
    for (path, mode) in [("small.txt", 0o640), ("sub/large.txt", 0o400), ("sub/noise", 0o600), ("sub", 0o750)]
    {
        dress(&docs.join(path), mode);
    }
    dress(&notes.join("note.md"), 0o644);
    dress(&docs.join("sub"), 0o750);
    vault.backup(&Kind::FILES, "docs", Source::Folder(&Folder::at(&docs)), &job).unwrap();
    vault.backup(&Kind::NOTES, "notes", Source::Folder(&Folder::at(&notes)), &job).unwrap();
    vault.backup(&Kind::MESSAGES, "sms", Source::Stream(&mut stream), &job).unwrap();
    let out = work.path().join("out");
    let plan = vault.plan_restore(&Selection::all(), &At::Latest, &Job::new()).unwrap();
    assert_eq!(vault.restore(plan, &out, &job).unwrap().failures, []);
    let expected = json!({ "recovery_code": code.reveal().as_str(), "tree": tree(&out) });
    fs::remove_dir_all(at.join("store/tmp")).ok();
    fs::write(at.join("expected.json"), serde_json::to_string_pretty(&expected).unwrap() + "\n").unwrap();
}

fn dress(path: &Path, mode: u32) {
    let file = fs::File::options().read(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_600_000_000, 5))
        .unwrap();
    file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Mode, time and content by path. Folders of kinds and sources, and links, without their times.
fn tree(at: &Path) -> serde_json::Map<String, Value> {
    let mut found = serde_json::Map::new();
    let mut open = vec![at.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(at).unwrap().to_str().unwrap().to_owned();
            let meta = path.symlink_metadata().unwrap();
            let said =
                json!({ "mode": format!("{:o}", meta.mode()), "time": [meta.mtime(), meta.mtime_nsec()] });
            let mut value = said;
            if meta.is_symlink() {
                value = json!({ "link": fs::read_link(&path).unwrap().to_str().unwrap() });
            } else if meta.is_file() {
                value["content"] = base64(&fs::read(&path).unwrap()).into();
            } else {
                if name.matches('/').count() < 2 {
                    value = json!({ "folder": true });
                }
                open.push(path);
            }
            found.insert(name, value);
        }
    }
    found
}

struct FixedClock;

impl Clock for FixedClock {
    fn now_ms(&self) -> i64 {
        TIME_MS
    }
}
