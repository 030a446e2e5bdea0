//! The one call of the cipher: ChaCha20-Poly1305 (RFC 8439), in place, tag apart.
//!
//! A build that chooses another implementation of the same algorithm changes this file alone.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit, Tag,
    aead::{AeadInOut, inout::InOutBuf},
};

use super::Secret;
use crate::{Error, Part, Result};

/// Bytes of an authentication tag.
pub(crate) const TAG_BYTES: usize = 16;
/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 12;

/// A cipher with its key. The associated data is always empty: the context is in the key (F-13).
pub(crate) struct Aead {
    cipher: ChaCha20Poly1305,
    #[cfg(any(test, feature = "test-support"))]
    print: super::seal_log::KeyPrint,
}

impl Aead {
    pub(crate) fn new(key: &Secret<32>) -> Self {
        Self {
            cipher: ChaCha20Poly1305::new(key.expose().into()),
            #[cfg(any(test, feature = "test-support"))]
            print: super::seal_log::KeyPrint::of(key),
        }
    }

    /// Encrypts `segment` in place.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE_BYTES], segment: &mut [u8]) -> Result<[u8; TAG_BYTES]> {
        let tag: [u8; TAG_BYTES] = self
            .cipher
            .encrypt_inout_detached(nonce.into(), &[], InOutBuf::from(segment))
            .map_err(|_| Error::Internal("a segment is longer than the cipher allows"))?
            .into();
        #[cfg(any(test, feature = "test-support"))]
        self.print.note(nonce, tag);
        Ok(tag)
    }

    /// Checks the tag, then decrypts `segment` in place.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        segment: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<()> {
        let tag: &Tag = tag.into();
        self.cipher
            .decrypt_inout_detached(nonce.into(), &[], InOutBuf::from(segment), tag)
            .map_err(|_| Error::damaged(Part::Object))
    }
}
