//! The bytes of the journal's files. Numbers are little-endian.
//!
//! ```text
//! file     block 0: header; from block 1 on: groups, each padded to whole blocks
//! header   "DURAMENJ" version:4 crc:4 | directory id:16 core:4 slot:4 file bytes:8 epoch:8 controller epoch:4 zero:4
//!                                                                                              crc covers what follows it
//! group    "DJG1" crc:4 | length:4 entries:4 epoch:8 sequence:8 tail:8 zero:24 | entries         crc covers what follows it, to length
//! floor    crc:4 zero:4 epoch:8 sequence:8                                    a file of its own, in the directory of a partition
//! entry    topic id:16 partition:4 bytes:4 segment:8 position:8 base offset:8 next offset:8 zero:8 | bytes, padded to 8
//! ```

use thiserror::Error;

use crate::base::crc32c::crc32c;
use crate::base::ids::{LeaderEpoch, TopicId};
use crate::base::offset::{FilePosition, Offset};

/// The unit of the journal's files: what every device writes whole and aligned.
pub const BLOCK_BYTES: usize = 4096;
/// Bytes before the first entry of a group.
pub const GROUP_HEADER_BYTES: usize = 64;
/// Bytes before the batches of an entry.
pub const ENTRY_HEADER_BYTES: usize = 64;

const VERSION: u32 = 2;
const FILE_MAGIC: &[u8; 8] = b"DURAMENJ";
const GROUP_MAGIC: &[u8; 4] = b"DJG1";
const HEADER_BYTES: usize = 64;
const ENTRY_ALIGNMENT: usize = 8;

/// Whose file this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileHeader {
    /// Of the log directory (`directory.id` of its `meta.properties`).
    pub directory_id: [u8; 16],
    pub core: u32,
    /// Place of the file in the ring.
    pub slot: u32,
    pub file_bytes: u64,
    /// In the file of slot 0: groups of other epochs are void.
    pub epoch: u64,
    /// In the file of slot 0: the leader epoch of the metadata log in which the groups are written. Whoever opens a log directory begins
    /// one, so a higher one tells that another broker had the directory since.
    pub controller_epoch: LeaderEpoch,
}

/// Why a file is not taken for one of the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BadHeader {
    #[error("it is no journal file, or its header is damaged")]
    Damaged,
    #[error("it has format version {0}, this is version {VERSION}")]
    Version(u32),
}

impl FileHeader {
    /// The first block of a file.
    #[must_use]
    pub fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        put(&mut block, 0, FILE_MAGIC);
        put(&mut block, 8, &VERSION.to_le_bytes());
        put(&mut block, 16, &self.directory_id);
        put(&mut block, 32, &self.core.to_le_bytes());
        put(&mut block, 36, &self.slot.to_le_bytes());
        put(&mut block, 40, &self.file_bytes.to_le_bytes());
        put(&mut block, 48, &self.epoch.to_le_bytes());
        put(&mut block, 56, &self.controller_epoch.0.to_le_bytes());
        let crc = crc32c(&block[16..HEADER_BYTES]);
        put(&mut block, 12, &crc.to_le_bytes());
        block
    }

    /// # Errors
    /// [`BadHeader`].
    pub fn decode(block: &[u8]) -> Result<Self, BadHeader> {
        let header = block.get(..HEADER_BYTES).ok_or(BadHeader::Damaged)?;
        if &header[..8] != FILE_MAGIC {
            return Err(BadHeader::Damaged);
        }
        let version = u32_at(header, 8);
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        if crc32c(&header[16..]) != u32_at(header, 12) {
            return Err(BadHeader::Damaged);
        }
        Ok(Self {
            directory_id: array_at(header, 16),
            core: u32_at(header, 32),
            slot: u32_at(header, 36),
            file_bytes: u64_at(header, 40),
            epoch: u64_at(header, 48),
            controller_epoch: LeaderEpoch(i32::from_le_bytes(array_at(header, 56))),
        })
    }
}

/// What a group says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupHeader {
    /// Bytes of header and entries, before padding.
    pub length: u32,
    pub entries: u32,
    pub epoch: u64,
    /// Number of the group in its epoch.
    pub sequence: u64,
    /// The oldest group that was needed when this one was written.
    pub tail: u64,
}

impl GroupHeader {
    /// Bytes that it takes in the file.
    #[must_use]
    pub fn padded(&self) -> usize {
        padded_group(usize::try_from(self.length).unwrap_or(usize::MAX))
    }
}

/// Batches of one partition, and where they stand in its segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    pub place: Place,
    pub bytes: &'a [u8],
}

/// Where the batches of an entry stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub topic_id: TopicId,
    pub partition: i32,
    /// Base offset of the segment.
    pub segment: Offset,
    pub position: FilePosition,
    /// First and following offset.
    pub base_offset: Offset,
    pub next_offset: Offset,
}

/// Groups of an epoch that come before do not count for a partition: its log was cut off since, with all that they have in its segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Floor {
    pub epoch: u64,
    pub sequence: u64,
}

impl Floor {
    const BYTES: usize = 24;

    /// The file that tells it.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        put(&mut bytes, 8, &self.epoch.to_le_bytes());
        put(&mut bytes, 16, &self.sequence.to_le_bytes());
        let crc = crc32c(&bytes[8..]);
        put(&mut bytes, 0, &crc.to_le_bytes());
        bytes
    }

    /// # Errors
    /// [`BadHeader::Damaged`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        if bytes.len() != Self::BYTES || crc32c(&bytes[8..]) != u32_at(bytes, 0) {
            return Err(BadHeader::Damaged);
        }
        Ok(Self {
            epoch: u64_at(bytes, 8),
            sequence: u64_at(bytes, 16),
        })
    }

    /// Whether a group comes before.
    #[must_use]
    pub fn is_above(&self, header: &GroupHeader) -> bool {
        header.epoch == self.epoch && header.sequence < self.sequence
    }
}

/// Bytes of a group in the file, whole blocks.
#[must_use]
pub fn padded_group(length: usize) -> usize {
    length.checked_next_multiple_of(BLOCK_BYTES).unwrap_or(usize::MAX)
}

/// Bytes of an entry with so many bytes of batches.
#[must_use]
pub fn entry_bytes(bytes: usize) -> usize {
    ENTRY_HEADER_BYTES + bytes.next_multiple_of(ENTRY_ALIGNMENT)
}

/// Writes the header of an entry, whose batches are put behind it by the caller.
pub fn encode_entry_header(into: &mut [u8], place: &Place, bytes: u32) {
    into[..ENTRY_HEADER_BYTES].fill(0);
    put(into, 0, &place.topic_id.0);
    put(into, 16, &place.partition.to_le_bytes());
    put(into, 20, &bytes.to_le_bytes());
    put(into, 24, &place.segment.0.to_le_bytes());
    put(into, 32, &place.position.0.to_le_bytes());
    put(into, 40, &place.base_offset.0.to_le_bytes());
    put(into, 48, &place.next_offset.0.to_le_bytes());
}

/// Writes the header of a group whose entries are in place, and zeroes its padding; returns the bytes to write.
pub fn seal_group(buffer: &mut [u8], header: &GroupHeader) -> usize {
    let length = usize::try_from(header.length).unwrap_or(usize::MAX);
    let padded = header.padded();
    buffer[length..padded].fill(0);
    buffer[..GROUP_HEADER_BYTES].fill(0);
    put(buffer, 0, GROUP_MAGIC);
    put(buffer, 8, &header.length.to_le_bytes());
    put(buffer, 12, &header.entries.to_le_bytes());
    put(buffer, 16, &header.epoch.to_le_bytes());
    put(buffer, 24, &header.sequence.to_le_bytes());
    put(buffer, 32, &header.tail.to_le_bytes());
    let crc = crc32c(&buffer[8..length]);
    put(buffer, 4, &crc.to_le_bytes());
    padded
}

/// Reads the group at the front of `bytes`; `None` when no whole one stands there.
#[must_use]
pub fn decode_group(bytes: &[u8]) -> Option<(GroupHeader, Entries<'_>)> {
    let front = bytes.get(..GROUP_HEADER_BYTES)?;
    if &front[..4] != GROUP_MAGIC {
        return None;
    }
    let header = GroupHeader {
        length: u32_at(front, 8),
        entries: u32_at(front, 12),
        epoch: u64_at(front, 16),
        sequence: u64_at(front, 24),
        tail: u64_at(front, 32),
    };
    let group = bytes.get(..usize::try_from(header.length).ok()?)?;
    if group.len() < GROUP_HEADER_BYTES || crc32c(&group[8..]) != u32_at(front, 4) {
        return None;
    }
    let entries = Entries {
        rest: &group[GROUP_HEADER_BYTES..],
        left: header.entries,
    };
    Some((header, entries))
}

/// The entries of a group, in order. A group with a right checksum that does not hold what it says ends early.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        self.left = self.left.checked_sub(1)?;
        let header = self.rest.get(..ENTRY_HEADER_BYTES)?;
        let length = usize::try_from(u32_at(header, 20)).ok()?;
        let bytes = self.rest.get(ENTRY_HEADER_BYTES..ENTRY_HEADER_BYTES + length)?;
        let place = Place {
            topic_id: TopicId(array_at(header, 0)),
            partition: i32::from_le_bytes(array_at(header, 16)),
            segment: Offset(i64::from_le_bytes(array_at(header, 24))),
            position: FilePosition(u64_at(header, 32)),
            base_offset: Offset(i64::from_le_bytes(array_at(header, 40))),
            next_offset: Offset(i64::from_le_bytes(array_at(header, 48))),
        };
        self.rest = self.rest.get(entry_bytes(length)..).unwrap_or(&[]);
        Some(Entry { place, bytes })
    }
}

fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    into[at..at + bytes.len()].copy_from_slice(bytes);
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A group of entries with these bytes, as it stands in a file.
    pub(in crate::log::journal) fn group(header: GroupHeader, entries: &[(Place, &[u8])]) -> Vec<u8> {
        let mut buffer = vec![0xee; 1 << 16];
        let mut at = GROUP_HEADER_BYTES;
        for (place, bytes) in entries {
            encode_entry_header(&mut buffer[at..], place, u32::try_from(bytes.len()).unwrap());
            put(&mut buffer, at + ENTRY_HEADER_BYTES, bytes);
            at += entry_bytes(bytes.len());
        }
        let header = GroupHeader {
            length: u32::try_from(at).unwrap(),
            entries: u32::try_from(entries.len()).unwrap(),
            ..header
        };
        let padded = seal_group(&mut buffer, &header);
        buffer.truncate(padded);
        buffer
    }

    pub(in crate::log::journal) fn place(partition: i32, base_offset: i64) -> Place {
        Place {
            topic_id: TopicId([7; 16]),
            partition,
            segment: Offset(3),
            position: FilePosition(1 << 20),
            base_offset: Offset(base_offset),
            next_offset: Offset(base_offset + 4),
        }
    }

    pub(in crate::log::journal) fn numbered(epoch: u64, sequence: u64, tail: u64) -> GroupHeader {
        GroupHeader {
            length: 0,
            entries: 0,
            epoch,
            sequence,
            tail,
        }
    }

    #[test]
    fn a_group_reads_as_it_was_written() {
        let written = [
            (place(0, 10), &b"first"[..]),
            (place(1, 99), b""),
            (place(2, 5), &[9; 5000]),
        ];
        let bytes = group(numbered(4, 17, 12), &written);
        assert_eq!(bytes.len() % BLOCK_BYTES, 0);
        let (header, entries) = decode_group(&bytes).unwrap();
        assert_eq!((header.epoch, header.sequence, header.tail), (4, 17, 12));
        assert_eq!(header.padded(), bytes.len());
        let read: Vec<_> = entries.map(|entry| (entry.place, entry.bytes)).collect();
        assert_eq!(read, written);
    }

    #[test]
    fn a_group_with_any_bit_flipped_is_no_group() {
        let bytes = group(numbered(1, 1, 1), &[(place(0, 10), b"some batches")]);
        let (header, _) = decode_group(&bytes).unwrap();
        for bit in 0..usize::try_from(header.length).unwrap() * 8 {
            let mut hurt = bytes.clone();
            hurt[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_group(&hurt).is_none(), "bit {bit}");
        }
        for length in 0..usize::try_from(header.length).unwrap() {
            assert!(decode_group(&bytes[..length]).is_none(), "cut at {length}");
        }
    }

    #[test]
    fn a_floor_reads_as_it_was_written_and_no_other_way() {
        let floor = Floor { epoch: 7, sequence: 12 };
        let bytes = floor.encode();
        assert_eq!(Floor::decode(&bytes), Ok(floor));
        let table = [(7, 11, true), (7, 12, false), (7, 13, false), (8, 11, false)];
        for (epoch, sequence, expected) in table {
            assert_eq!(
                floor.is_above(&numbered(epoch, sequence, 0)),
                expected,
                "{epoch} {sequence}"
            );
        }
        for bit in (0..4 * 8).chain(8 * 8..Floor::BYTES * 8) {
            let mut hurt = bytes;
            hurt[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Floor::decode(&hurt), Err(BadHeader::Damaged), "bit {bit}");
        }
        assert_eq!(Floor::decode(&bytes[..20]), Err(BadHeader::Damaged));
    }

    #[test]
    fn a_header_reads_as_it_was_written_and_no_other_way() {
        let header = FileHeader {
            directory_id: [3; 16],
            core: 2,
            slot: 5,
            file_bytes: 1 << 24,
            epoch: 77,
            controller_epoch: LeaderEpoch(9),
        };
        let block = header.encode();
        assert_eq!(FileHeader::decode(&block), Ok(header));
        let mut newer = block;
        newer[8] = 3;
        assert_eq!(FileHeader::decode(&newer), Err(BadHeader::Version(3)));
        for bit in (0..8 * 8).chain(12 * 8..HEADER_BYTES * 8) {
            let mut hurt = block;
            hurt[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FileHeader::decode(&hurt), Err(BadHeader::Damaged), "bit {bit}");
        }
        assert_eq!(FileHeader::decode(&block[..20]), Err(BadHeader::Damaged));
    }
}
