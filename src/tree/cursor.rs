//! A place in a stored tree, from its beginning to its end: before a leaf, or before a page not yet opened.
//! Everything that reads a tree walks this cursor, so that every page passes the same checks (T4), and
//! whatever can be passed over unread is.

use std::ops::Bound;

use super::{
    PageReader, Root,
    node::{ChildRef, Expected, Leaf, Page},
};
use crate::{Error, Result, content::ChunkId};

/// Pages from the root down to the place. No frame stands past its page's end; no frames is the end.
pub(super) struct Cursor {
    frames: Vec<Frame>,
}

struct Frame {
    id: ChunkId,
    page: Page,
    at: usize,
    /// The last key before the page.
    after: Vec<u8>,
    /// Whether the page is the last of its level.
    is_last: bool,
}

impl Frame {
    /// The last key before the place.
    fn before(&self) -> &[u8] {
        self.at.checked_sub(1).and_then(|before| self.page.key(before)).unwrap_or(&self.after)
    }
}

/// What lies next.
pub(super) enum Item<'a> {
    /// A page of `level`, unopened.
    Page { level: u32, child: &'a ChildRef },
    /// An entry of the map.
    Leaf(&'a Leaf),
}

impl Cursor {
    /// Reads the root page and stands at its beginning.
    pub(super) fn open(root: Option<Root>, reader: &(impl PageReader + ?Sized)) -> Result<Self> {
        let Some(Root { page: id, level, extent }) = root else { return Ok(Self::at_end()) };
        let expected = Expected { level, extent, last_key: None, after: &[], fewest_children: 2 };
        let page = Page::parse(&reader.page(&id)?, &expected)?;
        Ok(Self { frames: vec![Frame { id, page, at: 0, after: Vec::new(), is_last: true }] })
    }

    pub(super) fn at_end() -> Self {
        Self { frames: Vec::new() }
    }

    pub(super) fn item(&self) -> Option<Item<'_>> {
        let frame = self.frames.last()?;
        match &frame.page {
            Page::Leaves(leaves) => leaves.get(frame.at).map(Item::Leaf),
            Page::Inner { level, children } => {
                children.get(frame.at).map(|child| Item::Page { level: level.saturating_sub(1), child })
            }
        }
    }

    /// The last key before the item, as long as no leaf was taken.
    pub(super) fn before(&self) -> &[u8] {
        self.frames.last().map(Frame::before).unwrap_or_default()
    }

    /// Whether the item is the last of its level.
    pub(super) fn is_at_last(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.is_last && frame.at + 1 == frame.page.len())
    }

    /// The leaves of the page that the cursor stands in.
    pub(super) fn leaves(&self) -> Option<&[Leaf]> {
        match &self.frames.last()?.page {
            Page::Leaves(leaves) => Some(leaves),
            Page::Inner { .. } => None,
        }
    }

    /// Opens the page that lies next.
    pub(super) fn enter(&mut self, reader: &(impl PageReader + ?Sized)) -> Result<()> {
        let (Some(frame), Some(Item::Page { level, child })) = (self.frames.last(), self.item()) else {
            return Err(Error::Internal("there is no tree page to open"));
        };
        let is_last = self.is_at_last();
        let after = frame.before().to_vec();
        let expected = Expected {
            level,
            extent: child.extent,
            last_key: Some(&child.last_key),
            after: &after,
            fewest_children: if is_last { 1 } else { 2 },
        };
        let page = Page::parse(&reader.page(&child.page)?, &expected)?;
        let id = child.page;
        self.frames.push(Frame { id, page, at: 0, after, is_last });
        Ok(())
    }

    /// Steps over the item. A page is passed over with all below it.
    pub(super) fn step(&mut self) {
        while let Some(frame) = self.frames.last_mut() {
            frame.at += 1;
            if frame.at < frame.page.len() {
                return;
            }
            self.frames.pop();
        }
    }

    /// Takes the leaf that lies next, and steps over it.
    pub(super) fn take_leaf(&mut self) -> Option<Leaf> {
        let frame = self.frames.last_mut()?;
        let Page::Leaves(leaves) = &mut frame.page else { return None };
        let Leaf { key, value, size } = leaves.get_mut(frame.at)?;
        let leaf = Leaf { key: std::mem::take(key), value: std::mem::take(value), size: *size };
        self.step();
        Some(leaf)
    }

    /// Opens pages until a leaf lies next, and takes it; `None` at the end.
    pub(super) fn next_leaf(&mut self, reader: &(impl PageReader + ?Sized)) -> Result<Option<Leaf>> {
        while matches!(self.item(), Some(Item::Page { .. })) {
            self.enter(reader)?;
        }
        Ok(self.take_leaf())
    }

    /// Goes from the beginning of the tree to the first key not before `start`.
    pub(super) fn seek(&mut self, start: Bound<&[u8]>, reader: &(impl PageReader + ?Sized)) -> Result<()> {
        loop {
            let Some(frame) = self.frames.last_mut() else { return Ok(()) };
            frame.at = frame.page.count_while(|key| is_before(key, start));
            if frame.at == frame.page.len() {
                // Only the root page can end before `start`: of other pages the parent told the last key.
                frame.at -= 1;
                self.step();
                return Ok(());
            }
            if matches!(self.item(), Some(Item::Leaf(_))) {
                return Ok(());
            }
            self.enter(reader)?;
        }
    }

    /// Goes on to the first key not before `start`, past unread pages that end before it.
    pub(super) fn go_on_to(&mut self, start: &[u8], reader: &(impl PageReader + ?Sized)) -> Result<()> {
        loop {
            match self.item() {
                Some(Item::Page { child, .. }) if child.last_key.as_slice() >= start => self.enter(reader)?,
                Some(Item::Leaf(leaf)) if leaf.key.as_slice() >= start => return Ok(()),
                Some(_) => self.step(),
                None => return Ok(()),
            }
        }
    }

    /// The pages, opened or not, whose first key is the next one, from the lowest level up. Two cursors that
    /// have one such page in common may both pass over it.
    pub(super) fn pages_beginning_here(&self) -> impl Iterator<Item = (u32, ChunkId)> {
        let unopened = match self.item() {
            Some(Item::Page { level, child }) => Some((level, child.page)),
            _ => None,
        };
        let opened = self.frames.iter().rev().take_while(|frame| frame.at == 0);
        unopened.into_iter().chain(opened.map(|frame| (frame.page.level(), frame.id)))
    }

    /// Passes over the page of `level` in which or before which the cursor stands.
    pub(super) fn pass(&mut self, level: u32) {
        while self.frames.last().is_some_and(|frame| frame.page.level() <= level) {
            self.frames.pop();
        }
        self.step();
    }
}

fn is_before(key: &[u8], start: Bound<&[u8]>) -> bool {
    match start {
        Bound::Included(start) => key < start,
        Bound::Excluded(start) => key <= start,
        Bound::Unbounded => false,
    }
}
