//! Which segment answers a question for an offset by time (`UnifiedLog.fetchOffsetByTimestamp`).

use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::state::LogState;

/// Where to look next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimestampPlan {
    /// No record is that young.
    NotFound,
    /// Read the largest timestamp of this closed segment from its time index, note it, and plan again.
    NeedsLargest { segment: Offset },
    /// The first record with such a timestamp is in this segment, at or after `from`.
    Search { segment: Offset, from: Offset },
}

/// Plans the search for the first record, readable by clients, with a timestamp of at least `timestamp`, in segments that begin at
/// `first` or later: a batch that compaction has emptied keeps its timestamp, and may have led into a segment without such a record.
#[must_use]
pub fn plan_timestamp_lookup(state: &LogState, timestamp: TimestampMs, first: Offset) -> TimestampPlan {
    let begin = state.segments().partition_point(|segment| segment.base_offset < first);
    for segment in state.segments().range(begin..) {
        match segment.largest_timestamp {
            None => {
                return TimestampPlan::NeedsLargest {
                    segment: segment.base_offset,
                };
            }
            Some(largest) if largest.timestamp >= timestamp && segment.bytes > 0 => {
                return TimestampPlan::Search {
                    segment: segment.base_offset,
                    from: segment.base_offset.max(state.log_start_offset()),
                };
            }
            Some(_) => {}
        }
    }
    TimestampPlan::NotFound
}

/// Plans the search for the record with the largest timestamp of all.
#[must_use]
pub fn plan_largest_timestamp(state: &LogState) -> TimestampPlan {
    let mut best: Option<(TimestampMs, Offset)> = None;
    for segment in state.segments() {
        let Some(largest) = segment.largest_timestamp else {
            return TimestampPlan::NeedsLargest {
                segment: segment.base_offset,
            };
        };
        let is_better = best.is_none_or(|(timestamp, _)| largest.timestamp > timestamp);
        if segment.bytes > 0 && is_better {
            best = Some((largest.timestamp, segment.base_offset));
        }
    }
    match best {
        Some((timestamp, segment)) if timestamp.0 >= 0 => TimestampPlan::Search {
            segment,
            from: segment.max(state.log_start_offset()),
        },
        Some(_) | None => TimestampPlan::NotFound,
    }
}
