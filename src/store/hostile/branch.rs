//! One history of a store: every version of every object, so that any moment of it can be shown again.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

/// An object from its creation to its deletion.
#[derive(Clone)]
struct Version {
    bytes: Arc<[u8]>,
    by: u8,
    from: u64,
    /// From when on other devices see it.
    shown: u64,
    /// When it was deleted, and by whom.
    until: Option<(u64, u8)>,
}

/// Everything that was ever in one store.
#[derive(Clone, Default)]
pub(super) struct Branch(BTreeMap<String, Vec<Version>>);

/// Who looks, when, and since when nothing new of others is shown.
#[derive(Clone, Copy)]
pub(super) struct Eye {
    pub(super) device: u8,
    pub(super) now: u64,
    pub(super) frozen: Option<u64>,
}

impl Eye {
    fn sees(self, version: &Version) -> bool {
        let own = version.by == self.device;
        let upto = self.frozen.unwrap_or(self.now);
        let shown = own || (version.shown <= upto && version.from <= upto);
        let gone = version.until.is_some_and(|(when, by)| when <= upto || by == self.device);
        shown && !gone
    }
}

impl Branch {
    /// Creates an object if there is none of this name, shown to others from `shown` on.
    pub(super) fn create(&mut self, name: &str, bytes: Arc<[u8]>, eye: Eye, shown: u64) -> bool {
        let versions = self.0.entry(name.to_owned()).or_default();
        let free = versions.last().is_none_or(|last| last.until.is_some());
        if free {
            versions.push(Version { bytes, by: eye.device, from: eye.now, shown, until: None });
        }
        free
    }

    /// Deletes an object, if it is there.
    pub(super) fn delete(&mut self, name: &str, eye: Eye) {
        if let Some(last) = self.0.get_mut(name).and_then(|versions| versions.last_mut()) {
            last.until.get_or_insert((eye.now, eye.device));
        }
    }

    /// The object as `eye` sees it.
    pub(super) fn get(&self, name: &str, eye: Eye) -> Option<Arc<[u8]>> {
        let versions = self.0.get(name)?;
        versions.iter().rev().find(|version| eye.sees(version)).map(|version| Arc::clone(&version.bytes))
    }

    /// What `eye` sees under `prefix`, in the order of the names.
    pub(super) fn list<'b>(&'b self, prefix: &'b str, eye: Eye) -> impl Iterator<Item = &'b str> {
        self.0
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(name, _)| name.starts_with(prefix))
            .filter(move |(_, versions)| versions.iter().any(|version| eye.sees(version)))
            .map(|(name, _)| name.as_str())
    }

    /// What is there, whoever may see it.
    pub(super) fn present(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        self.0.iter().filter_map(|(name, versions)| {
            let last = versions.last().filter(|last| last.until.is_none())?;
            Some((name.as_str(), &last.bytes))
        })
    }

    /// The store as it was after `time` requests.
    pub(super) fn at(&self, time: u64) -> Self {
        let of_then = self.0.iter().filter_map(|(name, versions)| {
            let then = |version: &&Version| {
                version.from <= time && version.until.is_none_or(|(until, _)| until > time)
            };
            let version = versions.iter().find(then)?;
            Some((name.clone(), vec![Version { until: None, ..version.clone() }]))
        });
        Self(of_then.collect())
    }

    /// Takes over what another store has and this one has not.
    pub(super) fn absorb(&mut self, other: &Self) {
        for (name, versions) in &other.0 {
            let Some(last) = versions.last().filter(|last| last.until.is_none()) else { continue };
            let here = self.0.entry(name.clone()).or_default();
            if here.last().is_none_or(|last| last.until.is_some()) {
                here.push(last.clone());
            }
        }
    }
}
