//! What a device can say about how new its view of the store is. Freshness is a type, never assumed.

use std::collections::BTreeMap;

use super::{Commit, Head};
use crate::{Error, keys::DeviceId};

/// How long nothing may be heard from a device before the view counts as stale, in milliseconds: two weeks.
/// Every device that syncs says so at least once a day.
pub const STALE_AFTER_MS: i64 = 14 * 24 * 60 * 60 * 1000;

/// How new the state is that a job worked on. A rollback or a fork is an error instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// At least as new as everything this device has ever seen.
    Fresh,
    /// First contact without an anchor: nothing to compare with (F8).
    Unproven,
    /// As new as everything seen, but nothing was heard from a device for long: it is not used, or the
    /// store withholds what it writes (F4).
    Stale {
        /// The device that was not heard from for longest.
        device: DeviceId,
        /// For how long, in milliseconds by this device's own clock.
        age_ms: i64,
    },
}

/// A pinned commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Number and hash.
    pub head: Head,
    /// When it was first seen, by this device's own clock.
    pub heard_ms: i64,
}

/// The newest commits of each device that this device has verified. They never move backwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    pins: BTreeMap<DeviceId, Pin>,
    awaited: u64,
}

impl Default for Pins {
    fn default() -> Self {
        Self::new()
    }
}

impl Pins {
    /// No device seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::from_pins([], 1)
    }

    /// No device seen yet, but what is seen first was confirmed by something outside the store: this device
    /// began the account, or another told it the newest commits.
    #[must_use]
    pub fn anchored() -> Self {
        Self::from_pins([], 0)
    }

    /// Pins as they were stored.
    #[must_use]
    pub fn from_pins(pins: impl IntoIterator<Item = (DeviceId, Pin)>, awaited: u64) -> Self {
        Self { pins: pins.into_iter().collect(), awaited }
    }

    /// The commit of this device that another has to have seen before this device's view counts as
    /// confirmed; 0 when it does.
    #[must_use]
    pub fn awaited(&self) -> u64 {
        self.awaited
    }

    /// Another device has seen this commit of this device's.
    pub fn witness(&mut self, seen: Head) {
        if seen.sequence >= self.awaited {
            self.awaited = 0;
        }
    }

    /// What was seen was given up: whoever saw commits of `own`, this device, so far confirms nothing.
    pub fn distrust(&mut self, own: DeviceId) {
        self.awaited = self.head(own).map_or(0, |head| head.sequence).saturating_add(1);
    }

    /// Whether what was seen was given up and `own`, this device, has not said yet what is true now.
    #[must_use]
    pub fn is_giving_up(&self, own: DeviceId) -> bool {
        self.awaited > self.head(own).map_or(0, |head| head.sequence)
    }

    /// What can be said of a view that agrees with these pins. `heard` are the devices that ought to be
    /// heard from.
    #[must_use]
    pub fn freshness(&self, heard: impl Iterator<Item = DeviceId>, now_ms: i64) -> Freshness {
        if self.awaited > 0 {
            return Freshness::Unproven;
        }
        let age = |device| Some((now_ms.saturating_sub(self.pins.get(&device)?.heard_ms), device));
        match heard.filter_map(age).max() {
            Some((age_ms, device)) if age_ms > STALE_AFTER_MS => Freshness::Stale { device, age_ms },
            _ => Freshness::Fresh,
        }
    }

    /// Every pin, by device.
    pub fn iter(&self) -> impl Iterator<Item = (DeviceId, Pin)> {
        self.pins.iter().map(|(device, pin)| (*device, *pin))
    }

    /// A device's pinned head.
    #[must_use]
    pub fn head(&self, device: DeviceId) -> Option<Head> {
        self.pins.get(&device).map(|pin| pin.head)
    }

    /// The error that it is when a commit of `device` that this device knows of cannot be had (F1, F2).
    #[must_use]
    pub fn withheld(&self, device: DeviceId) -> Error {
        let sequence = self.head(device).map_or(0, |head| head.sequence);
        Error::Rollback { device: device.label(), sequence }
    }

    /// Whether `commit` is the next of its device after the pinned one.
    #[must_use]
    pub fn is_next(&self, commit: &Commit) -> bool {
        self.head(commit.device()) == commit.body().previous
    }

    /// Pins a commit: the next of its device, or its first that is seen. The caller has checked which.
    pub fn pin(&mut self, commit: &Commit, heard_ms: i64) {
        self.pins.insert(commit.device(), Pin { head: commit.head(), heard_ms });
    }

    /// Forgets a device's pin, when its owner chose to go on from what the store has.
    pub fn forget(&mut self, device: DeviceId) {
        self.pins.remove(&device);
    }
}
