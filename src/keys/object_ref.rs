//! A sealed object by name, as commits and fragments speak of it.

use crate::{
    Error, Part, Result,
    crypto::{Place, Sealed, is_object_length, object_hash},
    wire::messages,
};

/// A sealed object's name, length and hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    id: [u8; 16],
    length: u32,
    hash: [u8; 32],
    epoch: u32,
}

impl ObjectRef {
    /// What names `sealed`; only for objects that lie under 16 random bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] for a commit or an envelope.
    pub fn of(sealed: &Sealed) -> Result<Self> {
        let Place::Object(id) = sealed.context().place else {
            return Err(Error::Internal("only plain objects have references"));
        };
        let length = u32::try_from(sealed.bytes().len()).map_err(|_| Error::Internal("object length"))?;
        Ok(Self { id, length, hash: sealed.hash(), epoch: sealed.context().epoch })
    }

    /// Reads one from the wire.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming `part`.
    pub fn from_wire(wire: &messages::ObjectRef, part: Part) -> Result<Self> {
        let messages::ObjectRef { name, length, hash, epoch } = wire;
        let parsed = (|| {
            usize::try_from(*length).ok().filter(|length| is_object_length(*length))?;
            Some(Self {
                id: name.as_slice().try_into().ok()?,
                length: *length,
                hash: hash.as_slice().try_into().ok()?,
                epoch: *epoch,
            })
        })();
        parsed.ok_or(Error::damaged(part))
    }

    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> messages::ObjectRef {
        messages::ObjectRef {
            name: self.id.to_vec(),
            length: self.length,
            hash: self.hash.to_vec(),
            epoch: self.epoch,
        }
    }

    /// Its 16-byte name.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }

    /// The epoch of the key that opens it.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether `bytes` are this object's.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.length() && object_hash(bytes) == self.hash
    }
}
