//! Attacks on single sealed objects (docs/THREAT-MODEL.md): whatever the store does to one, it does not
//! open; and what the sealer writes tells nothing.
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

use std::collections::HashSet;

use strongroom::{
    Error, Result,
    crypto::{
        Context, HEADER_BYTES, MAGIC, ObjectKey, ObjectType, Opener, OsRandom, Place, Random, Sealed, Secret,
        SeededRandom, SigningKey, is_object_length, object_lengths, open_message, seal_message,
    },
    keys::{DeviceSecret, EpochRoot, RecoveryCode},
    store::MemoryStore,
    vault::{Environment, NewDevice, SystemClock, Vault},
};

const SEGMENT: usize = 64 * 1024;
const SEALED_SEGMENT: usize = SEGMENT + 16;
const KIB: usize = 1024;

fn key(n: u8) -> ObjectKey {
    ObjectKey::new(Secret::take(&mut [n; 32]))
}

fn context() -> Context {
    Context::new([1; 16], 3, ObjectType::Pack, "files", Place::Object([2; 16]))
}

fn seal(context: Context, message: &[u8]) -> Sealed {
    seal_message(&key(7), context, message, &mut OsRandom).unwrap()
}

/// A message that fills an object of `length` bytes.
fn filling(length: usize) -> Vec<u8> {
    let segments = (length - HEADER_BYTES).div_ceil(SEALED_SEGMENT);
    let room = length - HEADER_BYTES - segments * 16 - 4;
    (0..room).map(|n| (n * 31 + n / 251) as u8).collect()
}

fn open(bytes: Vec<u8>) -> Result<Vec<u8>> {
    open_message(&key(7), &context(), bytes)
}

fn refusal(bytes: Vec<u8>) -> String {
    format!("{:?}", open(bytes).expect_err("the object was accepted"))
}

#[test]
fn attack_i1_a_flip_of_any_byte_is_refused_with_one_and_the_same_error() {
    let sealed = seal(context(), b"the message");
    assert_eq!(open(sealed.bytes().to_vec()).unwrap(), b"the message");
    assert_eq!(sealed.bytes().len(), 16 * KIB);
    let mut errors = HashSet::new();
    for at in 0..sealed.bytes().len() {
        let bits = if at < HEADER_BYTES { 0..8 } else { at % 8..at % 8 + 1 };
        for bit in bits {
            let mut bytes = sealed.bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let error = refusal(bytes);
            let version = at == MAGIC.len() - 1 && bit > 0;
            if version {
                assert!(error.starts_with("NewerFormat"), "{error}");
            } else {
                errors.insert(error);
            }
        }
    }
    assert_eq!(errors.into_iter().collect::<Vec<_>>(), ["Damaged { what: Object }"]);
}

/// The sealed segments of an object, and its header.
fn segments(bytes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (header, body) = bytes.split_at(HEADER_BYTES);
    (header.to_vec(), body.chunks(SEALED_SEGMENT).map(<[u8]>::to_vec).collect())
}

#[test]
fn attack_i2_segments_dropped_doubled_swapped_or_spliced_are_refused() {
    let message = filling(256 * KIB);
    let (one, other) = (seal(context(), &message), seal(context(), &message));
    let (header, parts) = segments(one.bytes());
    let (other_header, other_parts) = segments(other.bytes());
    assert_eq!((one.bytes().len(), parts.len()), (256 * KIB, 4));
    let build = |header: &[u8], parts: &[&Vec<u8>]| {
        let mut bytes = header.to_vec();
        parts.iter().for_each(|part| bytes.extend(*part));
        bytes
    };
    assert_eq!(open(build(&header, &[&parts[0], &parts[1], &parts[2], &parts[3]])).unwrap(), message);
    // Every sequence of the three full segments but the right one: reordered, doubled, dropped.
    for code in 0..27 {
        let order = [code / 9, code / 3 % 3, code % 3];
        let bytes = build(&header, &[&parts[order[0]], &parts[order[1]], &parts[order[2]], &parts[3]]);
        assert_eq!(open(bytes).is_ok(), order == [0, 1, 2], "{order:?}");
    }
    // Any segment of the other version in its own place, and the other header over these segments.
    for n in 0..4 {
        let mut spliced: Vec<&Vec<u8>> = parts.iter().collect();
        spliced[n] = &other_parts[n];
        refusal(build(&header, &spliced));
    }
    refusal(build(&other_header, &[&parts[0], &parts[1], &parts[2], &parts[3]]));
    // One segment fewer or more.
    refusal(build(&header, &[&parts[0], &parts[1], &parts[3]]));
    refusal(build(&header, &[&parts[0], &parts[1], &parts[2], &parts[2], &parts[3]]));
}

#[test]
fn attack_i3_an_object_cut_anywhere_or_lengthened_is_refused() {
    let whole = seal(context(), &filling(256 * KIB)).bytes().to_vec();
    let mut cuts = vec![0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 16];
    let edges = (0..=4).map(|n| (HEADER_BYTES + n * SEALED_SEGMENT).min(whole.len()));
    cuts.extend(edges.chain(object_lengths()).flat_map(|edge| [edge - 1, edge, edge + 1]));
    for cut in cuts {
        let mut bytes = whole.clone();
        bytes.resize(cut, 0);
        assert_eq!(open(bytes).is_ok(), cut == whole.len(), "cut at {cut}");
    }
    // The same by ranges: a shorter length is claimed, so that another segment would be the last.
    for claimed in object_lengths().into_iter().filter(|length| *length != whole.len()) {
        let Ok(opener) = Opener::new(&key(7), &context(), &whole, claimed) else { continue };
        let last = opener.capacity() - 1;
        let (from, length) = opener.stored_range(last, 1).unwrap();
        let mut stored = whole.get(from..).unwrap_or_default().to_vec();
        stored.resize(length, 0);
        assert!(opener.open_range(last, 1, stored).is_err(), "claimed {claimed}");
    }
}

/// Contexts that differ in one or more of everything a context has.
fn contexts() -> Vec<Context> {
    let (a, b) = ([0xa0; 16], [0xb0; 16]);
    let places = [
        Place::Object(a),
        Place::Object(b),
        Place::Commit { device: a, sequence: 1 },
        Place::Commit { device: a, sequence: 1 << 32 },
        Place::Commit { device: b, sequence: 1 },
        Place::Envelope { locator: a, id: b },
        Place::Envelope { locator: b, id: a },
        Place::Envelope { locator: a, id: [0; 16] },
        Place::EnrollRequest(a),
        Place::EnrollAnswer(a),
        Place::EnrollReveal(a),
    ];
    let mut all = Vec::new();
    for object in ObjectType::ALL {
        for place in places {
            for kind in ["", "files", "notes"] {
                for (account, epoch) in [(a, 0), (a, 1), (b, 0)] {
                    all.push(Context::new(account, epoch, object, kind, place));
                }
            }
        }
    }
    all
}

#[test]
fn attack_i4_an_object_in_any_other_context_is_refused() {
    let contexts = contexts();
    let mut opened = 0;
    for (n, context) in contexts.iter().enumerate() {
        let sealed = seal(context.clone(), b"x");
        for (m, served_as) in contexts.iter().enumerate() {
            let opener = Opener::new(&key(7), served_as, sealed.bytes(), sealed.bytes().len());
            assert_eq!(opener.is_ok(), n == m, "{context:?} opened as {served_as:?}");
            opened += usize::from(opener.is_ok());
        }
        assert_eq!(open_message(&key(7), context, sealed.bytes().to_vec()).unwrap(), b"x");
    }
    assert_eq!(opened, 9 * 11 * 3 * 3);
}

#[test]
fn attack_l9_the_same_data_sealed_again_shares_no_block() {
    let mut seen: HashSet<[u8; 16]> = HashSet::new();
    for _ in 0..100 {
        let sealed = seal(context(), b"the same message again and again");
        let own: HashSet<[u8; 16]> = sealed.bytes().windows(16).map(|w| w.try_into().unwrap()).collect();
        assert!(seen.is_disjoint(&own), "two objects share sixteen bytes");
        seen.extend(own);
    }
    assert!(seen.len() > 1_600_000);
}

#[test]
fn attack_i7_a_random_source_that_repeats_itself_gives_other_objects_other_keys() {
    let (one, two) = (filling(16 * KIB), filling(16 * KIB).iter().map(|b| b ^ 0x55).collect::<Vec<_>>());
    let seal = |context: Context, message: &[u8]| {
        let sealed = seal_message(&key(7), context, message, &mut SeededRandom::new(1)).unwrap();
        sealed.bytes().to_vec()
    };
    let elsewhere = Context::new([1; 16], 3, ObjectType::Pack, "files", Place::Object([9; 16]));
    let other_kind = Context::new([1; 16], 3, ObjectType::Pack, "notes", Place::Object([2; 16]));
    let objects = [
        (seal(context(), &one), &one),
        (seal(context(), &two), &two),
        (seal(elsewhere, &one), &one),
        (seal(other_kind, &one), &one),
    ];
    for (n, (a, plain_a)) in objects.iter().enumerate() {
        for (b, plain_b) in objects.iter().skip(n + 1) {
            assert_ne!(a[8..32], b[8..32], "two objects have one salt");
            assert_ne!(a[32..64], b[32..64], "two objects have one key");
            let xor = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| a ^ b).collect::<Vec<_>>();
            let ciphertexts = xor(&a[HEADER_BYTES..], &b[HEADER_BYTES..]);
            let plaintexts = xor(plain_a, plain_b);
            assert!(ciphertexts.windows(16).zip(plaintexts.windows(16)).all(|(c, p)| c != p));
        }
    }
}

/// A source that gives only zeros.
struct Zeros;

impl Random for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        bytes.fill(0);
        Ok(())
    }
}

/// A source that fails after so many calls.
struct FailsAfter(u32);

impl Random for FailsAfter {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.0 = self.0.checked_sub(1).ok_or(Error::Randomness)?;
        OsRandom.fill(bytes)
    }
}

#[test]
fn attack_i8_no_key_and_no_object_is_made_from_zeros_or_without_randomness() {
    let sources: [fn() -> Box<dyn Random>; 2] = [|| Box::new(Zeros), || Box::new(FailsAfter(0))];
    for source in sources {
        let mut source = source();
        let source = source.as_mut();
        assert!(matches!(Secret::<32>::generate(source), Err(Error::Randomness)));
        assert!(matches!(SigningKey::generate(source), Err(Error::Randomness)));
        assert!(matches!(EpochRoot::generate(0, source), Err(Error::Randomness)));
        assert!(matches!(RecoveryCode::generate(source), Err(Error::Randomness)));
        assert!(matches!(DeviceSecret::generate(source), Err(Error::Randomness)));
        assert!(matches!(seal_message(&key(7), context(), b"x", source), Err(Error::Randomness)));
    }
    let create = |random: Box<dyn Random>| {
        let store = MemoryStore::new();
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::new(Box::new(SystemClock), random);
        let device = NewDevice::named("phone").unwrap();
        let code = RecoveryCode::generate(&mut OsRandom).unwrap();
        let made = Vault::create_in(store.clone(), folder.path(), device, &code, environment);
        made.map(drop).map_err(|error| (error, store.traffic().puts))
    };
    assert!(matches!(create(Box::new(Zeros)), Err((Error::Randomness, 0))), "zeros were sent as keys");
    let mut calls = 0;
    while let Err((error, _)) = create(Box::new(FailsAfter(calls))) {
        assert!(matches!(error, Error::Randomness), "{error} after {calls} calls");
        calls += 1;
    }
    assert!(calls > 10);
}

#[test]
fn attack_i9_a_damaged_segment_gives_out_nothing_and_its_neighbours_still_open() {
    let sealed = seal(context(), &filling(256 * KIB));
    let opener = Opener::new(&key(7), &context(), sealed.bytes(), sealed.bytes().len()).unwrap();
    let plain = opener.open_all(sealed.bytes().to_vec()).unwrap();
    let mut bytes = sealed.bytes().to_vec();
    bytes[HEADER_BYTES + SEALED_SEGMENT + 5] ^= 1;
    assert!(opener.open_all(bytes.clone()).is_err());
    let read = |offset, length| {
        let (from, stored) = opener.stored_range(offset, length).unwrap();
        opener.open_range(offset, length, bytes[from..from + stored].to_vec())
    };
    for (offset, length) in [(SEGMENT, 1), (SEGMENT - 1, 2), (0, 3 * SEGMENT), (2 * SEGMENT - 1, 1)] {
        assert!(read(offset, length).is_err(), "{length} bytes from {offset}");
    }
    for (offset, length) in [(0, SEGMENT), (2 * SEGMENT, SEGMENT), (3 * SEGMENT + 9, 100)] {
        assert_eq!(read(offset, length).unwrap(), plain[offset..offset + length]);
    }
    // A range of another segment, served where this one was asked for.
    let (from, stored) = opener.stored_range(0, 10).unwrap();
    let (wrong, _) = opener.stored_range(2 * SEGMENT, 10).unwrap();
    assert!(opener.open_range(0, 10, sealed.bytes()[from..from + stored].to_vec()).is_ok());
    assert!(opener.open_range(0, 10, sealed.bytes()[wrong..wrong + stored].to_vec()).is_err());
    assert!(opener.open_range(0, 10, sealed.bytes()[from..from + stored - 1].to_vec()).is_err());
}

#[test]
fn attack_v1_another_version_number_is_refused() {
    let sealed = seal(context(), b"x");
    for version in [0, 2, 255] {
        let mut bytes = sealed.bytes().to_vec();
        bytes[7] = version;
        match open(bytes).expect_err("another version was accepted") {
            Error::NewerFormat { needed, supported: 1 } => assert_eq!(needed, u32::from(version)),
            error => assert!(version == 0 && error.is_damage(), "{error}"),
        }
    }
}

/// Whoever can name an algorithm can name a weak one: the version of the format says all of it.
#[test]
fn attack_v2_no_message_and_no_call_names_an_algorithm() {
    let word = |line: &str| {
        let line = line.split("//").next().unwrap_or_default().to_lowercase();
        ["algorithm", "cipher", "suite", "kdf", "digest", "curve", "scheme"]
            .iter()
            .any(|word| line.contains(word) && !line.contains("ciphertext"))
    };
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut fields = 0;
    for entry in std::fs::read_dir(root.join("proto/strongroom/v1")).unwrap() {
        for line in std::fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            fields += usize::from(line.contains(" = "));
            assert!(!word(line), "{line}");
        }
    }
    assert!(fields > 50, "{fields}");
    // Every bit of the header but the salt's and the commitment's is fixed.
    let sealed = seal(context(), b"x");
    for bit in 0..64 {
        let mut bytes = sealed.bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(open(bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn every_range_around_the_borders_of_segments_equals_the_whole() {
    for length in [16 * KIB, 64 * KIB, 128 * KIB, 256 * KIB] {
        assert!(is_object_length(length));
        let sealed = seal(context(), &filling(length));
        let opener = Opener::new(&key(7), &context(), &sealed.bytes()[..HEADER_BYTES], length).unwrap();
        let plain = opener.open_all(sealed.bytes().to_vec()).unwrap();
        assert_eq!(plain.len(), opener.capacity());
        let mut edges: Vec<usize> =
            (0..=4).flat_map(|n| [n * SEGMENT, n * SEGMENT + 1, n * SEGMENT + 9]).collect();
        edges.extend((1..=4).map(|n| n * SEGMENT - 1));
        edges.extend([plain.len() - 1, plain.len(), plain.len() + 1]);
        for from in &edges {
            for to in edges.iter().filter(|to| *to > from) {
                match opener.stored_range(*from, to - from) {
                    Some((at, stored)) => {
                        let stored = sealed.bytes()[at..at + stored].to_vec();
                        assert_eq!(opener.open_range(*from, to - from, stored).unwrap(), plain[*from..*to]);
                    }
                    None => assert!(*to > plain.len(), "{from}..{to}"),
                }
            }
        }
        assert_eq!(opener.stored_range(usize::MAX, 1), None);
        assert_eq!(opener.stored_range(1, usize::MAX), None);
    }
}
