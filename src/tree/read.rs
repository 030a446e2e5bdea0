//! Looking up, scanning, and naming all pages. Reads a page only when it must.

use std::ops::Bound;

use super::{
    Extent, PageReader, Root,
    cursor::{Cursor, Item},
};
use crate::{Result, content::ChunkId};

/// The value of `key`. Reads one page a level.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged), and whatever the reader says.
pub fn get<R: PageReader + ?Sized>(root: Option<Root>, key: &[u8], reader: &R) -> Result<Option<Vec<u8>>> {
    let mut cursor = Cursor::open(root, reader)?;
    cursor.seek(Bound::Included(key), reader)?;
    Ok(cursor.take_leaf().filter(|leaf| leaf.key == key).map(|leaf| leaf.value))
}

/// All entries from `start` on, as key and value, in the order of their keys. Holds one page a level. After
/// an error it ends, unless [`Scan::skip_page`] is called.
pub fn scan<'a, R: PageReader + ?Sized>(
    root: Option<Root>,
    reader: &'a R,
    start: Bound<&[u8]>,
) -> Scan<'a, R> {
    let place = Place::Before { root, start: start.map(<[u8]>::to_vec) };
    Scan { reader, prefix: Vec::new(), place }
}

/// All entries whose keys begin with `prefix`.
pub fn scan_prefix<'a, R: PageReader + ?Sized>(
    root: Option<Root>,
    reader: &'a R,
    prefix: &[u8],
) -> Scan<'a, R> {
    let place = Place::Before { root, start: Bound::Included(prefix.to_vec()) };
    Scan { reader, prefix: prefix.to_vec(), place }
}

/// How much lies from the key `start` on and before `end`. Reads only pages that lie partly outside: a path
/// from the root at each end, and none at all for the whole map. Of a page there that cannot be read all is
/// counted that its parent counts.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged) when the root page is, and whatever the reader says.
pub fn measure<R: PageReader + ?Sized>(
    root: Option<Root>,
    reader: &R,
    start: &[u8],
    end: Option<&[u8]>,
) -> Result<Extent> {
    let Some(of_all) = root.map(Root::extent) else { return Ok(Extent::default()) };
    if start.is_empty() && end.is_none() {
        return Ok(of_all);
    }
    let mut cursor = Cursor::open(root, reader)?;
    let mut found = Extent::default();
    while let Some(item) = cursor.item() {
        let (last_key, extent, is_page) = match item {
            Item::Page { child, .. } => (child.last_key.as_slice(), child.extent, true),
            Item::Leaf(leaf) => (leaf.key.as_slice(), leaf.extent(), false),
        };
        // All keys of a page lie after this one.
        let after = cursor.before();
        let is_behind = end.is_some_and(|end| if is_page { after >= end } else { last_key >= end });
        let is_before = last_key < start;
        let is_partly = is_page && (after < start || end.is_some_and(|end| last_key >= end));
        if is_behind {
            break;
        }
        if !is_before {
            if is_partly && enter_if_whole(&mut cursor, reader)? {
                continue;
            }
            found = found.plus(extent)?;
        }
        cursor.step();
    }
    Ok(found)
}

/// Opens the page that lies next, unless it cannot be read.
fn enter_if_whole(cursor: &mut Cursor, reader: &(impl PageReader + ?Sized)) -> Result<bool> {
    match cursor.enter(reader) {
        Err(error) if error.is_damage() => Ok(false),
        entered => entered.map(|()| true),
    }
}

/// Looks up keys that ascend: cheaper than one [`get`] after the other, since each page is read once.
pub struct Lookup<'a, R: ?Sized> {
    root: Option<Root>,
    reader: &'a R,
    scan: Option<Scan<'a, R>>,
    next: Option<(Vec<u8>, Vec<u8>)>,
}

impl<'a, R: PageReader + ?Sized> Lookup<'a, R> {
    /// Before the first key.
    pub fn new(root: Option<Root>, reader: &'a R) -> Self {
        Self { root, reader, scan: None, next: None }
    }

    /// The value of `key`, which is not below those asked for before.
    ///
    /// # Errors
    /// As [`get`].
    pub fn value(&mut self, key: &[u8]) -> Result<Option<&[u8]>> {
        if self.next.as_ref().is_none_or(|(next, _)| next.as_slice() < key) {
            let (root, reader) = (self.root, self.reader);
            let scan = self.scan.get_or_insert_with(|| scan(root, reader, Bound::Included(key)));
            scan.go_on_to(key)?;
            self.next = scan.next().transpose()?;
        }
        Ok(self.next.as_ref().filter(|(next, _)| next == key).map(|(_, value)| value.as_slice()))
    }
}

/// See [`scan`].
pub struct Scan<'a, R: ?Sized> {
    reader: &'a R,
    prefix: Vec<u8>,
    place: Place,
}

enum Place {
    Before {
        root: Option<Root>,
        start: Bound<Vec<u8>>,
    },
    In(Cursor),
    /// Before a page that could not be read.
    Failed(Cursor),
    Done,
}

impl<R: PageReader + ?Sized> Scan<'_, R> {
    /// After an error: passes over the page that could not be read, so that the scan goes on behind it.
    /// Gives the number of entries that are lost with the page, as its parent counts them; `None` when the
    /// scan cannot go on.
    pub fn skip_page(&mut self) -> Option<u64> {
        let Place::Failed(mut cursor) = std::mem::replace(&mut self.place, Place::Done) else { return None };
        let lost = match cursor.item() {
            Some(Item::Page { child, .. }) => child.extent.entries,
            _ => return None,
        };
        cursor.step();
        self.place = Place::In(cursor);
        Some(lost)
    }

    /// Goes on to the first key not before `start`, if it stands before it.
    ///
    /// # Errors
    /// As the scan itself.
    pub fn go_on_to(&mut self, start: &[u8]) -> Result<()> {
        let Place::In(cursor) = &mut self.place else { return Ok(()) };
        cursor.go_on_to(start, self.reader)
    }

    /// Leaves `Done` or `Failed` behind unless there is more to come.
    fn advance(&mut self) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let (mut cursor, start) = match std::mem::replace(&mut self.place, Place::Done) {
            Place::Before { root, start } => (Cursor::open(root, self.reader)?, Some(start)),
            Place::In(cursor) => (cursor, None),
            Place::Failed(_) | Place::Done => return Ok(None),
        };
        let sought =
            start.map_or(Ok(()), |start| cursor.seek(start.as_ref().map(Vec::as_slice), self.reader));
        let leaf = match sought.and_then(|()| cursor.next_leaf(self.reader)) {
            Ok(leaf) => leaf.filter(|leaf| leaf.key.starts_with(&self.prefix)),
            Err(error) => {
                self.place = Place::Failed(cursor);
                return Err(error);
            }
        };
        if leaf.is_some() {
            self.place = Place::In(cursor);
        }
        Ok(leaf.map(|leaf| (leaf.key, leaf.value)))
    }
}

impl<R: PageReader + ?Sized> Iterator for Scan<'_, R> {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// What a visitor of [`walk_pages`] wants to see next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Walk {
    /// The pages below this one too.
    Below,
    /// Nothing below this one: a visitor that met the page in another tree knows them already.
    Past,
}

/// Visits the id and level of every page, a parent before its children. Reads inner pages only: a page of
/// level 0 is named by its parent.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged), and whatever the reader and the visitor say.
pub fn walk_pages<R: PageReader + ?Sized>(
    root: Option<Root>,
    reader: &R,
    visit: &mut dyn FnMut(&ChunkId, u32) -> Result<Walk>,
) -> Result<()> {
    let Some(Root { page, level, .. }) = root else { return Ok(()) };
    if visit(&page, level)? == Walk::Past || level == 0 {
        return Ok(());
    }
    let mut cursor = Cursor::open(root, reader)?;
    while let Some(Item::Page { level, child }) = cursor.item() {
        if visit(&child.page, level)? == Walk::Below && level > 0 {
            cursor.enter(reader)?;
        } else {
            cursor.step();
        }
    }
    Ok(())
}
