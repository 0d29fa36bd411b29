//! Replicas that a request assigns by hand. Kafka: `ReplicationControlManager.validateManualPartitionAssignment`.

use std::collections::{BTreeMap, BTreeSet};

use duramen_wire::messages::create_topics_request::CreatableTopic;

use crate::base::ids::NodeId;
use crate::metadata::image::MetadataImage;

use super::create_topics::{CreateTopicError, Partitions, serving};

/// What is wrong with a manual assignment; the text is Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    #[error("Found multiple manual partition assignments for partition {0}")]
    PartitionTwice(i32),
    #[error("The manual partition assignment includes an empty replica list.")]
    NoReplica,
    #[error("The manual partition assignment includes broker {0}, but no such broker is registered.")]
    UnknownBroker(i32),
    #[error("The manual partition assignment includes the broker {0} more than once.")]
    BrokerTwice(i32),
    #[error(
        "The manual partition assignment includes a partition with {replicas} replica(s), but this is not consistent with previous \
         partitions, which have {others} replica(s)."
    )]
    ReplicaCount { replicas: usize, others: usize },
    #[error(
        "All brokers specified in the manual partition assignment for partition {0} are fenced or in controlled shutdown."
    )]
    NobodyServes(i32),
    #[error("partitions should be a consecutive 0-based integer sequence")]
    Gap,
}

/// The partitions that a request assigns by hand.
pub(super) fn assigned_partitions(
    image: &MetadataImage,
    spec: &CreatableTopic,
) -> Result<Partitions, CreateTopicError> {
    if spec.replication_factor != -1 {
        return Err(CreateTopicError::AssignmentAndFactor);
    }
    if spec.num_partitions != -1 {
        return Err(CreateTopicError::AssignmentAndCount);
    }
    let mut partitions = BTreeMap::new();
    let mut replica_count = None;
    for assignment in &spec.assignments {
        let partition = assignment.partition_index;
        if partitions.contains_key(&partition) {
            return Err(CreateTopicError::Assignment(AssignmentError::PartitionTwice(partition)));
        }
        let replicas = check_replicas(
            image,
            &assignment.broker_ids,
            *replica_count.get_or_insert(assignment.broker_ids.len()),
        );
        let replicas = replicas.map_err(CreateTopicError::Assignment)?;
        let isr = serving(image, &replicas);
        if isr.is_empty() {
            return Err(CreateTopicError::Assignment(AssignmentError::NobodyServes(partition)));
        }
        partitions.insert(partition, (replicas, isr));
    }
    if partitions
        .keys()
        .zip(0..)
        .any(|(partition, expected)| *partition != expected)
    {
        return Err(CreateTopicError::Assignment(AssignmentError::Gap));
    }
    Ok(partitions.into_values().collect())
}

pub(super) fn check_replicas(
    image: &MetadataImage,
    ids: &[i32],
    others: usize,
) -> Result<Vec<NodeId>, AssignmentError> {
    if ids.is_empty() {
        return Err(AssignmentError::NoReplica);
    }
    let mut seen = BTreeSet::new();
    for id in ids {
        if !image.brokers.contains_key(&NodeId(*id)) {
            return Err(AssignmentError::UnknownBroker(*id));
        }
        if !seen.insert(*id) {
            return Err(AssignmentError::BrokerTwice(*id));
        }
    }
    if ids.len() != others {
        return Err(AssignmentError::ReplicaCount {
            replicas: ids.len(),
            others,
        });
    }
    Ok(ids.iter().copied().map(NodeId).collect())
}
