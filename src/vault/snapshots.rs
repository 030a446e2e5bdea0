//! Snapshots: commits as their owner sees them; and looking at what one holds.

use std::{fmt, ops::Bound};

use super::{
    Vault,
    contents::{ContentReader, ValueReader, decode_entry, load_index, record_of},
    vault::Work,
    view::View,
};
use crate::{
    Error, Part, Result,
    history::{Commit, Freshness, KindState},
    keys::DeviceId,
    kinds::{FileMeta, FileType, Kind, Record, element_line, file_key, parse_contact_key},
    tree::{self, Root},
    wire::messages,
};

/// Names a snapshot: the first eight digits of a device id and the number of one of its commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotId {
    device: String,
    sequence: u64,
}

impl SnapshotId {
    pub(super) fn of(commit: &Commit) -> Self {
        Self { device: commit.device().label().to_string(), sequence: commit.head().sequence }
    }

    /// Reads the form that it is printed in, such as `1f2e3d4c-17`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || Error::InvalidArgument("a snapshot is named like 1f2e3d4c-17, or latest");
        let (device, sequence) = text.split_once('-').ok_or_else(bad)?;
        let hex = device.len() == 8 && device.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let sequence = sequence.parse().ok().filter(|sequence| hex && *sequence > 0).ok_or_else(bad)?;
        Ok(Self { device: device.to_owned(), sequence })
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.device, self.sequence)
    }
}

/// Which state is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum At {
    /// The newest of each kind, from whichever device has it.
    #[default]
    Latest,
    /// One commit.
    Snapshot(SnapshotId),
}

/// A commit as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its name.
    pub id: SnapshotId,
    /// Who made it.
    pub device: DeviceId,
    /// That device's name.
    pub device_name: String,
    /// That device's clock then.
    pub time_ms: i64,
    /// The kinds in it and how many entries each holds.
    pub kinds: Vec<(String, u64)>,
}

/// An entry of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// `SOURCE/path` for folders and contacts; time and identity for messages and calls.
    pub path: String,
    /// Bytes of a file's content, or of the record of another kind. A folder and a link have none.
    pub bytes: u64,
    /// What a file is; `None` for records of other kinds.
    pub file_type: Option<FileType>,
    /// When a file was modified, or a message sent: milliseconds since the Unix epoch.
    pub time_ms: i64,
}

/// What differs between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The kind.
    pub kind: String,
    /// As in [`Listed::path`].
    pub path: String,
    /// Whether the first snapshot has it.
    pub before: bool,
    /// Whether the second has it.
    pub after: bool,
}

impl Vault {
    /// All snapshots of all devices, newest first by the devices' clocks. Walks every chain back to its
    /// first commit and checks that it holds together.
    ///
    /// # Errors
    /// [`Error::Rollback`], [`Error::Fork`]; [`Error::Damaged`] or [`Error::Missing`] for a broken chain.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let work = &mut *self.work();
        let view = self.refresh(work)?;
        let mut all = Vec::new();
        self.walk_history(work, &view, &mut |commit| {
            all.push(snapshot(commit?, &view));
            Ok(())
        })?;
        all.sort_by(|a: &Snapshot, b: &Snapshot| {
            b.time_ms.cmp(&a.time_ms).then(b.id.sequence.cmp(&a.id.sequence))
        });
        Ok(all)
    }

    /// Every commit of every device, each chain from its head back; what cannot be read is an error given
    /// to `visit`, and ends that chain.
    pub(super) fn walk_history(
        &self,
        work: &Work,
        view: &View,
        visit: &mut dyn FnMut(Result<&Commit>) -> Result<()>,
    ) -> Result<()> {
        let reader = self.reader(work);
        for head in view.heads.values() {
            let device = super::vault::own_device(&view.roster, head.device())?;
            let mut commit = head.clone();
            visit(Ok(&commit))?;
            while let Some(before) = commit.body().previous {
                let missing = Error::Missing { what: Part::Commit };
                match reader.commit(device, &view.roster, before.sequence).and_then(|c| c.ok_or(missing)) {
                    Ok(found) if found.head() == before => commit = found,
                    Ok(_) => {
                        let (device, sequence) = (device.id().label(), before.sequence);
                        visit(Err(Error::Fork { device, sequence, proof: None }))?;
                        break;
                    }
                    Err(error) if error.is_damage() => {
                        visit(Err(error))?;
                        break;
                    }
                    Err(error) => return Err(error),
                }
                visit(Ok(&commit))?;
            }
        }
        Ok(())
    }

    /// The state of `kind` that `at` means; `None` when there is no such data.
    pub(super) fn state_at(
        &self,
        work: &Work,
        view: &View,
        kind: &str,
        at: &At,
    ) -> Result<Option<KindState>> {
        match at {
            At::Latest => Ok(view.kind(kind, self.device()).map(|(_, state)| state.clone())),
            At::Snapshot(id) => Ok(self.commit_named(work, view, id)?.kind(kind).cloned()),
        }
    }

    fn commit_named(&self, work: &Work, view: &View, id: &SnapshotId) -> Result<Commit> {
        let mut devices = view.roster.state().devices().iter();
        let device = devices
            .find(|device| device.id().label().to_string() == id.device)
            .ok_or(Error::NotFound("this snapshot's device"))?;
        let commit = self.reader(work).commit(device, &view.roster, id.sequence)?;
        commit.ok_or(Error::NotFound("this snapshot"))
    }

    /// Lists the entries of a kind below `path` (`SOURCE/path`, empty for all), in order.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is nothing there; [`Error::Rollback`]; [`Error::Damaged`],
    /// [`Error::Missing`].
    pub fn list(
        &self,
        kind: &Kind,
        path: &str,
        at: &At,
        visit: &mut dyn FnMut(Listed) -> Result<()>,
    ) -> Result<Freshness> {
        let work = &mut *self.work();
        let view = self.refresh(work)?;
        let state =
            self.state_at(work, &view, kind.name(), at)?.ok_or(Error::NotFound("data of this kind"))?;
        let access = self.access(kind.name(), &view)?;
        load_index(&access, &state)?;
        let reader = ContentReader::new(access, 0)?;
        let mut found = path.is_empty();
        for entry in entries_below(state.root, &reader, &prefix_of(kind, path)?) {
            let (key, value) = entry?;
            visit(listed(&reader, kind, &key, &value)?)?;
            found = true;
        }
        if found { Ok(view.freshness) } else { Err(Error::NotFound("an entry at this path")) }
    }

    /// Gives the bytes of one file, or of one record (a vCard; a message or call as its line of XML), piece
    /// by piece. Fetches only what it needs.
    ///
    /// # Errors
    /// As [`Vault::list`].
    pub fn cat(
        &self,
        kind: &Kind,
        path: &str,
        at: &At,
        write: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Freshness> {
        let work = &mut *self.work();
        let view = self.refresh(work)?;
        let state =
            self.state_at(work, &view, kind.name(), at)?.ok_or(Error::NotFound("data of this kind"))?;
        let access = self.access(kind.name(), &view)?;
        load_index(&access, &state)?;
        let reader = ContentReader::new(access, 0)?;
        let key = prefix_of(kind, path)?;
        let is_folder = || Error::NotFound("content at this path: it is a folder");
        let Some(value) = tree::get(state.root, &key, &reader)? else {
            // A source's own folder has no entry.
            let below = entries_below(state.root, &reader, &key).next().transpose()?;
            return Err(below.map_or(Error::NotFound("an entry at this path"), |_| is_folder()));
        };
        let entry = decode_entry(&value)?;
        match &entry.content {
            Some(content) => {
                let mut bytes = ValueReader::new(&reader, content)?;
                while let Some(piece) = bytes.next()? {
                    write(&piece)?;
                }
            }
            None => match Record::decode(&record_of(&reader, &entry)?)? {
                Record::Contact(card) => write(&card)?,
                Record::Element(element) => write(&element_line(&element)?)?,
                Record::File(FileMeta { file_type: FileType::Symlink, link_target, .. }) => {
                    write(&link_target)?
                }
                Record::File(FileMeta { file_type: FileType::Directory, .. }) => return Err(is_folder()),
                _ => return Err(Error::NotFound("content at this path")),
            },
        }
        Ok(view.freshness)
    }

    /// What differs from `a` to `b`, kind by kind in key order; equal parts are never read.
    ///
    /// # Errors
    /// As [`Vault::list`].
    pub fn diff(&self, a: &At, b: &At, visit: &mut dyn FnMut(Difference) -> Result<()>) -> Result<()> {
        let work = &mut *self.work();
        let view = self.refresh(work)?;
        for kind in Kind::ALL {
            let states = [a, b].map(|at| self.state_at(work, &view, kind.name(), at));
            let [before, after] = states;
            let (before, after) = (before?, after?);
            let access = self.access(kind.name(), &view)?;
            for state in before.iter().chain(&after) {
                load_index(&access, state)?;
            }
            let reader = ContentReader::new(access, 0)?;
            let root = |state: Option<KindState>| state.and_then(|state| state.root);
            tree::diff(root(before), root(after), &reader, &mut |change| {
                visit(Difference {
                    kind: kind.name().to_owned(),
                    path: display_key(&kind, &change.key),
                    before: change.before.is_some(),
                    after: change.after.is_some(),
                })
            })?;
        }
        Ok(())
    }
}

fn snapshot(commit: &Commit, view: &View) -> Snapshot {
    let device = view.roster.state().device(commit.device());
    Snapshot {
        id: SnapshotId::of(commit),
        device: commit.device(),
        device_name: device.map_or_else(String::new, |device| device.name().to_owned()),
        time_ms: commit.body().device_time_ms,
        kinds: commit
            .body()
            .kinds
            .iter()
            .map(|state| (state.kind.clone(), state.root.map_or(0, Root::entries)))
            .collect(),
    }
}

/// Whether a kind's keys are a source and a path.
pub(super) fn has_paths(kind: &Kind) -> bool {
    *kind != Kind::MESSAGES && *kind != Kind::CALLS
}

/// The tree key that stands for `SOURCE/path`; of contacts for `SOURCE/identity` and of messages and calls for
/// the identity, in hex.
pub(super) fn prefix_of(kind: &Kind, path: &str) -> Result<Vec<u8>> {
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let not_hex = Error::InvalidArgument("a record's identity is in hex");
    if !has_paths(kind) {
        return from_hex(path).ok_or(not_hex);
    }
    if *kind == Kind::CONTACTS
        && let Some((source, identity)) = path.split_once('/')
    {
        let identity = from_hex(identity).ok_or(not_hex)?;
        return Ok([source.as_bytes(), &[0], &identity].concat());
    }
    let mut parts = path.split('/');
    let source = parts.next().unwrap_or_default();
    let rest: Vec<&[u8]> = parts.map(str::as_bytes).collect();
    if rest.is_empty() { Ok(source.as_bytes().to_vec()) } else { file_key(source, &rest) }
}

/// The entry with this key and all below it; all entries for an empty key.
pub(super) fn entries_below<'r, 'a>(
    root: Option<Root>,
    reader: &'r ContentReader<'a>,
    prefix: &[u8],
) -> EntriesBelow<'r, 'a> {
    let scan = tree::scan(root, reader, Bound::Included(prefix));
    EntriesBelow { scan, prefix: prefix.to_vec(), ended: false }
}

/// How much [`entries_below`] gives, as the tree counts it.
pub(super) fn measure_below(
    root: Option<tree::Root>,
    reader: &ContentReader<'_>,
    prefix: &[u8],
) -> Result<tree::Extent> {
    if prefix.is_empty() {
        return tree::measure(root, reader, prefix, None);
    }
    // What is below a key begins with it and a zero byte: nothing else lies between the two.
    let end = [prefix, &[1]].concat();
    tree::measure(root, reader, prefix, Some(&end))
}

/// Entries in the order of their keys.
pub(super) struct EntriesBelow<'r, 'a> {
    scan: tree::Scan<'r, ContentReader<'a>>,
    prefix: Vec<u8>,
    ended: bool,
}

impl EntriesBelow<'_, '_> {
    /// After an error: goes on behind the page that could not be read; how many entries that loses.
    pub(super) fn skip_page(&mut self) -> Option<u64> {
        self.scan.skip_page()
    }
}

impl Iterator for EntriesBelow<'_, '_> {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.scan.next()? {
                Ok((key, value)) if is_below(&key, &self.prefix) => return Some(Ok((key, value))),
                Ok((key, _)) => self.ended = !key.starts_with(&self.prefix),
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

fn is_below(key: &[u8], prefix: &[u8]) -> bool {
    let rest = key.strip_prefix(prefix);
    prefix.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(&[0]))
}

/// A key for people.
pub(super) fn display_key(kind: &Kind, key: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    if *kind == Kind::CONTACTS
        && let Ok(source) = parse_contact_key(key)
    {
        return format!("{source}/{}", hex(key.get(source.len() + 1..).unwrap_or_default()));
    }
    if has_paths(kind) {
        let parts: Vec<_> = key.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        parts.join("/")
    } else {
        hex(key)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.as_bytes().chunks(2).map(byte).collect()
}

fn listed(reader: &ContentReader<'_>, kind: &Kind, key: &[u8], value: &[u8]) -> Result<Listed> {
    let entry: messages::Entry = decode_entry(value)?;
    let record_bytes = u64::try_from(entry.record.len()).unwrap_or(0);
    let record_bytes = entry.record_content.as_ref().map_or(record_bytes, |content| content.length);
    let (file_type, time_ms) = if has_paths(kind) && entry.record_content.is_none() {
        match Record::decode(&record_of(reader, &entry)?)? {
            Record::File(meta) => {
                let ms = meta.modified_s.saturating_mul(1000);
                (Some(meta.file_type), ms.saturating_add(i64::from(meta.modified_ns / 1_000_000)))
            }
            _ => (None, 0),
        }
    } else {
        let date = key.first_chunk::<8>().map_or(0, |date| u64::from_be_bytes(*date) ^ (1 << 63));
        (None, if has_paths(kind) { 0 } else { i64::from_le_bytes(date.to_le_bytes()) })
    };
    let bytes = match (entry.content, file_type) {
        (Some(content), _) => content.length,
        (None, Some(_)) => 0,
        (None, None) => record_bytes,
    };
    Ok(Listed { path: display_key(kind, key), bytes, file_type, time_ms })
}
