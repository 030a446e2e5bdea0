//! A page as a model: what was checked once need not be doubted again. Wire pages become model pages through
//! [`Page::parse`] alone, which believes nothing the parent did not say too (T2 to T4).

use prost::Message;

use crate::{
    Error, Part, Result,
    content::ChunkId,
    limits,
    wire::{
        decode_strict,
        messages::{ChildEntry, LeafEntry, TreePage},
    },
};

/// How much there is: of a map, or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Extent {
    /// Entries.
    pub entries: u64,
    /// The sum of their sizes, as [`PageWriter::size_of`](super::PageWriter::size_of) told them; 2^64 - 1 if it is
    /// more, so that no size that a device claims keeps another from writing.
    pub size: u64,
}

impl Extent {
    /// Damage when there are more entries than can be counted.
    pub(super) fn sum(parts: impl IntoIterator<Item = Self>) -> Result<Self> {
        parts.into_iter().try_fold(Self::default(), |sum, part| sum.plus(part))
    }

    pub(super) fn plus(self, other: Self) -> Result<Self> {
        let entries = self.entries.checked_add(other.entries).ok_or_else(damaged)?;
        Ok(Self { entries, size: self.size.saturating_add(other.size) })
    }
}

/// One entry of the map.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) size: u64,
}

/// What a page says of a page one level below.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ChildRef {
    pub(super) last_key: Vec<u8>,
    pub(super) page: ChunkId,
    pub(super) extent: Extent,
}

/// A page that is in order. It has at least one entry.
pub(super) enum Page {
    Leaves(Vec<Leaf>),
    Inner { level: u32, children: Vec<ChildRef> },
}

/// What is known of a page before it is read.
pub(super) struct Expected<'a> {
    pub(super) level: u32,
    pub(super) extent: Extent,
    /// Unknown for a root.
    pub(super) last_key: Option<&'a [u8]>,
    /// The last key before the page; empty at the beginning of the map.
    pub(super) after: &'a [u8],
    /// Fewest children, should it be an inner page.
    pub(super) fewest_children: usize,
}

impl Page {
    /// Decodes and checks a page (T2 to T4).
    pub(super) fn parse(bytes: &[u8], expected: &Expected<'_>) -> Result<Self> {
        let wire: TreePage = decode_strict(bytes, limits::PAGE_ENCODED_BYTES_MAX, Part::TreePage)?;
        let page = Self::from_wire(wire)?;
        let fits = page.level() == expected.level
            && page.extent()? == expected.extent
            && page.ascends_from(expected.after)
            && expected.last_key.is_none_or(|last| page.last_key() == Some(last))
            && (expected.level == 0 || page.len() >= expected.fewest_children);
        if fits { Ok(page) } else { Err(damaged()) }
    }

    /// The canonical bytes.
    pub(super) fn encode(self) -> Vec<u8> {
        let (level, leaves, children) = match self {
            Self::Leaves(leaves) => (0, leaves.into_iter().map(Leaf::into_wire).collect(), Vec::new()),
            Self::Inner { level, children } => {
                (level, Vec::new(), children.into_iter().map(ChildRef::into_wire).collect())
            }
        };
        TreePage { level, leaves, children }.encode_to_vec()
    }

    pub(super) fn level(&self) -> u32 {
        match self {
            Self::Leaves(_) => 0,
            Self::Inner { level, .. } => *level,
        }
    }

    /// Leaves of a level 0 page, children of any other.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Leaves(leaves) => leaves.len(),
            Self::Inner { children, .. } => children.len(),
        }
    }

    /// The key of a leaf, the last key of a child.
    pub(super) fn key(&self, at: usize) -> Option<&[u8]> {
        match self {
            Self::Leaves(leaves) => leaves.get(at).map(|leaf| leaf.key.as_slice()),
            Self::Inner { children, .. } => children.get(at).map(|child| child.last_key.as_slice()),
        }
    }

    /// A child of an inner page.
    pub(super) fn child(&self, at: usize) -> Option<&ChildRef> {
        match self {
            Self::Leaves(_) => None,
            Self::Inner { children, .. } => children.get(at),
        }
    }

    pub(super) fn last_key(&self) -> Option<&[u8]> {
        self.len().checked_sub(1).and_then(|last| self.key(last))
    }

    /// How many keys at the beginning of the page meet `condition`.
    pub(super) fn count_while(&self, condition: impl Fn(&[u8]) -> bool) -> usize {
        match self {
            Self::Leaves(leaves) => leaves.partition_point(|leaf| condition(&leaf.key)),
            Self::Inner { children, .. } => children.partition_point(|child| condition(&child.last_key)),
        }
    }

    /// What lies in this page and below it.
    pub(super) fn extent(&self) -> Result<Extent> {
        match self {
            Self::Leaves(leaves) => Extent::sum(leaves.iter().map(Leaf::extent)),
            Self::Inner { children, .. } => Extent::sum(children.iter().map(|child| child.extent)),
        }
    }

    fn from_wire(wire: TreePage) -> Result<Self> {
        let TreePage { level, leaves, children } = wire;
        let (entries, others) =
            if level == 0 { (leaves.len(), children.len()) } else { (children.len(), leaves.len()) };
        let in_bounds = level <= limits::TREE_LEVEL_MAX && (1..=limits::PAGE_ENTRIES_MAX).contains(&entries);
        if !in_bounds || others != 0 {
            return Err(damaged());
        }
        if level == 0 {
            leaves.into_iter().map(Leaf::from_wire).collect::<Result<_>>().map(Self::Leaves)
        } else {
            let children = children.into_iter().map(ChildRef::from_wire).collect::<Result<_>>()?;
            Ok(Self::Inner { level, children })
        }
    }

    /// As the empty string lies before every key, this refuses empty keys too.
    fn ascends_from(&self, after: &[u8]) -> bool {
        let mut before = after;
        (0..self.len()).filter_map(|at| self.key(at)).all(|key| std::mem::replace(&mut before, key) < key)
    }
}

impl Leaf {
    fn from_wire(wire: LeafEntry) -> Result<Self> {
        let LeafEntry { key, value, size } = wire;
        if is_key(&key) && is_value(&value) { Ok(Self { key, value, size }) } else { Err(damaged()) }
    }

    fn into_wire(self) -> LeafEntry {
        LeafEntry { key: self.key, value: self.value, size: self.size }
    }

    pub(super) fn extent(&self) -> Extent {
        Extent { entries: 1, size: self.size }
    }
}

impl ChildRef {
    fn from_wire(wire: ChildEntry) -> Result<Self> {
        let ChildEntry { last_key, page, entries, size } = wire;
        let page = ChunkId::from_slice(&page).ok_or_else(damaged)?;
        let extent = Extent { entries, size };
        if is_key(&last_key) && entries > 0 { Ok(Self { last_key, page, extent }) } else { Err(damaged()) }
    }

    fn into_wire(self) -> ChildEntry {
        let Extent { entries, size } = self.extent;
        ChildEntry { last_key: self.last_key, page: self.page.0.to_vec(), entries, size }
    }
}

/// Whether the bytes of a page are those of an inner one. A page of leaves has no `level`.
#[must_use]
pub fn is_inner_page(bytes: &[u8]) -> bool {
    const LEVEL: u8 = 0x08;
    bytes.first() == Some(&LEVEL)
}

/// T1.
pub(super) fn is_key(key: &[u8]) -> bool {
    (1..=limits::KEY_BYTES_MAX).contains(&key.len())
}

/// T1.
pub(super) fn is_value(value: &[u8]) -> bool {
    value.len() <= limits::RECORD_BYTES_MAX
}

pub(super) fn damaged() -> Error {
    Error::damaged(Part::TreePage)
}
