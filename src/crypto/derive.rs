//! HKDF-SHA-256 (RFC 5869), always with a label.

use hkdf::Hkdf;
use sha2::Sha256;

use super::{Label, Secret};

/// Expands a uniformly random key (it is the PRK) for one purpose. `info` is the label, a zero byte, then
/// the parts one after the other: callers pass parts of fixed or prefixed length.
#[must_use]
pub fn derive_from_key<const N: usize>(key: &Secret<32>, label: Label, parts: &[&[u8]]) -> Secret<N> {
    const { assert!(N <= 255 * 32, "HKDF-SHA-256 gives at most 255 blocks") };
    let mut out = Secret::zeroed();
    #[expect(clippy::expect_used, reason = "32 bytes are a valid PRK; the type says so")]
    let hkdf = Hkdf::<Sha256>::from_prk(key.expose()).expect("a PRK of 32 bytes");
    expand(&hkdf, label, parts, out.expose_mut());
    out
}

/// Extracts from `material` under `salt`, then expands for one purpose.
#[must_use]
pub fn derive_from_material<const N: usize>(
    salt: &[u8],
    material: &[u8],
    label: Label,
    parts: &[&[u8]],
) -> Secret<N> {
    const { assert!(N <= 255 * 32, "HKDF-SHA-256 gives at most 255 blocks") };
    let mut out = Secret::zeroed();
    expand(&Hkdf::<Sha256>::new(Some(salt), material), label, parts, out.expose_mut());
    out
}

fn expand(hkdf: &Hkdf<Sha256>, label: Label, parts: &[&[u8]], out: &mut [u8]) {
    let mut info = Vec::with_capacity(2 + parts.len());
    info.push(label.as_str().as_bytes());
    info.push(&[0_u8][..]);
    info.extend_from_slice(parts);
    #[expect(clippy::expect_used, reason = "the output's length was checked at compile time")]
    hkdf.expand_multi_info(&info, out).expect("at most 255 blocks");
}
