//! A device's state in memory: a handle that outlives the vaults that are opened in it.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use super::{
    medium::{Disk, MemoryMedium, lock},
    power::{Power, PowerCut},
    wired::WiredStore,
};
use crate::store::Store;

/// What takes a state folder's place. Clones are the same home: dropping a vault and opening one again in it
/// is a restart of the app.
#[derive(Clone, Default)]
pub struct MemoryHome {
    disk: Arc<Mutex<Disk>>,
    power: Power,
}

/// All that a device keeps, at one moment: what a thief copies, or a phone's own backup brings back.
#[derive(Clone)]
pub struct HomeImage(Disk);

impl MemoryHome {
    /// A device that has never been used.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another device with the same content: a clone.
    #[must_use]
    pub fn of_image(image: &HomeImage) -> Self {
        Self { disk: Arc::new(Mutex::new(image.0.clone())), power: Power::default() }
    }

    /// What it keeps now, also while a vault is open in it.
    #[must_use]
    pub fn image(&self) -> HomeImage {
        HomeImage(Disk { is_open: false, ..lock(&self.disk).clone() })
    }

    /// Puts an image in place of what it keeps. Vaults that are open in it are dead afterwards.
    pub fn restore(&self, image: &HomeImage) {
        self.power.restart();
        *lock(&self.disk) = image.0.clone();
    }

    /// Arms a power failure; one that was armed before is forgotten.
    pub fn cut_power(&self, cut: PowerCut) {
        self.power.plan(cut);
    }

    /// Whether the power failed. Then everything fails until [`MemoryHome::restart`].
    #[must_use]
    pub fn has_no_power(&self) -> bool {
        self.power.is_off()
    }

    /// Starts the device anew, after a power failure or in place of one. Vaults that are open in it are dead
    /// afterwards, and can be dropped at any time.
    pub fn restart(&self) {
        let unsynced_lost = self.power.restart();
        let mut disk = lock(&self.disk);
        disk.is_open = false;
        if unsynced_lost {
            disk.database = disk.synced.clone();
        }
    }

    /// Steps at which the power could have failed so far: the numbers to give to [`PowerCut`].
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.power.steps()
    }

    /// A store on this device's power: calls of it are steps, and a dead device makes none.
    pub fn wire<S: Store>(&self, store: S) -> WiredStore<S> {
        WiredStore::new(store, self.power.boot())
    }

    pub(crate) fn medium(&self) -> impl crate::vault::state::Medium + use<> {
        MemoryMedium::new(Arc::clone(&self.disk), self.power.boot())
    }
}

impl fmt::Debug for MemoryHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = lock(&self.disk);
        let names: Vec<&String> = disk.files.keys().collect();
        f.debug_struct("MemoryHome").field("files", &names).finish_non_exhaustive()
    }
}

impl fmt::Debug for HomeImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HomeImage").finish_non_exhaustive()
    }
}
