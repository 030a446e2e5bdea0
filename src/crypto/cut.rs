//! The cipher behind content-defined cuts (L2).
//!
//! AES-128 (FIPS 197), each digest enciphered on its own, so that where a file is cut says nothing about
//! the hash that led there. Only the chunker uses it; it must never seal anything.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

/// AES-128 as a pseudorandom function on digests of 16 bytes.
pub(crate) struct CutCipher(Aes128);

impl CutCipher {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self(Aes128::new(&Array(*key)))
    }

    /// Enciphers every digest in place: the many at a time that AES hardware wants.
    pub(crate) fn encipher(&self, digests: &mut [[u8; 16]]) {
        self.0.encrypt_blocks(Array::cast_slice_from_core_mut(digests));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cipher_is_aes_128_of_fips_197() {
        let mut key = [0; 16];
        let mut block = [0; 16];
        for i in 0..16_u8 {
            key[usize::from(i)] = i;
            block[usize::from(i)] = i * 0x11;
        }
        let mut digests = vec![block; 200];
        CutCipher::new(&key).encipher(&mut digests);
        let expected = 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128.to_be_bytes();
        assert!(digests.iter().all(|digest| *digest == expected));
    }
}
