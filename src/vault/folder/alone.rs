//! Folders that are left alone, wherever they are met: a vault's own state, or a store on the same disk.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf, absolute};

use super::{Identity, Stat};

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
            match Stat::of_path(path.as_ref()) {
                Ok(stat) => found.folders.push(stat.identity),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    continue;
                }
                Err(error) => return Err(error),
            }
            found.links.extend(links_to(absolute(path)?));
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
        let there = existing(absolute(path)?);
        let is_one =
            |folder: &Path| Stat::of_path(folder).is_ok_and(|stat| self.folders.contains(&stat.identity));
        Ok(there.ancestors().any(is_one))
    }
}

/// The last folder on the way along `path` that is there. A step up from one that is not leads where it will lead
/// once that one was made.
fn existing(mut path: PathBuf) -> PathBuf {
    loop {
        let found = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
        let Some((part, there)) = found else { return path };
        let rest = path.strip_prefix(part).unwrap_or(Path::new(""));
        if !rest.components().any(|step| step == Component::ParentDir) {
            return there;
        }
        let mut straight = there.clone();
        for step in rest.components() {
            match step {
                Component::ParentDir => drop(straight.pop()),
                step => straight.push(step),
            }
        }
        path = straight;
    }
}

/// Every link that is followed on the way to `path`.
fn links_to(path: PathBuf) -> Vec<Identity> {
    /// As many as systems follow.
    const LINKS_MAX: usize = 40;
    let (mut links, mut open) = (Vec::new(), VecDeque::from([path]));
    while let Some(path) = open.pop_front() {
        for name in path.ancestors() {
            let Ok(target) = name.read_link() else { continue };
            let Ok(stat) = Stat::of_name(name) else { continue };
            if !links.contains(&stat.identity) && links.len() < LINKS_MAX {
                links.push(stat.identity);
                open.extend(name.parent().map(|parent| parent.join(target)));
            }
        }
    }
    links
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_target_inside_is_found_however_it_is_written_and_so_is_every_link() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("own/deep")).unwrap();
        fs::create_dir_all(at("beside")).unwrap();
        symlink("../own", at("beside/second")).unwrap();
        symlink(at("beside"), at("first")).unwrap();
        let alone = Alone::find(&[at("first/second"), at("missing"), at("own/file/below")]).unwrap();
        assert_eq!((alone.folders().len(), alone.links().len()), (1, 2));
        let inside = ["own", "own/deep", "own/new/deep", "first/second", "beside/second/new", "new/../own/x"];
        let further = ["new/a/../../own/x", "beside/new/../../own", "own/../own/new/.."];
        for path in inside.iter().chain(&further) {
            assert!(alone.surround(&at(path)).unwrap(), "{path}");
        }
        for path in ["beside", "first", "", "new", "own/..", "new/../beside", "owner/own"] {
            assert!(!alone.surround(&at(path)).unwrap(), "{path}");
        }
        assert!(!at("new").exists());
    }
}
