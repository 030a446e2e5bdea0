//! A reader that gives up when one record grows beyond the bound.

use std::io::{BufRead, Error, Read, Result};

/// Counts what is read since the last reset.
pub(super) struct Limited<R> {
    inner: R,
    used: usize,
    limit: usize,
}

impl<R> Limited<R> {
    pub(super) fn new(inner: R, limit: usize) -> Self {
        Self { inner, used: 0, limit }
    }

    pub(super) fn reset(&mut self) {
        self.used = 0;
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.used > self.limit
    }
}

impl<R: BufRead> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..count), available.get(..count)) {
            target.copy_from_slice(source);
        }
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Limited<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.is_exhausted() {
            return Err(Error::other("a record is too long"));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.used = self.used.saturating_add(count);
        self.inner.consume(count);
    }
}
