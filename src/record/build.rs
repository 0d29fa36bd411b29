//! New batches.

use bytes::Bytes;

use crate::base::ids::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::codec::{CompressionLevel, compress};
use super::error::BatchError;
use super::header::{Attributes, BATCH_HEADER_BYTES, BatchHeader, Compression, TimestampType};
use super::iterate::RecordHeader;
use super::seal::{Sealing, sealed};
use super::varint::{put_varint, put_varlong, varint_bytes, varlong_bytes};

/// One record to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    pub timestamp: TimestampMs,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// In order; keys may repeat (KIP-82).
    pub headers: &'a [RecordHeader<'a>],
}

impl<'a> Record<'a> {
    /// A record without headers.
    #[must_use]
    pub fn new(timestamp: TimestampMs, key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Self {
        Self {
            timestamp,
            key,
            value,
            headers: &[],
        }
    }
}

/// Who wrote a batch, for idempotence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducerStamp {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: Sequence,
}

/// Collects records and writes them as one batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    pub(super) header: BatchHeader,
    level: CompressionLevel,
    /// Room for the header, then the records, not compressed.
    pub(super) bytes: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// A batch as a producer without id sends it: base offset 0, no leader epoch, not compressed.
    #[must_use]
    pub fn new() -> Self {
        Self {
            header: BatchHeader {
                base_offset: Offset::ZERO,
                length: 0,
                leader_epoch: LeaderEpoch::NONE,
                crc: 0,
                attributes: Attributes::default(),
                last_offset_delta: -1,
                base_timestamp: TimestampMs::NONE,
                max_timestamp: TimestampMs::NONE,
                producer_id: ProducerId::NONE,
                producer_epoch: ProducerEpoch::NONE,
                base_sequence: Sequence::NONE,
                record_count: 0,
            },
            level: CompressionLevel::Default,
            bytes: vec![0; BATCH_HEADER_BYTES],
        }
    }

    #[must_use]
    pub fn base_offset(mut self, base_offset: Offset) -> Self {
        self.header.base_offset = base_offset;
        self
    }

    #[must_use]
    pub fn leader_epoch(mut self, leader_epoch: LeaderEpoch) -> Self {
        self.header.leader_epoch = leader_epoch;
        self
    }

    #[must_use]
    pub fn producer(mut self, stamp: ProducerStamp) -> Self {
        self.header.producer_id = stamp.producer_id;
        self.header.producer_epoch = stamp.producer_epoch;
        self.header.base_sequence = stamp.base_sequence;
        self
    }

    #[must_use]
    pub fn compression(mut self, compression: Compression, level: CompressionLevel) -> Self {
        self.header.attributes = self.header.attributes.with_compression(compression);
        self.level = level;
        self
    }

    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.header.attributes = self.header.attributes.with_transactional();
        self
    }

    #[must_use]
    pub fn control(mut self) -> Self {
        self.header.attributes = self.header.attributes.with_control();
        self
    }

    /// Gives all records the time of the append.
    #[must_use]
    pub fn log_append_time(mut self, now: TimestampMs) -> Self {
        self.header.attributes = self.header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        self.header.max_timestamp = now;
        self
    }

    /// The greatest timestamp that the batch had before compaction emptied it.
    #[must_use]
    pub fn max_timestamp(mut self, max_timestamp: TimestampMs) -> Self {
        self.header.max_timestamp = max_timestamp;
        self
    }

    /// Bytes of the batch so far, before compression.
    #[must_use]
    pub fn batch_bytes(&self) -> usize {
        self.bytes.len()
    }

    #[must_use]
    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// Adds a record at the next offset.
    ///
    /// # Errors
    /// `TooLarge` when the record or the batch would be longer than the format can say; the batch is then as it was.
    pub fn append(&mut self, record: &Record<'_>) -> Result<(), BatchError> {
        self.append_at(self.header.last_offset_delta.saturating_add(1), record)
    }

    /// Adds a record at an offset after that of the record before, leaving a gap: what compaction writes.
    ///
    /// # Errors
    /// As [`BatchBuilder::append`].
    pub fn append_at(&mut self, offset_delta: i32, record: &Record<'_>) -> Result<(), BatchError> {
        let timestamp_delta = self.timestamp_delta(record.timestamp);
        let length = record_length(record, timestamp_delta, offset_delta);
        let length = self.begin_record(record.timestamp, offset_delta, length)?;
        put_varint(&mut self.bytes, length);
        put_record(&mut self.bytes, record, timestamp_delta, offset_delta);
        Ok(())
    }

    /// What is written of a record's timestamp: how far it is from the base timestamp, which the first record sets unless there is a
    /// delete horizon in its place.
    pub(super) fn timestamp_delta(&self, timestamp: TimestampMs) -> i64 {
        let is_first = self.header.record_count == 0 && !self.header.attributes.has_delete_horizon();
        if is_first {
            0
        } else {
            timestamp.0.wrapping_sub(self.header.base_timestamp.0)
        }
    }

    /// Counts a record of so many bytes into the header; gives its length as it is written.
    pub(super) fn begin_record(
        &mut self,
        timestamp: TimestampMs,
        offset_delta: i32,
        length: usize,
    ) -> Result<i32, BatchError> {
        let bytes_max = i32::MAX as usize;
        let too_large = |bytes| BatchError::TooLarge { bytes, bytes_max };
        let bytes = self.bytes.len().saturating_add(length).saturating_add(5);
        let Ok(length) = i32::try_from(length) else {
            return Err(too_large(bytes));
        };
        if bytes > bytes_max || self.header.record_count == i32::MAX {
            return Err(too_large(bytes));
        }
        if self.header.record_count == 0 && !self.header.attributes.has_delete_horizon() {
            self.header.base_timestamp = timestamp;
        }
        if self.header.attributes.timestamp_type() == TimestampType::CreateTime {
            self.header.max_timestamp = self.header.max_timestamp.max(timestamp);
        }
        self.header.last_offset_delta = offset_delta;
        self.header.record_count += 1;
        Ok(length)
    }

    /// Keeps offsets up to `last_offset_delta` for this batch although no record has them; with no record at all, this is the
    /// header-only batch by which compaction remembers a producer.
    #[must_use]
    pub fn last_offset_delta(mut self, last_offset_delta: i32) -> Self {
        self.header.last_offset_delta = last_offset_delta;
        self
    }

    /// The batch but for its checksum: its records are not compressed.
    ///
    /// # Errors
    /// `TooLarge` when the batch would be longer than the format can say.
    pub fn sealing(self) -> Result<Sealing, BatchError> {
        let mut header = self.header;
        header.attributes = header.attributes.with_compression(Compression::None);
        Sealing::new(header, self.bytes)
    }

    /// The finished batch.
    ///
    /// # Errors
    /// `TooLarge` when the batch would be longer than the format can say, `Compressor` when the codec fails.
    pub fn build(self) -> Result<Bytes, BatchError> {
        let Self { header, level, bytes } = self;
        let bytes = match header.attributes.compression() {
            None | Some(Compression::None) => bytes,
            Some(compression) if header.record_count > 0 => {
                let mut output = Vec::with_capacity(bytes.len() / 2 + BATCH_HEADER_BYTES);
                output.resize(BATCH_HEADER_BYTES, 0);
                let records = bytes.get(BATCH_HEADER_BYTES..).unwrap_or_default();
                compress(compression, level, records, &mut output).map_err(|_| BatchError::Compressor)?;
                output
            }
            Some(_) => bytes,
        };
        sealed(header, bytes)
    }
}

/// Bytes of a record after its length.
fn record_length(record: &Record<'_>, timestamp_delta: i64, offset_delta: i32) -> usize {
    let headers: usize = record
        .headers
        .iter()
        .map(|header| nullable_bytes(Some(header.key)).saturating_add(nullable_bytes(header.value)))
        .fold(0, usize::saturating_add);
    [
        1,
        varlong_bytes(timestamp_delta),
        varint_bytes(offset_delta),
        nullable_bytes(record.key),
        nullable_bytes(record.value),
        varint_bytes(length_field(record.headers.len())),
        headers,
    ]
    .into_iter()
    .fold(0, usize::saturating_add)
}

fn put_record(output: &mut Vec<u8>, record: &Record<'_>, timestamp_delta: i64, offset_delta: i32) {
    output.push(0);
    put_varlong(output, timestamp_delta);
    put_varint(output, offset_delta);
    put_nullable(output, record.key);
    put_nullable(output, record.value);
    put_varint(output, length_field(record.headers.len()));
    for header in record.headers {
        put_nullable(output, Some(header.key));
        put_nullable(output, header.value);
    }
}

pub(super) fn nullable_bytes(value: Option<&[u8]>) -> usize {
    match value {
        Some(value) => varint_bytes(length_field(value.len())).saturating_add(value.len()),
        None => varint_bytes(-1),
    }
}

pub(super) fn put_nullable(output: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => {
            put_varint(output, length_field(value.len()));
            output.extend_from_slice(value);
        }
        None => put_varint(output, -1),
    }
}

/// A length as the format says it. Longer values make the whole record too large, which is refused before it is written.
fn length_field(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
