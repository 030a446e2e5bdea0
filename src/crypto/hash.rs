//! Hashes: keyed for what is named after its content and to derive from a secret; labelled for everything else.

use zeroize::Zeroize as _;

use super::{Label, Secret};

/// BLAKE3 keyed.
#[must_use]
pub fn keyed_hash(key: &Secret<32>, bytes: &[u8]) -> [u8; 32] {
    *blake3::keyed_hash(key.expose(), bytes).as_bytes()
}

/// BLAKE3 keyed, with 64 bytes of output: the usual hash, and a key.
pub(super) fn keyed_hash_and_key(key: &Secret<32>, parts: &[&[u8]]) -> ([u8; 32], Secret<32>) {
    let mut hasher = blake3::Hasher::new_keyed(key.expose());
    for part in parts {
        hasher.update(part);
    }
    let mut output = hasher.finalize_xof();
    let mut both = [0; 64];
    output.fill(&mut both);
    let (mut hash, mut derived) = ([0; 32], Secret::zeroed());
    let (left, right) = both.split_at(32);
    hash.copy_from_slice(left);
    derived.expose_mut().copy_from_slice(right);
    both.zeroize();
    hasher.zeroize();
    output.zeroize();
    (hash, derived)
}

/// BLAKE3 in key-derivation mode with the label as context string.
#[must_use]
pub fn labelled_hash(label: Label, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(label.as_str());
    for part in parts {
        hasher.update(part);
    }
    let hash = *hasher.finalize().as_bytes();
    hasher.zeroize();
    hash
}
