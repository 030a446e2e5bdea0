//! Generated protobuf messages and strict parsing.
//!
//! Everything here decodes bytes that were authenticated before; still no input may panic, allocate
//! beyond the caps of `limits`, or be accepted in a second encoding where that matters (R1, R2, R3).

#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::exhaustive_enums, reason = "generated; the proto files carry the comments")]
#[rustfmt::skip]
pub mod messages;
mod strict;

pub use strict::{decode_lenient, decode_strict};
