//! Replicas that are to be on other brokers (KIP-455). One node serves, so the only assignment that can be asked for is the one that is.
//! Kafka: `ReplicationControlManager.alterPartitionReassignment`.

use crate::base::ids::NodeId;
use crate::metadata::image::MetadataImage;

use super::assignment::{AssignmentError, check_replicas};

/// Why a partition does not get the replicas that were asked for; the text is Kafka's, but for the last.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReassignError {
    #[error("Unable to find a topic named {0}.")]
    UnknownTopic(String),
    #[error("Unable to find partition {topic}:{partition}.")]
    UnknownPartition { topic: String, partition: i32 },
    #[error("No partition reassignment is in progress.")]
    NothingToCancel,
    #[error("The replication factor is changed from {from} to {to}")]
    FactorChanged { from: usize, to: usize },
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    #[error("Replicas cannot be moved to other brokers.")]
    OtherReplicas,
}

/// Whether the number of replicas may change (KIP-860).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplicaCount {
    MayChange,
    Stays,
}

/// Whether a partition has the replicas that are asked for, which is all that can be granted. `None` asks to cancel a move.
///
/// # Errors
/// The partition is unknown, or the replicas are not its own.
pub fn reassign(
    image: &MetadataImage,
    topic: &str,
    partition: i32,
    replicas: Option<&[i32]>,
    count: ReplicaCount,
) -> Result<(), ReassignError> {
    let found = image
        .topic_by_name(topic)
        .ok_or_else(|| ReassignError::UnknownTopic(topic.to_owned()))?;
    let state = found
        .partition(partition)
        .ok_or_else(|| ReassignError::UnknownPartition {
            topic: topic.to_owned(),
            partition,
        })?;
    let replicas = replicas.ok_or(ReassignError::NothingToCancel)?;
    let wanted: Vec<NodeId> = check_replicas(image, replicas, replicas.len())?;
    if count == ReplicaCount::Stays && wanted.len() != state.replicas.len() {
        return Err(ReassignError::FactorChanged {
            from: state.replicas.len(),
            to: wanted.len(),
        });
    }
    if wanted == state.replicas {
        Ok(())
    } else {
        Err(ReassignError::OtherReplicas)
    }
}
