//! (room)

mod component;
mod folder;
mod target;

pub use component::{BadName, Component, Platform};
pub use folder::{
    Attributes, EntryType, FileMeta, Folder, SkipReason, Skipped, SourceFile, SourceItem, Walk,
};
pub use target::{FileWriter, Finished, ItemError, Overwrite, Placed, Problem, Target};
