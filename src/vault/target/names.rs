//! Whether a file system keeps names as they are given.
//!
//! Some take `A` and `a` for one name, or write `Å` in other bytes. There a file that was made under a name
//! need not be listed under it, and who takes the one for the other sees a deletion where there was none.

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::ItemError;
use super::writer::{create_new, temporary_name};
use crate::vault::folder::Stat;

/// Whether the folder at `path` keeps names that look alike apart, byte for byte; no, when in doubt. Tried
/// with a file that is there for a moment.
pub(in crate::vault) fn keeps_names(path: &Path) -> bool {
    Dir::open_ambient_dir(path, ambient_authority())
        .map_err(ItemError::io("opening a folder"))
        .and_then(|dir| try_names(&dir))
        .unwrap_or(false)
}

fn try_names(dir: &Dir) -> Result<bool, ItemError> {
    let name = temporary_name()?;
    let with = |letter: &str| name.replacen('-', &format!("-{letter}"), 1);
    let given = with("\u{c5}");
    let alike = [with("\u{e5}"), with("A\u{30a}"), given.to_ascii_uppercase()];
    drop(create_new(dir, &given).map_err(ItemError::io("making a file"))?);
    let apart = alike.iter().all(|other| Stat::at(dir, other.as_ref()).is_err());
    dir.remove_file(&given).map_err(ItemError::io("removing a file"))?;
    Ok(apart)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn a_linux_folder_keeps_names_and_nothing_is_left_in_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(keeps_names(folder.path()));
        assert_eq!(
            Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap().entries().unwrap().count(),
            0
        );
        assert!(!keeps_names(&folder.path().join("none")));
    }
}
