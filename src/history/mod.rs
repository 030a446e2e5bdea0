//! History: signed commits, chained by device, say which tree is true; pins say what may not be unsaid.
//!
//! Pure. Everything here was verified or is an error.

mod commit;
mod fork;
mod freshness;

pub use commit::{Commit, CommitBody, Head, KindState};
pub use fork::ForkProof;
pub use freshness::{Freshness, Pin, Pins, STALE_AFTER_MS};
