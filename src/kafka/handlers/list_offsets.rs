//! ListOffsets (2): offsets by time, and the special ones.

use std::collections::HashSet;

use duramen_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use duramen_wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};

use crate::base::ids::{LeaderEpoch, TopicIdPartition};
use crate::base::time::TimestampMs;
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, read_error};
use crate::kafka::gather::{ByCore, Gather, Places};
use crate::metadata::Topic;
use crate::partition::types::{OffsetFound, OffsetTarget, ReadError};
use crate::shard::message::{Answer, Asked, FindOffset, ShardReply, ShardRequest};

/// A special timestamp: the first version that knows it, and what it looks for; `None` is always "not found" on this broker.
struct Special {
    timestamp: i64,
    version_min: i16,
    target: Option<OffsetTarget>,
}

/// Source: `ListOffsetsRequest`, `ReplicaManager.timestampMinSupportedVersion`. Without tiered storage, the earliest local offset is
/// the earliest, and neither a tiered nor a pending one exists.
const SPECIAL: &[Special] = &[
    Special {
        timestamp: -1,
        version_min: 1,
        target: Some(OffsetTarget::Latest),
    },
    Special {
        timestamp: -2,
        version_min: 1,
        target: Some(OffsetTarget::Earliest),
    },
    Special {
        timestamp: -3,
        version_min: 7,
        target: Some(OffsetTarget::MaxTimestamp),
    },
    Special {
        timestamp: -4,
        version_min: 8,
        target: Some(OffsetTarget::Earliest),
    },
    Special {
        timestamp: -5,
        version_min: 9,
        target: None,
    },
    Special {
        timestamp: -6,
        version_min: 11,
        target: None,
    },
];

/// The first version that says the epoch of what was found (KIP-320).
const LEADER_EPOCH_VERSION_MIN: i16 = 4;

struct Answering {
    version: i16,
    response: ListOffsetsResponse,
    places: Places,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: ListOffsetsRequest = call.decode()?;
    let image = call.context.image();
    let mut answering = Answering {
        version: call.version,
        response: ListOffsetsResponse::default(),
        places: Places::default(),
    };
    let mut by_core = ByCore::new();
    for (topic_index, asked) in request.topics.iter().enumerate() {
        let topic = image.topic_by_name(&asked.name).map(|topic| &**topic);
        let mut answers = ListOffsetsTopicResponse {
            name: asked.name.clone(),
            ..ListOffsetsTopicResponse::default()
        };
        let repeated = repeated(&asked.partitions);
        for (partition_index, partition) in asked.partitions.iter().enumerate() {
            let resolved = match repeated.contains(&partition.partition_index) {
                true => Err(ErrorCode::INVALID_REQUEST),
                false => resolve(topic, partition, call.version),
            };
            let mut answer = not_found(partition.partition_index);
            match resolved {
                Err(code) => answer.error_code = code.0,
                Ok(None) => {}
                Ok(Some((id, target))) => {
                    let tag = answering.places.add(topic_index, partition_index);
                    let current_leader_epoch = LeaderEpoch(partition.current_leader_epoch);
                    let what = FindOffset {
                        current_leader_epoch,
                        target,
                    };
                    by_core.add(
                        call.context.shard.owner(id),
                        Asked {
                            tag,
                            partition: id,
                            what,
                        },
                    );
                }
            }
            answers.partitions.push(answer);
        }
        answering.response.topics.push(answers);
    }
    Gather::start(
        call,
        answering,
        by_core.into_requests(|items| ShardRequest::FindOffsets { items }),
        absorb,
        |call, answering| {
            call.respond(&answering.response);
        },
    );
    Ok(())
}

/// The partitions that are asked for more than once.
fn repeated(asked: &[ListOffsetsPartition]) -> HashSet<i32> {
    let mut seen = HashSet::with_capacity(asked.len());
    let indexes = asked.iter().map(|partition| partition.partition_index);
    indexes.filter(|index| !seen.insert(*index)).collect()
}

type Resolved = Result<Option<(TopicIdPartition, OffsetTarget)>, ErrorCode>;

fn resolve(topic: Option<&Topic>, asked: &ListOffsetsPartition, version: i16) -> Resolved {
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if topic.partition(asked.partition_index).is_none() {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    let id = TopicIdPartition {
        topic_id: topic.id,
        partition: asked.partition_index,
    };
    let target = target(asked.timestamp, version)?;
    Ok(target.map(|target| (id, target)))
}

fn target(timestamp: i64, version: i16) -> Result<Option<OffsetTarget>, ErrorCode> {
    if timestamp >= 0 {
        return Ok(Some(OffsetTarget::AtOrAfter(TimestampMs(timestamp))));
    }
    match SPECIAL.iter().find(|special| special.timestamp == timestamp) {
        Some(special) if version >= special.version_min => Ok(special.target),
        _ => Err(ErrorCode::UNSUPPORTED_VERSION),
    }
}

fn not_found(partition_index: i32) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index,
        offset: -1,
        timestamp: -1,
        leader_epoch: -1,
        ..ListOffsetsPartitionResponse::default()
    }
}

fn absorb(answering: &mut Answering, reply: ShardReply) {
    let ShardReply::FindOffsets(answers) = reply else {
        let other_reply = true;
        crate::never!(other_reply);
        return;
    };
    for Answer { tag, result } in answers {
        let topics = &mut answering.response.topics;
        if let Some(answer) = answering.places.answer(tag, topics, |topic| &mut topic.partitions) {
            settle(answer, result, answering.version);
        }
    }
}

fn settle(answer: &mut ListOffsetsPartitionResponse, result: Result<Option<OffsetFound>, ReadError>, version: i16) {
    match result {
        Ok(None) => {}
        Ok(Some(found)) => {
            answer.offset = found.offset.0;
            answer.timestamp = found.timestamp.0;
            if version >= LEADER_EPOCH_VERSION_MIN {
                answer.leader_epoch = found.leader_epoch.0;
            }
        }
        Err(error) => answer.error_code = read_error(error).0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_timestamps_by_version() {
        for (timestamp, version, expected) in [
            (-1, 1, Ok(Some(OffsetTarget::Latest))),
            (-2, 1, Ok(Some(OffsetTarget::Earliest))),
            (-3, 6, Err(ErrorCode::UNSUPPORTED_VERSION)),
            (-3, 7, Ok(Some(OffsetTarget::MaxTimestamp))),
            (-4, 8, Ok(Some(OffsetTarget::Earliest))),
            (-5, 9, Ok(None)),
            (-6, 10, Err(ErrorCode::UNSUPPORTED_VERSION)),
            (-6, 11, Ok(None)),
            (-7, 11, Err(ErrorCode::UNSUPPORTED_VERSION)),
            (0, 1, Ok(Some(OffsetTarget::AtOrAfter(TimestampMs(0))))),
        ] {
            assert_eq!(target(timestamp, version), expected, "{timestamp} in version {version}");
        }
    }
}
