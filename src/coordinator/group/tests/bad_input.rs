//! Requests that make no sense: Kafka's own error each, and no other group is harmed.

use super::*;
use crate::base::limits::PENDING_MEMBERS_PER_GROUP_MAX;

#[test]
fn joins_that_are_refused() {
    type Change = fn(&mut Join);
    let cases: [(&str, Change, GroupError); 12] = [
        ("no group", |join| join.group = "".into(), GroupError::InvalidGroupId),
        (
            "session too short",
            |join| join.session_timeout_ms = 5999,
            GroupError::InvalidSessionTimeout,
        ),
        (
            "session negative",
            |join| join.session_timeout_ms = -1,
            GroupError::InvalidSessionTimeout,
        ),
        (
            "session too long",
            |join| join.session_timeout_ms = 1_800_001,
            GroupError::InvalidSessionTimeout,
        ),
        (
            "unknown member",
            |join| join.member_id = "x".into(),
            GroupError::UnknownMember,
        ),
        (
            "unknown member of a group that is not there",
            |join| {
                join.member_id = "x".into();
                join.group = "h".into();
            },
            GroupError::UnknownMember,
        ),
        (
            "unknown instance",
            |join| {
                join.member_id = "x".into();
                join.instance_id = Some("i".into());
            },
            GroupError::UnknownMember,
        ),
        (
            "no protocols",
            |join| join.protocols.clear(),
            GroupError::InconsistentProtocol,
        ),
        (
            "another protocol",
            |join| join.protocols = vec![protocol("other")],
            GroupError::InconsistentProtocol,
        ),
        (
            "another type",
            |join| join.protocol_type = "connect".into(),
            GroupError::InconsistentProtocol,
        ),
        (
            "no type in a new group",
            |join| {
                join.protocol_type = "".into();
                join.group = "h".into();
            },
            GroupError::InconsistentProtocol,
        ),
        (
            "no protocols in a new group",
            |join| {
                join.protocols.clear();
                join.group = "h".into();
            },
            GroupError::InconsistentProtocol,
        ),
    ];
    let mut world = World::new();
    let ids = world.stable(2);
    for (what, change, expected) in cases {
        let mut request = join("");
        change(&mut request);
        let ticket = world.ask(Request::Join(request));
        assert_eq!(world.join_refused(ticket).0, expected, "{what}");
        assert_eq!(
            (world.state(), world.heartbeat(&ids[1], 1)),
            ("Stable", Ok(())),
            "{what}"
        );
    }
}

#[test]
fn syncs_that_are_refused() {
    type Change = fn(&mut Sync);
    let cases: [(&str, Change, GroupError); 9] = [
        ("no group", |sync| sync.group = "".into(), GroupError::InvalidGroupId),
        (
            "unknown group",
            |sync| sync.group = "h".into(),
            GroupError::UnknownMember,
        ),
        (
            "unknown member",
            |sync| sync.member_id = "x".into(),
            GroupError::UnknownMember,
        ),
        (
            "unknown instance",
            |sync| sync.instance_id = Some("i".into()),
            GroupError::UnknownMember,
        ),
        (
            "old generation",
            |sync| sync.generation = 0,
            GroupError::IllegalGeneration,
        ),
        (
            "future generation",
            |sync| sync.generation = 2,
            GroupError::IllegalGeneration,
        ),
        (
            "no generation",
            |sync| sync.generation = -1,
            GroupError::IllegalGeneration,
        ),
        (
            "another type",
            |sync| sync.protocol_type = Some("x".to_owned()),
            GroupError::InconsistentProtocol,
        ),
        (
            "another protocol",
            |sync| sync.protocol = Some("x".to_owned()),
            GroupError::InconsistentProtocol,
        ),
    ];
    let mut world = World::new();
    let ids = world.stable(1);
    for (what, change, expected) in cases {
        let Request::Sync(mut request) = sync(&ids[0], 1, &[]) else {
            continue;
        };
        change(&mut request);
        let ticket = world.ask(Request::Sync(request));
        assert_eq!(world.synced(ticket), Err(expected), "{what}");
    }
    // Older versions do not say what they believe.
    let Request::Sync(mut request) = sync(&ids[0], 1, &[]) else {
        return;
    };
    request.protocol_type = None;
    request.protocol = None;
    let ticket = world.ask(Request::Sync(request));
    assert_eq!(world.synced(ticket), Ok(ids[0].as_bytes().to_vec()));
}

#[test]
fn heartbeats_that_are_refused() {
    let mut world = World::new();
    let ids = world.stable(1);
    for (member, generation, expected) in [
        (&*ids[0], 1, Ok(())),
        (&*ids[0], 0, Err(GroupError::IllegalGeneration)),
        (&*ids[0], i32::MAX, Err(GroupError::IllegalGeneration)),
        (&*ids[0], i32::MIN, Err(GroupError::IllegalGeneration)),
        ("", 1, Err(GroupError::UnknownMember)),
        ("x", 7, Err(GroupError::UnknownMember)),
    ] {
        assert_eq!(world.heartbeat(member, generation), expected, "{member} {generation}");
    }
    for (group, expected) in [("", GroupError::InvalidGroupId), ("h", GroupError::UnknownMember)] {
        let ticket = world.ask(Request::Heartbeat(Heartbeat {
            group: group.into(),
            member_id: Arc::clone(&ids[0]),
            instance_id: None,
            generation: 1,
        }));
        assert_eq!(world.answer(ticket), &Answer::Heartbeat(Err(expected)), "{group}");
    }
}

#[test]
fn a_subscription_that_is_none_harms_nobody() {
    for metadata in [
        &b""[..],
        b"\0",
        b"\0\x01\xff\xff\xff\xff",
        b"\0\0\x7f\xff\xff\xff",
        b"\0\0\0\0\0\x01\0\x09topic",
    ] {
        let mut world = World::eager();
        let mut request = join("");
        request.takes_member_id = false;
        request.protocols[0].metadata = Bytes::from_static(metadata);
        let ticket = world.ask(Request::Join(request));
        world.advance(seconds(1));
        let id = world.joined(ticket).member_id;
        let ticket = world.ask(sync(&id, 1, std::slice::from_ref(&id)));
        assert!(world.synced(ticket).is_ok());
        world.commit(commit(&id, 1, 5)).unwrap();
        // Nobody knows what it reads, so nothing of it is deleted.
        let ticket = world.ask(Request::DeleteOffsets(DeleteOffsets {
            group: "g".into(),
            offsets: vec![OffsetToDelete {
                tag: 1,
                topic: "any".into(),
                partition: 0,
            }],
        }));
        assert_eq!(
            world.answer(ticket),
            &Answer::DeleteOffsets(Ok(vec![1])),
            "{metadata:?}"
        );
    }
}

#[test]
fn ids_that_are_not_taken_end() {
    let mut world = World::new();
    for index in 0..=u64::try_from(PENDING_MEMBERS_PER_GROUP_MAX).unwrap() {
        let mut request = join("");
        request.fresh_id[..8].copy_from_slice(&index.to_be_bytes());
        let ticket = world.ask(Request::Join(request));
        let expected = match index < u64::try_from(PENDING_MEMBERS_PER_GROUP_MAX).unwrap() {
            true => GroupError::MemberIdRequired,
            false => GroupError::GroupFull,
        };
        assert_eq!(world.join_refused(ticket).0, expected);
    }
    world.advance(seconds(10));
    assert_eq!(world.coordinator.next_deadline(), None);
    let ticket = world.ask(Request::Join(join("")));
    assert_eq!(world.join_refused(ticket).0, GroupError::MemberIdRequired);
}

#[test]
fn a_request_that_is_sent_again_replaces_the_one_before() {
    let mut world = World::new();
    let mut request = join("");
    request.instance_id = Some("i".into());
    let ticket = world.ask(Request::Join(request));
    let id = world.group().members().next().map(|(id, _)| Arc::clone(id)).unwrap();
    let again = world.ask(Request::Join(join(&id)));
    assert_eq!(world.join_refused(ticket).0, GroupError::RebalanceInProgress);
    world.advance(seconds(3));
    assert_eq!(world.joined(again).generation, 1);
}

#[test]
fn assignments_of_strangers_are_left_out() {
    let mut world = World::eager();
    let mut request = join("");
    request.takes_member_id = false;
    let ticket = world.ask(Request::Join(request));
    world.advance(Duration::ZERO);
    let id = world.joined(ticket).member_id;
    let ticket = world.ask(sync(&id, 1, &["x".into(), "y".into()]));
    assert_eq!(world.synced(ticket), Ok(vec![]));
    assert_eq!(world.state(), "Stable");
}

/// Kafka takes any text for the id of a group.
#[test]
fn ids_of_groups_may_be_absurd() {
    let longest = "x".repeat(0x7fff);
    let mut world = World::new();
    let ids = [
        " ",
        "\0",
        "a\nb",
        "../..",
        "__consumer_offsets",
        "\u{1F600}",
        longest.as_str(),
    ];
    let named = |id: &str| {
        let mut request = commit("", -1, 5);
        request.group = id.into();
        request
    };
    for id in ids {
        assert_eq!(world.commit(named(id)), Ok(vec![]), "{id:?}");
    }
    let world = world.restarted();
    for id in ids {
        let found = world.coordinator.offsets().get(id, "topic", 0);
        assert_eq!(found.map(|committed| committed.offset), Some(Offset(5)), "{id:?}");
    }
}
