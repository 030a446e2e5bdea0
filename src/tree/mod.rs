//! The ordered map from key to value, stored as a prolly tree: a tree of pages whose borders follow from a
//! keyed hash of the entries, so that the same map gives the same root whoever built it in whatever order.
//!
//! Pure: pages come from a [`PageReader`] and go to a [`PageWriter`]. What is read is believed only after
//! it was checked; damage is [`Error::Damaged`](crate::Error::Damaged) naming a tree page, never a panic
//! and never an endless walk. Memory is a few pages a level, whatever the size of the map. This room must
//! never look inside a value, and must never put a key or a value into an error.
//!
//! # The format (FORMAT F-51 to F-59 are T1 to T9)
//!
//! **T1, map.** Keys are 1 to 4608 bytes (`KEY_BYTES_MAX`) and unique; they are ordered as unsigned byte
//! strings, a prefix before what it begins. Values are 0 to 16384 bytes (`RECORD_BYTES_MAX`). An empty map
//! has no page and no root.
//!
//! **T2, page.** A page is the canonical encoding of `TreePage` (`tree.proto`): fields in the order of their
//! numbers, default values left out, shortest numbers, nothing unknown; any other spelling is refused. A
//! page has at most 131072 bytes (`PAGE_ENCODED_BYTES_MAX`) and from 1 to 8192 entries
//! (`PAGE_ENTRIES_MAX`). Its name is its chunk id: BLAKE3 of its bytes, keyed with the kind's chunk-id key.
//!
//! **T3, levels.** A page of level 0 has `leaves` and no `children`; a page of level 1 to 32
//! (`TREE_LEVEL_MAX`) has `children` and no `leaves`, and they are pages of the level below. The keys of a
//! page, which are `key` of leaves and `last_key` of children, ascend strictly. A child entry holds the last
//! key below the child, the child's page id (32 bytes), the count of leaves below it (at least 1) and the sum
//! of their sizes, or 2^64 - 1 if that is more. A page of level 1 or more has at least two children, except the last page of its level,
//! which may have one.
//!
//! **T4, what a reader checks.** Of a page reached through a child entry: T2 and T3; that its level is one
//! less than the parent's; that its last key, its count of leaves and the sum of its sizes are those of the
//! child entry; and that its keys lie above the last key before it. Of a page reached as a root: T2 and T3;
//! that level, count and sum are those of `TreeRoot`; and that it has at least two children, unless its level
//! is 0.
//!
//! **T5, weight.** A leaf weighs `length of key + length of value + 16`; a child entry weighs
//! `length of last_key + 48`. The weight of a page is the sum over its entries.
//!
//! **T6, border key.** 32 bytes of HKDF-Expand (SHA-256), with the kind's chunk-cut key as PRK and the label
//! `strongroom/v1/cut/page-border` followed by a zero byte as info.
//!
//! **T7, border hash.** For an entry in a page of level `L` with key `K`: the first 8 bytes, read as a
//! little-endian number, of BLAKE3 keyed with the border key over `L` (4 bytes, little-endian) followed by
//! `K`.
//!
//! **T8, pages of a level.** The entries of a level are laid into pages from the first to the last. After an
//! entry of weight `w` is laid into the open page, the page is closed if at least one of these holds:
//! - the entry's border hash `< w × 2^64 / 8192`;
//! - the weight of the page, this entry included, is 65536 or more (`PAGE_BYTES_MAX`);
//! - the page has 8192 entries (`PAGE_ENTRIES_MAX`);
//!
//! but a page of level 1 or more is not closed while it has fewer than two children. After the last entry of
//! the level the open page, if it has entries, is closed. The child entries of these pages, in order, are
//! the entries of the level above.
//!
//! **T9, root.** The root is the lowest level that consists of exactly one page; no level above it is
//! written. `TreeRoot` holds that page's id, its level, the count of all leaves and the sum of their sizes.
//!
//! It follows that the root depends on the map and the two keys only. A page other than the last of its level
//! depends on nothing outside it, so that an edit ([`apply`]) may take over pages as they are wherever its output
//! stands at a page border.

mod border;
mod build;
mod cursor;
mod diff;
mod edit;
mod node;
mod pages;
mod read;
mod root;
mod sift;
#[cfg(test)]
mod tests;

pub use border::Borders;
pub use build::Builder;
pub use diff::{Change, diff};
pub use edit::{Edit, apply};
pub use node::{Extent, is_inner_page};
pub use pages::{PageReader, PageWriter};
pub use read::{Lookup, Scan, Walk, get, measure, scan, scan_prefix, walk_pages};
pub use root::Root;
pub use sift::{Sifted, sift};
