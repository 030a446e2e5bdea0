//! The backup pipeline: bytes that do not compress, from a folder in memory into a store in memory, with one
//! thread and with two, beside the bound that its stages set.
//!
//! The bound: the same bytes through the same stages, one after the other and nothing else, each timed by itself; on
//! one core, and a half on each of two, which share a memory and a cache. What a job adds (a tree, a database, a
//! ledger, a commit, threads that wait) is what it falls short by. Everyone takes a turn in each round, and ratios
//! are those of one round, so that what else the machine does falls on all of them. Prints a table of its own, which
//! `zz_table.rs` shows again.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench fails loudly"
)]

mod support;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    fs::{self, File},
    io::{Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::{Barrier, Mutex},
    thread,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use strongroom::{
    content::{ChunkId, Chunker, MEDIA_PIECE_BYTES, PackBuilder, Packer, Shelf, StoredFrame},
    crypto::{ObjectKey, OsRandom, Random as _, Secret},
    keys::{AccountId, RecoveryCode},
    kinds::Kind,
    limits::OBJECT_BYTES_MAX,
    privacy::object_name,
    store::{MemoryStore, ObjectName, Store, StoreError, StoredObject},
    vault::{Environment, Folder, Job, NewDevice, Source, SystemClock, Vault, testing::MemoryHome},
};

const MIB: usize = 1024 * 1024;

/// What is backed up, and how often.
#[derive(Clone, Copy)]
struct Extent {
    rounds: usize,
    bytes: usize,
}

impl Extent {
    /// `cargo test` only wants to see that it runs.
    fn wanted() -> Self {
        if std::env::args().any(|argument| argument == "--bench") {
            Self { rounds: 9, bytes: 1024 * MIB }
        } else {
            Self { rounds: 1, bytes: 16 * MIB }
        }
    }
}

/// A folder of one kind.
struct Material {
    name: &'static str,
    kind: Kind,
    folder: PathBuf,
    bytes: usize,
}

impl Material {
    /// Pictures, which are cut in equal pieces, and one long file, which is cut where its content says.
    fn all(at: &Path, bytes: usize) -> [Self; 3] {
        [
            Self::new("photos-1MiB", Kind::PHOTOS, at, (bytes, MIB)),
            Self::new("photos-4MiB", Kind::PHOTOS, at, (bytes, 4 * MIB)),
            Self::new("one-file", Kind::FILES, at, (bytes, bytes)),
        ]
    }

    /// Files of `each` bytes.
    fn new(name: &'static str, kind: Kind, at: &Path, (bytes, each): (usize, usize)) -> Self {
        let folder = at.join(name);
        fs::create_dir(&folder).unwrap();
        let mut content = vec![0; each];
        for number in 0..bytes / each {
            OsRandom.fill(&mut content).unwrap();
            fs::write(folder.join(format!("{number}.jpg")), &content).unwrap();
        }
        Self { name, kind, folder, bytes }
    }

    /// A backup into a new vault: what it took, and how much the processors worked for it.
    fn back_up(&self, threads: usize) -> Turn {
        let store = WarmStore::new();
        let environment = Environment::new(Box::new(SystemClock), Box::new(OsRandom));
        let code = RecoveryCode::generate(&mut OsRandom).unwrap();
        let device = NewDevice::named("bench").unwrap();
        let vault = Vault::create_in(store, &MemoryHome::new(), device, &code, environment).unwrap();
        vault.consent().grant(&self.kind).unwrap();
        let (folder, job) = (Folder::at(&self.folder), Job::new().with_threads(threads));
        Turn::of(|| {
            let report = vault.backup(&self.kind, "source", Source::Folder(&folder), &job).unwrap();
            assert_eq!(report.read_bytes, self.bytes as u64);
        })
    }
}

/// A store in memory whose memory for packs was asked for and written to before anybody is timed. What a system
/// takes for fresh pages, several times as much on a virtual machine whose host has taken them back, is not ours.
/// Nobody asks for a pack: each is written over the one that has lain there longest.
struct WarmStore {
    packs: Mutex<VecDeque<Vec<u8>>>,
    rest: MemoryStore,
}

impl WarmStore {
    fn new() -> Self {
        /// More than a cache holds.
        const PACKS: usize = 16;
        let packs = (0..PACKS).map(|_| vec![1; OBJECT_BYTES_MAX]).collect();
        Self { packs: Mutex::new(packs), rest: MemoryStore::new() }
    }
}

impl Store for WarmStore {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() < OBJECT_BYTES_MAX {
            return self.rest.put(name, bytes);
        }
        let mut place = self.packs.lock().unwrap().pop_front().unwrap();
        place.copy_from_slice(bytes);
        self.packs.lock().unwrap().push_back(place);
        Ok(())
    }

    fn get(&self, name: &ObjectName, limit: usize) -> Result<Vec<u8>, StoreError> {
        self.rest.get(name, limit)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.rest.get_range(name, offset, length)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, StoreError> {
        self.rest.length(name)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.rest.list(prefix, visit)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.rest.delete(name)
    }
}

/// One contestant's turn.
#[derive(Clone, Copy)]
struct Turn {
    wall: Duration,
    processors: Duration,
}

impl Turn {
    fn of(work: impl FnOnce()) -> Self {
        let (start, before) = (Instant::now(), support::process_time());
        work();
        Self { wall: start.elapsed(), processors: support::process_time() - before }
    }
}

/// The stages of a backup, in the order in which a piece comes to them: each finds it where it lies in a job,
/// in the cache or not.
struct Stages {
    spent: Spent,
    id_key: Secret<32>,
    key: ObjectKey,
    packer: Packer,
    store: WarmStore,
}

/// In the order of the table.
const STAGES: [&str; 6] = ["read", "cut", "id", "fill", "seal", "store"];

/// What each stage took.
type Spent = BTreeMap<&'static str, Duration>;

impl Stages {
    fn new() -> Self {
        let secret = |byte| Secret::take(&mut [byte; 32]);
        Self {
            spent: STAGES.map(|stage| (stage, Duration::ZERO)).into(),
            id_key: secret(1),
            key: ObjectKey::new(secret(2)),
            packer: Packer::new(2),
            store: WarmStore::new(),
        }
    }

    /// What each takes for all of `material` on one core.
    fn alone(material: &Material) -> Spent {
        Self::new().share(material, (0, 1))
    }

    /// What they take with a half of it on each of two cores.
    fn on_two_cores(material: &Material) -> Duration {
        let begin = Barrier::new(2);
        let half = |number| {
            let stages = Self::new();
            begin.wait();
            stages.share(material, (number, 2)).values().sum::<Duration>()
        };
        thread::scope(|scope| {
            let other = scope.spawn(|| half(1));
            half(0).max(other.join().unwrap())
        })
    }

    /// What each takes for one of `of` equal shares.
    fn share(mut self, material: &Material, (number, of): (usize, usize)) -> Spent {
        let chunker = Chunker::new(&Secret::take(&mut [3; 32]), 0);
        let mut files: Vec<_> =
            fs::read_dir(&material.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        if material.kind == Kind::PHOTOS {
            files
                .iter()
                .skip(number)
                .step_by(of)
                .for_each(|file| self.pieces(&mut File::open(file).unwrap()));
        } else {
            let mut file = File::open(&files[0]).unwrap();
            let length = (material.bytes / of) as u64;
            file.seek(SeekFrom::Start(number as u64 * length)).unwrap();
            self.cuts(&mut file.take(length), &chunker);
        }
        self.packer.finish().into_iter().for_each(|pack| self.send(pack));
        self.spent
    }

    fn time<T>(&mut self, stage: &'static str, work: impl FnOnce(&mut Self) -> T) -> T {
        let start = Instant::now();
        let result = work(self);
        *self.spent.get_mut(stage).unwrap() += start.elapsed();
        result
    }

    /// Equal pieces, each read into memory of its own.
    fn pieces(&mut self, file: &mut impl Read) {
        loop {
            let piece = self.time("read", |_| {
                let mut piece = Vec::with_capacity(MEDIA_PIECE_BYTES + 1);
                file.take(MEDIA_PIECE_BYTES as u64).read_to_end(&mut piece).unwrap();
                piece
            });
            if piece.is_empty() {
                return;
            }
            self.chunk(piece);
        }
    }

    /// Read ahead, cut, and copied out.
    fn cuts(&mut self, file: &mut impl Read, chunker: &Chunker) {
        const AHEAD: usize = Chunker::BYTES_MAX + Chunker::BYTES_MAX / 2;
        let mut ahead = Vec::with_capacity(AHEAD);
        let (mut start, mut ended) = (0, false);
        loop {
            if ahead.len() - start < Chunker::BYTES_MAX && !ended {
                self.time("read", |_| {
                    ahead.drain(..start);
                    let missing = AHEAD - ahead.len();
                    ended = file.take(missing as u64).read_to_end(&mut ahead).unwrap() < missing;
                });
                start = 0;
            }
            let cut = self.time("cut", |_| chunker.next_cut(&ahead[start..], ended));
            let Some(length) = cut else { return };
            let chunk = self.time("read", |_| ahead[start..start + length].to_vec());
            start += length;
            self.chunk(chunk);
        }
    }

    fn chunk(&mut self, plain: Vec<u8>) {
        let id = self.time("id", |stages| ChunkId::derive(&stages.id_key, &plain));
        let frame = StoredFrame::encode(id, plain, None).unwrap();
        if let Some(full) = self.packer.make_room(Shelf::Content, &frame) {
            self.send(full);
        }
        self.time("fill", |stages| stages.packer.add(Shelf::Content, &frame, &mut OsRandom).unwrap());
    }

    /// Seals a pack and stores it.
    fn send(&mut self, pack: PackBuilder) {
        let (_, sealed) = self.time("seal", |stages| {
            pack.seal(&stages.key, AccountId([1; 16]), 0, "bench", &mut OsRandom).unwrap()
        });
        let name = object_name(sealed.context().place);
        self.time("store", |stages| stages.store.put(&name, sealed.bytes()).unwrap());
        self.packer.reuse(sealed.into_memory());
    }
}

/// What everyone took in one round.
struct Round {
    stages: Spent,
    /// The bound on two cores.
    halves: Duration,
    one: Turn,
    two: Turn,
}

impl Round {
    fn of(material: &Material) -> Self {
        let (stages, halves) = (Stages::alone(material), Stages::on_two_cores(material));
        Self { stages, halves, one: material.back_up(1), two: material.back_up(2) }
    }

    /// On one core.
    fn bound(&self) -> Duration {
        self.stages.values().sum()
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Lines of Markdown about one material.
fn table(material: &Material, rounds: &[Round]) -> String {
    let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let speed = |time: Duration| material.bytes as f64 / time.as_secs_f64() / 1e9;
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    let busy = |turn: Turn| ratio(turn.processors, turn.wall);
    let mut line = format!("| {} |", material.name);
    for figure in [
        of(&|round| speed(round.bound())),
        of(&|round| speed(round.one.wall)),
        of(&|round| speed(round.two.wall)),
        of(&|round| ratio(round.one.wall, round.two.wall)),
        of(&|round| ratio(round.bound(), round.one.wall)),
        of(&|round| ratio(round.bound(), 2 * round.two.wall)),
        of(&|round| ratio(round.halves, round.two.wall)),
        of(&|round| busy(round.one)),
        of(&|round| busy(round.two)),
        of(&|round| ratio(round.two.processors, round.one.processors)),
    ] {
        write!(line, " {figure:.2} |").unwrap();
    }
    line + "\n"
}

const HEAD: &str = "\
| backup in memory | bound on one core, GB/s | one thread, GB/s | two, GB/s | two / one | one / bound \
| two / twice the bound | two / bound on two cores | processors of one | of two | work of two / of one |
|---|---|---|---|---|---|---|---|---|---|---|
";

/// Tells criterion what was measured: a sample for each round.
fn report(c: &mut Criterion, material: &Material, rounds: &[Round]) {
    let mut group = c.benchmark_group("pipeline");
    group
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_nanos(1))
        .measurement_time(Duration::from_millis(1))
        .sample_size(rounds.len().max(10))
        .throughput(Throughput::Bytes(material.bytes as u64));
    let mut tell = |name: &str, time: &dyn Fn(&Round) -> Duration| {
        let mut times = rounds.iter().map(time).cycle();
        group.bench_function(BenchmarkId::new(name, material.name), |b| {
            b.iter_custom(|iterations| times.next().unwrap().mul_f64(iterations as f64));
        });
    };
    tell("bound", &Round::bound);
    tell("bound-on-two-cores", &|round| round.halves);
    tell("one-thread", &|round| round.one.wall);
    tell("two-threads", &|round| round.two.wall);
    for stage in STAGES {
        if rounds[0].stages[stage] > Duration::ZERO {
            tell(stage, &|round| round.stages[stage]);
        }
    }
    group.finish();
}

fn pipeline(c: &mut Criterion) {
    let Extent { rounds, bytes } = Extent::wanted();
    let memory = Some(Path::new("/dev/shm")).filter(|folder| folder.is_dir());
    let work = memory.map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let mut lines = HEAD.to_owned();
    for material in Material::all(work.path(), bytes) {
        let rounds: Vec<_> = (0..rounds).map(|_| Round::of(&material)).collect();
        report(c, &material, &rounds);
        lines += &table(&material, &rounds);
    }
    println!("\n{lines}");
    let target: PathBuf = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("criterion");
    if target.is_dir() {
        fs::write(target.join("pipeline.md"), lines).unwrap();
    }
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
