//! A store in a folder, for a disk at hand: the default.
//!
//! An object appears under its name whole and durable or not at all, whatever instant the process or the
//! machine dies at: it is written under a random name in `tmp/`, synced, and published without replacing.
//! It must never overwrite or follow a link, touch a file that is not its own, or name its folder in an
//! error. Layout: `objects/aa/<32 hex>` (`aa` starts the name), `envelopes/<32 hex>/<32 hex>`,
//! `commits/<32 hex>/<20 digits>`.

mod listing;
mod system;
mod temporary;

use std::{
    collections::BTreeSet,
    fmt, fs,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{ObjectName, Store, StoreError, StoreErrorKind, StoredObject, bytes};
use system::{failed, unsettled};
use temporary::Temporary;

/// A folder of objects. Many processes may use one folder at a time.
pub struct DirectoryStore {
    root: PathBuf,
    /// Folders whose own entry in their parent this process knows to be durable.
    durable: Mutex<BTreeSet<PathBuf>>,
}

impl DirectoryStore {
    /// Opens the store in the folder `path`, creating it and its parents when they are missing, and removes
    /// what killed processes left in `tmp/` more than a day before.
    ///
    /// # Errors
    /// `Refused` when the folder may not be made; otherwise the general ones.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let root = std::path::absolute(path).map_err(failed("finding the store's folder"))?;
        make_with_parents(&root).map_err(failed("making the store's folder"))?;
        let store = Self { root, durable: Mutex::default() };
        if temporary::any_left(&store.temporaries()) {
            // A process may have died between publishing and syncing: what it published is listed and would
            // be built upon, so it is made durable now. On a read-only disk neither step is possible or needed.
            store.sync_groups().ok();
            temporary::sweep(&store.temporaries()).ok();
        }
        Ok(store)
    }

    fn temporaries(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Where `name` lies: its folders below the root, outermost first, and its file.
    fn place(&self, name: &ObjectName) -> Place {
        let text = name.as_str();
        let (group, file) = match text.split_once('/') {
            Some(("objects", id)) => (Path::new("objects").join(id.get(..2).unwrap_or_default()), id),
            _ => text.rsplit_once('/').map_or((PathBuf::new(), text), |(group, file)| (group.into(), file)),
        };
        let folder = self.root.join(&group);
        let top = group.iter().next().map_or_else(|| folder.clone(), |top| self.root.join(top));
        Place { file: folder.join(file), folders: [top, folder] }
    }

    /// The place of `name`, if its folders are there and are folders.
    fn existing_place(&self, name: &ObjectName) -> Result<Place, StoreError> {
        let place = self.place(name);
        for folder in &place.folders {
            let found = fs::symlink_metadata(folder).map_err(|error| self.absent_or(error, "reading"))?;
            if !found.is_dir() {
                return Err(not_a_file());
            }
        }
        Ok(place)
    }

    /// A missing disk must not look like a missing object.
    fn absent_or(&self, error: io::Error, doing: &'static str) -> StoreError {
        if error.kind() == ErrorKind::NotFound && !self.root.is_dir() {
            return StoreError::new(StoreErrorKind::Transient, "the store's folder is not there");
        }
        failed(doing)(error)
    }

    /// The object's file and its length.
    fn open_object(&self, name: &ObjectName) -> Result<(fs::File, u64), StoreError> {
        let place = self.existing_place(name)?;
        let file = system::open_unfollowed(&place.file).map_err(|error| self.absent_or(error, "reading"))?;
        let found = file.metadata().map_err(failed("reading"))?;
        if found.is_file() { Ok((file, found.len())) } else { Err(not_a_file()) }
    }

    /// Makes each of `folders` exist with a durable entry in its parent, up to the root.
    fn make_folders(&self, folders: &[PathBuf]) -> io::Result<()> {
        for folder in folders {
            let made = make_folder(folder)?;
            if !made && self.durable().contains(folder) {
                continue;
            }
            system::sync_folder(folder.parent().unwrap_or(&self.root))?;
            self.durable().insert(folder.clone());
        }
        Ok(())
    }

    fn durable(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync_groups(&self) -> Result<(), StoreError> {
        let doing = "syncing a folder";
        for top in listing::TOPS {
            let top = self.root.join(top);
            for group in listing::entries(&top, fs::FileType::is_dir)? {
                system::sync_folder(&group?.1.path()).map_err(failed(doing))?;
            }
            if top.is_dir() {
                system::sync_folder(&top).map_err(failed(doing))?;
            }
        }
        system::sync_folder(&self.root).map_err(failed(doing))
    }
}

struct Place {
    folders: [PathBuf; 2],
    file: PathBuf,
}

impl Place {
    fn group(&self) -> &Path {
        let [_, group] = &self.folders;
        group
    }

    /// The refusal to write over what is there, which is durable once this is said: the caller goes on as if
    /// it had written it.
    fn taken(&self) -> StoreError {
        match system::sync_folder(self.group()) {
            Ok(()) => StoreError::new(StoreErrorKind::AlreadyExists, "putting an object"),
            Err(error) => unknown("syncing a folder", &error),
        }
    }
}

impl Store for DirectoryStore {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        let place = self.place(name);
        self.make_folders(&place.folders).map_err(not_written("making a folder"))?;
        if fs::symlink_metadata(&place.file).is_ok() {
            return Err(place.taken());
        }
        make_folder(&self.temporaries()).map_err(not_written("making a folder"))?;
        let written = Temporary::write(&self.temporaries(), bytes)?;
        match written.publish(&place.file) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(place.taken()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(not_written("publishing")(error));
            }
            Err(error) => return Err(unsettled("publishing")(error)),
        }
        // `written` keeps its own name until the folder is synced: a death in between is seen by `open`.
        system::sync_folder(place.group()).map_err(|error| unknown("syncing a folder", &error))
    }

    fn get(&self, name: &ObjectName, limit: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        self.get_into(name, limit, &mut bytes)?;
        Ok(bytes)
    }

    fn get_into(&self, name: &ObjectName, limit: usize, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        let (file, length) = self.open_object(name)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= limit);
        read_exactly(file, length.ok_or_else(bytes::too_long)?, buffer)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let (mut file, available) = self.open_object(name)?;
        let end = u64::try_from(length).ok().and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > available) {
            return Err(bytes::too_short());
        }
        file.seek(SeekFrom::Start(offset)).map_err(failed("reading"))?;
        let mut bytes = Vec::new();
        read_exactly(file, length, &mut bytes)?;
        Ok(bytes)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, StoreError> {
        let place = self.existing_place(name)?;
        let found = fs::symlink_metadata(&place.file).map_err(|error| self.absent_or(error, "reading"))?;
        if found.is_file() { Ok(found.len()) } else { Err(not_a_file()) }
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        fs::metadata(&self.root).map_err(|error| self.absent_or(error, "listing"))?;
        listing::TOPS.iter().try_for_each(|top| listing::visit_top(self, top, prefix, visit))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        let removed = self.existing_place(name).and_then(|place| {
            fs::remove_file(&place.file).map_err(|error| self.absent_or(error, "deleting an object"))
        });
        match removed {
            Err(error) if error.kind() == StoreErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

impl fmt::Debug for DirectoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryStore").finish_non_exhaustive()
    }
}

/// Whether `folder` had to be made. What has its name must be a real folder.
fn make_folder(folder: &Path) -> io::Result<bool> {
    match fs::create_dir(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Err(_) if fs::symlink_metadata(folder)?.is_dir() => Ok(false),
        Err(_) => Err(ErrorKind::NotADirectory.into()),
    }
}

/// Unlike the folders inside the store, the path to it may lead over links: it is the user's.
fn make_with_parents(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().ok_or(ErrorKind::NotFound)?;
    make_with_parents(parent)?;
    make_folder(folder)?;
    system::sync_folder(parent)
}

/// The length was checked against the file's, so that nothing is allocated for bytes that are not there.
fn read_exactly(file: fs::File, length: usize, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
    buffer.clear();
    buffer.try_reserve_exact(length).map_err(|_| StoreError::new(StoreErrorKind::Transient, "no memory"))?;
    file.take(length as u64).read_to_end(buffer).map_err(failed("reading"))?;
    if buffer.len() == length { Ok(()) } else { Err(bytes::too_short()) }
}

/// A failure before publishing. A folder that vanished meanwhile is not an object that is not there.
fn not_written(doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    move |error| match error.kind() {
        ErrorKind::NotFound => StoreError::new(StoreErrorKind::Transient, format!("{doing}: {error}")),
        _ => failed(doing)(error),
    }
}

/// A failure after publishing, whatever it is: the object is visible and perhaps not durable.
fn unknown(doing: &'static str, error: &io::Error) -> StoreError {
    StoreError::new(StoreErrorKind::OutcomeUnknown, format!("{doing}: {error}"))
}

fn not_a_file() -> StoreError {
    StoreError::new(StoreErrorKind::Malformed, "something else than a file has an object's name")
}

#[cfg(test)]
mod tests;
