//! The first records of a cluster, and the brokers in it. Kafka: `BootstrapMetadata`, `ClusterControlManager`.

use duramen_wire::messages::metadata::register_broker_record::{BrokerEndpoint, BrokerFeature};
use duramen_wire::messages::metadata::{
    FeatureLevelRecord, MetadataRecord, PartitionChangeRecord, RegisterBrokerRecord,
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
];

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
    #[error("the cluster runs at level {level} of {feature}, this broker supports {min} to {max}")]
    FeatureLevel {
        feature: String,
        level: i16,
        min: i16,
        max: i16,
    },
}

/// Registers the broker of this process, ready to serve. Its epoch, the response, is `end_offset` of the image: where its record
/// will stand.
///
/// # Errors
///
/// The cluster uses a feature at a level that this broker does not support.
pub fn register_broker(image: &MetadataImage, registration: Registration) -> Result<Decision<i64>, BrokerError> {
    for (feature, level) in &image.features {
        let supported = FEATURES.iter().find(|supported| supported.name == feature);
        let (min, max) = supported.map_or((0, 0), |supported| (supported.level_min, supported.level_max));
        if !(min..=max).contains(level) {
            return Err(BrokerError::FeatureLevel {
                feature: feature.clone(),
                level: *level,
                min,
                max,
            });
        }
    }
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

/// Begins a new leader epoch of each partition that `leader` leads or could lead as the only one in sync. Needed after an unclean stop:
/// the tail of a log may be lost, and other records will get its offsets, which clients and followers tell apart by the epoch.
pub fn begin_leader_epochs(image: &MetadataImage, leader: NodeId) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    for topic in image.topics() {
        for (partition_id, partition) in topic.numbered() {
            let alone = partition.leader.is_none() && partition.isr == [leader];
            if partition.leader == Some(leader) || alone {
                let change = PartitionChangeRecord {
                    partition_id,
                    topic_id: topic.id.0,
                    leader: leader.0,
                    ..PartitionChangeRecord::default()
                };
                records.push(change.into());
            }
        }
    }
    records
}
