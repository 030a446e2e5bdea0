//! Records: what a kind's data is, between the wire and the jobs.
//!
//! A record may come from a device that somebody else controls by now: every field is checked before
//! anything is written with it (M5).

use std::collections::HashSet;

use prost::Message as _;

use super::contacts::is_begin_line;
use crate::{
    Error, Part, Result,
    limits::{CONTACT_BYTES_MAX, MESSAGE_PARTS_MAX, XML_ATTRIBUTES_MAX},
    wire::{
        decode_lenient,
        messages::{self, XmlAttribute, XmlElement, record::Body},
    },
};

const LINK_BYTES_MAX: usize = 4096;
const RECORD_BYTES_MAX: usize = 256 * 1024 * 1024;
const ELEMENT_LEVELS_MAX: usize = 4;

/// A record of some kind.
pub enum Record {
    /// A message or a call.
    Element(XmlElement),
    /// A contact card, byte for byte.
    Contact(Vec<u8>),
    /// A file, a folder or a link; its content lies beside.
    File(FileMeta),
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileType {
    /// A file with content.
    Regular,
    /// A folder.
    Directory,
    /// A symbolic link, itself.
    Symlink,
}

/// What is kept of a file besides its content.
#[derive(Clone, PartialEq, Eq)]
pub struct FileMeta {
    /// What it is.
    pub file_type: FileType,
    /// Permission bits, 0 to 07777.
    pub mode: u32,
    /// Modification time: seconds since the Unix epoch.
    pub modified_s: i64,
    /// Modification time: nanoseconds after that second.
    pub modified_ns: u32,
    /// What a link points to; only for links.
    pub link_target: Option<Vec<u8>>,
    /// When a picture was taken, by its EXIF; milliseconds since the Unix epoch.
    pub taken_ms: Option<i64>,
}

impl Record {
    /// The wire form.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let body = match self {
            Self::Element(element) => Body::Element(element),
            Self::Contact(card) => Body::Contact(messages::ContactCard { card }),
            Self::File(meta) => Body::File(meta.to_wire()),
        };
        messages::Record { body: Some(body) }.encode_to_vec()
    }

    /// Reads and checks a record.
    ///
    /// # Errors
    /// [`Error::Damaged`] when any field has a value that no device of ours writes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::damaged(Part::Record);
        let wire: messages::Record = decode_lenient(bytes, RECORD_BYTES_MAX, Part::Record)?;
        match wire.body.ok_or_else(damaged)? {
            Body::Element(element) if is_sound(&element, ELEMENT_LEVELS_MAX) => Ok(Self::Element(element)),
            Body::Contact(wire) if is_card(&wire.card) => Ok(Self::Contact(wire.card)),
            Body::File(wire) => FileMeta::from_wire(wire).map(Self::File).ok_or_else(damaged),
            _ => Err(damaged()),
        }
    }
}

impl FileMeta {
    fn to_wire(&self) -> messages::FileEntry {
        let file_type = match self.file_type {
            FileType::Regular => messages::FileType::Regular,
            FileType::Directory => messages::FileType::Directory,
            FileType::Symlink => messages::FileType::Symlink,
        };
        messages::FileEntry {
            r#type: file_type.into(),
            mode: self.mode,
            modified_s: self.modified_s,
            modified_ns: self.modified_ns,
            link_target: self.link_target.clone().unwrap_or_default(),
            photo: self.taken_ms.map(|taken_ms| messages::PhotoInfo { taken_ms }),
        }
    }

    fn from_wire(wire: messages::FileEntry) -> Option<Self> {
        let messages::FileEntry { r#type, mode, modified_s, modified_ns, link_target, photo } = wire;
        let file_type = match messages::FileType::try_from(r#type).ok()? {
            messages::FileType::Regular => FileType::Regular,
            messages::FileType::Directory => FileType::Directory,
            messages::FileType::Symlink => FileType::Symlink,
            messages::FileType::Unspecified => return None,
        };
        let link_target = match file_type {
            FileType::Symlink => {
                let fits = (1..=LINK_BYTES_MAX).contains(&link_target.len()) && !link_target.contains(&0);
                Some(fits.then_some(link_target)?)
            }
            _ => link_target.is_empty().then_some(None)?,
        };
        (mode <= 0o7777 && modified_ns < 1_000_000_000).then_some(Self {
            file_type,
            mode,
            modified_s,
            modified_ns,
            link_target,
            taken_ms: photo.map(|photo| photo.taken_ms),
        })
    }
}

/// Whether an element can be written as XML and read back: names are names, values hold what XML can.
fn is_sound(element: &XmlElement, levels: usize) -> bool {
    levels > 0
        && is_name(&element.name)
        && element.attributes.len() <= XML_ATTRIBUTES_MAX
        && element.children.len() <= MESSAGE_PARTS_MAX
        && element.attributes.iter().all(|attribute| {
            let one_form =
                if attribute.base64 { attribute.value.is_empty() } else { attribute.data.is_empty() };
            is_name(&attribute.name) && attribute.value.chars().all(is_xml_char) && one_form
        })
        && has_distinct_names(&element.attributes)
        && element.children.iter().all(|child| is_sound(child, levels - 1))
}

/// XML allows each attribute once.
fn has_distinct_names(attributes: &[XmlAttribute]) -> bool {
    let mut names = HashSet::with_capacity(attributes.len());
    attributes.iter().all(|attribute| names.insert(attribute.name.as_str()))
}

/// The names that exporters use: ASCII, no namespace tricks.
pub(super) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first
        && name.len() <= 128
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'))
}

/// The characters of XML 1.0.
pub(super) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_card(card: &[u8]) -> bool {
    card.len() <= CONTACT_BYTES_MAX && card.split(|byte| *byte == b'\n').next().is_some_and(is_begin_line)
}
