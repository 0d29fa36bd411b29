//! A coordinator that reads its log again.

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
        let effects = world.coordinator.on_loaded(world.now());
        world.take(effects);
        world
    }
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
