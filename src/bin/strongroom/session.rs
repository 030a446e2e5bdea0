//! Which vault: the store and the home that the user named. Nothing is opened until a command needs it.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use strongroom::{
    Error,
    store::{self, Store, StoreError},
    vault::{Job, Vault},
};

use super::exit::Fault;

pub(crate) struct Session {
    store: Option<String>,
    home: PathBuf,
    /// MiB.
    memory: Option<u16>,
    threads: Option<u16>,
}

impl Session {
    pub(crate) fn new(store: Option<String>, home: Option<PathBuf>) -> Result<Self, Fault> {
        let missing = || Fault::Usage("which home? give --home DIR, or set STRONGROOM_HOME".into());
        Ok(Self { store, home: home.ok_or_else(missing)?, memory: None, threads: None })
    }

    /// With bounds for the jobs: MiB of memory, and threads.
    pub(crate) fn bounded(self, memory: Option<u16>, threads: Option<u16>) -> Self {
        Self { memory, threads, ..self }
    }

    /// A job within the bounds.
    pub(crate) fn job(&self) -> Job {
        const MIB: usize = 1024 * 1024;
        let job = Job::new();
        let job = match self.memory {
            Some(memory) => job.with_memory(usize::from(memory) * MIB),
            None => job,
        };
        match self.threads {
            Some(threads) => job.with_threads(threads.into()),
            None => job,
        }
    }

    /// The same, and whether it may delete any number of entries.
    pub(crate) fn job_with(&self, deletions: bool) -> Job {
        if deletions { self.job().with_deletions() } else { self.job() }
    }

    fn address(&self) -> Result<&str, Fault> {
        let missing = || Fault::Usage("which store? give --store URL, or set STRONGROOM_STORE".into());
        self.store.as_deref().ok_or_else(missing)
    }

    /// The home of a device to be. A folder with other things in it is refused: nobody would find the keys among
    /// them, nor dare to delete them. What an earlier try left there is no reason.
    pub(crate) fn new_home(&self) -> Result<&Path, Fault> {
        let names = match fs::read_dir(&self.home) {
            Ok(entries) => {
                entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let names: Vec<String> = names.map_err(Fault::local("opening the home", &self.home))?;
        let store = self.store.as_deref().and_then(store::local_folder).unwrap_or_default();
        let leads_to_store = |name: &str| store.starts_with(self.home.join(name));
        let may_be = |name: &str| is_of_a_home(name) || is_of_the_system(name) || leads_to_store(name);
        let is_home = names.iter().any(|name| name.starts_with("ready.") && is_of_a_home(name));
        if is_home || names.iter().all(|name| may_be(name)) {
            return Ok(&self.home);
        }
        let text = "this folder holds other things: name an empty or a new one as the home";
        Err(Fault::at(&self.home)(Fault::Usage(text.into())))
    }

    /// Why a device could not be made.
    pub(crate) fn not_made(&self, error: Error) -> Fault {
        match error {
            Error::VaultExists => match self.vault_here() {
                Err(Fault::NoHome(_)) => Fault::StoreTaken,
                _ => Fault::HomeTaken(self.home.clone()),
            },
            error => self.of_the_home(error),
        }
    }

    /// The local file that fails while a vault is opened or made lies in the home.
    fn of_the_home(&self, error: Error) -> Fault {
        match error {
            Error::Io { .. } | Error::Database(_) => Fault::at(&self.home)(error.into()),
            error => error.into(),
        }
    }

    pub(crate) fn store(&self) -> Result<Box<dyn Store>, Fault> {
        store::open(self.address()?).map_err(|error| self.refused(error))
    }

    /// The store of a vault to be made.
    pub(crate) fn new_store(&self) -> Result<Box<dyn Store>, Fault> {
        store::create(self.address()?).map_err(|error| self.refused(error))
    }

    /// What is no address at all is refused as any other argument.
    fn refused(&self, error: StoreError) -> Fault {
        let is_address = self.store.as_deref().is_some_and(|url| store::local_folder(url).is_some());
        if is_address { Error::from(error).into() } else { Fault::Usage(error.to_string()) }
    }

    pub(crate) fn vault(&self) -> Result<Vault, Fault> {
        self.open(self.store()?)
    }

    /// The vault without its store, for what concerns this device alone.
    pub(crate) fn vault_here(&self) -> Result<Vault, Fault> {
        self.open(Box::new(store::MemoryStore::new()))
    }

    fn open(&self, store: Box<dyn Store>) -> Result<Vault, Fault> {
        Vault::open(store, &self.home).map_err(|error| match error {
            Error::NoVault => Fault::NoHome(self.home.clone()),
            error => self.of_the_home(error),
        })
    }

    /// Folders of the vault's own, which no backup takes in.
    pub(crate) fn own_folders(&self) -> impl Iterator<Item = PathBuf> {
        let store = self.store.as_deref().and_then(store::local_folder);
        store.into_iter().chain([self.home.clone()])
    }
}

/// Whether a device's home has files of this name; a proof of a fork lies there, too.
fn is_of_a_home(name: &str) -> bool {
    const FILES: [&str; 7] = ["consent", "device", "keyring", "pending", "pins", "ready", "roster"];
    match name.split_once('.') {
        _ if name.starts_with("fork-") => true,
        None => name == "ledger",
        Some(("state", _)) => true,
        Some((stem, copy)) => FILES.contains(&stem) && (copy == "0" || copy == "1"),
    }
}

/// Whether systems put files of this name into any folder.
fn is_of_the_system(name: &str) -> bool {
    [".DS_Store", ".nomedia", "desktop.ini", "lost+found", "System Volume Information"].contains(&name)
}
