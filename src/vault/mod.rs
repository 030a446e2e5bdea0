//! The vault: the jobs that an app calls.
//!
//! This room owns the local state and does the I/O; what it may send is decided by the gate, what it may
//! believe by history and keys.

mod backup;
mod clock;
mod contents;
mod enroll;
mod job;
mod restore;
mod secrets;
mod snapshots;
mod state;
#[expect(clippy::module_inception, reason = "the type that the room is named after")]
mod vault;
mod view;

pub use backup::{BackupReport, SkippedItem, Source};
pub use clock::{Clock, SystemClock};
pub use enroll::NewDevice;
pub use job::{Job, Progress};
pub use restore::{Failure, RestorePlan, RestoreReport, Selection};
pub use snapshots::{At, Difference, Listed, Snapshot, SnapshotId};
pub use vault::{Environment, Vault};
