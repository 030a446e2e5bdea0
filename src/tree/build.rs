//! Lays entries into pages from the first to the last (T8, T9). Holds one open page a level and nothing
//! else. It must never close a page anywhere but where the border rule or the end of the data says.

use super::{
    Borders, PageWriter, Root,
    border::{Filled, Laid, child_weight, leaf_weight},
    node::{ChildRef, Expected, Leaf, Page, damaged, is_key, is_value},
};
use crate::{Error, Result, content::ChunkId, limits};

/// Builds a tree from entries in ascending order.
///
/// A builder that is dropped before [`finish`](Self::finish) leaves pages that nothing refers to.
pub struct Builder<'a, W: PageWriter> {
    store: &'a mut W,
    borders: &'a Borders,
    leaves: Open<Leaf>,
    /// The open pages of level 1 and above.
    inner: Vec<Open<ChildRef>>,
    last_key: Vec<u8>,
    /// The page that was taken over last without looking inside.
    taken_over: Option<ChunkId>,
}

impl<'a, W: PageWriter> Builder<'a, W> {
    /// Starts with an empty map.
    #[must_use]
    pub fn new(store: &'a mut W, borders: &'a Borders) -> Self {
        Self {
            store,
            borders,
            leaves: Open::new(),
            inner: Vec::new(),
            last_key: Vec::new(),
            taken_over: None,
        }
    }

    /// Adds an entry. Keys come in strictly ascending order.
    ///
    /// # Errors
    /// [`Error::Internal`] for a key out of order, [`Error::InvalidArgument`] for a key or value whose
    /// length T1 does not allow, and whatever the store says.
    pub fn push(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        if !is_key(&key) {
            return Err(Error::InvalidArgument("the key of a tree entry is empty or too long"));
        }
        if !is_value(&value) {
            return Err(Error::InvalidArgument("the value of a tree entry is too long"));
        }
        self.advance_to(&key)?;
        let last = Laid { key: &key, weight: leaf_weight(&key, &value) };
        let filled = self.leaves.filled_with(&last);
        let ends = self.borders.ends_page(0, &last, filled);
        let size = self.store.size_of(&value);
        self.leaves.lay(Leaf { key, value, size }, filled);
        if ends { self.close_leaves() } else { Ok(()) }
    }

    /// Closes the last page of every level. An empty map has no root.
    ///
    /// # Errors
    /// Whatever the store says.
    pub fn finish(mut self) -> Result<Option<Root>> {
        if !self.leaves.is_empty() {
            self.close_leaves()?;
        }
        let mut at = 0;
        while let Some(open) = self.inner.get_mut(at) {
            let is_single = open.entries.len() == 1;
            let children = open.take();
            let level = level_of(at)?;
            at += 1;
            if is_single && at == self.inner.len() {
                return self.root_from(level - 1, children);
            }
            if !children.is_empty() {
                let child = self.put(Page::Inner { level, children })?;
                self.add_child(at, child)?;
            }
        }
        Ok(None)
    }

    /// Whether the output stands at the beginning of a page of `level` and of all levels below.
    pub(super) fn is_aligned(&self, level: u32) -> bool {
        self.leaves.is_empty() && self.inner.iter().take(level as usize).all(Open::is_empty)
    }

    /// Takes over a page of `level` with all below it. It must be the last of its level, with nothing pushed
    /// after it, or have been closed by the border rule; and the builder aligned at `level`.
    pub(super) fn push_subtree(&mut self, level: u32, child: ChildRef) -> Result<()> {
        if !self.is_aligned(level) {
            return Err(Error::Internal("a tree page was taken over in the middle of a page"));
        }
        self.advance_to(&child.last_key)?;
        self.taken_over = Some(child.page);
        self.add_child(level as usize, child)
    }

    /// The store, to read the old tree from.
    pub(super) fn reader(&self) -> &W {
        self.store
    }

    fn advance_to(&mut self, key: &[u8]) -> Result<()> {
        if key <= self.last_key.as_slice() {
            return Err(Error::Internal("tree entries out of order"));
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        Ok(())
    }

    fn close_leaves(&mut self) -> Result<()> {
        let leaves = self.leaves.take();
        let child = self.put(Page::Leaves(leaves))?;
        self.add_child(0, child)
    }

    /// Lays `child` into the open page `inner[at]`, and closes upwards as long as pages end.
    fn add_child(&mut self, mut at: usize, mut child: ChildRef) -> Result<()> {
        loop {
            let level = level_of(at)?;
            while self.inner.len() <= at {
                self.inner.push(Open::new());
            }
            let Some(open) = self.inner.get_mut(at) else {
                return Err(Error::Internal("a tree level is missing"));
            };
            let last = Laid { key: &child.last_key, weight: child_weight(&child.last_key) };
            let filled = open.filled_with(&last);
            let ends = self.borders.ends_page(level, &last, filled);
            open.lay(child, filled);
            if !ends {
                return Ok(());
            }
            let children = open.take();
            child = self.put(Page::Inner { level, children })?;
            at += 1;
        }
    }

    fn put(&mut self, page: Page) -> Result<ChildRef> {
        if page.level() > limits::TREE_LEVEL_MAX {
            return Err(damaged());
        }
        let last_key = page.last_key().unwrap_or_default().to_vec();
        let extent = page.extent()?;
        let page = self.store.put_page(page.encode())?;
        Ok(ChildRef { last_key, page, extent })
    }

    /// The root, when the level above `level` would have one child only. A page that was taken over may
    /// itself have a single child, if it was the last of its level: then the root lies further down.
    fn root_from(&self, mut level: u32, children: Vec<ChildRef>) -> Result<Option<Root>> {
        let Some(mut child) = children.into_iter().next() else { return Ok(None) };
        let mut may_be_single = self.taken_over == Some(child.page);
        while may_be_single && level > 0 {
            match self.only_child(level, &child)? {
                Some(only) => (level, child) = (level - 1, only),
                None => may_be_single = false,
            }
        }
        Ok(Some(Root { page: child.page, level, extent: child.extent }))
    }

    fn only_child(&self, level: u32, child: &ChildRef) -> Result<Option<ChildRef>> {
        let expected = Expected {
            level,
            extent: child.extent,
            last_key: Some(&child.last_key),
            after: &[],
            fewest_children: 1,
        };
        let page = Page::parse(&self.store.page(&child.page)?, &expected)?;
        Ok(page.child(0).filter(|_| page.len() == 1).cloned())
    }
}

/// A page that may still grow.
struct Open<T> {
    entries: Vec<T>,
    weight: usize,
}

impl<T> Open<T> {
    fn new() -> Self {
        Self { entries: Vec::new(), weight: 0 }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn filled_with(&self, next: &Laid<'_>) -> Filled {
        Filled { entries: self.entries.len() + 1, weight: self.weight + next.weight }
    }

    fn lay(&mut self, entry: T, filled: Filled) {
        self.entries.push(entry);
        self.weight = filled.weight;
    }

    fn take(&mut self) -> Vec<T> {
        self.weight = 0;
        std::mem::take(&mut self.entries)
    }
}

fn level_of(at: usize) -> Result<u32> {
    u32::try_from(at + 1).map_err(|_| damaged())
}
