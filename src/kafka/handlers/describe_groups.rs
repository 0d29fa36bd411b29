//! DescribeGroups (15): groups of the classic protocol, with their members.

use duramen_wire::messages::describe_groups_request::DescribeGroupsRequest;
use duramen_wire::messages::describe_groups_response::{DescribeGroupsResponse, DescribedGroup, DescribedGroupMember};

use crate::coordinator::group::{Answer, DescribeRefused, Described, DescribedMember, GroupError, Request};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, group_error};
use crate::kafka::groups::{ask_all, ask_in_parts, hand_out};
use crate::kafka::handlers::metadata::AuthorizedOperations;

/// The first version that says so when a group does not exist (KIP-1043); older ones are told of a dead group.
const GROUP_NOT_FOUND_VERSION_MIN: i16 = 6;

/// What a coordinator said of a group.
type Found = Result<Result<Described, DescribeRefused>, GroupError>;

/// An answer in the making.
struct Answering {
    version: i16,
    /// The groups in the order of the request, each with what is known of it.
    groups: Vec<(String, Option<Found>)>,
    /// By tag: where the groups that are asked for together stand.
    places: Vec<Vec<usize>>,
    authorized_operations: i32,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DescribeGroupsRequest = call.decode()?;
    let (asked, places) = ask_in_parts(&call.context.image(), &request.groups, Request::Describe);
    let answering = Answering {
        version: call.version,
        groups: request.groups.into_iter().map(|group_id| (group_id, None)).collect(),
        places,
        authorized_operations: AuthorizedOperations::GROUP.to_wire(request.include_authorized_operations),
    };
    ask_all(call, answering, asked, absorb, |call, answering| {
        let rows = answering.groups.iter().map(|(_, found)| rows_of(found.as_ref())).sum();
        call.respond_rows(rows, move || answering.into_response());
    });
    Ok(())
}

fn absorb(answering: &mut Answering, tag: u32, answer: Answer) {
    let Answer::Describe(result) = answer else { return };
    hand_out(&mut answering.groups, &answering.places, tag, result);
}

/// About how much a group makes to tell.
fn rows_of(found: Option<&Found>) -> usize {
    match found {
        Some(Ok(Ok(described))) => 1 + described.members.len(),
        Some(Ok(Err(_)) | Err(_)) | None => 1,
    }
}

impl Answering {
    fn into_response(self) -> DescribeGroupsResponse {
        let Self {
            version,
            groups,
            authorized_operations,
            ..
        } = self;
        let groups = groups.into_iter().map(|(group_id, found)| {
            let mut group = DescribedGroup {
                group_id,
                authorized_operations,
                ..DescribedGroup::default()
            };
            match found {
                None => {}
                Some(Err(error)) => refuse(&mut group, group_error(error)),
                Some(Ok(found)) => describe(&mut group, found, version),
            }
            group
        });
        DescribeGroupsResponse {
            groups: groups.collect(),
            ..DescribeGroupsResponse::default()
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
