//! What is right for each kind: how content is cut, and whether it is compressed.

use super::Kind;

/// Whether chunks and tree pages of a kind are compressed. Messages are not: anybody can put text beside
/// the user's own and watch what it does to sizes (L6). Photos are compressed already.
#[must_use]
pub fn compresses(kind: &Kind) -> bool {
    *kind != Kind::MESSAGES && *kind != Kind::PHOTOS
}

/// Whether content of a kind is cut into pieces of one length: it is written once and never edited.
#[must_use]
pub fn uses_fixed_pieces(kind: &Kind) -> bool {
    *kind == Kind::PHOTOS
}

/// Whether compressing is not worth trying: the entropy of samples is above 7.5 bits a byte.
#[must_use]
pub fn looks_incompressible(bytes: &[u8]) -> bool {
    const SAMPLES: usize = 16;
    const SAMPLE_BYTES: usize = 256;
    const BITS_MIN: f64 = 7.5;
    if bytes.len() < SAMPLES * SAMPLE_BYTES {
        return false;
    }
    let mut counts = [0_u32; 256];
    for sample in bytes.chunks(bytes.len() / SAMPLES).take(SAMPLES) {
        for byte in sample.iter().take(SAMPLE_BYTES) {
            if let Some(count) = counts.get_mut(usize::from(*byte)) {
                *count += 1;
            }
        }
    }
    let total = f64::from(counts.iter().sum::<u32>());
    let bits: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * share.log2()
        })
        .sum();
    bits > BITS_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_worth_compressing_and_noise_is_not() {
        let text = b"to be or not to be, that is the question ".repeat(1000);
        let mut noise = vec![0; 64 * 1024];
        crate::crypto::Random::fill(&mut crate::crypto::SeededRandom::new(1), &mut noise).unwrap();
        assert!(!looks_incompressible(&text));
        assert!(looks_incompressible(&noise));
        assert!(!looks_incompressible(&noise[..1000]));
    }
}
