//! A group, by the protocol of its members: what is asked of either kind.

use std::sync::Arc;

use crate::base::time::TimestampMs;

use super::types::{GroupError, Listed};
use super::{Record, Timers, classic, consumer};

/// A group.
#[derive(Debug)]
pub(super) enum Group {
    Classic(classic::Group),
    Consumer {
        group: consumer::Group,
        /// The version of the topics that it was last compared with.
        seen: Option<u64>,
    },
}

impl Group {
    /// A group of the consumer protocol that was not compared with any topics.
    pub(super) fn consumer(id: Arc<str>) -> Self {
        Self::Consumer {
            group: consumer::Group::new(id),
            seen: None,
        }
    }

    pub(super) fn as_consumer(&self) -> Option<&consumer::Group> {
        match self {
            Self::Consumer { group, .. } => Some(group),
            Self::Classic(_) => None,
        }
    }

    pub(super) fn member_count(&self) -> usize {
        match self {
            Self::Classic(group) => group.members().len(),
            Self::Consumer { group, .. } => group.members().count(),
        }
    }

    pub(super) fn list(&self) -> Listed {
        match self {
            Self::Classic(group) => group.list(),
            Self::Consumer { group, .. } => group.list(),
        }
    }

    pub(super) fn may_delete_offsets(&self) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.may_delete_offsets(),
            Self::Consumer { .. } => Ok(()),
        }
    }

    pub(super) fn may_be_deleted(&self) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.may_be_deleted(),
            Self::Consumer { group, .. } => group.may_be_deleted(),
        }
    }

    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed_to(topic),
            Self::Consumer { group, .. } => group.is_subscribed_to(topic),
        }
    }

    /// From when on the retention of an offset counts; `None` while it does not end.
    pub(super) fn retention_base(&self, committed_at: TimestampMs) -> Option<TimestampMs> {
        match self {
            Self::Classic(group) => group.retention_base(committed_at),
            Self::Consumer { .. } => Some(committed_at),
        }
    }

    /// The records by which the group ends; its offsets are not in them.
    pub(super) fn entomb(&self, records: &mut Vec<Record>) {
        match self {
            Self::Classic(group) => records.push(Record::ClassicGroup {
                group: Arc::clone(group.id()),
                value: None,
            }),
            Self::Consumer { group, .. } => records.extend(group.tombstones().map(Record::Consumer)),
        }
    }

    /// Takes its deadlines back, as it ends.
    pub(super) fn cancel_timers(&self, timers: &mut Timers) {
        match self {
            Self::Classic(group) => group.cancel_timers(timers),
            Self::Consumer { group, .. } => {
                for (member, _) in group.members() {
                    super::consumers::cancel_timers(group.id(), member, timers);
                }
            }
        }
    }
}
