//! Files of several equal pieces, which whoever has time reads, one piece each: a thread that waits for the first piece
//! is not kept by a whole file, and has it while a cache does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    batch::{FileContent, ReadFile, Whole, WholeFile, make},
    files::taken_from,
};
use crate::{
    Error, Result,
    content::MEDIA_PIECE_BYTES,
    kinds::{Cutting, Policy},
    vault::{
        contents::{ContentWriter, MadeChunk},
        crew::Later,
        folder::{FileMeta, SourceFile},
    },
    wire::messages,
};

pub(super) const PIECE_BYTES: u64 = MEDIA_PIECE_BYTES as u64;

/// A file whose pieces are being read.
pub(super) struct FileInPieces {
    shared: Arc<Mutex<Shared>>,
    pieces: Vec<Later<Option<Piece>>>,
    policy: Policy,
    /// Of all of them.
    pub(super) bytes: u64,
    /// [`ContentWriter::noted`] before any of them was made.
    pub(super) noted: u64,
}

enum Piece {
    Made(MadeChunk),
    /// Read before anybody knew that the file is had in pieces: what would be compressed waits until it is known.
    Read(Vec<u8>),
}

/// What those who read a file have in common.
enum Shared {
    /// Nobody has begun.
    Closed(WholeFile),
    /// It cannot be had, or not in pieces.
    Not(ReadFile),
    Open(Open),
}

struct Open {
    file: Arc<SourceFile>,
    is_picture: bool,
    taken_ms: Option<i64>,
    /// Whether no piece read so far says otherwise.
    is_in_pieces: bool,
    /// Whether its first piece was looked at, which tells how it is to be cut.
    is_judged: bool,
    /// How many pieces are yet to be read.
    unread: u64,
    /// What the file was when the last one had been.
    after: Option<FileMeta>,
}

impl FileInPieces {
    /// Lets the hands read a file.
    pub(super) fn give(file: WholeFile, policy: Policy, writer: &ContentWriter<'_>) -> Result<Self> {
        let (bytes, noted) = (file.size, writer.noted());
        let shared = Arc::new(Mutex::new(Shared::Closed(file)));
        let give = |number| give_piece(&shared, (number, bytes), policy, writer);
        let pieces = (0..bytes.div_ceil(PIECE_BYTES)).map(give).collect::<Result<_>>()?;
        Ok(Self { shared, pieces, policy, bytes, noted })
    }

    /// Waits for all of them. Each is stored, if it is to be, as soon as it is made: the sooner a processor gets it from
    /// the other one's cache, the less of it has gone from there.
    pub(super) fn wait(self, writer: &ContentWriter<'_>, is_stored: bool) -> Result<ReadFile> {
        let Self { shared, pieces, policy, bytes, noted } = self;
        let (mut made, mut ids, mut is_whole) = (Vec::new(), Vec::new(), true);
        for piece in pieces {
            let Some(piece) = piece.wait()?.filter(|_| is_whole) else {
                is_whole = false;
                continue;
            };
            let chunk = match piece {
                Piece::Made(chunk) => chunk,
                Piece::Read(bytes) => {
                    writer.here(|maker, tools| make(bytes, (policy, false), maker, tools))?
                }
            };
            if is_stored {
                ids.extend(writer.put_made(chunk, noted)?.0);
            } else {
                made.push(chunk);
            }
        }
        let content = if is_stored {
            Whole::Stored(messages::Content { length: bytes, chunks: ids, ..Default::default() })
        } else {
            Whole::Chunks(made, bytes)
        };
        let shared = std::mem::replace(&mut *lock(&shared), Shared::Not(ReadFile::Vanished));
        Ok(match shared {
            Shared::Open(Open { file, taken_ms, after, .. }) => {
                let file = Arc::into_inner(file).ok_or(Error::Internal("a file is still read"))?;
                let meta = file.meta_when_opened();
                if !is_whole || after.is_some_and(|after| after.size != bytes) {
                    return Ok(ReadFile::TooLong(file));
                }
                ReadFile::Whole(FileContent { meta, settled: after == Some(meta), taken_ms, content })
            }
            Shared::Not(read) => read,
            Shared::Closed(_) => return Err(Error::Internal("a file was not read")),
        })
    }
}

impl Shared {
    /// The file, which whoever comes first opens; none if it is not to be had in pieces of `bytes` together.
    fn open(&mut self, bytes: u64) -> Option<&mut Open> {
        *self = match std::mem::replace(self, Self::Not(ReadFile::Vanished)) {
            Self::Closed(WholeFile { opening, is_picture, .. }) => match opening.open() {
                Ok(Some(file)) if file.meta_when_opened().size == bytes => Self::Open(Open {
                    file: Arc::new(file),
                    is_picture,
                    taken_ms: None,
                    is_in_pieces: true,
                    is_judged: false,
                    unread: bytes.div_ceil(PIECE_BYTES),
                    after: None,
                }),
                Ok(Some(file)) => Self::Not(ReadFile::TooLong(file)),
                Ok(None) => Self::Not(ReadFile::Vanished),
                Err(reason) => Self::Not(ReadFile::LeftOut(reason)),
            },
            begun => begun,
        };
        match self {
            Self::Open(open) if open.is_in_pieces => Some(open),
            _ => None,
        }
    }
}

/// Reads one of the pieces of a file of `bytes`, and says whether it is known that the file is had in pieces; none if
/// it is not.
fn read(
    shared: &Mutex<Shared>,
    (number, bytes): (u64, u64),
    policy: Policy,
) -> Result<Option<(Vec<u8>, bool)>> {
    let Some((file, is_picture)) =
        lock(shared).open(bytes).map(|open| (Arc::clone(&open.file), open.is_picture))
    else {
        return Ok(None);
    };
    let piece = read_piece(&file, (number * PIECE_BYTES, bytes))?;
    let piece = piece.filter(|piece| number > 0 || policy.cutting_of(bytes, piece) == Cutting::Fixed);
    let taken_ms = piece.as_ref().filter(|_| is_picture && number == 0).and_then(|head| taken_from(head));
    let mut shared = lock(shared);
    let Some(open) = shared.open(bytes) else { return Ok(None) };
    open.is_in_pieces = piece.is_some();
    open.is_judged |= number == 0;
    open.taken_ms = open.taken_ms.or(taken_ms);
    open.unread -= 1;
    if open.unread == 0 {
        open.after = file.meta().ok();
    }
    Ok(piece.map(|piece| (piece, open.is_judged)))
}

/// Lets the hands read and make a piece; nothing comes of it if the file is not to be had in pieces.
fn give_piece(
    shared: &Arc<Mutex<Shared>>,
    (number, bytes): (u64, u64),
    policy: Policy,
    writer: &ContentWriter<'_>,
) -> Result<Later<Option<Piece>>> {
    let shared = Arc::clone(shared);
    writer.give(move |maker, tools| {
        let Some((piece, is_judged)) = read(&shared, (number, bytes), policy)? else {
            return Ok(None);
        };
        Ok(Some(if is_judged || policy.cutting_of(bytes, &piece) == Cutting::Fixed {
            Piece::Made(make(piece, (policy, false), maker, tools)?)
        } else {
            Piece::Read(piece)
        }))
    })
}

/// The piece at `offset` of a file of `bytes`; none if the file is shorter, or does not end with its last piece,
/// whatever its size is said to be.
fn read_piece(file: &SourceFile, (offset, bytes): (u64, u64)) -> Result<Option<Vec<u8>>> {
    let left = bytes.saturating_sub(offset);
    let expected = usize::try_from(left.min(PIECE_BYTES)).unwrap_or(usize::MAX);
    let mut piece = file
        .read_at(offset, expected + usize::from(left <= PIECE_BYTES))
        .map_err(Error::io("reading the source"))?;
    let read = piece.len();
    piece.truncate(expected);
    Ok(Some(piece).filter(|_| read == expected))
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "the tests change the files that are read")]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{
        content::ChunkId,
        crypto::{Random as _, SeededRandom},
        kinds::Kind,
        store::MemoryStore,
        vault::{Folder, Job, NewDevice, Vault, testing::MemoryHome},
    };

    fn noise(length: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        SeededRandom::new(length).fill(&mut bytes).unwrap();
        bytes
    }

    fn vault() -> Vault {
        let device = NewDevice::named("phone").unwrap();
        let (vault, _) = Vault::create(MemoryStore::new(), &MemoryHome::new(), device).unwrap();
        vault.consent().grant(&Kind::FILES).unwrap();
        vault
    }

    fn with_writer<T>(threads: usize, work: impl FnOnce(&ContentWriter<'_>) -> T) -> T {
        let vault = vault();
        let work_state = &mut *vault.work();
        let view = vault.refresh(work_state).unwrap();
        let (job, run) = (Job::new().with_threads(threads), vault.database.begin_run("files").unwrap());
        let access = vault.access("files", &view).unwrap();
        let (clock, random) = (vault.clock.as_ref(), work_state.random.as_mut());
        work(&ContentWriter::new(access, run, &job, clock, random, false).unwrap())
    }

    /// The one file below `folder`, as a walk sees it, and what `change` makes of it afterwards.
    fn walked(folder: &Path, change: impl FnOnce(&Path)) -> WholeFile {
        let mut walk = Folder::at(folder).walk().unwrap();
        let item = walk.next().unwrap().unwrap();
        let (opening, size) = (walk.opening(&item), item.meta.size);
        change(&folder.join("file"));
        WholeFile { opening, size, is_picture: false, is_new: true }
    }

    const LENGTH: u64 = 3 * PIECE_BYTES + 1000;

    fn read(writer: &ContentWriter<'_>, content: &[u8], change: impl FnOnce(&Path)) -> ReadFile {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), content).unwrap();
        let file = walked(folder.path(), change);
        let file = FileInPieces::give(file, Policy::of(&Kind::FILES), writer).unwrap();
        file.wait(writer, true).unwrap()
    }

    #[test]
    fn a_file_in_pieces_is_the_chunks_of_its_pieces_in_order() {
        for threads in [1, 2, 4] {
            with_writer(threads, |writer| {
                for length in [PIECE_BYTES + 1, 2 * PIECE_BYTES, LENGTH, 4 * 1024 * 1024] {
                    let content = noise(length);
                    let ReadFile::Whole(FileContent { settled, content: Whole::Stored(stored), .. }) =
                        read(writer, &content, |_| {})
                    else {
                        panic!("{length} bytes are not read in pieces")
                    };
                    let key = writer.access().keys.chunk_id_key();
                    let ids =
                        content.chunks(MEDIA_PIECE_BYTES).flat_map(|piece| ChunkId::derive(key, piece).0);
                    assert!(settled && stored.length == length && stored.chunks == ids.collect::<Vec<_>>());
                    assert!(stored.chunks.as_chunks().0.iter().all(|id| writer.has(ChunkId(*id)).unwrap()));
                }
            });
        }
    }

    #[test]
    fn a_file_that_is_not_what_the_walk_saw_is_read_otherwise() {
        with_writer(2, |writer| {
            let read = |content: &[u8], change: &dyn Fn(&Path)| read(writer, content, change);
            let noise = noise(LENGTH);
            let grown = read(&noise, &|path| fs::write(path, [&noise[..], b"more"].concat()).unwrap());
            assert!(matches!(grown, ReadFile::TooLong(_)));
            let shrunk = read(&noise, &|path| fs::write(path, &noise[1..]).unwrap());
            assert!(matches!(shrunk, ReadFile::TooLong(_)));
            let text = read(&b"the same words ".repeat(100_000), &|_| {});
            assert!(matches!(text, ReadFile::TooLong(_)));
            let gone = read(&noise, &|path| fs::remove_file(path).unwrap());
            assert!(matches!(gone, ReadFile::Vanished));
            let replaced = read(&noise, &|path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            });
            assert!(matches!(replaced, ReadFile::LeftOut(_)));
        });
    }

    #[test]
    fn a_piece_that_is_read_before_the_first_is_made_once_the_first_has_told_how() {
        with_writer(1, |writer| {
            let (noise, text) = (noise(PIECE_BYTES), b"the same words ".repeat(10_000));
            for (content, is_in_pieces) in [([&noise[..], &text].concat(), true), (text.repeat(8), false)] {
                let folder = tempfile::tempdir().unwrap();
                fs::write(folder.path().join("file"), &content).unwrap();
                let file = walked(folder.path(), |_| {});
                let (bytes, shared) = (file.size, Arc::new(Mutex::new(Shared::Closed(file))));
                let policy = Policy::of(&Kind::FILES);
                // With one thread it is read at once.
                let piece = |number| give_piece(&shared, (number, bytes), policy, writer).unwrap();
                let second = piece(1).wait().unwrap();
                assert!(matches!(second, Some(Piece::Read(_))));
                let pieces = vec![piece(0), Later::Here(Ok(second))];
                let file = FileInPieces {
                    shared: Arc::clone(&shared),
                    pieces,
                    policy,
                    bytes,
                    noted: writer.noted(),
                };
                match file.wait(writer, true).unwrap() {
                    ReadFile::Whole(FileContent { content: Whole::Stored(stored), .. }) => {
                        let key = writer.access().keys.chunk_id_key();
                        let ids = content.chunks(MEDIA_PIECE_BYTES);
                        let ids = ids.flat_map(|piece| ChunkId::derive(key, piece).0).collect::<Vec<_>>();
                        assert!(is_in_pieces && stored.chunks == ids);
                    }
                    ReadFile::TooLong(_) => assert!(!is_in_pieces),
                    _ => panic!("a file that is there"),
                }
            }
        });
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_read_again_now_or_the_next_time() {
        with_writer(1, |writer| {
            for (length, is_read) in [(LENGTH, true), (LENGTH - 1, false), (LENGTH + 1, false)] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("file");
                fs::write(&path, noise(LENGTH)).unwrap();
                let file = walked(folder.path(), |_| {});
                let (bytes, shared) = (file.size, Arc::new(Mutex::new(Shared::Closed(file))));
                // With one thread it is read at once.
                let piece =
                    |number| give_piece(&shared, (number, bytes), Policy::of(&Kind::FILES), writer).unwrap();
                let first = piece(0);
                // Its time must tell.
                std::thread::sleep(std::time::Duration::from_millis(20));
                fs::write(&path, noise(length)).unwrap();
                let pieces = [first].into_iter().chain((1..4).map(piece)).collect();
                let (shared, policy) = (Arc::clone(&shared), Policy::of(&Kind::FILES));
                let file = FileInPieces { shared, pieces, policy, bytes, noted: writer.noted() };
                match file.wait(writer, false).unwrap() {
                    ReadFile::Whole(FileContent { settled, .. }) => assert!(is_read && !settled),
                    ReadFile::TooLong(_) => assert!(!is_read),
                    _ => panic!("a file that is there"),
                }
            }
        });
    }

    #[test]
    fn a_last_piece_ends_with_its_file() {
        with_writer(1, |writer| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("file"), noise(1000)).unwrap();
            let whole = [999, 1000, 1001, PIECE_BYTES + 1].map(|left| {
                let file = walked(folder.path(), |_| {}).opening.open().unwrap().unwrap();
                let read = writer.give(move |_, _| read_piece(&file, (0, left)));
                read.unwrap().wait().unwrap().is_some()
            });
            assert_eq!(whole, [false, true, false, false]);
        });
    }
}
