//! SyncGroup (14).

use duramen_wire::messages::sync_group_request::SyncGroupRequest;
use duramen_wire::messages::sync_group_response::SyncGroupResponse;

use crate::coordinator::group::{Answer, GroupError, Request, Sync};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, group_error};
use crate::kafka::groups::{ask, shared};

/// The first version that says which protocol the member believes in (KIP-559).
const PROTOCOL_VERSION_MIN: i16 = 5;

/// Takes the request; the answer waits for the leader of the group.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: SyncGroupRequest = call.decode()?;
    let has_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if call.version >= PROTOCOL_VERSION_MIN && !has_protocol {
        // Kafka: `SyncGroupRequest.areMandatoryProtocolTypeAndNamePresent`.
        respond(call, Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
        return Ok(());
    }
    let assignments = request.assignments.into_iter();
    let sync = Sync {
        group: shared(&request.group_id),
        member_id: request.member_id.into(),
        instance_id: request.group_instance_id.map(Into::into),
        generation: request.generation_id,
        protocol_type: request.protocol_type,
        protocol: request.protocol_name,
        assignments: assignments
            .map(|assignment| (assignment.member_id.into(), assignment.assignment))
            .collect(),
    };
    ask(call, &request.group_id, Request::Sync(sync), (), |call, (), answer| {
        let Answer::Sync(result) = answer else { return };
        let response = result.map(|synced| SyncGroupResponse {
            protocol_type: synced.protocol_type.map(|text| text.to_string()),
            protocol_name: synced.protocol.map(|text| text.to_string()),
            assignment: synced.assignment,
            ..SyncGroupResponse::default()
        });
        respond(call, response.map_err(|error: GroupError| group_error(error)));
    });
    Ok(())
}

fn respond(call: Call, result: Result<SyncGroupResponse, ErrorCode>) {
    let response = result.unwrap_or_else(|code| SyncGroupResponse {
        error_code: code.0,
        ..SyncGroupResponse::default()
    });
    call.respond(&response);
}
