//! `core.direct`: each core is a broker of its own towards clients.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use duramen_wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use duramen_wire::messages::describe_configs_request::DescribeConfigsResource;
use duramen_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use duramen_wire::messages::{
    CreateTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeLogDirsRequest,
    DescribeTopicPartitionsRequest, FindCoordinatorRequest, IncrementalAlterConfigsRequest, MetadataRequest,
};

use crate::client::Client;
use crate::codes::{INVALID_REQUEST, NONE};
use crate::fixture::{METADATA, Topic, batch, create_topic, describe, fetch, produce, stored, unique};
use crate::group_fixture::{commit, list_groups, new_group};
use crate::harness::Broker;

const CORES: u16 = 3;
const PARTITIONS: i32 = 24;
const IDS: [i32; 3] = [1, 10_001, 20_001];

fn start() -> Option<Broker> {
    Broker::start_own(CORES, &["core.direct=true", "core.direct.port=0"])
}

/// Where each broker that Metadata names is reached.
fn brokers(client: &mut Client) -> BTreeMap<i32, SocketAddr> {
    let metadata = client.call(METADATA, &MetadataRequest::default());
    assert_eq!(metadata.controller_id, IDS[0]);
    let brokers = metadata.brokers.into_iter();
    let address = |host: &str, port: i32| format!("{host}:{port}").parse().unwrap();
    brokers
        .map(|broker| (broker.node_id, address(&broker.host, broker.port)))
        .collect()
}

/// Who leads each partition; each is kept by its leader.
fn leaders(client: &mut Client, topic: &Topic) -> BTreeMap<i32, i32> {
    let partitions = describe(client, &topic.name).partitions.into_iter();
    partitions
        .map(|partition| {
            assert_eq!(partition.replica_nodes, [partition.leader_id]);
            assert_eq!(partition.isr_nodes, [partition.leader_id]);
            (partition.partition_index, partition.leader_id)
        })
        .collect()
}

#[test]
fn each_core_is_a_broker_with_a_port_of_its_own() {
    let Some(broker) = start() else { return };
    let mut client = broker.client();
    let brokers = brokers(&mut client);
    assert_eq!(brokers.keys().copied().collect::<Vec<_>>(), IDS);
    let ports: BTreeSet<_> = brokers.values().map(SocketAddr::port).collect();
    assert_eq!(ports.len(), IDS.len());
    assert!(
        !ports.contains(&broker.address().port()),
        "the port that all cores share"
    );
    let cluster = client.call(
        2,
        &DescribeClusterRequest {
            endpoint_type: 1,
            ..DescribeClusterRequest::default()
        },
    );
    assert_eq!(cluster.controller_id, IDS[0]);
    let described: BTreeSet<_> = cluster.brokers.iter().map(|broker| broker.broker_id).collect();
    assert_eq!(described, BTreeSet::from(IDS));
    for id in IDS {
        let resource = DescribeConfigsResource {
            resource_type: 4,
            resource_name: id.to_string(),
            configuration_keys: None,
        };
        let request = DescribeConfigsRequest {
            resources: vec![resource],
            ..DescribeConfigsRequest::default()
        };
        assert_eq!(client.call(4, &request).results[0].error_code, NONE, "{id}");
    }
}

/// What is set for one of the cores is set for the node.
#[test]
fn each_core_has_the_settings_of_the_node() {
    let Some(broker) = start() else { return };
    let mut client = broker.client();
    let resource = |id: i32, value: &str| AlterConfigsResource {
        resource_type: 4,
        resource_name: id.to_string(),
        configs: vec![AlterableConfig {
            name: "log.retention.ms".to_owned(),
            config_operation: 0,
            value: Some(value.to_owned()),
        }],
    };
    let mut alter = |resources| {
        let request = IncrementalAlterConfigsRequest {
            resources,
            validate_only: false,
        };
        let responses = client.call(1, &request).responses.into_iter();
        let answered = responses.map(|response| (response.resource_name, response.error_code));
        answered.collect::<Vec<_>>()
    };
    assert_eq!(alter(vec![resource(IDS[1], "5000")]), [(IDS[1].to_string(), NONE)]);
    let both = [IDS[0], IDS[2]].map(|id| (id.to_string(), INVALID_REQUEST));
    assert_eq!(alter(vec![resource(IDS[0], "6000"), resource(IDS[2], "7000")]), both);
    for id in IDS {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: 4,
                resource_name: id.to_string(),
                configuration_keys: Some(vec!["log.retention.ms".to_owned()]),
            }],
            ..DescribeConfigsRequest::default()
        };
        let result = client.call(4, &request).results.remove(0);
        assert_eq!(result.configs[0].value.as_deref(), Some("5000"), "{id}");
    }
}

#[test]
fn partitions_are_led_by_the_cores_that_own_them() {
    let Some(broker) = start() else { return };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "direct", PARTITIONS);
    let leaders = leaders(&mut client, &topic);
    assert_eq!(leaders.values().copied().collect::<BTreeSet<_>>(), BTreeSet::from(IDS));
    let request = DescribeTopicPartitionsRequest {
        topics: vec![
            duramen_wire::messages::describe_topic_partitions_request::TopicRequest {
                name: topic.name.clone(),
            },
        ],
        response_partition_limit: 2000,
        ..DescribeTopicPartitionsRequest::default()
    };
    let partitions = client.call(0, &request).topics.remove(0).partitions.into_iter();
    let described: BTreeMap<_, _> = partitions.map(|one| (one.partition_index, one.leader_id)).collect();
    assert_eq!(described, leaders);
    for (id, address) in brokers(&mut client) {
        let mut core = Client::connect(address);
        let own = |partition: &i32| leaders.get(partition) == Some(&id);
        let answer = core.call(4, &DescribeLogDirsRequest { topics: None });
        let topics = answer.results.into_iter().flat_map(|directory| directory.topics);
        let kept: BTreeSet<_> = topics
            .filter(|kept| kept.name == topic.name)
            .flat_map(|kept| kept.partitions)
            .map(|kept| kept.partition_index)
            .collect();
        assert_eq!(kept, (0..PARTITIONS).filter(own).collect(), "what core {id} keeps");
        // A client that does not go to the leader is served too.
        for partition in [(0..PARTITIONS).find(own), (0..PARTITIONS).find(|other| !own(other))] {
            let partition = partition.unwrap();
            let sent = batch(&[b"value"]);
            let offset = produce(&mut core, &topic, partition, &sent);
            let read = fetch(&mut core, &topic, partition, offset);
            assert_eq!(read, stored(&sent, offset, 0));
        }
    }
}

#[test]
fn groups_are_coordinated_by_the_cores_that_keep_them() {
    let Some(broker) = start() else { return };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "direct-groups", 1);
    let brokers = brokers(&mut client);
    let mut coordinated: BTreeMap<i32, BTreeSet<String>> = BTreeMap::new();
    let mut groups = 0;
    // Which core keeps a group is chance: one of three has none of twenty now and then.
    while groups < 20 || coordinated.len() < IDS.len() {
        groups += 1;
        assert!(groups <= 500, "only {:?} coordinate", coordinated.keys());
        let group = new_group(&mut client);
        let request = FindCoordinatorRequest {
            coordinator_keys: vec![group.clone()],
            ..FindCoordinatorRequest::default()
        };
        let found = client.call(6, &request).coordinators.remove(0);
        assert_eq!(i32::from(brokers[&found.node_id].port()), found.port);
        let mut core = Client::connect(brokers[&found.node_id]);
        assert_eq!(commit(&mut core, &group, &topic, 0, 7), NONE);
        coordinated.entry(found.node_id).or_default().insert(group);
    }
    assert_eq!(coordinated.keys().copied().collect::<Vec<_>>(), IDS);
    for (id, groups) in coordinated {
        let listed = list_groups(&mut Client::connect(brokers[&id]), 5, &[], &[]);
        let listed: BTreeSet<_> = listed.into_iter().map(|listed| listed.group_id).collect();
        assert_eq!(listed, groups, "what core {id} lists");
    }
    assert_eq!(list_groups(&mut client, 5, &[], &[]).len(), groups);
}

/// Tools give the ids that they were told.
#[test]
fn replicas_may_be_assigned_to_any_core() {
    let Some(broker) = start() else { return };
    let mut client = broker.client();
    let create = |id: i32| CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: unique("assigned"),
            num_partitions: -1,
            replication_factor: -1,
            assignments: vec![CreatableReplicaAssignment {
                partition_index: 0,
                broker_ids: vec![id],
            }],
            ..CreatableTopic::default()
        }],
        timeout_ms: 10_000,
        ..CreateTopicsRequest::default()
    };
    for id in IDS {
        assert_eq!(client.call(7, &create(id)).topics[0].error_code, NONE, "{id}");
    }
    assert_ne!(client.call(7, &create(30_001)).topics[0].error_code, NONE);
}
