//! ListGroups (16), of all partitions that keep groups.

use std::collections::BTreeSet;

use duramen_wire::messages::list_groups_request::ListGroupsRequest;
use duramen_wire::messages::list_groups_response::{ListGroupsResponse, ListedGroup};

use crate::coordinator::group::{Answer, GroupError, Listed, Request};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::group_error;
use crate::kafka::groups::{Asking, ask_all, places};

struct Answering {
    filter: Filter,
    /// Of each partition that keeps groups, or why one cannot tell.
    listed: Result<Vec<Vec<Listed>>, GroupError>,
}

/// What a client wants to see: an empty list is everything (KIP-518, KIP-848).
struct Filter {
    states: BTreeSet<String>,
    types: BTreeSet<String>,
}

fn wanted(names: &[impl AsRef<str>]) -> BTreeSet<String> {
    let lower_case = |name: &_| AsRef::<str>::as_ref(name).trim().to_ascii_lowercase();
    names.iter().map(lower_case).collect()
}

impl Filter {
    fn admits(&self, listed: &Listed) -> bool {
        let admits =
            |wanted: &BTreeSet<String>, name: &str| wanted.is_empty() || wanted.contains(&name.to_ascii_lowercase());
        admits(&self.states, listed.state) && admits(&self.types, listed.group_type)
    }
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: ListGroupsRequest = call.decode()?;
    let answering = Answering {
        filter: Filter {
            states: wanted(&request.states_filter),
            types: wanted(&request.types_filter),
        },
        listed: Ok(Vec::new()),
    };
    let mut places = places(&call.context.image());
    if let Some(core) = call.context.direct_core {
        places.retain(|place| call.context.shard.owner(*place) == core);
    }
    let asked = places.into_iter().map(|place| Asking {
        tag: 0,
        place: Some(place),
        request: Request::List,
    });
    let asked = asked.collect();
    ask_all(call, answering, asked, absorb, |call, answering| {
        let rows = answering.listed.iter().flatten().map(Vec::len).sum();
        call.respond_rows(rows, move || answering.into_response());
    });
    Ok(())
}

fn absorb(answering: &mut Answering, _: u32, answer: Answer) {
    let Answer::List(result) = answer else { return };
    match (result, &mut answering.listed) {
        // Whoever coordinates them lists them (Kafka: `GroupCoordinatorService.listGroups`).
        (Err(GroupError::NotCoordinator), _) | (Ok(_), Err(_)) => {}
        (Err(error), listed) => *listed = Err(error),
        (Ok(more), Ok(listed)) => listed.push(more),
    }
}

impl Answering {
    fn into_response(self) -> ListGroupsResponse {
        let listed = match self.listed {
            Ok(listed) => listed,
            Err(error) => {
                return ListGroupsResponse {
                    error_code: group_error(error).0,
                    ..ListGroupsResponse::default()
                };
            }
        };
        let admitted = listed.into_iter().flatten().filter(|listed| self.filter.admits(listed));
        let groups = admitted.map(|listed| ListedGroup {
            group_id: listed.group.to_string(),
            protocol_type: listed.protocol_type.map(|text| text.to_string()).unwrap_or_default(),
            group_state: listed.state.to_owned(),
            group_type: listed.group_type.to_owned(),
        });
        ListGroupsResponse {
            groups: groups.collect(),
            ..ListGroupsResponse::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_admit_by_name() {
        let listed = Listed {
            group: "g".into(),
            protocol_type: None,
            state: "PreparingRebalance",
            group_type: "classic",
        };
        for (states, types, expected) in [
            (&[][..], &[][..], true),
            (&["preparingrebalance"], &[], true),
            (&[" PreparingRebalance ", "x"], &["Classic"], true),
            (&["Stable"], &[], false),
            (&[], &["consumer"], false),
            (&["Stable"], &["classic"], false),
            (&[""], &[], false),
        ] {
            let filter = Filter {
                states: wanted(states),
                types: wanted(types),
            };
            assert_eq!(filter.admits(&listed), expected, "{states:?} {types:?}");
        }
    }
}
