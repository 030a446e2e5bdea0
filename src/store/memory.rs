//! A store in memory, for tests and simulations.
//!
//! It creates atomically and lists completely. Clones share one content; a snapshot taken earlier can be
//! put back, which is what a store that rolls back does. It must never be given real backups: nothing in it
//! outlives the process.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{ObjectName, Store, StoreError, StoreErrorKind, StoredObject, bytes};

/// A shared map from name to bytes.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<State>>);

/// What a [`MemoryStore`] held at one moment. The bytes are shared, not copied.
#[derive(Clone, Default)]
pub struct Snapshot(Objects);

/// What was asked of a [`MemoryStore`] since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Calls of every kind.
    pub requests: u64,
    /// Calls of `put`, refused ones too.
    pub puts: u64,
    /// Calls of `get` and `get_range`, failed ones too.
    pub gets: u64,
    /// Bytes of the objects that were created.
    pub bytes_put: u64,
    /// Bytes that were returned.
    pub bytes_got: u64,
}

type Objects = BTreeMap<String, Arc<[u8]>>;

#[derive(Default)]
struct State {
    objects: Objects,
    traffic: Traffic,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What it holds now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.state().objects.clone())
    }

    /// Makes it hold exactly what it held when `snapshot` was taken.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.state().objects = snapshot.0.clone();
    }

    /// What was asked of it so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.state().traffic
    }

    /// A panic elsewhere cannot leave the map half changed: each use is one operation.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.traffic.requests += 1;
        state
    }
}

impl State {
    fn find(&self, name: &ObjectName) -> Result<Arc<[u8]>, StoreError> {
        self.objects.get(name.as_str()).cloned().ok_or_else(not_found)
    }
}

impl Store for MemoryStore {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        let mut state = self.request();
        state.traffic.puts += 1;
        if state.objects.contains_key(name.as_str()) {
            return Err(StoreError::new(StoreErrorKind::AlreadyExists, "putting an object"));
        }
        state.objects.insert(name.as_str().to_owned(), bytes.into());
        state.traffic.bytes_put += bytes.len() as u64;
        Ok(())
    }

    fn get(&self, name: &ObjectName, limit: usize) -> Result<Vec<u8>, StoreError> {
        let mut state = self.request();
        state.traffic.gets += 1;
        let found = state.find(name)?;
        let found = bytes::within(&found, limit)?;
        state.traffic.bytes_got += found.len() as u64;
        Ok(found.to_vec())
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let mut state = self.request();
        state.traffic.gets += 1;
        let found = state.find(name)?;
        let found = bytes::range(&found, offset, length)?;
        state.traffic.bytes_got += found.len() as u64;
        Ok(found.to_vec())
    }

    fn length(&self, name: &ObjectName) -> Result<u64, StoreError> {
        Ok(self.request().find(name)?.len() as u64)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let lines: Vec<_> = self
            .request()
            .objects
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(prefix))
            .filter_map(|(name, bytes)| Some((ObjectName::parse(name).ok()?, bytes.len() as u64)))
            .collect();
        // The lock is free again: `visit` may use this store.
        lines.into_iter().try_for_each(|(name, length)| visit(StoredObject::new(name, length)))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.request().objects.remove(name.as_str());
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("objects", &self.state().objects.len()).finish()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("objects", &self.0.len()).finish()
    }
}

fn not_found() -> StoreError {
    StoreError::new(StoreErrorKind::NotFound, "reading an object")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[test]
    fn the_memory_store_keeps_the_contract() {
        conformance::check(&MemoryStore::new(), true).unwrap();
    }

    #[test]
    fn a_snapshot_put_back_undoes_writes_and_deletions_for_all_clones() {
        let store = MemoryStore::new();
        let [kept, later] = [ObjectName::object(&[1; 16]), ObjectName::object(&[2; 16])];
        store.put(&kept, b"kept").unwrap();
        let before = store.snapshot();
        store.put(&later, b"later").unwrap();
        store.delete(&kept).unwrap();
        store.clone().restore(&before);
        assert_eq!(store.get(&kept, 10).unwrap(), b"kept");
        assert_eq!(store.get(&later, 10).unwrap_err().kind(), StoreErrorKind::NotFound);
    }

    #[test]
    fn traffic_counts_requests_and_bytes() {
        let store = MemoryStore::new();
        let name = ObjectName::object(&[1; 16]);
        store.put(&name, b"12345").unwrap();
        store.put(&name, b"12345").unwrap_err();
        store.get(&name, 5).unwrap();
        store.get(&name, 4).unwrap_err();
        store.get_range(&name, 1, 2).unwrap();
        store.length(&name).unwrap();
        assert_eq!(store.traffic(), Traffic { requests: 6, puts: 2, gets: 3, bytes_put: 5, bytes_got: 7 });
    }

    #[test]
    fn a_visitor_may_use_the_store_and_a_poisoned_lock_does_not_stop_it() {
        let store = MemoryStore::new();
        let name = ObjectName::object(&[1; 16]);
        store.put(&name, b"x").unwrap();
        store.list("", &mut |line| store.delete(&line.name)).unwrap();
        let clone = store.clone();
        std::thread::scope(|scope| {
            let poisoner = scope.spawn(move || {
                let _guard = clone.0.lock();
                panic!("poison");
            });
            poisoner.join().unwrap_err();
        });
        assert_eq!(store.length(&name).unwrap_err().kind(), StoreErrorKind::NotFound);
    }
}
