//! Where the committed seeds come from: real encoders, and a few mutants.
//!
//! Nothing here is random, so making them again gives the same files.

use prost::Message as _;
use strongroom::{
    content::{ChunkEntry, ChunkId, Compressor, IndexFragment, PackBuilder, PackEntry, StoredFrame},
    crypto::{HybridSecretKey, Label, ObjectKey, PasswordParameters, Secret},
    history::{CommitBody, Head, KindState},
    keys::{
        AccountId, Change, DeviceId, DeviceSecret, ObjectRef, Recipient, RecoveryCode, Roster, Signer,
        SignerId,
    },
    kinds::{Document, ElementReader, FileMeta, FileType, Record, file_key},
    store::ObjectName,
    tree::Root,
    wire::messages::{self, TreeRoot},
};

use super::{
    input::Counted,
    object::templates,
    world::{DEVICE, device_key, member, object_ref, recovery, root, roots, secret, world},
};

/// One input of a target.
pub struct Seed {
    /// The target's name.
    pub target: &'static str,
    /// The file's name.
    pub name: &'static str,
    /// The input.
    pub bytes: Vec<u8>,
}

pub(super) type Seeds = Vec<(&'static str, Vec<u8>)>;

/// All seeds of all targets.
#[must_use]
pub fn all() -> Vec<Seed> {
    let targets: [(&str, Seeds); 17] = [
        ("object", objects()),
        ("recovery_code", codes()),
        ("roster", rosters()),
        ("envelope", envelopes()),
        ("keyring", keyrings()),
        ("invitation", super::enrollment::invitation_seeds()),
        ("enroll_request", super::enrollment::request_seeds()),
        ("commit", commits()),
        ("tree_page", trees()),
        ("index_fragment", fragments()),
        ("pack_directory", packs()),
        ("message_xml", documents()),
        ("vcard", cards()),
        ("record", records()),
        ("path_names", paths()),
        ("chunker", files()),
        ("store_name", names()),
    ];
    let named = |(target, seeds): (_, Seeds)| {
        seeds.into_iter().map(move |(name, bytes)| Seed { target, name, bytes })
    };
    targets.into_iter().flat_map(named).collect()
}

pub(super) fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut mutant = bytes.to_vec();
    mutant[at % bytes.len()] ^= 1;
    mutant
}

pub(super) fn cut(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() * 2 / 3].to_vec()
}

fn objects() -> Seeds {
    let (sealed, _) = &templates()[0];
    let whole = [&[0, 0, 0x40, 0, 0][..], sealed].concat();
    let range = |template: u8, offset: u32, length: u32, changes: &[u8]| {
        [&[1, template][..], &offset.to_le_bytes(), &length.to_le_bytes(), changes].concat()
    };
    vec![
        ("arbitrary-whole", flipped(&whole, 5000)),
        ("unchanged", range(0, 1, 3, &[])),
        ("range-over-segments", range(2, 65_000, 2000, &[])),
        ("range-empty-at-border", range(2, 65_536, 0, &[])),
        ("bit-in-tag", range(2, 0, 70_000, &[0, 0x30, 0, 1, 0, 4])),
        ("segments-swapped", range(2, 0, 140_000, &[3, 0, 1])),
        ("cut-to-half", range(1, 9, 9, &[1, 0, 0x40, 0, 0])),
        ("message-below-the-seal", [&[2, 4, 3, 0, 5, 0, 0, 0][..], b"hello"].concat()),
        ("length-too-large", [&[2, 4, 0, 0, 0xff, 0xff, 0xff, 0xff][..], b"hello"].concat()),
        ("the-same-place", [&[3, 1, 3, 0, 0, 0, 0, 0][..], &[0x0b; 16], b"files"].concat()),
        ("another-kind", [&[3, 1, 3, 0, 0, 0, 0, 0][..], &[0x0b; 16], b"notes"].concat()),
    ]
}

fn codes() -> Seeds {
    let code = world().code.reveal().to_string();
    let device = DeviceSecret::generate(&mut Counted::from(8)).unwrap().reveal().to_string();
    let other = RecoveryCode::generate(&mut Counted::from(0xfe)).unwrap().reveal().to_string();
    vec![
        ("recovery", code.clone().into_bytes()),
        ("device-secret", device.into_bytes()),
        ("upper-case-with-spaces", other.to_uppercase().replace('-', " \n").into_bytes()),
        ("one-wrong", flipped(code.as_bytes(), 12)),
        ("cut", cut(code.as_bytes())),
        // Enough zeros for the randomness of both codes, and the choice of characters after it (I8).
        ("randomness-of-zeros", vec![0; 40]),
        ("no-ascii", "ｑｐｚｒ-ÿ\u{a0}q".as_bytes().to_vec()),
    ]
}

fn rosters() -> Seeds {
    let first = world().roster.clone();
    let (second, hybrid) = (DeviceId([0xd2; 16]), HybridSecretKey::from_seed(secret(0x42)));
    let mut longer = first.clone();
    append(&mut longer, SignerId::Recovery, &Change::AddDevice(member(second, "laptop", &hybrid)), None);
    append(&mut longer, SignerId::Device(DEVICE), &Change::BeginEpoch(1, [1; 16]), None);
    append(
        &mut longer,
        SignerId::Device(DEVICE),
        &Change::RevokeDevice { device: second, last_sequence: 3, last_hash: [3; 32] },
        None,
    );
    let holder = world().code.signing_key();
    let parameters = PasswordParameters::default_with([4; 32]);
    let password =
        Recipient::password(hybrid.public().clone(), [0x11; 16], holder.verifying_key(), parameters);
    let mut with_password = first.clone();
    let by_device = SignerId::Device(DEVICE);
    append(&mut with_password, by_device, &Change::SetPassword(password.clone()), Some(&password));
    append(&mut with_password, by_device, &Change::RemovePassword, None);
    let replaced = recovery(&world().code, &hybrid);
    append(&mut with_password, by_device, &Change::SetRecovery(replaced.clone()), Some(&replaced));
    vec![
        ("genesis", first.encode()),
        ("add-epoch-revoke", longer.encode()),
        ("two-at-once", at_once(&longer)),
        ("revoked-meanwhile", revoked(&first)),
        ("password-and-recovery", with_password.encode()),
        ("bad-signature", flipped(&first.encode(), first.encode().len() - 1)),
        ("cut", cut(&longer.encode())),
    ]
}

/// Two devices go on at once, and one goes on from both.
fn at_once(longer: &Roster) -> Vec<u8> {
    let (mut one, mut two) = (longer.clone(), longer.clone());
    let by_device = SignerId::Device(DEVICE);
    append(&mut one, by_device, &Change::BeginEpoch(2, [2; 16]), None);
    let hybrid = HybridSecretKey::from_seed(secret(0x43));
    append(&mut two, by_device, &Change::AddDevice(member(DeviceId([0xd3; 16]), "tablet", &hybrid)), None);
    one.unite(&two).unwrap();
    append(&mut one, by_device, &Change::BeginEpoch(3, [3; 16]), None);
    one.encode()
}

/// A device that is cut off writes on as if it did not know: it replaces the code, and with it adds another.
fn revoked(first: &Roster) -> Vec<u8> {
    let (second, hybrid) = (DeviceId([0xd2; 16]), HybridSecretKey::from_seed(secret(0x42)));
    let mut honest = first.clone();
    append(&mut honest, SignerId::Recovery, &Change::AddDevice(member(second, "laptop", &hybrid)), None);
    let mut forked = honest.clone();
    let revoke = Change::RevokeDevice { device: second, last_sequence: 0, last_hash: [0; 32] };
    append(&mut honest, SignerId::Device(DEVICE), &revoke, None);
    let replaced = recovery(&world().code, &hybrid);
    append(&mut forked, SignerId::Device(second), &Change::SetRecovery(replaced.clone()), Some(&replaced));
    let ghost = member(DeviceId([0xd4; 16]), "ghost", &hybrid);
    append(&mut forked, SignerId::Recovery, &Change::AddDevice(ghost), None);
    honest.unite(&forked).unwrap();
    assert!(honest.state().device(DeviceId([0xd4; 16])).is_none());
    honest.encode()
}

fn append(roster: &mut Roster, id: SignerId, change: &Change, accepting: Option<&Recipient>) {
    let key = match id {
        SignerId::Device(id) => device_key(id),
        _ => world().code.signing_key(),
    };
    let holder = world().code.signing_key();
    let acceptance = accepting.map(|recipient| recipient.accept(roster.account(), &holder));
    roster.append(&Signer { id, key: &key }, change, acceptance.as_ref(), 1_700_000_000_001).unwrap();
}

fn envelopes() -> Seeds {
    let body = |roots| messages::EnvelopeBody {
        account: world().account().0.to_vec(),
        roots,
        roster: Some(object_ref(1).to_wire()),
        locator: world().code.locator().to_vec(),
        id: vec![9; 16],
    };
    let announced = body(roots().to_wire()).encode_to_vec();
    let root = |epoch, byte| messages::EpochSecret { epoch, root: vec![byte; 32] };
    let several = body(vec![root(0, 5), root(1, 6), root(2, 7)]).encode_to_vec();
    let twice = body(vec![root(0, 5), root(0, 5)]).encode_to_vec();
    let body = announced;
    let signature = device_key(DEVICE).sign(Label::SIGN_ENVELOPE, &body).as_bytes().to_vec();
    let signed = messages::SignedEnvelope { body: body.clone(), signer: DEVICE.0.to_vec(), signature };
    let signed = signed.encode_to_vec();
    vec![
        ("signed", [&[0], &signed[..]].concat()),
        ("body", [&[1], &body[..]].concat()),
        ("signed-cut", [&[0], &cut(&signed)[..]].concat()),
        ("body-flipped", [&[1], &flipped(&body, 20)[..]].concat()),
        ("body-roots-not-announced", [&[1], &several[..]].concat()),
        ("body-root-twice", [&[1], &twice[..]].concat()),
        ("sealed", vec![2]),
        ("sealed-parameters-changed", vec![2, 0, 0xa0, 4, 0, 0, 0xff]),
        ("sealed-ciphertext-changed", vec![2, 4, 0x50, 0, 0, 0, 3, 1, 2, 3]),
        // The byte of the version is not below any seal: a higher one is told apart.
        ("sealed-newer-version", vec![2, 0, 7, 0, 0, 0, 3]),
    ]
}

fn keyrings() -> Seeds {
    let keyring = |kinds: &[(&str, u32)]| {
        let kinds = kinds.iter().map(|(kind, epochs)| messages::KindKeys {
            kind: (*kind).to_owned(),
            content_keys: (0..*epochs)
                .map(|epoch| messages::ContentKey { epoch, root_id: vec![2; 16], key: vec![3; 32] })
                .collect(),
        });
        messages::Keyring {
            account: world().account().0.to_vec(),
            version: 1,
            naming_key: vec![1; 32],
            kinds: kinds.collect(),
        }
        .encode_to_vec()
    };
    let rotated_at_once = {
        let bytes = keyring(&[("files", 2)]);
        let mut wire = messages::Keyring::decode(bytes.as_slice()).unwrap();
        let keys = &mut wire.kinds[0].content_keys;
        keys.push(messages::ContentKey { root_id: vec![4; 16], ..keys[1].clone() });
        wire.encode_to_vec()
    };
    let all = keyring(&[("calls", 1), ("contacts", 1), ("files", 3), ("messages", 2), ("notes", 1)]);
    vec![
        ("five-kinds", all.clone()),
        ("no-kind", keyring(&[])),
        ("kinds-out-of-order", keyring(&[("notes", 1), ("calls", 1)])),
        ("kind-without-key", keyring(&[("calls", 0)])),
        ("two-roots-of-one-epoch", rotated_at_once),
        ("no-naming-key", {
            let mut wire = messages::Keyring::decode(all.as_slice()).unwrap();
            wire.naming_key.clear();
            wire.encode_to_vec()
        }),
        ("cut", cut(&all)),
    ]
}

fn commits() -> Seeds {
    let head = |sequence| Head { sequence, hash: [8; 32] };
    let tree = TreeRoot { page: vec![4; 32], level: 2, entries: 900, size: 70_000 };
    let kind = |kind: &str, root| KindState {
        root,
        index: vec![object_ref(3)],
        merged: vec![(DeviceId([0xd2; 16]), 4)],
        since: 5,
        ..KindState::empty(kind)
    };
    let body = |previous, kinds, seen| CommitBody {
        previous,
        roster: object_ref(1),
        keyring: object_ref(2),
        keyring_version: 1,
        kinds,
        seen,
        nonce: [6; 16],
        device_time_ms: -5,
    };
    let kinds = vec![kind("files", Root::from_wire(&tree).ok()), kind("notes", None)];
    let first = wire_commit(&body(None, Vec::new(), Vec::new()));
    let later = wire_commit(&body(Some(head(6)), kinds, vec![(DeviceId([0xd2; 16]), head(4))]));
    let signature = device_key(DEVICE).sign(Label::SIGN_COMMIT, &later).as_bytes().to_vec();
    let signed = messages::SignedCommit { commit: later.clone(), signature }.encode_to_vec();
    vec![
        ("first", first.clone()),
        ("later", later.clone()),
        ("signed", signed.clone()),
        ("bad-signature", flipped(&signed, signed.len() - 9)),
        ("first-with-previous", {
            let mut wire = messages::Commit::decode(first.as_slice()).unwrap();
            wire.previous = vec![1; 32];
            wire.encode_to_vec()
        }),
        ("cut", cut(&later)),
    ]
}

fn wire_commit(body: &CommitBody) -> Vec<u8> {
    messages::Commit {
        format_version: 1,
        account: world().account().0.to_vec(),
        device: DEVICE.0.to_vec(),
        sequence: body.previous.map_or(1, |head| head.sequence + 1),
        previous: body.previous.map_or_else(Vec::new, |head| head.hash.to_vec()),
        epoch: root(2).epoch(),
        roster: Some(body.roster.to_wire()),
        keyring: Some(body.keyring.to_wire()),
        keyring_version: body.keyring_version,
        kinds: body
            .kinds
            .iter()
            .map(|state| messages::KindState {
                kind: state.kind.clone(),
                root: state.root.map(Root::to_wire),
                index: state.index.iter().map(ObjectRef::to_wire).collect(),
                merged: state
                    .merged
                    .iter()
                    .map(|(device, sequence)| messages::MergedCommit {
                        device: device.0.to_vec(),
                        sequence: *sequence,
                    })
                    .collect(),
                since: state.since,
            })
            .collect(),
        seen: body
            .seen
            .iter()
            .map(|(device, head)| messages::SeenHead {
                device: device.0.to_vec(),
                sequence: head.sequence,
                hash: head.hash.to_vec(),
            })
            .collect(),
        nonce: body.nonce.to_vec(),
        device_time_ms: body.device_time_ms,
    }
    .encode_to_vec()
}

fn trees() -> Seeds {
    let leaves = |keys: &[&str]| messages::TreePage {
        level: 0,
        leaves: keys
            .iter()
            .map(|key| messages::LeafEntry {
                key: key.as_bytes().to_vec(),
                value: b"value".to_vec(),
                size: 5,
            })
            .collect(),
        children: Vec::new(),
    };
    let inner = |level, children: &[(&str, u8, u64)]| messages::TreePage {
        level,
        leaves: Vec::new(),
        children: children
            .iter()
            .map(|(last_key, page, entries)| messages::ChildEntry {
                last_key: last_key.as_bytes().to_vec(),
                page: vec![*page; 32],
                entries: *entries,
                size: entries.wrapping_mul(5),
            })
            .collect(),
    };
    let framed = |pages: &[messages::TreePage]| {
        let framed = pages.iter().map(|page| {
            let bytes = page.encode_to_vec();
            [&(bytes.len() as u16).to_le_bytes()[..], &bytes].concat()
        });
        framed.collect::<Vec<_>>().concat()
    };
    let low = [inner(1, &[("b", 1, 2), ("m", 2, 2)]), leaves(&["a", "b"]), leaves(&["c", "m"])];
    let high = [
        inner(2, &[("d", 1, 4), ("e", 2, 1)]),
        inner(1, &[("b", 3, 2), ("d", 4, 2)]),
        inner(1, &[("e", 5, 1)]),
        leaves(&["a", "b"]),
        leaves(&["c", "d"]),
        leaves(&["e"]),
    ];
    vec![
        ("one-page", framed(&[leaves(&["a", "ab", "b", "m"])])),
        ("two-levels", framed(&low)),
        ("three-levels", framed(&high)),
        ("a-size-that-is-too-much", {
            let [mut top, mut left, right] = low.clone();
            (top.children[0].size, left.leaves[0].size) = (u64::MAX, u64::MAX);
            framed(&[top, left, right])
        }),
        ("page-names-itself", framed(&[inner(1, &[("b", 0, 2), ("c", 0, 2)])])),
        ("keys-out-of-order", framed(&[leaves(&["b", "a"])])),
        ("count-overflows", framed(&[inner(1, &[("a", 1, u64::MAX), ("b", 2, 2)]), leaves(&["a"])])),
        ("page-missing", framed(&[inner(1, &[("b", 1, 2), ("c", 9, 1)]), leaves(&["a", "b"])])),
    ]
}

fn stored(plain: &[u8]) -> StoredFrame {
    let mut compressor = Compressor::new().unwrap();
    StoredFrame::encode(ChunkId::derive(&secret(3), plain), plain.to_vec(), Some(&mut compressor)).unwrap()
}

/// Three chunks in one frame.
fn shared() -> StoredFrame {
    let plain = |n: u8| [b"the same words, and one more: ".repeat(9), vec![n; 9]].concat();
    let named = (0..3).map(plain).map(|plain| (ChunkId::derive(&secret(3), &plain), plain)).collect();
    StoredFrame::encode_together(named, &mut Compressor::new().unwrap()).unwrap().remove(0)
}

fn pack(frames: &[&StoredFrame]) -> PackEntry {
    let mut builder = PackBuilder::new();
    frames.iter().for_each(|frame| builder.push(frame));
    let key = ObjectKey::new(Secret::take(&mut [1; 32]));
    builder.seal(&key, AccountId([1; 16]), 0, "files", &mut Counted::from(2)).unwrap().0
}

fn fragments() -> Seeds {
    let (text, short) = (stored(&b"the same words ".repeat(90)), stored(b"x"));
    let packs = [pack(&[&text, &shared(), &short]), pack(&[&short])];
    let wire = |packs: &[PackEntry], older: &[ObjectRef]| {
        let fragment = IndexFragment::new(packs.to_vec(), older.to_vec(), [[3; 16]].into());
        assert!(fragment.packs().len() == packs.len());
        messages::IndexFragment {
            packs: packs.iter().map(PackEntry::to_wire).collect(),
            older: older.iter().map(ObjectRef::to_wire).collect(),
            lost: if older.is_empty() { Vec::new() } else { vec![vec![3; 16], vec![4; 16]] },
        }
        .encode_to_vec()
    };
    let full = wire(&packs, &[object_ref(5), object_ref(6)]);
    // Hashes of a pack, which are refused.
    let with_hash = |length: usize| {
        let mut wire = messages::IndexFragment::decode(&*full).unwrap();
        wire.packs[0].object.as_mut().unwrap().hash = vec![6; length];
        wire.encode_to_vec()
    };
    vec![
        ("two-packs", full.clone()),
        ("hash-of-a-pack", with_hash(32)),
        ("half-a-hash", with_hash(16)),
        ("older-only", wire(&[], &[object_ref(5)])),
        ("empty", wire(&[], &[])),
        ("explicit-default", [&full[..], &[0x20, 0]].concat()),
        ("cut", cut(&full)),
    ]
}

fn packs() -> Seeds {
    let frames = [stored(&b"the same words ".repeat(90)), stored(b"x"), stored(&[0; 200_000]), shared()];
    let plain = |frames: &[StoredFrame], zeros: usize| {
        let wire = frames.iter().flat_map(StoredFrame::lines).map(ChunkEntry::to_wire).collect();
        let directory = messages::PackDirectory { chunks: wire }.encode_to_vec();
        let length = (directory.len() as u32).to_le_bytes();
        let content: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes().to_vec()).collect();
        [&content[..], &vec![0; zeros], &directory, &length].concat()
    };
    let slot = |plain: u32, at: u32, length: u32, frame: &StoredFrame| {
        let numbers = [plain, at, length].map(|number| number.to_le_bytes());
        [&numbers[0][..3], &numbers[1][..3], &numbers[2][..3], frame.bytes()].concat()
    };
    vec![
        ("three-chunks", plain(&frames[..3], 0)),
        ("shared-frame", plain(&frames[2..], 0)),
        ("frame-without-beginning", plain(&[shared()], 0).split_off(frames[3].bytes().len())),
        ("padded", plain(&frames[..2], 500)),
        ("empty", plain(&[], 40)),
        ("bomb", slot(1000, 0, 1000, &frames[2])),
        ("honest-frame", slot(200_000, 500, 1000, &frames[2])),
        ("padding-not-zero", flipped(&plain(&frames[..1], 500), 300)),
        ("cut", cut(&plain(&frames, 0))),
    ]
}

const SMS: &str = r#"<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>
<!--File Created By SMS Backup & Restore -->
<?xml-stylesheet type="text/xsl" href="sms.xsl"?>
<smses count="2" backup_set="b" backup_date="1700000000000">
  <sms protocol="0" address="+15550100" date="1700000000001" type="1" subject="null" body="Hi &amp; &#55357;&#56838;&#10;!" read="1" />
  <mms date="1700000000002" ct_t="application/vnd.wap.multipart.related" msg_box="1" m_id="m1">
    <parts>
      <part seq="0" ct="image/png" cl="a.png" text="null" data="iVBORw0KGgo=" />
      <part seq="1" ct="text/plain" text="see" />
    </parts>
    <addrs><addr address="+15550101" type="137" charset="106" /></addrs>
  </mms>
</smses>
"#;

const CALLS: &str = r#"<calls count="1"><call number="+15550100" duration="5" date="1700000000003" type="2"
 presentation="1" contact_name='O&apos;B' /></calls>"#;

fn documents() -> Seeds {
    vec![
        ("messages", SMS.into()),
        ("calls", CALLS.into()),
        ("cut", cut(SMS.as_bytes())),
        ("document-type", br#"<!DOCTYPE smses [<!ENTITY a "b">]><smses><sms body="&a;"/></smses>"#.to_vec()),
        ("lone-surrogates", br#"<smses><sms body="&#55357;x&#56838;&#0;" a='"'/></smses>"#.to_vec()),
        ("too-deep", b"<smses><a><b><c><d><e/></d></c></b></a></smses>".to_vec()),
        ("names-no-exporter-uses", r#"<smses><é ü="1"/><sms a,b="2"/></smses>"#.into()),
        (
            "part-without-base64",
            br#"<smses><mms><part data="a b="/><part data="YQ=="/></mms></smses>"#.to_vec(),
        ),
    ]
}

fn cards() -> Seeds {
    let card = "BEGIN:VCARD\r\nVERSION:3.0\r\nitem1.UID:urn:uuid:1\r\n -2\r\nFN:Zoë\r\nEND:VCARD\r\n";
    let nested = "begin:vcard\nVERSION:2.1\nAGENT:\nBEGIN:VCARD\nFN:inner\nEND:VCARD\nFN:B\nend:vcard";
    vec![
        ("one", card.into()),
        ("two-and-blank-lines", format!("\r\n{card}\n \n{nested}").into_bytes()),
        ("byte-order-mark", format!("\u{feff}{card}").into_bytes()),
        ("indented", format!("  {card}\t{card}").into_bytes()),
        ("cut", cut(card.as_bytes())),
        ("text-outside", format!("{card}hello\n").into_bytes()),
    ]
}

fn records() -> Seeds {
    let elements: Vec<_> = ElementReader::new(SMS.as_bytes(), Document::Messages)
        .unwrap()
        .map(|element| element.unwrap())
        .collect();
    let file = |file_type, link_target| {
        let meta = FileMeta {
            file_type,
            mode: 0o644,
            modified_s: -1,
            modified_ns: 999_999_999,
            link_target,
            taken_ms: (file_type == FileType::Regular).then_some(1_700_000_000_000),
        };
        Record::File(meta).encode().unwrap()
    };
    let mut twice = elements[0].clone();
    twice.attributes = vec![twice.attributes[0].clone(); 2];
    let mut all: Seeds = vec![
        ("file", file(FileType::Regular, Vec::new())),
        ("link", file(FileType::Symlink, b"../a".to_vec())),
        ("contact", Record::Contact(b"BEGIN:VCARD\nFN:A\nEND:VCARD\n".to_vec()).encode().unwrap()),
        ("attribute-twice", unchecked(twice)),
        ("file-cut", cut(&file(FileType::Directory, Vec::new()))),
    ];
    let names = ["message", "multimedia-message"];
    all.extend(
        names.into_iter().zip(elements.into_iter().map(|element| Record::Element(element).encode().unwrap())),
    );
    all
}

/// A record that our own writer refuses.
fn unchecked(element: strongroom::wire::messages::XmlElement) -> Vec<u8> {
    use strongroom::wire::messages::{Record, record::Body};
    prost::Message::encode_to_vec(&Record { body: Some(Body::Element(element)) })
}

fn paths() -> Seeds {
    vec![
        ("key", file_key("Documents", &["a", "b.txt"]).unwrap()),
        ("key-of-steps", b"Documents\0..\0x".to_vec()),
        ("key-with-separator", b"Documents\0a/b\\c".to_vec()),
        ("key-empty-part", b"Documents\0\0x".to_vec()),
        ("device", "COM².tar.gz".into()),
        ("stream", b"file.txt:stream".to_vec()),
        ("no-text", b"\xff\xfe".to_vec()),
        // White space of any kind before a device name's dot: `NUL\u{2000}` names a device too.
        ("device-then-white-space", "NUL\u{2000}".into()),
        ("trailing-dot", b"name. .".to_vec()),
    ]
}

fn files() -> Seeds {
    let file = |more: u32, given: u32, text: &[u8]| {
        [&[7, 0][..], &more.to_le_bytes()[..3], &given.to_le_bytes()[..3], &[9, 9, 0], text].concat()
    };
    vec![
        ("short", file(0, 1000, b"abc")),
        ("around-the-minimum", file(128, 589_824, b"")),
        ("longest", file(393_215, 662_144, b"The quick brown fox")),
        ("repeats", file(393_215, 917_000, &[0; 2000])),
    ]
}

fn names() -> Seeds {
    let id = [0xab; 16];
    let commit = ObjectName::commit(&id, 7).to_string();
    vec![
        ("object", ObjectName::object(&id).to_string().into()),
        ("commit", commit.clone().into()),
        ("envelope", ObjectName::envelope(&id, &id).to_string().into()),
        ("upper-case", commit.to_uppercase().into()),
        ("enroll-request", ObjectName::enroll_request(&id).to_string().into()),
        ("enroll-reveal", ObjectName::enroll_reveal(&id).to_string().into()),
        ("enroll-answer", ObjectName::enroll_answer(&id).to_string().into()),
        ("number-too-large", format!("commits/{}/99999999999999999999", "ab".repeat(16)).into()),
        ("device", "D1".repeat(16).into()),
        ("device-with-signs", "+1".repeat(16).into()),
        ("step-up", "objects/../../x".into()),
    ]
}
