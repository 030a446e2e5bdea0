//! What a device can say about how new its view of the store is. Freshness is a type, never assumed.

use std::collections::BTreeMap;

use super::{Commit, Head};
use crate::{Error, Result, keys::DeviceId};

/// How new the state is that a job worked on. A rollback or a fork is an error instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// At least as new as everything this device has ever seen.
    Fresh,
    /// First contact without an anchor: nothing to compare with (F8).
    Unproven,
}

/// The newest commits of each device that this device has verified. They never move backwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    heads: BTreeMap<DeviceId, Head>,
    anchored: bool,
}

impl Pins {
    /// No device seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The pins of the device that began the account: it knows everything that there is.
    #[must_use]
    pub fn anchored() -> Self {
        Self { heads: BTreeMap::new(), anchored: true }
    }

    /// Pins as they were stored.
    #[must_use]
    pub fn from_heads(heads: impl IntoIterator<Item = (DeviceId, Head)>, anchored: bool) -> Self {
        Self { heads: heads.into_iter().collect(), anchored }
    }

    /// Whether this device's first view of the store was confirmed by something outside the store.
    #[must_use]
    pub fn is_anchored(&self) -> bool {
        self.anchored
    }

    /// What can be said of a view that agrees with these pins.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        if self.anchored { Freshness::Fresh } else { Freshness::Unproven }
    }

    /// Every pinned head, by device.
    pub fn heads(&self) -> impl Iterator<Item = (DeviceId, Head)> {
        self.heads.iter().map(|(device, head)| (*device, *head))
    }

    /// A device's pinned head.
    #[must_use]
    pub fn head(&self, device: DeviceId) -> Option<Head> {
        self.heads.get(&device).copied()
    }

    /// The error that it is when the pinned commit of `device` cannot be had (F1, F2).
    #[must_use]
    pub fn withheld(&self, device: DeviceId) -> Error {
        let sequence = self.head(device).map_or(0, |head| head.sequence);
        Error::Rollback { device: device.label(), sequence }
    }

    /// Checks that the store still shows the pinned commit itself.
    ///
    /// # Errors
    /// [`Error::Fork`] when another commit stands in its place (F3).
    pub fn confirm(&self, commit: &Commit) -> Result<()> {
        match self.head(commit.device()) {
            Some(pinned) if pinned != commit.head() => Err(fork(commit)),
            _ => Ok(()),
        }
    }

    /// Moves a device's pin to its next commit, which has to follow the pinned one.
    ///
    /// # Errors
    /// [`Error::Fork`] when it follows something else.
    pub fn advance(&mut self, commit: &Commit) -> Result<()> {
        if self.head(commit.device()) != commit.body().previous {
            return Err(fork(commit));
        }
        self.heads.insert(commit.device(), commit.head());
        Ok(())
    }

    /// Pins a device on first contact, wherever its chain is.
    pub fn adopt(&mut self, commit: &Commit) {
        self.heads.entry(commit.device()).or_insert(commit.head());
    }
}

fn fork(commit: &Commit) -> Error {
    Error::Fork { device: commit.device().label(), sequence: commit.head().sequence }
}
