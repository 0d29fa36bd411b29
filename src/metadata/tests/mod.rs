//! What the metadata log of a real Apache Kafka says, and what the embedded controller decides.

mod create_partitions;
mod create_topics;
mod delete_topics;
mod image;
mod kept;
mod log;
mod reassign;
mod snapshot;
mod update_features;

use duramen_wire::messages::create_topics_request::CreatableTopic;
use duramen_wire::messages::metadata::MetadataRecord;

use super::controller::{self, NewTopic, NewTopicDefaults, Registration};
use super::{BrokerEndpoint, MetadataImage};
use crate::base::ids::{NodeId, TopicId};
use crate::config::Settings;

const DIRECTORY: [u8; 16] = [7; 16];

fn id(number: u128) -> TopicId {
    TopicId(number.to_be_bytes())
}

fn replay(image: &mut MetadataImage, records: &[MetadataRecord]) {
    for record in records {
        image.replay(record).unwrap();
        image.end_offset = image.end_offset.next();
    }
}

/// A cluster of brokers `1..=brokers`, all serving.
fn cluster(brokers: i32) -> MetadataImage {
    let mut image = MetadataImage::new("cluster");
    replay(&mut image, &controller::bootstrap());
    for broker in 1..=brokers {
        let registration = Registration {
            id: NodeId(broker),
            incarnation_id: [1; 16],
            endpoints: vec![BrokerEndpoint {
                listener: "PLAINTEXT".into(),
                host: "localhost".into(),
                port: 9092,
                security_protocol: 0,
            }],
            rack: None,
            directories: vec![DIRECTORY],
        };
        let decision = controller::register_broker(&image, registration).unwrap();
        assert_eq!(decision.response, image.end_offset.0);
        replay(&mut image, &decision.records);
    }
    image
}

fn topic(name: &str, partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor,
        ..CreatableTopic::default()
    }
}

/// Decides on topics that get the ids from 1000 on, with four partitions unless they say more.
fn decide(
    image: &MetadataImage,
    topics: &[CreatableTopic],
) -> controller::Decision<Vec<Result<controller::CreatedTopic, controller::CreateTopicError>>> {
    let settings = Settings::default();
    let defaults = NewTopicDefaults {
        partition_count: 4,
        replication_factor: 1,
        settings: &settings,
    };
    let number = |index: usize| u128::try_from(image.topic_count() + index + 1000).unwrap();
    let topics: Vec<_> = topics
        .iter()
        .enumerate()
        .map(|(index, spec)| NewTopic {
            id: id(number(index)),
            spec: spec.clone(),
        })
        .collect();
    controller::create_topics(image, &topics, &defaults)
}

/// Creates one topic that nothing is wrong with.
fn create(image: &mut MetadataImage, name: &str, partitions: i32) -> TopicId {
    let decision = decide(image, &[topic(name, partitions, 1)]);
    replay(image, &decision.records);
    decision.response[0].as_ref().unwrap().id
}
