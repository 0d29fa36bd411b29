//! Metadata: what is told about brokers and topics, and topics that come into being by being asked for.

use std::time::Duration;

use duramen_wire::ApiKey;
use duramen_wire::messages::metadata_request::MetadataRequestTopic;
use duramen_wire::messages::{MetadataRequest, MetadataResponse};

use crate::client::Client;
use crate::codes::{INVALID_REQUEST, INVALID_TOPIC_EXCEPTION, NONE, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION};
use crate::fixture::{METADATA, create_topic, describe, unique};
use crate::harness::{Broker, poll};

/// Authorized operations that were not asked for.
const NOT_ASKED: i32 = i32::MIN;

fn by_name(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic {
        name: Some(name.to_owned()),
        topic_id: [0; 16],
    }
}

fn by_id(topic_id: [u8; 16]) -> MetadataRequestTopic {
    MetadataRequestTopic { name: None, topic_id }
}

/// A request that creates nothing, as far as its version can say that.
fn request(topics: Option<Vec<MetadataRequestTopic>>) -> MetadataRequest {
    MetadataRequest {
        topics,
        ..MetadataRequest::default()
    }
}

fn names(response: &MetadataResponse) -> Vec<&str> {
    response
        .topics
        .iter()
        .map(|topic| topic.name.as_deref().unwrap())
        .collect()
}

#[test]
fn a_long_answer_keeps_its_place_among_others() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let long = create_topic(&mut client, "long", 300);
    let short = create_topic(&mut client, "short", 1);
    let asked = [&long, &short, &long].map(|topic| {
        let request = request(Some(vec![by_name(&topic.name)]));
        (topic, client.send(METADATA, &request))
    });
    for (topic, correlation_id) in asked {
        let response = client.receive::<MetadataRequest>(METADATA, correlation_id);
        assert_eq!(names(&response), [topic.name.as_str()]);
        let partitions = response.topics[0].partitions.iter();
        let numbers: Vec<i32> = partitions.map(|partition| partition.partition_index).collect();
        let count = if topic.id == long.id { 300 } else { 1 };
        assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    }
}

#[test]
fn every_version_describes_brokers_and_topic() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "described", 3);
    for version in ApiKey::Metadata.versions() {
        let response = client.call(version, &request(Some(vec![by_name(&topic.name)])));
        let [node] = response.brokers.as_slice() else {
            panic!("v{version}: {:?}", response.brokers);
        };
        assert_eq!(
            (node.host.as_str(), node.port),
            ("127.0.0.1", broker.address().port().into())
        );
        if version >= 1 {
            assert_eq!(response.controller_id, node.node_id, "v{version}");
        }
        if version >= 2 {
            assert_eq!(response.cluster_id.as_ref().map(String::len), Some(22), "v{version}");
        }
        let [described] = response.topics.as_slice() else {
            panic!("v{version}: {:?}", response.topics);
        };
        assert_eq!(described.error_code, NONE, "v{version}");
        assert_eq!(described.name.as_ref(), Some(&topic.name), "v{version}");
        assert_eq!(
            described.topic_id,
            if version >= 10 { topic.id } else { [0; 16] },
            "v{version}"
        );
        assert!(!described.is_internal, "v{version}");
        let mut indexes: Vec<_> = described
            .partitions
            .iter()
            .map(|partition| partition.partition_index)
            .collect();
        indexes.sort_unstable();
        assert_eq!(indexes, [0, 1, 2], "v{version}");
        for partition in &described.partitions {
            assert_eq!(partition.error_code, NONE, "v{version}");
            assert_eq!(partition.leader_id, node.node_id, "v{version}");
            assert_eq!(partition.replica_nodes, [node.node_id], "v{version}");
            assert_eq!(partition.isr_nodes, [node.node_id], "v{version}");
            assert!(partition.offline_replicas.is_empty(), "v{version}");
            assert_eq!(partition.leader_epoch >= 0, version >= 7, "v{version}");
        }
    }
}

#[test]
fn all_topics_or_none() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topics = [create_topic(&mut client, "all", 1), create_topic(&mut client, "all", 1)];
    for version in ApiKey::Metadata.versions() {
        let all = if version == 0 { Some(Vec::new()) } else { None };
        let response = client.call(version, &request(all));
        for topic in &topics {
            assert!(
                names(&response).contains(&topic.name.as_str()),
                "v{version}: {:?}",
                names(&response)
            );
        }
        if version > 0 {
            let response = client.call(version, &request(Some(Vec::new())));
            assert!(response.topics.is_empty(), "v{version}");
            assert_eq!(response.brokers.len(), 1, "v{version}");
        }
    }
}

#[test]
fn unknown_and_invalid_names() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let long = "x".repeat(250);
    let cases = [
        (unique("unknown"), UNKNOWN_TOPIC_OR_PARTITION),
        ("no spaces".to_owned(), INVALID_TOPIC_EXCEPTION),
        ("no/slash".to_owned(), INVALID_TOPIC_EXCEPTION),
        ("..".to_owned(), INVALID_TOPIC_EXCEPTION),
        ("ümlaut".to_owned(), INVALID_TOPIC_EXCEPTION),
        (long, INVALID_TOPIC_EXCEPTION),
    ];
    for version in 4..=13 {
        for (name, expected) in &cases {
            let request = MetadataRequest {
                allow_auto_topic_creation: *expected != UNKNOWN_TOPIC_OR_PARTITION,
                ..request(Some(vec![by_name(name)]))
            };
            let [topic] = client.call(version, &request).topics.try_into().unwrap();
            assert_eq!(topic.error_code, *expected, "v{version} {name}");
            assert_eq!(topic.name.as_ref(), Some(name), "v{version}");
            assert!(topic.partitions.is_empty(), "v{version} {name}");
        }
    }
}

#[test]
fn one_request_for_known_and_unknown() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "known", 1);
    let missing = unique("missing");
    let request = MetadataRequest {
        allow_auto_topic_creation: false,
        ..request(Some(vec![by_name(&missing), by_name(&topic.name)]))
    };
    let response = client.call(METADATA, &request);
    let mut found: Vec<_> = response
        .topics
        .iter()
        .map(|topic| (topic.name.clone().unwrap(), topic.error_code))
        .collect();
    found.sort();
    assert_eq!(found, [(topic.name, NONE), (missing, UNKNOWN_TOPIC_OR_PARTITION)]);
}

#[test]
fn by_topic_id() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "by-id", 2);
    for version in [12, 13] {
        let [found] = client
            .call(version, &request(Some(vec![by_id(topic.id)])))
            .topics
            .try_into()
            .unwrap();
        assert_eq!(found.error_code, NONE, "v{version}");
        assert_eq!(found.name.as_ref(), Some(&topic.name), "v{version}");
        assert_eq!(found.topic_id, topic.id, "v{version}");
        assert_eq!(found.partitions.len(), 2, "v{version}");

        let unknown = [0xab; 16];
        let [found] = client
            .call(version, &request(Some(vec![by_id(unknown)])))
            .topics
            .try_into()
            .unwrap();
        assert_eq!(found.error_code, UNKNOWN_TOPIC_ID, "v{version}");
        assert_eq!((found.name, found.topic_id), (None, unknown), "v{version}");
    }
}

/// The field is there since version 10, looking up by it only works since version 12.
#[test]
fn topic_ids_are_refused_before_version_12() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "id-too-early", 1);
    for version in [10, 11] {
        let asked = MetadataRequestTopic {
            name: Some(String::new()),
            topic_id: topic.id,
        };
        let response = client.call(version, &request(Some(vec![asked])));
        let [found] = response.topics.try_into().unwrap();
        assert_eq!(found.error_code, INVALID_REQUEST, "v{version}");
    }
}

#[test]
fn authorized_operations_only_on_request() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "operations", 1);
    for version in 8..=13 {
        let asked = MetadataRequest {
            include_topic_authorized_operations: true,
            include_cluster_authorized_operations: version <= 10,
            ..request(Some(vec![by_name(&topic.name)]))
        };
        let response = client.call(version, &asked);
        assert_ne!(response.topics[0].topic_authorized_operations, NOT_ASKED, "v{version}");
        assert_eq!(
            response.cluster_authorized_operations != NOT_ASKED,
            version <= 10,
            "v{version}"
        );
        let response = client.call(version, &request(Some(vec![by_name(&topic.name)])));
        assert_eq!(response.topics[0].topic_authorized_operations, NOT_ASKED, "v{version}");
        assert_eq!(response.cluster_authorized_operations, NOT_ASKED, "v{version}");
    }
}

fn wait_until_there(client: &mut Client, name: &str) -> usize {
    poll("an automatically created topic", Duration::from_secs(10), || {
        let topic = describe(client, name);
        (topic.error_code == NONE).then_some(topic.partitions.len())
    })
}

/// The first answer is that there is no such topic; clients ask again.
#[test]
fn asking_creates_a_topic() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    for version in ApiKey::Metadata.versions() {
        let name = unique("created-by-asking");
        let [topic] = client
            .call(version, &request(Some(vec![by_name(&name)])))
            .topics
            .try_into()
            .unwrap();
        assert_eq!(topic.error_code, UNKNOWN_TOPIC_OR_PARTITION, "v{version}");
        let partitions = wait_until_there(&mut client, &name);
        if broker.is_ours() {
            assert_eq!(partitions, 1, "the default of num.partitions");
        }
    }
}

#[test]
fn asking_creates_nothing_when_it_may_not() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let name = unique("not-created");
    for version in 4..=13 {
        let request = MetadataRequest {
            allow_auto_topic_creation: false,
            ..request(Some(vec![by_name(&name)]))
        };
        let [topic] = client.call(version, &request).topics.try_into().unwrap();
        assert_eq!(topic.error_code, UNKNOWN_TOPIC_OR_PARTITION, "v{version}");
    }
    let response = client.call(METADATA, &request(None));
    assert!(!names(&response).contains(&name.as_str()));
}

#[test]
fn settings_of_automatic_creation() {
    let Some(broker) = Broker::start_own(1, &["num.partitions=5"]) else {
        return;
    };
    let mut client = broker.client();
    let name = unique("five");
    client.call(METADATA, &request(Some(vec![by_name(&name)])));
    assert_eq!(wait_until_there(&mut client, &name), 5);

    let Some(broker) = Broker::start_own(1, &["auto.create.topics.enable=false"]) else {
        return;
    };
    let mut client = broker.client();
    let response = client.call(METADATA, &request(Some(vec![by_name(&name)])));
    assert_eq!(response.topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
    let response = client.call(METADATA, &request(None));
    assert!(!names(&response).contains(&name.as_str()));
}
