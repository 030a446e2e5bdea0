//! The format is frozen: from fixed randomness this crate writes these bytes, it reads them, and it refuses
//! what is listed as refused (`docs/FORMAT.md`).
//!
//! `STRONGROOM_REGENERATE=1 cargo test --test vectors_format` writes the files anew, which only a new format
//! may do. What depends on the compressor's version (`small_store`, the compressed chunks) is only read.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of a test, which writes the vectors when asked to"
)]

mod enrollment;
mod forks;
mod must_fail;
mod objects;
mod rosters;
mod shared_frames;
#[cfg(unix)]
mod small_store;
mod world;

use std::borrow::Cow;
use std::fs;

use serde_json::{Value, json};
use strongroom::content::{
    ChunkEntry, ChunkId, Compressor, Decompressor, StoredFrame, decode_chunk, slots_of,
};
use strongroom::crypto::{
    Context, Label, ObjectType, PasswordParameters, Place, Secret, SeededRandom, derive_from_key,
    derive_password_seeds,
};
use strongroom::history::Commit;
use strongroom::keys::DeviceSecret;
use strongroom::wire::messages;
use strongroom::{Part, Result};

use objects::{objects_json, read_object};
use world::{
    DEVICE, World, b3, frozen, hex, regenerating, root_of, seeded, tree_entries, unbase64, unhex, vectors,
    world,
};

#[test]
fn the_key_schedule_is_frozen() {
    let world = world();
    let account = world.roster.account();
    let device_secret = DeviceSecret::generate(&mut SeededRandom::new(9)).unwrap();
    let parameters = PasswordParameters::default_with([0xa5; 32]);
    let seeds = derive_password_seeds("e\u{301} pass", device_secret.secret(), &parameters).unwrap();
    let recovery = world.code.hybrid_key();
    let (ciphertext, shared) = recovery.public().encapsulate(&mut SeededRandom::new(10)).unwrap();
    let epoch_key = |label| hex(derive_from_key::<32>(&world.root, label, &[&account.0, &[0; 4]]).expose());
    let contexts = [
        Context::new([1; 16], 0, ObjectType::Pack, "photos", Place::Object([2; 16])),
        Context::new([1; 16], 5, ObjectType::Commit, "", Place::Commit { device: [3; 16], sequence: 258 }),
        Context::new([0; 16], 0, ObjectType::Envelope, "", Place::Envelope { locator: [4; 16], id: [5; 16] }),
    ];
    frozen(
        "keys.json",
        &json!({
            "recovery": {
                "code": world.code.reveal().as_str(),
                "locator": hex(&world.code.locator()),
                "x_wing_seed": hex(recovery.seed().expose()),
                "x_wing_public_blake3": b3(recovery.public().as_bytes()),
                "ed25519_seed": hex(world.code.signing_key().seed().expose()),
                "ed25519_public": hex(world.code.signing_key().verifying_key().as_bytes()),
            },
            "x_wing": { "ciphertext": hex(&ciphertext[..]), "shared": hex(shared.expose()) },
            "password": {
                "device_secret": device_secret.reveal().as_str(),
                "locator": hex(&device_secret.locator()),
                "password": "e\u{301} pass",
                "memory_kib": parameters.memory_kib(), "passes": parameters.passes(), "lanes": parameters.lanes(),
                "salt": hex(parameters.salt()),
                "x_wing_seed": hex(seeds.hybrid.expose()),
                "ed25519_seed": hex(seeds.signing.expose()),
            },
            "epoch": {
                "account": hex(&account.0), "root": hex(world.root.expose()), "epoch": 0,
                "root_id": hex(&root_of(&world.root).id()),
                "commit_key": epoch_key(Label::EPOCH_COMMIT),
                "keyring_key": epoch_key(Label::EPOCH_KEYRING),
                "roster_key": epoch_key(Label::EPOCH_ROSTER),
            },
            "naming": {
                "naming_key": hex(world.naming_key.expose()), "kind": "notes",
                "chunk_id_key": hex(world.id_key.expose()),
                "chunk_cut_key": hex(world.cut_key.expose()),
            },
            "contexts": contexts.iter().map(|context| hex(&context.encode())).collect::<Vec<_>>(),
        }),
    );
    assert_eq!(recovery.decapsulate(&ciphertext[..]).unwrap().expose(), shared.expose());
}

#[test]
fn sealed_objects_are_frozen_and_open() {
    let vectors = frozen("objects.json", &objects_json());
    for (name, (sealed, _)) in &world().objects {
        let bytes = unbase64(&vectors["objects"][name]["object"]);
        read_object(&vectors, name, sealed.context().clone(), bytes).unwrap();
    }
    let commit = &world().objects["commit"];
    let device = world().roster.state().device(DEVICE).unwrap();
    let commit = Commit::parse(world().roster.account(), device, 0, 7, &commit.1).unwrap();
    assert_eq!(commit.head(), world().commit_head);
}

#[test]
fn trees_are_frozen() {
    let World { tree, tree_root, id_key, cut_key, .. } = world();
    let root = tree_root.to_wire();
    let vectors = frozen(
        "tree.json",
        &json!({
            "about": "The map from `source`, a zero byte, n in five digits, to (n mod 97) bytes n mod 256, for n \
                      from 0 to 1999; the size of an entry is the length of its value. Pages in the order in which they are closed.",
            "chunk_id_key": hex(id_key.expose()),
            "chunk_cut_key": hex(cut_key.expose()),
            "root": { "page": hex(&root.page), "level": root.level, "entries": root.entries, "size": root.size },
            "pages": tree.order.iter().map(|id| hex(id)).collect::<Vec<_>>(),
            "page_lengths": tree.order.iter().map(|id| tree.pages[id].len()).collect::<Vec<_>>(),
        }),
    );
    assert!(vectors["root"]["level"].as_u64().unwrap() > 0);
    let read = strongroom::tree::scan(Some(*tree_root), tree, std::ops::Bound::Unbounded);
    assert!(read.map(std::result::Result::unwrap).eq(tree_entries()));
}

#[test]
fn a_compressed_chunk_is_read() {
    let path = vectors().join("chunk.json");
    if regenerating() {
        let plain = b"the same again and again; ".repeat(50);
        let id = ChunkId::derive(&seeded(6), &plain);
        let chunk = StoredFrame::encode(id, plain.clone(), Some(&mut Compressor::new().unwrap())).unwrap();
        let value = json!({
            "chunk_id_key": hex(seeded::<32>(6).expose()),
            "id": hex(&id.0), "plain": hex(&plain), "plain_length": plain.len(), "stored": hex(chunk.bytes()),
        });
        fs::write(&path, serde_json::to_string_pretty(&value).unwrap() + "\n").unwrap();
    }
    let value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(read_chunk(&value).unwrap(), unhex(&value["plain"]));
}

fn read_chunk(value: &Value) -> Result<Vec<u8>> {
    let stored = unhex(&value["stored"]);
    let wire = messages::ChunkEntry {
        id: unhex(&value["id"]),
        stored_length: u32::try_from(stored.len()).unwrap(),
        plain_length: u32::try_from(value["plain_length"].as_u64().unwrap()).unwrap(),
    };
    let key = Secret::from_slice(&unhex(&value["chunk_id_key"])).unwrap();
    let line = ChunkEntry::from_wire(&wire, Part::Chunk)?;
    let slot = slots_of(&[line]).next().unwrap();
    decode_chunk(&key, ([0; 16], &slot), &stored, &mut Decompressor::new()?).map(Cow::into_owned)
}
