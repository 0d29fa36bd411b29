//! What a partition remembers of its producers, so that a batch sent twice stands in the log once (KIP-98).
//!
//! [`check`] decides over one batch, [`Producers::note`] remembers it: live, in recovery, and on a follower alike.
//! The sequence rules are those of Kafka 4.3 (`ProducerAppendInfo`, `ProducerStateEntry`, `ProducerStateManager`).

mod check;
mod entry;
pub mod snapshot;

pub use check::{ProducerError, Verdict, check};
pub use entry::{ProducerEntry, RememberedBatch};

use std::collections::BTreeMap;

use crate::base::ids::ProducerId;
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::batch::Batch;

/// Producers remembered by one partition; beyond that, those that wrote longest ago are forgotten.
pub const PRODUCERS_PER_PARTITION_MAX: usize = 100_000;

/// All producers that a partition knows, at most [`PRODUCERS_PER_PARTITION_MAX`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Producers {
    /// Boxed, so that a partition with one producer does not pay for a whole node of the tree.
    entries: BTreeMap<ProducerId, Box<ProducerEntry>>,
}

impl Producers {
    #[must_use]
    pub fn get(&self, producer_id: ProducerId) -> Option<&ProducerEntry> {
        self.entries.get(&producer_id).map(Box::as_ref)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes on the heap, closely estimated: nodes of the tree have room for eleven.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.len() * size_of::<ProducerEntry>() + self.len().next_multiple_of(11) * 2 * size_of::<ProducerId>()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All producers in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &ProducerEntry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry.as_ref()))
    }

    /// Remembers a batch that stands in the log from `base_offset` on; batches of no producer pass by.
    pub fn note(&mut self, batch: &Batch, base_offset: Offset) {
        if !batch.has_producer() {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&batch.producer_id) {
            entry.note(batch, base_offset);
            return;
        }
        let mut entry = Box::new(ProducerEntry::new(batch.producer_epoch));
        entry.note(batch, base_offset);
        self.entries.insert(batch.producer_id, entry);
        if self.entries.len() > PRODUCERS_PER_PARTITION_MAX {
            self.evict_oldest();
        }
    }

    /// Puts back what a snapshot holds of one producer.
    pub fn restore(&mut self, producer_id: ProducerId, entry: ProducerEntry) {
        if self.entries.len() < PRODUCERS_PER_PARTITION_MAX {
            self.entries.insert(producer_id, Box::new(entry));
        }
    }

    /// Forgets producers that wrote nothing for `expiration_ms` (`producer.id.expiration.ms`) and have no transaction open;
    /// returns how many.
    pub fn expire(&mut self, now: TimestampMs, expiration_ms: i64) -> usize {
        let before = self.entries.len();
        self.entries.retain(|_, entry| {
            entry.transaction_first_offset.is_some() || now.0.saturating_sub(entry.last_timestamp.0) < expiration_ms
        });
        before - self.entries.len()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Makes room by forgetting the sixteenth of the producers that wrote longest ago and have no transaction open.
    ///
    /// Many at once, so that the search over all of them is paid once in thousands of new producers.
    fn evict_oldest(&mut self) {
        let mut ages: Vec<(Offset, ProducerId)> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.transaction_first_offset.is_none())
            .map(|(id, entry)| (entry.last_offset(), *id))
            .collect();
        let count = (PRODUCERS_PER_PARTITION_MAX / 16).min(ages.len());
        if count > 0 && count < ages.len() {
            ages.select_nth_unstable(count);
        }
        for (_, id) in ages.into_iter().take(count) {
            self.entries.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests;
