//! Codes and texts were taken from an Apache Kafka 4.3.1 with one broker.

use duramen_wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use duramen_wire::messages::metadata::MetadataRecord;

use super::{DIRECTORY, cluster, create, decide, replay, topic};
use crate::base::ids::NodeId;

fn assigned(name: &str, partitions: i32, replication_factor: i16, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |(partition_index, broker_ids): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: broker_ids.to_vec(),
    };
    CreatableTopic {
        assignments: assignments.iter().map(assignment).collect(),
        ..topic(name, partitions, replication_factor)
    }
}

fn configured(name: &str, configs: &[(&str, Option<&str>)]) -> CreatableTopic {
    let config = |(name, value): &(&str, Option<&str>)| CreatableTopicConfig {
        name: (*name).into(),
        value: value.map(str::to_owned),
    };
    CreatableTopic {
        configs: configs.iter().map(config).collect(),
        ..topic(name, 1, 1)
    }
}

#[test]
fn refusals_say_what_kafka_says() {
    let mut image = cluster(1);
    create(&mut image, "t1", 2);
    create(&mut image, "a.b", 1);
    let long = "x".repeat(250);
    let table: &[(CreatableTopic, &str)] = &[
        (topic("t1", 1, 1), "Topic 't1' already exists."),
        (topic("a_b", 1, 1), "Topic 'a_b' collides with existing topic: a.b"),
        (
            topic("", 1, 1),
            "Topic name is invalid: the empty string is not allowed",
        ),
        (topic(".", 1, 1), "Topic name is invalid: '.' is not allowed"),
        (topic("..", 1, 1), "Topic name is invalid: '..' is not allowed"),
        (
            topic(&long, 1, 1),
            &format!("Topic name is invalid: the length of '{long}' is longer than the max allowed length 249"),
        ),
        (
            topic("é", 0, 0),
            "Topic name is invalid: 'é' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (
            topic("__cluster_metadata", 1, 1),
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
        (
            topic("q", 0, 1),
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            topic("q", -2, 1),
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            topic("q", 1, 0),
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            topic("q", 1, -2),
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            topic("q", 1, 2),
            "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because only 1 broker(s) \
             are registered or some brokers have all their log directories cordoned.",
        ),
        (
            topic("q", 10_001, 1),
            "Excessively large number of partitions per request.",
        ),
        (
            topic("q", 10_000, 1),
            "Unable to perform excessively large batch operation.",
        ),
        (
            assigned("q", 2, -1, &[(0, &[1])]),
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ),
        (
            assigned("q", -1, 1, &[(0, &[1])]),
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ),
        (
            assigned("q", -1, -1, &[(0, &[1]), (2, &[1])]),
            "partitions should be a consecutive 0-based integer sequence",
        ),
        (
            assigned("q", -1, -1, &[(-1, &[1])]),
            "partitions should be a consecutive 0-based integer sequence",
        ),
        (
            assigned("q", -1, -1, &[(0, &[1]), (0, &[1])]),
            "Found multiple manual partition assignments for partition 0",
        ),
        (
            assigned("q", -1, -1, &[(0, &[9])]),
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (
            assigned("q", -1, -1, &[(0, &[])]),
            "The manual partition assignment includes an empty replica list.",
        ),
        (
            assigned("q", -1, -1, &[(0, &[1, 1])]),
            "The manual partition assignment includes the broker 1 more than once.",
        ),
        (
            configured("q", &[("foo", Some("bar"))]),
            "Unknown topic config name: foo",
        ),
        (
            configured("q", &[("retention.ms", None)]),
            "Null value not supported for topic configs: retention.ms",
        ),
    ];
    for (spec, expected) in table {
        let decision = decide(&image, std::slice::from_ref(spec));
        assert_eq!(decision.records, []);
        let error = decision.response[0].as_ref().unwrap_err();
        assert_eq!(error.to_string(), *expected, "{spec:?}");
    }
}

#[test]
fn one_refused_topic_does_not_hinder_another() {
    let image = cluster(1);
    let specs = ["twice", "good", "twice", "bad name", "x.y", "x_y"].map(|name| topic(name, 1, 1));
    let decision = decide(&image, &specs);
    let texts = decision.response.iter().map(|result| match result {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    });
    let expected = [
        "Duplicate topic name.",
        "",
        "Duplicate topic name.",
        "Topic name is invalid: 'bad name' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        "",
        "Topic 'x_y' collides with existing topic: x.y",
    ];
    assert_eq!(texts.collect::<Vec<_>>(), expected);
    assert_eq!(decision.records.len(), 4, "two topics with one partition each");
}

#[test]
fn a_topic_is_what_was_asked_for() {
    let mut image = cluster(1);
    let specs = [
        topic("automatic", -1, -1),
        configured(
            "configured",
            &[
                ("retention.ms", Some("1")),
                ("cleanup.policy", Some("compact")),
                ("retention.ms", Some("2")),
            ],
        ),
        assigned("assigned", -1, -1, &[(1, &[1]), (0, &[1])]),
    ];
    let decision = decide(&image, &specs);
    let shape = |index: usize| {
        let created = decision.response[index].as_ref().unwrap();
        (created.partition_count, created.replication_factor)
    };
    assert_eq!([shape(0), shape(1), shape(2)], [(4, 1), (1, 1), (2, 1)]);
    replay(&mut image, &decision.records);
    let automatic = image.topic_by_name("automatic").unwrap();
    assert_eq!(automatic.partitions.len(), 4);
    let partition = automatic.partition(3).unwrap();
    assert_eq!(partition.leader, Some(NodeId(1)));
    assert_eq!((partition.leader_epoch.0, partition.partition_epoch), (0, 0));
    assert_eq!(
        (partition.replicas.as_slice(), partition.isr.as_slice()),
        ([NodeId(1)].as_slice(), [NodeId(1)].as_slice())
    );
    assert_eq!(partition.directories, [DIRECTORY]);
    let config: Vec<_> = image
        .topic_config("configured")
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(config, [("cleanup.policy", "compact"), ("retention.ms", "2")]);
    assert!(image.topic_config("automatic").is_empty());
}

#[test]
fn replicas_are_spread_and_fenced_brokers_do_not_lead() {
    let mut image = cluster(3);
    let fence = duramen_wire::messages::metadata::FenceBrokerRecord {
        id: 2,
        epoch: image.brokers[&NodeId(2)].epoch,
    };
    replay(&mut image, &[fence.into()]);
    let decision = decide(&image, &[topic("t", 6, 3)]);
    let mut led = std::collections::BTreeMap::new();
    for record in &decision.records {
        if let MetadataRecord::Partition(partition) = record {
            *led.entry(partition.leader).or_insert(0) += 1;
            assert_eq!((partition.replicas.len(), partition.replicas[2]), (3, 2));
            assert_eq!(partition.isr.len(), 2);
        }
    }
    assert_eq!(led, [(1, 3), (3, 3)].into());
    let differing = assigned("q", -1, -1, &[(0, &[1]), (1, &[1, 3])]);
    let error = decide(&image, &[differing]).response[0].clone().unwrap_err();
    assert!(error.to_string().contains("a partition with 2 replica(s)"), "{error}");
    let nobody = assigned("q", -1, -1, &[(0, &[2])]);
    let error = decide(&image, &[nobody]).response[0].clone().unwrap_err();
    assert!(
        error.to_string().contains("are fenced or in controlled shutdown"),
        "{error}"
    );
}
