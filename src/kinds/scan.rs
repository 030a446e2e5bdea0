//! Counts what a stored record would make the decoder allocate, before it does (R2).
//!
//! An empty element costs two bytes on the wire and a hundred in memory. This walk over the protobuf
//! encoding allocates nothing and goes no deeper than records may nest.

use super::xml::{Allowance, ELEMENT_DEPTH_MAX};

/// Field of `Record` that holds an element.
const RECORD_ELEMENT: u64 = 1;
/// Fields of `XmlElement`.
const ELEMENT_ATTRIBUTES: u64 = 2;
const ELEMENT_CHILDREN: u64 = 3;

/// Whether an encoded record stays within the number and depth of elements that one record may have. What
/// is not protobuf at all is refused too.
pub(super) fn check_counts(record: &[u8]) -> Option<()> {
    let mut allowance = Allowance::new();
    let mut fields = Fields(record);
    while let Some((number, bytes)) = fields.next_field()? {
        if number == RECORD_ELEMENT {
            // Repeated, these are merged into one: they share the allowance.
            check_element(bytes, ELEMENT_DEPTH_MAX, &mut allowance)?;
        }
    }
    Some(())
}

fn check_element(element: &[u8], levels: usize, allowance: &mut Allowance) -> Option<()> {
    let below = levels.checked_sub(1)?;
    allowance.take_element().ok()?;
    let mut fields = Fields(element);
    while let Some((number, bytes)) = fields.next_field()? {
        match number {
            ELEMENT_ATTRIBUTES => allowance.take_attribute().ok()?,
            ELEMENT_CHILDREN => check_element(bytes, below, allowance)?,
            _ => {}
        }
    }
    Some(())
}

/// The fields of one message, front to back.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next field's number and, when it has a length, its bytes. `None` outside: not protobuf.
    fn next_field(&mut self) -> Option<Option<(u64, &'a [u8])>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.varint()?;
        let bytes = match tag & 7 {
            0 => {
                self.varint()?;
                &[]
            }
            1 => self.take(8)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.take(length)?
            }
            5 => self.take(4)?,
            // Groups are not of proto3.
            _ => return None,
        };
        Some(Some((tag >> 3, bytes)))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
