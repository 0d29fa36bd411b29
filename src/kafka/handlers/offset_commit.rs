//! OffsetCommit (8): by name, and since version 10 by topic id.

use duramen_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use duramen_wire::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use std::sync::Arc;

use crate::base::ids::{LeaderEpoch, TopicId};
use crate::base::offset::Offset;
use crate::coordinator::group::{Answer, CommitOffsets, GroupError, OffsetToCommit, Request};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, group_error};
use crate::kafka::gather::Places;
use crate::kafka::groups::{ask, shared};
use crate::metadata::{MetadataImage, Topic};

/// The first version that knows member epochs, and says so when a group does not exist (KIP-848).
const GROUP_NOT_FOUND_VERSION_MIN: i16 = 9;

/// The first version with topic ids instead of names.
const TOPIC_IDS_VERSION_MIN: i16 = 10;

/// "As long as the broker keeps offsets" (Kafka: `OffsetCommitRequest.DEFAULT_RETENTION_TIME`).
const DEFAULT_RETENTION_MS: i64 = -1;

struct Answering {
    response: OffsetCommitResponse,
    /// Where the offset of each tag stands.
    places: Places,
    /// Offsets that were asked of the coordinator.
    asked: u32,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: OffsetCommitRequest = call.decode()?;
    let image = call.context.image();
    let by_id = call.version >= TOPIC_IDS_VERSION_MIN;
    let mut answering = Answering {
        response: OffsetCommitResponse::default(),
        places: Places::default(),
        asked: 0,
    };
    let mut offsets = Vec::new();
    for (topic_index, asked) in request.topics.into_iter().enumerate() {
        let topic = resolve(&image, &asked, by_id);
        let answers = commit_topic(&mut answering, topic, topic_index, &asked.partitions, &mut offsets);
        answering.response.topics.push(OffsetCommitResponseTopic {
            name: asked.name,
            topic_id: asked.topic_id,
            partitions: answers,
        });
    }
    if offsets.is_empty() {
        call.respond(&answering.response);
        return Ok(());
    }
    let commit = CommitOffsets {
        group: shared(&request.group_id),
        member_id: request.member_id.into(),
        instance_id: request.group_instance_id.map(Into::into),
        generation: request.generation_id_or_member_epoch,
        retention_ms: (request.retention_time_ms != DEFAULT_RETENTION_MS).then_some(request.retention_time_ms),
        knows_epochs: call.version >= GROUP_NOT_FOUND_VERSION_MIN,
        unknown_group: match call.version >= GROUP_NOT_FOUND_VERSION_MIN {
            true => GroupError::GroupNotFound,
            false => GroupError::IllegalGeneration,
        },
        offsets,
    };
    let asked = Request::CommitOffsets(commit);
    ask(
        call,
        &request.group_id,
        asked,
        answering,
        |call, mut answering, answer| {
            let Answer::CommitOffsets(result) = answer else { return };
            match result {
                Ok(too_long) => {
                    for tag in too_long {
                        answering.set(tag, ErrorCode::OFFSET_METADATA_TOO_LARGE);
                    }
                }
                Err(error) => (0..answering.asked).for_each(|tag| answering.set(tag, group_error(error))),
            }
            call.respond(&answering.response);
        },
    );
    Ok(())
}

impl Answering {
    fn set(&mut self, tag: u32, code: ErrorCode) {
        let topics = &mut self.response.topics;
        if let Some(answer) = self.places.answer(tag, topics, |topic| &mut topic.partitions) {
            answer.error_code = code.0;
        }
    }
}

fn resolve<'a>(
    image: &'a MetadataImage,
    asked: &OffsetCommitRequestTopic,
    by_id: bool,
) -> Result<&'a Arc<Topic>, ErrorCode> {
    match by_id {
        true => image.topic(TopicId(asked.topic_id)).ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
        false => image
            .topic_by_name(&asked.name)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    }
}

/// The answers for one topic, as far as they are known without the coordinator.
fn commit_topic(
    answering: &mut Answering,
    topic: Result<&Arc<Topic>, ErrorCode>,
    topic_index: usize,
    partitions: &[OffsetCommitRequestPartition],
    offsets: &mut Vec<OffsetToCommit>,
) -> Vec<OffsetCommitResponsePartition> {
    let commit = |(place, asked): (usize, &OffsetCommitRequestPartition)| {
        let topic = topic.and_then(|topic| match topic.partition(asked.partition_index) {
            Some(_) => Ok(topic),
            None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        });
        let code = match topic {
            Err(code) => code,
            Ok(topic) => {
                offsets.push(OffsetToCommit {
                    tag: answering.places.add(topic_index, place),
                    topic: Arc::clone(&topic.name),
                    topic_id: topic.id,
                    partition: asked.partition_index,
                    offset: Offset(asked.committed_offset),
                    leader_epoch: LeaderEpoch(asked.committed_leader_epoch),
                    metadata: asked.committed_metadata.clone(),
                });
                answering.asked += 1;
                ErrorCode::NONE
            }
        };
        OffsetCommitResponsePartition {
            partition_index: asked.partition_index,
            error_code: code.0,
        }
    };
    partitions.iter().enumerate().map(commit).collect()
}
