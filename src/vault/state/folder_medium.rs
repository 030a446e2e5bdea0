//! The state in a folder of a disk, readable for its owner only.
//!
//! A write is through to the disk, the name of a new file too, before it returns.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::Medium;
use crate::privacy::{Ledger, LedgerFile};

const DATABASE: &str = "state.redb";

/// A folder of the device's disk.
pub(super) struct FolderMedium(PathBuf);

impl FolderMedium {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        Ok(Self(folder.to_owned()))
    }
}

impl Medium for FolderMedium {
    fn read(&self, name: &str, limit: u64) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let file = match OpenOptions::new().read(true).open(self.0.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.0.join(name);
        let created = !path.exists();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        if created && cfg!(unix) { sync_folder(&self.0) } else { Ok(()) }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn ledger(&self) -> io::Result<Box<dyn LedgerFile>> {
        Ledger::disk_file(&self.0.join("ledger"))
    }

    fn database(&self, builder: &mut redb::Builder) -> Result<redb::Database, redb::DatabaseError> {
        let path = self.0.join(DATABASE);
        #[cfg(unix)]
        if !path.exists() {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(&path).map_err(redb::StorageError::Io)?;
        }
        builder.create(path)
    }

    fn put_database_aside(&self) -> io::Result<()> {
        let path = self.0.join(DATABASE);
        fs::rename(&path, path.with_extension("damaged"))
    }
}

#[expect(clippy::disallowed_methods, reason = "a folder is opened to be synced")]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
