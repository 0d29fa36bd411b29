//! The first records of a cluster, and the brokers in it. Kafka: `BootstrapMetadata`, `ClusterControlManager`.

use duramen_wire::messages::metadata::register_broker_record::{BrokerEndpoint, BrokerFeature};
use duramen_wire::messages::metadata::{
    BrokerRegistrationChangeRecord, FeatureLevelRecord, MetadataRecord, PartitionChangeRecord, RegisterBrokerRecord,
};

use crate::base::ids::NodeId;
use crate::metadata::image::{self, MetadataImage};

use super::Decision;

/// A feature that all brokers of a cluster must agree on (KIP-584).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    pub name: &'static str,
    pub level_min: i16,
    pub level_max: i16,
}

/// What this broker supports. A new cluster begins with the highest levels.
pub const FEATURES: &[Feature] = &[
    // 3.3-IV3 to 4.3-IV0.
    Feature {
        name: "metadata.version",
        level_min: 7,
        level_max: 30,
    },
    // Groups of the consumer protocol (KIP-848).
    Feature {
        name: "group.version",
        level_min: 0,
        level_max: 1,
    },
];

/// Features of Apache Kafka 4.3 on which nothing depends that this broker serves: it keeps the levels that a cluster has.
pub(super) const KEPT_FEATURES: &[Feature] = &[
    kept_feature("eligible.leader.replicas.version", 1),
    kept_feature("share.version", 1),
    kept_feature("streams.version", 1),
    kept_feature("transaction.version", 2),
];

const fn kept_feature(name: &'static str, level_max: i16) -> Feature {
    Feature {
        name,
        level_min: 0,
        level_max,
    }
}

/// The records of a cluster that has none.
pub fn bootstrap() -> Vec<MetadataRecord> {
    let level = |feature: &Feature| FeatureLevelRecord {
        name: feature.name.to_owned(),
        feature_level: feature.level_max,
    };
    FEATURES.iter().map(|feature| level(feature).into()).collect()
}

/// A broker that wants to serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    pub id: NodeId,
    /// Random, new with every start of the process.
    pub incarnation_id: [u8; 16],
    pub endpoints: Vec<image::BrokerEndpoint>,
    pub rack: Option<String>,
    pub directories: Vec<[u8; 16]>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    #[error("it is at level {level} of {feature}, and levels {min} to {max} are known here")]
    FeatureLevel {
        feature: String,
        level: i16,
        min: i16,
        max: i16,
    },
}

/// Whether this broker knows all that the cluster is finalized at.
///
/// # Errors
///
/// The cluster uses a feature at a level that this broker does not know.
pub fn check_features(image: &MetadataImage) -> Result<(), BrokerError> {
    for (feature, level) in &image.features {
        let known = FEATURES.iter().chain(KEPT_FEATURES).find(|known| known.name == feature);
        let (min, max) = known.map_or((0, 0), |known| (known.level_min, known.level_max));
        if !(min..=max).contains(level) {
            return Err(BrokerError::FeatureLevel {
                feature: feature.clone(),
                level: *level,
                min,
                max,
            });
        }
    }
    Ok(())
}

/// Registers the broker of this process, ready to serve. Its epoch, the response, is `end_offset` of the image: where its record
/// will stand.
///
/// # Errors
///
/// The cluster uses a feature at a level that this broker does not support.
pub fn register_broker(image: &MetadataImage, registration: Registration) -> Result<Decision<i64>, BrokerError> {
    check_features(image)?;
    let endpoints = registration.endpoints.into_iter().map(|endpoint| BrokerEndpoint {
        name: endpoint.listener,
        host: endpoint.host,
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    });
    let features = FEATURES.iter().map(|feature| BrokerFeature {
        name: feature.name.to_owned(),
        min_supported_version: feature.level_min,
        max_supported_version: feature.level_max,
    });
    let epoch = image.end_offset.0;
    let record = RegisterBrokerRecord {
        broker_id: registration.id.0,
        incarnation_id: registration.incarnation_id,
        broker_epoch: epoch,
        end_points: endpoints.collect(),
        features: features.collect(),
        rack: registration.rack,
        fenced: false,
        log_dirs: registration.directories,
        cordoned_log_dirs: Some(Vec::new()),
        ..RegisterBrokerRecord::default()
    };
    Ok(Decision {
        records: vec![record.into()],
        response: epoch,
    })
}

/// Takes leave of a broker that stops in good order: it is fenced. One that is not has, for Apache Kafka, a session that must first
/// run out before the broker may register again.
pub fn fence_broker(image: &MetadataImage, broker: NodeId) -> Vec<MetadataRecord> {
    let registered = image.brokers.get(&broker).filter(|broker| !broker.is_fenced);
    let fenced = registered.map(|registered| BrokerRegistrationChangeRecord {
        broker_id: broker.0,
        broker_epoch: registered.epoch,
        fenced: 1,
        in_controlled_shutdown: 1,
        ..BrokerRegistrationChangeRecord::default()
    });
    fenced.into_iter().map(MetadataRecord::from).collect()
}

/// How the broker stopped before it registered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    Clean,
    /// The tail of a log may be lost, and other records will get its offsets, which clients and followers tell apart by the epoch: every
    /// partition begins a new one.
    Unclean,
}

/// Makes a broker that has registered the leader of the partitions that nobody leads and that it may lead: Apache Kafka takes them from
/// a broker that it stops. Of those that it leads already, see [`Restart`].
pub fn lead_partitions(image: &MetadataImage, broker: NodeId, restart: Restart) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    for topic in image.topics() {
        for (partition_id, partition) in topic.numbered() {
            let begins = match partition.leader {
                Some(leader) => leader == broker && restart == Restart::Unclean,
                None => may_lead(partition, broker),
            };
            if begins {
                let joins = !partition.isr.contains(&broker);
                let change = PartitionChangeRecord {
                    partition_id,
                    topic_id: topic.id.0,
                    leader: broker.0,
                    isr: joins.then(|| vec![broker.0]),
                    eligible_leader_replicas: joins.then(Vec::new),
                    last_known_elr: joins.then(Vec::new),
                    ..PartitionChangeRecord::default()
                };
                records.push(change.into());
            }
        }
    }
    records
}

/// Whether no other broker can have a record that this one lacks.
fn may_lead(partition: &image::Partition, broker: NodeId) -> bool {
    let only = [broker];
    partition.isr.contains(&broker)
        || partition.isr.is_empty()
            && (partition.eligible_leader_replicas.contains(&broker)
                || partition.last_known_leader_replicas == only
                || partition.replicas == only)
}
