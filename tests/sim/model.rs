//! What the shadow knows of producers: written apart from the broker's own, from the rules alone.

use std::collections::BTreeMap;

use duramen::record::BatchHeader;

/// Batches of a producer that a repeat must find.
const REMEMBERED: usize = 5;

/// The last batches of each producer: epoch, base sequence, records, base offset.
#[derive(Default, PartialEq, Debug)]
pub struct Producers(BTreeMap<i64, Vec<(i16, i32, i32, i64)>>);

impl Producers {
    pub fn note(&mut self, header: &BatchHeader) {
        let batch = (
            header.producer_epoch.0,
            header.base_sequence.0,
            header.last_offset_delta,
            header.base_offset.0,
        );
        if header.producer_id.0 < 0 {
            return;
        }
        let batches = self.0.entry(header.producer_id.0).or_default();
        if batches.last().is_some_and(|last| last.0 != batch.0) {
            batches.clear();
        }
        batches.push(batch);
        if batches.len() > REMEMBERED {
            batches.remove(0);
        }
    }

    /// Every producer here ends with the same batch there: batches before the log's start may be known there, or lost with a snapshot.
    pub fn assert_end_as_in(&self, other: &Self) {
        for (id, batches) in &self.0 {
            let known = other.0.get(id).and_then(|batches| batches.last());
            assert_eq!(known, batches.last(), "the last batch of producer {id}");
        }
    }

    /// The same, as the broker's log has it.
    pub fn of(log: &duramen::storage::Log) -> Self {
        log.with_state(|state| {
            let entries = state.producers().iter().map(|(id, entry)| {
                let batches = entry.batches().iter().map(|batch| {
                    let base_sequence = batch.base_sequence().0;
                    (entry.epoch.0, base_sequence, batch.offset_delta, batch.base_offset().0)
                });
                (id.0, batches.collect())
            });
            Self(entries.collect())
        })
    }
}
