//! Cuts a value by its content, of which the hands find where it is to be cut (FORMAT F-23).
//!
//! The value is read in blocks, which hands search. Where a chunk ends tells where the next one cannot, and that is more
//! than half of all: so one block is searched after the other, by whichever hand is free. Where that would keep too many
//! hands waiting they search blocks side by side, which costs half as much again, and the job's own thread picks. The cuts are
//! those of [`Chunker::next_cut`]. Never holds more blocks than the longest chunk can touch, however many cuts there are.

use std::{
    collections::VecDeque,
    io::Read,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Error, Result,
    content::{Candidates, Chunker},
    vault::crew::Later,
};

const BLOCK_BYTES: usize = 512 * 1024;
/// What is read ahead while chunks are of usual length. Of a longer one more is read when it is needed.
const BLOCKS_AHEAD: usize = 6;
/// What stands before a block in its memory.
const BEFORE_BYTES: usize = Chunker::WINDOW_BYTES;

// No more than one chunk ends in a block.
const _: () = assert!(BLOCK_BYTES < Chunker::BYTES_MIN);

/// Bytes of a value, after those that came before them.
pub(super) struct Block {
    memory: Vec<u8>,
    /// How much of the chunk that is open at the block's first byte lies before it; none if blocks are searched side
    /// by side.
    open_bytes: Option<Arc<Mutex<usize>>>,
}

/// A block, and what was found in it.
pub(super) struct Searched {
    memory: Vec<u8>,
    found: Found,
}

/// Before which byte of a block a chunk ends.
enum Found {
    Cut(Option<usize>),
    /// It depends on where the chunk begins.
    Places(Candidates),
}

impl Block {
    /// Work for a hand; in turn, if blocks are not searched side by side.
    pub(super) fn search(self, chunker: &Chunker) -> Searched {
        let Self { memory, open_bytes } = self;
        let found = match open_bytes {
            None => Found::Places(chunker.candidates(&memory)),
            Some(open_bytes) => {
                let mut open_bytes = open_bytes.lock().unwrap_or_else(PoisonError::into_inner);
                let length = memory.len().saturating_sub(BEFORE_BYTES);
                let least = Chunker::BYTES_MIN.saturating_sub(*open_bytes);
                let most = Chunker::BYTES_MAX - *open_bytes;
                let place = chunker.first_place(&memory, least, most.min(length));
                let cut = place.or(Some(most)).filter(|cut| *cut < length);
                *open_bytes = cut.map_or(*open_bytes + length, |cut| length - cut);
                Found::Cut(cut)
            }
        };
        Searched { memory, found }
    }
}

impl Searched {
    fn bytes(&self) -> &[u8] {
        self.memory.get(BEFORE_BYTES..).unwrap_or_default()
    }

    /// Where the chunk ends, if it ends here and neither before `least` nor after `most`.
    fn cut(&self, chunker: &Chunker, least: usize, most: usize) -> Option<usize> {
        let place = match &self.found {
            // Of one that is behind, the next chunk begins there.
            Found::Cut(cut) => return cut.filter(|cut| *cut >= least),
            Found::Places(places) => places.first_from(chunker, &self.memory, least),
        };
        Some(place.map_or(most, |place| place.min(most))).filter(|cut| *cut < self.bytes().len())
    }
}

/// A value on its way into chunks.
pub(super) struct Cutting<'s> {
    source: &'s mut dyn Read,
    chunker: &'s Chunker,
    /// Gives a block to the hands.
    give: &'s dyn Fn(Block) -> Result<Later<Searched>>,
    open_bytes: Option<Arc<Mutex<usize>>>,
    searching: VecDeque<Later<Searched>>,
    /// From the one in which the next chunk begins. All are full but the value's last.
    searched: VecDeque<Searched>,
    /// Where in the first one the next chunk begins.
    start: usize,
    /// The last bytes that were read.
    before: [u8; BEFORE_BYTES],
    ended: bool,
    /// Memory of blocks that lie in chunks by now.
    spare: Vec<Vec<u8>>,
}

impl<'s> Cutting<'s> {
    /// `in_turn` if blocks are given so that one is searched after the other.
    pub(super) fn new(
        source: &'s mut dyn Read,
        (chunker, in_turn): (&'s Chunker, bool),
        give: &'s dyn Fn(Block) -> Result<Later<Searched>>,
    ) -> Self {
        Self {
            source,
            chunker,
            give,
            open_bytes: in_turn.then(Arc::default),
            searching: VecDeque::new(),
            searched: VecDeque::new(),
            start: 0,
            // Of these windows none ends a chunk: the first one is longer.
            before: [0; BEFORE_BYTES],
            ended: false,
            spare: Vec::new(),
        }
    }

    /// The next chunk; none at the end.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        self.read_ahead()?;
        let length = self.next_length()?;
        Ok(if length > 0 { Some(self.take(length)) } else { None })
    }

    fn read_ahead(&mut self) -> Result<()> {
        while !self.ended && self.searching.len() + self.searched.len() < BLOCKS_AHEAD {
            self.read_one()?;
        }
        Ok(())
    }

    fn read_one(&mut self) -> Result<()> {
        if let Some(block) = self.read_block()? {
            self.searching.push_back((self.give)(block)?);
        }
        Ok(())
    }

    fn read_block(&mut self) -> Result<Option<Block>> {
        const LIMIT: u64 = BLOCK_BYTES as u64;
        let memory = self.spare.pop();
        let mut memory = memory.unwrap_or_else(|| Vec::with_capacity(BEFORE_BYTES + BLOCK_BYTES));
        memory.clear();
        memory.extend_from_slice(&self.before);
        let source = &mut *self.source;
        let read = source.take(LIMIT).read_to_end(&mut memory).map_err(Error::io("reading the source"))?;
        self.ended = read < BLOCK_BYTES;
        self.before = memory.last_chunk().copied().unwrap_or(self.before);
        let block = Block { memory, open_bytes: self.open_bytes.clone() };
        Ok(Some(block).filter(|_| read > 0))
    }

    /// How long the chunk is.
    fn next_length(&mut self) -> Result<usize> {
        let (least, most) = (self.start + Chunker::BYTES_MIN, self.start + Chunker::BYTES_MAX);
        let (mut number, mut base) = (0, 0);
        let chunker = self.chunker;
        while let Some(searched) = self.searched(number)? {
            if let Some(cut) = searched.cut(chunker, least.saturating_sub(base), most - base) {
                base += cut;
                break;
            }
            base += searched.bytes().len();
            number += 1;
        }
        Ok(base - self.start)
    }

    /// One of the blocks from the chunk's first on; none after the last.
    fn searched(&mut self, number: usize) -> Result<Option<&Searched>> {
        while self.searched.len() <= number {
            match self.searching.pop_front() {
                Some(block) => self.searched.push_back(block.wait()?),
                None if self.ended => break,
                None => self.read_one()?,
            }
        }
        Ok(self.searched.get(number))
    }

    /// The next chunk, of `left` bytes.
    fn take(&mut self, mut left: usize) -> Vec<u8> {
        let mut chunk = Vec::with_capacity(left);
        while left > 0 {
            let Some(block) = self.searched.front() else { break };
            let rest = block.bytes().get(self.start..).unwrap_or_default();
            let (taken, rest) = rest.split_at(left.min(rest.len()));
            chunk.extend_from_slice(taken);
            left -= taken.len();
            self.start += taken.len();
            if rest.is_empty() {
                self.start = 0;
                let memory = self.searched.pop_front().map(|searched| searched.memory);
                self.spare.extend(memory.filter(|_| self.spare.len() < BLOCKS_AHEAD));
            }
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::{Random, Secret, SeededRandom},
        kinds::Kind,
        store::MemoryStore,
        vault::{
            Job, NewDevice, Vault,
            contents::{Compress, ContentWriter, Cut, write_content},
            testing::MemoryHome,
        },
        wire::messages,
    };

    /// As many as the longest chunk can touch.
    const BLOCKS_MAX: usize = Chunker::BYTES_MAX / BLOCK_BYTES + 1;

    fn cut_in_blocks(chunker: &Chunker, mut bytes: &[u8], in_turn: bool) -> Vec<usize> {
        let whole = bytes;
        let give = |block: Block| Ok(Later::Here(Ok(block.search(chunker))));
        let mut cutting = Cutting::new(&mut bytes, (chunker, in_turn), &give);
        let (mut lengths, mut at) = (Vec::new(), 0);
        while let Some(chunk) = cutting.next_chunk().unwrap() {
            let held = cutting.searching.len() + cutting.searched.len() + cutting.spare.len();
            assert!(held <= BLOCKS_MAX, "{held} blocks");
            assert!(whole[at..].starts_with(&chunk));
            lengths.push(chunk.len());
            at += chunk.len();
        }
        assert_eq!(at, whole.len());
        lengths
    }

    fn cut_at_once(chunker: &Chunker, mut rest: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        while let Some(length) = chunker.next_cut(rest, true) {
            lengths.push(length);
            rest = &rest[length..];
        }
        lengths
    }

    fn assert_same(chunker: &Chunker, bytes: &[u8]) {
        let at_once = cut_at_once(chunker, bytes);
        for in_turn in [true, false] {
            assert_eq!(cut_in_blocks(chunker, bytes, in_turn), at_once, "{} bytes", bytes.len());
        }
    }

    fn chunker(seed: u8) -> Chunker {
        Chunker::new(&Secret::take(&mut [seed; 32]), 0)
    }

    #[test]
    fn blocks_are_cut_where_the_whole_is_whatever_its_length() {
        let mut random = SeededRandom::new(11);
        let mut bytes = vec![0; 2 * Chunker::BYTES_MAX + 5 * BLOCK_BYTES];
        random.fill(&mut bytes).unwrap();
        let borders = [0, Chunker::BYTES_MIN, BLOCK_BYTES, 2 * BLOCK_BYTES, Chunker::BYTES_MAX, bytes.len()];
        for (seed, border) in (0..).zip(borders) {
            let chunker = chunker(seed);
            for length in [64, 63, 1, 0].map(|less| border.saturating_sub(less)) {
                assert_same(&chunker, &bytes[..length]);
                assert_same(&chunker, &bytes[..(border + border - length).min(bytes.len())]);
            }
        }
        for seed in 0..12 {
            let mut place = [0; 4];
            random.fill(&mut place).unwrap();
            let from = u32::from_le_bytes(place) as usize % bytes.len();
            assert_same(&chunker(seed), &bytes[from..]);
        }
    }

    #[test]
    fn blocks_without_a_place_for_a_cut_end_at_the_maximum() {
        let chunker = chunker(1);
        for length in [Chunker::BYTES_MAX, 2 * Chunker::BYTES_MAX, 10_000_000] {
            for length in length - 1..=length + 1 {
                assert_same(&chunker, &vec![0; length]);
            }
        }
    }

    #[test]
    fn blocks_full_of_places_for_a_cut_are_cut_at_the_minimum() {
        let mut random = SeededRandom::new(12);
        let mut bytes = vec![0; 3_000_000];
        random.fill(&mut bytes).unwrap();
        let chunker = chunker(1);
        // A period of 64 that holds a low window: every 64th is one.
        let first = chunker.next_cut(&bytes, false).unwrap();
        let low = bytes[first - 64..first].to_vec();
        for length in [700_000, 3_000_000, 9_000_000] {
            let many: Vec<u8> = low.iter().copied().cycle().take(length).collect();
            assert_same(&chunker, &many);
            assert!(
                cut_in_blocks(&chunker, &many, true).iter().all(|length| *length < Chunker::BYTES_MIN + 64)
            );
            // And beside others.
            let mixed = [&bytes[..first + 100_000], &many, &bytes, &many[7..]].concat();
            assert_same(&chunker, &mixed);
        }
    }

    /// What a job of so many threads makes of a value.
    fn written(vault: &Vault, threads: usize, mut bytes: &[u8]) -> messages::Content {
        let work = &mut *vault.work();
        let view = vault.refresh(work).unwrap();
        let job = Job::new().with_threads(threads).with_memory(256 * 1024 * 1024);
        let access = vault.access("files", &view).unwrap();
        let run = vault.database.begin_run("files").unwrap();
        let (clock, random) = (vault.clock.as_ref(), work.random.as_mut());
        let writer = ContentWriter::new(access, run, &job, clock, random, false).unwrap();
        assert_eq!(writer.hands() > 0, threads > 1);
        let content = write_content(&writer, &mut bytes, Cut::ByContent, Compress::Sampled).unwrap();
        writer.flush().unwrap();
        content
    }

    #[test]
    fn a_value_has_the_same_chunks_whether_one_thread_cuts_it_or_many() {
        let device = NewDevice::named("phone").unwrap();
        let (vault, _) = Vault::create(MemoryStore::new(), &MemoryHome::new(), device).unwrap();
        vault.consent().grant(&Kind::FILES).unwrap();
        let mut random = vec![0; 7_000_000];
        SeededRandom::new(13).fill(&mut random).unwrap();
        let value = [random.as_slice(), &[0; 5_000_000], &random].concat();
        for length in [70_000, 600_000, 4 * BLOCK_BYTES, value.len()] {
            let alone = written(&vault, 1, &value[..length]);
            assert_eq!(alone.length, u64::try_from(length).unwrap());
            for threads in [2, 3, 5] {
                let together = written(&vault, threads, &value[..length]);
                assert_eq!(together.length, alone.length);
                assert_eq!(together.list_level, alone.list_level);
                assert_eq!(together.chunks, alone.chunks, "{threads} threads");
            }
        }
    }
}
