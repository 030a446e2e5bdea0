//! Whether a file system keeps names as they are given.
//!
//! Some take `A` and `a` for one name, or write `Å` in other bytes. There a file that was made under a name
//! need not be listed under it, and who takes the one for the other sees a deletion where there was none.

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::writer::{TemporaryNames, create_new};
use crate::vault::folder::Stat;

/// Whether the folder at `path` keeps names that look alike apart, byte for byte; no, when in doubt. Tried
/// with a file that is there for a moment.
pub(in crate::vault) fn keeps_names(path: &Path) -> bool {
    Dir::open_ambient_dir(path, ambient_authority()).is_ok_and(|dir| try_names(&dir) == Some(true))
}

fn try_names(dir: &Dir) -> Option<bool> {
    let name = TemporaryNames::new().ok()?.next();
    let with = |letter: &str| name.replacen('-', &format!("-{letter}"), 1);
    let given = with("\u{c5}");
    let alike = [with("\u{e5}"), with("A\u{30a}"), given.to_ascii_uppercase()];
    drop(create_new(dir, &given).ok()?);
    let apart = alike.iter().all(|other| Stat::at(dir, other.as_ref()).is_err());
    dir.remove_file(&given).ok()?;
    Some(apart)
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
