//! CreatePartitions (KIP-195). Kafka: `ReplicationControlManager.createPartitions`, `ControllerApis.createPartitions`.

use std::collections::BTreeMap;

use duramen_wire::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use duramen_wire::messages::metadata::MetadataRecord;

use crate::base::limits::PARTITIONS_PER_REQUEST_MAX;
use crate::metadata::image::{MetadataImage, Topic};

use super::Decision;
use super::assignment::{AssignmentError, check_replicas};
use super::create_topics::{Partitions, partition_records, serving, with_isr};
use super::place::{PlaceError, place};

/// Why a topic gets no more partitions; the text is Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreatePartitionsError {
    #[error("Duplicate topic name.")]
    NamedTwice,
    #[error("This server does not host this topic-partition.")]
    UnknownTopic,
    #[error("Topic already has {0} partition(s).")]
    AlreadySo(usize),
    #[error("The topic {name} currently has {has} partition(s); {asked} would not be an increase.")]
    Fewer { name: String, has: usize, asked: i32 },
    /// Kafka breaks here; the text is that of CreateTopics.
    #[error("Excessively large number of partitions per request.")]
    TooMany,
    #[error("Attempted to add {added} additional partition(s), but only {assigned} assignment(s) were specified.")]
    AssignmentCount { added: usize, assigned: usize },
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    #[error("Unable to replicate the partition {replication_factor} time(s): {reason}")]
    Place {
        replication_factor: usize,
        reason: PlaceError,
    },
}

/// Decides on each topic by itself. In the response they stand in the order of the request.
pub fn create_partitions(
    image: &MetadataImage,
    topics: &[CreatePartitionsTopic],
) -> Decision<Vec<Result<(), CreatePartitionsError>>> {
    let mut names = BTreeMap::new();
    for topic in topics {
        *names.entry(topic.name.as_str()).or_insert(0_u32) += 1;
    }
    let mut records = Vec::new();
    let mut room = usize::try_from(PARTITIONS_PER_REQUEST_MAX).unwrap_or(usize::MAX);
    let response = topics.iter().map(|topic| {
        if names.get(topic.name.as_str()) != Some(&1) {
            return Err(CreatePartitionsError::NamedTwice);
        }
        let added = add_partitions(image, topic, room)?;
        room = room.saturating_sub(added.len());
        records.extend(added);
        Ok(())
    });
    let response = response.collect();
    Decision { records, response }
}

/// The records of the partitions that are added; no more than `room`.
fn add_partitions(
    image: &MetadataImage,
    asked: &CreatePartitionsTopic,
    room: usize,
) -> Result<Vec<MetadataRecord>, CreatePartitionsError> {
    let topic = image.topic_by_name(&asked.name);
    let topic = topic.ok_or(CreatePartitionsError::UnknownTopic)?;
    let has = topic.partitions.len();
    let wanted = usize::try_from(asked.count).unwrap_or(0);
    if wanted == has {
        return Err(CreatePartitionsError::AlreadySo(has));
    }
    let added = wanted.checked_sub(has).ok_or_else(|| CreatePartitionsError::Fewer {
        name: asked.name.clone(),
        has,
        asked: asked.count,
    })?;
    if added > room {
        return Err(CreatePartitionsError::TooMany);
    }
    let partitions = match &asked.assignments {
        Some(assignments) => assigned(image, topic, assignments, added)?,
        None => placed(image, topic, added)?,
    };
    let first = i32::try_from(has).unwrap_or(i32::MAX);
    Ok(partition_records(image, topic.id, first, partitions).collect())
}

fn replication_factor(topic: &Topic) -> usize {
    topic.partitions.first().map_or(1, |first| first.replicas.len())
}

fn assigned(
    image: &MetadataImage,
    topic: &Topic,
    assignments: &[CreatePartitionsAssignment],
    added: usize,
) -> Result<Partitions, CreatePartitionsError> {
    if assignments.len() != added {
        return Err(CreatePartitionsError::AssignmentCount {
            added,
            assigned: assignments.len(),
        });
    }
    let mut partitions = Vec::with_capacity(added);
    for assignment in assignments {
        let replicas = check_replicas(image, &assignment.broker_ids, replication_factor(topic))?;
        let isr = serving(image, &replicas);
        if isr.is_empty() {
            let number = i32::try_from(topic.partitions.len() + partitions.len()).unwrap_or(i32::MAX);
            return Err(AssignmentError::NobodyServes(number).into());
        }
        partitions.push((replicas, isr));
    }
    Ok(partitions)
}

/// The next brokers in turn, after those of the topic's last partition.
fn placed(image: &MetadataImage, topic: &Topic, added: usize) -> Result<Partitions, CreatePartitionsError> {
    let replication_factor = replication_factor(topic);
    let last_leader = topic.partitions.last().and_then(|last| last.replicas.first());
    let turn = last_leader.map_or(0, |leader| {
        let place = image.brokers.keys().position(|broker| broker == leader);
        place.map_or(0, |place| place + 1)
    });
    let placed = place(image, turn, added, replication_factor).map_err(|reason| CreatePartitionsError::Place {
        replication_factor,
        reason,
    })?;
    Ok(with_isr(image, placed))
}
