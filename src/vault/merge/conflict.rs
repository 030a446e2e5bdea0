//! True conflicts: both versions are kept, the second under a name that says so and that every device gives.

use prost::Message as _;

use super::{super::contents::decode_entry, super::snapshots::display_key, value_id};
use crate::{
    Error, Part, Result,
    kinds::{FileType, Kind, Record, file_key, parse_file_key},
    limits::KEY_BYTES_MAX,
    wire::messages,
};

/// Two devices edited the same entry, and both versions are there now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The kind.
    pub kind: String,
    /// The entry, for the owner's eyes; not for logs.
    pub path: String,
    /// Where the other version is.
    pub copy: String,
}

impl Conflict {
    pub(crate) fn new(kind: &Kind, key: &[u8], copy: &[u8]) -> Self {
        Self { kind: kind.name().to_owned(), path: display_key(kind, key), copy: display_key(kind, copy) }
    }
}

/// The key of the version that lost: `name (conflict 1a2b3c4d).ext`. It follows from the value, so that it
/// is the same on every device and a second merge adds nothing.
pub(crate) fn conflict_key(kind: &Kind, key: &[u8], value: &[u8]) -> Result<Vec<u8>> {
    let [a, b, c, d, ..] = value_id(value);
    if *kind == Kind::CONTACTS {
        let mut copy = key.to_vec();
        let tail = copy.len().saturating_sub(2);
        copy.truncate(tail);
        copy.extend([a | 0x80, b]);
        return Ok(copy);
    }
    let mark = format!(" (conflict {a:02x}{b:02x}{c:02x}{d:02x})");
    let (source, mut parts) = parse_file_key(key)?;
    let Some(name) = parts.pop() else { return file_key(&mark_name(source.as_bytes(), &mark)?, &parts) };
    let marked = mark_bytes(name, mark.as_bytes());
    parts.push(&marked);
    match file_key(source, &parts) {
        Ok(key) if key.len() <= KEY_BYTES_MAX => Ok(key),
        // The path is as long as can be: the copy goes to the top of the source.
        _ => file_key(source, &[&marked]),
    }
}

fn mark_name(source: &[u8], mark: &str) -> Result<String> {
    String::from_utf8(mark_bytes(source, mark.as_bytes())).map_err(|_| Error::damaged(Part::Record))
}

/// Puts the mark before the extension; what is too long loses the end of its stem.
fn mark_bytes(name: &[u8], mark: &[u8]) -> Vec<u8> {
    const NAME_BYTES_MAX: usize = 255;
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0 && name.len() - dot <= 16);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let mut room = NAME_BYTES_MAX.saturating_sub(mark.len() + extension.len()).min(stem.len());
    while room > 0 && stem.get(room).is_some_and(|byte| byte & 0xc0 == 0x80) {
        room -= 1;
    }
    [stem.get(..room).unwrap_or_default(), mark, extension].concat()
}

/// Tells whether a value's content is still the same, whatever became of times and modes: what only they
/// changed in is not edited.
pub(crate) fn content_id(value: &[u8]) -> Result<[u8; 16]> {
    let entry: messages::Entry = decode_entry(value)?;
    let Ok(Record::File(meta)) = Record::decode(&entry.record) else { return Ok(value_id(value)) };
    Ok(file_content_id(meta.file_type, &meta.link_target, &entry.content.unwrap_or_default()))
}

/// The same of an entry that lies in its value altogether: what it is, where a link leads, what is in a file.
pub(crate) fn file_content_id(
    file_type: FileType,
    link_target: &[u8],
    content: &messages::Content,
) -> [u8; 16] {
    let file_type: &[u8] = match file_type {
        FileType::Regular => b"file",
        FileType::Directory => b"folder",
        FileType::Symlink => b"link",
    };
    value_id(&[file_type, &[0], link_target, &[0], &content.encode_to_vec()].concat())
}

/// Whether losing `loser` would lose more than metadata.
pub(crate) fn kept_both(winner: &[u8], loser: &[u8]) -> Result<bool> {
    let (winner, loser) = (decode_entry(winner)?, decode_entry(loser)?);
    let is_folder = |entry: &messages::Entry| file_type(entry) == Some(FileType::Directory);
    if is_folder(&loser) {
        return Ok(false);
    }
    let same_type = file_type(&winner) == file_type(&loser);
    let same_content = match file_type(&loser) {
        Some(FileType::Regular) => winner.content == loser.content,
        _ => winner.record == loser.record && winner.record_content == loser.record_content,
    };
    Ok(!(same_type && same_content))
}

/// Whether `a` rather than `b` keeps the name: a folder rather than anything else, then the one that was
/// modified later, then the higher bytes.
pub(super) fn newer(a: &[u8], b: &[u8]) -> Result<bool> {
    let rank = |value: &[u8]| {
        let entry = decode_entry(value)?;
        let meta = match Record::decode(&entry.record) {
            Ok(Record::File(meta)) => {
                (meta.file_type == FileType::Directory, meta.modified_s, meta.modified_ns)
            }
            _ => (false, 0, 0),
        };
        Ok::<_, Error>((meta, value.to_vec()))
    };
    Ok(rank(a)? > rank(b)?)
}

/// Whether a value is a folder's.
pub(crate) fn is_folder(value: &[u8]) -> bool {
    decode_entry(value).is_ok_and(|entry| file_type(&entry) == Some(FileType::Directory))
}

fn file_type(entry: &messages::Entry) -> Option<FileType> {
    match Record::decode(&entry.record) {
        Ok(Record::File(meta)) => Some(meta.file_type),
        _ => None,
    }
}
