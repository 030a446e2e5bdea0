//! Walking the folders of a [`DirectoryStore`].
//!
//! It holds one entry in memory at a time and visits exactly the files that `get` would read; anything else
//! is skipped. It must never follow a link or go deeper than the layout.

use std::{fs, io::ErrorKind, path::Path};

use super::{DirectoryStore, system::failed};
use crate::store::{ObjectName, StoreError, StoredObject};

/// The folders below the root that hold objects.
pub(super) const TOPS: [&str; 4] = ["objects", "commits", "envelopes", "enroll"];

type Entry = Result<(String, fs::DirEntry), StoreError>;

/// Visits the objects under `top` whose names start with `prefix`.
pub(super) fn visit_top(
    store: &DirectoryStore,
    top: &str,
    prefix: &str,
    visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if !overlap(&format!("{top}/"), prefix) {
        return Ok(());
    }
    for group in entries(&store.root.join(top), fs::FileType::is_dir)? {
        let (group, folder) = group?;
        let start = if top == "objects" { format!("{top}/{group}") } else { format!("{top}/{group}/") };
        if overlap(&start, prefix) {
            visit_group(store, &start, prefix, &folder.path(), visit)?;
        }
    }
    Ok(())
}

fn visit_group(
    store: &DirectoryStore,
    start: &str,
    prefix: &str,
    folder: &Path,
    visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let end = start.rfind('/').map_or(0, |slash| slash + 1);
    let stem = start.get(..end).unwrap_or_default();
    for file in entries(folder, fs::FileType::is_file)? {
        let (file, entry) = file?;
        let Ok(name) = ObjectName::parse(&format!("{stem}{file}")) else { continue };
        if !name.as_str().starts_with(prefix) || store.place(&name).file != entry.path() {
            continue;
        }
        match entry.metadata() {
            Ok(found) => visit(StoredObject::new(name, found.len()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("listing")(error)),
        }
    }
    Ok(())
}

/// The entries of `folder` that are of the type `wanted` and have a name in UTF-8. A folder that is missing
/// or is a link has none.
pub(super) fn entries(
    folder: &Path,
    wanted: fn(&fs::FileType) -> bool,
) -> Result<impl Iterator<Item = Entry>, StoreError> {
    let real = fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir());
    let entries = match real.then(|| fs::read_dir(folder)) {
        None => None,
        Some(Err(error)) if error.kind() == ErrorKind::NotFound => None,
        Some(entries) => Some(entries.map_err(failed("listing"))?),
    };
    Ok(entries.into_iter().flatten().filter_map(move |entry| match entry {
        Err(error) => Some(Err(failed("listing")(error))),
        Ok(entry) => {
            let matches = entry.file_type().is_ok_and(|found| wanted(&found));
            let name = entry.file_name().into_string().ok().filter(|_| matches)?;
            Some(Ok((name, entry)))
        }
    }))
}

/// Whether names that start with `a` can start with `b`.
fn overlap(a: &str, b: &str) -> bool {
    a.starts_with(b) || b.starts_with(a)
}
