//! Rosters as graphs: one written by several devices at once with what it says, and what a reader must
//! refuse.

use prost::Message as _;
use serde_json::{Value, json};
use strongroom::crypto::{
    HybridSecretKey, Label, PasswordParameters, SeededRandom, SigningKey, labelled_hash,
};
use strongroom::keys::{
    Change, DeviceId, DeviceState, EpochRoot, Member, Recipient, RecoveryCode, Roster, Signer, SignerId,
};
use strongroom::wire::messages::{self, roster_entry::Change as WireChange};
use strongroom::{Part, wire::decode_strict};

use crate::world::{
    DEVICE, TIME_MS, World, base64, frozen, hex, recovery_recipient, seeded, unbase64, world,
};

/// A device from a seed.
pub(crate) struct Person {
    pub(crate) signing: SigningKey,
    pub(crate) member: Member,
}

impl Person {
    pub(crate) fn new(seed: u8) -> Self {
        let signing = SigningKey::from_seed(seeded(u64::from(seed) * 10 + 1));
        let hybrid = HybridSecretKey::from_seed(seeded(u64::from(seed) * 10 + 2));
        let member = Member {
            id: DeviceId([seed; 16]),
            signing_key: signing.verifying_key(),
            recipient: Recipient::device(hybrid.public().clone(), [seed; 16]),
            name: format!("device {seed}"),
        };
        Self { signing, member }
    }

    fn signs(&self, roster: &mut Roster, change: &Change) {
        let signer = Signer { id: SignerId::Device(self.member.id), key: &self.signing };
        roster.append(&signer, change, None, TIME_MS).unwrap();
    }

    fn sets(&self, roster: &mut Roster, code: &RecoveryCode) {
        self.sets_secret(roster, code, Change::SetRecovery(recovery_recipient(code)));
    }

    /// The keys of a password are as well made from a code.
    fn sets_password(&self, roster: &mut Roster, code: &RecoveryCode) {
        let of_code = recovery_recipient(code);
        let parameters = PasswordParameters::default_with([1; 32]);
        let (keys, signing) = (of_code.public_key().clone(), code.signing_key().verifying_key());
        let recipient = Recipient::password(keys, of_code.locator(), signing, parameters);
        self.sets_secret(roster, code, Change::SetPassword(recipient));
    }

    fn sets_secret(&self, roster: &mut Roster, code: &RecoveryCode, change: Change) {
        let (Change::SetRecovery(recipient) | Change::SetPassword(recipient)) = &change else { return };
        let accepted = recipient.accept(roster.account(), &code.signing_key());
        let signer = Signer { id: SignerId::Device(self.member.id), key: &self.signing };
        roster.append(&signer, &change, Some(&accepted), TIME_MS).unwrap();
    }
}

fn begin(epoch: u32, seed: u64) -> Change {
    Change::BeginEpoch(epoch, EpochRoot::new(epoch, seeded(seed)).id())
}

fn code(seed: u64) -> RecoveryCode {
    RecoveryCode::generate(&mut SeededRandom::new(seed)).unwrap()
}

fn revoke(person: &Person) -> Change {
    Change::RevokeDevice { device: person.member.id, last_sequence: 4, last_hash: [0x44; 32] }
}

/// A device that is revoked writes on as if it had not been, while two others rotate at once.
pub(crate) fn graph() -> Roster {
    let World { roster, signing, .. } = world();
    let first = Person {
        signing: SigningKey::from_seed(signing.seed().duplicate()),
        member: Person::new(0xd1).member,
    };
    let [second, thief, friend, ghost] = [0xd2, 0xd3, 0xd4, 0xd5].map(Person::new);
    let mut start = roster.clone();
    first.signs(&mut start, &Change::AddDevice(second.member.clone()));
    first.signs(&mut start, &Change::AddDevice(thief.member.clone()));
    let password = code(35);
    first.sets_password(&mut start, &password);
    // One revokes and rotates; with the password comes another.
    let mut one = start.clone();
    first.signs(&mut one, &revoke(&thief));
    first.signs(&mut one, &begin(1, 30));
    let (holder, guest) = (password.signing_key(), Person::new(0xd7).member);
    let by_password = Signer { id: SignerId::Password, key: &holder };
    one.append(&by_password, &Change::AddDevice(guest), None, TIME_MS).unwrap();
    // Another, at once, replaces the code and rotates; a third device is added.
    let mut two = start.clone();
    second.sets(&mut two, &code(31));
    second.signs(&mut two, &begin(1, 32));
    second.signs(&mut two, &Change::AddDevice(friend.member.clone()));
    // The thief, as if he knew of neither: he adds a device, replaces code and password and rotates, and with
    // the code adds another.
    let mut forked = start.clone();
    thief.signs(&mut forked, &Change::AddDevice(ghost.member.clone()));
    thief.sets(&mut forked, &code(33));
    thief.sets_password(&mut forked, &code(36));
    let holder = code(33).signing_key();
    let by_code = Signer { id: SignerId::Recovery, key: &holder };
    forked.append(&by_code, &Change::AddDevice(Person::new(0xd6).member), None, TIME_MS).unwrap();
    thief.signs(&mut forked, &begin(1, 34));
    for other in [&two, &forked] {
        one.unite(other).unwrap();
    }
    one
}

#[test]
fn a_graph_of_entries_says_the_same_in_every_implementation() {
    let roster = graph();
    let state = roster.state();
    let device = |device: &strongroom::keys::Device| {
        let last = match device.state() {
            DeviceState::Revoked { last_sequence, .. } => json!(last_sequence),
            _ => Value::Null,
        };
        json!({ "id": hex(&device.id().0), "revoked_after": last })
    };
    let recipient = |recipient: Option<&Recipient>| recipient.map(|recipient| hex(&recipient.locator()));
    let (epoch, root_id) = state.epoch();
    let vectors = frozen(
        "roster.json",
        &json!({
            "about": "The roster of objects.json, continued by several devices at once and by one that was \
                      revoked meanwhile; and what it says. `revoked_after` is the last sequence. `recovery` and \
                      `password` are locators.",
            "account": hex(&roster.account().0),
            "roster": base64(&roster.encode()),
            "entries": roster.entries().map(|(hash, ..)| hex(&hash)).collect::<Vec<_>>(),
            "devices": state.devices().iter().map(device).collect::<Vec<_>>(),
            "recovery": recipient(state.recovery()),
            "password": recipient(state.password()),
            "epoch": epoch,
            "root_id": hex(&root_id),
            "rotation_due": state.is_rotation_due(),
        }),
    );
    let read = Roster::parse(roster.account(), &unbase64(&vectors["roster"])).unwrap();
    assert_eq!(read.encode(), roster.encode());
    assert!(state.is_rotation_due(), "nobody rotated on top of both cuts");
    let mut ids: Vec<u8> = state.devices().iter().map(|device| device.id().0[0]).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0xd1, 0xd2, 0xd3, 0xd4, 0xd7], "nobody whom the thief brought");
    assert_eq!(state.recovery().map(Recipient::locator), Some(code(31).locator()));
}

fn wire(roster: &Roster) -> Vec<messages::SignedRosterEntry> {
    let wire: messages::Roster = decode_strict(&roster.encode(), 1 << 20, Part::Roster).unwrap();
    wire.entries
}

fn with(entries: Vec<messages::SignedRosterEntry>) -> Vec<u8> {
    messages::Roster { entries }.encode_to_vec()
}

fn sign(key: &SigningKey, entry: &messages::RosterEntry) -> messages::SignedRosterEntry {
    let entry = entry.encode_to_vec();
    let signature = key.sign(Label::SIGN_ROSTER, &entry).as_bytes().to_vec();
    messages::SignedRosterEntry { entry, signature }
}

fn hash(signed: &messages::SignedRosterEntry) -> Vec<u8> {
    labelled_hash(Label::HASH_ROSTER, &[&signed.entry]).to_vec()
}

/// Rosters that a reader must refuse.
pub(crate) fn must_fail(case: &mut dyn FnMut(&str, Vec<u8>)) {
    let World { roster, signing, code, .. } = world();
    let genesis = wire(roster)[0].clone();
    let mut forged = genesis.clone();
    forged.signature[40] ^= 1;
    case("signature of the genesis", with(vec![forged]));
    case("the same entry twice", with(vec![genesis.clone(), genesis.clone()]));
    // One entry on top of the genesis.
    let begin = |epoch| WireChange::BeginEpoch(messages::BeginEpoch { epoch, root_id: vec![0x1d; 16] });
    let plain = messages::RosterEntry {
        account: roster.account().0.to_vec(),
        parents: vec![hash(&genesis)],
        signer: DEVICE.0.to_vec(),
        device_time_ms: 0,
        change: Some(begin(1)),
        acceptance: Vec::new(),
    };
    let two = |key: &SigningKey, edit: &dyn Fn(&mut messages::RosterEntry)| {
        let mut entry = plain.clone();
        edit(&mut entry);
        with(vec![genesis.clone(), sign(key, &entry)])
    };
    Roster::parse(roster.account(), &two(signing, &|_| {})).unwrap();
    let holder = code.signing_key();
    case("signed by another key", two(&holder, &|_| {}));
    case("the code begins an epoch", two(&holder, &|entry| entry.signer = b"recovery".to_vec()));
    case("no password signs", two(signing, &|entry| entry.signer = b"password".to_vec()));
    case("an epoch left out", two(signing, &|entry| entry.change = Some(begin(2))));
    case("an epoch again", two(signing, &|entry| entry.change = Some(begin(0))));
    case(
        "a short root id",
        two(signing, &|entry| {
            let root_id = vec![0x1d; 15];
            entry.change = Some(WireChange::BeginEpoch(messages::BeginEpoch { epoch: 1, root_id }));
        }),
    );
    case("an unknown parent", two(signing, &|entry| entry.parents[0][0] ^= 1));
    case("no parent", two(signing, &|entry| entry.parents.clear()));
    case("a parent twice", two(signing, &|entry| entry.parents.push(entry.parents[0].clone())));
    case("a short parent", two(signing, &|entry| entry.parents[0].truncate(31)));
    case("another account", two(signing, &|entry| entry.account[0] ^= 1));
    case("agreement where none belongs", two(signing, &|entry| entry.acceptance = vec![0; 64]));
    case(
        "a genesis again",
        two(signing, &|entry| {
            let first: messages::RosterEntry = decode_strict(&genesis.entry, 1 << 20, Part::Roster).unwrap();
            entry.change = first.change;
            entry.acceptance = first.acceptance;
        }),
    );
    let stranger = recovery_recipient(&self::code(11));
    case(
        "a recovery code that did not agree",
        two(signing, &|entry| {
            entry.change = Some(WireChange::SetRecovery(messages::Recipient {
                public_key: stranger.public_key().as_bytes().to_vec(),
                locator: stranger.locator().to_vec(),
                signing_key: stranger.signing_key().unwrap().as_bytes().to_vec(),
                password: None,
            }));
        }),
    );
    graphs(case);
}

/// Entries that several devices wrote at once, not as they must stand.
fn graphs(case: &mut dyn FnMut(&str, Vec<u8>)) {
    let World { roster, signing, .. } = world();
    let first = Person {
        signing: SigningKey::from_seed(signing.seed().duplicate()),
        member: Person::new(0xd1).member,
    };
    let [second, third] = [0xd2, 0xd3].map(Person::new);
    let mut start = roster.clone();
    first.signs(&mut start, &Change::AddDevice(second.member.clone()));
    let (mut one, mut two) = (start.clone(), start.clone());
    first.signs(&mut one, &begin(1, 40));
    second.signs(&mut two, &begin(1, 41));
    one.unite(&two).unwrap();
    first.signs(&mut one, &begin(2, 42));
    let entries = wire(&one);
    Roster::parse(roster.account(), &with(entries.clone())).unwrap();
    let mut swapped = entries.clone();
    swapped.swap(2, 3);
    case("entries of one depth out of order", with(swapped));
    let mut swapped = entries.clone();
    swapped.swap(0, 1);
    case("a child before its parent", with(swapped));
    let without = |place: usize| {
        let mut left = entries.clone();
        left.remove(place);
        with(left)
    };
    case("an entry whose parent is left out", without(3));
    case("no genesis", without(0));
    let last: messages::RosterEntry = decode_strict(&entries[4].entry, 1 << 20, Part::Roster).unwrap();
    assert_eq!(last.parents.len(), 2);
    let replaced = |edit: &dyn Fn(&mut messages::RosterEntry)| {
        let (mut entry, mut all) = (last.clone(), entries.clone());
        edit(&mut entry);
        all[4] = sign(signing, &entry);
        with(all)
    };
    case("parents out of order", replaced(&|entry| entry.parents.swap(0, 1)));
    // Whoever was cut off and says that he knows it may not sign.
    let mut cut = start.clone();
    first.signs(&mut cut, &revoke(&second));
    let mut all = wire(&cut);
    let entry = messages::RosterEntry {
        account: roster.account().0.to_vec(),
        parents: vec![hash(&all[2])],
        signer: second.member.id.0.to_vec(),
        device_time_ms: 0,
        change: Some(WireChange::AddDevice(wire_device(&third))),
        acceptance: Vec::new(),
    };
    all.push(sign(&second.signing, &entry));
    case("a device that was cut off adds another", with(all.clone()));
    let again = messages::RosterEntry { signer: first.member.id.0.to_vec(), ..entry.clone() };
    let again = |change| messages::RosterEntry { change: Some(change), ..again.clone() };
    all[3] = sign(signing, &again(WireChange::AddDevice(wire_device(&second))));
    case("a device that was cut off is added again", with(all.clone()));
    let revocation = messages::RevokeDevice {
        device: second.member.id.0.to_vec(),
        last_sequence: 1,
        last_hash: vec![1; 32],
    };
    all[3] = sign(signing, &again(WireChange::RevokeDevice(revocation)));
    case("a device that was cut off is revoked again", with(all));
    devices(&start, case);
}

/// Devices whose keys or names are none.
fn devices(start: &Roster, case: &mut dyn FnMut(&str, Vec<u8>)) {
    let World { roster, signing, .. } = world();
    let third = Person::new(0xd3);
    let entries = wire(start);
    let added = |edit: &dyn Fn(&mut messages::AddDevice)| {
        let mut device = wire_device(&third);
        edit(&mut device);
        let entry = messages::RosterEntry {
            account: roster.account().0.to_vec(),
            parents: vec![hash(&entries[1])],
            signer: DEVICE.0.to_vec(),
            device_time_ms: 0,
            change: Some(WireChange::AddDevice(device)),
            acceptance: Vec::new(),
        };
        with([&entries[..], &[sign(signing, &entry)]].concat())
    };
    Roster::parse(roster.account(), &added(&|_| {})).unwrap();
    let public = |device: &mut messages::AddDevice, edit: &dyn Fn(&mut [u8])| {
        edit(&mut device.recipient.as_mut().unwrap().public_key);
    };
    case("a coefficient out of range", added(&|device| public(device, &|key| key[..2].fill(0xff))));
    case("an X25519 key of low order", added(&|device| public(device, &|key| key[1184..].fill(0))));
    case("a signing key of small order", added(&|device| device.signing_key = vec![0; 32]));
    case(
        "a second encoding of a signing key",
        added(&|device| device.signing_key = [&[0xf1][..], &[0xff; 31]].concat()),
    );
    case("a name with a line end", added(&|device| device.name = "a\nb".to_owned()));
    case("a name that is too long", added(&|device| device.name = "a".repeat(129)));
    case(
        "a device with a password",
        added(&|device| {
            device.recipient.as_mut().unwrap().password = Some(messages::PasswordParameters::default());
        }),
    );
    case("an id that is taken", added(&|device| device.device = vec![0xd2; 16]));
}

fn wire_device(person: &Person) -> messages::AddDevice {
    messages::AddDevice {
        device: person.member.id.0.to_vec(),
        signing_key: person.member.signing_key.as_bytes().to_vec(),
        recipient: Some(messages::Recipient {
            public_key: person.member.recipient.public_key().as_bytes().to_vec(),
            locator: person.member.recipient.locator().to_vec(),
            signing_key: Vec::new(),
            password: None,
        }),
        name: person.member.name.clone(),
    }
}
