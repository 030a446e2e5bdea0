//! What a store can answer instead of data.
//!
//! It says whether trying again can help and whether the outcome of a write is unknown; after an unknown
//! outcome the caller reads the name back.

use std::fmt;

/// A store's failure. Its text never holds a name beyond an object's random hex.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct StoreError {
    kind: StoreErrorKind,
    detail: String,
}

impl StoreError {
    /// A failure of `kind`; `detail` is for a person and holds no secret.
    #[must_use]
    pub fn new(kind: StoreErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn can_retry(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Transient | StoreErrorKind::OutcomeUnknown)
    }
}

/// The kinds of failure that a caller tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// No object has this name.
    NotFound,
    /// An object of this name exists already; nothing was written.
    AlreadyExists,
    /// The store is full.
    NoSpace,
    /// Refused for good: credentials, permissions, a malformed address.
    Refused,
    /// It failed and nothing was written; trying again may help.
    Transient,
    /// The write may or may not have happened: read the name back.
    OutcomeUnknown,
    /// The answer has an impossible length or shape.
    Malformed,
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::NoSpace => "no space left",
            Self::Refused => "refused",
            Self::Transient => "failed for now",
            Self::OutcomeUnknown => "outcome unknown",
            Self::Malformed => "malformed answer",
        })
    }
}
