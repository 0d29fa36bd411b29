//! The state of a log, and the only functions that change it.

use std::collections::VecDeque;

use crate::base::ids::LeaderEpoch;
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::check;

use super::append::{Appending, largest_after};
use super::epochs::{EpochStart, LeaderEpochs};
use super::index::TimeEntry;
use super::producers::Producers;
use super::read::{Hint, PositionHints};
use super::segment::{ActiveSegment, Segment};

/// Everything that is known of a log without looking into its files.
#[derive(Clone, Debug)]
pub struct LogState {
    /// By base offset; never empty, the last is the active one.
    segments: VecDeque<Segment>,
    active: ActiveSegment,
    log_start_offset: Offset,
    log_end_offset: Offset,
    epochs: LeaderEpochs,
    producers: Producers,
    hints: PositionHints,
}

impl LogState {
    /// An empty log whose first record will be at `offset`.
    #[must_use]
    pub fn new(offset: Offset, now: TimestampMs) -> Self {
        Self {
            segments: VecDeque::from([Segment::new(offset)]),
            active: ActiveSegment::new(now),
            log_start_offset: offset,
            log_end_offset: offset,
            epochs: LeaderEpochs::default(),
            producers: Producers::default(),
            hints: PositionHints::default(),
        }
    }

    /// First offset that clients may read.
    #[must_use]
    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// Offset of the next record.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.log_end_offset
    }

    #[must_use]
    pub fn epochs(&self) -> &LeaderEpochs {
        &self.epochs
    }

    #[must_use]
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    #[must_use]
    pub fn hints(&self) -> &PositionHints {
        &self.hints
    }

    /// The segments, the active one last.
    #[must_use]
    pub fn segments(&self) -> &VecDeque<Segment> {
        &self.segments
    }

    #[must_use]
    pub fn active_segment(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }

    #[must_use]
    pub fn active(&self) -> &ActiveSegment {
        &self.active
    }

    /// Bytes of all batches.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.bytes)).sum()
    }

    /// Bytes on the heap, closely estimated.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.segments.capacity() * size_of::<Segment>()
            + size_of_val(self.epochs.entries())
            + self.producers.heap_bytes()
    }

    /// The segment that holds `offset`, or the first one after it: index in [`segments`](Self::segments).
    #[must_use]
    pub fn segment_index_of(&self, offset: Offset) -> usize {
        self.segments
            .partition_point(|segment| segment.base_offset <= offset)
            .saturating_sub(1)
    }

    /// Makes a planned append true, in memory. The write follows at once; when it fails the log is offline, and its state never
    /// looked at again.
    pub fn apply(&mut self, appending: &Appending) {
        check!(
            appending.base_offset >= self.log_end_offset,
            "offset {} is taken, the log ends at {}",
            appending.base_offset,
            self.log_end_offset
        );
        if let Some(roll) = appending.roll {
            self.begin_segment(appending.base_offset, roll.now);
        }
        let batch = &appending.batch;
        let segment = self.active_segment_mut();
        check!(segment.base_offset == appending.segment);
        check!(segment.end_position() == appending.position);
        segment.largest_timestamp = Some(largest_after(segment, batch, appending.last_offset));
        segment.bytes += batch.bytes;
        let end_position = segment.end_position();

        self.active.first_batch_timestamp.get_or_insert(batch.max_timestamp);
        if appending.offset_entry.is_some() {
            self.active.offset_index_entries += 1;
            self.active.bytes_since_index_entry = 0;
        }
        if let Some(entry) = appending.time_entry {
            self.active.time_index_entries += 1;
            self.active.last_indexed_timestamp = entry.timestamp;
        }
        self.active.bytes_since_index_entry = self.active.bytes_since_index_entry.saturating_add(batch.bytes);
        if let Some(start) = appending.epoch_start {
            self.epochs.assign(start);
        }
        self.producers.note(batch, appending.base_offset);
        self.log_end_offset = appending.last_offset.next();
        self.hints.note_appended(Hint {
            offset: self.log_end_offset,
            segment: appending.segment,
            position: end_position,
        });
    }

    /// The entry that closes the active segment's time index: the segment's largest timestamp, unless it stands there already
    /// (`LogSegment.onBecomeInactiveSegment`).
    #[must_use]
    pub fn closing_time_entry(&self) -> Option<TimeEntry> {
        self.active_segment()
            .largest_timestamp
            .filter(|entry| entry.timestamp > self.active.last_indexed_timestamp)
    }

    /// Begins a segment without a batch.
    pub fn begin_segment(&mut self, base_offset: Offset, now: TimestampMs) {
        check!(base_offset >= self.log_end_offset);
        self.segments.push_back(Segment::new(base_offset));
        self.active = ActiveSegment::new(now);
        self.log_end_offset = base_offset;
    }

    /// Notes the epoch of a new leader that will append from the end of the log on; says whether it was news.
    pub fn begin_epoch(&mut self, epoch: LeaderEpoch) -> bool {
        self.epochs.assign(EpochStart {
            epoch,
            start_offset: self.log_end_offset,
        })
    }

    /// Remembers where the next read of a sequential reader will begin.
    pub fn note_read(&mut self, from: Offset, next: Hint) {
        self.hints.note_read(from, next);
    }

    /// Forgets idle producers; returns how many.
    pub fn expire_producers(&mut self, now: TimestampMs, expiration_ms: i64) -> usize {
        self.producers.expire(now, expiration_ms)
    }

    /// Notes the largest timestamp of a closed segment, once its time index was read.
    pub fn note_largest_timestamp(&mut self, segment: Offset, largest: TimeEntry) {
        if let Some(found) = self.segments.iter_mut().find(|known| known.base_offset == segment) {
            found.largest_timestamp = Some(largest);
        }
    }

    /// Clients may read from `offset` on; returns the segments that hold nothing they may read, now forgotten.
    pub fn advance_log_start_to(&mut self, offset: Offset) -> Vec<Segment> {
        check!(offset <= self.log_end_offset);
        self.log_start_offset = self.log_start_offset.max(offset);
        self.epochs.truncate_from_start(self.log_start_offset);
        let mut forgotten = Vec::new();
        while self
            .segments
            .get(1)
            .is_some_and(|second| second.base_offset <= self.log_start_offset)
        {
            forgotten.extend(self.segments.pop_front());
        }
        forgotten
    }

    /// Puts `cleaned` in the place of `run`, neighbouring closed segments of which it has the first one's base offset. When the log does
    /// not hold all of them any more, nothing changes; says whether it did.
    #[must_use]
    pub fn replace_segments(&mut self, run: &[Segment], cleaned: Segment) -> bool {
        let Some(first) = run.first() else { return false };
        let begin = self.segment_index_of(first.base_offset);
        let is_whole = run.iter().enumerate().all(|(index, replaced)| {
            let held = self.segments.get(begin + index);
            held.is_some_and(|held| held.base_offset == replaced.base_offset && held.bytes == replaced.bytes)
        });
        let is_closed = begin + run.len() < self.segments.len();
        if !is_whole || !is_closed || cleaned.base_offset != first.base_offset {
            return false;
        }
        self.segments.drain(begin + 1..begin + run.len());
        self.segments[begin] = cleaned;
        self.hints
            .forget(|segment| run.iter().any(|replaced| replaced.base_offset == segment));
        true
    }

    fn active_segment_mut(&mut self) -> &mut Segment {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }
}

/// What recovery found of a log, to make its state of.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// By base offset, the active one last; empty for a log without files.
    pub segments: Vec<Segment>,
    pub active: ActiveSegment,
    pub log_start_offset: Offset,
    pub log_end_offset: Offset,
    pub epochs: LeaderEpochs,
    pub producers: Producers,
}

impl LogState {
    /// The state of a log that was recovered; `None` without a segment.
    #[must_use]
    pub fn from_recovered(recovered: Recovered) -> Option<Self> {
        let first = recovered.segments.first()?.base_offset;
        let log_start_offset = recovered.log_start_offset.max(first).min(recovered.log_end_offset);
        let mut state = Self {
            segments: recovered.segments.into(),
            active: recovered.active,
            log_start_offset,
            log_end_offset: recovered.log_end_offset,
            epochs: recovered.epochs,
            producers: recovered.producers,
            hints: PositionHints::default(),
        };
        state.advance_log_start_to(log_start_offset);
        Some(state)
    }
}

#[cfg(test)]
mod tests;
