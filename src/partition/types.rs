//! What is asked of a partition, and what it answers. Owned values: they cross cores.

use bytes::Bytes;

use crate::base::ids::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;
use crate::partition::turns::Source;
use crate::record::BatchError;
use crate::rt::fs::File;

/// One batch of a producer, as it came.
#[derive(Clone, Debug)]
pub struct Append {
    pub batch: Bytes,
    pub source: Source,
    /// Produce requests before version 7 must not carry zstd (KIP-110).
    pub zstd_allowed: bool,
}

/// A batch that stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    pub base_offset: Offset,
    /// Offset after the batch: what has to be committed and durable before an acks=all answer.
    pub end_offset: Offset,
    /// The broker's time when the topic's records carry it, else [`TimestampMs::NONE`].
    pub log_append_time: TimestampMs,
    pub log_start_offset: Offset,
}

/// Why a batch does not stand in the log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AppendError {
    #[error("this broker does not hold the partition")]
    NotHosted,
    #[error(transparent)]
    Invalid(#[from] BatchError),
    /// The log does not take it: sequences, epochs, sizes.
    #[error(transparent)]
    Refused(#[from] crate::log::AppendError),
    #[error("transactions are not served")]
    Transactional,
    #[error("the disk has less than log.dirs.free.bytes.min left; it takes records again when there is more room")]
    Full,
    #[error("the log directory is offline")]
    Offline,
}

/// A place to read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Read {
    pub offset: Offset,
    /// The epoch that the reader believes in; [`LeaderEpoch::NONE`] asks for no check.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record that the reader has (KIP-595 truncation detection); [`LeaderEpoch::NONE`] asks for no check.
    pub last_fetched_epoch: LeaderEpoch,
    /// At most this much, but the first batch is always whole.
    pub bytes_max: u32,
}

/// What a reader learns.
#[derive(Clone, Debug)]
pub struct ReadOutcome {
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start_offset: Offset,
    /// The reader's log has another history from here on; no records are returned with it.
    pub diverging: Option<EpochEnd>,
    pub range: Option<ReadRange>,
}

/// Record batches as they stand in a segment file.
#[derive(Clone, Debug)]
pub struct ReadRange {
    pub file: File,
    pub position: FilePosition,
    /// More than 0: whole batches.
    pub bytes: u32,
}

impl ReadRange {
    /// Length of the first batch, from its header; a reader gets it whole or nothing. 0 when it cannot be read.
    #[must_use]
    pub fn first_batch_bytes(&self) -> u32 {
        const LENGTH_AT: u64 = 8;
        const BYTES_BEFORE_LENGTH_COUNTS: u32 = 12;
        let mut length = [0; 4];
        match self.file.read_at(self.position.plus(LENGTH_AT), &mut length) {
            Ok(4) => u32::from_be_bytes(length)
                .saturating_add(BYTES_BEFORE_LENGTH_COUNTS)
                .min(self.bytes),
            Ok(_) | Err(_) => 0,
        }
    }
}

/// The end of the records of one leader epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochEnd {
    pub leader_epoch: LeaderEpoch,
    pub end_offset: Offset,
}

/// A producer as its partition knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActiveProducer {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
    pub last_sequence: Sequence,
    pub last_timestamp: TimestampMs,
    /// Of the transaction coordinator that wrote the last marker; -1 is none.
    pub coordinator_epoch: i32,
    pub transaction_first_offset: Option<Offset>,
}

/// Why a place cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReadError {
    #[error("this broker does not hold the partition")]
    NotHosted,
    #[error("the offset is not in the log")]
    OffsetOutOfRange,
    #[error("the reader's leader epoch is older than the partition's")]
    FencedLeaderEpoch,
    #[error("the reader's leader epoch is newer than the partition's")]
    UnknownLeaderEpoch,
    #[error("the log directory is offline")]
    Offline,
}

/// Below which offset records are deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeleteUpTo {
    Offset(Offset),
    /// Everything that is committed.
    HighWatermark,
}

/// Why records are not deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeleteRecordsError {
    #[error("this broker does not hold the partition")]
    NotHosted,
    #[error("the offset is negative or above the high watermark")]
    OutOfRange,
    #[error("the topic is compacted, and not deleted from")]
    CompactedOnly,
    #[error("the disk has no room to note it")]
    Full,
    #[error("the log directory is offline")]
    Offline,
}

/// Which offset is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetTarget {
    /// The end of what may be read.
    Latest,
    /// The start of the log.
    Earliest,
    /// The record with the largest timestamp.
    MaxTimestamp,
    /// The first record with at least this timestamp.
    AtOrAfter(TimestampMs),
}

/// A record found by [`OffsetTarget`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OffsetFound {
    pub offset: Offset,
    /// [`TimestampMs::NONE`] for [`OffsetTarget::Latest`] and [`OffsetTarget::Earliest`].
    pub timestamp: TimestampMs,
    pub leader_epoch: LeaderEpoch,
}
