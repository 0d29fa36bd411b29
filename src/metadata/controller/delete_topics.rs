//! DeleteTopics. Kafka: `ControllerApis.deleteTopics`, `ReplicationControlManager.deleteTopics`.

use std::collections::BTreeMap;

use duramen_wire::messages::delete_topics_request::DeleteTopicState;
use duramen_wire::messages::metadata::RemoveTopicRecord;

use crate::base::ids::TopicId;
use crate::metadata::image::MetadataImage;

use super::Decision;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTopic {
    pub name: String,
    pub id: TopicId,
}

/// Why a topic is not deleted; the text is Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeleteTopicError {
    #[error("You may not specify both topic name and topic id.")]
    NameAndId,
    #[error("Neither topic name nor id were specified.")]
    NeitherNameNorId,
    #[error("Duplicate topic name.")]
    NamedTwice,
    #[error("Duplicate topic id.")]
    IdTwice,
    /// The same topic by its name and by its id.
    #[error("The provided topic name maps to an ID that was already supplied.")]
    NameAndIdOfOne,
    #[error("This server does not host this topic-partition.")]
    UnknownName,
    #[error("This server does not host this topic ID.")]
    UnknownId,
}

/// Decides on each topic by itself, in the order of the request. A topic that is asked for twice is not deleted.
pub fn delete_topics(
    image: &MetadataImage,
    topics: &[DeleteTopicState],
) -> Decision<Vec<Result<DeletedTopic, DeleteTopicError>>> {
    let mut asked = BTreeMap::new();
    for topic in topics {
        *asked.entry((topic.name.as_deref(), topic.topic_id)).or_insert(0_u32) += 1;
    }
    let times = |topic: &DeleteTopicState| {
        asked
            .get(&(topic.name.as_deref(), topic.topic_id))
            .copied()
            .unwrap_or(0)
    };
    let mut records = Vec::new();
    let mut response = Vec::new();
    for topic in topics {
        let found = find(image, topic, times(topic) > 1).and_then(|deleted| {
            let other = match topic.name {
                Some(_) => (None, deleted.id.0),
                None => (Some(deleted.name.as_str()), TopicId::ZERO.0),
            };
            if asked.contains_key(&other) {
                Err(DeleteTopicError::NameAndIdOfOne)
            } else {
                Ok(deleted)
            }
        });
        if let Ok(deleted) = &found {
            records.push(RemoveTopicRecord { topic_id: deleted.id.0 }.into());
        }
        response.push(found);
    }
    Decision { records, response }
}

fn find(image: &MetadataImage, topic: &DeleteTopicState, is_twice: bool) -> Result<DeletedTopic, DeleteTopicError> {
    let id = TopicId(topic.topic_id);
    let found = match (&topic.name, id.is_zero()) {
        (Some(_), false) => return Err(DeleteTopicError::NameAndId),
        (None, true) => return Err(DeleteTopicError::NeitherNameNorId),
        (Some(_), true) if is_twice => return Err(DeleteTopicError::NamedTwice),
        (None, false) if is_twice => return Err(DeleteTopicError::IdTwice),
        (Some(name), true) => image.topic_by_name(name).ok_or(DeleteTopicError::UnknownName)?,
        (None, false) => image.topic(id).ok_or(DeleteTopicError::UnknownId)?,
    };
    Ok(DeletedTopic {
        name: found.name.as_ref().to_owned(),
        id: found.id,
    })
}
