//! CreateTopics and DeleteTopics.

use std::time::Duration;

use duramen_wire::ApiKey;
use duramen_wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use duramen_wire::messages::create_topics_response::CreatableTopicResult;
use duramen_wire::messages::delete_topics_request::DeleteTopicState;
use duramen_wire::messages::{CreateTopicsRequest, DeleteTopicsRequest, DescribeLogDirsRequest};

use crate::client::Client;
use crate::codes::{
    INVALID_CONFIG, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR, INVALID_REQUEST,
    INVALID_TOPIC_EXCEPTION, NONE, TOPIC_ALREADY_EXISTS, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION,
};
use crate::fixture::{
    Topic, create_topic, describe, end_offset, produce, sized_batch, try_fetch, try_produce, unique,
    wait_for_partitions,
};
use crate::harness::{Broker, poll};

fn topic(name: &str, partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor,
        ..CreatableTopic::default()
    }
}

fn create(client: &mut Client, version: i16, topics: Vec<CreatableTopic>) -> Vec<CreatableTopicResult> {
    let request = CreateTopicsRequest {
        topics,
        timeout_ms: 10_000,
        validate_only: false,
    };
    client.call(version, &request).topics
}

fn create_one(client: &mut Client, topic: CreatableTopic) -> CreatableTopicResult {
    let [result] = create(client, 7, vec![topic]).try_into().unwrap();
    result
}

#[test]
fn every_version_creates() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    for version in ApiKey::CreateTopics.versions() {
        let name = unique("created");
        let [result] = create(&mut client, version, vec![topic(&name, 3, 1)])
            .try_into()
            .unwrap();
        assert_eq!(result.error_code, NONE, "v{version}: {:?}", result.error_message);
        assert_eq!(result.name, name, "v{version}");
        if version >= 5 {
            assert_eq!((result.num_partitions, result.replication_factor), (3, 1), "v{version}");
            let configs = result.configs.unwrap();
            let of = |name| configs.iter().find(|config| config.name == name);
            assert_eq!(
                of("cleanup.policy").unwrap().value.as_deref(),
                Some("delete"),
                "v{version}"
            );
            assert_eq!(
                of("max.message.bytes").unwrap().value.as_deref(),
                Some("1048588"),
                "v{version}"
            );
        }
        assert_eq!(result.topic_id != [0; 16], version >= 7, "v{version}");
        let id = poll("the topic", Duration::from_secs(5), || {
            let described = describe(&mut client, &name);
            (described.partitions.len() == 3).then_some(described.topic_id)
        });
        if version >= 7 {
            assert_eq!(result.topic_id, id);
        }
    }
}

#[test]
fn partitions_and_replication_factor() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    for (partitions, replication_factor, expected) in [
        (0, 1, INVALID_PARTITIONS),
        (-2, 1, INVALID_PARTITIONS),
        (1, 0, INVALID_REPLICATION_FACTOR),
        (1, -2, INVALID_REPLICATION_FACTOR),
        (1, 2, INVALID_REPLICATION_FACTOR),
        (1, i16::MAX, INVALID_REPLICATION_FACTOR),
        (-1, 1, NONE),
        (1, -1, NONE),
        (-1, -1, NONE),
    ] {
        let name = unique("counts");
        let result = create_one(&mut client, topic(&name, partitions, replication_factor));
        assert_eq!(
            result.error_code, expected,
            "{partitions}, {replication_factor}: {:?}",
            result.error_message
        );
        if expected == NONE {
            assert!(result.num_partitions >= 1, "{partitions}");
            assert_eq!(result.replication_factor, 1, "{replication_factor}");
        } else {
            assert!(result.error_message.is_some(), "{partitions}, {replication_factor}");
            assert_eq!(describe(&mut client, &name).error_code, UNKNOWN_TOPIC_OR_PARTITION);
        }
    }
}

/// One request may not make a broker create files for ever.
#[test]
fn too_many_partitions() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    for partitions in [i32::MAX, 10_000_000] {
        let name = unique("too-many");
        let result = create_one(&mut client, topic(&name, partitions, 1));
        assert_ne!(result.error_code, NONE, "{partitions}");
        assert_eq!(describe(&mut client, &name).error_code, UNKNOWN_TOPIC_OR_PARTITION);
    }
}

#[test]
fn names() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let long = "x".repeat(250);
    for name in [
        "",
        ".",
        "..",
        "two words",
        "a/b",
        "a:b",
        "ümlaut",
        "a\0b",
        "../../x",
        &long,
    ] {
        let result = create_one(&mut client, topic(name, 1, 1));
        assert_eq!(result.error_code, INVALID_TOPIC_EXCEPTION, "{name:?}");
    }
    let base = unique("as-long-as-it-may-be-");
    for name in [
        format!("{base}{}", "x".repeat(249 - base.len())),
        unique("Under_score.and-dash"),
    ] {
        let result = create_one(&mut client, topic(&name, 1, 1));
        assert_eq!(result.error_code, NONE, "{name:?}");
    }
}

/// Metrics replace dots by underscores: two topics must not become one there.
#[test]
fn names_that_collide_with_others() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let name = unique("with.dot");
    assert_eq!(create_one(&mut client, topic(&name, 1, 1)).error_code, NONE);
    assert_eq!(
        create_one(&mut client, topic(&name, 1, 1)).error_code,
        TOPIC_ALREADY_EXISTS
    );
    let result = create_one(&mut client, topic(&name.replace('.', "_"), 1, 1));
    assert_eq!(result.error_code, INVALID_TOPIC_EXCEPTION);
    // Nothing of a refused topic stays, and its neighbours in the request are created.
    let other = unique("neighbour");
    let results = create(&mut client, 7, vec![topic(&name, 1, 1), topic(&other, 1, 1)]);
    let mut codes: Vec<_> = results
        .into_iter()
        .map(|result| (result.name, result.error_code))
        .collect();
    codes.sort();
    assert_eq!(codes, [(other, NONE), (name, TOPIC_ALREADY_EXISTS)]);
}

#[test]
fn the_same_name_twice_in_one_request() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let (twice, once) = (unique("twice"), unique("once"));
    let topics = vec![topic(&twice, 1, 1), topic(&once, 1, 1), topic(&twice, 2, 1)];
    let results = create(&mut client, 7, topics);
    let mut codes: Vec<_> = results
        .into_iter()
        .map(|result| (result.name, result.error_code))
        .collect();
    codes.sort();
    assert_eq!(codes, [(once, NONE), (twice.clone(), INVALID_REQUEST)]);
    assert_eq!(describe(&mut client, &twice).error_code, UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn manual_assignment() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let known = create_topic(&mut client, "which-node", 1);
    let node = describe(&mut client, &known.name).partitions[0].leader_id;
    let unknown = node + 1000;
    let cases = [
        (vec![(0, vec![node]), (1, vec![node])], -1, -1, NONE),
        (vec![(1, vec![node]), (0, vec![node])], -1, -1, NONE),
        (vec![(0, vec![unknown])], -1, -1, INVALID_REPLICA_ASSIGNMENT),
        (vec![(0, vec![node, node])], -1, -1, INVALID_REPLICA_ASSIGNMENT),
        (vec![(0, vec![])], -1, -1, INVALID_REPLICA_ASSIGNMENT),
        (
            vec![(0, vec![node]), (2, vec![node])],
            -1,
            -1,
            INVALID_REPLICA_ASSIGNMENT,
        ),
        (vec![(0, vec![node])], 1, -1, INVALID_REQUEST),
        (vec![(0, vec![node])], -1, 1, INVALID_REQUEST),
    ];
    for (assignments, partitions, replication_factor, expected) in cases {
        let mut topic = topic(&unique("assigned"), partitions, replication_factor);
        topic.assignments = assignments
            .iter()
            .map(|(partition_index, brokers)| CreatableReplicaAssignment {
                partition_index: *partition_index,
                broker_ids: brokers.clone(),
            })
            .collect();
        let result = create_one(&mut client, topic);
        assert_eq!(
            result.error_code, expected,
            "{assignments:?}: {:?}",
            result.error_message
        );
        if expected == NONE {
            assert_eq!(result.num_partitions, 2);
        }
    }
}

/// So many that they are decided, applied and told in steps, some of them beside the core.
#[test]
fn many_topics_in_one_request() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let prefix = unique("many");
    let name = |index: i32| format!("{prefix}-{index:03}");
    let partitions = |index: i32| if index == 70 { 0 } else { 1 + index % 3 };
    let topics: Vec<_> = (0..120)
        .map(|index| topic(&name(index), partitions(index), 1))
        .collect();
    for validate_only in [true, false] {
        let request = CreateTopicsRequest {
            topics: topics.clone(),
            timeout_ms: 10_000,
            validate_only,
        };
        let results = client.call(7, &request).topics;
        let seen: Vec<_> = results
            .iter()
            .map(|result| (result.name.clone(), result.error_code, result.num_partitions))
            .collect();
        let expected: Vec<_> = (0..120)
            .map(|index| match partitions(index) {
                0 => (name(index), INVALID_PARTITIONS, -1),
                count => (name(index), NONE, count),
            })
            .collect();
        assert_eq!(seen, expected, "validate only: {validate_only}");
        assert!(results[0].configs.as_ref().is_some_and(|configs| configs.len() > 30));
        assert!(results[70].configs.as_ref().is_none_or(Vec::is_empty));
        let first = describe(&mut client, &name(0)).error_code;
        assert_eq!(
            first,
            if validate_only {
                UNKNOWN_TOPIC_OR_PARTITION
            } else {
                NONE
            }
        );
    }
    assert_eq!(describe(&mut client, &name(119)).partitions.len(), 3);
}

#[test]
fn validation_alone_creates_nothing() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let name = unique("validated");
    for version in ApiKey::CreateTopics.versions() {
        for (partitions, expected) in [(2, NONE), (0, INVALID_PARTITIONS)] {
            let request = CreateTopicsRequest {
                topics: vec![topic(&name, partitions, 1)],
                timeout_ms: 10_000,
                validate_only: true,
            };
            let [result] = client.call(version, &request).topics.try_into().unwrap();
            assert_eq!(result.error_code, expected, "v{version}");
        }
    }
    assert_eq!(describe(&mut client, &name).error_code, UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn topic_settings() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    for (key, value, expected) in [
        ("retention.ms", Some("1000000"), NONE),
        ("cleanup.policy", Some("compact"), NONE),
        ("cleanup.policy", Some("compost"), INVALID_CONFIG),
        ("max.message.bytes", Some("many"), INVALID_CONFIG),
        ("max.message.bytes", Some("-5"), INVALID_CONFIG),
        ("no.such.key", Some("1"), INVALID_CONFIG),
        ("retention.ms", None, INVALID_CONFIG),
    ] {
        let mut topic = topic(&unique("configured"), 1, 1);
        topic.configs.push(CreatableTopicConfig {
            name: key.to_owned(),
            value: value.map(str::to_owned),
        });
        let result = create_one(&mut client, topic);
        assert_eq!(
            result.error_code, expected,
            "{key}={value:?}: {:?}",
            result.error_message
        );
        if expected == NONE {
            let configs = result.configs.unwrap();
            let config = configs.iter().find(|config| config.name == key).unwrap();
            assert_eq!(config.value.as_deref(), value, "{key}");
        }
    }
}

fn by_name(name: &str) -> DeleteTopicState {
    DeleteTopicState {
        name: Some(name.to_owned()),
        topic_id: [0; 16],
    }
}

fn by_id(topic_id: [u8; 16]) -> DeleteTopicState {
    DeleteTopicState { name: None, topic_id }
}

/// Error codes of the answers, in the order in which the broker gives them.
fn delete(client: &mut Client, topics: Vec<DeleteTopicState>) -> Vec<i16> {
    let request = DeleteTopicsRequest {
        topics,
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    let responses = client.call(6, &request).responses;
    responses.into_iter().map(|response| response.error_code).collect()
}

fn wait_until_gone(client: &mut Client, topic: &Topic) {
    poll("the end of a topic", Duration::from_secs(5), || {
        (describe(client, &topic.name).error_code == UNKNOWN_TOPIC_OR_PARTITION).then_some(())
    });
}

#[test]
fn every_version_deletes_by_name() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    for version in ApiKey::DeleteTopics.versions() {
        let topic = create_topic(&mut client, "deleted", 2);
        let request = if version >= 6 {
            DeleteTopicsRequest {
                topics: vec![by_name(&topic.name)],
                timeout_ms: 10_000,
                ..DeleteTopicsRequest::default()
            }
        } else {
            DeleteTopicsRequest {
                topic_names: vec![topic.name.clone()],
                timeout_ms: 10_000,
                ..DeleteTopicsRequest::default()
            }
        };
        let [result] = client.call(version, &request).responses.try_into().unwrap();
        assert_eq!(result.error_code, NONE, "v{version}");
        assert_eq!(result.name.as_ref(), Some(&topic.name), "v{version}");
        wait_until_gone(&mut client, &topic);
        let [result] = client.call(version, &request).responses.try_into().unwrap();
        assert_eq!(result.error_code, UNKNOWN_TOPIC_OR_PARTITION, "v{version}");
    }
}

#[test]
fn delete_by_id_and_what_cannot_be_deleted() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "deleted-by-id", 1);
    assert_eq!(delete(&mut client, vec![by_id([0xcd; 16])]), [UNKNOWN_TOPIC_ID]);
    assert_eq!(
        delete(&mut client, vec![by_name(&unique("unknown"))]),
        [UNKNOWN_TOPIC_OR_PARTITION]
    );
    let both = DeleteTopicState {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
    };
    assert_eq!(delete(&mut client, vec![both]), [INVALID_REQUEST]);
    assert_eq!(delete(&mut client, vec![by_id([0; 16])]), [INVALID_REQUEST]);
    let twice = vec![by_name(&topic.name), by_name(&topic.name)];
    assert!(delete(&mut client, twice).contains(&INVALID_REQUEST));
    assert_eq!(describe(&mut client, &topic.name).error_code, NONE);

    assert_eq!(delete(&mut client, vec![by_id(topic.id)]), [NONE]);
    wait_until_gone(&mut client, &topic);
    assert_eq!(delete(&mut client, vec![by_id(topic.id)]), [UNKNOWN_TOPIC_ID]);
}

/// As a crash leaves it between the decision to delete a topic and the deletion of its files.
#[test]
fn files_of_a_topic_that_does_not_exist_are_set_aside() {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "stays", 1);
    produce(&mut client, &topic, 0, &sized_batch(3, 10));
    let directories = client.call(4, &DescribeLogDirsRequest { topics: None }).results;
    let data = std::path::PathBuf::from(&directories[0].log_dir);
    broker.terminate();
    std::fs::create_dir(data.join("ghost-0")).unwrap();
    std::fs::copy(
        data.join(format!("{}-0/00000000000000000000.log", topic.name)),
        data.join("ghost-0/00000000000000000000.log"),
    )
    .unwrap();
    broker.start_again(1);
    let mut client = broker.client();
    assert_eq!(end_offset(&mut client, &topic, 0), 3);
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(&data).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    poll("the stray directory", Duration::from_secs(5), || {
        let is_stray = |name: &String| name.starts_with("ghost-0.") && name.ends_with("-stray");
        names().iter().any(is_stray).then_some(())
    });
    assert!(!names().contains(&"ghost-0".to_owned()));
}

#[test]
fn a_deleted_topic_is_gone_and_its_name_free() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let old = create_topic(&mut client, "again", 2);
    produce(&mut client, &old, 0, &sized_batch(3, 100));
    assert_eq!(delete(&mut client, vec![by_name(&old.name)]), [NONE]);
    wait_until_gone(&mut client, &old);
    poll("the end of the partition", Duration::from_secs(5), || {
        let answer = try_produce(&mut client, &old, 0, &sized_batch(1, 100));
        (answer.error_code == UNKNOWN_TOPIC_OR_PARTITION).then_some(())
    });
    assert_eq!(try_fetch(&mut client, &old, 0, 0).error_code, UNKNOWN_TOPIC_ID);

    let result = create_one(&mut client, topic(&old.name, 1, 1));
    assert_eq!(result.error_code, NONE);
    let new = Topic {
        name: old.name.clone(),
        id: result.topic_id,
    };
    assert_ne!(new.id, old.id);
    wait_for_partitions(&mut client, &new, 1);
    assert_eq!(end_offset(&mut client, &new, 0), 0);
    // The old id does not find the new topic.
    assert_eq!(try_fetch(&mut client, &old, 0, 0).error_code, UNKNOWN_TOPIC_ID);
    assert_eq!(produce(&mut client, &new, 0, &sized_batch(1, 100)), 0);
}
