//! Strict decoding: a byte cap first, then one valid encoding only.

use prost::Message;

use crate::{Error, Part, Result};

/// Decodes a message that has exactly one valid encoding: unknown fields, non-canonical numbers,
/// duplicates and any other second spelling are refused (R3).
///
/// # Errors
/// [`Error::Damaged`] naming `part`.
pub fn decode_strict<M: Message + Default>(bytes: &[u8], limit: usize, part: Part) -> Result<M> {
    let message: M = decode_lenient(bytes, limit, part)?;
    if message.encoded_len() == bytes.len() && message.encode_to_vec() == bytes {
        Ok(message)
    } else {
        Err(Error::damaged(part))
    }
}

/// Decodes a message that newer writers may have extended: unknown fields are passed over. Whoever
/// stores such a message again stores the original bytes.
///
/// # Errors
/// [`Error::Damaged`] naming `part`.
pub fn decode_lenient<M: Message + Default>(bytes: &[u8], limit: usize, part: Part) -> Result<M> {
    if bytes.len() > limit {
        return Err(Error::damaged(part));
    }
    M::decode(bytes).map_err(|_| Error::damaged(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::{ChunkEntry, TreePage};

    #[test]
    fn attack_r3_second_encodings_are_refused() {
        let entry = ChunkEntry { id: vec![7; 32], stored_length: 5, plain_length: 0 };
        let canonical = entry.encode_to_vec();
        assert!(decode_strict::<ChunkEntry>(&canonical, 100, Part::Pack).unwrap() == entry);

        let mut explicit_default = canonical.clone();
        explicit_default.extend([0x18, 0]);
        let mut unknown_field = canonical.clone();
        unknown_field.extend([0x78, 1]);
        let mut duplicate = canonical.clone();
        duplicate.extend([0x10, 5]);
        let mut long_varint = canonical.clone();
        let last = long_varint.len() - 1;
        long_varint[last] |= 0x80;
        long_varint.push(0);
        for mutant in [explicit_default, unknown_field, duplicate, long_varint] {
            assert!(decode_lenient::<ChunkEntry>(&mutant, 100, Part::Pack).is_ok());
            assert!(decode_strict::<ChunkEntry>(&mutant, 100, Part::Pack).is_err());
        }
    }

    #[test]
    fn attack_r1_deep_groups_are_refused_on_a_small_stack() {
        let nested = vec![0x0b; 1_000_000];
        let result = std::thread::Builder::new()
            .stack_size(256 * 1024)
            .spawn(move || decode_lenient::<TreePage>(&nested, 2_000_000, Part::TreePage).is_err())
            .unwrap()
            .join();
        assert!(result.unwrap());
    }
}
