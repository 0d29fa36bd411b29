//! Where a batch goes and what it changes: the plan of one append.

use thiserror::Error;

use crate::base::ids::LeaderEpoch;
use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;

use super::batch::Batch;
use super::epochs::EpochStart;
use super::index::{OffsetEntry, TimeEntry};
use super::producers::{self, ProducerError, Verdict};
use super::segment::{Roll, Segment, Settings, roll_reason};
use super::state::LogState;

/// Who appends, hence what is checked (`AppendOrigin`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A producer: offsets are assigned, sequences and epochs checked.
    Client,
    /// A coordinator or the controller of this broker: offsets are assigned, epochs checked.
    Coordinator,
    /// A leader's log, copied: offsets and epochs stand in the batch.
    Replication,
}

/// What an append depends on beside the log and the batch.
#[derive(Clone, Copy, Debug)]
pub struct AppendContext {
    pub settings: Settings,
    pub origin: Origin,
    /// Epoch of the leader that appends; of a replica, the epoch in the batch counts instead.
    pub leader_epoch: LeaderEpoch,
    pub now: TimestampMs,
}

/// The batch is not appended, and the log is as before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AppendError {
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// No segment can hold it: the producer must send smaller batches.
    #[error("a batch of {bytes} bytes does not fit a segment of {segment_bytes_max}")]
    BatchTooLarge { bytes: u32, segment_bytes_max: u32 },
    /// A copied batch does not follow the end of the log.
    #[error("a batch at offset {base_offset} does not follow the log's end {log_end_offset}")]
    OffsetTaken {
        base_offset: Offset,
        log_end_offset: Offset,
    },
}

/// What to do with a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendPlan {
    /// It stands in the log since an earlier append: answer with these.
    Duplicate {
        base_offset: Offset,
        last_offset: Offset,
        timestamp: TimestampMs,
    },
    Append(Appending),
}

/// One batch on its way into the log. Planned by [`plan_append`], made true by [`LogState::apply`] and a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appending {
    /// Begins a segment at `base_offset` first.
    pub roll: Option<Roll>,
    /// Base offset of the segment it goes to.
    pub segment: Offset,
    /// Where in that segment.
    pub position: FilePosition,
    /// First offset, to be written into the header.
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// Leader epoch, to be written into the header.
    pub leader_epoch: LeaderEpoch,
    /// Entry for the offset index.
    pub offset_entry: Option<OffsetEntry>,
    /// Entry for the time index.
    pub time_entry: Option<TimeEntry>,
    /// A leader epoch of which this is the first batch.
    pub epoch_start: Option<EpochStart>,
    /// The batch as it came.
    pub batch: Batch,
}

/// Plans the append of one batch; changes nothing.
///
/// # Errors
/// As named by [`AppendError`].
pub fn plan_append(state: &LogState, batch: &Batch, context: &AppendContext) -> Result<AppendPlan, AppendError> {
    let settings = &context.settings;
    if batch.bytes > settings.segment_bytes_max {
        return Err(AppendError::BatchTooLarge {
            bytes: batch.bytes,
            segment_bytes_max: settings.segment_bytes_max,
        });
    }
    let (base_offset, leader_epoch) = place(state, batch, context)?;
    if let Verdict::Duplicate(earlier) = producers::check(state.producers(), batch, context.origin)? {
        return Ok(AppendPlan::Duplicate {
            base_offset: earlier.base_offset(),
            last_offset: earlier.last_offset,
            timestamp: earlier.timestamp,
        });
    }
    let last_offset = base_offset.plus(i64::from(batch.last_offset_delta));
    let reason = roll_reason(
        state.active_segment(),
        state.active(),
        batch,
        last_offset,
        settings,
        context.now,
    );
    let roll = reason.map(|reason| Roll {
        reason,
        now: context.now,
    });
    let segment = match roll {
        Some(_) => Segment::new(base_offset),
        None => *state.active_segment(),
    };
    let mut appending = Appending {
        roll,
        segment: segment.base_offset,
        position: segment.end_position(),
        base_offset,
        last_offset,
        leader_epoch,
        offset_entry: None,
        time_entry: None,
        epoch_start: None,
        batch: *batch,
    };
    // A segment's first batch needs no entry: an index search that finds nothing begins at position 0.
    if roll.is_none() && state.active().bytes_since_index_entry > settings.index_interval_bytes {
        add_index_entries(&mut appending, &segment, state);
    }
    let start = EpochStart {
        epoch: leader_epoch,
        start_offset: base_offset,
    };
    let is_newer = state.epochs().latest().is_none_or(|latest| leader_epoch > latest);
    appending.epoch_start = (is_newer && state.epochs().is_news(start)).then_some(start);
    Ok(AppendPlan::Append(appending))
}

/// The offset and the leader epoch that the batch gets.
fn place(state: &LogState, batch: &Batch, context: &AppendContext) -> Result<(Offset, LeaderEpoch), AppendError> {
    let log_end_offset = state.log_end_offset();
    match context.origin {
        Origin::Client | Origin::Coordinator => Ok((log_end_offset, context.leader_epoch)),
        Origin::Replication if batch.base_offset < log_end_offset => Err(AppendError::OffsetTaken {
            base_offset: batch.base_offset,
            log_end_offset,
        }),
        Origin::Replication => Ok((batch.base_offset, batch.leader_epoch)),
    }
}

/// The entries that point at this batch (`LogSegment.append`).
fn add_index_entries(appending: &mut Appending, segment: &Segment, state: &LogState) {
    appending.offset_entry = Some(OffsetEntry {
        last_offset: appending.last_offset,
        position: appending.position,
    });
    let largest = largest_after(segment, &appending.batch, appending.last_offset);
    appending.time_entry = (largest.timestamp > state.active().last_indexed_timestamp).then_some(largest);
}

/// The largest timestamp of a segment once this batch is in it.
pub(super) fn largest_after(segment: &Segment, batch: &Batch, last_offset: Offset) -> TimeEntry {
    let so_far = segment
        .largest_timestamp
        .unwrap_or(TimeEntry::none(segment.base_offset));
    if batch.max_timestamp > so_far.timestamp {
        TimeEntry {
            timestamp: batch.max_timestamp,
            offset: last_offset,
        }
    } else {
        so_far
    }
}

#[cfg(test)]
mod tests;
