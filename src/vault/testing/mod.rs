//! Devices that live in memory, for simulations: a home, its power, a clock.
//!
//! A vault that is opened in a [`MemoryHome`] runs the same code as one in a folder, down to the bytes of the
//! state files and the pages of the database. Nothing here may be used for real backups: it ends with the
//! process.

mod clock;
mod home;
mod index;
mod medium;
mod pages;
mod power;
mod wired;

pub use clock::VirtualClock;
pub use home::{HomeImage, MemoryHome};
pub use index::LocalIndex;
pub use power::{Kept, PowerCut, Step};
pub use wired::WiredStore;
