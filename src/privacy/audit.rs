//! What the store can see: names, lengths, counts. Nothing else is there to be seen.

use std::collections::BTreeMap;

use super::Gate;
use crate::{Result, crypto::is_object_length};

/// The store's view of a vault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// Objects by length in bytes.
    pub lengths: BTreeMap<u64, u64>,
    /// Commits by device pseudonym.
    pub commits: BTreeMap<String, u64>,
    /// Recipients that have envelopes.
    pub recipients: BTreeMap<String, u64>,
    /// Objects in all.
    pub objects: u64,
    /// Bytes in all.
    pub bytes: u64,
    /// Objects whose length is none of the ten: not written by Strongroom, or cut.
    pub foreign: u64,
}

impl Audit {
    /// Lists the store once.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn of(gate: &Gate) -> Result<Self> {
        let mut audit = Self::default();
        gate.list("", &mut |object| {
            *audit.lengths.entry(object.length).or_default() += 1;
            audit.objects += 1;
            audit.bytes = audit.bytes.saturating_add(object.length);
            if !usize::try_from(object.length).is_ok_and(is_object_length) {
                audit.foreign += 1;
            }
            let mut parts = object.name.as_str().split('/');
            let counts = match parts.next() {
                Some("commits") => &mut audit.commits,
                Some("envelopes") => &mut audit.recipients,
                _ => return,
            };
            *counts.entry(parts.next().unwrap_or_default().to_owned()).or_default() += 1;
        })?;
        Ok(audit)
    }
}
