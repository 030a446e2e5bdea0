//! A pack in which chunks share a frame, and frames that are none (FORMAT F-20, F-22). The bytes depend on the
//! compressor's version, so they are only read.

use std::{fs, io::Write as _};

use prost::Message as _;
use serde_json::{Value, json};
use strongroom::content::{
    ChunkId, Compressor, Decompressor, IndexFragment, StoredFrame, decode_chunk, read_directory, slots_of,
};
use strongroom::crypto::Secret;
use strongroom::keys::ObjectRef;
use strongroom::limits::SHARED_FRAME_BYTES_MAX;
use strongroom::wire::messages;
use strongroom::{Error, Result};

use crate::world::{base64, hex, regenerating, seeded, unbase64, unhex, vectors, world};

/// A frame's bytes and its lines.
type Parts = (Vec<u8>, Vec<messages::ChunkEntry>);

/// What stands in a pack.
#[derive(Clone)]
struct Frames(Vec<Parts>);

impl Frames {
    /// One chunk as it is; three that share a frame, as this crate writes it; two in a frame of another writer,
    /// which has a checksum and does not say its length.
    fn whole() -> Self {
        let chunks = chunks();
        let [raw, a, b, c, d, e] = &chunks[..] else { panic!("six chunks") };
        let id = |plain: &[u8]| ChunkId::derive(&id_key(), plain);
        let raw = StoredFrame::encode(id(raw), raw.clone(), None).unwrap();
        let named = [a, b, c].map(|plain| (id(plain), plain.clone())).to_vec();
        let together = StoredFrame::encode_together(named, &mut Compressor::new().unwrap()).unwrap();
        let frames: Vec<_> = [raw].iter().chain(&together).map(Self::parts).collect();
        assert_eq!(frames.len(), 2);
        Self([frames, vec![sharing(streamed(&[&d[..], e].concat()), &[d, e])]].concat())
    }

    fn parts(frame: &StoredFrame) -> Parts {
        (frame.bytes().to_vec(), frame.lines().iter().map(|line| line.to_wire()).collect())
    }

    fn with(&self, edit: impl FnOnce(&mut [Parts])) -> Self {
        let mut other = self.clone();
        edit(&mut other.0);
        other
    }

    fn lines(&self) -> Vec<messages::ChunkEntry> {
        self.0.iter().flat_map(|(_, lines)| lines.clone()).collect()
    }

    /// The plaintext of a pack, shorter than one in a store.
    fn pack(&self) -> Vec<u8> {
        let stored = self.0.iter().map(|(bytes, _)| &bytes[..]).collect::<Vec<_>>().concat();
        let directory = messages::PackDirectory { chunks: self.lines() }.encode_to_vec();
        [&stored, &[0; 16][..], &directory, &length(&directory).to_le_bytes()].concat()
    }
}

fn id_key() -> Secret<32> {
    seeded(6)
}

/// A frame of these bytes, with lines for `chunks`.
fn sharing(stored: Vec<u8>, chunks: &[&[u8]]) -> Parts {
    let line = |plain: &&[u8]| messages::ChunkEntry {
        id: ChunkId::derive(&id_key(), plain).0.to_vec(),
        stored_length: 0,
        plain_length: length(plain),
    };
    let mut lines: Vec<_> = chunks.iter().map(line).collect();
    lines[0].stored_length = length(&stored);
    (stored, lines)
}

/// One zstd frame, smaller or not.
fn packed(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 3).unwrap()
}

fn streamed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

fn chunks() -> Vec<Vec<u8>> {
    let text =
        |n: usize| format!("{{\"chunk\": {n}, \"says\": \"the same words\"}}\n").repeat(n + 1).into_bytes();
    vec![b"as it is".to_vec(), text(1), text(2), text(3), text(4), text(5)]
}

/// Directories that are refused as a whole. All else in them is as it must be.
fn no_directories(whole: &Frames) -> Vec<(&'static str, Frames)> {
    let goes_on = messages::ChunkEntry { stored_length: 0, plain_length: 8, ..whole.lines()[0].clone() };
    let chunks = chunks();
    let [_, a, b, c, ..] = &chunks[..] else { panic!("six chunks") };
    let noise = seeded::<300>(61);
    let noise: Vec<&[u8]> = noise.expose().chunks(100).collect();
    let zeros = vec![0; SHARED_FRAME_BYTES_MAX + 1];
    let (zeros_a, zeros_b) = zeros.split_at(SHARED_FRAME_BYTES_MAX / 2);
    let shared = |stored, chunks: &[&[u8]]| whole.with(|frames| frames[1] = sharing(stored, chunks));
    vec![
        ("the first line goes on in a frame", whole.with(|frames| frames[0].1.insert(0, goes_on.clone()))),
        ("a line goes on in a frame that is stored as it is", whole.with(|frames| frames[0].1.push(goes_on))),
        ("the first of three has no length", whole.with(|frames| frames[1].1[0].plain_length = 0)),
        ("the second of three has no length", whole.with(|frames| frames[1].1[1].plain_length = 0)),
        ("three stored as they are", shared([&a[..], b, c].concat(), &[a, b, c])),
        ("a frame longer than what it holds", shared(packed(&noise.concat()), &noise)),
        ("more than a frame may hold", shared(packed(&zeros), &[zeros_a, zeros_b])),
        ("a short id", whole.with(|frames| frames[1].1[1].id.truncate(31))),
        (
            "lengths whose sum is right in 32 bits",
            whole.with(|frames| frames[1].1[1..].iter_mut().for_each(|line| line.plain_length += 1 << 31)),
        ),
    ]
}

/// Directories that are in order, with chunks that are not; by chunk, whether it is good.
fn no_chunks(whole: &Frames) -> Vec<(&'static str, Frames, [bool; 6])> {
    const NONE_OF_THREE: [bool; 6] = [true, false, false, false, true, true];
    const ONE_OF_THREE: [bool; 6] = [true, false, false, true, true, true];
    const NONE_OF_TWO: [bool; 6] = [true, true, true, true, false, false];
    let lines = |edit: fn(&mut [messages::ChunkEntry])| whole.with(|frames| edit(&mut frames[1].1));
    let stored = |edit: fn(&mut Vec<u8>)| {
        whole.with(|frames| {
            let (bytes, lines) = &mut frames[1];
            edit(bytes);
            lines[0].stored_length = length(bytes);
        })
    };
    vec![
        ("a byte less than what unpacks", lines(|lines| lines[2].plain_length -= 1), NONE_OF_THREE),
        ("a byte more than what unpacks", lines(|lines| lines[2].plain_length += 1), NONE_OF_THREE),
        ("a frame that is cut off", stored(|bytes| bytes.truncate(bytes.len() - 1)), NONE_OF_THREE),
        ("a byte after a frame", stored(|bytes| bytes.push(0)), NONE_OF_THREE),
        (
            "a byte less than what unpacks, of a frame that does not say its length",
            whole.with(|frames| frames[2].1[1].plain_length -= 1),
            NONE_OF_TWO,
        ),
        (
            "a byte more than what unpacks, of a frame that does not say its length",
            whole.with(|frames| frames[2].1[1].plain_length += 1),
            NONE_OF_TWO,
        ),
        (
            "a checksum that is not the frame's",
            whole.with(|frames| *frames[2].0.last_mut().unwrap() ^= 1),
            NONE_OF_TWO,
        ),
        ("two ids changed places", lines(swap_ids), ONE_OF_THREE),
        (
            "a border moved",
            lines(|lines| {
                lines[0].plain_length -= 1;
                lines[1].plain_length += 1;
            }),
            ONE_OF_THREE,
        ),
    ]
}

fn swap_ids(lines: &mut [messages::ChunkEntry]) {
    let first = lines[0].id.clone();
    lines[0].id = std::mem::replace(&mut lines[1].id, first);
}

fn line_json(line: &messages::ChunkEntry) -> Value {
    json!({ "id": hex(&line.id), "stored_length": line.stored_length, "plain_length": line.plain_length })
}

fn shared_frame_json() -> Value {
    let whole = Frames::whole();
    let case = |name: &str, frames: &Frames, chunks: &[bool]| {
        let pack = base64(&frames.pack());
        json!({ "name": name, "pack": pack, "chunks": chunks })
    };
    let directories = no_directories(&whole).into_iter().map(|(name, frames)| case(name, &frames, &[]));
    let chunks_of = no_chunks(&whole).into_iter().map(|(name, frames, good)| case(name, &frames, &good));
    json!({
        "about": "`pack` is the plaintext of a pack (shorter than one in a store), `lines` its directory, `plain` \
                  its chunks: one as it is; three that share a frame; two that share a frame which has a checksum \
                  and does not say how much it holds. `refused`: packs in which something is not as it must be. \
                  `chunks` says of each chunk whether it is good all the same; where it is empty the whole \
                  directory is refused, and an index with the same lines too.",
        "chunk_id_key": hex(id_key().expose()),
        "pack": base64(&whole.pack()),
        "lines": whole.lines().iter().map(line_json).collect::<Vec<_>>(),
        "plain": chunks().iter().map(|plain| hex(plain)).collect::<Vec<_>>(),
        "refused": directories.chain(chunks_of).collect::<Vec<_>>(),
    })
}

#[test]
fn chunks_that_share_a_frame_are_read_and_what_is_no_frame_is_refused() {
    let path = vectors().join("shared_frame.json");
    if regenerating() {
        fs::write(&path, serde_json::to_string_pretty(&shared_frame_json()).unwrap() + "\n").unwrap();
    }
    let vectors: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let key = Secret::from_slice(&unhex(&vectors["chunk_id_key"])).unwrap();
    let pack = unbase64(&vectors["pack"]);
    let read = read_chunks(&key, &pack).unwrap().into_iter().map(|chunk| hex(&chunk.unwrap()).into());
    assert_eq!(read.collect::<Vec<Value>>(), *vectors["plain"].as_array().unwrap());
    assert!(index_of(&pack).is_ok());
    let lines = read_directory(&pack).unwrap();
    assert_eq!(Value::from_iter(lines.iter().map(|line| line_json(&line.to_wire()))), vectors["lines"]);
    vectors["refused"].as_array().unwrap().iter().for_each(|case| refuse(&key, case));
}

fn refuse(key: &Secret<32>, case: &Value) {
    let (name, pack) = (&case["name"], unbase64(&case["pack"]));
    let chunks = read_chunks(key, &pack);
    assert_eq!(index_of(&pack).is_ok(), chunks.is_ok(), "{name}: the index says something else");
    let damaged = |error: &Error| assert!(matches!(error, Error::Damaged { .. }), "{name}: {error}");
    chunks.as_ref().err().into_iter().for_each(damaged);
    chunks.iter().flatten().filter_map(|chunk| chunk.as_ref().err()).for_each(damaged);
    let good = chunks.iter().flatten().map(Result::is_ok);
    assert_eq!(Value::from_iter(good), case["chunks"], "{name}");
}

/// Every chunk of a pack's directory, or why it has none.
fn read_chunks(key: &Secret<32>, pack: &[u8]) -> Result<Vec<Result<Vec<u8>>>> {
    let (lines, mut decompressor) = (read_directory(pack)?, Decompressor::new()?);
    let number = |value| usize::try_from(value).unwrap();
    let chunks = slots_of(&lines).map(|slot| {
        let stored = &pack[number(slot.frame.offset)..][..number(slot.frame.stored)];
        Ok(decode_chunk(key, ([0; 16], &slot), stored, &mut decompressor)?.into_owned())
    });
    Ok(chunks.collect())
}

/// An index with the lines of a pack's directory, whatever they say.
fn index_of(pack: &[u8]) -> Result<IndexFragment> {
    let (rest, length) = pack.split_last_chunk::<4>().unwrap();
    let directory = &rest[rest.len() - usize::try_from(u32::from_le_bytes(*length)).unwrap()..];
    let chunks = messages::PackDirectory::decode(directory).unwrap().chunks;
    let mut object = ObjectRef::of(&world().objects["pack"].0).unwrap().to_wire();
    object.hash.clear();
    let object = Some(object);
    let packs = vec![messages::PackEntry { object, chunks }];
    IndexFragment::parse(
        &messages::IndexFragment { packs, older: Vec::new(), lost: Vec::new() }.encode_to_vec(),
    )
}
