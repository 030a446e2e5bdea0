//! The one call of the cipher: ChaCha20-Poly1305 (RFC 8439), in place, tag apart.
//!
//! Which implementation that is, a build chooses here and nowhere else; the bytes are the same. The default
//! is pure Rust. The feature `accelerated` takes the assembly of aws-lc, which for the processors without
//! AVX-512, ARM above all, is the faster one; the feature `openssl` that of OpenSSL where there is AVX-512.

#[cfg(feature = "accelerated")]
mod aws_lc;
#[cfg(not(feature = "accelerated"))]
mod portable;
#[cfg(openssl_seals)]
pub(super) mod wide;

#[cfg(all(feature = "accelerated", not(openssl_seals)))]
use aws_lc::Cipher;
#[cfg(not(feature = "accelerated"))]
use portable::Cipher;
#[cfg(openssl_seals)]
use wide::Cipher;

use super::Secret;
use crate::{Error, Part, Result};

/// Bytes of an authentication tag.
pub(crate) const TAG_BYTES: usize = 16;
/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 12;

/// A cipher with its key. The associated data is always empty: the context is in the key (F-13).
pub(crate) struct Aead {
    cipher: Cipher,
    #[cfg(any(test, feature = "test-support"))]
    print: super::seal_log::KeyPrint,
}

impl Aead {
    pub(crate) fn new(key: &Secret<32>) -> Self {
        Self {
            cipher: Cipher::new(key),
            #[cfg(any(test, feature = "test-support"))]
            print: super::seal_log::KeyPrint::of(key),
        }
    }

    /// Encrypts `segment` in place.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE_BYTES], segment: &mut [u8]) -> Result<[u8; TAG_BYTES]> {
        let tag = self
            .cipher
            .seal(nonce, segment)
            .ok_or(Error::Internal("a segment is longer than the cipher allows"))?;
        #[cfg(any(test, feature = "test-support"))]
        self.print.note(nonce, tag);
        Ok(tag)
    }

    /// Decrypts `segment` in place. With a wrong tag no plaintext is left there: what is left, is undefined.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        segment: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<()> {
        self.cipher.open(nonce, segment, tag).ok_or(Error::damaged(Part::Object))
    }
}

#[cfg(all(test, feature = "accelerated"))]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails loudly")]
mod tests {
    use chacha20poly1305::{
        ChaCha20Poly1305, KeyInit,
        aead::{AeadInOut, inout::InOutBuf},
    };

    use super::*;
    use crate::crypto::{Random, SeededRandom};

    const LENGTH_MAX: usize = 70 * 1024;

    fn bytes<const N: usize>(random: &mut dyn Random) -> [u8; N] {
        random.bytes().unwrap()
    }

    /// Mostly short and around the borders of blocks, batches and segments; now and then anything.
    fn length(random: &mut SeededRandom) -> usize {
        const EDGES: [usize; 8] = [0, 16, 64, 128, 256, 512, 1024, 4096];
        let [sort, edge, aside] = bytes(random);
        let any = usize::from(u16::from_le_bytes(bytes(random)));
        let length = match sort {
            0..=99 => EDGES[usize::from(edge) % EDGES.len()] + usize::from(aside % 9),
            100..=251 => any % 1500,
            252 => 65_536 + usize::from(aside % 9),
            _ => any + usize::from(edge) * 24,
        };
        length.saturating_sub(4).min(LENGTH_MAX)
    }

    #[test]
    fn the_accelerated_cipher_seals_and_opens_the_very_bytes_of_the_default_one() {
        same_bytes(Cipher::new);
    }

    /// What a processor without AVX-512 would take, and whoever has no memory for a context.
    #[cfg(openssl_seals)]
    #[test]
    fn so_does_the_one_that_stands_in_for_openssl() {
        same_bytes(|key| Cipher::Narrow(aws_lc::Cipher::new(key)));
    }

    /// On any processor: it has other instructions for those without AVX-512.
    #[cfg(openssl_seals)]
    #[test]
    fn so_does_openssl() {
        let fetched = openssl::cipher::Cipher::fetch(None, "ChaCha20-Poly1305", None).unwrap();
        let algorithm = Box::leak(Box::new(fetched));
        same_bytes(|key| Cipher::Wide(algorithm, key.duplicate()));
    }

    #[cfg(openssl_seals)]
    #[test]
    fn openssl_seals_where_the_processor_has_its_instructions() {
        let wide = is_x86_feature_detected!("avx512ifma") && is_x86_feature_detected!("avx512vl");
        assert_eq!(matches!(Cipher::new(&Secret::take(&mut [1; 32])), Cipher::Wide(..)), wide);
        assert_eq!(crate::crypto::cipher_build().starts_with("OpenSSL"), wide);
    }

    fn same_bytes(cipher: impl Fn(&Secret<32>) -> Cipher) {
        let mut random = SeededRandom::new(1);
        let mut text = vec![0; 2 * LENGTH_MAX];
        random.fill(&mut text).unwrap();
        for case in 0..100_000 {
            let key: [u8; 32] = bytes(&mut random);
            let nonce: [u8; 12] = bytes(&mut random);
            let plain = &text[case % LENGTH_MAX..][..length(&mut random)];
            let ours = cipher(&Secret::take(&mut key.clone()));
            let default = ChaCha20Poly1305::new(&key.into());

            let (mut sealed, mut expected) = (plain.to_vec(), plain.to_vec());
            let tag = ours.seal(&nonce, &mut sealed).unwrap();
            let buffer = InOutBuf::from(&mut expected[..]);
            let expected_tag = default.encrypt_inout_detached(&nonce.into(), &[], buffer).unwrap();
            assert!(sealed == expected && tag == expected_tag[..], "case {case}, {} bytes", plain.len());

            let mut forged = (sealed.clone(), tag);
            ours.open(&nonce, &mut sealed, &tag).unwrap();
            assert!(sealed == plain, "case {case}, {} bytes", plain.len());

            let bit = 1 << (case % 8);
            match forged.0.get_mut(case % (plain.len() + 16)) {
                Some(byte) => *byte ^= bit,
                None => forged.1[case % 16] ^= bit,
            }
            assert!(ours.open(&nonce, &mut forged.0, &forged.1).is_none(), "case {case}");
            let same = |(left, plain): &(&[u8], &[u8])| left == plain;
            let shown = forged.0.chunks_exact(16).zip(plain.chunks_exact(16)).filter(same).count();
            assert_eq!(shown, 0, "case {case}: plaintext of a forgery");
        }
    }
}
