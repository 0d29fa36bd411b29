//! DescribeCluster.

use duramen_wire::ApiKey;
use duramen_wire::messages::{DescribeClusterRequest, MetadataRequest};

use crate::codes::{MISMATCHED_ENDPOINT_TYPE, NONE, UNSUPPORTED_ENDPOINT_TYPE};
use crate::fixture::METADATA;
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
