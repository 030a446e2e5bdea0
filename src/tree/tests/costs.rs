//! What is promised of reads, writes and sizes, counted.

use super::*;
use crate::tree::{
    Walk,
    cursor::{Cursor, Item},
    diff, get, measure, scan, walk_pages,
};

fn keys_all_over(model: &Model, count: usize) -> Vec<Vec<u8>> {
    model.keys().skip(317).step_by(model.len() / count).take(count).cloned().collect()
}

#[test]
fn pages_are_of_a_useful_size() {
    let (store, root) = MemoryPages::built_from(&large_model());
    let bytes: usize = store.pages.values().map(Vec::len).sum();
    let mean = bytes / store.pages.len();
    assert!((6 * 1024..14 * 1024).contains(&mean), "{mean}");
    assert!(store.pages.values().all(|page| page.len() < 70_000));
    assert_eq!(root.unwrap().level(), 2);
}

#[test]
fn one_edit_reads_and_writes_a_few_pages() {
    let model = large_model();
    let (mut store, root) = MemoryPages::built_from(&model);
    let (mut writes, mut most) = (0, 0);
    let keys = keys_all_over(&model, 60);
    for (n, key) in keys.iter().enumerate() {
        let near = [key.as_slice(), b"+"].concat();
        let edit = [set(key, b"changed"), remove(key), set(&near, &[7; 90])][n % 3].clone();
        store.reset_counts();
        assert_ne!(edited(root, vec![edit], &mut store), root);
        writes += store.writes.get();
        most = most.max(store.writes.get());
        assert!(store.reads.get() <= 7, "{}", store.reads.get());
    }
    assert!(most <= 6 && writes <= 4 * keys.len(), "{most} {writes}");
}

#[test]
fn edits_that_change_nothing_write_no_leaves() {
    let model = large_model();
    let (mut store, root) = MemoryPages::built_from(&model);
    let keys = keys_all_over(&model, 10);
    let edits = keys.iter().flat_map(|key| [set(key, &model[key]), remove(&[key, &b"+"[..]].concat())]);
    store.reset_counts();
    assert_eq!(edited(root, edits.collect(), &mut store), root);
    assert!(store.writes.get() <= 11, "{}", store.writes.get());

    store.reset_counts();
    assert_eq!(edited(root, Vec::new(), &mut store), root);
    assert_eq!((store.reads.get(), store.writes.get()), (0, 0));
}

#[test]
fn a_measure_reads_a_path_at_each_end_and_nothing_of_the_whole() {
    let model = large_model();
    let (store, root) = MemoryPages::built_from(&model);
    store.reset_counts();
    assert_eq!(measure(root, &store, &[], None).unwrap().entries, 100_000);
    assert_eq!(store.reads.get(), 0);
    let keys = keys_all_over(&model, 10);
    for pair in keys.windows(2) {
        store.reset_counts();
        let found = measure(root, &store, &pair[0], Some(&pair[1])).unwrap();
        let expected = model.range(pair[0].clone()..pair[1].clone()).count();
        assert_eq!(found.entries, expected as u64);
        assert!(store.reads.get() <= 5, "{}", store.reads.get());
    }
}

#[test]
fn a_diff_reads_what_changed_and_little_more() {
    let model = large_model();
    let (mut store, old) = MemoryPages::built_from(&model);
    let keys = keys_all_over(&model, 10);
    let edits = keys.iter().enumerate().map(|(n, key)| match n % 3 {
        0 => set(key, b"changed"),
        1 => remove(key),
        _ => set(&[key, &b"+"[..]].concat(), b"new"),
    });
    let new = edited(old, edits.collect(), &mut store);
    store.reset_counts();
    let mut changes = 0;
    diff(old, new, &store, &mut |_| {
        changes += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(changes, 10);
    assert!(store.reads.get() < 80, "{}", store.reads.get());
}

/// New pages between old ones: the old page behind each was opened on one side before the other came to it.
#[test]
fn a_diff_passes_over_a_page_that_one_side_has_opened_already() {
    let model: Model = large_model().into_iter().take(4000).collect();
    let (mut store, old) = MemoryPages::built_from(&model);
    let mut last_keys = Vec::new();
    let mut cursor = Cursor::open(old, &store).unwrap();
    while let Some(Item::Page { level: 0, child }) = cursor.item() {
        last_keys.push([&child.last_key, &b"+"[..]].concat());
        cursor.step();
    }
    let edits: Vec<_> = last_keys.iter().step_by(5).take(6).map(|key| set(key, &[0; 8192])).collect();
    let new = edited(old, edits, &mut store);
    store.reset_counts();
    diff(old, new, &store, &mut |_| Ok(())).unwrap();
    assert_eq!((old.unwrap().level(), new.unwrap().level()), (1, 1));
    assert_eq!(store.reads.get(), 2 + 6 * 2);
}

#[test]
fn a_diff_of_trees_of_different_height_passes_over_what_they_share() {
    let model = large_model();
    let (mut store, tall) = MemoryPages::built_from(&model);
    let edits = model.keys().skip(4000).map(|key| remove(key)).collect();
    let low = edited(tall, edits, &mut store);
    assert!(low.unwrap().level() < tall.unwrap().level());
    store.reset_counts();
    let mut added = 0;
    diff(low, tall, &store, &mut |_| {
        added += 1;
        Ok(())
    })
    .unwrap();
    let new_pages = store.pages.len() * 96 / 100;
    assert_eq!(added, 96_000);
    assert!(store.reads.get() < new_pages + 20, "{} of {}", store.reads.get(), store.pages.len());
}

#[test]
fn looking_up_reads_a_page_a_level_and_walking_reads_no_leaves() {
    let model = large_model();
    let (store, root) = MemoryPages::built_from(&model);
    for key in keys_all_over(&model, 5) {
        store.reset_counts();
        assert!(get(root, &key, &store).unwrap() == Some(model[&key].clone()));
        assert_eq!(store.reads.get(), 3);
    }
    store.reset_counts();
    assert_eq!(scan(root, &store, std::ops::Bound::Unbounded).take(100).count(), 100);
    assert!(store.reads.get() < 8, "{}", store.reads.get());

    store.reset_counts();
    walk_pages(root, &store, &mut |_, _| Ok(Walk::Below)).unwrap();
    assert!(store.reads.get() < 30, "{}", store.reads.get());
    store.reset_counts();
    walk_pages(root, &store, &mut |_, _| Ok(Walk::Past)).unwrap();
    assert_eq!(store.reads.get(), 0);
}

/// Memory stays small because pages leave while edits still come.
#[test]
fn edits_stream_into_pages() {
    struct Shared(MemoryPages, std::rc::Rc<Cell<usize>>);
    impl PageReader for Shared {
        fn page(&self, id: &ChunkId) -> Result<Vec<u8>> {
            self.0.page(id)
        }
    }
    impl PageWriter for Shared {
        fn put_page(&mut self, bytes: Vec<u8>) -> Result<ChunkId> {
            self.1.set(self.1.get() + 1);
            self.0.put_page(bytes)
        }

        fn size_of(&self, value: &[u8]) -> u64 {
            self.0.size_of(value)
        }
    }
    let written = std::rc::Rc::new(Cell::new(0));
    let mut store = Shared(MemoryPages::default(), written.clone());
    let (mut most_waiting, mut pages, mut waiting) = (0, 0, 0);
    let edits = large_model().into_iter().take(20_000).map(|(key, value)| {
        waiting = if written.get() > pages { 0 } else { waiting + 1 };
        pages = written.get();
        most_waiting = most_waiting.max(waiting);
        Ok(set(&key, &value))
    });
    apply(None, edits, &mut store, &borders()).unwrap();
    assert!(most_waiting < 700, "{most_waiting}");
}
