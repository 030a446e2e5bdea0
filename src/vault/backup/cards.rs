//! Contacts: a stream of vCards becomes one record a card, kept byte for byte.

use std::{collections::HashMap, io::BufRead};

use super::{
    NextEdit, Tally,
    edits::{Known, Pass},
};
use crate::{
    Result,
    kinds::{CardReader, Kind, Policy, Record, contact_key},
    vault::contents::encode_entry,
};

/// A stream of cards being backed up.
pub(super) struct CardSource<R: BufRead> {
    source: String,
    reader: Option<CardReader<R>>,
    cards: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
}

impl<R: BufRead> CardSource<R> {
    pub(super) fn open(source: &str, stream: R) -> Self {
        Self {
            source: source.to_owned(),
            reader: Some(CardReader::new(stream)),
            cards: Vec::new().into_iter(),
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.reader.is_none() && self.cards.len() == 0
    }

    /// Reads and sorts all cards: an address book fits into memory. What lies in pages that the tree holds
    /// already is left out.
    pub(super) fn fill(&mut self, known: &Known<'_, '_>, tally: &mut Tally) -> Result<()> {
        let Some(reader) = self.reader.take() else { return Ok(()) };
        let compress = Policy::of(&Kind::CONTACTS).compress;
        let mut cards = Vec::new();
        let mut occurrences: HashMap<Vec<u8>, u16> = HashMap::new();
        for card in reader {
            let card = card?;
            let count = occurrences.entry(contact_key(&self.source, &card, 0)?).or_default();
            let key = contact_key(&self.source, &card, *count)?;
            *count = count.saturating_add(1);
            let record = Record::Contact(card).encode()?;
            known.count(tally, record.len())?;
            cards.push((key, encode_entry(known.writer(), record, None, compress)?));
        }
        cards.sort();
        self.cards = known.sift(cards)?.entries.into_iter();
        Ok(())
    }

    pub(super) fn next_edit(&mut self, pass: &mut Pass<'_, '_>) -> NextEdit {
        loop {
            let (key, value) = self.cards.next()?;
            if let Some(edit) = pass.stream_edit(&Kind::CONTACTS, key, value).transpose() {
                return Some(edit);
            }
        }
    }
}
