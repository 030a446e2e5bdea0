//! Attacks on a whole vault by the store that keeps it (docs/THREAT-MODEL.md): whatever it changes, loses,
//! brings back or invents, what is restored is right or named as missing, and nothing of the owner's shows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::type_complexity,
    reason = "a test may fail loudly, and prepares files"
)]

mod attack_support;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::Path,
};

use attack_support::{
    Objects, Phone, backup, device, files, id_of, names, noise, objects, recover, remove, replace,
    restore_all,
};
use sha2::Digest as _;
use strongroom::{
    Error, Result,
    crypto::{Context, ObjectType, OsRandom, Place, SeededRandom, is_object_length, open_message},
    history::Freshness,
    keys::{DeviceId, Envelope, RecoveryCode, Roster},
    kinds::Kind,
    store::{
        MemoryStore, ObjectName, Store, StoreError, StoreErrorKind, StoredObject,
        faults::{Fault, FaultStore, Method},
    },
    vault::{
        At, CheckOptions, Environment, Failure, Job, RestoreReport, Selection, Source, SystemClock, Vault,
    },
};

type Tree = BTreeMap<String, Vec<u8>>;

const MESSAGES: &str = "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<smses count=\"3\">\n\
    <sms protocol=\"0\" address=\"+4912345\" date=\"1700000000000\" type=\"1\" body=\"the first secret message\" read=\"1\" />\n\
    <sms protocol=\"0\" address=\"+4912345\" date=\"1700000001000\" type=\"2\" body=\"an answer to that\" read=\"1\" />\n\
    <sms protocol=\"0\" address=\"+4967890\" date=\"1700000002000\" type=\"1\" body=\"somebody else entirely\" read=\"1\" />\n\
    </smses>\n";

fn backup_messages(phone: &Phone) {
    let mut stream = MESSAGES.as_bytes();
    phone.vault.backup(&Kind::MESSAGES, "sms", Source::Stream(&mut stream), &Job::new()).unwrap();
}

/// A vault with a history, every state it was in, and its owner's newest code. No device has it open.
struct World {
    work: tempfile::TempDir,
    code: RecoveryCode,
    states: Vec<Tree>,
    honest: Objects,
    packs: BTreeSet<String>,
    /// What a device that knows the vault cannot do without: its own pinned commit. The roster and the
    /// keyring that it names are kept on the device.
    needed: String,
}

impl World {
    fn new() -> Self {
        let phone = Phone::new();
        let mut states = vec![Tree::new()];
        let note = |states: &mut Vec<Tree>| {
            let out = phone.path(&format!("honest {}", states.len()));
            assert_eq!(restore_all(&phone.vault, &out).unwrap().failures, []);
            states.push(files(&out));
        };
        phone.write("a.txt", "a short file");
        phone.write("sub/big.bin", noise(1, 60_000));
        phone.backup(&Kind::FILES).unwrap();
        note(&mut states);
        backup_messages(&phone);
        note(&mut states);
        phone.backup(&Kind::NOTES).unwrap();
        note(&mut states);
        let code = phone.vault.new_recovery_code().unwrap();
        phone.write("a.txt", "a changed file");
        phone.write("c.bin", noise(2, 30_000));
        phone.backup(&Kind::FILES).unwrap();
        note(&mut states);
        let needed = phone.written("commit").pop().unwrap();
        let packs = phone.written("pack").into_iter().collect();
        let honest = objects(&phone.store);
        Self { work: phone.work, code, states, honest, packs, needed }
    }

    /// Every way in which the store may spoil one object.
    fn damages(&self, name: &str) -> Vec<(String, Option<Vec<u8>>)> {
        let bytes = &self.honest[name];
        let flip = |at: usize| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x40;
            (format!("flip at {at}"), Some(bytes))
        };
        let other =
            self.honest.iter().find(|(other, bytes_of)| *other != name && bytes_of.len() == bytes.len());
        let first_part = name.split('/').next().unwrap();
        let like = self.honest.iter().rfind(|(other, _)| *other != name && other.starts_with(first_part));
        let mut all = vec![flip(3), flip(40), flip(bytes.len() / 2), flip(bytes.len() - 1)];
        all.push(("cut in half".to_owned(), Some(bytes[..bytes.len() / 2].to_vec())));
        all.push(("emptied".to_owned(), Some(Vec::new())));
        all.push(("deleted".to_owned(), None));
        all.extend(other.map(|(_, bytes)| ("another of its length".to_owned(), Some(bytes.clone()))));
        all.extend(like.map(|(_, bytes)| ("another of its place".to_owned(), Some(bytes.clone()))));
        all
    }

    /// What came out is right, or wrong things are named; never silently less.
    fn check(&self, out: &Path, result: Result<RestoreReport>, live: bool, what: &str) -> Outcome {
        let found = files(out);
        let latest = self.states.last().unwrap();
        let Ok(report) = result else {
            assert!(found.is_empty(), "{what}: files in spite of an error");
            return Outcome::Refused;
        };
        assert_eq!(report.freshness, if live { Freshness::Fresh } else { Freshness::Unproven });
        if report.failures.is_empty() {
            let right = if live { found == *latest } else { self.states.contains(&found) };
            assert!(right, "{what}: restored without complaint: {:?}", found.keys());
            return Outcome::Whole;
        }
        for (path, bytes) in &found {
            let known = self.states.iter().any(|state| state.get(path) == Some(bytes));
            let partial = path.ends_with(".xml") && {
                let lines: HashSet<&[u8]> = latest[path].split(|b| *b == b'\n').collect();
                bytes.split(|b| *b == b'\n').all(|line| lines.contains(line))
            };
            assert!(known || partial, "{what}: wrong bytes in {path}");
        }
        let general =
            report.failures.iter().any(|f| f.path.starts_with("everything") || f.path.starts_with('('));
        // Lost with a page of the tree: told by their number. A restore tells folders and links so too.
        let counted = |kind: &str| -> usize {
            let of_kind = report.failures.iter().filter(|failure| failure.kind == kind);
            of_kind.filter_map(|failure| failure.path.split_once(" entries ")?.0.parse::<usize>().ok()).sum()
        };
        let missing = || latest.keys().filter(|path| !found.contains_key(*path));
        for path in missing() {
            let kind = path.split('/').next().unwrap();
            let of_kind = missing().filter(|path| path.split('/').next() == Some(kind)).count();
            let general = general || counted(kind) >= of_kind;
            let named = report.failures.iter().any(|f| *path == format!("{}/{}", f.kind, f.path));
            let file = report.failures.iter().any(|f| path.ends_with(".xml") && path.starts_with(&f.kind));
            assert!(
                named || general || file,
                "{what}: {path} is missing and not named: {:?}",
                report.failures
            );
        }
        assert!(report.failures.iter().all(|failure| failure.damage), "{what}");
        Outcome::Named
    }

    fn spoil(&self, name: &str, damage: Option<&[u8]>) -> MemoryStore {
        let store = MemoryStore::new();
        for (of, bytes) in &self.honest {
            let bytes = if of == name { damage } else { Some(bytes.as_slice()) };
            if let Some(bytes) = bytes {
                store.put(&ObjectName::parse(of).unwrap(), bytes).unwrap();
            }
        }
        store
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Refused,
    Named,
    Whole,
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn attack_i1_i4_f7_each_object_spoiled_before_a_device_that_knows_the_vault() {
    let world = World::new();
    let mut seen = BTreeMap::new();
    for name in world.honest.keys() {
        for (what, damage) in world.damages(name) {
            let what = format!("{name}: {what}");
            let here = tempfile::tempdir().unwrap();
            copy_folder(&world.work.path().join("state"), &here.path().join("state"));
            let store = world.spoil(name, damage.as_deref());
            let vault = Vault::open(store.clone(), here.path().join("state")).unwrap();
            let _ = vault.snapshots();
            let puts = store.traffic().puts;
            let result = restore_all(&vault, &here.path().join("out"));
            let outcome = world.check(&here.path().join("out"), result, true, &what);
            assert_eq!(store.traffic().puts, puts, "{what}: a restore writes nothing");
            assert!(world.needed != *name || outcome == Outcome::Refused, "{what}: {outcome:?}");
            *seen.entry((world.packs.contains(name), outcome)).or_insert(0) += 1;
        }
    }
    assert!(seen[&(false, Outcome::Refused)] > 8 && seen[&(true, Outcome::Named)] > 10, "{seen:?}");
}

#[test]
fn attack_i1_i4_f7_each_object_spoiled_before_a_device_that_joins() {
    let world = World::new();
    let mut seen = BTreeMap::new();
    for name in world.honest.keys() {
        for (what, damage) in world.damages(name) {
            let what = format!("{name}: {what}");
            let here = tempfile::tempdir().unwrap();
            let store = world.spoil(name, damage.as_deref());
            let vault = match recover(&store, &here.path().join("state"), &world.code) {
                Ok(vault) => vault,
                Err(error) => {
                    let refused = error.is_damage() || matches!(error, Error::WrongSecret);
                    assert!(refused, "{what}: {error}");
                    assert_eq!(objects(&store).len(), world.honest.len() - usize::from(damage.is_none()));
                    *seen.entry(Outcome::Refused).or_insert(0) += 1;
                    continue;
                }
            };
            let _ = vault.snapshots();
            let result = restore_all(&vault, &here.path().join("out"));
            *seen.entry(world.check(&here.path().join("out"), result, false, &what)).or_insert(0) += 1;
        }
    }
    assert!(seen[&Outcome::Refused] > 30 && seen[&Outcome::Named] > 10, "{seen:?}");
}

/// Every job refuses with a rollback, and nothing is written.
fn assert_rollback(phone: &Phone, n: usize) {
    let puts = phone.store.traffic().puts;
    phone.write("n.txt", format!("a change that must not be lost {n}"));
    let rollback = |error: Option<Error>, what| {
        assert!(matches!(error, Some(Error::Rollback { .. })), "{what} on state {n}: {error:?}");
    };
    rollback(phone.backup(&Kind::NOTES).err(), "backup");
    rollback(restore_all(&phone.vault, &phone.path("out")).err(), "restore");
    rollback(phone.vault.snapshots().err(), "snapshots");
    rollback(phone.vault.freshness().err(), "freshness");
    rollback(phone.vault.new_recovery_code().err(), "a new code");
    assert_eq!(phone.store.traffic().puts, puts, "something was written on state {n}");
    assert!(!phone.path("out").exists());
}

#[test]
fn attack_f1_f2_every_earlier_state_put_back_is_a_rollback() {
    let phone = Phone::new();
    let mut states = vec![MemoryStore::new().snapshot(), phone.store.snapshot()];
    let mut code = None;
    for n in 0..20 {
        phone.write("n.txt", format!("content {n}"));
        phone.backup(&Kind::NOTES).unwrap();
        if n == 10 {
            code = Some(phone.vault.new_recovery_code().unwrap());
        }
        states.push(phone.store.snapshot());
    }
    let mut newest = states.pop().unwrap();
    for (n, state) in states.iter().enumerate() {
        phone.store.restore(state);
        assert_rollback(&phone, n);
    }
    // One class of objects alone is set back by ten states, with all else fresh.
    phone.store.restore(&states[10]);
    let old = names(&phone.store, "");
    for class in ["commit", "keyring", "roster", "index", "pack", "envelope"] {
        phone.store.restore(&newest);
        let gone: Vec<_> = phone.written(class).into_iter().filter(|name| !old.contains(name)).collect();
        assert!(!gone.is_empty(), "{class}");
        let all = objects(&phone.store);
        let lost: Vec<_> = gone.iter().map(|name| all.get(name).cloned().unwrap_or_default()).collect();
        gone.iter().for_each(|name| remove(&phone.store, name));
        if class == "commit" {
            assert_rollback(&phone, 100);
            continue;
        }
        let restored = restore_all(&phone.vault, &phone.path(class));
        match class {
            "pack" => assert!(restored.unwrap().failures.iter().any(|failure| failure.damage)),
            _ => assert_eq!(restored.unwrap().failures, [], "{class}"),
        }
        phone.write("n.txt", format!("set back: {class}"));
        // The device keeps roster and keyring as it last saw them: it goes on without either, and what it
        // writes is whole as soon as they are back.
        let backed_up = phone.backup(&Kind::NOTES);
        assert_eq!(backed_up.is_ok(), !["index", "pack"].contains(&class), "{class}: {backed_up:?}");
        if ["keyring", "roster"].contains(&class) {
            assert!(
                recover(&phone.store, &phone.path("none"), code.as_ref().unwrap()).err().unwrap().is_damage(),
                "{class}"
            );
            gone.iter().zip(&lost).for_each(|(name, bytes)| {
                phone.store.put(&ObjectName::parse(name).unwrap(), bytes).unwrap();
            });
            newest = phone.store.snapshot();
        }
    }
}

#[test]
fn attack_f1_f5_a_commit_replayed_in_another_slot_is_refused() {
    let phone = Phone::new();
    for n in 0..4 {
        phone.write("n.txt", format!("content {n}"));
        phone.backup(&Kind::NOTES).unwrap();
    }
    let honest = phone.store.snapshot();
    let commits: Vec<_> = names(&phone.store, "commits/").into_iter().collect();
    let all = objects(&phone.store);
    let device = phone.vault.device();
    let next = ObjectName::commit(&device.0, commits.len() as u64 + 1);
    for old in &commits {
        phone.store.restore(&honest);
        phone.store.put(&next, &all[old]).unwrap();
        assert!(phone.backup(&Kind::NOTES).unwrap_err().is_damage(), "{old} in the next slot");
        phone.store.restore(&honest);
        let pinned = commits.last().unwrap();
        replace(&phone.store, pinned, &all[old]);
        assert_eq!(phone.backup(&Kind::NOTES).is_ok(), old == pinned, "{old} in the pinned slot");
    }
}

#[test]
fn attack_f5_writes_that_are_doubted_or_repeated_count_once() {
    let phone = Phone::new();
    let Phone { work, store, vault, code } = phone;
    drop(vault);
    let doubting = FaultStore::new(store.clone(), |request| match request.method {
        Method::Put => Fault::After(StoreErrorKind::OutcomeUnknown),
        _ => Fault::None,
    });
    let vault = Vault::open(doubting, work.path().join("state")).unwrap();
    fs::write(work.path().join("source/a"), noise(1, 20_000)).unwrap();
    let source = work.path().join("source");
    let before = objects(&store).len();
    let report = backup(&vault, &Kind::FILES, &source).unwrap();
    assert_eq!(objects(&store).len() - before, 3, "one pack, one fragment, one commit");
    assert_eq!(backup(&vault, &Kind::FILES, &source).unwrap().commit, None);
    drop(vault);
    // A store that says that it has everything already is not believed.
    let lying = FaultStore::new(store.clone(), |request| match request.method {
        Method::Put => Fault::Before(StoreErrorKind::AlreadyExists),
        _ => Fault::None,
    });
    let vault = Vault::open(lying, work.path().join("state")).unwrap();
    fs::write(work.path().join("source/b"), noise(2, 20_000)).unwrap();
    assert!(matches!(backup(&vault, &Kind::FILES, &source), Err(Error::Store(_))));
    drop(vault);
    let vault = Vault::open(store.clone(), work.path().join("state")).unwrap();
    let again = backup(&vault, &Kind::FILES, &source).unwrap();
    assert_eq!(again.commit.unwrap().sequence, report.commit.unwrap().sequence + 1);
    let joined = recover(&store, &work.path().join("new"), &code).unwrap();
    assert_eq!(restore_all(&joined, &work.path().join("out")).unwrap().failures, []);
    assert_eq!(files(&work.path().join("out/files/source")), files(&source));
}

#[test]
fn attack_f7_a_lost_pack_is_reported_as_exactly_the_files_in_it() {
    const RUNS: usize = 8;
    let work = tempfile::tempdir().unwrap();
    let store = MemoryStore::new();
    let environment = Environment::new(Box::new(SystemClock), Box::new(SeededRandom::new(7)));
    let state = work.path().join("state");
    let code = RecoveryCode::generate(&mut OsRandom).unwrap();
    let vault = Vault::create_in(store.clone(), state, device("phone"), &code, environment).unwrap();
    vault.consent().grant(&Kind::FILES).unwrap();
    let source = work.path().join("source");
    fs::create_dir(&source).unwrap();
    let mut packs = Vec::new();
    for n in 0..RUNS {
        fs::write(source.join(format!("f{n}")), noise(n as u64, 20_000)).unwrap();
        let before = names(&store, "");
        backup(&vault, &Kind::FILES, &source).unwrap();
        let is_pack =
            |line: &strongroom::privacy::LedgerLine| line.object == "pack" && !before.contains(&line.name);
        let lines = vault.ledger().since(0).unwrap().map(Result::unwrap).filter(is_pack);
        packs.push(lines.map(|line| line.name).collect::<Vec<_>>());
    }
    assert!(packs.iter().all(|packs| packs.len() == 1), "{packs:?}");
    let honest = store.snapshot();
    for lost in [vec![0], vec![3], vec![1, 5, 6], vec![0, 1, 2, 3, 4, 5, 6]] {
        store.restore(&honest);
        lost.iter().for_each(|n| remove(&store, &packs[*n][0]));
        let here = tempfile::tempdir().unwrap();
        for who in ["old", "new"] {
            let out = here.path().join(who);
            // The new device joins when the old one has looked: it must not see it vanish again.
            let joined = (who == "new").then(|| recover(&store, &here.path().join("state"), &code).unwrap());
            let report = restore_all(joined.as_ref().unwrap_or(&vault), &out).unwrap();
            let named: Vec<_> = report.failures.iter().map(|failure| failure.path.clone()).collect();
            let wanted: Vec<_> = lost.iter().map(|n| format!("source/f{n}")).collect();
            assert_eq!(named, wanted, "{who}");
            assert!(report.failures.iter().all(|f| f.damage && f.kind == "files"));
            let mut rest = files(&source);
            rest.retain(|name, _| !named.contains(&format!("source/{name}")));
            assert_eq!(files(&out.join("files/source")), rest, "{who}");
        }
    }
}

#[test]
fn attack_f7_an_export_that_lost_records_replaces_no_older_one() {
    let phone = Phone::new();
    let back_up = |kind: &Kind, name: &str, text: &str| {
        phone.vault.consent().grant(kind).unwrap();
        phone.vault.backup(kind, name, Source::Stream(&mut text.as_bytes()), &Job::new()).unwrap();
    };
    // Too long to lie in the tree: it has a chunk, and that a pack, of its own.
    let long: String = noise(5, 20_000).iter().map(|byte| format!("{byte:02x}")).collect();
    let message = |body: &str| {
        let head = "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<smses count=\"1\">\n";
        format!("{head}<sms address=\"+49\" date=\"1700000000000\" type=\"1\" body=\"{body}\" />\n</smses>\n")
    };
    let card = |note: &str| format!("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:A\r\nNOTE:{note}\r\nEND:VCARD\r\n");
    // The second time the tree goes into another pack.
    back_up(&Kind::MESSAGES, "sms", &message(&long));
    back_up(&Kind::MESSAGES, "sms", &message("short"));
    back_up(&Kind::CONTACTS, "book.vcf", &card(&long));
    back_up(&Kind::CONTACTS, "book.vcf", &(card(&long) + &card("short")));
    let out = phone.path("out");
    let restore = || {
        let plan = phone.vault.plan_restore(&Selection::all(), &At::Latest, &Job::new()).unwrap();
        phone.vault.restore(plan.replacing(), &out, &Job::new()).unwrap()
    };
    assert_eq!(restore().failures, []);
    let whole = files(&out);
    assert!(whole.values().all(|file| file.len() > 40_000) && whole.len() == 2);
    let honest = phone.store.snapshot();
    let mut shortened = BTreeSet::new();
    for pack in phone.written("pack") {
        phone.store.restore(&honest);
        remove(&phone.store, &pack);
        let failures = restore().failures;
        assert_eq!(files(&out), whole);
        shortened.extend(failures.iter().filter(|failure| !failure.damage).map(|taken| taken.kind.clone()));
    }
    assert_eq!(shortened, BTreeSet::from(["contacts".to_owned(), "messages".to_owned()]));
    phone.store.restore(&honest);
    assert_eq!(restore().failures, []);
}

#[test]
fn attack_f7_a_damaged_segment_costs_the_files_in_it_and_one_more_request() {
    const FILES: usize = 200;
    let work = tempfile::tempdir().unwrap();
    let store = MemoryStore::new();
    let code = RecoveryCode::generate(&mut OsRandom).unwrap();
    let vault = Vault::create_with(store.clone(), work.path().join("state"), device("phone"), &code).unwrap();
    vault.consent().grant(&Kind::FILES).unwrap();
    let source = work.path().join("source");
    fs::create_dir(&source).unwrap();
    (0..FILES).for_each(|n| fs::write(source.join(format!("f{n:03}")), noise(n as u64, 20_000)).unwrap());
    backup(&vault, &Kind::FILES, &source).unwrap();
    let restored = |name: &str| {
        let before = store.traffic().gets;
        let report = restore_all(&vault, &work.path().join(name)).unwrap();
        (report, store.traffic().gets - before)
    };
    let (report, whole_gets) = restored("whole");
    assert!(report.failures.is_empty());
    let (pack, mut bytes) = objects(&store).into_iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle] ^= 1;
    remove(&store, &pack);
    store.put(&ObjectName::parse(&pack).unwrap(), &bytes).unwrap();
    let (report, gets) = restored("damaged");
    let count = report.failures.len();
    assert!((1..=5).contains(&count) && report.failures.iter().all(|failure| failure.damage), "{report:?}");
    assert_eq!(files(&work.path().join("damaged/files/source")).len(), FILES - count);
    assert_eq!(gets, whole_gets + 1);
    let named = |failures: &[Failure]| {
        let files = failures.iter().filter(|failure| !failure.path.starts_with('('));
        files.map(|failure| (failure.path.clone(), failure.reason.clone())).collect::<BTreeSet<_>>()
    };
    let check = || vault.check(&CheckOptions::new().read_data(100), &Job::new()).unwrap();
    assert_eq!(named(&check().failures), named(&report.failures));

    bytes[10] ^= 1; // the header: nothing of it opens
    remove(&store, &pack);
    store.put(&ObjectName::parse(&pack).unwrap(), &bytes).unwrap();
    let (report, gets) = restored("none");
    assert!(report.failures.len() > FILES / 4, "{}", report.failures.len());
    assert_eq!(gets, whole_gets);
    assert_eq!(check().failures.len(), report.failures.len() + 1);
}

/// A store without measure: listings that never end, bodies and lengths beyond any limit.
struct Endless {
    inner: MemoryStore,
    lists: bool,
    bodies: bool,
}

impl Store for Endless {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> std::result::Result<(), StoreError> {
        self.inner.put(name, bytes)
    }

    fn get(&self, name: &ObjectName, limit: usize) -> std::result::Result<Vec<u8>, StoreError> {
        let bytes = self.inner.get(name, limit)?;
        Ok(if self.bodies { bytes.into_iter().chain(vec![0; 32 << 20]).collect() } else { bytes })
    }

    fn get_range(
        &self,
        name: &ObjectName,
        offset: u64,
        length: usize,
    ) -> std::result::Result<Vec<u8>, StoreError> {
        let bytes = self.inner.get_range(name, offset, length)?;
        Ok(if self.bodies { bytes.into_iter().chain([0; 4096]).collect() } else { bytes })
    }

    fn length(&self, name: &ObjectName) -> std::result::Result<u64, StoreError> {
        if self.bodies { Ok(u64::MAX) } else { self.inner.length(name) }
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(StoredObject) -> std::result::Result<(), StoreError>,
    ) -> std::result::Result<(), StoreError> {
        self.inner.list(prefix, visit)?;
        let line = StoredObject::new(ObjectName::envelope(&[7; 16], &[8; 16]), u64::MAX);
        if !self.lists {
            return Ok(());
        }
        loop {
            visit(line.clone())?;
        }
    }

    fn delete(&self, name: &ObjectName) -> std::result::Result<(), StoreError> {
        self.inner.delete(name)
    }
}

#[test]
fn attack_r5_r6_listings_and_bodies_without_end_end_in_an_error() {
    let phone = Phone::new();
    phone.write("a", noise(1, 20_000));
    phone.backup(&Kind::FILES).unwrap();
    let Phone { work, store, vault, code } = phone;
    drop(vault);
    let endless = |lists, bodies| Endless { inner: store.clone(), lists, bodies };
    let malformed = |error: Option<Error>| matches!(error, Some(Error::Store(error)) if error.kind() == StoreErrorKind::Malformed);
    let state = |name: &str| work.path().join(name);
    let nowhere = Endless { inner: MemoryStore::new(), lists: true, bodies: false };
    assert!(malformed(Vault::create(nowhere, state("new 1"), device("x")).err()));
    assert!(malformed(Vault::recover(endless(true, false), state("new 2"), &code, device("x")).err()));
    assert!(Vault::recover(endless(false, true), state("new 3"), &code, device("x")).is_err());
    let knowing = Vault::open(endless(true, false), state("state")).unwrap();
    assert!(malformed(knowing.audit().err()));
    assert_eq!(restore_all(&knowing, &state("out")).unwrap().failures, [], "no listing is needed");
    drop(knowing);
    let knowing = Vault::open(endless(false, true), state("state")).unwrap();
    assert!(restore_all(&knowing, &state("out 2")).is_err());
    assert!(backup(&knowing, &Kind::FILES, &state("source")).is_err());
    assert!(!state("out 2").exists());
}

fn windows(bytes: &[u8]) -> impl Iterator<Item = [u8; 16]> {
    bytes.windows(16).map(|window| window.try_into().unwrap())
}

#[test]
fn attack_l3_l5_l9_m1_m6_the_store_sees_ten_lengths_and_nothing_of_the_owner() {
    let [one, two] = [Phone::new(), Phone::new()];
    let name = "a telling name of a private file.txt";
    let text = "all work and no play makes a dull backup. ".repeat(300);
    for phone in [&one, &two] {
        phone.write(name, &text);
        phone.write("a folder with a telling name/picture.jpg", noise(5, 50_000));
        phone.write("short note with a name.md", "a short note that lies in the tree itself");
        for kind in [Kind::FILES, Kind::NOTES, Kind::PHOTOS] {
            phone.backup(&kind).unwrap();
        }
        backup_messages(phone);
    }
    let worlds = [objects(&one.store), objects(&two.store)];
    let mut blocks = worlds
        .iter()
        .map(|world| -> HashSet<[u8; 16]> { world.values().flat_map(|bytes| windows(bytes)).collect() });
    let blocks = [blocks.next().unwrap(), blocks.next().unwrap()];
    assert!(blocks[0].len() > 300_000);
    assert!(blocks[0].is_disjoint(&blocks[1]), "two accounts share a block");
    let mut secrets: Vec<Vec<u8>> = vec![
        name.into(),
        "a folder with a telling name".into(),
        "short note with a name.md".into(),
        MESSAGES.into(),
        one.code.reveal().as_bytes().to_vec(),
    ];
    let contents: Vec<Vec<u8>> = files(&one.path("source")).into_values().collect();
    for content in &contents {
        for digest in [sha2::Sha256::digest(content).to_vec(), blake3::hash(content).as_bytes().to_vec()] {
            secrets.push(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into());
            secrets.push(digest);
        }
    }
    secrets.extend(contents);
    let names_seen: Vec<u8> =
        worlds.iter().flat_map(|world| world.keys()).flat_map(|name| name.bytes()).collect();
    let name_blocks: HashSet<[u8; 16]> = windows(&names_seen).collect();
    for secret in &secrets {
        assert!(windows(secret).next().is_some());
        for window in windows(secret) {
            let shown = blocks.iter().any(|blocks| blocks.contains(&window)) || name_blocks.contains(&window);
            assert!(!shown, "{:?} is visible", String::from_utf8_lossy(secret));
        }
    }
    for (name, bytes) in worlds.iter().flatten() {
        assert!(is_object_length(bytes.len()), "{name} has {} bytes", bytes.len());
    }
    assert!(worlds[0].keys().all(|name| !worlds[1].contains_key(name)));
}

/// The plain bytes of a vault's newest commit, roster and keyring, as its owner could know them.
fn plain_structures(phone: &Phone) -> Vec<Vec<u8>> {
    let world = objects(&phone.store);
    let locator = phone.code.locator();
    let (name, bytes) =
        world.iter().find(|(name, _)| name.starts_with(&ObjectName::envelope_prefix(&locator))).unwrap();
    let envelope = Envelope::open(&phone.code.hybrid_key(), locator, id_of(name), bytes.clone()).unwrap();
    let (account, reference) = (envelope.account(), envelope.roster().clone());
    let roots = envelope.unverified_roots();
    let root = roots.of(0).next().unwrap();
    let sealed = |name: &str| world[name].clone();
    let open = |key, object, place, bytes| {
        open_message(&key, &Context::new(account.0, 0, object, "", place), bytes).unwrap()
    };
    let roster_bytes = sealed(ObjectName::object(&reference.id()).as_str());
    assert!(Roster::open(account, roots, &reference, roster_bytes.clone()).is_ok());
    let roster =
        open(root.roster_key(account), ObjectType::Roster, Place::Object(reference.id()), roster_bytes);
    let keyring_name = phone.written("keyring").pop().unwrap();
    let keyring = open(
        root.keyring_key(account),
        ObjectType::Keyring,
        Place::Object(id_of(&keyring_name)),
        sealed(&keyring_name),
    );
    let commit_name = names(&phone.store, "commits/").pop_last().unwrap();
    let parts: Vec<&str> = commit_name.split('/').collect();
    let place =
        Place::Commit { device: DeviceId::parse(parts[1]).unwrap().0, sequence: parts[2].parse().unwrap() };
    let commit = open(root.commit_key(account), ObjectType::Commit, place, sealed(&commit_name));
    vec![roster, keyring, commit]
}

#[test]
fn attack_i5_files_that_are_byte_exact_structures_do_not_become_structures() {
    let phone = Phone::new();
    phone.write("a", "a file");
    phone.backup(&Kind::FILES).unwrap();
    for (n, bytes) in plain_structures(&phone).into_iter().enumerate() {
        phone.write(&format!("structure {n}"), bytes);
        phone.backup(&Kind::FILES).unwrap();
    }
    let honest = phone.store.snapshot();
    let all = objects(&phone.store);
    let commits = names(&phone.store, "commits/");
    let next = ObjectName::commit(&phone.vault.device().0, commits.len() as u64 + 1);
    let slots = [
        next.as_str().to_owned(),
        commits.last().unwrap().clone(),
        phone.written("keyring").pop().unwrap(),
        phone.written("roster").pop().unwrap(),
        names(&phone.store, &ObjectName::envelope_prefix(&phone.code.locator())).pop_first().unwrap(),
    ];
    let packs = phone.written("pack");
    assert!(packs.len() >= 4);
    for slot in &slots {
        for (n, pack) in packs.iter().enumerate() {
            phone.store.restore(&honest);
            replace(&phone.store, slot, &all[pack]);
            let puts = phone.store.traffic().puts;
            let joined = phone.recover(&format!("new {n} {}", slot.replace('/', "-"))).err();
            assert!(joined.is_some_and(|e| e.is_damage() || matches!(e, Error::WrongSecret)), "{slot}");
            // The device itself asks for no envelope of the code, and keeps its roster and keyring.
            let backed_up = phone.backup(&Kind::FILES);
            if slot.starts_with("commits") {
                assert!(backed_up.unwrap_err().is_damage(), "{slot}");
            } else {
                assert_eq!(backed_up.unwrap().changed, 0, "{slot}");
            }
            assert_eq!(phone.store.traffic().puts, puts);
        }
    }
    phone.store.restore(&honest);
    assert_eq!(restore_all(&phone.vault, &phone.path("out")).unwrap().failures, []);
    assert_eq!(files(&phone.path("out/files/source")), files(&phone.path("source")));
}

#[test]
fn attack_i6_whatever_the_store_plants_is_never_part_of_the_vault() {
    let phone = Phone::new();
    phone.write("a", noise(1, 20_000));
    phone.backup(&Kind::FILES).unwrap();
    let stranger = Phone::new();
    stranger.write("planted", noise(2, 20_000));
    stranger.backup(&Kind::FILES).unwrap();
    let snapshots = phone.vault.snapshots().unwrap();
    let plant = |name: ObjectName, bytes: &[u8]| phone.store.put(&name, bytes).unwrap();
    for (name, bytes) in objects(&stranger.store) {
        plant(ObjectName::parse(&name).unwrap(), &bytes);
    }
    let own = objects(&phone.store);
    for n in 0..20_u8 {
        let junk = noise(u64::from(n), 16_384 << (n % 3));
        plant(ObjectName::object(&[n; 16]), &junk);
        plant(ObjectName::commit(&[n; 16], 1), &junk);
        plant(ObjectName::commit(&[n; 16], u64::MAX), own.values().nth(usize::from(n) % own.len()).unwrap());
        plant(ObjectName::envelope(&[n; 16], &[n; 16]), &junk);
        plant(ObjectName::envelope(&phone.code.locator(), &[n; 16]), &junk);
        let foreign = own.iter().filter(|(name, _)| name.starts_with("envelopes/")).nth(usize::from(n) % 4);
        plant(ObjectName::envelope(&phone.code.locator(), &[0x80 | n; 16]), foreign.unwrap().1);
    }
    assert_eq!(phone.vault.snapshots().unwrap(), snapshots);
    let joined = phone.recover("new").unwrap();
    assert_eq!(joined.account(), phone.vault.account());
    assert_eq!(joined.snapshots().unwrap().len(), snapshots.len() + 1);
    for (who, vault) in [("out old", &phone.vault), ("out new", &joined)] {
        assert_eq!(restore_all(vault, &phone.path(who)).unwrap().failures, []);
        assert_eq!(files(&phone.path(who)).keys().collect::<Vec<_>>(), ["files/source/a"]);
    }
    assert_eq!(phone.backup(&Kind::FILES).unwrap().changed, 0);
}
