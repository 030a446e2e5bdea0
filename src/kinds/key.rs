//! Keys of records: what makes two records the same one, in the order in which the tree keeps them.

use super::contacts::uid;
use crate::{
    Error, Part, Result,
    crypto::{Label, labelled_hash},
    limits::{KEY_BYTES_MAX, SOURCE_BYTES_MAX},
    wire::messages::XmlElement,
};

/// Checks the name of a source: 1 to 255 bytes, one path component.
///
/// # Errors
/// [`Error::InvalidArgument`].
pub fn check_source_name(source: &str) -> Result<()> {
    let bad = source.is_empty()
        || source.len() > SOURCE_BYTES_MAX
        || source.contains(['/', '\0'])
        || matches!(source, "." | "..");
    if bad {
        Err(Error::InvalidArgument("a source's name is one path component of 1 to 255 bytes"))
    } else {
        Ok(())
    }
}

/// The key of a file: the source and the path's components, joined by zero bytes, so that the order of keys
/// is that of a depth-first walk with sorted names.
///
/// # Errors
/// [`Error::InvalidArgument`] for a bad source name, an empty or a too long path.
pub fn file_key(source: &str, components: &[&[u8]]) -> Result<Vec<u8>> {
    check_source_name(source)?;
    let mut key = source.as_bytes().to_vec();
    for component in components {
        if component.is_empty() || component.contains(&0) {
            return Err(Error::InvalidArgument("an empty path component"));
        }
        key.push(0);
        key.extend_from_slice(component);
    }
    if components.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Error::InvalidArgument("a path that is empty or too long"));
    }
    Ok(key)
}

/// The source and components of a file's key.
///
/// # Errors
/// [`Error::Damaged`] when it is none.
pub fn parse_file_key(key: &[u8]) -> Result<(&str, Vec<&[u8]>)> {
    let damaged = || Error::damaged(Part::Record);
    let mut parts = key.split(|byte| *byte == 0);
    let source = parts.next().and_then(|part| std::str::from_utf8(part).ok()).ok_or_else(damaged)?;
    check_source_name(source).map_err(|_| damaged())?;
    let parts: Vec<&[u8]> = parts.collect();
    if parts.is_empty() || parts.iter().any(|part| part.is_empty()) {
        Err(damaged())
    } else {
        Ok((source, parts))
    }
}

/// The key of a contact: its source, then a hash of its UID, or of all of it when it has none.
///
/// # Errors
/// [`Error::InvalidArgument`] for a bad source name.
pub fn contact_key(source: &str, card: &[u8], occurrence: u16) -> Result<Vec<u8>> {
    check_source_name(source)?;
    let identity = uid(card).map_or_else(|| digest(b"card", &[card]), |uid| digest(b"uid", &[&uid]));
    let hex: String = identity.iter().map(|byte| format!("{byte:02x}")).collect();
    file_key(source, &[format!("{hex}-{occurrence}").as_bytes()])
}

/// The key of a message or call: its date, then a hash of what identifies it, then which of several with
/// the same identity it is.
#[must_use]
pub fn message_key(element: &XmlElement, occurrence: u16) -> Vec<u8> {
    let attribute = |name: &str| {
        let found = element.attributes.iter().find(|attribute| attribute.name == name);
        found.map_or("", |attribute| attribute.value.as_str())
    };
    let date: i64 = attribute("date").parse().unwrap_or(0);
    let names: &[&str] = match element.name.as_str() {
        "sms" => &["address", "type", "date", "body"],
        "mms" => &["date", "msg_box", mms_identity(element)],
        "call" => &["number", "type", "date"],
        _ => &[],
    };
    let fields: Vec<&[u8]> = names.iter().map(|name| attribute(name).as_bytes()).collect();
    let identity = if names.is_empty() {
        digest(element.name.as_bytes(), &[&prost::Message::encode_to_vec(element)])
    } else {
        digest(element.name.as_bytes(), &fields)
    };
    let mut key = (u64::from_le_bytes(date.to_le_bytes()) ^ (1 << 63)).to_be_bytes().to_vec();
    key.extend(identity);
    key.extend(occurrence.to_be_bytes());
    key
}

/// Which attribute names a multimedia message: its id, or where it was fetched from.
fn mms_identity(element: &XmlElement) -> &'static str {
    let has = |name: &str| {
        element.attributes.iter().any(|a| a.name == name && !a.value.is_empty() && a.value != "null")
    };
    if has("m_id") { "m_id" } else { "ct_l" }
}

fn digest(domain: &[u8], fields: &[&[u8]]) -> [u8; 16] {
    let mut message = Vec::new();
    for field in [domain].iter().chain(fields) {
        let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
        message.extend(length.to_le_bytes());
        message.extend_from_slice(field);
    }
    let hash = labelled_hash(Label::RECORD_KEY, &[&message]);
    let mut half = [0; 16];
    half.iter_mut().zip(hash).for_each(|(target, source)| *target = source);
    half
}
