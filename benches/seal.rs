//! The hot path: sealing and opening objects in place, beside the bare AEAD, and what a small record costs.
//!
//! `cargo bench --bench seal`, with `--features bench-peers` beside ring, aws-lc, libsodium and OpenSSL too. Read the
//! ratios within one run (`cargo bench --bench zz_table` prints them), not the seconds.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench fails loudly")]

#[path = "support/ciphers.rs"]
mod ciphers;
mod support;

use std::hint::black_box;

use ciphers::{SEGMENT, TAG};
use criterion::{Criterion, criterion_group, criterion_main};
use strongroom::{
    content::{ChunkId, MEDIA_PIECE_BYTES, Packer, Shelf, StoredFrame},
    crypto::{
        Context, HEADER_BYTES, ObjectKey, ObjectType, Opener, OsRandom, Place, Random as _, SealBuffer,
        Secret, seal_message,
    },
    keys::AccountId,
};
use support::{bench, bytes, group};

/// From 16 KiB up the length of an object, filled to its last byte; below, of a message that is padded to it.
const SIZES: [usize; 8] = [64, 200, 1024, 4096, 16 * 1024, SEGMENT, 1024 * 1024, 8 * 1024 * 1024];

fn context() -> Context {
    Context::new([1; 16], 0, ObjectType::Pack, "files", Place::Object([2; 16]))
}

fn key() -> ObjectKey {
    ObjectKey::new(Secret::take(&mut [3; 32]))
}

/// Plaintext bytes that are sealed at this size.
fn plain_bytes(size: usize) -> usize {
    if size < 16 * 1024 { size } else { size - HEADER_BYTES - size.div_ceil(SEGMENT) * TAG }
}

/// A buffer that holds its plaintext but for the last byte, which sealing appends.
fn filled(size: usize) -> SealBuffer {
    let mut buffer = SealBuffer::with_capacity(plain_bytes(size));
    buffer.append(&vec![7; plain_bytes(size) - 1]);
    buffer
}

fn sealed(size: usize) -> Vec<u8> {
    filled(size).seal(&key(), context(), &[5; 32], &[1], &mut OsRandom).unwrap().bytes().to_vec()
}

fn seal(c: &mut Criterion) {
    let mut group = group(c, "seal");
    for size in SIZES {
        bytes(&mut group, plain_bytes(size));
        let (key, context) = (key(), context());
        bench(
            &mut group,
            ("object", size),
            size.max(16 * 1024),
            || (filled(size), context.clone()),
            |(buffer, context)| buffer.seal(&key, context, &[5; 32], &[1], &mut OsRandom).unwrap(),
        );
        for (name, mut cipher) in ciphers::all() {
            let make = || vec![7; plain_bytes(size)];
            bench(&mut group, (name, size), size, make, |mut bytes| {
                for segment in bytes.chunks_mut(SEGMENT) {
                    black_box(cipher.seal(segment));
                }
                bytes
            });
        }
    }
    group.finish();
}

fn open(c: &mut Criterion) {
    let mut group = group(c, "open");
    for size in SIZES {
        bytes(&mut group, plain_bytes(size));
        let (key, context, object) = (key(), context(), sealed(size));
        bench(
            &mut group,
            ("object", size),
            object.len(),
            || object.clone(),
            |object| {
                let opener = Opener::new(&key, &context, &object, object.len()).unwrap();
                opener.open(object).unwrap()
            },
        );
        let (sealed, tags) = ciphers::sealed(plain_bytes(size));
        for (name, mut cipher) in ciphers::all() {
            bench(
                &mut group,
                (name, size),
                size,
                || sealed.clone(),
                |mut bytes| {
                    for (segment, tag) in bytes.chunks_mut(SEGMENT).zip(&tags) {
                        cipher.open(segment, tag);
                    }
                    bytes
                },
            );
        }
    }
    group.finish();
}

const RECORD: usize = 200;
const RECORDS: usize = 10_000;

/// The crate's way for chunks of `length` bytes: id, packer, seal. Gives the bytes that are stored.
fn pack(chunks: Vec<Vec<u8>>) -> usize {
    let (id_key, key) = (Secret::take(&mut [6; 32]), key());
    let mut packer = Packer::new(2);
    let mut stored = 0;
    let mut seal = |pack: strongroom::content::PackBuilder| {
        let (_, sealed) = pack.seal(&key, AccountId([1; 16]), 0, "messages", &mut OsRandom).unwrap();
        stored += sealed.bytes().len();
    };
    for plain in chunks {
        let frame = StoredFrame::encode(ChunkId::derive(&id_key, &plain), plain, None).unwrap();
        packer.make_room(Shelf::Content, &frame).map(&mut seal);
        packer.add(Shelf::Content, &frame, &mut OsRandom).unwrap();
    }
    packer.finish().into_iter().for_each(seal);
    stored
}

/// 10,000 records of 200 bytes: alone, a chunk each, together in chunks as large as a tree page, and the
/// same bytes as one file.
fn records(c: &mut Criterion) {
    let mut plain = vec![0; RECORD * RECORDS];
    OsRandom.fill(&mut plain).unwrap();
    let mut group = group(c, "records");
    bytes(&mut group, plain.len());
    let (key, context) = (key(), context());
    bench(
        &mut group,
        ("sealed-alone", RECORD),
        plain.len(),
        || (),
        |()| {
            for record in plain.chunks(RECORD) {
                black_box(seal_message(&key, context.clone(), record, &mut OsRandom).unwrap());
            }
        },
    );
    for (name, length) in [("a-chunk-each", RECORD), ("in-pages", 16_000), ("one-file", MEDIA_PIECE_BYTES)] {
        let make = || plain.chunks(length).map(<[u8]>::to_vec).collect();
        bench(&mut group, (name, RECORD), plain.len(), make, pack);
    }
    group.finish();
}

criterion_group!(benches, seal, open, records);
criterion_main!(benches);
