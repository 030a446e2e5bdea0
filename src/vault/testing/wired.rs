//! A store as a simulated device reaches it: while it has power.

use super::power::{Boot, Go, Kept, Step};
use crate::store::{ObjectName, Store, StoreError, StoreErrorKind, StoredObject};

/// A store on the power of a [`MemoryHome`](super::MemoryHome).
pub struct WiredStore<S> {
    inner: S,
    boot: Boot,
}

impl<S> WiredStore<S> {
    pub(super) fn new(inner: S, boot: Boot) -> Self {
        Self { inner, boot }
    }

    /// Makes one call. The step at which the power fails was done by the store or not at all.
    fn call<T>(&self, call: impl FnOnce(&S) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.boot.step(Step::Store) {
            Go::On => call(&self.inner),
            Go::Dying(Kept::All) => call(&self.inner).and(Err(dead())),
            _ => Err(dead()),
        }
    }
}

/// Trying again does not help a dead device.
fn dead() -> StoreError {
    StoreError::new(StoreErrorKind::Refused, "the device has no power")
}

impl<S: Store> Store for WiredStore<S> {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        self.call(|store| store.put(name, bytes))
    }

    fn get(&self, name: &ObjectName, limit: usize) -> Result<Vec<u8>, StoreError> {
        self.call(|store| store.get(name, limit))
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.call(|store| store.get_range(name, offset, length))
    }

    fn length(&self, name: &ObjectName) -> Result<u64, StoreError> {
        self.call(|store| store.length(name))
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.call(|store| store.list(prefix, visit))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.call(|store| store.delete(name))
    }

    fn delete_many(&self, names: &[ObjectName]) -> Result<(), StoreError> {
        self.call(|store| store.delete_many(names))
    }
}
