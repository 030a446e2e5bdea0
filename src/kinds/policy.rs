//! How each kind of data is cut and whether it is compressed.
//!
//! These choices decide what an observer of lengths could learn, so they follow from the kind and from the
//! bytes themselves, never from a user's setting.

use super::Kind;

/// How the large values of a kind become chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cutting {
    /// Pieces of one length: for what is written once and never edited inside.
    Fixed,
    /// At borders that follow from the content, so that an edit changes few chunks.
    ContentDefined,
}

/// What is done with the values of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// How large values are cut.
    pub cutting: Cutting,
    /// Whether chunks are compressed before they are sealed.
    pub compress: bool,
}

/// A longer file that does not compress may be an archive that changes inside.
const MEDIA_BYTES_MAX: u64 = 4 * 1024 * 1024;

impl Policy {
    /// How a file of `length` bytes is cut that begins with `head`, its first piece (which may be empty where
    /// [`Self::depends_on_head`] says no). A picture is one wherever it lies: equal pieces cost a fraction of what
    /// borders in its content do, and those find nothing in it.
    #[must_use]
    pub fn cutting_of(self, length: u64, head: &[u8]) -> Cutting {
        let is_media = Self::depends_on_head(length) && looks_incompressible(head);
        if is_media { Cutting::Fixed } else { self.cutting }
    }

    /// Whether [`Self::cutting_of`] looks at the head of a file of `length` bytes.
    #[must_use]
    pub fn depends_on_head(length: u64) -> bool {
        length <= MEDIA_BYTES_MAX
    }

    /// The policy of a kind.
    #[must_use]
    pub fn of(kind: &Kind) -> Self {
        let text = [Kind::NOTES, Kind::FILES, Kind::CONTACTS, Kind::CALLS].contains(kind);
        Self {
            // Off for messages: anybody may send text that then lies beside the user's own, and lengths
            // would tell how alike they are (L6). Off for photos and videos: they are compressed already.
            // Off for kinds we do not know: the safe choice.
            compress: text,
            // A photo never changes inside, and equal pieces fill packs best.
            cutting: if *kind == Kind::PHOTOS { Cutting::Fixed } else { Cutting::ContentDefined },
        }
    }
}

const WINDOWS: usize = 16;
const WINDOW_BYTES: usize = 256;
/// Random bytes show some 7.95 bits in a sample of 4096, compressed media a little less, text 4 to 6.
const INCOMPRESSIBLE_BITS: f64 = 7.5;

/// Whether trying to compress would only cost time: the entropy of 16 windows of 256 bytes, spread over the
/// sample, is above 7.5 bits a byte. They are counted together: 256 bytes alone never show so much.
#[must_use]
pub fn looks_incompressible(sample: &[u8]) -> bool {
    let step = sample.len().div_ceil(WINDOWS).max(WINDOW_BYTES);
    let windows = || sample.chunks(step).map(|part| part.get(..WINDOW_BYTES).unwrap_or(part));
    // Half of all bytes never show more than 7 bits. This is most text, and looked at many bytes at a time.
    if windows().all(<[u8]>::is_ascii) {
        return false;
    }
    let mut counts = [0; 256];
    for byte in windows().flatten() {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    is_above_threshold(&counts)
}

/// Whether bytes that occur this often, 4096 at most, show more than [`INCOMPRESSIBLE_BITS`].
fn is_above_threshold(counts: &[u32; 256]) -> bool {
    /// 2^7.5 lies between this and the next number.
    const LIKELY_BYTES: u32 = 181;
    let total: u32 = counts.iter().sum();
    let squares: u32 = counts.iter().map(|count| count * count).sum();
    let present = counts.iter().map(|count| u32::from(*count > 0)).sum::<u32>();
    // Rényi's entropies of order 0 and 2 are bounds of Shannon's, and whole numbers tell on which side they are:
    // so far from 7.5 that no rounding matters. What is in between is computed.
    if present <= LIKELY_BYTES {
        false
    } else if u64::from(squares) * u64::from(LIKELY_BYTES + 1) < u64::from(total) * u64::from(total) {
        true
    } else {
        entropy_bits(counts, total) > INCOMPRESSIBLE_BITS
    }
}

fn entropy_bits(counts: &[u32; 256], total: u32) -> f64 {
    let total = f64::from(total);
    let present = counts.iter().filter(|count| **count > 0);
    present.map(|count| f64::from(*count) / total).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Random, SeededRandom};

    #[test]
    fn attack_l6_messages_are_never_compressed() {
        assert!(!Policy::of(&Kind::MESSAGES).compress);
        assert!(!Policy::of(&Kind::PHOTOS).compress);
        for kind in [Kind::NOTES, Kind::FILES, Kind::CONTACTS, Kind::CALLS] {
            assert!(Policy::of(&kind).compress, "{kind}");
        }
    }

    #[test]
    fn a_picture_is_cut_in_fixed_pieces_wherever_it_lies_and_an_archive_or_a_text_is_not() {
        let files = Policy::of(&Kind::FILES);
        let mut noise = vec![0; 931_328];
        SeededRandom::new(8).fill(&mut noise).unwrap();
        let text = b"a text that says the same again and again. ".repeat(20_000);
        for (length, head, cutting) in [
            (931_328, &noise, Cutting::Fixed),
            (MEDIA_BYTES_MAX, &noise, Cutting::Fixed),
            (MEDIA_BYTES_MAX + 1, &noise, Cutting::ContentDefined),
            (931_328, &text, Cutting::ContentDefined),
        ] {
            assert_eq!(files.cutting_of(length, head), cutting, "{length}");
            assert_eq!(Policy::of(&Kind::PHOTOS).cutting_of(length, head), Cutting::Fixed, "{length}");
        }
    }

    #[test]
    fn of_all_kinds_only_photos_are_always_cut_in_fixed_pieces() {
        for kind in Kind::ALL {
            let fixed = Policy::of(&kind).cutting == Cutting::Fixed;
            assert_eq!(fixed, kind == Kind::PHOTOS, "{kind}");
        }
    }

    #[test]
    fn random_bytes_look_incompressible_and_text_does_not() {
        let mut random = vec![0; 100_000];
        SeededRandom::new(7).fill(&mut random).unwrap();
        assert!(looks_incompressible(&random));
        assert!(looks_incompressible(&random[..4096]));
        assert!(!looks_incompressible(b""));
        assert!(!looks_incompressible(&[7; 10_000]));
        assert!(!looks_incompressible(&b"The quick brown fox jumps over the lazy dog. ".repeat(500)));
        let hex: Vec<u8> = random.iter().map(|byte| b"0123456789abcdef"[usize::from(byte >> 4)]).collect();
        assert!(!looks_incompressible(&hex));
    }

    /// Draws numbers below `end`.
    fn below(random: &mut dyn Random, end: u32) -> u32 {
        u32::from_le_bytes(random.bytes().unwrap()) % end
    }

    /// Counts of 4096 bytes, or of fewer, from even to steep: around the threshold, most of all.
    fn counts(random: &mut dyn Random) -> [u32; 256] {
        let mut counts = [0; 256];
        let (total, different) = (1 + below(random, 4096), 1 + below(random, 256));
        let (common, share) = (1 + below(random, different), below(random, 100));
        for _ in 0..total {
            let end = if below(random, 100) < share { common } else { different };
            counts[below(random, end) as usize] += 1;
        }
        counts
    }

    #[test]
    fn bounds_in_whole_numbers_decide_as_the_entropy_does() {
        let mut random = SeededRandom::new(9);
        let (mut above, mut near) = (0, 0);
        for _ in 0..5000 {
            let counts = counts(&mut random);
            let bits = entropy_bits(&counts, counts.iter().sum());
            assert_eq!(is_above_threshold(&counts), bits > INCOMPRESSIBLE_BITS, "{bits} {counts:?}");
            above += u32::from(bits > INCOMPRESSIBLE_BITS);
            near += u32::from((bits - INCOMPRESSIBLE_BITS).abs() < 0.01);
        }
        assert!(above > 500 && near > 20, "{above} {near}");
        // Just the threshold, and one byte more or less of one value.
        for change in [-2_i32, -1, 0, 1, 2] {
            // 128 values 16 times and 64 values 32 times: exactly 7.5 bits.
            let mut counts = [0_u32; 256];
            counts[..128].fill(16);
            counts[128..192].fill(32);
            counts[0] = counts[0].saturating_add_signed(change);
            counts[191] = counts[191].saturating_add_signed(-change);
            let bits = entropy_bits(&counts, 4096);
            assert_eq!(is_above_threshold(&counts), bits > INCOMPRESSIBLE_BITS, "{bits} {change}");
        }
    }

    #[test]
    fn a_sample_is_judged_by_the_first_bytes_of_its_sixteen_parts() {
        let mut noise = vec![0; 64 * 1024];
        SeededRandom::new(10).fill(&mut noise).unwrap();
        let mut outside = noise.clone();
        outside.chunks_mut(4096).for_each(|part| part[..WINDOW_BYTES].fill(b'a'));
        assert!(looks_incompressible(&noise) && !looks_incompressible(&outside));
        let mut inside = vec![b'a'; noise.len()];
        for (part, noise) in inside.chunks_mut(4096).zip(noise.chunks(4096)) {
            part[..WINDOW_BYTES].copy_from_slice(&noise[..WINDOW_BYTES]);
        }
        assert!(looks_incompressible(&inside));
    }
}
