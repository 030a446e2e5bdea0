//! Attacks on what several devices make of each other's commits (docs/THREAT-MODEL.md): what one deleted, what
//! a revoked device wrote, and what comes between two requests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::disallowed_methods, reason = "test code")]

mod devices_support;

use std::sync::Mutex;

use devices_support::{World, objects, world};
use strongroom::{
    Error,
    history::Freshness,
    kinds::Kind,
    store::{MemoryStore, ObjectName, Store, StoreError, StoreErrorKind, StoredObject},
    vault::{Job, Vault},
};

const NOTES: Kind = Kind::NOTES;
const FILES: Kind = Kind::FILES;

impl World {
    /// Each of `acts` by a device that sees nothing of what the others do meanwhile.
    fn at_once(&self, acts: &[&dyn Fn()]) {
        let start = self.store.snapshot();
        let mut written = Vec::new();
        for act in acts {
            self.store.restore(&start);
            act();
            written.extend(objects(&self.store));
        }
        written.into_iter().for_each(|(name, bytes)| drop(self.store.put(&name, &bytes)));
    }

    fn delete(&self, device: usize, path: &str) {
        self.devices[device].records(&NOTES).unwrap().delete(path).unwrap();
    }

    fn put_and_sync(&self, device: usize, kind: &Kind, path: &str) {
        self.put(device, kind, path, "x");
        self.sync(device);
    }
}

/// A store at which something happens before each answer; it hides what `hides` says.
struct Veil<F> {
    store: MemoryStore,
    hides: Mutex<F>,
}

impl<F: FnMut(&str) -> bool> Veil<F> {
    fn over(store: &MemoryStore, hides: F) -> Self {
        Self { store: store.clone(), hides: Mutex::new(hides) }
    }
}

impl<F: FnMut(&str) -> bool + Send> Store for Veil<F> {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.put(name, bytes)
    }

    fn get(&self, name: &ObjectName, limit: usize) -> Result<Vec<u8>, StoreError> {
        if (self.hides.lock().unwrap())(name.as_str()) {
            return Err(StoreError::new(StoreErrorKind::NotFound, "hidden"));
        }
        self.store.get(name, limit)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.store.get_range(name, offset, length)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, StoreError> {
        self.store.length(name)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.store.list(prefix, visit)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.store.delete(name)
    }
}

#[test]
fn attack_f6_what_was_deleted_after_two_exchanges_at_once_stays_deleted() {
    let world = world(2, &[NOTES, FILES]);
    world.put(0, &NOTES, "n/x", "x");
    world.settle();
    world.at_once(&[&|| world.put_and_sync(0, &FILES, "n/1"), &|| world.put_and_sync(1, &NOTES, "n/f")]);
    world.at_once(&[&|| drop(world.sync(0)), &|| drop(world.sync(1))]);
    world.delete(0, "n/f");
    world.sync(0);
    assert!(!world.contents(0, &NOTES).contains_key("n/f"));
    world.settle();
    world.assert_all_have(&NOTES, &[("n/x", "x")]);
}

#[test]
fn attack_d6_what_others_took_over_from_a_revoked_device_stops_nobody() {
    let world = world(5, &[NOTES]);
    world.put(0, &NOTES, "n/x", "x");
    world.settle();
    // Device 4 writes once more; 1 and 2 take it over, and 0 revokes 4 without having seen it.
    let start = world.store.snapshot();
    world.put_and_sync(4, &NOTES, "n/late");
    world.at_once(&[&|| world.put_and_sync(1, &NOTES, "n/1"), &|| world.put_and_sync(2, &NOTES, "n/2")]);
    let late = objects(&world.store);
    world.store.restore(&start);
    world.devices[0].revoke(world.devices[4].device()).unwrap();
    // Device 3 hears of the revocation before it hears of the rest.
    world.sync(3);
    late.iter().for_each(|(name, bytes)| drop(world.store.put(name, bytes)));
    for _ in 0..3 {
        for n in 0..4 {
            world.devices[n].sync(&Job::new()).unwrap();
        }
    }
    for n in 0..4 {
        assert_eq!(world.contents(n, &NOTES).len(), 4, "device {n}");
    }
}

#[test]
fn attack_d6_d10_nothing_is_merged_under_a_root_that_a_revoked_device_has() {
    let world = world(5, &[NOTES]);
    world.put(0, &NOTES, "n/x", "x");
    world.settle();
    // Each revokes one and begins an epoch that the other one's revoked device can read.
    world.at_once(&[
        &|| {
            world.put_and_sync(0, &NOTES, "n/0");
            world.devices[0].revoke(world.devices[3].device()).unwrap();
        },
        &|| {
            world.put_and_sync(1, &NOTES, "n/1");
            world.devices[1].revoke(world.devices[4].device()).unwrap();
        },
    ]);
    let before = world.devices[2].ledger().since(0).unwrap().count();
    world.sync(2);
    let lines = world.devices[2].ledger().since(0).unwrap().skip(before);
    let written: Vec<String> = lines.map(|line| line.unwrap().object).collect();
    let first = |object: &str| written.iter().position(|written| written == object);
    assert!(first("roster").unwrap() < first("pack").unwrap(), "{written:?}");
    assert_eq!(world.contents(2, &NOTES).len(), 3);
}

#[test]
fn attack_r8_an_epoch_whose_device_died_before_its_commit_stops_no_merge() {
    let world = world(3, &[NOTES]);
    world.put(0, &NOTES, "n/x", "x");
    world.settle();
    world.at_once(&[&|| world.put_and_sync(0, &NOTES, "n/0"), &|| world.put_and_sync(1, &NOTES, "n/1")]);
    let last = |names: Vec<(ObjectName, Vec<u8>)>| {
        let own = world.devices[2].device().to_string();
        names.into_iter().map(|(name, _)| name).filter(|name| name.as_str().contains(&own)).max().unwrap()
    };
    let before = last(objects(&world.store));
    world.devices[2].rotate().unwrap();
    let commit = last(objects(&world.store));
    assert_ne!(commit, before);
    world.store.delete(&commit).unwrap();
    world.sync(0);
    world.sync(1);
    assert_eq!(world.contents(1, &NOTES).len(), 3);
}

#[test]
fn attack_d7_an_epoch_that_begins_between_two_requests_is_no_damage() {
    let mut world = world(2, &[NOTES]);
    world.put(0, &NOTES, "n/x", "x");
    world.settle();
    let (store, states) = (world.store.clone(), [0, 1].map(|n| world.state(n)));
    let other = world.devices[1].device().to_string();
    world.devices.clear();
    let mut asked = false;
    let veil = Veil::over(&world.store, move |name| {
        if name.contains(&other) && !std::mem::replace(&mut asked, true) {
            let other = Vault::open(store.clone(), &states[1]).unwrap();
            other.rotate().unwrap();
        }
        false
    });
    let vault = Vault::open(veil, world.state(0)).unwrap();
    vault.sync(&Job::new()).unwrap();
}

#[test]
fn attack_f2_f3_what_a_commit_has_seen_that_came_late_is_asked_for_too() {
    let mut world = world(4, &[NOTES]);
    world.settle();
    let old: Vec<String> =
        objects(&world.store).into_iter().map(|(name, _)| name.as_str().to_owned()).collect();
    // 1 has seen one commit more of 2; 2 has one more still, made when it had seen one more of 3.
    world.put_and_sync(2, &NOTES, "n/2");
    world.put_and_sync(1, &NOTES, "n/1");
    let known: Vec<_> = objects(&world.store).into_iter().map(|(name, _)| name).collect();
    world.put_and_sync(3, &NOTES, "n/3");
    world.put_and_sync(2, &NOTES, "n/22");
    let [two, three] = [2, 3].map(|n| world.devices[n].device().to_string());
    let new = objects(&world.store).into_iter().map(|(name, _)| name).filter(|name| !known.contains(name));
    let hidden: Vec<String> =
        new.map(|name| name.as_str().to_owned()).filter(|name| name.contains(&three)).collect();
    world.devices.remove(0);
    let mut late = false;
    let veil = Veil::over(&world.store, move |name| {
        late |= hidden.iter().any(|hidden| hidden == name);
        hidden.iter().any(|hidden| hidden == name)
            || (name.contains(&two) && !late && !old.iter().any(|old| old == name))
    });
    let vault = Vault::open(veil, world.state(0)).unwrap();
    let result = vault.sync(&Job::new());
    assert!(matches!(result, Err(Error::Rollback { .. })), "{result:?}");
}

#[test]
fn attack_f1_f8_after_a_rollback_was_accepted_nothing_is_called_fresh() {
    let world = world(2, &[NOTES]);
    world.settle();
    let old = world.store.snapshot();
    world.put_and_sync(0, &NOTES, "n/0");
    world.put_and_sync(1, &NOTES, "n/1");
    world.sync(0);
    assert_eq!(world.sync(1).freshness, Freshness::Fresh);
    world.store.restore(&old);
    assert!(matches!(world.devices[0].sync(&Job::new()), Err(Error::Rollback { .. })));
    let outcome = world.devices[0].re_anchor(&Job::new()).unwrap();
    assert_eq!(outcome.freshness, Freshness::Unproven);
    assert_eq!(world.sync(0).freshness, Freshness::Unproven, "nobody has seen what is true now");
    world.devices[1].re_anchor(&Job::new()).unwrap();
    assert_eq!(world.sync(0).freshness, Freshness::Fresh);
}
