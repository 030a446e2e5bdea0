//! The sealed reader: arbitrary bytes, valid objects with changes, and the padding below the seal.

use std::sync::OnceLock;

use strongroom::crypto::{
    Context, ObjectKey, ObjectType, Opener, Place, SealBuffer, open_message, seal_message,
};

use super::{
    input::{Counted, Input},
    world::secret,
};

const ID: [u8; 16] = [0x0b; 16];

/// The first byte says how the rest is read: as an object, as changes to a valid one, as a plaintext that is
/// sealed first, or as another place to open a valid one in.
pub fn object(data: &[u8]) {
    let mut input = Input(data);
    match input.number(1) % 4 {
        0 => arbitrary(input),
        1 => changed(input),
        2 => padding(input),
        _ => elsewhere(input),
    }
}

pub(super) fn key() -> ObjectKey {
    ObjectKey::new(secret(0x0a))
}

pub(super) fn context(place: Place) -> Context {
    Context::new([1; 16], 3, ObjectType::Pack, "files", place)
}

fn here() -> Context {
    context(Place::Object(ID))
}

/// Valid objects of one, one and three segments: their bytes and their messages.
pub(super) fn templates() -> &'static [(Vec<u8>, Vec<u8>)] {
    static TEMPLATES: OnceLock<Vec<(Vec<u8>, Vec<u8>)>> = OnceLock::new();
    TEMPLATES.get_or_init(|| {
        let seal = |length: usize| {
            let message: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let sealed = seal_message(&key(), here(), &message, &mut Counted::from(9)).unwrap();
            (sealed.bytes().to_vec(), message)
        };
        vec![seal(5), seal(30_000), seal(140_000)]
    })
}

fn arbitrary(mut input: Input<'_>) {
    let length = input.number(4);
    assert!(open_message(&key(), &here(), input.0.to_vec()).is_err());
    for length in [length, input.0.len()] {
        if let Ok(opener) = Opener::new(&key(), &here(), input.0, length) {
            assert!(opener.open_all(input.0.to_vec()).is_err());
        }
    }
}

fn changed(mut input: Input<'_>) {
    let (bytes, message) = &templates()[input.number(1) % 3];
    let (offset, length) = (input.number(4), input.number(4));
    let mut mutant = bytes.clone();
    input.mutate(&mut mutant);
    match open_message(&key(), &here(), mutant.clone()) {
        Ok(opened) => assert!(mutant == *bytes && opened == *message),
        Err(_) => assert!(mutant != *bytes),
    }
    let Ok(opener) = Opener::new(&key(), &here(), &mutant, bytes.len()) else { return };
    let plain = opener.open_all(bytes.clone());
    assert!(plain.is_ok(), "an accepted header is the true one");
    let plain = plain.unwrap();
    assert_eq!(plain.len(), opener.capacity());
    let Some((at, count)) = opener.stored_range(offset, length) else { return };
    let Some(stored) = mutant.get(at..at + count) else { return };
    match opener.open_range(offset, length, stored.to_vec()) {
        Ok(part) => assert!(stored == &bytes[at..at + count] && part == plain[offset..offset + length]),
        Err(_) => assert!(stored != &bytes[at..at + count]),
    }
}

/// What is below the seal: only zeros and a length that fits may follow a message.
fn padding(mut input: Input<'_>) {
    let (trailer_length, zeros) = (input.number(1) % 8, input.number(2));
    let trailer = input.bytes(trailer_length);
    let mut buffer = SealBuffer::with_capacity(0);
    buffer.append(input.0);
    buffer.append(&vec![0; zeros]);
    let (read, plain) = (buffer.read(0, input.0.len()), buffer.plain_length());
    assert!(read.as_deref() == Some(input.0) && plain == input.0.len() + zeros);
    let sealed = buffer.seal(&key(), here(), input.0, trailer, &mut Counted::from(1)).unwrap();
    let bytes = sealed.bytes().to_vec();
    let all = Opener::new(&key(), &here(), &bytes, bytes.len()).unwrap().open_all(bytes.clone()).unwrap();
    if let Ok(message) = open_message(&key(), &here(), bytes) {
        let (message_part, rest) = all.split_at(message.len());
        let (padding, length) = rest.split_last_chunk::<4>().unwrap();
        assert!(message_part == message && padding.iter().all(|byte| *byte == 0));
        assert_eq!(u32::from_le_bytes(*length) as usize, message.len());
    }
}

fn elsewhere(mut input: Input<'_>) {
    let (bytes, message) = &templates()[0];
    let account = input.number(1) as u8;
    let epoch = input.number(4) as u32;
    let object = ObjectType::ALL[input.number(1) % ObjectType::ALL.len()];
    let id = |input: &mut Input<'_>| {
        let mut id = ID;
        id.iter_mut().zip(input.bytes(16)).for_each(|(to, from)| *to = *from);
        id
    };
    let place = match input.number(1) % 6 {
        0 => Place::Object(id(&mut input)),
        1 => Place::Commit { device: id(&mut input), sequence: input.number(8) as u64 },
        2 => Place::Envelope { locator: id(&mut input), id: id(&mut input) },
        3 => Place::EnrollRequest(id(&mut input)),
        4 => Place::EnrollAnswer(id(&mut input)),
        _ => Place::EnrollReveal(id(&mut input)),
    };
    let kind = String::from_utf8_lossy(input.bytes(64)).into_owned();
    let other = Context::new([account; 16], epoch, object, &kind, place);
    match open_message(&key(), &other, bytes.clone()) {
        Ok(opened) => assert!(other == here() && opened == *message),
        Err(_) => assert!(other != here()),
    }
}
