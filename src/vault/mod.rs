//! The vault: the jobs that an app calls.
//!
//! This room owns the local state and does the I/O; what it may send is decided by the gate, what it may
//! believe by history and keys.

mod admission;
mod backup;
mod check;
mod clock;
mod component;
mod consent;
mod contents;
mod crew;
mod devices;
mod enroll;
mod folder;
mod invite;
mod job;
mod join;
mod merge;
mod reanchor;
mod records;
mod rendezvous;
mod repair;
mod restore;
mod secrets;
mod snapshots;
mod state;
mod sync;
mod target;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;
#[expect(clippy::module_inception, reason = "the type that the room is named after")]
mod vault;
mod view;

pub use backup::{BackupReport, SkippedItem, Source};
pub use check::{CheckOptions, CheckReport};
pub use clock::{Clock, SystemClock};
pub use component::{BadName, Component, Platform};
pub use consent::Switches;
pub use devices::DeviceInfo;
pub use enroll::NewDevice;
pub use folder::{
    Attributes, EntryType, FileMeta, Folder, SkipReason, Skipped, SourceFile, SourceItem, Walk,
};
pub use invite::Inviting;
pub use job::{Job, Progress};
pub use join::Joining;
pub use merge::{Conflict, MergeFunction};
pub use records::Records;
pub use repair::RepairReport;
pub use restore::{Failure, RestorePlan, RestoreReport, Selection, Unmerged};
pub use snapshots::{At, Difference, Listed, Snapshot, SnapshotId};
pub use state::StateLocation;
pub use sync::{EntryChange, Event, EventKind, LISTED_CHANGES_MAX, Outcome};
use target::{FilePlace, Settled, keeps_names};
pub use target::{FileWriter, Finished, ItemError, Overwrite, Placed, Problem, Target};
pub use vault::{Environment, Vault};
