//! The keys under which records lie in a kind's ordered map (FORMAT).
//!
//! The same record gives the same key on every device; two records of one file never share one. Keys sort
//! as people expect: messages and calls by date, files depth first. Keys that are read back are hostile (M5).

use prost::Message as _;

use super::{calls::call_identity, contacts, messages};
use crate::{
    Error, Part, Result,
    crypto::{Label, labelled_hash},
    limits::{KEY_BYTES_MAX, SOURCE_BYTES_MAX},
    wire::messages::XmlElement,
};

/// Length of a message's or call's key.
pub const MESSAGE_KEY_BYTES: usize = 26;
/// Leading bytes of that key that say which message it is; the rest numbers exact duplicates.
pub const MESSAGE_IDENTITY_BYTES: usize = 24;
/// What follows the source and its separator in a contact's key.
const CONTACT_KEY_TAIL: usize = 18;

/// The key of a message or call: its date (8 bytes, sorting by time), what identifies it (16 bytes), and
/// how many records with the same 24 bytes came before it in the same file (2 bytes). A missing or
/// unreadable date counts as 0.
#[must_use]
pub fn message_key(element: &XmlElement, occurrence: u16) -> Vec<u8> {
    let date_ms: i64 =
        attribute(element, "date").and_then(|date| date.trim().parse().ok()).unwrap_or_default();
    let identity = match element.name.as_str() {
        "sms" => messages::sms_identity(element),
        "mms" => messages::mms_identity(element),
        "call" => call_identity(element),
        _ => Identity::of("other").bytes(&element.encode_to_vec()),
    };
    // Without the sign bit flipped, dates before 1970 would sort last.
    let sortable = date_ms.cast_unsigned() ^ (1 << 63);
    let mut key = sortable.to_be_bytes().to_vec();
    key.extend_from_slice(&identity.hash());
    key.extend_from_slice(&occurrence.to_be_bytes());
    key
}

/// The key of a contact: the source, a zero byte, 16 bytes from its UID or else from the whole card, and
/// how many cards with the same bytes before this came before it in the same source (2 bytes).
///
/// # Errors
/// [`Error::InvalidArgument`] for a source name that is not allowed.
pub fn contact_key(source: &str, card: &[u8], occurrence: u16) -> Result<Vec<u8>> {
    check_source(source.as_bytes()).ok_or(BAD_SOURCE)?;
    let identity = match contacts::uid(card) {
        Some(uid) => Identity::of("contact-uid").bytes(&uid),
        None => Identity::of("contact-card").bytes(card),
    };
    let mut key = source.as_bytes().to_vec();
    key.push(0);
    key.extend_from_slice(&identity.hash());
    key.extend_from_slice(&occurrence.to_be_bytes());
    Ok(key)
}

/// The source in a contact's key.
///
/// # Errors
/// [`Error::Damaged`] when the key is none that [`contact_key`] makes.
pub fn parse_contact_key(key: &[u8]) -> Result<&str> {
    split_source(key)
        .and_then(|(source, tail)| (tail.len() == CONTACT_KEY_TAIL).then_some(source))
        .ok_or(Error::damaged(Part::Record))
}

/// The key of a file: the source, a zero byte, and the parts of its path with zero bytes between, so that
/// keys sort as a walk through sorted folders. No parts at all mean the source itself.
///
/// # Errors
/// [`Error::InvalidArgument`] for a source or part that is not allowed, or a key that is too long.
pub fn file_key<P: AsRef<[u8]>>(source: &str, components: &[P]) -> Result<Vec<u8>> {
    check_source(source.as_bytes()).ok_or(BAD_SOURCE)?;
    let parts_bytes: usize =
        components.iter().map(|component| component.as_ref().len().saturating_add(1)).sum();
    let mut key = Vec::with_capacity(source.len().saturating_add(parts_bytes.max(1)).min(KEY_BYTES_MAX));
    key.extend_from_slice(source.as_bytes());
    for component in components {
        check_component(component.as_ref()).ok_or(Error::InvalidArgument("a path with a forbidden part"))?;
        key.push(0);
        key.extend_from_slice(component.as_ref());
    }
    if components.is_empty() {
        key.push(0);
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::InvalidArgument("a path that is too long"));
    }
    Ok(key)
}

/// The source and the parts of the path in a file's key. No part is empty, `.`, `..` or holds a slash.
///
/// # Errors
/// [`Error::Damaged`] when the key is none that [`file_key`] makes.
pub fn parse_file_key(key: &[u8]) -> Result<(&str, Vec<&[u8]>)> {
    parse_file(key).ok_or(Error::damaged(Part::Record))
}

fn parse_file(key: &[u8]) -> Option<(&str, Vec<&[u8]>)> {
    if key.len() > KEY_BYTES_MAX {
        return None;
    }
    let (source, path) = split_source(key)?;
    if path.is_empty() {
        return Some((source, Vec::new()));
    }
    let components: Option<Vec<_>> = path.split(|byte| *byte == 0).map(check_component).collect();
    Some((source, components?))
}

fn split_source(key: &[u8]) -> Option<(&str, &[u8])> {
    let separator = key.iter().position(|byte| *byte == 0)?;
    let (source, rest) = key.split_at_checked(separator)?;
    Some((check_source(source)?, rest.get(1..)?))
}

const BAD_SOURCE: Error = Error::InvalidArgument("a source name that is not allowed");

fn check_source(name: &[u8]) -> Option<&str> {
    if name.len() > SOURCE_BYTES_MAX {
        return None;
    }
    std::str::from_utf8(check_component(name)?).ok()
}

fn check_component(name: &[u8]) -> Option<&[u8]> {
    let forbidden = matches!(name, b"" | b"." | b"..") || name.iter().any(|byte| matches!(byte, 0 | b'/'));
    (!forbidden).then_some(name)
}

/// The value of an attribute as text.
fn attribute<'a>(element: &'a XmlElement, name: &str) -> Option<&'a str> {
    element.attributes.iter().find(|attribute| attribute.name == name).map(|found| found.value.as_str())
}

/// The value of an attribute that says something: the formats write `null` for nothing.
pub(super) fn meaningful<'a>(element: &'a XmlElement, name: &str) -> Option<&'a str> {
    attribute(element, name).filter(|value| !value.is_empty() && *value != "null")
}

/// What identifies a record: fields, each with its length, so that no two lists give the same bytes.
pub(super) struct Identity(Vec<u8>);

impl Identity {
    /// Begins with what kind of record it is.
    pub(super) fn of(kind: &str) -> Self {
        Self(Vec::new()).name(kind)
    }

    /// Adds a fixed word.
    pub(super) fn name(self, name: &str) -> Self {
        self.bytes(name.as_bytes())
    }

    /// Adds an attribute, or that it is missing.
    pub(super) fn text(mut self, element: &XmlElement, name: &str) -> Self {
        match attribute(element, name) {
            Some(value) => self.bytes(value.as_bytes()),
            None => {
                self.0.push(0);
                self
            }
        }
    }

    /// Adds a field: 1, the length as 8 bytes big-endian, the bytes.
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.push(1);
        self.0.extend_from_slice(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    fn hash(&self) -> [u8; 16] {
        labelled_hash(Label::RECORD_KEY, &[&self.0]).first_chunk().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Document, ElementReader};

    fn one(xml: &str) -> XmlElement {
        let file = format!("<smses>{xml}</smses>");
        ElementReader::new(file.as_bytes(), Document::Messages).unwrap().next().unwrap().unwrap()
    }

    fn key(xml: &str) -> Vec<u8> {
        message_key(&one(xml), 0)
    }

    #[test]
    fn messages_sort_by_date_and_duplicates_by_their_number() {
        let dates = ["-9223372036854775808", "-1", "0", "1", "1709210096789", "9223372036854775807"];
        let keys: Vec<_> = dates.iter().map(|date| key(&format!("<sms date='{date}'/>"))).collect();
        assert!(keys.is_sorted());
        assert_eq!(keys[3][..8], [0x80, 0, 0, 0, 0, 0, 0, 1]);
        for odd in ["<sms/>", "<sms date='null'/>", "<sms date='99999999999999999999'/>"] {
            assert_eq!(key(odd)[..8], [0x80, 0, 0, 0, 0, 0, 0, 0], "{odd}");
        }
        let sms = one("<sms date='5' body='x'/>");
        let (first, second) = (message_key(&sms, 0), message_key(&sms, 1));
        assert_eq!(first.len(), MESSAGE_KEY_BYTES);
        assert_eq!(first[..MESSAGE_IDENTITY_BYTES], second[..MESSAGE_IDENTITY_BYTES]);
        assert!(first < second);
    }

    #[test]
    fn only_what_identifies_a_message_counts() {
        let sms = key("<sms address='1' type='1' date='5' body='x' read='0' contact_name='(Unknown)'/>");
        assert_eq!(sms, key("<sms body='x' contact_name='Ana' read='1' date='5' type='1' address='1'/>"));
        for other in [
            "<sms address='2' type='1' date='5' body='x'/>",
            "<sms address='1' type='2' date='5' body='x'/>",
            "<sms address='1' type='1' date='6' body='x'/>",
            "<sms address='1' type='1' date='5' body='y'/>",
            "<sms address='1' type='1' date='5' body=''/>",
            "<sms address='1' type='1' date='5'/>",
            "<call address='1' type='1' date='5' body='x'/>",
            "<rcs address='1' type='1' date='5' body='x'/>",
        ] {
            assert_ne!(sms, key(other), "{other}");
        }
        // Lengths keep neighbouring fields apart.
        assert_ne!(key("<sms address='12' type='1'/>"), key("<sms address='1' type='21'/>"));
        let call = key("<call number='1' type='3' date='5' duration='0'/>");
        assert_eq!(call, key("<call number='1' type='3' date='5' duration='1'/>"));
        assert_ne!(key("<rcs a='1'/>"), key("<rcs a='2'/>"));
    }

    #[test]
    fn a_multimedia_message_is_known_by_id_or_place_or_text() {
        let mms = |attributes: &str, text: &str| {
            key(&format!("<mms date='5' msg_box='1' {attributes}><parts><part text='{text}'/></parts></mms>"))
        };
        assert_eq!(mms("m_id='a' ct_l='x'", "1"), mms("m_id='a' ct_l='y'", "2"));
        assert_ne!(mms("m_id='a'", "1"), mms("m_id='b'", "1"));
        assert_eq!(mms("m_id='null' ct_l='x'", "1"), mms("ct_l='x'", "2"));
        assert_ne!(mms("m_id='x'", "1"), mms("ct_l='x'", "1"));
        assert_eq!(mms("m_id='null' ct_l='null'", "1"), mms("", "1"));
        assert_ne!(mms("", "1"), mms("", "2"));
    }

    #[test]
    fn a_contact_is_known_by_its_uid_and_else_by_its_bytes() {
        let card = |lines: &str| format!("BEGIN:VCARD\n{lines}\nEND:VCARD\n").into_bytes();
        let key = |lines: &str| contact_key("phone", &card(lines), 0).unwrap();
        assert_eq!(key("UID:1\nFN:Ana"), key("FN:Ana M.\nitem1.uid:1"));
        assert_ne!(key("UID:1"), key("UID:2"));
        assert_ne!(key("FN:Ana"), key("FN:Bob"));
        assert_ne!(key("FN:Ana"), contact_key("phone", &card("FN:Ana"), 1).unwrap());
        assert_eq!(parse_contact_key(&key("UID:1")).unwrap(), "phone");
        for hostile in [b"phone\0short".as_slice(), b"../x\0abcdefghijklmnopqr", b"\0abcdefghijklmnopqr"] {
            assert!(parse_contact_key(hostile).is_err());
        }
        assert!(contact_key("a/b", b"", 0).is_err());
    }

    #[test]
    fn file_keys_sort_as_a_walk_through_sorted_folders() {
        let walk: [&[&str]; 8] = [
            &[],
            &["a"],
            &["a", "b"],
            &["a", "b", "z"],
            &["a", "c"],
            &["a b"],
            &["a.txt"],
            &["a.txt", "\u{1}"],
        ];
        let keys: Vec<_> = walk.iter().map(|path| file_key("docs", path).unwrap()).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        for (path, key) in walk.iter().zip(&keys) {
            let (source, components) = parse_file_key(key).unwrap();
            assert_eq!(source, "docs");
            assert!(components.iter().eq(path.iter().map(|part| part.as_bytes()).collect::<Vec<_>>().iter()));
        }
        assert_eq!(keys[2], b"docs\0a\0b");
        let bytes = file_key("s", &[b"\xff\xfe".as_slice()]).unwrap();
        assert_eq!(parse_file_key(&bytes).unwrap().1, [b"\xff\xfe"]);
    }

    #[test]
    fn attack_m5_hostile_keys_name_no_place_outside() {
        let hostile: [&[u8]; 14] = [
            b"",
            b"docs",
            b"\0a",
            b".\0a",
            b"..\0a",
            b"a/b\0c",
            b"\xff\0a",
            b"docs\0..",
            b"docs\0a\0..\0b",
            b"docs\0.",
            b"docs\0a/b",
            b"docs\0/etc",
            b"docs\0a\0",
            b"docs\0\0a",
        ];
        for key in hostile {
            assert!(matches!(parse_file_key(key), Err(Error::Damaged { .. })), "{}", key.escape_ascii());
        }
        let long = "x".repeat(256);
        assert!(parse_file_key(format!("{long}\0a").as_bytes()).is_err());
        assert!(file_key(&long, &["a"]).is_err());
        assert!(file_key("docs", &vec!["xxxxxxx"; 600]).is_err());
        assert!(file_key("docs", &[".."]).is_err());
        assert!(parse_file_key(&[b"docs\0".as_slice(), &[b'x'; 4700]].concat()).is_err());
    }
}
