//! A record of what was encrypted under which key and nonce, so that a simulation can say that none of them
//! ever served twice (I7). For tests only.
//!
//! It notes at the one call of the cipher, whoever makes it, in every vault of the thread. Keys are not kept:
//! a key is a BLAKE3 key here, and the nonce is hashed under it. Encrypting the same bytes again tells nobody
//! anything, and is what a repeated random generator leads to; other bytes under the same key and nonce are
//! the catastrophe.

use std::{cell::RefCell, collections::BTreeMap};

use super::{Secret, keyed_hash};

thread_local! {
    static LOG: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// By print of key and nonce, the tag that stands for what was encrypted.
#[derive(Default)]
struct Log {
    tags: BTreeMap<[u8; 16], [u8; 16]>,
    counts: SealCounts,
}

/// How often the cipher encrypted, on this thread since [`SealLog::start`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealCounts {
    /// Segments under a key and a nonce that were new together.
    pub fresh: u64,
    /// Segments that were encrypted before, to the very same bytes.
    pub same: u64,
    /// Segments whose key and nonce had encrypted something else: must be none.
    pub repeated: u64,
}

/// A running record of this thread; it ends when dropped.
#[derive(Debug)]
pub struct SealLog(());

impl SealLog {
    /// Begins anew.
    #[must_use]
    pub fn start() -> Self {
        LOG.with_borrow_mut(|log| *log = Some(Log::default()));
        Self(())
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> SealCounts {
        LOG.with_borrow(|log| log.as_ref().map_or_else(SealCounts::default, |log| log.counts))
    }
}

impl Drop for SealLog {
    fn drop(&mut self) {
        LOG.with_borrow_mut(|log| *log = None);
    }
}

/// A key as the log knows it; nothing when no log runs.
pub(super) struct KeyPrint(Option<Secret<32>>);

impl KeyPrint {
    pub(super) fn of(key: &Secret<32>) -> Self {
        Self(LOG.with_borrow(Option::is_some).then(|| key.duplicate()))
    }

    /// Something was encrypted under this key and `nonce`, and got `tag`.
    pub(super) fn note(&self, nonce: &[u8], tag: [u8; 16]) {
        let Some(key) = &self.0 else { return };
        let Some(print) = keyed_hash(key, nonce).first_chunk::<16>().copied() else { return };
        LOG.with_borrow_mut(|log| {
            let Some(Log { tags, counts }) = log else { return };
            match tags.insert(print, tag) {
                None => counts.fresh += 1,
                Some(before) if before == tag => counts.same += 1,
                Some(_) => counts.repeated += 1,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{
        Context, ObjectKey, ObjectType, Place, SealBuffer, SeededRandom, aead::Aead, seal_message,
    };

    fn context(id: u8) -> Context {
        Context {
            account: [1; 16],
            epoch: 0,
            kind: "notes".into(),
            object: ObjectType::Pack,
            place: Place::Object([id; 16]),
        }
    }

    /// Seals a message with a random generator that always begins anew.
    fn seal(id: u8, message: &[u8]) {
        let key = ObjectKey::new(Secret::from_slice(&[9; 32]).unwrap());
        seal_message(&key, context(id), message, &mut SeededRandom::new(1)).unwrap();
    }

    #[test]
    fn attack_i7_a_repeated_random_generator_repeats_no_key_for_other_content_or_another_place() {
        let log = SealLog::start();
        seal(1, b"one");
        seal(1, b"two");
        seal(2, b"one");
        assert_eq!(log.counts(), SealCounts { fresh: 3, same: 0, repeated: 0 });
        seal(1, b"one");
        assert_eq!(log.counts(), SealCounts { fresh: 3, same: 1, repeated: 0 });
    }

    #[test]
    fn attack_i7_one_key_gives_no_salt_twice_for_the_same_message_at_the_same_place() {
        let log = SealLog::start();
        let key = ObjectKey::new(Secret::from_slice(&[9; 32]).unwrap());
        let seal = || seal_message(&key, context(1), b"one", &mut SeededRandom::new(1)).unwrap();
        let (first, second) = (seal(), seal());
        assert_ne!(first.bytes()[8..64], second.bytes()[8..64], "salt and commitment");
        assert_eq!(log.counts(), SealCounts { fresh: 2, same: 0, repeated: 0 });
    }

    #[test]
    fn every_segment_counts_and_a_repeated_nonce_is_noticed() {
        let log = SealLog::start();
        let key = ObjectKey::new(Secret::from_slice(&[9; 32]).unwrap());
        let mut buffer = SealBuffer::with_capacity(300_000);
        buffer.append(&[0; 300_000]);
        buffer.seal(&key, context(1), b"", b"", &mut SeededRandom::new(1)).unwrap();
        let segments = log.counts().fresh;
        assert!(segments >= 5, "{segments}");
        let aead = Aead::new(&Secret::from_slice(&[1; 32]).unwrap());
        for text in [b"one", b"one", b"two"] {
            aead.seal(&[0; 12], &mut text.clone()).unwrap();
        }
        aead.seal(&[1; 12], &mut b"two".to_owned()).unwrap();
        assert_eq!(log.counts(), SealCounts { fresh: segments + 2, same: 1, repeated: 1 });
    }

    #[test]
    fn without_a_log_nothing_is_kept() {
        drop(SealLog::start());
        let aead = Aead::new(&Secret::from_slice(&[1; 32]).unwrap());
        let log = SealLog::start();
        aead.seal(&[0; 12], &mut b"one".to_owned()).unwrap();
        assert_eq!(log.counts(), SealCounts::default(), "the key was made before the log");
    }
}
