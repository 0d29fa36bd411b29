//! A coordinator that reads its log again.

use duramen_wire::messages::group_metadata_value::{GroupMetadataValue, MemberMetadata};

use super::*;

impl World {
    /// The same log, another coordinator.
    pub(super) fn restarted(&self) -> Self {
        let mut world = Self::with(self.coordinator.config.clone());
        world.elapsed = self.elapsed;
        world.tickets = self.tickets;
        for record in &self.log {
            world.coordinator.replay(record);
            world.log.push(record.clone());
        }
        let now = world.now();
        let effects = serve(&mut world.coordinator, now);
        world.take(effects);
        world
    }
}

/// All steps with which a coordinator that was loaded begins to serve.
pub(super) fn serve(coordinator: &mut Coordinator, now: Now) -> Effects {
    let mut effects = Effects::default();
    let mut after = None;
    loop {
        after = coordinator.on_loaded(after.as_ref(), now, &mut effects);
        if after.is_none() {
            return effects;
        }
    }
}

#[test]
fn many_groups_begin_to_serve_in_steps() {
    let mut world = World::new();
    let mut record = |id: &str, members: usize| {
        let member = |index: usize| MemberMetadata {
            member_id: format!("{id}-{index}"),
            session_timeout: 10_000,
            ..MemberMetadata::default()
        };
        let value = GroupMetadataValue {
            protocol_type: "consumer".to_owned(),
            generation: 1,
            members: (0..members).map(member).collect(),
            ..GroupMetadataValue::default()
        };
        world.coordinator.replay(&Record::ClassicGroup {
            group: id.into(),
            value: Some(value),
        });
    };
    let sizes = [60, 60, 1, 300, 0, 2];
    for (index, members) in sizes.into_iter().enumerate() {
        record(&format!("group-{index}"), members);
    }
    let mut coordinator = world.coordinator;
    let (now, mut effects) = (World::new().now(), Effects::default());
    let mut after = None;
    let mut waited_for = Vec::new();
    loop {
        after = coordinator.on_loaded(after.as_ref(), now, &mut effects);
        waited_for.push(coordinator.timers.count());
        if after.is_none() {
            break;
        }
    }
    assert_eq!(waited_for, [120, 421, 423], "members after each step");
    assert!(effects.is_empty());
}

#[test]
fn a_stable_group_goes_on() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.commit(commit(&ids[0], 1, 42)).unwrap();
    let mut world = world.restarted();
    assert_eq!((world.state(), world.group().generation()), ("Stable", 1));
    assert_eq!(world.group().leader(), Some(&ids[0]));
    assert_eq!(world.heartbeat(&ids[1], 1), Ok(()));
    let ticket = world.ask(sync(&ids[1], 1, &[]));
    assert_eq!(world.synced(ticket), Ok(ids[1].as_bytes().to_vec()));
    assert_eq!(
        world
            .coordinator
            .offsets()
            .get("g", "topic", 0)
            .map(|found| found.offset.0),
        Some(42)
    );
    // Who is not heard of again loses its place.
    world.advance(seconds(6));
    assert_eq!(world.heartbeat(&ids[1], 1), Ok(()));
    world.advance(seconds(6));
    assert_eq!(
        (world.state(), world.group().members().len()),
        ("PreparingRebalance", 1)
    );
}

#[test]
fn a_group_that_was_rebalancing_is_as_it_was_before() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.ask(Request::Join(join(&ids[0])));
    world.ask(Request::Join(join(&ids[1])));
    assert_eq!((world.state(), world.group().generation()), ("CompletingRebalance", 2));
    let mut world = world.restarted();
    assert_eq!((world.state(), world.group().generation()), ("Stable", 1));
    assert_eq!(world.heartbeat(&ids[0], 2), Err(GroupError::IllegalGeneration));
    let ticket = world.ask(Request::Join(join(&ids[0])));
    assert!(world.is_waiting(ticket));
    let follower = world.ask(Request::Join(join(&ids[1])));
    assert_eq!(
        (world.joined(ticket).generation, world.joined(follower).generation),
        (2, 2)
    );
}

#[test]
fn a_group_that_is_over_its_size_now_rebalances() {
    let mut world = World::new();
    let ids = world.stable(3);
    world.coordinator.config.members_max = 2;
    let mut world = world.restarted();
    assert_eq!(world.state(), "PreparingRebalance");
    let tickets: Vec<Ticket> = ids.iter().map(|id| world.ask(Request::Join(join(id)))).collect();
    assert_eq!(world.join_refused(tickets[2]).0, GroupError::GroupFull);
    world.advance(seconds(60));
    assert_eq!(world.joined(tickets[0]).generation, 2);
    assert_eq!(world.group().members().len(), 2);
}

#[test]
fn a_member_that_is_written_twice_counts_once() {
    let mut world = World::new();
    let ids = world.stable(1);
    let Some(Record::ClassicGroup { value: Some(value), .. }) = world.log.last_mut() else {
        panic!()
    };
    let twice = value.members[0].clone();
    value.members.push(twice);
    value.leader = Some("nobody".to_owned());
    let mut world = world.restarted();
    assert_eq!(world.group().members().len(), 1);
    let mut changed = join(&ids[0]);
    changed.protocols[0].metadata = Bytes::new();
    let ticket = world.ask(Request::Join(changed));
    assert_eq!(world.joined(ticket).leader, Some(Arc::clone(&ids[0])));
}
