//! Two phones of one owner share notes and messages through a store that nobody trusts; then one is stolen.
//!
//! `cargo run --release --example two_phones` plays it with the data in `examples/data`. It ends with an error
//! at the first thing that is not as it should be.

#![expect(clippy::print_stdout, reason = "it tells a story")]
#![expect(clippy::disallowed_methods, reason = "an app has its own files")]

use std::{
    collections::BTreeMap,
    fs,
    io::BufReader,
    path::{Path, PathBuf},
};

use prost::Message as _;

use strongroom::{
    Error,
    history::Freshness,
    keys::Invitation,
    kinds::{Document, ElementReader, Kind},
    store::DirectoryStore,
    vault::{At, Folder, Job, NewDevice, Outcome as Synced, Selection, Source, Vault},
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
type Files = BTreeMap<String, Vec<u8>>;

const KINDS: [Kind; 2] = [Kind::NOTES, Kind::MESSAGES];

/// A phone: its vault, its folder of notes and its export of messages.
struct Phone {
    vault: Vault,
    notes: PathBuf,
    messages: PathBuf,
}

fn main() -> Outcome<()> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let work = tempfile::tempdir()?;
    let at = |name: &str| work.path().join(name);
    let store = at("store");
    let all = messages_of(&data.join("messages.xml"))?;
    let (early, late) = (all.get(..2600).unwrap_or(&all), all.get(1400..).unwrap_or(&all));

    println!("1. The first phone has notes and messages, and backs them up.");
    let (vault, code) =
        Vault::create(DirectoryStore::open(&store)?, at("first"), NewDevice::named("First")?)?;
    let first = Phone { vault, notes: at("first-phone/Notes"), messages: at("first-phone.xml") };
    copy(&data.join("Notes"), &first.notes)?;
    write_messages(&first.messages, early)?;
    first.grant()?;
    first.backup()?;

    println!("2. The second one is let in: it scans the invitation, both show the same check code.");
    let vault = let_in(&first.vault, &store, &at("second"))?;
    ensure(vault.freshness()? == Freshness::Fresh, "the second phone knows that it sees the newest state")?;
    let second = Phone { vault, notes: at("second-phone/notes/Notes"), messages: at("second-phone.xml") };
    second.grant()?;

    println!("3. It restores the notes, and sends its own messages, many of which both have.");
    second.sync()?;
    restore(&second.vault, &at("second-phone"))?;
    ensure(files(&second.notes)? == files(&first.notes)?, "the notes are the same")?;
    write_messages(&second.messages, late)?;
    second.backup()?;

    println!("4. Both edit their notes, one of them the same note, and sync when they happen to.");
    let shared = "book/ch04-01-what-is-ownership.md";
    append(&first.notes.join(shared), "\nWritten on the first phone.\n")?;
    append(&second.notes.join(shared), "\nWritten on the second phone, at the same time.\n")?;
    fs::write(first.notes.join("shopping.md"), "- bread\n- milk\n")?;
    fs::remove_file(second.notes.join("book/ch15-03-drop.md"))?;
    first.backup()?;
    second.backup()?;
    let told = [first.sync()?, second.sync()?, first.sync()?];
    println!(
        "   {} entries changed by the other phone, as the first one hears",
        told.iter().map(|s| s.changed).sum::<u64>()
    );

    println!("5. Both restore: the same bytes, both versions of the note, every message once.");
    let (a, b) = (restore(&first.vault, &at("out-first"))?, restore(&second.vault, &at("out-second"))?);
    ensure(a == b, "both phones restore the same bytes")?;
    let versions: Vec<&String> = a.keys().filter(|path| path.contains("ch04-01-what-is-ownership")).collect();
    ensure(versions.len() == 2, "both versions of the note are there")?;
    versions.iter().for_each(|path| println!("   {path}"));
    ensure(!a.keys().any(|path| path.ends_with("ch15-03-drop.md")), "what was deleted is gone")?;
    ensure(a.contains_key("notes/Notes/shopping.md"), "what was added is there")?;
    let united = records(&at("out-first/messages/messages.xml"))?;
    ensure(
        united == records(&data.join("messages.xml"))?,
        "the lists of messages are united, without duplicates",
    )?;
    println!("   {} messages of {} and {}", united.len(), early.len(), late.len());

    println!(
        "6. The second phone is stolen, with the store. The first one revokes it: no password, no code."
    );
    let objects = files(&store)?;
    first.vault.revoke(second.vault.device())?;
    fs::write(first.notes.join("new secret.md"), "written after the theft")?;
    first.backup()?;
    let caught = second.vault.sync(&Job::new());
    ensure(caught.is_err(), "the thief does not get on")?;
    let read = second.vault.cat(&Kind::NOTES, "Notes/new secret.md", &At::Latest, &mut |_| Ok(()));
    ensure(read.is_err(), "the thief reads nothing new")?;

    println!("7. A new recovery code: the old one opens nothing any more, and no data was sent again.");
    let before = files(&store)?;
    first.vault.new_recovery_code()?;
    let sent: usize =
        files(&store)?.iter().filter(|(name, _)| !before.contains_key(*name)).map(|(_, b)| b.len()).sum();
    println!("   {} KiB were sent", sent / 1024);
    ensure(sent <= 256 * 1024, "at most 256 KiB")?;
    let old = Vault::recover(DirectoryStore::open(&store)?, at("old"), &code, NewDevice::named("Finder")?);
    ensure(matches!(old, Err(Error::WrongSecret)), "the old code opens nothing")?;
    ensure(objects.len() < before.len(), "the store only ever grew")?;
    println!("\nEverything is as it should be.");
    Ok(())
}

impl Phone {
    fn grant(&self) -> strongroom::Result<()> {
        KINDS.iter().try_for_each(|kind| self.vault.consent().grant(kind))
    }

    fn backup(&self) -> Outcome<()> {
        let job = Job::new();
        let report =
            self.vault.backup(&Kind::NOTES, "Notes", Source::Folder(&Folder::at(&self.notes)), &job)?;
        ensure(report.skipped.is_empty(), "every note could be read")?;
        for conflict in &report.conflicts {
            println!("   {} was edited on both: the other version is {}", conflict.path, conflict.copy);
        }
        let mut stream = BufReader::new(fs::File::open(&self.messages)?);
        self.vault.backup(&Kind::MESSAGES, "messages.xml", Source::Stream(&mut stream), &job)?;
        Ok(())
    }

    fn sync(&self) -> strongroom::Result<Synced> {
        self.vault.sync(&Job::new())
    }
}

/// The old phone shows an invitation as a QR code, the new one scans it and shows a check code, which its
/// owner types on the old one.
fn let_in(old: &Vault, store: &Path, state: &Path) -> Outcome<Vault> {
    let mut inviting = old.invite()?;
    let scanned = Invitation::parse(&inviting.text())?;
    let mut joining =
        Vault::join(DirectoryStore::open(store)?, state, &scanned, NewDevice::named("Second")?)?;
    inviting.wait(&Job::new())?;
    let check = joining.check_code(&Job::new())?;
    println!("   check code {check}");
    inviting.admit(&check)?;
    Ok(joining.finish(&Job::new())?)
}

/// Restores notes and messages, and gives all files.
fn restore(vault: &Vault, into: &Path) -> Outcome<Files> {
    let plan = vault.plan_restore(&KINDS.map(Selection::kind), &At::Latest, &Job::new())?;
    let report = vault.restore(plan, into, &Job::new())?;
    ensure(report.failures.is_empty(), "every entry was restored")?;
    files(into)
}

/// The messages of an export, each on its line.
fn messages_of(export: &Path) -> Outcome<Vec<String>> {
    let text = fs::read_to_string(export)?;
    let is_message = |line: &&str| line.starts_with("<sms ") || line.starts_with("<mms ");
    let lines: Vec<String> = text.lines().map(str::trim).filter(is_message).map(str::to_owned).collect();
    ensure(lines.len() == records(export)?.len(), "each message has a line")?;
    Ok(lines)
}

/// The records of an export with all their attributes, sorted.
fn records(export: &Path) -> Outcome<Vec<Vec<u8>>> {
    let reader = ElementReader::new(BufReader::new(fs::File::open(export)?), Document::Messages)?;
    let mut records = reader.map(|record| Ok(record?.encode_to_vec())).collect::<Outcome<Vec<_>>>()?;
    records.sort();
    Ok(records)
}

fn write_messages(export: &Path, messages: &[String]) -> Outcome<()> {
    let head = format!(
        "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<smses count=\"{}\">",
        messages.len()
    );
    Ok(fs::write(export, format!("{head}\n{}\n</smses>\n", messages.join("\n")))?)
}

fn append(path: &Path, text: &str) -> Outcome<()> {
    let before = fs::read_to_string(path)?;
    Ok(fs::write(path, before + text)?)
}

fn copy(from: &Path, to: &Path) -> Outcome<()> {
    for (path, bytes) in files(from)? {
        let target = to.join(path);
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        fs::write(target, bytes)?;
    }
    Ok(())
}

/// The bytes of every file below a folder, by path.
fn files(root: &Path) -> Outcome<Files> {
    let mut files = Files::new();
    let mut open = vec![root.to_owned()];
    while let Some(next) = open.pop() {
        if next.is_dir() {
            for entry in fs::read_dir(next)? {
                open.push(entry?.path());
            }
        } else {
            let name = next.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            files.insert(name, fs::read(&next)?);
        }
    }
    Ok(files)
}

fn ensure(holds: bool, promise: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(format!("this does not hold: {promise}").into()) }
}
