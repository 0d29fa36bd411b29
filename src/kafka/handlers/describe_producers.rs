//! DescribeProducers (61): who writes to a partition, by the log's own knowledge (KIP-664).

use duramen_wire::messages::describe_producers_request::DescribeProducersRequest;
use duramen_wire::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};

use crate::base::ids::TopicIdPartition;
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal, read_error};
use crate::kafka::gather::{ByCore, Gather, Places};
use crate::metadata::MetadataImage;
use crate::metadata::controller::validate_topic_name;
use crate::partition::types::ActiveProducer;
use crate::shard::message::{Answer, Asked, ShardReply, ShardRequest};

struct Answering {
    response: DescribeProducersResponse,
    places: Places,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DescribeProducersRequest = call.decode()?;
    let image = call.context.image();
    let mut answering = Answering {
        response: DescribeProducersResponse::default(),
        places: Places::default(),
    };
    let mut by_core = ByCore::new();
    for (topic_index, asked) in request.topics.into_iter().enumerate() {
        let mut answers = TopicResponse {
            name: asked.name,
            partitions: Vec::new(),
        };
        for (partition_index, partition) in asked.partition_indexes.into_iter().enumerate() {
            let mut answer = PartitionResponse {
                partition_index: partition,
                ..PartitionResponse::default()
            };
            match find(&image, &answers.name, partition) {
                Err(refusal) => refuse(&mut answer, refusal),
                Ok(id) => {
                    let asked = Asked {
                        tag: answering.places.add(topic_index, partition_index),
                        partition: id,
                        what: (),
                    };
                    by_core.add(call.context.shard.owner(id), asked);
                }
            }
            answers.partitions.push(answer);
        }
        answering.response.topics.push(answers);
    }
    Gather::start(
        call,
        answering,
        by_core.into_requests(|items| ShardRequest::Producers { items }),
        absorb,
        |call, answering| call.respond(&answering.response),
    );
    Ok(())
}

fn find(image: &MetadataImage, name: &str, partition: i32) -> Result<TopicIdPartition, Refusal> {
    if let Err(error) = validate_topic_name(name) {
        let message = format!("Topic name is invalid: {error}");
        return Err(Refusal::with(ErrorCode::INVALID_TOPIC_EXCEPTION, message));
    }
    let topic = image.topic_by_name(name);
    let topic = topic.ok_or_else(|| {
        Refusal::with(
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            "This server does not host this topic-partition.",
        )
    })?;
    if topic.partition(partition).is_none() {
        return Err(Refusal::of(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    }
    Ok(TopicIdPartition {
        topic_id: topic.id,
        partition,
    })
}

fn absorb(answering: &mut Answering, reply: ShardReply) {
    let ShardReply::Producers(answers) = reply else {
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
            Ok(producers) => answer.active_producers = producers.into_iter().map(state).collect(),
            Err(error) => refuse(answer, Refusal::of(read_error(error))),
        }
    }
}

fn refuse(answer: &mut PartitionResponse, refusal: Refusal) {
    answer.error_code = refusal.code.0;
    answer.error_message = refusal.message;
}

fn state(producer: ActiveProducer) -> ProducerState {
    ProducerState {
        producer_id: producer.id.0,
        producer_epoch: i32::from(producer.epoch.0),
        last_sequence: producer.last_sequence.0,
        last_timestamp: producer.last_timestamp.0,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.transaction_first_offset.map_or(-1, |offset| offset.0),
    }
}
