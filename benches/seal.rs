//! The hot path: sealing and opening objects, beside the bare AEAD of the same crate in place.
//!
//! `cargo bench --bench seal`. Read the ratios within one run, not the seconds.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench fails loudly")]

use std::hint::black_box;

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{AeadInOut as _, inout::InOutBuf},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use strongroom::crypto::{Context, ObjectKey, ObjectType, OsRandom, Place, SealBuffer, Secret, open_message};

const SIZES: [usize; 4] = [1024, 64 * 1024, 1024 * 1024, 8_386_492];

fn context() -> Context {
    Context::new([1; 16], 0, ObjectType::Pack, "files", Place::Object([2; 16]))
}

fn key() -> ObjectKey {
    ObjectKey::new(Secret::take(&mut [3; 32]))
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    let mut buffer = SealBuffer::with_capacity(plain.len() + 4);
    buffer.append(plain);
    let length = u32::try_from(plain.len()).unwrap().to_le_bytes();
    buffer.seal(&key(), context(), &plain[..16], &length, &mut OsRandom).unwrap().bytes().to_vec()
}

fn seal(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal");
    for size in SIZES {
        let plain = vec![7; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("object", size), |b| {
            b.iter(|| black_box(sealed(black_box(&plain))));
        });
        let cipher = ChaCha20Poly1305::new(&[3; 32].into());
        let mut bytes = plain.clone();
        group.bench_function(BenchmarkId::new("bare-aead", size), |b| {
            b.iter(|| {
                for segment in bytes.chunks_mut(64 * 1024) {
                    let nonce = [0; 12].into();
                    black_box(cipher.encrypt_inout_detached(&nonce, &[], InOutBuf::from(segment)).unwrap());
                }
            });
        });
    }
    group.finish();
}

fn open(c: &mut Criterion) {
    let mut group = c.benchmark_group("open");
    for size in SIZES {
        let object = sealed(&vec![7; size]);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("object", size), |b| {
            b.iter_batched(
                || object.clone(),
                |bytes| black_box(open_message(&key(), &context(), bytes).unwrap()),
                criterion::BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, seal, open);
criterion_main!(benches);
