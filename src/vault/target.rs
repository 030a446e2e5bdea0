//! The folder that a restore writes to.
//!
//! It is opened once; everything below it is reached by handles, one checked name at a time, and no link is
//! ever followed. So nothing outside it changes, whatever the backup says (M3, M5) and whatever happens to
//! the folder meanwhile (M4). A file gets its name only when it is whole (I9); links are made when everything
//! else is there; attributes of folders come last. What cannot be written is an error of that item alone.
//!
//! Nothing is synced file by file: on Linux and Android all of it at the end, elsewhere, after a power cut, restore
//! again.

mod finish;
mod found;
mod names;
mod writer;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder};

pub use self::finish::{Finished, Problem};
pub(super) use self::finish::{Mark, Settled};
use self::finish::{PendingFolder, PendingLink};
pub(super) use self::names::keeps_names;
use self::writer::TemporaryNames;
pub use self::writer::{FileWriter, Placed};
use super::component::{BadName, Component, os_string};
use super::folder::{Alone, Attributes, EntryType, Handles, Identity, Stat, is_not_a_folder};
use crate::Error;

/// Mode of a folder while it is being filled, and of one that the backup says nothing about: what was private stays so.
#[cfg(unix)]
const FOLDER_MODE: u32 = 0o700;

/// What to do when a name is taken already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overwrite {
    /// Report the item; what was there before the restore stays as it is. Folders are shared.
    #[default]
    No,
    /// Files and links replace older files and links, and folders take the recorded attributes. A folder is
    /// never replaced by something else, nor anything that this restore has made.
    Replace,
}

/// A folder being written to, in the order of the tree's keys: each folder before its content, and each
/// folder's content in one go.
pub struct Target {
    handles: Handles,
    /// What this restore has made: in the root, and in each folder on the way down.
    made: Vec<Arc<Made>>,
    folders: Vec<PendingFolder>,
    links: Vec<PendingLink>,
    rules: Rules,
    temporary: Arc<TemporaryNames>,
    alone: Alone,
}

#[derive(Debug, Clone, Copy)]
struct Rules {
    overwrite: Overwrite,
    mode_mask: u32,
}

impl Target {
    /// Opens the folder at `path`, and makes it and those above it if need be. Links in the path itself are
    /// followed: the user chose it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(path: impl AsRef<Path>) -> crate::Result<Self> {
        let path = path.as_ref();
        make_root(path).map_err(Error::io("making the target"))?;
        let root =
            Dir::open_ambient_dir(path, ambient_authority()).map_err(Error::io("opening the target"))?;
        Ok(Self {
            handles: Handles::new(Arc::new(root)),
            made: vec![Arc::default()],
            folders: Vec::new(),
            links: Vec::new(),
            rules: Rules { overwrite: Overwrite::No, mode_mask: 0o777 },
            temporary: Arc::new(TemporaryNames::new()?),
            alone: Alone::default(),
        })
    }

    /// What to do when a name is taken. Without this call: [`Overwrite::No`].
    #[must_use]
    pub fn overwrite(mut self, overwrite: Overwrite) -> Self {
        self.rules.overwrite = overwrite;
        self
    }

    /// Leaves folders alone, with all in them, and the links that lead there. Asked for before anything is made.
    pub(super) fn leaving(mut self, alone: Alone) -> Self {
        self.made.iter().for_each(|made| made.leave(&alone));
        self.alone = alone;
        self
    }

    /// Also restores the set-user, set-group and sticky bits, which are left out otherwise.
    #[must_use]
    pub fn with_special_bits(mut self) -> Self {
        self.rules.mode_mask = 0o7777;
        self
    }

    /// Makes a folder, or shares a real one that is there. Its attributes are set by [`Target::finish`].
    ///
    /// # Errors
    /// [`ItemError`]; among them that a file or a link has the name.
    pub fn folder(&mut self, path: &[Component], attributes: Attributes) -> Result<(), ItemError> {
        self.folder_marked(path, attributes, None)
    }

    /// As [`Target::folder`]; of a folder with a mark [`Target::finish_with`] tells, also of one that was there.
    pub(super) fn folder_marked(
        &mut self,
        path: &[Component],
        attributes: Attributes,
        mark: Option<Mark>,
    ) -> Result<(), ItemError> {
        let (name, parents) = path.split_last().ok_or(ItemError::NoName)?;
        self.descend(parents)?;
        let owner = self.step(name)?;
        let is_dressed = owner == Owner::Restore || self.rules.overwrite == Overwrite::Replace;
        if let Some(identity) = self.handles.identity()
            && (is_dressed || mark.is_some())
        {
            self.folders.push(PendingFolder { path: path.to_vec(), attributes, identity, is_dressed, mark });
        }
        Ok(())
    }

    /// Opens a new file under a temporary name. Folders above it that were not announced are made.
    ///
    /// # Errors
    /// [`ItemError`]; a name that is taken is found here if it can be, and for certain when the file is
    /// finished.
    pub fn file(&mut self, path: &[Component]) -> Result<FileWriter, ItemError> {
        self.file_place(path)?.create_if_free()
    }

    /// Where a new file will be, for any thread to open it. Folders above it that were not announced are made.
    /// That its name is taken is found when the file is finished.
    pub(super) fn file_place(&mut self, path: &[Component]) -> Result<FilePlace, ItemError> {
        let (name, parents) = path.split_last().ok_or(ItemError::NoName)?;
        self.descend(parents)?;
        Ok(FilePlace { folder: self.place()?, name: name.clone(), rules: self.rules })
    }

    /// Notes a symbolic link; it is made by [`Target::finish`], after everything else. Its target is taken as
    /// it was recorded, wherever it points, and is never followed here. Where the system has no such links
    /// it becomes a problem of [`Finished`].
    ///
    /// # Errors
    /// [`ItemError`].
    pub fn link(
        &mut self,
        path: &[Component],
        target: &[u8],
        attributes: Attributes,
    ) -> Result<(), ItemError> {
        self.link_marked(path, target, attributes, None)
    }

    /// As [`Target::link`]; of a link with a mark [`Target::finish_with`] tells.
    pub(super) fn link_marked(
        &mut self,
        path: &[Component],
        target: &[u8],
        attributes: Attributes,
        mark: Option<Mark>,
    ) -> Result<(), ItemError> {
        let (name, parents) = path.split_last().ok_or(ItemError::NoName)?;
        self.descend(parents)?;
        let replaces = self.place()?.replaceable(name, self.rules)?;
        let target = os_string(target).ok_or(ItemError::Unsupported)?;
        self.links.push(PendingLink { path: path.to_vec(), target, attributes, replaces, mark });
        Ok(())
    }

    fn place(&mut self) -> Result<Place, ItemError> {
        let dir = self.handles.current().map_err(ItemError::from_step)?;
        let made = self.made.last().cloned().unwrap_or_default();
        Ok(Place { dir, made, temporary: Arc::clone(&self.temporary) })
    }

    /// Goes to the folder `path` and makes what is missing on the way.
    fn descend(&mut self, path: &[Component]) -> Result<(), ItemError> {
        let names = path.iter().map(Component::as_os_str);
        let common = self.handles.names().zip(names).take_while(|(here, there)| here == there).count();
        self.leave_to(common);
        path.iter().skip(common).try_for_each(|name| self.step(name).map(drop))
    }

    fn leave_to(&mut self, depth: usize) {
        self.handles.leave_to(depth);
        self.made.truncate(depth.saturating_add(1));
    }

    /// Steps into one folder, making it if it is missing.
    fn step(&mut self, name: &Component) -> Result<Owner, ItemError> {
        let mut created = false;
        let entered = match self.handles.enter(name.as_os_str()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let dir = self.handles.current().map_err(ItemError::from_step)?;
                created = make_folder(&dir, name)?;
                self.handles.enter(name.as_os_str())
            }
            entered => entered,
        };
        entered.map_err(ItemError::from_step)?;
        let is_left_alone =
            self.handles.identity().is_some_and(|identity| self.alone.folders().contains(&identity));
        let owner = if is_left_alone { Err(ItemError::LeftAlone) } else { self.owner(name, created) };
        match owner {
            Ok(_) => {
                let made = Made { is_new: created, ..Made::default() };
                made.leave(&self.alone);
                self.made.push(Arc::new(made));
            }
            Err(_) => self.handles.leave_to(self.handles.depth().saturating_sub(1)),
        }
        owner
    }

    /// Whose folder was just entered. One that this restore made or entered under another name is the same only to
    /// a file system that ignores case or normalizes: two folders of the backup would become one.
    fn owner(&self, name: &Component, created: bool) -> Result<Owner, ItemError> {
        let (Some(identity), Some(made)) = (self.handles.identity(), self.made.last()) else {
            return Err(ItemError::NoName);
        };
        let mut made = made.lock();
        match made.get(&identity) {
            Some(Some((known, owner))) if known == name => Ok(*owner),
            Some(_) => Err(ItemError::AlreadyThere),
            None => {
                let owner = if created { Owner::Restore } else { Owner::User };
                made.insert(identity, Some((name.clone(), owner)));
                Ok(owner)
            }
        }
    }
}

/// Names are private.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// Who made a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Restore,
    User,
}

/// Folders that this restore has made or entered in one folder, by name; and files and links, without, where they
/// could be replaced, or taken for others.
#[derive(Default)]
struct Made {
    entries: Mutex<HashMap<Identity, Option<(Component, Owner)>>>,
    /// Whether the folder itself was just made: then nothing older is in it.
    is_new: bool,
}

impl Made {
    /// Links that are left alone are as little to be replaced as what this restore makes.
    fn leave(&self, alone: &Alone) {
        self.lock().extend(alone.links().iter().map(|link| (*link, None)));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identity, Option<(Component, Owner)>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a file will be.
pub(super) struct FilePlace {
    folder: Place,
    name: Component,
    rules: Rules,
}

impl FilePlace {
    /// Opens the file under a temporary name.
    pub(super) fn create(&self) -> Result<FileWriter, ItemError> {
        FileWriter::create(self.folder.clone(), &self.name, self.rules)
    }

    /// The same, unless the name is taken already.
    pub(super) fn create_if_free(&self) -> Result<FileWriter, ItemError> {
        self.folder.replaceable(&self.name, self.rules)?;
        self.create()
    }

    /// Whether both are in one folder.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.folder.dir, &other.folder.dir)
    }

    /// What has the name now, itself.
    pub(super) fn look(&self) -> io::Result<Stat> {
        Stat::at(&self.folder.dir, self.name.as_os_str())
    }
}

/// One folder that files are written into.
#[derive(Clone)]
struct Place {
    dir: Arc<Dir>,
    made: Arc<Made>,
    temporary: Arc<TemporaryNames>,
}

impl Place {
    /// The older file or link that has the name and may be replaced, if any.
    fn replaceable(&self, name: &Component, rules: Rules) -> Result<Option<Identity>, ItemError> {
        may_replace(&self.dir, name.as_os_str(), &self.made.lock(), rules.overwrite)
    }
}

fn may_replace(
    dir: &Dir,
    name: &OsStr,
    made: &HashMap<Identity, Option<(Component, Owner)>>,
    overwrite: Overwrite,
) -> Result<Option<Identity>, ItemError> {
    let there = match Stat::at(dir, name) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ItemError::io("looking at a name")(error)),
    };
    let is_file = matches!(there.entry_type, Some(EntryType::Regular | EntryType::Symlink));
    let is_old = is_file && !made.contains_key(&there.identity);
    if is_old && overwrite == Overwrite::Replace {
        Ok(Some(there.identity))
    } else {
        Err(ItemError::AlreadyThere)
    }
}

/// Makes what is missing of a path, for the owner alone.
fn make_root(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, FOLDER_MODE);
    builder.create(path)
}

/// Whether it was made; not, if something has just taken the name.
fn make_folder(dir: &Dir, name: &Component) -> Result<bool, ItemError> {
    match dir.create_dir_with(name.as_os_str(), &folder_builder()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(ItemError::io("making a folder")(error)),
    }
}

#[cfg(unix)]
fn folder_builder() -> DirBuilder {
    use cap_std::fs::DirBuilderExt as _;
    let mut builder = DirBuilder::new();
    builder.mode(FOLDER_MODE);
    builder
}

#[cfg(not(unix))]
fn folder_builder() -> DirBuilder {
    DirBuilder::new()
}

/// Why one item could not be restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError {
    /// A name cannot be used on this platform.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The item has no name at all.
    #[error("the item has no name")]
    NoName,
    /// The name is taken: by something older, or on a file system that ignores case or normalizes names, by
    /// another item of the same restore.
    #[error("the name is taken")]
    AlreadyThere,
    /// A file or a link stands where a folder should be.
    #[error("something else stands where a folder should be")]
    NotAFolder,
    /// It lies in a folder that the restore keeps out of
    /// ([`RestorePlan::without`](super::RestorePlan::without)).
    #[error("it lies in a folder that is left alone")]
    LeftAlone,
    /// A folder is not the one any more that was restored.
    #[error("a folder was moved during the restore")]
    Moved,
    /// The system has no such thing.
    #[error("not supported here")]
    Unsupported,
    /// The system refuses.
    #[error("{action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

impl ItemError {
    /// Whether something else stands where the item should be.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Self::AlreadyThere | Self::NotAFolder)
    }

    fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }

    fn from_step(error: io::Error) -> Self {
        if is_not_a_folder(&error) { Self::NotAFolder } else { Self::io("opening a folder")(error) }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
