//! Phone formats and records.

use std::io::{BufRead, BufReader};

use strongroom::{
    Result,
    kinds::{
        CardReader, Document, ElementReader, ElementWriter, FileMeta, FileType, Record, contact_key,
        message_key,
    },
    wire::messages::XmlElement,
};

/// What was read is kept as a record, written, and read again: equal, however the bytes arrive.
pub fn message_xml(data: &[u8]) {
    let (elements, is_whole) = read(data);
    let pieces = BufReader::with_capacity(1 + data.len() % 7, data);
    assert!(read(pieces) == (elements.clone(), is_whole));
    let written = write(&elements);
    assert!(read(written.as_slice()) == (elements.clone(), true));
    for element in elements {
        assert_eq!(message_key(&element, 7).len(), 26);
        let bytes = Record::Element(element.clone()).encode().unwrap();
        match Record::decode(&bytes) {
            Ok(Record::Element(kept)) => assert!(kept == element),
            _ => panic!("what the reader yields cannot be restored"),
        }
    }
}

/// All records up to the end or the first error; whether it was the end.
fn read(input: impl BufRead) -> (Vec<XmlElement>, bool) {
    let Ok(reader) = ElementReader::new(input, Document::Messages) else { return (Vec::new(), false) };
    let results: Vec<_> = reader.collect();
    let is_whole = results.iter().all(Result::is_ok);
    (results.into_iter().map_while(Result::ok).collect(), is_whole)
}

fn write(elements: &[XmlElement]) -> Vec<u8> {
    let mut writer = ElementWriter::new(Vec::new(), Document::Messages, elements.len() as u64).unwrap();
    elements.iter().for_each(|element| writer.write(element).unwrap());
    writer.finish().unwrap()
}

/// Cards together are the stream without the blank lines between them, and each can be kept.
pub fn vcard(data: &[u8]) {
    let cards: Result<Vec<_>> = CardReader::new(data).collect();
    let pieces: Result<Vec<_>> =
        CardReader::new(BufReader::with_capacity(1 + data.len() % 5, data)).collect();
    assert!(pieces.ok() == cards.as_ref().ok().cloned());
    for card in CardReader::new(data).map_while(Result::ok) {
        contact_key("phone", &card, 3).unwrap();
        let Ok(Record::Contact(kept)) = Record::decode(&Record::Contact(card.clone()).encode().unwrap())
        else {
            panic!("what the reader yields cannot be restored")
        };
        assert!(kept == card);
    }
    let Ok(cards) = cards else { return };
    let mut rest = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    for card in cards {
        rest = skip_blank_lines(rest).strip_prefix(card.as_slice()).expect("cards byte for byte, in order");
    }
    assert!(skip_blank_lines(rest).is_empty());
}

fn skip_blank_lines(mut rest: &[u8]) -> &[u8] {
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, later) = rest.split_at(end);
        if end == 0 || !line.trim_ascii().is_empty() {
            return rest;
        }
        rest = later;
    }
}

/// A record that is read is written and read again: equal. One that is a message can be written as XML.
pub fn record(data: &[u8]) {
    let Ok(record) = Record::decode(data) else { return };
    match &record {
        Record::Element(element) => {
            let document = write(std::slice::from_ref(element));
            let (elements, _) = read(document.as_slice());
            assert_eq!(elements.len(), 1, "a record that was accepted cannot be restored");
            assert!(write(&elements) == document);
            assert_eq!(message_key(element, 0).len(), 26);
        }
        Record::Contact(card) => {
            contact_key("phone", card, 0).unwrap();
        }
        Record::File(meta) => check_file(meta),
        _ => {}
    }
    let bytes = record.encode().unwrap();
    assert!(Record::decode(&bytes).unwrap().encode().unwrap() == bytes);
}

fn check_file(meta: &FileMeta) {
    assert!(meta.mode <= 0o7777 && meta.modified_ns < 1_000_000_000);
    assert_eq!(!meta.link_target.is_empty(), meta.file_type == FileType::Symlink);
    assert!(!meta.link_target.contains(&0));
}
