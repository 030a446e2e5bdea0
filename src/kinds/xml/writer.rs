//! Writes records: one a line, real UTF-8, everything that a strict parser or the app could stumble over
//! as a reference.

use std::io::{Result, Write};

use base64::Engine as _;

use crate::wire::messages::XmlElement;

/// Writes `<smses>` or `<calls>`.
pub struct MessageWriter<W: Write> {
    output: W,
    root: &'static str,
}

impl<W: Write> MessageWriter<W> {
    /// Begins a document with `root` as its element and `count` records to come.
    ///
    /// # Errors
    /// The output's.
    pub fn new(mut output: W, root: &'static str, count: u64) -> Result<Self> {
        writeln!(output, "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>")?;
        writeln!(output, "<{root} count=\"{count}\">")?;
        Ok(Self { output, root })
    }

    /// Writes one record on a line of its own.
    ///
    /// # Errors
    /// The output's.
    pub fn write(&mut self, element: &XmlElement) -> Result<()> {
        write!(self.output, "  ")?;
        write_element(&mut self.output, element)?;
        writeln!(self.output)
    }

    /// Ends the document and gives the output back.
    ///
    /// # Errors
    /// The output's.
    pub fn finish(mut self) -> Result<W> {
        writeln!(self.output, "</{}>", self.root)?;
        self.output.flush()?;
        Ok(self.output)
    }
}

/// An element whose names and values were checked when its record was decoded.
fn write_element(output: &mut impl Write, element: &XmlElement) -> Result<()> {
    write!(output, "<{}", element.name)?;
    for attribute in &element.attributes {
        write!(output, " {}=\"", attribute.name)?;
        if attribute.base64 {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&attribute.data);
            output.write_all(encoded.as_bytes())?;
        } else {
            write_value(output, &attribute.value)?;
        }
        write!(output, "\"")?;
    }
    if element.children.is_empty() {
        return write!(output, " />");
    }
    write!(output, ">")?;
    element.children.iter().try_for_each(|child| write_element(output, child))?;
    write!(output, "</{}>", element.name)
}

fn write_value(output: &mut impl Write, value: &str) -> Result<()> {
    let mut rest = value;
    while let Some(position) = rest.find(['&', '<', '>', '"', '\t', '\n', '\r']) {
        let (plain, from) = rest.split_at(position);
        output.write_all(plain.as_bytes())?;
        let mut characters = from.chars();
        let reference = match characters.next() {
            Some('&') => "&amp;",
            Some('<') => "&lt;",
            Some('>') => "&gt;",
            Some('"') => "&quot;",
            Some('\t') => "&#9;",
            Some('\n') => "&#10;",
            _ => "&#13;",
        };
        output.write_all(reference.as_bytes())?;
        rest = characters.as_str();
    }
    output.write_all(rest.as_bytes())
}
