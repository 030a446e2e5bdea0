//! The answer: where a device that was admitted finds its keys, and how new what it finds there must be
//! (FORMAT F-95).

use prost::Message as _;

use super::Anchor;
use crate::{
    Error, Part, Result,
    wire::{decode_strict, messages},
};

/// What the inviting device says to a device that it admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnrollAnswer {
    /// The inviting device's commit that made the new device known.
    pub head: Anchor,
    /// The envelope for the new device, below its locator.
    pub envelope: [u8; 16],
}

impl EnrollAnswer {
    /// An answer.
    #[must_use]
    pub fn new(head: Anchor, envelope: [u8; 16]) -> Self {
        Self { head, envelope }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { head: Anchor { sequence, hash }, envelope } = *self;
        messages::EnrollAnswer { sequence, hash: hash.to_vec(), envelope: envelope.to_vec() }.encode_to_vec()
    }

    pub(super) fn parse(plain: &[u8]) -> Result<Self> {
        let wire: messages::EnrollAnswer = decode_strict(plain, plain.len(), Part::Enrollment)?;
        from_wire(&wire).ok_or(Error::damaged(Part::Enrollment))
    }
}

fn from_wire(wire: &messages::EnrollAnswer) -> Option<EnrollAnswer> {
    let messages::EnrollAnswer { sequence, hash, envelope } = wire;
    let head = Anchor { sequence: *sequence, hash: hash.as_slice().try_into().ok()? };
    (*sequence > 0).then_some(EnrollAnswer { head, envelope: envelope.as_slice().try_into().ok()? })
}
