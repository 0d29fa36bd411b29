//! CreateTopics (19).

use duramen_wire::messages::create_topics_request::CreateTopicsRequest;
use duramen_wire::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::{Config, Described};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal, create_topic_error};
use crate::kafka::gather::Gather;
use crate::kafka::handlers::describe_configs::source;
use crate::metadata::controller::CreatedTopic;
use crate::shard::CONTROLLER;
use crate::shard::controller::{ChangeMode, ControllerReply, ControllerRequest};
use crate::shard::message::{ShardReply, ShardRequest};

/// The answer in the making.
struct Creating {
    config: Arc<Config>,
    response: CreateTopicsResponse,
}

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
    let creating = Creating {
        config: Arc::clone(&call.context.config),
        response,
    };
    let mode = if request.validate_only {
        ChangeMode::ValidateOnly
    } else {
        ChangeMode::Change
    };
    let asked = ControllerRequest::CreateTopics {
        topics: request.topics,
        mode,
    };
    Gather::start(
        call,
        creating,
        [(CONTROLLER, ShardRequest::Controller(asked))],
        absorb,
        finish,
    );
    Ok(())
}

fn absorb(creating: &mut Creating, reply: ShardReply) {
    let Creating { config, response } = creating;
    let ShardReply::Controller(ControllerReply::Created(Ok(results))) = reply else {
        for topic in &mut response.topics {
            refuse(topic, Refusal::of(ErrorCode::KAFKA_STORAGE_ERROR));
        }
        return;
    };
    for (topic, result) in response.topics.iter_mut().zip(results) {
        match result {
            Ok(created) => describe(topic, &created, config),
            Err(error) => refuse(topic, create_topic_error(&error)),
        }
    }
}

/// A name that stands in the request twice is answered once.
fn finish(call: Call, creating: Creating) {
    let mut response = creating.response;
    let mut named = BTreeSet::new();
    response.topics.retain(|topic| named.insert(topic.name.clone()));
    call.respond(&response);
}

fn describe(topic: &mut CreatableTopicResult, created: &CreatedTopic, config: &Config) {
    topic.topic_id = created.id.0;
    topic.num_partitions = created.partition_count;
    topic.replication_factor = created.replication_factor;
    let configs = config.describe_topic(&created.config);
    topic.configs = Some(configs.into_iter().map(setting).collect());
}

fn setting(described: Described) -> CreatableTopicConfigs {
    CreatableTopicConfigs {
        name: described.property.name.to_owned(),
        is_sensitive: described.property.is_sensitive(),
        value: described.value,
        read_only: described.is_read_only,
        config_source: source(described.source),
    }
}

fn refuse(topic: &mut CreatableTopicResult, refusal: Refusal) {
    topic.error_code = refusal.code.0;
    topic.error_message = refusal.message;
}
