//! The keyring: for each kind random keys that seal its content, one an epoch.
//!
//! Content keys are random, never derived: only a random key can be destroyed. What names chunks and places
//! cuts is derived from one random naming key, so that two devices that begin a kind at once agree; ids and
//! cuts are seen only inside what the content keys seal.

use prost::Message as _;
use zeroize::Zeroize as _;

use super::{AccountId, EpochRoot, EpochRoots, ObjectRef, epoch::RootId};
use crate::{
    Error, Part, Result,
    crypto::{
        Context, Label, ObjectKey, ObjectType, Place, Random, Sealed, Secret, derive_from_key, open_message,
        seal_message,
    },
    limits,
    wire::{decode_strict, messages},
};

/// One epoch's content key of a kind.
struct ContentKey {
    epoch: u32,
    root_id: RootId,
    key: Secret<32>,
}

impl ContentKey {
    fn generate(root: &EpochRoot, random: &mut dyn Random) -> Result<Self> {
        Ok(Self { epoch: root.epoch(), root_id: root.id(), key: Secret::generate(random)? })
    }

    fn place(&self) -> (u32, RootId, &[u8; 32]) {
        (self.epoch, self.root_id, self.key.expose())
    }

    fn duplicate(&self) -> Self {
        Self { epoch: self.epoch, root_id: self.root_id, key: self.key.duplicate() }
    }
}

/// The keys of one kind.
pub struct KindKeys {
    kind: String,
    chunk_id: Secret<32>,
    chunk_cut: Secret<32>,
    content: Vec<ContentKey>,
}

impl KindKeys {
    fn new(naming: &Secret<32>, kind: &str, content: Vec<ContentKey>) -> Self {
        let derive = |label| derive_from_key(naming, label, &[kind.as_bytes()]);
        let (chunk_id, chunk_cut) = (derive(Label::NAMING_CHUNK_ID), derive(Label::NAMING_CHUNK_CUT));
        Self { kind: kind.to_owned(), chunk_id, chunk_cut, content }
    }

    /// A second copy for another owner.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            chunk_id: self.chunk_id.duplicate(),
            chunk_cut: self.chunk_cut.duplicate(),
            content: self.content.iter().map(ContentKey::duplicate).collect(),
        }
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

    /// What may open the packs and index fragments of `epoch`: one key, or several when devices began it at
    /// once (D10).
    pub fn content_keys(&self, epoch: u32) -> impl Iterator<Item = ObjectKey> {
        let of_epoch = self.content.iter().filter(move |content| content.epoch == epoch);
        of_epoch.map(|content| ObjectKey::new(content.key.duplicate()))
    }

    /// The content key that seals what is written in the current epoch.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the kind has none for it.
    pub fn writing_key(&self, (epoch, root_id): (u32, RootId)) -> Result<ObjectKey> {
        let mut found = self.content.iter().filter(|key| (key.epoch, key.root_id) == (epoch, root_id));
        let key = found.next_back().ok_or(Error::NotFound("a content key for this epoch"))?;
        Ok(ObjectKey::new(key.key.duplicate()))
    }

    fn add(&mut self, key: ContentKey) {
        if let Err(place) = self.content.binary_search_by(|known| known.place().cmp(&key.place())) {
            self.content.insert(place, key);
        }
    }
}

/// All kinds' keys, in one version.
pub struct Keyring {
    account: AccountId,
    version: u64,
    naming: Secret<32>,
    kinds: Vec<KindKeys>,
}

impl Keyring {
    /// The first keyring, with fresh keys for each of `kinds`, for what is written under `root`.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(
        account: AccountId,
        kinds: &[&str],
        root: &EpochRoot,
        random: &mut dyn Random,
    ) -> Result<Self> {
        let naming = Secret::generate(random)?;
        let mut keyring = Self { account, version: 1, naming, kinds: Vec::new() };
        for kind in kinds {
            keyring.add_kind(kind, root, random)?;
        }
        keyring.version = 1;
        Ok(keyring)
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

    /// The kinds that have keys.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(|keys| keys.kind.as_str())
    }

    /// The next version, with keys for one more kind.
    ///
    /// # Errors
    /// [`Error::Randomness`]; [`Error::InvalidArgument`] when there are too many kinds.
    pub fn add_kind(&mut self, kind: &str, root: &EpochRoot, random: &mut dyn Random) -> Result<()> {
        if self.kinds.len() >= limits::KINDS_MAX {
            return Err(Error::InvalidArgument("too many kinds of data"));
        }
        let keys = KindKeys::new(&self.naming, kind, vec![ContentKey::generate(root, random)?]);
        let place = self.kinds.partition_point(|known| known.kind.as_str() < kind);
        self.kinds.insert(place, keys);
        self.version += 1;
        Ok(())
    }

    /// Makes sure that each kind has a content key for what is written under `root`; says whether one was
    /// missing, which makes this the next version.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn complete(&mut self, root: &EpochRoot, random: &mut dyn Random) -> Result<bool> {
        let mut grown = false;
        for keys in &mut self.kinds {
            if keys.writing_key((root.epoch(), root.id())).is_err() {
                keys.add(ContentKey::generate(root, random)?);
                grown = true;
            }
        }
        self.version += u64::from(grown);
        Ok(grown)
    }

    /// Takes over every key of `other`, which another device wrote. What both have is one keyring with
    /// everything, above both versions unless it is one of the two (D10).
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not of the same account or has another naming key.
    pub fn unite(&mut self, other: Self) -> Result<()> {
        let same_naming = bool::from(subtle::ConstantTimeEq::ct_eq(&self.naming, &other.naming));
        if self.account != other.account || !same_naming {
            return Err(Error::damaged(Part::Keyring));
        }
        let (has, others) = (self.size(), other.size());
        let newer = self.version.max(other.version);
        for keys in other.kinds {
            match self.kinds.iter_mut().find(|known| known.kind == keys.kind) {
                Some(known) => keys.content.into_iter().for_each(|key| known.add(key)),
                None => self.kinds.push(keys),
            }
        }
        self.kinds.sort_by(|a, b| a.kind.cmp(&b.kind));
        let united = self.size();
        self.version = match (united == has, united == others) {
            (true, true) => newer,
            (true, false) if self.version > other.version => self.version,
            (false, true) if other.version > self.version => other.version,
            _ => newer + 1,
        };
        Ok(())
    }

    /// How many kinds and content keys it has.
    fn size(&self) -> (usize, usize) {
        (self.kinds.len(), self.kinds.iter().map(|keys| keys.content.len()).sum())
    }

    /// Whether both hold exactly the same keys.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let places = |keyring: &Self| -> Vec<_> {
            let of = |keys: &KindKeys| -> Vec<_> {
                keys.content.iter().map(|key| (keys.kind.clone(), key.epoch, key.root_id)).collect()
            };
            keyring.kinds.iter().flat_map(of).collect()
        };
        self.version == other.version && self.size() == other.size() && places(self) == places(other)
    }

    /// A second copy, named so that it can be found.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            account: self.account,
            version: self.version,
            naming: self.naming.duplicate(),
            kinds: self.kinds.iter().map(KindKeys::duplicate).collect(),
        }
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
    pub fn open(
        account: AccountId,
        roots: &EpochRoots,
        reference: &ObjectRef,
        bytes: Vec<u8>,
    ) -> Result<Self> {
        if !reference.matches(&bytes) {
            return Err(Error::damaged(Part::Keyring));
        }
        let context = context(account, reference.epoch(), reference.id());
        let keys = roots.of(reference.epoch()).map(|root| root.keyring_key(account));
        let mut plain = super::open_with_any(keys, bytes, |key, bytes| open_message(key, &context, bytes))
            .map_err(Error::while_opening(Part::Keyring))?;
        let wire = decode_strict(&plain, limits::OBJECT_BYTES_MAX, Part::Keyring);
        plain.zeroize();
        let mut wire: messages::Keyring = wire?;
        Self::take_wire(&mut wire, account).ok_or(Error::damaged(Part::Keyring))
    }

    /// Reads an authenticated keyring and wipes the wire form; every field must be there, whole and in
    /// order (K2).
    #[must_use]
    pub fn take_wire(wire: &mut messages::Keyring, account: AccountId) -> Option<Self> {
        let keyring = Self::from_wire(wire, account);
        wipe(wire);
        keyring
    }

    fn from_wire(wire: &messages::Keyring, account: AccountId) -> Option<Self> {
        let messages::Keyring { account: of, version, naming_key, kinds } = wire;
        if *of != account.0 || *version == 0 || kinds.len() > limits::KINDS_MAX {
            return None;
        }
        let naming = key_from_wire(naming_key)?;
        let kinds: Vec<_> = kinds.iter().map(|kind| kind_from_wire(kind, &naming)).collect::<Option<_>>()?;
        let ascending = kinds.windows(2).all(|pair| matches!(pair, [a, b] if a.kind < b.kind));
        ascending.then_some(Self { account, version: *version, naming, kinds })
    }

    /// The wire form; the caller wipes it.
    #[must_use]
    pub fn to_wire(&self) -> messages::Keyring {
        let content = |content: &ContentKey| messages::ContentKey {
            epoch: content.epoch,
            root_id: content.root_id.to_vec(),
            key: content.key.expose().to_vec(),
        };
        let kind = |keys: &KindKeys| messages::KindKeys {
            kind: keys.kind.clone(),
            content_keys: keys.content.iter().map(content).collect(),
        };
        messages::Keyring {
            account: self.account.0.to_vec(),
            version: self.version,
            naming_key: self.naming.expose().to_vec(),
            kinds: self.kinds.iter().map(kind).collect(),
        }
    }
}

fn kind_from_wire(wire: &messages::KindKeys, naming: &Secret<32>) -> Option<KindKeys> {
    let messages::KindKeys { kind, content_keys } = wire;
    if kind.is_empty() || kind.len() > limits::KIND_BYTES_MAX || content_keys.len() > limits::EPOCHS_MAX {
        return None;
    }
    let content = |wire: &messages::ContentKey| {
        let messages::ContentKey { epoch, root_id, key } = wire;
        let root_id = root_id.as_slice().try_into().ok()?;
        Some(ContentKey { epoch: *epoch, root_id, key: key_from_wire(key)? })
    };
    let content: Vec<_> = content_keys.iter().map(content).collect::<Option<_>>()?;
    let ascending = content.windows(2).all(|pair| matches!(pair, [a, b] if a.place() < b.place()));
    (ascending && !content.is_empty()).then(|| KindKeys::new(naming, kind, content))
}

/// Exactly 32 bytes, not all zero.
fn key_from_wire(bytes: &[u8]) -> Option<Secret<32>> {
    Secret::from_slice(bytes).filter(|key| key.expose().iter().any(|byte| *byte != 0))
}

fn context(account: AccountId, epoch: u32, id: [u8; 16]) -> Context {
    Context::new(account.0, epoch, ObjectType::Keyring, "", Place::Object(id))
}

/// Wipes the keys of a wire form.
pub(crate) fn wipe(wire: &mut messages::Keyring) {
    wire.naming_key.zeroize();
    for kind in &mut wire.kinds {
        kind.content_keys.iter_mut().for_each(|content| content.key.zeroize());
    }
}
