//! What a sift leaves out is in the tree as it is, and whole pages of it cost no reading.

use proptest::{collection::btree_map, prelude::*};

use super::*;
use crate::tree::{Sifted, sift};

fn id_of(page: &[u8]) -> ChunkId {
    ChunkId::derive(&Secret::take(&mut [1; 32]), page)
}

/// A tree as a kind without content has it.
fn sizeless(model: &Model) -> (MemoryPages, Option<Root>) {
    let mut pages = MemoryPages { sizeless: true, ..MemoryPages::default() };
    let root = build(model, &mut pages);
    (pages, root)
}

fn sifted(store: &MemoryPages, root: Option<Root>, entries: &Model) -> Sifted {
    sift(root, store, id_of, entries.clone().into_iter().collect()).unwrap()
}

#[test]
fn a_list_that_the_tree_holds_reads_inner_pages_only_and_nothing_is_left() {
    let model = large_model();
    let (store, root) = sizeless(&model);
    store.reset_counts();
    assert!(sifted(&store, root, &model).entries.is_empty());
    let inner = store.pages.values().filter(|page| crate::tree::is_inner_page(page)).count();
    assert!(store.reads.get() <= inner && inner > 3, "{} of {inner}", store.reads.get());
}

#[test]
fn one_change_leaves_its_page_and_a_list_that_ends_early_leaves_the_last_page_open() {
    let model = large_model();
    let (store, root) = sizeless(&model);
    let mut changed = model.clone();
    let key = b"messages/00050000".to_vec();
    changed.insert(key.clone(), b"changed".to_vec());
    let left = sifted(&store, root, &changed);
    assert!(left.entries.iter().any(|(found, _)| *found == key) && left.entries.len() < 1000);
    let first: Model = model.clone().into_iter().take(50_000).collect();
    let Sifted { entries, open } = sifted(&store, root, &first);
    assert!((1..1000).contains(&entries.len()) && open == 0, "{open} of {}", entries.len());
    let rest: Model = model.into_iter().skip(50_000).chain(entries).collect();
    assert!(sifted(&store, root, &rest).entries.is_empty());
}

#[test]
fn more_than_a_page_can_hold_is_never_open() {
    let (store, root) = sizeless(&Model::from([(b"k".to_vec(), b"v".to_vec())]));
    let Sifted { entries, open } = sifted(&store, root, &large_model());
    assert_eq!((entries.len(), open), (100_000, 100_000));
    let Sifted { entries, open } = sifted(&store, None, &large_model());
    assert_eq!((entries.len(), open), (100_000, 100_000));
}

proptest! {
    #[test]
    fn what_is_left_out_is_in_the_tree_and_what_is_not_in_the_tree_is_left(
        held in btree_map(0..3000_usize, 0..3_u8, 0..2500),
        asked in btree_map(0..3000_usize, 0..3_u8, 0..300),
        also in 0..3000_usize,
    ) {
        let map = |entries: &BTreeMap<usize, u8>| -> Model {
            entries.iter().map(|(n, value)| (long_key(*n, 20), vec![*value; 60])).collect()
        };
        let model = map(&held);
        let (store, root) = sizeless(&model);
        let mut list: Model = model.clone().into_iter().skip(also).collect();
        list.extend(map(&asked));
        let Sifted { entries, open } = sifted(&store, root, &list);
        prop_assert!(open <= entries.len());
        prop_assert!(entries.is_sorted());
        let left: Model = entries.into_iter().collect();
        for (key, value) in &list {
            prop_assert!(left.get(key) == Some(value) || model.get(key) == Some(value));
        }
    }
}
