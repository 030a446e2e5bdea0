//! Enrollment, without I/O: what an invitation, a request and an answer are, and the code that people
//! compare in between (FORMAT F-90 … F-97, `docs/PROTOCOL.md`).
//!
//! Every step takes the one before and cannot be had without it: nothing about the account leaves the
//! inviting device before the codes were found equal (D2, D3). No message is believed that was not sealed
//! under a secret which never crosses the store.

mod answer;
mod check_code;
mod head_code;
mod introduced;
mod invitation;
mod inviter;
mod joiner;
mod request;
mod session;
mod text;

pub use answer::EnrollAnswer;
pub use check_code::CheckCode;
pub use head_code::HeadCode;
pub use introduced::check_introduced;
pub use invitation::{Anchor, Invitation, Terms};
pub use inviter::{Applicant, Confirmed, Inviter};
pub use joiner::{Asking, Joiner};
pub use request::EnrollRequest;

#[cfg(test)]
#[expect(clippy::string_slice, reason = "test code")]
mod tests;
