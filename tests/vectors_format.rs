//! The format is frozen: from fixed randomness this crate writes these bytes, it reads them, and it refuses
//! what is listed as refused (`docs/FORMAT.md`).
//!
//! `STRONGROOM_REGENERATE=1 cargo test --test vectors_format` writes the files anew, which only a new format
//! may do. What depends on the compressor's version (`small_store`, the compressed chunk) is only read.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use serde_json::{Value, json};
use strongroom::{
    Error, Part, Result,
    content::{
        ChunkEntry, ChunkId, Compressor, IndexFragment, PackBuilder, StoredChunk, decode_chunk, open_pack,
        read_directory,
    },
    crypto::{
        Context, HEADER_BYTES, HybridSecretKey, Label, ObjectKey, ObjectType, PasswordParameters, Place,
        Random, Sealed, Secret, SeededRandom, SigningKey, derive_from_key, derive_password_seeds,
        encapsulate, keyed_hash, open_message, seal_message,
    },
    history::{Commit, CommitBody, Head, KindState},
    keys::{
        AccountId, Change, DeviceId, DeviceSecret, Envelope, EnvelopeContents, EpochRoot, Keyring, Member,
        ObjectRef, Recipient, RecoveryCode, Roster, Signer, SignerId,
    },
    kinds::Kind,
    store::DirectoryStore,
    tree::{Borders, Builder, PageReader, PageWriter, Root},
    vault::{At, Clock, Environment, Folder, Job, NewDevice, Selection, Source, Vault},
    wire::{decode_strict, messages},
};

const DEVICE: DeviceId = DeviceId([0xd1; 16]);
const TIME_MS: i64 = 1_700_000_000_000;

/// One account with everything that it writes, all from seeds.
struct World {
    code: RecoveryCode,
    signing: SigningKey,
    root: Secret<32>,
    roster: Roster,
    content_key: Secret<32>,
    id_key: Secret<32>,
    keyring: messages::Keyring,
    tree: MemoryPages,
    tree_root: Root,
    chunk_plain: Vec<Vec<u8>>,
    commit_head: Head,
    /// By name: the object, its message or pack plaintext, and its reference if it has one.
    objects: BTreeMap<&'static str, (Sealed, Vec<u8>)>,
}

fn seeded<const N: usize>(seed: u64) -> Secret<N> {
    Secret::generate(&mut SeededRandom::new(seed)).unwrap()
}

fn root_of(root: &Secret<32>) -> EpochRoot {
    EpochRoot::new(0, root.duplicate())
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(make_world)
}

fn make_world() -> World {
    let random = &mut SeededRandom::new(1000);
    let code = RecoveryCode::generate(&mut SeededRandom::new(1)).unwrap();
    let signing = SigningKey::from_seed(seeded(2));
    let hybrid = HybridSecretKey::from_seed(seeded(3));
    let (root, content_key, id_key, cut_key) = (seeded(4), seeded(5), seeded(6), seeded(7));
    let member = Member {
        id: DEVICE,
        signing_key: signing.verifying_key(),
        recipient: Recipient::device(hybrid.public_key().clone(), [0x10; 16]),
        name: "phone".to_owned(),
    };
    let recovery = recovery_recipient(&code);
    let genesis =
        Change::Genesis { salt: [0x5a; 16], device: member, recovery: recovery.clone(), format_version: 1 };
    let roster = Roster::begin(&genesis, &signing, &code.signing_key(), TIME_MS).unwrap();
    let account = roster.account();
    let epoch = root_of(&root);
    let mut objects = BTreeMap::new();

    let context = Context::new(account.0, 0, ObjectType::Index, "notes", Place::Object([0x0b; 16]));
    let message = b"a message".to_vec();
    let key = ObjectKey::new(content_key.duplicate());
    objects.insert("message", (seal_message(&key, context, &message, random).unwrap(), message));

    let (roster_ref, sealed) = roster.seal(&epoch, random).unwrap();
    objects.insert("roster", (sealed, roster.encode()));

    let kind_keys = messages::KindKeys {
        kind: "notes".to_owned(),
        chunk_id_key: id_key.expose().to_vec(),
        chunk_cut_key: cut_key.expose().to_vec(),
        content_keys: vec![messages::ContentKey { epoch: 0, key: content_key.expose().to_vec() }],
    };
    let wire = messages::Keyring { account: account.0.to_vec(), version: 1, kinds: vec![kind_keys] };
    let (keyring_ref, sealed) = Keyring::from_wire(&wire, account).unwrap().seal(&epoch, random).unwrap();
    objects.insert("keyring", (sealed, wire.encode_to_vec()));

    let mut tree = MemoryPages { id_key: id_key.duplicate(), pages: HashMap::new(), order: Vec::new() };
    let borders = Borders::new(&cut_key);
    let mut builder = Builder::new(&mut tree, &borders);
    for (key, value) in tree_entries() {
        builder.push(key, value).unwrap();
    }
    let tree_root = builder.finish().unwrap().unwrap();

    let chunk_plain: Vec<Vec<u8>> = vec![b"first".to_vec(), vec![7; 100], seeded::<300>(8).expose().to_vec()];
    let mut pack = PackBuilder::new();
    for plain in &chunk_plain {
        let id = ChunkId::derive(&id_key, plain);
        pack.push(&StoredChunk::encode(id, plain.clone(), None).unwrap());
    }
    let (entry, sealed) = pack.seal(&key, account, 0, "notes", random).unwrap();
    let plain = open_pack(&key, sealed.context(), sealed.bytes().to_vec()).unwrap().0;
    objects.insert("pack", (sealed, plain));

    let older = ObjectRef::of(&objects["message"].0).unwrap();
    let fragment = IndexFragment::new(vec![entry.clone()], vec![older.clone()]);
    let wire = messages::IndexFragment { packs: vec![entry.to_wire()], older: vec![older.to_wire()] };
    let (index_ref, sealed) = fragment.seal(&key, account, 0, "notes", random).unwrap();
    objects.insert("index", (sealed, wire.encode_to_vec()));

    let body = CommitBody {
        previous: Some(Head { sequence: 6, hash: [0x66; 32] }),
        roster: roster_ref.clone(),
        keyring: keyring_ref,
        keyring_version: 1,
        kinds: vec![KindState { kind: "notes".to_owned(), root: Some(tree_root), index: vec![index_ref] }],
        seen: vec![(DeviceId([0xd2; 16]), Head { sequence: 3, hash: [0x33; 32] })],
        nonce: [0x77; 16],
        device_time_ms: TIME_MS,
    };
    let (commit, sealed) = Commit::seal(account, (DEVICE, &signing), body, &epoch, random).unwrap();
    let plain = open_message(&epoch.commit_key(account), sealed.context(), sealed.bytes().to_vec()).unwrap();
    objects.insert("commit", (sealed, plain));

    let contents = EnvelopeContents { account, roots: &[root_of(&root)], roster: &roster_ref };
    let sealed = Envelope::seal(&contents, &recovery, (DEVICE, &signing), random).unwrap();
    objects.insert("envelope", (sealed, Vec::new()));
    let keyring = decode_strict(&objects["keyring"].1, 1 << 20, Part::Keyring).unwrap();
    let commit_head = commit.head();
    World {
        code,
        signing,
        root,
        roster,
        content_key,
        id_key,
        keyring,
        tree,
        tree_root,
        chunk_plain,
        commit_head,
        objects,
    }
}

fn recovery_recipient(code: &RecoveryCode) -> Recipient {
    let public = code.hybrid_key().public_key().clone();
    Recipient::recovery(public, code.locator(), code.signing_key().verifying_key())
}

fn tree_entries() -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    (0..2000)
        .map(|n: u32| (format!("source\0{n:05}").into_bytes(), vec![n.to_le_bytes()[0]; (n % 97) as usize]))
}

struct MemoryPages {
    id_key: Secret<32>,
    pages: HashMap<[u8; 32], Vec<u8>>,
    order: Vec<[u8; 32]>,
}

impl PageReader for MemoryPages {
    fn page(&self, id: &ChunkId) -> Result<Vec<u8>> {
        self.pages.get(&id.0).cloned().ok_or(Error::Missing { what: Part::TreePage })
    }
}

impl PageWriter for MemoryPages {
    fn put_page(&mut self, bytes: Vec<u8>) -> Result<ChunkId> {
        let id = keyed_hash(&self.id_key, &bytes);
        self.order.push(id);
        self.pages.insert(id, bytes);
        Ok(ChunkId(id))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn array<const N: usize>(text: &Value) -> [u8; N] {
    unhex(text).try_into().unwrap()
}

fn unbase64(text: &Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().unwrap()).unwrap()
}

fn b3(bytes: &[u8]) -> String {
    hex(blake3::hash(bytes).as_bytes())
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn regenerating() -> bool {
    std::env::var_os("STRONGROOM_REGENERATE").is_some()
}

/// What stands in the file must be what is written now; gives back what stands there.
#[expect(clippy::disallowed_methods, reason = "writes the vectors when asked to")]
fn frozen(name: &str, now: &Value) -> Value {
    let path = vectors().join(name);
    if regenerating() {
        fs::write(&path, serde_json::to_string_pretty(now).unwrap() + "\n").unwrap();
    }
    let frozen: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(*now == frozen, "{name}: this crate writes other bytes now");
    frozen
}

#[test]
fn the_key_schedule_is_frozen() {
    let world = world();
    let account = world.roster.account();
    let device_secret = DeviceSecret::generate(&mut SeededRandom::new(9)).unwrap();
    let parameters = PasswordParameters::default_with([0xa5; 32]);
    let (hybrid, signing) =
        derive_password_seeds("e\u{301} pass", device_secret.secret(), &parameters).unwrap();
    let recovery = world.code.hybrid_key();
    let (ciphertext, shared) = encapsulate(recovery.public_key(), &mut SeededRandom::new(10)).unwrap();
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
                "x_wing_public_blake3": b3(recovery.public_key().as_bytes()),
                "ed25519_seed": hex(world.code.signing_key().seed().expose()),
                "ed25519_public": hex(world.code.signing_key().verifying_key().as_bytes()),
            },
            "x_wing": { "ciphertext": hex(&ciphertext), "shared": hex(shared.expose()) },
            "password": {
                "device_secret": device_secret.reveal().as_str(),
                "locator": hex(&device_secret.locator()),
                "password": "e\u{301} pass",
                "memory_kib": parameters.memory_kib(), "passes": parameters.passes(), "lanes": parameters.lanes(),
                "salt": hex(parameters.salt()),
                "x_wing_seed": hex(hybrid.expose()),
                "ed25519_seed": hex(signing.expose()),
            },
            "epoch": {
                "account": hex(&account.0), "root": hex(world.root.expose()), "epoch": 0,
                "commit_key": epoch_key(Label::EPOCH_COMMIT),
                "keyring_key": epoch_key(Label::EPOCH_KEYRING),
                "roster_key": epoch_key(Label::EPOCH_ROSTER),
            },
            "contexts": contexts.iter().map(|context| hex(&context.encode())).collect::<Vec<_>>(),
        }),
    );
    assert_eq!(recovery.decapsulate(&ciphertext).unwrap().expose(), shared.expose());
}

fn objects_json() -> Value {
    let world = world();
    let object = |(name, (sealed, plain)): (&&str, &(Sealed, Vec<u8>))| {
        let bytes = sealed.bytes();
        let value = json!({
            "context": hex(&sealed.context().encode()),
            "header": hex(&bytes[..HEADER_BYTES]),
            "body_blake3": b3(&bytes[HEADER_BYTES..]),
            "hash": hex(&strongroom::crypto::labelled_hash(Label::HASH_OBJECT, &[bytes])),
            "plain_blake3": b3(plain),
            "object": STANDARD.encode(bytes),
        });
        ((*name).to_owned(), value)
    };
    json!({
        "about": "Objects of one account. `roster`, `keyring` and `commit` are sealed under `root`, `message`, \
                  `index` and `pack` under `content_key`, `envelope` to the recovery code. `plain_blake3` is of \
                  the message, or of the whole plaintext of the pack.",
        "account": hex(&world.roster.account().0),
        "device": hex(&DEVICE.0),
        "recovery_code": world.code.reveal().as_str(),
        "root": hex(world.root.expose()),
        "kind": "notes",
        "content_key": hex(world.content_key.expose()),
        "chunk_id_key": hex(world.id_key.expose()),
        "chunks": world.chunk_plain.iter().map(|plain| hex(plain)).collect::<Vec<_>>(),
        "commit_sequence": world.commit_head.sequence,
        "commit_hash": hex(&world.commit_head.hash),
        "objects": world.objects.iter().map(object).collect::<serde_json::Map<_, _>>(),
    })
}

/// Reads an object of `objects.json` as what it is.
fn read_object(vectors: &Value, name: &str, context: Context, bytes: Vec<u8>) -> Result<()> {
    let account = AccountId(array(&vectors["account"]));
    let root = EpochRoot::new(0, Secret::from_slice(&unhex(&vectors["root"])).unwrap());
    let key = ObjectKey::new(Secret::from_slice(&unhex(&vectors["content_key"])).unwrap());
    let kind = context.kind.clone();
    let reference = || {
        let Place::Object(id) = context.place else { panic!("a commit has no reference") };
        let hash = unhex(&vectors["objects"][name]["hash"]);
        let wire = messages::ObjectRef { name: id.to_vec(), length: 16384, hash, epoch: context.epoch };
        ObjectRef::from_wire(&wire, Part::Object).unwrap()
    };
    match name {
        "message" => open_message(&key, &context, bytes).map(drop),
        "pack" => open_pack(&key, &context, bytes).map(drop),
        "index" => IndexFragment::open(&key, account, &kind, &reference(), bytes).map(drop),
        "keyring" => Keyring::open(account, &root, &reference(), bytes).map(drop),
        "roster" => Roster::open(account, &root, &reference(), bytes).map(drop),
        "commit" => {
            let state = world().roster.state();
            let Place::Commit { device, sequence } = context.place else { panic!("no commit") };
            let known = state.device(DEVICE).filter(|_| device == DEVICE.0).unwrap();
            Commit::open(account, known, state, &[root], sequence, &bytes).map(drop)
        }
        "envelope" => {
            let code = RecoveryCode::parse(vectors["recovery_code"].as_str().unwrap()).unwrap();
            let Place::Envelope { locator, id } = context.place else { panic!("no envelope") };
            Envelope::open(&code.hybrid_key(), locator, id, bytes)?.verify(&world().roster).map(drop)
        }
        other => panic!("{other}"),
    }
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
    let World { tree, tree_root, id_key, .. } = world();
    let root = tree_root.to_wire();
    let vectors = frozen(
        "tree.json",
        &json!({
            "about": "The map from `source`, a zero byte, n in five digits, to (n mod 97) bytes n mod 256, for n \
                      from 0 to 1999. Pages in the order in which they are closed.",
            "chunk_id_key": hex(id_key.expose()),
            "chunk_cut_key": hex(seeded::<32>(7).expose()),
            "root": { "page": hex(&root.page), "level": root.level, "entries": root.entries },
            "pages": tree.order.iter().map(|id| hex(id)).collect::<Vec<_>>(),
            "page_lengths": tree.order.iter().map(|id| tree.pages[id].len()).collect::<Vec<_>>(),
        }),
    );
    assert!(vectors["root"]["level"].as_u64().unwrap() > 0);
    let read = strongroom::tree::scan(Some(*tree_root), tree, std::ops::Bound::Unbounded);
    assert!(read.map(std::result::Result::unwrap).eq(tree_entries()));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "writes the vectors when asked to")]
fn a_compressed_chunk_is_read() {
    let path = vectors().join("chunk.json");
    if regenerating() {
        let plain = b"the same again and again; ".repeat(50);
        let id = ChunkId::derive(&seeded(6), &plain);
        let chunk = StoredChunk::encode(id, plain.clone(), Some(&mut Compressor::new().unwrap())).unwrap();
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
    decode_chunk(&key, &ChunkEntry::from_wire(&wire, Part::Chunk)?, &stored)
}

/// The class of an error, as the vectors name it.
fn class(error: &Error) -> &'static str {
    match error {
        Error::Damaged { .. } | Error::Missing { .. } => "damaged",
        Error::NewerFormat { .. } => "newer format",
        Error::WrongSecret => "wrong secret",
        Error::MistypedCode(_) => "mistyped code",
        Error::PasswordParameters => "password parameters",
        other => panic!("an error that a reader does not give: {other}"),
    }
}

/// What must fail: changes of objects, contexts that are not theirs, structures out of form.
fn must_fail() -> Vec<Value> {
    let mut cases = Vec::new();
    for (name, (sealed, _)) in &world().objects {
        let error = if *name == "envelope" { "wrong secret" } else { "damaged" };
        let mut case = |what: &str, change: Value, error: &str| {
            cases.push(json!({ "name": format!("{name}: {what}"), "object": name, "change": change, "error": error }));
        };
        case("magic", json!({ "flip": 0 }), error);
        case("salt", json!({ "flip": 8 }), error);
        case("commitment", json!({ "flip": 63 }), error);
        case("ciphertext", json!({ "flip": 16384 - 5000 }), error);
        case("tag", json!({ "flip": 16383 }), error);
        case("truncated", json!({ "length": 16383 }), error);
        case("half", json!({ "length": 8192 }), error);
        case("header only", json!({ "length": 64 }), error);
        case("empty", json!({ "length": 0 }), error);
        case("with zeros to the next length", json!({ "length": 32768 }), error);
        if *name == "envelope" {
            case("ciphertext of the key", json!({ "flip": 64 }), error);
            case("X25519 share of zeros", json!({ "zero": [64 + 1088, 32] }), error);
            case("parameters", json!({ "flip": 64 + 1120 }), error);
        }
        let plain_speaking = matches!(*name, "message" | "commit");
        let either = format!("{error} or newer format");
        let newer = if plain_speaking { "newer format" } else { &either };
        case("newer version", json!({ "byte": [7, 2] }), newer);
        let encoded = sealed.context().encode();
        if *name == "message" || *name == "pack" {
            for (what, at) in
                [("account", 0), ("epoch", 16), ("type", 20), ("form of place", 21), ("place", 22)]
            {
                let mut other = encoded.clone();
                other[at] ^= if what == "type" || what == "form of place" { 3 } else { 1 };
                case(&format!("another {what}"), json!({ "context": hex(&other) }), error);
            }
            let other = [&encoded[..54], b"files"].concat();
            case("another kind", json!({ "context": hex(&other) }), error);
        }
    }
    structures(&mut cases);
    codes(&mut cases);
    cases
}

fn structures(cases: &mut Vec<Value>) {
    let World { roster, signing, code, keyring, objects, commit_head, .. } = world();
    let mut case = |parse: &str, what: &str, plain: Vec<u8>| {
        let error = if what == "newer version" { "newer format" } else { "damaged" };
        let plain = STANDARD.encode(plain);
        cases.push(
            json!({ "name": format!("{parse}: {what}"), "parse": parse, "plain": plain, "error": error }),
        );
    };
    let unknown = |plain: &[u8]| [plain, &[0xf8, 0x07, 0x01][..]].concat();
    for name in ["roster", "keyring", "commit", "index"] {
        case(name, "an unknown field", unknown(&objects[name].1));
        case(name, "cut off", objects[name].1[..objects[name].1.len() - 1].to_vec());
        case(name, "empty", Vec::new());
    }
    // Roster: an entry that may not be there, and signatures that do not fit.
    let wire: messages::Roster = decode_strict(&roster.encode(), 1 << 20, Part::Roster).unwrap();
    let with = |entries: Vec<messages::SignedRosterEntry>| messages::Roster { entries }.encode_to_vec();
    let genesis = wire.entries[0].clone();
    let mut forged = genesis.clone();
    forged.signature[40] ^= 1;
    case("roster", "signature of the genesis", with(vec![forged]));
    let entry = |change: &Change,
                 signer: SignerId,
                 key: &SigningKey,
                 edit: &dyn Fn(&mut messages::RosterEntry)| {
        let mut longer = roster.clone();
        longer
            .append(&Signer { id: SignerId::Device(DEVICE), key: signing }, &Change::BeginEpoch(1), None, 0)
            .unwrap();
        let wire: messages::Roster = decode_strict(&longer.encode(), 1 << 20, Part::Roster).unwrap();
        let mut entry: messages::RosterEntry =
            decode_strict(&wire.entries[1].entry, 1 << 20, Part::Roster).unwrap();
        entry.change = Some(change_to_wire(change));
        entry.signer = match signer {
            SignerId::Recovery => b"recovery".to_vec(),
            SignerId::Password => b"password".to_vec(),
            _ => DEVICE.0.to_vec(),
        };
        edit(&mut entry);
        let entry = entry.encode_to_vec();
        let signature = key.sign(Label::SIGN_ROSTER, &entry).as_bytes().to_vec();
        with(vec![genesis.clone(), messages::SignedRosterEntry { entry, signature }])
    };
    let (device, begin) = (SignerId::Device(DEVICE), Change::BeginEpoch(1));
    let same = |_: &mut messages::RosterEntry| {};
    Roster::parse(roster.account(), &entry(&begin, device, signing, &same)).unwrap();
    case("roster", "signed by another key", entry(&begin, device, &code.signing_key(), &same));
    case("roster", "the code begins an epoch", entry(&begin, SignerId::Recovery, &code.signing_key(), &same));
    case("roster", "no password signs", entry(&begin, SignerId::Password, signing, &same));
    case("roster", "an epoch left out", entry(&Change::BeginEpoch(2), device, signing, &same));
    case("roster", "wrong index", entry(&begin, device, signing, &|entry| entry.index = 2));
    case("roster", "wrong previous", entry(&begin, device, signing, &|entry| entry.previous[0] ^= 1));
    case("roster", "another account", entry(&begin, device, signing, &|entry| entry.account[0] ^= 1));
    case(
        "roster",
        "agreement where none belongs",
        entry(&begin, device, signing, &|e| e.acceptance = vec![0; 64]),
    );
    let recipient = recovery_recipient(&RecoveryCode::generate(&mut SeededRandom::new(11)).unwrap());
    case(
        "roster",
        "a recovery code that did not agree",
        entry(&Change::SetRecovery(recipient), device, signing, &same),
    );
    case("roster", "the same entry twice", with(vec![genesis.clone(), genesis.clone()]));
    // Keyring.
    let with = |edit: &dyn Fn(&mut messages::Keyring)| {
        let mut wire = keyring.clone();
        edit(&mut wire);
        wire.encode_to_vec()
    };
    case("keyring", "a key of zeros", with(&|wire| wire.kinds[0].chunk_id_key = vec![0; 32]));
    case("keyring", "a short key", with(&|wire| wire.kinds[0].chunk_cut_key.truncate(31)));
    case("keyring", "no content key", with(&|wire| wire.kinds[0].content_keys.clear()));
    case("keyring", "a kind twice", with(&|wire| wire.kinds.push(wire.kinds[0].clone())));
    case("keyring", "version 0", with(&|wire| wire.version = 0));
    case("keyring", "another account", with(&|wire| wire.account[0] ^= 1));
    // Commit.
    let signed: messages::SignedCommit = decode_strict(&objects["commit"].1, 1 << 20, Part::Commit).unwrap();
    let with = |key: &SigningKey, edit: &dyn Fn(&mut messages::Commit)| {
        let mut wire: messages::Commit = decode_strict(&signed.commit, 1 << 20, Part::Commit).unwrap();
        edit(&mut wire);
        let commit = wire.encode_to_vec();
        let signature = key.sign(Label::SIGN_COMMIT, &commit).as_bytes().to_vec();
        messages::SignedCommit { commit, signature }.encode_to_vec()
    };
    assert_eq!(with(signing, &|_| {}), objects["commit"].1);
    case("commit", "signed by another key", with(&code.signing_key(), &|_| {}));
    case("commit", "another sequence", with(signing, &|wire| wire.sequence = commit_head.sequence + 1));
    case("commit", "no previous", with(signing, &|wire| wire.previous.clear()));
    case("commit", "a kind twice", with(signing, &|wire| wire.kinds.push(wire.kinds[0].clone())));
    case("commit", "no keyring", with(signing, &|wire| wire.keyring = None));
    case("commit", "an odd length", with(signing, &|wire| wire.roster.as_mut().unwrap().length = 16385));
    case("commit", "version 0", with(signing, &|wire| wire.format_version = 0));
    case("commit", "newer version", with(signing, &|wire| wire.format_version = 2));
    // Pack directory: an empty pack whose padding is not zero, a directory longer than the pack.
    let pack = &objects["pack"].1;
    let mut padded = pack.clone();
    padded[1000] = 1;
    case("pack", "padding", padded);
    case("pack", "a long directory", [&[0; 100][..], &97_u32.to_le_bytes()].concat());
    // A tree page with its level spelled out, one with leaves and children, keys out of order.
    let leaf = |key: &str| messages::LeafEntry { key: key.into(), value: Vec::new() };
    let page = |level, leaves: &[&str], children: Vec<messages::ChildEntry>| {
        messages::TreePage { level, leaves: leaves.iter().map(|key| leaf(key)).collect(), children }
            .encode_to_vec()
    };
    let child = messages::ChildEntry { last_key: vec![9], page: vec![9; 32], entries: 1 };
    case("tree page", "level 0 spelled out", [&[8, 0][..], &page(0, &["a"], Vec::new())].concat());
    case("tree page", "leaves and children", page(0, &["a"], vec![child]));
    case("tree page", "keys out of order", page(0, &["b", "a"], Vec::new()));
    case("tree page", "a key twice", page(0, &["a", "a"], Vec::new()));
    case("tree page", "an empty key", page(0, &[""], Vec::new()));
    case("tree page", "no entries", Vec::new());
}

fn change_to_wire(change: &Change) -> messages::roster_entry::Change {
    use messages::roster_entry::Change as Wire;
    match change {
        Change::BeginEpoch(epoch) => Wire::BeginEpoch(messages::BeginEpoch { epoch: *epoch }),
        Change::SetRecovery(recipient) => Wire::SetRecovery(messages::Recipient {
            public_key: recipient.public_key().as_bytes().to_vec(),
            locator: recipient.locator().to_vec(),
            signing_key: recipient.signing_key().unwrap().as_bytes().to_vec(),
            password: None,
        }),
        _ => panic!("not used here"),
    }
}

fn codes(cases: &mut Vec<Value>) {
    let code = world().code.reveal();
    let mut case = |what: &str, text: String| {
        cases.push(json!({ "name": format!("code: {what}"), "code": text, "error": "mistyped code" }));
    };
    let last = if code.ends_with('q') { "p" } else { "q" };
    case("one character", format!("{}{last}", &code[..code.len() - 1]));
    case("too short", code[..code.len() - 1].to_owned());
    case("too long", format!("{}q", code.as_str()));
    case("a character of no code", format!("b{}", &code[1..]));
    case("a device secret", DeviceSecret::generate(&mut SeededRandom::new(9)).unwrap().reveal().to_string());
    case("empty", String::new());
}

#[test]
fn what_must_fail_fails_as_it_must() {
    let cases = frozen(
        "must_fail.json",
        &json!({
            "about": "`object` with `change`: an object of objects.json, where `flip` inverts the lowest bit of the byte \
                      at that offset, `byte` sets one, `zero` sets some to zero, `length` cuts or fills with zeros, \
                      `context` replaces the context. `parse` with `plain`: a message (a whole plaintext for a pack, \
                      a page as a root for a tree page) of that account. `code`: a recovery code. An implementation \
                      need not tell the classes of `error` apart, but for `newer format` and `mistyped code`.",
            "cases": must_fail(),
        }),
    );
    let objects = objects_json();
    for case in cases["cases"].as_array().unwrap() {
        let error = fail(case, &objects).expect_err(case["name"].as_str().unwrap());
        let allowed = case["error"].as_str().unwrap();
        assert!(allowed.split(" or ").any(|one| one == class(&error)), "{}: {error}", case["name"]);
    }
}

fn fail(case: &Value, objects: &Value) -> Result<()> {
    if let Some(code) = case["code"].as_str() {
        return RecoveryCode::parse(code).map(drop);
    }
    if let Some(name) = case["object"].as_str() {
        let mut bytes = unbase64(&objects["objects"][name]["object"]);
        let change = &case["change"];
        let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        if change["flip"].is_u64() {
            bytes[number(&change["flip"])] ^= 1;
        } else if change["length"].is_u64() {
            bytes.resize(number(&change["length"]), 0);
        } else if change["byte"].is_array() {
            bytes[number(&change["byte"][0])] = u8::try_from(number(&change["byte"][1])).unwrap();
        } else if change["zero"].is_array() {
            bytes[number(&change["zero"][0])..][..number(&change["zero"][1])].fill(0);
        }
        let own = world().objects[name].0.context().clone();
        let context =
            if change["context"].is_string() { parse_context(&unhex(&change["context"])) } else { own };
        return read_object(objects, name, context, bytes);
    }
    parse_plain(case["parse"].as_str().unwrap(), &unbase64(&case["plain"]))
}

fn parse_plain(name: &str, plain: &[u8]) -> Result<()> {
    let World { roster, commit_head, id_key, .. } = world();
    let account = roster.account();
    match name {
        "roster" => Roster::parse(account, plain).map(drop),
        "keyring" => {
            let wire: messages::Keyring = decode_strict(plain, 1 << 20, Part::Keyring)?;
            Keyring::from_wire(&wire, account).map(drop).ok_or(Error::Damaged { what: Part::Keyring })
        }
        "commit" => {
            let device = roster.state().device(DEVICE).unwrap();
            Commit::parse(account, device, 0, commit_head.sequence, plain).map(drop)
        }
        // An empty fragment is a fragment; the vectors mean it as one that is missing.
        "index" if plain.is_empty() => Err(Error::Missing { what: Part::Index }),
        "index" => IndexFragment::parse(plain).map(drop),
        "pack" => read_directory(plain).map(drop),
        "tree page" => {
            let mut pages =
                MemoryPages { id_key: id_key.duplicate(), pages: HashMap::new(), order: Vec::new() };
            let page = pages.put_page(plain.to_vec()).unwrap().0.to_vec();
            let entries = messages::TreePage::decode(plain).map_or(1, |page| page.leaves.len().max(1)) as u64;
            let root = Root::from_wire(&messages::TreeRoot { page, level: 0, entries }).unwrap();
            strongroom::tree::get(Some(root), b"a", &pages).map(drop)
        }
        other => panic!("{other}"),
    }
}

fn parse_context(bytes: &[u8]) -> Context {
    let part = |at: usize| -> [u8; 16] { bytes[at..at + 16].try_into().unwrap() };
    let object = ObjectType::ALL[usize::from(bytes[20]) - 1];
    let place = match bytes[21] {
        1 => Place::Object(part(22)),
        2 => Place::Commit {
            device: part(22),
            sequence: u64::from_le_bytes(bytes[38..46].try_into().unwrap()),
        },
        _ => Place::Envelope { locator: part(22), id: part(38) },
    };
    let epoch = u32::from_le_bytes(bytes[16..20].try_into().unwrap());
    let context = Context::new(part(0), epoch, object, std::str::from_utf8(&bytes[54..]).unwrap(), place);
    assert_eq!(context.encode(), bytes);
    context
}

struct FixedClock;

impl Clock for FixedClock {
    fn now_ms(&self) -> i64 {
        TIME_MS
    }
}

#[cfg(unix)]
mod small_store {
    //! A whole store in the repository, restored exactly.

    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn the_small_store_is_restored_exactly() {
        let at = vectors().join("small_store");
        if regenerating() {
            write(&at);
        }
        let expected: Value =
            serde_json::from_str(&fs::read_to_string(at.join("expected.json")).unwrap()).unwrap();
        let work = tempfile::tempdir().unwrap();
        copy(&at.join("store"), &work.path().join("store"));
        let store = DirectoryStore::open(work.path().join("store")).unwrap();
        let code = RecoveryCode::parse(expected["recovery_code"].as_str().unwrap()).unwrap();
        let device = NewDevice::named("another").unwrap();
        let vault = Vault::recover(store, work.path().join("state"), &code, device).unwrap();
        let plan = vault.plan_restore(&Selection::all(), &At::Latest).unwrap();
        let out = work.path().join("out");
        assert_eq!(vault.restore(plan, &out, &Job::new()).unwrap().failures, []);
        assert_eq!(Value::from(tree(&out)), expected["tree"]);
    }

    #[expect(clippy::disallowed_methods, reason = "writes the vectors when asked to")]
    fn write(at: &Path) {
        fs::remove_dir_all(at).ok();
        let work = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(at.join("store")).unwrap();
        let random: Box<dyn Random> = Box::new(SeededRandom::new(2000));
        let environment = Environment::new(Box::new(FixedClock), random);
        let device = NewDevice::named("phone").unwrap();
        let (vault, _) = Vault::create_in(store, work.path().join("state"), device, environment).unwrap();
        let [docs, notes] = ["docs", "notes"].map(|name| work.path().join(name));
        fs::create_dir_all(docs.join("sub")).unwrap();
        fs::create_dir_all(&notes).unwrap();
        fs::write(docs.join("small.txt"), "small").unwrap();
        fs::write(docs.join("sub/large.txt"), "a line that repeats\n".repeat(1000)).unwrap();
        fs::write(docs.join("sub/noise"), seeded::<5000>(12).expose()).unwrap();
        fs::write(notes.join("note.md"), "# A note\n").unwrap();
        std::os::unix::fs::symlink("../small.txt", docs.join("sub/link")).unwrap();
        let sms = "<smses><sms address=\"1\" type=\"1\" date=\"5\" body=\"Hi &#128512;\"/>\
                   <mms date=\"6\" msg_box=\"1\" m_id=\"m\"><parts><part data=\"AAEC\"/></parts></mms></smses>";
        let (job, mut stream) = (Job::new(), sms.as_bytes());
        for kind in [Kind::FILES, Kind::NOTES, Kind::MESSAGES] {
            vault.consent().grant(&kind).unwrap();
        }
        let code = vault.new_recovery_code().unwrap();
        for (path, mode) in
            [("small.txt", 0o640), ("sub/large.txt", 0o400), ("sub/noise", 0o600), ("sub", 0o750)]
        {
            dress(&docs.join(path), mode);
        }
        dress(&notes.join("note.md"), 0o644);
        dress(&docs.join("sub"), 0o750);
        vault.backup(&Kind::FILES, "docs", Source::Folder(&Folder::at(&docs)), &job).unwrap();
        vault.backup(&Kind::NOTES, "notes", Source::Folder(&Folder::at(&notes)), &job).unwrap();
        vault.backup(&Kind::MESSAGES, "sms", Source::Stream(&mut stream), &job).unwrap();
        let out = work.path().join("out");
        let plan = vault.plan_restore(&Selection::all(), &At::Latest).unwrap();
        assert_eq!(vault.restore(plan, &out, &job).unwrap().failures, []);
        let expected = json!({ "recovery_code": code.reveal().as_str(), "tree": tree(&out) });
        fs::remove_dir_all(at.join("store/tmp")).ok();
        fs::write(at.join("expected.json"), serde_json::to_string_pretty(&expected).unwrap() + "\n").unwrap();
    }

    fn dress(path: &Path, mode: u32) {
        let file = fs::File::options().read(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_600_000_000, 5))
            .unwrap();
        file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }

    /// Mode, time and content by path. Folders of kinds and sources, and links, without their times.
    fn tree(at: &Path) -> serde_json::Map<String, Value> {
        let mut found = serde_json::Map::new();
        let mut open = vec![at.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(at).unwrap().to_str().unwrap().to_owned();
                let meta = path.symlink_metadata().unwrap();
                let said = json!({ "mode": format!("{:o}", meta.mode()), "time": [meta.mtime(), meta.mtime_nsec()] });
                let mut value = said;
                if meta.is_symlink() {
                    value = json!({ "link": fs::read_link(&path).unwrap().to_str().unwrap() });
                } else if meta.is_file() {
                    value["content"] = STANDARD.encode(fs::read(&path).unwrap()).into();
                } else {
                    if name.matches('/').count() < 2 {
                        value = json!({ "folder": true });
                    }
                    open.push(path);
                }
                found.insert(name, value);
            }
        }
        found
    }
}
