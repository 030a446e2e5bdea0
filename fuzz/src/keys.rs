//! Codes, rosters, envelopes and keyrings.

use std::sync::OnceLock;

use prost::Message as _;
use strongroom::{
    Error, Part,
    crypto::{Label, Place, SigningKey, labelled_hash},
    keys::{
        AccountId, DeviceId, DeviceSecret, Envelope, EnvelopeContents, EpochRoot, Keyring, RecoveryCode,
        Roster,
    },
    wire::{
        decode_lenient, decode_strict,
        messages::{self, roster_entry::Change},
    },
};

use super::{
    input::{Counted, Input},
    world::{DEVICE, device_key, object_ref, recovery, root, roots, secret, world},
};

const LIMIT: usize = 1 << 20;

/// A code that is read is shown in the same characters; a code with up to four wrong ones is not read.
pub fn recovery_code(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let plain = |text: &str| {
            text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>().to_ascii_lowercase()
        };
        if let Ok(code) = RecoveryCode::parse(text) {
            assert!(plain(&code.reveal()) == plain(text) && DeviceSecret::parse(text).is_err());
        }
        if let Ok(secret) = DeviceSecret::parse(text) {
            assert!(plain(&secret.reveal()) == plain(text) && RecoveryCode::parse(text).is_err());
        }
    }
    let mut input = Input(data);
    let seed = [input.bytes(20), &[1]].concat();
    let code = RecoveryCode::generate(&mut Counted(seed.clone(), 0));
    let device = DeviceSecret::generate(&mut Counted(seed, 0));
    // Randomness of zeros only is refused (I8).
    let (Ok(code), Ok(device)) = (code, device) else { return };
    let (code, device) = (code.reveal().to_string(), device.reveal().to_string());
    for shown in [code, device] {
        let mut typed = shown.clone().into_bytes();
        for _ in 0..4 {
            let at = input.number(1) % typed.len();
            let character = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"[input.number(1) % 32];
            if typed[at] != b'-' {
                typed[at] = character;
            }
        }
        let typed = String::from_utf8(typed).unwrap();
        let is_read = RecoveryCode::parse(&typed).is_ok() || DeviceSecret::parse(&typed).is_ok();
        assert_eq!(is_read, typed == shown);
    }
}

/// The graph as it comes, and once more with every link, agreement and signature made good.
pub fn roster(data: &[u8]) {
    let _ = Roster::parse(world().account(), data).map(|roster| check_roster(&roster, data));
    let Ok(wire) = decode_lenient::<messages::Roster>(data, LIMIT, Part::Roster) else { return };
    let Some((account, signed)) = sign_graph(&wire) else { return };
    let bytes = signed.encode_to_vec();
    let _ = Roster::parse(account, &bytes).map(|roster| {
        check_roster(&roster, &bytes);
        check_parts(&roster, &signed);
    });
}

fn check_roster(roster: &Roster, bytes: &[u8]) {
    assert!(roster.encode() == bytes && roster.length() > 0);
    let state = roster.state();
    let mut ids: Vec<_> = state.devices().iter().map(|device| device.id()).collect();
    ids.sort();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]) && !ids.is_empty());
    assert!(state.recipients().count() <= ids.len() + 2);
    assert!(state.devices().iter().all(|device| device.name().len() <= 128));
}

/// What came together in parts, in whatever order, is what came at once.
fn check_parts(whole: &Roster, wire: &messages::Roster) {
    let entries = wire.entries[..wire.entries.len().div_ceil(2)].to_vec();
    let half = messages::Roster { entries }.encode_to_vec();
    let half = Roster::parse(whole.account(), &half).expect("entries stand on those before");
    let (mut one, mut two) = (half.clone(), whole.clone());
    assert!(one.unite(whole).unwrap() == (half.length() < whole.length()) && !two.unite(&half).unwrap());
    assert!(one.encode() == whole.encode() && two.encode() == whole.encode() && one.includes(whole));
    assert!(one.state().epoch() == whole.state().epoch());
}

/// The graph that the holders of all keys would have signed: what each entry names as parents is read as
/// numbers of entries before it, and the entries are put in order.
fn sign_graph(wire: &messages::Roster) -> Option<(AccountId, messages::Roster)> {
    let mut account = None;
    let mut entries: Vec<(u32, Vec<u8>, messages::SignedRosterEntry)> = Vec::new();
    for (index, signed) in wire.entries.iter().take(64).enumerate() {
        let mut entry = messages::RosterEntry::decode(signed.entry.as_slice()).ok()?;
        if let (0, Some(Change::Genesis(genesis))) = (index, &entry.change) {
            let hash = labelled_hash(Label::ACCOUNT, &[&genesis.encode_to_vec()]);
            account = AccountId::from_slice(&hash[..16]);
        }
        entry.account = account?.0.to_vec();
        let depth = link(&mut entry, &entries);
        let recipient = match &entry.change {
            Some(Change::Genesis(genesis)) => genesis.recovery.as_ref(),
            Some(Change::SetRecovery(recipient) | Change::SetPassword(recipient)) => Some(recipient),
            _ => None,
        };
        if let Some(recipient) = recipient {
            let message = [&entry.account[..], &recipient.locator, &recipient.public_key].concat();
            let signature = world().code.signing_key().sign(Label::SIGN_ACCEPTANCE, &message);
            entry.acceptance = signature.as_bytes().to_vec();
        }
        let bytes = entry.encode_to_vec();
        let signature = key_of(&entry.signer).sign(Label::SIGN_ROSTER, &bytes).as_bytes().to_vec();
        let hash = labelled_hash(Label::HASH_ROSTER, &[&bytes]).to_vec();
        entries.push((depth, hash, messages::SignedRosterEntry { entry: bytes, signature }));
    }
    entries.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    entries.dedup_by(|a, b| a.1 == b.1);
    let entries = entries.into_iter().map(|(_, _, signed)| signed).collect();
    Some((account?, messages::Roster { entries }))
}

/// Gives an entry true parents: the last of `before` unless it names others by their first byte. Says how
/// deep it stands.
fn link(entry: &mut messages::RosterEntry, before: &[(u32, Vec<u8>, messages::SignedRosterEntry)]) -> u32 {
    let Some(last) = before.last() else {
        entry.parents.clear();
        return 0;
    };
    let named = entry.parents.iter().take(8).map(|parent| {
        let known = before.iter().find(|(_, hash, _)| hash == parent);
        let number = usize::from(parent.first().copied().unwrap_or(0));
        known.unwrap_or_else(|| &before[number % before.len()])
    });
    let mut parents: Vec<_> = named.collect();
    if parents.is_empty() {
        parents.push(last);
    }
    let depth = parents.iter().map(|(depth, ..)| depth + 1).max().unwrap_or(0);
    entry.parents = parents.into_iter().map(|(_, hash, _)| hash.clone()).collect();
    entry.parents.sort();
    entry.parents.dedup();
    depth
}

fn key_of(signer: &[u8]) -> SigningKey {
    DeviceId::from_slice(signer).map_or_else(|| world().code.signing_key(), device_key)
}

/// The first byte says what the rest is: an envelope below its seal, below its signature, or changes to a
/// sealed one.
pub fn envelope(data: &[u8]) {
    let mut input = Input(data);
    match input.number(1) % 3 {
        0 => parse_envelope(input.0),
        1 => {
            let signature = device_key(DEVICE).sign(Label::SIGN_ENVELOPE, input.0).as_bytes().to_vec();
            let signed =
                messages::SignedEnvelope { body: input.0.to_vec(), signer: DEVICE.0.to_vec(), signature };
            parse_envelope(&signed.encode_to_vec());
        }
        _ => change_envelope(input),
    }
}

fn parse_envelope(plain: &[u8]) {
    let body = messages::SignedEnvelope::decode(plain)
        .and_then(|signed| messages::EnvelopeBody::decode(signed.body.as_slice()))
        .unwrap_or_default();
    let locator = body.locator.as_slice().try_into().unwrap_or([1; 16]);
    let id = body.id.as_slice().try_into().unwrap_or([2; 16]);
    let Ok(envelope) = Envelope::parse(plain, locator, id) else { return };
    let places: Vec<_> = envelope.unverified_roots().iter().map(|root| (root.epoch(), root.id())).collect();
    assert!(!places.is_empty() && places.is_sorted_by(|a, b| a < b));
    if let Ok(roots) = envelope.verify(&world().roster) {
        assert!(roots.iter().all(|root| world().roster.state().announces(root)));
        assert_eq!(roots.iter().count(), places.len());
    }
}

/// A sealed envelope and its id.
pub(super) fn sealed_envelope() -> &'static (Vec<u8>, [u8; 16]) {
    static SEALED: OnceLock<(Vec<u8>, [u8; 16])> = OnceLock::new();
    SEALED.get_or_init(|| {
        let (roots, roster) = (roots(), object_ref(1));
        let contents = EnvelopeContents { account: world().account(), roots: &roots, roster: &roster };
        let recipient = recovery(&world().code, &world().hybrid);
        let signer = (DEVICE, &device_key(DEVICE));
        let sealed = Envelope::seal(&contents, &recipient, signer, &mut Counted::from(3)).unwrap();
        let Place::Envelope { id, .. } = sealed.context().place else { panic!("an envelope") };
        (sealed.bytes().to_vec(), id)
    })
}

fn change_envelope(mut input: Input<'_>) {
    let (bytes, id) = sealed_envelope();
    let mut mutant = bytes.clone();
    input.mutate(&mut mutant);
    let _ = Envelope::password_parameters(&mutant);
    match Envelope::open(&world().hybrid, world().code.locator(), *id, mutant.clone()) {
        Ok(envelope) => {
            assert!(mutant == *bytes && envelope.account() == world().account());
            assert!(envelope.verify(&world().roster).is_ok());
        }
        // The version stands in the clear, before anything that a secret opens.
        Err(Error::NewerFormat { .. }) => assert!(mutant[7] > bytes[7]),
        Err(error) => assert!(mutant != *bytes && matches!(error, Error::WrongSecret)),
    }
}

/// A keyring that is read is written in the same bytes, and sealed and opened again has the same keys; what two
/// devices add to it at once comes together to one keyring.
pub fn keyring(data: &[u8]) {
    let Ok(mut wire) = decode_strict::<messages::Keyring>(data, LIMIT, Part::Keyring) else { return };
    let content = |wire: &messages::Keyring| -> Vec<(String, Vec<u32>)> {
        let epochs = |keys: &messages::KindKeys| keys.content_keys.iter().map(|key| key.epoch).collect();
        wire.kinds.iter().map(|keys| (keys.kind.clone(), epochs(keys))).collect()
    };
    let kinds = content(&wire);
    let Some(keyring) = Keyring::take_wire(&mut wire, world().account()) else { return };
    assert!(keyring.to_wire().encode_to_vec() == data);
    let (reference, sealed) = keyring.seal(&root(0), &mut Counted::from(4)).unwrap();
    let again = Keyring::open(world().account(), &roots(), &reference, sealed.bytes().to_vec()).unwrap();
    assert!(again.is_same(&keyring) && again.version() == keyring.version());
    for (kind, epochs) in &kinds {
        let (a, b) = (keyring.kind(kind).unwrap(), again.kind(kind).unwrap());
        assert!(a.chunk_id_key().expose() == b.chunk_id_key().expose());
        assert!(a.chunk_cut_key().expose() == b.chunk_cut_key().expose());
        assert!(a.chunk_id_key().expose() != a.chunk_cut_key().expose());
        let count = |epoch: &u32| epochs.iter().filter(|known| *known == epoch).count();
        assert!(epochs.iter().all(|epoch| a.content_keys(*epoch).count() == count(epoch)));
    }
    if keyring.version() < u64::MAX - 2 {
        unite(&keyring, &kinds);
    }
}

fn unite(keyring: &Keyring, kinds: &[(String, Vec<u32>)]) {
    let [mut one, mut two] = [1, 2].map(|n| {
        let mut next = keyring.duplicate();
        next.complete(&other_root(n), &mut Counted::from(n)).unwrap();
        next
    });
    let (first, second) = (one.duplicate(), two.duplicate());
    one.unite(second).unwrap();
    two.unite(first).unwrap();
    assert!(one.is_same(&two) && one.to_wire() == two.to_wire());
    for (kind, _) in kinds {
        let keys = one.kind(kind).unwrap();
        assert!([1, 2].iter().all(|n| keys.writing_key((7, other_root(*n).id())).is_ok()));
    }
}

/// A root of epoch 7.
fn other_root(n: u8) -> EpochRoot {
    EpochRoot::new(7, secret(0x70 + n))
}
