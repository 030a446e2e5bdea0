//! Random programs, and what has to hold while and after they run.

use std::collections::BTreeSet;

use strongroom::{
    Error,
    crypto::SealLog,
    crypto::SeededRandom,
    keys::{DeviceId, RecoveryCode},
    store::hostile::{Act, Devices, HostileStore, Script},
    vault::EventKind,
};

use super::{
    model::{Family, Model},
    world::World,
};

const DEVICES_MAX: usize = 6;
const PATHS: [&str; 4] = ["n/a", "n/b", "n/c/d", "n/e.md"];

/// Small numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Put,
    Delete,
    Sync,
    Join,
    Revoke,
    Rotate,
    NewCode,
    Divide,
    Heal,
    Crash,
    Copy,
    Wait,
}

const WEIGHTS: [(Op, usize); 12] = [
    (Op::Put, 30),
    (Op::Delete, 8),
    (Op::Sync, 34),
    (Op::Join, 5),
    (Op::Revoke, 2),
    (Op::Rotate, 2),
    (Op::NewCode, 1),
    (Op::Divide, 3),
    (Op::Heal, 5),
    (Op::Crash, 4),
    (Op::Copy, 2),
    (Op::Wait, 4),
];

fn next_op(dice: &mut Dice) -> Op {
    let total = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let mut left = dice.below(total);
    for (op, weight) in WEIGHTS {
        match left.checked_sub(weight) {
            Some(rest) => left = rest,
            None => return op,
        }
    }
    Op::Sync
}

struct Program {
    dice: Dice,
    world: World,
    model: Model,
    talks: bool,
    honest: bool,
    written: usize,
    late: Vec<Late>,
    /// Device by device, whose revocation it was told of.
    heard: Vec<BTreeSet<DeviceId>>,
}

/// What a revoked device writes that may not have heard of it. The model does not know it: nobody who has
/// heard may take it over (D6). A hostile store may keep the news from some.
struct Late {
    path: &'static str,
    value: String,
    by: DeviceId,
    /// What it had under that name: whoever takes this over takes that for replaced.
    replaces: BTreeSet<String>,
    is_taken: bool,
}

impl Program {
    fn new(seed: u64, store: HostileStore, honest: bool, talks: bool) -> Self {
        let world = World::new(seed, store);
        let mut this = Self {
            dice: Dice::new(seed),
            world,
            model: Model::default(),
            talks,
            honest,
            written: 0,
            late: Vec::new(),
            heard: vec![BTreeSet::new(); DEVICES_MAX],
        };
        if this.world.join().is_ok() {
            this.model.known.push(Default::default());
        }
        this
    }

    fn say(&self, what: &dyn Fn() -> String) {
        if self.talks {
            println!("{}", what());
        }
    }

    /// In an honest world nothing may fail; in a hostile one only in ways that are foreseen.
    fn fine<T>(&self, what: &str, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.say(&|| format!("    {what}: {error}"));
                assert!(!self.honest, "{what}: {error}");
                assert!(!matches!(error, Error::Internal(_)), "{what}: {error}");
                None
            }
        }
    }

    fn step(&mut self, op: Op) {
        let active = self.world.active();
        let device = self.dice.pick(&active);
        self.say(&|| format!("{op:?} by {device}"));
        self.world.clock.advance(1 + self.dice.below(5000) as i64);
        match op {
            Op::Put | Op::Delete => self.edit(device, matches!(op, Op::Put)),
            Op::Sync => self.sync(device),
            Op::Join if self.world.devices.len() < DEVICES_MAX && !self.world.divided => {
                let joined = self.world.join();
                if self.fine("join", joined).is_some() {
                    self.model.known.push(Default::default());
                }
            }
            Op::Revoke if active.len() > 2 && !self.world.divided => self.revoke(device, &active),
            Op::Rotate => {
                self.fine("rotate", self.world.vault(device).rotate());
            }
            Op::NewCode if !self.world.divided => {
                let code = RecoveryCode::generate(&mut SeededRandom::new(self.dice.0)).unwrap();
                if self.fine("new code", self.world.vault(device).replace_recovery_code(&code)).is_some() {
                    self.world.code = code;
                }
            }
            Op::Divide if self.honest && !self.world.divided && active.len() > 1 => self.divide(&active),
            Op::Heal if self.world.divided => self.heal(),
            Op::Crash => {
                let (at, torn) = (1 + self.dice.below(70) as u64, self.dice.below(2) == 0);
                let rotates = self.dice.below(3) == 0;
                self.world.crash(device, at, torn, rotates);
                self.sync(device);
            }
            Op::Copy if self.honest => {
                let image = self.world.image(device);
                self.edit(device, true);
                self.sync(device);
                let error = self.world.copy_speaks(device, &image);
                assert!(matches!(error, Error::Cloned { .. }), "a copy is told: {error}");
            }
            Op::Wait => self.world.clock.advance(self.dice.below(3) as i64 * 40_000_000),
            _ => {}
        }
    }

    fn edit(&mut self, device: usize, put: bool) {
        let path = self.dice.pick(&PATHS);
        self.written += 1;
        let value = put.then(|| format!("value {} of {device}", self.written));
        self.world.put(device, path, value.as_deref()).unwrap();
        let shown = self.shown_of(device, path);
        self.model.write(device, path, value, &shown);
    }

    /// What a device showed under a name when it was looked at last.
    fn shown_of(&self, device: usize, path: &str) -> Family {
        self.world.devices[device].shown.get(path).cloned().unwrap_or_default()
    }

    fn sync(&mut self, device: usize) {
        let synced = self.world.sync(device);
        let Some(outcome) = self.fine("sync", synced) else { return };
        self.heard[device].extend(outcome.events.iter().filter_map(|event| match event.what {
            EventKind::DeviceRevoked { device } => Some(device),
            _ => None,
        }));
        self.model.sync(device, self.world.devices[device].part);
        if !self.honest {
            self.check_view(device);
        }
    }

    /// What a device shows was written there by somebody, and what it showed before is still there unless
    /// somebody replaced it (P1, P2, P3).
    fn check_view(&mut self, device: usize) {
        let shown = self.world.shown(device);
        let Some(shown) = self.fine("look", shown) else { return };
        for (path, family) in &shown {
            self.check_late(device, path, family);
        }
        for (path, before) in &self.world.devices[device].shown {
            let now = shown.get(path);
            for value in before {
                let there = now.is_some_and(|family| family.contains(value));
                let replaced = self.model.was_replaced(path, value) || self.was_replaced_late(path, value);
                assert!(there || replaced, "{path}: {value} vanished");
            }
        }
        self.world.devices[device].shown = shown;
    }

    /// Whether a revoked device replaced it where nobody had heard of the revocation yet.
    fn was_replaced_late(&self, path: &str, value: &str) -> bool {
        self.late.iter().any(|late| late.is_taken && late.path == path && late.replaces.contains(value))
    }

    /// Nobody shows what nobody wrote, nor takes over first what it must know to be by a revoked device.
    fn check_late(&mut self, device: usize, path: &str, family: &Family) {
        let mut family = family.clone();
        for late in self.late.iter_mut().filter(|late| late.path == path) {
            if family.remove(&late.value) {
                let knows = self.heard[device].contains(&late.by);
                assert!(late.is_taken || !knows, "{path}: took over {} after it had heard", late.value);
                late.is_taken = true;
            }
        }
        self.model.check_written(path, &family);
    }

    fn revoke(&mut self, device: usize, active: &[usize]) {
        let others: Vec<_> = active.iter().copied().filter(|other| *other != device).collect();
        let target = self.dice.pick(&others);
        let id = self.world.vault(target).device();
        if self.fine("revoke", self.world.vault(device).revoke(id)).is_some() {
            self.world.devices[target].active = false;
            self.heard[device].insert(id);
            let (path, value) = (self.dice.pick(&PATHS), format!("by revoked device {target}"));
            self.world.put(target, path, Some(&value)).unwrap();
            let replaces = self.model.values_known(target, path, &self.shown_of(target, path));
            self.late.push(Late { path, value, by: id, replaces, is_taken: false });
            let _ = self.world.sync(target);
        }
    }

    fn divide(&mut self, active: &[usize]) {
        let (left, _): (Vec<usize>, Vec<usize>) = active.iter().partition(|_| self.dice.below(2) == 0);
        let numbers: Vec<u8> = left.iter().map(|n| *n as u8).collect();
        self.world.store.act(&Act::Fork(Devices::of(&numbers)));
        left.iter().for_each(|n| self.world.devices[*n].part = 1);
        self.model.published[1] = self.model.published[0].clone();
        self.world.divided = true;
    }

    fn heal(&mut self) {
        self.world.store.heal();
        self.world.devices.iter_mut().for_each(|device| device.part = 0);
        self.model.heal();
        self.world.divided = false;
    }

    fn settle(&mut self) {
        self.heal();
        for _ in 0..12 {
            let mut spoke = false;
            for device in self.world.active() {
                let outcome = self.world.sync(device).unwrap_or_else(|error| panic!("settling: {error}"));
                self.model.sync(device, 0);
                spoke |= outcome.commit.is_some();
            }
            if !spoke {
                return;
            }
        }
        panic!("the devices never come to rest");
    }
}

fn length(dice: &mut Dice) -> usize {
    6 + dice.below(24)
}

pub(crate) fn honest(seed: u64, talks: bool) {
    let log = SealLog::start();
    let mut program = Program::new(seed, HostileStore::honest(), true, talks);
    for _ in 0..length(&mut program.dice) {
        let op = next_op(&mut program.dice);
        program.step(op);
    }
    program.settle();
    let active = program.world.active();
    let first = program.world.shown(active[0]).unwrap();
    program.model.check_settled(&first);
    for device in &active[1..] {
        assert_eq!(program.world.shown(*device).unwrap(), first, "device {device} differs");
    }
    assert_eq!(log.counts().repeated, 0, "a key and nonce were used twice");
}

pub(crate) fn hostile(seed: u64, talks: bool) {
    let log = SealLog::start();
    let mut dice = Dice::new(!seed);
    let script = Script::random(seed, 1 + dice.below(12));
    if talks {
        println!("{script}");
    }
    let mut program = Program::new(seed, HostileStore::new(script), false, talks);
    if program.world.devices.is_empty() {
        return;
    }
    for _ in 0..length(&mut program.dice) {
        let op = next_op(&mut program.dice);
        program.step(op);
    }
    assert_eq!(log.counts().repeated, 0, "a key and nonce were used twice");
}
