//! The end of a restore: links, then what folders look like.
//!
//! Links come when every file is written, so nothing can be written through one (M4). Folders take their
//! modes and times after that, from the last key back to the first: content before its folder, because a
//! folder may not let anybody in afterwards, and because filling it changes its time. Each is found again by
//! handles and must be the folder that was restored.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;

use super::writer::{rename_over, set_attributes};
use super::{ItemError, Target};
use crate::vault::component::Component;
use crate::vault::folder::{Attributes, EntryType, Identity, Stat};

/// A link to make.
pub(super) struct PendingLink {
    pub(super) path: Vec<Component>,
    pub(super) target: OsString,
    pub(super) attributes: Attributes,
    /// The older file or link that had the name when the link was noted.
    pub(super) replaces: Option<Identity>,
    pub(super) mark: Option<Mark>,
}

/// A folder to give its attributes.
pub(super) struct PendingFolder {
    pub(super) path: Vec<Component>,
    pub(super) attributes: Attributes,
    pub(super) identity: Identity,
    /// Whether it takes its attributes, or is only looked at.
    pub(super) is_dressed: bool,
    pub(super) mark: Option<Mark>,
}

/// What the caller knows a folder or a link by, when it is told of it.
pub(in crate::vault) type Mark = [u8; 16];

/// A folder or a link that is as it stays.
pub(in crate::vault) struct Settled<'t> {
    pub(in crate::vault) path: &'t [Component],
    pub(in crate::vault) mark: Mark,
    pub(in crate::vault) entry_type: EntryType,
    /// What it was to be given.
    pub(in crate::vault) attributes: Attributes,
    /// What it looks like.
    pub(in crate::vault) stat: Stat,
}

/// How a restore ended.
#[derive(Debug)]
#[must_use = "it lists what could not be restored"]
#[non_exhaustive]
pub struct Finished {
    /// Links that were not made, and folders whose attributes were not set.
    pub problems: Vec<Problem>,
}

/// One item that [`Target::finish`] could not restore.
#[derive(Debug)]
#[non_exhaustive]
pub struct Problem {
    /// Which item.
    pub path: Vec<Component>,
    /// Why not.
    pub error: ItemError,
}

impl Target {
    /// Makes the links, gives the folders their modes and times, and syncs: the
    /// root folder, and on Linux and Android all that was written there. Finish every [`FileWriter`](super::FileWriter) before.
    pub fn finish(self) -> Finished {
        self.finish_with(&mut |_| {})
    }

    /// The same, and tells of each folder and link with a mark that is as it stays.
    pub(in crate::vault) fn finish_with(mut self, tell: &mut dyn FnMut(Settled<'_>)) -> Finished {
        let mut problems = Vec::new();
        for link in std::mem::take(&mut self.links) {
            let made = self.make_link(&link);
            if let (Some(mark), Ok(())) = (link.mark, &made)
                && let Some(stat) = self.look_at_link(&link)
            {
                let PendingLink { path, attributes, .. } = &link;
                tell(Settled { path, mark, entry_type: EntryType::Symlink, attributes: *attributes, stat });
            }
            if let Err(error) = made {
                problems.push(Problem { path: link.path, error });
            }
        }
        let mut folders = std::mem::take(&mut self.folders);
        folders.sort_by(|a, b| b.path.cmp(&a.path));
        for folder in folders {
            let dressed = if folder.is_dressed { self.dress_folder(&folder) } else { Ok(()) };
            if let Some(mark) = folder.mark
                && let Some(stat) = self.look_at_folder(&folder)
            {
                let PendingFolder { path, attributes, .. } = &folder;
                tell(Settled { path, mark, entry_type: EntryType::Directory, attributes: *attributes, stat });
            }
            if let Err(error) = dressed {
                problems.push(Problem { path: folder.path, error });
            }
        }
        if let Err(error) = sync(self.handles.root()) {
            problems.push(Problem { path: Vec::new(), error: ItemError::io("syncing the target")(error) });
        }
        Finished { problems }
    }

    fn make_link(&mut self, link: &PendingLink) -> Result<(), ItemError> {
        let (name, parents) = link.path.split_last().ok_or(ItemError::NoName)?;
        let dir = self.find(parents)?;
        match link.replaces {
            None => symlink(&dir, &link.target, name.as_os_str()).map_err(from_naming)?,
            Some(old) => replace_by_link(&dir, link, (name, &self.temporary.next()), old)?,
        }
        // Its time is not worth losing it for, and it has no mode of its own.
        let _kept_or_not = set_link_time(&dir, name.as_os_str(), link.attributes);
        Ok(())
    }

    fn dress_folder(&mut self, folder: &PendingFolder) -> Result<(), ItemError> {
        let dir = self.find(&folder.path)?;
        if self.handles.identity() != Some(folder.identity) {
            return Err(ItemError::Moved);
        }
        let mask = self.rules.mode_mask;
        open_itself(&dir)
            .and_then(|file| set_attributes(&file, folder.attributes, mask))
            .map_err(ItemError::io("setting a folder's attributes"))
    }

    fn look_at_link(&mut self, link: &PendingLink) -> Option<Stat> {
        let (name, parents) = link.path.split_last()?;
        Stat::at(&*self.find(parents).ok()?, name.as_os_str()).ok()
    }

    /// None when it is not the folder any more that was restored.
    fn look_at_folder(&mut self, folder: &PendingFolder) -> Option<Stat> {
        let stat = Stat::of_dir(&*self.find(&folder.path).ok()?).ok()?;
        (stat.identity == folder.identity).then_some(stat)
    }

    /// Goes to a folder that must be there.
    fn find(&mut self, path: &[Component]) -> Result<Arc<Dir>, ItemError> {
        let names: Vec<&OsStr> = path.iter().map(Component::as_os_str).collect();
        self.handles.go(&names).and_then(|()| self.handles.current()).map_err(ItemError::from_step)
    }
}

/// Puts a link in the place of what had the name when the link was noted, and of nothing else.
fn replace_by_link(
    dir: &Arc<Dir>,
    link: &PendingLink,
    (name, temporary): (&Component, &str),
    old: Identity,
) -> Result<(), ItemError> {
    if Stat::at(dir, name.as_os_str()).map_err(from_naming)?.identity != old {
        return Err(ItemError::AlreadyThere);
    }
    symlink(dir, &link.target, temporary.as_ref()).map_err(from_naming)?;
    rename_over(dir, temporary, name).inspect_err(|_| {
        let _gone_or_left_behind = dir.remove_file(temporary);
    })
}

fn from_naming(error: io::Error) -> ItemError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => ItemError::AlreadyThere,
        io::ErrorKind::Unsupported => ItemError::Unsupported,
        _ => ItemError::io("making a link")(error),
    }
}

#[cfg(unix)]
fn symlink(dir: &Dir, target: &OsStr, name: &OsStr) -> io::Result<()> {
    dir.symlink_contents(target, name)
}

/// Not through cap-std, which panics on times before 1970.
#[cfg(unix)]
fn set_link_time(dir: &Dir, name: &OsStr, attributes: Attributes) -> io::Result<()> {
    use rustix::fs::{AtFlags, Nsecs, Timespec, Timestamps, UTIME_OMIT, utimensat};
    if attributes.modified_ns >= 1_000_000_000 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: attributes.modified_s,
            tv_nsec: attributes.modified_ns as Nsecs,
        },
    };
    Ok(utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(not(unix))]
fn set_link_time(_dir: &Dir, _name: &OsStr, _attributes: Attributes) -> io::Result<()> {
    Ok(())
}

/// Links of Windows need to know what they point to, and a privilege.
#[cfg(not(unix))]
fn symlink(_dir: &Dir, _target: &OsStr, _name: &OsStr) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A handle on a folder that can be synced and changed; those we hold may only lead further.
#[cfg(unix)]
fn open_itself(dir: &Dir) -> io::Result<File> {
    dir.open(".").map(cap_std::fs::File::into_std)
}

#[cfg(unix)]
fn sync(dir: &Dir) -> io::Result<()> {
    let dir = open_itself(dir)?;
    // All that was written, at once: the device takes it for what it had before.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    rustix::fs::syncfs(&dir)?;
    dir.sync_all()
}

#[cfg(not(unix))]
fn open_itself(dir: &Dir) -> io::Result<File> {
    dir.try_clone().map(Dir::into_std_file)
}

#[cfg(not(unix))]
fn sync(_dir: &Dir) -> io::Result<()> {
    Ok(())
}
