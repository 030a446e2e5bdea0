//! Contacts: a stream of vCards (2.1, 3.0, 4.0) taken apart into cards, each kept byte for byte.

use std::io::BufRead;

use crate::{Error, Result, limits::CONTACT_BYTES_MAX};

const FORMAT: &str = "vCard";

/// Yields the cards of a stream, from `BEGIN:VCARD` to `END:VCARD` with its line end.
pub struct CardReader<R> {
    input: R,
    offset: u64,
    done: bool,
}

impl<R: BufRead> CardReader<R> {
    /// A reader of `input`.
    pub fn new(input: R) -> Self {
        Self { input, offset: 0, done: false }
    }

    fn bad(&self, reason: &'static str) -> Error {
        Error::BadInput { format: FORMAT, reason, offset: self.offset }
    }

    /// Appends the next line, with its end, to `card`; false at the end of the stream.
    fn line(&mut self, card: &mut Vec<u8>) -> Result<bool> {
        loop {
            let available = self.input.fill_buf().map_err(Error::io("reading the source"))?;
            if available.is_empty() {
                return Ok(false);
            }
            let end = available.iter().position(|byte| *byte == b'\n').map(|position| position + 1);
            let taken = end.unwrap_or(available.len());
            card.extend_from_slice(available.get(..taken).unwrap_or_default());
            self.input.consume(taken);
            self.offset += u64::try_from(taken).unwrap_or(0);
            if card.len() > CONTACT_BYTES_MAX {
                return Err(self.bad("a card is too long"));
            }
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    fn card(&mut self) -> Result<Option<Vec<u8>>> {
        let mut card = Vec::new();
        let mut open = 0_usize;
        loop {
            let start = card.len();
            let more = self.line(&mut card)?;
            let line = content_of(card.get(start..).unwrap_or_default());
            match (is(line, b"BEGIN:VCARD"), is(line, b"END:VCARD"), open) {
                (true, ..) => open += 1,
                (_, true, 1) => return Ok(Some(card)),
                (_, true, 2..) => open -= 1,
                (_, _, 0) if line.is_empty() => card.clear(),
                (_, _, 0) => return Err(self.bad("text outside a card")),
                _ => {}
            }
            if !more {
                return if open == 0 { Ok(None) } else { Err(self.bad("the last card has no end")) };
            }
        }
    }
}

impl<R: BufRead> Iterator for CardReader<R> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let card = self.card();
        self.done = !matches!(card, Ok(Some(_)));
        card.transpose()
    }
}

/// Whether a card may begin with this line.
pub(super) fn is_begin_line(line: &[u8]) -> bool {
    is(content_of(line), b"BEGIN:VCARD")
}

/// A line without the white space around it and a byte order mark.
fn content_of(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii();
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

fn is(line: &[u8], name: &[u8]) -> bool {
    line.eq_ignore_ascii_case(name)
}

/// The value of a card's UID property, unfolded; `None` when there is none.
pub(super) fn uid(card: &[u8]) -> Option<Vec<u8>> {
    let mut value: Option<Vec<u8>> = None;
    for line in card.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(found) = &mut value {
            match line {
                [b' ' | b'\t', rest @ ..] => found.extend_from_slice(rest),
                _ => break,
            }
        } else {
            value = uid_of_line(line).map(<[u8]>::to_vec);
        }
    }
    value.map(|value| value.trim_ascii().to_vec()).filter(|value| !value.is_empty())
}

/// `UID:…`, `UID;PARAM:…` or `group.UID:…`.
fn uid_of_line(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    let name = name.split(|byte| *byte == b';').next()?;
    let name = name.rsplit(|byte| *byte == b'.').next()?;
    name.eq_ignore_ascii_case(b"UID").then(|| value.get(1..))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"BEGIN:VCARD\r\nVERSION:3.0\r\nitem1.uid;X=1:abc\r\n def\r\nFN:A\r\nEND:VCARD\r\n\
        \r\nbegin:vcard\nVERSION:2.1\nAGENT:\nBEGIN:VCARD\nFN:inner\nEND:VCARD\nFN:B\nend:vcard";

    #[test]
    fn cards_come_apart_byte_for_byte() {
        let cards: Vec<_> = CardReader::new(TWO).map(Result::unwrap).collect();
        assert_eq!(cards.len(), 2);
        assert_eq!(cards.concat().len() + 2, TWO.len());
        assert_eq!(uid(&cards[0]).unwrap(), b"abcdef");
        assert_eq!(uid(&cards[1]), None);
    }

    #[test]
    fn attack_r6_cut_or_foreign_streams_are_errors() {
        for cut in 0..TWO.len() {
            let results: Vec<_> = CardReader::new(&TWO[..cut]).collect();
            assert!(results.len() <= 2);
        }
        assert!(CardReader::new(&b"hello"[..]).next().unwrap().is_err());
        assert!(CardReader::new(&b"BEGIN:VCARD\nFN:x\n"[..]).next().unwrap().is_err());
        assert!(CardReader::new(&b""[..]).next().is_none());
    }
}
