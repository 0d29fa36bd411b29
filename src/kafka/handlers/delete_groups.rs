//! DeleteGroups (42).

use std::collections::{BTreeMap, BTreeSet};

use duramen_wire::messages::delete_groups_request::DeleteGroupsRequest;
use duramen_wire::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};

use crate::coordinator::group::{Answer, Request};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, group_error};
use crate::kafka::groups::{ask_all, ask_in_parts};

/// An answer in the making.
struct Answering {
    /// The groups in the order of the request.
    names: Vec<String>,
    /// Each of them once.
    distinct: Vec<String>,
    /// By name; those that nothing is known of yet are not in it.
    codes: BTreeMap<String, ErrorCode>,
    /// By tag: where the groups that are asked for together stand among the distinct ones.
    places: Vec<Vec<usize>>,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DeleteGroupsRequest = call.decode()?;
    let names = request.groups_names;
    let distinct: BTreeSet<&String> = names.iter().collect();
    let distinct: Vec<String> = distinct.into_iter().cloned().collect();
    let (asked, places) = ask_in_parts(&call.context.image(), &distinct, Request::Delete);
    let answering = Answering {
        names,
        distinct,
        codes: BTreeMap::new(),
        places,
    };
    ask_all(call, answering, asked, absorb, finish);
    Ok(())
}

fn absorb(answering: &mut Answering, tag: u32, answer: Answer) {
    let Answer::Delete(results) = answer else { return };
    let indexes = usize::try_from(tag).ok().and_then(|tag| answering.places.get(tag));
    for (index, result) in indexes.into_iter().flatten().zip(results) {
        if let Some(name) = answering.distinct.get(*index) {
            let code = result.map_or_else(group_error, |()| ErrorCode::NONE);
            answering.codes.insert(name.clone(), code);
        }
    }
}

fn finish(call: Call, answering: Answering) {
    let Answering { names, codes, .. } = answering;
    call.respond_rows(names.len(), move || {
        let results = names.into_iter().map(|group_id| DeletableGroupResult {
            error_code: codes
                .get(&group_id)
                .copied()
                .unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR)
                .0,
            group_id,
        });
        DeleteGroupsResponse {
            results: results.collect(),
            ..DeleteGroupsResponse::default()
        }
    });
}
