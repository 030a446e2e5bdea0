//! The switches: which kinds of data may leave this device. Off until the owner says otherwise.

use std::collections::BTreeSet;

use crate::{Error, Result, kinds::Kind};

/// The kinds that are switched on, on this device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consent(BTreeSet<String>);

impl Consent {
    /// Nothing may leave.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// What was granted before, by name.
    #[must_use]
    pub fn from_names(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// The names of what is granted, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Switches a kind on.
    pub fn grant(&mut self, kind: &Kind) {
        self.0.insert(kind.name().to_owned());
    }

    /// Switches a kind off.
    pub fn revoke(&mut self, kind: &Kind) {
        self.0.remove(kind.name());
    }

    /// Whether a kind is on.
    #[must_use]
    pub fn allows(&self, kind: &str) -> bool {
        self.0.contains(kind)
    }

    /// Fails unless a kind is on.
    ///
    /// # Errors
    /// [`Error::NotConsented`].
    pub fn require(&self, kind: &str) -> Result<()> {
        if self.allows(kind) { Ok(()) } else { Err(Error::NotConsented { kind: kind.to_owned() }) }
    }
}
