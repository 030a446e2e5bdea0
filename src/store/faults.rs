//! A store that misbehaves on command, around one that does not.
//!
//! A script sees each request before it is made and chooses what goes wrong; without a script nothing does.
//! It promises to do to the inner store exactly what an honest wrapper would, apart from the chosen fault.
//! For tests only: it must never stand between a user and a backup.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use super::{ObjectName, Store, StoreError, StoreErrorKind, StoredObject, bytes};

/// A wrapper that asks its script before each call.
pub struct FaultStore<S> {
    inner: S,
    script: Box<dyn Fn(&Request<'_>) -> Fault + Send + Sync>,
    calls: Mutex<BTreeMap<Method, u64>>,
}

/// What a script decides upon.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Request<'a> {
    /// What is asked.
    pub method: Method,
    /// The object's name, or the prefix of a listing; empty for `delete_many`.
    pub name: &'a str,
    /// How many calls there were, this one included: the first is 1.
    pub call: u64,
    /// The same, counting only calls of this method.
    pub call_of_method: u64,
}

/// The methods of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// `put`
    Put,
    /// `get`
    Get,
    /// `get_range`
    GetRange,
    /// `length`
    Length,
    /// `list`
    List,
    /// One line of a listing. It is shown to the script under the number of its listing, and not counted.
    Line,
    /// `delete`
    Delete,
    /// `delete_many`
    DeleteMany,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing.
    None,
    /// The call fails and does nothing.
    Before(StoreErrorKind),
    /// The call is done, and then fails.
    After(StoreErrorKind),
    /// The object is denied: reading says `NotFound`, a listing leaves it out. Writes are done.
    Deny,
    /// The same, and writes and deletions are acknowledged and not done. A listing is empty.
    Drop,
    /// A name that is taken is answered with success; the older object stays.
    Accept,
    /// A name that is taken is written over.
    Overwrite,
    /// This length is given as the object's, also in a listing.
    Length(u64),
    /// A listing comes in the order that this number says.
    Shuffle(u64),
    /// What is read has one bit of this byte changed, counted from the object's start, and from there again
    /// when the object is shorter.
    Flip(usize),
    /// What is read ends after so many bytes.
    Cut(usize),
    /// These bytes are read instead.
    Replace(Vec<u8>),
}

impl<S: Store> FaultStore<S> {
    /// A wrapper that does what `script` says.
    pub fn new(inner: S, script: impl Fn(&Request<'_>) -> Fault + Send + Sync + 'static) -> Self {
        Self { inner, script: Box::new(script), calls: Mutex::default() }
    }

    /// Counts calls and lets everything through.
    pub fn counting(inner: S) -> Self {
        Self::new(inner, |_| Fault::None)
    }

    /// The `n`-th call, counted from 1, meets `fault`.
    pub fn at_call(inner: S, n: u64, fault: Fault) -> Self {
        Self::new(inner, move |request| if request.call == n { fault.clone() } else { Fault::None })
    }

    /// Every call for the object `name`, and its line in a listing, meets `fault`.
    pub fn at_object(inner: S, name: &ObjectName, fault: Fault) -> Self {
        let name = name.clone();
        Self::new(
            inner,
            move |request| {
                if request.name == name.as_str() { fault.clone() } else { Fault::None }
            },
        )
    }

    /// How often `method` was called.
    pub fn calls(&self, method: Method) -> u64 {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).get(&method).copied().unwrap_or(0)
    }

    /// How many calls there were.
    pub fn all_calls(&self) -> u64 {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn begin<'a>(&self, method: Method, name: &'a str) -> Request<'a> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(method).or_default() += 1;
        let call_of_method = calls.get(&method).copied().unwrap_or_default();
        Request { method, name, call: calls.values().sum(), call_of_method }
    }

    fn decide(&self, method: Method, name: &str) -> Fault {
        (self.script)(&self.begin(method, name))
    }

    /// Reads the object or something about it: `honest` asks the inner store, `answer` makes the same answer
    /// from other bytes.
    fn read<T>(
        &self,
        fault: Fault,
        name: &ObjectName,
        honest: impl FnOnce() -> Result<T, StoreError>,
        answer: impl FnOnce(&[u8]) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let whole = || self.inner.get(name, usize::MAX);
        match fault {
            Fault::Before(kind) => Err(told(kind)),
            Fault::After(kind) => honest().and(Err(told(kind))),
            Fault::Deny | Fault::Drop => Err(told(StoreErrorKind::NotFound)),
            Fault::Flip(at) => answer(&flipped(whole()?, at)),
            Fault::Cut(length) => {
                let bytes = whole()?;
                answer(bytes.get(..length).unwrap_or(&bytes))
            }
            Fault::Replace(bytes) => answer(&bytes),
            _ => honest(),
        }
    }

    /// The inner store's listing; a shuffled one is drawn up as a whole first.
    fn list_in_order(
        &self,
        prefix: &str,
        fault: &Fault,
        visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Fault::Shuffle(seed) = fault else { return self.inner.list(prefix, visit) };
        let mut lines = Vec::new();
        self.inner.list(prefix, &mut |line| {
            lines.push((mix(*seed, lines.len() as u64), line));
            Ok(())
        })?;
        lines.sort_by_key(|(place, _)| *place);
        lines.into_iter().try_for_each(|(_, line)| visit(line))
    }
}

/// Makes one call that answers with no bytes of an object.
fn act(fault: Fault, call: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
    match fault {
        Fault::Before(kind) => Err(told(kind)),
        Fault::After(kind) => call().and(Err(told(kind))),
        Fault::Drop => Ok(()),
        _ => call(),
    }
}

fn flipped(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    let at = at.checked_rem(bytes.len()).unwrap_or(0);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    bytes
}

/// A number that looks random and follows from two others (splitmix64).
pub(super) fn mix(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl<S: Store> Store for FaultStore<S> {
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        let fault = self.decide(Method::Put, name.as_str());
        if fault == Fault::Overwrite {
            self.inner.delete(name)?;
        }
        match act(fault.clone(), || self.inner.put(name, bytes)) {
            Err(error) if fault == Fault::Accept && error.kind() == StoreErrorKind::AlreadyExists => Ok(()),
            answer => answer,
        }
    }

    fn get(&self, name: &ObjectName, limit: usize) -> Result<Vec<u8>, StoreError> {
        let fault = self.decide(Method::Get, name.as_str());
        let honest = || self.inner.get(name, limit);
        self.read(fault, name, honest, |other| Ok(bytes::within(other, limit)?.to_vec()))
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let fault = self.decide(Method::GetRange, name.as_str());
        let honest = || self.inner.get_range(name, offset, length);
        self.read(fault, name, honest, |other| Ok(bytes::range(other, offset, length)?.to_vec()))
    }

    fn length(&self, name: &ObjectName) -> Result<u64, StoreError> {
        match self.decide(Method::Length, name.as_str()) {
            Fault::Length(told) => self.inner.length(name).and(Ok(told)),
            fault => self.read(fault, name, || self.inner.length(name), |other| Ok(other.len() as u64)),
        }
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let request = self.begin(Method::List, prefix);
        let fault = (self.script)(&request);
        match fault {
            Fault::Before(kind) => return Err(told(kind)),
            Fault::Drop => return Ok(()),
            _ => {}
        }
        self.list_in_order(prefix, &fault, &mut |line| {
            let of_line = Request { method: Method::Line, name: line.name.as_str(), ..request };
            match (self.script)(&of_line) {
                Fault::Deny | Fault::Drop => Ok(()),
                Fault::Before(kind) => Err(told(kind)),
                Fault::After(kind) => visit(line).and(Err(told(kind))),
                Fault::Length(length) => visit(StoredObject { length, ..line }),
                _ => visit(line),
            }
        })?;
        if let Fault::After(kind) = fault { Err(told(kind)) } else { Ok(()) }
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        act(self.decide(Method::Delete, name.as_str()), || self.inner.delete(name))
    }

    fn delete_many(&self, names: &[ObjectName]) -> Result<(), StoreError> {
        act(self.decide(Method::DeleteMany, ""), || self.inner.delete_many(names))
    }
}

impl<S: fmt::Debug> fmt::Debug for FaultStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

fn told(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "as the script says")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, conformance};

    const NAME: [u8; 16] = [3; 16];

    fn with_one_object(fault: Fault) -> FaultStore<MemoryStore> {
        let store = MemoryStore::new();
        let name = ObjectName::object(&NAME);
        store.put(&name, b"12345").unwrap();
        FaultStore::at_object(store, &name, fault)
    }

    #[test]
    fn without_a_fault_it_is_an_honest_store() {
        conformance::check(&FaultStore::counting(MemoryStore::new()), true).unwrap();
    }

    #[test]
    fn the_nth_call_fails_before_or_after_it_is_done() {
        let name = ObjectName::object(&NAME);
        for (fault, written) in [
            (Fault::Before(StoreErrorKind::Transient), false),
            (Fault::After(StoreErrorKind::OutcomeUnknown), true),
        ] {
            let store = FaultStore::at_call(MemoryStore::new(), 2, fault);
            store.length(&name).unwrap_err();
            assert!(store.put(&name, b"x").unwrap_err().can_retry());
            assert_eq!(store.get(&name, 9).is_ok(), written);
            assert_eq!((store.calls(Method::Put), store.all_calls()), (1, 3));
        }
    }

    #[test]
    fn a_denied_object_is_neither_read_nor_listed() {
        let store = with_one_object(Fault::Deny);
        let name = ObjectName::object(&NAME);
        assert_eq!(store.get(&name, 9).unwrap_err().kind(), StoreErrorKind::NotFound);
        assert_eq!(store.length(&name).unwrap_err().kind(), StoreErrorKind::NotFound);
        assert!(store.list_at_most("", 9).unwrap().is_empty());
        assert!(store.inner().get(&name, 9).is_ok());
    }

    #[test]
    fn other_bytes_are_served_the_same_in_every_way_of_reading() {
        let name = ObjectName::object(&NAME);
        for (fault, expected) in [
            (Fault::Flip(6), &b"13345"[..]),
            (Fault::Cut(3), b"123"),
            (Fault::Replace(b"other".to_vec()), b"other"),
        ] {
            let store = with_one_object(fault);
            assert_eq!(store.get(&name, 5).unwrap(), expected);
            assert_eq!(store.length(&name).unwrap(), expected.len() as u64);
            assert_eq!(store.get_range(&name, 1, 2).unwrap(), expected[1..3]);
            assert_eq!(store.get(&name, 2).unwrap_err().kind(), StoreErrorKind::Malformed);
        }
    }

    #[test]
    fn a_put_is_lost_accepted_or_written_over() {
        let name = ObjectName::object(&NAME);
        for (fault, kept) in
            [(Fault::Drop, &b"12345"[..]), (Fault::Accept, b"12345"), (Fault::Overwrite, b"new")]
        {
            let store = with_one_object(fault);
            store.put(&name, b"new").unwrap();
            assert_eq!(store.inner().get(&name, 9).unwrap(), kept);
        }
        let store = with_one_object(Fault::Drop);
        store.delete(&name).unwrap();
        assert!(store.get(&name, 9).is_err() && store.inner().get(&name, 9).is_ok());
    }

    #[test]
    fn lengths_and_orders_are_lied_about() {
        let store = with_one_object(Fault::Length(7));
        assert_eq!(store.length(&ObjectName::object(&NAME)).unwrap(), 7);
        assert_eq!(store.list_at_most("", 9).unwrap()[0].length, 7);
        let order = |fault: Fault| {
            let store = FaultStore::new(MemoryStore::new(), move |_| fault.clone());
            (0..20).for_each(|n| store.put(&ObjectName::object(&[n; 16]), b"x").unwrap());
            store.list_at_most("", 20).unwrap()
        };
        let shuffled = order(Fault::Shuffle(1));
        assert_ne!(shuffled, order(Fault::None));
        assert_eq!(shuffled, order(Fault::Shuffle(1)));
        assert_ne!(shuffled, order(Fault::Shuffle(2)));
    }
}
