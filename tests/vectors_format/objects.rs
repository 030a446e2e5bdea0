//! The sealed objects of the account as JSON, and reading one as what it is.

use serde_json::{Value, json};
use strongroom::content::{IndexFragment, open_pack};
use strongroom::crypto::{Context, HEADER_BYTES, Label, ObjectKey, Place, Sealed, Secret, open_message};
use strongroom::history::Commit;
use strongroom::keys::{
    AccountId, Envelope, EpochRoot, EpochRoots, Keyring, ObjectRef, RecoveryCode, Roster,
};
use strongroom::wire::messages;
use strongroom::{Part, Result};

use crate::world::{DEVICE, array, b3, base64, hex, unhex, world};

pub(crate) fn objects_json() -> Value {
    let world = world();
    let object = |(name, (sealed, plain)): (&&str, &(Sealed, Vec<u8>))| {
        let bytes = sealed.bytes();
        let value = json!({
            "context": hex(&sealed.context().encode()),
            "header": hex(&bytes[..HEADER_BYTES]),
            "body_blake3": b3(&bytes[HEADER_BYTES..]),
            "hash": hex(&strongroom::crypto::labelled_hash(Label::HASH_OBJECT, &[bytes])),
            "plain_blake3": b3(plain),
            "object": base64(bytes),
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
        "naming_key": hex(world.naming_key.expose()),
        "chunk_id_key": hex(world.id_key.expose()),
        "chunks": world.chunk_plain.iter().map(|plain| hex(plain)).collect::<Vec<_>>(),
        "commit_sequence": world.commit_head.sequence,
        "commit_hash": hex(&world.commit_head.hash),
        "objects": world.objects.iter().map(object).collect::<serde_json::Map<_, _>>(),
    })
}

/// Reads an object of `objects.json` as what it is.
pub(crate) fn read_object(vectors: &Value, name: &str, context: Context, bytes: Vec<u8>) -> Result<()> {
    let account = AccountId(array(&vectors["account"]));
    let root = EpochRoot::new(0, Secret::from_slice(&unhex(&vectors["root"])).unwrap());
    let roots = EpochRoots::new([root]);
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
        "keyring" => Keyring::open(account, &roots, &reference(), bytes).map(drop),
        "roster" => Roster::open(account, &roots, &reference(), bytes).map(drop),
        "commit" => {
            let state = world().roster.state();
            let Place::Commit { device, sequence } = context.place else { panic!("no commit") };
            let known = state.device(DEVICE).filter(|_| device == DEVICE.0).unwrap();
            Commit::open(account, known, state, &roots, sequence, &bytes).map(drop)
        }
        "envelope" => {
            let code = RecoveryCode::parse(vectors["recovery_code"].as_str().unwrap()).unwrap();
            let Place::Envelope { locator, id } = context.place else { panic!("no envelope") };
            Envelope::open(&code.hybrid_key(), locator, id, bytes)?.verify(&world().roster).map(drop)
        }
        other => panic!("{other}"),
    }
}
