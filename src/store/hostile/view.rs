//! The hostile store and its devices' handles.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Act, Devices, Script, Seen, world::World};
use crate::store::{ObjectName, Store, StoreError, StoreErrorKind, StoredObject, bytes, faults::FaultStore};

/// A store in memory that the attacker runs. Clones are the same store.
#[derive(Clone)]
pub struct HostileStore(Arc<Mutex<World>>);

impl HostileStore {
    /// An empty store that does what `script` says.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self(Arc::new(Mutex::new(World::new(script))))
    }

    /// An empty store without a script: it is honest until [`HostileStore::act`].
    #[must_use]
    pub fn honest() -> Self {
        Self::new(Script::default())
    }

    /// The way in for one device, numbered 0 to 63. Handles of the same number are the same device.
    #[must_use]
    pub fn for_device(&self, device: u8) -> FaultStore<View> {
        let world = self.clone();
        let view = View { store: self.clone(), device };
        FaultStore::new(view, move |request| world.world().begin(device, request))
    }

    /// Does something now that no script foresaw. What concerns one request, the next one meets.
    pub fn act(&self, act: &Act) {
        self.world().act(act);
    }

    /// From now on every device sees the same store, and nothing that is not in it.
    pub fn heal(&self) {
        self.act(&Act::Heal(Devices::ALL));
    }

    /// How many requests there were.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.world().time
    }

    /// How many acts there were: with none, the store was honest so far and no device may complain.
    #[must_use]
    pub fn acts(&self) -> u64 {
        self.world().acts
    }

    /// Every request so far.
    #[must_use]
    pub fn trace(&self) -> Vec<Seen> {
        self.world().trace.clone()
    }

    /// What the store holds that everybody shares who was not given another, by name.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<String, Arc<[u8]>> {
        self.world().objects()
    }

    /// A panic elsewhere cannot leave the world half changed in a way that matters to a test.
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one device sees of a [`HostileStore`]: an honest answer about a store that may be its own.
pub struct View {
    store: HostileStore,
    device: u8,
}

impl View {
    fn find(&self, name: &ObjectName) -> Result<Arc<[u8]>, StoreError> {
        let found = self.store.world().get(self.device, name);
        found.ok_or_else(|| StoreError::new(StoreErrorKind::NotFound, "reading an object"))
    }
}

impl Store for View {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        if self.store.world().put(self.device, name, bytes) {
            Ok(())
        } else {
            Err(StoreError::new(StoreErrorKind::AlreadyExists, "putting an object"))
        }
    }

    fn get(&self, name: &ObjectName, limit: usize) -> Result<Vec<u8>, StoreError> {
        Ok(bytes::within(&self.find(name)?, limit)?.to_vec())
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        Ok(bytes::range(&self.find(name)?, offset, length)?.to_vec())
    }

    fn length(&self, name: &ObjectName) -> Result<u64, StoreError> {
        Ok(self.find(name)?.len() as u64)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let lines = self.store.world().list(self.device, prefix);
        lines.into_iter().try_for_each(|(name, length)| visit(StoredObject::new(name, length)))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.store.world().delete(self.device, name);
        Ok(())
    }
}

impl fmt::Debug for HostileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostileStore").field("time", &self.time()).finish_non_exhaustive()
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("device", &self.device).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
