//! A way down a tree of folders, held by handles.
//!
//! Every step opens one name relative to the handle above it and refuses links, so nothing that happens to
//! the tree meanwhile leads outside the root (M4). Only the deepest handles stay open, so that a deep tree
//! cannot use up the process's file descriptors; a handle that was let go is opened again by the same steps
//! and must still be the same folder.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;

use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;

use super::stat::{Identity, Stat};

/// Handles kept open at once.
const OPEN_MAX: usize = 32;

/// The folders from a root down to the current one.
pub(in crate::vault) struct Handles {
    root: Arc<Dir>,
    levels: Vec<Level>,
}

struct Level {
    name: OsString,
    identity: Identity,
    dir: Option<Arc<Dir>>,
}

impl Handles {
    pub(in crate::vault) fn new(root: Arc<Dir>) -> Self {
        Self { root, levels: Vec::new() }
    }

    pub(in crate::vault) fn root(&self) -> &Arc<Dir> {
        &self.root
    }

    /// How many folders below the root the current one is.
    pub(in crate::vault) fn depth(&self) -> usize {
        self.levels.len()
    }

    /// The names that lead from the root to the current folder.
    pub(in crate::vault) fn names(&self) -> impl ExactSizeIterator<Item = &OsStr> {
        self.levels.iter().map(|level| level.name.as_os_str())
    }

    /// The identity of the current folder, unless it is the root.
    pub(in crate::vault) fn identity(&self) -> Option<Identity> {
        self.levels.last().map(|level| level.identity)
    }

    /// The current folder.
    pub(in crate::vault) fn current(&mut self) -> io::Result<Arc<Dir>> {
        match self.levels.last() {
            None => Ok(Arc::clone(&self.root)),
            Some(Level { dir: Some(dir), .. }) => Ok(Arc::clone(dir)),
            Some(_) => self.reopen(),
        }
    }

    /// Steps down into the folder `name`, which must be one component. A link there is an error.
    pub(in crate::vault) fn enter(&mut self, name: &OsStr) -> io::Result<()> {
        let dir = self.current()?.open_dir_nofollow(Path::new(name))?;
        let identity = Stat::of_dir(&dir)?.identity;
        self.levels.push(Level { name: name.to_owned(), identity, dir: Some(Arc::new(dir)) });
        let unneeded = self.levels.len().checked_sub(OPEN_MAX + 1);
        if let Some(level) = unneeded.and_then(|at| self.levels.get_mut(at)) {
            level.dir = None;
        }
        Ok(())
    }

    /// Steps up until the current folder is `depth` below the root.
    pub(in crate::vault) fn leave_to(&mut self, depth: usize) {
        self.levels.truncate(depth);
    }

    /// Steps up as far as needed and down again along `names`, only through folders that exist.
    pub(in crate::vault) fn go(&mut self, names: &[&OsStr]) -> io::Result<()> {
        let common = self.names().zip(names).take_while(|(here, there)| here == *there).count();
        self.leave_to(common);
        names.iter().skip(common).try_for_each(|name| self.enter(name))
    }

    #[cfg(test)]
    #[cfg(target_os = "linux")]
    pub(super) fn open_handles(&self) -> usize {
        self.levels.iter().filter(|level| level.dir.is_some()).count()
    }

    fn reopen(&mut self) -> io::Result<Arc<Dir>> {
        let keep_from = self.levels.len().saturating_sub(OPEN_MAX);
        let mut dir = Arc::clone(&self.root);
        for (at, level) in self.levels.iter_mut().enumerate() {
            dir = Arc::new(dir.open_dir_nofollow(Path::new(&level.name))?);
            if Stat::of_dir(&dir)?.identity != level.identity {
                return Err(io::Error::new(io::ErrorKind::NotADirectory, "another folder took this place"));
            }
            level.dir = (at >= keep_from).then(|| Arc::clone(&dir));
        }
        Ok(dir)
    }
}

/// Whether an error of [`Handles::enter`] says that something other than a folder has the name.
pub(in crate::vault) fn is_not_a_folder(error: &io::Error) -> bool {
    #[cfg(unix)]
    let is_link = rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP);
    #[cfg(not(unix))]
    let is_link = false;
    is_link || error.kind() == io::ErrorKind::NotADirectory
}
