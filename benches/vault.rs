//! Whole jobs: a folder of 256 MiB that does not compress, backed up into a store in memory and restored.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench fails loudly"
)]

use std::{fs, path::Path};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use strongroom::{
    crypto::{OsRandom, Random as _},
    kinds::Kind,
    store::MemoryStore,
    vault::{At, Folder, Job, NewDevice, Selection, Source, Vault},
};

const FILES: usize = 64;
const FILE_BYTES: usize = 4 * 1024 * 1024;

fn fresh(at: &Path, number: usize) -> Vault {
    let state = at.join(format!("state-{number}"));
    let (vault, _) = Vault::create(MemoryStore::new(), state, NewDevice::named("bench").unwrap()).unwrap();
    vault.consent().grant(&Kind::PHOTOS).unwrap();
    vault
}

fn back_up(vault: &Vault, source: &Path) {
    vault.backup(&Kind::PHOTOS, "source", Source::Folder(&Folder::at(source)), &Job::new()).unwrap();
}

fn jobs(c: &mut Criterion) {
    let work = tempfile::tempdir().unwrap();
    let source = work.path().join("source");
    fs::create_dir(&source).unwrap();
    for number in 0..FILES {
        let mut bytes = vec![0; FILE_BYTES];
        OsRandom.fill(&mut bytes).unwrap();
        fs::write(source.join(format!("{number}.jpg")), bytes).unwrap();
    }
    let mut group = c.benchmark_group("vault-256MiB");
    group.sample_size(10).throughput(Throughput::Bytes((FILES * FILE_BYTES) as u64));
    let mut number = 0;
    group.bench_function("backup", |b| {
        b.iter_batched(
            || {
                number += 1;
                fresh(work.path(), number)
            },
            |vault| back_up(&vault, &source),
            BatchSize::PerIteration,
        );
    });
    let vault = fresh(work.path(), 0);
    back_up(&vault, &source);
    group.bench_function("nothing-changed", |b| b.iter(|| back_up(&vault, &source)));
    group.bench_function("restore", |b| {
        b.iter_batched(
            || tempfile::tempdir_in(work.path()).unwrap(),
            |out| {
                let plan =
                    vault.plan_restore(&[Selection::kind(Kind::PHOTOS)], &At::Latest, &Job::new()).unwrap();
                assert_eq!(vault.restore(plan, out.path(), &Job::new()).unwrap().failures, []);
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, jobs);
criterion_main!(benches);
