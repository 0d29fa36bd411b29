//! Groups of the classic protocol: their members, from the first join to the last leave.

use duramen_wire::messages::leave_group_request::MemberIdentity;
use duramen_wire::messages::{
    FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest,
};

use crate::client::Client;
use crate::codes::{
    FENCED_INSTANCE_ID, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, INVALID_GROUP_ID, INVALID_REQUEST,
    INVALID_SESSION_TIMEOUT, MEMBER_ID_REQUIRED, NONE, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID,
};
use crate::group_fixture::{
    JOIN, SYNC, assignment, given_id, heartbeat, join_alone, join_request, new_group, stable_alone, start,
    sync_request, wait_for_coordinator,
};

#[test]
fn the_coordinator_is_this_broker() {
    let (broker, mut client) = start(2);
    let group = new_group(&mut client);
    for version in 0..=6 {
        let response = client.call(
            version,
            &FindCoordinatorRequest {
                key: if version < 4 { group.clone() } else { String::new() },
                key_type: 0,
                coordinator_keys: if version >= 4 { vec![group.clone()] } else { Vec::new() },
            },
        );
        let (code, node, port) = match response.coordinators.first() {
            Some(found) => (found.error_code, found.node_id, found.port),
            None => (response.error_code, response.node_id, response.port),
        };
        assert_eq!((code, port), (NONE, i32::from(broker.address().port())), "v{version}");
        assert!(node >= 0, "v{version}");
        if (1..4).contains(&version) {
            assert_eq!(response.error_message.as_deref(), Some("NONE"), "v{version}");
        }
    }
    for version in 1..=6 {
        let response = client.call(
            version,
            &FindCoordinatorRequest {
                key: if version < 4 { group.clone() } else { String::new() },
                key_type: 9,
                coordinator_keys: if version >= 4 { vec![group.clone()] } else { Vec::new() },
            },
        );
        let (code, node) = match response.coordinators.first() {
            Some(found) => (found.error_code, found.node_id),
            None => (response.error_code, response.node_id),
        };
        assert_eq!((code, node), (INVALID_REQUEST, -1), "v{version}");
    }
}

#[test]
fn a_member_lives_in_every_version() {
    let (_broker, mut client) = start(2);
    for version in 0..=JOIN {
        let group = new_group(&mut client);
        let mut joined = client.call(version, &join_request(&group, ""));
        if version >= 4 {
            assert_eq!(
                (joined.error_code, joined.generation_id),
                (MEMBER_ID_REQUIRED, -1),
                "v{version}"
            );
            joined = client.call(version, &join_request(&group, &joined.member_id));
        }
        assert_eq!((joined.error_code, joined.generation_id), (NONE, 1), "v{version}");
        assert_eq!(
            (&joined.leader, joined.members.len()),
            (&joined.member_id, 1),
            "v{version}"
        );
        assert_eq!(joined.protocol_name.as_deref(), Some("range"), "v{version}");
        assert_eq!(
            joined.protocol_type.as_deref(),
            (version >= 7).then_some("consumer"),
            "v{version}"
        );
        assert!(joined.member_id.starts_with("broker-tests-"), "{}", joined.member_id);
        let mut request = sync_request(&group, &joined.member_id, 1);
        request.assignments = vec![assignment(&joined.member_id)];
        let synced = client.call(version.min(SYNC), &request);
        assert_eq!(
            (synced.error_code, &synced.assignment[..]),
            (NONE, joined.member_id.as_bytes()),
            "v{version}"
        );
        let beat = HeartbeatRequest {
            group_id: group.clone(),
            generation_id: 1,
            member_id: joined.member_id.clone(),
            group_instance_id: None,
        };
        assert_eq!(client.call(version.min(4), &beat).error_code, NONE, "v{version}");
        let left = leave(&mut client, version.min(5), &group, &joined.member_id, None);
        assert_eq!(code_of(&left), NONE, "v{version}");
        assert_eq!(
            heartbeat(&mut client, &group, &joined.member_id, 1),
            UNKNOWN_MEMBER_ID,
            "v{version}"
        );
    }
}

fn leave(
    client: &mut Client,
    version: i16,
    group: &str,
    member: &str,
    instance_id: Option<&str>,
) -> LeaveGroupResponse {
    let members = vec![MemberIdentity {
        member_id: member.to_owned(),
        group_instance_id: instance_id.map(str::to_owned),
        reason: None,
    }];
    client.call(
        version,
        &LeaveGroupRequest {
            group_id: group.to_owned(),
            member_id: if version < 3 { member.to_owned() } else { String::new() },
            members: if version < 3 { Vec::new() } else { members },
        },
    )
}

fn code_of(left: &LeaveGroupResponse) -> i16 {
    left.members.first().map_or(left.error_code, |member| member.error_code)
}

#[test]
fn two_members_share_and_take_over() {
    let (broker, mut first) = start(2);
    let mut second = broker.client();
    let group = new_group(&mut first);
    let leader = stable_alone(&mut first, &group);
    let follower = given_id(&mut second, &group);
    let joining = second.send(JOIN, &join_request(&group, &follower));
    while heartbeat(&mut first, &group, &leader, 1) != REBALANCE_IN_PROGRESS {}
    let joined = first.call(JOIN, &join_request(&group, &leader));
    assert_eq!(
        (joined.error_code, joined.generation_id, joined.members.len()),
        (NONE, 2, 2)
    );
    let other = second.receive::<JoinGroupRequest>(JOIN, joining);
    assert_eq!(
        (other.error_code, other.generation_id, other.members.len()),
        (NONE, 2, 0)
    );
    assert_eq!(other.leader, leader);
    let syncing = second.send(SYNC, &sync_request(&group, &follower, 2));
    let mut request = sync_request(&group, &leader, 2);
    request.assignments = vec![assignment(&leader), assignment(&follower)];
    assert_eq!(first.call(SYNC, &request).assignment, leader.as_bytes());
    assert_eq!(
        second.receive::<SyncGroupRequest>(SYNC, syncing).assignment,
        follower.as_bytes()
    );
    assert_eq!(code_of(&leave(&mut first, 5, &group, &leader, None)), NONE);
    assert_eq!(heartbeat(&mut second, &group, &follower, 2), REBALANCE_IN_PROGRESS);
    let joined = second.call(JOIN, &join_request(&group, &follower));
    assert_eq!((joined.generation_id, &joined.leader), (3, &follower));
}

#[test]
fn what_makes_no_sense_is_refused_as_kafka_refuses_it() {
    let (_broker, mut client) = start(2);
    let group = new_group(&mut client);
    wait_for_coordinator(&mut client, &format!("{group}x"));
    wait_for_coordinator(&mut client, "nothing");
    wait_for_coordinator(&mut client, "");
    let member = stable_alone(&mut client, &group);
    type Change = fn(&mut JoinGroupRequest);
    let joins: &[(&str, Change, i16)] = &[
        ("no group", |join| join.group_id.clear(), INVALID_GROUP_ID),
        (
            "short session",
            |join| join.session_timeout_ms = 5999,
            INVALID_SESSION_TIMEOUT,
        ),
        (
            "long session",
            |join| join.session_timeout_ms = 1_800_001,
            INVALID_SESSION_TIMEOUT,
        ),
        (
            "unknown member",
            |join| join.member_id = "x".to_owned(),
            UNKNOWN_MEMBER_ID,
        ),
        (
            "unknown group",
            |join| {
                join.group_id.push('x');
                join.member_id = "x".to_owned();
            },
            UNKNOWN_MEMBER_ID,
        ),
        (
            "unknown instance",
            |join| {
                join.member_id = "x".to_owned();
                join.group_instance_id = Some("i".to_owned());
            },
            UNKNOWN_MEMBER_ID,
        ),
        (
            "no protocols",
            |join| join.protocols.clear(),
            INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            "another protocol",
            |join| join.protocols[0].name = "x".to_owned(),
            INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            "another type",
            |join| join.protocol_type = "x".to_owned(),
            INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            "no type",
            |join| join.protocol_type.clear(),
            INCONSISTENT_GROUP_PROTOCOL,
        ),
    ];
    for (what, change, expected) in joins {
        let mut request = join_request(&group, "");
        change(&mut request);
        assert_eq!(client.call(JOIN, &request).error_code, *expected, "{what}");
    }
    type ChangeSync = fn(&mut SyncGroupRequest);
    let syncs: &[(&str, ChangeSync, i16)] = &[
        ("no group", |sync| sync.group_id.clear(), INVALID_GROUP_ID),
        ("unknown group", |sync| sync.group_id.push('x'), UNKNOWN_MEMBER_ID),
        (
            "unknown member",
            |sync| sync.member_id = "x".to_owned(),
            UNKNOWN_MEMBER_ID,
        ),
        (
            "unknown instance",
            |sync| sync.group_instance_id = Some("i".to_owned()),
            UNKNOWN_MEMBER_ID,
        ),
        ("old generation", |sync| sync.generation_id = 0, ILLEGAL_GENERATION),
        ("future generation", |sync| sync.generation_id = 9, ILLEGAL_GENERATION),
        (
            "another type",
            |sync| sync.protocol_type = Some("x".to_owned()),
            INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            "another protocol",
            |sync| sync.protocol_name = Some("x".to_owned()),
            INCONSISTENT_GROUP_PROTOCOL,
        ),
        ("no type", |sync| sync.protocol_type = None, INCONSISTENT_GROUP_PROTOCOL),
        (
            "no protocol and no group",
            |sync| {
                sync.protocol_name = None;
                sync.group_id.clear();
            },
            INCONSISTENT_GROUP_PROTOCOL,
        ),
    ];
    for (what, change, expected) in syncs {
        let mut request = sync_request(&group, &member, 1);
        change(&mut request);
        assert_eq!(client.call(SYNC, &request).error_code, *expected, "{what}");
    }
    for (of, id, generation, expected) in [
        (group.as_str(), member.as_str(), 1, NONE),
        ("", &member, 1, INVALID_GROUP_ID),
        ("nothing", &member, 1, UNKNOWN_MEMBER_ID),
        (&group, "x", 1, UNKNOWN_MEMBER_ID),
        (&group, &member, 0, ILLEGAL_GENERATION),
        (&group, &member, i32::MAX, ILLEGAL_GENERATION),
    ] {
        assert_eq!(
            heartbeat(&mut client, of, id, generation),
            expected,
            "{of} {id} {generation}"
        );
    }
    for (of, id, instance_id, expected) in [
        ("", "x", None, INVALID_GROUP_ID),
        ("nothing", "x", None, UNKNOWN_MEMBER_ID),
        (group.as_str(), "x", None, UNKNOWN_MEMBER_ID),
        (&group, "", None, UNKNOWN_MEMBER_ID),
        (&group, "", Some("i"), UNKNOWN_MEMBER_ID),
    ] {
        for version in [0, 2, 3, 5] {
            if version < 3 && instance_id.is_some() {
                continue;
            }
            let left = leave(&mut client, version, of, id, instance_id);
            assert_eq!(code_of(&left), expected, "v{version} {of} {id}");
        }
    }
    assert_eq!(heartbeat(&mut client, &group, &member, 1), NONE);
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let (_broker, mut client) = start(2);
    let group = new_group(&mut client);
    let mut request = join_request(&group, "");
    request.group_instance_id = Some("one".to_owned());
    let joined = client.call(JOIN, &request);
    assert_eq!((joined.error_code, joined.generation_id), (NONE, 1));
    assert!(joined.member_id.starts_with("one-"), "{}", joined.member_id);
    let mut sync = sync_request(&group, &joined.member_id, 1);
    sync.assignments = vec![assignment(&joined.member_id)];
    assert_eq!(client.call(SYNC, &sync).error_code, NONE);
    let back = client.call(JOIN, &request);
    assert_eq!(
        (back.error_code, back.generation_id, back.skip_assignment),
        (NONE, 1, true)
    );
    assert_eq!((&back.leader, back.members.len()), (&back.member_id, 1));
    assert_ne!(back.member_id, joined.member_id);
    let kept = client.call(SYNC, &sync_request(&group, &back.member_id, 1));
    assert_eq!(kept.assignment, joined.member_id.as_bytes());
    let old = client.call(8, &request);
    assert_eq!(
        (old.generation_id, old.skip_assignment, old.members.len()),
        (1, false, 0)
    );
    assert_eq!(old.leader, back.member_id, "of before, so that it does not assign");
    let fenced = HeartbeatRequest {
        group_id: group.clone(),
        generation_id: 1,
        member_id: back.member_id.clone(),
        group_instance_id: Some("one".to_owned()),
    };
    assert_eq!(client.call(4, &fenced).error_code, FENCED_INSTANCE_ID);
    assert_eq!(
        code_of(&leave(&mut client, 5, &group, &back.member_id, Some("one"))),
        FENCED_INSTANCE_ID
    );
    assert_eq!(code_of(&leave(&mut client, 5, &group, "", Some("one"))), NONE);
}

#[test]
fn a_group_goes_on_after_a_crash() {
    let Some(mut broker) = crate::harness::Broker::start_own(2, crate::group_fixture::EAGER) else {
        return;
    };
    let mut client = broker.client();
    let group = new_group(&mut client);
    let member = stable_alone(&mut client, &group);
    let unfinished = new_group(&mut client);
    let joined = join_alone(&mut client, &unfinished);
    broker.kill_and_restart(1);
    let mut client = broker.client();
    wait_for_coordinator(&mut client, &group);
    assert_eq!(heartbeat(&mut client, &group, &member, 1), NONE);
    let synced = client.call(SYNC, &sync_request(&group, &member, 1));
    assert_eq!(synced.assignment, member.as_bytes());
    wait_for_coordinator(&mut client, &unfinished);
    let sync = client.call(SYNC, &sync_request(&unfinished, &joined.member_id, 1));
    assert_eq!(sync.error_code, UNKNOWN_MEMBER_ID, "what was not stable is not kept");
    stable_alone(&mut client, &unfinished);
}
