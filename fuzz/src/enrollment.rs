//! Invitations, and the requests of devices that want to join.

use std::sync::OnceLock;

use prost::Message as _;
use strongroom::{
    Error, Part,
    crypto::{
        Context, Label, ObjectKey, ObjectType, Place, Secret, SigningKey, derive_from_key, labelled_hash,
        open_message, seal_message,
    },
    keys::{AccountId, Anchor, Asking, DeviceId, EnrollRequest, Invitation, Inviter},
    wire::messages,
};

use super::{
    input::{Counted, Input},
    seeds::{Seeds, cut, flipped},
    world::{DEVICE, device_key, member, secret},
};

const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const INVITATION_BYTES: usize = 153;

/// An invitation that is read is shown in the same characters; one with up to four wrong ones is not read.
pub fn invitation(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        check(text);
    }
    let mut input = Input(data);
    let bytes: Vec<u8> = input.bytes(INVITATION_BYTES).to_vec();
    check(&spelled(&bytes));
    let mut typed = inviter().invitation().qr_text().to_lowercase().into_bytes();
    let shown = typed.clone();
    for _ in 0..4 {
        let at = input.number(2) % typed.len();
        typed[at] = LETTERS[input.number(1) % 32];
    }
    assert_eq!(Invitation::parse(std::str::from_utf8(&typed).unwrap()).is_ok(), typed == shown);
}

fn check(text: &str) {
    let plain = |text: &str| {
        text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>().to_ascii_lowercase()
    };
    match Invitation::parse(text) {
        Ok(read) => {
            assert!(plain(&read.text()) == plain(text) && plain(&read.qr_text()) == plain(text));
            assert!(read.terms().anchor.sequence > 0);
            assert_eq!(Invitation::parse(&read.qr_text()).unwrap().terms(), read.terms());
        }
        Err(error) => assert!(matches!(error, Error::MistypedCode(_) | Error::NewerFormat { .. })),
    }
}

/// Any bytes as an invitation whose check is right.
fn spelled(bytes: &[u8]) -> String {
    let check = labelled_hash(Label::INVITATION_CHECK, &[bytes]);
    let bytes = bytes.iter().chain(&check[..4]);
    let mut bits: Vec<u8> = bytes.flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    bits.resize(bits.len().div_ceil(5) * 5, 0);
    let value = |bits: &[u8]| bits.iter().fold(0, |value, bit| value << 1 | usize::from(*bit));
    bits.chunks_exact(5).map(|bits| char::from(LETTERS[value(bits)])).collect()
}

/// The first byte says whether the rest is a signed request or a request to be signed.
pub fn enroll_request(data: &[u8]) {
    let mut input = Input(data);
    let plain = match input.number(1) % 2 {
        0 => input.0.to_vec(),
        _ => signed(input.0, &device_key(NEW)),
    };
    let inviter = inviter();
    let parsed = EnrollRequest::parse(&plain, inviter.invitation());
    if let Err(error) = &parsed {
        assert!(matches!(error, Error::Damaged { what: Part::Enrollment }));
    }
    let object = seal_message(&key(), context(), &plain, &mut Counted::from(9)).unwrap().bytes().to_vec();
    match inviter.receive(object) {
        Ok(applicant) => {
            let request = parsed.unwrap();
            assert!(applicant.name() == request.member().name && applicant.device() == request.member().id);
            let is_honest = plain == honest().1;
            // Shown to the device that was meant, if its request it was.
            let shown = applicant.reveal(&mut Counted::from(5)).unwrap();
            let heard = honest().0.hear(shown.bytes().to_vec());
            assert_eq!(heard.is_ok(), plain == honest().1);
            let Ok(joiner) = heard else { return };
            let code = joiner.check_code();
            assert_eq!(applicant.check_code().to_string() == code.to_string(), is_honest);
            if let Ok(confirmed) = applicant.confirm(code) {
                assert!(is_honest && confirmed.member().name.len() <= 128);
            }
        }
        // What is well formed and signed may still hold a point of low order.
        Err(error) => assert!(matches!(error, Error::Damaged { what: Part::Enrollment })),
    }
}

const NEW: DeviceId = DeviceId([0xd7; 16]);

fn inviter() -> &'static Inviter {
    static INVITER: OnceLock<Inviter> = OnceLock::new();
    INVITER.get_or_init(|| {
        let device = (DEVICE, Anchor::new(7, [3; 32]));
        Inviter::generate(AccountId([1; 16]), device, &mut Counted::from(0x21)).unwrap()
    })
}

/// The invitation's bytes, without its check.
fn bytes() -> Vec<u8> {
    let text = inviter().invitation().qr_text().to_lowercase();
    let value = |letter: u8| LETTERS.iter().position(|other| *other == letter).unwrap();
    let bits: Vec<usize> =
        text.bytes().flat_map(|letter| (0..5).rev().map(move |bit| value(letter) >> bit & 1)).collect();
    let byte = |bits: &[usize]| bits.iter().fold(0, |byte, bit| byte << 1 | *bit) as u8;
    bits.chunks_exact(8).take(INVITATION_BYTES).map(byte).collect()
}

fn hash() -> [u8; 32] {
    labelled_hash(Label::HASH_INVITATION, &[&bytes()])
}

fn key() -> ObjectKey {
    let secret = Secret::from_slice(&bytes()[17..49]).unwrap();
    ObjectKey::new(derive_from_key(&secret, Label::ENROLL_REQUEST, &[&hash()]))
}

fn context() -> Context {
    let place = Place::EnrollRequest(inviter().invitation().terms().rendezvous);
    Context::new([1; 16], 0, ObjectType::EnrollRequest, "", place)
}

fn signed(request: &[u8], key: &SigningKey) -> Vec<u8> {
    let signature = key.sign(Label::SIGN_ENROLLMENT, &[&hash()[..], request].concat());
    let signature = signature.as_bytes().to_vec();
    messages::SignedEnrollRequest { request: request.to_vec(), signature }.encode_to_vec()
}

/// The device that was meant, and what it asked.
fn honest() -> &'static (Asking, Vec<u8>) {
    static HONEST: OnceLock<(Asking, Vec<u8>)> = OnceLock::new();
    HONEST.get_or_init(|| {
        let hybrid = strongroom::crypto::HybridSecretKey::from_seed(secret(0x43));
        let (new, key_of_new) = (member(NEW, "laptop", &hybrid), device_key(NEW));
        let (asking, sealed) =
            Asking::ask(inviter().invitation(), (&new, &key_of_new), &mut Counted::from(0x31)).unwrap();
        (asking, open_message(&key(), &context(), sealed.bytes().to_vec()).unwrap())
    })
}

pub(super) fn invitation_seeds() -> Seeds {
    let invitation = inviter().invitation();
    let newer = spelled(&[&[2][..], &bytes()[1..]].concat());
    let without_commit = spelled(&[&bytes()[..113], &[0; 8], &bytes()[121..]].concat());
    vec![
        ("typed", invitation.text().as_bytes().to_vec()),
        ("scanned", invitation.qr_text().as_bytes().to_vec()),
        ("lines", invitation.text().replace('-', " \r\n").into_bytes()),
        ("one-wrong", flipped(invitation.text().as_bytes(), 100)),
        ("cut", cut(invitation.text().as_bytes())),
        ("newer-version", newer.into_bytes()),
        ("no-commit", without_commit.into_bytes()),
        ("bytes", bytes()),
        ("no-ascii", "ｑｐｚｒ-ÿ\u{a0}q".as_bytes().to_vec()),
    ]
}

pub(super) fn request_seeds() -> Seeds {
    let plain = honest().1.clone();
    let request = messages::SignedEnrollRequest::decode(plain.as_slice()).unwrap().request;
    let as_is = |bytes: &[u8]| [&[0][..], bytes].concat();
    let to_sign = |bytes: &[u8]| [&[1][..], bytes].concat();
    let with = |change: fn(&mut messages::EnrollRequest)| {
        let mut wire = messages::EnrollRequest::decode(request.as_slice()).unwrap();
        change(&mut wire);
        to_sign(&wire.encode_to_vec())
    };
    vec![
        ("honest", as_is(&plain)),
        ("honest-signed-again", to_sign(&request)),
        ("bad-signature", as_is(&flipped(&plain, plain.len() - 1))),
        ("cut", as_is(&cut(&plain))),
        ("low-order-share", with(|wire| wire.share = vec![0; 32])),
        ("no-device", with(|wire| wire.device = None)),
        ("another-key", with(|wire| wire.device.as_mut().unwrap().signing_key = vec![1; 32])),
        ("another-name", with(|wire| wire.device.as_mut().unwrap().name = "phone".into())),
        ("name-with-line-end", with(|wire| wire.device.as_mut().unwrap().name = "a\nb".into())),
        ("unknown-field", to_sign(&[&request[..], &[0x78, 1]].concat())),
    ]
}
