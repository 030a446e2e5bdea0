//! Splits a vCard stream (2.1, 3.0, 4.0) into cards and joins them again, byte for byte.
//!
//! A card is never interpreted beyond its borders and its UID: what is not understood comes back as it was.
//! Text between cards is refused rather than dropped; no input panics (R6).

use std::io::{BufRead, Read, Write};

use crate::{Error, Result, limits::CONTACT_BYTES_MAX};

/// Iterates over the cards of a file, each from `BEGIN:VCARD` to `END:VCARD` with its line ends. After an
/// error it ends.
pub struct CardReader<R> {
    reader: R,
    offset: u64,
    ended: bool,
}

impl<R: BufRead> CardReader<R> {
    /// Reads cards from here on.
    pub fn new(reader: R) -> Self {
        Self { reader, offset: 0, ended: false }
    }

    fn read_card(&mut self) -> Result<Option<Vec<u8>>> {
        let mut card = Vec::new();
        let mut scanner = Scanner::new();
        loop {
            let start = card.len();
            if self.read_line(&mut card)? == 0 {
                return if card.is_empty() { Ok(None) } else { Err(self.bad("a card without its end")) };
            }
            let line = card.get(start..).unwrap_or_default();
            let place = scanner.feed(line);
            match place {
                Place::Inside => {}
                Place::Last => return Ok(Some(card)),
                Place::Outside if line.trim_ascii().is_empty() => card.clear(),
                Place::Outside => return Err(self.bad("text outside of a card")),
            }
        }
    }

    /// Appends a line. The file's own mark is no part of the first card.
    fn read_line(&mut self, card: &mut Vec<u8>) -> Result<usize> {
        // One byte more than a card may have, so that a card of just this length is told from a longer one.
        let room = CONTACT_BYTES_MAX.saturating_sub(card.len()).saturating_add(1);
        let mut limited = self.reader.by_ref().take(u64::try_from(room).unwrap_or(u64::MAX));
        let length = limited.read_until(b'\n', card).map_err(Error::io("reading the export"))?;
        if card.len() > CONTACT_BYTES_MAX {
            return Err(self.bad("a card that is too long"));
        }
        if self.offset == 0 {
            if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, ..] | [_, 0, ..] = card.as_slice() {
                return Err(self.bad("the text is UTF-16 or UTF-32; save it as UTF-8"));
            }
            if card.starts_with(b"\xef\xbb\xbf") {
                card.drain(..3);
            }
        }
        self.offset = self.offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        Ok(length)
    }

    fn bad(&self, reason: &'static str) -> Error {
        Error::BadInput { format: "vCard", reason, offset: self.offset }
    }
}

impl<R: BufRead> Iterator for CardReader<R> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let card = self.read_card();
        self.ended = !matches!(card, Ok(Some(_)));
        card.transpose()
    }
}

/// Joins cards to a file.
pub struct CardWriter<W> {
    writer: W,
    line_open: bool,
}

impl<W: Write> CardWriter<W> {
    /// Begins an empty file.
    pub fn new(writer: W) -> Self {
        Self { writer, line_open: false }
    }

    /// Writes one card as it is. A line end is added only where the card before had none, which the last
    /// card of a file may.
    ///
    /// # Errors
    /// [`Error::Io`] when writing fails.
    pub fn write(&mut self, card: &[u8]) -> Result<()> {
        if self.line_open {
            self.writer.write_all(b"\r\n").map_err(Error::io("writing the export"))?;
        }
        self.line_open = !card.ends_with(b"\n");
        self.writer.write_all(card).map_err(Error::io("writing the export"))
    }

    /// Gives the writer back.
    ///
    /// # Errors
    /// [`Error::Io`] when writing fails.
    pub fn finish(mut self) -> Result<W> {
        self.writer.flush().map_err(Error::io("writing the export"))?;
        Ok(self.writer)
    }
}

/// Whether these bytes are exactly one card, as [`CardReader`] gives them. Anything else, restored into a
/// file with others, could swallow or forge its neighbours (M5).
pub(super) fn is_one_card(card: &[u8]) -> bool {
    if card.len() > CONTACT_BYTES_MAX {
        return false;
    }
    let mut scanner = Scanner::new();
    let mut lines = card.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        match scanner.feed(line) {
            Place::Inside => {}
            Place::Last => return lines.peek().is_none(),
            Place::Outside => return false,
        }
    }
    false
}

/// The value of the card's own `UID`, unfolded, if it has one that is not empty.
pub(super) fn uid(card: &[u8]) -> Option<Vec<u8>> {
    let mut scanner = Scanner::new();
    let mut uid: Option<Vec<u8>> = None;
    for line in card.split_inclusive(|byte| *byte == b'\n') {
        scanner.feed(line);
        let nested = scanner.depth != 1;
        match &mut uid {
            Some(value) if scanner.continued => value.extend_from_slice(unfold(line)),
            Some(_) => break,
            None if nested || scanner.continued => {}
            None => uid = property(line).filter(|found| found.is("UID")).map(|found| found.value.to_vec()),
        }
    }
    uid.map(|value| value.trim_ascii().to_vec()).filter(|value| !value.is_empty())
}

/// A folded line goes on after one space or tab (RFC 6350, 3.2).
fn unfold(line: &[u8]) -> &[u8] {
    let line = without_line_end(line);
    line.strip_prefix(b" ").or(line.strip_prefix(b"\t")).unwrap_or(line)
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Follows the lines of a stream and knows where cards begin and end.
struct Scanner {
    depth: usize,
    /// Whether the line fed last went on with the line before it.
    continued: bool,
    /// Whether the property that goes on is quoted-printable, where `=` ends a line that goes on.
    quoted_printable: bool,
    soft_break: bool,
    /// Whether the line before was `AGENT:BEGIN:VCARD` (vCard 2.1): a nested card, unless it goes on.
    agent: bool,
}

enum Place {
    Outside,
    Inside,
    Last,
}

impl Scanner {
    fn new() -> Self {
        Self { depth: 0, continued: false, quoted_printable: false, soft_break: false, agent: false }
    }

    fn feed(&mut self, line: &[u8]) -> Place {
        let outside = self.depth == 0;
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        if std::mem::take(&mut self.agent) && !folded {
            self.depth = self.depth.saturating_add(1);
        }
        self.continued = !outside && (folded || self.soft_break);
        if !self.continued {
            self.begin_property(line);
        }
        self.soft_break = self.quoted_printable && without_line_end(line).ends_with(b"=");
        match (outside, self.depth) {
            (true, 0) => Place::Outside,
            (false, 0) => Place::Last,
            _ => Place::Inside,
        }
    }

    fn begin_property(&mut self, line: &[u8]) {
        let Some(property) = property(line) else {
            self.quoted_printable = false;
            return;
        };
        self.quoted_printable = property.is_quoted_printable();
        let value = property.value.trim_ascii();
        if property.is("BEGIN") && value.eq_ignore_ascii_case(b"VCARD") {
            self.depth = self.depth.saturating_add(1);
        } else if property.is("END") && value.eq_ignore_ascii_case(b"VCARD") {
            self.depth = self.depth.saturating_sub(1);
        } else if property.is("AGENT") && value.eq_ignore_ascii_case(b"BEGIN:VCARD") {
            self.agent = true;
        }
    }
}

/// The first line of a property: `group.NAME;parameters:value`.
struct Property<'a> {
    head: &'a [u8],
    value: &'a [u8],
}

fn property(line: &[u8]) -> Option<Property<'_>> {
    let line = without_line_end(line);
    let mut quoted = false;
    let outside_quotes = line.iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == b':' && !quoted
    });
    // vCard 2.1 knows no quotes, so one alone is no reason to find no value.
    let colon = outside_quotes.or_else(|| line.iter().position(|byte| *byte == b':'))?;
    let (head, value) = line.split_at_checked(colon)?;
    Some(Property { head, value: value.strip_prefix(b":")? })
}

impl Property<'_> {
    fn is(&self, name: &str) -> bool {
        let full = self.head.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
        let bare = full.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
        bare.eq_ignore_ascii_case(name.as_bytes())
    }

    fn is_quoted_printable(&self) -> bool {
        const NAME: &[u8] = b"QUOTED-PRINTABLE";
        self.head.windows(NAME.len()).any(|window| window.eq_ignore_ascii_case(NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] =
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/kinds/contacts.vcf"));

    fn read(file: &[u8]) -> Result<Vec<Vec<u8>>> {
        CardReader::new(file).collect()
    }

    fn join(cards: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = CardWriter::new(Vec::new());
        cards.iter().for_each(|card| writer.write(card).unwrap());
        writer.finish().unwrap()
    }

    #[test]
    fn cards_of_three_versions_come_back_byte_for_byte() {
        let cards = read(FILE).unwrap();
        assert_eq!(cards.len(), 3);
        assert!(
            cards[0].starts_with(b"BEGIN:VCARD\r\nVERSION:2.1") && cards[0].ends_with(b"\r\nEND:VCARD\r\n")
        );
        assert!(cards[1].ends_with(b"\nEND:VCARD\n"));
        assert!(cards[2].ends_with(b"end:vcard"));
        // Only the blank line between two cards is gone.
        let expected = String::from_utf8_lossy(FILE).replace("END:VCARD\n\nbegin", "END:VCARD\nbegin");
        assert_eq!(join(&cards), expected.as_bytes());
        assert!(cards.iter().all(|card| is_one_card(card)));
    }

    #[test]
    fn the_uid_is_unfolded_and_never_the_agents() {
        let cards = read(FILE).unwrap();
        assert_eq!(uid(&cards[0]), None);
        let folded = b"urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1END:VCARD";
        assert_eq!(uid(&cards[1]).unwrap(), folded);
        assert_eq!(uid(&cards[2]).unwrap(), b"carla-1");
        let inline = b"BEGIN:VCARD\nAGENT:BEGIN:VCARD\nUID:agent\nEND:VCARD\nUID: mine \nEND:VCARD\n";
        assert_eq!(read(inline).unwrap().len(), 1);
        assert_eq!(uid(inline).unwrap(), b"mine");
        assert_eq!(uid(b"BEGIN:VCARD\nUID:\nEND:VCARD\n"), None);
    }

    #[test]
    fn a_card_without_a_last_line_end_does_not_run_into_the_next() {
        let mut cards = read(FILE).unwrap();
        cards.reverse();
        let joined = join(&cards);
        assert_eq!(read(&joined).unwrap().len(), 3);
    }

    #[test]
    fn marks_and_blank_lines_are_no_cards() {
        assert!(read(b"").unwrap().is_empty());
        assert!(read(b"\xef\xbb\xbf\r\n \t\n").unwrap().is_empty());
        assert_eq!(read(b"\xef\xbb\xbfBEGIN:VCARD\nEND:VCARD\n").unwrap(), [b"BEGIN:VCARD\nEND:VCARD\n"]);
    }

    #[test]
    fn attack_r6_what_is_no_card_is_an_error() {
        let bad: [&[u8]; 7] = [
            b"hello",
            b"BEGIN:VCARD\nFN:x\n",
            b"BEGIN:VCARD\nEND:VCARD\nFN:x\n",
            b"END:VCARD\n",
            b"BEGIN:VCALENDAR\nEND:VCALENDAR\n",
            b"BEGIN:VCARD\rEND:VCARD\r",
            b"\xff\xfeB\0E\0",
        ];
        for file in bad {
            assert!(matches!(read(file), Err(Error::BadInput { format: "vCard", .. })));
        }
        let mut reader = CardReader::new(b"junk\nBEGIN:VCARD\nEND:VCARD\n".as_slice());
        assert!(reader.next().unwrap().is_err() && reader.next().is_none());
        for end in 0..FILE.len() {
            let _ = read(&FILE[..end]);
            let _ = uid(&FILE[..end]);
        }
    }

    #[test]
    fn attack_r2_an_endless_card_stops_at_the_limit() {
        let endless = b"BEGIN:VCARD\n".chain(std::io::repeat(b'x'));
        let mut reader = CardReader::new(std::io::BufReader::new(endless));
        assert!(matches!(
            reader.next(),
            Some(Err(Error::BadInput { reason: "a card that is too long", .. }))
        ));
    }

    #[test]
    fn attack_m5_only_exactly_one_card_is_a_card() {
        let bad: [&[u8]; 5] = [
            b"",
            b"BEGIN:VCARD\nEND:VCARD\nBEGIN:VCARD\nEND:VCARD\n",
            b"BEGIN:VCARD\nBEGIN:VCARD\nEND:VCARD\n",
            b"\nBEGIN:VCARD\nEND:VCARD\n",
            b"BEGIN:VCARD\nNOTE;QUOTED-PRINTABLE:=\nEND:VCARD\n",
        ];
        assert!(bad.iter().all(|card| !is_one_card(card)));
    }
}
