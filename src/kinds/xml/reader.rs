//! Reads records from the stream.

use std::io::BufRead;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{FORMAT, limited::Limited, unescape::unescape};
use crate::{
    Error, Result,
    kinds::record::is_name,
    limits::{MESSAGE_PARTS_MAX, XML_ATTRIBUTE_BYTES_MAX, XML_ATTRIBUTES_MAX},
    wire::messages::{XmlAttribute, XmlElement},
};

const LEVELS_MAX: usize = 4;
const ROOTS: [&[u8]; 2] = [b"smses", b"calls"];

/// Yields the records of `<smses>` or `<calls>`, in the order of the stream.
pub struct MessageReader<R: BufRead> {
    xml: Reader<Limited<R>>,
    buffer: Vec<u8>,
    declared: Option<u64>,
    state: State,
}

#[derive(PartialEq)]
enum State {
    BeforeRoot,
    InRoot,
    Done,
}

impl<R: BufRead> MessageReader<R> {
    /// A reader of `input`.
    pub fn new(input: R) -> Self {
        let mut xml = Reader::from_reader(Limited::new(input, XML_ATTRIBUTE_BYTES_MAX));
        xml.config_mut().expand_empty_elements = true;
        Self { xml, buffer: Vec::new(), declared: None, state: State::BeforeRoot }
    }

    /// The `count` that the root declares, once a record or the end was read. A wrong one is no error.
    #[must_use]
    pub fn declared_count(&self) -> Option<u64> {
        self.declared
    }

    fn bad(&self, reason: &'static str) -> Error {
        Error::BadInput { format: FORMAT, reason, offset: self.xml.buffer_position() }
    }

    /// The next start or end tag, or the end of the stream. `None` is an end tag.
    fn tag(&mut self) -> Result<Option<Tag>> {
        loop {
            self.buffer.clear();
            let event = match self.xml.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(_) if self.xml.get_ref().is_exhausted() => return Err(self.bad("a record is too long")),
                Err(quick_xml::Error::Io(error)) => {
                    return Err(Error::Io {
                        action: "reading the source",
                        source: std::io::Error::from(error.kind()),
                    });
                }
                Err(_) => return Err(self.bad("not well-formed")),
            };
            match event {
                Event::Start(start) => {
                    let parsed = element(&start);
                    return parsed
                        .map(|element| Some(Tag::Start(element)))
                        .map_err(|reason| self.bad(reason));
                }
                Event::End(_) => return Ok(None),
                Event::Eof => return Ok(Some(Tag::Eof)),
                Event::DocType(_) => return Err(self.bad("a document type is not accepted")),
                _ => {}
            }
        }
    }

    fn record(&mut self) -> Result<Option<XmlElement>> {
        if self.state == State::BeforeRoot {
            self.root()?;
        }
        if self.state == State::Done {
            return Ok(None);
        }
        self.xml.get_mut().reset();
        match self.tag()? {
            Some(Tag::Start(mut element)) => {
                self.children(&mut element, LEVELS_MAX - 1)?;
                decode_media(&mut element, false);
                Ok(Some(element))
            }
            Some(Tag::Eof) => Err(self.bad("the end is missing")),
            None => {
                self.state = State::Done;
                Ok(None)
            }
        }
    }

    fn root(&mut self) -> Result<()> {
        match self.tag()? {
            Some(Tag::Start(element)) if ROOTS.contains(&element.name.as_bytes()) => {
                let count = element.attributes.iter().find(|attribute| attribute.name == "count");
                self.declared = count.and_then(|count| count.value.parse().ok());
                self.state = State::InRoot;
                Ok(())
            }
            Some(Tag::Start(_)) => Err(self.bad("the root is neither smses nor calls")),
            Some(Tag::Eof) | None => Err(self.bad("there is no root")),
        }
    }

    fn children(&mut self, parent: &mut XmlElement, levels: usize) -> Result<()> {
        loop {
            match self.tag()? {
                Some(Tag::Start(_)) if levels == 0 => return Err(self.bad("elements are nested too deep")),
                Some(Tag::Start(_)) if parent.children.len() >= MESSAGE_PARTS_MAX => {
                    return Err(self.bad("a record has too many parts"));
                }
                Some(Tag::Start(mut child)) => {
                    self.children(&mut child, levels - 1)?;
                    parent.children.push(child);
                }
                Some(Tag::Eof) => return Err(self.bad("the end is missing")),
                None => return Ok(()),
            }
        }
    }
}

impl<R: BufRead> Iterator for MessageReader<R> {
    type Item = Result<XmlElement>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.record();
        if record.is_err() {
            self.state = State::Done;
        }
        record.transpose()
    }
}

enum Tag {
    Start(XmlElement),
    Eof,
}

/// A start tag with its attributes, values resolved.
fn element(start: &BytesStart<'_>) -> std::result::Result<XmlElement, &'static str> {
    let mut element = XmlElement { name: name_of(start.name().as_ref())?, ..Default::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| "a malformed attribute")?;
        if element.attributes.len() >= XML_ATTRIBUTES_MAX {
            return Err("too many attributes");
        }
        let value = unescape(&attribute.value).ok_or("an unknown reference")?;
        let name = name_of(attribute.key.as_ref())?;
        element.attributes.push(XmlAttribute { name, value, ..Default::default() });
    }
    Ok(element)
}

/// A name, if a record may hold it: what is refused at restore is not taken at backup.
fn name_of(name: &str) -> std::result::Result<String, &'static str> {
    if is_name(name) { Ok(name.to_owned()) } else { Err("a name that no exporter uses") }
}

/// Media of message parts are kept as bytes where that loses nothing.
fn decode_media(element: &mut XmlElement, is_part: bool) {
    if is_part {
        for attribute in element.attributes.iter_mut().filter(|a| a.name == "data" && !a.value.is_empty()) {
            if let Some(data) = base64(&attribute.value) {
                *attribute = XmlAttribute {
                    name: std::mem::take(&mut attribute.name),
                    data,
                    base64: true,
                    ..Default::default()
                };
            }
        }
    }
    for child in &mut element.children {
        let is_part = child.name == "part";
        decode_media(child, is_part);
    }
}

/// Standard base64 in its one canonical form.
fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let engine = &base64::engine::general_purpose::STANDARD;
    let data = engine.decode(text).ok()?;
    (engine.encode(&data) == text).then_some(data)
}
