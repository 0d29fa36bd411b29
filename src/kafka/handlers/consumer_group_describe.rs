//! ConsumerGroupDescribe (69): groups of the consumer protocol, with what each member has and is to have.

use std::sync::Arc;

use duramen_wire::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use duramen_wire::messages::consumer_group_describe_response::{
    Assignment as AnsweredAssignment, ConsumerGroupDescribeResponse, DescribedGroup, Member, TopicPartitions,
};

use crate::coordinator::group::consumer::{Described, DescribedMember, Partitions};
use crate::coordinator::group::{Answer, DescribeRefused, GroupError, Request};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, group_error};
use crate::kafka::groups::{Asking, ask_all, by_place, shared};
use crate::kafka::handlers::consumer_group_heartbeat::is_served;
use crate::kafka::handlers::metadata::AuthorizedOperations;
use crate::metadata::MetadataImage;

/// What members of either protocol are called, since version 1.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

struct Answering {
    image: Arc<MetadataImage>,
    response: ConsumerGroupDescribeResponse,
    /// By tag: where the groups of one partition stand.
    places: Vec<Vec<usize>>,
    authorized_operations: i32,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: ConsumerGroupDescribeRequest = call.decode()?;
    let unanswered = |group_id: String| DescribedGroup {
        group_id,
        authorized_operations: AuthorizedOperations::GROUP.to_wire(false),
        ..DescribedGroup::default()
    };
    let groups: Vec<DescribedGroup> = request.group_ids.iter().cloned().map(unanswered).collect();
    let mut answering = Answering {
        image: call.context.image(),
        response: ConsumerGroupDescribeResponse {
            groups,
            ..ConsumerGroupDescribeResponse::default()
        },
        places: Vec::new(),
        authorized_operations: AuthorizedOperations::GROUP.to_wire(request.include_authorized_operations),
    };
    if !is_served(&call) {
        for group in &mut answering.response.groups {
            group.error_code = ErrorCode::UNSUPPORTED_VERSION.0;
        }
        call.respond(&answering.response);
        return Ok(());
    }
    let mut asked = Vec::new();
    for (place, indexes) in by_place(&answering.image, &request.group_ids) {
        let groups = indexes.iter().filter_map(|index| request.group_ids.get(*index));
        asked.push(Asking {
            tag: u32::try_from(answering.places.len()).unwrap_or(u32::MAX),
            place,
            request: Request::DescribeConsumers(groups.map(|group| shared(group)).collect()),
        });
        answering.places.push(indexes);
    }
    ask_all(call, answering, asked, absorb, |call, answering| {
        call.respond(&answering.response);
    });
    Ok(())
}

fn absorb(answering: &mut Answering, tag: u32, answer: Answer) {
    let Answer::DescribeConsumers(result) = answer else {
        return;
    };
    let Answering {
        image,
        response,
        places,
        authorized_operations,
    } = answering;
    let indexes = usize::try_from(tag).ok().and_then(|tag| places.get(tag));
    let indexes = indexes.map(Vec::as_slice).unwrap_or_default();
    let mut described = result.map(Vec::into_iter);
    for index in indexes {
        let Some(group) = response.groups.get_mut(*index) else {
            continue;
        };
        match &mut described {
            Err(error) => refuse_all(group, *error),
            Ok(described) => match described.next() {
                Some(Ok(described)) => {
                    group.authorized_operations = *authorized_operations;
                    describe(group, described, image);
                }
                Some(Err(refused)) => refuse(group, refused),
                None => {}
            },
        }
    }
}

fn refuse_all(group: &mut DescribedGroup, error: GroupError) {
    group.error_code = match group.group_id.is_empty() {
        true => ErrorCode::INVALID_GROUP_ID.0,
        false => group_error(error).0,
    };
}

fn refuse(group: &mut DescribedGroup, refused: DescribeRefused) {
    if group.group_id.is_empty() {
        group.error_code = ErrorCode::INVALID_GROUP_ID.0;
        return;
    }
    group.error_code = ErrorCode::GROUP_ID_NOT_FOUND.0;
    group.error_message = Some(match refused {
        DescribeRefused::NotFound => format!("Group {} not found.", group.group_id),
        DescribeRefused::OtherProtocol => format!("Group {} is not a consumer group.", group.group_id),
    });
}

fn describe(group: &mut DescribedGroup, described: Described, image: &MetadataImage) {
    described.state.clone_into(&mut group.group_state);
    group.group_epoch = described.epoch;
    group.assignment_epoch = described.target_epoch;
    described.assignor.clone_into(&mut group.assignor_name);
    let members = described.members.iter();
    group.members = members.map(|described| member(described, image)).collect();
}

fn member(described: &DescribedMember, image: &MetadataImage) -> Member {
    let text = |text: &Arc<str>| text.to_string();
    let DescribedMember { id, member, target } = described;
    Member {
        member_id: id.to_string(),
        instance_id: member.instance_id.as_ref().map(text),
        rack_id: member.rack_id.as_ref().map(text),
        member_epoch: member.current.epoch,
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        subscribed_topic_names: member.subscribed_names.iter().map(text).collect(),
        subscribed_topic_regex: member.subscribed_regex.as_ref().map(text),
        assignment: assignment(&member.current.assigned, image),
        target_assignment: assignment(target, image),
        member_type: match member.classic {
            Some(_) => CLASSIC_MEMBER,
            None => CONSUMER_MEMBER,
        },
    }
}

/// Topics that are gone have no names, and are not told.
fn assignment<T>(partitions: &Partitions<T>, image: &MetadataImage) -> AnsweredAssignment {
    let topics = partitions.topics().filter_map(|(id, partitions)| {
        Some(TopicPartitions {
            topic_id: id.0,
            topic_name: image.topic(id)?.name.to_string(),
            partitions: partitions.keys().copied().collect(),
        })
    });
    AnsweredAssignment {
        topic_partitions: topics.collect(),
    }
}
