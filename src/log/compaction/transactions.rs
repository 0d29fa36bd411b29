//! Which batches were aborted, and which markers nobody needs (`CleanedTransactionMetadata`).
//!
//! Goes along a log with the round, batch by batch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::base::ids::ProducerId;
use crate::log::aborted::AbortedTransaction;
use crate::record::{BatchHeader, ControlType};

/// The transactions that are open at one place of a log.
#[derive(Clone, Debug, Default)]
pub struct Transactions {
    /// Those that begin further on, by their first offset.
    ahead: VecDeque<AbortedTransaction>,
    /// Those that will be aborted, and whether a batch of theirs was met.
    aborted: BTreeMap<ProducerId, (AbortedTransaction, bool)>,
    /// Producers whose records will be committed.
    committed: BTreeSet<ProducerId>,
}

/// What to do with a marker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkerFate {
    /// Batches of its transaction are there, or it is no marker of a transaction. An abort stands in the index.
    Needed(Option<AbortedTransaction>),
    /// Its transaction has no batches.
    Discarded,
}

impl Transactions {
    /// Goes along a log in which these transactions were aborted.
    #[must_use]
    pub fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|transaction| transaction.first_offset);
        Self {
            ahead: aborted.into(),
            ..Self::default()
        }
    }

    /// Passes a batch of records; whether they were aborted.
    pub fn pass_records(&mut self, header: &BatchHeader) -> bool {
        self.advance(header);
        if !header.attributes.is_transactional() {
            return false;
        }
        if let Some((_, was_met)) = self.aborted.get_mut(&header.producer_id) {
            *was_met = true;
            return true;
        }
        self.committed.insert(header.producer_id);
        false
    }

    /// Passes a control batch with a record of this type; one that is empty has none.
    pub fn pass_marker(&mut self, header: &BatchHeader, control_type: Option<ControlType>) -> MarkerFate {
        self.advance(header);
        match control_type {
            Some(ControlType::Abort) => match self.aborted.remove(&header.producer_id) {
                Some((transaction, true)) => MarkerFate::Needed(Some(transaction)),
                Some((_, false)) | None => MarkerFate::Discarded,
            },
            Some(ControlType::Commit) => {
                if self.committed.remove(&header.producer_id) {
                    MarkerFate::Needed(None)
                } else {
                    MarkerFate::Discarded
                }
            }
            Some(
                ControlType::LeaderChange
                | ControlType::SnapshotHeader
                | ControlType::SnapshotFooter
                | ControlType::KRaftVersion
                | ControlType::KRaftVoters
                | ControlType::Unknown(_),
            ) => MarkerFate::Needed(None),
            None => MarkerFate::Discarded,
        }
    }

    fn advance(&mut self, header: &BatchHeader) {
        let last_offset = header.last_offset();
        while let Some(transaction) = self.ahead.pop_front_if(|next| next.first_offset <= last_offset) {
            self.aborted
                .entry(transaction.producer_id)
                .or_insert((transaction, false));
        }
    }
}

#[cfg(test)]
mod tests;
