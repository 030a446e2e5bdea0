//! Attack L2: whoever knows a file and sees where it was cut solves for the key and predicts other cuts.
//!
//! The victim of the first half cuts where bits of a rolling hash that is linear in its key are zero, as
//! keyed Gear, Buzhash and Rabin chunkers do. It is our own window hash without the cipher behind it, so
//! that the two halves differ in nothing else.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "helpers of a test"
)]

use strongroom::{content::Chunker, crypto::Secret};

const WINDOW: usize = 64;
/// Bits of the hash that must be zero at a cut.
const ZEROS: usize = 16;
/// Key bits that reach those: from `-63` to `15`, of each of the eight bits of a byte.
const REACH: usize = WINDOW - 1 + ZEROS;
const UNKNOWNS: usize = 8 * REACH;

/// One equation: the sum of the key bits set here is zero.
type Row = [u64; UNKNOWNS.div_ceil(64)];

fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn bit(row: &Row, at: usize) -> bool {
    row[at / 64] >> (at % 64) & 1 == 1
}

fn add(row: &mut Row, other: &Row) {
    row.iter_mut().zip(other).for_each(|(a, b)| *a ^= b);
}

/// What a cut after `window` says about the key, if a cut means zeros in a linear hash.
fn equations(window: &[u8]) -> impl Iterator<Item = Row> {
    (0..ZEROS).map(|j| {
        let mut row = Row::default();
        for (age, byte) in window.iter().rev().enumerate() {
            for b in (0..8).filter(|b| byte >> b & 1 == 1) {
                let at = b * REACH + j + WINDOW - 1 - age;
                row[at / 64] ^= 1 << (at % 64);
            }
        }
        row
    })
}

/// Gaussian elimination over GF(2), one equation after the other.
#[derive(Default)]
struct Attacker {
    /// Reduced rows and their leading columns.
    rows: Vec<(usize, Row)>,
}

impl Attacker {
    fn reduce(&self, mut row: Row) -> Row {
        for (lead, known) in &self.rows {
            if bit(&row, *lead) {
                add(&mut row, known);
            }
        }
        row
    }

    /// Takes in equations as long as a key other than zero remains possible.
    fn learn(&mut self, window: &[u8]) {
        for row in equations(window) {
            let row = self.reduce(row);
            let lead = (0..UNKNOWNS).find(|at| bit(&row, *at));
            if let Some(lead) = lead.filter(|_| self.rows.len() + 1 < UNKNOWNS) {
                for (_, known) in self.rows.iter_mut().filter(|(_, known)| bit(known, lead)) {
                    add(known, &row);
                }
                self.rows.push((lead, row));
            }
        }
    }

    /// A key that explains what was learned: one free bit set, the others zero.
    fn key(&self) -> Row {
        let free = (0..UNKNOWNS).find(|at| self.rows.iter().all(|(lead, _)| lead != at)).unwrap();
        let mut key = Row::default();
        key[free / 64] |= 1 << (free % 64);
        for (lead, row) in &self.rows {
            if bit(row, free) {
                key[lead / 64] |= 1 << (lead % 64);
            }
        }
        key
    }
}

/// The chunker that is attacked first, and with which the attacker predicts.
struct Linear([u128; 256]);

impl Linear {
    fn new(key: &Row) -> Self {
        let string = |b: usize| {
            (0..REACH).fold(0_u128, |sum, i| {
                let at = (i + 128 - (WINDOW - 1)) % 128;
                sum | u128::from(bit(key, b * REACH + i)) << at
            })
        };
        let strings: [u128; 8] = std::array::from_fn(string);
        Self(std::array::from_fn(|byte| {
            (0..8).filter(|b| byte >> b & 1 == 1).fold(0, |sum, b| sum ^ strings[b])
        }))
    }

    /// Every end of a window at which it would cut.
    fn ends(&self, bytes: &[u8]) -> Vec<usize> {
        let mut state = 0_u128;
        let mut ends = Vec::new();
        for (at, byte) in bytes.iter().enumerate() {
            state = state.rotate_left(1) ^ self.0[usize::from(*byte)];
            if at >= WINDOW {
                state ^= self.0[usize::from(bytes[at - WINDOW])].rotate_left(WINDOW as u32);
            }
            if at + 1 >= WINDOW && state.trailing_zeros() as usize >= ZEROS {
                ends.push(at + 1);
            }
        }
        ends
    }
}

/// How many of the victim's cuts in `fresh` the attacker predicts, after seeing those in `known`.
fn predicted(known: (&[u8], &[usize]), fresh: (&[u8], &[usize])) -> (usize, Attacker) {
    let mut attacker = Attacker::default();
    for end in known.1 {
        attacker.learn(&known.0[end - WINDOW..*end]);
    }
    let guesses = Linear::new(&attacker.key()).ends(fresh.0);
    (fresh.1.iter().filter(|end| guesses.contains(end)).count(), attacker)
}

#[test]
fn attack_l2_linear_algebra_recovers_a_keyed_gear_but_not_our_chunker() {
    let known = random_bytes(1, 48 * 1024 * 1024);
    let fresh = random_bytes(2, 16 * 1024 * 1024);

    let secret = secret();
    let victim = Linear::new(&secret);
    let seen = victim.ends(&known[..6 * 1024 * 1024]);
    let expected = victim.ends(&fresh);
    let (hits, attacker) = predicted((&known, &seen), (&fresh, &expected));
    assert_eq!(attacker.key(), secret, "{} cuts give the key", seen.len());
    assert_eq!(hits, expected.len());

    let ours = Chunker::new(&Secret::take(&mut [9; 32]), 0);
    let seen = ends(&ours, &known);
    let expected = ends(&ours, &fresh);
    let (hits, attacker) = predicted((&known, &seen), (&fresh, &expected));
    // As many equations as the first victim gave away, so the attacker did get to work.
    assert_eq!(attacker.rows.len(), UNKNOWNS - 1);
    assert!(expected.len() > 10);
    // By chance: one cut in 65 536.
    assert_eq!(hits, 0);
}

/// Random key bits.
fn secret() -> Row {
    let bytes = random_bytes(3, UNKNOWNS);
    let mut key = Row::default();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte & 1 == 1) {
        key[at / 64] |= 1 << (at % 64);
    }
    key
}

fn ends(chunker: &Chunker, bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while let Some(length) = chunker.next_cut(&bytes[at..], false) {
        at += length;
        // The maximum says nothing about a window.
        ends.extend(Some(at).filter(|_| length < Chunker::BYTES_MAX));
    }
    ends
}
