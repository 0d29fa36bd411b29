//! AlterPartitionReassignments (45): replicas are to be on other brokers (KIP-455). There are none: what is asked for is already so, or refused.

use duramen_wire::messages::alter_partition_reassignments_request::AlterPartitionReassignmentsRequest;
use duramen_wire::messages::alter_partition_reassignments_response::{
    AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal, reassign_error};
use crate::metadata::controller::{ReplicaCount, reassign};

/// Answers the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let mut request: AlterPartitionReassignmentsRequest = call.decode()?;
    if request.topics.is_empty() {
        call.respond(&AlterPartitionReassignmentsResponse::default());
        return Ok(());
    }
    let partitions = request.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    let ids = partitions.flat_map(|partition| partition.replicas.iter_mut().flatten());
    call.context.nodes.resolve(ids);
    let count = if request.allow_replication_factor_change {
        ReplicaCount::MayChange
    } else {
        ReplicaCount::Stays
    };
    let image = call.context.image();
    let responses = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let replicas = asked.replicas.as_deref();
            let refusal = match reassign(&image, &topic.name, asked.partition_index, replicas, count) {
                Ok(()) => Refusal::of(ErrorCode::NONE),
                Err(error) => reassign_error(&error),
            };
            ReassignablePartitionResponse {
                partition_index: asked.partition_index,
                error_code: refusal.code.0,
                error_message: refusal.message,
            }
        });
        ReassignableTopicResponse {
            partitions: partitions.collect(),
            name: topic.name,
        }
    });
    let responses = responses.collect();
    call.respond(&AlterPartitionReassignmentsResponse {
        // Not before version 1, where it is what is meant.
        allow_replication_factor_change: request.allow_replication_factor_change,
        error_message: None,
        responses,
        ..AlterPartitionReassignmentsResponse::default()
    });
    Ok(())
}
