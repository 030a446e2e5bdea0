//! What a chain of entries adds up to.

use super::entry::{Change, Member, SignerId};
use crate::{
    Error, Part, Result,
    crypto::{FORMAT_VERSION, VerifyingKey},
    keys::{DeviceId, recipient::Recipient},
    limits::DEVICES_MAX,
};

/// A device as the roster knows it.
#[derive(Clone)]
pub struct Device {
    member: Member,
    state: DeviceState,
}

/// Whether a device may still speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceState {
    /// It reads and writes.
    Active,
    /// Commits after this one are refused (D6).
    Revoked {
        /// Its last accepted commit.
        last_sequence: u64,
        /// That commit's hash.
        last_hash: [u8; 32],
    },
}

impl Device {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        self.member.id
    }

    /// Checks its commits.
    #[must_use]
    pub fn signing_key(&self) -> &VerifyingKey {
        &self.member.signing_key
    }

    /// Where epoch roots are sealed for it.
    #[must_use]
    pub fn recipient(&self) -> &Recipient {
        &self.member.recipient
    }

    /// As its owner calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.member.name
    }

    /// Whether it may still speak.
    #[must_use]
    pub fn state(&self) -> DeviceState {
        self.state
    }

    fn is_active(&self) -> bool {
        self.state == DeviceState::Active
    }
}

/// The account's members after the last entry.
#[derive(Clone)]
pub struct RosterState {
    devices: Vec<Device>,
    recovery: Recipient,
    password: Option<Recipient>,
    epoch: u32,
    format_version: u32,
}

impl RosterState {
    pub(super) fn begin(change: &Change) -> Result<Self> {
        match change {
            Change::Genesis { device, recovery, format_version, .. } => {
                check_format(*format_version)?;
                Ok(Self {
                    devices: vec![Device { member: device.clone(), state: DeviceState::Active }],
                    recovery: recovery.clone(),
                    password: None,
                    epoch: 0,
                    format_version: *format_version,
                })
            }
            _ => Err(Error::damaged(Part::Roster)),
        }
    }

    /// Every device there ever was.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// A device by id.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.iter().find(|device| device.id() == id)
    }

    /// The recovery code's recipient.
    #[must_use]
    pub fn recovery(&self) -> &Recipient {
        &self.recovery
    }

    /// The password's recipient, if one is set.
    #[must_use]
    pub fn password(&self) -> Option<&Recipient> {
        self.password.as_ref()
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The lowest format version that may still be written or read.
    #[must_use]
    pub fn format_version(&self) -> u32 {
        self.format_version
    }

    /// Everybody that an epoch root has to be sealed to, and nobody else (K12).
    pub fn recipients(&self) -> impl Iterator<Item = &Recipient> {
        let devices = self.devices.iter().filter(|device| device.is_active()).map(Device::recipient);
        devices.chain([&self.recovery]).chain(&self.password)
    }

    /// The key that checks a signer's entries, if it may sign now.
    pub(super) fn signing_key(&self, signer: SignerId) -> Option<&VerifyingKey> {
        match signer {
            SignerId::Device(id) => {
                self.device(id).filter(|device| device.is_active()).map(Device::signing_key)
            }
            SignerId::Recovery => self.recovery.signing_key(),
            SignerId::Password => self.password.as_ref().and_then(Recipient::signing_key),
        }
    }

    /// Applies a later entry. Codes and passwords may only add their holder's new device.
    pub(super) fn apply(&mut self, signer: SignerId, change: Change) -> Result<()> {
        let damaged = Error::damaged(Part::Roster);
        let by_device = matches!(signer, SignerId::Device(_));
        match change {
            Change::AddDevice(member) if self.may_add(&member) => {
                self.devices.push(Device { member, state: DeviceState::Active });
            }
            Change::RevokeDevice { device, last_sequence, last_hash } if by_device => {
                let device = self.devices.iter_mut().find(|known| known.id() == device && known.is_active());
                device.ok_or(damaged)?.state = DeviceState::Revoked { last_sequence, last_hash };
            }
            Change::SetRecovery(recipient) if by_device => self.recovery = recipient,
            Change::SetPassword(recipient) if by_device => self.password = Some(recipient),
            Change::RemovePassword if by_device && self.password.is_some() => self.password = None,
            Change::BeginEpoch(epoch) if by_device && self.epoch.checked_add(1) == Some(epoch) => {
                self.epoch = epoch;
            }
            Change::RequireFormat(version) if by_device && version > self.format_version => {
                check_format(version)?;
                self.format_version = version;
            }
            _ => return Err(damaged),
        }
        Ok(())
    }

    fn may_add(&self, member: &Member) -> bool {
        self.devices.len() < DEVICES_MAX && self.device(member.id).is_none()
    }
}

fn check_format(version: u32) -> Result<()> {
    match version {
        0 => Err(Error::damaged(Part::Roster)),
        version if version > FORMAT_VERSION => {
            Err(Error::NewerFormat { needed: version, supported: FORMAT_VERSION })
        }
        _ => Ok(()),
    }
}
