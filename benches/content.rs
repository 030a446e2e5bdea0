//! Cutting, and trees of 100,000 records: building one, and finding what ten changes changed.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench fails loudly")]

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

fn chunker(c: &mut Criterion) {
    let mut data = vec![0; 128 * 1024 * 1024];
    SeededRandom::new(1).fill(&mut data).unwrap();
    let chunker = Chunker::new(&Secret::take(&mut [3; 32]), 0);
    let mut group = c.benchmark_group("chunker");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.sample_size(10);
    group.bench_function("random", |b| {
        b.iter(|| {
            let mut rest = data.as_slice();
            let mut chunks = 0;
            while let Some(length) = chunker.next_cut(&rest[..rest.len().min(Chunker::BYTES_MAX)], true) {
                if length == 0 {
                    break;
                }
                rest = &rest[length..];
                chunks += 1;
                if rest.is_empty() {
                    break;
                }
            }
            black_box(chunks)
        });
    });
    group.finish();
}

criterion_group!(benches, chunker, trees);
criterion_main!(benches);
