//! The key schedule: what is paid once an object, a chunk, a device or a password.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench fails loudly")]

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use strongroom::{
    Part,
    content::ChunkId,
    crypto::{
        Context, HybridSecretKey, Label, ObjectKey, ObjectType, Opener, OsRandom, PasswordParameters, Place,
        Secret, SigningKey, derive_from_key, derive_password_seeds, seal_message,
    },
};

use support::{bench, bytes, group};

fn schedule(c: &mut Criterion) {
    let mut group = group(c, "keys");
    let key = Secret::take(&mut [3; 32]);
    let scope = [2; 25];
    bench(
        &mut group,
        ("scope-hkdf", 32),
        4096,
        || (),
        |()| -> Secret<32> { derive_from_key(&key, Label::OBJECT, &[&scope]) },
    );
    let context = Context::new([1; 16], 0, ObjectType::Pack, "files", Place::Object([2; 16]));
    let object_key = ObjectKey::new(key.duplicate());
    let sealed = seal_message(&object_key, context.clone(), b"message", &mut OsRandom).unwrap();
    bench(
        &mut group,
        ("object", "header"),
        4096,
        || (),
        |()| Opener::new(&object_key, &context, sealed.bytes(), sealed.bytes().len()).unwrap(),
    );
    let hybrid = HybridSecretKey::generate(&mut OsRandom).unwrap();
    let (ciphertext, _) = hybrid.public().encapsulate(&mut OsRandom).unwrap();
    bench(
        &mut group,
        ("x-wing", "wrap"),
        4096,
        || (),
        |()| hybrid.public().encapsulate(&mut OsRandom).unwrap(),
    );
    bench(&mut group, ("x-wing", "unwrap"), 4096, || (), |()| hybrid.decapsulate(&*ciphertext).unwrap());
    let signing = SigningKey::generate(&mut OsRandom).unwrap();
    let (entry, verifying) = ([7; 400], signing.verifying_key());
    let signature = signing.sign(Label::SIGN_ROSTER, &entry);
    bench(
        &mut group,
        ("roster-entry", "verify"),
        4096,
        || (),
        |()| {
            verifying.verify(Label::SIGN_ROSTER, &entry, &signature, Part::Roster).unwrap();
        },
    );
    let parameters = PasswordParameters::default_with([1; 32]);
    let secret = Secret::take(&mut [4; 16]);
    bench(
        &mut group,
        ("argon2id", "default"),
        4096,
        || (),
        |()| derive_password_seeds("correct horse", &secret, &parameters).unwrap(),
    );
    group.finish();
}

fn chunk_ids(c: &mut Criterion) {
    let mut group = group(c, "chunk-id");
    let key = Secret::take(&mut [3; 32]);
    for length in [200, 4096, 64 * 1024, 1024 * 1024] {
        bytes(&mut group, length);
        let chunk = vec![7; length];
        bench(&mut group, ("blake3-keyed", length), length, || (), |()| ChunkId::derive(&key, &chunk));
    }
    group.finish();
}

criterion_group!(benches, schedule, chunk_ids);
criterion_main!(benches);
