//! What the chunker promises: cuts by the written rule, the same for every buffer, moved by no change far
//! away, different under every key and epoch.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of a test")]

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use strongroom::{
    content::Chunker,
    crypto::{Label, Secret, derive_from_key},
};

const MIB: usize = 1024 * 1024;

/// The same bytes as `SeededRandom`, which is not there in a build for users.
fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn key(byte: u8) -> Secret<32> {
    Secret::take(&mut [byte; 32])
}

/// Lengths of the chunks of a whole file.
fn cut(chunker: &Chunker, mut rest: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let Some(length) = chunker.next_cut(rest, true) {
        lengths.push(length);
        rest = &rest[length..];
    }
    lengths
}

fn chunks<'a>(chunker: &Chunker, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
    let lengths = cut(chunker, bytes);
    lengths.into_iter().map(|length| bytes.split_off(..length).unwrap()).collect()
}

/// The rule of the module's documentation without rolling, batches or skipping: every window from its
/// bytes. (That the sum of turned strings is the digest's matrix is tested beside the hash.)
struct Reference {
    strings: [(u128, u64); 8],
    cipher: aes::Aes128,
}

impl Reference {
    fn new(key: &Secret<32>, epoch: u32) -> Self {
        let keys = derive_from_key::<208>(key, Label::CHUNKER, &[&epoch.to_le_bytes()]);
        let at = |at: usize| &keys.expose()[at..];
        let string = |b: usize| {
            let low = u128::from_le_bytes(*at(24 * b).first_chunk().unwrap());
            (low, u64::from_le_bytes(*at(24 * b + 16).first_chunk().unwrap()))
        };
        Self {
            strings: std::array::from_fn(string),
            cipher: aes::Aes128::new(&Array(*at(192).first_chunk().unwrap())),
        }
    }

    fn value(&self, window: &[u8]) -> u64 {
        let (mut low, mut high) = (0_u128, 0_u64);
        for byte in window {
            (low, high) = (low << 1 | u128::from(high >> 63), high << 1 | (low >> 127) as u64);
            for (b, string) in self.strings.iter().enumerate() {
                let mask = u64::from(byte >> b & 1).wrapping_neg();
                low ^= string.0 & (u128::from(mask) << 64 | u128::from(mask));
                high ^= string.1 & mask;
            }
        }
        let mut block = Array(low.to_le_bytes());
        self.cipher.encrypt_block(&mut block);
        u64::from_le_bytes(*block.first_chunk().unwrap())
    }

    /// Length of the first chunk of a file.
    fn next_cut(&self, file: &[u8]) -> usize {
        let low = |n: &usize| self.value(&file[n - 64..*n]) < 40_210_710_958_665;
        (589_824..file.len().min(4_194_304)).find(low).unwrap_or(file.len().min(4_194_304))
    }
}

#[test]
fn a_plain_reading_of_the_rule_gives_the_same_cuts() {
    let chunker = Chunker::new(&key(1), 7);
    let reference = Reference::new(&key(1), 7);
    let random = random_bytes(1, 3 * MIB);
    let text = b"the quick brown fox ".repeat(60_000);
    let counter: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    for bytes in [random, text, counter] {
        let mut rest = bytes.as_slice();
        while let Some(length) = chunker.next_cut(rest, true) {
            assert_eq!(length, reference.next_cut(rest));
            rest = &rest[length..];
        }
    }
}

#[test]
fn cuts_do_not_depend_on_the_buffer() {
    let chunker = Chunker::new(&key(2), 0);
    let bytes = random_bytes(2, 6 * MIB);
    let expected = cut(&chunker, &bytes);
    for step in [300_007, MIB, 5 * MIB] {
        let (mut lengths, mut start, mut end) = (Vec::new(), 0, 0);
        while start < bytes.len() {
            end = bytes.len().min(end + step);
            while let Some(length) = chunker.next_cut(&bytes[start..end], end == bytes.len()) {
                lengths.push(length);
                start += length;
            }
        }
        assert_eq!(lengths, expected, "in steps of {step}");
    }
}

#[test]
fn four_mib_are_always_enough_and_less_than_the_minimum_is_one_chunk() {
    let chunker = Chunker::new(&key(2), 0);
    let zeros = vec![0; Chunker::BYTES_MAX];
    assert_eq!(chunker.next_cut(&zeros, false), Some(Chunker::BYTES_MAX));
    assert_eq!(chunker.next_cut(&zeros[1..], false), None);
    for length in [1, 63, 64, Chunker::BYTES_MIN - 1, Chunker::BYTES_MIN] {
        assert_eq!(chunker.next_cut(&zeros[..length], true), Some(length));
        assert_eq!(chunker.next_cut(&zeros[..length], false), None);
    }
    assert_eq!(chunker.next_cut(&[], true), None);
    assert_eq!(chunker.next_cut(&[], false), None);
}

#[test]
fn a_byte_inserted_or_removed_changes_few_chunks() {
    let chunker = Chunker::new(&key(3), 0);
    let bytes = random_bytes(3, 20 * MIB);
    let before = chunks(&chunker, &bytes);
    let middle = bytes.len() / 2;
    let inserted = [&bytes[..middle], &[0x55], &bytes[middle..]].concat();
    let removed = [&bytes[..middle], &bytes[middle + 1..]].concat();
    for changed in [inserted, removed] {
        let after = chunks(&chunker, &changed);
        let new = after.iter().filter(|chunk| !before.contains(chunk)).count();
        assert!(before.len() > 12 && (1..=4).contains(&new), "{new} of {} are new", after.len());
    }
}

#[test]
fn repetitive_bytes_give_chunks_within_the_bounds() {
    let chunker = Chunker::new(&key(4), 0);
    for period in [1, 2, 3, 63, 64, 65, 1000] {
        let pattern = random_bytes(period as u64, period);
        let bytes: Vec<u8> = pattern.into_iter().cycle().take(5 * MIB).collect();
        let lengths = cut(&chunker, &bytes);
        let (_, all_but_last) = lengths.split_last().unwrap();
        let bounds = Chunker::BYTES_MIN..=Chunker::BYTES_MAX;
        assert!(all_but_last.iter().all(|length| bounds.contains(length)), "period {period}: {lengths:?}");
        assert_eq!(lengths.iter().sum::<usize>(), bytes.len());
    }
}

#[test]
fn lengths_past_the_minimum_are_geometric() {
    let chunker = Chunker::new(&key(5), 0);
    let bytes = random_bytes(5, 64 * MIB);
    let lengths = cut(&chunker, &bytes);
    let past = |length: &&usize| **length > Chunker::BYTES_MIN + 317_983; // The median: 458 752 × ln 2.
    let (count, long) = (lengths.len(), lengths.iter().filter(past).count());
    // Five standard deviations and more on either side, for this seed to be no accident.
    assert!((40..=90).contains(&count), "{count} chunks");
    assert!((count / 5..=count * 4 / 5).contains(&long), "{long} of {count} lie beyond the median");
}

#[test]
fn every_key_and_epoch_cuts_in_its_own_way() {
    let bytes = random_bytes(6, 8 * MIB);
    let ends = |key: &Secret<32>, epoch| {
        let mut end = 0;
        let chunker = Chunker::new(key, epoch);
        let mut ends: Vec<usize> = cut(&chunker, &bytes)
            .iter()
            .map(|length| {
                end += length;
                end
            })
            .collect();
        ends.pop();
        ends
    };
    let [one, again] = [(); 2].map(|()| ends(&key(6), 0));
    assert_eq!(one, again);
    for other in [ends(&key(6), 1), ends(&key(7), 0)] {
        assert!(!other.is_empty() && other.iter().all(|end| !one.contains(end)));
    }
}

/// Why the minimum is about half the average: the least of a long file is new when a little of it changed. Places for a cut
/// are drawn here, as the rule makes them: each byte with the same small chance. `--nocapture` prints the table of the
/// chunker's documentation.
#[test]
#[expect(clippy::cast_possible_truncation, reason = "places in a file")]
fn a_minimum_of_about_half_the_average_makes_least_new() {
    const KIB: usize = 1024;
    const FILE: usize = 64 * MIB;
    const ROUNDS: usize = 3000;
    fn draw(random: &mut impl FnMut() -> f64, length: usize, distance: f64) -> Vec<usize> {
        let mut at = 0;
        std::iter::from_fn(|| {
            at += (-random().ln() * distance) as usize + 1;
            Some(at).filter(|at| *at < length)
        })
        .collect()
    }
    fn cut(places: &[usize], length: usize, least: usize) -> Vec<(usize, usize)> {
        let mut start = 0;
        std::iter::from_fn(|| {
            let place = places.get(places.partition_point(|place| *place < start + least));
            let end = place.map_or(length, |place| *place).min(start + Chunker::BYTES_MAX).min(length);
            let chunk = (start, end);
            start = end;
            Some(chunk).filter(|(start, end)| start < end)
        })
        .collect()
    }
    /// KiB that are new beyond the change: `inserted` bytes, or as many overwritten.
    fn new(least: usize, changed: usize, inserts: bool) -> f64 {
        let mut bytes = random_bytes(7, 64 * MIB).into_iter().cycle();
        let mut random = || {
            let draw = u32::from_le_bytes(std::array::from_fn(|_| bytes.next().unwrap()));
            (f64::from(draw) + 0.5) / 4_294_967_296.0
        };
        let distance = (Chunker::BYTES_AVERAGE - least) as f64;
        let mut sum = 0;
        for _ in 0..ROUNDS {
            let (before, at) = (draw(&mut random, FILE, distance), (random() * FILE as f64) as usize);
            let known: std::collections::HashSet<_> = cut(&before, FILE, least).into_iter().collect();
            let (shift, gone) = if inserts { (changed, 64) } else { (0, changed + 64) };
            let fresh = draw(&mut random, changed + 64, distance).into_iter().map(|place| at + place);
            let behind = before.iter().filter(|place| **place >= at + gone).map(|place| place + shift);
            let mut after: Vec<_> = before.iter().copied().filter(|place| *place < at).collect();
            after.extend(fresh.chain(behind));
            after.sort_unstable();
            let is_known = |&(start, end): &(usize, usize)| {
                let behind = start >= at + changed && known.contains(&(start - shift, end - shift));
                behind || (end <= at && known.contains(&(start, end)))
            };
            let chunks = cut(&after, FILE + shift, least);
            sum +=
                chunks.iter().filter(|chunk| !is_known(chunk)).map(|(start, end)| end - start).sum::<usize>();
            sum -= shift;
        }
        sum as f64 / ROUNDS as f64 / KIB as f64
    }
    let changes = [(4 * KIB, false), (100, true), (MIB, true), (10 * MIB, true)];
    let row = |least: usize| changes.map(|(changed, inserts)| new(least * KIB, changed, inserts));
    let table = [256, 384, 512, 576, 640].map(|least| (least, row(least)));
    for (least, row) in table {
        println!("| {least} | {} |", row.map(|kib| format!("{kib:.0}")).join(" | "));
    }
    let sums = table.map(|(least, row)| (least * KIB, row.iter().sum::<f64>()));
    let (_, ours) = sums.into_iter().find(|(least, _)| *least == Chunker::BYTES_MIN).unwrap();
    assert!(sums.iter().all(|(_, sum)| ours < 1.01 * sum), "{sums:?}");
    assert!(sums.iter().any(|(_, sum)| ours < 0.9 * sum), "{sums:?}");
}
