//! DescribeCluster and DescribeQuorum.

use duramen_wire::ApiKey;
use duramen_wire::messages::describe_quorum_request::{PartitionData, TopicData};
use duramen_wire::messages::{DescribeClusterRequest, DescribeQuorumRequest, MetadataRequest};

use crate::codes::{MISMATCHED_ENDPOINT_TYPE, NONE, UNKNOWN_TOPIC_OR_PARTITION, UNSUPPORTED_ENDPOINT_TYPE};
use crate::fixture::{METADATA, create_topic};
use crate::harness::Broker;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

#[test]
fn every_version_agrees_with_metadata() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let metadata = client.call(METADATA, &MetadataRequest::default());
    for version in ApiKey::DescribeCluster.versions() {
        let cluster = client.call(version, &DescribeClusterRequest::default());
        assert_eq!(cluster.error_code, NONE, "v{version}");
        assert_eq!(Some(cluster.cluster_id), metadata.cluster_id, "v{version}");
        assert_eq!(cluster.controller_id, metadata.controller_id, "v{version}");
        let [node] = cluster.brokers.as_slice() else {
            panic!("v{version}: {:?}", cluster.brokers);
        };
        assert_eq!(node.broker_id, metadata.brokers[0].node_id, "v{version}");
        assert_eq!(
            (node.host.as_str(), node.port),
            ("127.0.0.1", broker.address().port().into())
        );
        assert!(!node.is_fenced, "v{version}");
        assert_eq!(cluster.cluster_authorized_operations, i32::MIN, "v{version}");
    }
}

#[test]
fn authorized_operations_on_request() {
    let broker = Broker::start(1);
    let request = DescribeClusterRequest {
        include_cluster_authorized_operations: true,
        ..DescribeClusterRequest::default()
    };
    for version in ApiKey::DescribeCluster.versions() {
        let cluster = broker.client().call(version, &request);
        assert_ne!(cluster.cluster_authorized_operations, i32::MIN, "v{version}");
    }
}

#[test]
fn endpoint_types() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    for version in [1, 2] {
        for (endpoint_type, expected) in [
            (BROKERS, NONE),
            (CONTROLLERS, MISMATCHED_ENDPOINT_TYPE),
            (3, UNSUPPORTED_ENDPOINT_TYPE),
            (0, UNSUPPORTED_ENDPOINT_TYPE),
        ] {
            let request = DescribeClusterRequest {
                endpoint_type,
                ..DescribeClusterRequest::default()
            };
            let error_code = client.call(version, &request).error_code;
            assert_eq!(error_code, expected, "v{version}, endpoint type {endpoint_type}");
        }
    }
}

fn quorum_request(topics: &[(&str, &[i32])]) -> DescribeQuorumRequest {
    let topics = topics.iter().map(|(name, partitions)| TopicData {
        topic_name: (*name).to_owned(),
        partitions: partitions
            .iter()
            .map(|&partition_index| PartitionData { partition_index })
            .collect(),
    });
    DescribeQuorumRequest {
        topics: topics.collect(),
    }
}

#[test]
fn the_quorum_is_this_node() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let node = client.call(METADATA, &MetadataRequest::default()).brokers[0].node_id;
    for version in ApiKey::DescribeQuorum.versions() {
        let request = quorum_request(&[("__cluster_metadata", &[0])]);
        let before = client.call(version, &request).topics[0].partitions[0].high_watermark;
        create_topic(&mut client, "grows", 1);
        let response = client.call(version, &request);
        assert_eq!(response.error_code, NONE, "v{version}");
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_id), (NONE, node), "v{version}");
        assert!(partition.leader_epoch >= 1, "v{version}");
        assert!(partition.high_watermark > before && before > 0, "v{version}");
        assert_eq!(partition.observers, [], "v{version}");
        let [voter] = partition.current_voters.as_slice() else {
            panic!("v{version}: {partition:?}");
        };
        assert_eq!(voter.replica_id, node, "v{version}");
        assert!(voter.log_end_offset >= partition.high_watermark, "v{version}");
        assert_eq!(voter.replica_directory_id != [0; 16], version >= 2, "v{version}");
        assert_eq!(response.nodes.len(), usize::from(version >= 2), "v{version}");
    }
}

#[test]
fn of_no_other_partition_there_is_a_quorum() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let cases: [&[(&str, &[i32])]; 4] = [
        &[("__cluster_metadata", &[1])],
        &[("other", &[0])],
        &[("__cluster_metadata", &[0, 1])],
        &[("__cluster_metadata", &[0]), ("other", &[0])],
    ];
    for topics in cases {
        for version in ApiKey::DescribeQuorum.versions() {
            let response = client.call(version, &quorum_request(topics));
            assert_eq!(response.error_code, NONE, "v{version} {topics:?}");
            for (topic, (name, partitions)) in response.topics.iter().zip(topics) {
                assert_eq!(topic.topic_name, *name);
                let codes: Vec<i16> = topic.partitions.iter().map(|partition| partition.error_code).collect();
                assert_eq!(
                    codes,
                    vec![UNKNOWN_TOPIC_OR_PARTITION; partitions.len()],
                    "v{version} {topics:?}"
                );
            }
            assert_eq!(response.topics.len(), topics.len());
        }
    }
}
