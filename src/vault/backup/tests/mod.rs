//! What a vault costs that grows to 10^7 chunks in 10^6 files: requests, bytes, memory, the local database.
//! A measurement (`docs/SCALE.md`); `STRONGROOM_FILES` sets another number of files, at least 1000.
//!
//! The files are real and empty: they have names, lengths and times. The first backup takes chunks as ids and
//! lengths from [`sizes`]; tree, index, database, ledger, commits and all that follows are the crate's own jobs on
//! what it left behind.

#![allow(
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unreachable,
    reason = "a measurement"
)]

mod counting;
mod prune;
mod sizes;

use std::{fs, path::PathBuf, time::Instant};

use self::counting::Counts;
pub(super) use self::{counting::CountingStore, sizes::SizesSource};
use super::{BackupReport, Source};
use crate::{
    crypto::{OsRandom, Random as _},
    kinds::Kind,
    vault::{At, CheckOptions, Folder, Job, NewDevice, Selection, Vault},
};

const NAME: &str = "source";
const FOLDER_FILES: u64 = 1000;

#[test]
#[ignore = "a measurement of a quarter of an hour that takes 10 GB"]
fn what_a_vault_of_ten_million_chunks_costs() {
    let files = std::env::var("STRONGROOM_FILES").map_or(1_000_000, |count| count.parse().unwrap());
    let world = World::new(files);
    let (vault, code) =
        Vault::create(world.store.clone(), world.at("state"), NewDevice::named("first").unwrap()).unwrap();
    vault.consent().grant(&Kind::FILES).unwrap();
    println!("\nmemory of the process before: {}", bytes(peak_memory()));
    println!("| {files} files | put | get | length | list | sent | read | memory | database | seconds |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let (folder, store) = (Folder::at(world.at(NAME)), &world.store);
    let first = world.measure("first backup", "state", || {
        let source = Source::Sizes(&folder, store);
        vault.backup(&Kind::FILES, NAME, source, &Job::new()).unwrap()
    });
    assert_eq!(first.changed, files + files.div_ceil(FOLDER_FILES));
    let nothing = world.back_up("nothing changed", &vault);
    assert_eq!(
        (nothing.commit, nothing.changed),
        (None, 0),
        "the backup of sizes noted what a real one notes"
    );
    (0..20).for_each(|n| world.write(files + n, 3_000_000));
    // The folder that they lie in changed too.
    assert_eq!(world.back_up("20 new files of 3 MB", &vault).changed, 21);
    world.write(files + 20, 3_000_000);
    assert_eq!(world.back_up("one new file of 3 MB", &vault).changed, 2);
    world.spread(100, 0).for_each(|n| world.write(n, 1_000_000));
    world.spread(100, 1).for_each(|n| world.remove(n));
    let day = world.back_up("100 changed to 1 MB, 100 removed, all over", &vault);
    assert!(day.changed > 100 && day.deleted == 100);
    world.measure("sync, nothing new", "state", || vault.sync(&Job::new()).unwrap());
    let one = world.spread(1, 0).next().unwrap();
    world.restore("restore of one file of 1 MB", "state", &vault, one);
    world.spread(files / 100, 2).for_each(|n| world.remove(n));
    world.back_up("one in a hundred removed", &vault);
    let ledger = fs::metadata(world.at("state").join("ledger")).unwrap().len();
    println!("the ledger is {} long", bytes(ledger));
    let plan = world.measure("plan of a prune", "state", || prune::plan(&vault, &Kind::FILES));
    println!("{plan}");
    world.store.learn(vault.ledger().since(0).unwrap().map(Result::unwrap));
    let options = CheckOptions::new();
    let check = world.measure("check, no data read", "state", || vault.check(&options, &Job::new()).unwrap());
    assert_eq!(check.failures, []);
    drop(vault);
    let device = NewDevice::named("second").unwrap();
    let second = world.measure("new device: recovery", "second", || {
        Vault::recover(world.store.clone(), world.at("second"), &code, device).unwrap()
    });
    world.restore("new device: restore of one file of 1 MB", "second", &second, one);
    println!("in all: {:?}", world.store.counts());
}

struct World {
    folder: tempfile::TempDir,
    store: CountingStore,
    files: u64,
}

impl World {
    fn new(files: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = CountingStore::new(&folder.path().join("store"));
        let world = Self { folder, store, files };
        (0..files).for_each(|n| {
            let path = world.path(n);
            if n % FOLDER_FILES == 0 {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
            }
            fs::File::create(path).unwrap().set_len(length_of(n)).unwrap();
        });
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn path(&self, n: u64) -> PathBuf {
        self.at(NAME).join(below(n))
    }

    /// Gives a file content of its own.
    fn write(&self, n: u64, length: usize) {
        let mut content = vec![0; length];
        OsRandom.fill(&mut content).unwrap();
        fs::create_dir_all(self.path(n).parent().unwrap()).unwrap();
        fs::write(self.path(n), content).unwrap();
    }

    fn remove(&self, n: u64) {
        fs::remove_file(self.path(n)).unwrap();
    }

    /// `count` files all over; another `shift` gives others.
    fn spread(&self, count: u64, shift: u64) -> impl Iterator<Item = u64> + use<> {
        let step = self.files / count;
        (0..count).map(move |n| n * step + (shift * 7 + 3) % step)
    }

    fn back_up(&self, what: &str, vault: &Vault) -> BackupReport {
        let folder = Folder::at(self.at(NAME));
        self.measure(what, "state", || {
            let job = Job::new().with_deletions();
            vault.backup(&Kind::FILES, NAME, Source::Folder(&folder), &job).unwrap()
        })
    }

    fn restore(&self, what: &str, state: &str, vault: &Vault, n: u64) {
        let into = tempfile::tempdir_in(self.folder.path()).unwrap();
        let report = self.measure(what, state, || {
            let item = Selection::path(Kind::FILES, format!("{NAME}/{}", below(n))).unwrap();
            let plan = vault.plan_restore(&[item], &At::Latest, &Job::new()).unwrap();
            vault.restore(plan, into.path(), &Job::new()).unwrap()
        });
        assert_eq!((report.entries, report.failures), (1, Vec::new()));
        let restored = into.path().join("files").join(NAME).join(below(n));
        assert!(fs::read(restored).unwrap() == fs::read(self.path(n)).unwrap());
    }

    /// Prints what `work` took. Memory is the most that the whole process held meanwhile.
    fn measure<T>(&self, what: &str, state: &str, work: impl FnOnce() -> T) -> T {
        let before = self.store.counts();
        let _ = fs::write("/proc/self/clear_refs", "5");
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        let Counts { puts, gets, lengths, lists, sent, read, .. } = self.store.counts().since(before);
        let database = fs::metadata(self.at(state).join("state.redb")).map_or(0, |meta| meta.len());
        println!(
            "| {what} | {puts} | {gets} | {lengths} | {lists} | {} | {} | {} | {} | {seconds:.1} |",
            bytes(sent),
            bytes(read),
            bytes(peak_memory()),
            bytes(database),
        );
        result
    }
}

fn below(n: u64) -> String {
    format!("{:05}/{n:08}.mp4", n / FOLDER_FILES)
}

/// From 0.3 to 19.5 MB, so that a file has ten chunks on average.
fn length_of(n: u64) -> u64 {
    let mixed = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    300_000 + (mixed ^ (mixed >> 32)) % 19_200_000
}

/// As Linux counts it; 0 elsewhere.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    found.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}
