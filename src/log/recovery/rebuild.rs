//! What a walk over the batches of one segment learns: its size, its indexes, its timestamps.
//!
//! Follows the rules of a live append, so that a walked segment equals the one that was written.

use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;
use crate::log::batch::Batch;
use crate::log::index::{OffsetEntry, TimeEntry};
use crate::log::segment::{ActiveSegment, Segment};

/// A segment on its way from batches to facts.
#[derive(Clone, Debug)]
pub struct Rebuild {
    segment: Segment,
    active: ActiveSegment,
    next_offset: Offset,
    index_interval_bytes: u32,
    /// The offset index, as bytes of its file.
    offset_index: Vec<u8>,
    /// The time index, as bytes of its file.
    time_index: Vec<u8>,
}

impl Rebuild {
    /// Begins at the front of a segment.
    #[must_use]
    pub fn new(base_offset: Offset, created: TimestampMs, index_interval_bytes: u32) -> Self {
        Self {
            segment: Segment::new(base_offset),
            active: ActiveSegment::new(created),
            next_offset: base_offset,
            index_interval_bytes,
            offset_index: Vec::new(),
            time_index: Vec::new(),
        }
    }

    /// Begins behind what the indexes already tell of a segment: at `last`, the last entry of its offset index.
    #[must_use]
    pub fn resume(mut self, last: Option<OffsetEntry>, largest: Option<TimeEntry>, counts: IndexCounts) -> Self {
        if let Some(entry) = last {
            self.segment.bytes = u32::try_from(entry.position.0).unwrap_or(u32::MAX);
            // The walk begins with the batch of this entry, and must not give it a second one.
            self.next_offset = self.segment.base_offset;
        }
        if let Some(largest) = largest {
            self.segment.largest_timestamp = Some(largest);
            self.active.last_indexed_timestamp = largest.timestamp;
        }
        self.active.offset_index_entries = counts.offset;
        self.active.time_index_entries = counts.time;
        self
    }

    /// Where the next batch begins.
    #[must_use]
    pub fn position(&self) -> FilePosition {
        self.segment.end_position()
    }

    /// Offset after the last batch.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.next_offset
    }

    #[must_use]
    pub fn segment(&self) -> Segment {
        self.segment
    }

    #[must_use]
    pub fn active(&self) -> ActiveSegment {
        self.active
    }

    /// Whether a batch may follow: offsets grow, and stay within reach of the base offset.
    #[must_use]
    pub fn accepts(&self, batch: &Batch) -> bool {
        batch.base_offset >= self.next_offset
            && batch.base_offset.0 < i64::MAX - i64::from(i32::MAX)
            && batch.last_offset().distance_from(self.segment.base_offset) <= i64::from(i32::MAX)
            && self.position().0 + u64::from(batch.bytes) <= u64::from(u32::MAX)
    }

    /// Takes the next batch, which [`accepts`](Self::accepts) allowed.
    pub fn take(&mut self, batch: &Batch) {
        let last_offset = batch.last_offset();
        let position = self.position();
        let so_far = self.largest();
        if batch.max_timestamp > so_far.timestamp {
            self.segment.largest_timestamp = Some(TimeEntry {
                timestamp: batch.max_timestamp,
                offset: last_offset,
            });
        }
        self.active.first_batch_timestamp.get_or_insert(batch.max_timestamp);
        if self.active.bytes_since_index_entry > self.index_interval_bytes {
            self.push_offset_entry(OffsetEntry { last_offset, position });
            self.push_time_entry(self.largest());
            self.active.bytes_since_index_entry = 0;
        }
        self.active.bytes_since_index_entry = self.active.bytes_since_index_entry.saturating_add(batch.bytes);
        self.segment.bytes += batch.bytes;
        self.next_offset = last_offset.next();
    }

    /// The first batch of the segment, when the walk began behind it.
    pub fn note_first_batch(&mut self, batch: &Batch) {
        self.active.first_batch_timestamp = Some(batch.max_timestamp);
    }

    /// The bytes of the two index files: offset index, time index.
    #[must_use]
    pub fn index_files(&self) -> (&[u8], &[u8]) {
        (&self.offset_index, &self.time_index)
    }

    /// Ends the segment: its time index gets the closing entry.
    pub fn close(&mut self) {
        self.push_time_entry(self.largest());
    }

    fn largest(&self) -> TimeEntry {
        let none = TimeEntry::none(self.segment.base_offset);
        self.segment.largest_timestamp.unwrap_or(none)
    }

    fn push_offset_entry(&mut self, entry: OffsetEntry) {
        if let Some(bytes) = entry.encode(self.segment.base_offset) {
            self.offset_index.extend_from_slice(&bytes);
            self.active.offset_index_entries += 1;
        }
    }

    fn push_time_entry(&mut self, entry: TimeEntry) {
        let bytes = entry.encode(self.segment.base_offset);
        if let Some(bytes) = bytes.filter(|_| entry.timestamp > self.active.last_indexed_timestamp) {
            self.time_index.extend_from_slice(&bytes);
            self.active.time_index_entries += 1;
            self.active.last_indexed_timestamp = entry.timestamp;
        }
    }
}

/// Entries that the index files of a segment have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IndexCounts {
    pub offset: u32,
    pub time: u32,
}
