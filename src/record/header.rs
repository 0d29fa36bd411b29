//! The header of a record batch, and what the broker writes into it.
//!
//! All integers are big endian.
//!
//! ```text
//!  0       8   12  16 17  21 23  27      35      43      51 53  57  61
//!  +-------+---+---+--+---+--+---+-------+-------+-------+--+---+---+---------
//!  | base  |len|lea|ma|crc|at|las| base  |  max  |produc.|pr|bas|rec| records
//!  | offset|gth|der|g.|   |tr|t o| time- | time- |  id   |ep|e s|ord|   ...
//!  |       |   |ep.|2 |   |. |ff.| stamp | stamp |       |. |eq.|s  |
//!  +-------+---+---+--+---+--+---+-------+-------+-------+--+---+---+---------
//!                         |<--------------- covered by crc (CRC-32C) ---------->|
//!              |<------------------------- counted by length ------------------>|
//!
//!  attributes, bit   0-2 codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd
//!                    3   the timestamps of all records are the batch's max timestamp (LogAppendTime)
//!                    4   transactional
//!                    5   control batch
//!                    6   base timestamp is the delete horizon (KIP-534)
//! ```
//!
//! Base offset and leader epoch lie outside the checksum, so that a broker can assign them without reading the records.
//! Source: `DefaultRecordBatch.java`.

use crate::base::crc32c::crc32c_of_parts;
use crate::base::ids::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::error::{BatchError, Corruption, Invalidity};

/// Bytes of a batch before its records.
pub const BATCH_HEADER_BYTES: usize = 61;

/// Bytes that the length field does not count: base offset and the length itself.
const UNCOUNTED_BYTES: usize = 12;

/// Least value of the length field: a header without records.
const LENGTH_MIN: i32 = 49;

/// Where the part under the checksum begins.
pub(super) const CHECKED_FROM: usize = ATTRIBUTES;

const BASE_OFFSET: usize = 0;
const LENGTH: usize = 8;
const LEADER_EPOCH: usize = 12;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const BASE_TIMESTAMP: usize = 27;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
const RECORD_COUNT: usize = 57;

const _: () = assert!(RECORD_COUNT + 4 == BATCH_HEADER_BYTES);
const _: () = assert!(UNCOUNTED_BYTES + 49 == BATCH_HEADER_BYTES && LENGTH_MIN == 49);

/// The one format this broker reads and writes.
const MAGIC_V2: i8 = 2;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Whose clock the timestamps of a batch come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, one for the whole batch.
    LogAppendTime,
}

/// The 16 attribute bits of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    const COMPRESSION: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// How the records are compressed; `None` for a number that no codec has.
    #[must_use]
    pub fn compression(self) -> Option<Compression> {
        match self.0 & Self::COMPRESSION {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        let bits = match compression {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        };
        Self(self.0 & !Self::COMPRESSION | bits)
    }

    #[must_use]
    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !Self::LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | Self::LOG_APPEND_TIME),
        }
    }

    #[must_use]
    pub fn with_transactional(self) -> Self {
        Self(self.0 | Self::TRANSACTIONAL)
    }

    #[must_use]
    pub fn with_control(self) -> Self {
        Self(self.0 | Self::CONTROL)
    }

    #[must_use]
    pub fn with_delete_horizon(self) -> Self {
        Self(self.0 | Self::DELETE_HORIZON)
    }
}

/// Every field of a batch before its records; the magic byte is always 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// Bytes after this field; at least 49.
    pub length: i32,
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C of the bytes from the attributes to the end.
    pub crc: u32,
    pub attributes: Attributes,
    /// Last offset less base offset; kept by compaction, so it may exceed the number of records.
    pub last_offset_delta: i32,
    /// What the timestamp deltas of the records are added to, or the delete horizon.
    pub base_timestamp: TimestampMs,
    pub max_timestamp: TimestampMs,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: Sequence,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`, which need not hold the records.
    ///
    /// # Errors
    /// `Truncated` below 61 bytes; `Corrupt` when length or magic cannot be; `Invalid` for the formats before v2.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some((header, _)) = bytes.split_first_chunk::<BATCH_HEADER_BYTES>() else {
            return Err(BatchError::Truncated {
                bytes: bytes.len(),
                bytes_expected: BATCH_HEADER_BYTES,
            });
        };
        match i8::from_be_bytes(field::<MAGIC, 1>(header)) {
            MAGIC_V2 => {}
            magic @ (0 | 1) => return Err(Invalidity::OldFormat { magic }.into()),
            magic => return Err(Corruption::Magic { magic }.into()),
        }
        let length = i32::from_be_bytes(field::<LENGTH, 4>(header));
        if length < LENGTH_MIN {
            return Err(Corruption::Length { length }.into());
        }
        Ok(Self {
            base_offset: Offset(i64::from_be_bytes(field::<BASE_OFFSET, 8>(header))),
            length,
            leader_epoch: LeaderEpoch(i32::from_be_bytes(field::<LEADER_EPOCH, 4>(header))),
            crc: u32::from_be_bytes(field::<CRC, 4>(header)),
            attributes: Attributes(i16::from_be_bytes(field::<ATTRIBUTES, 2>(header))),
            last_offset_delta: i32::from_be_bytes(field::<LAST_OFFSET_DELTA, 4>(header)),
            base_timestamp: TimestampMs(i64::from_be_bytes(field::<BASE_TIMESTAMP, 8>(header))),
            max_timestamp: TimestampMs(i64::from_be_bytes(field::<MAX_TIMESTAMP, 8>(header))),
            producer_id: ProducerId(i64::from_be_bytes(field::<PRODUCER_ID, 8>(header))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field::<PRODUCER_EPOCH, 2>(header))),
            base_sequence: Sequence(i32::from_be_bytes(field::<BASE_SEQUENCE, 4>(header))),
            record_count: i32::from_be_bytes(field::<RECORD_COUNT, 4>(header)),
        })
    }

    /// The 61 bytes, with the checksum as the field has it.
    #[must_use]
    pub fn encode(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        put::<BASE_OFFSET, 8>(&mut bytes, self.base_offset.0.to_be_bytes());
        put::<LENGTH, 4>(&mut bytes, self.length.to_be_bytes());
        put::<LEADER_EPOCH, 4>(&mut bytes, self.leader_epoch.0.to_be_bytes());
        put::<MAGIC, 1>(&mut bytes, MAGIC_V2.to_be_bytes());
        put::<CRC, 4>(&mut bytes, self.crc.to_be_bytes());
        put::<ATTRIBUTES, 2>(&mut bytes, self.attributes.0.to_be_bytes());
        put::<LAST_OFFSET_DELTA, 4>(&mut bytes, self.last_offset_delta.to_be_bytes());
        put::<BASE_TIMESTAMP, 8>(&mut bytes, self.base_timestamp.0.to_be_bytes());
        put::<MAX_TIMESTAMP, 8>(&mut bytes, self.max_timestamp.0.to_be_bytes());
        put::<PRODUCER_ID, 8>(&mut bytes, self.producer_id.0.to_be_bytes());
        put::<PRODUCER_EPOCH, 2>(&mut bytes, self.producer_epoch.0.to_be_bytes());
        put::<BASE_SEQUENCE, 4>(&mut bytes, self.base_sequence.0.to_be_bytes());
        put::<RECORD_COUNT, 4>(&mut bytes, self.record_count.to_be_bytes());
        bytes
    }

    /// The 61 bytes for `records`, with length and checksum computed; `None` when a batch cannot be that long.
    #[must_use]
    pub fn seal(self, records: &[u8]) -> Option<[u8; BATCH_HEADER_BYTES]> {
        let mut header = self.with_record_bytes(records.len())?;
        header.crc = header.checksum(records);
        Some(header.encode())
    }

    /// The header of a batch with so many bytes of records; `None` when a batch cannot be that long.
    #[must_use]
    pub fn with_record_bytes(mut self, bytes: usize) -> Option<Self> {
        self.length = i32::try_from(bytes).ok()?.checked_add(LENGTH_MIN)?;
        Some(self)
    }

    /// The checksum that a batch of this header and `records` should have.
    #[must_use]
    pub fn checksum(&self, records: &[u8]) -> u32 {
        let bytes = self.encode();
        crc32c_of_parts([bytes.split_at(CHECKED_FROM).1, records])
    }

    /// Bytes of the whole batch.
    #[must_use]
    pub fn batch_bytes(&self) -> usize {
        usize::try_from(self.length).unwrap_or(0) + UNCOUNTED_BYTES
    }

    /// Offset of the last record, inclusive.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.wrapping_add(i64::from(self.last_offset_delta)))
    }

    /// Offset after the last record.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.wrapping_add(1))
    }

    /// Sequence of the last record, inclusive; none when the batch has no sequence.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence == Sequence::NONE {
            Sequence::NONE
        } else {
            self.base_sequence.plus(self.last_offset_delta)
        }
    }

    /// Whether a producer with an id (idempotent or transactional) wrote this batch.
    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id.0 > ProducerId::NONE.0
    }

    /// When tombstones and markers in this batch may be removed, if compaction has decided it.
    #[must_use]
    pub fn delete_horizon(&self) -> Option<TimestampMs> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }
}

/// What a broker writes into the header of a producer's batch; everything else is stored as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assignment {
    pub base_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    /// The topic's.
    pub timestamp_type: TimestampType,
    /// The greatest timestamp of the records, or the time of the append.
    pub max_timestamp: TimestampMs,
}

impl Assignment {
    /// The header to store before `records`. The checksum is computed anew only when a field under it changes.
    #[must_use]
    pub fn apply(&self, header: &BatchHeader, records: &[u8]) -> BatchHeader {
        let mut assigned = BatchHeader {
            base_offset: self.base_offset,
            leader_epoch: self.leader_epoch,
            ..*header
        };
        let kept =
            header.attributes.timestamp_type() == self.timestamp_type && header.max_timestamp == self.max_timestamp;
        if !kept {
            assigned.attributes = header.attributes.with_timestamp_type(self.timestamp_type);
            assigned.max_timestamp = self.max_timestamp;
            assigned.crc = assigned.checksum(records);
        }
        assigned
    }
}

/// The `N` bytes at `AT`; that they lie within the header is checked when this is compiled.
#[inline]
fn field<const AT: usize, const N: usize>(header: &[u8; BATCH_HEADER_BYTES]) -> [u8; N] {
    const { assert!(AT + N <= BATCH_HEADER_BYTES) }
    let mut value = [0; N];
    if let Some(bytes) = header.get(AT..AT + N) {
        value.copy_from_slice(bytes);
    }
    value
}

/// Sets the `N` bytes at `AT`; that they lie within the header is checked when this is compiled.
#[inline]
fn put<const AT: usize, const N: usize>(header: &mut [u8; BATCH_HEADER_BYTES], value: [u8; N]) {
    const { assert!(AT + N <= BATCH_HEADER_BYTES) }
    if let Some(bytes) = header.get_mut(AT..AT + N) {
        bytes.copy_from_slice(&value);
    }
}
