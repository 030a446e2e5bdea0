//! HKDF-SHA-256 (RFC 5869), always with a label.

use hkdf::Hkdf;
use sha2::Sha256;

use super::{Label, Secret};

/// Expands a uniformly random key (it is the PRK) for one purpose. `info` is the label, a zero byte, then
/// the parts one after the other: callers pass parts of fixed or prefixed length.
#[must_use]
pub fn derive_from_key<const N: usize>(key: &Secret<32>, label: Label, parts: &[&[u8]]) -> Secret<N> {
    PreparedKey::new(key).derive(label, parts)
}

/// A key that much is derived from: what is the same every time was done once. On the heap, so that moving the
/// owner does not copy it; wiped when dropped.
pub(super) struct PreparedKey(Box<Hkdf<Sha256>>);

impl PreparedKey {
    pub(super) fn new(key: &Secret<32>) -> Self {
        #[expect(clippy::expect_used, reason = "32 bytes are a valid PRK; the type says so")]
        let hkdf = Hkdf::from_prk(key.expose()).expect("a PRK of 32 bytes");
        Self(Box::new(hkdf))
    }

    /// A second copy for another owner.
    pub(super) fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// As [`derive_from_key`].
    pub(super) fn derive<const N: usize>(&self, label: Label, parts: &[&[u8]]) -> Secret<N> {
        const { assert!(N <= 255 * 32, "HKDF-SHA-256 gives at most 255 blocks") };
        let mut out = Secret::zeroed();
        expand(&self.0, label, parts, out.expose_mut());
        out
    }
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
    let mut info = Vec::with_capacity(256);
    info.extend_from_slice(label.as_str().as_bytes());
    info.push(0);
    parts.iter().for_each(|part| info.extend_from_slice(part));
    #[expect(clippy::expect_used, reason = "the output's length was checked at compile time")]
    hkdf.expand(&info, out).expect("at most 255 blocks");
}
