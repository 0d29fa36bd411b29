//! Many groups in one request, and groups of many members.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_wire::messages::{ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest};

use crate::client::Client;
use crate::codes::{COORDINATOR_LOAD_IN_PROGRESS, GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP, NONE, NOT_COORDINATOR};
use crate::consumer_group_fixture::{DESCRIBE, HEARTBEAT, joining};
use crate::fixture::{create_topic, unique};
use crate::group_fixture::{commit, fetch, new_group, stable_alone, start, wait_for_coordinator};
use crate::harness::poll;

const MEMBERS: usize = 300;

/// More groups than any core is asked for at once, sorted: they do not exist but for one, which is asked for three times.
fn names(group: &str) -> Vec<String> {
    let mut names: Vec<String> = (0..1000).map(|number| format!("{group}-{number}")).collect();
    for place in [0, 500, 999] {
        group.clone_into(&mut names[place]);
    }
    names.sort_unstable();
    names
}

/// Groups of so many names are on all partitions of their topic: each has its coordinator, which reads its log first.
fn wait_for_coordinators(client: &mut Client, groups: &[String]) {
    let request = DescribeGroupsRequest {
        groups: groups.to_vec(),
        include_authorized_operations: false,
    };
    poll("the coordinators' logs", Duration::from_secs(20), || {
        let described = client.call(6, &request).groups;
        let mut codes = described.iter().map(|group| group.error_code);
        codes
            .all(|code| ![NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS].contains(&code))
            .then_some(())
    });
}

#[test]
fn a_crowd_is_described() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "crowd", 16);
    let group = new_group(&mut client);
    for number in 0..MEMBERS {
        let joined = client.call(HEARTBEAT, &joining(&group, &format!("member-{number}"), &[&topic.name]));
        assert_eq!(joined.error_code, NONE, "{:?}", joined.error_message);
    }
    let request = ConsumerGroupDescribeRequest {
        group_ids: names(&group),
        include_authorized_operations: false,
    };
    wait_for_coordinators(&mut client, &request.group_ids);
    let mut described = client.call(DESCRIBE, &request).groups;
    described.sort_by(|one, other| one.group_id.cmp(&other.group_id));
    assert_eq!(described.len(), request.group_ids.len());
    for (asked, described) in request.group_ids.iter().zip(&described) {
        assert_eq!(described.group_id, *asked);
        let (code, members) = if *asked == group {
            (NONE, MEMBERS)
        } else {
            (GROUP_ID_NOT_FOUND, 0)
        };
        assert_eq!(
            (described.error_code, described.members.len()),
            (code, members),
            "{asked}"
        );
    }
    let partitions = described[0]
        .members
        .iter()
        .flat_map(|member| &member.target_assignment.topic_partitions);
    let mut partitions: Vec<i32> = partitions.flat_map(|topic| topic.partitions.clone()).collect();
    partitions.sort_unstable();
    assert_eq!(partitions, (0..16).collect::<Vec<i32>>());
}

#[test]
fn a_crowd_of_classic_groups_is_described() {
    let (_broker, mut client) = start(2);
    let group = new_group(&mut client);
    let member = stable_alone(&mut client, &group);
    let request = DescribeGroupsRequest {
        groups: names(&group),
        include_authorized_operations: false,
    };
    wait_for_coordinators(&mut client, &request.groups);
    for version in [5, 6] {
        let mut described = client.call(version, &request).groups;
        described.sort_by(|one, other| one.group_id.cmp(&other.group_id));
        assert_eq!(described.len(), request.groups.len());
        for (asked, described) in request.groups.iter().zip(&described) {
            assert_eq!(described.group_id, *asked);
            let state = if *asked == group { "Stable" } else { "Dead" };
            assert_eq!(described.group_state, state, "{asked}");
        }
        assert_eq!(described[0].members[0].member_id, member);
    }
    // What did not exist does not since.
    let missing = unique("missing");
    let request = DescribeGroupsRequest {
        groups: vec![missing],
        include_authorized_operations: false,
    };
    assert_eq!(client.call(6, &request).groups[0].error_code, GROUP_ID_NOT_FOUND);
}

#[test]
fn a_crowd_is_deleted_each_by_itself() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "crowd", 1);
    let (empty, full) = (new_group(&mut client), unique("full"));
    wait_for_coordinator(&mut client, &full);
    assert_eq!(commit(&mut client, &empty, &topic, 0, 5), NONE);
    stable_alone(&mut client, &full);
    let mut groups_names: Vec<String> = (0..500).map(|number| format!("{empty}-{number}")).collect();
    groups_names.extend([empty.clone(), full.clone()]);
    wait_for_coordinators(&mut client, &groups_names);
    let results = client.call(2, &DeleteGroupsRequest { groups_names }).results;
    let codes: BTreeMap<&str, i16> = results
        .iter()
        .map(|result| (result.group_id.as_str(), result.error_code))
        .collect();
    assert_eq!((results.len(), codes.len()), (502, 502));
    assert_eq!((codes[empty.as_str()], codes[full.as_str()]), (NONE, NON_EMPTY_GROUP));
    let missing = codes.values().filter(|code| **code == GROUP_ID_NOT_FOUND);
    assert_eq!(missing.count(), 500);
    assert_eq!(fetch(&mut client, &empty, &topic, 0), -1);
}
