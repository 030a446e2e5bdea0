//! Devices in memory: the same vault as in a folder, restarted, cloned, and losing its power at any step.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "test code"
)]

use std::{fmt::Write as _, time::Instant};

use strongroom::{
    Error, Result,
    crypto::{SealLog, SeededRandom},
    keys::RecoveryCode,
    kinds::Kind,
    store::{
        MemoryStore, Snapshot,
        hostile::{Act, Devices, HostileStore},
    },
    vault::{
        At, Environment, Job, NewDevice, Selection, Source, Vault,
        testing::{HomeImage, Kept, MemoryHome, PowerCut, Step, VirtualClock},
    },
};

struct World {
    store: MemoryStore,
    home: MemoryHome,
    clock: VirtualClock,
    code: RecoveryCode,
}

impl World {
    fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            home: MemoryHome::new(),
            clock: VirtualClock::at(1_700_000_000_000),
            code: RecoveryCode::generate(&mut SeededRandom::new(7)).unwrap(),
        }
    }

    fn environment(&self, seed: u64) -> Environment {
        Environment::new(Box::new(self.clock.clone()), Box::new(SeededRandom::new(seed)))
    }

    fn try_create(&self, seed: u64) -> Result<Vault> {
        let (store, phone) = (self.home.wire(self.store.clone()), NewDevice::named("phone")?);
        Vault::create_in(store, &self.home, phone, &self.code, self.environment(seed))
    }

    fn create(&self) -> Vault {
        let vault = self.try_create(1).unwrap();
        vault.consent().grant(&Kind::MESSAGES).unwrap();
        vault
    }

    fn recover(&self, seed: u64) -> Result<Vault> {
        let (store, laptop) = (self.home.wire(self.store.clone()), NewDevice::named("laptop")?);
        Vault::recover_in(store, &self.home, &self.code, laptop, self.environment(seed))
    }

    fn open(&self, seed: u64) -> Result<Vault> {
        Vault::open_in(self.home.wire(self.store.clone()), &self.home, self.environment(seed))
    }
}

fn messages(count: usize) -> String {
    let mut text = String::from("<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<smses>\n");
    for n in 0..count {
        let date = 1_700_000_000_000_u64 + n as u64;
        writeln!(
            text,
            "<sms address=\"+49{n}\" date=\"{date}\" type=\"1\" body=\"message {n}\" read=\"1\" />"
        )
        .unwrap();
    }
    text + "</smses>\n"
}

fn backup(vault: &Vault, count: usize) -> Result<()> {
    let text = messages(count);
    vault
        .backup(&Kind::MESSAGES, "sms", Source::Stream(&mut text.as_bytes()), &Job::new().with_threads(1))
        .map(|_| ())
}

/// How many messages the newest snapshot has.
fn restored(vault: &Vault) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let plan = vault.plan_restore(&Selection::all(), &At::Latest, &Job::new()).unwrap();
    let report = vault.restore(plan, folder.path(), &Job::new().with_threads(1)).unwrap();
    assert_eq!(report.failures, []);
    let text = std::fs::read_to_string(folder.path().join("messages/messages.xml")).unwrap_or_default();
    text.matches("<sms ").count()
}

#[test]
fn a_vault_in_memory_is_there_again_after_a_restart() {
    let world = World::new();
    let vault = world.create();
    backup(&vault, 3).unwrap();
    assert!(matches!(world.open(2), Err(Error::InUse)), "one at a time, as in a folder");
    drop(vault);
    let vault = world.open(2).unwrap();
    assert_eq!(restored(&vault), 3);
    let lines = vault.ledger().since(0).unwrap().map(Result::unwrap).count();
    assert!(lines > 4, "the ledger went on: {lines}");
    let other = MemoryHome::new();
    let again = Vault::open_in(world.store.clone(), &other, world.environment(3));
    assert!(matches!(again, Err(Error::NoVault)));
}

#[test]
fn a_device_joins_in_memory() {
    let world = World::new();
    backup(&world.create(), 2).unwrap();
    let laptop = NewDevice::named("laptop").unwrap();
    let (home, environment) = (MemoryHome::new(), world.environment(9));
    let vault = Vault::recover_in(world.store.clone(), &home, &world.code, laptop, environment).unwrap();
    assert_eq!(restored(&vault), 2);
}

#[test]
fn an_image_is_a_whole_device_and_goes_its_own_way() {
    let world = World::new();
    let vault = world.create();
    backup(&vault, 1).unwrap();
    let image = world.home.image();
    let clone = MemoryHome::of_image(&image);
    let twin = Vault::open_in(world.store.clone(), &clone, world.environment(5)).unwrap();
    backup(&vault, 2).unwrap();
    assert_eq!(restored(&vault), 2);
    assert!(matches!(backup(&twin, 3), Err(Error::Cloned { .. })), "the twin meets a commit of its own name");
    world.home.restore(&image);
    assert!(backup(&vault, 3).is_err(), "what was open before is dead");
    let old = world.open(6).unwrap();
    assert!(matches!(backup(&old, 3), Err(Error::Cloned { .. })));
}

#[test]
fn a_vault_of_an_earlier_start_never_acts_again() {
    let world = World::new();
    let vault = world.create();
    drop(vault);
    let dead = world.open(2).unwrap();
    backup(&dead, 1).unwrap();
    world.home.restart();
    let alive = world.open(3).unwrap();
    assert!(backup(&dead, 2).is_err());
    drop(dead);
    backup(&alive, 3).unwrap();
    assert_eq!(restored(&alive), 3);
}

#[test]
fn attack_i7_a_clone_with_the_same_randomness_repeats_no_key_and_nonce() {
    let log = SealLog::start();
    let world = World::new();
    drop(world.create());
    let twin = MemoryHome::of_image(&world.home.image());
    let (vault, other) = (world.open(5).unwrap(), {
        let (store, environment) = (MemoryStore::new(), world.environment(5));
        store.restore(&world.store.snapshot());
        Vault::open_in(store, &twin, environment).unwrap()
    });
    backup(&vault, 2).unwrap();
    backup(&other, 3).unwrap();
    let counts = log.counts();
    assert!(counts.fresh > 10 && counts.repeated == 0, "{counts:?}");
}

#[test]
fn six_devices_share_a_hostile_store_that_is_honest_so_far() {
    let world = World::new();
    let store = HostileStore::honest();
    let phone = NewDevice::named("phone").unwrap();
    let first = MemoryHome::new();
    let vault =
        Vault::create_in(store.for_device(0), &first, phone, &world.code, world.environment(1)).unwrap();
    vault.consent().grant(&Kind::MESSAGES).unwrap();
    backup(&vault, 4).unwrap();
    for device in 1..6 {
        let (home, name) = (MemoryHome::new(), NewDevice::named(format!("laptop {device}")).unwrap());
        let clock = world.clock.off_by(i64::from(device) * 3_600_000);
        let random = SeededRandom::of_device(7, device, 0);
        let environment = Environment::new(Box::new(clock), Box::new(random));
        let joined =
            Vault::recover_in(store.for_device(device), &home, &world.code, name, environment).unwrap();
        assert_eq!(restored(&joined), 4);
    }
    assert_eq!(store.acts(), 0);
    store.act(&Act::Replay(0, Devices::of(&[0])));
    assert!(backup(&vault, 5).is_err(), "a store that was emptied");
}

/// What is cut short, and how a device that was switched on again goes on.
struct Deed {
    act: fn(&Vault) -> Result<()>,
    go_on: fn(&Vault, &str),
}

const BACKUP: Deed = Deed {
    act: |vault| backup(vault, 5),
    go_on: |vault, cut| {
        let before = restored(vault);
        assert!(before == 1 || before == 5, "{cut}: {before} messages");
        backup(vault, 7).unwrap();
        assert_eq!(restored(vault), 7, "{cut}");
    },
};

const RE_ANCHOR: Deed = Deed {
    act: |vault| vault.re_anchor(&Job::new()).map(drop),
    go_on: |vault, cut| {
        // Either it is still to be done, or it was done to its end.
        let again = vault.re_anchor(&Job::new());
        assert!(matches!(again, Ok(_) | Err(Error::InvalidArgument(_))), "{cut}: {:?}", again.err());
        assert!(backup(vault, 5).is_ok(), "{cut}");
        assert_eq!(restored(vault), 5, "{cut}");
    },
};

/// Cuts the power at each step of a deed in turn; returns how many steps there were.
fn cut_everywhere(world: &World, deed: &Deed, cut: impl Fn(u64) -> PowerCut) -> u64 {
    let (home, objects) = (world.home.image(), world.store.snapshot());
    let steps = cut_one_after_another(world, (&home, &objects), deed, cut);
    world.home.restore(&home);
    world.store.restore(&objects);
    steps
}

fn cut_one_after_another(
    world: &World,
    (home, objects): (&HomeImage, &Snapshot),
    deed: &Deed,
    cut: impl Fn(u64) -> PowerCut,
) -> u64 {
    for at in 1.. {
        world.home.restore(home);
        world.store.restore(objects);
        world.home.cut_power(cut(at));
        let outcome = world.open(at).and_then(|vault| (deed.act)(&vault));
        if !world.home.has_no_power() {
            outcome.unwrap();
            return at - 1;
        }
        world.home.restart();
        (deed.go_on)(&world.open(1000 + at).unwrap(), &format!("cut at {at}"));
    }
    0
}

#[test]
fn a_device_without_power_at_any_step_of_a_backup_goes_on_afterwards() {
    let world = World::new();
    backup(&world.create(), 1).unwrap();
    for kept in [Kept::Nothing, Kept::Half, Kept::All] {
        for only in [Step::StateFile, Step::Ledger, Step::Store] {
            let steps = cut_everywhere(&world, &BACKUP, |at| PowerCut::kill(at).only(only).keeping(kept));
            assert!(steps > 2, "{only:?}: {steps}");
        }
    }
    let steps = cut_everywhere(&world, &BACKUP, |at| PowerCut::torn(at).only(Step::Database));
    assert!(steps > 5, "{steps}");
    cut_everywhere(&world, &BACKUP, |at| PowerCut::kill(at).only(Step::Database).keeping(Kept::Half));
}

#[test]
fn a_device_without_power_at_any_step_of_going_back_goes_on_afterwards() {
    let world = World::new();
    let vault = world.create();
    backup(&vault, 1).unwrap();
    let old = world.store.snapshot();
    backup(&vault, 5).unwrap();
    world.store.restore(&old);
    assert!(matches!(backup(&vault, 5), Err(Error::Rollback { .. })));
    drop(vault);
    for kept in [Kept::Nothing, Kept::All] {
        for only in [Step::StateFile, Step::Store] {
            let steps = cut_everywhere(&world, &RE_ANCHOR, |at| PowerCut::kill(at).only(only).keeping(kept));
            assert!(steps > 1, "{only:?}: {steps}");
        }
    }
    cut_everywhere(&world, &RE_ANCHOR, |at| PowerCut::torn(at).only(Step::Database));
}

#[test]
fn a_device_without_power_at_any_step_of_its_creation_can_be_made_again_or_recovered() {
    for kept in [Kept::Nothing, Kept::Half, Kept::All] {
        let done = (1..).find(|at| {
            let world = World::new();
            world.home.cut_power(PowerCut::kill(*at).keeping(kept));
            let made = world.try_create(1);
            if !world.home.has_no_power() {
                return made.is_ok();
            }
            world.home.restart();
            let again = world.open(2).or_else(|_| world.try_create(3)).or_else(|_| world.recover(4));
            assert_eq!(restored(&again.unwrap()), 0, "cut at {at}");
            false
        });
        assert!(done.unwrap() > 20, "{done:?}");
    }
}

/// `cargo test --release --test memory_home -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn how_long_a_small_vault_takes() {
    const ROUNDS: u32 = 200;
    let mut times = [0_u128; 5];
    for _ in 0..ROUNDS {
        let world = World::new();
        let mut mark = Instant::now();
        let mut lap = |times: &mut u128| {
            *times += mark.elapsed().as_nanos();
            mark = Instant::now();
        };
        let vault = world.create();
        lap(&mut times[0]);
        for count in 1..=10 {
            backup(&vault, count).unwrap();
        }
        lap(&mut times[1]);
        drop(vault);
        lap(&mut times[2]);
        let vault = world.open(2).unwrap();
        lap(&mut times[3]);
        backup(&vault, 10).unwrap();
        lap(&mut times[4]);
    }
    for (what, nanos) in ["create", "10 backups", "close", "open", "1 backup, unchanged"].iter().zip(times) {
        println!("{what:>20}: {:>8} us", nanos / u128::from(ROUNDS) / 1000);
    }
    what_one_backup_asks_for();
}

fn what_one_backup_asks_for() {
    let world = World::new();
    drop(world.create());
    let (vault, steps, before) = (world.open(2).unwrap(), world.home.steps(), world.store.traffic());
    backup(&vault, 5).unwrap();
    let after = world.store.traffic();
    println!(
        "one backup: {} requests, {} puts of {} KiB in all, {} gets; {} steps of store and state",
        after.requests - before.requests,
        after.puts - before.puts,
        (after.bytes_put - before.bytes_put) / 1024,
        after.gets - before.gets,
        world.home.steps() - steps
    );
    let start = Instant::now();
    let images: Vec<_> = (0..1000).map(|_| world.home.image()).collect();
    println!("image: {} ns each", start.elapsed().as_nanos() / images.len() as u128);
}
