//! snappy: one raw block, or the framing of the Java library (Xerial) around several.
//!
//! ```text
//!  82 "SNAPPY" 00 | i32 version | i32 least compatible version | blocks: i32 length, raw snappy
//! ```
//! All integers are big endian. The header may come again between two blocks, where streams were joined.

use std::ops::Range;

use super::super::error::RecordFault;
use super::{room, take_array, take_slice};

pub(super) const XERIAL_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";

/// A copy of 64 bytes takes 3: no block expands to more than this times its bytes.
const RATIO_MAX: usize = 22;

/// Before the first byte, between two framed blocks, or after a raw block.
#[derive(Default)]
pub(super) enum Position {
    #[default]
    Start,
    Framed,
    End,
}

impl Position {
    pub(super) fn next_chunk(
        &mut self,
        input: &mut &[u8],
        buffer: &mut Vec<u8>,
        allowed: u64,
    ) -> Result<Range<usize>, RecordFault> {
        while !input.is_empty() {
            let block = match self {
                Self::Start | Self::Framed if input.starts_with(&XERIAL_MAGIC) => {
                    take_array::<16>(input)?;
                    *self = Self::Framed;
                    continue;
                }
                Self::Start => {
                    *self = Self::End;
                    std::mem::take(input)
                }
                Self::Framed => {
                    let bytes = u32::from_be_bytes(take_array(input)?);
                    take_slice(input, usize::try_from(bytes).map_err(|_| RecordFault::Compressed)?)?
                }
                Self::End => return Err(RecordFault::Compressed),
            };
            let bytes = expand_block(block, buffer, allowed)?;
            if bytes > 0 {
                return Ok(0..bytes);
            }
        }
        Ok(0..0)
    }
}

/// Expands a raw block to the front of the buffer, after a look at the length that it claims.
fn expand_block(block: &[u8], buffer: &mut Vec<u8>, allowed: u64) -> Result<usize, RecordFault> {
    let claimed = snap::raw::decompress_len(block).map_err(|_| RecordFault::Compressed)?;
    if claimed as u64 > allowed {
        return Err(RecordFault::Expanded);
    }
    if claimed > block.len().saturating_mul(RATIO_MAX) {
        return Err(RecordFault::Compressed);
    }
    snap::raw::Decoder::new()
        .decompress(block, room(buffer, claimed))
        .map_err(|_| RecordFault::Compressed)
}
