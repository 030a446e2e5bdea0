//! Memory that is used again: asked for anew each time, the system clears it page by page, which costs more than
//! the cipher, and an allocator may keep more of it than a job's budget.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Memory that nobody needs at the moment, for any thread.
pub(super) struct Spare {
    memory: Mutex<Vec<Vec<u8>>>,
    max: usize,
}

impl Spare {
    /// Keeps at most `max` pieces.
    pub(super) fn new(max: usize) -> Self {
        Self { memory: Mutex::default(), max }
    }

    /// Memory for `bytes`, and not for many more, with whatever was in it.
    pub(super) fn take(&self, bytes: usize) -> Option<Vec<u8>> {
        let mut memory = self.lock();
        let fits = |piece: &Vec<u8>| piece.capacity() >= bytes && piece.capacity() / 2 <= bytes;
        let found = memory.iter().position(fits)?;
        Some(memory.swap_remove(found))
    }

    pub(super) fn give(&self, piece: Vec<u8>) {
        let mut memory = self.lock();
        memory.push(piece);
        if memory.len() > self.max {
            // What nobody took for longest may have a length that nobody asks for.
            memory.remove(0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
