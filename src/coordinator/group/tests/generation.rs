//! The life of a group of dynamic members.

use super::*;

/// The id that a client is given, to join with.
fn given_id(world: &mut World, mark: u8) -> Arc<str> {
    let mut request = join("");
    request.fresh_id[15] = mark;
    let ticket = world.ask(Request::Join(request));
    let (error, id) = world.join_refused(ticket);
    assert_eq!(error, GroupError::MemberIdRequired);
    id.into()
}

#[test]
fn the_first_member_is_given_an_id_and_leads() {
    let mut world = World::new();
    let id = given_id(&mut world, 1);
    assert_eq!(&*id, "client-00000000-0000-0000-0000-000000000001");
    assert_eq!((world.state(), world.log.len()), ("Empty", 1), "the group is kept");
    let ticket = world.ask(Request::Join(join(&id)));
    assert!(world.is_waiting(ticket));
    assert_eq!(world.state(), "PreparingRebalance");
    world.advance(Duration::from_millis(2999));
    assert!(world.is_waiting(ticket), "the initial delay is not over");
    world.advance(Duration::from_millis(1));
    let joined = world.joined(ticket);
    assert_eq!(
        (joined.generation, joined.leader, joined.members.len()),
        (1, Some(Arc::clone(&id)), 1)
    );
    assert_eq!(joined.protocol.as_deref(), Some("range"));
    assert_eq!(world.state(), "CompletingRebalance");
    let ticket = world.ask(sync(&id, 1, std::slice::from_ref(&id)));
    assert_eq!(world.synced(ticket), Ok(id.as_bytes().to_vec()));
    assert_eq!(world.state(), "Stable");
    assert_eq!(world.heartbeat(&id, 1), Ok(()));
}

#[test]
fn the_initial_delay_is_extended_while_members_come() {
    let mut world = World::new();
    let mut tickets = Vec::new();
    for index in 0..5 {
        let id = given_id(&mut world, index);
        tickets.push(world.ask(Request::Join(join(&id))));
        world.advance(seconds(2));
    }
    // The last came after 8 s; each of its ends put the end off by 3 s.
    assert!(tickets.iter().all(|ticket| world.is_waiting(*ticket)));
    world.advance(seconds(2));
    let joined: Vec<Joined> = tickets.iter().map(|ticket| world.joined(*ticket)).collect();
    assert!(joined.iter().all(|joined| joined.generation == 1));
    let told: Vec<usize> = joined.iter().map(|joined| joined.members.len()).collect();
    assert_eq!(told, [5, 0, 0, 0, 0], "the leader alone is told of all");
}

#[test]
fn the_initial_delay_ends_with_the_rebalance_timeout() {
    let mut world = World::new();
    let mut first = join("");
    first.takes_member_id = false;
    first.rebalance_timeout_ms = 7000;
    let ticket = world.ask(Request::Join(first.clone()));
    for index in 1..10 {
        world.advance(seconds(1));
        first.fresh_id[0] = index;
        world.ask(Request::Join(first.clone()));
    }
    assert!(!world.is_waiting(ticket), "not within 7 s");
}

#[test]
fn a_new_member_starts_a_rebalance_and_late_ones_are_given_up() {
    let mut world = World::new();
    let ids = world.stable(3);
    let new = given_id(&mut world, 9);
    let new_ticket = world.ask(Request::Join(join(&new)));
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.heartbeat(&ids[1], 1), Err(GroupError::RebalanceInProgress));
    let rejoined: Vec<Ticket> = ids[..2].iter().map(|id| world.ask(Request::Join(join(id)))).collect();
    for _ in 0..10 {
        assert!(world.is_waiting(new_ticket));
        world.advance(seconds(6));
        // It is alive, but it does not join.
        let _ = world.heartbeat(&ids[2], 1);
    }
    let joined = world.joined(new_ticket);
    assert_eq!((joined.generation, world.group().members().len()), (2, 3));
    assert_eq!(world.joined(rejoined[0]).members.len(), 3);
    assert_eq!(world.heartbeat(&ids[2], 2), Err(GroupError::UnknownMember));
}

#[test]
fn a_silent_member_is_given_up() {
    let mut world = World::new();
    let ids = world.stable(2);
    for _ in 0..3 {
        world.advance(seconds(4));
        let _ = world.heartbeat(&ids[0], 1);
    }
    assert_eq!(world.state(), "PreparingRebalance");
    let ticket = world.ask(Request::Join(join(&ids[0])));
    assert_eq!((world.joined(ticket).generation, world.group().members().len()), (2, 1));
}

#[test]
fn the_leader_that_does_not_come_back_is_replaced() {
    let mut world = World::new();
    let ids = world.stable(2);
    let ticket = world.ask(leave(&ids[0], None));
    assert!(matches!(world.answer(ticket), Answer::Leave(Ok(left)) if left[0].result.is_ok()));
    let ticket = world.ask(Request::Join(join(&ids[1])));
    assert_eq!(world.joined(ticket).leader, Some(Arc::clone(&ids[1])));
}

#[test]
fn an_assignment_that_does_not_come_costs_the_members_that_owe_it() {
    let mut world = World::eager();
    let ids: Vec<Arc<str>> = (0..2).map(|mark| given_id(&mut world, mark)).collect();
    let tickets: Vec<Ticket> = ids.iter().map(|id| world.ask(Request::Join(join(id)))).collect();
    world.advance(Duration::ZERO);
    assert_eq!(world.joined(tickets[0]).generation, 1);
    let follower = world.ask(sync(&ids[1], 1, &[]));
    for _ in 0..12 {
        world.advance(seconds(5));
        // Members that are alive and do not sync.
        let _ = world.heartbeat(&ids[0], 1);
    }
    assert_eq!(world.synced(follower), Err(GroupError::RebalanceInProgress));
    assert_eq!(world.group().members().len(), 1, "the leader is gone");
    let ticket = world.ask(Request::Join(join(&ids[1])));
    assert_eq!(world.joined(ticket).leader, Some(Arc::clone(&ids[1])));
}

#[test]
fn all_leave_and_the_group_is_empty() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.ask(leave(&ids[0], None));
    world.ask(leave(&ids[1], None));
    assert_eq!((world.state(), world.group().generation()), ("Empty", 2));
    assert!(
        matches!(world.log.last(), Some(Record::ClassicGroup { value: Some(value), .. }) if value.generation == 2 && value.members.is_empty())
    );
    assert_eq!(world.coordinator.next_deadline(), None);
}

#[test]
fn followers_that_ask_again_keep_the_generation() {
    let mut world = World::new();
    let ids = world.stable(2);
    let ticket = world.ask(Request::Join(join(&ids[1])));
    assert_eq!(world.joined(ticket).generation, 1);
    assert_eq!(world.state(), "Stable");
    let ticket = world.ask(sync(&ids[1], 1, &[]));
    assert_eq!(world.synced(ticket), Ok(ids[1].as_bytes().to_vec()));
    // Another subscription is a reason, and so is the leader.
    let mut changed = join(&ids[1]);
    changed.protocols[0].metadata = Bytes::new();
    let ticket = world.ask(Request::Join(changed));
    assert!(world.is_waiting(ticket));
    assert_eq!(world.state(), "PreparingRebalance");
    world.ask(Request::Join(join(&ids[0])));
    assert_eq!(world.joined(ticket).generation, 2);
}

#[test]
fn members_vote_for_a_protocol_that_all_have() {
    let names = |names: &[&str]| names.iter().map(|name| protocol(name)).collect::<Vec<_>>();
    for (members, elected) in [
        (
            vec![
                names(&["range", "sticky"]),
                names(&["sticky", "range"]),
                names(&["sticky", "range"]),
            ],
            "sticky",
        ),
        (vec![names(&["cooperative", "range"]), names(&["range"])], "range"),
        (vec![names(&["b", "a"]), names(&["a", "b"])], "a"),
        (
            vec![names(&["x", "x", "y"]), names(&["y", "x"]), names(&["x", "y"])],
            "x",
        ),
    ] {
        let mut world = World::eager();
        let mut tickets = Vec::new();
        for (index, protocols) in members.into_iter().enumerate() {
            let mut request = join("");
            request.takes_member_id = false;
            request.fresh_id[0] = u8::try_from(index).unwrap();
            request.protocols = protocols;
            tickets.push(world.ask(Request::Join(request)));
        }
        world.advance(seconds(1));
        assert_eq!(world.joined(tickets[0]).protocol.as_deref(), Some(elected));
    }
}

#[test]
fn what_cannot_be_kept_is_not_in_force() {
    let mut world = World::eager();
    let id = given_id(&mut world, 1);
    world.ask(Request::Join(join(&id)));
    world.advance(Duration::ZERO);
    world.is_full = true;
    let ticket = world.ask(sync(&id, 1, std::slice::from_ref(&id)));
    assert_eq!(world.synced(ticket), Err(GroupError::NotAvailable));
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.commit(commit(&id, 1, 5)), Err(GroupError::NotAvailable));
    assert_eq!(world.coordinator.offsets().count(), 0);
    world.is_full = false;
    let ticket = world.ask(Request::Join(join(&id)));
    assert_eq!(world.joined(ticket).generation, 2);
    let ticket = world.ask(sync(&id, 2, std::slice::from_ref(&id)));
    assert!(world.synced(ticket).is_ok());
}

#[test]
fn a_group_has_at_most_its_members() {
    let mut world = World::with(Config {
        members_max: 2,
        initial_rebalance_delay: Duration::ZERO,
        ..Config::default()
    });
    let ids = world.stable(2);
    let mut third = join("");
    third.takes_member_id = false;
    third.fresh_id[0] = 9;
    let ticket = world.ask(Request::Join(third));
    assert_eq!(world.join_refused(ticket), (GroupError::GroupFull, String::new()));
    assert_eq!(world.state(), "Stable");
    let ticket = world.ask(Request::Join(join(&ids[1])));
    assert_eq!(world.joined(ticket).generation, 1);
}
