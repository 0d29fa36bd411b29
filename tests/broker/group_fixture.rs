//! What tests of groups need: a coordinator that answers, and members.

use std::time::Duration;

use bytes::Bytes;
use duramen_wire::messages::join_group_request::JoinGroupRequestProtocol;
use duramen_wire::messages::list_groups_response::ListedGroup;
use duramen_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use duramen_wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use duramen_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use duramen_wire::messages::{
    FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, ListGroupsRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};

use crate::client::Client;
use crate::codes::{COORDINATOR_LOAD_IN_PROGRESS, MEMBER_ID_REQUIRED, NONE, NOT_COORDINATOR};
use crate::fixture::{Topic, unique};
use crate::harness::{Broker, poll};

/// Versions for tests that are not about versions.
pub const JOIN: i16 = 9;
pub const SYNC: i16 = 5;
pub const COMMIT: i16 = 9;
pub const FETCH: i16 = 9;

/// Settings of a broker whose groups do not wait for members.
pub const EAGER: &[&str] = &["group.initial.rebalance.delay.ms=0"];

/// A broker whose groups do not wait, and a client of it.
pub fn start(cores: u16) -> (Broker, Client) {
    let broker = Broker::start_with(cores, EAGER);
    let client = broker.client();
    (broker, client)
}

/// A group id of its own, whose coordinator answers.
pub fn new_group(client: &mut Client) -> String {
    let group = unique("group");
    wait_for_coordinator(client, &group);
    group
}

pub fn wait_for_coordinator(client: &mut Client, group: &str) {
    let request = FindCoordinatorRequest {
        coordinator_keys: vec![group.to_owned()],
        ..FindCoordinatorRequest::default()
    };
    poll("the coordinator", Duration::from_secs(20), || {
        let [found] = client.call(6, &request).coordinators.try_into().unwrap();
        (found.error_code == NONE).then_some(())
    });
    poll("the coordinator's log", Duration::from_secs(20), || {
        let response = client.call(FETCH, &fetch_all(group));
        let code = response.groups[0].error_code;
        // Its core may not have heard of it, or is still reading.
        assert!(
            [NONE, NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS].contains(&code),
            "{code}"
        );
        (code == NONE).then_some(())
    });
}

/// All groups in these states and of these types, once every coordinator has read its log.
pub fn list_groups(client: &mut Client, version: i16, states: &[&str], types: &[&str]) -> Vec<ListedGroup> {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let request = ListGroupsRequest {
        states_filter: owned(states),
        types_filter: owned(types),
    };
    poll("the coordinators' logs", Duration::from_secs(20), || {
        let response = client.call(version, &request);
        let code = response.error_code;
        assert!([NONE, COORDINATOR_LOAD_IN_PROGRESS].contains(&code), "{code}");
        (code == NONE).then_some(response.groups)
    })
}

/// A subscription to one topic, as version 0 writes it.
pub fn subscription(topic: &str) -> Bytes {
    let mut bytes = vec![0, 0, 0, 0, 0, 1];
    bytes.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
    bytes.extend(topic.as_bytes());
    bytes.extend([0xff; 4]);
    bytes.into()
}

pub fn join_request(group: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: subscription("topic"),
        }],
        ..JoinGroupRequest::default()
    }
}

pub fn sync_request(group: &str, member: &str, generation: i32) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: group.to_owned(),
        generation_id: generation,
        member_id: member.to_owned(),
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        ..SyncGroupRequest::default()
    }
}

/// The assignment of a member: its own id.
pub fn assignment(member: &str) -> SyncGroupRequestAssignment {
    SyncGroupRequestAssignment {
        member_id: member.to_owned(),
        assignment: Bytes::copy_from_slice(member.as_bytes()),
    }
}

pub fn heartbeat(client: &mut Client, group: &str, member: &str, generation: i32) -> i16 {
    let request = HeartbeatRequest {
        group_id: group.to_owned(),
        generation_id: generation,
        member_id: member.to_owned(),
        group_instance_id: None,
    };
    client.call(4, &request).error_code
}

/// The id that a new member is given, by the coordinator that its connection knows: each core learns of it by itself.
pub fn given_id(client: &mut Client, group: &str) -> String {
    let response = poll("a coordinator", Duration::from_secs(10), || {
        let response = client.call(JOIN, &join_request(group, ""));
        (response.error_code != NOT_COORDINATOR).then_some(response)
    });
    assert_eq!(response.error_code, MEMBER_ID_REQUIRED);
    response.member_id
}

/// Joins as the only member; the answer.
pub fn join_alone(client: &mut Client, group: &str) -> JoinGroupResponse {
    let id = given_id(client, group);
    let response = client.call(JOIN, &join_request(group, &id));
    assert_eq!((response.error_code, &response.leader), (NONE, &id));
    response
}

/// A stable group of one member; its id.
pub fn stable_alone(client: &mut Client, group: &str) -> String {
    let joined = join_alone(client, group);
    let mut request = sync_request(group, &joined.member_id, joined.generation_id);
    request.assignments = vec![assignment(&joined.member_id)];
    let synced = client.call(SYNC, &request);
    assert_eq!(
        (synced.error_code, &synced.assignment[..]),
        (NONE, joined.member_id.as_bytes())
    );
    joined.member_id
}

pub fn commit_request(group: &str, topic: &Topic, partition: i32, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: topic.name.clone(),
            topic_id: topic.id,
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: partition,
                committed_offset: offset,
                committed_leader_epoch: 0,
                committed_metadata: Some(format!("at {offset}")),
            }],
        }],
        ..OffsetCommitRequest::default()
    }
}

/// Commits without membership; the error code.
pub fn commit(client: &mut Client, group: &str, topic: &Topic, partition: i32, offset: i64) -> i16 {
    let response = client.call(COMMIT, &commit_request(group, topic, partition, offset));
    response.topics[0].partitions[0].error_code
}

pub fn fetch_all(group: &str) -> OffsetFetchRequest {
    OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: None,
            ..OffsetFetchRequestGroup::default()
        }],
        ..OffsetFetchRequest::default()
    }
}

/// The committed offset of one partition.
pub fn fetch(client: &mut Client, group: &str, topic: &Topic, partition: i32) -> i64 {
    let mut request = fetch_all(group);
    request.groups[0].topics = Some(vec![OffsetFetchRequestTopics {
        name: topic.name.clone(),
        topic_id: topic.id,
        partition_indexes: vec![partition],
    }]);
    let response = client.call(FETCH, &request);
    assert_eq!(response.groups[0].error_code, NONE);
    let fetched = &response.groups[0].topics[0].partitions[0];
    assert_eq!(fetched.error_code, NONE);
    fetched.committed_offset
}
