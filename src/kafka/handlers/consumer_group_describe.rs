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
use crate::kafka::groups::{ask_all, ask_in_parts, hand_out};
use crate::kafka::handlers::consumer_group_heartbeat::is_served;
use crate::kafka::handlers::metadata::AuthorizedOperations;
use crate::metadata::MetadataImage;

/// What members of either protocol are called, since version 1.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

/// What a coordinator said of a group.
type Found = Result<Result<Described, DescribeRefused>, GroupError>;

/// An answer in the making.
struct Answering {
    image: Arc<MetadataImage>,
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
    let request: ConsumerGroupDescribeRequest = call.decode()?;
    if !is_served(&call) {
        let refused = request.group_ids.into_iter().map(|group_id| DescribedGroup {
            error_code: ErrorCode::UNSUPPORTED_VERSION.0,
            ..unanswered(group_id)
        });
        call.respond(&ConsumerGroupDescribeResponse {
            groups: refused.collect(),
            ..ConsumerGroupDescribeResponse::default()
        });
        return Ok(());
    }
    let image = call.context.image();
    let (asked, places) = ask_in_parts(&image, &request.group_ids, Request::DescribeConsumers);
    let answering = Answering {
        image,
        groups: request.group_ids.into_iter().map(|group_id| (group_id, None)).collect(),
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
    let Answer::DescribeConsumers(result) = answer else {
        return;
    };
    hand_out(&mut answering.groups, &answering.places, tag, result);
}

/// About how much a group makes to tell: its members, and the partitions that they have and are to have.
fn rows_of(found: Option<&Found>) -> usize {
    let Some(Ok(Ok(described))) = found else { return 1 };
    let rows = |member: &DescribedMember| 1 + member.member.current.assigned.len() + member.target.len();
    1 + described.members.iter().map(rows).sum::<usize>()
}

impl Answering {
    fn into_response(self) -> ConsumerGroupDescribeResponse {
        let Self {
            image,
            groups,
            authorized_operations,
            ..
        } = self;
        let groups = groups.into_iter().map(|(group_id, found)| {
            let mut group = unanswered(group_id);
            match found {
                None => {}
                Some(Err(error)) => refuse_all(&mut group, error),
                Some(Ok(Err(refused))) => refuse(&mut group, refused),
                Some(Ok(Ok(described))) => {
                    group.authorized_operations = authorized_operations;
                    describe(&mut group, described, &image);
                }
            }
            group
        });
        ConsumerGroupDescribeResponse {
            groups: groups.collect(),
            ..ConsumerGroupDescribeResponse::default()
        }
    }
}

fn unanswered(group_id: String) -> DescribedGroup {
    DescribedGroup {
        group_id,
        authorized_operations: AuthorizedOperations::GROUP.to_wire(false),
        ..DescribedGroup::default()
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
