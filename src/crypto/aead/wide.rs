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

/// OpenSSL's cipher, if it is the one to take.
pub(in crate::crypto) fn algorithm() -> Option<&'static Algorithm> {
    static ALGORITHM: OnceLock<Option<Algorithm>> = OnceLock::new();
    ALGORITHM.get_or_init(|| if is_wide() { fetch() } else { None }).as_ref()
}

/// What OpenSSL asks for: the first two for the cipher, all three for Poly1305.
fn is_wide() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512ifma")
}

/// None of a library that has no such cipher (one for FIPS), or in whose configuration somebody put another one.
fn fetch() -> Option<Algorithm> {
    // First of all, so that OpenSSL does not clean up at the program's end, while threads still seal.
    openssl::init();
    let algorithm = Algorithm::fetch(None, "ChaCha20-Poly1305", None).ok()?;
    let fits =
        algorithm.key_length() == 32 && algorithm.iv_length() == NONCE_BYTES && algorithm.block_size() == 1;
    (fits && is_the_same(&algorithm)).then_some(algorithm)
}

fn is_the_same(algorithm: &Algorithm) -> bool {
    let (key, nonce, mut segment) = (Secret::zeroed(), [0; NONCE_BYTES], [0; 1000]);
    let mut expected = segment;
    let expected_tag = aws_lc::Cipher::new(&key).seal(&nonce, &mut expected);
    let tag = sealing(algorithm, &key, &nonce).and_then(|context| seal(context, &mut segment));
    tag.ok() == expected_tag && segment == expected
}

impl Cipher {
    pub(super) fn new(key: &Secret<32>) -> Self {
        algorithm().map_or_else(
            || Self::Narrow(aws_lc::Cipher::new(key)),
            |algorithm| Self::Wide(algorithm, key.duplicate()),
        )
    }

    pub(super) fn seal(&self, nonce: &[u8; NONCE_BYTES], segment: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        match self {
            Self::Wide(algorithm, key) => match sealing(algorithm, key, nonce) {
                Ok(context) => seal(context, segment).ok(),
                Err(_) => narrow(key).seal(nonce, segment),
            },
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
            Self::Wide(algorithm, key) => match opening(algorithm, key, nonce, tag) {
                Ok(context) => {
                    let opened = open(context, segment);
                    if opened.is_err() {
                        segment.zeroize(); // OpenSSL decrypts before it compares
                    }
                    opened.ok()
                }
                Err(_) => narrow(key).open(nonce, segment, tag),
            },
            Self::Narrow(cipher) => cipher.open(nonce, segment, tag),
        }
    }
}

/// For when there is no context: whatever keeps OpenSSL from making one must not look like a forgery.
fn narrow(key: &Secret<32>) -> aws_lc::Cipher {
    aws_lc::Cipher::new(key)
}

fn sealing(
    algorithm: &Algorithm,
    key: &Secret<32>,
    nonce: &[u8; NONCE_BYTES],
) -> Result<CipherCtx, ErrorStack> {
    let mut context = CipherCtx::new()?;
    context.encrypt_init(Some(algorithm), Some(key.expose()), Some(nonce))?;
    Ok(context)
}

fn seal(mut context: CipherCtx, segment: &mut [u8]) -> Result<[u8; TAG_BYTES], ErrorStack> {
    context.cipher_update_inplace(segment, segment.len())?;
    context.cipher_final(&mut [])?;
    let mut tag = [0; TAG_BYTES];
    context.tag(&mut tag)?;
    Ok(tag)
}

fn opening(
    algorithm: &Algorithm,
    key: &Secret<32>,
    nonce: &[u8; NONCE_BYTES],
    tag: &[u8; TAG_BYTES],
) -> Result<CipherCtx, ErrorStack> {
    let mut context = CipherCtx::new()?;
    context.decrypt_init(Some(algorithm), Some(key.expose()), Some(nonce))?;
    context.set_tag(tag)?;
    Ok(context)
}

fn open(mut context: CipherCtx, segment: &mut [u8]) -> Result<(), ErrorStack> {
    context.cipher_update_inplace(segment, segment.len())?;
    context.cipher_final(&mut []).map(drop)
}
