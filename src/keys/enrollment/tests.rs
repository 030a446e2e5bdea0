//! Both sides, without a store between them.

use super::*;
use crate::{
    Error, Part,
    crypto::{HybridSecretKey, Random, Secret, SeededRandom, SigningKey},
    keys::{AccountId, Change, DeviceId, Member, Recipient, Roster, Signer, SignerId},
};

fn inviter(seed: u64) -> Inviter {
    let device = (DeviceId([2; 16]), Anchor::new(7, [3; 32]));
    Inviter::generate(AccountId([1; 16]), device, &mut SeededRandom::new(seed)).unwrap()
}

fn device(seed: u64) -> (Member, SigningKey) {
    let random: &mut dyn Random = &mut SeededRandom::new(seed);
    let signing = SigningKey::generate(random).unwrap();
    let hybrid = HybridSecretKey::from_seed(Secret::generate(random).unwrap());
    let recipient = Recipient::device(hybrid.public().clone(), random.bytes().unwrap());
    let id = DeviceId(random.bytes().unwrap());
    (Member { id, signing_key: signing.verifying_key(), recipient, name: "laptop".into() }, signing)
}

fn ask(invitation: &Invitation, seed: u64) -> (Asking, Vec<u8>) {
    let (member, signing) = device(seed);
    let random = &mut SeededRandom::new(seed + 1000);
    let (asking, sealed) = Asking::ask(invitation, (&member, &signing), random).unwrap();
    (asking, sealed.bytes().to_vec())
}

/// The device that asked, once it heard the one that it asked.
fn met(asking: &Asking, applicant: &Applicant) -> Joiner {
    asking.hear(applicant.reveal(&mut SeededRandom::new(6)).unwrap().bytes().to_vec()).unwrap()
}

#[test]
fn both_devices_show_one_code_and_the_answer_arrives() {
    let inviter = inviter(1);
    let typed = Invitation::parse(&inviter.invitation().text()).unwrap();
    let (asking, request) = ask(&typed, 2);
    let applicant = inviter.receive(request).unwrap();
    let joiner = met(&asking, &applicant);
    assert_eq!(applicant.name(), "laptop");
    assert_eq!(applicant.check_code().to_string(), joiner.check_code().to_string());
    let shown = CheckCode::parse(&joiner.check_code().to_string()).unwrap();
    let confirmed = applicant.confirm(&shown).unwrap();
    assert_eq!(confirmed.member().id, device(2).0.id);
    let answer = EnrollAnswer::new(Anchor::new(8, [4; 32]), [5; 16]);
    let sealed = confirmed.answer(&answer, &mut SeededRandom::new(3)).unwrap();
    assert_eq!(joiner.open_answer(sealed.bytes().to_vec()).unwrap(), answer);
    let (asking, request) = ask(&typed, 4);
    let other = met(&asking, &inviter.receive(request).unwrap()).open_answer(sealed.bytes().to_vec());
    assert!(matches!(other, Err(Error::Damaged { what: Part::Enrollment })));
}

#[test]
fn a_wrong_code_gives_nothing_to_answer_with() {
    let inviter = inviter(1);
    let (_, request) = ask(inviter.invitation(), 2);
    let (stranger, other) = ask(inviter.invitation(), 3);
    let stranger = met(&stranger, &inviter.receive(other).unwrap());
    let refused = inviter.receive(request).unwrap().confirm(stranger.check_code());
    assert!(matches!(refused, Err(Error::CheckCodeDiffers)));
}

#[test]
fn an_invitation_is_read_as_it_was_shown() {
    let inviter = inviter(1);
    let invitation = inviter.invitation();
    let spaced = invitation.text().replace('-', " \n").to_uppercase();
    for text in [invitation.text().as_str(), invitation.qr_text().as_str(), &spaced] {
        let read = Invitation::parse(text).unwrap();
        assert_eq!(read.terms(), invitation.terms());
        assert_eq!(*read.text(), *invitation.text());
    }
    assert_eq!(invitation.terms().anchor, Anchor::new(7, [3; 32]));
    assert!(invitation.qr_text().bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()));
}

#[test]
fn attack_k14_every_single_error_in_a_typed_invitation_is_found_locally() {
    let text = inviter(1).invitation().qr_text().to_lowercase();
    let letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    for place in 0..text.len() {
        for letter in letters.chars().filter(|letter| !text[place..].starts_with(*letter)) {
            let wrong = format!("{}{letter}{}", &text[..place], &text[place + 1..]);
            // A wrong version is found by the check as well.
            assert!(matches!(Invitation::parse(&wrong), Err(Error::MistypedCode(_))), "{place}");
        }
        let swapped = [&text[..place], &text[place + 1..], &text[place..=place]].concat();
        let refused = matches!(Invitation::parse(&swapped), Err(Error::MistypedCode(_)));
        assert!(refused || swapped == text, "{place}");
        assert!(matches!(Invitation::parse(&text[..place]), Err(Error::MistypedCode(_))));
    }
    for other in ["", "i", "ß", &format!("{text}q"), &text.repeat(2)] {
        assert!(matches!(Invitation::parse(other), Err(Error::MistypedCode(_))));
    }
}

#[test]
fn an_invitation_of_a_newer_version_says_so() {
    let newer = text::print(&[2; 153]);
    let parsed = Invitation::parse(&newer);
    assert!(matches!(parsed, Err(Error::NewerFormat { needed: 2, supported: 1 })));
    let without_commit = text::print(&[&[1][..], &[9; 112], &[0; 40]].concat());
    assert!(matches!(Invitation::parse(&without_commit), Err(Error::MistypedCode(_))));
}

#[test]
fn a_check_code_has_eight_digits_and_reads_back() {
    let code = CheckCode::of(&Secret::take(&mut 1_200_000_034_u64.to_le_bytes()));
    assert_eq!(code.to_string(), "0000 0034");
    for text in ["00000034", " 0000-0034\n", "0 0 0 0 0 0 3 4"] {
        assert_eq!(CheckCode::parse(text).unwrap().to_string(), "0000 0034");
    }
    for text in ["", "0000003", "000000345", "0000003x", "٠٠٠٠٠٠٣٤"] {
        assert!(matches!(CheckCode::parse(text), Err(Error::MistypedCode(_))), "{text}");
    }
}

#[test]
fn attack_d1_a_device_is_introduced_only_with_its_own_keys_and_by_who_invited_it() {
    let ((phone, phone_key), (laptop, _), (other, _)) = (device(1), device(2), device(3));
    let holder = HybridSecretKey::from_seed(Secret::take(&mut [9; 32]));
    let recovery = Recipient::recovery(holder.public().clone(), [9; 16], phone_key.verifying_key());
    let genesis = Change::Genesis {
        salt: [5; 16],
        device: phone.clone(),
        recovery,
        format_version: 1,
        root_id: [7; 16],
    };
    let roster = Roster::begin(&genesis, &phone_key, &phone_key, 0).unwrap();
    let with = |signer, member: Member| {
        let mut roster = roster.clone();
        let signer = Signer { id: signer, key: &phone_key };
        roster.append(&signer, &Change::AddDevice(member), None, 0).unwrap();
        roster
    };
    let is_introduced = |roster: &Roster| check_introduced(roster, &laptop, phone.id).is_ok();
    let mut honest = with(SignerId::Device(phone.id), laptop.clone());
    assert!(is_introduced(&honest));
    assert!(!is_introduced(&roster));
    assert!(!is_introduced(&with(SignerId::Recovery, laptop.clone())), "by somebody else");
    for changed in [
        Member { signing_key: other.signing_key, ..laptop.clone() },
        Member { recipient: other.recipient, ..laptop.clone() },
        Member { name: "phone".into(), ..laptop.clone() },
        Member { id: other.id, ..laptop.clone() },
    ] {
        assert!(!is_introduced(&with(SignerId::Device(phone.id), changed)));
    }
    let revoke = Change::RevokeDevice { device: laptop.id, last_sequence: 0, last_hash: [0; 32] };
    honest.append(&Signer { id: SignerId::Device(phone.id), key: &phone_key }, &revoke, None, 0).unwrap();
    assert!(!is_introduced(&honest), "revoked since");
}
