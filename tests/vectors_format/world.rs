//! One account made from seeds, and how vectors are written down. Nothing here reads what it wrote.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use base64ct::Encoding as _;
use prost::Message as _;
use serde_json::Value;
use strongroom::content::{ChunkId, IndexFragment, PackBuilder, StoredFrame, open_pack};
use strongroom::crypto::{
    Context, HybridSecretKey, Label, ObjectKey, ObjectType, Place, Sealed, Secret, SeededRandom, SigningKey,
    derive_from_key, keyed_hash, open_message, seal_message,
};
use strongroom::history::{Commit, CommitBody, Head, KindState};
use strongroom::keys::{
    Change, DeviceId, Envelope, EnvelopeContents, EpochRoot, EpochRoots, Keyring, Member, ObjectRef,
    Recipient, RecoveryCode, Roster,
};
use strongroom::tree::{Borders, Builder, PageReader, PageWriter, Root};
use strongroom::wire::{decode_strict, messages};
use strongroom::{Error, Part, Result};

pub(crate) const DEVICE: DeviceId = DeviceId([0xd1; 16]);
pub(crate) const TIME_MS: i64 = 1_700_000_000_000;

/// One account with everything that it writes, all from seeds.
pub(crate) struct World {
    pub(crate) code: RecoveryCode,
    pub(crate) signing: SigningKey,
    pub(crate) root: Secret<32>,
    pub(crate) roster: Roster,
    pub(crate) content_key: Secret<32>,
    pub(crate) naming_key: Secret<32>,
    pub(crate) id_key: Secret<32>,
    pub(crate) cut_key: Secret<32>,
    pub(crate) keyring: messages::Keyring,
    pub(crate) tree: MemoryPages,
    pub(crate) tree_root: Root,
    pub(crate) chunk_plain: Vec<Vec<u8>>,
    pub(crate) commit_head: Head,
    /// By name: the object, its message or pack plaintext, and its reference if it has one.
    pub(crate) objects: BTreeMap<&'static str, (Sealed, Vec<u8>)>,
}

pub(crate) fn seeded<const N: usize>(seed: u64) -> Secret<N> {
    Secret::generate(&mut SeededRandom::new(seed)).unwrap()
}

pub(crate) fn root_of(root: &Secret<32>) -> EpochRoot {
    EpochRoot::new(0, root.duplicate())
}

pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(make_world)
}

pub(crate) fn make_world() -> World {
    let random = &mut SeededRandom::new(1000);
    let code = RecoveryCode::generate(&mut SeededRandom::new(1)).unwrap();
    let signing = SigningKey::from_seed(seeded(2));
    let hybrid = HybridSecretKey::from_seed(seeded(3));
    let (root, content_key, naming_key) = (seeded(4), seeded(5), seeded(6));
    let name = |label| derive_from_key(&naming_key, label, &[b"notes"]);
    let (id_key, cut_key) = (name(Label::NAMING_CHUNK_ID), name(Label::NAMING_CHUNK_CUT));
    let epoch = root_of(&root);
    let member = Member {
        id: DEVICE,
        signing_key: signing.verifying_key(),
        recipient: Recipient::device(hybrid.public().clone(), [0x10; 16]),
        name: "phone".to_owned(),
    };
    let recovery = recovery_recipient(&code);
    let genesis = Change::Genesis {
        salt: [0x5a; 16],
        device: member,
        recovery: recovery.clone(),
        format_version: 1,
        root_id: epoch.id(),
    };
    let roster = Roster::begin(&genesis, &signing, &code.signing_key(), TIME_MS).unwrap();
    let account = roster.account();
    let mut objects = BTreeMap::new();

    let context = Context::new(account.0, 0, ObjectType::Index, "notes", Place::Object([0x0b; 16]));
    let message = b"a message".to_vec();
    let key = ObjectKey::new(content_key.duplicate());
    objects.insert("message", (seal_message(&key, context, &message, random).unwrap(), message));

    let (roster_ref, sealed) = roster.seal(&epoch, random).unwrap();
    objects.insert("roster", (sealed, roster.encode()));

    let kind_keys = messages::KindKeys {
        kind: "notes".to_owned(),
        content_keys: vec![messages::ContentKey {
            epoch: 0,
            root_id: epoch.id().to_vec(),
            key: content_key.expose().to_vec(),
        }],
    };
    let mut wire = messages::Keyring {
        account: account.0.to_vec(),
        version: 1,
        naming_key: naming_key.expose().to_vec(),
        kinds: vec![kind_keys],
    };
    let plain = wire.encode_to_vec();
    let (keyring_ref, sealed) = Keyring::take_wire(&mut wire, account).unwrap().seal(&epoch, random).unwrap();
    objects.insert("keyring", (sealed, plain));

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
        pack.push(&StoredFrame::encode(id, plain.clone(), None).unwrap());
    }
    let (entry, sealed) = pack.seal(&key, account, 0, "notes", random).unwrap();
    let plain = open_pack(&key, sealed.context(), sealed.bytes().to_vec()).unwrap().0;
    objects.insert("pack", (sealed, plain));

    let older = ObjectRef::of(&objects["message"].0).unwrap();
    let (packs, names, lost) = (vec![entry.to_wire()], vec![older.to_wire()], [[0x44; 16], [0x55; 16]]);
    let fragment = IndexFragment::new(vec![entry.clone()], vec![older], lost.into());
    let lost = lost.map(|name| name.to_vec()).to_vec();
    let wire = messages::IndexFragment { packs, older: names, lost };
    let (index_ref, sealed) = fragment.seal(&key, account, 0, "notes", random).unwrap();
    objects.insert("index", (sealed, wire.encode_to_vec()));

    let body = CommitBody {
        previous: Some(Head { sequence: 6, hash: [0x66; 32] }),
        roster: roster_ref.clone(),
        keyring: keyring_ref,
        keyring_version: 1,
        kinds: vec![KindState {
            kind: "notes".to_owned(),
            root: Some(tree_root),
            index: vec![index_ref],
            merged: vec![(DeviceId([0xd2; 16]), 3)],
            since: 5,
        }],
        seen: vec![(DeviceId([0xd2; 16]), Head { sequence: 3, hash: [0x33; 32] })],
        nonce: [0x77; 16],
        device_time_ms: TIME_MS,
    };
    let (commit, sealed) = Commit::seal(account, (DEVICE, &signing), body, &epoch, random).unwrap();
    let plain = open_message(&epoch.commit_key(account), sealed.context(), sealed.bytes().to_vec()).unwrap();
    objects.insert("commit", (sealed, plain));

    let roots = EpochRoots::new([root_of(&root)]);
    let contents = EnvelopeContents { account, roots: &roots, roster: &roster_ref };
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
        naming_key,
        id_key,
        cut_key,
        keyring,
        tree,
        tree_root,
        chunk_plain,
        commit_head,
        objects,
    }
}

pub(crate) fn recovery_recipient(code: &RecoveryCode) -> Recipient {
    let public = code.hybrid_key().public().clone();
    Recipient::recovery(public, code.locator(), code.signing_key().verifying_key())
}

pub(crate) fn tree_entries() -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    (0..2000)
        .map(|n: u32| (format!("source\0{n:05}").into_bytes(), vec![n.to_le_bytes()[0]; (n % 97) as usize]))
}

pub(crate) struct MemoryPages {
    pub(crate) id_key: Secret<32>,
    pub(crate) pages: HashMap<[u8; 32], Vec<u8>>,
    pub(crate) order: Vec<[u8; 32]>,
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

    fn size_of(&self, value: &[u8]) -> u64 {
        value.len() as u64
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

pub(crate) fn array<const N: usize>(text: &Value) -> [u8; N] {
    unhex(text).try_into().unwrap()
}

pub(crate) fn unbase64(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    let mut bytes = vec![0; text.len()];
    base64ct::Base64::decode(text, &mut bytes).unwrap().to_vec()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len().div_ceil(3) * 4];
    base64ct::Base64::encode(bytes, &mut text).unwrap().to_owned()
}

pub(crate) fn b3(bytes: &[u8]) -> String {
    hex(blake3::hash(bytes).as_bytes())
}

pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

pub(crate) fn regenerating() -> bool {
    std::env::var_os("STRONGROOM_REGENERATE").is_some()
}

/// What stands in the file must be what is written now; gives back what stands there.
pub(crate) fn frozen(name: &str, now: &Value) -> Value {
    let path = vectors().join(name);
    if regenerating() {
        fs::write(&path, serde_json::to_string_pretty(now).unwrap() + "\n").unwrap();
    }
    let frozen: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(*now == frozen, "{name}: this crate writes other bytes now");
    frozen
}
