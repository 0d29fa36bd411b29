//! Which records and batches a round keeps (`Cleaner.cleanInto`, `MemoryRecords.filterTo`).
//!
//! **Records.** One without a key, or with a later record of the same key in the map, goes. A tombstone stays until the delete horizon
//! of its batch has passed: `delete.retention.ms` after the round that met it first, which writes the horizon into the header of the
//! batch (KIP-534). Records at or beyond the end of the map stay.
//!
//! **Batches** that are left without records go, with two exceptions: see the invariants of [`super`].
//!
//! **Transactions.** Records that were aborted go. A marker stays as long as a batch of its transaction does; after that, it goes
//! like a tombstone.

use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::producers::ProducerEntry;
use crate::record::{BatchHeader, RecordView};

use super::offset_map::OffsetMap;

/// What one round goes by.
#[derive(Debug)]
pub struct Round {
    pub map: OffsetMap,
    /// The map knows the records before it.
    pub end_offset: Offset,
    /// When the round began.
    pub now: TimestampMs,
    pub delete_retention_ms: i64,
}

/// What is known of a batch beside its header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Surroundings {
    /// It is the last one of the segments that become one.
    pub ends_segment: bool,
    /// It has the last sequence, or the last epoch, of a producer that the log remembers.
    pub is_last_of_producer: bool,
    /// Its records were aborted, or it is the marker of a transaction without records.
    pub is_discarded: bool,
}

/// Which records of a batch stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    None,
    All,
    /// Each is asked for.
    ByKey,
}

/// What becomes of a batch that is left without records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenEmpty {
    Dropped,
    /// Its header stays.
    Kept,
}

/// What to do with a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchPlan {
    pub kept: Kept,
    pub when_empty: WhenEmpty,
    /// Whether the delete horizon counts for the batch itself, as it does for a batch with tombstones.
    pub is_marker_to_delete: bool,
}

impl Round {
    /// Plans what to do with a batch.
    #[must_use]
    pub fn plan_batch(&self, header: &BatchHeader, surroundings: &Surroundings) -> BatchPlan {
        let is_control = header.attributes.is_control();
        let is_discarded = surroundings.is_discarded;
        let is_gone = if is_control {
            is_discarded && header.delete_horizon().is_some_and(|horizon| horizon <= self.now)
        } else {
            is_discarded
        };
        let kept = match (is_gone, is_control) {
            (true, _) => Kept::None,
            (false, true) => Kept::All,
            (false, false) => Kept::ByKey,
        };
        let has_last_word = surroundings.ends_segment || surroundings.is_last_of_producer;
        BatchPlan {
            kept,
            when_empty: if has_last_word {
                WhenEmpty::Kept
            } else {
                WhenEmpty::Dropped
            },
            is_marker_to_delete: is_control && is_discarded,
        }
    }

    /// Whether a record of a batch planned [`Kept::ByKey`] stays.
    #[must_use]
    pub fn keeps(&self, header: &BatchHeader, record: &RecordView<'_>) -> bool {
        if record.offset >= self.end_offset {
            return true;
        }
        let Some(key) = record.key else { return false };
        let has_value_or_time =
            record.value.is_some() || header.delete_horizon().is_none_or(|horizon| self.now < horizon);
        has_value_or_time && self.map.last_offset(key).is_none_or(|last| record.offset >= last)
    }

    /// The delete horizon that a batch gets because of the tombstones or the marker in it; `None` when it has one.
    #[must_use]
    pub fn new_delete_horizon(&self, header: &BatchHeader) -> Option<TimestampMs> {
        let horizon = TimestampMs(self.now.0.saturating_add(self.delete_retention_ms));
        header.delete_horizon().is_none().then_some(horizon)
    }
}

/// Whether a batch has the last word of its producer: its last sequence, or, of a producer without records, its epoch.
#[must_use]
pub fn is_last_of_producer(header: &BatchHeader, known: Option<&ProducerEntry>) -> bool {
    header.has_producer_id()
        && known.is_some_and(|entry| {
            let last_offset = entry.last_offset();
            if last_offset >= Offset::ZERO {
                header.last_offset() == last_offset
            } else {
                header.attributes.is_control() && header.producer_epoch == entry.epoch
            }
        })
}

#[cfg(test)]
mod tests;
