//! One look at an entry, relative to a handle, never through a link.
//!
//! On Unix it asks the system itself: cap-std reads the same numbers, but turns times into a type that cannot
//! hold all of them, and panics on some that a file may have.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use cap_std::fs::Dir;

use super::meta::{Attributes, EntryType};

/// Which file it is, whatever its name: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::vault) struct Identity(u64, u64);

impl Identity {
    pub(super) fn numbers(self) -> (u64, u64) {
        (self.0, self.1)
    }
}

/// What the system says about an entry.
#[derive(Debug, Clone, Copy)]
pub(in crate::vault) struct Stat {
    /// None for a fifo, a socket or a device.
    pub(in crate::vault) entry_type: Option<EntryType>,
    pub(in crate::vault) identity: Identity,
    /// Whether no other name leads to it, as far as the system tells.
    pub(in crate::vault) has_one_name: bool,
    pub(super) attributes: Attributes,
    pub(super) size: u64,
    pub(super) changed_s: i64,
    pub(super) changed_ns: u32,
}

#[cfg(unix)]
impl Stat {
    /// Looks at the entry `name`, which must be one component, itself.
    pub(in crate::vault) fn at(dir: &Dir, name: &OsStr) -> io::Result<Self> {
        Ok(Self::from_system(&rustix::fs::statat(dir, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?))
    }

    pub(in crate::vault) fn of_dir(dir: &Dir) -> io::Result<Self> {
        Ok(Self::from_system(&rustix::fs::fstat(dir)?))
    }

    /// What `path` leads to. Asks for no right to read it.
    pub(super) fn of_path(path: &Path) -> io::Result<Self> {
        Ok(Self::from_system(&rustix::fs::stat(path)?))
    }

    /// What has the name `path`, itself.
    pub(super) fn of_name(path: &Path) -> io::Result<Self> {
        Ok(Self::from_system(&rustix::fs::lstat(path)?))
    }

    pub(in crate::vault) fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::from_system(&rustix::fs::fstat(file)?))
    }

    #[allow(clippy::unnecessary_cast, clippy::cast_lossless, reason = "the types differ between systems")]
    fn from_system(stat: &rustix::fs::Stat) -> Self {
        use rustix::fs::FileType;
        let entry_type = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Some(EntryType::Regular),
            FileType::Directory => Some(EntryType::Directory),
            FileType::Symlink => Some(EntryType::Symlink),
            _ => None,
        };
        let attributes = Attributes {
            mode: stat.st_mode as u32 & 0o7777,
            modified_s: stat.st_mtime as i64,
            modified_ns: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        };
        Self {
            entry_type,
            identity: Identity(stat.st_dev as u64, stat.st_ino as u64),
            has_one_name: stat.st_nlink as u64 <= 1,
            attributes,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            changed_s: stat.st_ctime as i64,
            changed_ns: u32::try_from(stat.st_ctime_nsec).unwrap_or(0),
        }
    }
}

#[cfg(not(unix))]
impl Stat {
    /// Looks at the entry `name`, which must be one component, itself.
    pub(in crate::vault) fn at(dir: &Dir, name: &OsStr) -> io::Result<Self> {
        Ok(Self::from_metadata(&dir.symlink_metadata(name)?))
    }

    pub(in crate::vault) fn of_dir(dir: &Dir) -> io::Result<Self> {
        Ok(Self::from_metadata(&dir.dir_metadata()?))
    }

    /// What `path` leads to.
    pub(super) fn of_path(path: &Path) -> io::Result<Self> {
        match Dir::open_ambient_dir(path, cap_std::ambient_authority()) {
            Ok(folder) => Self::of_dir(&folder),
            Err(error) if super::is_not_a_folder(&error) => Self::of_name(path),
            Err(error) => Err(error),
        }
    }

    /// What has the name `path`, itself.
    pub(super) fn of_name(path: &Path) -> io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Self::at(&Dir::open_ambient_dir(parent, cap_std::ambient_authority())?, name)
    }

    pub(in crate::vault) fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::from_metadata(&cap_std::fs::Metadata::from_file(file)?))
    }

    fn from_metadata(meta: &cap_std::fs::Metadata) -> Self {
        use cap_fs_ext::MetadataExt as _;
        let modified = meta.modified().map(cap_std::time::SystemTime::into_std);
        let (modified_s, modified_ns) = modified.map_or((0, 0), since_epoch);
        let entry_type = if meta.is_file() {
            Some(EntryType::Regular)
        } else if meta.is_dir() {
            Some(EntryType::Directory)
        } else {
            meta.is_symlink().then_some(EntryType::Symlink)
        };
        // What a restore elsewhere gives it.
        let mode = if entry_type == Some(EntryType::Directory) { 0o700 } else { 0o600 };
        Self {
            entry_type,
            identity: Identity(meta.dev(), meta.ino()),
            has_one_name: meta.nlink() <= 1,
            attributes: Attributes { mode, modified_s, modified_ns },
            size: meta.len(),
            changed_s: 0,
            changed_ns: 0,
        }
    }
}

#[cfg(not(unix))]
fn since_epoch(time: std::time::SystemTime) -> (i64, u32) {
    match time.duration_since(std::time::SystemTime::UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).unwrap_or(i64::MAX).saturating_neg();
            match before.subsec_nanos() {
                0 => (whole, 0),
                part => (whole.saturating_sub(1), 1_000_000_000 - part),
            }
        }
    }
}
