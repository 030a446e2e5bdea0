//! A small vault, and a store whose objects can be looked at and exchanged.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use strongroom::{
    Result,
    keys::RecoveryCode,
    kinds::Kind,
    store::{MemoryStore, ObjectName, Store},
    vault::{At, BackupReport, Folder, Job, NewDevice, RestoreReport, Selection, Source, Vault},
};

pub(crate) type Objects = BTreeMap<String, Vec<u8>>;

/// A first device with its vault.
pub(crate) struct Phone {
    pub(crate) work: tempfile::TempDir,
    pub(crate) store: MemoryStore,
    pub(crate) code: RecoveryCode,
    pub(crate) vault: Vault,
}

impl Phone {
    /// A new account in a new store, with every kind switched on.
    pub(crate) fn new() -> Self {
        let work = tempfile::tempdir().unwrap();
        let store = MemoryStore::new();
        let (vault, code) = Vault::create(store.clone(), work.path().join("state"), device("phone")).unwrap();
        for kind in Kind::ALL {
            vault.consent().grant(&kind).unwrap();
        }
        fs::create_dir(work.path().join("source")).unwrap();
        Self { work, store, code, vault }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path("source").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn backup(&self, kind: &Kind) -> Result<BackupReport> {
        backup(&self.vault, kind, &self.path("source"))
    }

    /// A new device in a folder of its own, holding the recovery code.
    pub(crate) fn recover(&self, name: &str) -> Result<Vault> {
        recover(&self.store, &self.path(name), &self.code)
    }

    /// The names of the objects of one type that this device wrote, in order.
    pub(crate) fn written(&self, object: &str) -> Vec<String> {
        let lines = self.vault.ledger().since(0).unwrap();
        lines.map(Result::unwrap).filter(|line| line.object == object).map(|line| line.name).collect()
    }
}

pub(crate) fn device(name: &str) -> NewDevice {
    NewDevice::named(name).unwrap()
}

pub(crate) fn backup(vault: &Vault, kind: &Kind, source: &Path) -> Result<BackupReport> {
    vault.backup(kind, "source", Source::Folder(&Folder::at(source)), &Job::new())
}

pub(crate) fn recover(store: &MemoryStore, state: &Path, code: &RecoveryCode) -> Result<Vault> {
    Vault::recover(store.clone(), state, code, device("new phone"))
}

pub(crate) fn restore_all(vault: &Vault, into: &Path) -> Result<RestoreReport> {
    let plan = vault.plan_restore(&Selection::all(), &At::Latest, &Job::new())?;
    vault.restore(plan, into, &Job::new())
}

/// Everything in a store.
pub(crate) fn objects(store: &MemoryStore) -> Objects {
    let mut found = Objects::new();
    for line in store.list_at_most("", 100_000).unwrap() {
        let bytes = store.get(&line.name, usize::MAX).unwrap();
        found.insert(line.name.as_str().to_owned(), bytes);
    }
    found
}

pub(crate) fn names(store: &MemoryStore, prefix: &str) -> BTreeSet<String> {
    objects(store).into_keys().filter(|name| name.starts_with(prefix)).collect()
}

/// What a store does that overwrites.
pub(crate) fn replace(store: &MemoryStore, name: &str, bytes: &[u8]) {
    remove(store, name);
    store.put(&ObjectName::parse(name).unwrap(), bytes).unwrap();
}

pub(crate) fn remove(store: &MemoryStore, name: &str) {
    store.delete(&ObjectName::parse(name).unwrap()).unwrap();
}

/// The 16 bytes at the end of an object's name.
pub(crate) fn id_of(name: &str) -> [u8; 16] {
    ObjectName::parse(name).unwrap().id().unwrap()
}

/// The files below a folder, by path.
pub(crate) fn files(at: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![at.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(at).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Bytes that do not compress and differ from seed to seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}
