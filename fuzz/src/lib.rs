//! What the fuzzer runs, one function a target. A target says by a panic what it found.
//!
//! Each feeds a reader of untrusted bytes, both from outside and below its authentication: what a seal or
//! a signature would stop is sealed or signed here, with keys that the target knows. Besides "no panic", each
//! asserts what must hold of whatever was accepted. `tests/fuzz_seeds.rs` replays the seeds without a fuzzer.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a target says by a panic what it found"
)]

mod content;
mod enrollment;
mod history;
mod input;
mod keys;
mod kinds;
mod names;
mod object;
pub mod seeds;
mod tree;
mod world;

pub use content::{chunker, index_fragment, pack_directory};
pub use enrollment::{enroll_request, invitation};
pub use history::commit;
pub use keys::{envelope, keyring, recovery_code, roster};
pub use kinds::{message_xml, record, vcard};
pub use names::{path_names, store_name};
pub use object::object;
pub use tree::tree_page;

/// A target by name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 17] = [
    ("object", object),
    ("recovery_code", recovery_code),
    ("roster", roster),
    ("envelope", envelope),
    ("keyring", keyring),
    ("invitation", invitation),
    ("enroll_request", enroll_request),
    ("commit", commit),
    ("tree_page", tree_page),
    ("index_fragment", index_fragment),
    ("pack_directory", pack_directory),
    ("message_xml", message_xml),
    ("vcard", vcard),
    ("record", record),
    ("path_names", path_names),
    ("chunker", chunker),
    ("store_name", store_name),
];
