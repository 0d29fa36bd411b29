//! CreatePartitions.

use duramen_wire::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use duramen_wire::messages::{CreatePartitionsRequest, MetadataRequest};

use crate::client::Client;
use crate::codes::{INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, INVALID_REQUEST, NONE, UNKNOWN_TOPIC_OR_PARTITION};
use crate::fixture::{
    METADATA, Topic, create_topic, describe, end_offset, produce, sized_batch, unique, wait_for_partitions,
};
use crate::harness::Broker;

fn asked(name: &str, count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let assignment = |ids: &&[i32]| CreatePartitionsAssignment {
        broker_ids: ids.to_vec(),
    };
    CreatePartitionsTopic {
        name: name.to_owned(),
        count,
        assignments: assignments.map(|assignments| assignments.iter().map(assignment).collect()),
    }
}

fn request(topics: Vec<CreatePartitionsTopic>, validate_only: bool) -> CreatePartitionsRequest {
    CreatePartitionsRequest {
        topics,
        timeout_ms: 10_000,
        validate_only,
    }
}

/// The code of a request about one topic.
fn add(client: &mut Client, topic: CreatePartitionsTopic) -> i16 {
    let [result] = client.call(3, &request(vec![topic], false)).results.try_into().unwrap();
    let says_all = [NONE, UNKNOWN_TOPIC_OR_PARTITION].contains(&result.error_code);
    assert_eq!(result.error_message.is_none(), says_all, "{:?}", result.error_message);
    result.error_code
}

fn partition_count(client: &mut Client, topic: &Topic) -> usize {
    describe(client, &topic.name).partitions.len()
}

#[test]
fn every_version_adds_partitions() {
    let mut broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "grows", 1);
    produce(&mut client, &topic, 0, &sized_batch(3, 10));
    for version in 0..=3_i16 {
        let count = 1 + 2 * (i32::from(version) + 1);
        let only_asked = client.call(version, &request(vec![asked(&topic.name, count, None)], true));
        assert_eq!(only_asked.results[0].error_code, NONE, "v{version}");
        assert_eq!(
            partition_count(&mut client, &topic),
            usize::try_from(count - 2).unwrap()
        );
        let [result] = client
            .call(version, &request(vec![asked(&topic.name, count, None)], false))
            .results
            .try_into()
            .unwrap();
        assert_eq!(
            (result.name.as_str(), result.error_code),
            (topic.name.as_str(), NONE),
            "v{version}"
        );
        wait_for_partitions(&mut client, &topic, count);
    }
    for partition in 1..9 {
        assert_eq!(produce(&mut client, &topic, partition, &sized_batch(2, 10)), 0);
    }
    assert_eq!(end_offset(&mut client, &topic, 0), 3, "what was there stays");
    if broker.is_ours() {
        broker.kill_and_restart(1);
        let mut client = broker.client();
        assert_eq!(partition_count(&mut client, &topic), 9);
        assert_eq!(end_offset(&mut client, &topic, 8), 2);
    }
}

#[test]
fn what_is_no_increase_is_refused() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let node = client.call(METADATA, &MetadataRequest::default()).controller_id;
    let topic = create_topic(&mut client, "stays", 2);
    let name = topic.name.as_str();
    for (topic, expected) in [
        (asked(&unique("unknown"), 5, None), UNKNOWN_TOPIC_OR_PARTITION),
        (asked(name, 2, None), INVALID_PARTITIONS),
        (asked(name, 1, None), INVALID_PARTITIONS),
        (asked(name, 0, None), INVALID_PARTITIONS),
        (asked(name, -1, None), INVALID_PARTITIONS),
        (asked(name, 4, Some(&[&[node]])), INVALID_REPLICA_ASSIGNMENT),
        (asked(name, 3, Some(&[&[]])), INVALID_REPLICA_ASSIGNMENT),
        (asked(name, 3, Some(&[&[node + 1000]])), INVALID_REPLICA_ASSIGNMENT),
        (asked(name, 3, Some(&[&[node, node]])), INVALID_REPLICA_ASSIGNMENT),
    ] {
        let what = format!("{topic:?}");
        assert_eq!(add(&mut client, topic), expected, "{what}");
    }
    assert_eq!(partition_count(&mut client, &topic), 2);
    let twice = request(vec![asked(name, 3, None), asked(name, 4, None)], false);
    let results = client.call(3, &twice).results;
    let codes: Vec<_> = results.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [INVALID_REQUEST]);
    assert_eq!(add(&mut client, asked(name, 3, Some(&[&[node]]))), NONE);
    wait_for_partitions(&mut client, &topic, 3);
}
