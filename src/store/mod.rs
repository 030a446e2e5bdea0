//! The store: bytes under names, created once, never overwritten.
//!
//! This room knows only bytes, names and errors. It promises nothing about truth: whoever runs the store
//! may lie, and everything above checks. It must never see a key or a plaintext.

mod error;
mod name;
mod traits;

pub use error::{StoreError, StoreErrorKind};
pub use name::ObjectName;
pub use traits::{Store, StoredObject};
