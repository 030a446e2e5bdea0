//! Index fragments, packs, chunks and cuts.

use prost::Message as _;
use strongroom::{
    Part,
    content::{
        ChunkEntry, ChunkId, ChunkSlot, Chunker, Compressor, Decompressor, Frame, IndexFragment, PackEntry,
        StoredFrame, decode_chunk, read_directory, slots_of,
    },
    keys::ObjectRef,
    limits::CHUNK_BYTES_MAX,
    wire::messages,
};

use super::{input::Input, world::secret};

/// A fragment that is read has the one encoding it was read from, but for the hashes of packs, which are gone.
pub fn index_fragment(data: &[u8]) {
    let Ok(fragment) = IndexFragment::parse(data) else { return };
    let wire = messages::IndexFragment {
        packs: fragment.packs().iter().map(PackEntry::to_wire).collect(),
        older: fragment.older().iter().map(ObjectRef::to_wire).collect(),
        lost: fragment.lost().iter().map(|name| name.to_vec()).collect(),
    };
    let mut given = messages::IndexFragment::decode(data).unwrap();
    assert!(given.encode_to_vec() == data);
    given.packs.iter_mut().flat_map(|pack| &mut pack.object).for_each(|object| object.hash.clear());
    assert!(wire == given);
    for pack in fragment.packs() {
        let ends = pack.chunks().map(|slot| slot.frame.offset.checked_add(slot.frame.stored).unwrap());
        assert!(ends.max().unwrap_or(0) < 8 * 1024 * 1024);
    }
    let packs = fragment.packs().to_vec();
    let parts = IndexFragment::split(packs);
    assert!(!parts.is_empty() && parts.concat() == fragment.packs());
}

/// The directory at the end of a pack, its chunks, and zstd that unpacks to more or less than was said.
pub fn pack_directory(data: &[u8]) {
    let key = secret(3);
    if let Ok(lines) = read_directory(data) {
        let mut decompressor = Decompressor::new().unwrap();
        for slot in slots_of(&lines).take(16) {
            let at = slot.frame.offset as usize;
            check_chunk(&slot, &data[at..at + slot.frame.stored as usize], &mut decompressor);
        }
    }
    let mut input = Input(data);
    let (plain, at, length) = (input.number(3) as u32, input.number(3) as u32, input.number(3) as u32);
    for (at, length) in [(0, plain), (at, length)] {
        let frame = Frame { offset: 0, stored: input.0.len() as u32, plain };
        let slot = ChunkSlot { id: ChunkId([0; 32]), frame, at, length };
        check_chunk(&slot, input.0, &mut Decompressor::new().unwrap());
    }
    if !data.is_empty() {
        let mut compressor = Compressor::new().unwrap();
        let named = |data: &[u8]| (ChunkId::derive(&key, data), data.to_vec());
        let (id, plain) = named(data);
        check_frame(&StoredFrame::encode(id, plain, Some(&mut compressor)).unwrap(), &[data]);
        let parts: Vec<&[u8]> = data.chunks(data.len().div_ceil(3)).collect();
        let chunks = parts.iter().map(|part| named(part)).collect();
        let frames = StoredFrame::encode_together(chunks, &mut compressor).unwrap();
        match &frames[..] {
            [frame] => check_frame(frame, &parts),
            frames => frames.iter().zip(&parts).for_each(|(frame, part)| check_frame(frame, &[part])),
        }
    }
}

/// What is given out is what the id names, and no longer than was said.
fn check_chunk(slot: &ChunkSlot, stored: &[u8], decompressor: &mut Decompressor) {
    let key = secret(3);
    if let Ok(plain) = decode_chunk(&key, ([0; 16], slot), stored, decompressor) {
        assert!(ChunkId::derive(&key, &plain) == slot.id && plain.len() <= CHUNK_BYTES_MAX);
        assert!(plain.len() == slot.length as usize);
    }
}

/// What was made holds these chunks, and its lines have one encoding.
fn check_frame(frame: &StoredFrame, chunks: &[&[u8]]) {
    let mut decompressor = Decompressor::new().unwrap();
    assert!(frame.lines().len() == chunks.len());
    for line in frame.lines() {
        assert!(ChunkEntry::from_wire(&line.to_wire(), Part::Pack).unwrap() == *line);
    }
    for (slot, chunk) in slots_of(frame.lines()).zip(chunks) {
        let plain = decode_chunk(&secret(3), ([0; 16], &slot), frame.bytes(), &mut decompressor);
        assert!(*plain.unwrap() == **chunk);
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
