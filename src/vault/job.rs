//! A job: how a caller watches, pauses, cancels and bounds what runs on its worker thread.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::available_parallelism,
};

use crate::{Error, Result};

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Files, records or packs done.
    pub items: u64,
    /// Bytes of the user's data read or written.
    pub bytes: u64,
    /// Bytes sent to the store.
    pub sent_bytes: u64,
    /// Items in all, once it is known.
    pub items_total: Option<u64>,
    /// Bytes in all, once it is known.
    pub bytes_total: Option<u64>,
}

type Watcher = Box<dyn Fn(&Progress) + Send + Sync>;

/// One for each long call, passed by reference; shared with the thread that may cancel it. A job that was
/// cancelled stays so.
pub struct Job {
    progress: Mutex<Progress>,
    watcher: Option<Watcher>,
    cancelled: AtomicBool,
    paused: Mutex<bool>,
    resumed: Condvar,
    memory_bytes: usize,
    threads: usize,
    deletions: bool,
}

impl Default for Job {
    fn default() -> Self {
        Self::new()
    }
}

impl Job {
    /// Smallest memory budget.
    pub const MEMORY_BYTES_MIN: usize = 24 * 1024 * 1024;
    /// Memory budget unless set.
    pub const MEMORY_BYTES_DEFAULT: usize = 64 * 1024 * 1024;

    /// A job that nobody watches, with the default budget.
    #[must_use]
    pub fn new() -> Self {
        Self {
            progress: Mutex::default(),
            watcher: None,
            cancelled: AtomicBool::new(false),
            paused: Mutex::new(false),
            resumed: Condvar::new(),
            memory_bytes: Self::MEMORY_BYTES_DEFAULT,
            threads: available_parallelism().map_or(1, usize::from),
            deletions: false,
        }
    }

    /// Calls `watcher` after each step, on the worker thread.
    #[must_use]
    pub fn watched(mut self, watcher: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Box::new(watcher));
        self
    }

    /// Bounds the memory that buffers and caches take, in bytes; at least 24 MiB.
    #[must_use]
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes.max(Self::MEMORY_BYTES_MIN);
        self
    }

    /// Bounds the threads that compute for this job; unless set, as many as the system offers. With one,
    /// everything happens on the caller's thread, in an order that depends on nothing else.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Threads that compute.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Lets the job delete any number of entries; without it more than a fifth of a kind, and more
    /// than fifty, are [`Error::TooManyDeletions`].
    #[must_use]
    pub fn with_deletions(mut self) -> Self {
        self.deletions = true;
        self
    }

    /// Whether the owner agreed to any number of deletions.
    #[must_use]
    pub fn allows_deletions(&self) -> bool {
        self.deletions
    }

    /// The memory budget in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Ends the job at its next step with [`Error::Cancelled`]. What was stored stays and is used again.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.resumed.notify_all();
    }

    /// Holds the job at its next step until [`Self::resume`] or [`Self::cancel`].
    pub fn pause(&self) {
        *lock(&self.paused) = true;
    }

    /// Lets a paused job go on.
    pub fn resume(&self) {
        *lock(&self.paused) = false;
        self.resumed.notify_all();
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        lock(&self.progress).clone()
    }

    /// A step: reports progress, waits while paused.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(crate) fn step(&self, change: impl FnOnce(&mut Progress)) -> Result<()> {
        let now = {
            let mut progress = lock(&self.progress);
            change(&mut progress);
            progress.clone()
        };
        if let Some(watcher) = &self.watcher {
            watcher(&now);
        }
        let mut paused = lock(&self.paused);
        while *paused && !self.cancelled.load(Ordering::Relaxed) {
            paused = self.resumed.wait(paused).unwrap_or_else(PoisonError::into_inner);
        }
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// A step that waits for something outside, such as a person: rests for `time`, or until the job is
    /// cancelled.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn rest(&self, time: std::time::Duration) -> Result<()> {
        let idle = lock(&self.paused);
        let is_running = |_: &mut bool| !self.cancelled.load(Ordering::Relaxed);
        drop(self.resumed.wait_timeout_while(idle, time, is_running));
        self.step(|_| {})
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "test code")]
mod tests {
    use super::*;

    #[test]
    fn a_job_reports_pauses_and_is_cancelled() {
        let job = std::sync::Arc::new(Job::new().with_memory(1));
        assert_eq!(job.memory_bytes(), Job::MEMORY_BYTES_MIN);
        job.step(|progress| progress.items += 2).unwrap();
        assert_eq!(job.progress().items, 2);
        job.pause();
        let worker = std::thread::spawn({
            let job = std::sync::Arc::clone(&job);
            move || job.step(|_| {})
        });
        job.cancel();
        assert!(matches!(worker.join().unwrap(), Err(Error::Cancelled)));
    }
}
