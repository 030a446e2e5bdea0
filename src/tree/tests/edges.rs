//! Maps at the edges: empty, tall, heavy, cut short from either side.

use super::*;
use crate::{
    limits::{KEY_BYTES_MAX, PAGE_ENCODED_BYTES_MAX, RECORD_BYTES_MAX},
    tree::get,
};

/// Some 90 entries in a tree of four levels.
fn tall_model() -> Model {
    (0..90).map(|n| (long_key(n, 3000), vec![7; 100 + n % 50])).collect()
}

#[test]
fn a_map_grows_from_nothing_and_shrinks_to_nothing() {
    let mut store = MemoryPages::default();
    assert_eq!(edited(None, Vec::new(), &mut store), None);
    assert_eq!(edited(None, vec![remove(b"absent")], &mut store), None);
    let one = edited(None, vec![set(b"key", b"")], &mut store);
    assert_eq!(one.unwrap().level(), 0);
    assert_eq!(get(one, b"key", &store).unwrap(), Some(Vec::new()));
    assert_eq!(edited(one, vec![remove(b"key")], &mut store), None);

    let all = tall_model();
    let root = edited(None, all.iter().map(|(key, value)| set(key, value)).collect(), &mut store);
    assert!(root.unwrap().level() >= 3, "{root:?}");
    assert_eq!(edited(root, all.keys().map(|key| remove(key)).collect(), &mut store), None);
}

#[test]
fn a_tree_cut_from_either_side_is_as_if_built_anew() {
    let all = tall_model();
    let (mut store, root) = MemoryPages::built_from(&all);
    let keys: Vec<_> = all.keys().cloned().collect();
    for at in 0..keys.len() {
        let (low, high) = keys.split_at(at);
        for cut in [low, high] {
            let edits: Vec<_> = cut.iter().map(|key| remove(key)).collect();
            let mut model = all.clone();
            edit_model(&mut model, &edits);
            assert_eq!(edited(root, edits, &mut store), fresh(&model), "{at}");
        }
    }
}

#[test]
fn a_tree_that_grows_entry_by_entry_at_either_end_is_as_if_built_anew() {
    let (mut forth, mut back) = ((Model::new(), None), (Model::new(), None));
    let mut store = MemoryPages::default();
    let all = tall_model();
    for (one, other) in all.iter().zip(all.iter().rev()) {
        for ((model, root), (key, value)) in [(&mut forth, one), (&mut back, other)] {
            model.insert(key.clone(), value.clone());
            *root = edited(*root, vec![set(key, value)], &mut store);
            assert_eq!(*root, fresh(model));
        }
    }
    assert_eq!(forth.1, back.1);
}

#[test]
fn every_single_edit_of_a_tall_tree_is_as_if_built_anew() {
    let all = tall_model();
    let (mut store, root) = MemoryPages::built_from(&all);
    for key in all.keys() {
        let after = [key.as_slice(), b"+"].concat();
        for edit in [set(key, &[9; 9000]), remove(key), set(&after, b"")] {
            let mut model = all.clone();
            edit_model(&mut model, std::slice::from_ref(&edit));
            assert_eq!(edited(root, vec![edit], &mut store), fresh(&model));
        }
    }
}

#[test]
fn the_longest_keys_and_values_fit() {
    let length = KEY_BYTES_MAX - 6;
    let all: Model = (0..60).map(|n| (long_key(n, length), vec![7; RECORD_BYTES_MAX - n % 3])).collect();
    let (mut store, root) = MemoryPages::built_from(&all);
    assert!(store.pages.values().all(|page| page.len() <= PAGE_ENCODED_BYTES_MAX));
    for (key, value) in &all {
        assert!(get(root, key, &store).unwrap().as_ref() == Some(value));
    }
    for (key, value) in [
        (vec![], vec![]),
        (vec![b'z'; KEY_BYTES_MAX + 1], vec![]),
        (b"z".to_vec(), vec![0; RECORD_BYTES_MAX + 1]),
    ] {
        let edits = [Ok(set(&key, &value))].into_iter();
        assert!(matches!(apply(root, edits, &mut store, &borders()), Err(Error::InvalidArgument(_))));
    }
}

/// Light entries under one long page: borders are rare, so the 64 KiB rule closes pages too.
#[test]
fn pages_without_borders_end_when_full() {
    let mut all = Model::new();
    let borders = borders();
    let mut n = 0_u32;
    while all.len() < 9000 {
        let key = format!("{n:07}").into_bytes();
        let last = crate::tree::border::Laid { key: &key, weight: 23 };
        if !borders.ends_page(0, &last, crate::tree::border::Filled { entries: 1, weight: 23 }) {
            all.insert(key, Vec::new());
        }
        n += 1;
    }
    let (mut store, root) = MemoryPages::built_from(&all);
    assert_eq!(store.pages.len(), 1 + (9000 * 23_usize).div_ceil(65536 + 22));
    let first = all.keys().next().unwrap().clone();
    all.remove(&first);
    assert_eq!(edited(root, vec![remove(&first)], &mut store), fresh(&all));
}

#[test]
fn edits_out_of_order_are_refused() {
    let (mut store, root) = MemoryPages::built_from(&tall_model());
    for edits in [[set(b"b", b""), set(b"a", b"")], [set(b"b", b""), remove(b"b")]] {
        let result = apply(root, edits.into_iter().map(Ok), &mut store, &borders());
        assert!(matches!(result, Err(Error::Internal(_))));
    }
    let failing = [Ok(set(b"a", b"")), Err(Error::Cancelled)].into_iter();
    assert!(matches!(apply(root, failing, &mut store, &borders()), Err(Error::Cancelled)));

    let borders = borders();
    let mut builder = Builder::new(&mut store, &borders);
    builder.push(b"b".to_vec(), Vec::new()).unwrap();
    assert!(matches!(builder.push(b"b".to_vec(), Vec::new()), Err(Error::Internal(_))));
}

/// Pins the whole format: cut key 07…, chunk-id key 01….
#[test]
fn the_root_of_a_known_map_is_pinned() {
    let model: Model =
        (0..5000).map(|n| (format!("key/{n:05}").into_bytes(), format!("value {n}").into_bytes())).collect();
    let root = fresh(&model).unwrap();
    let hex: String = root.page().0.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (root.level(), root.entries(), hex.as_str()),
        (1, 5000, "2b1b925b201fb1c03fff9ee91830b3f929d6ae1f15ddca9fca7e00b27ded1f4b")
    );
}
