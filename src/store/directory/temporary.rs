//! Files in `tmp/`: written whole and synced before they get an object's name.
//!
//! A temporary file is removed when its value is dropped. Those of killed processes are swept after a day
//! by the file system's own clock. Nothing that does not look like ours may be removed, and nothing young:
//! another process may be writing it now.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{listing, not_written, system, system::unsettled};
use crate::store::{StoreError, StoreErrorKind};

/// Age at which nobody can be writing a temporary file any more.
const SWEEP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A synced file that has no object's name yet.
pub(super) struct Temporary(PathBuf);

impl Temporary {
    /// Writes `bytes` durably under a random name in `folder`.
    pub(super) fn write(folder: &Path, bytes: &[u8]) -> Result<Self, StoreError> {
        let path = folder.join(random_name()?);
        let mut file = system::create_new(&path).map_err(not_written("making a file"))?;
        let written = Self(path);
        system::write(&mut file, bytes).map_err(not_written("writing"))?;
        file.sync_all().map_err(unsettled("syncing a file"))?;
        Ok(written)
    }

    /// Gives it the name `target`, unless that is taken.
    pub(super) fn publish(&self, target: &Path) -> io::Result<()> {
        system::publish(&self.0, target)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed now is swept later.
        fs::remove_file(&self.0).ok();
    }
}

/// Whether some process has a file here, dead or alive.
pub(super) fn any_left(folder: &Path) -> bool {
    ours(folder).is_ok_and(|mut files| files.next().is_some())
}

/// Removes the files here that are older than [`SWEEP_AFTER`].
pub(super) fn sweep(folder: &Path) -> Result<(), StoreError> {
    let failed = || not_written("sweeping");
    let probe = Temporary::write(folder, &[])?;
    let now = fs::symlink_metadata(&probe.0).and_then(|found| found.modified()).map_err(failed())?;
    for file in ours(folder)? {
        // It may be gone already: its writer finished, or another process sweeps too.
        let Ok(written) = file.metadata().and_then(|found| found.modified()) else { continue };
        if now.duration_since(written).is_ok_and(|age| age > SWEEP_AFTER) {
            fs::remove_file(file.path()).ok();
        }
    }
    Ok(())
}

fn ours(folder: &Path) -> Result<impl Iterator<Item = fs::DirEntry>, StoreError> {
    Ok(listing::entries(folder, fs::FileType::is_file)?
        .filter_map(Result::ok)
        .filter(|(name, _)| name.len() == 32 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        .map(|(_, entry)| entry))
}

fn random_name() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| StoreError::new(StoreErrorKind::Transient, "no randomness for a temporary name"))?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}
