//! Where two devices meet that are about to share an account: two objects, each written once by one side
//! and read by the other, then deleted.
//!
//! The store decides whether a message arrives, never what it says. Waiting ends by the own clock: this is
//! the one decision in the house that a clock takes, and all it can do is to refuse (F9).

use std::time::Duration;

use super::{Clock, Job};
use crate::{Error, Result, crypto::Place, privacy::Gate};

/// How long an invitation is good for.
const LIFETIME_MS: i64 = 10 * 60 * 1000;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// From when to when an invitation is good, by this device's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    start_ms: i64,
}

impl Lifetime {
    pub(super) fn starting(clock: &dyn Clock) -> Self {
        Self { start_ms: clock.now_ms() }
    }

    /// A clock that was set back ends it too: otherwise it could be kept alive for ever.
    ///
    /// # Errors
    /// [`Error::InvitationRefused`].
    pub(super) fn check(self, clock: &dyn Clock) -> Result<()> {
        match clock.now_ms().checked_sub(self.start_ms) {
            Some(0..LIFETIME_MS) => Ok(()),
            _ => Err(Error::InvitationRefused("it has expired")),
        }
    }
}

/// Waits until something lies at `place`.
///
/// # Errors
/// [`Error::Cancelled`]; [`Error::InvitationRefused`] when the time is over; [`Error::Store`] for what will not pass.
pub(super) fn wait_for(
    gate: &Gate,
    place: Place,
    (lifetime, clock): (Lifetime, &dyn Clock),
    job: &Job,
) -> Result<Vec<u8>> {
    job.step(|_| {})?;
    loop {
        lifetime.check(clock)?;
        match gate.get(place) {
            Ok(Some(object)) => return Ok(object),
            Ok(None) => {}
            Err(Error::Store(error)) if error.can_retry() => {}
            Err(error) => return Err(error),
        }
        job.rest(BETWEEN_LOOKS)?;
    }
}

/// Deletes what lies at a rendezvous, as far as the store obeys: it opens nothing any more.
pub(super) fn clean(gate: &Gate, places: impl IntoIterator<Item = Place>) {
    for place in places {
        let _ = gate.delete(place);
    }
}
