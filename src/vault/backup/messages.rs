//! Messages and calls: an XML stream becomes records, sorted a batch at a time, each under a key of its own.

use std::{collections::HashMap, io::BufRead};

use super::{NextEdit, edits::Pass};
use crate::{
    Result,
    kinds::{Document, ElementReader, Kind, MESSAGE_IDENTITY_BYTES, Policy, Record, message_key},
    tree::Edit,
    vault::contents::encode_entry,
};

/// Bytes of encoded records that are sorted in one go.
const BATCH_BYTES: usize = 6 * 1024 * 1024;

/// An XML stream being backed up.
pub(super) struct MessageSource<R: BufRead> {
    reader: ElementReader<R>,
    kind: Kind,
    batch: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    /// How often each identity occurred in this batch and the one before.
    occurrences: [HashMap<Vec<u8>, u16>; 2],
    read_all: bool,
}

impl<R: BufRead> MessageSource<R> {
    pub(super) fn open(kind: &Kind, stream: R) -> Result<Self> {
        let document = if *kind == Kind::CALLS { Document::Calls } else { Document::Messages };
        Ok(Self {
            reader: ElementReader::new(stream, document)?,
            kind: kind.clone(),
            batch: Vec::new().into_iter(),
            occurrences: Default::default(),
            read_all: false,
        })
    }

    pub(super) fn ended(&self) -> bool {
        self.read_all && self.batch.len() == 0
    }

    /// Reads and sorts the next batch.
    pub(super) fn fill(&mut self) -> Result<()> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        self.occurrences.swap(0, 1);
        let [current, _] = &mut self.occurrences;
        current.clear();
        while bytes < BATCH_BYTES {
            let Some(element) = self.reader.next().transpose()? else {
                self.read_all = true;
                break;
            };
            let mut identity = message_key(&element, 0);
            identity.truncate(MESSAGE_IDENTITY_BYTES);
            let earlier = self.occurrences.iter().filter_map(|seen| seen.get(&identity)).sum();
            let key = message_key(&element, earlier);
            let [current, _] = &mut self.occurrences;
            let count = current.entry(identity).or_default();
            *count = count.saturating_add(1);
            let record = Record::Element(element).encode()?;
            bytes += key.len() + record.len();
            batch.push((key, record));
        }
        batch.sort();
        batch.dedup_by(|a, b| a.0 == b.0);
        self.batch = batch.into_iter();
        Ok(())
    }

    pub(super) fn next_edit(&mut self, pass: &mut Pass<'_, '_>) -> NextEdit {
        loop {
            let (key, record) = self.batch.next()?;
            match self.edit(key, record, pass) {
                Ok(Some(edit)) => return Some(Ok(edit)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn edit(&self, key: Vec<u8>, record: Vec<u8>, pass: &mut Pass<'_, '_>) -> Result<Option<Edit>> {
        pass.tally.seen += 1;
        let bytes = u64::try_from(record.len()).unwrap_or(0);
        pass.tally.read_bytes += bytes;
        pass.writer.job().step(|progress| {
            progress.items += 1;
            progress.bytes += bytes;
        })?;
        let value = encode_entry(pass.writer, record, None, Policy::of(&self.kind).compress)?;
        pass.stream_edit(&self.kind, key, value)
    }
}
