//! Hashes: keyed for what is named after its content, labelled for everything else.

use super::{Label, Secret};

/// BLAKE3 keyed.
#[must_use]
pub fn keyed_hash(key: &Secret<32>, bytes: &[u8]) -> [u8; 32] {
    *blake3::keyed_hash(key.expose(), bytes).as_bytes()
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
