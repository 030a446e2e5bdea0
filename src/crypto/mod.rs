//! The only room that names a cipher, a hash or a curve.
//!
//! Pure: no I/O, no clock; randomness is passed in. Keys are own types, wiped on drop, that can be
//! neither copied nor printed. Every failure to open is one opaque error (K3).

mod aead;
mod cipher_build;
mod context;
mod cut;
mod derive;
mod exchange;
mod hash;
mod hybrid;
mod labels;
mod object_key;
mod opened;
mod pad;
mod password;
mod random;
mod seal;
#[cfg(any(test, feature = "test-support"))]
mod seal_log;
mod sealing;
mod secret;
mod sign;

pub use cipher_build::{cipher_build, slow_cipher_build};
pub use context::{Context, ObjectType, Place};
pub(crate) use cut::CutCipher;
pub use derive::{derive_from_key, derive_from_material};
pub use exchange::ExchangeSecret;
pub use hash::{keyed_hash, labelled_hash};
pub use hybrid::{HYBRID_CIPHERTEXT_BYTES, HYBRID_PUBLIC_KEY_BYTES, HybridPublicKey, HybridSecretKey};
pub use labels::Label;
pub use object_key::ObjectKey;
pub use opened::Opened;
pub use pad::{is_object_length, object_lengths};
pub use password::{PasswordParameters, PasswordSeeds, derive_password_seeds};
#[cfg(any(test, feature = "test-support"))]
pub use random::SeededRandom;
pub use random::{OsRandom, Random};
pub use seal::{
    FORMAT_VERSION, HEADER_BYTES, MAGIC, Opener, SealBuffer, Sealed, object_hash, open_message, seal_message,
};
pub(crate) use seal::{open_message_with_extra, seal_message_with_extra};
#[cfg(any(test, feature = "test-support"))]
pub use seal_log::{SealCounts, SealLog};
pub use sealing::{OpenPart, SealedPart, Sealing};
pub use secret::Secret;
pub use sign::{SIGNATURE_BYTES, Signature, SigningKey, VERIFYING_KEY_BYTES, VerifyingKey};
