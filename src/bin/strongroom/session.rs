//! Which vault: the store and the home that the user named. Nothing is opened until a command needs it.

use std::path::{Path, PathBuf};

use strongroom::{
    store::{self, Store},
    vault::Vault,
};

use super::exit::Fault;

pub(crate) struct Session {
    store: String,
    home: PathBuf,
}

impl Session {
    pub(crate) fn new(store: Option<String>, home: Option<PathBuf>) -> Result<Self, Fault> {
        let missing = |what: &str| Fault::Usage(what.to_owned());
        Ok(Self {
            store: store.ok_or_else(|| missing("which store? give --store URL, or set STRONGROOM_STORE"))?,
            home: home.ok_or_else(|| missing("which home? give --home DIR, or set STRONGROOM_HOME"))?,
        })
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn store(&self) -> Result<Box<dyn Store>, Fault> {
        Ok(store::open(&self.store).map_err(strongroom::Error::from)?)
    }

    /// The store of a vault to be made.
    pub(crate) fn new_store(&self) -> Result<Box<dyn Store>, Fault> {
        Ok(store::create(&self.store).map_err(strongroom::Error::from)?)
    }

    pub(crate) fn vault(&self) -> Result<Vault, Fault> {
        Ok(Vault::open(self.store()?, &self.home)?)
    }
}
