//! The rolling hash at eight places of a file at a time, in the vector registers of x86-64.
//!
//! One place has to wait for its own last step; eight keep the processor busy. The digests are those of
//! `window`, bit for bit.

use core::array::from_fn;
use std::arch::x86_64::{
    __m256i, _mm256_or_si256, _mm256_permute4x64_epi64, _mm256_shldi_epi64, _mm256_slli_epi64,
    _mm256_srli_epi64, _mm256_ternarylogic_epi64, _mm256_xor_si256,
};

use fearless_simd::{Avx2, Avx512, Level, prelude::*, u8x32, u8x64, u32x8, u32x16, u64x4};
use zeroize::Zeroize;

use super::{
    LOW_BITS, is_low,
    window::{WINDOW_BYTES, WindowHash, Words},
};
use crate::crypto::CutCipher;

/// Places that are hashed at a time.
const LANES: usize = 8;
/// Digests of one place at a time.
const STEP: usize = 32;
/// Bytes from one place to the next: about 3 KiB, where beginning anew costs as much as what is looked at in vain
/// behind a cut. No power of two, which would put all places into the same lines of the first cache.
const STRIDE: usize = 102 * STEP;
/// Bytes that one step sees: the windows of all places and what enters them.
const SEEN_BYTES: usize = (LANES - 1) * STRIDE + WINDOW_BYTES + STEP;

/// Windows that [`Lanes::first_low`] looks at.
pub(super) const BLOCK: usize = LANES * STRIDE;

/// The digests of one step, one place's after the other's: in whole lines of the cache, so that no register of
/// four digests lies across two.
#[derive(Clone, Copy, Zeroize)]
#[repr(align(64))]
pub(super) struct Digests([[u8; 16]; LANES * STEP]);

/// None yet.
pub(super) const NO_DIGESTS: Digests = Digests([[0; 16]; LANES * STEP]);

/// The vector registers of this processor.
#[derive(Clone, Copy)]
pub(super) enum Lanes {
    Avx2(Avx2),
    Avx512(Avx512),
}

impl Lanes {
    /// None if they are too narrow.
    pub(super) fn detect() -> Option<Self> {
        let level = Level::new();
        level.as_avx512().map(Self::Avx512).or_else(|| level.as_avx2().map(Self::Avx2))
    }

    /// The second choice, where there are two.
    #[cfg(test)]
    pub(super) fn narrower() -> Option<Self> {
        Level::new().as_avx2().map(Self::Avx2)
    }

    /// The first of [`BLOCK`] windows whose enciphered digest is low, counted from the one at the beginning of
    /// `bytes`. None also if there are too few bytes.
    pub(super) fn first_low(
        self,
        hash: &WindowHash,
        cipher: &CutCipher,
        bytes: &[u8],
        digests: &mut Digests,
    ) -> Option<usize> {
        let mut states = [[0; 4]; LANES];
        self.start(hash, &mut states, bytes.first_chunk()?);
        let mut first = None;
        for step in (0..STRIDE).step_by(STEP) {
            self.roll(hash, &mut states, digests, bytes.get(step..)?.first_chunk()?);
            cipher.encipher(&mut digests.0);
            if self.may_be_low(digests) {
                let lanes = digests.0.chunks(STEP).enumerate();
                let found = lanes.filter_map(|(lane, digests)| {
                    Some(lane * STRIDE + step + digests.iter().position(is_low)?)
                });
                first = found.chain(first).min();
                // Nothing comes before what the first place finds.
                if first.is_some_and(|first| first < STRIDE) {
                    break;
                }
            }
        }
        states.zeroize();
        first
    }

    /// Gives the state of each place.
    fn start(self, hash: &WindowHash, states: &mut [Words; LANES], bytes: &[u8; SEEN_BYTES]) {
        match self {
            Self::Avx2(avx2) => start_avx2(avx2, hash, states, bytes),
            Self::Avx512(avx512) => start_avx512(avx512, hash, states, bytes),
        }
    }

    /// Gives the digests of all places, and moves each place on.
    fn roll(
        self,
        hash: &WindowHash,
        states: &mut [Words; LANES],
        digests: &mut Digests,
        bytes: &[u8; SEEN_BYTES],
    ) {
        match self {
            Self::Avx2(avx2) => roll_avx2(avx2, hash, states, digests, bytes),
            Self::Avx512(avx512) => roll_avx512(avx512, hash, states, digests, bytes),
        }
    }

    /// Whether any part of the digests is as low as the upper half of a low value: seldom, if none is low.
    fn may_be_low(self, digests: &Digests) -> bool {
        match self {
            Self::Avx2(avx2) => any_low_avx2(avx2, digests),
            Self::Avx512(avx512) => any_low_avx512(avx512, digests),
        }
    }
}

/// A state turned by one bit.
macro_rules! turned {
    ($state:expr, $turn:expr) => {{
        let state: __m256i = $state.into();
        // Each word's neighbour; the fourth, which is not used, stays zero.
        $turn(state, _mm256_permute4x64_epi64::<0b11_01_00_10>(state))
    }};
}

/// What `window` does with one state, for all: `$turn` is the turn by one bit, given each word's neighbour, `$add` the
/// sum of three.
macro_rules! rolling {
    ($level:ident, [$start:ident, $roll:ident, $any_low:ident], $bytes:ident, $words:ident, $turn:expr, $add:expr) => {
        fearless_simd::kernel!(
            #[expect(clippy::indexing_slicing, reason = "every index is below a constant")]
            fn $start(
                simd: $level,
                hash: &WindowHash,
                states: &mut [Words; LANES],
                bytes: &[u8; SEEN_BYTES],
            ) {
                let mut lanes = [u64x4::splat(simd, 0); LANES];
                for at in 0..WINDOW_BYTES {
                    for lane in 0..LANES {
                        let entering = u64x4::load_array_ref(simd, hash.entering(bytes[lane * STRIDE + at]));
                        let turned: u64x4<$level> = turned!(lanes[lane], $turn).simd_into(simd);
                        lanes[lane] = turned ^ entering;
                    }
                }
                for (lane, state) in lanes.iter().zip(states) {
                    lane.store_array(state);
                }
            }
        );
        fearless_simd::kernel!(
            #[expect(clippy::indexing_slicing, reason = "every index is below a constant")]
            fn $roll(
                simd: $level,
                hash: &WindowHash,
                states: &mut [Words; LANES],
                digests: &mut Digests,
                bytes: &[u8; SEEN_BYTES],
            ) {
                let mut lanes: [u64x4<$level>; LANES] = from_fn(|lane| u64x4::load_array(simd, states[lane]));
                for at in 0..STEP {
                    for lane in 0..LANES {
                        let state = lanes[lane];
                        state.split().0.to_bytes().store_array(&mut digests.0[lane * STEP + at]);
                        let [leaving, entering] =
                            [bytes[lane * STRIDE + at], bytes[lane * STRIDE + WINDOW_BYTES + at]];
                        let leaving = u64x4::load_array_ref(simd, hash.leaving(leaving));
                        let entering = u64x4::load_array_ref(simd, hash.entering(entering));
                        lanes[lane] =
                            $add(turned!(state, $turn), leaving.into(), entering.into()).simd_into(simd);
                    }
                }
                for (lane, state) in lanes.iter().zip(states) {
                    lane.store_array(state);
                }
            }
        );
        fearless_simd::kernel!(
            fn $any_low(simd: $level, digests: &Digests) -> bool {
                let (parts, _) = digests.0.as_flattened().as_chunks();
                let mut lowest = $words::splat(simd, u32::MAX);
                for part in parts {
                    let values: $words<$level> = $bytes::load_array_ref(simd, part).bitcast();
                    lowest = lowest.min(values);
                }
                (lowest >> LOW_BITS).simd_eq($words::splat(simd, 0)).any_true()
            }
        );
    };
}

rolling!(
    Avx2,
    [start_avx2, roll_avx2, any_low_avx2],
    u8x32,
    u32x8,
    |state: __m256i, below: __m256i| {
        _mm256_or_si256(_mm256_slli_epi64::<1>(state), _mm256_srli_epi64::<63>(below))
    },
    |a: __m256i, b: __m256i, c: __m256i| _mm256_xor_si256(a, _mm256_xor_si256(b, c))
);
rolling!(
    Avx512,
    [start_avx512, roll_avx512, any_low_avx512],
    u8x64,
    u32x16,
    |state: __m256i, below: __m256i| _mm256_shldi_epi64::<1>(state, below),
    |a: __m256i, b: __m256i, c: __m256i| _mm256_ternarylogic_epi64::<0b1001_0110>(a, b, c)
);

#[cfg(test)]
mod tests {
    use super::super::LOW_BELOW;
    use super::*;
    use crate::{
        content::chunker::window::KEY_BYTES,
        crypto::{Random, SeededRandom},
    };

    fn all() -> Vec<Lanes> {
        Lanes::detect().into_iter().chain(Lanes::narrower()).collect()
    }

    #[test]
    fn a_low_value_is_seen_wherever_it_is() {
        for lanes in all() {
            let none = Digests([[0xff; 16]; LANES * STEP]);
            assert!(!lanes.may_be_low(&none));
            for at in 0..LANES * STEP {
                for value in [0, 1 << 32, LOW_BELOW - 1] {
                    let mut digests = none;
                    digests.0[at][..8].copy_from_slice(&value.to_le_bytes());
                    assert!(lanes.may_be_low(&digests), "{value} at {at}");
                }
                let mut digests = none;
                digests.0[at][..8].copy_from_slice(&(LOW_BELOW << 2).to_le_bytes());
                assert!(!lanes.may_be_low(&digests), "nothing is low at {at}");
            }
        }
    }

    #[test]
    fn each_place_begins_as_one_alone_does() {
        let mut random = SeededRandom::new(3);
        let (mut key, mut bytes) = ([0; KEY_BYTES], vec![0; SEEN_BYTES]);
        random.fill(&mut key).unwrap();
        random.fill(&mut bytes).unwrap();
        let hash = WindowHash::new(&key);
        for lanes in all() {
            let mut states = [[0; 4]; LANES];
            lanes.start(&hash, &mut states, bytes.first_chunk().unwrap());
            for (lane, state) in states.into_iter().enumerate() {
                let window = &bytes[lane * STRIDE..][..WINDOW_BYTES];
                assert_eq!(state, window.iter().fold([0; 4], |state, byte| hash.push(state, *byte)));
            }
        }
    }
}
