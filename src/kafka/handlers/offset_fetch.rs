//! OffsetFetch (9): of one group, since version 8 of several (KIP-709), since version 10 by topic id.

use duramen_wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use duramen_wire::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

use std::sync::Arc;

use crate::base::ids::TopicId;
use crate::coordinator::group::{Answer, FetchOffsets, FetchedOffset, FetchedTopic, GroupError, Request, Wanted};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, group_error};
use crate::kafka::groups::{Asking, ask_all, place_of, shared};
use crate::metadata::MetadataImage;

/// The first version that asks for several groups.
const GROUPS_VERSION_MIN: i16 = 8;

/// The first version with topic ids instead of names.
const TOPIC_IDS_VERSION_MIN: i16 = 10;

/// The first version with an error of the whole answer.
const ERROR_VERSION_MIN: i16 = 2;

struct Answering {
    image: Arc<MetadataImage>,
    version: i16,
    /// By tag.
    groups: Vec<Group>,
}

/// One group of the request.
#[derive(Default)]
struct Group {
    group_id: String,
    /// What is wanted of topics that do not exist, by id.
    unknown: Vec<OffsetFetchRequestTopics>,
    wanted: Option<Vec<OffsetFetchRequestTopics>>,
    /// What its coordinator said.
    told: Option<Result<Vec<FetchedTopic>, GroupError>>,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: OffsetFetchRequest = call.decode()?;
    let image = call.context.image();
    let by_id = call.version >= TOPIC_IDS_VERSION_MIN;
    let mut groups = Vec::new();
    let mut asked = Vec::new();
    for wanted in groups_of(request, call.version) {
        let (known, unknown) = resolve(&image, wanted.topics.as_deref(), by_id);
        asked.push(Asking {
            tag: u32::try_from(groups.len()).unwrap_or(u32::MAX),
            place: place_of(&image, &wanted.group_id),
            request: Request::FetchOffsets(FetchOffsets {
                group: shared(&wanted.group_id),
                member_id: wanted.member_id.as_deref().map(shared),
                member_epoch: wanted.member_epoch,
                wanted: known,
            }),
        });
        groups.push(Group {
            unknown,
            wanted: wanted.topics,
            group_id: wanted.group_id,
            told: None,
        });
    }
    let version = call.version;
    let answering = Answering { image, version, groups };
    ask_all(call, answering, asked, absorb, finish);
    Ok(())
}

/// The groups of a request, in the form of the latest version.
fn groups_of(request: OffsetFetchRequest, version: i16) -> Vec<OffsetFetchRequestGroup> {
    if version >= GROUPS_VERSION_MIN {
        return request.groups;
    }
    let topic = |topic: OffsetFetchRequestTopic| OffsetFetchRequestTopics {
        name: topic.name,
        partition_indexes: topic.partition_indexes,
        ..OffsetFetchRequestTopics::default()
    };
    vec![OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics: request.topics.map(|topics| topics.into_iter().map(topic).collect()),
        ..OffsetFetchRequestGroup::default()
    }]
}

type Resolved = (Option<Vec<Wanted>>, Vec<OffsetFetchRequestTopics>);

/// What the coordinator is asked for, and what is wanted of topics that do not exist. A name is not looked up: an offset may be there for
/// longer than its topic.
fn resolve(image: &MetadataImage, topics: Option<&[OffsetFetchRequestTopics]>, by_id: bool) -> Resolved {
    let Some(topics) = topics else {
        return (None, Vec::new());
    };
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for topic in topics {
        let name = match by_id {
            true => image
                .topic(TopicId(topic.topic_id))
                .map(|topic| Arc::clone(&topic.name)),
            false => Some(shared(&topic.name)),
        };
        match name {
            Some(name) => known.push(Wanted {
                topic: name,
                topic_id: TopicId(topic.topic_id),
                partitions: topic.partition_indexes.clone(),
            }),
            None => unknown.push(topic.clone()),
        }
    }
    (Some(known), unknown)
}

fn absorb(answering: &mut Answering, tag: u32, answer: Answer) {
    let Answer::FetchOffsets(result) = answer else { return };
    let group = usize::try_from(tag).ok().and_then(|tag| answering.groups.get_mut(tag));
    if let Some(group) = group {
        group.told = Some(result);
    }
}

fn finish(call: Call, answering: Answering) {
    let told = answering.groups.iter().flat_map(|group| group.told.iter().flatten());
    let topics = told.flatten().map(|topic| 1 + topic.partitions.len());
    call.respond_rows(topics.sum(), move || answering.into_response());
}

impl Answering {
    fn into_response(self) -> OffsetFetchResponse {
        let Self { image, version, groups } = self;
        let mut groups = groups.into_iter();
        if version < GROUPS_VERSION_MIN {
            // There is one.
            return groups.next().unwrap_or_default().into_old_response(&image, version);
        }
        OffsetFetchResponse {
            groups: groups.map(|group| group.into_answer(&image, version)).collect(),
            ..OffsetFetchResponse::default()
        }
    }
}

impl Group {
    fn into_answer(self, image: &MetadataImage, version: i16) -> OffsetFetchResponseGroup {
        let mut answer = OffsetFetchResponseGroup {
            group_id: self.group_id,
            ..OffsetFetchResponseGroup::default()
        };
        match self.told {
            Some(Ok(topics)) => {
                let by_id = version >= TOPIC_IDS_VERSION_MIN;
                let fetched = topics.into_iter().filter_map(|topic| fetched(image, topic, by_id));
                let unknown = self.unknown.iter();
                let unknown = unknown.map(|topic| none_of(topic, ErrorCode::UNKNOWN_TOPIC_ID));
                answer.topics = fetched.chain(unknown).collect();
            }
            Some(Err(error)) => answer.error_code = refusal(error).0,
            None => {}
        }
        answer
    }

    /// The answer to a request for one group.
    fn into_old_response(mut self, image: &MetadataImage, version: i16) -> OffsetFetchResponse {
        let wanted = self.wanted.take().unwrap_or_default();
        let mut answer = self.into_answer(image, version);
        if answer.error_code != 0 && version < ERROR_VERSION_MIN {
            let code = ErrorCode(answer.error_code);
            answer.topics = wanted.iter().map(|topic| none_of(topic, code)).collect();
        }
        let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
            partition_index: partition.partition_index,
            committed_offset: partition.committed_offset,
            committed_leader_epoch: partition.committed_leader_epoch,
            metadata: partition.metadata,
            error_code: partition.error_code,
        };
        let topics = answer.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
            name: topic.name,
            partitions: topic.partitions.into_iter().map(partition).collect(),
        });
        OffsetFetchResponse {
            error_code: answer.error_code,
            topics: topics.collect(),
            ..OffsetFetchResponse::default()
        }
    }
}

/// Older consumers know no other code after which they look for the coordinator again (Kafka:
/// `GroupCoordinatorService.handleOffsetFetchException`).
fn refusal(error: GroupError) -> ErrorCode {
    match error == GroupError::NotAvailable {
        true => ErrorCode::NOT_COORDINATOR,
        false => group_error(error),
    }
}

/// A topic as it is answered; `None` when a client that knows topics by id cannot be told of it.
fn fetched(image: &MetadataImage, topic: FetchedTopic, by_id: bool) -> Option<OffsetFetchResponseTopics> {
    let partition = |fetched: FetchedOffset| OffsetFetchResponsePartitions {
        partition_index: fetched.partition,
        committed_offset: fetched.offset.0,
        committed_leader_epoch: fetched.leader_epoch.0,
        metadata: Some(fetched.metadata),
        error_code: ErrorCode::NONE.0,
    };
    let topic_id = match by_id {
        false => TopicId::ZERO,
        true if topic.topic_id.is_zero() => image.topic_by_name(&topic.topic)?.id,
        true => topic.topic_id,
    };
    Some(OffsetFetchResponseTopics {
        name: match by_id {
            true => String::new(),
            false => topic.topic.to_string(),
        },
        topic_id: topic_id.0,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    })
}

fn none_of(topic: &OffsetFetchRequestTopics, code: ErrorCode) -> OffsetFetchResponseTopics {
    let none = |&partition_index: &i32| OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(String::new()),
        error_code: code.0,
    };
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(none).collect(),
    }
}
