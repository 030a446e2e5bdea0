//! What ought to be true: plain sets of versions, each with the versions that its writer had seen.

use std::collections::{BTreeMap, BTreeSet};

pub(crate) type VersionId = usize;

/// One edit or deletion of one record.
pub(crate) struct Version {
    pub(crate) path: String,
    /// `None` for a deletion.
    pub(crate) value: Option<String>,
    /// The versions of the same record that its writer knew: it replaces them.
    pub(crate) replaces: BTreeSet<VersionId>,
}

/// Everything that was ever written, and who knows what.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) versions: Vec<Version>,
    /// For each device what it knows.
    pub(crate) known: Vec<BTreeSet<VersionId>>,
    /// For each part of a divided store what was published in it.
    pub(crate) published: [BTreeSet<VersionId>; 2],
}

/// What a device shows of one record: the values under its name and under the names of its conflicts.
pub(crate) type Family = BTreeSet<String>;

impl Model {
    /// A device edits or deletes a record of which it showed `shown` last.
    pub(crate) fn write(&mut self, device: usize, path: &str, value: Option<String>, shown: &Family) {
        let replaces = self.known_of(device, path, shown);
        let id = self.versions.len();
        self.versions.push(Version { path: path.to_owned(), value, replaces });
        self.known[device].insert(id);
    }

    /// The versions of a record that a device knows: those of its syncs, and what it shows, though it may come
    /// from a revoked device's last sync.
    fn known_of(&self, device: usize, path: &str, shown: &Family) -> BTreeSet<VersionId> {
        let knows = |id: &VersionId| {
            let is_shown = self.versions[*id].value.as_ref().is_some_and(|value| shown.contains(value));
            self.versions[*id].path == path && (is_shown || self.known[device].contains(id))
        };
        (0..self.versions.len()).filter(knows).collect()
    }

    /// What an edit of a record by this device would replace.
    pub(crate) fn values_known(&self, device: usize, path: &str, shown: &Family) -> Family {
        let known = self.known_of(device, path, shown);
        known.into_iter().filter_map(|id| self.versions[id].value.clone()).collect()
    }

    /// The device and its part of the store know the same from now on.
    pub(crate) fn sync(&mut self, device: usize, part: usize) {
        let published = &mut self.published[part];
        published.extend(&self.known[device]);
        self.known[device].extend(published.iter());
    }

    pub(crate) fn heal(&mut self) {
        let [a, b] = &mut self.published;
        a.extend(b.iter());
        b.clone_from(a);
    }

    fn replaced(&self, id: VersionId, among: &BTreeSet<VersionId>) -> bool {
        among.iter().any(|other| self.versions[*other].replaces.contains(&id))
    }

    /// Whether somebody, ever, replaced every version of `path` with this value.
    pub(crate) fn was_replaced(&self, path: &str, value: &str) -> bool {
        let all: BTreeSet<_> = (0..self.versions.len()).collect();
        let mut of_value = (0..self.versions.len()).filter(|id| {
            self.versions[*id].path == path && self.versions[*id].value.as_deref() == Some(value)
        });
        of_value.all(|id| self.replaced(id, &all))
    }

    /// Checks what a device shows after everything came to rest.
    pub(crate) fn check_settled(&self, shown: &BTreeMap<String, Family>) {
        let published = &self.published[0];
        let paths: BTreeSet<&str> = published.iter().map(|id| self.versions[*id].path.as_str()).collect();
        let empty = Family::new();
        for path in paths {
            let family = shown.get(path).unwrap_or(&empty);
            let ids: Vec<_> = published.iter().filter(|id| self.versions[**id].path == path).collect();
            let left: Family = ids
                .iter()
                .filter(|id| !self.replaced(***id, published))
                .filter_map(|id| self.versions[**id].value.clone())
                .collect();
            assert!(left.is_subset(family), "{path}: {left:?} ought to be there, there is {family:?}");
            let knows = |a: usize, b: usize| a == b || self.versions[a].replaces.contains(&b);
            let concurrent = ids.iter().any(|a| ids.iter().any(|b| !knows(**a, **b) && !knows(**b, **a)));
            assert!(concurrent || *family == left, "{path}: {family:?} instead of {left:?}");
            self.check_written(path, family);
        }
        for (path, family) in shown {
            self.check_written(path, family);
        }
    }

    /// Nothing is shown that nobody wrote there (P1).
    pub(crate) fn check_written(&self, path: &str, family: &Family) {
        for value in family {
            let mut written = self.versions.iter();
            assert!(
                written.any(|version| version.path == path && version.value.as_ref() == Some(value)),
                "{path}: nobody wrote {value}"
            );
        }
    }
}
