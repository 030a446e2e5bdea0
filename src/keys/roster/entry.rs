//! One entry of the roster: a change and who signs it.

use prost::Message as _;

use crate::{
    Error, Part, Result,
    crypto::VerifyingKey,
    keys::{
        AccountId, DeviceId,
        epoch::RootId,
        recipient::{Recipient, Role},
    },
    limits::DEVICE_NAME_BYTES_MAX,
    wire::messages::{self, roster_entry},
};

/// Who signs an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignerId {
    /// A device of the roster.
    Device(DeviceId),
    /// The holder of the recovery code.
    Recovery,
    /// The holder of password and device secret.
    Password,
}

impl SignerId {
    pub(super) fn to_wire(self) -> Vec<u8> {
        match self {
            Self::Device(id) => id.0.to_vec(),
            Self::Recovery => b"recovery".to_vec(),
            Self::Password => b"password".to_vec(),
        }
    }

    pub(super) fn from_wire(bytes: &[u8]) -> Result<Self> {
        match bytes {
            b"recovery" => Ok(Self::Recovery),
            b"password" => Ok(Self::Password),
            _ => DeviceId::from_slice(bytes).map(Self::Device).ok_or(Error::damaged(Part::Roster)),
        }
    }
}

/// A device as an entry introduces it.
#[derive(Clone)]
pub struct Member {
    /// Its id and pseudonym.
    pub id: DeviceId,
    /// Checks its commits.
    pub signing_key: VerifyingKey,
    /// Where epoch roots are sealed for it.
    pub recipient: Recipient,
    /// As its owner calls it.
    pub name: String,
}

impl Member {
    pub(in crate::keys) fn to_wire(&self) -> messages::AddDevice {
        messages::AddDevice {
            device: self.id.0.to_vec(),
            signing_key: self.signing_key.as_bytes().to_vec(),
            recipient: Some(self.recipient.to_wire()),
            name: self.name.clone(),
        }
    }

    pub(in crate::keys) fn from_wire(wire: &messages::AddDevice) -> Result<Self> {
        let damaged = || Error::damaged(Part::Roster);
        let messages::AddDevice { device, signing_key, recipient, name } = wire;
        if name.len() > DEVICE_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(damaged());
        }
        Ok(Self {
            id: DeviceId::from_slice(device).ok_or_else(damaged)?,
            signing_key: VerifyingKey::from_bytes(signing_key, Part::Roster)?,
            recipient: Recipient::from_wire(recipient.as_ref().ok_or_else(damaged)?, Role::Device)?,
            name: name.clone(),
        })
    }
}

/// What an entry changes.
#[expect(clippy::large_enum_variant, reason = "an account has one genesis; boxing it would hide that")]
#[derive(Clone)]
#[non_exhaustive]
pub enum Change {
    /// The account begins: its first device and its recovery recipient.
    Genesis {
        /// Makes the account id unique.
        salt: [u8; 16],
        /// The first device.
        device: Member,
        /// The recovery code's recipient.
        recovery: Recipient,
        /// The lowest format version that writers must use.
        format_version: u32,
        /// Which root epoch 0 has.
        root_id: RootId,
    },
    /// A device joins.
    AddDevice(Member),
    /// A device is cut off after its commit with this sequence and hash.
    RevokeDevice {
        /// The device.
        device: DeviceId,
        /// Its last accepted commit; 0 when it has none.
        last_sequence: u64,
        /// That commit's hash; zeros when it has none.
        last_hash: [u8; 32],
    },
    /// A new recovery code replaces the one before.
    SetRecovery(Recipient),
    /// A password is set or replaced.
    SetPassword(Recipient),
    /// There is no password any more.
    RemovePassword,
    /// A new epoch begins, with the root that this names.
    BeginEpoch(u32, RootId),
    /// Older formats are refused from here on (V1).
    RequireFormat(u32),
}

impl Change {
    /// The recipient whose holder has to agree, if this change names one.
    pub(super) fn accepting(&self) -> Option<&Recipient> {
        match self {
            Self::Genesis { recovery, .. } => Some(recovery),
            Self::SetRecovery(recipient) | Self::SetPassword(recipient) => Some(recipient),
            _ => None,
        }
    }

    /// What nobody can undo by not knowing of it: a device cut off, a secret replaced.
    pub(super) fn is_cut(&self) -> bool {
        matches!(
            self,
            Self::RevokeDevice { .. } | Self::SetRecovery(_) | Self::SetPassword(_) | Self::RemovePassword
        )
    }

    /// Whether it takes the right to sign away from `signer`.
    pub(super) fn cuts(&self, signer: SignerId) -> bool {
        match (self, signer) {
            (Self::RevokeDevice { device, .. }, SignerId::Device(id)) => *device == id,
            (Self::SetRecovery(_), SignerId::Recovery) => true,
            (Self::SetPassword(_) | Self::RemovePassword, SignerId::Password) => true,
            _ => false,
        }
    }

    pub(super) fn to_wire(&self) -> roster_entry::Change {
        match self {
            Self::Genesis { .. } => roster_entry::Change::Genesis(self.genesis_to_wire()),
            Self::AddDevice(member) => roster_entry::Change::AddDevice(member.to_wire()),
            Self::RevokeDevice { device, last_sequence, last_hash } => {
                roster_entry::Change::RevokeDevice(messages::RevokeDevice {
                    device: device.0.to_vec(),
                    last_sequence: *last_sequence,
                    last_hash: last_hash.to_vec(),
                })
            }
            Self::SetRecovery(recipient) => roster_entry::Change::SetRecovery(recipient.to_wire()),
            Self::SetPassword(recipient) => roster_entry::Change::SetPassword(recipient.to_wire()),
            Self::RemovePassword => roster_entry::Change::RemovePassword(messages::RemovePassword {}),
            Self::BeginEpoch(epoch, root_id) => {
                let root_id = root_id.to_vec();
                roster_entry::Change::BeginEpoch(messages::BeginEpoch { epoch: *epoch, root_id })
            }
            Self::RequireFormat(format_version) => {
                roster_entry::Change::RequireFormat(messages::RequireFormat {
                    format_version: *format_version,
                })
            }
        }
    }

    fn genesis_to_wire(&self) -> messages::Genesis {
        match self {
            Self::Genesis { salt, device, recovery, format_version, root_id } => messages::Genesis {
                format_version: *format_version,
                device: Some(device.to_wire()),
                recovery: Some(recovery.to_wire()),
                salt: salt.to_vec(),
                root_id: root_id.to_vec(),
            },
            _ => messages::Genesis::default(),
        }
    }

    /// The account that this genesis begins: a hash of all its keys.
    pub(super) fn account(&self) -> AccountId {
        let genesis = self.genesis_to_wire().encode_to_vec();
        let hash = crate::crypto::labelled_hash(crate::crypto::Label::ACCOUNT, &[&genesis]);
        let mut id = [0; 16];
        id.iter_mut().zip(hash).for_each(|(target, source)| *target = source);
        AccountId(id)
    }

    pub(super) fn from_wire(wire: &roster_entry::Change) -> Result<Self> {
        let damaged = || Error::damaged(Part::Roster);
        Ok(match wire {
            roster_entry::Change::Genesis(wire) => {
                let messages::Genesis { format_version, device, recovery, salt, root_id } = wire;
                Self::Genesis {
                    salt: salt.as_slice().try_into().map_err(|_| damaged())?,
                    device: Member::from_wire(device.as_ref().ok_or_else(damaged)?)?,
                    recovery: Recipient::from_wire(recovery.as_ref().ok_or_else(damaged)?, Role::Recovery)?,
                    format_version: *format_version,
                    root_id: root_id.as_slice().try_into().map_err(|_| damaged())?,
                }
            }
            roster_entry::Change::AddDevice(wire) => Self::AddDevice(Member::from_wire(wire)?),
            roster_entry::Change::RevokeDevice(wire) => {
                let messages::RevokeDevice { device, last_sequence, last_hash } = wire;
                Self::RevokeDevice {
                    device: DeviceId::from_slice(device).ok_or_else(damaged)?,
                    last_sequence: *last_sequence,
                    last_hash: last_hash.as_slice().try_into().map_err(|_| damaged())?,
                }
            }
            roster_entry::Change::SetRecovery(wire) => {
                Self::SetRecovery(Recipient::from_wire(wire, Role::Recovery)?)
            }
            roster_entry::Change::SetPassword(wire) => {
                Self::SetPassword(Recipient::from_wire(wire, Role::Password)?)
            }
            roster_entry::Change::RemovePassword(messages::RemovePassword {}) => Self::RemovePassword,
            roster_entry::Change::BeginEpoch(wire) => {
                Self::BeginEpoch(wire.epoch, wire.root_id.as_slice().try_into().map_err(|_| damaged())?)
            }
            roster_entry::Change::RequireFormat(wire) => Self::RequireFormat(wire.format_version),
        })
    }
}
