//! Offsets and groups whose time is over, a few groups at a time.

use std::ops::Bound;
use std::sync::Arc;

use crate::base::ids::TopicId;
use crate::base::time::TimestampMs;

use super::offsets::is_same;
use super::{Coordinator, Group, Record};

/// What one step of a walk over all groups found.
#[derive(Debug, PartialEq)]
pub struct Walked {
    /// What ends.
    pub records: Vec<Record>,
    /// The group after which the next step begins; `None` at the end.
    pub last: Option<Arc<str>>,
}

impl Coordinator {
    /// Ends offsets that have been kept for long enough, and groups that have neither members nor offsets. Looks at `groups_max` groups
    /// after `after`. Kafka: `GroupCoordinatorShard.cleanupGroupMetadata`.
    #[must_use]
    pub fn expire(&self, after: Option<&Arc<str>>, groups_max: usize, now: TimestampMs) -> Walked {
        self.walk(after, groups_max, |id, group, records| {
            let mut all_expired = true;
            for (topic, partition, committed) in self.offsets.of_group(id) {
                let base = group.retention_base(committed.committed_at);
                let retention_ms = i64::try_from(self.config.offsets_retention.as_millis()).unwrap_or(i64::MAX);
                let is_expired = match (base, committed.expires_at) {
                    (None, _) => false,
                    (Some(base), TimestampMs::NONE) => now.0.saturating_sub(base.0) >= retention_ms,
                    (Some(_), expires_at) => now >= expires_at,
                };
                if is_expired && !group.is_subscribed_to(topic) {
                    records.push(tombstone(id, topic, partition));
                } else {
                    all_expired = false;
                }
            }
            if all_expired && group.may_be_deleted().is_ok() {
                group.entomb(records);
            }
        })
    }

    /// Ends the offsets of topics that are no more. Looks at `groups_max` groups after `after`.
    #[must_use]
    pub fn forget_topics(
        &self,
        after: Option<&Arc<str>>,
        groups_max: usize,
        deleted: &[(Arc<str>, TopicId)],
    ) -> Walked {
        self.walk(after, groups_max, |id, _, records| {
            for (topic, partition, committed) in self.offsets.of_group(id) {
                let is_deleted =
                    |(name, topic_id): &(Arc<str>, TopicId)| name == topic && is_same(committed.topic_id, *topic_id);
                if deleted.iter().any(is_deleted) {
                    records.push(tombstone(id, topic, partition));
                }
            }
        })
    }

    fn walk(
        &self,
        after: Option<&Arc<str>>,
        groups_max: usize,
        mut look: impl FnMut(&Arc<str>, &Group, &mut Vec<Record>),
    ) -> Walked {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(Arc::clone(after)));
        let mut groups = self.groups.range((from, Bound::Unbounded));
        let mut walked = Walked {
            records: Vec::new(),
            last: None,
        };
        for (id, group) in groups.by_ref().take(groups_max) {
            look(id, group, &mut walked.records);
            walked.last = Some(Arc::clone(id));
        }
        if groups.next().is_none() {
            walked.last = None;
        }
        walked
    }
}

fn tombstone(group: &Arc<str>, topic: &Arc<str>, partition: i32) -> Record {
    Record::Offset {
        group: Arc::clone(group),
        topic: Arc::clone(topic),
        partition,
        value: None,
    }
}
