//! What a device asks of the disk under its state: bytes of small named files, ledger lines, a database.
//!
//! Everything above is the same wherever the state lies. A medium promises that what it wrote is durable when
//! it returns, and nothing about a write that failed; it must never know what the bytes mean.

use std::io;

use zeroize::Zeroizing;

use crate::privacy::LedgerFile;

/// A place for one device's state.
pub(crate) trait Medium: Send + Sync {
    /// At most `limit` bytes of a small file; `None` when there is none of this name.
    fn read(&self, name: &str, limit: u64) -> io::Result<Option<Zeroizing<Vec<u8>>>>;

    /// Writes a small file through. When that fails, the file may hold a part of `bytes`.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Removes a small file, if it is there.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The ledger, made if need be.
    fn ledger(&self) -> io::Result<Box<dyn LedgerFile>>;

    /// Opens the database, or makes it.
    fn database(&self, builder: &mut redb::Builder) -> Result<redb::Database, redb::DatabaseError>;

    /// Puts a database that cannot be opened out of the way.
    fn put_database_aside(&self) -> io::Result<()>;
}
