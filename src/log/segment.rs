//! One segment of a log: a file of batches and what is known of it, and when the next one must begin.

use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;

use super::batch::Batch;
use super::index::{OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES, TimeEntry};

/// Settings of a topic that shape its files. Names are those of Kafka's keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// `segment.bytes`: a segment is at most this large.
    pub segment_bytes_max: u32,
    /// `segment.ms`: records of one segment are at most this far apart in time.
    pub segment_ms_max: i64,
    /// `segment.jitter.ms`, already drawn for this partition: taken off `segment_ms_max`.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: an index file is at most this large.
    pub index_bytes_max: u32,
    /// `index.interval.bytes`: bytes of batches between two entries of an index.
    pub index_interval_bytes: u32,
    /// `preallocate`: a segment has its blocks reserved as a whole when it begins, where there is room for that.
    pub preallocate: bool,
}

impl Default for Settings {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            segment_bytes_max: 1 << 30,
            segment_ms_max: 7 * 24 * 60 * 60 * 1000,
            segment_jitter_ms: 0,
            index_bytes_max: 10 * 1024 * 1024,
            index_interval_bytes: 4096,
            preallocate: false,
        }
    }
}

/// What is known of every segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// At most the first offset in it, and more than every offset before it; its files are named so.
    pub base_offset: Offset,
    /// Bytes of its batches. Positions are 32 bits wide in Kafka's index.
    pub bytes: u32,
    /// Its largest timestamp and the last offset of the first batch that has it; `None` for a closed segment whose time index
    /// was not read yet.
    pub largest_timestamp: Option<TimeEntry>,
}

impl Segment {
    #[must_use]
    pub fn new(base_offset: Offset) -> Self {
        Self {
            base_offset,
            bytes: 0,
            largest_timestamp: Some(TimeEntry::none(base_offset)),
        }
    }

    /// Position after its last batch.
    #[must_use]
    pub fn end_position(&self) -> FilePosition {
        FilePosition(u64::from(self.bytes))
    }
}

/// What is known of the active segment beside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActiveSegment {
    /// When it was made, for segments whose records have no timestamps.
    pub created: TimestampMs,
    /// Largest timestamp of its first batch: the age of the segment counts from here (`LogSegment.timeWaitedForRoll`).
    pub first_batch_timestamp: Option<TimestampMs>,
    /// Bytes of batches since the last entry of the offset index.
    pub bytes_since_index_entry: u32,
    pub offset_index_entries: u32,
    pub time_index_entries: u32,
    /// Timestamp of the last entry of the time index; entries only grow.
    pub last_indexed_timestamp: TimestampMs,
}

impl ActiveSegment {
    #[must_use]
    pub fn new(created: TimestampMs) -> Self {
        Self {
            created,
            first_batch_timestamp: None,
            bytes_since_index_entry: 0,
            offset_index_entries: 0,
            time_index_entries: 0,
            last_indexed_timestamp: TimestampMs::NONE,
        }
    }
}

/// Why a new segment begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RollReason {
    /// The batch would make it larger than `segment.bytes`.
    Bytes,
    /// It is older than `segment.ms`.
    Age,
    /// An index has no room for another entry.
    IndexFull,
    /// The batch's last offset is more than 2^31 - 1 away from the base offset.
    OffsetRange,
}

/// A new segment begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Roll {
    pub reason: RollReason,
    pub now: TimestampMs,
}

/// Whether `batch`, with `last_offset` assigned, needs a new segment (`LogSegment.shouldRoll`).
#[must_use]
pub fn roll_reason(
    segment: &Segment,
    active: &ActiveSegment,
    batch: &Batch,
    last_offset: Offset,
    settings: &Settings,
    now: TimestampMs,
) -> Option<RollReason> {
    if last_offset.distance_from(segment.base_offset) > i64::from(i32::MAX) {
        return Some(RollReason::OffsetRange);
    }
    if segment.bytes == 0 {
        return None;
    }
    if u64::from(segment.bytes) + u64::from(batch.bytes) > u64::from(settings.segment_bytes_max) {
        return Some(RollReason::Bytes);
    }
    let age_ms = match active.first_batch_timestamp {
        Some(first) if first.0 >= 0 => batch.max_timestamp.0.saturating_sub(first.0),
        Some(_) | None => now.0.saturating_sub(active.created.0),
    };
    if age_ms > settings.segment_ms_max.saturating_sub(settings.segment_jitter_ms) {
        return Some(RollReason::Age);
    }
    // The last slot of the time index stays free for the entry that closes the segment.
    let offset_index_full = active.offset_index_entries >= settings.index_bytes_max / OFFSET_ENTRY_BYTES;
    let time_index_full = active.time_index_entries + 1 >= settings.index_bytes_max / TIME_ENTRY_BYTES;
    (offset_index_full || time_index_full).then_some(RollReason::IndexFull)
}
