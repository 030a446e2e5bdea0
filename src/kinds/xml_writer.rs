//! Writes records as a file that SMS Backup & Restore and other readers of its format accept.
//!
//! One record a line, real UTF-8, line ends inside values as references. A record that could break the
//! file is refused before a byte of it is written (M5).

use std::io::Write;

use base64ct::{Base64, Encoding as _};

use super::xml::{Document, check_element, escape_into};
use crate::{
    Error, Part, Result,
    wire::messages::{XmlAttribute, XmlElement},
};

/// A file under construction. Without [`ElementWriter::finish`] it has no end, and readers refuse it.
pub struct ElementWriter<W> {
    writer: W,
    document: Document,
    announced: u64,
    written: u64,
    line: String,
}

impl<W: Write> ElementWriter<W> {
    /// Begins a file that will hold `count` records.
    ///
    /// # Errors
    /// [`Error::Io`] when writing fails.
    pub fn new(writer: W, document: Document, count: u64) -> Result<Self> {
        let mut this = Self { writer, document, announced: count, written: 0, line: String::new() };
        let root = document.root();
        this.put(&format!(
            "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<{root} count=\"{count}\">\n"
        ))?;
        Ok(this)
    }

    /// Writes one record on a line of its own.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the record cannot be written as XML; [`Error::Io`] when writing fails.
    pub fn write(&mut self, element: &XmlElement) -> Result<()> {
        check_element(element).map_err(|_| Error::damaged(Part::Record))?;
        self.line.clear();
        self.line.push_str("  ");
        self.write_element(element)?;
        self.line.push('\n');
        self.written = self.written.saturating_add(1);
        self.flush_line()
    }

    /// Ends the file and gives the writer back.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when more or fewer records were written than announced: readers would
    /// call the file invalid. [`Error::Io`] when writing fails.
    pub fn finish(mut self) -> Result<W> {
        if self.written != self.announced {
            return Err(Error::InvalidArgument("another number of records than announced"));
        }
        self.put(&format!("</{}>\n", self.document.root()))?;
        self.writer.flush().map_err(Error::io("writing the export"))?;
        Ok(self.writer)
    }

    /// Recursion is bounded: `check_element` has counted the levels.
    fn write_element(&mut self, element: &XmlElement) -> Result<()> {
        let XmlElement { name, attributes, children } = element;
        self.line.push('<');
        self.line.push_str(name);
        for attribute in attributes {
            self.write_attribute(attribute)?;
        }
        if children.is_empty() {
            self.line.push_str(" />");
            return Ok(());
        }
        self.line.push('>');
        for child in children {
            self.write_element(child)?;
        }
        self.line.push_str("</");
        self.line.push_str(name);
        self.line.push('>');
        Ok(())
    }

    fn write_attribute(&mut self, attribute: &XmlAttribute) -> Result<()> {
        let XmlAttribute { name, value, data, base64 } = attribute;
        self.line.push(' ');
        self.line.push_str(name);
        self.line.push_str("=\"");
        if *base64 {
            self.flush_line()?;
            self.write_base64(data)?;
        } else {
            escape_into(&mut self.line, value);
        }
        self.line.push('"');
        Ok(())
    }

    /// In pieces whose length is a multiple of three, so that only the last is padded.
    fn write_base64(&mut self, data: &[u8]) -> Result<()> {
        let mut text = [0; 4096];
        for piece in data.chunks(3072) {
            let text = Base64::encode(piece, &mut text).map_err(|_| Error::Internal("base64 buffer"))?;
            self.put(text)?;
        }
        Ok(())
    }

    fn flush_line(&mut self) -> Result<()> {
        self.writer.write_all(self.line.as_bytes()).map_err(Error::io("writing the export"))?;
        self.line.clear();
        // A long body must not keep its memory.
        self.line.shrink_to(64 * 1024);
        Ok(())
    }

    fn put(&mut self, text: &str) -> Result<()> {
        self.writer.write_all(text.as_bytes()).map_err(Error::io("writing the export"))
    }
}

/// One record as a line of such a file.
///
/// # Errors
/// [`Error::Damaged`] when the record cannot be written as XML.
pub fn element_line(element: &XmlElement) -> Result<Vec<u8>> {
    let (announced, written) = (1, 0);
    let document = Document::Messages;
    let mut line = ElementWriter { writer: Vec::new(), document, announced, written, line: String::new() };
    line.write(element)?;
    Ok(line.writer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kinds::{ElementReader, xml::is_xml_char};

    fn write(elements: &[XmlElement]) -> Vec<u8> {
        let count = u64::try_from(elements.len()).unwrap();
        let mut writer = ElementWriter::new(Vec::new(), Document::Messages, count).unwrap();
        elements.iter().for_each(|element| writer.write(element).unwrap());
        writer.finish().unwrap()
    }

    fn read(file: &[u8]) -> Vec<XmlElement> {
        ElementReader::new(file, Document::Messages).unwrap().map(|record| record.unwrap()).collect()
    }

    fn text(name: &str, value: &str) -> XmlAttribute {
        XmlAttribute { name: name.to_owned(), value: value.to_owned(), ..XmlAttribute::default() }
    }

    fn element(attributes: Vec<XmlAttribute>, children: Vec<XmlElement>) -> XmlElement {
        XmlElement { name: "part".to_owned(), attributes, children }
    }

    #[test]
    fn a_file_read_and_written_keeps_every_record() {
        let original =
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/kinds/messages.xml"));
        let records = read(original);
        let written = write(&records);
        assert!(read(&written) == records);
        // Made from the same file by another parser (expat) after joining its surrogates.
        let expected: &[u8] = include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/kinds/messages.restored.xml"
        ));
        assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(expected));
    }

    #[test]
    fn one_record_a_line_in_real_utf8() {
        let picture =
            XmlAttribute { name: "data".to_owned(), data: vec![1; 4000], base64: true, value: String::new() };
        let mms = element(vec![text("body", "😆\n\t\r\"<&>")], vec![element(vec![picture], vec![])]);
        let file = String::from_utf8(write(&[mms, element(vec![], vec![])])).unwrap();
        let lines: Vec<_> = file.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0], "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>");
        assert_eq!(lines[1], "<smses count=\"2\">");
        assert!(
            lines[2].starts_with("  <part body=\"😆&#10;&#9;&#13;&quot;&lt;&amp;&gt;\"><part data=\"AQEBAQ")
        );
        assert!(lines[2].ends_with("AQEBAQ==\" /></part>"));
        assert_eq!(lines[3], "  <part />");
        assert_eq!(lines[4], "</smses>");
        assert!(file.ends_with("</smses>\n"));
    }

    #[test]
    fn the_count_must_be_kept() {
        let writer = ElementWriter::new(Vec::new(), Document::Calls, 1).unwrap();
        assert!(matches!(writer.finish(), Err(Error::InvalidArgument(_))));
    }

    #[test]
    fn attack_m5_a_record_that_would_break_the_file_is_not_written() {
        let named = |name: &str| XmlElement { name: name.to_owned(), ..XmlElement::default() };
        let both = XmlAttribute { value: "x".to_owned(), base64: true, ..text("data", "") };
        let mut deep = named("a");
        for _ in 0..4 {
            deep = XmlElement { children: vec![deep], ..named("a") };
        }
        let hostile = [
            named(""),
            named("sms><x"),
            named("a:b"),
            element(vec![text("a=\"1\" b", "")], vec![]),
            element(vec![text("xmlns", "http://www.w3.org/2000/xmlns/")], vec![]),
            element(vec![text("a", "1"), text("a", "2")], vec![]),
            element(vec![text("a", "\u{0}")], vec![]),
            element(vec![text("a", "\u{ffff}")], vec![]),
            element(vec![both], vec![]),
            element(vec![], vec![named("</smses>")]),
            deep,
        ];
        for record in &hostile {
            let mut writer = ElementWriter::new(Vec::new(), Document::Messages, 0).unwrap();
            assert!(matches!(writer.write(record), Err(Error::Damaged { .. })));
            assert!(read(&writer.finish().unwrap()).is_empty());
        }
    }

    /// An element that a failing test can print.
    #[derive(Debug, Clone)]
    struct Shape {
        name: String,
        attributes: Vec<(String, String, Vec<u8>)>,
        children: Vec<Shape>,
    }

    impl Shape {
        fn build(&self) -> XmlElement {
            let mut attributes: Vec<XmlAttribute> = Vec::new();
            for (name, value, _) in &self.attributes {
                if attributes.iter().all(|other| other.name != *name) {
                    attributes.push(text(name, value));
                }
            }
            if self.name == "part" {
                let data = self.attributes.iter().flat_map(|(_, _, data)| data).copied().chain([7]).collect();
                attributes.push(XmlAttribute { data, base64: true, ..text("data", "") });
            }
            let children = self.children.iter().map(Self::build).collect();
            XmlElement { name: self.name.clone(), attributes, children }
        }
    }

    fn any_text() -> impl Strategy<Value = String> {
        let legal = any::<String>().prop_map(|text| text.chars().filter(|c| is_xml_char(*c)).collect());
        prop_oneof![legal, "[ \t\r\n&<>'\"#;x0-9]{0,20}", Just("null".to_owned())]
    }

    fn any_shape() -> impl Strategy<Value = Shape> {
        let name = || "[A-Za-wyz_à-ö日][A-Za-z0-9._à-ö日-]{0,8}";
        let attribute = (
            name().prop_filter("the one attribute that may be data", |name| name != "data"),
            any_text(),
            proptest::collection::vec(any::<u8>(), 0..20),
        );
        let element = prop_oneof![name(), Just("part".to_owned())];
        let leaf = (element, proptest::collection::vec(attribute, 0..6))
            .prop_map(|(name, attributes)| Shape { name, attributes, children: Vec::new() });
        leaf.prop_recursive(3, 20, 4, |inner| {
            (inner.clone(), proptest::collection::vec(inner, 0..4))
                .prop_map(|(shape, children)| Shape { children, ..shape })
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(shapes in proptest::collection::vec(any_shape(), 0..5)) {
            let elements: Vec<_> = shapes.iter().map(Shape::build).collect();
            prop_assert!(read(&write(&elements)) == elements);
        }

        #[test]
        fn attack_r6_no_text_panics(text in any::<Vec<u8>>(), inside in "[<>/a='\"& ;!?\\[\\]-]{0,40}") {
            let _ = ElementReader::new(text.as_slice(), Document::Messages).map(Iterator::count);
            let file = format!("<smses>{inside}</smses>");
            let _ = ElementReader::new(file.as_bytes(), Document::Messages).map(Iterator::count);
        }
    }
}
