//! DescribeTopicPartitions (75): topics by name, so many partitions at a time, with a cursor for the rest (KIP-966).

use std::collections::BTreeSet;

use duramen_wire::messages::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use duramen_wire::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::ErrorCode;
use crate::kafka::handlers::metadata::{AuthorizedOperations, is_internal};
use crate::kafka::nodes::Nodes;
use crate::metadata::controller::validate_topic_name;
use crate::metadata::{MetadataImage, Topic};

/// Answers the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DescribeTopicPartitionsRequest = call.decode()?;
    let limit = i32::try_from(call.context.config.broker.request_partitions_max).unwrap_or(i32::MAX);
    let limit = limit.min(request.response_partition_limit).max(1);
    let response = match check(&request) {
        Ok(()) => {
            let limit = usize::try_from(limit).unwrap_or(1);
            describe(&call.context.image(), &call.context.nodes, &request, limit)
        }
        Err(code) => refuse(&request, code),
    };
    call.respond(&response);
    Ok(())
}

/// A cursor must stand in a topic that is asked for.
fn check(request: &DescribeTopicPartitionsRequest) -> Result<(), ErrorCode> {
    let Some(cursor) = &request.cursor else {
        return Ok(());
    };
    let is_asked = |name: &str| request.topics.is_empty() || request.topics.iter().any(|topic| topic.name == name);
    if cursor.partition_index < 0 || !is_asked(&cursor.topic_name) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    Ok(())
}

fn refuse(request: &DescribeTopicPartitionsRequest, code: ErrorCode) -> DescribeTopicPartitionsResponse {
    let refused = request.topics.iter().map(|topic| DescribeTopicPartitionsResponseTopic {
        error_code: code.0,
        name: Some(topic.name.clone()),
        ..DescribeTopicPartitionsResponseTopic::default()
    });
    DescribeTopicPartitionsResponse {
        topics: refused.collect(),
        ..DescribeTopicPartitionsResponse::default()
    }
}

fn describe(
    image: &MetadataImage,
    nodes: &Nodes,
    request: &DescribeTopicPartitionsRequest,
    limit: usize,
) -> DescribeTopicPartitionsResponse {
    let (first, first_partition) = match &request.cursor {
        Some(cursor) => (
            &*cursor.topic_name,
            usize::try_from(cursor.partition_index).unwrap_or(0),
        ),
        None => ("", 0),
    };
    let names: BTreeSet<&str> = if request.topics.is_empty() {
        image.topics().map(|topic| &*topic.name).collect()
    } else {
        request.topics.iter().map(|topic| &*topic.name).collect()
    };
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut remaining = limit;
    for name in names.range(first..) {
        if remaining == 0 {
            response.next_cursor = Some(cursor(name, 0));
            break;
        }
        let Some(topic) = image.topic_by_name(name) else {
            response.topics.push(missing(name));
            continue;
        };
        let from = if *name == first { first_partition } else { 0 };
        let until = topic.partitions.len().min(from.saturating_add(remaining));
        response.topics.push(part_of(topic, nodes, from, until));
        if until < topic.partitions.len() {
            response.next_cursor = Some(cursor(name, until));
            break;
        }
        remaining -= until.saturating_sub(from);
    }
    response
}

fn cursor(topic: &str, partition: usize) -> Cursor {
    Cursor {
        topic_name: topic.to_owned(),
        partition_index: i32::try_from(partition).unwrap_or(i32::MAX),
    }
}

fn missing(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let code = match validate_topic_name(name) {
        Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: code.0,
        name: Some(name.to_owned()),
        is_internal: is_internal(name),
        topic_authorized_operations: AuthorizedOperations::TOPIC.to_wire(true),
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn part_of(topic: &Topic, nodes: &Nodes, from: usize, until: usize) -> DescribeTopicPartitionsResponseTopic {
    let numbered = topic.numbered().take(until).skip(from);
    let partitions = numbered.map(|(index, state)| {
        let placed = nodes.of(topic.partition_id(index), state);
        DescribeTopicPartitionsResponsePartition {
            partition_index: index,
            leader_id: placed.leader,
            leader_epoch: state.leader_epoch.0,
            replica_nodes: placed.replicas,
            isr_nodes: placed.in_sync,
            // No leader is chosen among replicas that are not in sync: there is one replica.
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            ..DescribeTopicPartitionsResponsePartition::default()
        }
    });
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id.0,
        is_internal: is_internal(&topic.name),
        partitions: partitions.collect(),
        topic_authorized_operations: AuthorizedOperations::TOPIC.to_wire(true),
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}
