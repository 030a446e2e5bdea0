//! The keyring: for each kind random keys that name its chunks, place its cuts and seal its content.
//!
//! Kind keys are random, never derived: only a random key can be destroyed.

use prost::Message as _;
use zeroize::Zeroize as _;

use super::{AccountId, EpochRoot, ObjectRef};
use crate::{
    Error, Part, Result,
    crypto::{Context, ObjectKey, ObjectType, Place, Random, Sealed, Secret, open_message, seal_message},
    limits,
    wire::{decode_strict, messages},
};

/// The keys of one kind.
pub struct KindKeys {
    kind: String,
    chunk_id: Secret<32>,
    chunk_cut: Secret<32>,
    content: Vec<(u32, Secret<32>)>,
}

impl KindKeys {
    fn generate(kind: &str, epoch: u32, random: &mut dyn Random) -> Result<Self> {
        Ok(Self {
            kind: kind.to_owned(),
            chunk_id: Secret::generate(random)?,
            chunk_cut: Secret::generate(random)?,
            content: vec![(epoch, Secret::generate(random)?)],
        })
    }

    /// Names chunks.
    #[must_use]
    pub fn chunk_id_key(&self) -> &Secret<32> {
        &self.chunk_id
    }

    /// Places cuts and page borders.
    #[must_use]
    pub fn chunk_cut_key(&self) -> &Secret<32> {
        &self.chunk_cut
    }

    /// Opens the packs and index fragments of `epoch`.
    #[must_use]
    pub fn content_key(&self, epoch: u32) -> Option<ObjectKey> {
        let (_, key) = self.content.iter().find(|(of, _)| *of == epoch)?;
        Some(ObjectKey::new(key.duplicate()))
    }

    /// The newest epoch's content key, which seals what is written now.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is none, which parsing excludes.
    pub fn newest(&self) -> Result<(u32, ObjectKey)> {
        let (epoch, key) = self.content.last().ok_or(Error::Internal("a kind without content keys"))?;
        Ok((*epoch, ObjectKey::new(key.duplicate())))
    }

    /// The epochs it has content keys of, ascending.
    pub fn epochs(&self) -> impl Iterator<Item = u32> {
        self.content.iter().map(|(epoch, _)| *epoch)
    }
}

/// All kinds' keys, in one version.
pub struct Keyring {
    account: AccountId,
    version: u64,
    kinds: Vec<KindKeys>,
}

impl Keyring {
    /// The first keyring, with fresh keys for each of `kinds`.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(account: AccountId, kinds: &[&str], random: &mut dyn Random) -> Result<Self> {
        let kinds = kinds.iter().map(|kind| KindKeys::generate(kind, 0, random)).collect::<Result<_>>()?;
        Ok(Self { account, version: 1, kinds })
    }

    /// Its version, from 1; it never goes down.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The keys of a kind.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the kind has none: never, or erased.
    pub fn kind(&self, kind: &str) -> Result<&KindKeys> {
        self.kinds.iter().find(|keys| keys.kind == kind).ok_or(Error::NotFound("keys of this kind"))
    }

    /// The next version, with a fresh content key for each kind, for what is written from `epoch` on.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn begin_epoch(&mut self, epoch: u32, random: &mut dyn Random) -> Result<()> {
        for keys in &mut self.kinds {
            keys.content.push((epoch, Secret::generate(random)?));
        }
        self.version += 1;
        Ok(())
    }

    /// Seals it under an epoch root.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn seal(&self, root: &EpochRoot, random: &mut dyn Random) -> Result<(ObjectRef, Sealed)> {
        let mut wire = self.to_wire();
        let mut bytes = wire.encode_to_vec();
        wipe(&mut wire);
        let context = context(self.account, root.epoch(), random.bytes()?);
        let sealed = seal_message(&root.keyring_key(self.account), context, &bytes, random);
        bytes.zeroize();
        let sealed = sealed?;
        Ok((ObjectRef::of(&sealed)?, sealed))
    }

    /// Opens what `reference` names.
    ///
    /// # Errors
    /// [`Error::Damaged`] for whatever reason (K1, K2).
    pub fn open(account: AccountId, root: &EpochRoot, reference: &ObjectRef, bytes: Vec<u8>) -> Result<Self> {
        let damaged = || Error::damaged(Part::Keyring);
        if !reference.matches(&bytes) {
            return Err(damaged());
        }
        let context = context(account, root.epoch(), reference.id());
        let mut plain = open_message(&root.keyring_key(account), &context, bytes)
            .map_err(Error::while_opening(Part::Keyring))?;
        let wire = decode_strict(&plain, limits::OBJECT_BYTES_MAX, Part::Keyring);
        plain.zeroize();
        let mut wire: messages::Keyring = wire?;
        let keyring = Self::from_wire(&wire, account);
        wipe(&mut wire);
        keyring.ok_or_else(damaged)
    }

    /// Reads an authenticated keyring; every field must be there, whole and in order (K2).
    #[must_use]
    pub fn from_wire(wire: &messages::Keyring, account: AccountId) -> Option<Self> {
        let messages::Keyring { account: of, version, kinds } = wire;
        if *of != account.0 || *version == 0 || kinds.len() > limits::KINDS_MAX {
            return None;
        }
        let kinds = kinds.iter().map(kind_from_wire).collect::<Option<Vec<_>>>()?;
        let ascending = kinds.windows(2).all(|pair| matches!(pair, [a, b] if a.kind < b.kind));
        ascending.then_some(Self { account, version: *version, kinds })
    }

    fn to_wire(&self) -> messages::Keyring {
        let mut kinds: Vec<_> = self
            .kinds
            .iter()
            .map(|keys| messages::KindKeys {
                kind: keys.kind.clone(),
                chunk_id_key: keys.chunk_id.expose().to_vec(),
                chunk_cut_key: keys.chunk_cut.expose().to_vec(),
                content_keys: keys
                    .content
                    .iter()
                    .map(|(epoch, key)| messages::ContentKey { epoch: *epoch, key: key.expose().to_vec() })
                    .collect(),
            })
            .collect();
        kinds.sort_by(|a, b| a.kind.cmp(&b.kind));
        messages::Keyring { account: self.account.0.to_vec(), version: self.version, kinds }
    }
}

fn kind_from_wire(wire: &messages::KindKeys) -> Option<KindKeys> {
    let messages::KindKeys { kind, chunk_id_key, chunk_cut_key, content_keys } = wire;
    if kind.is_empty() || kind.len() > limits::KIND_BYTES_MAX || content_keys.len() > limits::EPOCHS_MAX {
        return None;
    }
    let content = content_keys
        .iter()
        .map(|messages::ContentKey { epoch, key }| Some((*epoch, key_from_wire(key)?)))
        .collect::<Option<Vec<_>>>()?;
    let ascending = content.windows(2).all(|pair| matches!(pair, [a, b] if a.0 < b.0));
    (ascending && !content.is_empty()).then_some(KindKeys {
        kind: kind.clone(),
        chunk_id: key_from_wire(chunk_id_key)?,
        chunk_cut: key_from_wire(chunk_cut_key)?,
        content,
    })
}

/// Exactly 32 bytes, not all zero.
fn key_from_wire(bytes: &[u8]) -> Option<Secret<32>> {
    Secret::from_slice(bytes).filter(|key| key.expose().iter().any(|byte| *byte != 0))
}

fn context(account: AccountId, epoch: u32, id: [u8; 16]) -> Context {
    Context::new(account.0, epoch, ObjectType::Keyring, "", Place::Object(id))
}

fn wipe(wire: &mut messages::Keyring) {
    for kind in &mut wire.kinds {
        kind.chunk_id_key.zeroize();
        kind.chunk_cut_key.zeroize();
        kind.content_keys.iter_mut().for_each(|content| content.key.zeroize());
    }
}
