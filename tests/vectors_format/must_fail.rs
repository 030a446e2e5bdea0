//! What a reader must refuse, case by case, and that this crate does.

use std::collections::HashMap;

use prost::Message as _;
use serde_json::{Value, json};
use strongroom::content::{IndexFragment, read_directory};
use strongroom::crypto::{Context, Label, ObjectType, Place, SeededRandom, SigningKey};
use strongroom::history::Commit;
use strongroom::keys::{Change, DeviceSecret, Keyring, RecoveryCode, Roster, Signer, SignerId};
use strongroom::tree::{PageWriter, Root};
use strongroom::wire::{decode_strict, messages};
use strongroom::{Error, Part, Result};

use crate::objects::{objects_json, read_object};
use crate::world::{
    DEVICE, MemoryPages, World, base64, frozen, hex, recovery_recipient, unbase64, unhex, world,
};

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
        let plain = base64(&plain);
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
