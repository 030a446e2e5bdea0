//! Messages and calls: one XML file, written in the order of the tree's keys. It gets its name only when it
//! holds as many records as its head says.

use super::{Failed, Run};
use crate::{
    Error, Result,
    kinds::{Document, ElementWriter, Kind, Record},
    tree::Root,
    vault::{
        Attributes, Component, FileWriter,
        contents::{decode_entry, record_of},
        snapshots::entries_below,
    },
    wire::messages,
};

impl Run<'_, '_> {
    /// Messages and calls: one XML file. Its head says how many records follow, so that when some are
    /// damaged it is written once more without them. Then it replaces no older file, which may have them.
    pub(super) fn elements(&mut self) -> Result<()> {
        let name = self.part.kind.name();
        let file_name = format!("{name}.xml");
        let mut count = self.part.state.root.map_or(0, Root::entries);
        let names = match Component::parse_all(&[name.as_bytes(), file_name.as_bytes()]) {
            Ok(names) => names,
            Err(error) => return self.note(&file_name, Failed::Item(error.into())),
        };
        let mut first = true;
        while count > 0 {
            let written = match self.target.file(&names) {
                Ok(file) if first => self.write_elements(file, count, first),
                Ok(file) => self.write_elements(file.replacing_nothing(), count, first),
                Err(error) => Err(Failed::Item(error)),
            };
            match written {
                Ok(written) if written == count => return Ok(()),
                Ok(written) => count = written,
                Err(failed) => return self.note(&file_name, failed),
            }
            first = false;
        }
        Ok(())
    }

    /// Writes the readable records; how many they were. The file gets its name only if they are `count`.
    fn write_elements(
        &mut self,
        file: FileWriter,
        count: u64,
        first: bool,
    ) -> std::result::Result<u64, Failed> {
        let document = if self.part.kind == Kind::CALLS { Document::Calls } else { Document::Messages };
        let file = std::io::BufWriter::with_capacity(256 * 1024, Sink(file));
        let mut writer = ElementWriter::new(file, document, count)?;
        let mut below = entries_below(self.part.state.root, self.reader, &[]);
        let mut after = Vec::new();
        let mut written = 0;
        while let Some(entry) = below.next() {
            let (key, value) = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let lost = below.skip_page();
                    if first {
                        self.lose_page(lost, &after, error)?;
                    }
                    continue;
                }
            };
            let done = match self.element(&value) {
                Ok((element, bytes)) => {
                    writer.write(&element)?;
                    written += 1;
                    Ok(bytes)
                }
                Err(error) => Err(Failed::Entry(error)),
            };
            if first {
                self.settle(&key, done, 0)?;
            }
            after = key;
        }
        if written == count {
            let file = writer.finish()?.into_inner().map_err(|_| Error::Internal("writing XML"))?;
            file.0.finish(plain_attributes())?;
        }
        Ok(written)
    }

    /// A record, and how many bytes it has.
    fn element(&self, value: &[u8]) -> Result<(messages::XmlElement, u64)> {
        let entry = decode_entry(value)?;
        let record = record_of(self.reader, &entry)?;
        match Record::decode(&record)? {
            Record::Element(element) => Ok((element, u64::try_from(record.len()).unwrap_or(0))),
            _ => Err(Error::damaged(crate::Part::Record)),
        }
    }
}

/// A file that takes bytes the way writers give them.
pub(super) struct Sink(pub(super) FileWriter);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.0.write(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(std::io::Error::other("the target refused")),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) fn plain_attributes() -> Attributes {
    Attributes { mode: 0o600, modified_s: 0, modified_ns: 0 }
}
