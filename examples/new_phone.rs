//! A phone is lost. Its owner has a sheet of paper with a code, and gets everything back on a new one.
//!
//! `cargo run --release --example new_phone` plays it with the data in `examples/data`; another folder with the
//! same parts can be named as an argument. It ends with an error at the first byte that differs.

#![expect(clippy::print_stdout, reason = "it tells a story")]
#![expect(clippy::disallowed_methods, reason = "an app has its own files and its own stopwatch")]

use std::{
    collections::{BTreeMap, HashSet},
    env, fs,
    io::{self, BufReader},
    path::{Path, PathBuf},
    time::Instant,
};

use prost::Message as _;

use strongroom::{
    Error,
    keys::RecoveryCode,
    kinds::{CardReader, Document, ElementReader, Kind},
    store::DirectoryStore,
    vault::{At, BackupReport, Folder, Job, NewDevice, Selection, Source, Vault},
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What is on the phone: kinds of data, and the folder or exported file that holds each.
const ON_THE_PHONE: [(Kind, &str); 5] = [
    (Kind::PHOTOS, "DCIM"),
    (Kind::MESSAGES, "messages.xml"),
    (Kind::CALLS, "calls.xml"),
    (Kind::NOTES, "Notes"),
    (Kind::CONTACTS, "contacts.vcf"),
];

fn main() -> Outcome<()> {
    let phone = env::args_os().nth(1).map(PathBuf::from);
    let phone = phone.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data"));
    let work = tempfile::tempdir()?;
    let [store, old, new, restored] =
        ["store", "old-phone", "new-phone", "restored"].map(|name| work.path().join(name));

    println!("1. The old phone makes a vault in a store that it does not trust.");
    let (vault, code) = Vault::create(DirectoryStore::open(&store)?, &old, NewDevice::named("Old phone")?)?;
    let paper = code.reveal();

    println!("2. Nothing leaves it before its owner says so.");
    let before = vault.audit()?;
    for (kind, name) in ON_THE_PHONE {
        match backup(&vault, &kind, &phone.join(name), name) {
            Err(Error::NotConsented { .. }) => {}
            Err(error) => return Err(format!("{name}: {error}").into()),
            Ok(_) => return Err("a backup went through without consent".into()),
        }
    }
    ensure(vault.audit()? == before, "nothing was sent")?;

    println!("3. The owner switches five kinds on, and they are backed up.");
    let mut rows = Vec::new();
    for (kind, name) in ON_THE_PHONE {
        vault.consent().grant(&kind)?;
        let started = Instant::now();
        let report = backup(&vault, &kind, &phone.join(name), name)?;
        let backup_s = started.elapsed().as_secs_f64();
        ensure(report.skipped.is_empty(), "everything could be read")?;
        let bytes = files_below(&phone.join(name))?.values().map(Vec::len).sum();
        rows.push(Row { kind, name, entries: report.seen, bytes, backup_s, restore_s: 0.0 });
    }

    println!("4. The store looks at what it was given.");
    show_the_stores_view(&vault)?;
    search_the_store(&store, &phone)?;

    println!("5. The phone is lost. What remains is the store, and a code on paper.");
    drop((vault, code));
    fs::remove_dir_all(&old)?;

    println!("6. A new phone joins with the code and restores.");
    let code = RecoveryCode::parse(&paper)?;
    let vault = Vault::recover(DirectoryStore::open(&store)?, &new, &code, NewDevice::named("New phone")?)?;
    for row in &mut rows {
        let started = Instant::now();
        restore(&vault, &row.kind, &restored)?;
        row.restore_s = started.elapsed().as_secs_f64();
    }

    println!("7. What came back is compared with what was on the old phone.\n");
    for Row { kind, name, .. } in &rows {
        compare(kind, &phone.join(name), &restored.join(kind.name()).join(name))?;
    }
    print_table(&rows);
    println!("\nEverything came back, and nothing differs.");
    Ok(())
}

/// Backs up a folder, or an exported file as a stream of records. An app does this on a worker thread, and
/// keeps the [`Job`] to show progress or to cancel.
fn backup(vault: &Vault, kind: &Kind, path: &Path, name: &str) -> strongroom::Result<BackupReport> {
    let job = Job::new();
    if path.is_dir() {
        return vault.backup(kind, name, Source::Folder(&Folder::at(path)), &job);
    }
    let file = fs::File::open(path).map_err(|source| Error::Io { action: "opening an export", source })?;
    vault.backup(kind, name, Source::Stream(&mut BufReader::new(file)), &job)
}

/// Restores all of a kind to `into/KIND/…`. The plan says how much it will be, before anything is written.
fn restore(vault: &Vault, kind: &Kind, into: &Path) -> Outcome<()> {
    let plan = vault.plan_restore(&[Selection::kind(kind.clone())], &At::Latest, &Job::new())?;
    let report = vault.restore(plan, into, &Job::new())?;
    ensure(report.failures.is_empty(), "every entry was restored")
}

/// Names, lengths and counts are all that a store has; and the phone's ledger has a line for each object.
fn show_the_stores_view(vault: &Vault) -> Outcome<()> {
    let audit = vault.audit()?;
    println!("   {} objects, {}:", audit.objects, megabytes(audit.bytes));
    for (length, count) in &audit.lengths {
        println!("   {count:>6} of {:>4} KiB", length / 1024);
    }
    ensure(audit.foreign == 0, "every object has one of the ten lengths")?;
    let ledger: Vec<_> = vault.ledger().since(0)?.collect::<strongroom::Result<_>>()?;
    let left: HashSet<_> = ledger.iter().map(|line| &line.name).collect();
    ensure(u64::try_from(left.len())? == audit.objects, "the ledger has a line for every object")
}

/// Searches every stored byte for pieces of the phone's data and beginnings of file names. A piece of 16 bytes
/// is taken every 64 bytes, so any 79 bytes of the data that lay open in the store would be found.
fn search_the_store(store: &Path, phone: &Path) -> Outcome<()> {
    let (mut pieces, mut names) = (HashSet::new(), HashSet::new());
    for (kind, name) in ON_THE_PHONE {
        for (path, bytes) in files_below(&phone.join(name))? {
            pieces.extend(bytes.chunks(64).filter_map(first::<16>));
            let parts = path.split('/').chain([name, kind.name()]);
            names.extend(parts.filter_map(|part| first::<8>(part.as_bytes())));
        }
    }
    for (object, bytes) in files_below(store)? {
        let found = bytes.windows(16).filter_map(first).any(|window| pieces.contains(&window));
        ensure(!found, "no piece of the data lies open in the store")?;
        let mut places = object.as_bytes().windows(8).chain(bytes.windows(8)).filter_map(first);
        ensure(!places.any(|window| names.contains(&window)), "no file name lies open in the store")?;
    }
    println!("   {} pieces of the data and {} names looked for: none found", pieces.len(), names.len());
    Ok(())
}

fn first<const LENGTH: usize>(bytes: &[u8]) -> Option<[u8; LENGTH]> {
    bytes.first_chunk().copied()
}

/// Folders byte by byte; records and cards one by one, since a restored file may hold them in another order.
fn compare(kind: &Kind, original: &Path, restored: &Path) -> Outcome<()> {
    let same = if *kind == Kind::MESSAGES {
        records(original, Document::Messages)? == records(restored, Document::Messages)?
    } else if *kind == Kind::CALLS {
        records(original, Document::Calls)? == records(restored, Document::Calls)?
    } else if *kind == Kind::CONTACTS {
        cards(original)? == cards(restored)?
    } else {
        files_below(original)? == files_below(restored)?
    };
    ensure(same, &format!("{kind} are what they were"))
}

/// The records of an export with all their attributes, sorted.
fn records(path: &Path, document: Document) -> Outcome<Vec<Vec<u8>>> {
    let reader = ElementReader::new(BufReader::new(fs::File::open(path)?), document)?;
    let mut records = Vec::new();
    for record in reader {
        records.push(record?.encode_to_vec());
    }
    records.sort();
    Ok(records)
}

/// The cards of an address book, sorted. The last card of a file may lack its line end and is given one.
fn cards(path: &Path) -> Outcome<Vec<Vec<u8>>> {
    let mut cards = Vec::new();
    for card in CardReader::new(BufReader::new(fs::File::open(path)?)) {
        cards.push(card?.trim_ascii_end().to_vec());
    }
    cards.sort();
    Ok(cards)
}

/// The bytes of every file below a folder, by path; or of the one file.
fn files_below(path: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut open = vec![path.to_owned()];
    while let Some(next) = open.pop() {
        if next.is_dir() {
            for entry in fs::read_dir(next)? {
                open.push(entry?.path());
            }
        } else {
            let name = next.strip_prefix(path).unwrap_or(&next).to_string_lossy().replace('\\', "/");
            files.insert(name, fs::read(&next)?);
        }
    }
    Ok(files)
}

struct Row {
    kind: Kind,
    name: &'static str,
    entries: u64,
    bytes: usize,
    backup_s: f64,
    restore_s: f64,
}

fn print_table(rows: &[Row]) {
    println!("{:<10}{:>9}{:>12}{:>14}{:>15}", "kind", "entries", "bytes", "backup MB/s", "restore MB/s");
    for row in rows {
        let speed = |seconds: f64| row.bytes as f64 / 1e6 / seconds;
        println!(
            "{:<10}{:>9}{:>12}{:>14.2}{:>15.2}",
            row.kind.name(),
            row.entries,
            row.bytes,
            speed(row.backup_s),
            speed(row.restore_s)
        );
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn ensure(holds: bool, promise: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(format!("this does not hold: {promise}").into()) }
}
