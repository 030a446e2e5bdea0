//! The devices of one program.

use std::collections::BTreeMap;

use strongroom::{
    Error, Result,
    crypto::SeededRandom,
    keys::RecoveryCode,
    kinds::Kind,
    store::hostile::HostileStore,
    vault::{
        At, Environment, Job, NewDevice, Outcome, Vault,
        testing::{HomeImage, MemoryHome, PowerCut, VirtualClock},
    },
};

use super::model::Family;

pub(crate) const NOTES: Kind = Kind::NOTES;

pub(crate) struct Device {
    home: MemoryHome,
    clock: VirtualClock,
    vault: Option<Vault>,
    starts: u64,
    /// Whether it is still one of the account.
    pub(crate) active: bool,
    /// Which part of a divided store it sees.
    pub(crate) part: usize,
    /// What it showed last.
    pub(crate) shown: BTreeMap<String, Family>,
}

pub(crate) struct World {
    pub(crate) store: HostileStore,
    pub(crate) clock: VirtualClock,
    pub(crate) devices: Vec<Device>,
    pub(crate) code: RecoveryCode,
    seed: u64,
    pub(crate) divided: bool,
}

impl World {
    pub(crate) fn new(seed: u64, store: HostileStore) -> Self {
        let code = RecoveryCode::generate(&mut SeededRandom::new(seed)).unwrap();
        let clock = VirtualClock::at(1_700_000_000_000);
        Self { store, clock, devices: Vec::new(), code, seed, divided: false }
    }

    fn environment(&self, device: usize, starts: u64, clock: &VirtualClock) -> Environment {
        let random = SeededRandom::of_device(self.seed, device as u8, starts);
        Environment::new(Box::new(clock.clone()), Box::new(random))
    }

    /// The first device makes the vault, others join with the code.
    pub(crate) fn join(&mut self) -> Result<usize> {
        let n = self.devices.len();
        let home = MemoryHome::new();
        let clock = self.clock.off_by((n as i64 % 3 - 1) * 90_000);
        let store = home.wire(self.store.for_device(n as u8));
        let device = NewDevice::named(format!("device {n}"))?;
        let environment = self.environment(n, 0, &clock);
        let vault = match n {
            0 => Vault::create_in(store, &home, device, &self.code, environment)?,
            _ => Vault::recover_in(store, &home, &self.code, device, environment)?,
        };
        vault.consent().grant(&NOTES)?;
        let (vault, shown) = (Some(vault), BTreeMap::new());
        self.devices.push(Device { home, clock, vault, starts: 0, active: true, part: 0, shown });
        Ok(n)
    }

    pub(crate) fn vault(&self, device: usize) -> &Vault {
        self.devices[device].vault.as_ref().expect("a running device")
    }

    pub(crate) fn active(&self) -> Vec<usize> {
        (0..self.devices.len()).filter(|n| self.devices[*n].active).collect()
    }

    pub(crate) fn put(&self, device: usize, path: &str, value: Option<&str>) -> Result<()> {
        let records = self.vault(device).records(&NOTES)?;
        match value {
            Some(value) => records.put(path, value.as_bytes()),
            None => records.delete(path),
        }
    }

    pub(crate) fn sync(&self, device: usize) -> Result<Outcome> {
        self.vault(device).sync(&Job::new().with_threads(1).with_deletions())
    }

    /// The power goes at some step of a sync or a rotation; the device is started again.
    pub(crate) fn crash(&mut self, device: usize, at: u64, torn: bool, rotates: bool) {
        let home = self.devices[device].home.clone();
        home.cut_power(if torn { PowerCut::torn(at) } else { PowerCut::kill(at) });
        let _ = if rotates { self.vault(device).rotate() } else { self.sync(device).map(drop) };
        self.devices[device].vault = None;
        home.restart();
        self.restart(device).unwrap();
    }

    fn restart(&mut self, device: usize) -> Result<()> {
        self.devices[device].starts += 1;
        let Device { home, clock, starts, .. } = &self.devices[device];
        let store = home.wire(self.store.for_device(device as u8));
        let vault = Vault::open_in(store, home, self.environment(device, *starts, clock))?;
        self.devices[device].vault = Some(vault);
        Ok(())
    }

    pub(crate) fn image(&self, device: usize) -> HomeImage {
        self.devices[device].home.image()
    }

    /// What a copy of a device that starts from an image says when it writes and syncs.
    pub(crate) fn copy_speaks(&mut self, device: usize, image: &HomeImage) -> Error {
        let home = MemoryHome::of_image(image);
        // The copy's random generator repeats what the device's own gave (I7).
        let starts = self.devices[device].starts;
        let environment = self.environment(device, starts, &self.devices[device].clock);
        let store = home.wire(self.store.for_device(device as u8));
        let copy = Vault::open_in(store, &home, environment).unwrap();
        copy.records(&NOTES).unwrap().put("n/copy", b"by a copy").unwrap();
        copy.sync(&Job::new().with_threads(1)).expect_err("a copy was not noticed")
    }

    /// Path to the values under it and under its conflicts.
    pub(crate) fn shown(&self, device: usize) -> Result<BTreeMap<String, Family>> {
        let vault = self.vault(device);
        let mut paths = Vec::new();
        let listed = vault.list(&NOTES, "", &At::Latest, &mut |entry| {
            paths.push(entry.path);
            Ok(())
        });
        match listed {
            Err(Error::NotFound(_)) => return Ok(BTreeMap::new()),
            listed => listed?,
        };
        let mut shown: BTreeMap<String, Family> = BTreeMap::new();
        for path in paths {
            let mut bytes = Vec::new();
            vault.cat(&NOTES, &path, &At::Latest, &mut |piece| {
                bytes.extend(piece);
                Ok(())
            })?;
            let name = match path.split_once(" (conflict ") {
                Some((stem, rest)) => format!("{stem}{}", rest.split_once(')').unwrap().1),
                None => path,
            };
            shown.entry(name).or_default().insert(String::from_utf8(bytes).expect("text as it was written"));
        }
        Ok(shown)
    }
}
