//! Attacks on time and on who may speak, with several devices (docs/THREAT-MODEL.md): rollback, fork,
//! withholding, revoked devices, replaced secrets, copied devices.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "test code"
)]

mod devices_support;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use devices_support::{World, copy_store, objects, replace, world};
use strongroom::{
    Error,
    crypto::OsRandom,
    history::{ForkProof, Freshness},
    keys::HeadCode,
    kinds::Kind,
    store::{
        MemoryStore, ObjectName, Store as _,
        faults::{Fault, FaultStore, Method},
    },
    vault::{At, Clock, Environment, Job, NewDevice, Selection, SystemClock, Vault},
};

const NOTES: Kind = Kind::NOTES;

fn commit_names(store: &MemoryStore) -> Vec<ObjectName> {
    objects(store)
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.as_str().starts_with("commits/"))
        .collect()
}

/// What an object of the store is, if it is there.
fn object(store: &MemoryStore, name: &ObjectName) -> Option<Vec<u8>> {
    store.get(name, usize::MAX).ok()
}

/// Device `n` edits and syncs: one more commit.
fn edit(world: &World, device: usize, n: usize) {
    world.put(device, &NOTES, &format!("n/{n}"), &format!("edit {n} of device {device}"));
    assert!(world.sync(device).commit.is_some());
}

#[test]
fn attack_f1_f2_every_earlier_state_is_a_rollback_to_every_device() {
    let world = world(3, &[NOTES]);
    world.settle();
    let mut states = Vec::new();
    for n in 0..60 {
        states.push(world.store.snapshot());
        edit(&world, n % 3, n);
    }
    (0..3).for_each(|device| drop(world.sync(device)));
    let newest = world.store.snapshot();
    for (n, state) in states.iter().enumerate() {
        world.store.restore(state);
        for vault in &world.devices {
            let caught = vault.sync(&Job::new());
            assert!(matches!(caught, Err(Error::Rollback { .. })), "state {n}: {caught:?}");
        }
    }
    world.store.restore(&newest);
    world.settle();
}

#[test]
fn attack_f2_a_chain_rolled_back_alone_is_noticed_by_whoever_heard_of_it() {
    let world = world(3, &[NOTES]);
    world.settle();
    edit(&world, 0, 0);
    edit(&world, 1, 1);
    // Device 2 has seen neither; the store hides device 0's newest commit, which device 1 has seen.
    let own = format!("commits/{}/", world.devices[0].device());
    let newest =
        commit_names(&world.store).into_iter().filter(|name| name.as_str().starts_with(&own)).max().unwrap();
    world.store.delete(&newest).unwrap();
    let caught = world.devices[2].sync(&Job::new());
    assert!(
        matches!(caught, Err(Error::Rollback { device, .. }) if device == world.devices[0].device().label())
    );
}

fn verified(error: Option<Error>, world: &World, device: usize) -> ForkProof {
    let Some(Error::Fork { device: label, sequence, proof: Some(proof) }) = error else {
        panic!("no fork with a proof: {error:?}")
    };
    let proof = ForkProof::verify(&proof).unwrap();
    assert_eq!((proof.device().label(), proof.sequence()), (label, sequence));
    assert_eq!(proof.device(), world.devices[device].device());
    assert_eq!(proof.account(), world.devices[0].account());
    proof
}

#[test]
fn attack_f3_a_fork_at_every_commit_is_proved_within_one_exchange() {
    let mut world = world(3, &[NOTES]);
    world.settle();
    for n in 0..60 {
        let (forked, reader, other) = (n % 3, (n + 1) % 3, (n + 2) % 3);
        let image = world.image(forked, &format!("image-{n}"));
        let before = copy_store(&world.store);
        edit(&world, forked, n);
        world.sync(reader);
        // In the other history the same device, from its image, says something else.
        let copy = Vault::open(before.clone(), image).unwrap();
        copy.records(&NOTES).unwrap().put("n/forked", format!("history two, {n}").as_bytes()).unwrap();
        copy.sync(&Job::new()).unwrap();
        let newest = world.store.snapshot();
        // The reader, who has seen the first history, is shown the second.
        for (name, bytes) in objects(&before) {
            if object(&world.store, &name).as_ref() != Some(&bytes) {
                replace(&world.store, &name, &bytes);
            }
        }
        let proof = verified(world.devices[reader].sync(&Job::new()).err(), &world, forked);
        let mut changed = proof.bytes().to_vec();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        assert!(ForkProof::verify(&changed).is_err());
        world.store.restore(&newest);
        if n % 6 == 0 {
            // A third device that saw only the second history speaks; the reader hears it.
            let image = world.image(other, &format!("other-{n}"));
            let third = Vault::open(before.clone(), image).unwrap();
            third.records(&NOTES).unwrap().put("n/third", format!("in history two, {n}").as_bytes()).unwrap();
            third.sync(&Job::new()).unwrap();
            let mixed = world.store.snapshot();
            let of_third = format!("commits/{}/", third.device());
            for (name, bytes) in objects(&before) {
                let known = object(&world.store, &name).is_some();
                if !known && (name.as_str().starts_with("objects/") || name.as_str().starts_with(&of_third)) {
                    world.store.put(&name, &bytes).unwrap();
                }
            }
            verified(world.devices[reader].sync(&Job::new()).err(), &world, forked);
            world.store.restore(&mixed);
        }
        world.sync(other);
    }
    world.settle();
}

#[test]
fn attack_r9_a_copied_device_is_noticed_and_may_not_write() {
    let mut world = world(2, &[NOTES]);
    world.settle();
    let image = world.image(1, "image");
    edit(&world, 1, 0);
    // The phone is put back to an old image: the store knows more of it than it knows itself.
    let copy = Vault::open(world.store.clone(), image).unwrap();
    copy.records(&NOTES).unwrap().put("n/copy", b"of the copy").unwrap();
    let names = commit_names(&world.store);
    assert!(matches!(copy.sync(&Job::new()), Err(Error::Cloned { .. })));
    assert!(matches!(copy.backup_nothing(), Err(Error::Cloned { .. })));
    assert_eq!(commit_names(&world.store), names, "the copy wrote nothing");
    // Used at once with an image of the same moment, whoever comes second is told.
    let image = world.image(1, "image-2");
    let copy = Vault::open(world.store.clone(), image).unwrap();
    copy.records(&NOTES).unwrap().put("n/copy", b"of the copy").unwrap();
    copy.sync(&Job::new()).unwrap();
    world.put(1, &NOTES, "n/first", "of the first");
    assert!(matches!(world.devices[1].sync(&Job::new()), Err(Error::Cloned { .. })));
    // The way on is to enroll again.
    let state = world.folder.path().join("again");
    let again =
        Vault::recover(world.store.clone(), state, &world.code, NewDevice::named("again").unwrap()).unwrap();
    again.consent().grant(&NOTES).unwrap();
    again.sync(&Job::new()).unwrap();
    assert_eq!(again.records(&NOTES).unwrap().get("n/copy").unwrap(), b"of the copy");
}

trait BackUpNothing {
    fn backup_nothing(&self) -> strongroom::Result<()>;
}

impl BackUpNothing for Vault {
    fn backup_nothing(&self) -> strongroom::Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let source = strongroom::vault::Folder::at(folder.path());
        self.backup(&NOTES, "n", strongroom::vault::Source::Folder(&source), &Job::new()).map(drop)
    }
}

#[test]
fn attack_f3_a_delayed_edit_beside_a_heartbeat_is_not_hidden_from_a_recovery() {
    const DAY_MS: i64 = 25 * 60 * 60 * 1000;
    let now = Arc::new(AtomicI64::new(SystemClock.now_ms()));
    let clock = || Environment::new(Box::new(TestClock(Arc::clone(&now))), Box::new(OsRandom));
    let mut world = world(2, &[NOTES]);
    edit(&world, 0, 0);
    world.settle();
    let states = [0, 1].map(|n| world.state(n));
    world.devices.clear();
    world.devices = states
        .map(|state| Vault::open_in(world.store.clone(), state, clock()).unwrap())
        .into_iter()
        .collect();
    for _ in 0..5 {
        now.fetch_add(DAY_MS, Ordering::Relaxed);
        (0..2).for_each(|n| assert!(world.sync(n).commit.is_some()));
    }
    // Device 0 edits; the store shows it to device 1 only after that one has said that it is there.
    now.fetch_add(DAY_MS, Ordering::Relaxed);
    assert!(world.sync(0).commit.is_some());
    let before = world.store.snapshot();
    edit(&world, 0, 1);
    let after = objects(&world.store);
    world.store.restore(&before);
    now.fetch_add(1000, Ordering::Relaxed);
    assert!(world.sync(1).commit.is_some());
    after.iter().for_each(|(name, bytes)| drop(world.store.put(name, bytes)));
    let (code, device) = (&world.code, NewDevice::named("new").unwrap());
    let new = Vault::recover(world.store.clone(), world.folder.path().join("new"), code, device).unwrap();
    let plan = new.plan_restore(&Selection::all(), &At::Latest, &Job::new()).unwrap();
    assert_eq!((plan.entries(), plan.unmerged()), (2, [].as_slice()), "both notes");
    world.settle();
    assert_eq!(world.contents(1, &NOTES).len(), 2);
}

/// A clock that a test sets.
struct TestClock(Arc<AtomicI64>);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What three devices end with, whose clocks show `time(n)` at the n-th step.
fn run_by(time: impl Fn(u64) -> i64) -> Vec<BTreeMap<String, String>> {
    let mut world = world(3, &[NOTES]);
    let now = Arc::new(AtomicI64::new(time(0)));
    world.settle();
    let states = [0, 1, 2].map(|n| world.state(n));
    world.devices.clear();
    let open = |state: &PathBuf| {
        let environment = Environment::new(Box::new(TestClock(Arc::clone(&now))), Box::new(OsRandom));
        Vault::open_in(world.store.clone(), state.clone(), environment).unwrap()
    };
    world.devices = states.iter().map(open).collect();
    let mut old = None;
    for step in 1..20 {
        now.store(time(step), Ordering::Relaxed);
        let device = step as usize % 3;
        match step % 5 {
            0 => world.devices[device].records(&NOTES).unwrap().delete(&format!("n/{}", step - 2)).unwrap(),
            _ => world.put(device, &NOTES, &format!("n/{step}"), &format!("step {step}")),
        }
        if step == 10 {
            old = Some(world.store.snapshot());
        }
        world.sync(device);
    }
    (0..6).for_each(|n| drop(world.sync(n % 3)));
    let contents = (0..3).map(|n| world.contents(n, &NOTES)).collect();
    world.store.restore(&old.unwrap());
    for vault in &world.devices {
        assert!(matches!(vault.sync(&Job::new()), Err(Error::Rollback { .. })));
    }
    contents
}

#[test]
fn attack_f9_clocks_that_lie_change_neither_the_state_nor_the_errors() {
    let right = run_by(|step| 1_700_000_000_000 + step as i64 * 60_000);
    assert!(right[0].len() > 10 && right.iter().all(|contents| *contents == right[0]));
    let lies: [&dyn Fn(u64) -> i64; 4] =
        [&|_| 0, &|step| i64::MAX - step as i64, &|step| -(step as i64) * 1_000_000_000, &|step| {
            (step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1) as i64 - (1 << 62)
        }];
    for lie in lies {
        assert_eq!(run_by(lie), right);
    }
}

#[test]
fn attack_f9_a_clock_that_was_ahead_and_was_set_right_silences_nobody() {
    let world = world(1, &[NOTES]);
    let state = world.state(0);
    drop(world.devices);
    let now = Arc::new(AtomicI64::new(SystemClock.now_ms() + 400 * 24 * 60 * 60 * 1000));
    let environment = Environment::new(Box::new(TestClock(Arc::clone(&now))), Box::new(OsRandom));
    let vault = Vault::open_in(world.store.clone(), state, environment).unwrap();
    assert!(vault.sync(&Job::new()).unwrap().commit.is_some());
    now.store(SystemClock.now_ms(), Ordering::Relaxed);
    assert!(vault.sync(&Job::new()).unwrap().commit.is_some(), "it says that it is there");
    assert!(vault.sync(&Job::new()).unwrap().commit.is_none());
}

#[test]
fn attack_f4_a_silent_device_makes_the_view_stale() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let now = Arc::new(AtomicI64::new(1_700_000_000_000));
    let clock = || Environment::new(Box::new(TestClock(Arc::clone(&now))), Box::new(OsRandom));
    let world = world(2, &[NOTES]);
    world.settle();
    let [a, b] = [0, 1].map(|n| world.state(n));
    drop(world.devices);
    let a = Vault::open_in(world.store.clone(), a, clock()).unwrap();
    let b = Vault::open_in(world.store.clone(), b, clock()).unwrap();
    now.store(SystemClock.now_ms(), Ordering::Relaxed);
    // Each says daily that it is there, and nothing else.
    for _ in 0..30 {
        now.fetch_add(DAY_MS, Ordering::Relaxed);
        assert!(a.sync(&Job::new()).unwrap().commit.is_some());
        let outcome = b.sync(&Job::new()).unwrap();
        assert_eq!((outcome.freshness, outcome.changed), (Freshness::Fresh, 0));
    }
    // From here on the store withholds what b writes.
    let mut stale = None;
    for day in 0..30 {
        now.fetch_add(DAY_MS, Ordering::Relaxed);
        let outcome = a.sync(&Job::new()).unwrap();
        if outcome.freshness != Freshness::Fresh {
            stale.get_or_insert((day, outcome.freshness));
        }
    }
    let Some((14..=15, Freshness::Stale { device, age_ms })) = stale else { panic!("{stale:?}") };
    assert_eq!(device, b.device());
    assert!(age_ms > 14 * DAY_MS);
}

#[test]
fn attack_f5_deliveries_out_of_order_and_twice_end_in_one_state() {
    for seed in 0..20_usize {
        let world = world(3, &[NOTES]);
        world.settle();
        let start = world.store.snapshot();
        // Each writes without seeing the others; then everything arrives in some order, some of it twice.
        let mut written = Vec::new();
        for device in 0..3 {
            world.store.restore(&start);
            for n in 0..3 {
                world.put(device, &NOTES, &format!("n/{device}-{n}"), "x");
                world.put(device, &NOTES, "n/all", &format!("{device}"));
                world.sync(device);
            }
            written.extend(objects(&world.store));
        }
        world.store.restore(&start);
        let count = written.len();
        for n in 0..2 * count {
            let (name, bytes) = &written[(n * 7919 + seed * 31) % count];
            let _ = world.store.put(name, bytes);
        }
        for (name, bytes) in &written {
            let _ = world.store.put(name, bytes);
        }
        world.settle();
        let all = world.contents(0, &NOTES);
        assert_eq!(all.keys().filter(|path| path.starts_with("n/all")).count(), 3, "{all:?}");
        (1..3).for_each(|n| assert_eq!(world.contents(n, &NOTES), all, "seed {seed}"));
    }
}

#[test]
fn attack_f6_what_was_deleted_stays_deleted_whatever_the_store_puts_back() {
    let world = world(2, &[NOTES]);
    world.put(0, &NOTES, "n/gone", "secret");
    world.settle();
    let before = objects(&world.store);
    world.devices[0].records(&NOTES).unwrap().delete("n/gone").unwrap();
    edit(&world, 0, 0);
    let after = objects(&world.store);
    world.settle();
    // The objects that held it are all still there: nothing leads to them.
    assert!(before.iter().all(|(name, _)| object(&world.store, name).is_some()));
    (0..2).for_each(|n| assert!(!world.contents(n, &NOTES).contains_key("n/gone")));
    // The commit that deleted it is dropped: the gap is seen.
    let dropped = after.iter().find(|(name, _)| {
        name.as_str().starts_with("commits/") && !before.iter().any(|(known, _)| known == name)
    });
    world.store.delete(&dropped.unwrap().0).unwrap();
    assert!(matches!(world.devices[1].sync(&Job::new()), Err(Error::Rollback { .. })));
}

#[test]
fn attack_d6_a_revoked_device_with_all_of_the_store_reads_nothing_new_and_is_not_heard() {
    let mut world = world(3, &[NOTES]);
    world.put(0, &NOTES, "n/old", "written before");
    world.settle();
    let image = world.image(2, "stolen");
    let before: Vec<_> = objects(&world.store).into_iter().map(|(name, _)| name).collect();
    world.devices[0].revoke(world.devices[2].device()).unwrap();
    world.put(0, &NOTES, "n/new", "written afterwards");
    world.sync(0);
    world.sync(1);
    world.put(1, &NOTES, "n/newer", "by the other device");
    world.sync(1);
    world.sync(0);
    // The thief holds the whole store and the whole state folder.
    let store = copy_store(&world.store);
    let stolen = Vault::open(store.clone(), &image).unwrap();
    assert!(stolen.sync(&Job::new()).is_err());
    assert!(stolen.records(&NOTES).unwrap().get("n/new").is_err());
    // With only what it could read before, it goes on by itself; what it writes is not heard.
    let new: Vec<_> =
        objects(&store).into_iter().map(|(name, _)| name).filter(|name| !before.contains(name)).collect();
    new.iter().for_each(|name| store.delete(name).unwrap());
    stolen.records(&NOTES).unwrap().put("n/evil", b"by the thief").unwrap();
    stolen.sync(&Job::new()).unwrap();
    for (name, bytes) in objects(&store) {
        let _ = world.store.put(&name, &bytes);
    }
    for n in 0..2 {
        world.sync(n);
        let all = world.contents(n, &NOTES);
        assert!(!all.contains_key("n/evil"), "{all:?}");
        assert_eq!(all.len(), 3);
    }
}

#[test]
fn attack_d7_a_revocation_that_the_store_hides_stops_whoever_hears_of_it() {
    let world = world(3, &[NOTES]);
    world.settle();
    let before: Vec<_> = objects(&world.store).into_iter().map(|(name, _)| name).collect();
    world.devices[0].revoke(world.devices[2].device()).unwrap();
    edit(&world, 0, 0);
    // Device 1 gets the commits, but neither its envelope nor the roster.
    let own = world.devices[0].device().to_string();
    let hidden: Vec<_> = objects(&world.store)
        .into_iter()
        .filter(|(name, _)| !before.contains(name) && !name.as_str().contains(&own))
        .collect();
    hidden.iter().for_each(|(name, _)| world.store.delete(name).unwrap());
    world.put(1, &NOTES, "n/b", "x");
    let names = objects(&world.store).len();
    assert!(world.devices[1].sync(&Job::new()).is_err());
    assert_eq!(objects(&world.store).len(), names, "nothing was uploaded");
    hidden.iter().for_each(|(name, bytes)| world.store.put(name, bytes).unwrap());
    world.sync(1);
    world.sync(0);
    assert_eq!(world.contents(0, &NOTES).len(), 2);
}

#[test]
fn attack_d10_every_order_of_two_rotations_and_a_revocation_ends_in_one_state() {
    for case in 0..6 {
        let world = world(4, &[NOTES]);
        world.settle();
        let start = world.store.snapshot();
        let mut written = Vec::new();
        let acts: [&dyn Fn(); 3] = [
            &|| world.devices[0].rotate().unwrap(),
            &|| drop(world.devices[1].set_password("a long password").unwrap()),
            &|| world.devices[2].revoke(world.devices[3].device()).unwrap(),
        ];
        for act in acts {
            world.store.restore(&start);
            act();
            written.push(objects(&world.store));
        }
        world.store.restore(&start);
        let order = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]][case];
        for device in order {
            written[device].iter().for_each(|(name, bytes)| drop(world.store.put(name, bytes)));
        }
        for _ in 0..3 {
            order.iter().for_each(|n| drop(world.sync(*n)));
        }
        for device in 0..3 {
            world.put(device, &NOTES, &format!("n/{device}"), "x");
            world.sync(device);
        }
        for device in 0..3 {
            world.sync(device);
            assert_eq!(world.contents(device, &NOTES).len(), 3, "case {case}");
        }
        // The one that was revoked is out, whoever rotated with it meanwhile.
        assert!(world.devices[3].sync(&Job::new()).is_err(), "case {case}");
    }
}

#[test]
fn attack_d10_whoever_has_only_a_replaced_code_neither_comes_in_nor_cuts_off_who_replaced_it() {
    let world = world(2, &[NOTES]);
    edit(&world, 0, 0);
    world.settle();
    let before = world.store.snapshot();
    world.devices[0].new_recovery_code().unwrap();
    world.settle();
    let after = objects(&world.store);
    // Whoever found the old code goes on from a store of before, and his device revokes who replaced it.
    world.store.restore(&before);
    let (code, device) = (&world.code, NewDevice::named("thief").unwrap());
    let thief = Vault::recover(world.store.clone(), world.folder.path().join("thief"), code, device).unwrap();
    thief.revoke(world.devices[0].device()).unwrap();
    after.iter().for_each(|(name, bytes)| drop(world.store.put(name, bytes)));
    for n in [1, 0, 1] {
        world.sync(n);
        assert_eq!(world.devices[n].devices().unwrap().len(), 2, "device {n}");
    }
    world.put(1, &NOTES, "n/new", "not for the thief");
    world.settle();
    assert!(thief.sync(&Job::new()).is_err());
    assert!(thief.records(&NOTES).unwrap().get("n/new").is_err());
}

#[test]
fn attack_f8_a_head_code_holds_the_store_to_a_device_that_no_other_has_heard_of() {
    let world = world(2, &[NOTES]);
    // Device 1 came in with the code, and device 0 has said nothing since.
    edit(&world, 1, 1);
    let head_code = world.devices[1].head_code().unwrap();
    let device = |name| NewDevice::named(name).unwrap().holding_to(head_code);
    let own = format!("commits/{}/", world.devices[1].device());
    // The store shows the commit of the head code once, and something else from then on.
    let reads = Arc::new(AtomicI64::new(0));
    let store = FaultStore::new(copy_store(&world.store), move |request| {
        let is_own = request.method == Method::Get && request.name.starts_with(&own);
        let is_shown = !is_own || reads.fetch_add(1, Ordering::Relaxed) == 0;
        if is_shown { Fault::None } else { Fault::Flip(100) }
    });
    let state = world.folder.path().join("deceived");
    assert!(Vault::recover(store, state, &world.code, device("deceived")).is_err());
    let state = world.folder.path().join("new");
    let new = Vault::recover(copy_store(&world.store), state, &world.code, device("new")).unwrap();
    assert_eq!(new.devices().unwrap().len(), 3);
}

#[test]
fn attack_f8_a_device_without_an_anchor_says_so() {
    let world = world(1, &[NOTES]);
    world.settle();
    let old = copy_store(&world.store);
    edit(&world, 0, 0);
    let state = world.folder.path().join("new");
    let new = Vault::recover(old, state, &world.code, NewDevice::named("new").unwrap()).unwrap();
    assert_eq!(new.sync(&Job::new()).unwrap().freshness, Freshness::Unproven);
}

#[test]
fn attack_f8_a_head_code_on_paper_shows_a_new_device_that_its_world_is_old() {
    let world = world(2, &[NOTES]);
    world.settle();
    let old = copy_store(&world.store);
    edit(&world, 0, 0);
    world.settle();
    let typed = world.devices[1].head_code().unwrap().text();
    let head_code = HeadCode::parse(&typed).unwrap();
    let recover = |store: MemoryStore, code: HeadCode, name: &str| {
        let device = NewDevice::named(name).unwrap().holding_to(code);
        Vault::recover(store, world.folder.path().join(name), &world.code, device)
    };
    assert!(matches!(recover(old, head_code, "deceived").err(), Some(Error::Rollback { .. })));
    let mut other = head_code;
    other.anchor.hash[0] ^= 1;
    assert!(matches!(recover(copy_store(&world.store), other, "forked").err(), Some(Error::Fork { .. })));
    other = head_code;
    other.account.0[0] ^= 1;
    let refused = recover(copy_store(&world.store), other, "elsewhere").err();
    assert!(matches!(refused, Some(Error::InvalidArgument(_))));
    let new = recover(copy_store(&world.store), head_code, "new").unwrap();
    assert_eq!(new.sync(&Job::new()).unwrap().freshness, Freshness::Fresh);
}

#[test]
fn after_a_rollback_the_owner_can_go_on_and_nothing_of_his_own_is_lost() {
    let world = world(2, &[NOTES]);
    world.put(0, &NOTES, "n/first", "1");
    world.settle();
    let old = world.store.snapshot();
    edit(&world, 0, 0);
    edit(&world, 1, 1);
    world.settle();
    world.store.restore(&old);
    for n in 0..2 {
        assert!(matches!(world.devices[n].sync(&Job::new()), Err(Error::Rollback { .. })));
    }
    world.devices[0].re_anchor(&Job::new()).unwrap();
    world.devices[1].re_anchor(&Job::new()).unwrap();
    world.settle();
    assert_eq!(world.contents(0, &NOTES)["n/first"], "1");
    edit(&world, 0, 7);
    world.settle();
    assert_eq!(world.contents(1, &NOTES), world.contents(0, &NOTES));
    assert!(world.contents(0, &NOTES).contains_key("n/7"));
}
