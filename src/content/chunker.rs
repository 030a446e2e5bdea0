//! Content-defined cuts of changing files: where a file is cut follows from its bytes and a secret key.
//!
//! A change in the middle of a file moves few cuts, so most chunks are found again. Where the cuts fall
//! tells nobody without the key which file it is, and known or chosen files do not reveal the key (L1,
//! L2). Frozen: the same bytes under the same key and epoch are cut the same way by every build. Write-once
//! media is not cut here but into pieces of one length ([`media_piece`]).
//!
//! # The rule (FORMAT F-23)
//!
//! All integers are little endian; bit `i` of a string of bytes is bit `i mod 8` (least significant
//! first) of byte `i / 8`.
//!
//! 1. Keys. From the chunk cut key of the kind (32 bytes) and the epoch, HKDF-Expand with the label
//!    `strongroom/v1/cut/chunker` and the epoch as 4 bytes gives 208 bytes: eight strings `K_0 … K_7` of
//!    192 bits (24 bytes each), then an AES-128 key of 16 bytes.
//! 2. Digest of a window of 64 bytes. The newest byte has age 0, the oldest age 63. Bit `j` (0 to 127) of
//!    the digest is the sum modulo 2, over every age `a` and every bit `b` that is set in the byte of age
//!    `a`, of bit `(j - a) mod 192` of `K_b`.
//! 3. Value of a window: encipher the 16 bytes of the digest with AES-128; the first 8 bytes are the
//!    value, a `u64`.
//! 4. Cut. A chunk ends after its `n`-th byte, for the smallest `n` such that `n` is at least 589 824 and
//!    the value of the chunk's last 64 bytes is below 40 210 710 958 665; or after 4 194 304 bytes; or where
//!    the file ends. The next chunk starts afresh: nothing before the cut has any influence.
//!
//! That number is 2^64 divided by 458 752, the distance from the minimum to the average. The distance past
//! the minimum is therefore geometric; one chunk in 2600 meets the maximum.
//!
//! # Why the minimum is nine sixteenths of the average
//!
//! No window before the minimum is looked at, so more than half of a file costs nothing. And the closer
//! the chunks are to one length, the less of a file is new when a little of it changes. Simulated (`cargo
//! test --test chunker_cuts a_minimum -- --nocapture`), 3000 changes of files of 64 MiB, average 1 MiB, KiB that are
//! new beyond the change itself:
//!
//! | minimum, KiB | 4 KiB overwritten | 100 bytes inserted | 1 MiB inserted | 10 MiB inserted |
//! |---|---|---|---|---|
//! | 256 | 1553 | 1579 | 1621 | 1625 |
//! | 384 | 1399 | 1398 | 1515 | 1502 |
//! | 512 | 1263 | 1257 | 1537 | 1498 |
//! | 576 | 1239 | 1214 | 1546 | 1572 |
//! | 640 | 1180 | 1172 | 1670 | 1641 |
//!
//! Of the two that make least new in sum, 512 and 576, the higher one looks at an eighth less.
//!
//! # How it rolls
//!
//! Let `T(byte)` be the sum of those `K_b` whose bit is set in `byte`: a table of 256 entries of 192 bits.
//! Let the state be 192 bits. For each byte, turn the state left by one bit (bit 191 becomes bit 0), add
//! `T(entering)`, and add `T(leaving)` turned left by 64 bits. The digest is the state's first 128 bits.
//!
//! # Why it is built like this
//!
//! After Truong, Merz, Scarlata, Günther and Paterson, "Breaking and Fixing Content-Defined Chunking"
//! (eprint 2025/558): a universal hash of the window, then a pseudorandom function, so that cuts are
//! independent coins and no equation about the keys can be read from them. Two windows share a coin only
//! if they are equal or their digests collide.
//!
//! *Universal.* For one `b`, the digest is a 128 × 64 matrix over GF(2), constant along diagonals, times the
//! 64 bits that the window has at `b`. Its diagonals are the key bits `(j - a) mod 192`; `j - a` runs from
//! -63 to 127, which are 191 different key bits, so turning never makes one bit serve two diagonals. The
//! whole digest is eight such independent Toeplitz matrices side by side (Mansour, Nisan, Tiwari 1990;
//! Krawczyk 1994). Take two windows that differ, a `b` at which they differ, and the greatest age `a` at
//! which they differ there: going down from `j = 127`, each bit of the difference of the digests contains
//! key bit `j - a`, which no earlier one contained. So the difference is uniform, and two different windows
//! collide with probability 2^-128 exactly, over keys that are uniform. Among 2^40 windows (1 TiB of one
//! kind in one epoch) the chance of any collision is below 2^-48; a digest of 64 bits would collide after
//! 4 GiB.
//!
//! *Exactly 64 bytes.* Letting old bytes drift out of the state, as a Gear hash does, would be cheaper; but
//! windows that differ far back would then collide or not depending on single bits of the key.
//!
//! *Look-ups* are indexed by plaintext bytes only; Rabin's reduction table is indexed by the secret digest
//! (B27).
//!
//! *What is left.* Equal windows cut equally under one key and epoch: repeats within a file show as repeats
//! of chunk lengths, to whoever sees lengths (packs hide them).

mod candidates;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod pieces;
mod window;

use zeroize::Zeroizing;

use self::window::{KEY_BYTES, WINDOW_BYTES, WindowHash};
use crate::crypto::{CutCipher, Label, Secret, derive_from_key};
use crate::limits::CHUNK_BYTES_MAX;

pub(crate) use candidates::Candidates;
pub use pieces::{MEDIA_PIECE_BYTES, media_piece};

/// Finds the cuts of one kind's files in one epoch.
///
/// ```
/// use strongroom::{content::Chunker, crypto::Secret};
///
/// let chunker = Chunker::new(&Secret::take(&mut [7; 32]), 0);
/// let file = vec![1; 10_000_000];
/// let mut rest = file.as_slice();
/// let mut chunks = 0;
/// while let Some(length) = chunker.next_cut(rest, true) {
///     rest = &rest[length..];
///     chunks += 1;
/// }
/// assert_eq!(chunks, 3);
/// ```
pub struct Chunker {
    hash: WindowHash,
    cipher: CutCipher,
    #[cfg(target_arch = "x86_64")]
    lanes: Option<lanes::Lanes>,
}

impl Chunker {
    /// Shortest chunk, but for the last of a file.
    pub const BYTES_MIN: usize = 576 * 1024;
    /// What chunks of random bytes measure on average, but for the maximum.
    pub const BYTES_AVERAGE: usize = 1024 * 1024;
    /// Longest chunk.
    pub const BYTES_MAX: usize = CHUNK_BYTES_MAX;
    /// Bytes that decide about one cut.
    pub(crate) const WINDOW_BYTES: usize = WINDOW_BYTES;

    /// The cuts under the chunk cut key of a kind, in `epoch`.
    #[must_use]
    pub fn new(key: &Secret<32>, epoch: u32) -> Self {
        let material = derive_from_key::<{ KEY_BYTES + 16 }>(key, Label::CHUNKER, &[&epoch.to_le_bytes()]);
        #[expect(clippy::expect_used, reason = "the length was asked for in the line above")]
        let (hash, cipher) = material.expose().split_first_chunk().expect("more than KEY_BYTES");
        #[expect(clippy::expect_used, reason = "as above")]
        let cipher = cipher.first_chunk().expect("16 bytes more");
        Self {
            hash: WindowHash::new(hash),
            cipher: CutCipher::new(cipher),
            #[cfg(target_arch = "x86_64")]
            lanes: lanes::Lanes::detect(),
        }
    }

    /// Length of the first chunk of `bytes`, which begin where a chunk begins; `at_end` says that the
    /// file ends with them. `None` asks for more bytes, or says that there are none left at the end.
    ///
    /// The answer does not depend on how many bytes were given, only its coming does: 4 MiB are always
    /// enough. Each call starts from nothing, so give 4 MiB whenever the file has them.
    #[must_use]
    pub fn next_cut(&self, bytes: &[u8], at_end: bool) -> Option<usize> {
        let bytes = bytes.get(..Self::BYTES_MAX).unwrap_or(bytes);
        let whole = at_end || bytes.len() == Self::BYTES_MAX;
        let rest = Some(bytes.len()).filter(|length| whole && *length > 0);
        self.first_candidate(bytes).or(rest)
    }

    /// The first length, from the minimum up and shorter than `bytes`, at which the window's value is low.
    fn first_candidate(&self, bytes: &[u8]) -> Option<usize> {
        self.first_window(bytes.get(Self::BYTES_MIN - WINDOW_BYTES..)?).map(|at| Self::BYTES_MIN + at)
    }

    /// Whether searching a file costs so little that one thread at a time does it for several.
    pub(crate) fn is_fast(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let is_fast = self.lanes.is_some();
        #[cfg(not(target_arch = "x86_64"))]
        let is_fast = false;
        is_fast
    }

    /// Where a block of a file may be cut, wherever its chunks begin; `block` as in [`Self::first_place`].
    pub(crate) fn candidates(&self, block: &[u8]) -> Candidates {
        Candidates::find(self, block)
    }

    /// The first place from `from` on and before `end` in a block of a file at which a chunk may end, counted from the
    /// block's first byte. In `block` the bytes come after the [`Self::WINDOW_BYTES`] before them.
    pub(crate) fn first_place(&self, block: &[u8], from: usize, end: usize) -> Option<usize> {
        let end = end.saturating_add(WINDOW_BYTES).min(block.len());
        self.first_window(block.get(from..end)?).and_then(|at| at.checked_add(from))
    }

    /// The first window whose value is low, but for the one that the bytes end with.
    fn first_window(&self, windows: &[u8]) -> Option<usize> {
        let (passed, found) = self.first_in_lanes(windows);
        found.or_else(|| Some(passed + self.first_low(windows.get(passed..)?)?))
    }

    /// The first window whose value is low, one after the other. The window that the bytes end with does not
    /// count: after it the chunk ends in any case, or nobody knows yet.
    fn first_low(&self, windows: &[u8]) -> Option<usize> {
        let (window, entering) = windows.split_first_chunk()?;
        let mut state = self.hash.start(window);
        let mut digests = Zeroizing::new([[0; 16]; BATCH]);
        for (batch, (entering, leaving)) in entering.chunks(BATCH).zip(windows.chunks(BATCH)).enumerate() {
            let digests = digests.get_mut(..entering.len())?;
            self.hash.roll(&mut state, digests, entering, leaving);
            self.cipher.encipher(digests);
            if let Some(at) = digests.iter().position(is_low) {
                return Some(batch * BATCH + at);
            }
        }
        None
    }

    /// The same, many at a time, as far as the processor can: how many windows were passed, or which was low.
    #[cfg(target_arch = "x86_64")]
    fn first_in_lanes(&self, windows: &[u8]) -> (usize, Option<usize>) {
        let Some(lanes) = self.lanes else { return (0, None) };
        let mut digests = Zeroizing::new(lanes::NO_DIGESTS);
        let mut passed = 0;
        while let Some(rest) = windows.get(passed..).filter(|rest| rest.len() >= lanes::BLOCK + WINDOW_BYTES)
        {
            if let Some(at) = lanes.first_low(&self.hash, &self.cipher, rest, &mut digests) {
                return (passed, Some(passed + at));
            }
            passed += lanes::BLOCK;
        }
        (passed, None)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn first_in_lanes(&self, _: &[u8]) -> (usize, Option<usize>) {
        (0, None)
    }
}

/// Digests enciphered in one go: a multiple of what AES hardware takes at once, and small enough for the
/// first cache.
const BATCH: usize = 256;

/// One value in so many is lower, as the average lies beyond the minimum.
const LOW_BELOW: u64 = u64::MAX / (Chunker::BYTES_AVERAGE - Chunker::BYTES_MIN) as u64;
const _: () = assert!(LOW_BELOW == 40_210_710_958_665);

/// The upper half of a low value has nothing but zeros above these bits, and so have few others.
#[cfg(target_arch = "x86_64")]
const LOW_BITS: u32 = u32::BITS - LOW_BELOW.leading_zeros();

fn is_low(value: &[u8; 16]) -> bool {
    value.first_chunk().is_some_and(|value| u64::from_le_bytes(*value) < LOW_BELOW)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::crypto::{Random, SeededRandom};

    /// Many windows at a time find what one after the other finds: wherever it is, and however much follows.
    #[test]
    fn lanes_cut_where_one_place_does() {
        let mut random = SeededRandom::new(5);
        let mut bytes = vec![0; Chunker::BYTES_MAX];
        let mut in_lanes = 0;
        for round in 0..40 {
            let mut key = [0; 32];
            random.fill(&mut key).unwrap();
            let mut wide = Chunker::new(&Secret::take(&mut key), 0);
            if round % 4 == 3 {
                wide.lanes = lanes::Lanes::narrower();
            }
            random.fill(&mut bytes).unwrap();
            let mut length = [0];
            random.fill(&mut length).unwrap();
            let bytes = &bytes[..bytes.len() - usize::from(length[0]) * 12_345];
            let windows = &bytes[Chunker::BYTES_MIN - WINDOW_BYTES..];
            let expected = wide.first_low(windows);
            let (passed, found) = wide.first_in_lanes(windows);
            match (found, expected) {
                (Some(found), expected) => assert_eq!(Some(found), expected),
                (None, Some(expected)) => assert!(expected >= passed, "{expected} was passed"),
                (None, None) => {}
            }
            in_lanes += usize::from(found.is_some());
            assert_eq!(wide.first_candidate(bytes), expected.map(|at| Chunker::BYTES_MIN + at));
        }
        assert!(lanes::Lanes::detect().is_none() || in_lanes > 20, "only {in_lanes} were found in lanes");
    }
}
