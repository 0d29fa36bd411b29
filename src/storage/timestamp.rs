//! Offsets by time: which record is the first of at least some timestamp, which has the largest.

use super::error::StorageError;
use super::log::Log;
use super::read::Scan;
use crate::base::ids::LeaderEpoch;
use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;
use crate::log::LogState;
use crate::log::index::TimeEntry;
use crate::log::scan::{Located, find};
use crate::log::timestamp::{TimestampPlan, plan_largest_timestamp, plan_timestamp_lookup};
use crate::record::{BatchView, Decompressor};
use crate::rt::fs::File;

/// The record that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimestampHit {
    pub offset: Offset,
    pub timestamp: TimestampMs,
    /// Epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
}

impl Log {
    /// The first record with a timestamp of at least `timestamp`; `None` when there is none.
    ///
    /// # Errors
    /// What the disk says; [`StorageError::Damaged`] when a batch cannot be read.
    pub fn offset_for_timestamp(
        &self,
        timestamp: TimestampMs,
        decompressor: &mut Decompressor,
    ) -> Result<Option<TimestampHit>, StorageError> {
        let mut first = Offset::ZERO;
        loop {
            let found = self.plan(|state| plan_timestamp_lookup(state, timestamp, first))?;
            let Some((segment, from)) = found else { return Ok(None) };
            let hit = self.search_segment(segment, from, timestamp, decompressor)?;
            if hit.is_some() {
                return Ok(hit);
            }
            first = segment.next();
        }
    }

    /// The first record with the largest timestamp of all; `None` in a log without timestamps.
    ///
    /// # Errors
    /// As [`Log::offset_for_timestamp`].
    pub fn largest_timestamp(&self, decompressor: &mut Decompressor) -> Result<Option<TimestampHit>, StorageError> {
        let found = self.plan(plan_largest_timestamp)?;
        let Some((segment, from)) = found else { return Ok(None) };
        let largest = self.with_state(|state| {
            let known = state.segments().iter().find(|known| known.base_offset == segment);
            known.and_then(|known| known.largest_timestamp)
        });
        match largest {
            Some(largest) => self.search_segment(segment, from, largest.timestamp, decompressor),
            None => Ok(None),
        }
    }

    /// Plans until nothing is missing that stands in a time index: the segment to search, and from where on.
    fn plan(&self, plan: impl Fn(&LogState) -> TimestampPlan) -> Result<Option<(Offset, Offset)>, StorageError> {
        loop {
            let next = self.with_state(&plan);
            match next {
                TimestampPlan::NotFound => return Ok(None),
                TimestampPlan::Search { segment, from } => return Ok(Some((segment, from))),
                TimestampPlan::NeedsLargest { segment } => self.read_largest_timestamp(segment)?,
            }
        }
    }

    fn search_segment(
        &self,
        base_offset: Offset,
        from: Offset,
        timestamp: TimestampMs,
        decompressor: &mut Decompressor,
    ) -> Result<Option<TimestampHit>, StorageError> {
        let end = self.with_state(|state| {
            let known = state.segments().iter().find(|known| known.base_offset == base_offset);
            known.map_or(FilePosition::ZERO, |segment| segment.end_position())
        });
        let mut files = self.inner.files.borrow_mut();
        let directory = files.directory.clone();
        let segment = files.segment(base_offset)?;
        let file = segment.log(&directory)?;
        let below = segment
            .time_index
            .last_where(|bytes| TimeEntry::decode(bytes, base_offset).timestamp < timestamp)?;
        let from = below.map_or(from, |bytes| {
            TimeEntry::decode(&bytes, base_offset).offset.next().max(from)
        });
        let mut position = segment.floor_of_offset(from)?;
        let mut scan = Scan {
            directory: &directory,
            segment,
            file: &file,
            end,
        };
        loop {
            let found = scan.search(position, |piece, at| {
                find(piece, at, |batch| {
                    batch.header.max_timestamp >= timestamp && batch.header.last_offset() >= from
                })
            })?;
            let Some(batch) = found else { return Ok(None) };
            let bytes = (batch.end_position() <= end)
                .then(|| read_batch(&file, &batch))
                .flatten();
            let bytes = bytes.ok_or_else(|| scan.damaged(batch.position))?;
            let hit = first_record(&bytes, from, timestamp, decompressor);
            match hit.ok_or_else(|| scan.damaged(batch.position))? {
                Some(hit) => return Ok(Some(hit)),
                None => position = batch.end_position(),
            }
        }
    }
}

fn read_batch(file: &File, batch: &Located) -> Option<Vec<u8>> {
    let mut bytes = vec![0; batch.header.batch_bytes()];
    let count = file.read_at(batch.position, &mut bytes).ok()?;
    (count == bytes.len()).then_some(bytes)
}

/// The first record of a batch that is old and far enough; the outer `None` for bytes that are no batch.
fn first_record(
    bytes: &[u8],
    from: Offset,
    timestamp: TimestampMs,
    decompressor: &mut Decompressor,
) -> Option<Option<TimestampHit>> {
    let batch = BatchView::parse(bytes).ok()?;
    let leader_epoch = batch.header().leader_epoch;
    for record in batch.records(decompressor).ok()? {
        let record = record.ok()?;
        if record.timestamp >= timestamp && record.offset >= from {
            return Some(Some(TimestampHit {
                offset: record.offset,
                timestamp: record.timestamp,
                leader_epoch,
            }));
        }
    }
    Some(None)
}
