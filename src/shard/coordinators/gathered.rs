//! Commits that come in one turn of the core share a batch: one write of the log, one entry of the journal.
//!
//! What a commit decides rests on the members of its group alone, never on other commits, so that it may be decided before those are in force.
//! Everything else sees them in force: they are appended first.

use std::rc::Rc;

use crate::coordinator::group::{Effects, GroupError, Record};
use crate::rt;
use crate::shard::Shard;

use super::Row;

/// Records that wait for others, each taking some microseconds when they are appended.
const RECORDS_MAX: usize = 64;

/// Texts of a record that waits. A longer one is appended alone: what is wrong with it is nobody else's trouble.
const RECORD_TEXT_BYTES_MAX: usize = 1024;

impl Shard {
    /// Has a commit wait for those that come in the same turn, but for a large one.
    pub(super) fn gather(self: &Rc<Self>, row: &Rc<Row>, effects: Effects) {
        if !effects.records.iter().all(is_short) {
            self.append_gathered(row);
            self.settle(row, effects);
            return;
        }
        let (is_first, records) = {
            let mut gathered = row.gathered.borrow_mut();
            let is_first = gathered.is_empty();
            gathered.records.extend(effects.records);
            gathered.answers.extend(effects.answers);
            (is_first, gathered.records.len())
        };
        if records >= RECORDS_MAX {
            self.append_gathered(row);
        } else if is_first {
            let (shard, row) = (Rc::clone(self), Rc::clone(row));
            rt::task::spawn(async move {
                rt::task::begin_part("append commits");
                shard.append_gathered(&row);
            });
        }
    }

    /// Appends the commits that wait.
    pub(super) fn append_gathered(self: &Rc<Self>, row: &Rc<Row>) {
        let gathered = row.gathered.take();
        if !gathered.is_empty() {
            self.settle(row, gathered);
        }
    }

    /// The coordinator has ended: the commits that wait are not kept.
    pub(super) fn refuse_gathered(self: &Rc<Self>, row: &Rc<Row>) {
        for (ticket, answer) in row.gathered.take().answers {
            self.give(row, ticket, answer.into_refusal(GroupError::NotCoordinator));
        }
    }
}

fn is_short(record: &Record) -> bool {
    match record {
        Record::Offset {
            group,
            topic,
            value: Some(value),
            ..
        } => group.len() + topic.len() + value.metadata.len() <= RECORD_TEXT_BYTES_MAX,
        Record::Offset { value: None, .. } | Record::ClassicGroup { .. } | Record::Consumer(_) => false,
    }
}
