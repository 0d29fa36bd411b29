//! lz4 frames, version 1.
//!
//! ```text
//!  04 22 4d 18 | flags | block size | [u64 content size] | header checksum
//!  blocks: u32 length, top bit set when stored; data; [u32 block checksum]
//!  u32 0 | [u32 content checksum]
//! ```
//! All integers are little endian; checksums are xxHash32. The content checksum is not verified, nor does Kafka verify it: the
//! batch has one of its own. Kafka takes only independent blocks, this reader linked ones too.

use std::ops::Range;

use twox_hash::XxHash32;

use super::super::error::RecordFault;
use super::{room, take_array, take_slice};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

const VERSION_MASK: u8 = 0xc0;
const VERSION: u8 = 0x40;
const INDEPENDENT: u8 = 0x20;
const BLOCK_CHECKSUM: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;
const RESERVED: u8 = 0x02;
const DICTIONARY: u8 = 0x01;

const STORED: u32 = 0x8000_0000;

/// How far back a linked block may refer.
const HISTORY_BYTES: usize = 64 * 1024;

/// A byte of a match length stands for 255 bytes: no block expands to more than this times its bytes.
const RATIO_MAX: usize = 255;

/// Between two frames, or inside of one.
#[derive(Default)]
pub(super) struct Position {
    frame: Option<Frame>,
}

struct Frame {
    flags: u8,
    block_bytes_max: usize,
    /// Bytes before the chunk that linked blocks may refer to.
    history_bytes: usize,
    /// Bytes of the chunk before, not yet made history.
    chunk_bytes: usize,
}

impl Position {
    pub(super) fn next_chunk(&mut self, input: &mut &[u8], buffer: &mut Vec<u8>) -> Result<Range<usize>, RecordFault> {
        loop {
            let frame = match &mut self.frame {
                Some(frame) => frame,
                None if input.is_empty() => return Ok(0..0),
                None => self.frame.insert(take_frame_header(input)?),
            };
            let length = u32::from_le_bytes(take_array(input)?);
            if length == 0 {
                if frame.flags & CONTENT_CHECKSUM != 0 {
                    take_array::<4>(input)?;
                }
                self.frame = None;
                continue;
            }
            let bytes = usize::try_from(length & !STORED).map_err(|_| RecordFault::Compressed)?;
            if bytes > frame.block_bytes_max {
                return Err(RecordFault::Compressed);
            }
            let block = take_slice(input, bytes)?;
            if frame.flags & BLOCK_CHECKSUM != 0 {
                let checksum = u32::from_le_bytes(take_array(input)?);
                if checksum != XxHash32::oneshot(0, block) {
                    return Err(RecordFault::Compressed);
                }
            }
            let chunk = frame.expand_block(block, length & STORED != 0, buffer)?;
            if !chunk.is_empty() {
                return Ok(chunk);
            }
        }
    }
}

impl Frame {
    /// Expands a block behind the history that it may refer to.
    fn expand_block(&mut self, block: &[u8], stored: bool, buffer: &mut Vec<u8>) -> Result<Range<usize>, RecordFault> {
        let start = if self.flags & INDEPENDENT != 0 {
            0
        } else {
            self.keep_history(buffer);
            HISTORY_BYTES
        };
        let bytes_max = if stored {
            block.len()
        } else {
            self.block_bytes_max.min(block.len().saturating_mul(RATIO_MAX))
        };
        let (history, output) = room(buffer, start + bytes_max).split_at_mut(start);
        let bytes = if stored {
            output.copy_from_slice(block);
            block.len()
        } else {
            let history = history.get(start - self.history_bytes..).unwrap_or_default();
            lz4_flex::block::decompress_into_with_dict(block, output, history).map_err(|_| RecordFault::Compressed)?
        };
        self.chunk_bytes = bytes;
        Ok(start..start + bytes)
    }

    /// Moves the end of the last chunk to just before the next one.
    fn keep_history(&mut self, buffer: &mut Vec<u8>) {
        let held = self.history_bytes + self.chunk_bytes;
        let end = HISTORY_BYTES + self.chunk_bytes;
        self.history_bytes = held.min(HISTORY_BYTES);
        self.chunk_bytes = 0;
        let bytes = room(buffer, end);
        bytes.copy_within(end - self.history_bytes.., HISTORY_BYTES - self.history_bytes);
    }
}

fn take_frame_header(input: &mut &[u8]) -> Result<Frame, RecordFault> {
    if take_array::<4>(input)? != MAGIC {
        return Err(RecordFault::Compressed);
    }
    let after_magic = *input;
    let [flags, block_size] = take_array::<2>(input)?;
    if flags & VERSION_MASK != VERSION || flags & (RESERVED | DICTIONARY) != 0 {
        return Err(RecordFault::Compressed);
    }
    if flags & CONTENT_SIZE != 0 {
        take_array::<8>(input)?;
    }
    let descriptor = after_magic.get(..after_magic.len() - input.len()).unwrap_or_default();
    let [_, expected, ..] = XxHash32::oneshot(0, descriptor).to_le_bytes();
    let [checksum] = take_array::<1>(input)?;
    if checksum != expected {
        return Err(RecordFault::Compressed);
    }
    let block_bytes_max = match block_size {
        0x40 => 64 * 1024,
        0x50 => 256 * 1024,
        0x60 => 1024 * 1024,
        0x70 => 4 * 1024 * 1024,
        _ => return Err(RecordFault::Compressed),
    };
    Ok(Frame {
        flags,
        block_bytes_max,
        history_bytes: 0,
        chunk_bytes: 0,
    })
}
