//! A small file that survives a power failure: two copies, written in turn, each with a counter and a
//! checksum. A write that is cut short leaves the other copy (R8).

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    Error, Part, Result,
    crypto::{Label, labelled_hash},
};

const HEAD_BYTES: usize = 8 + 32;
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A value in two copies, `NAME.0` and `NAME.1`.
pub(crate) struct StateFile {
    copies: [PathBuf; 2],
}

impl StateFile {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        Self { copies: [0, 1].map(|copy| folder.join(format!("{name}.{copy}"))) }
    }

    /// The newest whole value; `None` when it was never written.
    ///
    /// # Errors
    /// [`Error::Damaged`] when copies exist and none is whole.
    pub(crate) fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let read = [self.read_copy(0)?, self.read_copy(1)?];
        let exists = read.iter().any(|copy| !matches!(copy, Copy::Absent));
        let newest = read.into_iter().filter_map(Copy::whole).max_by_key(|(counter, _)| *counter);
        match newest {
            Some((_, value)) => Ok(Some(value)),
            None if exists => Err(Error::damaged(Part::LocalState)),
            None => Ok(None),
        }
    }

    /// Replaces the value; it is on the disk when this returns.
    pub(crate) fn write(&self, value: &[u8]) -> Result<()> {
        let counters = [self.counter(0)?, self.counter(1)?];
        let [zero, one] = counters;
        let (target, counter) = if zero <= one { (0, one + 1) } else { (1, zero + 1) };
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD_BYTES + value.len()));
        bytes.extend(counter.to_le_bytes());
        bytes.extend(checksum(counter, value));
        bytes.extend_from_slice(value);
        let path = self.path(target)?;
        write_through(path, &bytes).map_err(Error::io("state file"))
    }

    /// Removes both copies.
    pub(crate) fn remove(&self) -> Result<()> {
        for copy in &self.copies {
            match std::fs::remove_file(copy) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Io { action: "state file", source: error });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn counter(&self, copy: usize) -> Result<u64> {
        Ok(self.read_copy(copy)?.whole().map_or(0, |(counter, _)| counter))
    }

    fn path(&self, copy: usize) -> Result<&Path> {
        self.copies.get(copy).map(PathBuf::as_path).ok_or(Error::Internal("state file copy"))
    }

    fn read_copy(&self, copy: usize) -> Result<Copy> {
        let file = match OpenOptions::new().read(true).open(self.path(copy)?) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Copy::Absent),
            Err(source) => return Err(Error::Io { action: "state file", source }),
        };
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(Error::io("state file"))?;
        Ok(parse(&bytes).unwrap_or(Copy::Torn))
    }
}

enum Copy {
    Absent,
    Torn,
    Whole(u64, Zeroizing<Vec<u8>>),
}

impl Copy {
    fn whole(self) -> Option<(u64, Zeroizing<Vec<u8>>)> {
        match self {
            Self::Whole(counter, value) => Some((counter, value)),
            Self::Absent | Self::Torn => None,
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Copy> {
    let (counter, rest) = bytes.split_first_chunk::<8>()?;
    let (sum, value) = rest.split_first_chunk::<32>()?;
    let counter = u64::from_le_bytes(*counter);
    (checksum(counter, value) == *sum).then(|| Copy::Whole(counter, Zeroizing::new(value.to_vec())))
}

fn checksum(counter: u64, value: &[u8]) -> [u8; 32] {
    labelled_hash(Label::LOCAL_CHECKSUM, &[&counter.to_le_bytes(), value])
}

fn write_through(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let created = !path.exists();
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    match path.parent().filter(|_| created && cfg!(unix)) {
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a folder is opened to be synced")]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "test code")]
mod tests {
    use super::*;

    #[test]
    fn a_write_cut_short_at_any_byte_leaves_the_value_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path(), "pins");
        assert!(file.read().unwrap().is_none());
        file.write(b"first").unwrap();
        file.write(b"second").unwrap();
        file.write(b"third").unwrap();
        assert_eq!(file.read().unwrap().unwrap().as_slice(), b"third");
        let newest = folder.path().join("pins.0");
        let whole = std::fs::read(&newest).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&newest, &whole[..cut]).unwrap();
            assert_eq!(file.read().unwrap().unwrap().as_slice(), b"second", "cut at {cut}");
        }
        file.write(b"fourth").unwrap();
        assert_eq!(file.read().unwrap().unwrap().as_slice(), b"fourth");
    }

    #[test]
    fn two_torn_copies_are_damage_and_not_an_empty_state() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path(), "pins");
        file.write(b"value").unwrap();
        std::fs::write(folder.path().join("pins.0"), b"torn").unwrap();
        assert!(matches!(file.read(), Err(Error::Damaged { what: Part::LocalState })));
    }
}
