//! The hash of a stored object, which references to it name, as a whole or from its parts.
//!
//! BLAKE3 is a binary tree. An object of more than 64 KiB, whose length is a power of two, is the nodes of 64 KiB of
//! such a tree: each is hashed by itself, while a cache has its bytes, and what is left to do joins them.

use blake3::{
    Hasher,
    hazmat::{
        ChainingValue, ContextKey, HasherExt as _, Mode, hash_derive_key_context, merge_subtrees_non_root,
        merge_subtrees_root,
    },
};

use super::{Label, labelled_hash};

/// Bytes of a node.
pub(super) const NODE_BYTES: usize = 64 * 1024;

const LABEL: Label = Label::HASH_OBJECT;

/// The hash of a stored object.
#[must_use]
pub fn object_hash(bytes: &[u8]) -> [u8; 32] {
    labelled_hash(LABEL, &[bytes])
}

/// What came of one node.
pub(super) type NodeHash = ChainingValue;

/// Hashes nodes.
pub(super) struct NodeHasher(ContextKey);

impl NodeHasher {
    pub(super) fn new() -> Self {
        Self(hash_derive_key_context(LABEL.as_str()))
    }

    /// The node that begins at `offset`, a multiple of [`NODE_BYTES`]: one of several, and whole.
    pub(super) fn node(&self, offset: usize, bytes: &[u8]) -> NodeHash {
        let mut hasher = Hasher::new_from_context_key(&self.0);
        hasher.set_input_offset(offset as u64).update(bytes).finalize_non_root()
    }

    /// The hash of an object of all these nodes, whose number is a power of two. None for one alone, or another number.
    pub(super) fn join(&self, mut nodes: Vec<NodeHash>) -> Option<[u8; 32]> {
        let mode = Mode::DeriveKeyMaterial(&self.0);
        if !nodes.len().is_power_of_two() {
            return None;
        }
        while nodes.len() > 2 {
            let (pairs, _) = nodes.as_chunks();
            nodes = pairs.iter().map(|[left, right]| merge_subtrees_non_root(left, right, mode)).collect();
        }
        let [left, right] = nodes.as_slice() else { return None };
        Some(*merge_subtrees_root(left, right, mode).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Random, SeededRandom, object_lengths};

    #[test]
    fn the_nodes_of_an_object_give_the_hash_of_the_whole() {
        let (hasher, mut random) = (NodeHasher::new(), SeededRandom::new(1));
        let mut long = 0;
        for length in object_lengths() {
            let mut bytes = vec![0; length];
            random.fill(&mut bytes).unwrap();
            let nodes = bytes.chunks(NODE_BYTES).enumerate();
            let nodes: Vec<_> = nodes.map(|(number, node)| hasher.node(number * NODE_BYTES, node)).collect();
            let expected = Some(object_hash(&bytes)).filter(|_| length > NODE_BYTES);
            assert_eq!(hasher.join(nodes), expected, "{length} bytes");
            long += usize::from(expected.is_some());
        }
        assert_eq!(long, 7);
        assert_eq!((hasher.join(Vec::new()), hasher.join(vec![[0; 32]; 3])), (None, None));
    }
}
