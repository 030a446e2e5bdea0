//! The contract of [`Store`], as one suite that any implementation can be run through.
//!
//! It writes only under random names of its own and deletes them at the end, so that a shared bucket serves.
//! It promises to name the first clause that does not hold; it must never look at anything but the trait.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{ObjectName, Store, StoreError, StoreErrorKind, StoredObject};
use crate::limits::OBJECT_BYTES_MAX;

/// Writers that race for one name.
const RACERS: u8 = 16;

/// Runs the suite. With `creates_atomically`, a name that is taken must be refused always and to all but one;
/// without, a store may overwrite, but never mix two writers' bytes.
///
/// # Errors
/// The clause that does not hold, and what was seen instead.
pub fn check(store: &dyn Store, creates_atomically: bool) -> Result<(), String> {
    let scene = Scene { store, seed: random()?, creates_atomically };
    let result = scene.run();
    let swept = scene.sweep();
    result.and(swept)
}

struct Scene<'a> {
    store: &'a dyn Store,
    seed: [u8; 16],
    creates_atomically: bool,
}

impl Scene<'_> {
    fn run(&self) -> Result<(), String> {
        self.objects_read_back()?;
        self.lengths_and_ranges_are_exact()?;
        self.absence_has_one_answer()?;
        self.a_taken_name_is_refused()?;
        self.racing_writers_leave_one_object()?;
        self.prefixes_select()?;
        self.listing_goes_on_during_writes()?;
        self.a_visitor_ends_the_listing()?;
        self.deleting_is_repeatable()
    }

    fn objects_read_back(&self) -> Result<(), String> {
        let big: Vec<u8> = (0..=250).cycle().take(OBJECT_BYTES_MAX).collect();
        for (name, bytes) in [
            (self.object(0), &b""[..]),
            (self.commit(0, 0), b"commit"),
            (self.commit(0, u64::MAX), b"last commit"),
            (self.envelope(0, 0), b"envelope"),
            (self.object(1), &big),
        ] {
            self.put(&name, bytes)?;
            let read = self.get(&name, bytes.len())?;
            ensure(read == bytes, || format!("put then get: {} bytes of {} read", read.len(), bytes.len()))?;
        }
        Ok(())
    }

    fn lengths_and_ranges_are_exact(&self) -> Result<(), String> {
        let name = self.object(2);
        self.put(&name, b"0123456789")?;
        let length = called("length", self.store.length(&name))?;
        ensure(length == 10, || format!("length: {length} instead of 10"))?;
        for (offset, length, expected) in
            [(0, 10, &b"0123456789"[..]), (3, 4, b"3456"), (9, 1, b"9"), (4, 0, b""), (10, 0, b"")]
        {
            let read = called("get_range", self.store.get_range(&name, offset, length))?;
            ensure(read == expected, || format!("get_range {offset}+{length}: {} bytes", read.len()))?;
        }
        for (offset, length) in [(0, 11), (9, 2), (10, 1), (11, 0), (u64::MAX, 1), (1, usize::MAX)] {
            let read = self.store.get_range(&name, offset, length);
            expect("get_range past the end", &read, StoreErrorKind::Malformed)?;
        }
        expect("get above the limit", &self.store.get(&name, 9), StoreErrorKind::Malformed)?;
        let mut buffer = vec![b'x'; 20];
        called("get_into", self.store.get_into(&name, 10, &mut buffer))?;
        ensure(buffer == b"0123456789", || format!("get_into: {} bytes", buffer.len()))?;
        let too_long = self.store.get_into(&name, 9, &mut buffer);
        expect("get_into above the limit", &too_long, StoreErrorKind::Malformed)?;
        self.get(&name, usize::MAX).map(drop)
    }

    fn absence_has_one_answer(&self) -> Result<(), String> {
        for name in [self.object(99), self.commit(99, 1), self.envelope(99, 1)] {
            expect("get of nothing", &self.store.get(&name, 1), StoreErrorKind::NotFound)?;
            expect("get_range of nothing", &self.store.get_range(&name, 0, 1), StoreErrorKind::NotFound)?;
            expect("length of nothing", &self.store.length(&name), StoreErrorKind::NotFound)?;
            called("delete of nothing", self.store.delete(&name))?;
        }
        Ok(())
    }

    fn a_taken_name_is_refused(&self) -> Result<(), String> {
        let name = self.object(3);
        self.put(&name, b"first")?;
        let again = self.store.put(&name, b"second");
        let read = self.get(&name, 6)?;
        if self.creates_atomically || again.is_err() {
            expect("put under a taken name", &again, StoreErrorKind::AlreadyExists)?;
            ensure(read == b"first", || "a refused put changed the object".to_owned())?;
        }
        ensure(read == b"first" || read == b"second", || "put twice: bytes of neither".to_owned())
    }

    fn racing_writers_leave_one_object(&self) -> Result<(), String> {
        let name = self.commit(1, 7);
        let body = |racer: u8| vec![racer; 1000 + usize::from(racer)];
        let mut outcomes = Vec::new();
        std::thread::scope(|scope| {
            let racers: Vec<_> = (0..RACERS)
                .map(|racer| (racer, &name))
                .map(|(racer, name)| scope.spawn(move || self.store.put(name, &body(racer))))
                .collect();
            outcomes = racers.into_iter().map(|racer| racer.join().ok()).collect();
        });
        let mut winners = Vec::new();
        for (racer, outcome) in (0..).zip(outcomes) {
            match outcome.ok_or("put in a race: panicked")? {
                Ok(()) => winners.push(racer),
                lost => expect("put in a race", &lost, StoreErrorKind::AlreadyExists)?,
            }
        }
        ensure(!winners.is_empty(), || "put in a race: nobody wrote".to_owned())?;
        ensure(winners.len() == 1 || !self.creates_atomically, || {
            format!("put in a race: {} of {RACERS} wrote", winners.len())
        })?;
        let read = self.get(&name, 2000)?;
        ensure(winners.iter().any(|racer| read == body(*racer)), || {
            "put in a race: the object is not what a winner wrote".to_owned()
        })
    }

    fn prefixes_select(&self) -> Result<(), String> {
        let device = self.commit(2, 1);
        let first = self.id(2);
        for name in [&device, &self.commit(2, 2), &self.commit(3, 1), &self.envelope(2, 1), &self.object(4)] {
            self.put(name, b"listed")?;
        }
        let folder = device.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
        let object = self.object(4);
        for (prefix, expected) in [
            (format!("{folder}/"), 2),
            (folder.to_owned(), 2),
            (device.as_str().to_owned(), 1),
            (format!("{folder}/0000000000000000000"), 2),
            (ObjectName::envelope_prefix(&first), 1),
            (object.as_str().to_owned(), 1),
            (object.as_str().chars().take(20).collect(), 1),
            (format!("{}x", object.as_str()), 0),
            ("objects/../objects".to_owned(), 0),
            ("tmp/".to_owned(), 0),
        ] {
            let lines = self.list(&prefix)?;
            ensure(lines.len() == expected, || format!("list: {} lines, not {expected}", lines.len()))?;
            ensure(
                lines.iter().all(|line| line.name.as_str().starts_with(&prefix) && line.length == 6),
                || "list: a line of another prefix or with a wrong length".to_owned(),
            )?;
        }
        let all: BTreeSet<_> = self.list("")?.into_iter().map(|line| line.name).collect();
        ensure(all.contains(&object) && all.contains(&device), || "list of all: incomplete".to_owned())
    }

    fn listing_goes_on_during_writes(&self) -> Result<(), String> {
        let before: BTreeSet<_> = (1..9).map(|sequence| self.commit(4, sequence)).collect();
        before.iter().try_for_each(|name| self.put(name, b"before"))?;
        let prefix =
            self.commit(4, 0).as_str().rsplit_once('/').map_or_else(String::new, |(f, _)| f.to_owned());
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                (100..164)
                    .take_while(|_| !stop.load(Ordering::Relaxed))
                    .try_for_each(|sequence| self.put(&self.commit(4, sequence), b"during"))
            });
            let listed = (0..8).try_for_each(|_| {
                let lines = self.list(&prefix)?;
                let names: BTreeSet<_> = lines.iter().map(|line| line.name.clone()).collect();
                ensure(names.len() == lines.len(), || "list during writes: a line twice".to_owned())?;
                ensure(names.is_superset(&before), || {
                    "list during writes: an old object left out".to_owned()
                })?;
                ensure(lines.iter().all(|line| line.length == 6), || {
                    "list during writes: an object of half its length".to_owned()
                })
            });
            stop.store(true, Ordering::Relaxed);
            listed.and(writer.join().unwrap_or_else(|_| Err("put during a listing: panicked".to_owned())))
        })
    }

    fn a_visitor_ends_the_listing(&self) -> Result<(), String> {
        let mut visits = 0;
        let listed = self.store.list("commits/", &mut |_| {
            visits += 1;
            Err(StoreError::new(StoreErrorKind::Refused, "enough"))
        });
        expect("list with a visitor that fails", &listed, StoreErrorKind::Refused)?;
        ensure(visits == 1, || format!("list with a visitor that fails: {visits} visits"))?;
        expect("list_at_most", &self.store.list_at_most("commits/", 1), StoreErrorKind::Malformed)
    }

    fn deleting_is_repeatable(&self) -> Result<(), String> {
        let names: Vec<_> = (5..9).map(|n| self.object(n)).collect();
        names.iter().try_for_each(|name| self.put(name, b"condemned"))?;
        let (first, rest) = names.split_first().ok_or("no names")?;
        called("delete", self.store.delete(first))?;
        expect("get of a deleted object", &self.store.get(first, 9), StoreErrorKind::NotFound)?;
        called("delete again", self.store.delete(first))?;
        called("delete_many", self.store.delete_many(&names))?;
        called("delete_many of nothing", self.store.delete_many(&[]))?;
        for name in rest {
            expect("length of a deleted object", &self.store.length(name), StoreErrorKind::NotFound)?;
        }
        self.put(first, b"new")?;
        let read = self.get(first, 3)?;
        ensure(read == b"new", || "put after delete: other bytes".to_owned())
    }

    fn sweep(&self) -> Result<(), String> {
        let mut names: Vec<_> = (0..10).map(|n| self.object(n)).collect();
        names.extend([self.envelope(0, 0), self.envelope(2, 1), self.commit(0, u64::MAX)]);
        names.extend(
            (0..5)
                .flat_map(|device| (0..10).map(move |sequence| (device, sequence)))
                .map(|(device, sequence)| self.commit(device, sequence)),
        );
        names.extend((100..164).map(|sequence| self.commit(4, sequence)));
        called("delete_many", self.store.delete_many(&names))
    }

    fn id(&self, n: u8) -> [u8; 16] {
        let mut id = self.seed;
        if let Some(first) = id.first_mut() {
            *first = n;
        }
        id
    }

    fn object(&self, n: u8) -> ObjectName {
        ObjectName::object(&self.id(n))
    }

    fn commit(&self, device: u8, sequence: u64) -> ObjectName {
        ObjectName::commit(&self.id(device), sequence)
    }

    fn envelope(&self, locator: u8, n: u8) -> ObjectName {
        ObjectName::envelope(&self.id(locator), &self.id(n))
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), String> {
        called("put", self.store.put(name, bytes))
    }

    fn get(&self, name: &ObjectName, limit: usize) -> Result<Vec<u8>, String> {
        called("get", self.store.get(name, limit))
    }

    fn list(&self, prefix: &str) -> Result<Vec<StoredObject>, String> {
        called("list", self.store.list_at_most(prefix, usize::MAX))
    }
}

fn called<T>(what: &str, result: Result<T, StoreError>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error}"))
}

fn expect<T>(what: &str, result: &Result<T, StoreError>, kind: StoreErrorKind) -> Result<(), String> {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(format!("{what}: '{error}' instead of '{kind}'")),
        Ok(_) => Err(format!("{what}: succeeded instead of '{kind}'")),
    }
}

fn ensure(holds: bool, clause: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(clause()) }
}

fn random() -> Result<[u8; 16], String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| "no randomness for names")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        MemoryStore,
        faults::{Fault, FaultStore, Method},
    };

    #[test]
    fn a_store_that_breaks_a_clause_is_noticed() {
        for (method, fault) in [
            (Method::Get, Fault::Flip(0)),
            (Method::Get, Fault::Cut(1 << 20)),
            (Method::Get, Fault::Before(StoreErrorKind::Transient)),
            (Method::GetRange, Fault::Flip(3)),
            (Method::GetRange, Fault::Replace(vec![0; 11])),
            (Method::Length, Fault::Cut(9)),
            (Method::Length, Fault::Before(StoreErrorKind::NotFound)),
            (Method::Line, Fault::Deny),
            (Method::Put, Fault::After(StoreErrorKind::OutcomeUnknown)),
            (Method::Delete, Fault::Before(StoreErrorKind::NotFound)),
        ] {
            let broken = fault.clone();
            let store = FaultStore::new(MemoryStore::new(), move |request| {
                if request.method == method { broken.clone() } else { Fault::None }
            });
            assert!(check(&store, true).is_err(), "{method:?} {fault:?}");
        }
    }

    #[test]
    fn a_store_that_overwrites_passes_only_when_it_says_so() {
        assert!(check(&Overwriting(MemoryStore::new()), true).is_err());
        check(&Overwriting(MemoryStore::new()), false).unwrap();
    }

    #[test]
    fn the_suite_cleans_up() {
        let store = MemoryStore::new();
        check(&store, true).unwrap();
        assert!(store.list_at_most("", 0).unwrap().is_empty());
    }

    struct Overwriting(MemoryStore);

    impl Store for Overwriting {
        fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
            self.0.delete(name)?;
            self.0.put(name, bytes)
        }

        fn get(&self, name: &ObjectName, limit: usize) -> Result<Vec<u8>, StoreError> {
            self.0.get(name, limit)
        }

        fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
            self.0.get_range(name, offset, length)
        }

        fn length(&self, name: &ObjectName) -> Result<u64, StoreError> {
            self.0.length(name)
        }

        fn list(
            &self,
            prefix: &str,
            visit: &mut dyn FnMut(StoredObject) -> Result<(), StoreError>,
        ) -> Result<(), StoreError> {
            self.0.list(prefix, visit)
        }

        fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
            self.0.delete(name)
        }
    }
}
