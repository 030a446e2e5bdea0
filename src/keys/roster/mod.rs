//! The roster: a chain of signed entries from genesis that says which devices and recipients an account
//! has. Only what such an entry names is ever sealed to or believed (D1, D8, K12).

mod chain;
mod entry;
mod state;

pub use chain::{Roster, Signer};
pub use entry::{Change, Member, SignerId};
pub use state::{Device, DeviceState, RosterState};
