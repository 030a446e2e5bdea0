//! Strongroom encrypts what a device backs up on the device, with keys from the user's account secret, and
//! keeps it in a store that sees only ciphertext.
//!
//! Start with [`Vault`](vault::Vault): [`create`](vault::Vault::create) it or [`recover`](vault::Vault::recover)
//! it, [`open`](vault::Vault::open) it from then on, switch kinds of data on with its
//! [`consent`](vault::Vault::consent), then [`backup`](vault::Vault::backup), [`sync`](vault::Vault::sync),
//! [`restore`](vault::Vault::restore). Each long call takes a [`Job`](vault::Job) of its own, and each report
//! says how new its view was: [`Freshness`](history::Freshness). A store is whatever implements
//! [`Store`](store::Store); [`store::open`] makes one from an address.
//!
//! The other modules are the rooms below the vault, public so that they can be tested, measured and reviewed
//! by themselves. `README.md` has an example, `docs/ARCHITECTURE.md` the way of a photo through the rooms.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

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
