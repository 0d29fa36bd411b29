//! How dirty a log is, how far it may be compacted, and whether that is worth it (`LogCleanerManager.cleanableOffsets`, `LogToClean`).

use std::ops::Range;

use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::state::LogState;

/// What of a topic's settings compaction goes by. Names are those of Kafka's keys.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rules {
    /// `min.cleanable.dirty.ratio`: the dirty share of a log from which on it is compacted.
    pub dirty_ratio_min: f64,
    /// `min.compaction.lag.ms`: younger records are left alone.
    pub lag_min_ms: i64,
    /// `max.compaction.lag.ms`: a log with older dirty records is compacted at once.
    pub lag_max_ms: i64,
    /// `delete.retention.ms`: how long tombstones stay after the round that first met them.
    pub delete_retention_ms: i64,
}

/// What is known of a log beside its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Where the last round ended, by the checkpoint.
    pub compacted_to: Option<Offset>,
    /// Offset from which on nothing is decided yet: the last stable offset.
    pub stable_end: Offset,
    /// Timestamp of the first batch of the earliest dirty segment, where `max.compaction.lag.ms` asks for it.
    pub earliest_dirty: Option<TimestampMs>,
}

/// What is to be done with a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Assessment {
    /// Read the largest timestamp of this closed segment from its time index, note it, and ask again.
    NeedsLargest {
        segment: Offset,
    },
    Known(Dirt),
}

/// The dirty part of a log that may be compacted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dirt {
    /// Where it begins.
    pub first_dirty_offset: Offset,
    /// Where it ends: the base offset of a segment.
    pub end_offset: Offset,
    /// Bytes before it.
    pub clean_bytes: u64,
    /// Its bytes.
    pub dirty_bytes: u64,
    /// Records in it are older than `max.compaction.lag.ms`.
    pub is_overdue: bool,
}

impl Dirt {
    /// The dirty share of what may be compacted.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        let all = self.clean_bytes + self.dirty_bytes;
        if all == 0 {
            return 0.0;
        }
        self.dirty_bytes as f64 / all as f64
    }

    #[must_use]
    pub fn is_worth_compacting(&self, rules: &Rules) -> bool {
        self.dirty_bytes > 0 && (self.is_overdue || self.ratio() > rules.dirty_ratio_min)
    }
}

/// Where the dirty part of a log begins. A checkpoint that the log does not reach, or has left behind, says nothing.
#[must_use]
pub fn first_dirty_offset(state: &LogState, compacted_to: Option<Offset>) -> Offset {
    let log_start_offset = state.log_start_offset();
    compacted_to
        .filter(|offset| (log_start_offset..=state.log_end_offset()).contains(offset))
        .unwrap_or(log_start_offset)
}

/// The closed segments that hold dirty records: indexes in [`LogState::segments`].
#[must_use]
pub fn dirty_segments(state: &LogState, compacted_to: Option<Offset>) -> Range<usize> {
    let first = state.segment_index_of(first_dirty_offset(state, compacted_to));
    first..state.segments().len() - 1
}

/// Looks at a log.
#[must_use]
pub fn assess(state: &LogState, bounds: &Bounds, rules: &Rules, now: TimestampMs) -> Assessment {
    let segments = state.segments();
    let first_dirty_offset = first_dirty_offset(state, bounds.compacted_to);
    let mut uncleanable = bounds.stable_end.min(state.active_segment().base_offset);
    if rules.lag_min_ms > 0 {
        let youngest = now.0.saturating_sub(rules.lag_min_ms);
        for index in dirty_segments(state, bounds.compacted_to) {
            let segment = &segments[index];
            match segment.largest_timestamp {
                None => {
                    return Assessment::NeedsLargest {
                        segment: segment.base_offset,
                    };
                }
                Some(largest) if largest.timestamp.0 > youngest => {
                    uncleanable = uncleanable.min(segment.base_offset);
                    break;
                }
                Some(_) => {}
            }
        }
    }
    // A segment is compacted as a whole or not at all.
    let end = state.segment_index_of(uncleanable.max(first_dirty_offset));
    let end_offset = segments[end].base_offset;
    let begin = state.segment_index_of(first_dirty_offset.min(end_offset));
    let bytes = |range: Range<usize>| segments.range(range).map(|segment| u64::from(segment.bytes)).sum();
    let clean = segments.partition_point(|segment| segment.base_offset < first_dirty_offset);
    let is_old = |earliest: TimestampMs| earliest.0 > 0 && earliest.0 < now.0.saturating_sub(rules.lag_max_ms.max(0));
    Assessment::Known(Dirt {
        first_dirty_offset,
        end_offset,
        clean_bytes: bytes(0..clean),
        dirty_bytes: bytes(begin..end.max(begin)),
        is_overdue: bounds.earliest_dirty.is_some_and(is_old),
    })
}

/// The place of the dirtiest of several logs, of those that are worth it.
#[must_use]
pub fn dirtiest<'a>(logs: impl IntoIterator<Item = (&'a Dirt, &'a Rules)>) -> Option<usize> {
    logs.into_iter()
        .enumerate()
        .filter(|(_, (dirt, rules))| dirt.is_worth_compacting(rules))
        .max_by(|(_, (one, _)), (_, (other, _))| one.ratio().total_cmp(&other.ratio()))
        .map(|(place, _)| place)
}

#[cfg(test)]
mod tests;
