//! The roster: signed entries from genesis that say which devices and recipients an account has. Only what
//! such an entry names is ever sealed to or believed (D1, D8, K12).
//!
//! Devices write entries without asking each other, so the entries are a graph: each names those that its
//! signer knew. Two rosters of one account unite into one by taking all entries of both, and what they say
//! together follows from the set alone, in whatever order it came together (D10). One rule settles what was
//! written without knowledge of each other: *a cut always counts; a grant counts if the one that let its
//! grantor in does, unless he was cut off by somebody who did not know of it.* A cut is a device revoked or a
//! secret replaced; a grant is a device added, a secret set, an epoch begun. So whoever was cut off and has
//! the store on his side can write entries as if he had known nothing of it, but can bring in nobody, not
//! even by a code of his own (D6, D7).

mod entry;
mod graph;
mod state;
#[cfg(test)]
mod tests;
mod verify;

pub use entry::{Change, Member, SignerId};
pub use graph::{Roster, Signer};
pub use state::{Device, DeviceState, RosterState};
