//! Strongroom encrypts what a device backs up on the device, with keys from the user's account secret, and
//! keeps it in a store that sees only ciphertext.
//!
//! Start with [`Vault`](vault::Vault). `docs/ARCHITECTURE.md` shows the rooms of this crate.
#![doc = ""]
#![doc = include_str!("../README.md")]

pub mod content;
pub mod crypto;
mod error;
pub mod history;
pub mod keys;
pub mod kinds;
pub mod limits;
pub mod privacy;
pub mod store;
pub mod tree;
pub mod vault;
pub mod wire;

pub use error::{DeviceLabel, Error, Part, Result};
