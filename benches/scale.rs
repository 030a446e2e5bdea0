//! What grows with the number of records: trees, the local index, and a merge of two devices' changes, at 10^4,
//! 10^5 and 10^6.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a bench fails loudly"
)]

mod support;

use std::{cell::RefCell, collections::HashMap};

use criterion::{Criterion, criterion_group, criterion_main};
use strongroom::{
    Error, Part, Result,
    content::{ChunkId, PackEntry},
    crypto::Secret,
    keys::RecoveryCode,
    kinds::Kind,
    store::{MemoryStore, ObjectName, Store as _},
    tree::{self, Borders, Edit, PageReader, PageWriter, Root},
    vault::{
        Environment, Job, NewDevice, Source, SystemClock, Vault,
        testing::{LocalIndex, MemoryHome},
    },
    wire::messages,
};

const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];
/// Records changed, all over.
const CHANGES: u64 = 100;
/// More than the helper makes inputs of at once: each is made, used, and dropped.
const ALONE: usize = 1024 * 1024;

#[derive(Default)]
struct Pages(RefCell<HashMap<ChunkId, Vec<u8>>>);

impl PageReader for Pages {
    fn page(&self, id: &ChunkId) -> Result<Vec<u8>> {
        self.0.borrow().get(id).cloned().ok_or(Error::Missing { what: Part::TreePage })
    }
}

impl PageWriter for Pages {
    fn put_page(&mut self, bytes: Vec<u8>) -> Result<ChunkId> {
        let id = ChunkId::derive(&Secret::take(&mut [1; 32]), &bytes);
        self.0.borrow_mut().insert(id, bytes);
        Ok(id)
    }

    fn size_of(&self, value: &[u8]) -> u64 {
        value.len() as u64
    }
}

/// Puts `value` into every `step`-th of `records`.
fn apply(pages: &mut Pages, before: Option<Root>, records: u64, step: u64, value: u8) -> Option<Root> {
    let borders = Borders::new(&Secret::take(&mut [2; 32]));
    let edits = (0..records).step_by(step as usize);
    let edits =
        edits.map(|n| Ok(Edit { key: format!("records/{n:08}").into_bytes(), value: Some(vec![value; 80]) }));
    tree::apply(before, edits, pages, &borders).unwrap()
}

fn trees(c: &mut Criterion) {
    let mut group = support::group(c, "tree");
    group.sample_size(10);
    for records in SIZES {
        support::bench(&mut group, ("build", records), ALONE, Pages::default, |mut pages| {
            (apply(&mut pages, None, records, 1, 0), pages)
        });
        let mut pages = Pages::default();
        let before = apply(&mut pages, None, records, 1, 0);
        let after = apply(&mut pages, before, records, records / CHANGES, 9);
        support::bench(
            &mut group,
            ("edit-100", records),
            ALONE,
            || (),
            |()| {
                assert_eq!(apply(&mut pages, before, records, records / CHANGES, 9), after);
            },
        );
        support::bench(
            &mut group,
            ("diff-100", records),
            ALONE,
            || (),
            |()| {
                let mut changes = 0;
                tree::diff(before, after, &pages, &mut |_| {
                    changes += 1;
                    Ok(())
                })
                .unwrap();
                assert_eq!(changes, CHANGES);
            },
        );
    }
    group.finish();
}

const PACK_CHUNKS: u64 = 9;

fn chunk(n: u64) -> ChunkId {
    ChunkId::derive(&Secret::take(&mut [3; 32]), &n.to_le_bytes())
}

/// A pack of the nine chunks from `first` on.
fn pack(first: u64) -> PackEntry {
    let chunks = (first..first + PACK_CHUNKS).map(|n| messages::ChunkEntry {
        id: chunk(n).0.to_vec(),
        stored_length: 900_000,
        plain_length: 0,
    });
    let object = messages::ObjectRef {
        name: chunk(u64::MAX - first).0[..16].to_vec(),
        length: 8 * 1024 * 1024,
        hash: Vec::new(),
        epoch: 1,
    };
    PackEntry::from_wire(&messages::PackEntry { object: Some(object), chunks: chunks.collect() }).unwrap()
}

/// Ids are hashes, so that every lookup and every insertion falls on another place of the database.
fn index(c: &mut Criterion) {
    let mut group = support::group(c, "index");
    for records in SIZES {
        let folder = tempfile::tempdir().unwrap();
        let index = LocalIndex::open(folder.path()).unwrap();
        let packs: Vec<_> = (0..records).step_by(PACK_CHUNKS as usize).map(pack).collect();
        packs.chunks(10_000).for_each(|packs| index.add("files", packs).unwrap());
        let mut n = 0;
        let mut next = || {
            n = (n + 7919) % records;
            chunk(n)
        };
        support::bench(&mut group, ("lookup", records), 8192, &mut next, |id| {
            assert!(index.holds(id).unwrap());
        });
        let mut first = 2 * records;
        let mut next = || {
            first += PACK_CHUNKS;
            [pack(first)]
        };
        support::bench(&mut group, ("insert-9", records), 8192, &mut next, |packs| {
            index.add("files", &packs).unwrap();
        });
    }
    group.finish();
}

/// An export of the messages `numbers`.
fn export(numbers: impl Iterator<Item = u64>, read: u8) -> Vec<u8> {
    let line = |n: u64| {
        let date = 1_400_000_000_000 + n * 60_000;
        format!("<sms address='+15550{}' date='{date}' type='1' body='message {n}' read='{read}'/>", n % 300)
    };
    let lines: Vec<String> = numbers.map(line).collect();
    format!("<?xml version='1.0'?><smses count='{}'>{}</smses>", lines.len(), lines.concat()).into_bytes()
}

/// On the caller's thread alone, whose time is what is measured.
fn job() -> Job {
    Job::new().with_threads(1)
}

fn back_up(vault: &Vault, export: &[u8]) {
    let mut export = export;
    vault.backup(&Kind::MESSAGES, "messages.xml", Source::Stream(&mut export), &job()).unwrap();
}

/// Two devices that have the same records.
struct Devices {
    store: MemoryStore,
    first: Vault,
    second: Vault,
    records: u64,
    round: u8,
}

impl Devices {
    fn new(records: u64) -> Self {
        let store = MemoryStore::new();
        let device = |name: &str| NewDevice::named(name).unwrap();
        let environment = || Environment::new(Box::new(SystemClock), Box::new(strongroom::crypto::OsRandom));
        let code = RecoveryCode::generate(&mut strongroom::crypto::OsRandom).unwrap();
        let home = &MemoryHome::new();
        let first = Vault::create_in(store.clone(), home, device("first"), &code, environment()).unwrap();
        let home = &MemoryHome::new();
        let second = Vault::recover_in(store.clone(), home, &code, device("second"), environment()).unwrap();
        for vault in [&first, &second] {
            vault.consent().grant(&Kind::MESSAGES).unwrap();
        }
        back_up(&first, &export(0..records, 0));
        let devices = Self { store, first, second, records, round: 0 };
        devices.settle();
        devices
    }

    fn settle(&self) {
        for vault in [&self.second, &self.first, &self.second] {
            vault.sync(&job()).unwrap();
        }
    }

    /// Both change records, and neither knows of the other's change yet.
    fn change_apart(&mut self) {
        self.settle();
        self.round = 1 - self.round;
        let step = (self.records / CHANGES) as usize;
        let changed = |from: u64| export((from..self.records).step_by(step), self.round);
        let before = self.store.snapshot();
        let known = self.names();
        back_up(&self.first, &changed(1));
        let new: Vec<_> = self.names().into_iter().filter(|name| !known.contains(name)).collect();
        let new: Vec<_> =
            new.into_iter().map(|name| (self.store.get(&name, usize::MAX).unwrap(), name)).collect();
        self.store.restore(&before);
        back_up(&self.second, &changed(2));
        new.iter().for_each(|(bytes, name)| self.store.put(name, bytes).unwrap());
    }

    fn names(&self) -> std::collections::HashSet<ObjectName> {
        let mut names = std::collections::HashSet::new();
        self.store
            .list("", &mut |object| {
                names.insert(object.name);
                Ok(())
            })
            .unwrap();
        names
    }
}

fn merge(c: &mut Criterion) {
    let mut group = support::group(c, "merge");
    group.sample_size(10);
    for records in SIZES {
        let devices = RefCell::new(Devices::new(records));
        support::bench(
            &mut group,
            ("sync-100-and-100", records),
            ALONE,
            || devices.borrow_mut().change_apart(),
            |()| {
                let outcome = devices.borrow().second.sync(&job()).unwrap();
                assert_eq!(outcome.changed, CHANGES);
            },
        );
    }
    group.finish();
}

criterion_group!(benches, trees, index, merge);
criterion_main!(benches);
