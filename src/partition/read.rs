//! What may be read of a partition, and where it stands.

use crate::base::ids::LeaderEpoch;
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::read::FirstBatch;
use crate::log::{ReadError as LogReadError, ReadRequest};
use crate::partition::Partition;
use crate::partition::types::{EpochEnd, OffsetFound, OffsetTarget, Read, ReadError, ReadOutcome, ReadRange};
use crate::storage::StorageError;

impl Partition {
    /// Batches from an offset on, below the high watermark, as a range of a segment's file.
    ///
    /// # Errors
    /// The reader's epoch or offset does not fit this log, or the log cannot be read.
    pub fn read(&self, what: Read) -> Result<ReadOutcome, ReadError> {
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
        if outcome.diverging.is_some() {
            return Ok(outcome);
        }
        let request = ReadRequest {
            offset: what.offset,
            upper: high_watermark,
            bytes_max: what.bytes_max,
            first_batch: FirstBatch::Whole,
        };
        let range = self.log.read(&request).map_err(read_failed)?;
        let range = range.map_err(|error| match error {
            LogReadError::OutOfRange { .. } => ReadError::OffsetOutOfRange,
        })?;
        outcome.range = range.map(|range| ReadRange {
            file: range.file,
            position: range.position,
            bytes: range.length,
        });
        Ok(outcome)
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

    /// Looks for an offset. `None` when no record fits.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn find_offset(&self, believed: LeaderEpoch, target: OffsetTarget) -> Result<Option<OffsetFound>, ReadError> {
        self.check_epoch(believed)?;
        let high_watermark = self.high_watermark();
        let hit = match target {
            OffsetTarget::Latest => {
                return Ok(Some(self.found(
                    high_watermark,
                    TimestampMs::NONE,
                    Some(self.leader_epoch.get()),
                )));
            }
            OffsetTarget::Earliest => {
                let start = self.log.log_start_offset();
                let epoch = self.log.with_state(|state| state.epochs().epoch_of(start));
                return Ok(Some(self.found(start, TimestampMs::NONE, epoch)));
            }
            OffsetTarget::MaxTimestamp => self
                .log
                .largest_timestamp(&mut self.workspace.decompressor.borrow_mut()),
            OffsetTarget::AtOrAfter(timestamp) => self
                .log
                .offset_for_timestamp(timestamp, &mut self.workspace.decompressor.borrow_mut()),
        };
        let hit = hit.map_err(read_failed)?.filter(|hit| hit.offset < high_watermark);
        Ok(hit.map(|hit| {
            let epoch = self.log.with_state(|state| state.epochs().epoch_of(hit.offset));
            self.found(hit.offset, hit.timestamp, epoch)
        }))
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
        StorageError::Damaged { .. } | StorageError::Failed { .. } | StorageError::Full { .. } => {
            tracing::error!(%error, "records cannot be read");
            ReadError::Offline
        }
    }
}
