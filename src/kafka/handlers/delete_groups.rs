//! DeleteGroups (42).

use duramen_wire::messages::delete_groups_request::DeleteGroupsRequest;
use duramen_wire::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};

use crate::coordinator::group::{Answer, Request};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, group_error};
use crate::kafka::groups::{Asking, ask_all, by_place, shared};

struct Answering {
    response: DeleteGroupsResponse,
    /// By tag: where the groups of one partition stand.
    places: Vec<Vec<usize>>,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DeleteGroupsRequest = call.decode()?;
    let mut asked = Vec::new();
    let mut places = Vec::new();
    for (place, indexes) in by_place(&call.context.image(), &request.groups_names) {
        let groups = indexes.iter().filter_map(|index| request.groups_names.get(*index));
        asked.push(Asking {
            tag: u32::try_from(places.len()).unwrap_or(u32::MAX),
            place,
            request: Request::Delete(groups.map(|group| shared(group)).collect()),
        });
        places.push(indexes);
    }
    let unanswered = request.groups_names.into_iter().map(|group_id| DeletableGroupResult {
        group_id,
        ..DeletableGroupResult::default()
    });
    let response = DeleteGroupsResponse {
        results: unanswered.collect(),
        ..DeleteGroupsResponse::default()
    };
    ask_all(
        call,
        Answering { response, places },
        asked,
        absorb,
        |call, answering| {
            call.respond(&answering.response);
        },
    );
    Ok(())
}

fn absorb(answering: &mut Answering, tag: u32, answer: Answer) {
    let Answer::Delete(results) = answer else { return };
    let indexes = usize::try_from(tag).ok().and_then(|tag| answering.places.get(tag));
    for (index, result) in indexes.into_iter().flatten().zip(results) {
        if let Some(deleted) = answering.response.results.get_mut(*index) {
            deleted.error_code = result.map_or_else(group_error, |()| ErrorCode::NONE).0;
        }
    }
}
