//! Folders that are left alone, wherever they are met: a vault's own state, or a store on the same disk.

use std::io::{self, ErrorKind};
use std::path::{Path, absolute};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::{Identity, Stat, is_not_a_folder};

/// What was there when it was looked for.
#[derive(Debug, Default)]
pub(in crate::vault) struct Alone {
    folders: Vec<Identity>,
    /// Links on the way to them: who replaced one would lead elsewhere whoever looks for the folder.
    links: Vec<Identity>,
}

impl Alone {
    /// Looks for the folders at `paths`. What does not exist is no reason to stop; what cannot be looked at is one.
    pub(in crate::vault) fn find<P: AsRef<Path>>(paths: &[P]) -> io::Result<Self> {
        let mut found = Self::default();
        for path in paths {
            let real = match path.as_ref().canonicalize() {
                Ok(real) => real,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            found.folders.push(identity_of(&real)?);
            found.links.extend(absolute(path)?.ancestors().filter_map(link_at));
        }
        Ok(found)
    }

    pub(in crate::vault) fn folders(&self) -> &[Identity] {
        &self.folders
    }

    pub(in crate::vault) fn links(&self) -> &[Identity] {
        &self.links
    }

    /// Whether `path` is one of the folders or lies in one, be it there or still to be made.
    pub(in crate::vault) fn surround(&self, path: &Path) -> io::Result<bool> {
        let path = absolute(path)?;
        let Some(there) = path.ancestors().find_map(|folder| folder.canonicalize().ok()) else {
            return Ok(false);
        };
        for folder in there.ancestors() {
            if !self.folders.is_empty() && self.folders.contains(&identity_of(folder)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Of a folder, or of whatever else has the name.
fn identity_of(real: &Path) -> io::Result<Identity> {
    match open(real) {
        Ok(folder) => Ok(Stat::of_dir(&folder)?.identity),
        Err(error) if is_not_a_folder(&error) => at(real).unwrap_or(Err(error)),
        Err(error) => Err(error),
    }
}

fn link_at(path: &Path) -> Option<Identity> {
    path.symlink_metadata().ok().filter(std::fs::Metadata::is_symlink)?;
    at(path)?.ok()
}

/// What has the name, itself; none of a root.
fn at(path: &Path) -> Option<io::Result<Identity>> {
    let (parent, name) = (path.parent()?, path.file_name()?);
    Some(open(parent).and_then(|parent| Ok(Stat::at(&parent, name)?.identity)))
}

fn open(folder: &Path) -> io::Result<Dir> {
    Dir::open_ambient_dir(folder, ambient_authority())
}
