//! The power of a simulated device: it may fail at any write to the state and at any call of the store.
//!
//! Whoever was running then never acts again, not even when it is dropped later: each start of the device
//! has a number, and a handle of an earlier start is dead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a device does that a power failure can interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Step {
    /// A small file is written or removed.
    StateFile,
    /// A line is added to the ledger.
    Ledger,
    /// The database writes, grows, shrinks or syncs.
    Database,
    /// The store is called.
    Store,
}

/// What is left of the step at which the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Kept {
    /// Nothing of it.
    #[default]
    Nothing,
    /// The first half of its bytes; of a call of the store, nothing.
    Half,
    /// All of it: only nobody learned of it.
    All,
}

/// When and how the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerCut {
    /// Which steps count; `None` for all.
    pub step: Option<Step>,
    /// At which of them, counted from 1 from now on.
    pub at: u64,
    /// What is left of it.
    pub kept: Kept,
    /// Whether what the database did not sync is lost too, as in a power failure; otherwise the process
    /// alone was killed and the system kept what it had written.
    pub unsynced_lost: bool,
}

impl PowerCut {
    /// The process is killed at the `at`-th step from now.
    #[must_use]
    pub fn kill(at: u64) -> Self {
        Self { step: None, at, kept: Kept::Nothing, unsynced_lost: false }
    }

    /// The power fails at the `at`-th step from now, in the middle of a write.
    #[must_use]
    pub fn torn(at: u64) -> Self {
        Self { step: None, at, kept: Kept::Half, unsynced_lost: true }
    }

    /// The same, counting only steps of one sort.
    #[must_use]
    pub fn only(self, step: Step) -> Self {
        Self { step: Some(step), ..self }
    }

    /// The same, with another rest of the last step.
    #[must_use]
    pub fn keeping(self, kept: Kept) -> Self {
        Self { kept, ..self }
    }
}

/// Whether a step happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    On,
    /// This much of it, and then no more.
    Dying(Kept),
    Dead,
}

/// The shared switch of one device.
#[derive(Clone, Default)]
pub(super) struct Power(Arc<Mutex<State>>);

/// One start of a device, as its handles know it.
#[derive(Clone)]
pub(super) struct Boot {
    power: Power,
    number: u64,
}

#[derive(Default)]
struct State {
    boot: u64,
    off: bool,
    unsynced_lost: bool,
    steps: u64,
    cut: Option<PowerCut>,
}

impl Power {
    /// The start that is going on.
    pub(super) fn boot(&self) -> Boot {
        Boot { power: self.clone(), number: self.state().boot }
    }

    /// Arms a failure; `at` is counted from now.
    pub(super) fn plan(&self, cut: PowerCut) {
        self.state().cut = Some(cut);
    }

    /// How many steps there were.
    pub(super) fn steps(&self) -> u64 {
        self.state().steps
    }

    pub(super) fn is_off(&self) -> bool {
        self.state().off
    }

    /// Ends this start and begins the next; says whether unsynced writes are lost.
    pub(super) fn restart(&self) -> bool {
        let mut state = self.state();
        state.boot += 1;
        state.off = false;
        state.cut = None;
        std::mem::take(&mut state.unsynced_lost)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Boot {
    pub(super) fn is_on(&self) -> bool {
        let state = self.power.state();
        !state.off && state.boot == self.number
    }

    /// Counts a step and says whether it happens.
    pub(super) fn step(&self, step: Step) -> Go {
        let mut state = self.power.state();
        if state.off || state.boot != self.number {
            return Go::Dead;
        }
        state.steps += 1;
        let Some(cut) = state.cut.as_mut().filter(|cut| cut.step.is_none_or(|only| only == step)) else {
            return Go::On;
        };
        cut.at = cut.at.saturating_sub(1);
        if cut.at > 0 {
            return Go::On;
        }
        let PowerCut { kept, unsynced_lost, .. } = *cut;
        (state.off, state.unsynced_lost, state.cut) = (true, unsynced_lost, None);
        Go::Dying(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_step_of_its_sort_is_the_last_until_the_next_start() {
        let power = Power::default();
        let boot = power.boot();
        power.plan(PowerCut::torn(2).only(Step::Store));
        assert_eq!(boot.step(Step::Store), Go::On);
        assert_eq!(boot.step(Step::Ledger), Go::On);
        assert_eq!(boot.step(Step::Store), Go::Dying(Kept::Half));
        assert_eq!(boot.step(Step::Ledger), Go::Dead);
        assert!(power.is_off() && !boot.is_on() && power.steps() == 3);
        assert!(power.restart());
        assert_eq!(boot.step(Step::Ledger), Go::Dead, "a handle of the start before");
        assert_eq!(power.boot().step(Step::Ledger), Go::On);
        assert!(!power.restart());
    }
}
