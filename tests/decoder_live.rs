//! The decoder in `tests/decoder` was written from `docs/FORMAT.md` alone: what it restores from a store that
//! this crate wrote is what this crate restores.
//!
//! Needs Python: `STRONGROOM_PYTHON=…/python cargo test --test decoder_live -- --ignored`, with the packages
//! of `tests/decoder/requirements.txt`. `STRONGROOM_KEEP=DIR` leaves everything in DIR.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "test code"
)]
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of a test")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use strongroom::{
    keys::{DeviceSecret, Invitation, RecoveryCode},
    kinds::Kind,
    store::{
        DirectoryStore, StoreErrorKind,
        faults::{Fault, FaultStore, Method},
    },
    vault::{At, Folder, Job, NewDevice, Selection, Source, Vault},
};

const PASSWORD: &str = "correct horse e\u{301}";

/// One entry of a tree: type and mode, modification time, link target or hash of the content.
type Entry = (u32, (i64, i64), Vec<u8>);

#[test]
#[ignore = "needs Python with the packages of tests/decoder/requirements.txt"]
fn the_decoder_restores_what_this_crate_restores() {
    let python = std::env::var("STRONGROOM_PYTHON").expect("STRONGROOM_PYTHON names the interpreter");
    let kept = std::env::var_os("STRONGROOM_KEEP").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let work = kept.as_deref().unwrap_or(temporary.path());
    let store = work.join("store");
    let (code, device_secret) = write_store(work, &store);
    fs::write(work.join("code"), code.reveal().as_bytes()).unwrap();

    // Read before the new device adds its own commit.
    let by_code = work.join("by_code");
    decode(&python, &store, &by_code, &[("--code", code.reveal().as_str())]);
    let by_password = work.join("by_password");
    let secret = device_secret.reveal();
    decode(&python, &store, &by_password, &[("--device-secret", secret.as_str()), ("--password", PASSWORD)]);
    let by_crate = work.join("by_crate");
    restore(&store, &code, work.join("new"), &by_crate);
    compare(&tree(&by_code), &tree(&by_crate));
    compare(&tree(&by_password), &tree(&by_crate));

    // Small files that shrink share frames; photos and messages are not compressed.
    let fullest = fullest_frames(&python, &store, &code);
    assert!(fullest["files"] > 1 && fullest["photos"] == 1 && fullest["messages"] == 1, "{fullest:?}");

    // Two devices now, the second one with a commit of its own.
    let again = work.join("again");
    decode(&python, &store, &again, &[("--code", code.reveal().as_str())]);
    compare(&tree(&again), &tree(&by_crate));
}

/// F-21: fragments name older ones, until the small ones are merged.
#[test]
#[ignore = "needs Python with the packages of tests/decoder/requirements.txt"]
fn an_index_of_many_fragments_is_read_alike() {
    let python = std::env::var("STRONGROOM_PYTHON").expect("STRONGROOM_PYTHON names the interpreter");
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| work.path().join(name);
    let store = DirectoryStore::open(at("store")).unwrap();
    let (vault, code) = Vault::create(store, at("state"), NewDevice::named("phone").unwrap()).unwrap();
    vault.consent().grant(&Kind::FILES).unwrap();
    fs::create_dir_all(at("docs")).unwrap();
    for round in 0..40_u64 {
        fs::write(at("docs").join(format!("{round}")), noise(round, 20_000)).unwrap();
        let folder = Folder::at(at("docs"));
        vault.backup(&Kind::FILES, "docs", Source::Folder(&folder), &Job::new()).unwrap();
        if round == 20 {
            decode(&python, &at("store"), &at("early"), &[("--code", code.reveal().as_str())]);
        }
    }
    assert!(at("early/files/docs/20").is_file());
    decode(&python, &at("store"), &at("by_decoder"), &[("--code", code.reveal().as_str())]);
    restore(&at("store"), &code, at("new"), &at("by_crate"));
    compare(&tree(&at("by_decoder")), &tree(&at("by_crate")));
}

/// F-70, step 3: of two envelopes with roots for one epoch, only one may be of any use; both are read.
#[test]
#[ignore = "needs Python with the packages of tests/decoder/requirements.txt"]
fn an_epoch_begun_and_lost_does_not_lead_the_decoder_astray() {
    let python = std::env::var("STRONGROOM_PYTHON").expect("STRONGROOM_PYTHON names the interpreter");
    for _ in 0..6 {
        let work = tempfile::tempdir().unwrap();
        let [store, state] = ["store", "state"].map(|name| work.path().join(name));
        let device = NewDevice::named("phone").unwrap();
        let (vault, code) = Vault::create(DirectoryStore::open(&store).unwrap(), &state, device).unwrap();
        drop(vault);
        // Device, recovery code, password: the third envelope does not get through.
        let envelopes = AtomicU32::new(0);
        let faulty = FaultStore::new(DirectoryStore::open(&store).unwrap(), move |request| {
            let is_envelope = request.method == Method::Put && request.name.starts_with("envelopes/");
            let stop = is_envelope && envelopes.fetch_add(1, Ordering::Relaxed) == 2;
            if stop { Fault::Before(StoreErrorKind::Refused) } else { Fault::None }
        });
        let vault = Vault::open(faulty, &state).unwrap();
        assert!(vault.set_password(PASSWORD).is_err());
        vault.set_password(PASSWORD).unwrap();
        vault.consent().grant(&Kind::CALLS).unwrap();
        vault.backup(&Kind::CALLS, "calls", Source::Stream(&mut calls().as_bytes()), &Job::new()).unwrap();
        let [ours, theirs] = ["by_decoder", "by_crate"].map(|name| work.path().join(name));
        restore(&store, &code, work.path().join("new"), &theirs);
        decode(&python, &store, &ours, &[("--code", code.reveal().as_str())]);
        compare(&tree(&ours), &tree(&theirs));
    }
}

/// F-70, step 5: what only envelopes lead to does not count. A device dies after the envelopes that name its
/// revocation of another and before the commit.
#[test]
#[ignore = "needs Python with the packages of tests/decoder/requirements.txt"]
fn a_revocation_that_no_commit_names_is_none_to_the_decoder() {
    let python = std::env::var("STRONGROOM_PYTHON").expect("STRONGROOM_PYTHON names the interpreter");
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| work.path().join(name);
    let open = || DirectoryStore::open(at("store")).unwrap();
    let device = |name: &str| NewDevice::named(name).unwrap();
    let (phone, code) = Vault::create(open(), at("phone"), device("phone")).unwrap();
    let laptop = Vault::recover(open(), at("laptop"), &code, device("laptop")).unwrap();
    laptop.consent().grant(&Kind::NOTES).unwrap();
    settle(&[&phone, &laptop]);
    drop(phone);
    let faulty = FaultStore::new(open(), |request| {
        let is_commit = request.method == Method::Put && request.name.starts_with("commits/");
        if is_commit { Fault::Before(StoreErrorKind::Refused) } else { Fault::None }
    });
    assert!(Vault::open(faulty, at("phone")).unwrap().revoke(laptop.device()).is_err());
    laptop.records(&Kind::NOTES).unwrap().put("n/later.md", b"written afterwards").unwrap();
    laptop.sync(&Job::new()).unwrap();
    agree(&python, &at("read"), &at("store"), &code);
    assert!(at("read/by_decoder/notes/n/later.md").is_file());
}

/// Three devices, one let in by invitation and one by the code. Two of them work at once in two copies of the
/// store, begin the same epoch, edit the same note; what they wrote comes together. The third is revoked.
#[test]
#[ignore = "needs Python with the packages of tests/decoder/requirements.txt"]
fn what_three_devices_wrote_is_read_alike() {
    let python = std::env::var("STRONGROOM_PYTHON").expect("STRONGROOM_PYTHON names the interpreter");
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| work.path().join(name);
    let open = |store: &str| DirectoryStore::open(at(store)).unwrap();
    let device = |name: &str| NewDevice::named(name).unwrap();
    let put = |vault: &Vault, path: &str, text: &str| {
        vault.records(&Kind::NOTES).unwrap().put(path, text.as_bytes()).unwrap();
    };
    let (phone, code) = Vault::create(open("store"), at("phone"), device("phone")).unwrap();
    let tablet = let_in(&phone, open("store"), at("tablet"));
    let laptop = Vault::recover(open("store"), at("laptop"), &code, device("laptop")).unwrap();
    for vault in [&phone, &tablet, &laptop] {
        [Kind::NOTES, Kind::MESSAGES, Kind::CALLS]
            .iter()
            .for_each(|kind| vault.consent().grant(kind).unwrap());
    }
    put(&phone, "n/shared.md", "as it was");
    put(&laptop, "n/laptop.md", "written on the laptop");
    let job = Job::new();
    let stream = |text: &str, kind, vault: &Vault| {
        vault.backup(&kind, "stream", Source::Stream(&mut text.as_bytes()), &job).unwrap();
    };
    stream(&messages(0), Kind::MESSAGES, &tablet);
    stream(&calls(), Kind::CALLS, &laptop);
    settle(&[&phone, &tablet, &laptop]);
    agree(&python, &at("settled"), &at("store"), &code);

    // The tablet sees another copy of the store for a while.
    drop(tablet);
    copy(&at("store"), &at("other"));
    let tablet = Vault::open(open("other"), at("tablet")).unwrap();
    for (vault, name) in [(&phone, "phone"), (&tablet, "tablet")] {
        put(vault, "n/shared.md", &format!("edited on the {name}"));
        put(vault, &format!("n/{name}.md"), name);
        vault.rotate().unwrap();
        vault.sync(&job).unwrap();
    }
    drop(tablet);
    copy(&at("other"), &at("store"));
    agree(&python, &at("apart"), &at("store"), &code);
    let tablet = Vault::open(open("store"), at("tablet")).unwrap();
    settle(&[&phone, &tablet, &laptop]);
    agree(&python, &at("merged"), &at("store"), &code);
    let notes = fs::read_dir(at("merged/by_decoder/notes/n")).unwrap().count();
    assert_eq!(notes, 5, "both versions, and what each device wrote");

    phone.revoke(laptop.device()).unwrap();
    assert!(laptop.sync(&job).is_err());
    put(&tablet, "n/later.md", "after the revocation");
    settle(&[&tablet, &phone]);
    agree(&python, &at("revoked"), &at("store"), &code);
    let new = tablet.new_recovery_code().unwrap();
    agree(&python, &at("new_code"), &at("store"), &new);
    let status = decoder(&python, &at("store"), &at("old_code"), &[("--code", code.reveal().as_str())]);
    assert_eq!(status.code(), Some(4), "the old code opens nothing");
}

fn let_in(vault: &Vault, store: DirectoryStore, state: PathBuf) -> Vault {
    let mut inviting = vault.invite().unwrap();
    let scanned = Invitation::parse(&inviting.text()).unwrap();
    let device = NewDevice::named("tablet").unwrap();
    let mut joining = Vault::join(store, state, &scanned, device).unwrap();
    inviting.wait(&Job::new()).unwrap();
    inviting.admit(&joining.check_code(&Job::new()).unwrap()).unwrap();
    joining.finish(&Job::new()).unwrap()
}

/// Everybody syncs until nobody has anything to say.
fn settle(devices: &[&Vault]) {
    let sync = |vault: &&&Vault| vault.sync(&Job::new()).unwrap().commit.is_some();
    assert!((0..6).any(|_| devices.iter().filter(sync).count() == 0), "they never come to rest");
}

/// The decoder and, on a copy of the store, this crate restore the same.
fn agree(python: &str, at: &Path, store: &Path, code: &RecoveryCode) {
    let [ours, theirs] = ["by_decoder", "by_crate"].map(|name| at.join(name));
    copy(store, &at.join("store"));
    decode(python, store, &ours, &[("--code", code.reveal().as_str())]);
    restore(&at.join("store"), code, at.join("new"), &theirs);
    compare(&tree(&ours), &tree(&theirs));
}

/// Adds what `from` has to `to`.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if !target.exists() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Of each kind, how many chunks lie in the frame that holds most.
fn fullest_frames(python: &str, store: &Path, code: &RecoveryCode) -> BTreeMap<String, usize> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decoder/fullest_frames.py");
    let output = Command::new(python).arg(script).arg(store).arg(code.reveal().as_str()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let counts = lines.lines().filter_map(|line| line.split_once(' '));
    counts.map(|(kind, count)| (kind.to_owned(), count.parse().unwrap())).collect()
}

fn decode(python: &str, store: &Path, into: &Path, secret: &[(&str, &str)]) {
    assert!(decoder(python, store, into, secret).success());
}

fn decoder(python: &str, store: &Path, into: &Path, secret: &[(&str, &str)]) -> ExitStatus {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decoder/strongroom_decoder.py");
    let mut command = Command::new(python);
    command.arg(script).arg("--store").arg(store).arg("--into").arg(into);
    command.args(secret.iter().flat_map(|(flag, value)| [flag, value]));
    command.status().unwrap()
}

fn restore(store: &Path, code: &RecoveryCode, state: PathBuf, into: &Path) {
    let store = DirectoryStore::open(store).unwrap();
    let vault = Vault::recover(store, state, code, NewDevice::named("new phone").unwrap()).unwrap();
    let plan = vault.plan_restore(&Selection::all(), &At::Latest, &Job::new()).unwrap();
    let report = vault.restore(plan, into, &Job::new()).unwrap();
    assert_eq!(report.failures, []);
}

fn write_store(work: &Path, store: &Path) -> (RecoveryCode, DeviceSecret) {
    let store = DirectoryStore::open(store).unwrap();
    let device = NewDevice::named("old phone").unwrap();
    let (vault, _) = Vault::create(store, work.join("old"), device).unwrap();
    for kind in Kind::ALL {
        vault.consent().grant(&kind).unwrap();
    }
    let [docs, notes, photos] = ["docs", "notes", "photos"].map(|name| work.join("source").join(name));
    write_docs(&docs);
    write_notes(&notes);
    write_photos(&photos);
    backup(&vault, &docs, &notes, &photos, 0);
    let device_secret = vault.set_password(PASSWORD).unwrap();
    let code = vault.new_recovery_code().unwrap();
    fs::write(docs.join("later.txt"), "written in the second epoch").unwrap();
    fs::remove_file(docs.join("gone.txt")).unwrap();
    let mut appended = fs::OpenOptions::new().append(true).open(docs.join("random.bin")).unwrap();
    appended.write_all(&noise(9, 300_000)).unwrap();
    backup(&vault, &docs, &notes, &photos, 1);
    (code, device_secret)
}

fn backup(vault: &Vault, docs: &Path, notes: &Path, photos: &Path, round: u32) {
    let job = Job::new();
    for (kind, name, path) in
        [(Kind::FILES, "docs", docs), (Kind::NOTES, "my notes", notes), (Kind::PHOTOS, "DCIM", photos)]
    {
        let report = vault.backup(&kind, name, Source::Folder(&Folder::at(path)), &job).unwrap();
        assert_eq!(report.skipped, []);
    }
    let streams = [
        (Kind::MESSAGES, "sms", messages(round)),
        (Kind::CALLS, "calls", calls()),
        (Kind::CONTACTS, "phone", cards("phone")),
        (Kind::CONTACTS, "work", cards("work")),
    ];
    for (kind, name, text) in streams {
        vault.backup(&kind, name, Source::Stream(&mut text.as_bytes()), &job).unwrap();
    }
}

fn write_docs(at: &Path) {
    fs::create_dir_all(at.join("sub/empty")).unwrap();
    fs::write(at.join("a.txt"), "hello").unwrap();
    fs::write(at.join("gone.txt"), "gone in the second commit").unwrap();
    fs::write(at.join("sub/zero"), "").unwrap();
    fs::write(at.join("sub/4096"), noise(1, 4096)).unwrap();
    fs::write(at.join("sub/4097"), noise(2, 4097)).unwrap();
    fs::write(at.join("random.bin"), noise(3, 92 << 20)).unwrap();
    fs::write(at.join("text.log"), "the same line again and again\n".repeat(300_000)).unwrap();
    fs::write(at.join("f\u{fc}r \u{1f600}"), "a name").unwrap();
    fs::write(at.join(std::ffi::OsStr::from_bytes(b"not-utf8-\xff")), "bytes").unwrap();
    fs::write(at.join("sub.txt"), "sorts between sub and what is below it").unwrap();
    write_small(&at.join("small"));
    std::os::unix::fs::symlink("../a.txt", at.join("sub/link")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at all", at.join("dangling")).unwrap();
    let dated = |name: &str, mode: u32, time: SystemTime| {
        let file = fs::File::open(at.join(name)).unwrap();
        file.set_modified(time).unwrap();
        file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
    };
    dated("a.txt", 0o400, SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789));
    dated("text.log", 0o755, SystemTime::UNIX_EPOCH - Duration::new(1, 500_000_000));
    dated("sub/empty", 0o711, SystemTime::UNIX_EPOCH + Duration::from_secs(5));
}

/// 700 KiB of files too long to lie in the tree, so that some share frames and the last are left over; among them
/// one that does not shrink and two that are the same.
fn write_small(at: &Path) {
    fs::create_dir_all(at).unwrap();
    for number in 0..140 {
        let text = format!("{{\"number\": {number}, \"of\": \"small files\"}}\n").repeat(130);
        fs::write(at.join(format!("{number:03}.json")), text).unwrap();
    }
    fs::write(at.join("040.noise"), noise(8, 20_000)).unwrap();
    fs::copy(at.join("050.json"), at.join("051.copy")).unwrap();
}

fn write_notes(at: &Path) {
    for number in 0..700 {
        let folder = at.join(format!("{:02}", number % 13));
        fs::create_dir_all(&folder).unwrap();
        let text = format!("# Note {number}\n\n").repeat(number / 3 + 1);
        fs::write(folder.join(format!("note {number}.md")), text).unwrap();
    }
}

fn write_photos(at: &Path) {
    fs::create_dir_all(at).unwrap();
    fs::write(at.join("IMG_1.jpg"), noise(4, 3_000_000)).unwrap();
    fs::File::create(at.join("VID_1.mp4")).unwrap().set_len(70_000_000).unwrap();
    fs::write(at.join("exact.png"), noise(5, 931_328 * 2)).unwrap();
}

fn messages(round: u32) -> String {
    let mut xml = String::from("<?xml version='1.0' encoding='UTF-8'?>\n<smses count=\"7\">\n");
    for number in 0..4000 + round {
        let date = 1_500_000_000_000_u64 + u64::from(number) * 77_777;
        xml += &format!(
            "<sms address=\"+49{number}\" type=\"1\" date=\"{date}\" body=\"Hi &amp; bye &#128512; {number}\" />\n"
        );
    }
    xml += "<sms address=\"1\" type=\"1\" date=\"5\" body=\"twice\" />\n".repeat(2).as_str();
    xml +=
        "<sms address=\"1\" type=\"2\" date=\"-5\" body=\"a&#10;b&#9;&lt;&quot;&gt;\" future=\"kept\" />\n";
    let data = base64(&noise(6, 6_000_000));
    let small = base64(&noise(7, 100));
    xml += &format!(
        "<mms date=\"1600000000000\" msg_box=\"1\" m_id=\"x\"><parts><part seq=\"0\" data=\"{data}\" />\
         <part seq=\"1\" data=\"{small}\" text=\"null\" /><part data=\"not base64\" /></parts>\
         <addrs><addr address=\"7\" /></addrs></mms>\n</smses>\n"
    );
    xml
}

fn calls() -> String {
    let mut xml = String::from("<?xml version='1.0' encoding='UTF-8'?>\n<calls count=\"300\">\n");
    for number in 0..300 {
        xml +=
            &format!("<call number=\"{number}\" duration=\"3\" date=\"{}\" type=\"2\" />\n", 1000 - number);
    }
    xml + "</calls>\n"
}

fn cards(source: &str) -> String {
    let mut cards = String::new();
    for number in 0..40 {
        cards += &format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{source}-{number}\r\nFN:N\u{e4}me {number}\r\n");
        cards += &format!("NOTE:{}\r\nEND:VCARD\r\n", "long ".repeat(number * 50));
    }
    cards
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::Encoding as _;
    let mut text = vec![0; bytes.len().div_ceil(3) * 4];
    base64ct::Base64::encode(bytes, &mut text).unwrap().to_owned()
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Everything below a folder, by path.
fn tree(at: &Path) -> BTreeMap<Vec<u8>, Entry> {
    let mut found = BTreeMap::new();
    let mut open = vec![at.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(at).unwrap().as_os_str().as_bytes().to_vec();
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if meta.is_dir() {
                Vec::new()
            } else {
                blake3::hash(&fs::read(&path).unwrap()).as_bytes().to_vec()
            };
            // Folders that the backup says nothing about (the kinds, the sources) have the time of now.
            let time = (meta.mtime(), meta.mtime_nsec());
            let said = name.iter().filter(|byte| **byte == b'/').count() > 1 || !meta.is_dir();
            found.insert(name, (meta.mode(), if said { time } else { (0, 0) }, content));
            if meta.is_dir() {
                open.push(path);
            }
        }
    }
    found
}

fn compare(ours: &BTreeMap<Vec<u8>, Entry>, theirs: &BTreeMap<Vec<u8>, Entry>) {
    let names = ours.keys().chain(theirs.keys());
    let different: Vec<_> = names
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .map(|name| (String::from_utf8_lossy(name), ours.get(name), theirs.get(name)))
        .collect();
    assert!(different.is_empty(), "{different:#?}");
}
