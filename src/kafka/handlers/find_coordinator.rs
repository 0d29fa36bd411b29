//! FindCoordinator (10): which broker coordinates a group. The topic that keeps groups is made when it is first asked for.

use duramen_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use duramen_wire::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};

use crate::coordinator::group::OFFSETS_TOPIC;
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::ErrorCode;
use crate::kafka::groups::place_of;

/// The first version that asks for several (KIP-699).
const BATCHED_VERSION_MIN: i16 = 4;

/// Kafka: `FindCoordinatorRequest.CoordinatorType`.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// Answers the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: FindCoordinatorRequest = call.decode()?;
    let response = if call.version >= BATCHED_VERSION_MIN {
        let keys = request.coordinator_keys.into_iter();
        FindCoordinatorResponse {
            coordinators: keys.map(|key| find(&call, request.key_type, key)).collect(),
            ..FindCoordinatorResponse::default()
        }
    } else {
        let found = find(&call, request.key_type, request.key);
        FindCoordinatorResponse {
            error_code: found.error_code,
            error_message: Some(message(ErrorCode(found.error_code)).to_owned()),
            node_id: found.node_id,
            host: found.host,
            port: found.port,
            ..FindCoordinatorResponse::default()
        }
    };
    call.respond(&response);
    Ok(())
}

fn find(call: &Call, key_type: i8, key: String) -> Coordinator {
    let place = match key_type {
        GROUP => place_of(&call.context.image(), &key),
        _ => None,
    };
    let code = match key_type {
        GROUP if place.is_some() => ErrorCode::NONE,
        GROUP => {
            call.context.shard.auto_create_topic(OFFSETS_TOPIC);
            ErrorCode::COORDINATOR_NOT_AVAILABLE
        }
        // There are no transactions.
        TRANSACTION => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        _ => ErrorCode::INVALID_REQUEST,
    };
    let mut coordinator = Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code: code.0,
        ..Coordinator::default()
    };
    if let Some(place) = place {
        let owner = call.context.nodes.owner(place);
        coordinator.node_id = owner.id;
        coordinator.host = owner.host;
        coordinator.port = owner.port;
    }
    coordinator
}

/// The text that Kafka puts beside its codes.
fn message(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NONE => "NONE",
        ErrorCode::COORDINATOR_NOT_AVAILABLE => "The coordinator is not available.",
        _ => {
            "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details."
        }
    }
}
