//! Attacks on keys, secrets and the roster (docs/THREAT-MODEL.md): what the store plants is not used, what it
//! keeps is not enough, and nobody speaks for a member.
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

use std::collections::BTreeSet;

use attack_support::{Objects, Phone, id_of, names, noise, objects, recover, replace, restore_all};
use prost::Message as _;
use strongroom::{
    Error, Part,
    content::pack_context,
    crypto::{
        Context, FORMAT_VERSION, HEADER_BYTES, HybridSecretKey, Label, ObjectKey, ObjectType, OsRandom,
        PasswordParameters, Place, Random, Secret, Signature, SigningKey, derive_from_key,
        derive_password_seeds, open_message, seal_message,
    },
    history::{Commit, CommitBody, Freshness, Head},
    keys::{
        AccountId, Change, DeviceId, Envelope, EnvelopeContents, EpochRoot, EpochRoots, Keyring, Member,
        Recipient, RecoveryCode, Roster, Signer, SignerId,
    },
    kinds::Kind,
    store::{
        MemoryStore, ObjectName, Store as _, StoreErrorKind,
        faults::{Fault, FaultStore, Method},
    },
    vault::{Job, NewDevice, Vault},
    wire::messages::{self, roster_entry},
};

/// A person with keys of every role, not necessarily a member of anything.
struct Person {
    signing: SigningKey,
    hybrid: HybridSecretKey,
    id: DeviceId,
}

impl Person {
    fn new() -> Self {
        let random: &mut dyn Random = &mut OsRandom;
        Self {
            signing: SigningKey::generate(random).unwrap(),
            hybrid: HybridSecretKey::from_seed(Secret::generate(random).unwrap()),
            id: DeviceId(random.bytes().unwrap()),
        }
    }

    fn member(&self) -> Member {
        Member {
            id: self.id,
            signing_key: self.signing.verifying_key(),
            recipient: Recipient::device(self.hybrid.public().clone(), self.id.0),
            name: "device".to_owned(),
        }
    }

    /// As the holder of a recovery code would be named.
    fn holder(&self) -> Recipient {
        Recipient::recovery(self.hybrid.public().clone(), self.id.0, self.signing.verifying_key())
    }

    fn signer(&self) -> Signer<'_> {
        Signer { id: SignerId::Device(self.id), key: &self.signing }
    }
}

fn code_recipient(code: &RecoveryCode) -> Recipient {
    let signing = code.signing_key().verifying_key();
    Recipient::recovery(code.hybrid_key().public().clone(), code.locator(), signing)
}

/// The root of epoch 0 that every genesis here announces.
fn first_root() -> EpochRoot {
    EpochRoot::new(0, Secret::take(&mut [8; 32]))
}

fn genesis(device: &Person, recovery: Recipient) -> Change {
    let (root_id, format_version) = (first_root().id(), FORMAT_VERSION);
    Change::Genesis { salt: [5; 16], device: device.member(), recovery, format_version, root_id }
}

/// A roster with one device and the holder of its recovery code.
fn account() -> (Person, Person, Roster) {
    let (device, recovery) = (Person::new(), Person::new());
    let genesis = genesis(&device, recovery.holder());
    let roster = Roster::begin(&genesis, &device.signing, &recovery.signing, 0).unwrap();
    (device, recovery, roster)
}

/// The attacker's own account at the store: its roster and an envelope sealed to `victim`.
fn attackers_world(victim: &Recipient, roster: &Roster, attacker: &Person) -> Vec<(ObjectName, Vec<u8>)> {
    let random = &mut OsRandom;
    let (reference, sealed_roster) = roster.seal(&first_root(), random).unwrap();
    let roots = EpochRoots::new([first_root()]);
    let contents = EnvelopeContents { account: roster.account(), roots: &roots, roster: &reference };
    let signer = (attacker.id, &attacker.signing);
    let envelope = Envelope::seal(&contents, victim, signer, random).unwrap();
    [sealed_roster, envelope]
        .map(|sealed| (strongroom::privacy::object_name(sealed.context().place), sealed.bytes().to_vec()))
        .into()
}

#[test]
fn attack_k1_an_envelope_that_the_store_plants_for_the_code_is_refused() {
    let phone = Phone::new();
    let honest = phone.store.snapshot();
    let own = names(&phone.store, &ObjectName::envelope_prefix(&phone.code.locator()));
    let victim = code_recipient(&phone.code);
    let attacker = Person::new();
    let code = &phone.code;
    // A roster that names nobody the victim knows; one that names the victim's public key with the
    // attacker's signing key, so that the attacker can agree in the victim's place.
    let stranger =
        Roster::begin(&genesis(&attacker, attacker.holder()), &attacker.signing, &attacker.signing, 0);
    let impostor = Recipient::recovery(
        code.hybrid_key().public().clone(),
        code.locator(),
        attacker.signing.verifying_key(),
    );
    let impostor = Roster::begin(&genesis(&attacker, impostor), &attacker.signing, &attacker.signing, 0);
    for (n, roster) in [stranger.unwrap(), impostor.unwrap()].iter().enumerate() {
        for keep_honest in [false, true] {
            phone.store.restore(&honest);
            if !keep_honest {
                own.iter().for_each(|name| attack_support::remove(&phone.store, name));
            }
            for (name, bytes) in attackers_world(&victim, roster, &attacker) {
                phone.store.put(&name, &bytes).unwrap();
            }
            let puts = phone.store.traffic().puts;
            let joined = phone.recover(&format!("new {n} {keep_honest}"));
            if keep_honest {
                assert_eq!(joined.unwrap().account(), phone.vault.account());
            } else {
                assert!(matches!(joined.err(), Some(Error::Damaged { what: Part::Roster })));
                assert_eq!(phone.store.traffic().puts, puts, "something was written for the attacker");
            }
        }
    }
}

#[test]
fn attack_k1_an_agreement_of_the_code_is_not_forged_and_not_carried_to_another_account() {
    let code = RecoveryCode::generate(&mut OsRandom).unwrap();
    let attacker = Person::new();
    let change = genesis(&attacker, code_recipient(&code));
    assert!(
        Roster::begin(&change, &attacker.signing, &attacker.signing, 0).is_err(),
        "signed by the attacker"
    );
    // The agreement to one account, under the genesis of another.
    let honest = Roster::begin(&change, &attacker.signing, &code.signing_key(), 0).unwrap();
    let other = {
        let Change::Genesis { device, recovery, root_id, .. } = change else { panic!("a genesis") };
        Change::Genesis { salt: [6; 16], device, recovery, format_version: FORMAT_VERSION, root_id }
    };
    let other = Roster::begin(&other, &attacker.signing, &code.signing_key(), 0).unwrap();
    let carried = rewritten(&other, 0, &attacker.signing, |entry| {
        entry.acceptance.clone_from(&entries(&honest)[0].1.acceptance);
    });
    assert!(Roster::parse(other.account(), &other.encode()).is_ok());
    assert!(Roster::parse(other.account(), &carried).is_err());
    assert!(Roster::parse(honest.account(), &other.encode()).is_err(), "another account's roster");
}

#[test]
fn attack_k1_a_replaced_keyring_or_roster_is_never_used() {
    let phone = Phone::new();
    let stranger = Phone::new();
    phone.write("a.txt", "first");
    phone.backup(&Kind::FILES).unwrap();
    let _secret = phone.vault.set_password("correct horse").unwrap();
    phone.backup(&Kind::FILES).unwrap();
    let mut honest = phone.store.snapshot();
    let all = objects(&phone.store);
    for object in ["keyring", "roster"] {
        let written = phone.written(object);
        let (newest, older) = written.split_last().unwrap();
        let foreign = objects(&stranger.store)[&stranger.written(object)[0]].clone();
        let length = all[newest].len();
        let other = phone.written(if object == "roster" { "keyring" } else { "roster" });
        let plants = [
            noise(1, length),
            vec![0; length],
            Vec::new(),
            foreign,
            all[&older[0]].clone(),
            all[other.last().unwrap()].clone(),
        ];
        for (n, plant) in plants.iter().enumerate() {
            phone.store.restore(&honest);
            replace(&phone.store, newest, plant);
            let puts = phone.store.traffic().puts;
            let joined = phone.recover(&format!("new {object} {n}"));
            assert!(joined.err().is_some_and(|error| error.is_damage()), "{object} {n}");
            assert_eq!(phone.store.traffic().puts, puts, "{object} {n}: something was written");
        }
        // A device that has read it keeps it, and does not ask again: it goes on with what it knows, and
        // whoever gets the true object reads what it wrote.
        phone.write("a.txt", format!("changed with another {object}"));
        assert_eq!(phone.backup(&Kind::FILES).unwrap().changed, 1);
        assert_eq!(phone.written(object), written, "what was planted is taken for new");
        replace(&phone.store, newest, &all[newest]);
        honest = phone.store.snapshot();
        let joined = phone.recover(&format!("new {object}")).unwrap();
        let out = phone.path(&format!("out {object}"));
        assert_eq!(restore_all(&joined, &out).unwrap().failures, []);
        let changed = attack_support::files(&out)["files/source/a.txt"].clone();
        assert_eq!(changed, format!("changed with another {object}").into_bytes());
        phone.store.restore(&honest);
    }
}

#[test]
fn attack_k1_k8_the_commitment_of_one_key_over_the_body_of_another_is_refused() {
    let keys: [Secret<32>; 2] = [Secret::take(&mut [1; 32]), Secret::take(&mut [2; 32])];
    let object_key = |n: usize| ObjectKey::new(keys[n].duplicate());
    let context = Context::new([0; 16], 0, ObjectType::Keyring, "", Place::Object([3; 16]));
    let sealed = seal_message(&object_key(0), context.clone(), b"message", &mut OsRandom).unwrap();
    let commitment = |n: usize| {
        let encoded = context.encode();
        let (slot, scope) = encoded.split_at(18);
        let scoped: Secret<32> = derive_from_key(&keys[n], Label::OBJECT, &[scope]);
        let mut output = [0; 64];
        let mut hasher = blake3::Hasher::new_keyed(scoped.expose());
        hasher.update(&sealed.bytes()[8..32]).update(slot).finalize_xof().fill(&mut output);
        output[..32].to_vec()
    };
    assert_eq!(commitment(0), sealed.bytes()[32..HEADER_BYTES], "the test knows how commitments are made");
    let mut forged = sealed.bytes().to_vec();
    forged[32..HEADER_BYTES].copy_from_slice(&commitment(1));
    for n in [0, 1] {
        assert!(open_message(&object_key(n), &context, forged.clone()).is_err(), "key {n}");
    }
    assert!(open_message(&object_key(1), &context, sealed.bytes().to_vec()).is_err());
    assert!(open_message(&object_key(0), &context, sealed.bytes().to_vec()).is_ok());
}

#[test]
fn attack_k2_a_keyring_with_anything_missing_zero_or_out_of_order_is_refused() {
    let account = AccountId([4; 16]);
    let kind = |name: &str| messages::KindKeys {
        kind: name.to_owned(),
        content_keys: (0..2)
            .map(|epoch| messages::ContentKey { epoch, root_id: vec![2; 16], key: vec![3; 32] })
            .collect(),
    };
    let whole = messages::Keyring {
        account: account.0.to_vec(),
        version: 1,
        naming_key: vec![1; 32],
        kinds: vec![kind("files"), kind("notes")],
    };
    assert!(Keyring::take_wire(&mut whole.clone(), account).is_some());
    // Two devices began an epoch at once, or the same kind in one epoch: a key of each (D10).
    let mut several = whole.clone();
    let keys = &mut several.kinds[0].content_keys;
    keys.insert(1, messages::ContentKey { root_id: vec![4; 16], ..keys[0].clone() });
    keys.insert(1, messages::ContentKey { key: vec![4; 32], ..keys[0].clone() });
    assert!(Keyring::take_wire(&mut several, account).is_some());
    type Break = fn(&mut messages::Keyring);
    let breaks: [(&str, Break); 22] = [
        ("no account", |k| k.account.clear()),
        ("other account", |k| k.account[0] ^= 1),
        ("no version", |k| k.version = 0),
        ("no name", |k| k.kinds[0].kind.clear()),
        ("long name", |k| k.kinds[1].kind = "x".repeat(65)),
        ("twice", |k| k.kinds[1].kind = "files".to_owned()),
        ("unordered", |k| k.kinds.swap(0, 1)),
        ("too many", |k| {
            k.kinds = (0..65)
                .map(|n| messages::KindKeys { kind: format!("k{n:02}"), ..k.kinds[0].clone() })
                .collect()
        }),
        ("no naming key", |k| k.naming_key.clear()),
        ("zero naming key", |k| k.naming_key.fill(0)),
        ("short naming key", |k| k.naming_key.truncate(31)),
        ("long naming key", |k| k.naming_key.push(1)),
        ("no root id", |k| k.kinds[0].content_keys[0].root_id.clear()),
        ("long root id", |k| k.kinds[1].content_keys[0].root_id.push(1)),
        ("no content keys", |k| k.kinds[0].content_keys.clear()),
        ("empty content key", |k| k.kinds[0].content_keys[0].key.clear()),
        ("zero content key", |k| k.kinds[0].content_keys[1].key.fill(0)),
        ("long content key", |k| k.kinds[0].content_keys[1].key.push(0)),
        ("key twice", |k| k.kinds[0].content_keys[1].epoch = 0),
        ("epochs unordered", |k| k.kinds[0].content_keys.swap(0, 1)),
        ("roots unordered", |k| {
            k.kinds[0].content_keys[0].root_id[0] = 3;
            k.kinds[0].content_keys[1].epoch = 0;
        }),
        ("keys unordered", |k| {
            k.kinds[0].content_keys[0].key[0] = 4;
            k.kinds[0].content_keys[1].epoch = 0;
        }),
    ];
    for (what, break_it) in breaks {
        let mut wire = whole.clone();
        break_it(&mut wire);
        assert!(Keyring::take_wire(&mut wire, account).is_none(), "{what}");
    }
}

#[test]
fn attack_k3_every_change_of_an_envelope_gives_one_error_and_one_trace() {
    let phone = Phone::new();
    let locator = phone.code.locator();
    let name = names(&phone.store, &ObjectName::envelope_prefix(&locator)).pop_first().unwrap();
    let honest = objects(&phone.store)[&name].clone();
    let hybrid = phone.code.hybrid_key();
    let open = |bytes| Envelope::open(&hybrid, locator, id_of(&name), bytes);
    assert!(open(honest.clone()).is_ok());
    let mut places: Vec<usize> =
        (0..HEADER_BYTES + 64).chain((HEADER_BYTES + 1100..HEADER_BYTES + 1200).step_by(3)).collect();
    places.extend((128..honest.len()).step_by(53));
    let mut errors = BTreeSet::new();
    // The eighth byte is the format's version, in clear: a higher one is told apart without any key.
    places.retain(|at| *at != 7);
    for at in &places {
        let mut bytes = honest.clone();
        bytes[*at] ^= 1 << (at % 8);
        errors.insert(format!("{:?}", open(bytes).err().expect("a changed envelope was opened")));
    }
    errors.insert(format!("{:?}", open(Vec::new()).err().unwrap()));
    errors.insert(format!("{:?}", open(honest[..honest.len() / 2].to_vec()).err().unwrap()));
    errors.insert(format!("{:?}", Envelope::open(&hybrid, locator, [0; 16], honest.clone()).err().unwrap()));
    errors.insert(format!(
        "{:?}",
        Envelope::open(&hybrid, [0; 16], id_of(&name), honest.clone()).err().unwrap()
    ));
    assert_eq!(errors.into_iter().collect::<Vec<_>>(), ["WrongSecret"]);
    let mut traces = BTreeSet::new();
    for at in places.iter().step_by(29) {
        let mut bytes = honest.clone();
        bytes[*at] ^= 0x80;
        replace(&phone.store, &name, &bytes);
        let before = phone.store.traffic();
        assert!(matches!(phone.recover(&format!("new {at}")).err(), Some(Error::WrongSecret)));
        let after = phone.store.traffic();
        traces.insert((
            after.requests - before.requests,
            after.puts - before.puts,
            after.bytes_got - before.bytes_got,
        ));
    }
    assert_eq!(traces.len(), 1, "the store can tell failures apart: {traces:?}");
    assert!(traces.iter().all(|(_, puts, _)| *puts == 0));
}

#[test]
fn attack_k10_the_store_and_the_right_password_open_nothing_without_the_device_secret() {
    let phone = Phone::new();
    let password = "correct horse battery staple";
    let secret = phone.vault.set_password(password).unwrap();
    let envelopes: Objects =
        objects(&phone.store).into_iter().filter(|(name, _)| name.starts_with("envelopes/")).collect();
    let mut opened = 0;
    for (name, bytes) in &envelopes {
        let parameters = Envelope::password_parameters(bytes).unwrap();
        let locator: [u8; 16] = id_of(
            name.rsplit_once('/').map(|(path, _)| format!("objects/{}", &path[10..])).unwrap().as_str(),
        );
        let guesses =
            [Secret::take(&mut [0; 16]), Secret::take(&mut locator.clone()), secret.secret().duplicate()];
        for (n, guess) in guesses.iter().enumerate() {
            let seed = derive_password_seeds(password, guess, &parameters).unwrap().hybrid;
            let hybrid = HybridSecretKey::from_seed(seed);
            for (name, bytes) in &envelopes {
                let at: [u8; 16] = id_of(&format!("objects/{}", &name[10..42]));
                if Envelope::open(&hybrid, at, id_of(name), bytes.clone()).is_ok() {
                    assert_eq!((n, at), (2, secret.locator()), "opened without the device secret");
                    opened += 1;
                }
            }
        }
    }
    assert_eq!((envelopes.len(), opened), (5, 1), "with the device secret exactly one opens");
}

#[test]
fn attack_k13_a_secret_that_is_set_once_more_opens_and_the_old_password_does_not() {
    let phone = Phone::new();
    let secret = phone.vault.set_password("the first password").unwrap();
    phone.vault.set_password_with("the second password", &secret).unwrap();
    let join = |password, name: &str| {
        let with = (password, &secret);
        Vault::recover_with_password(
            phone.store.clone(),
            phone.path(name),
            with,
            attack_support::device(name),
        )
    };
    assert!(matches!(join("the first password", "old").err(), Some(Error::WrongSecret)));
    join("the second password", "new").unwrap();
    phone.vault.replace_recovery_code(&phone.code).unwrap();
    phone.recover("again").unwrap();
}

#[test]
fn attack_k4_weaker_password_parameters_are_refused_before_anything_is_derived() {
    for (memory, passes, lanes) in [
        (8, 1, 1),
        (65_535, 3, 1),
        (65_536, 2, 1),
        (1 << 31, 3, 1),
        (65_536, 11, 1),
        (65_536, 3, 5),
        (65_536, 3, 0),
        (0, 0, 0),
    ] {
        let checked = PasswordParameters::checked(memory, passes, lanes, [1; 32]);
        assert!(matches!(checked.err(), Some(Error::PasswordParameters)), "{memory} {passes} {lanes}");
    }
    let phone = Phone::new();
    let secret = phone.vault.set_password("correct horse").unwrap();
    let name = names(&phone.store, &ObjectName::envelope_prefix(&secret.locator())).pop_first().unwrap();
    let honest = objects(&phone.store)[&name].clone();
    let at = HEADER_BYTES + strongroom::crypto::HYBRID_CIPHERTEXT_BYTES;
    for (field, value, weak) in
        [(0, 8_u32, true), (0, 1 << 31, true), (4, 1, true), (8, 9, true), (4, 4, false), (12, 0, false)]
    {
        let mut bytes = honest.clone();
        bytes[at + field..at + field + 4].copy_from_slice(&value.to_le_bytes());
        replace(&phone.store, &name, &bytes);
        let state = phone.path(&format!("new {field} {value}"));
        let joined = Vault::recover_with_password(
            phone.store.clone(),
            state,
            ("correct horse", &secret),
            attack_support::device("new"),
        );
        match joined.err() {
            Some(Error::PasswordParameters) => assert!(weak, "{field} {value}"),
            Some(Error::WrongSecret) => assert!(!weak, "{field} {value}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn attack_k4_an_envelope_that_the_store_planted_does_not_keep_the_password_out() {
    let phone = Phone::new();
    let secret = phone.vault.set_password("correct horse").unwrap();
    let name = names(&phone.store, &ObjectName::envelope_prefix(&secret.locator())).pop_first().unwrap();
    let honest = objects(&phone.store)[&name].clone();
    let at = HEADER_BYTES + strongroom::crypto::HYBRID_CIPHERTEXT_BYTES;
    // Listed before the honest one: one with another salt, one with weak parameters, one that is garbage.
    for (id, field) in [(0_u8, 12), (1, 0), (2, 99)] {
        let mut bytes = honest.clone();
        if field == 99 {
            bytes.fill(7);
        } else {
            bytes[at + field..at + field + 4].copy_from_slice(&8_u32.to_le_bytes());
        }
        let mut planted = [0; 16];
        planted[15] = id;
        phone.store.put(&ObjectName::envelope(&secret.locator(), &planted), &bytes).unwrap();
    }
    let device = attack_support::device("new");
    let with = ("correct horse", &secret);
    Vault::recover_with_password(phone.store.clone(), phone.path("new"), with, device).unwrap();
    let device = attack_support::device("wrong");
    let with = ("battery staple", &secret);
    let joined = Vault::recover_with_password(phone.store.clone(), phone.path("wrong"), with, device);
    assert!(matches!(joined.err(), Some(Error::WrongSecret)));
}

/// The locators under which envelopes lie, with how many each.
fn recipients(phone: &Phone, since: &BTreeSet<String>) -> Vec<String> {
    let new = names(&phone.store, "envelopes/");
    new.difference(since).map(|name| name[10..42].to_owned()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn attack_k12_each_epoch_is_sealed_to_exactly_the_members_of_the_roster() {
    let phone = Phone::new();
    let first = recipients(&phone, &BTreeSet::new());
    let own: Vec<String> = first.iter().filter(|at| **at != hex(&phone.code.locator())).cloned().collect();
    assert_eq!((first.len(), own.len()), (2, 1));
    // The store offers another recipient: an envelope of its own making, in a place of its own.
    let attacker = Person::new();
    let (_, _, roster) = account();
    for (name, bytes) in attackers_world(&attacker.holder(), &roster, &attacker) {
        phone.store.put(&name, &bytes).unwrap();
    }
    let check = |before: &BTreeSet<String>, members: &[String]| {
        let mut wanted = [members, own.as_slice()].concat();
        wanted.sort();
        assert_eq!(recipients(&phone, before), wanted);
    };
    let before = names(&phone.store, "envelopes/");
    let password = phone.vault.set_password("correct horse").unwrap();
    check(&before, &[hex(&phone.code.locator()), hex(&password.locator())]);
    let before = names(&phone.store, "envelopes/");
    let code = phone.vault.new_recovery_code().unwrap();
    check(&before, &[hex(&code.locator()), hex(&password.locator())]);
    assert!(names(&phone.store, &ObjectName::envelope_prefix(&phone.code.locator())).is_empty());
    let before = names(&phone.store, "envelopes/");
    phone.vault.remove_password().unwrap();
    check(&before, &[hex(&code.locator())]);
    assert!(names(&phone.store, &ObjectName::envelope_prefix(&password.locator())).is_empty());
}

/// All keys that the holder of an old code has, from everything that the store ever held.
fn keys_of_old_code(phone: &Phone, world: &Objects) -> (AccountId, Vec<ObjectKey>) {
    let locator = phone.code.locator();
    let prefix = ObjectName::envelope_prefix(&locator);
    let (name, bytes) = world.iter().find(|(name, _)| name.starts_with(&prefix)).unwrap();
    let envelope = Envelope::open(&phone.code.hybrid_key(), locator, id_of(name), bytes.clone()).unwrap();
    let (account, reference) = (envelope.account(), envelope.roster().clone());
    let object = |id: [u8; 16]| world[ObjectName::object(&id).as_str()].clone();
    let unverified = envelope.unverified_roots();
    let roster = Roster::open(account, unverified, &reference, object(reference.id())).unwrap();
    let roots = envelope.verify(&roster).unwrap();
    let device = &roster.state().devices()[0];
    let commit = &world[ObjectName::commit(&device.id().0, 1).as_str()];
    let commit = Commit::open(account, device, roster.state(), &roots, 1, commit).unwrap();
    let keyring = &commit.body().keyring;
    let keyring = Keyring::open(account, &roots, keyring, object(keyring.id())).unwrap();
    let [root] = roots.iter().collect::<Vec<_>>()[..] else { panic!("one root") };
    let mut keys = vec![root.commit_key(account), root.keyring_key(account), root.roster_key(account)];
    for kind in Kind::ALL {
        let kind = keyring.kind(kind.name()).unwrap();
        assert_eq!((kind.content_keys(0).count(), kind.content_keys(1).count()), (1, 0));
        keys.extend(kind.content_keys(0));
    }
    (account, keys)
}

/// Whether any of the keys opens an object, whatever it may be.
fn any_opens(account: AccountId, keys: &[ObjectKey], name: &str, bytes: &[u8]) -> bool {
    let mut parts = name.split('/').skip(1);
    let place = match parts.next().filter(|_| name.starts_with("commits/")) {
        Some(device) => Place::Commit {
            device: DeviceId::parse(device).unwrap().0,
            sequence: parts.next().unwrap().parse().unwrap(),
        },
        None => Place::Object(id_of(name)),
    };
    let kinds: Vec<String> =
        Kind::ALL.iter().map(|kind| kind.name().to_owned()).chain([String::new()]).collect();
    keys.iter().any(|key| {
        ObjectType::ALL.into_iter().any(|object| {
            kinds.iter().any(|kind| {
                (0..2).any(|epoch| {
                    let context = Context::new(account.0, epoch, object, kind, place);
                    strongroom::crypto::Opener::new(key, &context, bytes, bytes.len()).is_ok()
                })
            })
        })
    })
}

#[test]
fn attack_k13_a_replaced_code_reads_nothing_written_afterwards_whatever_the_store_kept() {
    let phone = Phone::new();
    phone.write("before.txt", noise(1, 9000));
    phone.backup(&Kind::NOTES).unwrap();
    let old = objects(&phone.store);
    let old_snapshot = phone.store.snapshot();
    let code = phone.vault.new_recovery_code().unwrap();
    phone.write("after.txt", noise(2, 9000));
    phone.backup(&Kind::NOTES).unwrap();
    let new = phone.store.snapshot();
    let puts = phone.store.traffic().puts;
    assert!(matches!(phone.recover("thief 1").err(), Some(Error::WrongSecret)));
    assert_eq!(phone.store.traffic().puts, puts);
    // The store puts the old envelope back: today's commits do not open.
    for (name, bytes) in old.iter().filter(|(name, _)| name.starts_with("envelopes/")) {
        replace(&phone.store, name, bytes);
    }
    assert!(phone.recover("thief 2").err().is_some_and(|error| error.is_damage()));
    // The store shows the world before, with everything new beside it: only what was written before.
    let mut world = old.clone();
    for (name, bytes) in objects(&phone.store) {
        if name.starts_with("objects/") {
            world.insert(name, bytes);
        }
    }
    phone.store.restore(&old_snapshot);
    for (name, bytes) in &world {
        replace(&phone.store, name, bytes);
    }
    let thief = phone.recover("thief 3").unwrap();
    let report = restore_all(&thief, &phone.path("stolen")).unwrap();
    assert_eq!(report.freshness, Freshness::Unproven);
    let stolen = attack_support::files(&phone.path("stolen"));
    assert_eq!(stolen.keys().collect::<Vec<_>>(), ["notes/source/before.txt"]);
    // And key by key: what the old code leads to opens no object written afterwards.
    phone.store.restore(&new);
    let (account, keys) = keys_of_old_code(&phone, &old);
    let mut opened = [0, 0];
    for (name, bytes) in objects(&phone.store) {
        if !name.starts_with("envelopes/") {
            let opens = any_opens(account, &keys, &name, &bytes);
            assert_eq!(opens, old.contains_key(&name), "{name}");
            opened[usize::from(opens)] += 1;
        }
    }
    assert!(opened[0] >= 5 && opened[1] >= 5, "{opened:?}");
    // The live device is not led back, and the new code works.
    assert!(phone.backup(&Kind::NOTES).is_ok());
    phone.store.restore(&old_snapshot);
    assert!(matches!(phone.backup(&Kind::NOTES), Err(Error::Rollback { .. })));
    phone.store.restore(&new);
    let joined = recover(&phone.store, &phone.path("owner"), &code).unwrap();
    assert_eq!(restore_all(&joined, &phone.path("out")).unwrap().failures, []);
    assert_eq!(attack_support::files(&phone.path("out")).len(), 2);
}

/// The entries of a roster with their parsed form.
fn entries(roster: &Roster) -> Vec<(messages::SignedRosterEntry, messages::RosterEntry)> {
    let wire = messages::Roster::decode(roster.encode().as_slice()).unwrap();
    let parse = |signed: messages::SignedRosterEntry| {
        let entry = messages::RosterEntry::decode(signed.entry.as_slice()).unwrap();
        (signed, entry)
    };
    wire.entries.into_iter().map(parse).collect()
}

fn encode(entries: impl IntoIterator<Item = messages::SignedRosterEntry>) -> Vec<u8> {
    messages::Roster { entries: entries.into_iter().collect() }.encode_to_vec()
}

/// The roster with one entry changed and signed anew by `signer`.
fn rewritten(
    roster: &Roster,
    at: usize,
    signer: &SigningKey,
    change: impl FnOnce(&mut messages::RosterEntry),
) -> Vec<u8> {
    let mut all = entries(roster);
    change(&mut all[at].1);
    let entry = all[at].1.encode_to_vec();
    let signature = signer.sign(Label::SIGN_ROSTER, &entry).as_bytes().to_vec();
    all[at].0 = messages::SignedRosterEntry { entry, signature };
    encode(all.into_iter().map(|(signed, _)| signed))
}

#[test]
fn attack_d1_d8_only_members_change_the_roster() {
    let (device, recovery, roster) = account();
    let (stranger, second) = (Person::new(), Person::new());
    let add = |person: &Person| Change::AddDevice(person.member());
    let try_append = |roster: &Roster, signer: Signer<'_>, change: &Change| {
        let mut roster = roster.clone();
        let length = roster.length();
        let done = roster.append(&signer, change, None, 0);
        assert_eq!(roster.length(), length + usize::from(done.is_ok()));
        done.map(|()| roster)
    };
    let holder = |key| Signer { id: SignerId::Recovery, key };
    assert!(try_append(&roster, stranger.signer(), &add(&stranger)).is_err(), "not a member");
    let forged = Signer { id: SignerId::Device(device.id), key: &stranger.signing };
    assert!(try_append(&roster, forged, &add(&stranger)).is_err(), "a member's name, another's key");
    assert!(try_append(&roster, holder(&stranger.signing), &add(&stranger)).is_err(), "not the code's key");
    let password = Signer { id: SignerId::Password, key: &stranger.signing };
    assert!(try_append(&roster, password, &add(&stranger)).is_err(), "there is no password");
    assert!(try_append(&roster, device.signer(), &add(&device)).is_err(), "a device twice");
    let two = try_append(&roster, holder(&recovery.signing), &add(&second)).unwrap();
    // The code may add its holder's device and nothing else.
    let revoke = Change::RevokeDevice { device: device.id, last_sequence: 0, last_hash: [0; 32] };
    for change in [&revoke, &Change::BeginEpoch(1, [1; 16]), &Change::RemovePassword] {
        assert!(try_append(&two, holder(&recovery.signing), change).is_err());
    }
    assert!(
        try_append(&two, device.signer(), &Change::BeginEpoch(2, [1; 16])).is_err(),
        "an epoch is skipped"
    );
    assert!(
        try_append(&two, device.signer(), &Change::BeginEpoch(0, [1; 16])).is_err(),
        "an epoch comes again"
    );
    assert!(try_append(&two, device.signer(), &Change::RequireFormat(0)).is_err(), "V1: the floor goes down");
    assert!(try_append(&two, device.signer(), &Change::RequireFormat(1)).is_err(), "V1: nothing new");
    let revoked = try_append(&two, second.signer(), &revoke).unwrap();
    for change in [&add(&stranger), &Change::BeginEpoch(1, [1; 16]), &revoke] {
        assert!(try_append(&revoked, device.signer(), change).is_err(), "D6: a revoked device speaks");
    }
    assert!(try_append(&revoked, second.signer(), &add(&device)).is_err(), "a revoked device comes back");
    // An envelope brings the roots that the roster announces, and no other, whoever signs it. That its writer
    // was cut off meanwhile is no reason to refuse them: an announced root is known to be the account's, and
    // devices that were away need what was written before the revocation. A stranger's is refused all the same.
    let planted = || EpochRoot::generate(0, &mut OsRandom).unwrap();
    let (reference, _) = revoked.seal(&first_root(), &mut OsRandom).unwrap();
    for (writer, member) in [(&second, true), (&device, true), (&stranger, false)] {
        for (root, announced) in [(first_root(), true), (planted(), false)] {
            let roots = EpochRoots::new([root]);
            let contents = EnvelopeContents { account: revoked.account(), roots: &roots, roster: &reference };
            let to = second.member().recipient;
            let signer = (writer.id, &writer.signing);
            let sealed = Envelope::seal(&contents, &to, signer, &mut OsRandom).unwrap();
            let Place::Envelope { locator, id } = sealed.context().place else { panic!("an envelope") };
            let envelope = Envelope::open(&second.hybrid, locator, id, sealed.bytes().to_vec()).unwrap();
            assert_eq!(envelope.verify(&revoked).is_ok(), member && announced);
        }
    }
    // One root too many spoils the rest.
    let roots = EpochRoots::new([first_root(), planted()]);
    let contents = EnvelopeContents { account: revoked.account(), roots: &roots, roster: &reference };
    let to = second.member().recipient;
    let sealed = Envelope::seal(&contents, &to, (second.id, &second.signing), &mut OsRandom).unwrap();
    let Place::Envelope { locator, id } = sealed.context().place else { panic!("an envelope") };
    let envelope = Envelope::open(&second.hybrid, locator, id, sealed.bytes().to_vec()).unwrap();
    assert!(envelope.verify(&revoked).is_err());
}

#[test]
fn attack_k12_a_new_secret_counts_only_with_its_holders_agreement() {
    let (device, recovery, roster) = account();
    let (next, stranger) = (Person::new(), Person::new());
    let set = Change::SetRecovery(next.holder());
    let append = |roster: &Roster, acceptance: Option<&Signature>| {
        let mut roster = roster.clone();
        roster.append(&device.signer(), &set, acceptance, 0).map(|()| roster)
    };
    let id = roster.account();
    assert!(append(&roster, None).is_err(), "no agreement");
    assert!(append(&roster, Some(&next.holder().accept(id, &stranger.signing))).is_err(), "another's");
    assert!(append(&roster, Some(&next.holder().accept(AccountId([0; 16]), &next.signing))).is_err());
    assert!(
        append(&roster, Some(&recovery.holder().accept(id, &recovery.signing))).is_err(),
        "the old one's"
    );
    let changed = append(&roster, Some(&next.holder().accept(id, &next.signing))).unwrap();
    let add = Change::AddDevice(stranger.member());
    let mut by_old = changed.clone();
    let old = Signer { id: SignerId::Recovery, key: &recovery.signing };
    assert!(by_old.append(&old, &add, None, 0).is_err(), "the replaced code still speaks");
    let mut by_new = changed.clone();
    let new = Signer { id: SignerId::Recovery, key: &next.signing };
    assert!(by_new.append(&new, &add, None, 0).is_ok());
    // An agreement where none belongs.
    let agreement = next.holder().accept(id, &next.signing);
    assert!(changed.clone().append(&device.signer(), &add, Some(&agreement), 0).is_err());
}

#[test]
fn attack_d1_a_graph_of_entries_that_was_cut_sorted_or_edited_is_refused() {
    let (device, _, mut roster) = account();
    let before = roster.clone();
    for _ in 0..3 {
        roster.append(&device.signer(), &Change::AddDevice(Person::new().member()), None, 0).unwrap();
    }
    let id = roster.account();
    let parse = |bytes: &[u8]| Roster::parse(id, bytes);
    assert_eq!(parse(&roster.encode()).unwrap().length(), 4);
    let signed: Vec<_> = entries(&roster).into_iter().map(|(signed, _)| signed).collect();
    for a in 0..4 {
        assert!(
            parse(&encode(signed.iter().enumerate().filter(|(n, _)| *n != a).map(|(_, e)| e.clone())))
                .is_err()
                || a == 3
        );
        let doubled = signed.iter().take(a + 1).chain(&signed[a..]).cloned();
        assert!(parse(&encode(doubled)).is_err(), "entry {a} twice");
        for b in a + 1..4 {
            let mut swapped = signed.clone();
            swapped.swap(a, b);
            assert!(parse(&encode(swapped)).is_err(), "{a} and {b} swapped");
        }
    }
    assert!(parse(&encode([])).is_err());
    // Signed by the right member, but not on top of what is there.
    type Edit = fn(&mut messages::RosterEntry);
    let edits: [(&str, Edit); 8] = [
        ("unknown parent", |entry| entry.parents[0][0] ^= 1),
        ("no parent", |entry| entry.parents.clear()),
        ("parent twice", |entry| entry.parents.push(entry.parents[0].clone())),
        ("short parent", |entry| entry.parents[0].truncate(31)),
        ("account", |entry| entry.account[0] ^= 1),
        ("no change", |entry| entry.change = None),
        ("signer", |entry| entry.signer = b"recovery".to_vec()),
        ("agreement", |entry| entry.acceptance = vec![0; 64]),
    ];
    for (what, edit) in edits {
        assert!(parse(&rewritten(&roster, 3, &device.signing, edit)).is_err(), "{what}");
    }
    assert!(parse(&rewritten(&roster, 3, &device.signing, |_| {})).is_ok());
    // Edited without a new signature; with fields that nobody knows.
    let mut unsigned = signed.clone();
    let mut entry = entries(&roster)[3].1.clone();
    entry.change = Some(roster_entry::Change::AddDevice(messages::AddDevice {
        name: "ghost".to_owned(),
        ..match entry.change {
            Some(roster_entry::Change::AddDevice(add)) => add,
            _ => panic!("adds"),
        }
    }));
    unsigned[3].entry = entry.encode_to_vec();
    assert!(parse(&encode(unsigned)).is_err());
    assert!(parse(&[roster.encode(), vec![0x78, 1]].concat()).is_err(), "R3: an unknown field");
    // A shorter one is valid in itself, but does not include the longer; nor does another branch. What both
    // branches say is what anybody has who has both.
    assert!(roster.includes(&before) && !before.includes(&roster));
    let mut branch = before.clone();
    branch.append(&device.signer(), &Change::AddDevice(Person::new().member()), None, 0).unwrap();
    assert!(!roster.includes(&branch) && !branch.includes(&roster));
    assert!(roster.unite(&branch).unwrap() && roster.includes(&branch));
    assert_eq!(parse(&roster.encode()).unwrap().length(), 5);
}

#[test]
fn attack_i4_every_object_of_a_vault_opens_in_one_way_only() {
    // The same bytes of a vault under every key and as everything that the account's owner could take them for.
    let phone = Phone::new();
    phone.write("a", noise(3, 5000));
    phone.backup(&Kind::FILES).unwrap();
    let world = objects(&phone.store);
    let (account, keys) = keys_of_old_code(&phone, &world);
    let one = |name: &String| -> usize {
        let bytes = &world[name];
        keys.iter()
            .map(|key| {
                let contexts = ObjectType::ALL.into_iter().flat_map(|object| {
                    let kinds = Kind::ALL.map(|kind| {
                        Context::new(account.0, 0, object, kind.name(), Place::Object(id_of(name)))
                    });
                    kinds.into_iter().chain([Context::new(
                        account.0,
                        0,
                        object,
                        "",
                        Place::Object(id_of(name)),
                    )])
                });
                contexts
                    .filter(|context| {
                        strongroom::crypto::Opener::new(key, context, bytes, bytes.len()).is_ok()
                    })
                    .count()
            })
            .sum()
    };
    for name in world.keys().filter(|name| name.starts_with("objects/")) {
        assert_eq!(one(name), 1, "{name} opens in one way");
    }
    let pack = &phone.written("pack")[0];
    assert!(keys.iter().any(|key| {
        let context = pack_context(account, 0, "files", id_of(pack));
        strongroom::content::open_pack(key, &context, world[pack].clone()).is_ok()
    }));
}

#[test]
fn attack_d6_a_commit_counts_only_with_its_own_devices_signature_and_while_it_may_speak() {
    let (device, _, mut roster) = account();
    let other = Person::new();
    roster.append(&device.signer(), &Change::AddDevice(other.member()), None, 0).unwrap();
    let root = first_root();
    let roots = EpochRoots::new([first_root()]);
    let (reference, _) = roster.seal(&root, &mut OsRandom).unwrap();
    let body = |previous| CommitBody {
        previous,
        roster: reference.clone(),
        keyring: reference.clone(),
        keyring_version: 1,
        kinds: Vec::new(),
        seen: Vec::new(),
        nonce: [1; 16],
        device_time_ms: 0,
    };
    let account = roster.account();
    let seal = |of: &Person, signer: &Person, previous| {
        let signer = (of.id, &signer.signing);
        Commit::seal(account, signer, body(previous), &root, &mut OsRandom).unwrap()
    };
    let open = |roster: &Roster, of: &Person, sequence, bytes: &[u8]| {
        let device = roster.state().device(of.id).unwrap();
        Commit::open(account, device, roster.state(), &roots, sequence, bytes)
    };
    // Whoever has the epoch root can seal, but not sign for another.
    let (first, sealed) = seal(&other, &other, None);
    assert_eq!(open(&roster, &other, 1, sealed.bytes()).unwrap(), first);
    assert!(open(&roster, &device, 1, sealed.bytes()).is_err(), "another device's commit");
    assert!(open(&roster, &other, 2, sealed.bytes()).is_err(), "another number");
    let (_, forged) = seal(&other, &device, None);
    assert!(open(&roster, &other, 1, forged.bytes()).is_err(), "another device's signature");
    // Revoked after its first commit: that one stands, no other and nothing later does.
    let (_, second) = seal(&other, &other, Some(first.head()));
    let (_, another_first) = seal(&other, &other, None);
    let rewritten = CommitBody { nonce: [2; 16], ..body(None) };
    let (_, rewritten) =
        Commit::seal(account, (other.id, &other.signing), rewritten, &root, &mut OsRandom).unwrap();
    assert!(open(&roster, &other, 2, second.bytes()).is_ok());
    assert!(open(&roster, &other, 1, rewritten.bytes()).is_ok());
    let Head { sequence, hash } = first.head();
    let revoke = Change::RevokeDevice { device: other.id, last_sequence: sequence, last_hash: hash };
    roster.append(&device.signer(), &revoke, None, 0).unwrap();
    assert!(open(&roster, &other, 1, sealed.bytes()).is_ok());
    assert!(open(&roster, &other, 1, another_first.bytes()).is_ok(), "the same commit, sealed again");
    assert!(open(&roster, &other, 1, rewritten.bytes()).is_err(), "another commit in its place");
    assert!(open(&roster, &other, 2, second.bytes()).is_err(), "a commit after the revocation");
}

/// A store that fails for good at the `n`-th write.
fn failing(store: &MemoryStore, n: u64) -> FaultStore<MemoryStore> {
    FaultStore::new(store.clone(), move |request| match request.method {
        Method::Put if request.call_of_method >= n => Fault::Before(StoreErrorKind::Refused),
        _ => Fault::None,
    })
}

#[test]
fn attack_r8_an_epoch_that_its_own_device_began_and_lost_locks_nobody_out() {
    for failed_write in 1..=7 {
        let phone = Phone::new();
        phone.write("a", "a");
        phone.backup(&Kind::FILES).unwrap();
        drop(phone.recover("second").unwrap());
        let first = phone.path("first");
        let interrupted = recover(&phone.store, &first, &phone.code).unwrap();
        drop(interrupted);
        let interrupted = Vault::open(failing(&phone.store, failed_write), &first).unwrap();
        assert!(interrupted.set_password("correct horse").is_err());
        drop(interrupted);
        // The same device begins again: it still has the root that nobody was told of.
        let first = Vault::open(phone.store.clone(), &first).unwrap();
        let secret = first.set_password("correct horse").unwrap();
        first.rotate().unwrap();
        phone.vault.sync(&Job::new()).unwrap();
        let second = Vault::open(phone.store.clone(), phone.path("second")).unwrap();
        second.sync(&Job::new()).unwrap();
        let joined = phone.recover("new");
        joined.unwrap_or_else(|error| panic!("write {failed_write} failed: {error}"));
        let device = NewDevice::named("by password").unwrap();
        let password = ("correct horse", &secret);
        Vault::recover_with_password(phone.store.clone(), phone.path("fourth"), password, device).unwrap();
    }
}

#[test]
fn attack_r8_an_epoch_that_was_never_announced_hides_no_other() {
    // Writes of a change: roster, keyring, envelopes to two devices, code and password, commit.
    for failed_write in 1..=7 {
        let phone = Phone::new();
        phone.write("a", "a");
        phone.backup(&Kind::FILES).unwrap();
        let second = phone.path("second");
        drop(phone.recover("second").unwrap());
        let second = Vault::open(failing(&phone.store, failed_write), second).unwrap();
        assert!(second.set_password("correct horse").is_err());
        drop(second);
        // The second device never comes back, the first goes on: its code opens what it wrote.
        let _secret = phone.vault.set_password("battery staple").unwrap();
        phone.backup(&Kind::FILES).unwrap();
        let joined = phone.recover("new");
        let joined = joined.unwrap_or_else(|error| panic!("write {failed_write} failed: {error}"));
        let out = phone.path("out");
        assert_eq!(restore_all(&joined, &out).unwrap().failures, []);
        assert_eq!(attack_support::files(&out).len(), 1);
    }
}
