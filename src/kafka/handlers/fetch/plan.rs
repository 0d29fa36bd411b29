//! What a fetch asks for, and when that is enough.

use std::rc::Rc;
use std::time::Duration;

use duramen_wire::borrowed::fetch_request::{FetchRequest, FetchTopic};
use duramen_wire::messages::fetch_request::FetchPartition;

use crate::base::ids::{LeaderEpoch, TopicId, TopicIdPartition};
use crate::base::offset::Offset;
use crate::kafka::call::Call;
use crate::kafka::errors::ErrorCode;
use crate::metadata::{MetadataImage, Topic};
use crate::partition::types::{Read, ReadOutcome, ReadRange};

use super::Wanted;

/// The first version with topic ids instead of names (KIP-516).
pub(super) const TOPIC_IDS_VERSION_MIN: i16 = 13;

/// The shape of the answer and the client's limits.
pub(super) struct Plan {
    pub topics: Vec<TopicPlan>,
    pub bytes_min: u64,
    pub bytes_max: u64,
    pub wait: Duration,
    pub read_committed: bool,
}

pub(super) struct TopicPlan {
    pub name: Rc<str>,
    pub id: TopicId,
    pub partitions: Vec<PartitionPlan>,
}

pub(super) struct PartitionPlan {
    pub asked: FetchPartition,
    /// The place among the wanted partitions, or why it is not wanted.
    pub wanted: Result<usize, ErrorCode>,
    pub leader_epoch: LeaderEpoch,
}

/// Resolves the partitions of a request.
///
/// In a session, `topics` is what the session wants; otherwise what the request names.
pub(super) fn plan(
    call: &Call,
    image: &MetadataImage,
    request: &FetchRequest<'_>,
    topics: &[FetchTopic<'_>],
) -> (Plan, Vec<Wanted>) {
    let bytes_max = call
        .context
        .config
        .broker
        .fetch_bytes_max
        .min(u32::try_from(request.max_bytes).unwrap_or(0));
    let mut wanted = Vec::new();
    let topics = topics
        .iter()
        .map(|topic| plan_topic(call, image, topic, &mut wanted))
        .collect();
    let plan = Plan {
        topics,
        bytes_min: u64::try_from(request.min_bytes).unwrap_or(0).min(u64::from(bytes_max)),
        bytes_max: u64::from(bytes_max),
        wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
        read_committed: request.isolation_level == 1,
    };
    (plan, wanted)
}

fn plan_topic(call: &Call, image: &MetadataImage, asked: &FetchTopic<'_>, wanted: &mut Vec<Wanted>) -> TopicPlan {
    let by_id = call.version >= TOPIC_IDS_VERSION_MIN;
    let topic = if by_id {
        image.topic(TopicId(asked.topic_id))
    } else {
        image.topic_by_name(asked.topic)
    };
    let unknown = if by_id {
        ErrorCode::UNKNOWN_TOPIC_ID
    } else {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    };
    let partitions = asked.partitions.iter().map(|partition| match topic {
        None => PartitionPlan {
            asked: partition.clone(),
            wanted: Err(unknown),
            leader_epoch: LeaderEpoch::NONE,
        },
        Some(topic) => plan_partition(call, topic, partition, wanted),
    });
    let partitions = partitions.collect();
    TopicPlan {
        name: Rc::from(asked.topic),
        id: TopicId(asked.topic_id),
        partitions,
    }
}

fn plan_partition(call: &Call, topic: &Topic, asked: &FetchPartition, wanted: &mut Vec<Wanted>) -> PartitionPlan {
    let index = asked.partition;
    let Some(state) = topic.partition(index) else {
        let wanted = Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        return PartitionPlan {
            asked: asked.clone(),
            wanted,
            leader_epoch: LeaderEpoch::NONE,
        };
    };
    let id = TopicIdPartition {
        topic_id: topic.id,
        partition: index,
    };
    let read = Read {
        offset: Offset(asked.fetch_offset),
        // Kafka takes every negative epoch here for an unknown one (`FetchRequest.optionalEpoch`).
        current_leader_epoch: LeaderEpoch(asked.current_leader_epoch.max(LeaderEpoch::NONE.0)),
        last_fetched_epoch: LeaderEpoch(asked.last_fetched_epoch.max(LeaderEpoch::NONE.0)),
        bytes_max: u32::try_from(asked.partition_max_bytes).unwrap_or(0),
    };
    wanted.push(Wanted {
        id,
        core: call.context.shard.owner(id),
        read,
        outcome: None,
    });
    PartitionPlan {
        asked: asked.clone(),
        wanted: Ok(wanted.len() - 1),
        leader_epoch: state.leader_epoch,
    }
}

impl Plan {
    /// Whether the answer may leave: an error, a diverging log, a client that does not wait, or enough bytes.
    pub(super) fn is_enough(&self, wanted: &[Wanted]) -> bool {
        let refused = self
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .any(|partition| partition.wanted.is_err());
        if self.wait.is_zero() || refused {
            return true;
        }
        let mut budget = Budget::new(self.bytes_max);
        let mut bytes = 0;
        for wanted in wanted {
            match &wanted.outcome {
                None => {}
                Some(Err(_)) => return true,
                Some(Ok(outcome)) if outcome.diverging.is_some() => return true,
                Some(Ok(outcome)) => {
                    bytes += u64::from(budget.grant(&wanted.read, outcome).map_or(0, |(_, bytes)| bytes))
                }
            }
        }
        bytes >= self.bytes_min
    }
}

/// Shares the bytes of one answer among its partitions, in the order of the request (KIP-74).
pub(super) struct Budget {
    remaining: u64,
    is_first: bool,
}

impl Budget {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            remaining: bytes_max,
            is_first: true,
        }
    }

    /// How many bytes of a partition's range go into the answer. The first batch of the first partition that has any is
    /// always whole; a first batch that does not fit is left out; a later one may be cut.
    pub(super) fn grant<'a>(&mut self, read: &Read, outcome: &'a ReadOutcome) -> Option<(&'a ReadRange, u32)> {
        let range = outcome.range.as_ref()?;
        let limit = self.remaining.min(u64::from(read.bytes_max));
        let mut bytes = range.bytes;
        if u64::from(bytes) > limit {
            let first_batch_bytes = range.first_batch_bytes();
            if u64::from(first_batch_bytes) <= limit {
                bytes = u32::try_from(limit).unwrap_or(u32::MAX);
            } else if self.is_first {
                bytes = first_batch_bytes;
            } else {
                return None;
            }
        }
        self.is_first = false;
        self.remaining = self.remaining.saturating_sub(u64::from(bytes));
        (bytes > 0).then_some((range, bytes))
    }
}
