//! What may be read of a partition, and where it stands.

use crate::base::ids::LeaderEpoch;
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::read::FirstBatch;
use crate::log::{ReadError as LogReadError, ReadRequest};
use crate::partition::Partition;
use crate::partition::types::{EpochEnd, OffsetFound, OffsetTarget, Read, ReadError, ReadOutcome, ReadRange};
use crate::storage::{ColdRange, FileRange, Log, StorageError, TimestampHit};

type LogRead = Result<Result<Option<FileRange>, LogReadError>, StorageError>;

impl Partition {
    /// Batches from an offset on, below the high watermark, as a range of a segment's file.
    ///
    /// # Errors
    /// The reader's epoch or offset does not fit this log, or the log cannot be read.
    pub fn read(&self, what: Read) -> Result<ReadOutcome, ReadError> {
        self.read_with(what, |request| self.log.read(request))
            .unwrap_or(Err(ReadError::Offline))
    }

    /// As [`read`](Self::read), but it does not wait for the disk: the outer error is what has to be waited for.
    ///
    /// # Errors
    /// See there.
    pub fn read_warm(&self, what: Read) -> Result<Result<ReadOutcome, ReadError>, ColdRange> {
        self.read_with(what, |request| self.log.read_warm(request))
    }

    fn read_with(
        &self,
        what: Read,
        read: impl FnOnce(&ReadRequest) -> LogRead,
    ) -> Result<Result<ReadOutcome, ReadError>, ColdRange> {
        let (mut outcome, request) = match self.plan_read(what) {
            Ok((outcome, Some(request))) => (outcome, request),
            Ok((outcome, None)) => return Ok(Ok(outcome)),
            Err(error) => return Ok(Err(error)),
        };
        let range = match read(&request) {
            Ok(Ok(range)) => range,
            Ok(Err(LogReadError::OutOfRange { .. })) => return Ok(Err(ReadError::OffsetOutOfRange)),
            Err(StorageError::Cold(range)) => return Err(range),
            Err(error) => return Ok(Err(read_failed(error))),
        };
        outcome.range = range.map(|range| ReadRange {
            file: range.file,
            position: range.position,
            bytes: range.length,
        });
        Ok(Ok(outcome))
    }

    /// What a reader learns before anything is read, and what to read, unless its log has another history.
    fn plan_read(&self, what: Read) -> Result<(ReadOutcome, Option<ReadRequest>), ReadError> {
        self.trace("read");
        self.check_epoch(what.current_leader_epoch)?;
        let high_watermark = self.high_watermark();
        let mut outcome = ReadOutcome {
            high_watermark,
            last_stable_offset: high_watermark,
            log_start_offset: self.log.log_start_offset(),
            diverging: None,
            range: None,
        };
        outcome.diverging = self.diverging(&what)?;
        let request = ReadRequest {
            offset: what.offset,
            upper: high_watermark,
            bytes_max: what.bytes_max,
            first_batch: FirstBatch::Whole,
        };
        let request = outcome.diverging.is_none().then_some(request);
        Ok((outcome, request))
    }

    /// Whether the reader's log has another history than this one (KIP-595; Kafka: `Partition.readRecords`).
    fn diverging(&self, what: &Read) -> Result<Option<EpochEnd>, ReadError> {
        if what.last_fetched_epoch == LeaderEpoch::NONE {
            return Ok(None);
        }
        let log_end_offset = self.log.log_end_offset();
        let end = self
            .log
            .with_state(|state| state.epochs().end_offset_for(what.last_fetched_epoch, log_end_offset));
        // An epoch that is not in the log any more says nothing about the reader's history.
        let end = end.ok_or(ReadError::OffsetOutOfRange)?;
        let differs = end.epoch < what.last_fetched_epoch || end.end_offset < what.offset;
        Ok(differs.then_some(EpochEnd {
            leader_epoch: end.epoch,
            end_offset: end.end_offset,
        }))
    }

    /// Compares the epoch a client believes in with the partition's.
    fn check_epoch(&self, believed: LeaderEpoch) -> Result<(), ReadError> {
        let current = self.leader_epoch.get();
        if believed == LeaderEpoch::NONE || believed == current {
            Ok(())
        } else if believed < current {
            Err(ReadError::FencedLeaderEpoch)
        } else {
            Err(ReadError::UnknownLeaderEpoch)
        }
    }

    /// Looks for an offset.
    ///
    /// # Errors
    /// The reader's epoch does not fit.
    pub fn find_offset(&self, believed: LeaderEpoch, target: OffsetTarget) -> Result<OffsetLookup, ReadError> {
        self.check_epoch(believed)?;
        let timestamp = match target {
            OffsetTarget::Latest => {
                let epoch = Some(self.leader_epoch.get());
                let found = self.found(self.high_watermark(), TimestampMs::NONE, epoch);
                return Ok(OffsetLookup::Found(found));
            }
            OffsetTarget::Earliest => {
                let start = self.log.log_start_offset();
                let epoch = self.log.with_state(|state| state.epochs().epoch_of(start));
                return Ok(OffsetLookup::Found(self.found(start, TimestampMs::NONE, epoch)));
            }
            OffsetTarget::MaxTimestamp => None,
            OffsetTarget::AtOrAfter(timestamp) => Some(timestamp),
        };
        let log = self.log.clone();
        Ok(OffsetLookup::Search(TimestampSearch { log, timestamp }))
    }

    /// What a search has found, if it may be read. `None` when no record fits.
    pub fn found_at(&self, hit: Option<TimestampHit>) -> Option<OffsetFound> {
        let hit = hit.filter(|hit| hit.offset < self.high_watermark())?;
        let epoch = self.log.with_state(|state| state.epochs().epoch_of(hit.offset));
        Some(self.found(hit.offset, hit.timestamp, epoch))
    }

    fn found(&self, offset: Offset, timestamp: TimestampMs, epoch: Option<LeaderEpoch>) -> OffsetFound {
        OffsetFound {
            offset,
            timestamp,
            leader_epoch: epoch.unwrap_or(LeaderEpoch::NONE),
        }
    }

    /// Where the records of an epoch end, or of the last one before it (KIP-279). `None` for an epoch this log knows nothing of.
    ///
    /// # Errors
    /// The client's own epoch does not fit.
    pub fn epoch_end(&self, believed: LeaderEpoch, epoch: LeaderEpoch) -> Result<Option<EpochEnd>, ReadError> {
        self.check_epoch(believed)?;
        let log_end_offset = self.log.log_end_offset();
        let end = self
            .log
            .with_state(|state| state.epochs().end_offset_for(epoch, log_end_offset));
        Ok(end.map(|end| EpochEnd {
            leader_epoch: end.epoch,
            end_offset: end.end_offset,
        }))
    }
}

fn read_failed(error: StorageError) -> ReadError {
    match error {
        StorageError::Offline { .. } => ReadError::Offline,
        StorageError::Damaged { .. }
        | StorageError::Cold(_)
        | StorageError::Truncated
        | StorageError::Failed { .. }
        | StorageError::Full { .. } => {
            tracing::error!(%error, "records cannot be read");
            ReadError::Offline
        }
    }
}

/// How a lookup of an offset goes on.
pub enum OffsetLookup {
    Found(OffsetFound),
    /// Records have to be searched.
    Search(TimestampSearch),
}

/// A search by time, which owns what it needs: nothing of the partition is held meanwhile.
pub struct TimestampSearch {
    log: Log,
    /// At least; `None` looks for the largest.
    timestamp: Option<TimestampMs>,
}

impl TimestampSearch {
    /// Searches, in steps.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn run(self) -> Result<Option<TimestampHit>, ReadError> {
        let hit = match self.timestamp {
            Some(timestamp) => self.log.offset_for_timestamp(timestamp).await,
            None => self.log.largest_timestamp().await,
        };
        hit.map_err(read_failed)
    }
}
