//! JoinGroup (11).

use duramen_wire::messages::join_group_request::JoinGroupRequest;
use duramen_wire::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};

use std::sync::Arc;

use crate::coordinator::group::{Answer, Join, JoinRefused, Joined, Protocol, Request};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::group_error;
use crate::kafka::groups::{ask, shared};
use crate::rt;

/// The first version with a rebalance timeout of its own.
const REBALANCE_TIMEOUT_VERSION_MIN: i16 = 1;

/// The first version in which a client joins again with the id that it is given (KIP-394).
const MEMBER_ID_REQUIRED_VERSION_MIN: i16 = 4;

/// The first version whose answer may have no protocol.
const NULL_PROTOCOL_VERSION_MIN: i16 = 7;

/// The first version in which a leader can be told not to assign (KIP-814).
const SKIP_ASSIGNMENT_VERSION_MIN: i16 = 9;

/// Takes the request; the answer waits until the group goes on.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: JoinGroupRequest = call.decode()?;
    let mut fresh_id = [0; 16];
    rt::random::fill(&mut fresh_id);
    let protocols = request.protocols.into_iter().map(|protocol| Protocol {
        name: protocol.name.into(),
        metadata: protocol.metadata,
    });
    let join = Join {
        group: shared(&request.group_id),
        member_id: request.member_id.into(),
        instance_id: request.group_instance_id.map(Into::into),
        client_id: call.client_id.as_str().into(),
        client_host: call.peer.host().into(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: match call.version >= REBALANCE_TIMEOUT_VERSION_MIN {
            true => request.rebalance_timeout_ms,
            false => request.session_timeout_ms,
        },
        protocol_type: request.protocol_type.into(),
        protocols: protocols.collect(),
        takes_member_id: call.version >= MEMBER_ID_REQUIRED_VERSION_MIN,
        can_skip_assignment: call.version >= SKIP_ASSIGNMENT_VERSION_MIN,
        fresh_id,
    };
    ask(call, &request.group_id, Request::Join(join), (), |call, (), answer| {
        let Answer::Join(result) = answer else { return };
        let response = match result {
            Ok(joined) => accepted(&call, joined),
            Err(refused) => refusal(&call, &refused),
        };
        call.respond(&response);
    });
    Ok(())
}

fn accepted(call: &Call, joined: Joined) -> JoinGroupResponse {
    let text = |text: Arc<str>| text.to_string();
    let members = joined.members.into_iter().map(|member| JoinGroupResponseMember {
        member_id: text(member.member_id),
        group_instance_id: member.instance_id.map(text),
        metadata: member.metadata,
    });
    JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: joined.protocol_type.map(text),
        protocol_name: joined.protocol.map(text).or_else(|| no_protocol(call)),
        leader: joined.leader.map(text).unwrap_or_default(),
        skip_assignment: joined.skip_assignment,
        member_id: text(joined.member_id),
        members: members.collect(),
        ..JoinGroupResponse::default()
    }
}

fn refusal(call: &Call, refused: &JoinRefused) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: group_error(refused.error).0,
        generation_id: -1,
        protocol_name: no_protocol(call),
        member_id: refused.member_id.to_string(),
        ..JoinGroupResponse::default()
    }
}

fn no_protocol(call: &Call) -> Option<String> {
    (call.version < NULL_PROTOCOL_VERSION_MIN).then(String::new)
}
