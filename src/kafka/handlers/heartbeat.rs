//! Heartbeat (12).

use duramen_wire::messages::heartbeat_request::HeartbeatRequest;
use duramen_wire::messages::heartbeat_response::HeartbeatResponse;

use crate::coordinator::group::{Answer, GroupError, Heartbeat, Request};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, group_error};
use crate::kafka::groups::{ask, shared};

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: HeartbeatRequest = call.decode()?;
    let heartbeat = Heartbeat {
        group: shared(&request.group_id),
        member_id: request.member_id.into(),
        instance_id: request.group_instance_id.map(Into::into),
        generation: request.generation_id,
    };
    let asked = Request::Heartbeat(heartbeat);
    ask(call, &request.group_id, asked, (), |call, (), answer| {
        let Answer::Heartbeat(result) = answer else { return };
        let code = match result {
            // A group that is being read forgets nobody: the member is told nothing (Kafka: `GroupCoordinatorService.heartbeat`).
            Ok(()) | Err(GroupError::Loading) => ErrorCode::NONE,
            Err(error) => group_error(error),
        };
        call.respond(&HeartbeatResponse {
            error_code: code.0,
            ..HeartbeatResponse::default()
        });
    });
    Ok(())
}
