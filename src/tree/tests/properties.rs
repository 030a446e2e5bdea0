//! The promise of this room, on any map and any history: the same map gives the same root, and every read
//! tells what a plain map would.

use std::{collections::HashSet, ops::Bound};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::tree::{Change, Extent, Walk, diff, get, measure, scan, scan_prefix, walk_pages};

/// Steps that make a history. Numbers name keys in a space of [`SPACE`].
#[derive(Debug, Clone)]
enum Step {
    Edits(Vec<(usize, Option<(u8, usize)>)>),
    RemoveFrom(usize),
    RemoveTo(usize),
    Fill(usize, usize, u8),
}

const SPACE: usize = 400;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = prop_oneof![
        3 => (0..4_u8, 0..40_usize).prop_map(Some),
        1 => (0..4_u8, 0..5000_usize).prop_map(Some),
        2 => Just(None),
    ];
    let step = prop_oneof![
        4 => vec((0..SPACE, value), 0..30).prop_map(Step::Edits),
        1 => (0..SPACE).prop_map(Step::RemoveFrom),
        1 => (0..SPACE).prop_map(Step::RemoveTo),
        2 => (0..SPACE, 0..SPACE, any::<u8>()).prop_map(|(a, b, v)| Step::Fill(a, b, v)),
    ];
    vec(step, 1..7)
}

fn key_lengths() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), Just(200), Just(1500), Just(4602)]
}

fn edits_of(step: &Step, length: usize) -> Vec<Edit> {
    let mut edits = Model::new();
    let mut removed = HashSet::new();
    let mut edit = |n: usize, value: Option<Vec<u8>>| {
        let key = long_key(n, length);
        if value.is_none() {
            removed.insert(key.clone());
        } else {
            removed.remove(&key);
        }
        edits.insert(key, value.unwrap_or_default());
    };
    match step {
        Step::Edits(list) => list.iter().for_each(|(n, v)| edit(*n, v.map(|(byte, len)| vec![byte; len]))),
        Step::RemoveFrom(from) => (*from..SPACE).for_each(|n| edit(n, None)),
        Step::RemoveTo(to) => (0..*to).for_each(|n| edit(n, None)),
        Step::Fill(a, b, byte) => (*a..*b).for_each(|n| edit(n, Some(vec![*byte; 30]))),
    }
    edits.into_iter().map(|(key, v)| Edit { value: (!removed.contains(&key)).then_some(v), key }).collect()
}

fn model_diff(before: &Model, after: &Model) -> Vec<Change> {
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let change = |key: &Vec<u8>| Change {
        key: key.clone(),
        before: before.get(key).cloned(),
        after: after.get(key).cloned(),
    };
    keys.into_iter().map(change).filter(|change| change.before != change.after).collect()
}

fn tree_diff(before: Option<Root>, after: Option<Root>, store: &MemoryPages) -> Vec<Change> {
    let mut changes = Vec::new();
    diff(before, after, store, &mut |change| {
        changes.push(change);
        Ok(())
    })
    .unwrap();
    changes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_map_gives_the_same_root_whatever_its_history(steps in steps(), length in key_lengths()) {
        let mut store = MemoryPages::default();
        let (mut model, mut root) = (Model::new(), None);
        for step in &steps {
            let edits = edits_of(step, length);
            edit_model(&mut model, &edits);
            root = edited(root, edits, &mut store);
            prop_assert!(root == fresh(&model));
        }
    }

    #[test]
    fn a_diff_tells_what_the_model_tells(steps in steps(), length in key_lengths(), cut in 0..6_usize) {
        let mut store = MemoryPages::default();
        let (mut old, mut new) = (Model::new(), Model::new());
        for (at, step) in steps.iter().enumerate() {
            let edits = edits_of(step, length);
            edit_model(&mut new, &edits);
            if at < cut {
                edit_model(&mut old, &edits);
            }
        }
        let (before, after) = (build(&old, &mut store), build(&new, &mut store));
        prop_assert!(tree_diff(before, after, &store) == model_diff(&old, &new));
        prop_assert!(tree_diff(after, before, &store) == model_diff(&new, &old));
    }

    #[test]
    fn reads_tell_what_the_model_tells(steps in steps(), length in key_lengths(), n in 0..SPACE) {
        let mut model = Model::new();
        steps.iter().for_each(|step| edit_model(&mut model, &edits_of(step, length)));
        let (store, root) = MemoryPages::built_from(&model);
        let key = long_key(n, length);
        prop_assert!(get(root, &key, &store).unwrap().as_ref() == model.get(&key));
        for start in [Bound::Unbounded, Bound::Included(&key[..]), Bound::Excluded(&key[..])] {
            let found: Vec<_> = scan(root, &store, start).map(Result::unwrap).collect();
            let expected = model.range::<[u8], _>((start, Bound::Unbounded));
            prop_assert!(found.iter().map(|(key, value)| (key, value)).eq(expected));
        }
        let prefix = &key[..key.len() - 2];
        let found: Vec<_> = scan_prefix(root, &store, prefix).map(|entry| entry.unwrap().0).collect();
        prop_assert!(found.iter().eq(model.keys().filter(|key| key.starts_with(prefix))));
        prop_assert_eq!(root.map_or(0, Root::entries), model.len() as u64);
    }

    #[test]
    fn a_measure_tells_what_the_model_tells(
        steps in steps(),
        length in key_lengths(),
        n in 0..SPACE,
        more in 0..SPACE,
    ) {
        let mut store = MemoryPages::default();
        let (mut model, mut root) = (Model::new(), None);
        for step in &steps {
            let edits = edits_of(step, length);
            edit_model(&mut model, &edits);
            root = edited(root, edits, &mut store);
        }
        let (start, end) = (long_key(n, length), long_key(n + more, length));
        for (start, end) in [(&[][..], None), (&start[..], None), (&[][..], Some(&end[..])), (&start, Some(&end))] {
            let is_in = |key: &[u8]| key >= start && end.is_none_or(|end| key < end);
            let values = model.iter().filter(|(key, _)| is_in(key)).map(|(_, value)| value.len() as u64);
            let expected = Extent { entries: values.clone().count() as u64, size: values.sum() };
            prop_assert_eq!(measure(root, &store, start, end).unwrap(), expected);
        }
    }

    #[test]
    fn sizes_that_another_device_did_not_tell_hinder_neither_edits_nor_reading(
        old in steps(),
        new in steps(),
        length in key_lengths(),
    ) {
        let mut store = MemoryPages { sizeless: true, ..MemoryPages::default() };
        let mut model = Model::new();
        old.iter().for_each(|step| edit_model(&mut model, &edits_of(step, length)));
        let mut root = build(&model, &mut store);
        store.sizeless = false;
        for step in &new {
            let edits = edits_of(step, length);
            edit_model(&mut model, &edits);
            root = edited(root, edits, &mut store);
        }
        let found: Vec<_> = scan(root, &store, Bound::Unbounded).map(Result::unwrap).collect();
        prop_assert!(found.iter().map(|(key, value)| (key, value)).eq(&model));
        let anew = build(&model, &mut store);
        prop_assert!(tree_diff(root, anew, &store).is_empty() && tree_diff(anew, root, &store).is_empty());
        let (counted, whole) = (measure(root, &store, &[], None).unwrap(), measure(anew, &store, &[], None).unwrap());
        prop_assert!(counted.entries == whole.entries && counted.size <= whole.size);
    }

    #[test]
    fn a_walk_names_every_page_once_and_a_build_writes_no_other(steps in steps(), length in key_lengths()) {
        let mut model = Model::new();
        steps.iter().for_each(|step| edit_model(&mut model, &edits_of(step, length)));
        let (store, root) = MemoryPages::built_from(&model);
        let mut seen = HashSet::new();
        walk_pages(root, &store, &mut |id, _| {
            assert!(seen.insert(*id));
            Ok(Walk::Below)
        })
        .unwrap();
        prop_assert!(seen.len() == store.pages.len() && seen.len() == store.writes.get());
        prop_assert!(seen.iter().all(|id| store.pages.contains_key(id)));
    }
}
