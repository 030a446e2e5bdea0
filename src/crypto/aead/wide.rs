//! OpenSSL where the processor has AVX-512: its assembly has both the cipher and Poly1305 in 512 bits, and nobody
//! else's has. Elsewhere aws-lc, which is the faster one there.
//!
//! A context of OpenSSL belongs to one thread, so each segment gets its own, which costs a hundredth of 64 KiB;
//! it is wiped when freed.

use std::sync::OnceLock;

use openssl::{cipher::Cipher as Algorithm, cipher_ctx::CipherCtx, error::ErrorStack};
use zeroize::Zeroize as _;

use super::{NONCE_BYTES, TAG_BYTES, aws_lc};
use crate::crypto::Secret;

pub(super) enum Cipher {
    Wide(&'static Algorithm, Secret<32>),
    Narrow(aws_lc::Cipher),
}

/// OpenSSL's cipher, if it is the one to take: a library without it (for FIPS) is none.
pub(in crate::crypto) fn algorithm() -> Option<&'static Algorithm> {
    static ALGORITHM: OnceLock<Option<Algorithm>> = OnceLock::new();
    let fetch = || if is_wide() { Algorithm::fetch(None, "ChaCha20-Poly1305", None).ok() } else { None };
    ALGORITHM.get_or_init(fetch).as_ref()
}

#[cfg(target_arch = "x86_64")]
fn is_wide() -> bool {
    // What OpenSSL asks for: the first two for the cipher, all three for Poly1305.
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512ifma")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_wide() -> bool {
    false
}

impl Cipher {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        match algorithm() {
            Some(algorithm) => {
                let mut copy = Secret::zeroed();
                copy.expose_mut().copy_from_slice(key);
                Self::Wide(algorithm, copy)
            }
            None => Self::Narrow(aws_lc::Cipher::new(key)),
        }
    }

    pub(super) fn seal(&self, nonce: &[u8; NONCE_BYTES], segment: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        match self {
            Self::Wide(algorithm, key) => seal(algorithm, key, nonce, segment).ok(),
            Self::Narrow(cipher) => cipher.seal(nonce, segment),
        }
    }

    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        segment: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Option<()> {
        match self {
            Self::Wide(algorithm, key) => {
                let opened = open(algorithm, key, nonce, segment, tag);
                if opened.is_err() {
                    segment.zeroize(); // OpenSSL decrypts before it compares
                }
                opened.ok()
            }
            Self::Narrow(cipher) => cipher.open(nonce, segment, tag),
        }
    }
}

fn seal(
    algorithm: &Algorithm,
    key: &Secret<32>,
    nonce: &[u8; NONCE_BYTES],
    segment: &mut [u8],
) -> Result<[u8; TAG_BYTES], ErrorStack> {
    let mut context = CipherCtx::new()?;
    context.encrypt_init(Some(algorithm), Some(key.expose()), Some(nonce))?;
    context.cipher_update_inplace(segment, segment.len())?;
    context.cipher_final(&mut [])?;
    let mut tag = [0; TAG_BYTES];
    context.tag(&mut tag)?;
    Ok(tag)
}

fn open(
    algorithm: &Algorithm,
    key: &Secret<32>,
    nonce: &[u8; NONCE_BYTES],
    segment: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Result<(), ErrorStack> {
    let mut context = CipherCtx::new()?;
    context.decrypt_init(Some(algorithm), Some(key.expose()), Some(nonce))?;
    context.set_tag(tag)?;
    context.cipher_update_inplace(segment, segment.len())?;
    context.cipher_final(&mut []).map(drop)
}
