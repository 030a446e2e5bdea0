//! Reads a file of messages or calls one record at a time.
//!
//! Memory is bounded by one record, whatever the file's length; never a tree of the document. No input
//! panics (R6), no entity is expanded, and what is not understood is kept or refused, never dropped.

use std::io::{BufRead, Chain, Cursor, Read};

use base64ct::{Base64, Encoding as _};
use prost::Message as _;
use quick_xml::events::{BytesDecl, BytesStart, Event};

use super::xml::{
    Allowance, Document, ELEMENT_BYTES_MAX, ELEMENT_DEPTH_MAX, is_attribute_name, is_name, unescape,
};
use crate::{
    Error, Result,
    limits::{MESSAGE_PARTS_MAX, XML_ATTRIBUTE_BYTES_MAX, XML_ATTRIBUTES_MAX},
    wire::messages::{XmlAttribute, XmlElement},
};

/// Iterates over the records of a file: the children of its root, each with all attributes and children,
/// in the order of the file. After an error it ends.
///
/// ```
/// use strongroom::kinds::{Document, ElementReader};
///
/// let file = br#"<smses count="1"><sms address="+1" date="5" body="hi &#55357;&#56838;"/></smses>"#;
/// let mut reader = ElementReader::new(file.as_slice(), Document::Messages)?;
/// assert_eq!(reader.declared_count(), Some(1));
/// let sms = reader.next().unwrap()?;
/// assert_eq!(sms.attributes[2].value, "hi 😆");
/// # Ok::<(), strongroom::Error>(())
/// ```
pub struct ElementReader<R> {
    xml: quick_xml::Reader<Budget<Chain<Cursor<Vec<u8>>, R>>>,
    buffer: Vec<u8>,
    document: Document,
    skipped_bytes: u64,
    declared_count: Option<u64>,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeRoot,
    InsideRoot,
    AfterRoot,
    Ended,
}

impl<R: BufRead> ElementReader<R> {
    /// Opens a file and reads up to its root element.
    ///
    /// # Errors
    /// [`Error::BadInput`] when the file is not UTF-8 XML, has a document type or another root;
    /// [`Error::Io`] when reading fails.
    pub fn new(mut reader: R, document: Document) -> Result<Self> {
        let bad = |reason| Error::BadInput { format: document.format(), reason, offset: 0 };
        let mut head = Vec::with_capacity(4);
        reader.by_ref().take(4).read_to_end(&mut head).map_err(Error::io("reading the export"))?;
        if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, ..] | [_, 0, ..] = head.as_slice() {
            return Err(bad("the text is UTF-16 or UTF-32; save it as UTF-8"));
        }
        // The parser would look for the mark only in what the first read happens to give.
        let mark = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        head.drain(..mark);
        let mut this = Self {
            xml: quick_xml::Reader::from_reader(Budget::new(Cursor::new(head).chain(reader))),
            buffer: Vec::new(),
            document,
            skipped_bytes: u64::try_from(mark).unwrap_or(0),
            declared_count: None,
            place: Place::BeforeRoot,
        };
        this.read_prolog()?;
        Ok(this)
    }

    /// What the root's `count` says. Many exporters get it wrong; it is no reason to refuse a file.
    #[must_use]
    pub fn declared_count(&self) -> Option<u64> {
        self.declared_count
    }

    fn read_prolog(&mut self) -> Result<()> {
        while self.place == Place::BeforeRoot {
            self.next_event(|this, event| match event {
                Event::Start(tag) => this.enter_root(&tag, Place::InsideRoot),
                Event::Empty(tag) => this.enter_root(&tag, Place::AfterRoot),
                Event::Decl(declaration) => check_declaration(&declaration),
                Event::Eof => Err("no root element"),
                other => check_between(&other),
            })?;
        }
        Ok(())
    }

    fn enter_root(&mut self, tag: &BytesStart<'_>, place: Place) -> std::result::Result<(), &'static str> {
        if tag.name().as_ref() != self.document.root() {
            return Err("another root element than this format has");
        }
        let root = parse_element(tag, &mut Allowance::new(), NameRule::Any)?;
        let count = root.attributes.iter().find(|attribute| attribute.name == "count");
        self.declared_count = count.and_then(|count| count.value.trim().parse().ok());
        self.place = place;
        Ok(())
    }

    fn read_record(&mut self) -> Result<Option<XmlElement>> {
        let mut record = Builder::new();
        self.xml.get_mut().refill();
        while self.place == Place::InsideRoot {
            let done = self.next_event(|this, event| match event {
                Event::Start(tag) => record.open(&tag).map(|()| None),
                Event::Empty(tag) => record.open(&tag).and_then(|()| record.close()),
                Event::End(_) if record.is_empty() => {
                    this.place = Place::AfterRoot;
                    Ok(None)
                }
                Event::End(_) => record.close(),
                Event::Eof => Err("the file is cut off"),
                Event::Decl(_) => Err("an XML declaration inside the file"),
                other => check_between(&other).map(|()| None),
            })?;
            if done.is_some() {
                return Ok(done);
            }
        }
        Ok(None)
    }

    fn read_epilog(&mut self) -> Result<()> {
        while self.place == Place::AfterRoot {
            self.next_event(|this, event| match event {
                Event::Eof => {
                    this.place = Place::Ended;
                    Ok(())
                }
                Event::Start(_) | Event::Empty(_) | Event::Decl(_) => Err("data after the root element"),
                other => check_between(&other),
            })?;
        }
        Ok(())
    }

    /// Reads one event and gives it to `handle`, whose reason becomes an error with its place.
    fn next_event<T>(
        &mut self,
        handle: impl FnOnce(&mut Self, Event<'_>) -> std::result::Result<T, &'static str>,
    ) -> Result<T> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = match self.xml.read_event_into(&mut buffer) {
            Ok(event) => handle(self, event).map_err(|reason| self.bad(reason)),
            Err(error) => Err(self.parser_error(error)),
        };
        // One huge picture must not keep its memory for the rest of the file.
        if buffer.capacity() <= KEPT_BUFFER_BYTES {
            buffer.clear();
            self.buffer = buffer;
        }
        result
    }

    fn parser_error(&self, error: quick_xml::Error) -> Error {
        if self.xml.get_ref().exhausted {
            return self.bad("a record that is too long");
        }
        match error {
            quick_xml::Error::Io(source) => {
                let source = std::io::Error::new(source.kind(), "the input could not be read");
                Error::Io { action: "read", source }
            }
            quick_xml::Error::Encoding(_) => self.bad("text that is not UTF-8"),
            quick_xml::Error::Syntax(_) => self.bad("not XML, or cut off"),
            _ => self.bad("not well-formed XML"),
        }
    }

    fn bad(&self, reason: &'static str) -> Error {
        let offset = self.xml.buffer_position().saturating_add(self.skipped_bytes);
        Error::BadInput { format: self.document.format(), reason, offset }
    }
}

impl<R: BufRead> Iterator for ElementReader<R> {
    type Item = Result<XmlElement>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.read_record() {
            Ok(None) => self.read_epilog().map(|()| None),
            other => other,
        };
        if record.is_err() {
            self.place = Place::Ended;
        }
        record.transpose()
    }
}

/// Event memory that is kept from one event to the next.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

fn check_declaration(declaration: &BytesDecl<'_>) -> std::result::Result<(), &'static str> {
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name))
            if ["utf-8", "utf8", "us-ascii"].iter().any(|known| name.eq_ignore_ascii_case(known)) =>
        {
            Ok(())
        }
        Some(_) => Err("another encoding than UTF-8 is declared"),
    }
}

/// Comments and processing instructions may stand anywhere; text nowhere: it would be lost.
fn check_between(event: &Event<'_>) -> std::result::Result<(), &'static str> {
    match event {
        Event::Comment(_) | Event::PI(_) => Ok(()),
        Event::Text(text) if text.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n')) => Ok(()),
        Event::DocType(_) => Err("a document type, which is never read"),
        _ => Err("text outside of attributes"),
    }
}

/// One record under construction: the elements that are open, the record itself first.
struct Builder {
    open: Vec<XmlElement>,
    allowance: Allowance,
}

impl Builder {
    fn new() -> Self {
        Self { open: Vec::new(), allowance: Allowance::new() }
    }

    fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> std::result::Result<(), &'static str> {
        if self.open.len() >= ELEMENT_DEPTH_MAX {
            return Err("elements nested too deeply");
        }
        self.allowance.take_element()?;
        self.open.push(parse_element(tag, &mut self.allowance, NameRule::Record)?);
        Ok(())
    }

    /// Closes the innermost element; gives the record when it was that.
    fn close(&mut self) -> std::result::Result<Option<XmlElement>, &'static str> {
        let closed = self.open.pop().ok_or("an end without a beginning")?;
        match self.open.last_mut() {
            Some(parent) if parent.children.len() >= MESSAGE_PARTS_MAX => Err("too many parts"),
            Some(parent) => {
                parent.children.push(closed);
                Ok(None)
            }
            // Replaced characters are longer than they were: what is read must also be storable.
            None if closed.encoded_len() > ELEMENT_BYTES_MAX => Err("a record that is too long"),
            None => Ok(Some(closed)),
        }
    }
}

/// The root's attributes are read and forgotten, so it may declare namespaces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NameRule {
    Any,
    Record,
}

fn parse_element(
    tag: &BytesStart<'_>,
    allowance: &mut Allowance,
    rule: NameRule,
) -> std::result::Result<XmlElement, &'static str> {
    let name = tag.name().as_ref().to_owned();
    if !is_name(&name) {
        return Err("an element name that is not allowed");
    }
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|_| "attributes that are not well-formed")?;
        allowance.take_attribute()?;
        if attributes.len() >= XML_ATTRIBUTES_MAX {
            return Err("too many attributes");
        }
        if rule == NameRule::Record && !is_attribute_name(attribute.key.as_ref()) {
            return Err("an attribute name that is not allowed");
        }
        attributes.push(parse_attribute(&name, attribute.key.as_ref(), &attribute.value)?);
    }
    Ok(XmlElement { name, attributes, children: Vec::new() })
}

fn parse_attribute(element: &str, name: &str, raw: &str) -> std::result::Result<XmlAttribute, &'static str> {
    let mut attribute = XmlAttribute { name: name.to_owned(), ..XmlAttribute::default() };
    if raw.len() > XML_ATTRIBUTE_BYTES_MAX {
        return Err("an attribute that is too long");
    }
    if (element, name) == ("part", "data")
        && !raw.is_empty()
        && let Some(data) = decode_base64(raw)
    {
        attribute.data = data;
        attribute.base64 = true;
        return Ok(attribute);
    }
    attribute.value = unescape(raw)?;
    if attribute.value.len() > XML_ATTRIBUTE_BYTES_MAX {
        return Err("an attribute that is too long");
    }
    Ok(attribute)
}

/// The bytes, if encoding them again gives exactly this text: the decoder is strict about the alphabet,
/// the padding and the unused bits.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len().div_ceil(4).checked_mul(3)?];
    let length = Base64::decode(text, &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

/// A reader that stops in the middle of a record that is too long, before the parser has gathered it.
struct Budget<R> {
    inner: R,
    left: usize,
    exhausted: bool,
}

impl<R> Budget<R> {
    fn new(inner: R) -> Self {
        Self { inner, left: ELEMENT_BYTES_MAX, exhausted: false }
    }

    fn refill(&mut self) {
        self.left = ELEMENT_BYTES_MAX;
    }
}

impl<R: BufRead> Read for Budget<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let length = self.fill_buf()?.read(out)?;
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Budget<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.left == 0 {
            self.exhausted = true;
            return Err(std::io::Error::other("too long"));
        }
        let available = self.inner.fill_buf()?;
        Ok(available.get(..self.left).unwrap_or(available))
    }

    fn consume(&mut self, length: usize) {
        self.left = self.left.saturating_sub(length);
        self.inner.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &[u8] =
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/kinds/messages.xml"));
    const CALLS: &[u8] =
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/kinds/calls.xml"));
    const PICTURE: &[u8] =
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/kinds/picture.png"));

    fn read(file: &[u8]) -> Result<Vec<XmlElement>> {
        ElementReader::new(file, Document::Messages)?.collect()
    }

    fn get<'a>(element: &'a XmlElement, name: &str) -> &'a str {
        &element.attributes.iter().find(|attribute| attribute.name == name).unwrap().value
    }

    fn reason(file: &[u8]) -> &'static str {
        match read(file) {
            Err(Error::BadInput { format: "messages XML", reason, .. }) => reason,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("accepted: {}", String::from_utf8_lossy(file)),
        }
    }

    #[test]
    fn every_record_of_a_file_is_read_as_it_is() {
        let records = read(MESSAGES).unwrap();
        let names: Vec<_> = records.iter().map(|record| record.name.as_str()).collect();
        assert_eq!(names, ["sms", "sms", "sms", "sms", "mms", "rcs"]);
        assert_eq!(get(&records[0], "body"), "Glückwunsch 😆🎉!");
        assert_eq!(get(&records[0], "subject"), "null");
        assert_eq!(get(&records[0], "contact_name"), "Ana & Bob");
        assert_eq!(get(&records[1], "body"), "line one\nline two\n\n\tindented <b> \"quoted\" it's");
        let order: Vec<_> = records[2].attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        assert_eq!(order[4..9], ["subject", "body", "vendor_flag", "x-oem.score", "read"]);
        assert_eq!(get(&records[4], "address"), "+4915112345678~+4917687654321~+15550100");
        let [parts, addrs] = records[4].children.as_slice() else { panic!("two children") };
        assert_eq!((parts.children.len(), addrs.children.len()), (3, 3));
        assert_eq!(get(&parts.children[2], "text"), "for all of you 👍");
    }

    #[test]
    fn media_is_kept_as_bytes_only_where_that_loses_nothing() {
        let records = read(MESSAGES).unwrap();
        let data = |part: usize| records[4].children[0].children[part].attributes.last().unwrap().clone();
        assert!(data(1).base64 && data(1).data == PICTURE && data(1).value.is_empty());
        assert!(!data(2).base64 && data(2).value == "not base64");
        for text in ["AAA", "AAB=", "AA AA", "AA=A", "AAAA\n", "-_-_", "AAAA====", "&#65;AAA", ""] {
            let file = format!("<smses><mms><part data=\"{text}\"/></mms></smses>");
            assert!(!read(file.as_bytes()).unwrap()[0].children[0].attributes[0].base64, "{text}");
        }
        let elsewhere = read(b"<smses><sms data=\"AAAA\"/></smses>").unwrap();
        assert!(!elsewhere[0].attributes[0].base64);
    }

    #[test]
    fn a_mark_line_ends_of_windows_and_a_wrong_count_are_no_errors() {
        let mut reader = ElementReader::new(CALLS, Document::Calls).unwrap();
        assert_eq!(reader.declared_count(), Some(3));
        assert_eq!(reader.by_ref().map(Result::unwrap).count(), 2);
        assert!(reader.next().is_none());
        // A source that gives one byte at a time shows the same.
        let slow = std::io::BufReader::with_capacity(1, CALLS);
        assert_eq!(ElementReader::new(slow, Document::Calls).unwrap().count(), 2);
        let odd = ElementReader::new(b"<calls count='many'/>".as_slice(), Document::Calls).unwrap();
        assert_eq!((odd.declared_count(), odd.count()), (None, 0));
    }

    #[test]
    fn what_is_no_file_of_messages_is_named() {
        assert_eq!(reason(b""), "no root element");
        assert_eq!(reason(b"hello"), "text outside of attributes");
        assert_eq!(reason(CALLS), "another root element than this format has");
        assert_eq!(reason(b"\xff\xfe<\0s\0"), "the text is UTF-16 or UTF-32; save it as UTF-8");
        assert_eq!(reason(b"<\0s\0m\0"), "the text is UTF-16 or UTF-32; save it as UTF-8");
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><smses/>";
        assert_eq!(reason(latin), "another encoding than UTF-8 is declared");
        assert_eq!(reason(b"<smses><sms a='\xe9'/></smses>"), "text that is not UTF-8");
        assert_eq!(reason(b"<smses><sms/>"), "the file is cut off");
        assert_eq!(reason(b"<smses/><smses/>"), "data after the root element");
        assert_eq!(reason(b"<smses>hello</smses>"), "text outside of attributes");
        assert_eq!(reason(b"<smses><sms>hello</sms></smses>"), "text outside of attributes");
        assert_eq!(reason(b"<smses><sms><![CDATA[x]]></sms></smses>"), "text outside of attributes");
        assert_eq!(reason(b"<smses><sms></smses>"), "not well-formed XML");
        assert_eq!(reason(b"<smses><sms a='1' a='2'/></smses>"), "attributes that are not well-formed");
        assert_eq!(reason(b"<smses><sms a=1/></smses>"), "attributes that are not well-formed");
        assert_eq!(reason(b"<smses><a:b/></smses>"), "an element name that is not allowed");
        assert_eq!(reason(b"<smses><sms xmlns='x'/></smses>"), "an attribute name that is not allowed");
        assert_eq!(reason(b"<smses><sms b='<'/></smses>"), "a < inside an attribute");
    }

    #[test]
    fn the_roots_own_attributes_may_be_anything() {
        let file = b"<smses xmlns:x='urn:x' x:count='1' count=' 0 '></smses><!-- end -->\n";
        let reader = ElementReader::new(file.as_slice(), Document::Messages).unwrap();
        assert_eq!((reader.declared_count(), reader.count()), (Some(0), 0));
    }

    #[test]
    fn attack_r2_document_types_are_never_expanded() {
        let bomb = b"<!DOCTYPE smses [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]><smses><sms body='&b;'/></smses>";
        assert_eq!(reason(bomb), "a document type, which is never read");
        assert_eq!(reason(b"<smses><sms body='&b;'/></smses>"), "a reference that XML does not define");
    }

    #[test]
    fn attack_r2_bounds_hold_before_memory_is_taken() {
        let nested = |levels: usize| {
            format!("<smses>{}{}</smses>", "<a>".repeat(levels), "</a>".repeat(levels)).into_bytes()
        };
        assert!(read(&nested(ELEMENT_DEPTH_MAX)).is_ok());
        assert_eq!(reason(&nested(ELEMENT_DEPTH_MAX + 1)), "elements nested too deeply");

        let parts = |count: usize| format!("<smses><a>{}</a></smses>", "<b/>".repeat(count)).into_bytes();
        assert!(read(&parts(MESSAGE_PARTS_MAX)).is_ok());
        assert_eq!(reason(&parts(MESSAGE_PARTS_MAX + 1)), "too many parts");

        let attributes = |count: usize| {
            let list: String = (0..count).map(|number| format!(" a{number}=''")).collect();
            format!("<smses><a{list}/></smses>").into_bytes()
        };
        assert!(read(&attributes(XML_ATTRIBUTES_MAX)).is_ok());
        assert_eq!(reason(&attributes(XML_ATTRIBUTES_MAX + 1)), "too many attributes");

        let full = format!("<p>{}</p>", "<b/>".repeat(1000));
        let file = format!("<smses><a>{}</a></smses>", full.repeat(5));
        assert_eq!(reason(file.as_bytes()), "too many elements in one record");
    }

    #[test]
    fn attack_r2_an_endless_attribute_stops_at_the_limit() {
        let long = std::io::repeat(b'x').take(u64::try_from(XML_ATTRIBUTE_BYTES_MAX).unwrap() + 1);
        let file = b"<smses><sms body='".chain(long).chain(b"'/></smses>".as_slice());
        let mut reader = ElementReader::new(std::io::BufReader::new(file), Document::Messages).unwrap();
        assert!(matches!(
            reader.next(),
            Some(Err(Error::BadInput { reason: "an attribute that is too long", .. }))
        ));
        for start in ["<smses><sms body='", "<smses><!-- ", "<smses><", "<smses>&", "<smses>", "<"] {
            let endless = std::io::BufReader::new(start.as_bytes().chain(std::io::repeat(b' ')));
            let result = ElementReader::new(endless, Document::Messages).and_then(|reader| reader.collect());
            let Err(Error::BadInput { reason, .. }) = result.map(|records: Vec<_>| records.len()) else {
                panic!("{start} was accepted");
            };
            assert!(matches!(reason, "a record that is too long" | "text outside of attributes"), "{reason}");
        }
    }

    #[test]
    fn many_records_never_use_up_the_allowance_of_one() {
        let file = format!("<smses>{}</smses>", "<sms a='1' b='2' c='3' d='4'/>".repeat(20_000));
        assert_eq!(read(file.as_bytes()).unwrap().len(), 20_000);
    }

    #[test]
    fn attack_r6_a_file_cut_anywhere_is_an_error() {
        let body_end = MESSAGES.len() - "</smses>\n".len();
        for end in 0..MESSAGES.len() - 1 {
            let cut = read(&MESSAGES[..end]);
            assert!(matches!(cut, Err(Error::BadInput { .. })), "{end} of {body_end}");
        }
    }

    #[test]
    fn attack_r6_no_changed_byte_panics() {
        for place in 0..MESSAGES.len() {
            for value in [0, b'<', b'>', b'&', b'"', 0x80, 0xff] {
                let mut damaged = MESSAGES.to_vec();
                damaged[place] = value;
                let _ = read(&damaged);
            }
        }
    }

    #[test]
    fn a_failing_source_is_not_the_files_fault() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::from(std::io::ErrorKind::TimedOut))
            }
        }
        let source = std::io::BufReader::new(b"<smses><sms".chain(Failing));
        let mut reader = ElementReader::new(source, Document::Messages).unwrap();
        assert!(matches!(reader.next(), Some(Err(Error::Io { .. }))));
        assert!(reader.next().is_none());
    }
}
