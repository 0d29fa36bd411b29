//! Topics that the broker makes for itself, when they are first needed.

use duramen_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};

use crate::config::GroupConfig;
use crate::coordinator::group::OFFSETS_TOPIC;

/// How a topic of this name is made; `None` for a topic of clients. Kafka: `DefaultAutoTopicCreationManager.creatableTopic`,
/// `GroupCoordinatorService.groupMetadataTopicConfigs`.
#[must_use]
pub fn internal(name: &str, config: &GroupConfig, brokers: usize) -> Option<CreatableTopic> {
    let setting = |name: &str, value: String| CreatableTopicConfig {
        name: name.to_owned(),
        value: Some(value),
    };
    (name == OFFSETS_TOPIC).then(|| CreatableTopic {
        name: name.to_owned(),
        num_partitions: config.offsets_partitions,
        // Fewer brokers than the replicas that are wanted must not keep a cluster from having groups.
        replication_factor: config
            .offsets_replication_factor
            .min(i16::try_from(brokers).unwrap_or(i16::MAX)),
        configs: vec![
            setting("cleanup.policy", "compact".to_owned()),
            setting("compression.type", "producer".to_owned()),
            setting("segment.bytes", config.offsets_segment_bytes.to_string()),
        ],
        ..CreatableTopic::default()
    })
}
