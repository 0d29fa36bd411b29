//! Groups with members of both protocols.

use std::time::Duration;

use duramen_wire::messages::HeartbeatRequest;

use crate::codes::{
    FENCED_INSTANCE_ID, GROUP_ID_NOT_FOUND, ILLEGAL_GENERATION, MEMBER_ID_REQUIRED, NONE, REBALANCE_IN_PROGRESS,
    UNKNOWN_MEMBER_ID,
};
use crate::consumer_group_fixture::{Member, describe, joining, settle};
use crate::fixture::create_topic;
use crate::group_fixture::{JOIN, SYNC, heartbeat, join_request, new_group, start, subscription, sync_request};
use crate::harness::poll;

#[test]
fn classic_members_share_a_group_of_consumers() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "mixed", 2);
    let group = new_group(&mut client);
    let mut modern = Member::join(&mut client, joining(&group, "modern", &[&topic.name]));
    let mut join = join_request(&group, "");
    join.protocols[0].metadata = subscription(&topic.name);
    let given = client.call(JOIN, &join);
    assert_eq!(given.error_code, MEMBER_ID_REQUIRED);
    join.member_id = given.member_id;
    let id = join.member_id.clone();
    let classic = poll("an assignment", Duration::from_secs(20), || {
        modern.beat(&mut client);
        let joined = client.call(JOIN, &join);
        assert_eq!(
            (joined.error_code, joined.protocol_name.as_deref()),
            (NONE, Some("range"))
        );
        assert_eq!((joined.leader.as_str(), joined.members.len()), ("", 0));
        let synced = client.call(SYNC, &sync_request(&group, &id, joined.generation_id));
        let has_one = |partition: u8| {
            synced
                .assignment
                .ends_with(&[0, 0, 0, 1, 0, 0, 0, partition, 255, 255, 255, 255])
        };
        (synced.error_code == NONE && (has_one(0) || has_one(1))).then_some(joined.generation_id)
    });
    settle(&mut client, &mut [&mut modern], &[1]);
    assert_eq!(heartbeat(&mut client, &group, &id, classic), NONE);
    assert_eq!(heartbeat(&mut client, &group, &id, classic + 1), ILLEGAL_GENERATION);
    assert_eq!(
        heartbeat(&mut client, &group, "modern", modern.epoch),
        UNKNOWN_MEMBER_ID
    );
    let described = describe(&mut client, &group);
    let mut types: Vec<_> = described.members.iter().map(|member| member.member_type).collect();
    types.sort_unstable();
    assert_eq!((described.group_state.as_str(), types), ("Stable", vec![0, 1]));
    // The last of its protocol leaves: the group is a classic one, and the other joins it.
    modern.leave(&mut client);
    assert_eq!(describe(&mut client, &group).error_code, GROUP_ID_NOT_FOUND);
    let code = poll("a rebalance", Duration::from_secs(10), || {
        let code = heartbeat(&mut client, &group, &id, described.group_epoch);
        (code != NONE).then_some(code)
    });
    assert_eq!(code, REBALANCE_IN_PROGRESS);
    let joined = client.call(JOIN, &join);
    assert_eq!((joined.error_code, joined.leader.as_str()), (NONE, id.as_str()));
    assert_eq!(joined.generation_id, described.group_epoch + 1);
}

#[test]
fn a_classic_member_takes_the_place_of_the_last_of_its_group() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "replaced", 2);
    let group = new_group(&mut client);
    let mut modern = joining(&group, "modern", &[&topic.name]);
    modern.instance_id = Some("one".to_owned());
    let modern = Member::join(&mut client, modern);
    assert_eq!(modern.partitions(), [0, 1]);
    let mut join = join_request(&group, "");
    join.protocols[0].metadata = subscription(&topic.name);
    join.group_instance_id = Some("one".to_owned());
    let joined = client.call(JOIN, &join);
    assert_eq!((joined.error_code, joined.generation_id), (NONE, modern.epoch));
    assert_eq!((joined.leader.as_str(), joined.members.len()), ("", 0));
    assert_eq!(describe(&mut client, &group).error_code, GROUP_ID_NOT_FOUND);
    let mut sync = sync_request(&group, &joined.member_id, joined.generation_id);
    sync.group_instance_id = Some("one".to_owned());
    let synced = client.call(SYNC, &sync);
    assert_eq!(synced.error_code, NONE);
    let both = [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255];
    assert!(synced.assignment.ends_with(&both), "{:?}", synced.assignment);
    let beat = HeartbeatRequest {
        group_id: group.clone(),
        generation_id: joined.generation_id,
        member_id: joined.member_id,
        group_instance_id: Some("one".to_owned()),
    };
    assert_eq!(client.call(4, &beat).error_code, NONE);
    let gone = HeartbeatRequest {
        member_id: modern.id,
        ..beat
    };
    assert_eq!(client.call(4, &gone).error_code, FENCED_INSTANCE_ID);
}
