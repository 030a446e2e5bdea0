//! The rules of XML 1.0 that records of messages and calls keep: names, characters, escapes, bounds.
//!
//! Pure text in, text out. What [`check_element`] lets through can always be written as well-formed XML,
//! whoever made it (M5). Entities of a document type are never expanded: there are none here.

use std::collections::BTreeSet;

use prost::Message as _;

use crate::{
    limits::{MESSAGE_PARTS_MAX, XML_ATTRIBUTE_BYTES_MAX, XML_ATTRIBUTES_MAX},
    wire::messages::{XmlAttribute, XmlElement},
};

/// The two files of SMS Backup & Restore (synctech.com.au, "fields in XML backup files").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Document {
    /// Text and multimedia messages: `<smses>`.
    Messages,
    /// The call log: `<calls>`.
    Calls,
}

impl Document {
    /// Name of the root element.
    #[must_use]
    pub fn root(self) -> &'static str {
        match self {
            Self::Messages => "smses",
            Self::Calls => "calls",
        }
    }

    /// The format's name in errors.
    pub(super) fn format(self) -> &'static str {
        match self {
            Self::Messages => "messages XML",
            Self::Calls => "calls XML",
        }
    }
}

/// What a character that XML cannot hold becomes.
const REPLACEMENT: char = '\u{fffd}';

/// Whether a character may stand in an XML 1.0 document (section 2.2).
pub(super) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether a name is one without a namespace prefix (Namespaces in XML 1.0, section 3). A prefix is
/// declared outside the record, so a record that has one would not be well-formed in another file.
pub(super) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start)
        && chars.all(|c| {
            is_name_start(c)
                || matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}')
                || matches!(c, '\u{203f}'..='\u{2040}')
        })
}

fn is_name_start(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '_' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}')
        || matches!(c, '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}')
        || matches!(c, '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}')
        || matches!(c, '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}')
        || matches!(c, '\u{10000}'..='\u{effff}')
}

/// Whether an attribute may have this name. `xmlns` would change what the element's name means.
pub(super) fn is_attribute_name(name: &str) -> bool {
    name != "xmlns" && is_name(name)
}

/// The value of an attribute as every XML parser sees it: line ends and tabs become spaces (XML 1.0,
/// 2.11 and 3.3.3), references are resolved. Halves of surrogate pairs in references, which many
/// exporters write, are joined; whatever else XML cannot hold becomes U+FFFD.
pub(super) fn unescape(raw: &str) -> Result<String, &'static str> {
    let mut text = Text { out: String::with_capacity(raw.len()), high: None };
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '&' => text.push_code(read_reference(&mut chars)?),
            '<' => return Err("a < inside an attribute"),
            '\r' => {
                chars.next_if_eq(&'\n');
                text.push_code(u32::from(' '));
            }
            '\n' | '\t' => text.push_code(u32::from(' ')),
            other => text.push_code(u32::from(other)),
        }
    }
    Ok(text.finish())
}

/// Text under construction, with a high surrogate that may yet find its low half.
struct Text {
    out: String,
    high: Option<u32>,
}

impl Text {
    fn push_code(&mut self, code: u32) {
        if let Some(high) = self.high.take() {
            if let Some(joined) = join_surrogates(high, code) {
                self.out.push(joined);
                return;
            }
            self.out.push(REPLACEMENT);
        }
        if (0xd800..0xdc00).contains(&code) {
            self.high = Some(code);
        } else {
            self.out.push(char::from_u32(code).filter(|c| is_xml_char(*c)).unwrap_or(REPLACEMENT));
        }
    }

    fn finish(mut self) -> String {
        if self.high.is_some() {
            self.out.push(REPLACEMENT);
        }
        self.out
    }
}

fn join_surrogates(high: u32, low: u32) -> Option<char> {
    let high = u16::try_from(high).ok()?;
    let low = u16::try_from(low).ok()?;
    let mut joined = char::decode_utf16([high, low]);
    let first = joined.next()?.ok()?;
    joined.next().is_none().then_some(first)
}

/// Reads what follows an ampersand, with the semicolon.
fn read_reference(chars: &mut impl Iterator<Item = char>) -> Result<u32, &'static str> {
    let mut name = String::new();
    loop {
        match chars.next() {
            Some(';') => break,
            // Leading zeros are the only way for a legal reference to be long.
            Some('0') if name.ends_with("#0") || name.ends_with("x0") => {}
            Some(c) if name.len() < 16 && c.is_ascii_graphic() && c != '&' => name.push(c),
            _ => return Err("an ampersand that begins no reference"),
        }
    }
    match name.as_str() {
        "amp" => Ok(u32::from('&')),
        "lt" => Ok(u32::from('<')),
        "gt" => Ok(u32::from('>')),
        "quot" => Ok(u32::from('"')),
        "apos" => Ok(u32::from('\'')),
        _ => read_code(&name).ok_or("a reference that XML does not define"),
    }
}

fn read_code(name: &str) -> Option<u32> {
    let digits = name.strip_prefix('#')?;
    let (digits, radix) = match digits.strip_prefix(['x', 'X']) {
        Some(hex) => (hex, 16),
        None => (digits, 10),
    };
    if digits.is_empty() {
        return None;
    }
    // A number beyond all characters saturates and becomes U+FFFD.
    digits
        .chars()
        .map(|digit| digit.to_digit(radix))
        .try_fold(0u32, |sum, digit| Some(sum.saturating_mul(radix).saturating_add(digit?)))
}

/// Appends a value so that [`unescape`] gives it back: real UTF-8, line ends and tabs as references.
pub(super) fn escape_into(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
}

/// Longest record of a file, as text and as encoded message: one full attribute and as much again.
pub(super) const ELEMENT_BYTES_MAX: usize = 2 * XML_ATTRIBUTE_BYTES_MAX;
/// Elements nested in each other, counting the record.
pub(super) const ELEMENT_DEPTH_MAX: usize = 4;
/// Elements of one record in all: parts and addresses, with room.
pub(super) const ELEMENTS_MAX: usize = 4 * MESSAGE_PARTS_MAX;
/// Attributes of one record in all; far more than so many parts have, and few megabytes when empty (R2).
pub(super) const ELEMENT_ATTRIBUTES_MAX: usize = 64 * 1024;

/// Elements and attributes that one record may still have.
pub(super) struct Allowance {
    elements: usize,
    attributes: usize,
}

impl Allowance {
    /// The full allowance of one record.
    pub(super) fn new() -> Self {
        Self { elements: ELEMENTS_MAX, attributes: ELEMENT_ATTRIBUTES_MAX }
    }

    /// Takes one element.
    pub(super) fn take_element(&mut self) -> Result<(), &'static str> {
        self.elements = self.elements.checked_sub(1).ok_or("too many elements in one record")?;
        Ok(())
    }

    /// Takes one attribute.
    pub(super) fn take_attribute(&mut self) -> Result<(), &'static str> {
        self.attributes = self.attributes.checked_sub(1).ok_or("too many attributes in one record")?;
        Ok(())
    }
}

/// Whether a record from whatever source can be written as XML and lies within every bound.
///
/// # Errors
/// The first rule that it breaks.
pub(super) fn check_element(element: &XmlElement) -> Result<(), &'static str> {
    check_nested(element, ELEMENT_DEPTH_MAX, &mut Allowance::new())?;
    if element.encoded_len() > ELEMENT_BYTES_MAX {
        return Err("a record that is too long");
    }
    Ok(())
}

fn check_nested(element: &XmlElement, levels: usize, allowance: &mut Allowance) -> Result<(), &'static str> {
    let below = levels.checked_sub(1).ok_or("elements nested too deeply")?;
    allowance.take_element()?;
    if !is_name(&element.name) {
        return Err("an element name that XML does not allow");
    }
    if element.attributes.len() > XML_ATTRIBUTES_MAX {
        return Err("too many attributes");
    }
    if element.children.len() > MESSAGE_PARTS_MAX {
        return Err("too many parts");
    }
    let mut names = BTreeSet::new();
    for attribute in &element.attributes {
        allowance.take_attribute()?;
        check_attribute(attribute)?;
        if !names.insert(&attribute.name) {
            return Err("an attribute given twice");
        }
    }
    element.children.iter().try_for_each(|child| check_nested(child, below, allowance))
}

fn check_attribute(attribute: &XmlAttribute) -> Result<(), &'static str> {
    let XmlAttribute { name, value, data, base64 } = attribute;
    if !is_attribute_name(name) {
        return Err("an attribute name that XML does not allow");
    }
    let text_length = data.len().div_ceil(3).saturating_mul(4).max(value.len());
    if text_length > XML_ATTRIBUTE_BYTES_MAX {
        return Err("an attribute that is too long");
    }
    if if *base64 { !value.is_empty() } else { !data.is_empty() } {
        return Err("an attribute that is both text and data");
    }
    if !value.chars().all(is_xml_char) {
        return Err("a character that XML does not allow");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrogate_halves_are_joined_and_lone_ones_replaced() {
        let cases = [
            ("a&#55357;&#56838;b", "a😆b"),
            ("&#xD83D;&#xde06;", "😆"),
            ("&#xD83D;&#56838;", "😆"),
            ("&#X1f606;", "😆"),
            ("&#55357;", "\u{fffd}"),
            ("&#55357;x", "\u{fffd}x"),
            ("&#56838;&#55357;", "\u{fffd}\u{fffd}"),
            ("&#55357;&#55357;&#56838;", "\u{fffd}😆"),
            ("&#55357; &#56838;", "\u{fffd} \u{fffd}"),
            ("&#0;&#1;&#xfffe;&#x110000;&#99999999999;", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ("&#000000000000000000000065;&#x00000000000000000041;", "AA"),
            ("&#0;&#x0;&#000;", "\u{fffd}\u{fffd}\u{fffd}"),
            ("\u{1}\u{b}\u{ffff}", "\u{fffd}\u{fffd}\u{fffd}"),
        ];
        for (raw, expected) in cases {
            assert_eq!(unescape(raw).unwrap(), expected, "{raw}");
        }
    }

    #[test]
    fn raw_line_ends_become_spaces_and_references_stay() {
        assert_eq!(unescape("a\nb\r\nc\rd\te").unwrap(), "a b c d e");
        assert_eq!(unescape("a&#10;b&#13;&#xA;c&#9;d\r&#10;").unwrap(), "a\nb\r\nc\td \n");
        assert_eq!(unescape("&amp;lt;&lt;&gt;&quot;&apos;").unwrap(), "&lt;<>\"'");
    }

    #[test]
    fn attack_r6_broken_references_are_errors() {
        for raw in
            ["&", "a & b", "&;", "&nbsp;", "&#;", "&#x;", "&#x", "&#-1;", "&#12a;", "&#xg;", "&a&b;", "<"]
        {
            assert!(unescape(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn names() {
        for good in ["a", "_id", "ct_l", "x-1.2", "été", "日本"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "1a", "-a", "a b", "a:b", "xml:space", "a=\"", "a>", "a\u{0}", "\u{fffe}", "×"] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_name("xmlns") && !is_attribute_name("xmlns"));
    }
}
