//! The vectors printed in the RFCs, through our own doors where there is one; where ours adds a label,
//! proof that it is the standard function over label and message.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{Aead as _, Payload},
};
use ed25519_dalek::Signer as _;
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use strongroom::{
    Error, Part, Result,
    crypto::{
        ExchangeSecret, Label, PasswordParameters, Random, Secret, Signature, SigningKey, VerifyingKey,
        derive_from_key, derive_from_material, derive_password_seeds,
    },
};

#[test]
fn rfc_8439_section_2_8_2() {
    let seal = |key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], msg: &[u8]| {
        ChaCha20Poly1305::new(key.into()).encrypt(nonce.into(), Payload { msg, aad }).unwrap()
    };
    let key = array("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    let nonce = array("070000004041424344454647");
    let aad = unhex("50515253c0c1c2c3c4c5c6c7");
    let message =
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                    sunscreen would be it.";
    let sealed = unhex(concat!(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6",
        "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36",
        "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc",
        "3ff4def08e4b7a9de576d26586cec64b6116",
        "1ae10b594f09e26a7e902ecbd0600691",
    ));
    assert_eq!(seal(&key, &nonce, &aad, message), sealed);
}

#[test]
fn rfc_5869_sha_256() {
    let bytes = |range: std::ops::RangeInclusive<u8>| range.collect::<Vec<u8>>();
    let cases = [
        (
            vec![0x0b; 22],
            bytes(0..=0x0c),
            bytes(0xf0..=0xf9),
            concat!(
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
                "34007208d5b887185865",
            ),
        ),
        (
            bytes(0..=0x4f),
            bytes(0x60..=0xaf),
            bytes(0xb0..=0xff),
            concat!(
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
                "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71",
                "cc30c58179ec3e87c14c01d5c1f3434f1d87",
            ),
        ),
        (
            vec![0x0b; 22],
            vec![],
            vec![],
            concat!(
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
                "9d201395faa4b61a96c8",
            ),
        ),
    ];
    for (material, salt, info, expected) in cases {
        let expected = unhex(expected);
        let mut out = vec![0; expected.len()];
        Hkdf::<Sha256>::new(Some(&salt), &material).expand(&info, &mut out).unwrap();
        assert_eq!(out, expected);
    }
}

#[test]
fn our_derivations_are_rfc_5869_over_label_zero_and_parts() {
    let (salt, material) = (b"salt", b"material");
    let info = [Label::ENVELOPE.as_str().as_bytes(), b"\0", b"one", b"two"].concat();
    let out = derive_from_material::<75>(salt, material, Label::ENVELOPE, &[b"one", b"two"]);
    let prk = hmac(salt, &[material]);
    assert_eq!(out.expose().as_slice(), expand_by_hand(&prk, &info, 75));
    let out = derive_from_key::<32>(&Secret::take(&mut prk.clone()), Label::ENVELOPE, &[b"one", b"two"]);
    assert_eq!(out.expose().as_slice(), expand_by_hand(&prk, &info, 32));
    // No salt is the salt of zeros.
    let out = derive_from_material::<16>(b"", material, Label::RECOVERY_LOCATOR, &[]);
    let info = [Label::RECOVERY_LOCATOR.as_str().as_bytes(), b"\0"].concat();
    assert_eq!(out.expose().as_slice(), expand_by_hand(&hmac(&[0; 32], &[material]), &info, 16));
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn expand_by_hand(prk: &[u8; 32], info: &[u8], length: usize) -> Vec<u8> {
    let (mut out, mut block) = (Vec::new(), Vec::new());
    for counter in 1.. {
        block = hmac(prk, &[&block, info, &[counter]]).to_vec();
        out.extend_from_slice(&block);
        if out.len() >= length {
            break;
        }
    }
    out.truncate(length);
    out
}

fn x25519(secret: [u8; 32], point: [u8; 32]) -> [u8; 32] {
    *ExchangeSecret::generate(&mut Fixed(secret.to_vec())).unwrap().agree(&point).unwrap().expose()
}

#[test]
fn rfc_7748_section_5_2() {
    for [secret, point, expected] in [
        [
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ],
        [
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ],
    ] {
        assert_eq!(x25519(array(secret), array(point)), array(expected));
    }
    let mut base = [0; 32];
    base[0] = 9;
    let (mut secret, mut point) = (base, base);
    for round in 1..=1000 {
        (secret, point) = (x25519(secret, point), secret);
        if round == 1 {
            assert_eq!(secret, array("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
        }
    }
    assert_eq!(secret, array("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

#[test]
fn rfc_7748_section_6_1() {
    let party = |secret| ExchangeSecret::generate(&mut Fixed(unhex(secret))).unwrap();
    let alice = party("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let bob = party("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    assert_eq!(alice.public(), &array("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
    assert_eq!(bob.public(), &array("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
    let shared = array("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_eq!(alice.agree(bob.public()).unwrap().expose(), &shared);
    assert_eq!(bob.agree(alice.public()).unwrap().expose(), &shared);
}

#[test]
fn rfc_8032_section_7_1() {
    for [seed, public, message, signature] in [
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            concat!(
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
                "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
        ],
        [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            concat!(
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
        ],
        [
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            concat!(
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
                "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
        ],
    ] {
        let key = ed25519_dalek::SigningKey::from_bytes(&array(seed));
        let ours = SigningKey::from_seed(Secret::take(&mut array(seed)));
        assert_eq!(ours.verifying_key().as_bytes(), &array(public));
        let message = unhex(message);
        let signature = unhex(signature);
        assert_eq!(key.sign(&message).to_bytes().as_slice(), signature);
        let parsed = ed25519_dalek::Signature::from_slice(&signature).unwrap();
        assert!(key.verifying_key().verify_strict(&message, &parsed).is_ok());
        // Ours is the same over label, zero and message.
        let labelled = [Label::SIGN_ROSTER.as_str().as_bytes(), b"\0", &message].concat();
        let expected = key.sign(&labelled).to_bytes();
        assert_eq!(ours.sign(Label::SIGN_ROSTER, &message).as_bytes(), &expected);
        let verifying = VerifyingKey::from_bytes(&array::<32>(public), Part::Roster).unwrap();
        let expected = Signature::from_bytes(&expected, Part::Roster).unwrap();
        assert!(verifying.verify(Label::SIGN_ROSTER, &message, &expected, Part::Roster).is_ok());
    }
}

#[test]
fn rfc_9106_section_5_3() {
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let mut out = [0; 32];
    argon2.hash_password_into(&[1; 32], &[2; 16], &mut out).unwrap();
    assert_eq!(out, array("0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"));
}

/// The recipe by hand, with a password whose letters have two forms.
#[test]
fn the_password_seed_is_argon2id_then_hkdf() {
    let (salt, device_secret) = ([9; 32], [8; 16]);
    let seed = derive_password_seeds(
        "pa\u{df}wo\u{308}rd",
        &Secret::take(&mut device_secret.clone()),
        &PasswordParameters::default_with(salt),
    )
    .unwrap();
    let params = argon2::Params::new(64 * 1024, 3, 1, None).unwrap();
    let mut stretched = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into("pa\u{df}w\u{f6}rd".as_bytes(), &salt, &mut stretched)
        .unwrap();
    let info = [b"strongroom/v1/password/x-wing\0".as_slice(), &[0, 0, 1, 0, 3, 0, 0, 0, 1, 0, 0, 0], &salt]
        .concat();
    assert_eq!(
        seed.hybrid.expose().as_slice(),
        expand_by_hand(&hmac(&stretched, &[&device_secret]), &info, 32)
    );
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

fn array<const N: usize>(text: &str) -> [u8; N] {
    unhex(text).try_into().unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).unwrap().try_into().unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
