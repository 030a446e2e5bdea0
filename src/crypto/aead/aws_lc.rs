//! aws-lc through aws-lc-rs, chosen over ring, whose assembly is as fast: this one frees a key by wiping it,
//! ring does not. Neither wipes what it leaves on the stack: key stream, Poly1305 key, copies of the key.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::{NONCE_BYTES, TAG_BYTES};
use crate::crypto::Secret;

pub(super) struct Cipher(LessSafeKey);

impl Cipher {
    pub(super) fn new(key: &Secret<32>) -> Self {
        #[expect(clippy::expect_used, reason = "32 bytes are a key; what else fails is memory")]
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.expose()).expect("a key of 32 bytes");
        Self(LessSafeKey::new(key))
    }

    pub(super) fn seal(&self, nonce: &[u8; NONCE_BYTES], segment: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::empty(), segment).ok()?;
        tag.as_ref().try_into().ok()
    }

    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        segment: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Option<()> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_in_place_separate_tag(nonce, Aad::empty(), tag, segment).ok().map(drop)
    }
}
