//! A small file that survives a power failure: two copies, written in turn, each with a counter and a
//! checksum. A write that is cut short leaves the other copy (R8).

use std::sync::Arc;

use zeroize::Zeroizing;

use super::Medium;
use crate::{
    Error, Part, Result,
    crypto::{Label, labelled_hash},
};

const HEAD_BYTES: usize = 8 + 32;
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A value in two copies, `NAME.0` and `NAME.1`.
pub(crate) struct StateFile {
    medium: Arc<dyn Medium>,
    copies: [String; 2],
}

impl StateFile {
    pub(crate) fn new(medium: &Arc<dyn Medium>, name: &str) -> Self {
        Self { medium: Arc::clone(medium), copies: [0, 1].map(|copy| format!("{name}.{copy}")) }
    }

    /// The newest whole value; `None` when it was never written.
    ///
    /// # Errors
    /// [`Error::Damaged`] when copies exist and none is whole.
    pub(crate) fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        match self.read_copies()? {
            [Copy::Absent, Copy::Absent] => Ok(None),
            copies => newest(copies).ok_or(Error::damaged(Part::LocalState)).map(Some),
        }
    }

    /// As [`Self::read`], for a value whose absence is safe: one torn copy alone is what a power failure
    /// leaves of a first write, and no value.
    ///
    /// # Errors
    /// [`Error::Damaged`] when both copies exist and none is whole.
    pub(crate) fn read_unless_torn_at_first(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        match self.read_copies()? {
            [Copy::Absent, Copy::Absent | Copy::Torn] | [Copy::Torn, Copy::Absent] => Ok(None),
            copies => newest(copies).ok_or(Error::damaged(Part::LocalState)).map(Some),
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
        self.medium.write(self.copy_name(target)?, &bytes).map_err(Error::io("writing the state file"))
    }

    /// Removes both copies.
    pub(crate) fn remove(&self) -> Result<()> {
        self.copies
            .iter()
            .try_for_each(|copy| self.medium.remove(copy))
            .map_err(Error::io("removing the state file"))
    }

    fn read_copies(&self) -> Result<[Copy; 2]> {
        Ok([self.read_copy(0)?, self.read_copy(1)?])
    }

    fn counter(&self, copy: usize) -> Result<u64> {
        Ok(self.read_copy(copy)?.whole().map_or(0, |(counter, _)| counter))
    }

    fn copy_name(&self, copy: usize) -> Result<&str> {
        self.copies.get(copy).map(String::as_str).ok_or(Error::Internal("state file copy"))
    }

    fn read_copy(&self, copy: usize) -> Result<Copy> {
        let read = self.medium.read(self.copy_name(copy)?, FILE_BYTES_MAX);
        Ok(match read.map_err(Error::io("reading the state file"))? {
            Some(bytes) => parse(&bytes).unwrap_or(Copy::Torn),
            None => Copy::Absent,
        })
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

fn newest(copies: [Copy; 2]) -> Option<Zeroizing<Vec<u8>>> {
    copies.into_iter().filter_map(Copy::whole).max_by_key(|(counter, _)| *counter).map(|(_, value)| value)
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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "test code")]
mod tests {
    use super::*;
    use crate::vault::state::StateLocation;

    fn state_file(folder: &tempfile::TempDir) -> StateFile {
        StateFile::new(&StateLocation::from(folder).open().unwrap(), "pins")
    }

    #[test]
    fn a_write_cut_short_at_any_byte_leaves_the_value_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = state_file(&folder);
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
    fn a_first_write_cut_short_is_no_value_where_that_is_safe_and_damage_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let file = state_file(&folder);
        file.write(b"value").unwrap();
        file.remove().unwrap();
        std::fs::write(folder.path().join("pins.0"), b"torn").unwrap();
        assert!(file.read_unless_torn_at_first().unwrap().is_none());
        assert!(matches!(file.read(), Err(Error::Damaged { what: Part::LocalState })));
        std::fs::write(folder.path().join("pins.1"), b"torn").unwrap();
        assert!(file.read_unless_torn_at_first().is_err());
        file.write(b"again").unwrap();
        assert_eq!(file.read_unless_torn_at_first().unwrap().unwrap().as_slice(), b"again");
    }

    #[test]
    fn two_torn_copies_are_damage_and_not_an_empty_state() {
        let folder = tempfile::tempdir().unwrap();
        let file = state_file(&folder);
        file.write(b"value").unwrap();
        std::fs::write(folder.path().join("pins.0"), b"torn").unwrap();
        assert!(matches!(file.read(), Err(Error::Damaged { what: Part::LocalState })));
    }
}
