//! The names in a folder, read through its handle, so that it is the folder that was entered (M4).
//!
//! On Unix it asks the system itself: cap-std opens the folder once more than it takes, and makes three copies
//! of each name.

use std::ffi::OsString;
use std::io;

use cap_std::fs::Dir;

/// The names of a folder's entries, in the order of their bytes.
pub(super) fn sorted_names(dir: &Dir) -> io::Result<Vec<OsString>> {
    let mut names = names(dir)?;
    names.sort_unstable_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Ok(names)
}

#[cfg(unix)]
fn names(dir: &Dir) -> io::Result<Vec<OsString>> {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    use rustix::fs::{Mode, OFlags};

    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::new(rustix::fs::openat(dir, ".", flags, Mode::empty())?)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

#[cfg(not(unix))]
fn names(dir: &Dir) -> io::Result<Vec<OsString>> {
    dir.entries()?.map(|entry| Ok(entry?.file_name())).collect()
}
