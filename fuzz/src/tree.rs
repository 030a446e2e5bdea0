//! Pages of a tree whose store answers as the input says.

use std::{collections::BTreeMap, collections::HashMap, ops::Bound};

use strongroom::{
    Error, Part, Result,
    content::ChunkId,
    crypto::Secret,
    tree::{
        Borders, Edit, PageReader, PageWriter, Root, Walk, apply, diff, get, measure, scan, scan_prefix,
        walk_pages,
    },
    wire::{decode_lenient, messages},
};

use super::{input::Input, world::secret};

struct Pages<'a> {
    given: Vec<&'a [u8]>,
    written: HashMap<ChunkId, Vec<u8>>,
}

/// A page is found by the first byte of its id.
impl PageReader for Pages<'_> {
    fn page(&self, id: &ChunkId) -> Result<Vec<u8>> {
        let written = self.written.get(id).cloned();
        let given = || self.given.get(usize::from(id.0[0])).map(|page| page.to_vec());
        written.or_else(given).ok_or(Error::Missing { what: Part::TreePage })
    }
}

impl PageWriter for Pages<'_> {
    fn put_page(&mut self, bytes: Vec<u8>) -> Result<ChunkId> {
        let id_key: Secret<32> = secret(1);
        let id = ChunkId::derive(&id_key, &bytes);
        self.written.insert(id, bytes);
        Ok(id)
    }

    fn size_of(&self, value: &[u8]) -> u64 {
        value.len() as u64
    }
}

/// Pages, each behind its length; the first is the root, with the level and count that it claims. A tree
/// that reads to its end is a map: looked up, compared and edited it stays the same map.
pub fn tree_page(data: &[u8]) {
    let mut pages = Pages { given: Input(data).parts(), written: HashMap::new() };
    let Some(root) = pages.given.first().and_then(|page| root_of(page)) else { return };
    let read: Result<Vec<_>> = scan(Some(root), &pages, Bound::Unbounded).collect();
    let known = get(Some(root), b"m", &pages);
    let prefixed: Result<Vec<_>> = scan_prefix(Some(root), &pages, b"a").collect();
    let measured = measure(Some(root), &pages, b"a", Some(b"b"));
    let mut walked = 0;
    let walk = walk_pages(Some(root), &pages, &mut |_, _| {
        walked += 1;
        Ok(Walk::Below)
    });
    let mut visited = Vec::new();
    let compared = diff(None, Some(root), &pages, &mut |change| {
        visited.push((change.key, change.after.unwrap_or_default()));
        Ok(())
    });
    assert_eq!(read.is_ok(), compared.is_ok());
    let Ok(entries) = read else {
        let _ = apply(Some(root), edits(data), &mut pages, &Borders::new(&secret(2)));
        return;
    };
    assert!(entries.len() as u64 == root.entries() && visited == entries);
    assert!(entries.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert!(walk.is_ok() && walked >= 1);
    let below = entries.iter().filter(|(key, _)| key.starts_with(b"a")).count();
    let measured = measured.unwrap();
    assert!(measured.entries == below as u64 && measured.size <= root.extent().size);
    let mut map: BTreeMap<_, _> = entries.into_iter().collect();
    assert!(known.unwrap().as_ref() == map.get(b"m".as_slice()));
    assert!(
        prefixed.unwrap().into_iter().eq(map.clone().into_iter().filter(|(key, _)| key.starts_with(b"a")))
    );
    for (key, value) in map.iter().take(4) {
        assert!(get(Some(root), key, &pages).unwrap().as_ref() == Some(value));
    }
    check_edit(root, &mut map, data, &mut pages);
}

fn check_edit(root: Root, map: &mut BTreeMap<Vec<u8>, Vec<u8>>, data: &[u8], pages: &mut Pages<'_>) {
    let edited = apply(Some(root), edits(data), pages, &Borders::new(&secret(2))).unwrap();
    for edit in edits(data).map(Result::unwrap) {
        match edit.value {
            Some(value) => map.insert(edit.key, value),
            None => map.remove(&edit.key),
        };
    }
    assert_eq!(edited.map_or(0, Root::entries), map.len() as u64);
    assert!(scan(edited, pages, Bound::Unbounded).map(Result::unwrap).eq(map.clone()));
}

/// One entry set, one removed, at places that the input chooses.
fn edits(data: &[u8]) -> impl Iterator<Item = Result<Edit>> {
    let (first, second) = (data.last().copied().unwrap_or(0), data.len() as u8);
    let set = Edit { key: vec![first], value: Some(vec![second; 3]) };
    let remove = Edit { key: vec![first, second], value: None };
    [set, remove].into_iter().map(Ok)
}

fn root_of(page: &[u8]) -> Option<Root> {
    let page: messages::TreePage = decode_lenient(page, 1 << 20, Part::TreePage).ok()?;
    let sum = |parts: &mut dyn Iterator<Item = u64>| parts.fold(0_u64, u64::saturating_add);
    let (entries, size) = if page.level == 0 {
        (page.leaves.len() as u64, sum(&mut page.leaves.iter().map(|leaf| leaf.size)))
    } else {
        let children = &page.children;
        (
            sum(&mut children.iter().map(|child| child.entries)),
            sum(&mut children.iter().map(|child| child.size)),
        )
    };
    Root::from_wire(&messages::TreeRoot { page: vec![0; 32], level: page.level, entries, size }).ok()
}
