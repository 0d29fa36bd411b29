//! DescribeGroups (15): groups of the classic protocol, with their members.

use duramen_wire::messages::describe_groups_request::DescribeGroupsRequest;
use duramen_wire::messages::describe_groups_response::{DescribeGroupsResponse, DescribedGroup, DescribedGroupMember};

use crate::coordinator::group::{Answer, DescribeRefused, Described, DescribedMember, Request};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, group_error};
use crate::kafka::groups::{Asking, ask_all, by_place, shared};
use crate::kafka::handlers::metadata::AuthorizedOperations;

/// The first version that says so when a group does not exist (KIP-1043); older ones are told of a dead group.
const GROUP_NOT_FOUND_VERSION_MIN: i16 = 6;

struct Answering {
    version: i16,
    response: DescribeGroupsResponse,
    /// By tag: where the groups of one partition stand.
    places: Vec<Vec<usize>>,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DescribeGroupsRequest = call.decode()?;
    let operations = AuthorizedOperations::GROUP.to_wire(request.include_authorized_operations);
    let mut answering = Answering {
        version: call.version,
        response: DescribeGroupsResponse::default(),
        places: Vec::new(),
    };
    let mut asked = Vec::new();
    for (place, indexes) in by_place(&call.context.image(), &request.groups) {
        let groups = indexes.iter().filter_map(|index| request.groups.get(*index));
        asked.push(Asking {
            tag: u32::try_from(answering.places.len()).unwrap_or(u32::MAX),
            place,
            request: Request::Describe(groups.map(|group| shared(group)).collect()),
        });
        answering.places.push(indexes);
    }
    let unanswered = request.groups.into_iter().map(|group_id| DescribedGroup {
        group_id,
        authorized_operations: operations,
        ..DescribedGroup::default()
    });
    answering.response.groups = unanswered.collect();
    ask_all(call, answering, asked, absorb, |call, answering| {
        call.respond(&answering.response)
    });
    Ok(())
}

fn absorb(answering: &mut Answering, tag: u32, answer: Answer) {
    let Answer::Describe(result) = answer else { return };
    let indexes = usize::try_from(tag).ok().and_then(|tag| answering.places.get(tag));
    let indexes = indexes.map(Vec::as_slice).unwrap_or_default();
    match result {
        Err(error) => {
            for index in indexes {
                if let Some(group) = answering.response.groups.get_mut(*index) {
                    refuse(group, group_error(error));
                }
            }
        }
        Ok(described) => {
            for (index, described) in indexes.iter().zip(described) {
                if let Some(group) = answering.response.groups.get_mut(*index) {
                    describe(group, described, answering.version);
                }
            }
        }
    }
}

fn refuse(group: &mut DescribedGroup, code: ErrorCode) {
    group.error_code = code.0;
    group.authorized_operations = AuthorizedOperations::GROUP.to_wire(false);
}

fn describe(group: &mut DescribedGroup, described: Result<Described, DescribeRefused>, version: i16) {
    let described = match described {
        Ok(described) => described,
        Err(refused) => {
            group.group_state = "Dead".to_owned();
            if version >= GROUP_NOT_FOUND_VERSION_MIN {
                refuse(group, ErrorCode::GROUP_ID_NOT_FOUND);
                let id = &group.group_id;
                group.error_message = Some(match refused {
                    DescribeRefused::NotFound => format!("Group {id} not found."),
                    DescribeRefused::OtherProtocol => format!("Group {id} is not a classic group."),
                });
            }
            return;
        }
    };
    let text = |text: Option<std::sync::Arc<str>>| text.map(|text| text.to_string()).unwrap_or_default();
    group.group_state = described.state.to_owned();
    group.protocol_type = text(described.protocol_type);
    group.protocol_data = text(described.protocol);
    group.members = described.members.into_iter().map(member).collect();
}

fn member(member: DescribedMember) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: member.member_id.to_string(),
        group_instance_id: member.instance_id.map(|text| text.to_string()),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    }
}
