//! What the tests of this room share: pages in memory that count, and a plain map as the model.

mod costs;
mod edges;
mod hostile;
mod properties;
mod sifting;

use std::{cell::Cell, collections::BTreeMap, collections::HashMap};

use super::{Borders, Builder, Edit, PageReader, PageWriter, Root, apply};
use crate::{Error, Part, Result, content::ChunkId, crypto::Secret};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
struct MemoryPages {
    pages: HashMap<ChunkId, Vec<u8>>,
    reads: Cell<usize>,
    writes: Cell<usize>,
    /// Values of which each is said to have the size 0; else it is its length.
    sizeless: bool,
}

impl MemoryPages {
    fn built_from(model: &Model) -> (Self, Option<Root>) {
        let mut pages = Self::default();
        let root = build(model, &mut pages);
        (pages, root)
    }

    fn reset_counts(&self) {
        self.reads.set(0);
        self.writes.set(0);
    }
}

impl PageReader for MemoryPages {
    fn page(&self, id: &ChunkId) -> Result<Vec<u8>> {
        self.reads.set(self.reads.get() + 1);
        self.pages.get(id).cloned().ok_or(Error::Missing { what: Part::TreePage })
    }
}

impl PageWriter for MemoryPages {
    fn put_page(&mut self, bytes: Vec<u8>) -> Result<ChunkId> {
        self.writes.set(self.writes.get() + 1);
        let id = ChunkId::derive(&Secret::take(&mut [1; 32]), &bytes);
        self.pages.insert(id, bytes);
        Ok(id)
    }

    fn size_of(&self, value: &[u8]) -> u64 {
        if self.sizeless { 0 } else { value.len() as u64 }
    }
}

fn borders() -> Borders {
    Borders::new(&Secret::take(&mut [7; 32]))
}

fn build(model: &Model, store: &mut MemoryPages) -> Option<Root> {
    let borders = borders();
    let mut builder = Builder::new(store, &borders);
    for (key, value) in model {
        builder.push(key.clone(), value.clone()).unwrap();
    }
    builder.finish().unwrap()
}

/// The root that a fresh build gives.
fn fresh(model: &Model) -> Option<Root> {
    MemoryPages::built_from(model).1
}

fn set(key: &[u8], value: &[u8]) -> Edit {
    Edit { key: key.to_vec(), value: Some(value.to_vec()) }
}

fn remove(key: &[u8]) -> Edit {
    Edit { key: key.to_vec(), value: None }
}

fn edited(root: Option<Root>, edits: Vec<Edit>, store: &mut MemoryPages) -> Option<Root> {
    apply(root, edits.into_iter().map(Ok), store, &borders()).unwrap()
}

fn edit_model(model: &mut Model, edits: &[Edit]) {
    for edit in edits {
        match &edit.value {
            Some(value) => model.insert(edit.key.clone(), value.clone()),
            None => model.remove(&edit.key),
        };
    }
}

/// Entry `n` of a map whose keys have `length` bytes: 4096 entries make a low tree from short keys, and
/// 100 make a tall one from keys of 1000 bytes and more.
fn long_key(n: usize, length: usize) -> Vec<u8> {
    let mut key = vec![b'/'; length];
    key.extend_from_slice(format!("{n:06}").as_bytes());
    key
}

/// 100,000 entries of about 100 bytes.
fn large_model() -> Model {
    (0..100_000_u32)
        .map(|n| (format!("messages/{n:08}").into_bytes(), vec![n.to_le_bytes()[0]; 70 + n as usize % 27]))
        .collect()
}
