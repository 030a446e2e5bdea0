//! Pure Rust. Wipes the key and the cipher's state (the crates' `zeroize` features), not its registers.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit, Tag,
    aead::{AeadInOut, inout::InOutBuf},
};

use super::{NONCE_BYTES, TAG_BYTES};
use crate::crypto::Secret;

pub(super) struct Cipher(ChaCha20Poly1305);

impl Cipher {
    pub(super) fn new(key: &Secret<32>) -> Self {
        Self(ChaCha20Poly1305::new(key.expose().into()))
    }

    pub(super) fn seal(&self, nonce: &[u8; NONCE_BYTES], segment: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        let tag = self.0.encrypt_inout_detached(nonce.into(), &[], InOutBuf::from(segment));
        tag.ok().map(Into::into)
    }

    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        segment: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Option<()> {
        let tag: &Tag = tag.into();
        self.0.decrypt_inout_detached(nonce.into(), &[], InOutBuf::from(segment), tag).ok()
    }
}
