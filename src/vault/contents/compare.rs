//! Whether a file still is the value that the tree holds. Where the file would be cut now does not tell: another epoch
//! has another key to cut with. The ids of the value's chunks do, and the index knows how long these are; so nothing
//! is fetched but lists of ids.

use std::io::Read;

use super::{
    ContentReader, ContentWriter,
    values::{list_of, parts_of},
};
use crate::{Error, Part, Result, content::ChunkId, vault::Job, wire::messages};

/// Whether `source` has the bytes of a value, up to the first chunk that differs. A value that cannot be told from the
/// index, be it lost or damaged, is another. What only packs have of it that are counted on no more, is stored again.
pub(crate) fn has_value(
    writer: &ContentWriter<'_>,
    content: &messages::Content,
    source: &mut dyn Read,
    compress: bool,
) -> Result<bool> {
    let (reader, database) = (writer.reader(), writer.access().database);
    let is_inline = !content.inline.is_empty();
    let same = |id, found: Found<'_>| match (database.stored(id)?, found) {
        (Some(_), _) => Ok(()),
        (None, Found::List) => writer.put_chunk(reader.chunk(id)?, false).map(drop),
        (None, Found::Piece(piece)) => writer.put_chunk(std::mem::take(piece), compress).map(drop),
    };
    Ok(!is_inline && damaged_is_other(compare((reader, writer.job()), content, source, same))?)
}

/// Whether `source` has the bytes of a value and no others, as far as the index knows; nothing is stored.
pub(crate) fn is_value(
    (reader, job): (&ContentReader<'_>, &Job),
    content: &messages::Content,
    source: &mut dyn Read,
) -> Result<bool> {
    match compare((reader, job), content, source, |_, _| Ok(())) {
        // What cannot be read is no reason to leave it there.
        Err(Error::Io { .. }) => Ok(false),
        same => damaged_is_other(same),
    }
}

fn damaged_is_other(same: Result<bool>) -> Result<bool> {
    match same {
        Err(error) if error.is_damage() => Ok(false),
        same => same,
    }
}

/// What was found to be the same.
enum Found<'p> {
    List,
    Piece(&'p mut Vec<u8>),
}

fn compare(
    (reader, job): (&ContentReader<'_>, &Job),
    content: &messages::Content,
    source: &mut dyn Read,
    mut same: impl FnMut(ChunkId, Found<'_>) -> Result<()>,
) -> Result<bool> {
    let failed = || Error::io("reading the source");
    let (inline, mut open) = parts_of(content)?;
    let mut piece = Vec::new();
    let mut left = content.length;
    let mut take = |length: usize, piece: &mut Vec<u8>| {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        left = left.checked_sub(length).ok_or(Error::damaged(Part::Record))?;
        piece.clear();
        source.take(length).read_to_end(piece).map_err(failed())
    };
    take(inline.len(), &mut piece)?;
    if piece != inline {
        return Ok(false);
    }
    while let Some((level, id)) = open.pop() {
        job.step(|_| {})?;
        if let Some(below) = level.checked_sub(1) {
            open.extend(list_of(reader, below, id)?);
            same(id, Found::List)?;
            continue;
        }
        take(reader.length(id)?, &mut piece)?;
        if ChunkId::derive(reader.access.keys.chunk_id_key(), &piece) != id {
            return Ok(false);
        }
        same(id, Found::Piece(&mut piece))?;
    }
    Ok(left == 0 && source.read(&mut [0]).map_err(failed())? == 0)
}

#[cfg(test)]
mod tests {
    use std::io::repeat;

    use super::*;
    use crate::{
        content::MEDIA_PIECE_BYTES,
        kinds::Kind,
        store::MemoryStore,
        vault::{
            Job, NewDevice, Vault,
            contents::{Compress, ContentWriter, Cut, write_content},
            testing::MemoryHome,
        },
    };

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("a bad sector"))
        }
    }

    #[test]
    fn a_file_is_the_value_that_has_all_its_bytes_and_no_others() {
        let device = NewDevice::named("phone").unwrap();
        let (vault, _) = Vault::create(MemoryStore::new(), &MemoryHome::new(), device).unwrap();
        vault.consent().grant(&Kind::FILES).unwrap();
        let work = &mut *vault.work();
        let view = vault.refresh(work).unwrap();
        let (job, access) = (Job::new(), vault.access("files", &view).unwrap());
        let run = vault.database.begin_run("files").unwrap();
        let (clock, random) = (vault.clock.as_ref(), work.random.as_mut());
        let writer = ContentWriter::new(access, run, &job, clock, random, false).unwrap();
        let mut last = None;
        // So many pieces that their ids make a list.
        for (pieces, level) in [(3, 0), (66, 1)] {
            let length = (pieces * MEDIA_PIECE_BYTES) as u64 - 7;
            let content =
                write_content(&writer, &mut repeat(7).take(length), Cut::Fixed, Compress::Always).unwrap();
            writer.flush().unwrap();
            assert_eq!(content.list_level, level);
            let is = |content: &messages::Content, source: &mut dyn Read| {
                has_value(&writer, content, source, false).unwrap()
            };
            assert!(is(&content, &mut repeat(7).take(length)));
            assert!(!is(&content, &mut repeat(7).take(length - 1)));
            assert!(!is(&content, &mut repeat(7).take(length + 1)));
            assert!(!is(&content, &mut repeat(7).take(length - 1).chain(&[8][..])));
            assert!(!is(&content, &mut [8].chain(repeat(7).take(length - 1))));
            let mut other = content.clone();
            other.chunks[0] ^= 1;
            assert!(!is(&other, &mut repeat(7).take(length)), "a chunk that nobody has");
            other.chunks.clear();
            assert!(!is(&other, &mut repeat(7).take(length)), "no ids at all");
            assert!(is_value((writer.reader(), &job), &content, &mut repeat(7).take(length)).unwrap());
            assert!(!is_value((writer.reader(), &job), &content, &mut repeat(7).take(length + 1)).unwrap());
            let mut broken = repeat(7).take(length / 2).chain(Broken);
            assert!(!is_value((writer.reader(), &job), &content, &mut broken).unwrap());
            last = Some((content, length));
        }
        let (content, length) = last.unwrap();
        job.cancel();
        let end = is_value((writer.reader(), &job), &content, &mut repeat(7).take(length));
        assert!(matches!(end, Err(crate::Error::Cancelled)));
        let end = has_value(&writer, &content, &mut repeat(7).take(length), false);
        assert!(matches!(end, Err(crate::Error::Cancelled)));
    }
}
