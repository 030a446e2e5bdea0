//! History: signed commits, chained by device, say which tree is true; pins say what may not be unsaid.
//!
//! Pure. Everything here was verified or is an error.

mod commit;
mod freshness;

pub use commit::{Commit, CommitBody, Head, KindState};
pub use freshness::{Freshness, Pins};
