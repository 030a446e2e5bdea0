//! A folder of which the content is missing: names, lengths and times are real, chunks are ids and lengths, packs
//! are lines in the database, the ledger and the index that no body in the store stands behind. Everything else
//! is done by the job itself.

use prost::Message as _;

use super::{super::edits::Pass, CountingStore};
use crate::{
    Result,
    content::{ChunkEntry, ChunkId, PackEntry},
    crypto::{HEADER_BYTES, Place, object_lengths},
    kinds::{FileMeta as FileRecord, FileType, Kind, Record, file_key},
    limits::{CHUNK_BYTES_MAX, OBJECT_BYTES_MAX, PACK_CHUNKS_MAX},
    privacy::{LedgerLine, object_name},
    tree::Edit,
    vault::{
        contents::{ContentWriter, encode_entry},
        folder::{EntryType, Folder, SourceItem, Walk},
        merge::content_id,
        state::{Database, PackRow, Replica},
    },
    wire::messages,
};

const OPEN_PACKS: usize = 2;

pub(in crate::vault::backup) struct SizesSource<'s> {
    name: String,
    walk: Walk,
    replica: Replica,
    store: &'s CountingStore,
    packs: [OpenPack; OPEN_PACKS],
    ended: bool,
}

impl<'s> SizesSource<'s> {
    pub(in crate::vault::backup) fn open(
        kind: &Kind,
        name: &str,
        folder: &Folder,
        store: &'s CountingStore,
    ) -> Result<Self> {
        let replica = super::super::folder_replica(kind, folder.path())?;
        let (walk, packs) = (folder.walk()?, <[OpenPack; OPEN_PACKS]>::default());
        Ok(Self { name: name.to_owned(), walk, replica, store, packs, ended: false })
    }

    pub(in crate::vault::backup) fn ended(&self) -> bool {
        self.ended
    }

    pub(in crate::vault::backup) fn next_edit(&mut self, pass: &mut Pass<'_, '_>) -> Option<Result<Edit>> {
        if !pass.is_full() {
            match self.walk.next() {
                Some(item) => return Some(self.edit(&item.unwrap(), pass)),
                None => self.ended = true,
            }
        }
        // What is open at the end of a pass is sent in whatever length fits it.
        for pack in std::mem::take(&mut self.packs) {
            if let Err(error) = self.send(pack, pass.writer) {
                return Some(Err(error));
            }
        }
        None
    }

    /// What the backup of a folder makes of an entry that it does not know.
    fn edit(&mut self, item: &SourceItem, pass: &mut Pass<'_, '_>) -> Result<Edit> {
        let parts: Vec<&[u8]> = item.components.iter().map(Vec::as_slice).collect();
        let key = file_key(&self.name, &parts)?;
        pass.tally.seen += 1;
        pass.tally.changed += 1;
        let (file_type, content) = match item.meta.entry_type {
            EntryType::Regular => (FileType::Regular, Some(self.content(&key, item.meta.size, pass.writer)?)),
            EntryType::Directory => (FileType::Directory, None),
            EntryType::Symlink => unreachable!("the simulation makes no links"),
        };
        let attributes = item.meta.attributes;
        let record = Record::File(FileRecord {
            file_type,
            mode: attributes.mode & 0o7777,
            modified_s: attributes.modified_s,
            modified_ns: attributes.modified_ns,
            link_target: Vec::new(),
            taken_ms: None,
        });
        let value = encode_entry(pass.writer, record.encode()?, content, true)?;
        let note = Some((super::super::stat_of(&item.meta), content_id(&value)?));
        pass.writer.note(self.replica.note(&key, note))?;
        Ok(Edit { key, value: Some(value) })
    }

    /// Chunks as long as the chunker's rule makes them (FORMAT F-23): the minimum, and then a border at any byte
    /// with the same small chance.
    fn content(&mut self, key: &[u8], length: u64, writer: &ContentWriter<'_>) -> Result<messages::Content> {
        const BYTES_MIN: f64 = 589_824.0;
        const BEYOND_BYTES: f64 = 458_752.0;
        let (mut left, mut ids) = (length, Vec::new());
        while left > 0 {
            let seed = [key, &left.to_le_bytes()].concat();
            let id = ChunkId::derive(writer.access().keys.chunk_id_key(), &seed);
            let draw = u32::from_le_bytes(*id.0.last_chunk().unwrap());
            let beyond = -((f64::from(draw) + 1.0) / 4_294_967_296.0).ln() * BEYOND_BYTES;
            let cut = ((BYTES_MIN + beyond) as u64).min(CHUNK_BYTES_MAX as u64).min(left);
            self.put(id, u32::try_from(cut).unwrap(), writer)?;
            ids.extend(id.0);
            left -= cut;
        }
        Ok(messages::Content { length, inline: Vec::new(), list_level: 0, chunks: ids })
    }

    /// As [`ContentWriter::put_chunk`] and [`Packer::add`](crate::content::Packer::add) do it.
    fn put(&mut self, id: ChunkId, length: u32, writer: &ContentWriter<'_>) -> Result<()> {
        let is_open = self.packs.iter().any(|pack| pack.chunks.iter().any(|chunk| chunk.id() == id));
        if is_open || writer.has(id)? {
            return Ok(());
        }
        let wire = messages::ChunkEntry { id: id.0.to_vec(), stored_length: length, plain_length: 0 };
        let chunk = ChunkEntry::from_wire(&wire, crate::Part::Chunk)?;
        let roomy: Vec<usize> = (0..OPEN_PACKS).filter(|n| self.packs[*n].has_room_for(&chunk)).collect();
        let [dice] = writer.with_random(|random| random.bytes::<1>())?;
        if let Some(n) = roomy.get(usize::from(dice) % roomy.len().max(1)) {
            self.packs[*n].push(chunk);
            return Ok(());
        }
        let fullest = self.packs.iter_mut().max_by_key(|pack| pack.used()).unwrap();
        let full = std::mem::take(fullest);
        fullest.push(chunk);
        self.send(full, writer)
    }

    /// As a shipment is sent, but that the store only counts it.
    fn send(&self, pack: OpenPack, writer: &ContentWriter<'_>) -> Result<()> {
        if pack.chunks.is_empty() {
            return Ok(());
        }
        let access = writer.access();
        let length = object_lengths().into_iter().find(|length| capacity(*length) >= pack.used()).unwrap();
        let length = u32::try_from(length).unwrap();
        let (id, hash) =
            writer.with_random(|random| Ok::<_, crate::Error>((random.bytes()?, random.bytes::<32>()?)))?;
        let (epoch, _) = access.current;
        let object = messages::ObjectRef { name: id.to_vec(), length, hash: hash.to_vec(), epoch };
        let wire = messages::PackEntry {
            object: Some(object),
            chunks: pack.chunks.iter().map(ChunkEntry::to_wire).collect(),
        };
        let entry = PackEntry::from_wire(&wire)?;
        let row =
            PackRow { id, length, epoch, kind: access.kind.to_owned(), uncommitted: wire.encode_to_vec() };
        let notes = writer.remaining_notes();
        let number = access.database.write(|transaction| {
            Database::write_notes(transaction, writer.run(), &notes)?;
            Database::add_pack_alone(transaction, &row)
        })?;
        access.gate.ledger().append(&LedgerLine {
            time_ms: 1_700_000_000_000,
            kind: access.kind.to_owned(),
            object: "pack".to_owned(),
            name: object_name(Place::Object(id)).as_str().to_owned(),
            length: u64::from(length),
        })?;
        self.store.count_bodiless(u64::from(length), pack.chunks.len() as u64);
        writer.count_sent(u64::from(length), (number, entry.chunks().map(|slot| slot.id)))?;
        Ok(())
    }
}

/// A pack of lengths.
#[derive(Default)]
struct OpenPack {
    chunks: Vec<ChunkEntry>,
    bytes: usize,
}

impl OpenPack {
    fn used(&self) -> usize {
        self.bytes + 4
    }

    fn has_room_for(&self, chunk: &ChunkEntry) -> bool {
        self.chunks.len() < PACK_CHUNKS_MAX && self.used() + bytes_of(chunk) <= capacity(OBJECT_BYTES_MAX)
    }

    fn push(&mut self, chunk: ChunkEntry) {
        self.bytes += bytes_of(&chunk);
        self.chunks.push(chunk);
    }
}

/// A chunk and its line of the directory, which is shorter than 128 bytes.
fn bytes_of(chunk: &ChunkEntry) -> usize {
    chunk.stored_length() as usize + chunk.to_wire().encoded_len() + 2
}

/// Plaintext bytes of an object.
fn capacity(length: usize) -> usize {
    length - HEADER_BYTES - (length - HEADER_BYTES).div_ceil(65_552) * 16
}
