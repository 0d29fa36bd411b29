//! OffsetForLeaderEpoch (23): where the records of an epoch end, so that readers find out whether their log is still the log (KIP-320).

use duramen_wire::messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use duramen_wire::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use crate::base::ids::{LeaderEpoch, TopicIdPartition};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, read_error};
use crate::kafka::gather::{ByCore, Gather, Places};
use crate::shard::message::{Answer, Asked, FindEpochEnd, ShardReply, ShardRequest};

struct Answering {
    response: OffsetForLeaderEpochResponse,
    places: Places,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: OffsetForLeaderEpochRequest = call.decode()?;
    let image = call.context.image();
    let mut answering = Answering {
        response: OffsetForLeaderEpochResponse::default(),
        places: Places::default(),
    };
    let mut by_core = ByCore::new();
    for (topic_index, asked) in request.topics.iter().enumerate() {
        let topic = image.topic_by_name(&asked.topic);
        let mut answers = OffsetForLeaderTopicResult {
            topic: asked.topic.clone(),
            ..OffsetForLeaderTopicResult::default()
        };
        for (partition_index, partition) in asked.partitions.iter().enumerate() {
            let mut answer = EpochEndOffset {
                partition: partition.partition,
                leader_epoch: -1,
                end_offset: -1,
                ..EpochEndOffset::default()
            };
            match topic.filter(|topic| topic.partition(partition.partition).is_some()) {
                None => answer.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0,
                Some(topic) => {
                    let id = TopicIdPartition {
                        topic_id: topic.id,
                        partition: partition.partition,
                    };
                    let tag = answering.places.add(topic_index, partition_index);
                    let what = FindEpochEnd {
                        current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
                        leader_epoch: LeaderEpoch(partition.leader_epoch),
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
        by_core.into_requests(|items| ShardRequest::EpochEnds { items }),
        absorb,
        |call, answering| {
            call.respond(&answering.response);
        },
    );
    Ok(())
}

fn absorb(answering: &mut Answering, reply: ShardReply) {
    let ShardReply::EpochEnds(answers) = reply else {
        let other_reply = true;
        crate::never!(other_reply);
        return;
    };
    for Answer { tag, result } in answers {
        let topics = &mut answering.response.topics;
        let Some(answer) = answering.places.answer(tag, topics, |topic| &mut topic.partitions) else {
            continue;
        };
        match result {
            Ok(None) => {}
            Ok(Some(end)) => {
                answer.leader_epoch = end.leader_epoch.0;
                answer.end_offset = end.end_offset.0;
            }
            Err(error) => answer.error_code = read_error(error).0,
        }
    }
}
