//! The only room that names a cipher, a hash or a curve.
//!
//! Pure: no I/O, no clock; randomness is passed in. Keys are own types, wiped on drop, that can be
//! neither copied nor printed. Every failure to open is one opaque error (K3).

mod cut;
mod derive;
mod hash;
mod labels;
mod random;
mod secret;

pub(crate) use cut::CutCipher;
pub use derive::{derive_from_key, derive_from_material};
pub use hash::{keyed_hash, labelled_hash};
pub use labels::Label;
#[cfg(any(test, feature = "test-support"))]
pub use random::SeededRandom;
pub use random::{OsRandom, Random};
pub use secret::Secret;
