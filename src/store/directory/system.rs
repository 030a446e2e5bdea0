//! What differs between systems: opening without following, publishing without replacing, syncing a folder,
//! and what an error of the system means to a store.
//!
//! It must never fall back to something that could replace a file.

use std::{fs, io, io::ErrorKind, path::Path};

use crate::store::{StoreError, StoreErrorKind};

/// Creates a file that must not exist.
pub(super) fn create_new(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)
}

/// A failure that changed nothing.
pub(super) fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    move |error| StoreError::new(kind_of(&error), format!("{doing}: {error}"))
}

/// A failure of syncing or publishing: only a clear answer says that nothing happened.
pub(super) fn unsettled(doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    move |error| {
        let kind = match kind_of(&error) {
            StoreErrorKind::Transient => StoreErrorKind::OutcomeUnknown,
            definite => definite,
        };
        StoreError::new(kind, format!("{doing}: {error}"))
    }
}

fn kind_of(error: &io::Error) -> StoreErrorKind {
    match error.kind() {
        ErrorKind::NotFound => StoreErrorKind::NotFound,
        ErrorKind::AlreadyExists => StoreErrorKind::AlreadyExists,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreErrorKind::NoSpace,
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::Unsupported
        | ErrorKind::CrossesDevices
        | ErrorKind::FileTooLarge
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput => StoreErrorKind::Refused,
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => StoreErrorKind::Malformed,
        _ if is_special(error) => StoreErrorKind::Malformed,
        _ => StoreErrorKind::Transient,
    }
}

/// Writes `bytes` to a file that was just made. Long objects go past the page cache where the system has a way, and
/// they begin on the border of a page, as those that were sealed do: they are read back rarely, and copying them
/// through it may take longer than sealing them.
pub(super) fn write(file: &mut fs::File, bytes: &[u8]) -> io::Result<()> {
    const LONG: usize = 256 * 1024;
    let written = if bytes.len() < LONG { 0 } else { direct::write(file, bytes)? };
    io::Write::write_all(file, bytes.get(written..).unwrap_or_default())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod direct {
    use std::{fs, io, io::Write as _};

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    /// What memory, place and length of a direct write have to be a multiple of, on every disk we know.
    const BLOCK: usize = 4096;

    /// Writes what can be written directly and says how much that was. The file takes any write afterwards.
    pub(super) fn write(file: &mut fs::File, bytes: &[u8]) -> io::Result<usize> {
        let flags = fcntl_getfl(&*file)?;
        let blocks = bytes.get(..bytes.len() - bytes.len() % BLOCK).unwrap_or_default();
        let is_aligned = bytes.as_ptr().align_offset(BLOCK) == 0;
        if !is_aligned || fcntl_setfl(&*file, flags | OFlags::DIRECT).is_err() {
            return Ok(0);
        }
        let written = match file.write(blocks) {
            // A file system that has the flag and does not mean it.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(0),
            written => written,
        };
        fcntl_setfl(&*file, flags)?;
        written
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod direct {
    pub(super) fn write(_: &mut std::fs::File, _: &[u8]) -> std::io::Result<usize> {
        Ok(0)
    }
}

#[cfg(unix)]
mod imp {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::{fs::OFlags, io::Errno};

    use super::{Path, fs, io};

    /// A file system without hard links says one of these (FAT, exFAT, many of FUSE and SMB).
    const NO_LINKS: [Errno; 6] =
        [Errno::PERM, Errno::ACCESS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK];
    /// A file system that cannot sync folders says one of these.
    const NO_FOLDER_SYNC: [Errno; 3] = [Errno::INVAL, Errno::NOTSUP, Errno::NOSYS];

    /// Opens for reading; a link is refused, and a pipe does not block.
    pub(in super::super) fn open_unfollowed(path: &Path) -> io::Result<fs::File> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        fs::OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)
    }

    /// Links, sockets and devices, as `open_unfollowed` meets them.
    pub(super) fn is_special(error: &io::Error) -> bool {
        [Errno::LOOP, Errno::NXIO].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
    }

    /// Gives the file `from` the name `to`, unless that is taken. `from` may go or stay.
    pub(in super::super) fn publish(from: &Path, to: &Path) -> io::Result<()> {
        match fs::hard_link(from, to) {
            Err(error) if says(&error, &NO_LINKS) => publish_by_rename(from, to),
            done => done,
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    pub(super) fn publish_by_rename(from: &Path, to: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    pub(super) fn publish_by_rename(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes the names in `folder` durable.
    pub(in super::super) fn sync_folder(folder: &Path) -> io::Result<()> {
        match fs::OpenOptions::new().read(true).open(folder)?.sync_all() {
            Err(error) if says(&error, &NO_FOLDER_SYNC) => Ok(()),
            done => done,
        }
    }

    fn says(error: &io::Error, any: &[Errno]) -> bool {
        Errno::from_io_error(error).is_some_and(|errno| any.contains(&errno))
    }
}

#[cfg(windows)]
mod imp {
    use std::os::windows::fs::OpenOptionsExt;

    use super::{Path, fs, io};

    const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

    /// Opens for reading; of a link or folder it opens the thing itself, which the caller sees is no file.
    pub(in super::super) fn open_unfollowed(path: &Path) -> io::Result<fs::File> {
        let flags = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS;
        fs::OpenOptions::new().read(true).custom_flags(flags).open(path)
    }

    pub(super) fn is_special(_: &io::Error) -> bool {
        false
    }

    /// Gives the file `from` the name `to`, unless that is taken: `MoveFileExW` without its replace flag.
    pub(in super::super) fn publish(from: &Path, to: &Path) -> io::Result<()> {
        tempfile::TempPath::try_from_path(from)?.persist_noclobber(to).map_err(|error| error.error)
    }

    /// NTFS journals names; Windows has no call to wait for them.
    pub(in super::super) fn sync_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }
}

use imp::is_special;
pub(super) use imp::{open_unfollowed, publish, sync_folder};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_become_kinds() {
        for (kind, expected) in [
            (ErrorKind::StorageFull, StoreErrorKind::NoSpace),
            (ErrorKind::QuotaExceeded, StoreErrorKind::NoSpace),
            (ErrorKind::NotFound, StoreErrorKind::NotFound),
            (ErrorKind::PermissionDenied, StoreErrorKind::Refused),
            (ErrorKind::ReadOnlyFilesystem, StoreErrorKind::Refused),
            (ErrorKind::IsADirectory, StoreErrorKind::Malformed),
            (ErrorKind::Interrupted, StoreErrorKind::Transient),
        ] {
            assert_eq!(failed("x")(kind.into()).kind(), expected, "{kind:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_input_output_error_of_a_sync_leaves_the_outcome_open_but_a_full_disk_does_not() {
        use rustix::io::Errno;
        for (errno, read, sync) in [
            (Errno::IO, StoreErrorKind::Transient, StoreErrorKind::OutcomeUnknown),
            (Errno::NOSPC, StoreErrorKind::NoSpace, StoreErrorKind::NoSpace),
            (Errno::DQUOT, StoreErrorKind::NoSpace, StoreErrorKind::NoSpace),
            (Errno::ACCESS, StoreErrorKind::Refused, StoreErrorKind::Refused),
            (Errno::LOOP, StoreErrorKind::Malformed, StoreErrorKind::Malformed),
        ] {
            assert_eq!(failed("x")(errno.into()).kind(), read, "{errno:?}");
            assert_eq!(unsettled("x")(errno.into()).kind(), sync, "{errno:?}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "test code")]
    fn what_is_written_past_the_cache_is_what_was_given_whatever_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let memory: Vec<u8> =
            (0..8_396_800_u32).map(|at| at.wrapping_mul(0x9e37_79b9).to_le_bytes()[3]).collect();
        let border = memory.as_ptr().align_offset(4096);
        for length in [0, 1, 262_143, 262_144, 262_145, 1_048_576, 3_000_001, 8_388_608] {
            for start in [border, border + 1] {
                let bytes = &memory[start..start + length];
                let path = folder.path().join(format!("{length} from {start}"));
                write(&mut create_new(&path).unwrap(), bytes).unwrap();
                assert!(fs::read(&path).unwrap() == bytes, "{length} from {start}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_no_space() {
        let written = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .and_then(|mut full| io::Write::write_all(&mut full, b"x"));
        assert_eq!(failed("writing")(written.unwrap_err()).kind(), StoreErrorKind::NoSpace);
    }

    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    #[test]
    fn publishing_by_rename_does_not_replace_either() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
        for path in [&from, &to] {
            create_new(path).unwrap();
        }
        assert_eq!(imp::publish_by_rename(&from, &to).unwrap_err().kind(), ErrorKind::AlreadyExists);
        fs::remove_file(&to).unwrap();
        imp::publish_by_rename(&from, &to).unwrap();
        assert!(to.exists() && !from.exists());
    }
}
