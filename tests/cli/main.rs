//! The command, as a person or a script uses it: every promise here is checked through the binary alone.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

mod enroll;
mod failures;
mod homes;
#[cfg(unix)]
mod interrupt;
mod output;
mod support;
mod walk;
