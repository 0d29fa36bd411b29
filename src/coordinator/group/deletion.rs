//! DeleteGroups: groups end with all their offsets; in slices when these are many.
//!
//! The records of a group are the last of it: a deletion that a crash interrupts leaves a group with some of its offsets, and was not
//! answered. A group that gets members meanwhile stays.

use std::sync::Arc;

use super::types::{Answer, GroupError, Ticket};
use super::{Coordinator, Effects, Record};

/// Offsets that end in one slice.
const OFFSETS_PER_SLICE: usize = 200;

/// A deletion on its way.
#[derive(Debug)]
pub(super) struct Deletion {
    ticket: Ticket,
    ids: Vec<Arc<str>>,
    /// Of the first of them, in their order.
    results: Vec<Result<(), GroupError>>,
    /// The last offset that has ended, of the group whose turn it is.
    after: Option<(Arc<str>, i32)>,
}

impl Coordinator {
    /// Kafka: `GroupCoordinatorShard.deleteGroups`.
    pub(super) fn delete(&mut self, ticket: Ticket, ids: &[Arc<str>]) -> Effects {
        let mut deletion = Deletion {
            ticket,
            ids: ids.to_vec(),
            results: Vec::with_capacity(ids.len()),
            after: None,
        };
        let mut effects = Effects::default();
        let offsets: usize = ids.iter().map(|id| self.offsets.count_of(id)).sum();
        if offsets > OFFSETS_PER_SLICE {
            self.chores.delete(deletion);
            return effects;
        }
        for (place, id) in ids.iter().enumerate() {
            let result = match self.groups.get(id) {
                None => Err(GroupError::GroupNotFound),
                Some(group) => group.may_be_deleted(),
            };
            if result.is_ok() && !ids[..place].contains(id) {
                self.entomb(id, &mut effects.records);
            }
            deletion.results.push(result);
        }
        effects.give(ticket, Answer::Delete(deletion.results));
        effects
    }

    /// One slice: some offsets, or the end of a group that has none any more. What is left of the deletion.
    pub(super) fn delete_slice(&self, mut deletion: Deletion, effects: &mut Effects) -> Option<Deletion> {
        let place = deletion.results.len();
        let Some(id) = deletion.ids.get(place) else {
            let results = deletion.ids.iter().zip(deletion.results);
            // One that is there again, or still, because its end could not be kept, is to be asked for again.
            let checked = results.map(|(id, result)| match self.groups.contains_key(id) {
                true => result.and(Err(GroupError::NotAvailable)),
                false => result,
            });
            effects.give(deletion.ticket, Answer::Delete(checked.collect()));
            return None;
        };
        let earlier = deletion.ids[..place].iter().position(|earlier| earlier == id);
        let result = match (earlier, self.groups.get(id)) {
            (Some(earlier), _) => deletion.results[earlier],
            (None, None) => Err(GroupError::GroupNotFound),
            (None, Some(group)) => group.may_be_deleted().and_then(|()| {
                let offsets = self.offsets.of_group_after(id, deletion.after.as_ref());
                let ended = offsets
                    .take(OFFSETS_PER_SLICE)
                    .map(|(topic, partition, _)| Record::Offset {
                        group: Arc::clone(id),
                        topic: Arc::clone(topic),
                        partition,
                        value: None,
                    });
                effects.records.extend(ended);
                if effects.records.is_empty() {
                    // Some may have come since, or could not be ended.
                    if self.offsets.has_any(id) {
                        return Err(GroupError::NotAvailable);
                    }
                    group.entomb(&mut effects.records);
                }
                Ok(())
            }),
        };
        if let Some(Record::Offset { topic, partition, .. }) = effects.records.last() {
            deletion.after = Some((Arc::clone(topic), *partition));
            return Some(deletion);
        }
        deletion.after = None;
        deletion.results.push(result);
        Some(deletion)
    }

    /// The records that end a group and its offsets.
    pub(super) fn entomb(&self, id: &Arc<str>, records: &mut Vec<Record>) {
        let offsets = self.offsets.of_group(id).map(|(topic, partition, _)| Record::Offset {
            group: Arc::clone(id),
            topic: Arc::clone(topic),
            partition,
            value: None,
        });
        records.extend(offsets);
        if let Some(group) = self.groups.get(id) {
            group.entomb(records);
        }
    }
}

impl Deletion {
    /// Its coordinator ends.
    pub(super) fn refuse(self, error: GroupError, effects: &mut Effects) {
        let results = self.ids.iter().map(|_| Err(error)).collect();
        effects.give(self.ticket, Answer::Delete(results));
    }
}
