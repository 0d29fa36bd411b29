//! CreateTopics (19).

use duramen_wire::messages::create_topics_request::CreateTopicsRequest;
use duramen_wire::messages::create_topics_response::{CreatableTopicResult, CreateTopicsResponse};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal, create_topic_error};
use crate::kafka::gather::Gather;
use crate::metadata::controller::CreatedTopic;
use crate::shard::CONTROLLER;
use crate::shard::controller::{ControllerReply, ControllerRequest, CreateMode};
use crate::shard::message::{ShardReply, ShardRequest};

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: CreateTopicsRequest = call.decode()?;
    let unanswered = request.topics.iter().map(|topic| CreatableTopicResult {
        name: topic.name.clone(),
        num_partitions: -1,
        replication_factor: -1,
        ..CreatableTopicResult::default()
    });
    let response = CreateTopicsResponse {
        topics: unanswered.collect(),
        ..CreateTopicsResponse::default()
    };
    let mode = if request.validate_only {
        CreateMode::ValidateOnly
    } else {
        CreateMode::Create
    };
    let asked = ControllerRequest::CreateTopics {
        topics: request.topics,
        mode,
    };
    Gather::start(
        call,
        response,
        [(CONTROLLER, ShardRequest::Controller(asked))],
        absorb,
        |call, response| {
            call.respond(&response);
        },
    );
    Ok(())
}

fn absorb(response: &mut CreateTopicsResponse, reply: ShardReply) {
    let ShardReply::Controller(ControllerReply::Created(Ok(results))) = reply else {
        for topic in &mut response.topics {
            refuse(topic, Refusal::of(ErrorCode::KAFKA_STORAGE_ERROR));
        }
        return;
    };
    for (topic, result) in response.topics.iter_mut().zip(results) {
        match result {
            Ok(created) => describe(topic, &created),
            Err(error) => refuse(topic, create_topic_error(&error)),
        }
    }
}

fn describe(topic: &mut CreatableTopicResult, created: &CreatedTopic) {
    topic.topic_id = created.id.0;
    topic.num_partitions = created.partition_count;
    topic.replication_factor = created.replication_factor;
    topic.configs = Some(Vec::new());
}

fn refuse(topic: &mut CreatableTopicResult, refusal: Refusal) {
    topic.error_code = refusal.code.0;
    topic.error_message = refusal.message;
}
