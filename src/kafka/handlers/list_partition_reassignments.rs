//! ListPartitionReassignments (46): replicas that are on the move (KIP-455). There is one node, so none ever is.

use duramen_wire::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use duramen_wire::messages::list_partition_reassignments_response::ListPartitionReassignmentsResponse;

use crate::kafka::call::{BadRequest, Call};

/// Answers the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    // Topics that do not exist are no error either.
    let _: ListPartitionReassignmentsRequest = call.decode()?;
    call.respond(&ListPartitionReassignmentsResponse {
        error_message: None,
        ..ListPartitionReassignmentsResponse::default()
    });
    Ok(())
}
