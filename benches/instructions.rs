//! Fixed work for a counter of instructions, where times mean nothing: on a loaded machine, under emulation.
//!
//! `benches/cross.sh instructions` builds and counts it. By hand, on any machine with a counter:
//! `instructions WORK UNITS`; what 2N units take more than N is the cost of N units of [`UNIT`] bytes.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a bench fails loudly")]

use std::hint::black_box;

use aes::{
    Aes128,
    cipher::{Array, BlockCipherEncrypt as _},
};
use chacha20::{
    ChaCha20,
    cipher::{KeyIvInit as _, StreamCipher as _},
};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{AeadInOut as _, inout::InOutBuf},
};
use poly1305::Poly1305;
use strongroom::{
    content::{ChunkId, Chunker},
    crypto::{
        Context, ObjectKey, ObjectType, OsRandom, Place, Random as _, SealBuffer, Sealed, Secret,
        SeededRandom, open_message,
    },
};

/// Bytes of work in one unit: the longest object.
const UNIT: usize = 8 * 1024 * 1024;
/// What the longest object holds, less the length at its end.
const PLAIN: usize = 8_386_492;
const SEGMENT: usize = 64 * 1024;
const CHUNK: usize = 1024 * 1024;

/// A name, and what makes the work: its preparation costs the same for every number of units.
type Work = (&'static str, fn() -> Box<dyn FnMut()>);

const WORKS: [Work; 8] = [
    ("seal", seal),
    ("open", open),
    ("chunk", chunk),
    ("hash", hash),
    ("chacha20poly1305", aead),
    ("chacha20", stream),
    ("poly1305", authenticator),
    ("aes128", block),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next();
    let work = WORKS.iter().find(|(known, _)| Some(*known) == name.as_deref());
    let units = arguments.next().and_then(|units| units.parse::<u32>().ok());
    let (Some((_, prepare)), Some(units)) = (work, units) else {
        let names = WORKS.map(|(name, _)| name).join(" | ");
        println!("instructions ({names}) UNITS, under a counter: benches/cross.sh instructions");
        return;
    };
    let mut unit = prepare();
    (0..units).for_each(|_| unit());
}

fn key() -> ObjectKey {
    ObjectKey::new(Secret::take(&mut [3; 32]))
}

fn context() -> Context {
    Context::new([1; 16], 0, ObjectType::Pack, "files", Place::Object([2; 16]))
}

fn random_bytes() -> Vec<u8> {
    let mut bytes = vec![0; UNIT];
    SeededRandom::new(1).fill(&mut bytes).unwrap();
    bytes
}

fn sealed(plain: &[u8]) -> Sealed {
    let mut buffer = SealBuffer::with_capacity(plain.len() + 4);
    buffer.append(plain);
    let length = u32::try_from(plain.len()).unwrap().to_le_bytes();
    buffer.seal(&key(), context(), b"id", &length, &mut OsRandom).unwrap()
}

fn seal() -> Box<dyn FnMut()> {
    let plain = vec![7; PLAIN];
    Box::new(move || drop(black_box(sealed(black_box(&plain)))))
}

fn open() -> Box<dyn FnMut()> {
    let object = sealed(&vec![7; PLAIN]).bytes().to_vec();
    Box::new(move || drop(black_box(open_message(&key(), &context(), object.clone()).unwrap())))
}

fn chunk() -> Box<dyn FnMut()> {
    let bytes = random_bytes();
    let chunker = Chunker::new(&Secret::take(&mut [3; 32]), 0);
    Box::new(move || {
        let mut rest = black_box(bytes.as_slice());
        while let Some(length) = chunker.next_cut(rest, true) {
            rest = rest.get(length..).unwrap();
        }
    })
}

fn hash() -> Box<dyn FnMut()> {
    let (key, bytes) = (Secret::take(&mut [3; 32]), vec![7; UNIT]);
    Box::new(move || {
        for chunk in black_box(&bytes).chunks(CHUNK) {
            black_box(ChunkId::derive(&key, chunk));
        }
    })
}

fn aead() -> Box<dyn FnMut()> {
    let (cipher, mut bytes) = (ChaCha20Poly1305::new(&[3; 32].into()), vec![7; UNIT]);
    Box::new(move || {
        for segment in bytes.chunks_mut(SEGMENT) {
            black_box(cipher.encrypt_inout_detached(&[0; 12].into(), &[], InOutBuf::from(segment)).unwrap());
        }
    })
}

fn stream() -> Box<dyn FnMut()> {
    let mut bytes = vec![7; UNIT];
    Box::new(move || {
        for segment in bytes.chunks_mut(SEGMENT) {
            ChaCha20::new(&[3; 32].into(), &[0; 12].into()).apply_keystream(black_box(segment));
        }
    })
}

fn authenticator() -> Box<dyn FnMut()> {
    let bytes = vec![7; UNIT];
    Box::new(move || {
        for segment in black_box(&bytes).chunks(SEGMENT) {
            black_box(Poly1305::new(&[3; 32].into()).compute_unpadded(segment));
        }
    })
}

/// The chunker enciphers a block of sixteen bytes for each byte of a file past a chunk's minimum.
fn block() -> Box<dyn FnMut()> {
    let (cipher, mut blocks) = (Aes128::new(&[3; 16].into()), vec![[7; 16]; UNIT / 16]);
    Box::new(move || {
        for batch in blocks.chunks_mut(256) {
            cipher.encrypt_blocks(Array::cast_slice_from_core_mut(batch));
        }
    })
}
