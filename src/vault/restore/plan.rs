//! What a restore will do: found out first, shown, and carried out only then.

use std::{fmt, path::PathBuf};

use crate::{
    Error, Result,
    history::{Freshness, KindState},
    kinds::Kind,
    vault::{
        Job, Overwrite, Vault,
        contents::{ContentReader, load_index},
        snapshots::{At, SnapshotId, has_paths, measure_below, prefix_of},
    },
};

/// What to restore: a kind, and a path below it or all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    kind: Kind,
    path: String,
}

impl Selection {
    /// All of a kind.
    #[must_use]
    pub fn kind(kind: Kind) -> Self {
        Self { kind, path: String::new() }
    }

    /// One path, `SOURCE/path`, and all below it. Messages and calls have no paths.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn path(kind: Kind, path: impl Into<String>) -> Result<Self> {
        let path = path.into();
        if !has_paths(&kind) && !path.is_empty() {
            return Err(Error::InvalidArgument("messages and calls are restored as a whole"));
        }
        Ok(Self { kind, path })
    }

    /// Everything there is.
    #[must_use]
    pub fn all() -> Vec<Self> {
        Kind::ALL.map(Self::kind).into()
    }
}

/// What a restore will do. Consumed by [`Vault::restore`].
#[must_use = "a plan does nothing until it is carried out"]
pub struct RestorePlan {
    pub(super) parts: Vec<Part>,
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) freshness: Freshness,
    /// Whether it is the newest state, which this device has from then on.
    pub(super) newest: bool,
    unmerged: Vec<Unmerged>,
    pub(super) overwrite: Overwrite,
    /// Folders that it does not enter.
    pub(super) without: Vec<PathBuf>,
}

/// Names and paths are private.
impl fmt::Debug for RestorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, bytes, freshness, .. } = self;
        let mut plan = f.debug_struct("RestorePlan");
        plan.field("entries", entries).field("bytes", bytes).field("freshness", freshness);
        plan.finish_non_exhaustive()
    }
}

/// A device's state of a kind that no device has merged yet: it may have what the plan lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmerged {
    /// The kind.
    pub kind: String,
    /// Where that state is; [`Vault::sync`] with consent for the kind merges it.
    pub snapshot: SnapshotId,
}

pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) state: KindState,
    pub(super) prefix: Vec<u8>,
}

impl RestorePlan {
    /// Files, folders, links and records that it is to write, as the device counted them that committed them.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Bytes of content in them, as that device counted them: what a restore reports may differ.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How new the state is that it restores.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// What other devices have that is in no common state yet, and not in this plan. Only of a plan for the
    /// latest state.
    #[must_use]
    pub fn unmerged(&self) -> &[Unmerged] {
        &self.unmerged
    }

    /// Lets it replace files that are there already.
    pub fn replacing(mut self) -> Self {
        self.overwrite = Overwrite::Replace;
        self
    }

    /// Keeps it out of the folder at `path`: such as a vault's own state, or a store on the same disk. The target may
    /// lie beside it or around it, not in it. What does not exist is no reason to stop.
    pub fn without(mut self, path: impl Into<PathBuf>) -> Self {
        self.without.push(path.into());
        self
    }
}

impl Vault {
    /// Looks up what `selections` mean at `at`, and how much it is. Reads no more of the tree than the way to the
    /// ends of each selection, so that it says nothing of whether the rest can be read; `job` can cancel it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when a path is not there; [`Error::Damaged`], [`Error::Missing`] when the way there cannot
    /// be read; [`Error::Rollback`], [`Error::Fork`]; [`Error::Cancelled`].
    pub fn plan_restore(&self, selections: &[Selection], at: &At, job: &Job) -> Result<RestorePlan> {
        const MEMORY_BYTES: usize = 4 * 1024 * 1024;
        let work = &mut *self.work();
        let view = self.refresh(work)?;
        let (mut parts, mut unmerged) = (Vec::new(), Vec::new());
        let (mut entries, mut bytes) = (0, 0);
        for Selection { kind, path } in selections {
            job.step(|_| {})?;
            // Several paths of one kind have one state.
            if *at == At::Latest && !parts.iter().any(|part: &Part| part.kind == *kind) {
                unmerged.extend(view.unmerged(kind.name(), self.device()).map(|commit| Unmerged {
                    kind: kind.name().to_owned(),
                    snapshot: SnapshotId::of(commit),
                }));
            }
            let Some(state) = self.state_at(work, &view, kind.name(), at)? else {
                if path.is_empty() {
                    continue;
                }
                return Err(Error::NotFound("data of this kind"));
            };
            let prefix = prefix_of(kind, path)?;
            let access = self.access(kind.name(), &view)?;
            load_index(&access, &state)?;
            let reader = ContentReader::sparse(access, MEMORY_BYTES)?.of_now()?;
            let found = measure_below(state.root, &reader, &prefix)?;
            if found.entries == 0 && !prefix.is_empty() {
                return Err(Error::NotFound("an entry at this path"));
            }
            entries = u64::saturating_add(entries, found.entries);
            bytes = u64::saturating_add(bytes, found.size);
            parts.push(Part { kind: kind.clone(), state, prefix });
        }
        let (freshness, newest) = (view.freshness, *at == At::Latest);
        let (overwrite, without) = (Overwrite::No, Vec::new());
        Ok(RestorePlan { parts, entries, bytes, freshness, newest, unmerged, overwrite, without })
    }
}
