//! DeleteRecords (21): everything below an offset goes, for good.

use duramen_wire::messages::delete_records_request::DeleteRecordsRequest;
use duramen_wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use crate::base::ids::TopicIdPartition;
use crate::base::offset::Offset;
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, delete_records_error};
use crate::kafka::gather::{ByCore, Gather, Places};
use crate::kafka::handlers::metadata::is_internal;
use crate::metadata::Topic;
use crate::partition::types::DeleteUpTo;
use crate::shard::message::{Answer, Asked, ShardReply, ShardRequest};

/// Stands for the high watermark (Kafka: `DeleteRecordsRequest.HIGH_WATERMARK`).
const HIGH_WATERMARK: i64 = -1;

struct Answering {
    response: DeleteRecordsResponse,
    places: Places,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DeleteRecordsRequest = call.decode()?;
    let image = call.context.image();
    let mut answering = Answering {
        response: DeleteRecordsResponse::default(),
        places: Places::default(),
    };
    let mut by_core = ByCore::new();
    for (topic_index, asked) in request.topics.iter().enumerate() {
        let topic = image.topic_by_name(&asked.name);
        let mut answers = DeleteRecordsTopicResult {
            name: asked.name.clone(),
            ..DeleteRecordsTopicResult::default()
        };
        for (partition_index, partition) in asked.partitions.iter().enumerate() {
            let mut answer = DeleteRecordsPartitionResult {
                partition_index: partition.partition_index,
                low_watermark: -1,
                ..DeleteRecordsPartitionResult::default()
            };
            match check(&asked.name, topic.map(AsRef::as_ref), partition.partition_index) {
                Err(code) => answer.error_code = code.0,
                Ok(id) => {
                    let tag = answering.places.add(topic_index, partition_index);
                    let what = match partition.offset {
                        HIGH_WATERMARK => DeleteUpTo::HighWatermark,
                        offset => DeleteUpTo::Offset(Offset(offset)),
                    };
                    let partition = id;
                    by_core.add(call.context.shard.owner(id), Asked { tag, partition, what });
                }
            }
            answers.partitions.push(answer);
        }
        answering.response.topics.push(answers);
    }
    Gather::start(
        call,
        answering,
        by_core.into_requests(|items| ShardRequest::DeleteRecords { items }),
        absorb,
        |call, answering| call.respond(&answering.response),
    );
    Ok(())
}

fn check(name: &str, topic: Option<&Topic>, partition: i32) -> Result<TopicIdPartition, ErrorCode> {
    let topic = topic.filter(|topic| topic.partition(partition).is_some());
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if is_internal(name) {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    Ok(TopicIdPartition {
        topic_id: topic.id,
        partition,
    })
}

fn absorb(answering: &mut Answering, reply: ShardReply) {
    let ShardReply::DeleteRecords(answers) = reply else {
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
            Ok(log_start_offset) => answer.low_watermark = log_start_offset.0,
            Err(error) => answer.error_code = delete_records_error(error).0,
        }
    }
}
