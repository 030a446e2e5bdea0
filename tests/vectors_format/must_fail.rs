//! What a reader must refuse, case by case, and that this crate does.

use std::collections::HashMap;

use prost::Message as _;
use serde_json::{Value, json};
use strongroom::content::{IndexFragment, read_directory};
use strongroom::crypto::{Context, Label, ObjectType, Place, SeededRandom, SigningKey};
use strongroom::history::Commit;
use strongroom::keys::{DeviceSecret, Envelope, Keyring, ObjectRef, RecoveryCode, Roster};
use strongroom::tree::{PageWriter, Root};
use strongroom::wire::{decode_strict, messages};
use strongroom::{Error, Part, Result};

use crate::objects::{objects_json, read_object};
use crate::world::{DEVICE, MemoryPages, World, base64, frozen, hex, unbase64, unhex, world};

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
            for (what, at) in [("type", 0), ("place", 2), ("account", 18), ("epoch", 34)] {
                let mut other = encoded.clone();
                other[at] ^= if what == "type" { 3 } else { 1 };
                case(&format!("another {what}"), json!({ "context": hex(&other) }), error);
            }
            let other = [&encoded[..1], &[2], &encoded[2..18], &[0; 8], &encoded[18..]].concat();
            case("another form of place", json!({ "context": hex(&other) }), error);
            let other = [&encoded[..38], b"files"].concat();
            case("another kind", json!({ "context": hex(&other) }), error);
        }
    }
    structures(&mut cases);
    codes(&mut cases);
    cases
}

fn structures(cases: &mut Vec<Value>) {
    let World { signing, code, objects, commit_head, .. } = world();
    let mut case = |parse: &str, what: &str, plain: Vec<u8>| {
        let error = if what == "newer version" { "newer format" } else { "damaged" };
        let plain = base64(&plain);
        cases.push(
            json!({ "name": format!("{parse}: {what}"), "parse": parse, "plain": plain, "error": error }),
        );
    };
    let unknown = |plain: &[u8]| [plain, &[0xf8, 0x07, 0x01][..]].concat();
    for name in ["roster", "keyring", "commit", "index", "envelope"] {
        let plain = if name == "envelope" { envelope(&|_| {}) } else { objects[name].1.clone() };
        case(name, "an unknown field", unknown(&plain));
        case(name, "cut off", plain[..plain.len() - 1].to_vec());
        case(name, "empty", Vec::new());
    }
    crate::rosters::must_fail(&mut |what, plain| case("roster", what, plain));
    keyrings(&mut |what, plain| case("keyring", what, plain));
    envelopes(&mut |what, plain| case("envelope", what, plain));
    let lost: [(&str, &[&[u8]]); 3] = [
        ("lost packs out of order", &[&[2; 16], &[1; 16]]),
        ("a lost pack twice", &[&[1; 16], &[1; 16]]),
        ("a lost pack with a short name", &[&[1; 15]]),
    ];
    for (what, lost) in lost {
        let lost = lost.iter().map(|name| name.to_vec()).collect();
        let wire = messages::IndexFragment { packs: Vec::new(), older: Vec::new(), lost };
        case("index", what, wire.encode_to_vec());
    }
    let mut wire = messages::IndexFragment::decode(&*objects["index"].1).unwrap();
    wire.packs[0].object.as_mut().unwrap().hash = vec![6; 16];
    case("index", "a pack with half a hash", wire.encode_to_vec());
    wire.packs[0].object.as_mut().unwrap().hash = vec![0; 32];
    case("index", "a pack with a hash", wire.encode_to_vec());
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
    case(
        "commit",
        "a merged device twice",
        with(signing, &|wire| {
            let merged = &mut wire.kinds[0].merged;
            merged.push(merged[0].clone());
        }),
    );
    case(
        "commit",
        "a merged device with a short id",
        with(signing, &|wire| {
            wire.kinds[0].merged[0].device.truncate(15);
        }),
    );
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
    let leaf = |key: &str| messages::LeafEntry { key: key.into(), value: Vec::new(), size: 0 };
    let page = |level, leaves: &[&str], children: Vec<messages::ChildEntry>| {
        messages::TreePage { level, leaves: leaves.iter().map(|key| leaf(key)).collect(), children }
            .encode_to_vec()
    };
    let child = messages::ChildEntry { last_key: vec![9], page: vec![9; 32], entries: 1, size: 0 };
    case("tree page", "level 0 spelled out", [&[8, 0][..], &page(0, &["a"], Vec::new())].concat());
    case("tree page", "leaves and children", page(0, &["a"], vec![child]));
    case("tree page", "keys out of order", page(0, &["b", "a"], Vec::new()));
    case("tree page", "a key twice", page(0, &["a", "a"], Vec::new()));
    case("tree page", "an empty key", page(0, &[""], Vec::new()));
    case("tree page", "no entries", Vec::new());
    let sized = messages::LeafEntry { size: 1, ..leaf("a") };
    let sized = messages::TreePage { level: 0, leaves: vec![sized], children: Vec::new() };
    case("tree page", "a size that the root does not tell", sized.encode_to_vec());
}

/// A keyring of the account with something changed that a reader must notice.
fn keyrings(case: &mut dyn FnMut(&str, Vec<u8>)) {
    type Edit = fn(&mut messages::Keyring);
    let edits: [(&str, Edit); 13] = [
        ("a content key of zeros", |wire| wire.kinds[0].content_keys[0].key.fill(0)),
        ("a short content key", |wire| wire.kinds[0].content_keys[0].key.truncate(31)),
        ("a naming key of zeros", |wire| wire.naming_key.fill(0)),
        ("a short naming key", |wire| wire.naming_key.truncate(31)),
        ("a long naming key", |wire| wire.naming_key.push(1)),
        ("no naming key", |wire| wire.naming_key.clear()),
        ("a short root id", |wire| wire.kinds[0].content_keys[0].root_id.truncate(15)),
        ("no content key", |wire| wire.kinds[0].content_keys.clear()),
        ("a content key twice", |wire| {
            let keys = &mut wire.kinds[0].content_keys;
            keys.push(keys[0].clone());
        }),
        ("content keys out of order", |wire| {
            let keys = &mut wire.kinds[0].content_keys;
            keys.insert(0, messages::ContentKey { epoch: 1, ..keys[0].clone() });
        }),
        ("a kind twice", |wire| wire.kinds.push(wire.kinds[0].clone())),
        ("version 0", |wire| wire.version = 0),
        ("another account", |wire| wire.account[0] ^= 1),
    ];
    for (what, edit) in edits {
        let mut wire = world().keyring.clone();
        edit(&mut wire);
        case(what, wire.encode_to_vec());
    }
}

/// The envelope of the vectors as its recipient sees it, with `edit` and signed anew.
fn envelope(edit: &dyn Fn(&mut messages::EnvelopeBody)) -> Vec<u8> {
    let World { signing, .. } = world();
    let (mut body, _) = read_envelope();
    edit(&mut body);
    let body = body.encode_to_vec();
    let signature = signing.sign(Label::SIGN_ENVELOPE, &body).as_bytes().to_vec();
    messages::SignedEnvelope { body, signer: DEVICE.0.to_vec(), signature }.encode_to_vec()
}

fn envelopes(case: &mut dyn FnMut(&str, Vec<u8>)) {
    let plain = envelope(&|_| {});
    let mut signed: messages::SignedEnvelope = decode_strict(&plain, 1 << 20, Part::Envelope).unwrap();
    signed.signature[40] ^= 1;
    case("signature", signed.encode_to_vec());
    signed.signature[40] ^= 1;
    signed.signer = vec![0xd9; 16];
    case("signed by a device that the roster does not have", signed.encode_to_vec());
    let root = |epoch, byte| messages::EpochSecret { epoch, root: vec![byte; 32] };
    type Edit<'a> = &'a dyn Fn(&mut messages::EnvelopeBody);
    let edits: [(&str, Edit<'_>); 8] = [
        ("no roots", &|body| body.roots.clear()),
        ("a root twice", &|body| body.roots.push(body.roots[0].clone())),
        ("a root that the roster does not announce", &|body| body.roots.push(root(1, 7))),
        ("a root of an announced epoch that the roster does not announce", &|body| {
            body.roots = vec![root(0, 7)]
        }),
        ("roots out of order", &|body| body.roots.insert(0, root(1, 7))),
        ("a short root", &|body| body.roots[0].root.truncate(31)),
        ("another locator", &|body| body.locator[0] ^= 1),
        ("no roster", &|body| body.roster = None),
    ];
    for (what, edit) in edits {
        case(what, envelope(edit));
    }
}

/// The body of the envelope of the vectors, and where the envelope lies.
fn read_envelope() -> (messages::EnvelopeBody, ([u8; 16], [u8; 16])) {
    let World { root, roster, objects, .. } = world();
    let Place::Envelope { locator, id } = objects["envelope"].0.context().place else {
        panic!("an envelope lies elsewhere")
    };
    let roster_object = ObjectRef::of(&objects["roster"].0).unwrap();
    let body = messages::EnvelopeBody {
        account: roster.account().0.to_vec(),
        roots: vec![messages::EpochSecret { epoch: 0, root: root.expose().to_vec() }],
        roster: Some(roster_object.to_wire()),
        locator: locator.to_vec(),
        id: id.to_vec(),
    };
    (body, (locator, id))
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
                      for a tree page a root that is said to have level 0, as many entries as it has leaves, and \
                      the size 0, for an envelope what that of objects.json holds) of that account. `code`: a recovery code. An implementation \
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
            let mut wire: messages::Keyring = decode_strict(plain, 1 << 20, Part::Keyring)?;
            Keyring::take_wire(&mut wire, account).map(drop).ok_or(Error::Damaged { what: Part::Keyring })
        }
        "envelope" => {
            let (_, (locator, id)) = read_envelope();
            Envelope::parse(plain, locator, id)?.verify(roster).map(drop)
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
            let root = Root::from_wire(&messages::TreeRoot { page, level: 0, entries, size: 0 }).unwrap();
            strongroom::tree::get(Some(root), b"a", &pages).map(drop)
        }
        other => panic!("{other}"),
    }
}

fn parse_context(bytes: &[u8]) -> Context {
    let part = |at: usize| -> [u8; 16] { bytes[at..at + 16].try_into().unwrap() };
    let object = ObjectType::ALL[usize::from(bytes[0]) - 1];
    let (place, scope) = match bytes[1] {
        1 => (Place::Object(part(2)), 18),
        2 => {
            let sequence = u64::from_le_bytes(bytes[18..26].try_into().unwrap());
            (Place::Commit { device: part(2), sequence }, 26)
        }
        _ => (Place::Envelope { locator: part(2), id: part(18) }, 34),
    };
    let epoch = u32::from_le_bytes(bytes[scope + 16..scope + 20].try_into().unwrap());
    let kind = std::str::from_utf8(&bytes[scope + 20..]).unwrap();
    let context = Context::new(part(scope), epoch, object, kind, place);
    assert_eq!(context.encode(), bytes);
    context
}
