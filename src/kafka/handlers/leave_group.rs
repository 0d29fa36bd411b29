//! LeaveGroup (13): one member, or since version 3 several.

use duramen_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use duramen_wire::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};

use crate::coordinator::group::{Answer, GroupError, Leave, LeavingMember, LeftMember, Request};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, group_error};
use crate::kafka::groups::{ask, shared};

/// The first version in which several leave (KIP-345).
const MEMBERS_VERSION_MIN: i16 = 3;

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: LeaveGroupRequest = call.decode()?;
    let members = match call.version >= MEMBERS_VERSION_MIN {
        true => request.members,
        false => vec![MemberIdentity {
            member_id: request.member_id,
            ..MemberIdentity::default()
        }],
    };
    let leaving = members.into_iter().map(|member| LeavingMember {
        member_id: member.member_id.into(),
        instance_id: member.group_instance_id.map(Into::into),
    });
    let leave = Leave {
        group: shared(&request.group_id),
        members: leaving.collect(),
    };
    ask(
        call,
        &request.group_id,
        Request::Leave(leave),
        (),
        |call, (), answer| {
            let Answer::Leave(result) = answer else { return };
            let response = respond(call.version, result);
            call.respond(&response);
        },
    );
    Ok(())
}

fn respond(version: i16, result: Result<Vec<LeftMember>, GroupError>) -> LeaveGroupResponse {
    let mut response = LeaveGroupResponse::default();
    match result {
        Err(error) => response.error_code = group_error(error).0,
        Ok(left) if version >= MEMBERS_VERSION_MIN => response.members = left.into_iter().map(one).collect(),
        Ok(left) => response.error_code = left.into_iter().next().map_or(0, |left| one(left).error_code),
    }
    response
}

fn one(left: LeftMember) -> MemberResponse {
    MemberResponse {
        member_id: left.member.member_id.to_string(),
        group_instance_id: left.member.instance_id.map(|text| text.to_string()),
        error_code: left.result.map_or_else(group_error, |()| ErrorCode::NONE).0,
    }
}
