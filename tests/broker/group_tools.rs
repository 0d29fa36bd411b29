//! What tools ask about groups: lists, descriptions, deletion.

use duramen_wire::messages::{DeleteGroupsRequest, DescribeGroupsRequest, DescribeGroupsResponse};

use crate::codes::{GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP, NONE};
use crate::fixture::{create_topic, describe};
use crate::group_fixture::{
    commit, fetch_all, list_groups, new_group, stable_alone, start, subscription, wait_for_coordinator,
};

const OPERATIONS: i32 = 0x0d48;

fn describe_groups(groups: &[&str]) -> DescribeGroupsRequest {
    DescribeGroupsRequest {
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        include_authorized_operations: true,
    }
}

#[test]
fn groups_are_described() {
    let (_broker, mut client) = start(2);
    let group = new_group(&mut client);
    let member = stable_alone(&mut client, &group);
    wait_for_coordinator(&mut client, "nothing");
    for version in 0..=6 {
        let mut asked = describe_groups(&[&group, "nothing"]);
        asked.include_authorized_operations = version >= 3;
        let response: DescribeGroupsResponse = client.call(version, &asked);
        let find = |id: &str| response.groups.iter().find(|found| found.group_id == id).unwrap();
        let found = find(&group);
        assert_eq!(
            (found.error_code, found.group_state.as_str()),
            (NONE, "Stable"),
            "v{version}"
        );
        assert_eq!(
            (found.protocol_type.as_str(), found.protocol_data.as_str()),
            ("consumer", "range")
        );
        let described = &found.members[0];
        assert_eq!(
            (&described.member_id, described.client_id.as_str()),
            (&member, "broker-tests")
        );
        assert_eq!(described.client_host, "/127.0.0.1");
        assert_eq!(described.member_metadata, subscription("topic"));
        assert_eq!(described.member_assignment, member.as_bytes());
        if version >= 3 {
            assert_eq!(found.authorized_operations, OPERATIONS, "v{version}");
        }
        let missing = find("nothing");
        assert_eq!(
            (missing.group_state.as_str(), missing.members.len()),
            ("Dead", 0),
            "v{version}"
        );
        let (code, message) = match version {
            6 => (GROUP_ID_NOT_FOUND, Some("Group nothing not found.")),
            _ => (NONE, None),
        };
        assert_eq!(
            (missing.error_code, missing.error_message.as_deref()),
            (code, message),
            "v{version}"
        );
        let operations = if (3..6).contains(&version) {
            OPERATIONS
        } else {
            i32::MIN
        };
        assert_eq!(missing.authorized_operations, operations, "v{version}");
    }
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let (_broker, mut client) = start(3);
    let topic = create_topic(&mut client, "listed", 1);
    let stable = new_group(&mut client);
    stable_alone(&mut client, &stable);
    let simple = new_group(&mut client);
    assert_eq!(commit(&mut client, &simple, &topic, 0, 1), NONE);
    for (version, states, types, expected) in [
        (0, &[][..], &[][..], [true, true]),
        (3, &[], &[], [true, true]),
        (4, &["Stable"], &[], [true, false]),
        (4, &["stable", "EMPTY"], &[], [true, true]),
        (5, &["Empty"], &["classic"], [false, true]),
        (5, &[], &["CLASSIC"], [true, true]),
        (5, &[], &["consumer"], [false, false]),
        (5, &["nonsense"], &[], [false, false]),
    ] {
        let groups = list_groups(&mut client, version, states, types);
        let find = |id: &str| groups.iter().find(|found| found.group_id == id);
        assert_eq!(
            [find(&stable).is_some(), find(&simple).is_some()],
            expected,
            "v{version} {states:?} {types:?}"
        );
        if let Some(found) = find(&stable) {
            assert_eq!(found.protocol_type, "consumer");
            let state = if version >= 4 { "Stable" } else { "" };
            let group_type = if version >= 5 { "classic" } else { "" };
            assert_eq!(
                (found.group_state.as_str(), found.group_type.as_str()),
                (state, group_type)
            );
        }
        if let Some(found) = find(&simple) {
            assert_eq!(found.protocol_type, "");
        }
    }
}

#[test]
fn groups_are_deleted_with_their_offsets() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "gone", 1);
    let stable = new_group(&mut client);
    stable_alone(&mut client, &stable);
    wait_for_coordinator(&mut client, "nothing");
    for version in 0..=2 {
        let simple = new_group(&mut client);
        assert_eq!(commit(&mut client, &simple, &topic, 0, 1), NONE);
        let response = client.call(
            version,
            &DeleteGroupsRequest {
                groups_names: vec![simple.clone(), stable.clone(), "nothing".to_owned()],
            },
        );
        let code = |id: &str| {
            response
                .results
                .iter()
                .find(|found| found.group_id == id)
                .unwrap()
                .error_code
        };
        let codes = [code(&simple), code(&stable), code("nothing")];
        assert_eq!(codes, [NONE, NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND], "v{version}");
        let response = client.call(9, &fetch_all(&simple));
        assert_eq!(
            (response.groups[0].error_code, response.groups[0].topics.len()),
            (NONE, 0)
        );
    }
}

#[test]
fn the_topic_of_groups_is_as_kafka_makes_it() {
    let (_broker, mut client) = start(2);
    new_group(&mut client);
    let topic = describe(&mut client, "__consumer_offsets");
    assert_eq!((topic.partitions.len(), topic.is_internal), (50, true));
    let response = client.call(
        4,
        &duramen_wire::messages::DescribeConfigsRequest {
            resources: vec![
                duramen_wire::messages::describe_configs_request::DescribeConfigsResource {
                    resource_type: 2,
                    resource_name: "__consumer_offsets".to_owned(),
                    configuration_keys: None,
                },
            ],
            ..Default::default()
        },
    );
    let mut set: Vec<(String, String)> = response.results[0]
        .configs
        .iter()
        .filter(|config| config.config_source == 1)
        .map(|config| (config.name.clone(), config.value.clone().unwrap()))
        .collect();
    set.sort_unstable();
    let expected = [
        ("cleanup.policy", "compact"),
        ("compression.type", "producer"),
        ("segment.bytes", "104857600"),
    ];
    assert_eq!(set, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}
