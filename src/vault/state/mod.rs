//! What a device keeps: small files that cannot be rebuilt, in two copies with checksums, and a database
//! that can.

mod database;
mod folder_medium;
mod home;
mod journal;
mod location;
mod lost;
mod medium;
mod notes;
mod state_file;

pub(crate) use database::{ChunkPlace, ChunksNow, Database, PackRow};
pub(crate) use home::{DeviceKeys, Home, KnownRoster, Pending};
pub(crate) use journal::WaitingEdit;
pub use location::StateLocation;
pub(crate) use medium::Medium;
pub(crate) use notes::{FileStat, NewNote, Note, Replica, Run};
