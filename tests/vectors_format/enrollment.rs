//! One enrollment from seeds: what both devices say, the code that people compare, and what is refused.

use prost::Message as _;
use serde_json::{Value, json};
use strongroom::crypto::{ExchangeSecret, Label, Sealed, SeededRandom, SigningKey, labelled_hash};
use strongroom::keys::{Anchor, Asking, EnrollAnswer, EnrollRequest, Invitation, Inviter};
use strongroom::wire::{decode_strict, messages};
use strongroom::{Error, Part};

use crate::rosters::Person;
use crate::world::{DEVICE, World, base64, frozen, hex, unbase64, world};

/// The seed of the inviting device; its first 32 bytes are the secret half of its exchange.
const INVITER: u64 = 50;
const JOINER: u64 = 51;

fn inviter() -> Inviter {
    let World { roster, commit_head, .. } = world();
    let anchor = Anchor::new(commit_head.sequence, commit_head.hash);
    Inviter::generate(roster.account(), (DEVICE, anchor), &mut SeededRandom::new(INVITER)).unwrap()
}

fn ask(invitation: &Invitation) -> (Asking, Sealed) {
    let Person { signing, member } = Person::new(0xd2);
    Asking::ask(invitation, (&member, &signing), &mut SeededRandom::new(JOINER)).unwrap()
}

fn sealed(object: &Sealed) -> Value {
    json!({ "context": hex(&object.context().encode()), "object": base64(object.bytes()) })
}

/// The secret half of an exchange, for whoever checks both sides.
fn secret(seed: u64) -> (Value, [u8; 32]) {
    let secret = crate::world::seeded::<32>(seed);
    let exchange = ExchangeSecret::generate(&mut SeededRandom::new(seed)).unwrap();
    (hex(secret.expose()).into(), *exchange.public())
}

#[test]
fn an_enrollment_is_frozen() {
    let inviter = inviter();
    let invitation = inviter.invitation();
    let (asking, request) = ask(invitation);
    let applicant = inviter.receive(request.bytes().to_vec()).unwrap();
    let reveal = applicant.reveal(&mut SeededRandom::new(53)).unwrap();
    let joiner = asking.hear(reveal.bytes().to_vec()).unwrap();
    assert_eq!(applicant.check_code().to_string(), joiner.check_code().to_string());
    let answer = EnrollAnswer::new(Anchor::new(8, [0x88; 32]), [0xe1; 16]);
    let confirmed = applicant.confirm(joiner.check_code()).unwrap();
    let answered = confirmed.answer(&answer, &mut SeededRandom::new(52)).unwrap();
    let terms = invitation.terms();
    let ((inviters, share), (joiners, _)) = (secret(INVITER), secret(JOINER));
    let vectors = frozen(
        "enrollment.json",
        &json!({
            "about": "A device of the account of objects.json lets another one in. `secret` is what one side \
                      keeps of the exchange. `refused` are texts of invitations, and messages of requests \
                      that answer this invitation.",
            "invitation": {
                "text": invitation.text().as_str(),
                "qr": invitation.qr_text().as_str(),
                "rendezvous": hex(&terms.rendezvous),
                "account": hex(&terms.account.0),
                "share_hash": hex(&labelled_hash(Label::HASH_SHARE, &[&share])),
                "device": hex(&terms.device.0),
                "sequence": terms.anchor.sequence,
                "hash": hex(&terms.anchor.hash),
            },
            "inviter": { "secret": inviters, "share": hex(&share) },
            "joiner": { "secret": joiners },
            "request": sealed(&request),
            "reveal": sealed(&reveal),
            "device": hex(&confirmed.member().id.0),
            "check_code": joiner.check_code().to_string(),
            "answer": sealed(&answered),
            "answer_sequence": answer.head.sequence,
            "answer_hash": hex(&answer.head.hash),
            "answer_envelope": hex(&answer.envelope),
            "refused": refused(invitation),
        }),
    );
    let read = Invitation::parse(vectors["invitation"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(read.terms(), terms);
    assert_eq!(joiner.open_answer(unbase64(&vectors["answer"]["object"])).unwrap(), answer);
}

#[test]
fn what_is_no_invitation_or_no_request_is_refused() {
    let inviter = inviter();
    for case in refused(inviter.invitation()) {
        let name = case["name"].as_str().unwrap();
        let error = match case["text"].as_str() {
            Some(text) => Invitation::parse(text).err(),
            None => EnrollRequest::parse(&unbase64(&case["request"]), inviter.invitation()).err(),
        };
        let class = match error.unwrap_or_else(|| panic!("{name}: was accepted")) {
            Error::MistypedCode(_) => "mistyped code",
            Error::NewerFormat { .. } => "newer format",
            Error::Damaged { what: Part::Enrollment } => "damaged",
            other => panic!("{name}: {other}"),
        };
        assert_eq!(case["error"], class, "{name}");
    }
}

fn refused(invitation: &Invitation) -> Vec<Value> {
    let mut cases = Vec::new();
    let mut text = |name: &str, text: String, error: &str| {
        cases.push(json!({ "name": format!("invitation: {name}"), "text": text, "error": error }));
    };
    let shown = invitation.qr_text().to_lowercase();
    let last = if shown.ends_with('q') { "p" } else { "q" };
    text("one character", format!("{}{last}", &shown[..shown.len() - 1]), "mistyped code");
    text("too short", shown[..shown.len() - 1].to_owned(), "mistyped code");
    text("too long", format!("{shown}q"), "mistyped code");
    text("a character of no code", format!("b{}", &shown[1..]), "mistyped code");
    text("empty", String::new(), "mistyped code");
    text("a newer version", spelled(&[2; 153]), "newer format");
    text("version 0", spelled(&[0; 153]), "mistyped code");
    let no_commit = [&[1][..], &[9; 112], &[0; 8], &[9; 32]].concat();
    text("no commit", spelled(&no_commit), "mistyped code");
    requests(invitation, &mut |name, plain| {
        let name = format!("request: {name}");
        cases.push(json!({ "name": name, "request": base64(&plain), "error": "damaged" }));
    });
    cases
}

/// A request for this invitation with something changed that its reader must notice, and signed anew.
fn requests(invitation: &Invitation, case: &mut dyn FnMut(&str, Vec<u8>)) {
    let (_, object) = ask(invitation);
    let key = request_key(invitation);
    let plain = strongroom::crypto::open_message(&key, object.context(), object.bytes().to_vec()).unwrap();
    let signed: messages::SignedEnrollRequest = decode_strict(&plain, 1 << 20, Part::Enrollment).unwrap();
    let with = |key: &SigningKey, edit: &dyn Fn(&mut messages::EnrollRequest)| {
        let mut wire: messages::EnrollRequest =
            decode_strict(&signed.request, 1 << 20, Part::Enrollment).unwrap();
        edit(&mut wire);
        let request = wire.encode_to_vec();
        let message = [&hash(invitation)[..], &request].concat();
        let signature = key.sign(Label::SIGN_ENROLLMENT, &message).as_bytes().to_vec();
        messages::SignedEnrollRequest { request, signature }.encode_to_vec()
    };
    let own = Person::new(0xd2).signing;
    assert_eq!(with(&own, &|_| {}), plain);
    case("signed by another key", with(&Person::new(0xd3).signing, &|_| {}));
    case("a short share", with(&own, &|wire| wire.share.truncate(31)));
    case("no device", with(&own, &|wire| wire.device = None));
    let device =
        |edit: &dyn Fn(&mut messages::AddDevice)| with(&own, &|wire| edit(wire.device.as_mut().unwrap()));
    case("a name with a line end", device(&|device| device.name = "a\nb".to_owned()));
    case("a short id", device(&|device| device.device.truncate(15)));
    case("no recipient", device(&|device| device.recipient = None));
    case("an unknown field", [&plain[..], &[0xf8, 0x07, 0x01]].concat());
    case("cut off", plain[..plain.len() - 1].to_vec());
    case("empty", Vec::new());
}

/// The 153 bytes of an invitation.
fn bytes(invitation: &Invitation) -> Vec<u8> {
    let letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let shown = invitation.qr_text().to_lowercase();
    let values = shown.chars().map(|letter| letters.find(letter).unwrap());
    let bits: Vec<u8> =
        values.flat_map(|value| (0..5).rev().map(move |bit| u8::from(value >> bit & 1 == 1))).collect();
    let byte = |bits: &[u8]| bits.iter().fold(0, |byte, bit| byte << 1 | bit);
    bits.chunks_exact(8).take(153).map(byte).collect()
}

fn hash(invitation: &Invitation) -> [u8; 32] {
    labelled_hash(Label::HASH_INVITATION, &[&bytes(invitation)])
}

fn request_key(invitation: &Invitation) -> strongroom::crypto::ObjectKey {
    let secret = strongroom::crypto::Secret::<32>::from_slice(&bytes(invitation)[17..49]).unwrap();
    let key = strongroom::crypto::derive_from_key(&secret, Label::ENROLL_REQUEST, &[&hash(invitation)]);
    strongroom::crypto::ObjectKey::new(key)
}

/// Any bytes as an invitation whose check is right.
fn spelled(bytes: &[u8]) -> String {
    let letters = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let check = labelled_hash(Label::INVITATION_CHECK, &[bytes]);
    let bytes = bytes.iter().chain(&check[..4]);
    let mut bits: Vec<u8> = bytes.flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    bits.resize(bits.len().div_ceil(5) * 5, 0);
    let value = |bits: &[u8]| bits.iter().fold(0, |value, bit| value << 1 | usize::from(*bit));
    bits.chunks_exact(5).map(|bits| char::from(letters[value(bits)])).collect()
}
