//! The fuzzer's bytes, read as decisions; and randomness that is none.

use strongroom::{Result, crypto::Random};

/// Takes decisions from the front; an input that ended decides for zero.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (now, later) = self.0.split_at(count.min(self.0.len()));
        self.0 = later;
        now
    }

    pub(super) fn number(&mut self, bytes: usize) -> usize {
        self.bytes(bytes).iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    }

    /// The rest, in parts that say their length in two bytes each.
    pub(super) fn parts(&mut self) -> Vec<&'a [u8]> {
        let mut parts = Vec::new();
        while self.0.len() > 2 && parts.len() < 256 {
            let length = self.number(2);
            parts.push(self.bytes(length));
        }
        parts
    }

    /// Changes `bytes` as the rest of the input says.
    pub(super) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..16 {
            if self.0.is_empty() || bytes.is_empty() {
                return;
            }
            match self.number(1) % 5 {
                0 => {
                    let at = self.number(4) % bytes.len();
                    bytes[at] ^= self.number(1) as u8;
                }
                1 => bytes.truncate(self.number(4) % (bytes.len() + 1)),
                2 => bytes.resize(bytes.len().next_power_of_two().clamp(16_384, 1 << 19), 0),
                3 => swap_segments(bytes, self.number(1), self.number(1)),
                _ => {
                    let at = self.number(4) % bytes.len();
                    let count = self.number(1);
                    bytes[at..].iter_mut().zip(self.bytes(count)).for_each(|(to, from)| *to = *from);
                }
            }
        }
    }
}

fn swap_segments(bytes: &mut [u8], a: usize, b: usize) {
    const HEADER: usize = 64;
    const SEGMENT: usize = 64 * 1024 + 16;
    let count = bytes.len().saturating_sub(HEADER) / SEGMENT;
    if count > 1 {
        (0..SEGMENT)
            .for_each(|i| bytes.swap(HEADER + a % count * SEGMENT + i, HEADER + b % count * SEGMENT + i));
    }
}

/// The same bytes again and again, counted so that no two draws are equal.
pub(super) struct Counted(pub(super) Vec<u8>, pub(super) u8);

impl Counted {
    pub(super) fn from(seed: u8) -> Self {
        Self(vec![seed], 1)
    }
}

impl Random for Counted {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        bytes.iter_mut().zip(self.0.iter().cycle()).for_each(|(to, from)| *to = *from);
        if let (Some(last), true) = (bytes.last_mut(), self.1 > 0) {
            *last ^= self.1;
            self.1 = self.1.wrapping_add(1).max(1);
        }
        Ok(())
    }
}
