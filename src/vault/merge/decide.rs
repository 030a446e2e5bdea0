//! What becomes of an entry that two sides do not agree on. Both sides decide alike: nothing here depends on
//! which of them this device is.

use super::super::contents::{
    Compress, ContentWriter, Cut, ValueReader, decode_entry, encode_entry, record_of, write_content,
};
use super::conflict::{content_id, newer};
use crate::{Error, Part, Result, kinds::Kind, wire::messages};

/// An app's way of making one value of two: what both know (if they agree on it), one side, the other. It
/// has to give the same for both orders of the sides.
pub type MergeFunction = dyn Fn(Option<&[u8]>, &[u8], &[u8]) -> Vec<u8> + Send + Sync;

/// An entry as both sides have it, and as they have known it; more than one value after a conflict.
pub(super) struct Sides<'v> {
    pub(super) bases: &'v [Option<Vec<u8>>],
    pub(super) ours: Option<&'v [u8]>,
    pub(super) theirs: Option<&'v [u8]>,
}

/// What becomes of it.
pub(crate) struct Decision {
    pub(crate) value: Option<Vec<u8>>,
    /// What is kept besides, under a name of its own.
    pub(crate) copy: Option<Vec<u8>>,
}

impl Decision {
    fn take(value: Option<&[u8]>) -> Self {
        Self { value: value.map(<[u8]>::to_vec), copy: None }
    }
}

/// Decides one entry. What only one side changed is taken over, times and modes not counting when the other
/// changed content; an edit beats a deletion; what both edited is decided by kind.
pub(super) fn decide(
    kind: &Kind,
    sides: &Sides<'_>,
    app: Option<&MergeFunction>,
    writer: &ContentWriter<'_>,
) -> Result<Decision> {
    let Sides { bases, ours, theirs, .. } = *sides;
    let unchanged = |side: Option<&[u8]>| bases.iter().any(|base| base.as_deref() == side);
    match (unchanged(ours), unchanged(theirs)) {
        (false, true) => return Ok(Decision::take(ours)),
        (true, false) => return Ok(Decision::take(theirs)),
        _ => {}
    }
    let same_content = |side: Option<&[u8]>| -> Result<bool> {
        let Some(side) = side else { return Ok(false) };
        let mut bases = bases.iter().flatten();
        let id = content_id(side)?;
        bases.try_fold(false, |found, base| Ok(found || content_id(base)? == id))
    };
    match (same_content(ours)?, same_content(theirs)?) {
        (false, true) => return Ok(Decision::take(ours)),
        (true, false) => return Ok(Decision::take(theirs)),
        _ => {}
    }
    let (Some(a), Some(b)) = (ours, theirs) else { return Ok(Decision::take(ours.or(theirs))) };
    if *kind == Kind::MESSAGES || *kind == Kind::CALLS {
        // The same message, told differently by two phones: any of the two will do, if all choose alike.
        return Ok(Decision::take(Some(a.max(b))));
    }
    match app {
        Some(merge) => merge_by_app(merge, sides, (a, b), writer),
        None => keep_both(a, b),
    }
}

/// The newer one keeps the name; the other is kept beside it, unless only the metadata differ.
pub(crate) fn keep_both(a: &[u8], b: &[u8]) -> Result<Decision> {
    let (winner, loser) = if newer(a, b)? { (a, b) } else { (b, a) };
    let copy = super::kept_both(winner, loser)?.then(|| loser.to_vec());
    Ok(Decision { value: Some(winner.to_vec()), copy })
}

fn merge_by_app(
    merge: &MergeFunction,
    sides: &Sides<'_>,
    (a, b): (&[u8], &[u8]),
    writer: &ContentWriter<'_>,
) -> Result<Decision> {
    let base = match sides.bases {
        [Some(base)] => Some(content_of(writer, base)?),
        _ => None,
    };
    let (first, second) = (content_of(writer, a)?, content_of(writer, b)?);
    let merged = merge(base.as_deref(), &first, &second);
    let newest = if newer(a, b)? { a } else { b };
    let newest = decode_entry(newest)?;
    let record = record_of(writer.reader(), &newest)?.into_owned();
    let content = write_content(writer, &mut merged.as_slice(), Cut::Fixed, Compress::Never)?;
    Ok(Decision { value: Some(encode_entry(writer, record, Some(content), false)?), copy: None })
}

fn content_of(writer: &ContentWriter<'_>, value: &[u8]) -> Result<Vec<u8>> {
    let entry: messages::Entry = decode_entry(value)?;
    let content = entry.content.ok_or(Error::damaged(Part::Record))?;
    ValueReader::new(writer.reader(), &content)?.read_all(crate::limits::RECORD_CONTENT_BYTES_MAX)
}
