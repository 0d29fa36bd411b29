//! Texts were taken from an Apache Kafka 4.3.1 with one broker.

use super::{cluster, create};
use crate::metadata::controller::{ReplicaCount, reassign};

#[test]
fn only_the_replicas_that_are_can_be_asked_for() {
    let mut image = cluster(1);
    create(&mut image, "t", 2);
    let table: &[(&str, i32, Option<&[i32]>, &str)] = &[
        ("t", 1, Some(&[1]), ""),
        ("t", 0, None, "No partition reassignment is in progress."),
        ("nope", 0, Some(&[1]), "Unable to find a topic named nope."),
        ("nope", 0, None, "Unable to find a topic named nope."),
        ("t", 2, Some(&[1]), "Unable to find partition t:2."),
        ("t", -1, Some(&[1]), "Unable to find partition t:-1."),
        (
            "t",
            0,
            Some(&[]),
            "The manual partition assignment includes an empty replica list.",
        ),
        (
            "t",
            0,
            Some(&[9]),
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (
            "t",
            0,
            Some(&[1, 1]),
            "The manual partition assignment includes the broker 1 more than once.",
        ),
    ];
    for &(topic, partition, replicas, expected) in table {
        for count in [ReplicaCount::MayChange, ReplicaCount::Stays] {
            let answer = reassign(&image, topic, partition, replicas, count);
            let text = answer.err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(text, expected, "{topic}-{partition} to {replicas:?}");
        }
    }
}

#[test]
fn other_brokers_get_nothing() {
    let mut image = cluster(2);
    create(&mut image, "t", 1);
    let own = image.topic_by_name("t").unwrap().partition(0).unwrap().replicas[0].0;
    let both: &[i32] = &[own, 3 - own];
    for (replicas, count, expected) in [
        (
            both,
            ReplicaCount::Stays,
            "The replication factor is changed from 1 to 2",
        ),
        (
            both,
            ReplicaCount::MayChange,
            "Replicas cannot be moved to other brokers.",
        ),
        (&[own], ReplicaCount::MayChange, ""),
    ] {
        let answer = reassign(&image, "t", 0, Some(replicas), count);
        let text = answer.err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(text, expected, "{replicas:?}");
    }
}
