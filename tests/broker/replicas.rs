//! Replicas and logs that are to be elsewhere: what is so already is granted, all else is refused. Answers are those of Apache Kafka 4.3.1.

use duramen_wire::ApiKey;
use duramen_wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use duramen_wire::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use duramen_wire::messages::{
    AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest, DescribeLogDirsRequest, MetadataRequest,
};

use crate::client::Client;
use crate::codes::{
    INVALID_REPLICA_ASSIGNMENT, LOG_DIR_NOT_FOUND, NO_REASSIGNMENT_IN_PROGRESS, NONE, OPERATION_NOT_ATTEMPTED,
    UNKNOWN_TOPIC_OR_PARTITION,
};
use crate::fixture::{METADATA, create_topic};
use crate::harness::Broker;

#[test]
fn partitions_stay_with_their_replicas() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "placed", 2);
    let own = client.call(METADATA, &MetadataRequest::default()).brokers[0].node_id;
    for version in ApiKey::AlterPartitionReassignments.versions() {
        let asked = [
            (0, Some(vec![own])),
            (1, None),
            (1, Some(vec![])),
            (0, Some(vec![own + 77])),
            (2, Some(vec![own])),
        ];
        let partitions = asked.map(|(partition_index, replicas)| ReassignablePartition {
            partition_index,
            replicas,
        });
        let request = AlterPartitionReassignmentsRequest {
            topics: vec![ReassignableTopic {
                name: topic.name.clone(),
                partitions: partitions.to_vec(),
            }],
            ..AlterPartitionReassignmentsRequest::default()
        };
        let answer = client.call(version, &request);
        assert_eq!((answer.error_code, answer.error_message), (NONE, None), "v{version}");
        let codes = answer.responses[0]
            .partitions
            .iter()
            .map(|partition| partition.error_code);
        let expected = [
            NONE,
            NO_REASSIGNMENT_IN_PROGRESS,
            INVALID_REPLICA_ASSIGNMENT,
            INVALID_REPLICA_ASSIGNMENT,
            UNKNOWN_TOPIC_OR_PARTITION,
        ];
        assert_eq!(codes.collect::<Vec<_>>(), expected, "v{version}");
    }
}

/// The code for each partition of a topic that is to be in a directory.
fn move_to(client: &mut Client, version: i16, path: &str, topic: &str, partitions: &[i32]) -> Vec<(i32, i16)> {
    let request = AlterReplicaLogDirsRequest {
        dirs: vec![AlterReplicaLogDir {
            path: path.to_owned(),
            topics: vec![AlterReplicaLogDirTopic {
                name: topic.to_owned(),
                partitions: partitions.to_vec(),
            }],
        }],
    };
    let [answer] = client.call(version, &request).results.try_into().unwrap();
    assert_eq!(answer.topic_name, topic);
    let results = answer.partitions.iter();
    results
        .map(|result| (result.partition_index, result.error_code))
        .collect()
}

#[test]
fn logs_stay_in_their_directories() {
    let drives = tempfile::tempdir().unwrap();
    let paths = ["a", "b"].map(|name| drives.path().join(name).display().to_string());
    let Some(broker) = Broker::start_own(2, &[&format!("log.dirs={}", paths.join(","))]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "placed", 4);
    let described = client.call(4, &DescribeLogDirsRequest { topics: None }).results;
    assert_eq!(described.len(), 2);
    for version in ApiKey::AlterReplicaLogDirs.versions() {
        for directory in &described {
            let logs = directory.topics.iter().filter(|found| found.name == topic.name);
            let here: Vec<i32> = logs
                .flat_map(|found| &found.partitions)
                .map(|log| log.partition_index)
                .collect();
            assert!(!here.is_empty(), "{described:?}");
            let expected = (0..4).map(|partition| {
                let is_here = here.contains(&partition);
                (partition, if is_here { NONE } else { OPERATION_NOT_ATTEMPTED })
            });
            let answer = move_to(&mut client, version, &directory.log_dir, &topic.name, &[0, 1, 2, 3]);
            assert_eq!(answer, expected.collect::<Vec<_>>(), "v{version} {}", directory.log_dir);
        }
        let path = &described[0].log_dir;
        for (path, name, partition, expected) in [
            ("/nowhere", topic.name.as_str(), 0, LOG_DIR_NOT_FOUND),
            (path, &topic.name, 9, UNKNOWN_TOPIC_OR_PARTITION),
            (path, "unknown", 0, UNKNOWN_TOPIC_OR_PARTITION),
        ] {
            let answer = move_to(&mut client, version, path, name, &[partition]);
            assert_eq!(answer, [(partition, expected)], "v{version} {path} {name}");
        }
    }
    let nothing = client.call(2, &AlterReplicaLogDirsRequest::default());
    assert!(nothing.results.is_empty());
}
