//! The key of sealed objects, and what each object gets of it: a key of its own, a commitment and a salt
//! (FORMAT F-13, F-15, F-17).

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::{
    Label, Random, Secret,
    aead::{Aead, NONCE_BYTES},
    derive::PreparedKey,
    keyed_hash,
};
use crate::{Error, Result};

/// A key that seals objects: a kind's content key, or one derived from an epoch root or an envelope.
pub struct ObjectKey {
    key: PreparedKey,
    /// Made when something is sealed first.
    salts: OnceLock<Salts>,
}

/// What the salts of the objects come from that one [`ObjectKey`] seals.
struct Salts {
    key: Secret<32>,
    count: AtomicU64,
}

impl ObjectKey {
    /// Takes a uniformly random or derived key over.
    #[must_use]
    pub fn new(key: Secret<32>) -> Self {
        Self::of(PreparedKey::new(&key))
    }

    /// A second copy for another owner.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::of(self.key.duplicate())
    }

    fn of(key: PreparedKey) -> Self {
        Self { key, salts: OnceLock::new() }
    }

    /// Key and commitment of the object with `salt` in the encoded `context` (F-13).
    pub(super) fn derive(&self, salt: &[u8], context: &[u8]) -> ObjectSecrets {
        let okm: Secret<64> = self.key.derive(Label::OBJECT, &[salt, context]);
        let (mut key, mut commitment) = (Secret::zeroed(), [0; 32]);
        let (first, second) = okm.expose().split_at(32);
        key.expose_mut().copy_from_slice(first);
        commitment.copy_from_slice(second);
        ObjectSecrets { aead: Aead::new(&key), commitment }
    }

    /// A salt that no other object has (F-17): fresh randomness, drawn once for all that this value seals, and
    /// how many there were before, mixed with the place and the content. So even a random generator that repeats
    /// itself, or a process that goes on twice from one moment, gives two different objects two different keys
    /// (I7, I8).
    pub(super) fn hedged_salt(
        &self,
        random: &mut dyn Random,
        context: &[u8],
        content_id: &[u8],
    ) -> Result<[u8; 24]> {
        let Salts { key, count } = self.salts(random)?;
        let number = count.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        let context_length = u8::try_from(context.len()).map_err(|_| Error::Internal("context length"))?;
        let hash = keyed_hash(key, &[&number, &[context_length][..], context, content_id].concat());
        let mut salt = [0; 24];
        salt.iter_mut().zip(hash).for_each(|(target, source)| *target = source);
        Ok(salt)
    }

    fn salts(&self, random: &mut dyn Random) -> Result<&Salts> {
        if let Some(salts) = self.salts.get() {
            return Ok(salts);
        }
        let fresh: [u8; 32] = random.bytes()?;
        let key = self.key.derive(Label::OBJECT_SALT, &[&fresh]);
        Ok(self.salts.get_or_init(|| Salts { key, count: AtomicU64::new(0) }))
    }
}

/// What an object is sealed with.
pub(super) struct ObjectSecrets {
    pub(super) aead: Aead,
    pub(super) commitment: [u8; 32],
}

/// Segment counter and last flag: the key is this object's alone, so nothing else is needed (F-15).
pub(super) fn nonce(index: usize, last: bool) -> Result<[u8; NONCE_BYTES]> {
    let counter = u64::try_from(index).map_err(|_| Error::Internal("segment counter"))?;
    let mut nonce = [0; NONCE_BYTES];
    let position = counter.to_le_bytes().into_iter().chain([0, 0, 0, u8::from(last)]);
    nonce.iter_mut().zip(position).for_each(|(byte, value)| *byte = value);
    Ok(nonce)
}
