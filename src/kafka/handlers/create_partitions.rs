//! CreatePartitions (37).

use std::collections::BTreeSet;

use duramen_wire::messages::create_partitions_request::CreatePartitionsRequest;
use duramen_wire::messages::create_partitions_response::{CreatePartitionsResponse, CreatePartitionsTopicResult};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal, create_partitions_error};
use crate::kafka::gather::Gather;
use crate::shard::CONTROLLER;
use crate::shard::controller::{ChangeMode, ControllerReply, ControllerRequest};
use crate::shard::message::{ShardReply, ShardRequest};

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let mut request: CreatePartitionsRequest = call.decode()?;
    let topics = request.topics.iter_mut();
    let assignments = topics.flat_map(|topic| topic.assignments.iter_mut().flatten());
    let ids = assignments.flat_map(|assignment| &mut assignment.broker_ids);
    call.context.nodes.resolve(ids);
    let unanswered = request.topics.iter().map(|topic| CreatePartitionsTopicResult {
        name: topic.name.clone(),
        ..CreatePartitionsTopicResult::default()
    });
    let response = CreatePartitionsResponse {
        results: unanswered.collect(),
        ..CreatePartitionsResponse::default()
    };
    let mode = if request.validate_only {
        ChangeMode::ValidateOnly
    } else {
        ChangeMode::Change
    };
    let asked = ControllerRequest::CreatePartitions {
        topics: request.topics,
        mode,
    };
    let asked = [(CONTROLLER, ShardRequest::Controller(asked))];
    Gather::start(call, response, asked, absorb, finish);
    Ok(())
}

fn absorb(response: &mut CreatePartitionsResponse, reply: ShardReply) {
    let ShardReply::Controller(ControllerReply::CreatedPartitions(Ok(results))) = reply else {
        for topic in &mut response.results {
            refuse(topic, Refusal::of(ErrorCode::KAFKA_STORAGE_ERROR));
        }
        return;
    };
    for (topic, result) in response.results.iter_mut().zip(results) {
        if let Err(error) = result {
            refuse(topic, create_partitions_error(&error));
        }
    }
}

/// A name that stands in the request twice is answered once.
fn finish(call: Call, mut response: CreatePartitionsResponse) {
    let mut named = BTreeSet::new();
    response.results.retain(|topic| named.insert(topic.name.clone()));
    call.respond(&response);
}

fn refuse(topic: &mut CreatePartitionsTopicResult, refusal: Refusal) {
    topic.error_code = refusal.code.0;
    topic.error_message = refusal.message;
}
