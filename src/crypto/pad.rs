//! The ten lengths, and where plaintext lies in an object (FORMAT F-11, F-14).
//!
//! An object is a header, then segments of 64 KiB plaintext with a 16-byte tag each; the last segment is
//! shorter. Its length is one of ten, so nothing smaller than a factor of two shows (L3).

use super::aead::TAG_BYTES;
use crate::{
    Error, Part, Result,
    limits::{OBJECT_BYTES_MAX, OBJECT_BYTES_MIN, OBJECT_LENGTHS, SEGMENT_BYTES},
};

/// Bytes of a sealed segment that is full.
pub(crate) const SEALED_SEGMENT_BYTES: usize = SEGMENT_BYTES + TAG_BYTES;

/// The ten lengths a stored object may have, ascending.
#[must_use]
pub fn object_lengths() -> [usize; OBJECT_LENGTHS] {
    std::array::from_fn(|power| OBJECT_BYTES_MIN << power)
}

/// Whether a stored object may have this length.
#[must_use]
pub fn is_object_length(length: usize) -> bool {
    (OBJECT_BYTES_MIN..=OBJECT_BYTES_MAX).contains(&length) && length.is_power_of_two()
}

/// The segments of one object: header of `header` bytes, `length` bytes in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    header: usize,
    length: usize,
}

impl Layout {
    pub(crate) fn new(header: usize, length: usize) -> Result<Self> {
        if is_object_length(length) && header + TAG_BYTES < OBJECT_BYTES_MIN {
            Ok(Self { header, length })
        } else {
            Err(Error::damaged(Part::Object))
        }
    }

    /// The shortest object that holds `plain` bytes.
    pub(crate) fn fitting(header: usize, plain: usize) -> Result<Self> {
        object_lengths()
            .into_iter()
            .filter_map(|length| Self::new(header, length).ok())
            .find(|layout| layout.capacity() >= plain)
            .ok_or(Error::Internal("more plaintext than the longest object holds"))
    }

    pub(crate) fn length(self) -> usize {
        self.length
    }

    pub(crate) fn header(self) -> usize {
        self.header
    }

    pub(crate) fn segments(self) -> usize {
        (self.length - self.header).div_ceil(SEALED_SEGMENT_BYTES)
    }

    /// Plaintext bytes that the object holds, padding included.
    pub(crate) fn capacity(self) -> usize {
        self.length - self.header - self.segments() * TAG_BYTES
    }

    /// Where sealed segment `index` begins in the object, and its length with the tag.
    pub(crate) fn segment(self, index: usize) -> Option<(usize, usize)> {
        let start = self.header + index.checked_mul(SEALED_SEGMENT_BYTES)?;
        (index < self.segments()).then(|| (start, SEALED_SEGMENT_BYTES.min(self.length - start)))
    }

    /// The segments that hold `length` plaintext bytes from `offset`.
    pub(crate) fn covering(self, offset: usize, length: usize) -> Option<std::ops::Range<usize>> {
        let end = offset.checked_add(length).filter(|end| *end <= self.capacity())?;
        Some(offset / SEGMENT_BYTES..end.div_ceil(SEGMENT_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_l3_there_are_ten_lengths_and_no_other() {
        assert_eq!(object_lengths().first(), Some(&16_384));
        assert_eq!(object_lengths().last(), Some(&8_388_608));
        assert_eq!((0..=9 * 1024 * 1024).filter(|length| is_object_length(*length)).count(), 10);
    }

    #[test]
    fn every_layout_adds_up_and_its_last_segment_is_short_but_not_empty() {
        for header in [64, 1228] {
            for length in object_lengths() {
                let layout = Layout::new(header, length).unwrap();
                let (start, bytes) = layout.segment(layout.segments() - 1).unwrap();
                assert_eq!(start + bytes, length);
                assert!(bytes > TAG_BYTES && bytes < SEALED_SEGMENT_BYTES);
                assert_eq!((layout.segments() - 1) * SEGMENT_BYTES + bytes - TAG_BYTES, layout.capacity());
                assert_eq!(layout.segment(layout.segments()), None);
                assert_eq!(Layout::fitting(header, layout.capacity()).unwrap(), layout);
                assert_eq!(layout.covering(0, layout.capacity()), Some(0..layout.segments()));
                assert_eq!(layout.covering(1, layout.capacity()), None);
            }
        }
        assert!(Layout::fitting(64, 8_386_497).is_err());
        assert_eq!(Layout::fitting(64, 8_386_496).unwrap().length(), OBJECT_BYTES_MAX);
    }
}
