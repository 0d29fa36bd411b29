//! OffsetDelete (47).

use duramen_wire::messages::offset_delete_request::OffsetDeleteRequest;
use duramen_wire::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use std::sync::Arc;

use crate::coordinator::group::{Answer, DeleteOffsets, OffsetToDelete, Request};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, group_error};
use crate::kafka::gather::Places;
use crate::kafka::groups::{ask, shared};

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: OffsetDeleteRequest = call.decode()?;
    let image = call.context.image();
    let mut response = OffsetDeleteResponse::default();
    let mut places = Places::default();
    let mut offsets = Vec::new();
    for (topic_index, asked) in request.topics.into_iter().enumerate() {
        let topic = image.topic_by_name(&asked.name);
        let mut answers = Vec::with_capacity(asked.partitions.len());
        for (place, partition) in asked.partitions.iter().enumerate() {
            let index = partition.partition_index;
            let topic = topic.filter(|topic| topic.partition(index).is_some());
            if let Some(topic) = topic {
                offsets.push(OffsetToDelete {
                    tag: places.add(topic_index, place),
                    topic: Arc::clone(&topic.name),
                    partition: index,
                });
            }
            let code = match topic {
                Some(_) => ErrorCode::NONE,
                None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            answers.push(OffsetDeleteResponsePartition {
                partition_index: index,
                error_code: code.0,
            });
        }
        response.topics.push(OffsetDeleteResponseTopic {
            name: asked.name,
            partitions: answers,
        });
    }
    let delete = DeleteOffsets {
        group: shared(&request.group_id),
        offsets,
    };
    let (asked, answering) = (Request::DeleteOffsets(delete), (response, places));
    ask(
        call,
        &request.group_id,
        asked,
        answering,
        |call, (mut response, places), answer| {
            let Answer::DeleteOffsets(result) = answer else { return };
            match result {
                Ok(subscribed) => {
                    for tag in subscribed {
                        let topics = &mut response.topics;
                        if let Some(answer) = places.answer(tag, topics, |topic| &mut topic.partitions) {
                            answer.error_code = ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC.0;
                        }
                    }
                }
                Err(error) => {
                    response.error_code = group_error(error).0;
                    response.topics.clear();
                }
            }
            call.respond(&response);
        },
    );
    Ok(())
}
