use super::*;
use crate::store::{
    conformance,
    faults::Fault,
    hostile::{Content, Pick},
};

fn name(n: u8) -> ObjectName {
    ObjectName::object(&[n; 16])
}

fn store(script: &str) -> (HostileStore, FaultStore<View>, FaultStore<View>) {
    let store = HostileStore::new(script.parse().unwrap());
    let (first, second) = (store.for_device(0), store.for_device(1));
    (store, first, second)
}

/// What a device gets under a name; empty for nothing.
fn read(device: &FaultStore<View>, n: u8) -> Vec<u8> {
    device.get(&name(n), 100).unwrap_or_default()
}

fn names(device: &FaultStore<View>) -> usize {
    device.list_at_most("", 100).unwrap().len()
}

#[test]
fn without_a_script_it_is_an_honest_store_shared_by_all() {
    let (store, first, second) = store("");
    conformance::check(&first, true).unwrap();
    first.put(&name(1), b"one").unwrap();
    assert_eq!(read(&second, 1), b"one");
    assert_eq!(second.put(&name(1), b"two").unwrap_err().kind(), StoreErrorKind::AlreadyExists);
    assert_eq!((store.acts(), store.trace().len() as u64), (0, store.time()));
    assert_eq!(store.trace().last().unwrap().to_string(), format!("{} of 1: put {}", store.time(), name(1)));
}

#[test]
fn single_requests_go_wrong_at_a_time_or_by_a_pattern() {
    let (store, first, second) = store("at 2: drop\nnth 2 get of 1: flip 0\neach line in objects/: deny");
    first.put(&name(1), b"a").unwrap();
    first.put(&name(2), b"lost").unwrap();
    assert_eq!(read(&second, 1), b"a");
    assert_eq!(read(&first, 1), b"a");
    assert_eq!(read(&second, 1), b"`");
    assert_eq!(read(&second, 2), b"");
    assert_eq!((names(&first), store.objects().len(), store.acts()), (0, 1, 3));
}

#[test]
fn a_delayed_object_is_seen_by_its_writer_first() {
    let (_, first, second) = store("at 1: delay 3");
    first.put(&name(1), b"a").unwrap();
    assert_eq!((read(&first, 1), read(&second, 1)), (b"a".to_vec(), vec![]));
    assert_eq!(read(&second, 1), b"a", "the fourth request");
}

#[test]
fn objects_become_visible_in_another_order() {
    let (_, first, second) = store("each put: reorder 40");
    (0..20).for_each(|n| first.put(&name(n), b"x").unwrap());
    let seen: Vec<usize> = (0..60).map(|_| names(&second)).collect();
    assert!(seen[0] < 20 && seen.is_sorted() && *seen.last().unwrap() == 20);
    let (_, first, second) = store_with_put_order();
    let early = (0..20).map(|n| !read(&second, n).is_empty()).collect::<Vec<_>>();
    assert!(!early.is_sorted_by(|a, b| a >= b), "not in the order of writing: {early:?}");
    drop(first);
}

fn store_with_put_order() -> (HostileStore, FaultStore<View>, FaultStore<View>) {
    let (world, first, second) = store("each put: reorder 40");
    (0..20).for_each(|n| first.put(&name(n), b"x").unwrap());
    (world, first, second)
}

#[test]
fn a_put_applied_twice_brings_back_what_was_deleted() {
    let (_, first, second) = store("at 1: duplicate 2");
    first.put(&name(1), b"a").unwrap();
    first.delete(&name(1)).unwrap();
    assert_eq!(read(&second, 1), b"a");
    first.delete(&name(1)).unwrap();
    assert_eq!(read(&second, 1), b"", "once");
}

#[test]
fn objects_are_exchanged_and_relabelled_for_some_devices() {
    let (store, first, second) = store("at 3: swap #0 #1 for 1\nat 3: relabel #0 as #0+ for 1");
    first.put(&name(1), b"one").unwrap();
    first.put(&name(2), b"two!").unwrap();
    assert_eq!((read(&second, 1), read(&second, 2)), (b"two!".to_vec(), b"one".to_vec()));
    assert_eq!((read(&first, 1), read(&first, 2)), (b"one".to_vec(), b"two!".to_vec()));
    let lines = second.list_at_most("", 9).unwrap();
    assert_eq!(lines.iter().map(|line| line.length).collect::<Vec<_>>(), [3, 4, 3]);
    assert_eq!(names(&first), 2);
    store.heal();
    assert_eq!(read(&second, 1), b"one");
}

#[test]
fn the_name_beside_a_commit_is_the_next_one() {
    let (store, first, second) = store("");
    first.put(&ObjectName::commit(&[1; 16], 7), b"seventh").unwrap();
    let (name, content) = (Pick::Beside(0), Content::Copy(Pick::Created(0)));
    store.act(&Act::Inject { name, content, devices: Devices::ALL });
    assert_eq!(second.get(&ObjectName::commit(&[1; 16], 8), 100).unwrap(), b"seventh");
    let (name, content) = (Pick::Created(0), Content::Noise(20));
    store.act(&Act::Inject { name, content, devices: Devices::of(&[1]) });
    assert_eq!(first.length(&ObjectName::commit(&[1; 16], 7)).unwrap(), 20, "they share a store");
}

#[test]
fn a_replayed_store_goes_on_from_then_and_hides_what_came_later() {
    let (store, first, second) = store("");
    first.put(&name(1), b"a").unwrap();
    first.put(&name(2), b"b").unwrap();
    first.delete(&name(1)).unwrap();
    store.act(&Act::Replay(1, Devices::of(&[1])));
    assert_eq!((read(&second, 1), read(&second, 2)), (b"a".to_vec(), vec![]));
    second.put(&name(2), b"other").unwrap();
    assert_eq!((read(&second, 2), read(&first, 2)), (b"other".to_vec(), b"b".to_vec()));
    store.act(&Act::Replay(0, Devices::of(&[1])));
    assert_eq!(names(&second), 0, "a store that was emptied");
}

#[test]
fn a_frozen_device_sees_what_it_saw_and_what_it_writes() {
    let (store, first, second) = store("");
    first.put(&name(1), b"a").unwrap();
    store.act(&Act::Freeze(Devices::of(&[1])));
    first.put(&name(2), b"b").unwrap();
    first.delete(&name(1)).unwrap();
    second.put(&name(3), b"c").unwrap();
    assert_eq!(
        (read(&second, 1), read(&second, 2), read(&second, 3)),
        (b"a".to_vec(), vec![], b"c".to_vec())
    );
    assert_eq!((names(&first), names(&second)), (2, 2));
    second.delete(&name(3)).unwrap();
    assert_eq!((names(&first), names(&second)), (1, 1));
    store.heal();
    assert_eq!(read(&second, 2), b"b");
}

#[test]
fn forked_devices_meet_again_when_healed() {
    let (store, first, second) = store("");
    let third = store.for_device(2);
    first.put(&name(1), b"a").unwrap();
    store.act(&Act::Fork(Devices::of(&[1, 2])));
    first.put(&name(2), b"first").unwrap();
    second.put(&name(2), b"second").unwrap();
    second.put(&name(3), b"c").unwrap();
    assert_eq!((read(&third, 1), read(&third, 2)), (b"a".to_vec(), b"second".to_vec()));
    assert_eq!((names(&first), names(&third)), (2, 3));
    store.act(&Act::Heal(Devices::of(&[2])));
    assert_eq!((read(&first, 3), read(&third, 2)), (b"c".to_vec(), b"first".to_vec()));
    assert_eq!(read(&second, 2), b"second", "still apart");
}

#[test]
fn an_act_of_one_request_waits_for_the_next() {
    let (store, first, second) = store("");
    first.put(&name(1), b"a").unwrap();
    store.act(&Act::Fault(Fault::Drop));
    assert_eq!((read(&second, 1), read(&second, 1)), (vec![], b"a".to_vec()));
}

#[test]
fn a_random_script_does_the_same_every_time_and_never_panics() {
    let play = |seed| {
        let (store, ..) = store(&Script::random_for(seed, 12, 3, 60).to_string());
        let devices = [0, 1, 2].map(|device| store.for_device(device));
        let mut log = Vec::new();
        for step in 0..90_u8 {
            let (device, name) = (&devices[usize::from(step % 3)], name(step / 6));
            log.push(match step % 5 {
                0 | 1 => format!("{:?}", device.put(&name, &[step; 30])),
                2 => format!("{:?}", device.get(&name, 100)),
                3 => format!("{:?}", device.list_at_most("objects/", 100)),
                _ => format!("{:?}", device.delete(&name)),
            });
        }
        (log, store.acts(), store.time())
    };
    let honest = play(u64::MAX).0;
    let different = (0..200).filter(|seed| {
        let (log, acts, time) = play(*seed);
        assert_eq!(play(*seed), (log.clone(), acts, time), "seed {seed}");
        log != honest
    });
    assert!(different.count() > 150);
}
