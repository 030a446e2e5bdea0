//! What a restore that was killed leaves behind: files that were given no name of their own.

use std::ffi::OsStr;
use std::fs::TryLockError;
use std::io;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::fs::{Dir, OpenOptions};

use crate::vault::component::is_unfinished;

/// Removes them from a folder that was there before; what cannot be removed stays.
pub(super) fn remove_from(dir: &Dir) {
    let Ok(entries) = dir.entries() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if is_unfinished(&name) {
            let _gone_or_left_behind = remove_unless_locked(dir, &name);
        }
    }
}

/// Whoever still writes a file holds its lock.
fn remove_unless_locked(dir: &Dir, name: &OsStr) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).follow(FollowSymlinks::No).nonblock(true);
    let file = dir.open_with(name, &options)?.into_std();
    if !file.metadata()?.is_file() {
        return Ok(());
    }
    match file.try_lock() {
        Ok(()) => dir.remove_file(name),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
