//! What comes of a request or of a deadline.

use super::record::Record;
use super::types::{Answer, GroupError, Ticket};

/// Records, and answers that may leave when the records are committed.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Effects {
    pub records: Vec<Record>,
    pub answers: Vec<(Ticket, Answer)>,
}

impl Effects {
    /// One answer, nothing to keep.
    pub fn answer(ticket: Ticket, answer: Answer) -> Self {
        Self {
            records: Vec::new(),
            answers: vec![(ticket, answer)],
        }
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.answers.is_empty()
    }

    pub(super) fn give(&mut self, ticket: Ticket, answer: Answer) {
        self.answers.push((ticket, answer));
    }

    /// The records, and the same answers as refusals.
    pub(super) fn into_failed(self, error: GroupError) -> (Vec<Record>, Self) {
        let refused = |(ticket, answer): (Ticket, Answer)| (ticket, answer.into_refusal(error));
        let failed = Self {
            records: Vec::new(),
            answers: self.answers.into_iter().map(refused).collect(),
        };
        (self.records, failed)
    }
}
