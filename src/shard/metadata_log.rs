//! The log of metadata records, `__cluster_metadata-0`: Kafka's records in Kafka's file format.

use std::cell::RefCell;

use duramen_wire::messages::metadata::MetadataRecord;

use bytes::Bytes;

use crate::base::ids::LeaderEpoch;
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::read::FirstBatch;
use crate::log::{Origin, ReadError, ReadRequest};
use crate::metadata::{MetadataImage, RecordError, ReplayError, decode_record, encode_record};
use crate::record::{BatchBuilder, BatchError, BatchView, Batches, Decompressor, Record};
use crate::storage::{Log, NewBatch, StorageError};

/// Bytes of the log that are read at a time.
const READ_BYTES: u32 = 1024 * 1024;

/// Bytes that one batch of records may expand to; Kafka's metadata batches are never compressed, and small.
const EXPANDED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why metadata cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum MetadataLogError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("a batch at offset {offset} is damaged: {error}")]
    Batch { offset: Offset, error: BatchError },
    #[error("the record at offset {offset} cannot be read: {error}")]
    Record { offset: Offset, error: RecordError },
    #[error("the record at offset {offset} contradicts those before it: {error}")]
    Replay { offset: Offset, error: ReplayError },
    #[error("a change is too large for one batch: {0}")]
    TooLarge(String),
    #[error("the log cannot be read at offset {0}")]
    Gap(Offset),
}

/// The open log.
pub struct MetadataLog {
    log: Log,
    leader_epoch: LeaderEpoch,
    workspace: RefCell<Decompressor>,
}

impl MetadataLog {
    /// Takes over an open log: the controller of this start appends in a leader epoch of its own.
    ///
    /// # Errors
    /// The epoch cannot be noted.
    pub fn new(log: Log) -> Result<Self, MetadataLogError> {
        let last = log
            .with_state(|state| state.epochs().latest())
            .unwrap_or(LeaderEpoch(0));
        let leader_epoch = LeaderEpoch(last.0.saturating_add(1));
        log.begin_epoch(leader_epoch)?;
        Ok(Self {
            log,
            leader_epoch,
            workspace: RefCell::new(Decompressor::new(EXPANDED_BYTES_MAX)),
        })
    }

    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Applies all records of the log to `image`.
    ///
    /// # Errors
    /// The log is damaged, or says what this broker does not understand.
    pub fn load(&self, image: &mut MetadataImage) -> Result<(), MetadataLogError> {
        let upper = self.log.log_end_offset();
        let mut offset = self.log.log_start_offset();
        while offset < upper {
            let request = ReadRequest {
                offset,
                upper,
                bytes_max: READ_BYTES,
                first_batch: FirstBatch::Whole,
            };
            let range = self
                .log
                .read(&request)?
                .map_err(|ReadError::OutOfRange { offset, .. }| MetadataLogError::Gap(offset))?;
            let range = range.ok_or(MetadataLogError::Gap(offset))?;
            let bytes = range.read().map_err(|source| StorageError::Failed {
                action: "read",
                path: self.log.path(),
                source,
            })?;
            for batch in Batches::new(&bytes) {
                let batch = batch.map_err(|error| MetadataLogError::Batch { offset, error })?;
                self.apply(&batch, image)?;
                offset = batch.header().next_offset();
            }
            crate::check!(offset >= range.next_offset, "a read of the metadata log moves on");
        }
        Ok(())
    }

    fn apply(&self, batch: &BatchView<'_>, image: &mut MetadataImage) -> Result<(), MetadataLogError> {
        let base_offset = batch.header().base_offset;
        batch.check_crc().map_err(|error| MetadataLogError::Batch {
            offset: base_offset,
            error: error.into(),
        })?;
        if !batch.header().attributes.is_control() {
            let mut workspace = self.workspace.borrow_mut();
            let damaged = |error| MetadataLogError::Batch {
                offset: base_offset,
                error,
            };
            for record in batch.records(&mut workspace).map_err(damaged)? {
                let record = record.map_err(damaged)?;
                let offset = record.offset;
                let value = Bytes::copy_from_slice(record.value.unwrap_or_default());
                let decoded = decode_record(&value).map_err(|error| MetadataLogError::Record { offset, error })?;
                image
                    .replay(&decoded)
                    .map_err(|error| MetadataLogError::Replay { offset, error })?;
            }
        }
        image.end_offset = batch.header().next_offset();
        Ok(())
    }

    /// Appends records as one batch and waits until they are on the disk; the end of the log after them.
    ///
    /// # Errors
    /// The log is offline, or the records are too large for a batch; none of them counts then.
    pub async fn append(&self, records: &[MetadataRecord], now: TimestampMs) -> Result<Offset, MetadataLogError> {
        let mut builder = BatchBuilder::new();
        for record in records {
            let value = encode_record(record).map_err(|error| MetadataLogError::TooLarge(error.to_string()))?;
            let added = builder.append(&Record::new(now, None, Some(&value)));
            added.map_err(|error| MetadataLogError::TooLarge(error.to_string()))?;
        }
        let bytes = builder
            .build()
            .map_err(|error| MetadataLogError::TooLarge(error.to_string()))?;
        let end_offset = {
            let view = BatchView::parse_only(&bytes).map_err(|error| MetadataLogError::TooLarge(error.to_string()))?;
            let outcomes = self.log.append(
                &[NewBatch::as_it_is(&view)],
                Origin::Coordinator,
                self.leader_epoch,
                now,
            )?;
            for outcome in outcomes {
                outcome.map_err(|error| MetadataLogError::TooLarge(error.to_string()))?;
            }
            self.log.log_end_offset()
        };
        self.log.make_durable(end_offset).await?;
        Ok(end_offset)
    }
}
