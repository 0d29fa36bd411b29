//! Requests on their way to the coordinators of groups, and back.

use std::sync::Arc;

use crate::base::ids::{ShardId, TopicIdPartition};
use crate::base::limits::GROUPS_ASKED_AT_ONCE_MAX;
use crate::coordinator::group::GroupError;
use crate::coordinator::group::{Answer, OFFSETS_TOPIC, Request, partition_of};
use crate::kafka::call::Call;
use crate::kafka::gather::Gather;
use crate::metadata::MetadataImage;
use crate::shard::message::{ShardReply, ShardRequest};

/// The partition that keeps a group; `None` as long as there is no `__consumer_offsets`.
#[must_use]
pub fn place_of(image: &MetadataImage, group: &str) -> Option<TopicIdPartition> {
    let topic = image.topic_by_name(OFFSETS_TOPIC)?;
    let partitions = i32::try_from(topic.numbered().count()).unwrap_or(i32::MAX);
    Some(TopicIdPartition {
        topic_id: topic.id,
        partition: partition_of(group, partitions),
    })
}

/// All partitions that keep groups.
#[must_use]
pub fn places(image: &MetadataImage) -> Vec<TopicIdPartition> {
    let topic = image.topic_by_name(OFFSETS_TOPIC);
    let of_topic = topic.map(|topic| {
        let partitions = topic.numbered().map(|(partition, _)| TopicIdPartition {
            topic_id: topic.id,
            partition,
        });
        partitions.collect()
    });
    of_topic.unwrap_or_default()
}

/// What is asked of the coordinator of one group, or of several that one partition keeps.
pub struct Asking {
    /// The caller's own.
    pub tag: u32,
    /// `None` where nobody keeps the groups.
    pub place: Option<TopicIdPartition>,
    pub request: Request,
}

/// An answer in the making.
struct Collecting<T> {
    state: T,
    absorb: fn(&mut T, u32, Answer),
    finish: fn(Call, T),
}

/// Asks coordinators, of many with a turn for others between them; `absorb` takes each answer with its tag, `finish` is called once, after the last.
pub fn ask_all<T: 'static>(
    call: Call,
    mut state: T,
    asked: Vec<Asking>,
    absorb: fn(&mut T, u32, Answer),
    finish: fn(Call, T),
) {
    let mut requests: Vec<(ShardId, ShardRequest)> = Vec::with_capacity(asked.len());
    for Asking { tag, place, request } in asked {
        let Some(partition) = place else {
            absorb(&mut state, tag, request.refused(GroupError::NotCoordinator));
            continue;
        };
        let request = ShardRequest::Group {
            tag,
            partition,
            request,
        };
        requests.push((call.context.shard.owner(partition), request));
    }
    let collecting = Collecting { state, absorb, finish };
    Gather::start_in_turns(
        call,
        collecting,
        requests,
        |collecting, reply| {
            let ShardReply::Group { tag, answer } = reply else {
                let other_reply = true;
                crate::never!(other_reply);
                return;
            };
            (collecting.absorb)(&mut collecting.state, tag, answer);
        },
        |call, collecting| (collecting.finish)(call, collecting.state),
    );
}

/// One answer, and what to do with it.
struct Alone<T> {
    state: T,
    answer: Option<Answer>,
    finish: fn(Call, T, Answer),
}

/// Asks the coordinator of one group; `finish` gets its answer.
pub fn ask<T: 'static>(call: Call, group: &str, request: Request, state: T, finish: fn(Call, T, Answer)) {
    let place = place_of(&call.context.image(), group);
    let alone = Alone {
        state,
        answer: None,
        finish,
    };
    ask_all(
        call,
        alone,
        vec![Asking { tag: 0, place, request }],
        |alone, _, answer| alone.answer = Some(answer),
        |call, alone| {
            if let Some(answer) = alone.answer {
                (alone.finish)(call, alone.state, answer);
            }
        },
    );
}

/// Groups by the partition that keeps them, each with its place in the request.
#[must_use]
pub fn by_place(image: &MetadataImage, groups: &[String]) -> Vec<(Option<TopicIdPartition>, Vec<usize>)> {
    let mut places: Vec<(Option<TopicIdPartition>, Vec<usize>)> = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let place = place_of(image, group);
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, indexes)) => indexes.push(index),
            None => places.push((place, vec![index])),
        }
    }
    places
}

/// Asks for many groups, a few at a time: what is asked, and by tag where the groups stand in the request.
pub fn ask_in_parts(
    image: &MetadataImage,
    groups: &[String],
    request: fn(Vec<Arc<str>>) -> Request,
) -> (Vec<Asking>, Vec<Vec<usize>>) {
    let (mut asked, mut places) = (Vec::new(), Vec::new());
    for (place, indexes) in by_place(image, groups) {
        for part in indexes.chunks(GROUPS_ASKED_AT_ONCE_MAX) {
            let ids = part.iter().filter_map(|index| groups.get(*index));
            asked.push(Asking {
                tag: u32::try_from(places.len()).unwrap_or(u32::MAX),
                place,
                request: request(ids.map(|group| shared(group)).collect()),
            });
            places.push(part.to_vec());
        }
    }
    (asked, places)
}

/// Gives each group what the coordinator said of those that were asked for together with this tag; `places` are those of [`ask_in_parts`].
pub fn hand_out<T>(
    groups: &mut [(String, Option<Result<T, GroupError>>)],
    places: &[Vec<usize>],
    tag: u32,
    result: Result<Vec<T>, GroupError>,
) {
    let indexes = usize::try_from(tag).ok().and_then(|tag| places.get(tag));
    let mut said = result.map(Vec::into_iter);
    for index in indexes.into_iter().flatten() {
        let found = match &mut said {
            Err(error) => Some(Err(*error)),
            Ok(said) => said.next().map(Ok),
        };
        if let Some((_, place)) = groups.get_mut(*index) {
            *place = found;
        }
    }
}

/// A name as the coordinator holds it.
#[must_use]
pub fn shared(name: &str) -> Arc<str> {
    Arc::from(name)
}
