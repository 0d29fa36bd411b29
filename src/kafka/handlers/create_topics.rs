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
use crate::metadata::controller::{CreateTopicError, CreatedTopic};
use crate::shard::CONTROLLER;
use crate::shard::controller::{ChangeMode, ControllerReply, ControllerRequest};
use crate::shard::message::{ShardReply, ShardRequest};

/// Settings that are told of each new topic, about.
const ROWS_OF_A_TOPIC: usize = 35;

/// The answer in the making.
struct Creating {
    config: Arc<Config>,
    names: Vec<String>,
    /// In the order of the names; `None` where the controller can change nothing.
    results: Option<Vec<Result<CreatedTopic, CreateTopicError>>>,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let mut request: CreateTopicsRequest = call.decode()?;
    let assignments = request.topics.iter_mut().flat_map(|topic| &mut topic.assignments);
    let ids = assignments.flat_map(|assignment| &mut assignment.broker_ids);
    call.context.nodes.resolve(ids);
    let creating = Creating {
        config: call.context.current_config(),
        names: request.topics.iter().map(|topic| topic.name.clone()).collect(),
        results: None,
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
    if let ShardReply::Controller(ControllerReply::Created(Ok(results))) = reply {
        creating.results = Some(results);
    }
}

fn finish(call: Call, creating: Creating) {
    let rows = creating.names.len().saturating_mul(ROWS_OF_A_TOPIC);
    call.respond_rows(rows, move || response(creating));
}

/// A name that stands in the request twice is answered once.
fn response(creating: Creating) -> CreateTopicsResponse {
    let Creating { config, names, results } = creating;
    let mut results = results.map(Vec::into_iter);
    let mut named = BTreeSet::new();
    let mut topics = Vec::with_capacity(names.len());
    for name in names {
        let result = results.as_mut().and_then(Iterator::next);
        if !named.insert(name.clone()) {
            continue;
        }
        let mut topic = CreatableTopicResult {
            name,
            num_partitions: -1,
            replication_factor: -1,
            ..CreatableTopicResult::default()
        };
        match result {
            Some(Ok(created)) => describe(&mut topic, &created, &config),
            Some(Err(error)) => refuse(&mut topic, create_topic_error(&error)),
            None => refuse(&mut topic, Refusal::of(ErrorCode::KAFKA_STORAGE_ERROR)),
        }
        topics.push(topic);
    }
    CreateTopicsResponse {
        topics,
        ..CreateTopicsResponse::default()
    }
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
        is_sensitive: described.is_sensitive(),
        name: described.name,
        value: described.value,
        read_only: described.is_read_only,
        config_source: source(described.source),
    }
}

fn refuse(topic: &mut CreatableTopicResult, refusal: Refusal) {
    topic.error_code = refusal.code.0;
    topic.error_message = refusal.message;
}
