//! Why bytes are not a batch that may be appended. Variants are by what the caller can do about it.

use thiserror::Error;

use crate::base::offset::Offset;

/// A batch was refused.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum BatchError {
    /// The bytes end before the batch does: from a producer a malformed request, at the end of a log a torn write, from a socket
    /// a reason to wait for more.
    #[error("the record batch ends after {bytes} of {bytes_expected} bytes")]
    Truncated { bytes: usize, bytes_expected: usize },
    /// These are not the bytes that were written; sending or reading them again may help.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// The batch is as it was written, and breaks a rule; sending it again does not help.
    #[error(transparent)]
    Invalid(#[from] Invalidity),
    /// Larger than the topic allows.
    #[error("the record batch has {bytes} bytes, which exceeds the maximum of {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },
    /// Compressed in a way that this version of the request does not allow.
    #[error("zstd compression is not allowed in this version of the produce request")]
    UnsupportedCompression,
    /// The codec of a new batch failed: it has no such level, or no memory.
    #[error("the records could not be compressed")]
    Compressor,
    /// Records break a rule of the topic (a key is missing).
    #[error("{} records break the rules of the topic", .0.count)]
    InvalidRecords(RecordErrors),
    /// Records have timestamps that the topic does not allow (and others may break another rule).
    #[error("one or more records have been rejected due to invalid timestamp")]
    InvalidTimestamps(RecordErrors),
}

/// What cannot be in any batch that was written well.
#[derive(Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Corruption {
    #[error("the length field of the record batch says {length}, less than a header")]
    Length { length: i32 },
    #[error("the record batch has the unknown format {magic}")]
    Magic { magic: i8 },
    #[error("the checksum of the record batch is {computed:#010x}, its header says {stored:#010x}")]
    Checksum { stored: u32, computed: u32 },
}

/// A rule that a batch breaks.
#[derive(Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalidity {
    #[error("there is no record batch")]
    Empty,
    #[error("{bytes} bytes follow the record batch; exactly one batch is allowed")]
    Trailing { bytes: usize },
    #[error("the record batch has the format {magic}; only format 2 is supported")]
    OldFormat { magic: i8 },
    #[error("the base offset of the record batch should be 0, but it is {base_offset}")]
    BaseOffset { base_offset: Offset },
    #[error("the record batch has {record_count} records and a last offset delta of {last_offset_delta}")]
    Count { record_count: i32, last_offset_delta: i32 },
    #[error("clients are not allowed to write control records")]
    Control,
    #[error("the record batch of producer id {producer_id} has the invalid sequence number {base_sequence}")]
    Sequence { producer_id: i64, base_sequence: i32 },
    #[error("the record batch has the unknown compression type {bits}")]
    UnknownCompression { bits: i16 },
    #[error("record {index} of the record batch: {fault}")]
    Record { index: i32, fault: RecordFault },
}

/// What is wrong with the bytes of a record.
#[derive(Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordFault {
    #[error("it ends early")]
    Short,
    #[error("its length is wrong")]
    Length,
    #[error("bytes follow the last record")]
    Trailing,
    #[error("a number is longer than its type")]
    Varint,
    #[error("the number of headers is wrong")]
    HeaderCount,
    #[error("a header has no key")]
    HeaderKey,
    #[error("its offset does not follow the record before")]
    OffsetDelta,
    #[error("the compressed data is malformed")]
    Compressed,
    #[error("the records expand to more bytes than allowed")]
    Expanded,
}

/// Errors of single records, for the answer to the producer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecordErrors {
    /// How many records are wrong.
    pub count: u32,
    /// The first of them, at most [`RECORD_ERRORS_MAX`].
    pub first: Vec<RecordError>,
}

/// Errors reported one by one; further ones are only counted.
pub const RECORD_ERRORS_MAX: usize = 100;

impl RecordErrors {
    pub(super) fn push(&mut self, error: RecordError) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < RECORD_ERRORS_MAX {
            self.first.push(error);
        }
    }
}

/// One record that breaks a rule of its topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordError {
    /// Number of the record in its batch, from 0.
    pub index: i32,
    pub reason: RecordRefusal,
}

/// Why a record is refused.
#[derive(Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordRefusal {
    #[error("Compacted topic cannot accept message without key")]
    KeyMissing,
    #[error("Timestamp {timestamp} is out of range. The timestamp should be within [{earliest}, {latest}]")]
    TimestampOutOfRange { timestamp: i64, earliest: i64, latest: i64 },
    #[error("Producer should not set timestamp type to LogAppendTime")]
    TimestampType,
}
