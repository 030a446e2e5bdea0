//! What changed between two trees. Pages that both have are passed over unread, wherever they lie. A merge
//! of three trees can walk three cursors by the same rule.

use std::cmp::Ordering;

use super::{
    PageReader, Root,
    cursor::{Cursor, Item},
    node::Leaf,
};
use crate::Result;

/// A key whose value differs. At least one of `before` and `after` is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Vec<u8>,
    /// The value in the first tree; `None` when the key was added.
    pub before: Option<Vec<u8>>,
    /// The value in the second tree; `None` when the key was removed.
    pub after: Option<Vec<u8>>,
}

/// Visits every change from `before` to `after`, in the order of the keys. Reads about two pages a level for
/// each change, and holds one page a level of either tree.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged), and whatever the reader and the visitor say.
pub fn diff<R: PageReader + ?Sized>(
    before: Option<Root>,
    after: Option<Root>,
    reader: &R,
    visit: &mut dyn FnMut(Change) -> Result<()>,
) -> Result<()> {
    if before == after {
        return Ok(());
    }
    let (mut a, mut b) = (Cursor::open(before, reader)?, Cursor::open(after, reader)?);
    loop {
        if let Some(level) = common_page(&a, &b) {
            a.pass(level);
            b.pass(level);
            continue;
        }
        match (unopened(&a), unopened(&b)) {
            (None, None) => {
                let Some(next) = next_pair(&mut a, &mut b) else { return Ok(()) };
                if let Some(change) = change_of(next) {
                    visit(change)?;
                }
            }
            (level_a, level_b) => {
                if level_a >= level_b {
                    a.enter(reader)?;
                }
                if level_b >= level_a {
                    b.enter(reader)?;
                }
            }
        }
    }
}

/// The highest level at which the same page begins at both places.
fn common_page(a: &Cursor, b: &Cursor) -> Option<u32> {
    let common = a.pages_beginning_here().filter(|page| b.pages_beginning_here().any(|other| other == *page));
    common.map(|(level, _)| level).last()
}

fn unopened(cursor: &Cursor) -> Option<u32> {
    match cursor.item() {
        Some(Item::Page { level, .. }) => Some(level),
        _ => None,
    }
}

/// Takes the leaf with the lower key, or both when the keys are equal. No unopened page lies next.
fn next_pair(a: &mut Cursor, b: &mut Cursor) -> Option<(Option<Leaf>, Option<Leaf>)> {
    let order = match (a.item(), b.item()) {
        (Some(Item::Leaf(in_a)), Some(Item::Leaf(in_b))) => in_a.key.cmp(&in_b.key),
        (Some(_), _) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => return None,
    };
    let from_a = if order.is_le() { a.take_leaf() } else { None };
    let from_b = if order.is_ge() { b.take_leaf() } else { None };
    Some((from_a, from_b))
}

fn change_of(pair: (Option<Leaf>, Option<Leaf>)) -> Option<Change> {
    match pair {
        (Some(a), Some(b)) if a.value == b.value => None,
        (Some(a), Some(b)) => Some(Change { key: a.key, before: Some(a.value), after: Some(b.value) }),
        (Some(a), None) => Some(Change { key: a.key, before: Some(a.value), after: None }),
        (None, Some(b)) => Some(Change { key: b.key, before: None, after: Some(b.value) }),
        (None, None) => None,
    }
}
