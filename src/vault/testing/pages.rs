//! The bytes of a database in memory, in pages that copies share until one of them writes.
//!
//! So an image of a whole phone, and the state at the last sync, cost a list of pointers.

use std::{io, sync::Arc};

const PAGE_BYTES: usize = 4096;

type Page = Arc<[u8; PAGE_BYTES]>;

/// A file of a given length; what was never written reads as zeros.
#[derive(Clone, Default)]
pub(super) struct Pages {
    pages: Vec<Option<Page>>,
    length: usize,
}

/// A piece of one page that is a piece of a range.
struct Piece {
    page: usize,
    within: usize,
    of_range: std::ops::Range<usize>,
}

impl Pages {
    pub(super) fn length(&self) -> u64 {
        self.length as u64
    }

    pub(super) fn set_length(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| outside())?;
        self.pages.resize(length.div_ceil(PAGE_BYTES), None);
        let rest = length % PAGE_BYTES;
        if let Some(Some(last)) = self.pages.last_mut().filter(|_| rest > 0) {
            Arc::make_mut(last).iter_mut().skip(rest).for_each(|byte| *byte = 0);
        }
        self.length = length;
        Ok(())
    }

    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        for piece in self.pieces(offset, out.len())? {
            let length = piece.of_range.len();
            let out = out.get_mut(piece.of_range).ok_or_else(outside)?;
            match self.pages.get(piece.page).ok_or_else(outside)? {
                None => out.fill(0),
                Some(page) => {
                    let from = page.get(piece.within..piece.within + length).ok_or_else(outside)?;
                    out.copy_from_slice(from);
                }
            }
        }
        Ok(())
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        for piece in self.pieces(offset, bytes.len())? {
            let length = piece.of_range.len();
            let bytes = bytes.get(piece.of_range).ok_or_else(outside)?;
            let page = self.pages.get_mut(piece.page).ok_or_else(outside)?;
            let page = Arc::make_mut(page.get_or_insert_with(|| Arc::new([0; PAGE_BYTES])));
            page.get_mut(piece.within..piece.within + length).ok_or_else(outside)?.copy_from_slice(bytes);
        }
        Ok(())
    }

    /// The pieces of `length` bytes from `offset`, which have to lie inside.
    fn pieces(&self, offset: u64, length: usize) -> io::Result<impl Iterator<Item = Piece> + use<>> {
        let start = usize::try_from(offset).map_err(|_| outside())?;
        let end = start.checked_add(length).filter(|end| *end <= self.length).ok_or_else(outside)?;
        let mut at = start;
        Ok(std::iter::from_fn(move || {
            let within = at % PAGE_BYTES;
            let now = (PAGE_BYTES - within).min(end - at);
            let piece = Piece { page: at / PAGE_BYTES, within, of_range: at - start..at - start + now };
            at += now;
            (now > 0).then_some(piece)
        }))
    }
}

fn outside() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "outside the file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_file_and_copies_do_not_see_each_others_writes() {
        let mut pages = Pages::default();
        pages.set_length(10_000).unwrap();
        pages.write(4000, &[7; 5000]).unwrap();
        let copy = pages.clone();
        pages.write(4095, &[1, 2]).unwrap();
        let read = |pages: &Pages| {
            let mut out = [9; 4];
            pages.read(4094, &mut out).unwrap();
            out
        };
        assert_eq!((read(&pages), read(&copy)), ([7, 1, 2, 7], [7; 4]));
        assert!(pages.write(9999, &[0, 0]).is_err() && pages.read(10_000, &mut [0]).is_err());
        pages.set_length(8999).unwrap();
        pages.set_length(10_000).unwrap();
        let mut out = [9; 2];
        pages.read(8998, &mut out).unwrap();
        assert_eq!(out, [7, 0], "what was cut off is gone");
    }
}
