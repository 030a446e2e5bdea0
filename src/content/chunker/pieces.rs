//! Write-once media is cut into pieces of one length: nothing about its content shows in where it is cut.
//!
//! Frozen, since the same file must give the same pieces on every device.

/// Length of every piece of a media file but the last, which is what remains.
///
/// Nine pieces and their directory fill a pack of 8 MiB. Simulated on photos of 1 to 6 MB, chunks spread at
/// random over two open packs, full packs are 97.2 % full or better; with eight pieces of 1 MiB a pack
/// they are 96.9 %.
pub const MEDIA_PIECE_BYTES: usize = 931_328;

/// Length of the next piece of a media file of which `remaining` bytes are left; 0 at the end.
#[must_use]
pub fn media_piece(remaining: u64) -> usize {
    usize::try_from(remaining).map_or(MEDIA_PIECE_BYTES, |remaining| remaining.min(MEDIA_PIECE_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_one_length_but_the_last() {
        let piece = MEDIA_PIECE_BYTES as u64;
        for (remaining, expected) in
            [(0, 0), (1, 1), (piece, MEDIA_PIECE_BYTES), (u64::MAX, MEDIA_PIECE_BYTES)]
        {
            assert_eq!(media_piece(remaining), expected);
        }
    }
}
