//! A record as the rest of the crate sees it, and its one way from and to the wire.
//!
//! Records come from devices that may be compromised (M5): what [`Record::decode`] lets through can be
//! restored without writing broken XML, forged cards or senseless file metadata. Bounds are checked before
//! anything is allocated for them (R2). Unknown fields are passed over: a newer device may write them.

use prost::Message as _;

use super::{
    contacts::is_one_card,
    xml::{ELEMENT_BYTES_MAX, check_element},
};
use crate::{
    Error, Part, Result,
    wire::{
        decode_lenient,
        messages::{self, ContactCard, FileEntry, PhotoInfo, XmlElement, record::Body},
    },
};

/// One entry of a kind.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Record {
    /// A message or call.
    Element(XmlElement),
    /// A contact: one vCard with its line ends.
    Contact(Vec<u8>),
    /// A file, folder or symbolic link; its bytes lie beside the record.
    File(FileMeta),
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileType {
    /// A file with bytes.
    Regular,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
}

/// What is kept about a file besides its place and its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct FileMeta {
    /// What it is.
    pub file_type: FileType,
    /// Permission bits, at most `0o7777`; the owner's alone where the system has none.
    pub mode: u32,
    /// Modification time, seconds since 1970.
    pub modified_s: i64,
    /// Nanoseconds to add, below 10⁹.
    pub modified_ns: u32,
    /// Where a symbolic link points: 1 to 4096 bytes without NUL; empty for everything else. It may point
    /// anywhere: whoever restores it must not follow it.
    pub link_target: Vec<u8>,
    /// When a picture was taken, by EXIF; regular files only.
    pub taken_ms: Option<i64>,
}

const MODE_MAX: u32 = 0o7777;
const NANOSECONDS: u32 = 1_000_000_000;
const LINK_TARGET_BYTES_MAX: usize = 4096;
/// The longest element, with room for the frame around it and fields of newer devices.
const ENCODED_BYTES_MAX: usize = ELEMENT_BYTES_MAX + 4096;

impl Record {
    /// The record as it is stored.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when [`Record::decode`] would refuse it: what cannot be restored must not
    /// count as backed up.
    pub fn encode(self) -> Result<Vec<u8>> {
        self.check().map_err(Error::InvalidArgument)?;
        let body = match self {
            Self::Element(element) => Body::Element(element),
            Self::Contact(card) => Body::Contact(ContactCard { card }),
            Self::File(meta) => Body::File(meta.into_wire()),
        };
        Ok(messages::Record { body: Some(body) }.encode_to_vec())
    }

    /// Reads a stored record, which may be hostile.
    ///
    /// # Errors
    /// [`Error::Damaged`] for everything that breaks a rule of its kind.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::damaged(Part::Record);
        if bytes.len() > ENCODED_BYTES_MAX {
            return Err(damaged());
        }
        super::scan::check_counts(bytes).ok_or_else(damaged)?;
        let wire: messages::Record = decode_lenient(bytes, ENCODED_BYTES_MAX, Part::Record)?;
        let record = match wire.body.ok_or_else(damaged)? {
            Body::Element(element) => Self::Element(element),
            Body::Contact(ContactCard { card }) => Self::Contact(card),
            Body::File(entry) => Self::File(FileMeta::from_wire(entry).ok_or_else(damaged)?),
        };
        record.check().map_err(|_| damaged())?;
        Ok(record)
    }

    fn check(&self) -> std::result::Result<(), &'static str> {
        match self {
            Self::Element(element) => check_element(element),
            Self::Contact(card) if is_one_card(card) => Ok(()),
            Self::Contact(_) => Err("not exactly one contact card"),
            Self::File(meta) => meta.check(),
        }
    }
}

impl FileMeta {
    fn check(&self) -> std::result::Result<(), &'static str> {
        let Self { file_type, mode, modified_s: _, modified_ns, link_target, taken_ms } = self;
        if *mode > MODE_MAX {
            return Err("a file mode that is out of range");
        }
        if *modified_ns >= NANOSECONDS {
            return Err("a modification time that is out of range");
        }
        let good_target = match file_type {
            FileType::Symlink => {
                (1..=LINK_TARGET_BYTES_MAX).contains(&link_target.len()) && !link_target.contains(&0)
            }
            FileType::Regular | FileType::Directory => link_target.is_empty(),
        };
        if !good_target {
            return Err("a link target that is not allowed");
        }
        if taken_ms.is_some() && *file_type != FileType::Regular {
            return Err("a picture's time on what is no file");
        }
        Ok(())
    }

    fn into_wire(self) -> FileEntry {
        let Self { file_type, mode, modified_s, modified_ns, link_target, taken_ms } = self;
        let file_type = match file_type {
            FileType::Regular => messages::FileType::Regular,
            FileType::Directory => messages::FileType::Directory,
            FileType::Symlink => messages::FileType::Symlink,
        };
        let photo = taken_ms.map(|taken_ms| PhotoInfo { taken_ms });
        FileEntry { r#type: file_type.into(), mode, modified_s, modified_ns, link_target, photo }
    }

    fn from_wire(entry: FileEntry) -> Option<Self> {
        let FileEntry { r#type, mode, modified_s, modified_ns, link_target, photo } = entry;
        let file_type = match messages::FileType::try_from(r#type).ok()? {
            messages::FileType::Unspecified => return None,
            messages::FileType::Regular => FileType::Regular,
            messages::FileType::Directory => FileType::Directory,
            messages::FileType::Symlink => FileType::Symlink,
        };
        let taken_ms = photo.map(|PhotoInfo { taken_ms }| taken_ms);
        Some(Self { file_type, mode, modified_s, modified_ns, link_target, taken_ms })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::messages::XmlAttribute;

    fn file(file_type: FileType) -> FileMeta {
        FileMeta {
            file_type,
            mode: 0o644,
            modified_s: -5,
            modified_ns: 999_999_999,
            link_target: if file_type == FileType::Symlink { b"../x".to_vec() } else { Vec::new() },
            taken_ms: (file_type == FileType::Regular).then_some(-1),
        }
    }

    fn refused(body: Body) -> bool {
        let bytes = messages::Record { body: Some(body) }.encode_to_vec();
        matches!(Record::decode(&bytes), Err(Error::Damaged { what: Part::Record }))
    }

    #[test]
    fn records_come_back_as_they_were() {
        let element = XmlElement {
            name: "sms".to_owned(),
            attributes: vec![XmlAttribute {
                name: "body".to_owned(),
                value: "hi\n".to_owned(),
                ..XmlAttribute::default()
            }],
            children: vec![XmlElement { name: "x".to_owned(), ..XmlElement::default() }],
        };
        let records = [
            Record::Element(element),
            Record::Contact(b"BEGIN:VCARD\nEND:VCARD".to_vec()),
            Record::File(file(FileType::Regular)),
            Record::File(file(FileType::Directory)),
            Record::File(file(FileType::Symlink)),
        ];
        for record in records {
            let mut bytes = record.clone().encode().unwrap();
            assert!(Record::decode(&bytes).unwrap() == record);
            // A field of a newer device.
            bytes.extend([0xfa, 0x3f, 2, 1, 2]);
            assert!(Record::decode(&bytes).unwrap() == record);
        }
    }

    #[test]
    fn attack_m5_hostile_records_are_refused() {
        let base = || file(FileType::Regular).into_wire();
        let link =
            |target: &[u8]| FileEntry { link_target: target.to_vec(), ..file(FileType::Symlink).into_wire() };
        let hostile = [
            FileEntry { mode: 0o10000, ..base() },
            FileEntry { modified_ns: 1_000_000_000, ..base() },
            FileEntry { r#type: 0, ..base() },
            FileEntry { r#type: 9, ..base() },
            FileEntry { link_target: b"x".to_vec(), ..base() },
            FileEntry { photo: Some(PhotoInfo { taken_ms: 1 }), ..file(FileType::Directory).into_wire() },
            link(b""),
            link(b"a\0b"),
            link(&[b'x'; 4097]),
        ];
        assert!(hostile.into_iter().all(|entry| refused(Body::File(entry))));
        assert!(!refused(Body::File(link(&[b'x'; 4096]))));
        for card in ["", "hello", "BEGIN:VCARD\nEND:VCARD\nBEGIN:VCARD\nEND:VCARD\n"] {
            assert!(refused(Body::Contact(ContactCard { card: card.into() })), "{card}");
        }
        for name in ["", "a b", "/smses", "a:b"] {
            assert!(refused(Body::Element(XmlElement { name: name.to_owned(), ..XmlElement::default() })));
        }
        assert!(matches!(Record::decode(b""), Err(Error::Damaged { .. })));
        assert!(matches!(Record::decode(&[0xff; 20]), Err(Error::Damaged { .. })));
    }

    #[test]
    fn what_would_be_refused_is_not_encoded() {
        let meta = FileMeta { mode: 0o100_644, ..file(FileType::Regular) };
        assert!(matches!(Record::File(meta).encode(), Err(Error::InvalidArgument(_))));
    }

    /// A record whose element holds `fields` as they are.
    fn raw_element(fields: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x0a];
        prost::encode_length_delimiter(fields.len(), &mut bytes).unwrap();
        bytes.extend(fields);
        bytes
    }

    #[test]
    fn attack_r2_empty_elements_are_counted_before_they_are_decoded() {
        for field in [[0x12, 0], [0x1a, 0]] {
            let many = raw_element(&field.repeat(8 * 1024 * 1024));
            assert!(super::super::scan::check_counts(&many).is_none());
            assert!(matches!(Record::decode(&many), Err(Error::Damaged { .. })));
        }
        // Spread over repeated fields that the decoder merges, they are still counted together.
        let merged = raw_element(&[0x1a, 0].repeat(1000)).repeat(6);
        assert!(super::super::scan::check_counts(&merged).is_none());
    }

    #[test]
    fn attack_r1_deep_records_are_refused_without_recursion() {
        let mut fields = Vec::new();
        for _ in 0..5 {
            let mut outer = vec![0x1a];
            prost::encode_length_delimiter(fields.len(), &mut outer).unwrap();
            outer.extend(&fields);
            fields = outer;
        }
        assert!(super::super::scan::check_counts(&raw_element(&fields)).is_none());
    }

    proptest! {
        #[test]
        fn attack_r6_no_bytes_panic(bytes in any::<Vec<u8>>()) {
            let _ = Record::decode(&bytes);
            let _ = Record::decode(&raw_element(&bytes));
        }
    }
}
