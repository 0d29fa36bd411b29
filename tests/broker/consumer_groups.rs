//! Groups of the consumer protocol (KIP-848): heartbeats, from the first join to the last leave, and what bad ones are told.

use duramen_wire::messages::{ConsumerGroupHeartbeatRequest, DeleteGroupsRequest, DescribeGroupsRequest};

use crate::client::Client;
use crate::codes::{
    FENCED_INSTANCE_ID, FENCED_MEMBER_EPOCH, GROUP_ID_NOT_FOUND, INCONSISTENT_GROUP_PROTOCOL, INVALID_GROUP_ID,
    INVALID_REGULAR_EXPRESSION, INVALID_REQUEST, NON_EMPTY_GROUP, NONE, STALE_MEMBER_EPOCH, UNKNOWN_MEMBER_ID,
    UNRELEASED_INSTANCE_ID, UNSUPPORTED_ASSIGNOR, UNSUPPORTED_VERSION,
};
use crate::consumer_group_fixture::{HEARTBEAT, Member, describe, going_on, joining, settle};
use crate::fixture::{create_topic, unique};
use crate::group_fixture::{
    COMMIT, JOIN, commit_request, fetch, fetch_all, join_request, list_groups, new_group, stable_alone, start,
    wait_for_coordinator,
};
use crate::harness::Broker;

#[test]
fn members_come_share_and_go() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "shared", 4);
    let group = new_group(&mut client);
    for version in 0..=HEARTBEAT {
        let group = new_group(&mut client);
        let response = client.call(version, &joining(&group, "first", &[&topic.name]));
        assert_eq!((response.error_code, response.member_epoch), (NONE, 2), "v{version}");
        assert_eq!(response.member_id.as_deref(), Some("first"), "v{version}");
        assert!(response.heartbeat_interval_ms > 0, "v{version}");
    }
    let mut first = Member::join(&mut client, joining(&group, "first", &[&topic.name]));
    assert_eq!((first.epoch, first.partitions()), (2, vec![0, 1, 2, 3]));
    let quiet = client.call(HEARTBEAT, &going_on(&group, "first", 2));
    assert_eq!(
        (quiet.error_code, quiet.member_epoch, quiet.assignment),
        (NONE, 2, None),
        "nothing is new"
    );
    let mut second = Member::join(&mut client, joining(&group, "second", &[&topic.name]));
    assert_eq!(second.partitions(), [] as [i32; 0]);
    settle(&mut client, &mut [&mut first, &mut second], &[2, 2]);
    assert_eq!((first.epoch, second.epoch), (3, 3));
    let mut all = [first.partitions(), second.partitions()].concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);

    let described = describe(&mut client, &group);
    assert_eq!((described.error_code, described.group_state.as_str()), (NONE, "Stable"));
    assert_eq!((described.group_epoch, described.assignment_epoch), (3, 3));
    assert_eq!(
        (described.assignor_name.as_str(), described.authorized_operations),
        ("uniform", 0x0d48)
    );
    let member = described
        .members
        .iter()
        .find(|member| member.member_id == "first")
        .unwrap();
    assert_eq!((member.member_epoch, member.member_type), (3, 1));
    assert_eq!(
        (member.client_id.as_str(), member.client_host.as_str()),
        ("broker-tests", "/127.0.0.1")
    );
    assert_eq!(member.subscribed_topic_names, std::slice::from_ref(&topic.name));
    assert_eq!(member.assignment, member.target_assignment);
    assert_eq!(member.assignment.topic_partitions[0].topic_name, topic.name);

    second.leave(&mut client);
    settle(&mut client, &mut [&mut first], &[4]);
    assert_eq!(first.epoch, 4);
    first.leave(&mut client);
    let described = describe(&mut client, &group);
    assert_eq!((described.group_state.as_str(), described.group_epoch), ("Empty", 5));
}

#[test]
fn old_clients_are_given_an_id() {
    let (_broker, mut client) = start(1);
    let topic = create_topic(&mut client, "old", 1);
    let group = new_group(&mut client);
    let response = client.call(0, &joining(&group, "", &[&topic.name]));
    assert_eq!((response.error_code, response.member_epoch), (NONE, 2));
    assert_eq!(response.member_id.unwrap().len(), 22);
    let response = client.call(1, &joining(&group, "", &[&topic.name]));
    assert_eq!(response.error_code, INVALID_REQUEST);
}

#[test]
fn what_no_member_says_is_refused() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "refused", 1);
    let group = new_group(&mut client);
    Member::join(&mut client, joining(&group, "member", &[&topic.name]));
    let valid = || joining(&group, "other", &[&topic.name]);
    let empty = || Some(String::new());
    let with = |change: fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = valid();
        change(&mut request);
        request
    };
    let missing = unique("missing");
    wait_for_coordinator(&mut client, &missing);
    let unknown_assignor = "ServerAssignor nobody's is not supported. Supported assignors: uniform, range.".to_owned();
    let cases: Vec<(ConsumerGroupHeartbeatRequest, i16, String)> = vec![
        (with(|r| r.member_id.clear()), INVALID_REQUEST, "MemberId can't be empty.".into()),
        (with(|r| r.group_id.clear()), INVALID_REQUEST, "GroupId can't be empty.".into()),
        (ConsumerGroupHeartbeatRequest { instance_id: empty(), ..valid() }, INVALID_REQUEST, "InstanceId can't be empty.".into()),
        (ConsumerGroupHeartbeatRequest { rack_id: empty(), ..valid() }, INVALID_REQUEST, "RackId can't be empty.".into()),
        (with(|r| r.rebalance_timeout_ms = -1), INVALID_REQUEST, "RebalanceTimeoutMs must be provided in first request.".into()),
        (with(|r| r.topic_partitions = None), INVALID_REQUEST, "TopicPartitions must be empty when (re-)joining.".into()),
        (with(|r| r.subscribed_topic_names = None), INVALID_REQUEST, "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.".into()),
        (going_on(&group, "member", -2), INVALID_REQUEST, "InstanceId can't be null.".into()),
        (going_on(&group, "member", -3), INVALID_REQUEST, "MemberEpoch is invalid.".into()),
        (with(|r| r.server_assignor = Some("nobody's".into())), UNSUPPORTED_ASSIGNOR, unknown_assignor),
        (going_on(&missing, "member", 1), GROUP_ID_NOT_FOUND, format!("Consumer group {missing} not found.")),
        (going_on(&missing, "member", -1), GROUP_ID_NOT_FOUND, format!("Group {missing} not found.")),
        (going_on(&group, "nobody", 2), UNKNOWN_MEMBER_ID, format!("Member nobody is not a member of group {group}.")),
        (going_on(&group, "nobody", -1), UNKNOWN_MEMBER_ID, format!("Member nobody is not a member of group {group}.")),
        (going_on(&group, "member", 3), FENCED_MEMBER_EPOCH, "The consumer group member has a greater member epoch (3) than the one known by the group coordinator (2). The member must abandon all its partitions and rejoin.".into()),
        (ConsumerGroupHeartbeatRequest { instance_id: Some("x".into()), ..going_on(&group, "member", 2) }, UNKNOWN_MEMBER_ID, "Instance id x is unknown.".into()),
        (ConsumerGroupHeartbeatRequest { instance_id: Some("x".into()), ..going_on(&group, "member", -2) }, UNKNOWN_MEMBER_ID, "Instance id x is unknown.".into()),
    ];
    for (request, code, message) in cases {
        let response = client.call(HEARTBEAT, &request);
        assert_eq!(
            (response.error_code, response.error_message.as_deref()),
            (code, Some(message.as_str())),
            "{request:?}"
        );
        assert_eq!((response.member_id, response.member_epoch), (None, 0), "{request:?}");
        assert_eq!((response.heartbeat_interval_ms, response.assignment), (0, None));
    }
    for regex in ["(", "[a", "a{2,1}", "(?=a)", "([ab]{0,200}c){0,200}"] {
        let mut request = valid();
        request.subscribed_topic_names = None;
        request.subscribed_topic_regex = Some(regex.to_owned());
        let response = client.call(HEARTBEAT, &request);
        assert_eq!(response.error_code, INVALID_REGULAR_EXPRESSION, "{regex}");
        let message = response.error_message.unwrap();
        let expected = format!("SubscribedTopicRegex `{regex}` is not a valid regular expression: ");
        assert!(message.starts_with(&expected), "{message}");
    }
    let described = describe(&mut client, &group);
    assert_eq!(
        (described.members.len(), described.group_epoch),
        (1, 2),
        "nobody else came"
    );
}

#[test]
fn epochs_fence() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "fenced", 2);
    let group = new_group(&mut client);
    let mut first = Member::join(&mut client, joining(&group, "first", &[&topic.name]));
    let before = (first.epoch, first.owned.clone());
    let mut second = Member::join(&mut client, joining(&group, "second", &[&topic.name]));
    settle(&mut client, &mut [&mut first, &mut second], &[1, 1]);
    // The answer of the last epoch may have been lost, if the member has no more than it had.
    let mut late = ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(first.owned.clone()),
        ..going_on(&group, "first", before.0)
    };
    let response = client.call(HEARTBEAT, &late);
    assert_eq!((response.error_code, response.member_epoch), (NONE, 3));
    late.topic_partitions = Some(before.1);
    let response = client.call(HEARTBEAT, &late);
    assert_eq!(response.error_code, FENCED_MEMBER_EPOCH);
    assert!(
        response
            .error_message
            .unwrap()
            .contains("has a smaller member epoch (2)")
    );
    late.topic_partitions = None;
    assert_eq!(client.call(HEARTBEAT, &late).error_code, FENCED_MEMBER_EPOCH);
}

#[test]
fn static_members_come_back() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "static", 2);
    let group = new_group(&mut client);
    let of_instance = |request: ConsumerGroupHeartbeatRequest| ConsumerGroupHeartbeatRequest {
        instance_id: Some("one".to_owned()),
        ..request
    };
    let first = Member::join(&mut client, of_instance(joining(&group, "a", &[&topic.name])));
    assert_eq!((first.epoch, first.partitions().len()), (2, 2));
    let response = client.call(HEARTBEAT, &of_instance(joining(&group, "b", &[&topic.name])));
    assert_eq!(response.error_code, UNRELEASED_INSTANCE_ID);
    assert_eq!(
        response.error_message.as_deref(),
        Some(
            "Static member b with instance id one cannot join the group because the instance id is owned by a member."
        )
    );
    let response = client.call(HEARTBEAT, &of_instance(going_on(&group, "b", 2)));
    assert_eq!(response.error_code, FENCED_INSTANCE_ID);
    assert_eq!(
        response.error_message.as_deref(),
        Some("Static member b with instance id one was fenced by member a.")
    );
    let away = client.call(HEARTBEAT, &of_instance(going_on(&group, "a", -2)));
    assert_eq!((away.error_code, away.member_epoch), (NONE, -2));
    let back = Member::join(&mut client, of_instance(joining(&group, "b", &[&topic.name])));
    assert_eq!((back.epoch, back.partitions().len()), (2, 2), "it has what it had");
    let response = client.call(HEARTBEAT, &of_instance(going_on(&group, "a", 2)));
    assert_eq!(response.error_code, FENCED_INSTANCE_ID);
    let described = describe(&mut client, &group);
    assert_eq!((described.group_epoch, described.members.len()), (2, 1));
    assert_eq!(described.members[0].instance_id.as_deref(), Some("one"));
}

#[test]
fn patterns_find_topics_that_come_later() {
    let (_broker, mut client) = start(2);
    let group = new_group(&mut client);
    let prefix = unique("pattern");
    create_topic(&mut client, &format!("{prefix}-a"), 2);
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(format!("{prefix}-.*")),
        ..joining(&group, "first", &[])
    };
    let mut member = Member::join(&mut client, request);
    settle(&mut client, &mut [&mut member], &[2]);
    create_topic(&mut client, &format!("{prefix}-b"), 3);
    settle(&mut client, &mut [&mut member], &[5]);
}

#[test]
fn offsets_go_with_epochs() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "offsets", 1);
    let group = new_group(&mut client);
    let member = Member::join(&mut client, joining(&group, "first", &[&topic.name]));
    let commit = |client: &mut Client, version: i16, id: &str, epoch: i32| {
        let mut request = commit_request(&group, &topic, 0, 7);
        request.member_id = id.to_owned();
        request.generation_id_or_member_epoch = epoch;
        client.call(version, &request).topics[0].partitions[0].error_code
    };
    for (version, id, epoch, expected) in [
        (COMMIT, "first", 2, NONE),
        (COMMIT, "first", 1, STALE_MEMBER_EPOCH),
        (COMMIT, "first", 3, STALE_MEMBER_EPOCH),
        (COMMIT, "nobody", 2, UNKNOWN_MEMBER_ID),
        (COMMIT, "", -1, UNKNOWN_MEMBER_ID),
        (8, "first", 2, UNSUPPORTED_VERSION),
    ] {
        assert_eq!(
            commit(&mut client, version, id, epoch),
            expected,
            "v{version} {id} {epoch}"
        );
    }
    assert_eq!(fetch(&mut client, &group, &topic, 0), 7);
    for (id, epoch, expected) in [
        (Some("first"), 2, NONE),
        (Some("first"), 3, STALE_MEMBER_EPOCH),
        (Some("nobody"), 2, UNKNOWN_MEMBER_ID),
        (None, -1, NONE),
    ] {
        let mut request = fetch_all(&group);
        request.groups[0].member_id = id.map(str::to_owned);
        request.groups[0].member_epoch = epoch;
        let response = client.call(9, &request);
        assert_eq!(response.groups[0].error_code, expected, "{id:?} {epoch}");
    }
    member.leave(&mut client);
    assert_eq!(commit(&mut client, COMMIT, "", -1), NONE, "nobody is left");
}

#[test]
fn tools_see_groups_of_both_protocols() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "tools", 1);
    let (group, classic) = (new_group(&mut client), new_group(&mut client));
    let member = Member::join(&mut client, joining(&group, "first", &[&topic.name]));
    stable_alone(&mut client, &classic);
    let list = |client: &mut Client, types: &[&str], states: &[&str]| {
        let listed = list_groups(client, 5, states, types).into_iter();
        let listed = listed.filter(|listed| [&group, &classic].contains(&&listed.group_id));
        let mut listed: Vec<_> = listed
            .map(|listed| {
                (
                    listed.group_id,
                    listed.group_type,
                    listed.group_state,
                    listed.protocol_type,
                )
            })
            .collect();
        listed.sort();
        listed
    };
    let entry = |id: &str, kind: &str| {
        (
            id.to_owned(),
            kind.to_owned(),
            "Stable".to_owned(),
            "consumer".to_owned(),
        )
    };
    let both = {
        let mut both = vec![entry(&group, "consumer"), entry(&classic, "classic")];
        both.sort();
        both
    };
    assert_eq!(list(&mut client, &[], &[]), both);
    assert_eq!(
        list(&mut client, &["consumer"], &["stable"]),
        [entry(&group, "consumer")]
    );
    assert_eq!(list(&mut client, &["Classic"], &[]), [entry(&classic, "classic")]);
    assert_eq!(list(&mut client, &["consumer"], &["Empty"]), []);

    let request = DescribeGroupsRequest {
        groups: vec![group.clone()],
        ..DescribeGroupsRequest::default()
    };
    let described = &client.call(6, &request).groups[0];
    let told = (described.error_code, described.group_state.as_str());
    assert_eq!(told, (GROUP_ID_NOT_FOUND, "Dead"));
    let message = format!("Group {group} is not a classic group.");
    assert_eq!(described.error_message.as_deref(), Some(message.as_str()));
    let missing = unique("missing");
    for (id, code, message) in [
        (
            classic.as_str(),
            GROUP_ID_NOT_FOUND,
            Some(format!("Group {classic} is not a consumer group.")),
        ),
        (
            missing.as_str(),
            GROUP_ID_NOT_FOUND,
            Some(format!("Group {missing} not found.")),
        ),
        ("", INVALID_GROUP_ID, None),
    ] {
        wait_for_coordinator(&mut client, &missing);
        let described = describe(&mut client, id);
        assert_eq!(
            (described.error_code, &described.error_message),
            (code, &message),
            "{id}"
        );
    }

    let delete = |client: &mut Client| {
        let request = DeleteGroupsRequest {
            groups_names: vec![group.clone()],
        };
        client.call(2, &request).results[0].error_code
    };
    assert_eq!(delete(&mut client), NON_EMPTY_GROUP);
    member.leave(&mut client);
    assert_eq!(delete(&mut client), NONE);
    assert_eq!(describe(&mut client, &group).error_code, GROUP_ID_NOT_FOUND);
}

#[test]
fn an_empty_group_takes_the_other_protocol() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "other", 1);
    let group = new_group(&mut client);
    let member = Member::join(&mut client, joining(&group, "first", &[&topic.name]));
    let mut join = join_request(&group, "");
    join.protocol_type = "other".to_owned();
    assert_eq!(client.call(JOIN, &join).error_code, INCONSISTENT_GROUP_PROTOCOL);
    member.leave(&mut client);
    stable_alone(&mut client, &group);
    let described = describe(&mut client, &group);
    assert_eq!(described.error_code, GROUP_ID_NOT_FOUND, "it is a classic group");
}

#[test]
fn groups_outlive_the_broker() {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "kept", 4);
    let group = new_group(&mut client);
    let mut first = Member::join(&mut client, joining(&group, "first", &[&topic.name]));
    let mut second = Member::join(&mut client, joining(&group, "second", &[&topic.name]));
    settle(&mut client, &mut [&mut first, &mut second], &[2, 2]);
    let before = describe(&mut client, &group);
    for (cores, is_killed) in [(1, true), (2, false)] {
        if is_killed {
            broker.kill_and_restart(cores);
        } else {
            broker.restart(cores);
        }
        client = broker.client();
        wait_for_coordinator(&mut client, &group);
        assert_eq!(describe(&mut client, &group), before);
        first.beat(&mut client);
        second.beat(&mut client);
        assert_eq!((first.epoch, second.epoch), (3, 3));
    }
}

#[test]
fn members_that_are_silent_lose_their_place() {
    let settings = [
        "group.consumer.min.session.timeout.ms=3000",
        "group.consumer.session.timeout.ms=3000",
        "group.consumer.min.heartbeat.interval.ms=300",
        "group.consumer.heartbeat.interval.ms=300",
        "group.consumer.assignment.interval.ms=0",
    ];
    let Some(broker) = Broker::start_own(2, &settings) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "silent", 2);
    let group = new_group(&mut client);
    let response = client.call(HEARTBEAT, &joining(&group, "silent", &[&topic.name]));
    assert_eq!(response.heartbeat_interval_ms, 300);
    let mut other = Member::join(&mut client, joining(&group, "other", &[&topic.name]));
    settle(&mut client, &mut [&mut other], &[2]);
    assert_eq!((other.epoch, describe(&mut client, &group).members.len()), (4, 1));
}

#[test]
fn the_protocol_can_be_switched_off() {
    let settings = ["group.coordinator.rebalance.protocols=classic"];
    let Some(broker) = Broker::start_own(1, &settings) else {
        return;
    };
    let mut client = broker.client();
    let group = new_group(&mut client);
    let response = client.call(HEARTBEAT, &joining(&group, "first", &["topic"]));
    assert_eq!(
        (response.error_code, response.error_message),
        (UNSUPPORTED_VERSION, None)
    );
    assert_eq!(describe(&mut client, &group).error_code, UNSUPPORTED_VERSION);
}
