//! Single records: an app puts, edits and deletes them at any time, without the store; the next sync sends
//! them. Until then they wait in the local database.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Job, Vault,
    contents::{
        Compress, ContentReader, ContentWriter, Cut, ValueReader, decode_entry, encode_entry, load_index,
        write_content,
    },
    merge::MergeFunction,
    snapshots::prefix_of,
    state::{Run, WaitingEdit},
    vault::Work,
    view::View,
};
use crate::{
    Error, Part, Result,
    history::KindState,
    kinds::{FileMeta, FileType, Kind, Policy, Record},
    limits::RECORD_CONTENT_BYTES_MAX,
    tree::{self, Borders, Edit, Root, apply},
};

/// The records of one kind, as an app edits them.
pub struct Records<'v> {
    vault: &'v Vault,
    kind: Kind,
}

/// Edits that were applied to the tree, and what it is now.
pub(super) struct Journal {
    pub(super) root: Option<Root>,
    pub(super) applied: Vec<WaitingEdit>,
}

/// The merge functions of an app's kinds.
pub(super) type MergeFunctions = BTreeMap<Kind, Arc<MergeFunction>>;

impl Vault {
    /// The records of `kind`, to be edited one by one: notes, photos, files and an app's own kinds.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for messages, calls and contacts, which are backed up as a whole.
    pub fn records(&self, kind: &Kind) -> Result<Records<'_>> {
        if [Kind::MESSAGES, Kind::CALLS, Kind::CONTACTS].contains(kind) {
            return Err(Error::InvalidArgument("records of this kind are backed up as a whole"));
        }
        Ok(Records { vault: self, kind: kind.clone() })
    }

    /// Lets an app decide what becomes of two versions of one of its records. It has to give the same for
    /// both orders of the versions. Without it the newer version keeps the name and the other is kept
    /// beside it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a kind that is not an app's own.
    pub fn set_merge(
        &self,
        kind: &Kind,
        merge: impl Fn(Option<&[u8]>, &[u8], &[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<()> {
        if !kind.is_app() {
            return Err(Error::InvalidArgument("only an app's own kinds have merge functions"));
        }
        self.merge_functions().insert(kind.clone(), Arc::new(merge));
        Ok(())
    }

    pub(super) fn merge_function(&self, kind: &Kind) -> Option<Arc<MergeFunction>> {
        self.merge_functions().get(kind).cloned()
    }

    /// Puts the waiting edits of `kind` into a tree on top of this device's own state.
    pub(super) fn apply_journal(
        &self,
        work: &mut Work,
        view: &mut View,
        kind: &Kind,
        job: &Job,
    ) -> Result<Option<Journal>> {
        let waiting = self.database.edits(kind.name())?;
        if waiting.is_empty() || !self.gate.consent().allows(kind.name()) {
            return Ok(None);
        }
        self.prepare_kind(work, view, kind)?;
        let own = view.heads.get(&self.device()).and_then(|commit| commit.kind(kind.name()));
        let own = own.cloned().unwrap_or_else(|| KindState::empty(kind.name()));
        let access = self.access(kind.name(), view)?;
        if let Some(damage) = load_index(&access, &own)?.into_iter().next() {
            return Err(damage.error);
        }
        let run = Run::without_notes();
        let compress = Policy::of(kind).compress;
        let random = work.random.as_mut();
        let writer = ContentWriter::new(access, run, job, self.clock.as_ref(), random, compress)?;
        let borders = Borders::new(access.keys.chunk_cut_key());
        let edits = waiting.iter().map(|edit| tree_edit(&writer, edit, self.database.edit_bytes(edit)?));
        let root = apply(own.root, edits, &mut &writer, &borders)?;
        writer.flush()?;
        Ok(Some(Journal { root, applied: waiting }))
    }

    /// Makes sure that a kind has keys and that the account may be written in.
    pub(super) fn prepare_kind(&self, work: &mut Work, view: &mut View, kind: &Kind) -> Result<()> {
        self.reconcile(work, view)?;
        if view.keyring.kind(kind.name()).is_ok() {
            return Ok(());
        }
        let Work { keys, random, .. } = work;
        let current = view.roster.state().epoch();
        let root = keys.roots.get(current).ok_or(Error::Missing { what: Part::Envelope })?;
        view.keyring.add_kind(kind.name(), root, random.as_mut())?;
        view.keyrings.whole = None;
        self.reconcile(work, view)?;
        Ok(())
    }
}

fn tree_edit(writer: &ContentWriter<'_>, edit: &WaitingEdit, bytes: Option<Vec<u8>>) -> Result<Edit> {
    let key = edit.key().to_vec();
    let Some(bytes) = bytes else { return Ok(Edit { key, value: None }) };
    let compress = Policy::of(&Kind::parse(edit.kind())?).compress;
    let content = write_content(writer, &mut bytes.as_slice(), Cut::Fixed, Compress::all(compress))?;
    let record = Record::File(FileMeta {
        file_type: FileType::Regular,
        mode: 0o644,
        modified_s: edit.time_ms().div_euclid(1000),
        modified_ns: u32::try_from(edit.time_ms().rem_euclid(1000)).unwrap_or(0) * 1_000_000,
        link_target: Vec::new(),
        taken_ms: None,
    });
    let value = encode_entry(writer, record.encode()?, Some(content), compress)?;
    Ok(Edit { key, value: Some(value) })
}

impl Records<'_> {
    /// Puts a record at `path` (`SOURCE/path`), in place of the one that is there. It waits on this device
    /// until the next sync.
    ///
    /// # Errors
    /// [`Error::NotConsented`]; [`Error::InvalidArgument`] for a path that is not allowed or more than
    /// 64 MiB; [`Error::Database`].
    pub fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        if bytes.len() > RECORD_CONTENT_BYTES_MAX {
            return Err(Error::InvalidArgument("a record has at most 64 MiB"));
        }
        self.edit(path, Some(bytes))
    }

    /// Deletes the record at `path`, from the next sync on. Older snapshots keep it.
    ///
    /// # Errors
    /// As [`Records::put`].
    pub fn delete(&self, path: &str) -> Result<()> {
        self.edit(path, None)
    }

    fn edit(&self, path: &str, bytes: Option<&[u8]>) -> Result<()> {
        self.vault.gate.consent().require(self.kind.name())?;
        let key = self.key(path)?;
        self.vault.database.put_edit(self.kind.name(), &key, self.vault.clock.now_ms(), bytes)
    }

    fn key(&self, path: &str) -> Result<Vec<u8>> {
        if !path.contains('/') || path.ends_with('/') {
            return Err(Error::InvalidArgument("a record lies at SOURCE/path"));
        }
        prefix_of(&self.kind, path)
    }

    /// The bytes of the record at `path`: as it was edited here, else as the newest state has it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; as for [`Vault::cat`] when the store has to be asked.
    pub fn get(&self, path: &str) -> Result<Vec<u8>> {
        let key = self.key(path)?;
        let missing = || Error::NotFound("a record at this path");
        if let Some(edit) = self.vault.database.edit(self.kind.name(), &key)? {
            return self.vault.database.edit_bytes(&edit)?.ok_or_else(missing);
        }
        let work = &mut *self.vault.work();
        let view = self.vault.refresh(work)?;
        let (_, state) = view.kind(self.kind.name(), self.vault.device()).ok_or_else(missing)?;
        let access = self.vault.access(self.kind.name(), &view)?;
        load_index(&access, state)?;
        let reader = ContentReader::new(access, 0)?;
        let value = tree::get(state.root, &key, &reader)?.ok_or_else(missing)?;
        let content = decode_entry(&value)?.content.ok_or_else(missing)?;
        ValueReader::new(&reader, &content)?.read_all(RECORD_CONTENT_BYTES_MAX)
    }
}
