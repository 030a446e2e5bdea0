//! Hashes: keyed for what is named after its content, labelled for everything else.

use zeroize::Zeroize as _;

use super::{Label, Secret};

/// BLAKE3 keyed.
#[must_use]
pub fn keyed_hash(key: &Secret<32>, bytes: &[u8]) -> [u8; 32] {
    *blake3::keyed_hash(key.expose(), bytes).as_bytes()
}

/// BLAKE3 keyed, with 64 bytes of output: the first half a key, the second half to be shown.
pub(super) fn keyed_pair(key: &Secret<32>, parts: &[&[u8]]) -> (Secret<32>, [u8; 32]) {
    let mut hasher = blake3::Hasher::new_keyed(key.expose());
    for part in parts {
        hasher.update(part);
    }
    let mut output = hasher.finalize_xof();
    let mut both = [0; 64];
    output.fill(&mut both);
    let (mut first, mut second) = (Secret::zeroed(), [0; 32]);
    let (left, right) = both.split_at(32);
    first.expose_mut().copy_from_slice(left);
    second.copy_from_slice(right);
    both.zeroize();
    hasher.zeroize();
    output.zeroize();
    (first, second)
}

/// BLAKE3 in key-derivation mode with the label as context string.
#[must_use]
pub fn labelled_hash(label: Label, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(label.as_str());
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
