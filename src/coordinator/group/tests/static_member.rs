//! Members with an instance id (KIP-345).

use super::*;

fn instance(member: &str, instance_id: &str, mark: u8) -> Join {
    let mut request = join(member);
    request.instance_id = Some(instance_id.into());
    request.fresh_id[15] = mark;
    request
}

/// A stable group of the static members `a` and `b`, by their member ids; `a` leads.
fn stable(world: &mut World) -> [Arc<str>; 2] {
    let tickets = ["a", "b"].map(|name| world.ask(Request::Join(instance("", name, 0))));
    world.advance(seconds(10));
    let ids = tickets.map(|ticket| world.joined(ticket).member_id);
    for id in [&ids[1], &ids[0]] {
        world.ask(sync(id, 1, &ids));
    }
    assert_eq!(world.state(), "Stable");
    ids
}

#[test]
fn one_that_comes_back_gets_what_it_had() {
    let mut world = World::new();
    let ids = stable(&mut world);
    for (name, old, is_leader) in [("a", &ids[0], true), ("b", &ids[1], false)] {
        let ticket = world.ask(Request::Join(instance("", name, 7)));
        let joined = world.joined(ticket);
        assert_eq!((joined.generation, joined.skip_assignment), (1, is_leader));
        assert_eq!(joined.members.len(), if is_leader { 2 } else { 0 });
        assert_ne!(&joined.member_id, old);
        assert_eq!(world.state(), "Stable");
        let ticket = world.ask(sync(&joined.member_id, 1, &[]));
        assert_eq!(world.synced(ticket), Ok(old.as_bytes().to_vec()));
        let mut heartbeat = Heartbeat {
            group: "g".into(),
            member_id: Arc::clone(old),
            instance_id: Some(name.into()),
            generation: 1,
        };
        for (instance_id, error) in [
            (Some(name), GroupError::FencedInstance),
            (None, GroupError::UnknownMember),
        ] {
            heartbeat.instance_id = instance_id.map(Into::into);
            let ticket = world.ask(Request::Heartbeat(heartbeat.clone()));
            assert_eq!(world.answer(ticket), &Answer::Heartbeat(Err(error)));
        }
    }
}

#[test]
fn a_leader_that_cannot_skip_is_told_of_its_old_self() {
    let mut world = World::new();
    let ids = stable(&mut world);
    let mut back = instance("", "a", 7);
    back.can_skip_assignment = false;
    let ticket = world.ask(Request::Join(back));
    let joined = world.joined(ticket);
    assert_eq!(
        (joined.leader, joined.members.len(), joined.skip_assignment),
        (Some(Arc::clone(&ids[0])), 0, false)
    );
}

#[test]
fn one_that_waits_is_fenced_by_its_next_self() {
    let mut world = World::new();
    let first = world.ask(Request::Join(instance("", "a", 1)));
    let second = world.ask(Request::Join(instance("", "a", 2)));
    assert_eq!(world.join_refused(first).0, GroupError::FencedInstance);
    world.advance(seconds(10));
    assert_eq!(world.joined(second).generation, 1);
    let id = world.joined(second).member_id;
    assert_eq!(world.group().members().len(), 1);
    // While the leader assigns, another self begins the rebalance anew.
    let third = world.ask(Request::Join(instance("", "a", 3)));
    assert_eq!(world.joined(third).generation, 2);
    let ticket = world.ask(sync(&id, 1, &[]));
    assert_eq!(world.synced(ticket), Err(GroupError::UnknownMember));
}

#[test]
fn one_that_is_away_is_missed_only_after_its_session() {
    let mut world = World::new();
    let ids = stable(&mut world);
    // The other rebalances alone: the absent one stays a member.
    let mut changed = instance(&ids[0], "a", 0);
    changed.rebalance_timeout_ms = 3000;
    changed.session_timeout_ms = 30_000;
    let ticket = world.ask(Request::Join(changed));
    world.advance(seconds(9));
    assert!(world.is_waiting(ticket), "60 s for the one that is away");
    world.advance(seconds(2));
    assert_eq!((world.joined(ticket).generation, world.group().members().len()), (2, 1));
}

#[test]
fn a_tool_takes_one_out_by_its_instance_id() {
    let mut world = World::new();
    let ids = stable(&mut world);
    for (member, instance_id, result) in [
        ("", Some("nobody"), Err(GroupError::UnknownMember)),
        ("", None, Err(GroupError::UnknownMember)),
        ("x", Some("a"), Err(GroupError::FencedInstance)),
        (&*ids[1], Some("a"), Err(GroupError::FencedInstance)),
        ("", Some("b"), Ok(())),
        ("", Some("b"), Err(GroupError::UnknownMember)),
        (&*ids[0], Some("a"), Ok(())),
    ] {
        let ticket = world.ask(leave(member, instance_id));
        let Answer::Leave(Ok(left)) = world.answer(ticket) else {
            panic!("{:?}", world.answer(ticket))
        };
        assert_eq!(left[0].result, result, "{member} {instance_id:?}");
    }
    assert_eq!(world.state(), "Empty");
}

#[test]
fn another_protocol_is_a_reason_to_rebalance() {
    let mut world = World::new();
    let tickets = ["a", "b"].map(|name| {
        let mut request = instance("", name, 0);
        request.protocols = vec![protocol("range"), protocol("sticky")];
        world.ask(Request::Join(request))
    });
    world.advance(seconds(10));
    let ids = tickets.map(|ticket| world.joined(ticket).member_id);
    world.ask(sync(&ids[0], 1, &ids));
    let mut back = instance("", "b", 7);
    back.protocols = vec![protocol("sticky")];
    let ticket = world.ask(Request::Join(back));
    assert!(world.is_waiting(ticket));
    assert_eq!(world.state(), "PreparingRebalance");
}
