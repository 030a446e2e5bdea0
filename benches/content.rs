//! Cutting, beside a plain Gear hash, and trees of 100,000 records: building one, and finding what ten changes changed.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench fails loudly")]

mod support;

use std::{cell::RefCell, collections::HashMap, hint::black_box};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use strongroom::{
    Error, Part, Result,
    content::{ChunkId, Chunker},
    crypto::{Random as _, Secret, SeededRandom},
    tree::{self, Borders, Edit, PageReader, PageWriter, Root},
};

const RECORDS: u32 = 100_000;

#[derive(Default)]
struct Pages(RefCell<HashMap<ChunkId, Vec<u8>>>);

impl PageReader for Pages {
    fn page(&self, id: &ChunkId) -> Result<Vec<u8>> {
        self.0.borrow().get(id).cloned().ok_or(Error::Missing { what: Part::TreePage })
    }
}

impl PageWriter for Pages {
    fn put_page(&mut self, bytes: Vec<u8>) -> Result<ChunkId> {
        let id = ChunkId::derive(&Secret::take(&mut [1; 32]), &bytes);
        self.0.borrow_mut().insert(id, bytes);
        Ok(id)
    }
}

fn edits(every: u32, value: u8) -> impl Iterator<Item = Result<Edit>> {
    (0..RECORDS)
        .step_by(every as usize)
        .map(move |n| Ok(Edit { key: format!("records/{n:08}").into_bytes(), value: Some(vec![value; 80]) }))
}

fn build(pages: &mut Pages, before: Option<Root>, every: u32, value: u8) -> Option<Root> {
    let borders = Borders::new(&Secret::take(&mut [2; 32]));
    tree::apply(before, edits(every, value), pages, &borders).unwrap()
}

fn trees(c: &mut Criterion) {
    let mut group = c.benchmark_group("tree");
    group.throughput(Throughput::Elements(u64::from(RECORDS)));
    group.bench_function("build-100000", |b| {
        b.iter(|| black_box(build(&mut Pages::default(), None, 1, 0)));
    });
    let mut pages = Pages::default();
    let before = build(&mut pages, None, 1, 0);
    let after = build(&mut pages, before, RECORDS / 10, 9);
    group.throughput(Throughput::Elements(10));
    group.bench_function("diff-10-of-100000", |b| {
        b.iter(|| {
            let mut changes = 0;
            tree::diff(before, after, &pages, &mut |_| {
                changes += 1;
                Ok(())
            })
            .unwrap();
            assert_eq!(black_box(changes), 10);
        });
    });
    group.finish();
}

/// The Gear hash of `fastcdc` and its kin, one byte at a time and without a key: what cutting costs when
/// it hides nothing. Limits and average are ours.
fn gear_cut(table: &[u64; 256], bytes: &[u8]) -> usize {
    const MASK: u64 = ((1 << 20) - 1) << 40;
    let bytes = &bytes[..bytes.len().min(Chunker::BYTES_MAX)];
    let mut hash = 0_u64;
    for (at, byte) in bytes.iter().enumerate().skip(Chunker::BYTES_MIN) {
        hash = (hash << 1).wrapping_add(table[usize::from(*byte)]);
        if hash & MASK == 0 {
            return at + 1;
        }
    }
    bytes.len()
}

/// How many chunks `cut` makes of `data`.
fn chunks(mut data: &[u8], cut: impl Fn(&[u8]) -> usize) -> usize {
    let mut count = 0;
    while !data.is_empty() {
        data = &data[cut(data)..];
        count += 1;
    }
    count
}

/// Bytes before the minimum are passed over by both. Which AES instructions cut is the build's choice
/// (`benches/README.md`).
fn chunker(c: &mut Criterion) {
    let mut data = vec![0; 128 * 1024 * 1024];
    SeededRandom::new(1).fill(&mut data).unwrap();
    let chunker = Chunker::new(&Secret::take(&mut [3; 32]), 0);
    let table = std::array::from_fn(|byte| u64::from_le_bytes(*data[byte * 8..].first_chunk().unwrap()));
    let mut group = support::group(c, "chunker");
    support::bytes(&mut group, data.len());
    support::bench(
        &mut group,
        ("ours", "random"),
        data.len(),
        || (),
        |()| chunks(&data, |rest| chunker.next_cut(rest, true).unwrap()),
    );
    support::bench(
        &mut group,
        ("plain-gear", "random"),
        data.len(),
        || (),
        |()| chunks(&data, |rest| gear_cut(&table, rest)),
    );
    group.finish();
}

criterion_group!(benches, chunker, trees);
criterion_main!(benches);
