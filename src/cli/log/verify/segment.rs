//! The batches of a segment.

use std::io;

use super::bytes::{Crc, Numbers};
use super::{Fault, Place};
use crate::base::offset::FilePosition;
use crate::rt::fs::File;

/// Bytes before the records of a batch.
const HEADER_BYTES: usize = 61;
/// From here on a batch is under its checksum.
const CHECKED_FROM: usize = 21;
/// The length of a batch does not count what stands before the leader epoch.
const LENGTH_FROM: u64 = 12;
const PIECE_BYTES: usize = 1024 * 1024;

/// What other files say about a batch can be compared with this.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub(super) position: u64,
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) epoch: i32,
    pub(super) max_timestamp: i64,
}

/// The batches that are whole, in order, and whether they are all.
#[derive(Default, Debug)]
pub(super) struct Segment {
    pub(super) batches: Vec<Batch>,
    pub(super) bytes: u64,
    pub(super) is_walked: bool,
}

struct Header {
    base_offset: i64,
    bytes: u64,
    epoch: i32,
    magic: i8,
    crc: u32,
    attributes: i16,
    last_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut numbers = Numbers(bytes);
        let base_offset = numbers.i64()?;
        let length = numbers.i32()?;
        let epoch = numbers.i32()?;
        let magic = numbers.i8()?;
        let crc = numbers.u32()?;
        let attributes = numbers.i16()?;
        let last_delta = numbers.i32()?;
        let base_timestamp = numbers.i64()?;
        let max_timestamp = numbers.i64()?;
        // The producer: id, epoch, sequence.
        numbers.bytes(14)?;
        let bytes = LENGTH_FROM + u64::try_from(length).ok()?;
        Some(Self {
            base_offset,
            bytes,
            epoch,
            magic,
            crc,
            attributes,
            last_delta,
            base_timestamp,
            max_timestamp,
            count: numbers.i32()?,
        })
    }

    fn is_compressed(&self) -> bool {
        self.attributes & 7 != 0
    }

    fn is_stamped_by_broker(&self) -> bool {
        self.attributes & 8 != 0
    }
}

/// Goes over all batches of a file; `next_base` is where the segment behind it begins.
pub(super) fn read(
    place: &Place<'_>,
    file: &File,
    next_base: Option<i64>,
    faults: &mut Vec<Fault>,
) -> io::Result<Segment> {
    let length = file.len()?;
    let mut segment = Segment {
        bytes: length,
        ..Segment::default()
    };
    let (mut position, mut expected, mut epoch) = (0, place.base_offset, -1);
    while position < length {
        let mut fault = |what: String| faults.push(place.fault(position, expected, what));
        let header = read_at(file, position, HEADER_BYTES)?;
        let Some(header) = Header::read(&header).filter(|header| header.bytes >= HEADER_BYTES as u64) else {
            fault(what_is_there(file, position, length)?);
            return Ok(segment);
        };
        if position + header.bytes > length {
            let there = length - position;
            fault(format!(
                "the file ends inside a batch of {} bytes, {there} are there",
                header.bytes
            ));
            return Ok(segment);
        }
        if header.magic != 2 {
            fault(format!("magic {} is not that of a batch", header.magic));
            return Ok(segment);
        }
        let last_offset = header.base_offset.saturating_add(i64::from(header.last_delta));
        for what in wrong_with(&header, last_offset, expected, next_base, epoch) {
            fault(what);
        }
        for what in wrong_inside(file, position, &header)? {
            fault(what);
        }
        epoch = epoch.max(header.epoch);
        segment.batches.push(Batch {
            position,
            base_offset: header.base_offset,
            last_offset,
            epoch: header.epoch,
            max_timestamp: header.max_timestamp,
        });
        expected = expected.max(last_offset.saturating_add(1));
        position += header.bytes;
    }
    segment.is_walked = true;
    Ok(segment)
}

/// What the header says that cannot be.
fn wrong_with(header: &Header, last_offset: i64, expected: i64, next_base: Option<i64>, epoch: i32) -> Vec<String> {
    let mut wrong = Vec::new();
    if header.base_offset < expected {
        wrong.push(format!(
            "the batch begins at offset {}, which is before this",
            header.base_offset
        ));
    }
    if header.last_delta < 0 || next_base.is_some_and(|next| last_offset >= next) {
        wrong.push(format!(
            "the batch ends at offset {last_offset}, which is not in this segment"
        ));
    }
    if header.count < 0 || i64::from(header.count) > i64::from(header.last_delta) + 1 {
        wrong.push(format!(
            "{} records cannot have {} offsets",
            header.count,
            i64::from(header.last_delta) + 1
        ));
    }
    if header.attributes & 7 > 4 {
        wrong.push(format!("codec {} is not known", header.attributes & 7));
    }
    if header.epoch < epoch {
        wrong.push(format!("leader epoch {} comes after epoch {epoch}", header.epoch));
    }
    wrong
}

/// The checksum, and the records where they are not compressed.
fn wrong_inside(file: &File, position: u64, header: &Header) -> io::Result<Vec<String>> {
    let end = position + header.bytes;
    let mut crc = Crc::new();
    let mut at = position + CHECKED_FROM as u64;
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let piece = read_at(file, at, wanted)?;
        if piece.is_empty() {
            break;
        }
        crc.add(&piece);
        at += piece.len() as u64;
    }
    if crc.value() != header.crc {
        let (is, says) = (crc.value(), header.crc);
        return Ok(vec![format!(
            "the checksum of the batch is {is:08x}, its header says {says:08x}"
        )]);
    }
    if header.is_compressed() {
        return Ok(Vec::new());
    }
    let bytes = usize::try_from(header.bytes).unwrap_or(usize::MAX) - HEADER_BYTES;
    let records = read_at(file, position + HEADER_BYTES as u64, bytes)?;
    Ok(wrong_records(&records, header).into_iter().collect())
}

fn wrong_records(bytes: &[u8], header: &Header) -> Option<String> {
    let mut rest = Numbers(bytes);
    let (mut delta_before, mut largest) = (-1, i64::MIN);
    for number in 0..header.count {
        let read = rest
            .zigzag()
            .and_then(|length| rest.bytes(usize::try_from(length).ok()?))
            .and_then(|record| {
                let mut record = Numbers(record);
                record.i8()?;
                Some((record.zigzag()?, record.zigzag()?))
            });
        let Some((timestamp_delta, offset_delta)) = read else {
            return Some(format!("record {number} of the batch is not whole"));
        };
        if offset_delta <= delta_before || offset_delta > i64::from(header.last_delta) {
            return Some(format!(
                "record {number} of the batch has the offset {offset_delta} in it, after {delta_before}"
            ));
        }
        delta_before = offset_delta;
        largest = largest.max(header.base_timestamp.saturating_add(timestamp_delta));
    }
    if !rest.0.is_empty() {
        return Some(format!(
            "{} bytes stand behind the last record of the batch",
            rest.0.len()
        ));
    }
    // What is left of a batch by compaction keeps the timestamp of what was there.
    let is_larger = largest > header.max_timestamp && !header.is_stamped_by_broker();
    is_larger.then(|| {
        format!(
            "a record has the timestamp {largest}, the batch says that {} is the largest",
            header.max_timestamp
        )
    })
}

/// Tells zeroes from other bytes that are no batch.
fn what_is_there(file: &File, begin: u64, length: u64) -> io::Result<String> {
    let mut position = begin;
    while position < length {
        let piece = read_at(file, position, PIECE_BYTES)?;
        if piece.is_empty() || piece.iter().any(|byte| *byte != 0) {
            let rest = length - begin;
            return Ok(match rest < HEADER_BYTES as u64 {
                true => format!("the file ends inside the header of a batch, {rest} bytes are there"),
                false => format!("this is no batch; {rest} bytes from here on are not looked at"),
            });
        }
        position += piece.len() as u64;
    }
    Ok(format!("{} zeroes from here to the end of the file", length - begin))
}

fn read_at(file: &File, position: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; bytes];
    let mut filled = 0;
    while filled < bytes {
        let at = FilePosition(position + filled as u64);
        match file.read_at(at, &mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}
