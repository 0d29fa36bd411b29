//! snappy: one raw block, or the framing of the Java library (Xerial) around several.
//!
//! ```text
//!  82 "SNAPPY" 00 | i32 version | i32 least compatible version | blocks: i32 length, raw snappy
//! ```
//! All integers are big endian. The header may come again between two blocks, where streams were joined.
//!
//! A raw block is the length of its content as a varint, then literals and copies of what came before; its integers are little endian.
//! Clients without the framing put a whole batch into one block: a long one is expanded piece by piece.

use std::ops::Range;

use super::super::error::RecordFault;
use super::{CHUNK_BYTES, room, take_array, take_slice};

pub(super) const XERIAL_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";

/// A copy of 64 bytes takes 3: no block expands to more than this times its bytes.
const RATIO_MAX: usize = 22;

/// Before the first byte, between two framed blocks, inside of a long block, or after a raw block.
#[derive(Default)]
pub(super) enum Position {
    #[default]
    Start,
    Framed,
    Block(Block),
    End,
}

impl Position {
    pub(super) fn next_chunk(
        &mut self,
        input: &mut &[u8],
        buffer: &mut Vec<u8>,
        allowed: u64,
    ) -> Result<Range<usize>, RecordFault> {
        loop {
            if let Self::Block(block) = self {
                let chunk = block.next_chunk(input, buffer)?;
                if !chunk.is_empty() {
                    return Ok(chunk);
                }
                *self = if block.is_framed { Self::Framed } else { Self::End };
            }
            if input.is_empty() {
                return Ok(0..0);
            }
            let (is_framed, bytes) = match self {
                Self::Start | Self::Framed if input.starts_with(&XERIAL_MAGIC) => {
                    take_array::<16>(input)?;
                    *self = Self::Framed;
                    continue;
                }
                Self::Start => (false, input.len()),
                Self::Framed => {
                    let bytes = u32::from_be_bytes(take_array(input)?);
                    (true, usize::try_from(bytes).map_err(|_| RecordFault::Compressed)?)
                }
                Self::Block(_) | Self::End => return Err(RecordFault::Compressed),
            };
            let raw = input.get(..bytes).ok_or(RecordFault::Compressed)?;
            let claimed = claimed_bytes(raw, allowed)?;
            if claimed > CHUNK_BYTES {
                *self = Self::Block(Block::new(raw, claimed, is_framed, buffer)?);
                continue;
            }
            *self = if is_framed { Self::Framed } else { Self::End };
            take_slice(input, bytes)?;
            let bytes = snap::raw::Decoder::new()
                .decompress(raw, room(buffer, claimed))
                .map_err(|_| RecordFault::Compressed)?;
            if bytes > 0 {
                return Ok(0..bytes);
            }
        }
    }
}

/// The length that a raw block claims, which is possible and allowed.
fn claimed_bytes(raw: &[u8], allowed: u64) -> Result<usize, RecordFault> {
    let claimed = snap::raw::decompress_len(raw).map_err(|_| RecordFault::Compressed)?;
    if claimed as u64 > allowed {
        return Err(RecordFault::Expanded);
    }
    if claimed > raw.len().saturating_mul(RATIO_MAX) {
        return Err(RecordFault::Compressed);
    }
    Ok(claimed)
}

/// A long raw block, of which the buffer holds what was expanded.
pub(super) struct Block {
    claimed: usize,
    /// Bytes of the block that were not taken from the input.
    left: usize,
    /// Bytes of the present literal that were not copied.
    literal_left: usize,
    is_framed: bool,
}

/// What an element of a block says.
enum Element {
    Literal { bytes: usize },
    Copy { from: usize, bytes: usize },
}

impl Block {
    fn new(raw: &[u8], claimed: usize, is_framed: bool, buffer: &mut Vec<u8>) -> Result<Self, RecordFault> {
        buffer.clear();
        // Not zeroed, so that pages are touched when they are written.
        buffer.try_reserve_exact(claimed).map_err(|_| RecordFault::Expanded)?;
        Ok(Self {
            claimed,
            left: raw.len(),
            literal_left: 0,
            is_framed,
        })
    }

    /// Expands some [`CHUNK_BYTES`] more behind what the buffer has; nothing at the proper end of the block.
    fn next_chunk(&mut self, input: &mut &[u8], buffer: &mut Vec<u8>) -> Result<Range<usize>, RecordFault> {
        let mut rest = input.get(..self.left).ok_or(RecordFault::Compressed)?;
        let begin = buffer.len();
        if begin == 0 {
            skip_length(&mut rest)?;
        }
        while buffer.len() - begin < CHUNK_BYTES && !(rest.is_empty() && self.literal_left == 0) {
            if self.literal_left == 0 {
                match take_element(&mut rest)? {
                    Element::Literal { bytes } => self.literal_left = bytes,
                    Element::Copy { from, bytes } => self.copy(from, bytes, buffer)?,
                }
            }
            let literal = take_slice(&mut rest, self.literal_left.min(CHUNK_BYTES))?;
            self.literal_left -= literal.len();
            self.check_room(literal.len(), buffer)?;
            buffer.extend_from_slice(literal);
        }
        let taken = self.left - rest.len();
        take_slice(input, taken)?;
        self.left -= taken;
        if buffer.len() == begin && begin != self.claimed {
            return Err(RecordFault::Compressed);
        }
        Ok(begin..buffer.len())
    }

    fn check_room(&self, bytes: usize, buffer: &[u8]) -> Result<(), RecordFault> {
        if bytes > self.claimed - buffer.len() {
            return Err(RecordFault::Compressed);
        }
        Ok(())
    }

    /// Repeats `bytes` bytes from `from` before the end on; they may be longer than what is there, which then repeats.
    fn copy(&self, from: usize, bytes: usize, buffer: &mut Vec<u8>) -> Result<(), RecordFault> {
        self.check_room(bytes, buffer)?;
        let begin = buffer.len().checked_sub(from).ok_or(RecordFault::Compressed)?;
        if from == 0 {
            return Err(RecordFault::Compressed);
        }
        let end = buffer.len() + bytes;
        while buffer.len() < end {
            let piece = (end - buffer.len()).min(buffer.len() - begin);
            buffer.extend_from_within(begin..begin + piece);
        }
        Ok(())
    }
}

fn skip_length(rest: &mut &[u8]) -> Result<(), RecordFault> {
    loop {
        let [byte] = take_array(rest)?;
        if byte < 0x80 {
            return Ok(());
        }
    }
}

fn take_element(rest: &mut &[u8]) -> Result<Element, RecordFault> {
    let [tag] = take_array(rest)?;
    let high = usize::from(tag >> 2);
    Ok(match tag & 0x03 {
        0 => Element::Literal {
            bytes: 1 + match high {
                60 => take_little_endian::<1>(rest)?,
                61 => take_little_endian::<2>(rest)?,
                62 => take_little_endian::<3>(rest)?,
                63 => take_little_endian::<4>(rest)?,
                less => less,
            },
        },
        1 => Element::Copy {
            from: usize::from(tag >> 5) << 8 | take_little_endian::<1>(rest)?,
            bytes: 4 + (high & 0x07),
        },
        2 => Element::Copy {
            from: take_little_endian::<2>(rest)?,
            bytes: 1 + high,
        },
        _ => Element::Copy {
            from: take_little_endian::<4>(rest)?,
            bytes: 1 + high,
        },
    })
}

fn take_little_endian<const N: usize>(rest: &mut &[u8]) -> Result<usize, RecordFault> {
    let bytes = take_array::<N>(rest)?;
    Ok(bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(mut input: &[u8]) -> Result<Vec<u8>, RecordFault> {
        let (mut position, mut buffer, mut all) = (Position::default(), Vec::new(), Vec::new());
        loop {
            let chunk = position.next_chunk(&mut input, &mut buffer, 1 << 26)?;
            if chunk.is_empty() {
                return Ok(all);
            }
            assert!(chunk.len() <= 2 * CHUNK_BYTES);
            all.extend_from_slice(&buffer[chunk]);
        }
    }

    /// Bytes with runs, repeats near and far, and noise.
    fn content(bytes: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let mut content: Vec<u8> = Vec::with_capacity(bytes);
        while content.len() < bytes {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let length = usize::try_from(state >> 24).unwrap() + 1;
            match (state >> 8) % 3 {
                0 => content.extend((0..length).map(|i| (state >> (i % 24)).to_le_bytes()[0])),
                1 => content.extend(std::iter::repeat_n(state.to_le_bytes()[2], length)),
                _ => {
                    let from = content.len().saturating_sub(usize::try_from(state % 100_000).unwrap());
                    let end = content.len().min(from + length);
                    content.extend_from_within(from..end);
                }
            }
        }
        content.truncate(bytes);
        content
    }

    #[test]
    fn long_blocks_are_expanded_piece_by_piece() {
        for bytes in [CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3_000_000] {
            for content in [
                content(bytes),
                vec![9; bytes],
                content(bytes).iter().map(|byte| byte ^ 0x55).collect(),
            ] {
                let raw = snap::raw::Encoder::new().compress_vec(&content).unwrap();
                assert_eq!(expanded(&raw), Ok(content.clone()), "{bytes}");
                let mut framed = XERIAL_MAGIC.to_vec();
                framed.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
                for _ in 0..2 {
                    framed.extend_from_slice(&u32::try_from(raw.len()).unwrap().to_be_bytes());
                    framed.extend_from_slice(&raw);
                }
                assert_eq!(expanded(&framed), Ok([content.clone(), content].concat()), "{bytes}");
            }
        }
    }

    #[test]
    fn elements_of_every_kind() {
        // A literal of 100 000 bytes whose length has each possible width, then copies near and far.
        let literal = content(100_000);
        for (tag, width) in [(62 << 2, 3), (63 << 2, 4)] {
            let mut raw = vec![0x84, 0x8e, 0x06, tag];
            raw.extend_from_slice(&99_999_u32.to_le_bytes()[..width]);
            raw.extend_from_slice(&literal);
            raw.extend_from_slice(&[0x01 | 6 << 2, 1]);
            raw.extend_from_slice(&[0x02 | 63 << 2, 0x88, 0x13]);
            raw.extend_from_slice(&[0x03 | 25 << 2, 0xa0, 0x86, 0x01, 0]);
            let mut expected = literal.clone();
            expected.extend([literal[99_999]; 10]);
            expected.extend_from_within(100_010 - 5000..100_010 - 5000 + 64);
            expected.extend_from_within(74..100);
            assert_eq!(expanded(&raw), Ok(expected));
        }
    }

    #[test]
    fn bad_long_blocks_are_refused() {
        let good = snap::raw::Encoder::new().compress_vec(&content(200_000)).unwrap();
        assert!(expanded(&good).is_ok());
        for cut in [4, 100, good.len() / 2, good.len() - 1] {
            assert_eq!(expanded(&good[..cut]), Err(RecordFault::Compressed), "{cut}");
        }
        let mut longer = good.clone();
        longer.extend_from_slice(&[0, b'x']);
        assert_eq!(expanded(&longer), Err(RecordFault::Compressed));
        // Copies from before the front, and from nowhere.
        for copy in [[0x02, 2, 0], [0x02, 0, 0]] {
            let mut raw = vec![0xc0, 0x84, 0x3d, 0, b'x'];
            raw.extend_from_slice(&copy);
            raw.resize(60_000, 0);
            assert_eq!(expanded(&raw), Err(RecordFault::Compressed));
        }
    }

    #[test]
    fn flipped_bits_never_panic() {
        let good = snap::raw::Encoder::new().compress_vec(&content(150_000)).unwrap();
        for bit in (0..good.len() * 8).step_by(997) {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // A changed literal is as good as another.
            let _ = expanded(&bad);
        }
    }
}
