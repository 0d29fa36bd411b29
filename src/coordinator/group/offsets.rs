//! Committed offsets, by group, topic and partition.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use duramen_wire::messages::offset_commit_value::OffsetCommitValue;

use crate::base::ids::{LeaderEpoch, TopicId};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::types::{FetchedOffset, FetchedTopic, Wanted};

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: Box<str>,
    pub committed_at: TimestampMs,
    /// When it ends by itself; [`TimestampMs::NONE`] by the broker's retention.
    pub expires_at: TimestampMs,
    /// [`TopicId::ZERO`] where it was committed without one.
    pub topic_id: TopicId,
}

impl Committed {
    /// As the log keeps it.
    #[must_use]
    pub fn from_value(value: &OffsetCommitValue) -> Self {
        Self {
            offset: Offset(value.offset),
            leader_epoch: LeaderEpoch(value.leader_epoch),
            metadata: value.metadata.as_str().into(),
            committed_at: TimestampMs(value.commit_timestamp),
            expires_at: TimestampMs(value.expire_timestamp),
            topic_id: TopicId(value.topic_id),
        }
    }
}

type Partitions = BTreeMap<i32, Committed>;
type Topics = BTreeMap<Arc<str>, Partitions>;

/// All offsets of a coordinator. A group or a topic without offsets is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    groups: BTreeMap<Arc<str>, Topics>,
}

impl Offsets {
    pub(super) fn put(&mut self, group: &Arc<str>, topic: &str, offsets: impl Iterator<Item = (i32, Committed)>) {
        let topics = match self.groups.get_mut(group) {
            Some(topics) => topics,
            None => self.groups.entry(Arc::clone(group)).or_default(),
        };
        match topics.get_mut(topic) {
            Some(partitions) => partitions.extend(offsets),
            None => {
                // Made of all at once, its nodes are full.
                topics.insert(topic.into(), offsets.collect());
            }
        }
    }

    pub(super) fn remove(&mut self, group: &str, topic: &str, partition: i32) {
        let Some(topics) = self.groups.get_mut(group) else {
            return;
        };
        let Some(partitions) = topics.get_mut(topic) else {
            return;
        };
        partitions.remove(&partition);
        if partitions.is_empty() {
            topics.remove(topic);
        }
        if topics.is_empty() {
            self.groups.remove(group);
        }
    }

    /// The offset of one partition.
    #[must_use]
    pub fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    /// The offsets of a group.
    pub fn of_group(&self, group: &str) -> impl Iterator<Item = (&Arc<str>, i32, &Committed)> {
        let topics = self.groups.get(group).into_iter().flatten();
        topics.flat_map(|(topic, partitions)| {
            partitions
                .iter()
                .map(move |(partition, committed)| (topic, *partition, committed))
        })
    }

    /// The offsets of a group after one of them, or all.
    pub fn of_group_after<'a>(
        &'a self,
        group: &str,
        after: Option<&'a (Arc<str>, i32)>,
    ) -> impl Iterator<Item = (&'a Arc<str>, i32, &'a Committed)> {
        let from = after.map_or(Bound::Unbounded, |(topic, _)| Bound::Included(topic));
        let topics = self.groups.get(group).into_iter();
        let topics = topics.flat_map(move |topics| topics.range::<Arc<str>, _>((from, Bound::Unbounded)));
        topics.flat_map(move |(topic, partitions)| {
            let from = match after {
                Some((last, partition)) if last == topic => Bound::Excluded(*partition),
                Some(_) | None => Bound::Unbounded,
            };
            let partitions = partitions.range((from, Bound::Unbounded));
            partitions.map(move |(partition, committed)| (topic, *partition, committed))
        })
    }

    /// How many offsets a group has.
    #[must_use]
    pub fn count_of(&self, group: &str) -> usize {
        let topics = self.groups.get(group);
        topics.map_or(0, |topics| topics.values().map(BTreeMap::len).sum())
    }

    /// Whether a group has any.
    #[must_use]
    pub fn has_any(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Offsets of all groups.
    #[must_use]
    pub fn count(&self) -> usize {
        let topics = self.groups.values().flat_map(BTreeMap::values);
        topics.map(BTreeMap::len).sum()
    }

    /// Tells more of what a group has committed, of what is wanted or of all: about `rows_max` topics and partitions behind those that are
    /// told. Whether that is all.
    pub(super) fn fetch(
        &self,
        group: &str,
        wanted: Option<&[Wanted]>,
        told: &mut Vec<FetchedTopic>,
        rows_max: usize,
    ) -> bool {
        match wanted {
            Some(wanted) => self.fetch_wanted(group, wanted, told, rows_max),
            None => self.fetch_all(group, told, rows_max),
        }
    }

    fn fetch_wanted(&self, group: &str, wanted: &[Wanted], told: &mut Vec<FetchedTopic>, rows_max: usize) -> bool {
        let topics = self.groups.get(group);
        let mut room = rows_max;
        loop {
            let place = told.len().saturating_sub(1);
            if let (Some(last), Some(wanted)) = (told.last_mut(), wanted.get(place)) {
                let partitions = topics.and_then(|topics| topics.get(&wanted.topic));
                let fetch = |&partition: &i32| {
                    let committed = partitions.and_then(|partitions| partitions.get(&partition));
                    // An offset of another topic that had the name says nothing about this one.
                    let committed = committed.filter(|committed| is_same(committed.topic_id, wanted.topic_id));
                    committed.map_or_else(|| none_of(partition), |committed| fetched(partition, committed))
                };
                let left = wanted.partitions.iter().skip(last.partitions.len());
                let before = last.partitions.len();
                last.partitions.extend(left.take(room).map(fetch));
                room -= last.partitions.len() - before;
                if last.partitions.len() < wanted.partitions.len() {
                    return false;
                }
            }
            let Some(next) = wanted.get(told.len()) else {
                return true;
            };
            if room == 0 {
                return false;
            }
            room -= 1;
            if told.is_empty() {
                told.reserve_exact(wanted.len());
            }
            told.push(FetchedTopic {
                topic: Arc::clone(&next.topic),
                topic_id: next.topic_id,
                partitions: Vec::with_capacity(next.partitions.len()),
            });
        }
    }

    fn fetch_all(&self, group: &str, told: &mut Vec<FetchedTopic>, rows_max: usize) -> bool {
        let last = told.last();
        let after = last.and_then(|last| Some((Arc::clone(&last.topic), last.partitions.last()?.partition)));
        let topics = self.groups.get(group);
        if told.is_empty() {
            told.reserve_exact(topics.map_or(0, BTreeMap::len));
        }
        let mut rows = 0;
        for (topic, partition, committed) in self.of_group_after(group, after.as_ref()).take(rows_max) {
            if told.last().is_none_or(|last| last.topic != *topic) {
                let partitions = topics.and_then(|topics| topics.get(topic)).map_or(0, BTreeMap::len);
                told.push(FetchedTopic {
                    topic: Arc::clone(topic),
                    topic_id: TopicId::ZERO,
                    partitions: Vec::with_capacity(partitions),
                });
            }
            if let Some(last) = told.last_mut() {
                last.topic_id = last.topic_id.max(committed.topic_id);
                last.partitions.push(fetched(partition, committed));
            }
            rows += 1;
        }
        rows < rows_max
    }
}

/// Whether two ids can be those of one topic: either may be unknown.
pub(super) fn is_same(a: TopicId, b: TopicId) -> bool {
    a.is_zero() || b.is_zero() || a == b
}

fn fetched(partition: i32, committed: &Committed) -> FetchedOffset {
    FetchedOffset {
        partition,
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: committed.metadata.to_string(),
    }
}

fn none_of(partition: i32) -> FetchedOffset {
    FetchedOffset {
        partition,
        offset: Offset(-1),
        leader_epoch: LeaderEpoch::NONE,
        metadata: String::new(),
    }
}
