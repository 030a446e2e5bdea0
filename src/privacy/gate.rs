//! The gate: the only door to the store.
//!
//! What goes out was sealed, belongs to a kind that is switched on, and stands in the ledger first. What
//! comes in is bytes that nobody has checked yet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Consent, Ledger, LedgerLine};
use crate::{
    Error, Result,
    crypto::{ObjectType, Place, Sealed},
    limits::{LISTING_LINES_MAX, OBJECT_BYTES_MAX},
    store::{ObjectName, Store, StoreError, StoreErrorKind, StoredObject},
};

/// The door to one store, for one device.
pub struct Gate {
    store: Arc<dyn Store>,
    consent: Mutex<Consent>,
    ledger: Mutex<Ledger>,
}

impl Gate {
    /// A gate before `store` that lets through what `consent` allows.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, consent: Consent, ledger: Ledger) -> Self {
        Self { store, consent: Mutex::new(consent), ledger: Mutex::new(ledger) }
    }

    /// The switches, to look at or to change.
    pub fn consent(&self) -> MutexGuard<'_, Consent> {
        self.consent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger, to read.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a sealed object. A doubtful answer is settled by reading the object back.
    ///
    /// # Errors
    /// [`Error::NotConsented`] before anything happened; [`Error::Io`] when the ledger cannot be written;
    /// [`Error::Store`].
    pub fn put(&self, sealed: &Sealed, time_ms: i64) -> Result<()> {
        let context = sealed.context();
        if !context.kind.is_empty() {
            self.consent().require(&context.kind)?;
        }
        let name = object_name(context.place);
        self.ledger().append(&LedgerLine {
            time_ms,
            kind: context.kind.clone(),
            object: type_name(context.object).to_owned(),
            name: name.as_str().to_owned(),
            length: u64::try_from(sealed.bytes().len()).unwrap_or(u64::MAX),
        })?;
        self.put_settled(&name, sealed.bytes())
    }

    fn put_settled(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        const TRIES: usize = 3;
        let mut last = None;
        for _ in 0..TRIES {
            let error = match self.store.put(name, bytes) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let doubtful = error.can_retry() || error.kind() == StoreErrorKind::AlreadyExists;
            if doubtful && self.store.get(name, OBJECT_BYTES_MAX).is_ok_and(|stored| stored == bytes) {
                return Ok(());
            }
            if !error.can_retry() {
                return Err(error.into());
            }
            last = Some(error);
        }
        Err(last.map_or(Error::Internal("no try was made"), Error::Store))
    }

    /// Fetches an object; `None` when the store says that there is none.
    ///
    /// # Errors
    /// [`Error::Store`] for every other failure.
    pub fn get(&self, place: Place) -> Result<Option<Vec<u8>>> {
        absent_is_none(self.store.get(&object_name(place), OBJECT_BYTES_MAX))
    }

    /// Fetches an object into `buffer`, whose memory is used again; false when the store says that there is
    /// none.
    ///
    /// # Errors
    /// [`Error::Store`] for every other failure.
    pub(crate) fn get_into(&self, place: Place, buffer: &mut Vec<u8>) -> Result<bool> {
        // Another pack's plaintext, perhaps, which is no business of a store's.
        buffer.clear();
        let got = self.store.get_into(&object_name(place), OBJECT_BYTES_MAX, buffer);
        absent_is_none(got).map(|found| found.is_some())
    }

    /// Fetches part of an object; `None` when the store says that there is none, or that it is shorter.
    ///
    /// # Errors
    /// [`Error::Store`] for every other failure.
    pub fn get_range(&self, place: Place, offset: usize, length: usize) -> Result<Option<Vec<u8>>> {
        let offset = u64::try_from(offset).map_err(|_| Error::Internal("offset"))?;
        absent_is_none(self.store.get_range(&object_name(place), offset, length))
    }

    /// An object's length; `None` when the store says that there is none.
    ///
    /// # Errors
    /// [`Error::Store`] for every other failure.
    pub fn length(&self, place: Place) -> Result<Option<u64>> {
        absent_is_none(self.store.length(&object_name(place)))
    }

    /// Lists what the store admits to have under `prefix`; a listing without end is cut off (R5).
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list(&self, prefix: &str, visit: &mut dyn FnMut(StoredObject)) -> Result<()> {
        let mut left = LISTING_LINES_MAX;
        let mut visit = |object| {
            left = left.checked_sub(1).ok_or_else(|| {
                StoreError::new(StoreErrorKind::Malformed, "the listing is longer than any vault's")
            })?;
            visit(object);
            Ok(())
        };
        Ok(self.store.list(prefix, &mut visit)?)
    }

    /// Asks the store to delete an object.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn delete(&self, place: Place) -> Result<()> {
        Ok(self.store.delete(&object_name(place))?)
    }
}

/// The name under which an object lies.
#[must_use]
pub fn object_name(place: Place) -> ObjectName {
    match place {
        Place::Object(id) => ObjectName::object(&id),
        Place::Commit { device, sequence } => ObjectName::commit(&device, sequence),
        Place::Envelope { locator, id } => ObjectName::envelope(&locator, &id),
        Place::EnrollRequest(rendezvous) => ObjectName::enroll_request(&rendezvous),
        Place::EnrollReveal(rendezvous) => ObjectName::enroll_reveal(&rendezvous),
        Place::EnrollAnswer(rendezvous) => ObjectName::enroll_answer(&rendezvous),
    }
}

fn absent_is_none<T>(answer: std::result::Result<T, StoreError>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), StoreErrorKind::NotFound | StoreErrorKind::Malformed) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn type_name(object: ObjectType) -> &'static str {
    match object {
        ObjectType::Pack => "pack",
        ObjectType::Index => "index",
        ObjectType::Keyring => "keyring",
        ObjectType::Roster => "roster",
        ObjectType::Commit => "commit",
        ObjectType::Envelope => "envelope",
        ObjectType::EnrollRequest => "enroll-request",
        ObjectType::EnrollReveal => "enroll-reveal",
        ObjectType::EnrollAnswer => "enroll-answer",
    }
}
