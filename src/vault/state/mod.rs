//! What a device keeps: small files that cannot be rebuilt, in two copies with checksums, and a database
//! that can.

mod database;
mod folder_medium;
mod home;
mod location;
mod medium;
mod state_file;

pub(crate) use database::{
    ChunkPlace, Database, FileStat, NewNote, Note, PackRow, Replica, Run, WaitingEdit,
};
pub(crate) use home::{DeviceKeys, Home, KnownRoster, Pending};
pub use location::StateLocation;
pub(crate) use medium::Medium;
