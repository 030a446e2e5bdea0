//! A folder of the user's: what an app passes to a backup as its source, or to a restore as its target.
//!
//! The walk yields everything below in the byte order of the tree's keys, follows no link, and cannot be led
//! outside by someone who swaps folders for links meanwhile. It never writes. What it cannot read it reports;
//! what vanishes meanwhile it passes over.

mod alone;
mod handles;
mod listing;
mod meta;
mod stat;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

pub(super) use self::alone::Alone;
pub(super) use self::handles::{Handles, is_not_a_folder};
use self::listing::sorted_names;
pub use self::meta::{Attributes, EntryType, FileMeta};
pub(super) use self::stat::{Identity, Stat};
use super::component::{is_unfinished, os_string};
use crate::Error;

/// A folder, or a single file, by its path. Nothing is opened until it is used.
///
/// ```
/// use strongroom::vault::Folder;
///
/// for found in Folder::at("src").walk()? {
///     match found {
///         Ok(item) => println!("{} bytes", item.meta.size),
///         Err(skipped) => println!("left out: {}", skipped.reason),
///     }
/// }
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Clone)]
pub struct Folder {
    path: PathBuf,
    without: Vec<PathBuf>,
}

impl Folder {
    /// The folder or file at `path`. Links in the path itself are followed: the user chose it.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), without: Vec::new() }
    }

    /// Passes over the folder at `path` with all in it, wherever the walk meets it: such as a vault's own
    /// state, or a store on the same disk. What does not exist is no reason to stop. A walk that would begin in
    /// it is refused.
    #[must_use]
    pub fn without(mut self, path: impl Into<PathBuf>) -> Self {
        self.without.push(path.into());
        self
    }

    /// The path it was made with.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything below the folder, without the folder itself; or the one file that the path names.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder itself cannot be read, [`Error::InvalidArgument`] when the path leads to
    /// neither a folder nor a file, or into a folder to pass over.
    pub fn walk(&self) -> crate::Result<Walk> {
        let path = self.path.canonicalize().map_err(Error::io("opening the source"))?;
        let meta = path.metadata().map_err(Error::io("opening the source"))?;
        let without = self.passed_over(&path)?;
        if meta.is_dir() {
            let root = open_root(&path)?;
            // What the path led to may be another folder by now.
            let stat = Stat::of_dir(&root).map_err(Error::io("reading the source"))?;
            if without.contains(&stat.identity.numbers()) {
                return Err(Error::InvalidArgument(LEFT_ALONE));
            }
            let names = sorted_names(&root).map_err(Error::io("reading the source"))?;
            return Ok(Walk::new(root, names, without));
        }
        match (meta.is_file(), path.parent(), path.file_name()) {
            (true, Some(parent), Some(name)) => {
                Ok(Walk::new(open_root(parent)?, vec![name.to_owned()], Vec::new()))
            }
            _ => Err(Error::InvalidArgument("the source is neither a folder nor a file")),
        }
    }

    /// File system and number of what is passed over; the walk may not begin in it.
    fn passed_over(&self, root: &Path) -> crate::Result<Vec<(u64, u64)>> {
        let failed = || Error::io("looking at a folder to pass over");
        let alone = Alone::find(&self.without).map_err(failed())?;
        if alone.surround(root).map_err(failed())? {
            return Err(Error::InvalidArgument(LEFT_ALONE));
        }
        Ok(alone.folders().iter().map(|folder| folder.numbers()).collect())
    }
}

const LEFT_ALONE: &str = "the source lies in a folder that is to be left alone";

/// A path is private.
impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder").finish_non_exhaustive()
    }
}

/// The entries below a folder, depth first, children by the bytes of their names: the byte order of keys
/// whose components are joined by `0x00`, each folder before its content.
///
/// Holds the names of the folders on the way down, and at most a few dozen handles.
pub struct Walk {
    handles: Handles,
    /// What is left to visit, for each folder on the way down.
    waiting: Vec<vec::IntoIter<OsString>>,
    /// The folder that was yielded last and is entered next.
    next_folder: Option<OsString>,
    /// What the caller wants passed over.
    without: Vec<(u64, u64)>,
}

impl Walk {
    fn new(root: Dir, names: Vec<OsString>, without: Vec<(u64, u64)>) -> Self {
        let (handles, waiting) = (Handles::new(Arc::new(root)), vec![names.into_iter()]);
        Self { handles, waiting, next_folder: None, without }
    }

    /// Opens a regular file that the walk has yielded, or gives none if it has vanished. Fastest for the item
    /// yielded last. Never follows a link and never blocks.
    ///
    /// # Errors
    /// Why it cannot be read, or [`SkipReason::Changed`] if it is no regular file any more.
    pub fn open(&mut self, item: &SourceItem) -> Result<Option<SourceFile>, SkipReason> {
        self.opening(item).open()
    }

    /// What it takes to open a file that the walk has yielded, on any thread.
    pub(super) fn opening(&mut self, item: &SourceItem) -> Opening {
        Opening(self.place_of(item))
    }

    fn place_of(&mut self, item: &SourceItem) -> io::Result<(Arc<Dir>, OsString)> {
        let (name, parents) = item.components.split_last().ok_or(io::ErrorKind::NotFound)?;
        let name = os_string(name).ok_or(io::ErrorKind::NotFound)?;
        Ok((self.folder_of(parents)?, name))
    }

    /// The folder at `names`: usually the current one.
    fn folder_of(&mut self, names: &[Vec<u8>]) -> io::Result<Arc<Dir>> {
        if self.handles.names().map(OsStr::as_encoded_bytes).eq(names.iter().map(Vec::as_slice)) {
            return self.handles.current();
        }
        let names: Option<Vec<OsString>> = names.iter().map(|name| os_string(name)).collect();
        let names = names.ok_or(io::ErrorKind::NotFound)?;
        let mut handles = Handles::new(Arc::clone(self.handles.root()));
        names.iter().try_for_each(|name| handles.enter(name))?;
        handles.current()
    }

    /// Steps into the folder yielded last, if it is still there.
    fn enter(&mut self, name: &OsStr) -> Result<(), Skipped> {
        let depth = self.handles.depth();
        let listed = self.handles.enter(name).and_then(|()| sorted_names(&*self.handles.current()?));
        match listed {
            Ok(names) => self.waiting.push(names.into_iter()),
            Err(error) => {
                self.handles.leave_to(depth);
                unless_vanished::<()>(&error).map_err(|reason| self.skipped(name, reason))?;
            }
        }
        Ok(())
    }

    /// Looks at one entry; none if it has vanished.
    fn look(&mut self, name: &OsStr) -> Result<Option<SourceItem>, Skipped> {
        match self.try_look(name) {
            Ok(Some((meta, _))) if self.without.contains(&(meta.device, meta.inode)) => Ok(None),
            Ok(Some((meta, _))) if meta.entry_type != EntryType::Directory && is_unfinished(name) => {
                Err(self.skipped(name, SkipReason::Unfinished))
            }
            Ok(Some((meta, link_target))) => {
                Ok(Some(SourceItem { components: self.components(name), meta, link_target }))
            }
            Ok(None) => Err(self.skipped(name, SkipReason::Special)),
            Err(error) => unless_vanished(&error).map_err(|reason| self.skipped(name, reason)),
        }
    }

    fn try_look(&mut self, name: &OsStr) -> io::Result<Option<(FileMeta, Option<Vec<u8>>)>> {
        let dir = self.handles.current()?;
        let Some(meta) = FileMeta::from_stat(&Stat::at(&dir, name)?) else { return Ok(None) };
        let target = match meta.entry_type {
            EntryType::Symlink => {
                let target = dir.read_link_contents(name)?;
                Some(target.into_os_string().into_encoded_bytes())
            }
            EntryType::Regular | EntryType::Directory => None,
        };
        Ok(Some((meta, target)))
    }

    fn components(&self, name: &OsStr) -> Vec<Vec<u8>> {
        self.handles.names().chain([name]).map(|part| part.as_encoded_bytes().to_vec()).collect()
    }

    fn skipped(&self, name: &OsStr, reason: SkipReason) -> Skipped {
        Skipped { components: self.components(name), reason }
    }
}

impl Iterator for Walk {
    type Item = Result<SourceItem, Skipped>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(name) = self.next_folder.take()
            && let Err(skipped) = self.enter(&name)
        {
            return Some(Err(skipped));
        }
        loop {
            let Some(name) = self.waiting.last_mut()?.next() else {
                self.waiting.pop();
                self.handles.leave_to(self.waiting.len().saturating_sub(1));
                continue;
            };
            match self.look(&name).transpose() {
                None => {}
                Some(Ok(item)) => {
                    let is_folder = item.meta.entry_type == EntryType::Directory;
                    self.next_folder = is_folder.then_some(name);
                    return Some(Ok(item));
                }
                Some(Err(skipped)) => return Some(Err(skipped)),
            }
        }
    }
}

/// Names are private.
impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("depth", &self.handles.depth()).finish_non_exhaustive()
    }
}

/// One entry to back up.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceItem {
    /// Its names from the root down, as bytes; never empty.
    pub components: Vec<Vec<u8>>,
    /// What the folder says about it.
    pub meta: FileMeta,
    /// For a link, what it points to, as recorded.
    pub link_target: Option<Vec<u8>>,
}

/// Names and targets are private.
impl fmt::Debug for SourceItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceItem").field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// An entry that is left out of a backup. A folder left out stands for all its content, which was not seen:
/// its absence must not be taken for a deletion.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Its names from the root down, for the owner's eyes; not for logs.
    pub components: Vec<Vec<u8>>,
    /// Why.
    pub reason: SkipReason,
}

/// Names are private.
impl fmt::Debug for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skipped").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// Why an entry is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// It is a fifo, a socket or a device.
    #[error("neither a file, a folder nor a link")]
    Special,
    /// A restore has it under way, or was killed and left it behind half written.
    #[error("a restore has not finished it")]
    Unfinished,
    /// It became something else between two looks.
    #[error("it changed into something else meanwhile")]
    Changed,
    /// The system refuses.
    #[error("it cannot be read: {0}")]
    Unreadable(io::ErrorKind),
}

/// A file that is to be opened: its folder and its name there.
pub(super) struct Opening(io::Result<(Arc<Dir>, OsString)>);

impl Opening {
    /// Of `name` in `dir`.
    pub(super) fn at(dir: Arc<Dir>, name: &OsStr) -> Self {
        Self(Ok((dir, name.to_owned())))
    }

    /// As [`Walk::open`].
    pub(super) fn open(self) -> Result<Option<SourceFile>, SkipReason> {
        let opened = self.0.and_then(|(dir, name)| {
            let mut options = OpenOptions::new();
            options.read(true).follow(FollowSymlinks::No).nonblock(true);
            dir.open_with(name, &options)
        });
        match opened {
            Ok(file) => check_regular(file).map(Some),
            Err(error) => unless_vanished(&error),
        }
    }
}

/// A regular file, open for reading.
pub struct SourceFile {
    file: File,
    opened: FileMeta,
}

/// A handle's own `Debug` shows its path.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").finish_non_exhaustive()
    }
}

impl SourceFile {
    /// What the file was when it was opened, before any of it was read.
    pub(super) fn meta_when_opened(&self) -> FileMeta {
        self.opened
    }

    /// What the file is now. Equal before and after reading means that it did not change while it was read.
    ///
    /// # Errors
    /// The system's.
    pub fn meta(&self) -> io::Result<FileMeta> {
        FileMeta::from_stat(&Stat::of_file(&self.file)?).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// The `length` bytes from `offset` on, or as many as there are; many threads may read at once. Whoever reads on as
    /// usual afterwards has to seek first.
    pub(super) fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            match self.read_more(&mut bytes, offset, length) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Straight into the memory that `bytes` have to spare.
    #[cfg(unix)]
    fn read_more(&self, bytes: &mut Vec<u8>, offset: u64, _: usize) -> io::Result<usize> {
        let at = offset + bytes.len() as u64;
        Ok(rustix::io::pread(&self.file, rustix::buffer::spare_capacity(bytes), at)?)
    }

    #[cfg(windows)]
    fn read_more(&self, bytes: &mut Vec<u8>, offset: u64, length: usize) -> io::Result<usize> {
        use std::os::windows::fs::FileExt as _;
        let start = bytes.len();
        bytes.resize(length, 0);
        let read = self.file.seek_read(bytes.get_mut(start..).unwrap_or_default(), offset + start as u64);
        bytes.truncate(start + *read.as_ref().unwrap_or(&0));
        read
    }

    /// All of it, whatever its size is said to be, or of a file with more than `most` bytes one more than these.
    pub(super) fn read_whole(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.opened.size.min(most)).unwrap_or(usize::MAX);
        let mut bytes = self.read_at(0, length.saturating_add(1))?;
        if bytes.len() > length {
            // It has grown, or says that it has less, as files do that the system makes up.
            bytes.clear();
            self.file.rewind()?;
            self.reader().take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// For reading straight into the memory that bytes have to spare: this type's own [`Read`] would fill it with
    /// zeros first.
    pub(super) fn reader(&mut self) -> &mut impl Read {
        &mut self.file
    }
}

impl Read for SourceFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for SourceFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

fn open_root(path: &Path) -> crate::Result<Dir> {
    Dir::open_ambient_dir(path, ambient_authority()).map_err(Error::io("opening the source"))
}

/// What stood there when the walk looked may be a fifo or a device by now.
fn check_regular(file: cap_std::fs::File) -> Result<SourceFile, SkipReason> {
    let file = file.into_std();
    match Stat::of_file(&file).map(|stat| FileMeta::from_stat(&stat)) {
        Ok(Some(opened)) if opened.entry_type == EntryType::Regular => Ok(SourceFile { file, opened }),
        Ok(_) => Err(SkipReason::Changed),
        Err(error) => Err(SkipReason::Unreadable(error.kind())),
    }
}

fn unless_vanished<T>(error: &io::Error) -> Result<Option<T>, SkipReason> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(None)
    } else if is_not_a_folder(error) {
        Err(SkipReason::Changed)
    } else {
        Err(SkipReason::Unreadable(error.kind()))
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
pub(super) mod tests;
