//! Many groups in one request, and groups of many members.

use duramen_wire::messages::{ConsumerGroupDescribeRequest, DescribeGroupsRequest};

use crate::codes::{GROUP_ID_NOT_FOUND, NONE};
use crate::consumer_group_fixture::{DESCRIBE, HEARTBEAT, joining};
use crate::fixture::{create_topic, unique};
use crate::group_fixture::{new_group, stable_alone, start};

const MEMBERS: usize = 300;

/// More groups than any core is asked for at once, that do not exist but for the first, the last and one in the middle.
fn names(group: &str) -> Vec<String> {
    let mut names: Vec<String> = (0..1000).map(|number| format!("{group}-{number}")).collect();
    for place in [0, 500, 999] {
        group.clone_into(&mut names[place]);
    }
    names
}

#[test]
fn a_crowd_is_described_in_the_order_of_the_request() {
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
    let described = client.call(DESCRIBE, &request).groups;
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
fn classic_groups_are_described_in_the_order_of_the_request() {
    let (_broker, mut client) = start(2);
    let group = new_group(&mut client);
    let member = stable_alone(&mut client, &group);
    let request = DescribeGroupsRequest {
        groups: names(&group),
        include_authorized_operations: false,
    };
    for version in [5, 6] {
        let described = client.call(version, &request).groups;
        assert_eq!(described.len(), request.groups.len());
        for (asked, described) in request.groups.iter().zip(&described) {
            assert_eq!(described.group_id, *asked);
            let state = if *asked == group { "Stable" } else { "Dead" };
            assert_eq!(described.group_state, state, "{asked}");
        }
        assert_eq!(described[999].members[0].member_id, member);
    }
    // What did not exist does not since.
    let missing = unique("missing");
    let request = DescribeGroupsRequest {
        groups: vec![missing],
        include_authorized_operations: false,
    };
    assert_eq!(client.call(6, &request).groups[0].error_code, GROUP_ID_NOT_FOUND);
}
