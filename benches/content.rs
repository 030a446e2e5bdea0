//! Cutting, beside a plain Gear hash; and what it takes to tell that a chunk does not compress.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench fails loudly")]

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use strongroom::{
    content::Chunker,
    crypto::{Random as _, Secret, SeededRandom},
    kinds::looks_incompressible,
};

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

/// Asked of every chunk. Text is told at a glance; what has many different bytes is counted.
fn sample(c: &mut Criterion) {
    let mut random = vec![0; 16 * 1024];
    SeededRandom::new(1).fill(&mut random).unwrap();
    let text = b"The quick brown fox jumps over the lazy dog. ".repeat(350);
    let accents =
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. ".repeat(250).into_bytes();
    let mut group = support::group(c, "looks-incompressible");
    for (name, data) in [("text", text), ("accents", accents), ("random", random)] {
        support::bench(&mut group, ("ours", name), data.len(), || (), |()| looks_incompressible(&data));
    }
    group.finish();
}

criterion_group!(benches, chunker, sample);
criterion_main!(benches);
