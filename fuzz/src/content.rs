//! Index fragments, packs, chunks and cuts.

use prost::Message as _;
use strongroom::{
    Part,
    content::{
        ChunkEntry, ChunkId, Chunker, Compressor, Decompressor, IndexFragment, PackEntry, StoredChunk,
        decode_chunk, read_directory,
    },
    keys::ObjectRef,
    limits::CHUNK_BYTES_MAX,
    wire::messages,
};

use super::{input::Input, world::secret};

/// A fragment that is read has the one encoding it was read from.
pub fn index_fragment(data: &[u8]) {
    let Ok(fragment) = IndexFragment::parse(data) else { return };
    let wire = messages::IndexFragment {
        packs: fragment.packs().iter().map(PackEntry::to_wire).collect(),
        older: fragment.older().iter().map(ObjectRef::to_wire).collect(),
    };
    assert!(wire.encode_to_vec() == data);
    for pack in fragment.packs() {
        let ends = pack.chunks().map(|(offset, chunk)| offset.checked_add(chunk.stored_length()).unwrap());
        assert!(ends.max().unwrap_or(0) < 8 * 1024 * 1024);
    }
    let packs = fragment.packs().to_vec();
    let parts = IndexFragment::split(packs);
    assert!(!parts.is_empty() && parts.concat() == fragment.packs());
}

/// The directory at the end of a pack, its chunks, and zstd that unpacks to more or less than was said.
pub fn pack_directory(data: &[u8]) {
    let key = secret(3);
    if let Ok(chunks) = read_directory(data) {
        let mut at = 0;
        for chunk in &chunks {
            let stored = &data[at..at + chunk.stored_length() as usize];
            if chunks.len() < 16 {
                check_chunk(chunk, stored);
            }
            at += stored.len();
        }
    }
    let mut input = Input(data);
    let plain = input.number(3) as u32;
    let wire = messages::ChunkEntry { id: vec![0; 32], stored_length: 1, plain_length: plain };
    if let Ok(entry) = ChunkEntry::from_wire(&wire, Part::Pack) {
        check_chunk(&entry, input.0);
    }
    if !data.is_empty() {
        let id = ChunkId::derive(&key, data);
        let mut compressor = Compressor::new().unwrap();
        let chunk = StoredChunk::encode(id, data.to_vec(), Some(&mut compressor)).unwrap();
        assert!(ChunkEntry::from_wire(&chunk.entry().to_wire(), Part::Pack).unwrap() == *chunk.entry());
        assert!(
            decode_chunk(&key, chunk.entry(), chunk.bytes(), &mut Decompressor::new().unwrap()).unwrap()
                == data
        );
    }
}

/// What is given out is what the id names, and no longer than was said.
fn check_chunk(entry: &ChunkEntry, stored: &[u8]) {
    let key = secret(3);
    if let Ok(plain) = decode_chunk(&key, entry, stored, &mut Decompressor::new().unwrap()) {
        assert!(ChunkId::derive(&key, &plain) == entry.id() && plain.len() <= CHUNK_BYTES_MAX);
        assert!(entry.compressed_from() == 0 || plain.len() == entry.compressed_from() as usize);
    }
}

/// Cuts depend neither on how much is given nor on what lies before the windows that decide.
pub fn chunker(data: &[u8]) {
    let mut input = Input(data);
    let chunker = Chunker::new(&secret(input.number(1) as u8 | 1), input.number(1) as u32);
    let (more, given, changed) = (input.number(3) % (384 * 1024), input.number(3), input.number(3));
    let mut file = spread(input.0, Chunker::BYTES_MIN - 128 + more);
    let cut = chunker.next_cut(&file, true).unwrap();
    assert!(cut <= file.len() && (cut >= Chunker::BYTES_MIN || cut == file.len()));

    let given = given % (file.len() + 1);
    let expected = Some(cut).filter(|cut| *cut < given);
    assert_eq!(chunker.next_cut(&file[..given], false), expected);
    assert_eq!(chunker.next_cut(&file[..given], true), expected.or(Some(given).filter(|given| *given > 0)));

    file[changed % (Chunker::BYTES_MIN - 128)] ^= 0x55;
    assert_eq!(chunker.next_cut(&file, true), Some(cut));
}

/// A file of `length` bytes in which the input comes again and again, with something new between.
fn spread(input: &[u8], length: usize) -> Vec<u8> {
    let mut state = input.iter().fold(1_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let mut file = Vec::with_capacity(length + input.len() + 64);
    while file.len() < length {
        file.extend_from_slice(input);
        for _ in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            file.extend(state.to_le_bytes());
        }
    }
    file.truncate(length);
    file
}
