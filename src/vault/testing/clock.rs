//! A clock that stands still until a test moves it, and that may differ from device to device (F9).

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use crate::vault::Clock;

/// A clock of a simulation. Clones show the same time.
#[derive(Debug, Clone)]
pub struct VirtualClock {
    /// What is common to all devices.
    true_ms: Arc<AtomicI64>,
    /// How far this device is off.
    off_ms: Arc<AtomicI64>,
}

impl VirtualClock {
    /// A clock that shows `now_ms`, milliseconds since the Unix epoch.
    #[must_use]
    pub fn at(now_ms: i64) -> Self {
        Self { true_ms: Arc::new(AtomicI64::new(now_ms)), off_ms: Arc::default() }
    }

    /// Another device's clock: it advances with this one and shows a time that is off by `off_ms`.
    #[must_use]
    pub fn off_by(&self, off_ms: i64) -> Self {
        Self { true_ms: Arc::clone(&self.true_ms), off_ms: Arc::new(AtomicI64::new(off_ms)) }
    }

    /// Time passes for all devices.
    pub fn advance(&self, by_ms: i64) {
        self.true_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Somebody sets this device's clock, and no other's.
    pub fn set_off(&self, off_ms: i64) {
        self.off_ms.store(off_ms, Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        self.true_ms.load(Ordering::Relaxed).saturating_add(self.off_ms.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_advance_together_and_are_set_apart() {
        let first = VirtualClock::at(1000);
        let second = first.off_by(-300);
        let clone = second.clone();
        first.advance(5);
        assert_eq!((first.now_ms(), second.now_ms()), (1005, 705));
        second.set_off(40);
        assert_eq!((first.now_ms(), clone.now_ms()), (1005, 1045));
    }
}
