//! ElectLeaders (43): the preferred leader, or any, is to lead again (KIP-460). With one replica there is nothing to choose.

use duramen_wire::messages::elect_leaders_request::ElectLeadersRequest;
use duramen_wire::messages::elect_leaders_response::{ElectLeadersResponse, PartitionResult, ReplicaElectionResult};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal};
use crate::metadata::{MetadataImage, Topic};

/// Only replicas in sync may lead.
const PREFERRED: i8 = 0;
/// Any replica may, if there is no other.
const UNCLEAN: i8 = 1;

/// Answers the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: ElectLeadersRequest = call.decode()?;
    let kind = if call.version == 0 {
        PREFERRED
    } else {
        request.election_type
    };
    let nothing_asked = request.topic_partitions.as_ref().is_some_and(Vec::is_empty);
    let is_known = matches!(kind, PREFERRED | UNCLEAN) || nothing_asked;
    let image = call.context.image();
    let results = match &request.topic_partitions {
        Some(topics) => topics
            .iter()
            .map(|asked| {
                let results = asked.partitions.iter().map(|&partition| {
                    let refusal = if is_known {
                        elect(&image, &asked.topic, partition, kind)
                    } else {
                        unknown_kind(kind)
                    };
                    result(partition, refusal)
                });
                ReplicaElectionResult {
                    topic: asked.topic.clone(),
                    partition_result: results.collect(),
                }
            })
            .collect(),
        None if is_known => image.topics().map(|topic| elect_all(topic, kind)).collect(),
        None => Vec::new(),
    };
    call.respond(&ElectLeadersResponse {
        error_code: if is_known {
            ErrorCode::NONE.0
        } else {
            ErrorCode::INVALID_REQUEST.0
        },
        replica_election_results: results,
        ..ElectLeadersResponse::default()
    });
    Ok(())
}

fn unknown_kind(kind: i8) -> Refusal {
    Refusal::with(ErrorCode::INVALID_REQUEST, format!("Unknown election type {kind}"))
}

fn elect(image: &MetadataImage, name: &str, partition: i32, kind: i8) -> Refusal {
    let unknown = |what: String| Refusal::with(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, what);
    let Some(topic) = image.topic_by_name(name) else {
        return unknown(format!("No such topic as {name}"));
    };
    match topic.partition(partition) {
        None => unknown(format!("No such partition as {name}-{partition}")),
        Some(state) if state.leader.is_some() => Refusal::with(
            ErrorCode::ELECTION_NOT_NEEDED,
            "Leader election not needed for topic partition.",
        ),
        Some(_) => no_leader(kind),
    }
}

fn no_leader(kind: i8) -> Refusal {
    Refusal::of(if kind == PREFERRED {
        ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE
    } else {
        ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE
    })
}

/// Partitions that need no election are left out where none was named.
fn elect_all(topic: &Topic, kind: i8) -> ReplicaElectionResult {
    let without = topic.numbered().filter(|(_, state)| state.leader.is_none());
    ReplicaElectionResult {
        topic: topic.name.to_string(),
        partition_result: without.map(|(index, _)| result(index, no_leader(kind))).collect(),
    }
}

fn result(partition: i32, refusal: Refusal) -> PartitionResult {
    PartitionResult {
        partition_id: partition,
        error_code: refusal.code.0,
        error_message: refusal.message,
    }
}
