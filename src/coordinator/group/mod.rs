//! The groups of one partition of `__consumer_offsets`.
//!
//! A [`Coordinator`] takes requests ([`Coordinator::handle`]) and passing time ([`Coordinator::on_deadline`]), and gives [`Effects`]:
//! records to append, and answers that may leave when these records, and all before them, are committed. Its caller appends the records,
//! hands each to [`Coordinator::replay`], and answers; or says that they could not be appended ([`Coordinator::on_append_failed`]).
//!
//! Invariants:
//! - Each request gets one answer, maybe much later: a join waits for its group, a sync for its leader.
//! - Nothing that a record says is in force before its replay; replay of a log gives what stood in the coordinator that wrote it.
//! - Generations of a group only grow while it is here.
//! - One broken group, or one broken record, changes no other group.
//!
//! The protocols of group membership are folders: [`classic`] is the one in which clients assign, [`consumer`] the one in which the
//! coordinator does. Offsets are common to all ([`Offsets`]). What is too
//! much for one step is done in slices ([`Coordinator::work`]).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::base::time::{Monotonic, TimestampMs};

mod chores;
pub mod classic;
mod config;
pub mod consumer;
mod consumers;
mod deletion;
mod effects;
mod expiry;
mod handle;
mod load;
mod mixed;
mod offsets;
mod place;
mod protocol;
mod reading;
mod record;
mod timers;
mod types;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use effects::Effects;
pub use expiry::Walked;
pub use load::{Loader, Skipped};
pub use offsets::{Committed, Offsets};
pub use place::partition_of;
use protocol::Group;
pub use record::{Record, RecordError};
pub use timers::{TimerKey, Timers};
pub use types::{
    Answer, CommitOffsets, DeleteOffsets, DescribeRefused, Described, DescribedMember, FetchOffsets, FetchedOffset,
    FetchedTopic, GroupError, Heartbeat, Join, JoinRefused, Joined, JoinedMember, Leave, LeavingMember, LeftMember,
    Listed, OffsetToCommit, OffsetToDelete, Protocol, Request, Sync, Synced, Ticket, Wanted,
};

/// The topic that keeps groups and offsets (Kafka: `Topic.GROUP_METADATA_TOPIC_NAME`).
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Members, and groups, that begin to be waited for in one step, about, each taking a microsecond.
const LOADED_MEMBERS_AT_ONCE_MAX: usize = 100;

/// One moment, by both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// For deadlines.
    pub monotonic: Monotonic,
    /// For what is kept.
    pub wall: TimestampMs,
}

/// All groups of one partition, and their offsets.
#[derive(Debug)]
pub struct Coordinator {
    config: Config,
    groups: BTreeMap<Arc<str>, Group>,
    offsets: Offsets,
    timers: Timers,
    catalogue: Box<dyn consumer::Catalogue>,
    /// Grows with each change of the catalogue.
    topics_version: u64,
    chores: chores::Chores,
    /// The settings of groups that have some of their own.
    tuned: BTreeMap<Arc<str>, consumer::Config>,
}

impl Coordinator {
    /// A coordinator without groups.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            groups: BTreeMap::new(),
            offsets: Offsets::default(),
            timers: Timers::default(),
            catalogue: Box::new(consumer::NoTopics),
            topics_version: 0,
            chores: chores::Chores::default(),
            tuned: BTreeMap::new(),
        }
    }

    /// The moment at which [`on_deadline`](Self::on_deadline) wants to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.timers.next()
    }

    /// Groups that are known, dead ones not.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The committed offsets.
    #[must_use]
    pub fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// The classic group of this id.
    #[must_use]
    pub fn classic(&self, id: &str) -> Option<&classic::Group> {
        match self.groups.get(id)? {
            Group::Classic(group) => Some(group),
            Group::Consumer { .. } => None,
        }
    }

    /// The classic groups, by id.
    pub fn classic_groups(&self) -> impl Iterator<Item = &classic::Group> {
        self.groups.values().filter_map(|group| match group {
            Group::Classic(group) => Some(group),
            Group::Consumer { .. } => None,
        })
    }

    /// Applies one record of the log: live after its append, and at load.
    pub fn replay(&mut self, record: &Record) {
        match record {
            Record::Offset {
                group,
                topic,
                partition,
                value,
            } => match value {
                Some(value) => {
                    self.put_offsets(
                        group,
                        topic,
                        std::iter::once((*partition, Committed::from_value(value))),
                    );
                }
                None => self.offsets.remove(group, topic, *partition),
            },
            Record::ClassicGroup { group, value: None } => {
                if let Some(Group::Classic(removed)) = self.groups.get(group) {
                    removed.cancel_own_timers(&mut self.timers);
                    self.groups.remove(group);
                }
            }
            Record::ClassicGroup {
                group,
                value: Some(value),
            } => match self.groups.get_mut(group) {
                Some(Group::Classic(live)) if live.is_described_by(value) => live.adopt(value),
                Some(_) | None => {
                    let loaded = classic::Group::from_value(Arc::clone(group), value);
                    let before = self.groups.insert(Arc::clone(group), Group::Classic(loaded));
                    if let Some(before @ Group::Consumer { .. }) = before {
                        before.cancel_timers(&mut self.timers);
                    }
                }
            },
            Record::Consumer(record) => self.replay_consumer(record),
        }
    }

    /// The part of [`replay`](Self::replay) for offsets, of partitions of one topic; of two for one partition the later one counts.
    fn put_offsets(&mut self, group: &str, topic: &str, offsets: impl Iterator<Item = (i32, Committed)>) {
        let id = match self.groups.get_key_value(group) {
            Some((id, _)) => Arc::clone(id),
            None => {
                // A consumer that commits without a membership has a group without protocol.
                let id: Arc<str> = group.into();
                let new = Group::Classic(classic::Group::new(Arc::clone(&id)));
                self.groups.insert(Arc::clone(&id), new);
                id
            }
        };
        self.offsets.put(&id, topic, offsets);
    }

    /// Begins to serve after the last record of the log was replayed, some groups at a time, from the one after `after` on: members that are
    /// not heard of again lose their place. The group to go on after, if there are more.
    pub fn on_loaded(&mut self, after: Option<&Arc<str>>, now: Now, effects: &mut Effects) -> Option<Arc<str>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut members = 0;
        let mut ids = Vec::new();
        for (id, group) in self.groups.range::<Arc<str>, _>((from, Bound::Unbounded)) {
            if members >= LOADED_MEMBERS_AT_ONCE_MAX {
                break;
            }
            members += 1 + group.member_count();
            ids.push(Arc::clone(id));
        }
        for id in &ids {
            if let Some((group, mut turn)) = self.classic_mut(id, now, effects) {
                group.on_loaded(&mut turn);
            } else {
                self.watch_over_loaded(id, now);
            }
        }
        if members >= LOADED_MEMBERS_AT_ONCE_MAX {
            return ids.pop();
        }
        self.chores.look_at_regexes();
        None
    }

    /// Does what time has brought, of at most `steps_max` timers; call again while [`next_deadline`](Self::next_deadline) is due.
    pub fn on_deadline(&mut self, now: Now, steps_max: usize) -> Effects {
        let mut effects = Effects::default();
        for _ in 0..steps_max {
            let Some(key) = self.timers.pop_due(now.monotonic) else {
                break;
            };
            let Some(Group::Classic(group)) = self.groups.get_mut(key.group()) else {
                // What two of its members lose stands in records that are not replayed yet: one at a time.
                self.on_consumer_timer(&key, now, &mut effects.records);
                if effects.records.is_empty() {
                    continue;
                }
                break;
            };
            let mut turn = classic::Turn {
                config: &self.config,
                now,
                timers: &mut self.timers,
                chores: &mut self.chores,
                effects: &mut effects,
            };
            group.on_timer(&key, &mut turn);
        }
        effects
    }

    /// The records of `effects` could not be appended: its answers say so, and groups that they were about begin again.
    pub fn on_append_failed(&mut self, effects: Effects, error: GroupError, now: Now) -> Effects {
        let (records, mut failed) = effects.into_failed(error);
        for record in &records {
            let group = match record {
                Record::ClassicGroup { group, value: Some(_) } => group,
                Record::Consumer(record) => {
                    self.on_consumer_append_failed(record, now);
                    continue;
                }
                Record::ClassicGroup { value: None, .. } | Record::Offset { .. } => continue,
            };
            if let Some(Group::Classic(group)) = self.groups.get_mut(group) {
                let mut turn = classic::Turn {
                    config: &self.config,
                    now,
                    timers: &mut self.timers,
                    chores: &mut self.chores,
                    effects: &mut failed,
                };
                group.on_append_failed(&mut turn);
            }
        }
        // What an empty group would keep is of little worth: its members are gone, and the next generation is kept again.
        failed.records.clear();
        failed
    }

    /// Takes all that wait, for a coordinator that ends.
    pub fn take_waiting(&mut self) -> Effects {
        let mut effects = Effects::default();
        self.chores.refuse_waiting(GroupError::NotCoordinator, &mut effects);
        for group in self.groups.values_mut() {
            if let Group::Classic(group) = group {
                group.refuse_waiting(GroupError::NotCoordinator, &mut effects);
            }
        }
        effects
    }
}
