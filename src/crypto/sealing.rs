//! One object sealed by several threads: its segments in parts, which are sealed one beside the other and then joined.
//!
//! All parts share the object's memory (`bytes::BytesMut` splits and joins without copying).

use std::sync::Arc;

use bytes::BytesMut;

use super::{
    Context,
    object_key::ObjectSecrets,
    pad::{Layout, SEALED_SEGMENT_BYTES},
    seal::{Sealed, seal_segments},
};
use crate::{Error, Result};

/// A part of an object whose segments are plaintext still.
#[must_use = "an object leaves only when all its parts are sealed"]
pub struct OpenPart {
    secrets: Arc<ObjectSecrets>,
    /// The number of its first segment, and of the last of the whole object.
    first: usize,
    last: usize,
    bytes: BytesMut,
}

impl OpenPart {
    /// Seals its segments.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn seal(self) -> Result<SealedPart> {
        let Self { secrets, first, last, mut bytes } = self;
        seal_segments(&secrets, (first, last), &mut bytes)?;
        Ok(SealedPart { of: secrets, bytes })
    }
}

/// A part of an object whose segments are sealed.
pub struct SealedPart {
    of: Arc<ObjectSecrets>,
    bytes: BytesMut,
}

/// An object without its parts, which are somewhere being sealed.
#[must_use = "an object leaves only when all its parts are sealed"]
pub struct Sealing {
    context: Context,
    secrets: Arc<ObjectSecrets>,
    header: BytesMut,
    length: usize,
}

impl Sealing {
    /// Parts of `segments` segments each, at least one; the last may have fewer.
    pub(super) fn split(
        context: Context,
        secrets: ObjectSecrets,
        (mut body, layout): (BytesMut, Layout),
        segments: usize,
    ) -> (Self, Vec<OpenPart>) {
        let length = body.len();
        let header = body.split_to(layout.header().min(body.len()));
        let secrets = Arc::new(secrets);
        let last = layout.segments().saturating_sub(1);
        let segments = segments.max(1);
        let mut parts = Vec::with_capacity(last / segments + 1);
        while !body.is_empty() {
            // The last one has the room behind it too.
            let most = segments.saturating_mul(SEALED_SEGMENT_BYTES);
            let bytes = if body.len() > most { body.split_to(most) } else { std::mem::take(&mut body) };
            parts.push(OpenPart {
                secrets: Arc::clone(&secrets),
                first: parts.len() * segments,
                last,
                bytes,
            });
        }
        (Self { context, secrets, header, length }, parts)
    }

    /// The whole object's length in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Joins all its parts, in order.
    ///
    /// # Errors
    /// [`Error::Internal`] for other parts than its own.
    pub fn join(self, parts: Vec<SealedPart>) -> Result<Sealed> {
        let Self { context, secrets, header: mut bytes, length } = self;
        if parts.is_empty() {
            return Err(FOREIGN);
        }
        for part in parts {
            let joined = Arc::ptr_eq(&part.of, &secrets) && bytes.try_unsplit(part.bytes).is_ok();
            if !joined {
                return Err(FOREIGN);
            }
        }
        if bytes.len() != length {
            return Err(FOREIGN);
        }
        Ok(Sealed::of(context, bytes))
    }
}

const FOREIGN: Error = Error::Internal("parts of a sealed object");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{
        ObjectKey, ObjectType, Place, SealBuffer, SealCounts, SealLog, Secret, SeededRandom,
    };

    fn context() -> Context {
        Context::new([1; 16], 0, ObjectType::Pack, "notes", Place::Object([1; 16]))
    }

    fn buffer(capacity: usize) -> SealBuffer {
        let mut buffer = SealBuffer::with_capacity(capacity);
        buffer.append(&[7; 300_000]);
        buffer
    }

    fn parts(segments: usize, capacity: usize) -> (Sealing, Vec<OpenPart>) {
        let key = ObjectKey::new(Secret::from_slice(&[9; 32]).unwrap());
        let mut random = SeededRandom::new(1);
        buffer(capacity).begin_sealing(&key, context(), (b"id", b"end"), segments, &mut random).unwrap()
    }

    #[test]
    fn an_object_sealed_in_parts_is_the_object_sealed_at_once_in_the_same_memory() {
        let key = ObjectKey::new(Secret::from_slice(&[9; 32]).unwrap());
        let whole = buffer(0).seal(&key, context(), b"id", b"end", &mut SeededRandom::new(1)).unwrap();
        for (segments, count) in [(0, 8), (1, 8), (2, 4), (3, 3), (7, 2), (8, 1), (usize::MAX, 1)] {
            for (capacity, least) in [(300_000, 1 << 19), (3_000_000, 1 << 22)] {
                let log = SealLog::start();
                let (sealing, parts) = parts(segments, capacity);
                assert_eq!(parts.len(), count);
                let place = sealing.header.as_ptr();
                let mut parts: Vec<_> = parts.into_iter().rev().map(|part| part.seal().unwrap()).collect();
                parts.reverse();
                let sealed = sealing.join(parts).unwrap();
                assert!(sealed.bytes() == whole.bytes(), "{segments} segments a part");
                assert_eq!(log.counts(), SealCounts { fresh: 8, same: 0, repeated: 0 });
                let memory = sealed.into_memory();
                assert_eq!((memory.as_ptr(), memory.as_ptr().align_offset(4096)), (place, 0));
                assert!((least..=least + 4096).contains(&memory.capacity()));
            }
        }
    }

    #[test]
    fn nothing_but_all_parts_of_one_object_in_order_makes_an_object() {
        let sealed =
            |parts: Vec<OpenPart>| parts.into_iter().map(|part| part.seal().unwrap()).collect::<Vec<_>>();
        let (sealing, _) = parts(2, 0);
        assert!(sealing.join(Vec::new()).is_err());
        for missing in 0..4 {
            let (sealing, open) = parts(2, 0);
            let mut others = sealed(open);
            others.remove(missing);
            assert!(sealing.join(others).is_err());
        }
        let (sealing, open) = parts(2, 0);
        let mut swapped = sealed(open);
        swapped.swap(0, 1);
        assert!(sealing.join(swapped).is_err());
        let ((sealing, open), (_, others)) = (parts(2, 0), parts(2, 0));
        let mut foreign = sealed(open);
        foreign.splice(3.., sealed(others).into_iter().skip(3));
        assert!(sealing.join(foreign).is_err());
    }
}
