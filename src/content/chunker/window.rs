//! The rolling Toeplitz hash of the last 64 bytes.
//!
//! What it computes and why it is universal stands in the chunker's documentation. Table look-ups are
//! indexed by plaintext bytes only, never by the key or the digest (B27).

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes that decide about one cut.
pub(super) const WINDOW_BYTES: usize = 64;
/// Bytes of key: eight strings of 192 bits.
pub(super) const KEY_BYTES: usize = 8 * PLANE_BYTES;

const PLANE_BYTES: usize = 3 * 8;

/// 192 bits, least significant word first, and a word that is zero: what a vector register holds.
pub(super) type Words = [u64; 4];

/// An entry of a table, in one line of the cache.
#[derive(Clone, Copy, Zeroize)]
#[repr(align(32))]
struct Entry(Words);

/// The key, spread out.
#[derive(ZeroizeOnDrop)]
pub(super) struct WindowHash {
    /// What each byte value adds to the state as it enters the window.
    entering: Box<[Entry; 256]>,
    /// What it adds as it leaves: it has been turned 64 times, by one word.
    leaving: Box<[Entry; 256]>,
}

impl WindowHash {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        let mut entering = Box::new([Entry([0; 4]); 256]);
        let (planes, _) = key.as_chunks::<PLANE_BYTES>();
        for (bit, plane) in planes.iter().enumerate() {
            let (words, _) = plane.as_chunks::<8>();
            for (_, entry) in entering.iter_mut().enumerate().filter(|(byte, _)| byte >> bit & 1 == 1) {
                for (sum, word) in entry.0.iter_mut().zip(words) {
                    *sum ^= u64::from_le_bytes(*word);
                }
            }
        }
        let mut leaving = entering.clone();
        for Entry([low, middle, high, _]) in leaving.iter_mut() {
            (*low, *middle, *high) = (*high, *low, *middle);
        }
        Self { entering, leaving }
    }

    /// The state after these bytes.
    pub(super) fn start(&self, window: &[u8; WINDOW_BYTES]) -> WindowState {
        WindowState(window.iter().fold([0; 4], |state, byte| self.push(state, *byte)))
    }

    /// One byte more of a first window, which none leaves yet.
    #[inline(always)]
    pub(super) fn push(&self, state: Words, byte: u8) -> Words {
        add(turn(state), self.entering(byte))
    }

    /// Gives the digest of `state`, moves the window on by one byte, and so on for as many as there are of
    /// `digests`, `entering` and `leaving` (which is `entering`, 64 bytes earlier).
    pub(super) fn roll(
        &self,
        state: &mut WindowState,
        digests: &mut [[u8; 16]],
        entering: &[u8],
        leaving: &[u8],
    ) {
        // A local copy stays in registers; the state itself is pinned to memory by being wiped.
        let mut words = state.0;
        for ((digest, entering), leaving) in digests.iter_mut().zip(entering).zip(leaving) {
            *digest = shorten(words);
            words = add(add(turn(words), self.leaving(*leaving)), self.entering(*entering));
        }
        state.0 = words;
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a byte indexes 256 entries")]
    pub(super) fn entering(&self, byte: u8) -> &Words {
        &self.entering[usize::from(byte)].0
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a byte indexes 256 entries")]
    pub(super) fn leaving(&self, byte: u8) -> &Words {
        &self.leaving[usize::from(byte)].0
    }
}

/// The hash of one window before it is shortened to the digest.
#[derive(ZeroizeOnDrop)]
pub(super) struct WindowState(Words);

/// The digest: bits 0 to 127, little endian. That they are neighbours is what makes them universal.
#[inline(always)]
fn shorten([low, middle, _, _]: Words) -> [u8; 16] {
    (u128::from(middle) << 64 | u128::from(low)).to_le_bytes()
}

#[inline(always)]
fn turn([low, middle, high, _]: Words) -> Words {
    [low << 1 | high >> 63, middle << 1 | low >> 63, high << 1 | middle >> 63, 0]
}

#[inline(always)]
fn add([a0, a1, a2, _]: Words, [b0, b1, b2, _]: &Words) -> Words {
    [a0 ^ b0, a1 ^ b1, a2 ^ b2, 0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Random, SeededRandom};

    /// Bit `j` of the digest, from the matrix: the sum of key bit `(j - age) mod 192` of plane `bit`, over
    /// every set bit of every byte.
    fn digest_bit(key: &[u8; KEY_BYTES], window: &[u8], j: usize) -> u8 {
        let mut sum = 0;
        for (age, byte) in window.iter().rev().enumerate() {
            for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                let at = bit * 192 + (j + 192 - age) % 192;
                sum ^= key[at / 8] >> (at % 8) & 1;
            }
        }
        sum
    }

    fn digest(key: &[u8; KEY_BYTES], window: &[u8]) -> [u8; 16] {
        let mut digest = [0; 16];
        for j in 0..128 {
            digest[j / 8] |= digest_bit(key, window, j) << (j % 8);
        }
        digest
    }

    #[test]
    fn rolling_gives_the_digest_of_the_matrix() {
        let mut random = SeededRandom::new(1);
        let mut key = [0; KEY_BYTES];
        random.fill(&mut key).unwrap();
        let mut bytes = vec![0; 400];
        random.fill(&mut bytes[..200]).unwrap();
        bytes[300..].fill(0xff);
        let hash = WindowHash::new(&key);
        let mut state = hash.start(bytes[..64].try_into().unwrap());
        let mut digests = vec![[0; 16]; bytes.len() - 64];
        // In two goes, as the chunker does.
        let (first, second) = digests.split_at_mut(100);
        hash.roll(&mut state, first, &bytes[64..164], &bytes[..100]);
        hash.roll(&mut state, second, &bytes[164..], &bytes[100..336]);
        for (window, rolled) in bytes.windows(64).zip(digests) {
            assert_eq!(rolled, digest(&key, window));
        }
    }

    /// The universality proof, checked: whatever single bits two windows differ in, the key bits that
    /// decide the digest's difference have full rank, so each of the 2^128 differences is equally likely.
    #[test]
    fn every_difference_of_windows_gives_a_toeplitz_matrix_of_full_rank() {
        let mut random = SeededRandom::new(2);
        for round in 0..64 {
            let mut difference = [0; 64];
            random.fill(&mut difference).unwrap();
            // Sparse, dense, and confined to one end or one plane.
            match round % 4 {
                0 => difference[..63].fill(0),
                1 => difference[1..].fill(0),
                2 => difference.iter_mut().for_each(|byte| *byte &= 0x10),
                _ => {}
            }
            if difference == [0; 64] {
                continue;
            }
            assert_eq!(rank_of_digest_in_key(&difference), 128, "{difference:?}");
        }
    }

    /// Rank over GF(2) of the 128 digest bits as sums of the 1536 key bits.
    fn rank_of_digest_in_key(window: &[u8; 64]) -> usize {
        let mut basis: Vec<[u64; 24]> = Vec::new();
        for j in 0..128 {
            let mut row = [0_u64; 24];
            for (age, byte) in window.iter().rev().enumerate() {
                for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                    let at = bit * 192 + (j + 192 - age) % 192;
                    row[at / 64] ^= 1 << (at % 64);
                }
            }
            for pivot in &basis {
                let lead = leading(pivot).unwrap();
                if row[lead / 64] >> (lead % 64) & 1 == 1 {
                    row.iter_mut().zip(pivot).for_each(|(a, b)| *a ^= b);
                }
            }
            if leading(&row).is_some() {
                basis.push(row);
            }
        }
        basis.len()
    }

    fn leading(row: &[u64; 24]) -> Option<usize> {
        let word = row.iter().position(|word| *word != 0)?;
        Some(word * 64 + row[word].trailing_zeros() as usize)
    }
}
