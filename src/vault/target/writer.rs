//! One file on its way into the target.
//!
//! It is written under a random name beside its place, readable by its owner only, and takes its own name in
//! one step when it is whole (I9). A writer that is dropped unfinished takes the file away again; a killed
//! process leaves it behind, as `.strongroom-….part`, which a backup of the folder leaves out and reports.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{Dir, OpenOptions};

use super::{ItemError, Overwrite, Place, Rules, may_replace};
use crate::crypto::{OsRandom, Random};
use crate::vault::component::{Component, unfinished_name};
use crate::vault::folder::{Attributes, Stat};

/// A stretch of zeros between two multiples of this is left as a hole.
const HOLE_BYTES: u64 = 64 * 1024;
/// Zeros are looked for this many bytes at a time, so that the compiler can use wide registers.
const ZERO_STRIDE: usize = 64;

/// A file that has no name yet. Independent of its [`Target`](super::Target): several may be open.
#[must_use = "a file that is not finished is removed"]
pub struct FileWriter {
    temporary: Temporary,
    name: Component,
    file: File,
    length: u64,
    /// The file ends in a hole, or is shorter on the disk than `length`.
    in_hole: bool,
    rules: Rules,
}

/// A handle's own `Debug` shows its path.
impl fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileWriter").field("length", &self.length).finish_non_exhaustive()
    }
}

/// What came of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placed {
    /// It is there, with its attributes.
    Whole,
    /// Its content is there; the file system does not take its mode or its time.
    WithoutAttributes,
}

impl FileWriter {
    pub(super) fn create(place: Place, name: &Component, rules: Rules) -> Result<Self, ItemError> {
        let temporary_name = place.temporary.next();
        let file = create_new(&place.dir, &temporary_name).map_err(ItemError::io("making a file"))?;
        let temporary = Temporary { place, name: Some(temporary_name) };
        Ok(Self { temporary, name: name.clone(), file: file.into_std(), length: 0, in_hole: false, rules })
    }

    /// Appends `bytes`. Zeros are not written but skipped, in pieces that end at each multiple of 64 KiB.
    ///
    /// # Errors
    /// [`ItemError::Io`]; the file cannot be finished sensibly then: drop the writer.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), ItemError> {
        while !bytes.is_empty() {
            let room = HOLE_BYTES - self.length % HOLE_BYTES;
            let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            let (piece, rest) = bytes.split_at(room);
            self.write_piece(piece).map_err(ItemError::io("writing a file"))?;
            bytes = rest;
        }
        Ok(())
    }

    /// The bytes appended so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Lets it replace nothing, whatever the target allows.
    pub(in crate::vault) fn replacing_nothing(mut self) -> Self {
        self.rules.overwrite = Overwrite::No;
        self
    }

    /// Gives the whole file its attributes and its name. Call it only after the last byte was verified.
    ///
    /// # Errors
    /// [`ItemError::AlreadyThere`] when the name is taken and may not be replaced; [`ItemError::Io`].
    pub fn finish(self, attributes: Attributes) -> Result<Placed, ItemError> {
        let Self { temporary, name, file, length, in_hole, rules } = self;
        if in_hole {
            file.set_len(length).map_err(ItemError::io("writing a file"))?;
        }
        let attributes_set = set_attributes(&file, attributes, rules.mode_mask).is_ok();
        drop(file);
        temporary.rename_to(&name, rules)?;
        Ok(if attributes_set { Placed::Whole } else { Placed::WithoutAttributes })
    }

    fn write_piece(&mut self, piece: &[u8]) -> io::Result<()> {
        self.length = self.length.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if is_zero(piece) {
            self.in_hole = true;
            return Ok(());
        }
        if self.in_hole {
            let start = self.length.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            self.file.seek(SeekFrom::Start(start))?;
            self.in_hole = false;
        }
        self.file.write_all(piece)
    }
}

/// A file under a temporary name; it goes when this goes.
struct Temporary {
    place: Place,
    name: Option<String>,
}

impl Temporary {
    fn rename_to(mut self, name: &Component, rules: Rules) -> Result<(), ItemError> {
        let Some(temporary) = self.name.as_deref() else { return Err(ItemError::NoName) };
        let Place { dir, made, .. } = &self.place;
        match rules.overwrite {
            Overwrite::No if made.is_new => rename_new(dir, temporary, name)?,
            Overwrite::No => {
                let mut made = made.lock();
                let written = Stat::at(dir, temporary.as_ref()).map_err(ItemError::io("naming a file"))?;
                rename_new(dir, temporary, name)?;
                made.insert(written.identity, None);
            }
            Overwrite::Replace => {
                let mut made = made.lock();
                let written = Stat::at(dir, temporary.as_ref()).map_err(ItemError::io("naming a file"))?;
                match may_replace(dir, name.as_os_str(), &made, rules.overwrite)? {
                    None => rename_new(dir, temporary, name)?,
                    Some(_) => rename_over(dir, temporary, name)?,
                }
                made.insert(written.identity, None);
            }
        }
        self.name = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _gone_or_left_behind = self.place.dir.remove_file(name);
        }
    }
}

/// Names for what has none yet: from a random number on, one after the other.
#[derive(Debug)]
pub(super) struct TemporaryNames(AtomicU64);

impl TemporaryNames {
    pub(super) fn new() -> crate::Result<Self> {
        let mut start = [0; 8];
        OsRandom.fill(&mut start)?;
        Ok(Self(AtomicU64::new(u64::from_le_bytes(start))))
    }

    pub(super) fn next(&self) -> String {
        unfinished_name(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

pub(super) fn rename_over(dir: &Arc<Dir>, from: &str, to: &Component) -> Result<(), ItemError> {
    dir.rename(from, dir, to.as_os_str()).map_err(ItemError::io("naming a file"))
}

/// Renames where nothing has the name. Not on Android, where older systems kill a process for the call.
#[cfg(any(target_os = "linux", target_os = "macos", target_os = "ios"))]
fn rename_new(dir: &Arc<Dir>, from: &str, to: &Component) -> Result<(), ItemError> {
    use rustix::fs::{RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(dir, from, dir, to.as_os_str(), RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(ItemError::AlreadyThere),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => reserve_and_rename(dir, from, to),
        Err(errno) => Err(ItemError::io("naming a file")(errno.into())),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "ios")))]
fn rename_new(dir: &Arc<Dir>, from: &str, to: &Component) -> Result<(), ItemError> {
    reserve_and_rename(dir, from, to)
}

/// The same by two calls: takes the name with an empty file, which fails if anything has it, then renames
/// over that.
pub(super) fn reserve_and_rename(dir: &Arc<Dir>, from: &str, to: &Component) -> Result<(), ItemError> {
    let reserved = create_new(dir, to.as_os_str()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => ItemError::AlreadyThere,
        _ => ItemError::io("naming a file")(error),
    })?;
    let reserved = Stat::of_file(&reserved.into_std());
    rename_over(dir, from, to).inspect_err(|_| {
        let there = Stat::at(dir, to.as_os_str());
        if matches!((there, reserved), (Ok(there), Ok(reserved)) if there.identity == reserved.identity) {
            let _gone_or_left_empty = dir.remove_file(to.as_os_str());
        }
    })
}

pub(super) fn create_new(dir: &Dir, name: impl AsRef<Path>) -> io::Result<cap_std::fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).follow(FollowSymlinks::No);
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
    dir.open_with(name, &options)
}

/// Sets the time, then the mode: each is tried whatever becomes of the other.
pub(super) fn set_attributes(file: &File, attributes: Attributes, mode_mask: u32) -> io::Result<()> {
    let modified = modified(attributes).ok_or(io::ErrorKind::InvalidInput);
    let timed = modified.map_err(io::Error::from).and_then(|modified| file.set_modified(modified));
    set_mode(file, attributes.mode & mode_mask).and(timed)
}

/// The modification time as the system writes it, if it can.
fn modified(attributes: Attributes) -> Option<SystemTime> {
    let seconds = Duration::from_secs(attributes.modified_s.unsigned_abs());
    let whole = if attributes.modified_s < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    let part = (attributes.modified_ns < 1_000_000_000).then_some(attributes.modified_ns)?;
    whole?.checked_add(Duration::from_nanos(u64::from(part)))
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZERO_STRIDE).all(|stride| stride.iter().fold(0, |seen, byte| seen | byte) == 0)
}
