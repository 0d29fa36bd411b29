//! Metadata (3): topics, their partitions and leaders; the request that makes topics by itself.

use duramen_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use duramen_wire::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};

use std::rc::Rc;
use std::sync::Arc;

use crate::base::ids::TopicId;
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::ErrorCode;
use crate::kafka::nodes::Nodes;
use crate::metadata::controller::validate_topic_name;
use crate::metadata::{MetadataImage, Topic};
use crate::shard::Shard;

/// Operations that a client may do, as a set of bits numbered by Kafka's `AclOperation`.
#[derive(Clone, Copy)]
pub struct AuthorizedOperations(i32);

impl AuthorizedOperations {
    /// Read, write, create, delete, alter, describe, describe and alter configs: all that a topic knows, as nobody restricts it.
    pub const TOPIC: Self = Self(0x0df8);
    /// Read, delete, describe, describe and alter configs.
    pub const GROUP: Self = Self(0x0d48);
    /// Create, alter, describe, cluster action, describe and alter configs, idempotent write.
    pub const CLUSTER: Self = Self(0x1fa0);

    /// What a response says.
    pub fn to_wire(self, is_asked_for: bool) -> i32 {
        if is_asked_for { self.0 } else { i32::MIN }
    }
}

/// The client id of Kafka's own tools, which may write to internal topics.
pub const ADMIN_CLIENT_ID: &str = "__admin_client";

/// Topics that the broker itself writes (Kafka: `Topic.isInternal`).
#[must_use]
pub fn is_internal(name: &str) -> bool {
    matches!(
        name,
        "__consumer_offsets" | "__transaction_state" | "__share_group_state"
    )
}

/// Which topics are asked for.
enum Asked {
    All,
    These(Vec<Named>),
    /// In a way that the version does not have.
    Refused(Vec<MetadataRequestTopic>),
}

enum Named {
    Name(String),
    Id(TopicId),
}

/// Answers the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: MetadataRequest = call.decode()?;
    let image = call.context.image();
    let config = &call.context.config.broker;
    let may_create = request.allow_auto_topic_creation && config.auto_create_topics;
    let nodes = &call.context.nodes;
    let told = nodes.all().map(|node| MetadataResponseBroker {
        node_id: node.id,
        host: node.host,
        port: node.port,
        rack: config.rack.clone(),
    });
    let mut response = MetadataResponse {
        brokers: told.collect(),
        cluster_id: Some(image.cluster_id.to_string()),
        controller_id: nodes.controller(),
        cluster_authorized_operations: AuthorizedOperations::CLUSTER
            .to_wire(request.include_cluster_authorized_operations),
        ..MetadataResponse::default()
    };
    let with_operations = request.include_topic_authorized_operations;
    let found: Vec<Found> = match asked(request, call.version) {
        Asked::All => image.topics().map(|topic| Found::Topic(Arc::clone(topic))).collect(),
        Asked::These(names) => {
            let creator = may_create.then_some(&call.context.shard);
            names.into_iter().map(|named| look_up(&image, named, creator)).collect()
        }
        Asked::Refused(topics) => {
            response.error_code = ErrorCode::INVALID_REQUEST.0;
            topics.into_iter().map(|topic| Found::None(refused(topic))).collect()
        }
    };
    let nodes = nodes.clone();
    call.respond_rows(found.iter().map(Found::rows).sum(), move || {
        let topics = found.into_iter().map(|found| {
            let (topic, exists) = match found {
                Found::Topic(topic) => (describe(&topic, &nodes), true),
                Found::None(missing) => (missing, false),
            };
            MetadataResponseTopic {
                topic_authorized_operations: AuthorizedOperations::TOPIC.to_wire(with_operations && exists),
                ..topic
            }
        });
        response.topics = topics.collect();
        response
    });
    Ok(())
}

/// What becomes of one topic that is asked for.
enum Found {
    Topic(Arc<Topic>),
    /// There is none: what is said instead.
    None(MetadataResponseTopic),
}

impl Found {
    /// How much there is to say of it.
    fn rows(&self) -> usize {
        match self {
            Self::Topic(topic) => 1 + topic.partitions.len(),
            Self::None(_) => 1,
        }
    }
}

fn asked(request: MetadataRequest, version: i16) -> Asked {
    let Some(topics) = request.topics else {
        return Asked::All;
    };
    if topics.is_empty() && version == 0 {
        return Asked::All;
    }
    let uses_ids = topics
        .iter()
        .any(|topic| topic.topic_id != TopicId::ZERO.0 || topic.name.is_none());
    if uses_ids && version < 12 {
        // Ids stand in the request since version 10, but only 12 serves them (KAFKA-14360).
        return Asked::Refused(topics);
    }
    let named = topics.into_iter().map(|topic| match topic.name {
        Some(name) if topic.topic_id == TopicId::ZERO.0 => Named::Name(name),
        Some(_) | None => Named::Id(TopicId(topic.topic_id)),
    });
    Asked::These(named.collect())
}

fn look_up(image: &MetadataImage, named: Named, creator: Option<&Rc<Shard>>) -> Found {
    match named {
        Named::Id(id) => match image.topic(id) {
            Some(topic) => Found::Topic(Arc::clone(topic)),
            None => Found::None(missing(None, id, ErrorCode::UNKNOWN_TOPIC_ID)),
        },
        Named::Name(name) => {
            if let Some(topic) = image.topic_by_name(&name) {
                return Found::Topic(Arc::clone(topic));
            }
            let code = match validate_topic_name(&name) {
                Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
                Ok(()) => {
                    if let Some(shard) = creator {
                        shard.auto_create_topic(&name);
                    }
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                }
            };
            Found::None(missing(Some(name), TopicId::ZERO, code))
        }
    }
}

/// Versions below 13 have no error code of their own, so each topic carries it.
fn refused(topic: MetadataRequestTopic) -> MetadataResponseTopic {
    let name = topic.name.unwrap_or_default();
    missing(Some(name), TopicId(topic.topic_id), ErrorCode::INVALID_REQUEST)
}

fn missing(name: Option<String>, id: TopicId, code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: code.0,
        is_internal: name.as_deref().is_some_and(is_internal),
        name,
        topic_id: id.0,
        ..MetadataResponseTopic::default()
    }
}

fn describe(topic: &Topic, nodes: &Nodes) -> MetadataResponseTopic {
    let partitions = topic.numbered().map(|(index, state)| {
        let placed = nodes.of(topic.partition_id(index), state);
        MetadataResponsePartition {
            partition_index: index,
            leader_id: placed.leader,
            leader_epoch: state.leader_epoch.0,
            replica_nodes: placed.replicas,
            isr_nodes: placed.in_sync,
            ..MetadataResponsePartition::default()
        }
    });
    MetadataResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id.0,
        is_internal: is_internal(&topic.name),
        partitions: partitions.collect(),
        ..MetadataResponseTopic::default()
    }
}
