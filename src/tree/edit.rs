//! One pass over a tree and a sorted list of edits, into a new tree. Opens only what an edit touches or what
//! must be laid out anew; takes over the rest as it is. The result is the tree that a fresh build of the
//! edited map would give, page for page.

use std::cmp::Ordering;

use super::{
    Borders, Builder, PageWriter, Root,
    cursor::{Cursor, Item},
    node::{ChildRef, Leaf},
};
use crate::{Error, Result};

/// One change to a map.
#[derive(Clone, PartialEq, Eq)]
pub struct Edit {
    /// The key.
    pub key: Vec<u8>,
    /// The new value; `None` removes the entry, if there is one.
    pub value: Option<Vec<u8>>,
}

/// Applies `edits`, which come in strictly ascending order of their keys, and gives the new root. Memory is
/// a few pages a level, however many edits there are. On an error the old tree is as good as before.
///
/// # Errors
/// [`Error::Internal`] for edits out of order, [`Error::InvalidArgument`] for a key or value whose length T1
/// does not allow, [`Error::Damaged`], and whatever `edits` and the store say.
pub fn apply<W: PageWriter>(
    root: Option<Root>,
    edits: impl Iterator<Item = Result<Edit>>,
    store: &mut W,
    borders: &Borders,
) -> Result<Option<Root>> {
    let edits = Edits::new(edits)?;
    if edits.next.is_none() {
        return Ok(root);
    }
    let old = Cursor::open(root, store)?;
    Pass { old, edits, new: Builder::new(store, borders) }.run()
}

struct Pass<'a, W: PageWriter, I> {
    old: Cursor,
    edits: Edits<I>,
    new: Builder<'a, W>,
}

impl<W: PageWriter, I: Iterator<Item = Result<Edit>>> Pass<'_, W, I> {
    fn run(mut self) -> Result<Option<Root>> {
        loop {
            match self.old.item() {
                Some(Item::Page { level, child }) => {
                    let child = child.clone();
                    self.page(level, child)?;
                }
                Some(Item::Leaf(leaf)) => {
                    let order = self.edits.next.as_ref().map(|edit| edit.key.cmp(&leaf.key));
                    self.leaf(order)?;
                }
                None => break,
            }
        }
        while let Some(edit) = self.edits.take()? {
            self.put(edit)?;
        }
        self.new.finish()
    }

    fn page(&mut self, level: u32, child: ChildRef) -> Result<()> {
        let is_last = self.old.is_at_last();
        if !self.may_take_over(level, &child, is_last) {
            self.old.enter(self.new.reader())?;
            self.drop_idle_edits()?;
            if level > 0 || !self.may_take_over(level, &child, is_last) {
                return Ok(());
            }
        }
        self.new.push_subtree(level, child)?;
        self.old.pass(level);
        Ok(())
    }

    /// Whether the page would come out of the builder as it is. The last page of a level may have been ended
    /// by the end of the data and not by a border: it stays only if nothing follows.
    fn may_take_over(&self, level: u32, child: &ChildRef, is_last: bool) -> bool {
        let touched = self.edits.next.as_ref().is_some_and(|edit| is_last || edit.key <= child.last_key);
        !touched && self.new.is_aligned(level)
    }

    /// Drops the next edits as long as they change nothing in the page of leaves just opened.
    fn drop_idle_edits(&mut self) -> Result<()> {
        let Some((leaves, last)) = self.old.leaves().and_then(|leaves| Some((leaves, leaves.last()?))) else {
            return Ok(());
        };
        while let Some(edit) = self.edits.next.as_ref().filter(|edit| edit.key <= last.key) {
            let found = leaves.binary_search_by(|leaf| leaf.key.cmp(&edit.key)).ok();
            if found.and_then(|at| leaves.get(at)).map(|leaf| &leaf.value) != edit.value.as_ref() {
                return Ok(());
            }
            self.edits.take()?;
        }
        Ok(())
    }

    /// Takes the leaf, the edit or both, whichever comes first. `order` is the edit's against the leaf's.
    fn leaf(&mut self, order: Option<Ordering>) -> Result<()> {
        let is_leaf_next = order.is_none_or(Ordering::is_ge);
        let leaf = if is_leaf_next { self.old.take_leaf() } else { None };
        let edit = if order.is_some_and(Ordering::is_le) { self.edits.take()? } else { None };
        match (edit, leaf) {
            (Some(edit), _) => self.put(edit),
            (None, Some(Leaf { key, value, .. })) => self.new.push(key, value),
            (None, None) => Err(Error::Internal("a tree edit stands still")),
        }
    }

    fn put(&mut self, edit: Edit) -> Result<()> {
        match edit.value {
            Some(value) => self.new.push(edit.key, value),
            None => Ok(()),
        }
    }
}

/// The edits, one ahead, in order.
struct Edits<I> {
    source: I,
    next: Option<Edit>,
}

impl<I: Iterator<Item = Result<Edit>>> Edits<I> {
    fn new(mut source: I) -> Result<Self> {
        let next = source.next().transpose()?;
        Ok(Self { source, next })
    }

    fn take(&mut self) -> Result<Option<Edit>> {
        let following = self.source.next().transpose()?;
        if let (Some(edit), Some(following)) = (&self.next, &following)
            && following.key <= edit.key
        {
            return Err(Error::Internal("tree edits out of order"));
        }
        Ok(std::mem::replace(&mut self.next, following))
    }
}
