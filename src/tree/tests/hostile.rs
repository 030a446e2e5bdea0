//! Pages from a store that lies, behind a reader that does not check ids: every lie is damage, and no read
//! panics or runs on.

use std::ops::Bound;

use prost::Message;

use super::*;
use crate::{
    limits::{KEY_BYTES_MAX, PAGE_ENTRIES_MAX, RECORD_BYTES_MAX},
    tree::{Extent, Walk, diff, get, measure, scan, walk_pages},
    wire::messages::{ChildEntry, LeafEntry, TreePage, TreeRoot},
};

fn leaf(key: &str) -> LeafEntry {
    LeafEntry { key: key.into(), value: b"value".to_vec(), size: 5 }
}

fn leaves(keys: &[&str]) -> TreePage {
    TreePage { level: 0, leaves: keys.iter().map(|key| leaf(key)).collect(), children: Vec::new() }
}

fn child(last_key: &str, page: u8, entries: u64) -> ChildEntry {
    ChildEntry { last_key: last_key.into(), page: vec![page; 32], entries, size: 5 * entries }
}

fn inner(level: u32, children: Vec<ChildEntry>) -> TreePage {
    TreePage { level, leaves: Vec::new(), children }
}

fn stored(pages: &[(u8, TreePage)]) -> MemoryPages {
    let pages = pages.iter().map(|(id, page)| (ChunkId([*id; 32]), page.encode_to_vec())).collect();
    MemoryPages { pages, ..MemoryPages::default() }
}

fn root(level: u32, entries: u64) -> Option<Root> {
    Some(Root::from_wire(&TreeRoot { page: vec![1; 32], level, entries, size: 5 * entries }).unwrap())
}

fn is_damage<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Damaged { what: Part::TreePage }))
}

fn read_all<R: PageReader>(root: Option<Root>, store: &R) -> Result<Vec<Vec<u8>>> {
    scan(root, store, Bound::Unbounded).map(|entry| entry.map(|(key, _)| key)).collect()
}

/// A good tree of two levels, and what a lie makes of it.
fn lie(change: impl FnOnce(&mut TreePage, &mut TreePage, &mut TreePage)) -> Result<Vec<Vec<u8>>> {
    let (mut top, mut left, mut right) =
        (inner(1, vec![child("b", 2, 2), child("d", 3, 2)]), leaves(&["a", "b"]), leaves(&["c", "d"]));
    change(&mut top, &mut left, &mut right);
    let mut store = stored(&[(1, top), (2, left), (3, right)]);
    let result = read_all(root(1, 4), &store);
    let rewritten = apply(
        root(1, 4),
        [b"a", b"b", b"c", b"d"].into_iter().map(|key| Ok(set(key, b"new"))),
        &mut store,
        &borders(),
    );
    assert_eq!(rewritten.is_ok(), result.is_ok());
    let compare = |before, after| diff(before, after, &store, &mut |_| Ok(()));
    assert_eq!(compare(root(1, 4), None).is_ok(), result.is_ok());
    assert_eq!(compare(None, root(1, 4)).is_ok(), result.is_ok());
    result
}

#[test]
fn the_tree_without_a_lie_reads_well() {
    assert_eq!(lie(|_, _, _| ()).unwrap(), [b"a", b"b", b"c", b"d"]);
}

#[test]
fn attack_r2_a_page_with_too_many_entries_is_refused() {
    let many = |count: usize| TreePage {
        level: 0,
        leaves: (0..count)
            .map(|n| LeafEntry { key: format!("{n:04x}").into_bytes(), value: Vec::new(), size: 5 })
            .collect(),
        children: Vec::new(),
    };
    let most = stored(&[(1, many(PAGE_ENTRIES_MAX))]);
    assert_eq!(read_all(root(0, 8192), &most).unwrap().len(), PAGE_ENTRIES_MAX);
    let more = stored(&[(1, many(PAGE_ENTRIES_MAX + 1))]);
    assert!(is_damage(read_all(root(0, 8193), &more)));

    let hollow = TreePage { level: 0, leaves: vec![LeafEntry::default(); 65_000], children: Vec::new() };
    assert!(is_damage(read_all(root(0, 65_000), &stored(&[(1, hollow)]))));
    let huge = stored(&[(1, many(20_000))]);
    assert!(is_damage(read_all(root(0, 20_000), &huge)));
}

#[test]
fn attack_r3_a_page_in_a_second_spelling_is_refused() {
    let mut bytes = leaves(&["a"]).encode_to_vec();
    bytes.extend([0x08, 0]);
    let mut store = MemoryPages::default();
    store.pages.insert(ChunkId([1; 32]), bytes);
    assert!(is_damage(read_all(root(0, 1), &store)));
}

#[test]
fn a_page_of_another_level_is_refused() {
    assert!(is_damage(lie(|top, _, _| top.level = 2)));
    assert!(is_damage(lie(|top, _, _| top.level = 0)));
    assert!(is_damage(lie(|_, left, _| left.level = 1)));
    assert!(is_damage(lie(|top, left, _| *left = top.clone())));
    assert!(is_damage(lie(|top, _, _| top.leaves.push(leaf("e")))));
    assert!(is_damage(lie(|_, left, _| left.children.push(child("b", 2, 2)))));
    let high = inner(33, vec![child("b", 2, 2), child("d", 3, 2)]);
    assert!(is_damage(read_all(root(32, 4), &stored(&[(1, high)]))));
}

#[test]
fn keys_out_of_order_are_refused() {
    assert!(is_damage(lie(|_, left, _| left.leaves[0].key = b"b".to_vec())));
    assert!(is_damage(lie(|_, left, _| left.leaves[0].key = b"c".to_vec())));
    assert!(is_damage(lie(|_, left, _| left.leaves[0].key.clear())));
    assert!(is_damage(lie(|top, _, _| top.children.swap(0, 1))));
    // A page that reaches back over the one before it.
    assert!(is_damage(lie(|_, _, right| right.leaves[0].key = b"b".to_vec())));
    assert!(is_damage(lie(|_, _, right| right.leaves[0].key = b"aa".to_vec())));
}

#[test]
fn a_page_that_reaches_back_over_its_parents_neighbour_is_refused() {
    let tree = |first| {
        stored(&[
            (1, inner(2, vec![child("b", 2, 2), child("d", 3, 2)])),
            (2, inner(1, vec![child("a", 4, 1), child("b", 5, 1)])),
            (3, inner(1, vec![child("d", 6, 2)])),
            (4, leaves(&["a"])),
            (5, leaves(&["b"])),
            (6, leaves(&[first, "d"])),
        ])
    };
    assert!(read_all(root(2, 4), &tree("c")).is_ok());
    assert!(is_damage(read_all(root(2, 4), &tree("b"))));
    assert!(is_damage(read_all(root(2, 4), &tree("aa"))));
}

#[test]
fn a_page_that_is_not_what_its_parent_says_is_refused() {
    assert!(is_damage(lie(|_, left, _| left.leaves[1].key = b"bb".to_vec())));
    assert!(is_damage(lie(|_, left, _| left.leaves.push(leaf("bb")))));
    assert!(is_damage(lie(|_, left, _| drop(left.leaves.remove(0)))));
    assert!(is_damage(lie(|_, left, _| left.leaves.clear())));
    assert!(is_damage(lie(|top, _, _| {
        top.children[0].entries = 1;
        top.children[1].entries = 3;
    })));
    assert!(is_damage(lie(|top, _, _| top.children[0].entries = 3)));
    assert!(is_damage(lie(|top, _, _| {
        top.children[0].entries = 5;
        top.children[1].entries = u64::MAX;
    })));
    assert!(is_damage(lie(|top, _, _| top.children[0].entries = 0)));
    let good = stored(&[(1, leaves(&["a", "b"]))]);
    assert!(read_all(root(0, 2), &good).is_ok());
    assert!(is_damage(read_all(root(0, 1), &good)) && is_damage(read_all(root(0, 3), &good)));
}

#[test]
fn sizes_that_do_not_add_up_are_refused() {
    assert!(is_damage(lie(|_, left, _| left.leaves[0].size = 4)));
    assert!(is_damage(lie(|top, _, _| top.children[0].size = 11)));
    assert!(is_damage(lie(|top, _, _| {
        top.children[0].size = 9;
        top.children[1].size = 11;
    })));
    assert!(is_damage(lie(|_, left, _| {
        left.leaves[0].size = 11;
        left.leaves[1].size = u64::MAX;
    })));
    assert!(is_damage(lie(|top, _, _| {
        top.children[0].size = 21;
        top.children[1].size = u64::MAX;
    })));
}

#[test]
fn no_size_that_is_claimed_keeps_anybody_from_reading_or_writing() {
    let huge = LeafEntry { size: u64::MAX, ..leaf("b") };
    let left = TreePage { leaves: vec![leaf("a"), huge], ..leaves(&[]) };
    let top = inner(1, vec![ChildEntry { size: u64::MAX, ..child("b", 2, 2) }, child("d", 3, 2)]);
    let mut store = stored(&[(1, top), (2, left), (3, leaves(&["c", "d"]))]);
    let root = Root::from_wire(&TreeRoot { size: u64::MAX, ..root(1, 4).unwrap().to_wire() }).ok();
    assert_eq!(read_all(root, &store).unwrap(), [b"a", b"b", b"c", b"d"]);
    assert_eq!(measure(root, &store, b"b", Some(b"d")).unwrap(), Extent { entries: 2, size: u64::MAX });
    let edited = edited(root, vec![set(b"d", b"more")], &mut store);
    assert_eq!(edited.unwrap().extent(), Extent { entries: 4, size: u64::MAX });
    assert_eq!(read_all(edited, &store).unwrap().len(), 4);
}

#[test]
fn a_measure_asks_for_no_page_behind_its_end_though_the_one_there_is_lost() {
    let top = inner(1, vec![child("b", 2, 2), child("d", 3, 2), child("f", 4, 2), child("h", 5, 2)]);
    let store = stored(&[(1, top), (2, leaves(&["a", "b"])), (5, leaves(&["g", "h"]))]);
    store.reset_counts();
    assert_eq!(measure(root(1, 8), &store, b"b", Some(b"d")).unwrap().entries, 3);
    assert_eq!(store.reads.get(), 3);
}

#[test]
fn of_a_page_that_is_lost_all_is_measured_that_its_parent_tells() {
    let top = inner(1, vec![child("b", 2, 2), child("d", 3, 2), child("f", 4, 2)]);
    let store = stored(&[(1, top), (2, leaves(&["a", "b"])), (4, leaves(&["e", "f"]))]);
    let of = |start: &[u8], end| {
        let Extent { entries, size } = measure(root(1, 6), &store, start, end).unwrap();
        assert_eq!(size, 5 * entries);
        entries
    };
    assert_eq!((of(b"", None), of(b"b", None), of(b"d", None), of(b"b", Some(b"f"))), (6, 5, 4, 4));
    assert_eq!((of(b"", Some(b"d")), of(b"e", None), of(b"g", None)), (4, 2, 0));
    assert!(matches!(measure(root(1, 6), &stored(&[]), b"a", None), Err(Error::Missing { .. })));
}

#[test]
fn lengths_out_of_bounds_are_refused() {
    assert!(is_damage(lie(|top, _, _| top.children[0].page.push(2))));
    assert!(is_damage(lie(|top, _, _| top.children[0].page.clear())));
    assert!(is_damage(lie(|_, left, _| left.leaves[0].value = vec![0; RECORD_BYTES_MAX + 1])));
    let long = "a".repeat(KEY_BYTES_MAX + 1);
    assert!(is_damage(lie(|_, left, _| left.leaves[0].key = long.into_bytes())));
    assert!(lie(|_, left, _| left.leaves[0].value = vec![0; RECORD_BYTES_MAX]).is_ok());
}

#[test]
fn an_inner_page_with_one_child_is_refused_but_at_the_end_of_its_level() {
    let single = stored(&[(1, inner(1, vec![child("b", 2, 2)])), (2, leaves(&["a", "b"]))]);
    assert!(is_damage(read_all(root(1, 2), &single)));

    let pages = |left, right| {
        stored(&[
            (1, inner(2, vec![child("b", 2, 2), child("d", 3, 2)])),
            (2, inner(1, left)),
            (3, inner(1, right)),
            (4, leaves(&["a"])),
            (5, leaves(&["b"])),
            (6, leaves(&["c", "d"])),
            (7, leaves(&["a", "b"])),
        ])
    };
    let two = || vec![child("a", 4, 1), child("b", 5, 1)];
    assert_eq!(read_all(root(2, 4), &pages(two(), vec![child("d", 6, 2)])).unwrap().len(), 4);
    let early = pages(vec![child("b", 7, 2)], vec![child("d", 6, 2)]);
    assert!(is_damage(read_all(root(2, 4), &early)));
}

#[test]
fn a_store_that_gives_one_page_for_every_id_leads_nowhere() {
    struct Always(Vec<u8>);
    impl PageReader for Always {
        fn page(&self, _: &ChunkId) -> Result<Vec<u8>> {
            Ok(self.0.clone())
        }
    }
    impl PageWriter for Always {
        fn put_page(&mut self, _: Vec<u8>) -> Result<ChunkId> {
            Ok(ChunkId([1; 32]))
        }

        fn size_of(&self, _: &[u8]) -> u64 {
            0
        }
    }
    for level in [1, 2, 32] {
        let page = inner(level, vec![child("b", 1, 2), child("d", 1, 2)]);
        let mut store = Always(page.encode_to_vec());
        assert!(is_damage(get(root(level, 4), b"a", &store)));
        assert!(is_damage(read_all(root(level, 4), &store)));
        assert!(is_damage(diff(root(level, 4), None, &store, &mut |_| Ok(()))));
        assert!(is_damage(apply(root(level, 4), [Ok(set(b"a", b""))].into_iter(), &mut store, &borders())));
        let walked = walk_pages(root(level, 4), &store, &mut |_, _| Ok(Walk::Below));
        assert_eq!(is_damage(walked), level > 1);
    }
}

#[test]
fn a_missing_page_is_missing_and_ends_the_scan() {
    let store = stored(&[(1, inner(1, vec![child("b", 2, 2), child("d", 3, 2)])), (2, leaves(&["a", "b"]))]);
    let results: Vec<_> = scan(root(1, 4), &store, Bound::Unbounded).collect();
    assert_eq!(results.len(), 3);
    assert!(matches!(results[2], Err(Error::Missing { what: Part::TreePage })));
}

#[test]
fn flipped_bits_never_panic_nor_break_the_order() {
    let model: Model = (0..60).map(|n| (long_key(n, 900), vec![7; 300])).collect();
    let (mut store, root) = MemoryPages::built_from(&model);
    let ids: Vec<_> = store.pages.keys().copied().collect();
    let mut n = 0_usize;
    for id in ids {
        let length = store.pages[&id].len();
        for at in (0..length.min(60)).chain((60..length).step_by(97)) {
            n += 1;
            store.pages.get_mut(&id).unwrap()[at] ^= 1 << (n % 8);
            if let Ok(keys) = read_all(root, &store) {
                assert!(keys.is_sorted_by(|a, b| a < b) && keys.len() == 60);
            }
            store.pages.get_mut(&id).unwrap()[at] ^= 1 << (n % 8);
        }
    }
    assert!(read_all(root, &store).is_ok() && n > 500);
}
