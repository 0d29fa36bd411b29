//! What a group has to know of topics.

use crate::base::ids::TopicId;

use super::assign::Topic;

/// The topics of the cluster, as the coordinator sees them now.
pub trait Catalogue: std::fmt::Debug {
    /// A topic by name.
    fn topic(&self, name: &str) -> Option<Topic>;

    /// The name of a topic.
    fn name(&self, id: TopicId) -> Option<&str>;

    /// The names of all topics that groups may read, in an order that stays the same.
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_>;

    /// How many names there are, about.
    fn count(&self) -> usize;
}

/// No topics.
#[derive(Debug)]
pub struct NoTopics;

impl Catalogue for NoTopics {
    fn topic(&self, _: &str) -> Option<Topic> {
        None
    }

    fn name(&self, _: TopicId) -> Option<&str> {
        None
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(std::iter::empty())
    }

    fn count(&self) -> usize {
        0
    }
}

/// A number that changes with what is known of some topics: those that a group is subscribed to.
#[must_use]
pub fn fingerprint<'a>(topics: impl Iterator<Item = (&'a str, Topic)>) -> i64 {
    // FNV-1a.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for (
        name,
        Topic {
            id: TopicId(id),
            partitions,
        },
    ) in topics
    {
        add(name.as_bytes());
        // No name has a byte of zero.
        add(&[0]);
        add(&id);
        add(&partitions.to_be_bytes());
    }
    i64::from_ne_bytes(hash.to_ne_bytes())
}
