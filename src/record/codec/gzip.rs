//! gzip (RFC 1952): one or more members, each with its checksum.

use std::ops::Range;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::super::error::RecordFault;
use super::{room, take_array, take_slice};

/// Bytes of a chunk: some 70 us.
const CHUNK_BYTES: usize = 16 * 1024;

const HAS_HEADER_CRC: u8 = 0x02;
const HAS_EXTRA: u8 = 0x04;
const HAS_NAME: u8 = 0x08;
const HAS_COMMENT: u8 = 0x10;
const RESERVED: u8 = 0xe0;

/// The inflate state, made when it is first needed and then used for every batch.
#[derive(Default)]
pub(super) struct Inflater(Option<Decompress>);

impl Inflater {
    fn restarted(&mut self) -> &mut Decompress {
        let inflate = self.0.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        inflate
    }
}

/// Between two members, or inside of one.
#[derive(Default)]
pub(super) struct Position {
    member: Option<Crc>,
}

impl Position {
    pub(super) fn next_chunk(
        &mut self,
        input: &mut &[u8],
        inflater: &mut Inflater,
        buffer: &mut Vec<u8>,
    ) -> Result<Range<usize>, RecordFault> {
        loop {
            let crc = match &mut self.member {
                Some(crc) => crc,
                None if input.is_empty() => return Ok(0..0),
                None => {
                    skip_member_header(input)?;
                    inflater.restarted();
                    self.member.insert(Crc::new())
                }
            };
            let inflate = inflater.0.as_mut().ok_or(RecordFault::Compressed)?;
            let output = room(buffer, CHUNK_BYTES);
            let (read_before, written_before) = (inflate.total_in(), inflate.total_out());
            let status = inflate
                .decompress(input, output, FlushDecompress::None)
                .map_err(|_| RecordFault::Compressed)?;
            let read = usize::try_from(inflate.total_in() - read_before).map_err(|_| RecordFault::Compressed)?;
            let written = usize::try_from(inflate.total_out() - written_before).map_err(|_| RecordFault::Compressed)?;
            take_slice(input, read)?;
            crc.update(output.get(..written).unwrap_or_default());
            match status {
                Status::StreamEnd => {
                    check_member_end(input, crc)?;
                    self.member = None;
                }
                // The data ends within the member.
                Status::Ok | Status::BufError if written == 0 && read == 0 => return Err(RecordFault::Compressed),
                Status::Ok | Status::BufError => {}
            }
            if written > 0 {
                return Ok(0..written);
            }
        }
    }
}

fn skip_member_header(input: &mut &[u8]) -> Result<(), RecordFault> {
    let [magic_1, magic_2, method, flags, ..] = take_array::<10>(input)?;
    if (magic_1, magic_2, method) != (0x1f, 0x8b, 8) || flags & RESERVED != 0 {
        return Err(RecordFault::Compressed);
    }
    if flags & HAS_EXTRA != 0 {
        let bytes = u16::from_le_bytes(take_array(input)?);
        take_slice(input, usize::from(bytes))?;
    }
    for has_text in [HAS_NAME, HAS_COMMENT] {
        if flags & has_text != 0 {
            let end = input
                .iter()
                .position(|&byte| byte == 0)
                .ok_or(RecordFault::Compressed)?;
            take_slice(input, end + 1)?;
        }
    }
    if flags & HAS_HEADER_CRC != 0 {
        take_slice(input, 2)?;
    }
    Ok(())
}

fn check_member_end(input: &mut &[u8], crc: &Crc) -> Result<(), RecordFault> {
    let checksum = u32::from_le_bytes(take_array(input)?);
    let length = u32::from_le_bytes(take_array(input)?);
    if checksum == crc.sum() && length == crc.amount() {
        Ok(())
    } else {
        Err(RecordFault::Compressed)
    }
}
