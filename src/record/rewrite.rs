//! A batch with some of its records, as compaction leaves it (`MemoryRecords.buildRetainedRecordsInto`,
//! `DefaultRecordBatch.writeEmptyHeader`).
//!
//! Offsets, leader epoch, producer, sequences, timestamps and kind stay; so does the last offset when no record has it any more. The records
//! are compressed again by [`super::recompress`].

use crate::base::time::TimestampMs;

use super::build::{BatchBuilder, nullable_bytes, put_nullable};
use super::error::BatchError;
use super::header::{Attributes, BATCH_HEADER_BYTES, BatchHeader, Compression, TimestampType};
use super::iterate::RecordView;
use super::varint::{put_varint, put_varlong, varint_bytes, varlong_bytes};

impl BatchBuilder {
    /// A batch like the one with this header, for some of its records, not compressed; with a delete horizon if one is given, or if the
    /// batch has one.
    #[must_use]
    pub fn rewriting(header: &BatchHeader, delete_horizon: Option<TimestampMs>) -> Self {
        let mut builder = Self::new();
        let base_timestamp = delete_horizon.or(header.delete_horizon());
        let plain = header.attributes.with_compression(Compression::None);
        let attributes = match base_timestamp {
            Some(_) => plain.with_delete_horizon(),
            None => plain,
        };
        builder.header = BatchHeader {
            attributes,
            base_timestamp: base_timestamp.unwrap_or(TimestampMs::NONE),
            max_timestamp: match attributes.timestamp_type() {
                TimestampType::CreateTime => TimestampMs::NONE,
                TimestampType::LogAppendTime => header.max_timestamp,
            },
            last_offset_delta: -1,
            record_count: 0,
            ..*header
        };
        builder
    }

    /// Collects the records in `buffer`; what it holds is thrown away.
    #[must_use]
    pub fn collecting_in(mut self, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(BATCH_HEADER_BYTES, 0);
        self.bytes = buffer;
        self
    }

    /// Adds a record of the batch that is rewritten, at its own offset.
    ///
    /// # Errors
    /// As [`BatchBuilder::append`].
    pub fn append_view(&mut self, record: &RecordView<'_>) -> Result<(), BatchError> {
        let timestamp_delta = self.timestamp_delta(record.timestamp);
        let length = [
            1,
            varlong_bytes(timestamp_delta),
            varint_bytes(record.offset_delta),
            nullable_bytes(record.key),
            nullable_bytes(record.value),
            varint_bytes(record.header_count),
            record.headers.len(),
        ]
        .into_iter()
        .fold(0, usize::saturating_add);
        let length = self.begin_record(record.timestamp, record.offset_delta, length)?;
        let output = &mut self.bytes;
        put_varint(output, length);
        output.push(0);
        put_varlong(output, timestamp_delta);
        put_varint(output, record.offset_delta);
        put_nullable(output, record.key);
        put_nullable(output, record.value);
        put_varint(output, record.header_count);
        output.extend_from_slice(record.headers);
        Ok(())
    }
}

/// The batch with this header, left without records: its offsets, its producer and its sequences.
#[must_use]
pub fn emptied(header: &BatchHeader) -> [u8; BATCH_HEADER_BYTES] {
    let mut attributes = Attributes::default()
        .with_compression(Compression::None)
        .with_timestamp_type(header.attributes.timestamp_type());
    if header.attributes.is_transactional() {
        attributes = attributes.with_transactional();
    }
    if header.attributes.is_control() {
        attributes = attributes.with_control();
    }
    let empty = BatchHeader {
        attributes,
        base_timestamp: TimestampMs::NONE,
        record_count: 0,
        ..*header
    };
    // A header without records is never too long.
    empty.seal(&[]).unwrap_or_else(|| empty.encode())
}

#[cfg(test)]
mod tests;
