//! Produce (0): batches to the cores that own their partitions, in the order in which they came.

use duramen_wire::borrowed;
use duramen_wire::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};

use crate::base::ids::{TopicId, TopicIdPartition};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal, append_error};
use crate::kafka::gather::{ByCore, Gather};
use crate::kafka::handlers::metadata;
use crate::metadata::{MetadataImage, Topic};
use crate::partition::types::{Append, AppendError, Appended};
use crate::shard::message::{AckWhen, Answer, Asked, ShardReply, ShardRequest};

/// The first version with topic ids instead of names (KIP-516).
const TOPIC_IDS_VERSION_MIN: i16 = 13;
/// The first version in which batches may be compressed with zstd (KIP-110).
const ZSTD_VERSION_MIN: i16 = 7;

/// Who waits for how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Acks {
    /// No answer at all.
    None,
    Leader,
    All,
}

impl Acks {
    fn from_wire(acks: i16) -> Option<Self> {
        match acks {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            -1 => Some(Self::All),
            _ => None,
        }
    }
}

/// The answer in the making: every partition in its place, and where the partition of each tag stands.
struct Answering {
    acks: Acks,
    response: ProduceResponse,
    places: Vec<Place>,
}

struct Place {
    topic: usize,
    partition: usize,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let body = call.body.clone();
    let mut reader = call.reader();
    let request =
        borrowed::ProduceRequest::decode(&mut reader, call.version).map_err(|source| call.malformed(source))?;
    let image = call.context.image();
    let acks = Acks::from_wire(request.acks);
    let mut answering = Answering {
        acks: acks.unwrap_or(Acks::Leader),
        response: ProduceResponse::default(),
        places: Vec::new(),
    };
    let mut by_core = ByCore::new();
    for (topic_index, data) in request.topic_data.iter().enumerate() {
        let topic = find_topic(&image, data, call.version);
        let mut topic_response = TopicProduceResponse {
            name: data.name.to_owned(),
            topic_id: data.topic_id,
            ..TopicProduceResponse::default()
        };
        for (partition_index, partition) in data.partition_data.iter().enumerate() {
            let admitted = match acks {
                None => Err(Refusal::of(ErrorCode::INVALID_REQUIRED_ACKS)),
                Some(_) => admit(&call, topic.clone(), partition.index),
            };
            let mut answer = PartitionProduceResponse {
                index: partition.index,
                ..unappended()
            };
            match admitted {
                Err(refusal) => refuse(&mut answer, refusal),
                Ok(id) => {
                    let batch = partition
                        .records
                        .map_or_else(bytes::Bytes::new, |records| body.slice_ref(records));
                    let tag = u32::try_from(answering.places.len()).unwrap_or(u32::MAX);
                    answering.places.push(Place {
                        topic: topic_index,
                        partition: partition_index,
                    });
                    let what = Append {
                        batch,
                        source: call.peer.source,
                        zstd_allowed: call.version >= ZSTD_VERSION_MIN,
                    };
                    by_core.add(
                        call.context.shard.owner(id),
                        Asked {
                            tag,
                            partition: id,
                            what,
                        },
                    );
                }
            }
            topic_response.partition_responses.push(answer);
        }
        answering.response.responses.push(topic_response);
    }
    let ack_when = if answering.acks == Acks::All {
        AckWhen::Durable
    } else {
        AckWhen::Appended
    };
    let requests = by_core.into_requests(move |items| ShardRequest::Append { ack_when, items });
    Gather::start(call, answering, requests, absorb, finish);
    Ok(())
}

fn find_topic<'a>(
    image: &'a MetadataImage,
    data: &borrowed::produce_request::TopicProduceData<'_>,
    version: i16,
) -> Result<&'a Topic, Refusal> {
    if version >= TOPIC_IDS_VERSION_MIN {
        image
            .topic(TopicId(data.topic_id))
            .map(|topic| &**topic)
            .ok_or(Refusal::of(ErrorCode::UNKNOWN_TOPIC_ID))
    } else {
        image
            .topic_by_name(data.name)
            .map(|topic| &**topic)
            .ok_or(Refusal::of(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
    }
}

/// Whether a batch may go to a partition: it exists, and the topic is one that clients may write to.
fn admit(call: &Call, topic: Result<&Topic, Refusal>, partition: i32) -> Result<TopicIdPartition, Refusal> {
    let topic = topic?;
    if metadata::is_internal(&topic.name) && call.client_id != metadata::ADMIN_CLIENT_ID {
        return Err(Refusal::of(ErrorCode::INVALID_TOPIC_EXCEPTION));
    }
    match topic.partition(partition) {
        Some(_) => Ok(TopicIdPartition {
            topic_id: topic.id,
            partition,
        }),
        None => Err(Refusal::of(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
    }
}

/// A partition's answer before anything is known of it.
fn unappended() -> PartitionProduceResponse {
    PartitionProduceResponse {
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        ..PartitionProduceResponse::default()
    }
}

fn refuse(answer: &mut PartitionProduceResponse, refusal: Refusal) {
    answer.error_code = refusal.code.0;
    answer.error_message = refusal.message;
    answer.record_errors = refusal
        .record_errors
        .into_iter()
        .map(|(batch_index, message)| BatchIndexAndErrorMessage {
            batch_index,
            batch_index_error_message: Some(message),
        })
        .collect();
}

fn absorb(answering: &mut Answering, reply: ShardReply) {
    let ShardReply::Append(answers) = reply else {
        let other_reply = true;
        crate::never!(other_reply);
        return;
    };
    for Answer { tag, result } in answers {
        let Some(place) = answering.places.get(tag as usize) else {
            continue;
        };
        let topics = &mut answering.response.responses;
        let answer = topics
            .get_mut(place.topic)
            .and_then(|topic| topic.partition_responses.get_mut(place.partition));
        if let Some(answer) = answer {
            settle(answer, result);
        }
    }
}

fn settle(answer: &mut PartitionProduceResponse, result: Result<Appended, AppendError>) {
    match result {
        Ok(appended) => {
            answer.base_offset = appended.base_offset.0;
            answer.log_append_time_ms = appended.log_append_time.0;
            answer.log_start_offset = appended.log_start_offset.0;
        }
        Err(error) => refuse(answer, append_error(error)),
    }
}

fn finish(call: Call, answering: Answering) {
    let Answering { acks, response, .. } = answering;
    let codes = || {
        response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses)
            .map(|answer| answer.error_code)
    };
    if acks == Acks::None {
        // There is no answer that could carry an error; closing makes the client look up the metadata again.
        match codes().any(|code| code != ErrorCode::NONE.0) {
            true => call.close(),
            false => call.finish_silently(),
        }
        return;
    }
    call.respond(&response);
}
