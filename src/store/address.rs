//! From an address that a user typed to a store.
//!
//! It promises to refuse what this build cannot open, naming the scheme and nothing else: the rest of an
//! address may hold a password. It must never guess a scheme.

use std::path::{Path, PathBuf};

use super::{DirectoryStore, Store, StoreError, StoreErrorKind};

/// Schemes of stores that people will try.
const OBJECT_STORES: [&str; 8] = ["s3", "s3a", "gs", "az", "azure", "abfs", "http", "https"];

/// Opens the store at `url`, which has to exist already: a mistyped address must not look like an empty
/// store.
///
/// # Errors
/// As [`create`]; `Refused` when the folder is not there.
pub fn open(url: &str) -> Result<Box<dyn Store>, StoreError> {
    match Address::parse(url)? {
        Address::Folder(path) if path.is_dir() => Ok(Box::new(DirectoryStore::open(path)?)),
        Address::Folder(_) => Err(refused("there is no such folder")),
    }
}

/// Opens the store at `url` for a new vault, and creates its folder when it is one.
///
/// A folder is written `file:/absolute/path`, `file:///absolute/path`, `file:relative`, or as a path with a
/// slash in it. The path is taken as it stands: `%20` is three characters.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let store = strongroom::store::create(&format!("file:{}/backup", folder.path().display()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `Refused` for a scheme that this build does not know, and for an address without a path; otherwise the
/// store's.
pub fn create(url: &str) -> Result<Box<dyn Store>, StoreError> {
    match Address::parse(url)? {
        Address::Folder(path) => Ok(Box::new(DirectoryStore::open(path)?)),
    }
}

/// The folder that an address names, if it names one.
#[must_use]
pub fn local_folder(url: &str) -> Option<PathBuf> {
    match Address::parse(url).ok()? {
        Address::Folder(path) => Some(path.to_owned()),
    }
}

#[derive(Debug, PartialEq)]
enum Address<'a> {
    Folder(&'a Path),
}

impl<'a> Address<'a> {
    fn parse(url: &'a str) -> Result<Self, StoreError> {
        let path = match scheme(url) {
            None if url.contains(std::path::is_separator) => url,
            None => return Err(refused("an address without a scheme needs a slash: file:NAME or ./NAME")),
            Some(("file", rest)) => file_path(rest)?,
            Some((other, _)) if OBJECT_STORES.contains(&other.to_ascii_lowercase().as_str()) => {
                return Err(refused(format!(
                    "{other}: is not a store that this version opens: a folder is, file:/PATH"
                )));
            }
            Some((other, _)) => {
                return Err(refused(format!("{other}: is not a store that this build knows")));
            }
        };
        if path.is_empty() { Err(refused("file: needs a path")) } else { Ok(Self::Folder(Path::new(path))) }
    }
}

/// The scheme and what follows it. A Windows drive is not a scheme, nor is a colon after a slash.
fn scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let drive = cfg!(windows) && scheme.len() == 1;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    (valid && !drive).then_some((scheme, rest))
}

/// The path of a `file:` address; with a host it must be this machine (RFC 8089).
fn file_path(rest: &str) -> Result<&str, StoreError> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(authority) => match authority.strip_prefix("localhost").unwrap_or(authority) {
            path if path.starts_with('/') => path,
            _ => return Err(refused("file: cannot name another machine; write file:///PATH")),
        },
    };
    Ok(if cfg!(windows) { before_drive(path) } else { path })
}

/// `/C:/x` means `C:/x`.
fn before_drive(path: &str) -> &str {
    path.strip_prefix('/').filter(|rest| rest.get(1..2) == Some(":")).unwrap_or(path)
}

fn refused(detail: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Refused, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ObjectName;

    #[test]
    fn folders_are_written_in_four_ways() {
        for (url, path) in [
            ("file:/srv/backup", "/srv/backup"),
            ("file:///srv/backup", "/srv/backup"),
            ("file://localhost/srv/backup", "/srv/backup"),
            ("file:backup", "backup"),
            ("./backup", "./backup"),
            ("/srv/with:colon", "/srv/with:colon"),
        ] {
            assert_eq!(Address::parse(url).unwrap(), Address::Folder(Path::new(path)), "{url}");
        }
        assert_eq!(before_drive("/C:/x"), "C:/x");
        assert_eq!(before_drive("/srv"), "/srv");
    }

    #[test]
    fn other_addresses_are_refused_and_only_the_scheme_is_repeated() {
        for (url, text) in [
            ("s3://bucket/prefix", "s3: is not a store that this version opens: a folder is, file:/PATH"),
            (
                "https://ana:secret@example.org/dav",
                "https: is not a store that this version opens: a folder is, file:/PATH",
            ),
            ("ftp://ana:secret@example.org/", "ftp: is not a store that this build knows"),
            ("file:", "file: needs a path"),
            ("file://server/share", "file: cannot name another machine; write file:///PATH"),
            ("backup", "an address without a scheme needs a slash: file:NAME or ./NAME"),
            ("", "an address without a scheme needs a slash: file:NAME or ./NAME"),
        ] {
            let error = open(url).err().expect(url);
            assert_eq!(error.kind(), StoreErrorKind::Refused, "{url}");
            assert_eq!(error.to_string(), format!("refused: {text}"));
        }
    }

    #[test]
    fn an_opened_address_is_a_store_that_keeps_what_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file:{}/new/store", folder.path().display());
        let name = ObjectName::object(&[7; 16]);
        assert!(open(&url).is_err_and(|error| error.kind() == StoreErrorKind::Refused));
        create(&url).unwrap().put(&name, b"kept").unwrap();
        assert_eq!(open(&url).unwrap().get(&name, 4).unwrap(), b"kept");
    }
}
