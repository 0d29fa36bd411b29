//! Which segment answers a question for an offset by time (`UnifiedLog.fetchOffsetByTimestamp`).

use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::state::LogState;
use crate::record::Sought;

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

/// Plans the search for the first record, readable by clients, with at least the timestamp and the offset that are sought.
#[must_use]
pub fn plan_timestamp_lookup(state: &LogState, sought: Sought) -> TimestampPlan {
    let first = state.segment_index_of(sought.offset);
    for segment in state.segments().iter().skip(first) {
        match segment.largest_timestamp {
            None => {
                return TimestampPlan::NeedsLargest {
                    segment: segment.base_offset,
                };
            }
            Some(largest) if largest.timestamp >= sought.timestamp && segment.bytes > 0 => {
                return TimestampPlan::Search {
                    segment: segment.base_offset,
                    from: segment.base_offset.max(state.log_start_offset()).max(sought.offset),
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
