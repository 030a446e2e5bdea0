//! The account's devices, as their owner sees them.
//!
//! What is said here follows from the roster and from verified commits; times are what each device's own
//! clock said and prove nothing.

use super::Vault;
use crate::{
    Result,
    keys::{DeviceId, DeviceState},
};

/// A device of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// Its id; also the pseudonym under which its commits lie in the store.
    pub id: DeviceId,
    /// As its owner calls it.
    pub name: String,
    /// Whether it may still speak.
    pub state: DeviceState,
    /// When it made its newest commit, by its own clock, in milliseconds since the Unix epoch; `None` when
    /// the store shows none.
    pub last_commit_ms: Option<i64>,
}

impl Vault {
    /// All devices that were ever added, in the order in which they were.
    ///
    /// # Errors
    /// [`Error::Rollback`](crate::Error::Rollback), [`Error::Fork`](crate::Error::Fork);
    /// [`Error::Damaged`](crate::Error::Damaged), [`Error::Missing`](crate::Error::Missing);
    /// [`Error::Store`](crate::Error::Store).
    pub fn devices(&self) -> Result<Vec<DeviceInfo>> {
        let view = self.refresh(&mut self.work())?;
        let devices = view.roster.state().devices().iter();
        Ok(devices
            .map(|device| DeviceInfo {
                id: device.id(),
                name: device.name().to_owned(),
                state: device.state(),
                last_commit_ms: view.heads.get(&device.id()).map(|commit| commit.body().device_time_ms),
            })
            .collect())
    }
}
