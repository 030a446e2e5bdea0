//! Contacts: a stream of vCards becomes one record a card, kept byte for byte.

use std::{collections::HashMap, io::BufRead};

use super::{NextEdit, edits::Pass};
use crate::{
    Result,
    kinds::{CardReader, Kind, Policy, Record, contact_key},
    tree::Edit,
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

    /// Reads and sorts all cards: an address book fits into memory.
    pub(super) fn fill(&mut self) -> Result<()> {
        let Some(reader) = self.reader.take() else { return Ok(()) };
        let mut cards = Vec::new();
        let mut occurrences: HashMap<Vec<u8>, u16> = HashMap::new();
        for card in reader {
            let card = card?;
            let count = occurrences.entry(contact_key(&self.source, &card, 0)?).or_default();
            let key = contact_key(&self.source, &card, *count)?;
            *count = count.saturating_add(1);
            cards.push((key, Record::Contact(card).encode()?));
        }
        cards.sort();
        self.cards = cards.into_iter();
        Ok(())
    }

    pub(super) fn next_edit(&mut self, pass: &mut Pass<'_, '_>) -> NextEdit {
        loop {
            let (key, record) = self.cards.next()?;
            match Self::edit(key, record, pass) {
                Ok(Some(edit)) => return Some(Ok(edit)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn edit(key: Vec<u8>, record: Vec<u8>, pass: &mut Pass<'_, '_>) -> Result<Option<Edit>> {
        pass.tally.seen += 1;
        pass.tally.read_bytes += u64::try_from(record.len()).unwrap_or(0);
        pass.writer.job().step(|progress| progress.items += 1)?;
        let value = encode_entry(pass.writer, record, None, Policy::of(&Kind::CONTACTS).compress)?;
        pass.stream_edit(&Kind::CONTACTS, key, value)
    }
}
