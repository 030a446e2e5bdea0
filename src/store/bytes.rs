//! The two cuts that every store makes, checked before anything is copied (R5).
//!
//! They promise that a caller never gets more bytes than asked for, and must never clamp: an answer of
//! another length than the one asked for is an error.

use super::{StoreError, StoreErrorKind};

/// All of `bytes`, if they are no more than `limit`.
pub(super) fn within(bytes: &[u8], limit: usize) -> Result<&[u8], StoreError> {
    if bytes.len() > limit { Err(too_long()) } else { Ok(bytes) }
}

/// Exactly `length` bytes from `offset`.
pub(super) fn range(bytes: &[u8], offset: u64, length: usize) -> Result<&[u8], StoreError> {
    usize::try_from(offset)
        .ok()
        .and_then(|start| bytes.get(start..start.checked_add(length)?))
        .ok_or_else(too_short)
}

/// The answer to a body longer than the caller's limit.
pub(super) fn too_long() -> StoreError {
    StoreError::new(StoreErrorKind::Malformed, "the object is longer than expected")
}

/// The answer to a range that the object does not have.
pub(super) fn too_short() -> StoreError {
    StoreError::new(StoreErrorKind::Malformed, "the object is shorter than expected")
}
