//! What every store can do.

use super::{ObjectName, StoreError, StoreErrorKind};

/// A place for immutable objects. All calls block; one store is shared by threads.
///
/// Every method may fail with any [`StoreError`]; only the additional meaning is noted at each.
pub trait Store: Send + Sync {
    /// Creates an object. When it returns `Ok`, the bytes are durable.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, as far as this store can tell; `NoSpace` when full;
    /// `OutcomeUnknown` when the caller must read back.
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError>;

    /// The whole object. Refuses to return more than `limit` bytes (`Malformed`).
    ///
    /// # Errors
    /// `NotFound` when there is no such object.
    fn get(&self, name: &ObjectName, limit: usize) -> Result<Vec<u8>, StoreError>;

    /// The whole object into `buffer`, whose bytes go and whose memory is used again: who reads one object
    /// after the other brings his own. A store that can do so overrides this.
    ///
    /// # Errors
    /// As [`Self::get`]; what is in the buffer then means nothing.
    fn get_into(&self, name: &ObjectName, limit: usize, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        *buffer = self.get(name, limit)?;
        Ok(())
    }

    /// `length` bytes from `offset`.
    ///
    /// # Errors
    /// `NotFound`; `Malformed` when the object ends before `offset + length`.
    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StoreError>;

    /// The object's length in bytes.
    ///
    /// # Errors
    /// `NotFound` when there is no such object.
    fn length(&self, name: &ObjectName) -> Result<u64, StoreError>;

    /// Calls `visit` once for each object whose name starts with `prefix` (`""` for all), in any order.
    /// Listing is a hint: a store may leave new objects out. Entries with foreign names are skipped.
    ///
    /// # Errors
    /// The store's, or the first that `visit` returns, which ends the listing.
    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// The listing as a whole, when the caller knows how long it can honestly be (R5).
    ///
    /// # Errors
    /// `Malformed` as soon as there are more than `most` lines.
    fn list_at_most(&self, prefix: &str, most: usize) -> Result<Vec<StoredObject>, StoreError> {
        let mut lines = Vec::new();
        self.list(prefix, &mut |line| {
            if lines.len() == most {
                return Err(StoreError::new(
                    StoreErrorKind::Malformed,
                    "the listing is longer than expected",
                ));
            }
            lines.push(line);
            Ok(())
        })?;
        Ok(lines)
    }

    /// Deletes an object. Deleting what is not there succeeds.
    ///
    /// # Errors
    /// Only the general ones.
    fn delete(&self, name: &ObjectName) -> Result<(), StoreError>;

    /// Deletes many objects; stores that can do it in one request override this.
    ///
    /// # Errors
    /// The first failure; objects before it may be gone.
    fn delete_many(&self, names: &[ObjectName]) -> Result<(), StoreError> {
        names.iter().try_for_each(|name| self.delete(name))
    }
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredObject {
    /// Its name.
    pub name: ObjectName,
    /// Its length in bytes.
    pub length: u64,
}

impl StoredObject {
    /// A line for a store's listing.
    #[must_use]
    pub fn new(name: ObjectName, length: u64) -> Self {
        Self { name, length }
    }
}
