//! Messages and calls: an XML stream becomes records, sorted a batch at a time, each under a key of its own.

use std::{collections::HashMap, io::BufRead};

use super::{
    NextEdit, Tally,
    edits::{Known, Pass},
};
use crate::{
    Result,
    kinds::{Document, ElementReader, Kind, MESSAGE_IDENTITY_BYTES, Policy, Record, message_key},
    tree::Sifted,
    vault::contents::encode_entry,
};

/// Bytes of encoded records that are sorted in one go.
const BATCH_BYTES: usize = 6 * 1024 * 1024;

/// An XML stream being backed up.
pub(super) struct MessageSource<R: BufRead> {
    reader: ElementReader<R>,
    kind: Kind,
    batch: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    /// Entries of a page that the next batch may complete.
    open: Vec<(Vec<u8>, Vec<u8>)>,
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
            open: Vec::new(),
            occurrences: Default::default(),
            read_all: false,
        })
    }

    pub(super) fn ended(&self) -> bool {
        self.read_all && self.batch.len() == 0
    }

    /// Reads and sorts the next batch, without what lies in pages that the tree holds already.
    pub(super) fn fill(&mut self, known: &Known<'_, '_>, tally: &mut Tally) -> Result<()> {
        let mut batch = std::mem::take(&mut self.open);
        let kept = batch.len();
        let compress = Policy::of(&self.kind).compress;
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
            known.count(tally, record.len())?;
            bytes += key.len() + record.len();
            batch.push((key, encode_entry(known.writer(), record, None, compress)?));
        }
        batch.sort();
        batch.dedup_by(|a, b| a.0 == b.0);
        let is_growing = batch.len() > kept;
        let Sifted { mut entries, open } = known.sift(batch)?;
        if is_growing && !self.read_all {
            self.open = entries.split_off(open);
        }
        self.batch = entries.into_iter();
        Ok(())
    }

    pub(super) fn next_edit(&mut self, pass: &mut Pass<'_, '_>) -> NextEdit {
        loop {
            let (key, value) = self.batch.next()?;
            if let Some(edit) = pass.stream_edit(&self.kind, key, value).transpose() {
                return Some(edit);
            }
        }
    }
}
