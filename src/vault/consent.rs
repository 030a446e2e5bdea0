//! The switches, as the owner turns them: kept on the disk before they count.

use super::Vault;
use crate::{Result, kinds::Kind, privacy::Consent};

/// The consent of this device's owner.
pub struct Switches<'v>(&'v Vault);

impl Vault {
    /// The switches of this device. All are off at first.
    #[must_use]
    pub fn consent(&self) -> Switches<'_> {
        Switches(self)
    }
}

impl Switches<'_> {
    /// Lets a kind of data leave this device from now on.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io): then nothing has changed.
    pub fn grant(&self, kind: &Kind) -> Result<()> {
        self.change(|consent| consent.grant(kind))
    }

    /// Stops a kind: nothing more of it is sent. What is stored stays.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io): nothing is sent until the device is told again.
    pub fn revoke(&self, kind: &Kind) -> Result<()> {
        self.0.gate.consent().revoke(kind);
        self.change(|consent| consent.revoke(kind))
    }

    /// Whether a kind may leave.
    #[must_use]
    pub fn allows(&self, kind: &Kind) -> bool {
        self.0.gate.consent().allows(kind.name())
    }

    fn change(&self, change: impl FnOnce(&mut Consent)) -> Result<()> {
        let mut switches = self.0.gate.consent();
        let mut next = switches.clone();
        change(&mut next);
        self.0.home.write_consent(&next)?;
        *switches = next;
        Ok(())
    }
}
