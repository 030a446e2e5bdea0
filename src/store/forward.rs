//! A shared, boxed or borrowed store is a store.
//!
//! Each method goes on unchanged to the store inside, `delete_many` too, so that an override is kept.

use std::sync::Arc;

use super::{ObjectName, Store, StoreError, StoredObject};

macro_rules! forward {
    ($holder:ty) => {
        impl<S: Store + ?Sized> Store for $holder {
            fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
                (**self).put(name, bytes)
            }

            fn get(&self, name: &ObjectName, limit: usize) -> Result<Vec<u8>, StoreError> {
                (**self).get(name, limit)
            }

            fn get_into(
                &self,
                name: &ObjectName,
                limit: usize,
                buffer: &mut Vec<u8>,
            ) -> Result<(), StoreError> {
                (**self).get_into(name, limit, buffer)
            }

            fn get_range(
                &self,
                name: &ObjectName,
                offset: u64,
                length: usize,
            ) -> Result<Vec<u8>, StoreError> {
                (**self).get_range(name, offset, length)
            }

            fn length(&self, name: &ObjectName) -> Result<u64, StoreError> {
                (**self).length(name)
            }

            fn list(
                &self,
                prefix: &str,
                visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
            ) -> Result<(), StoreError> {
                (**self).list(prefix, visit)
            }

            fn list_at_most(&self, prefix: &str, most: usize) -> Result<Vec<StoredObject>, StoreError> {
                (**self).list_at_most(prefix, most)
            }

            fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
                (**self).delete(name)
            }

            fn delete_many(&self, names: &[ObjectName]) -> Result<(), StoreError> {
                (**self).delete_many(names)
            }
        }
    };
}

forward!(Arc<S>);
forward!(Box<S>);
forward!(&S);
