//! The key of sealed objects, and what each object gets of it: a key of its own, a commitment and a salt
//! (FORMAT F-13, F-15, F-17).

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::{
    Context, Label, Random, Secret,
    aead::{Aead, NONCE_BYTES},
    derive::PreparedKey,
    hash::{keyed_hash, keyed_hash_and_key},
};
use crate::{Error, Result};

/// Bytes of an object's salt.
pub(super) const SALT_BYTES: usize = 24;

/// A key that seals objects: a kind's content key, or one derived from an epoch root or an envelope.
pub struct ObjectKey {
    key: PreparedKey,
    /// Made when something is sealed or opened first, and kept for all of that scope: in most cases, all there is.
    scoped: OnceLock<Scoped>,
    /// Objects that were sealed.
    sealed: AtomicU64,
}

/// The key of one scope (F-13).
struct Scoped {
    /// Any context in that scope.
    context: Context,
    key: Secret<32>,
    /// What salts come from; made when something is sealed first.
    salts: OnceLock<Secret<32>>,
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
        Self { key, scoped: OnceLock::new(), sealed: AtomicU64::new(0) }
    }

    /// Key and commitment of the object with `salt` in `context` (F-13).
    pub(super) fn derive(&self, salt: &[u8; SALT_BYTES], context: &Context) -> ObjectSecrets {
        self.in_scope(context, |scoped| {
            let (commitment, key) = keyed_hash_and_key(&scoped.key, &[salt, context.slot().bytes()]);
            ObjectSecrets { aead: Aead::new(&key), commitment }
        })
    }

    /// A salt that no other object has (F-17): fresh randomness, drawn once for all that this value seals in its first
    /// scope, and how many objects there were before, mixed with the place and the content. So even a random generator
    /// that repeats itself, or a process that goes on twice from one moment, gives two different objects two different
    /// keys (I7, I8).
    pub(super) fn hedged_salt(
        &self,
        random: &mut dyn Random,
        context: &Context,
        content_id: &[u8],
    ) -> Result<[u8; SALT_BYTES]> {
        self.in_scope(context, |scoped| {
            let key = self.salts(scoped, random)?;
            let number = self.sealed.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            let hash = keyed_hash(key, &[&number[..], context.slot().bytes(), content_id].concat());
            hash.first_chunk().copied().ok_or(Error::Internal("salt length"))
        })
    }

    fn in_scope<R>(&self, context: &Context, work: impl FnOnce(&Scoped) -> R) -> R {
        let scoped = || Scoped {
            context: context.clone(),
            key: self.key.derive(Label::OBJECT, &[&context.scope()]),
            salts: OnceLock::new(),
        };
        let kept = self.scoped.get_or_init(scoped);
        if kept.context.has_scope_of(context) { work(kept) } else { work(&scoped()) }
    }

    fn salts<'s>(&self, scoped: &'s Scoped, random: &mut dyn Random) -> Result<&'s Secret<32>> {
        if let Some(salts) = scoped.salts.get() {
            return Ok(salts);
        }
        let fresh: [u8; 32] = random.bytes()?;
        let key = self.key.derive(Label::OBJECT_SALT, &[&fresh, &scoped.context.scope()]);
        Ok(scoped.salts.get_or_init(|| key))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{ObjectType, Place};

    fn key() -> ObjectKey {
        ObjectKey::new(Secret::take(&mut [9; 32]))
    }

    fn contexts() -> Vec<Context> {
        let (a, b) = ([1; 16], [2; 16]);
        let pack = |account, epoch, kind, place| Context::new(account, epoch, ObjectType::Pack, kind, place);
        let mut contexts = vec![
            pack(a, 0, "notes", Place::Object(a)),
            pack(b, 0, "notes", Place::Object(a)),
            pack(a, 1, "notes", Place::Object(a)),
            pack(a, 0, "files", Place::Object(a)),
            pack(a, 0, "", Place::Object(a)),
            pack(a, 0, "notes", Place::Object(b)),
        ];
        contexts.push(Context { object: ObjectType::Index, ..contexts[0].clone() });
        let places = [
            Place::Commit { device: a, sequence: 0 },
            Place::Commit { device: a, sequence: 1 },
            Place::Commit { device: b, sequence: 0 },
            Place::Envelope { locator: a, id: [0; 16] },
            Place::Envelope { locator: a, id: b },
            Place::EnrollRequest(a),
            Place::EnrollAnswer(a),
            Place::EnrollReveal(a),
        ];
        contexts.extend(places.map(|place| pack(a, 0, "notes", place)));
        contexts
    }

    #[test]
    fn each_context_has_a_commitment_of_its_own_whatever_the_key_served_for_before() {
        let mut seen = Vec::new();
        for first in &contexts() {
            let used = key();
            used.derive(&[7; SALT_BYTES], first);
            for (n, context) in contexts().iter().enumerate() {
                let commitment = used.derive(&[7; SALT_BYTES], context).commitment;
                if seen.len() == n {
                    seen.push(commitment);
                }
                assert_eq!(seen.iter().position(|other| *other == commitment), Some(n), "{context:?}");
                assert_ne!(used.derive(&[8; SALT_BYTES], context).commitment, commitment);
            }
        }
        assert_eq!(seen.len(), contexts().len());
    }

    #[test]
    fn salts_differ_by_number_context_and_content_though_randomness_repeats_itself() {
        let mut seen = Vec::new();
        let salt = |key: &ObjectKey, context: &Context, content| {
            key.hedged_salt(&mut crate::crypto::SeededRandom::new(1), context, &[content]).unwrap()
        };
        for context in &contexts() {
            seen.extend([salt(&key(), context, 1), salt(&key(), context, 2)]);
            // In its first scope, and in another one.
            let used = key();
            seen.push(salt(&used, &contexts()[0], 3));
            seen.extend([salt(&used, context, 4), salt(&used, context, 4)]);
        }
        seen.sort_unstable();
        seen.dedup();
        let first_again = contexts().len() - 1;
        assert_eq!(seen.len() + first_again, 5 * contexts().len());
    }
}
