//! Offsets by time: which record is the first of at least some timestamp, which has the largest.
//!
//! A lookup holds its core for no longer than a step: it goes over a bounded number of batches at once, expands their records in steps,
//! and waits through the ring for what is not in the page cache. Meanwhile segments may go or be compacted; so it goes on by offset,
//! from a new look at the log's state each time.

use std::cell::Cell;

use super::cold::WhenCold;
use super::error::StorageError;
use super::log::Log;
use super::read::Scan;
use crate::base::ids::LeaderEpoch;
use crate::base::limits::{BATCH_EXPANDED_BYTES_MAX, FETCH_COPY_BYTES_MAX, VALIDATION_STEP_BYTES};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::LogState;
use crate::log::index::TimeEntry;
use crate::log::scan::{Located, find};
use crate::log::timestamp::{TimestampPlan, plan_largest_timestamp, plan_timestamp_lookup};
use crate::record::{BatchView, Decompressor, RecordPlace, RecordSearch, SearchStep, Sought};
use crate::rt::fs::File;
use crate::rt::task;

/// Batches gone over at once, each by a read of its header at most.
const BATCHES_AT_ONCE_MAX: u32 = 256;

/// The record that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimestampHit {
    pub offset: Offset,
    pub timestamp: TimestampMs,
    /// Epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
}

/// Where a search is to go on.
enum Next {
    /// This batch may hold the record.
    Look(File, Located),
    /// Nothing before this offset.
    GoOn(Offset),
    /// Not in this segment.
    End,
}

impl Log {
    /// The first record with a timestamp of at least `timestamp`; `None` when there is none.
    ///
    /// # Errors
    /// What the disk says; [`StorageError::Damaged`] when a batch cannot be read.
    pub async fn offset_for_timestamp(&self, timestamp: TimestampMs) -> Result<Option<TimestampHit>, StorageError> {
        let mut sought = Sought {
            offset: Offset::ZERO,
            timestamp,
        };
        loop {
            let found = self.plan(|state| plan_timestamp_lookup(state, sought)).await?;
            let Some((segment, from)) = found else { return Ok(None) };
            sought.offset = from;
            let hit = self.search_segment(segment, sought).await?;
            if hit.is_some() {
                return Ok(hit);
            }
            // The segment went, or its records of that time are before the log's start, or compaction took them: an emptied batch keeps
            // its timestamp.
            let next = self.with_state(|state| {
                let mut after = state.segments().iter().filter(|known| known.base_offset > segment);
                after.next().map(|known| known.base_offset)
            });
            let Some(next) = next else { return Ok(None) };
            sought.offset = next;
        }
    }

    /// The first record with the largest timestamp of all; `None` in a log without timestamps.
    ///
    /// # Errors
    /// As [`Log::offset_for_timestamp`].
    pub async fn largest_timestamp(&self) -> Result<Option<TimestampHit>, StorageError> {
        let found = self.plan(plan_largest_timestamp).await?;
        let Some((segment, offset)) = found else {
            return Ok(None);
        };
        let largest = self.with_state(|state| {
            let known = state.segments().iter().find(|known| known.base_offset == segment);
            known.and_then(|known| known.largest_timestamp)
        });
        let Some(TimeEntry { timestamp, .. }) = largest else {
            return Ok(None);
        };
        self.search_segment(segment, Sought { offset, timestamp }).await
    }

    /// Plans until nothing is missing that stands in a time index: the segment to search, and from where on.
    async fn plan(&self, plan: impl Fn(&LogState) -> TimestampPlan) -> Result<Option<(Offset, Offset)>, StorageError> {
        self.inner.health.check()?;
        loop {
            let next = self.with_state(&plan);
            match next {
                TimestampPlan::NotFound => return Ok(None),
                TimestampPlan::Search { segment, from } => return Ok(Some((segment, from))),
                TimestampPlan::NeedsLargest { segment } => {
                    self.when_warm(|when_cold| self.find_largest_timestamp(segment, when_cold))
                        .await?;
                    task::yield_if_needed().await;
                }
            }
        }
    }

    /// Searches one segment.
    async fn search_segment(&self, segment: Offset, mut sought: Sought) -> Result<Option<TimestampHit>, StorageError> {
        loop {
            let next = self.when_warm(|when_cold| self.next_batch(segment, sought, when_cold));
            match next.await? {
                Next::End => return Ok(None),
                Next::GoOn(offset) => sought.offset = offset,
                Next::Look(file, batch) => {
                    if let Some(place) = self.search_batch(&file, &batch, sought).await? {
                        return Ok(Some(TimestampHit {
                            offset: place.offset,
                            timestamp: place.timestamp,
                            leader_epoch: batch.header.leader_epoch,
                        }));
                    }
                    sought.offset = batch.header.next_offset();
                }
            }
            task::yield_if_needed().await;
        }
    }

    /// The next batch of a segment that may hold the record, if it is near.
    fn next_batch(&self, segment: Offset, sought: Sought, when_cold: WhenCold) -> Result<Next, StorageError> {
        let known = self.with_state(|state| {
            let known = state.segments().iter().find(|known| known.base_offset == segment);
            known.map(|known| known.end_position())
        });
        let Some(end) = known else { return Ok(Next::End) };
        let mut files = self.inner.files.borrow_mut();
        let directory = files.directory.clone();
        let files = files.segment(segment)?;
        let file = files.log(&directory)?;
        let below = files.time_index.last_where(
            |bytes| TimeEntry::decode(bytes, segment).timestamp < sought.timestamp,
            when_cold,
        )?;
        let from = below.map_or(sought.offset, |bytes| {
            TimeEntry::decode(&bytes, segment).offset.next().max(sought.offset)
        });
        let position = files.floor_of_offset(from, when_cold)?;
        let mut scan = Scan {
            directory: &directory,
            segment: files,
            file: &file,
            end,
            when_cold,
        };
        let may_hold = |batch: &Located| {
            batch.header.max_timestamp >= sought.timestamp && batch.header.last_offset() >= sought.offset
        };
        let passed = Cell::new(0);
        let found = scan.search(position, |piece, at| {
            find(piece, at, |batch| {
                // Those before `from` are an index interval at most.
                let is_far = batch.header.base_offset > from && passed.replace(passed.get() + 1) >= BATCHES_AT_ONCE_MAX;
                is_far || (may_hold(batch) && batch.header.last_offset() >= from)
            })
        })?;
        Ok(match found {
            None => Next::End,
            Some(batch) if batch.end_position() > end => return Err(scan.damaged(batch.position)),
            Some(batch) if may_hold(&batch) => Next::Look(file, batch),
            Some(batch) => Next::GoOn(batch.header.base_offset),
        })
    }

    async fn search_batch(
        &self,
        file: &File,
        batch: &Located,
        sought: Sought,
    ) -> Result<Option<RecordPlace>, StorageError> {
        let damaged = || StorageError::Damaged {
            path: self.path(),
            position: batch.position,
            offset: batch.header.base_offset,
            what: "there is no batch where one should begin",
        };
        let bytes = read_batch(file, batch).await.ok_or_else(damaged)?;
        let view = BatchView::parse(&bytes).map_err(|_| damaged())?;
        let mut decompressor = Decompressor::new(BATCH_EXPANDED_BYTES_MAX);
        let mut search = RecordSearch::begin(&view, sought, &mut decompressor).map_err(|_| damaged())?;
        loop {
            match search.advance(VALIDATION_STEP_BYTES as u64).map_err(|_| damaged())? {
                SearchStep::Found(place) => return Ok(Some(place)),
                SearchStep::NotFound => return Ok(None),
                SearchStep::More => task::yield_now().await,
            }
        }
    }
}

/// The whole batch; `None` when it is not there.
async fn read_batch(file: &File, batch: &Located) -> Option<Vec<u8>> {
    let length = batch.header.batch_bytes();
    let is_small = u32::try_from(length).is_ok_and(|length| length <= FETCH_COPY_BYTES_MAX);
    if is_small {
        let mut bytes = vec![0; length];
        if file
            .read_warm_at(batch.position, &mut bytes)
            .is_ok_and(|count| count == length)
        {
            return Some(bytes);
        }
    }
    let bytes = file.read_cold(batch.position, length).await.ok()?;
    (bytes.len() == length).then_some(bytes)
}
