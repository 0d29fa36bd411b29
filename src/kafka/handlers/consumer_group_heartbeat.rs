//! ConsumerGroupHeartbeat (68): by which consumers of the new protocol (KIP-848) join, stay and leave.

use std::sync::Arc;

use duramen_wire::messages::consumer_group_heartbeat_request::{ConsumerGroupHeartbeatRequest, TopicPartitions};
use duramen_wire::messages::consumer_group_heartbeat_response::{
    self as response, Assignment as AnsweredAssignment, ConsumerGroupHeartbeatResponse,
};

use crate::base::ids::TopicId;
use crate::config::OneGroupConfig;
use crate::coordinator::group::consumer::assign::Assignor;
use crate::coordinator::group::consumer::{Assignment, Beaten, Heartbeat, Owned};
use crate::coordinator::group::{Answer, Request};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal, consumer_group_error};
use crate::kafka::groups::{ask, shared};
use crate::metadata::ConfigResource;
use crate::rt;

/// The first version in which clients make their own ids.
const OWN_ID_VERSION_MIN: i16 = 1;

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: ConsumerGroupHeartbeatRequest = call.decode()?;
    if !is_served(&call) {
        call.respond(&refusal(Refusal::of(ErrorCode::UNSUPPORTED_VERSION)));
        return Ok(());
    }
    let beat = heartbeat(&call, request);
    // What no member says is said to be wrong, whoever keeps the group.
    let assignors = &call.context.config.broker.groups.consumer.assignors;
    let assignors: Vec<Assignor> = assignors.iter().filter_map(|name| Assignor::by_name(name)).collect();
    if let Err(refused) = beat.check(&assignors) {
        call.respond(&refusal(consumer_group_error(&refused)));
        return Ok(());
    }
    let group = Arc::clone(&beat.group);
    ask(
        call,
        &group,
        Request::ConsumerHeartbeat(Box::new(beat)),
        Arc::clone(&group),
        |call, group, answer| {
            let Answer::ConsumerHeartbeat(result) = answer else {
                return;
            };
            let response = match result {
                Ok(beaten) => accepted(&call, &group, beaten),
                Err(refused) => refusal(consumer_group_error(&refused)),
            };
            call.respond(&response);
        },
    );
    Ok(())
}

/// Whether the consumer protocol is served, by the settings and the features of the cluster.
pub fn is_served(call: &Call) -> bool {
    call.context.config.broker.groups.consumer.is_served && call.context.image().has_consumer_groups()
}

fn heartbeat(call: &Call, request: ConsumerGroupHeartbeatRequest) -> Heartbeat {
    let optional = |text: Option<String>| text.map(Arc::from);
    let owned = |topics: Vec<TopicPartitions>| -> Assignment {
        let partitions = topics.into_iter().flat_map(|topic| {
            let id = TopicId(topic.topic_id);
            topic.partitions.into_iter().map(move |partition| (id, partition))
        });
        partitions.collect()
    };
    let joins_without_id =
        call.version < OWN_ID_VERSION_MIN && request.member_epoch == 0 && request.member_id.is_empty();
    let member_id = match joins_without_id {
        true => fresh_id(),
        false => request.member_id,
    };
    Heartbeat {
        group: shared(&request.group_id),
        member_id: member_id.into(),
        member_epoch: request.member_epoch,
        instance_id: optional(request.instance_id),
        rack_id: optional(request.rack_id),
        client_id: call.client_id.as_str().into(),
        client_host: call.peer.host().into(),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        subscribed_names: request
            .subscribed_topic_names
            .map(|names| names.into_iter().map(Arc::from).collect()),
        subscribed_regex: optional(request.subscribed_topic_regex),
        assignor: optional(request.server_assignor),
        owned: request.topic_partitions.map(owned),
        classic: None,
    }
}

/// The id of a client that does not make its own (Kafka: `Uuid.randomUuid`).
fn fresh_id() -> String {
    let mut bytes = [0; 16];
    rt::random::fill(&mut bytes);
    TopicId(bytes).to_string()
}

/// How often the members of a group are to be heard of.
fn heartbeat_interval_ms(call: &Call, group: &str) -> i32 {
    let config = &call.context.config;
    let common = config.broker.groups.consumer.heartbeat_interval_ms;
    let image = call.context.image();
    let overrides = image.config(&ConfigResource::group(group));
    if overrides.is_empty() {
        return common;
    }
    let own = OneGroupConfig::effective(&config.settings, overrides);
    own.heartbeat_interval_ms.unwrap_or(common)
}

fn accepted(call: &Call, group: &str, beaten: Beaten) -> ConsumerGroupHeartbeatResponse {
    let is_member = beaten.member_epoch >= 0;
    ConsumerGroupHeartbeatResponse {
        member_id: Some(beaten.member_id.to_string()),
        member_epoch: beaten.member_epoch,
        heartbeat_interval_ms: match is_member {
            true => heartbeat_interval_ms(call, group),
            false => 0,
        },
        assignment: beaten.assigned.as_ref().map(assignment),
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

fn assignment(assigned: &Owned) -> AnsweredAssignment {
    let topics = assigned.topics().map(|(topic, partitions)| response::TopicPartitions {
        topic_id: topic.0,
        partitions: partitions.keys().copied().collect(),
    });
    AnsweredAssignment {
        topic_partitions: topics.collect(),
    }
}

fn refusal(refusal: Refusal) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: refusal.code.0,
        error_message: refusal.message,
        ..ConsumerGroupHeartbeatResponse::default()
    }
}
