//! Where a tree begins. An empty tree has no root: it is `None` wherever a root is asked for.

use super::Extent;
use crate::{Error, Part, Result, content::ChunkId, limits, wire::messages::TreeRoot};

/// The root of a tree that is not empty (T9). Equal roots are equal maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Root {
    pub(super) page: ChunkId,
    pub(super) level: u32,
    pub(super) extent: Extent,
}

impl Root {
    /// Reads the wire form.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the id is not 32 bytes, the level is too high or no entry is claimed.
    pub fn from_wire(wire: &TreeRoot) -> Result<Self> {
        let TreeRoot { page, level, entries, size } = wire;
        let page = ChunkId::from_slice(page).ok_or(Error::damaged(Part::TreePage))?;
        if *level > limits::TREE_LEVEL_MAX || *entries == 0 {
            return Err(Error::damaged(Part::TreePage));
        }
        Ok(Self { page, level: *level, extent: Extent { entries: *entries, size: *size } })
    }

    /// The wire form.
    #[must_use]
    pub fn to_wire(self) -> TreeRoot {
        let Extent { entries, size } = self.extent;
        TreeRoot { page: self.page.0.to_vec(), level: self.level, entries, size }
    }

    /// The id of the root page.
    #[must_use]
    pub fn page(self) -> ChunkId {
        self.page
    }

    /// The level of the root page; 0 when the map lies in one page.
    #[must_use]
    pub fn level(self) -> u32 {
        self.level
    }

    /// Entries of the map, at least 1. Checked against the pages as far as they are read.
    #[must_use]
    pub fn entries(self) -> u64 {
        self.extent.entries
    }

    /// The map's extent. Checked against the pages as far as they are read.
    #[must_use]
    pub fn extent(self) -> Extent {
        self.extent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_reads_back_and_other_forms_are_refused() {
        let root = Root { page: ChunkId([3; 32]), level: 32, extent: Extent { entries: 9, size: 7 } };
        assert_eq!(Root::from_wire(&root.to_wire()).unwrap(), root);
        for wire in [
            TreeRoot { page: vec![3; 31], ..root.to_wire() },
            TreeRoot { level: 33, ..root.to_wire() },
            TreeRoot { entries: 0, ..root.to_wire() },
        ] {
            assert!(matches!(Root::from_wire(&wire), Err(Error::Damaged { what: Part::TreePage })));
        }
    }
}
