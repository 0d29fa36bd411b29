//! Chooses the brokers of new partitions. Kafka: `StripedReplicaPlacer`, here without racks.

use crate::base::ids::NodeId;
use crate::metadata::image::{Broker, MetadataImage};

/// Why there is no place; the text is Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    #[error("All brokers are currently fenced or have all their log directories cordoned.")]
    NobodyServes,
    #[error(
        "The target replication factor of {replication_factor} cannot be reached because only {registered} broker(s) are registered \
         or some brokers have all their log directories cordoned."
    )]
    TooFewBrokers {
        replication_factor: usize,
        registered: usize,
    },
}

/// The replicas of `partition_count` partitions, each led by the next broker in turn. The first of a topic is chosen by `topic_number`, so that small
/// topics do not all begin on the same broker.
pub fn place(
    image: &MetadataImage,
    topic_number: usize,
    partition_count: usize,
    replication_factor: usize,
) -> Result<Vec<Vec<NodeId>>, PlaceError> {
    let usable: Vec<&Broker> = image
        .brokers
        .values()
        .map(AsRef::as_ref)
        .filter(|broker| has_room(broker))
        .collect();
    let (serving, fenced): (Vec<&Broker>, Vec<&Broker>) = usable.iter().partition(|broker| !broker.is_fenced);
    if serving.is_empty() {
        return Err(PlaceError::NobodyServes);
    }
    if replication_factor > usable.len() {
        return Err(PlaceError::TooFewBrokers {
            replication_factor,
            registered: image.brokers.len(),
        });
    }
    let replicas = |partition: usize| {
        let turn = topic_number.wrapping_add(partition);
        let from = |brokers: &[&Broker]| {
            let start = turn.checked_rem(brokers.len()).unwrap_or(0);
            let (before, after) = brokers.split_at(start);
            after.iter().chain(before).map(|broker| broker.id).collect::<Vec<_>>()
        };
        let mut replicas = from(&serving);
        // Fenced brokers come last: they cannot lead, but they will catch up.
        replicas.extend(from(&fenced));
        replicas.truncate(replication_factor);
        replicas
    };
    Ok((0..partition_count).map(replicas).collect())
}

fn has_room(broker: &Broker) -> bool {
    let cordoned = broker.cordoned_directories.as_deref().unwrap_or_default();
    broker.directories.is_empty() || broker.directories.iter().any(|directory| !cordoned.contains(directory))
}
