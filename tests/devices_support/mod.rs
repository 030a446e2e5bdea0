//! Several devices of one account on one store.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use strongroom::{
    Error,
    keys::RecoveryCode,
    kinds::Kind,
    store::{MemoryStore, ObjectName, Store as _},
    vault::{At, Job, NewDevice, Outcome, Vault},
};
use tempfile::TempDir;

/// Everything that the store has.
pub(crate) fn objects(store: &MemoryStore) -> Vec<(ObjectName, Vec<u8>)> {
    let mut names = Vec::new();
    store
        .list("", &mut |object| {
            names.push(object.name);
            Ok(())
        })
        .unwrap();
    names.into_iter().map(|name| (name.clone(), store.get(&name, usize::MAX).unwrap())).collect()
}

pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) folder: TempDir,
    pub(crate) code: RecoveryCode,
    pub(crate) devices: Vec<Vault>,
}

/// `count` devices of one account, each with consent for `kinds`; all but the first joined with the code.
pub(crate) fn world(count: usize, kinds: &[Kind]) -> World {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let state = |n: usize| folder.path().join(format!("state-{n}"));
    let device = |n: usize| NewDevice::named(format!("device {n}")).unwrap();
    let (first, code) = Vault::create(store.clone(), state(0), device(0)).unwrap();
    let mut devices = vec![first];
    for n in 1..count {
        devices.push(Vault::recover(store.clone(), state(n), &code, device(n)).unwrap());
    }
    for vault in &devices {
        kinds.iter().for_each(|kind| vault.consent().grant(kind).unwrap());
    }
    World { store, folder, code, devices }
}

impl World {
    pub(crate) fn sync(&self, device: usize) -> Outcome {
        self.devices[device].sync(&Job::new()).unwrap()
    }

    /// Everybody syncs until nobody has anything to say.
    pub(crate) fn settle(&self) {
        for _ in 0..6 {
            let spoke = (0..self.devices.len()).filter(|n| self.sync(*n).commit.is_some()).count();
            if spoke == 0 {
                return;
            }
        }
        panic!("the devices never come to rest");
    }

    pub(crate) fn put(&self, device: usize, kind: &Kind, path: &str, bytes: &str) {
        self.devices[device].records(kind).unwrap().put(path, bytes.as_bytes()).unwrap();
    }

    /// Path to content of everything that a device has of a kind.
    pub(crate) fn contents(&self, device: usize, kind: &Kind) -> BTreeMap<String, String> {
        let mut paths = Vec::new();
        let vault = &self.devices[device];
        let listed = vault.list(kind, "", &At::Latest, &mut |entry| {
            paths.push(entry.path);
            Ok(())
        });
        match listed {
            Err(Error::NotFound(_)) => return BTreeMap::new(),
            listed => listed.unwrap(),
        };
        paths
            .into_iter()
            .map(|path| {
                let bytes = vault.records(kind).unwrap().get(&path).unwrap();
                (path, String::from_utf8(bytes).unwrap())
            })
            .collect()
    }

    pub(crate) fn assert_all_have(&self, kind: &Kind, wanted: &[(&str, &str)]) {
        let wanted: BTreeMap<String, String> =
            wanted.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        for n in 0..self.devices.len() {
            assert_eq!(self.contents(n, kind), wanted, "device {n}");
        }
    }

    pub(crate) fn state(&self, device: usize) -> PathBuf {
        self.folder.path().join(format!("state-{device}"))
    }

    /// A copy of a device's whole state folder, as an image of a phone holds it. The device is closed while
    /// it is made.
    pub(crate) fn image(&mut self, device: usize, name: &str) -> PathBuf {
        let to = self.folder.path().join(name);
        let placeholder = MemoryStore::new();
        let idle = self.folder.path().join("idle");
        let _ = fs::remove_dir_all(&idle);
        let (idle, _) = Vault::create(placeholder, idle, NewDevice::named("idle").unwrap()).unwrap();
        drop(std::mem::replace(&mut self.devices[device], idle));
        copy_folder(&self.state(device), &to);
        self.devices[device] = Vault::open(self.store.clone(), self.state(device)).unwrap();
        to
    }
}

/// A store with the same objects.
pub(crate) fn copy_store(store: &MemoryStore) -> MemoryStore {
    let copy = MemoryStore::new();
    objects(store).iter().for_each(|(name, bytes)| copy.put(name, bytes).unwrap());
    copy
}

/// Puts an object in place of the one that is there.
pub(crate) fn replace(store: &MemoryStore, name: &ObjectName, bytes: &[u8]) {
    store.delete(name).unwrap();
    store.put(name, bytes).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
