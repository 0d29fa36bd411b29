//! DeleteTopics (20), by name and, since version 6, by id.

use duramen_wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use duramen_wire::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal, delete_topic_error};
use crate::kafka::gather::Gather;
use crate::shard::CONTROLLER;
use crate::shard::controller::{ControllerReply, ControllerRequest};
use crate::shard::message::{ShardReply, ShardRequest};

/// The first version with ids (KIP-516).
const TOPIC_IDS_VERSION_MIN: i16 = 6;

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DeleteTopicsRequest = call.decode()?;
    let topics: Vec<DeleteTopicState> = if call.version >= TOPIC_IDS_VERSION_MIN {
        request.topics
    } else {
        let named = |name| DeleteTopicState {
            name: Some(name),
            ..DeleteTopicState::default()
        };
        request.topic_names.into_iter().map(named).collect()
    };
    let unanswered = topics.iter().map(|topic| DeletableTopicResult {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        ..DeletableTopicResult::default()
    });
    let mut response = DeleteTopicsResponse {
        responses: unanswered.collect(),
        ..DeleteTopicsResponse::default()
    };
    if !call.context.config.broker.delete_topics {
        // Versions before 3 do not know the code for this.
        let code = if call.version < 3 {
            ErrorCode::INVALID_REQUEST
        } else {
            ErrorCode::TOPIC_DELETION_DISABLED
        };
        refuse_all(&mut response, code);
        call.respond(&response);
        return Ok(());
    }
    let asked = ControllerRequest::DeleteTopics { topics };
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

fn absorb(response: &mut DeleteTopicsResponse, reply: ShardReply) {
    let ShardReply::Controller(ControllerReply::Deleted(Ok(results))) = reply else {
        refuse_all(response, ErrorCode::KAFKA_STORAGE_ERROR);
        return;
    };
    for (topic, result) in response.responses.iter_mut().zip(results) {
        match result {
            Ok(deleted) => {
                topic.name = Some(deleted.name);
                topic.topic_id = deleted.id.0;
            }
            Err(error) => refuse(topic, delete_topic_error(error)),
        }
    }
}

fn refuse_all(response: &mut DeleteTopicsResponse, code: ErrorCode) {
    for topic in &mut response.responses {
        refuse(topic, Refusal::of(code));
    }
}

fn refuse(topic: &mut DeletableTopicResult, refusal: Refusal) {
    topic.error_code = refusal.code.0;
    topic.error_message = refusal.message;
}
