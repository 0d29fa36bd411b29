//! Which segments at the front of a log have had their time: the plan of what retention removes, and where the log then begins.
//!
//! The rules are Kafka's (`UnifiedLog.deleteOldSegments`): first what lies wholly below the log start offset, then what makes the log
//! larger than `retention.bytes`, then what is older than `retention.ms` by the largest timestamp of a segment. Segments go from the
//! front, one after another, and the first that stays ends the rule. None goes that reaches beyond the high watermark.

use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::segment::Segment;
use super::state::LogState;

/// What of a topic's settings says how long records stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// `cleanup.policy` has `delete`; without it only what lies below the log start offset goes.
    pub deletes: bool,
    /// `retention.ms`: closed segments stay this long; negative is for ever.
    pub age_ms_max: i64,
    /// `retention.bytes`: the log is at least this large before its oldest segment goes; negative is without limit.
    pub bytes_max: i64,
}

/// What is known beside the log's state when its retention is planned.
#[derive(Clone, Copy, Debug)]
pub struct RetentionContext<'a> {
    pub retention: &'a Retention,
    /// No segment with records at or above goes.
    pub high_watermark: Offset,
    pub now: TimestampMs,
    /// When files of segments without timestamps were last written, by base offset, as far as that was asked for.
    pub modified: &'a [(Offset, TimestampMs)],
}

/// Why segments go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemovalReason {
    /// All their records lie below the log start offset.
    BelowStart,
    /// The log is larger than `retention.bytes`.
    Bytes,
    /// They are older than `retention.ms`.
    Age,
}

/// What to do with the front of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetentionPlan {
    /// Everything stays.
    Keep,
    /// Read the largest timestamp of this closed segment from its time index, note it, and plan again.
    NeedsLargest {
        segment: Offset,
    },
    /// Its records have no timestamps: ask when its file was last written, and plan again.
    NeedsModified {
        segment: Offset,
    },
    Remove(Removal),
}

/// Segments at the front that go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Removal {
    pub segments: usize,
    /// Bytes of their batches.
    pub bytes: u64,
    /// Where the log begins without them.
    pub start_offset: Offset,
    /// Even the active segment goes: begin another one, at `start_offset`, first.
    pub rolls: bool,
    /// Why the first of them goes.
    pub reason: RemovalReason,
}

/// Plans what retention removes now; changes nothing.
#[must_use]
pub fn plan_retention(state: &LogState, context: &RetentionContext<'_>) -> RetentionPlan {
    let mut front = Front {
        state,
        high_watermark: context.high_watermark,
        segments: 0,
        bytes: 0,
    };
    let retention = context.retention;
    let mut reason = None;
    let below_start = front.take_while(|_, next_base| next_base.is_some_and(|next| next <= state.log_start_offset()));
    if below_start > 0 {
        reason.get_or_insert(RemovalReason::BelowStart);
    }
    if let (true, Ok(bytes_max)) = (retention.deletes, u64::try_from(retention.bytes_max)) {
        let mut excess = (state.bytes() - front.bytes).checked_sub(bytes_max);
        let by_bytes = front.take_while(|segment, _| {
            excess = excess.and_then(|excess| excess.checked_sub(segment.bytes.into()));
            excess.is_some()
        });
        if by_bytes > 0 {
            reason.get_or_insert(RemovalReason::Bytes);
        }
    }
    if retention.deletes && retention.age_ms_max >= 0 {
        let mut needed = None;
        let by_age = front.take_while(|segment, _| match age_of(segment, context) {
            Ok(age_ms) => age_ms > retention.age_ms_max,
            Err(needs) => {
                needed = Some(needs);
                false
            }
        });
        if let Some(needed) = needed {
            return needed;
        }
        if by_age > 0 {
            reason.get_or_insert(RemovalReason::Age);
        }
    }
    match reason {
        Some(reason) => RetentionPlan::Remove(front.removal(reason)),
        None => RetentionPlan::Keep,
    }
}

/// The segments that go.
struct Front<'a> {
    state: &'a LogState,
    high_watermark: Offset,
    segments: usize,
    bytes: u64,
}

impl Front<'_> {
    /// Takes segments for as long as `goes` says so of a segment and the base offset of the next; returns how many it took.
    fn take_while(&mut self, mut goes: impl FnMut(&Segment, Option<Offset>) -> bool) -> usize {
        let before = self.segments;
        while let Some(segment) = self.state.segments().get(self.segments) {
            let next_base = self.next_base();
            let end = next_base.unwrap_or(self.state.log_end_offset());
            let is_empty_end = next_base.is_none() && segment.bytes == 0;
            if is_empty_end || end > self.high_watermark || !goes(segment, next_base) {
                break;
            }
            self.bytes += u64::from(segment.bytes);
            self.segments += 1;
        }
        self.segments - before
    }

    /// Base offset of the segment after the next one to be looked at.
    fn next_base(&self) -> Option<Offset> {
        let next = self.state.segments().get(self.segments + 1);
        next.map(|next| next.base_offset)
    }

    fn removal(&self, reason: RemovalReason) -> Removal {
        let first_kept = self.state.segments().get(self.segments);
        let start_offset = first_kept.map_or(self.state.log_end_offset(), |segment| segment.base_offset);
        Removal {
            segments: self.segments,
            bytes: self.bytes,
            start_offset: start_offset.max(self.state.log_start_offset()),
            rolls: first_kept.is_none(),
            reason,
        }
    }
}

/// How old the youngest record of a segment is, in milliseconds; negative when its timestamp lies in the future (`LogSegment.largestTimestamp`).
fn age_of(segment: &Segment, context: &RetentionContext<'_>) -> Result<i64, RetentionPlan> {
    let base_offset = segment.base_offset;
    let Some(largest) = segment.largest_timestamp else {
        return Err(RetentionPlan::NeedsLargest { segment: base_offset });
    };
    let newest = if largest.timestamp.0 >= 0 {
        largest.timestamp
    } else {
        let known = context.modified.iter().find(|(known, _)| *known == base_offset);
        known.ok_or(RetentionPlan::NeedsModified { segment: base_offset })?.1
    };
    Ok(context.now.0.saturating_sub(newest.0))
}

#[cfg(test)]
mod tests;
