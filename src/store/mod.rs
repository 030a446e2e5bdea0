//! The store: bytes under names, created once, never overwritten.
//!
//! This room knows only bytes, names and errors. It promises nothing about truth: whoever runs the store
//! may lie, and everything above checks. It must never see a key or a plaintext.

mod address;
mod bytes;
#[cfg(any(test, feature = "test-support"))]
pub mod conformance;
mod directory;
mod error;
#[cfg(any(test, feature = "test-support"))]
pub mod faults;
mod forward;
#[cfg(any(test, feature = "test-support"))]
pub mod hostile;
mod memory;
mod name;
mod traits;

pub use address::{create, local_folder, open};
pub use directory::DirectoryStore;
pub use error::{StoreError, StoreErrorKind};
pub use memory::{MemoryStore, Snapshot, Traffic};
pub use name::ObjectName;
pub use traits::{Store, StoredObject};
