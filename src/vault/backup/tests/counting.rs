//! A store that counts what is asked of it, and takes packs without a body as mere numbers.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use crate::{
    privacy::LedgerLine,
    store::{DirectoryStore, ObjectName, Store, StoreError, StoredObject},
};

/// A pack's name and its length.
type Bodiless = ([u8; 16], u64);

/// Counts of requests, and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) puts: u64,
    pub(super) gets: u64,
    pub(super) lengths: u64,
    pub(super) lists: u64,
    pub(super) sent: u64,
    pub(super) read: u64,
    /// Of what was sent, packs without a body: how many, their bytes, and chunks in them.
    pub(super) bodiless: u64,
    pub(super) bodiless_bytes: u64,
    pub(super) chunks: u64,
}

impl Counts {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            puts: self.puts - before.puts,
            gets: self.gets - before.gets,
            lengths: self.lengths - before.lengths,
            lists: self.lists - before.lists,
            sent: self.sent - before.sent,
            read: self.read - before.read,
            bodiless: self.bodiless - before.bodiless,
            bodiless_bytes: self.bodiless_bytes - before.bodiless_bytes,
            chunks: self.chunks - before.chunks,
        }
    }
}

/// A folder on the disk, so that what it holds is not in the memory that is measured.
#[derive(Clone)]
pub struct CountingStore {
    inner: Arc<DirectoryStore>,
    counts: Arc<Mutex<Counts>>,
    /// Packs without a body, in the order of their names.
    bodiless: Arc<Mutex<Vec<Bodiless>>>,
}

impl CountingStore {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            inner: Arc::new(DirectoryStore::open(folder).unwrap()),
            counts: Arc::default(),
            bodiless: Arc::default(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap()
    }

    pub(super) fn count_bodiless(&self, length: u64, chunks: u64) {
        self.count(|counts| {
            counts.puts += 1;
            counts.sent += length;
            counts.bodiless += 1;
            counts.bodiless_bytes += length;
            counts.chunks += chunks;
        });
    }

    /// Lets it answer how long the packs without a body are, as a device's ledger has them.
    pub(super) fn learn(&self, sent: impl Iterator<Item = LedgerLine>) {
        let sent = sent.filter_map(|line| Some((ObjectName::parse(&line.name).ok()?.id()?, line.length)));
        let mut lengths: Vec<_> = sent.collect();
        lengths.sort_unstable();
        *self.bodiless.lock().unwrap() = lengths;
    }

    fn length_of(&self, name: &ObjectName) -> Option<u64> {
        let lengths = self.bodiless.lock().unwrap();
        let at = lengths.binary_search_by_key(&name.id()?, |(id, _)| *id).ok()?;
        Some(lengths[at].1)
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap());
    }
}

impl Store for CountingStore {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        self.count(|counts| (counts.puts, counts.sent) = (counts.puts + 1, counts.sent + bytes.len() as u64));
        self.inner.put(name, bytes)
    }

    fn get(&self, name: &ObjectName, limit: usize) -> Result<Vec<u8>, StoreError> {
        self.count(|counts| counts.gets += 1);
        let bytes = self.inner.get(name, limit)?;
        self.count(|counts| counts.read += bytes.len() as u64);
        Ok(bytes)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        self.count(|counts| (counts.gets, counts.read) = (counts.gets + 1, counts.read + length as u64));
        self.inner.get_range(name, offset, length)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, StoreError> {
        self.count(|counts| counts.lengths += 1);
        self.inner.length(name).or_else(|error| self.length_of(name).ok_or(error))
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.count(|counts| counts.lists += 1);
        self.inner.list(prefix, visit)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.inner.delete(name)
    }
}
