//! Attacks on what several devices make of each other's commits (docs/THREAT-MODEL.md): what one deleted, what
//! a revoked device wrote, and what comes between two requests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::disallowed_methods, reason = "test code")]

mod devices_support;

use devices_support::{World, objects, world};
use strongroom::{kinds::Kind, store::Store as _, vault::Job};

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
