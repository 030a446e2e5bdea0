//! The medium under a state in memory: small files, ledger and database pages, each write a step that the
//! power may not outlast.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Cursor, ErrorKind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;
use zeroize::Zeroizing;

use super::{
    pages::Pages,
    power::{Boot, Go, Kept, Step},
};
use crate::{
    privacy::{LedgerFile, ReadSeek},
    vault::state::Medium,
};

/// Everything a device keeps.
#[derive(Clone, Default)]
pub(super) struct Disk {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) ledger: Vec<u8>,
    pub(super) database: Pages,
    /// The database as of its last sync.
    pub(super) synced: Pages,
    /// Whether a database is open on it.
    pub(super) is_open: bool,
}

/// One start's way to the disk.
#[derive(Clone)]
pub(super) struct MemoryMedium {
    disk: Arc<Mutex<Disk>>,
    boot: Boot,
}

impl MemoryMedium {
    pub(super) fn new(disk: Arc<Mutex<Disk>>, boot: Boot) -> Self {
        Self { disk, boot }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }

    fn read_disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        if self.boot.is_on() { Ok(self.disk()) } else { Err(dead()) }
    }

    /// Makes one step with `bytes`, or with what the power leaves of them.
    fn write_step<T>(
        &self,
        step: Step,
        bytes: &[u8],
        write: impl FnOnce(&mut Disk, &[u8]) -> io::Result<T>,
    ) -> io::Result<T> {
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        match self.boot.step(step) {
            Go::On => write(&mut self.disk(), bytes),
            Go::Dying(Kept::All) => write(&mut self.disk(), bytes).and(Err(dead())),
            Go::Dying(Kept::Half) if !bytes.is_empty() => write(&mut self.disk(), half).and(Err(dead())),
            _ => Err(dead()),
        }
    }
}

pub(super) fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

fn dead() -> io::Error {
    io::Error::new(ErrorKind::BrokenPipe, "the device has no power")
}

impl Medium for MemoryMedium {
    fn read(&self, name: &str, limit: u64) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let disk = self.read_disk()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(disk.files.get(name).map(|bytes| Zeroizing::new(bytes.get(..limit).unwrap_or(bytes).to_vec())))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write_step(Step::StateFile, bytes, |disk, bytes| {
            disk.files.insert(name.to_owned(), bytes.to_vec());
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if !self.read_disk()?.files.contains_key(name) {
            return Ok(());
        }
        self.write_step(Step::StateFile, &[], |disk, _| {
            disk.files.remove(name);
            Ok(())
        })
    }

    fn ledger(&self) -> io::Result<Box<dyn LedgerFile>> {
        drop(self.read_disk()?);
        Ok(Box::new(self.clone()))
    }

    fn database(&self, builder: &mut redb::Builder) -> Result<redb::Database, redb::DatabaseError> {
        if std::mem::replace(&mut self.read_disk().map_err(redb::StorageError::from)?.is_open, true) {
            return Err(redb::DatabaseError::DatabaseAlreadyOpen);
        }
        builder.create_with_backend(DatabaseFile(self.clone()))
    }

    fn put_database_aside(&self) -> io::Result<()> {
        let mut disk = self.read_disk()?;
        (disk.database, disk.synced) = (Pages::default(), Pages::default());
        Ok(())
    }
}

impl LedgerFile for MemoryMedium {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_step(Step::Ledger, bytes, |disk, bytes| {
            disk.ledger.extend_from_slice(bytes);
            Ok(())
        })
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.read_disk()?.ledger.truncate(length);
        Ok(())
    }

    fn read(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(Cursor::new(self.read_disk()?.ledger.clone())))
    }
}

/// The database's file; closing it lets the next one open it.
struct DatabaseFile(MemoryMedium);

impl StorageBackend for DatabaseFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.read_disk()?.database.length())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_disk()?.database.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.write_step(Step::Database, &[], |disk, _| disk.database.set_length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.write_step(Step::Database, &[], |disk, _| {
            disk.synced = disk.database.clone();
            Ok(())
        })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_step(Step::Database, bytes, |disk, bytes| disk.database.write(offset, bytes))
    }

    fn close(&self) -> io::Result<()> {
        if self.0.boot.is_on() {
            self.0.disk().is_open = false;
        }
        Ok(())
    }
}

impl fmt::Debug for DatabaseFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseFile")
    }
}
