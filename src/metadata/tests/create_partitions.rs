//! Codes and texts were taken from an Apache Kafka 4.3.1 with one broker.

use duramen_wire::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};

use super::{cluster, create, decide, replay, topic};
use crate::metadata::MetadataImage;
use crate::metadata::controller::create_partitions;

fn asked(name: &str, count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let assignment = |ids: &&[i32]| CreatePartitionsAssignment {
        broker_ids: ids.to_vec(),
    };
    CreatePartitionsTopic {
        name: name.into(),
        count,
        assignments: assignments.map(|assignments| assignments.iter().map(assignment).collect()),
    }
}

fn leaders(image: &MetadataImage, name: &str) -> Vec<i32> {
    let topic = image.topic_by_name(name).unwrap();
    let leaders = topic.partitions.iter().map(|partition| partition.leader.unwrap().0);
    leaders.collect()
}

#[test]
fn refusals_say_what_kafka_says() {
    let mut image = cluster(1);
    create(&mut image, "t", 2);
    let table: &[(CreatePartitionsTopic, &str)] = &[
        (
            asked("unknown", 5, None),
            "This server does not host this topic-partition.",
        ),
        (asked("t", 2, None), "Topic already has 2 partition(s)."),
        (
            asked("t", 1, None),
            "The topic t currently has 2 partition(s); 1 would not be an increase.",
        ),
        (
            asked("t", -7, None),
            "The topic t currently has 2 partition(s); -7 would not be an increase.",
        ),
        (
            asked("t", 10_003, None),
            "Excessively large number of partitions per request.",
        ),
        (
            asked("t", i32::MAX, None),
            "Excessively large number of partitions per request.",
        ),
        (
            asked("t", 4, Some(&[&[1]])),
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        ),
        (
            asked("t", 3, Some(&[&[]])),
            "The manual partition assignment includes an empty replica list.",
        ),
        (
            asked("t", 3, Some(&[&[99]])),
            "The manual partition assignment includes broker 99, but no such broker is registered.",
        ),
        (
            asked("t", 3, Some(&[&[1, 1]])),
            "The manual partition assignment includes the broker 1 more than once.",
        ),
    ];
    for (topic, expected) in table {
        let decision = create_partitions(&image, std::slice::from_ref(topic));
        assert!(decision.records.is_empty(), "{expected}");
        let error = decision.response[0].as_ref().unwrap_err();
        assert_eq!(error.to_string(), *expected);
    }
    let twice = [asked("t", 3, None), asked("t", 4, None)];
    let decision = create_partitions(&image, &twice);
    assert!(decision.records.is_empty());
    assert_eq!(
        decision.response[1].as_ref().unwrap_err().to_string(),
        "Duplicate topic name."
    );
}

#[test]
fn partitions_are_added_behind_those_that_are_there() {
    let mut image = cluster(3);
    let decision = decide(&image, &[topic("t", 2, 2)]);
    replay(&mut image, &decision.records);
    let before = leaders(&image, "t");
    let decision = create_partitions(&image, &[asked("t", 5, None)]);
    assert_eq!(decision.response, [Ok(())]);
    replay(&mut image, &decision.records);
    let after = leaders(&image, "t");
    assert_eq!(after[..2], before);
    assert_eq!(after.len(), 5);
    for pair in after.windows(2) {
        assert_eq!(pair[1], pair[0] % 3 + 1, "each is led by the next broker: {after:?}");
    }
    assert!(
        image
            .topic_by_name("t")
            .unwrap()
            .partitions
            .iter()
            .all(|partition| partition.isr.len() == 2)
    );

    let wrong_count = create_partitions(&image, &[asked("t", 6, Some(&[&[1]]))]);
    assert_eq!(
        wrong_count.response[0].as_ref().unwrap_err().to_string(),
        "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with previous partitions, \
         which have 2 replica(s)."
    );
    let decision = create_partitions(&image, &[asked("t", 7, Some(&[&[3, 1], &[2, 3]]))]);
    replay(&mut image, &decision.records);
    assert_eq!(leaders(&image, "t")[5..], [3, 2]);
}

#[test]
fn many_topics_share_the_room_of_a_request() {
    let mut image = cluster(1);
    create(&mut image, "a", 1);
    create(&mut image, "b", 1);
    let decision = create_partitions(&image, &[asked("a", 6001, None), asked("b", 6001, None)]);
    assert_eq!(decision.records.len(), 6000);
    assert!(decision.response[0].is_ok() && decision.response[1].is_err());
}
