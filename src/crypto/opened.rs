//! An object after it was opened. Its plaintext stays where its ciphertext lay, with a gap where each tag was:
//! closing the gaps costs a tenth of what opening costs, and who wants parts does not need it.

use super::pad::SEALED_SEGMENT_BYTES;
use crate::limits::SEGMENT_BYTES;

/// Plaintext of which every tag was right; only an [`Opener`](super::Opener) makes it.
pub struct Opened {
    bytes: Vec<u8>,
    header: usize,
    plain: usize,
}

impl Opened {
    /// Opened segments from `header` on, with `plain` bytes between them.
    pub(super) fn new(bytes: Vec<u8>, header: usize, plain: usize) -> Self {
        Self { bytes, header, plain }
    }

    /// A copy of a part, if it lies within the plaintext.
    #[must_use]
    pub fn read(&self, offset: usize, length: usize) -> Option<Vec<u8>> {
        let within = offset.checked_add(length).is_some_and(|end| end <= self.plain);
        within.then(|| gather(self.bytes.get(self.header..)?, offset, length)).flatten()
    }

    /// All of it, in one piece and the same memory.
    #[must_use]
    pub fn into_plain(mut self) -> Vec<u8> {
        let (mut from, mut to) = (self.header, 0);
        while to < self.plain {
            let length = SEGMENT_BYTES.min(self.plain - to);
            self.bytes.copy_within(from..from + length, to);
            from += SEALED_SEGMENT_BYTES;
            to += length;
        }
        self.bytes.truncate(self.plain);
        self.bytes
    }
}

/// Copies plaintext from segments with room for tags between them.
pub(super) fn gather(segments: &[u8], offset: usize, length: usize) -> Option<Vec<u8>> {
    let end = offset.checked_add(length)?;
    let mut out = Vec::with_capacity(length);
    let mut at = offset;
    while at < end {
        let within = at % SEGMENT_BYTES;
        let now = (SEGMENT_BYTES - within).min(end - at);
        let start = at / SEGMENT_BYTES * SEALED_SEGMENT_BYTES + within;
        out.extend_from_slice(segments.get(start..start + now)?);
        at += now;
    }
    Some(out)
}
