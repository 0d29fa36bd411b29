//! Sets of partitions, by topic.

use std::collections::BTreeMap;

use crate::base::ids::TopicId;

/// Partitions, each with something that is known of it. No topic stands in it without a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partitions<T>(BTreeMap<TopicId, BTreeMap<i32, T>>);

/// What a member is to have.
pub type Assignment = Partitions<()>;

/// What a member has, each with the epoch in which it got it.
pub type Owned = Partitions<i32>;

impl<T> Partitions<T> {
    /// Adds a partition; what was known of it before is given back.
    pub fn insert(&mut self, topic: TopicId, partition: i32, what: T) -> Option<T> {
        self.0.entry(topic).or_default().insert(partition, what)
    }

    /// Takes a partition out.
    pub fn remove(&mut self, topic: TopicId, partition: i32) -> Option<T> {
        let partitions = self.0.get_mut(&topic)?;
        let removed = partitions.remove(&partition);
        if partitions.is_empty() {
            self.0.remove(&topic);
        }
        removed
    }

    #[must_use]
    pub fn get(&self, topic: TopicId, partition: i32) -> Option<&T> {
        self.0.get(&topic)?.get(&partition)
    }

    /// The partitions of one topic.
    #[must_use]
    pub fn of_topic(&self, topic: TopicId) -> Option<&BTreeMap<i32, T>> {
        self.0.get(&topic)
    }

    #[must_use]
    pub fn contains(&self, topic: TopicId, partition: i32) -> bool {
        self.get(topic, partition).is_some()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many partitions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// Its topics, each with its partitions in order.
    pub fn topics(&self) -> impl Iterator<Item = (TopicId, &BTreeMap<i32, T>)> {
        self.0.iter().map(|(topic, partitions)| (*topic, partitions))
    }

    /// Its partitions, by topic and number.
    pub fn iter(&self) -> impl Iterator<Item = (TopicId, i32, &T)> {
        self.topics().flat_map(|(topic, partitions)| {
            let partitions = partitions.iter();
            partitions.map(move |(partition, what)| (topic, *partition, what))
        })
    }

    /// Whether all its partitions are in another.
    #[must_use]
    pub fn is_within<U>(&self, other: &Partitions<U>) -> bool {
        self.iter()
            .all(|(topic, partition, _)| other.contains(topic, partition))
    }

    /// Whether one of its partitions is in another.
    #[must_use]
    pub fn meets<U>(&self, other: &Partitions<U>) -> bool {
        self.iter()
            .any(|(topic, partition, _)| other.contains(topic, partition))
    }

    /// Whether both have the same partitions, whatever is known of them.
    #[must_use]
    pub fn has_the_same<U>(&self, other: &Partitions<U>) -> bool {
        self.len() == other.len() && self.is_within(other)
    }
}

impl<T: Clone> Partitions<T> {
    /// The partitions that `keeps` says, and the others.
    #[must_use]
    pub fn split(&self, keeps: impl Fn(TopicId, i32) -> bool) -> (Self, Self) {
        let (mut kept, mut others) = (Self::default(), Self::default());
        for (topic, partition, what) in self.iter() {
            let side = if keeps(topic, partition) {
                &mut kept
            } else {
                &mut others
            };
            side.insert(topic, partition, what.clone());
        }
        (kept, others)
    }
}

impl<T> Default for Partitions<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl FromIterator<(TopicId, i32)> for Assignment {
    fn from_iter<I: IntoIterator<Item = (TopicId, i32)>>(partitions: I) -> Self {
        let mut assignment = Self::default();
        for (topic, partition) in partitions {
            assignment.insert(topic, partition, ());
        }
        assignment
    }
}
