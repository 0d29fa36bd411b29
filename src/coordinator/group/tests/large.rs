//! Groups of more members than one step looks after.

use super::*;

const MEMBERS: usize = 250;

/// Answers in one step, at most.
const STEP: usize = 101;

fn join_of(index: usize) -> Join {
    let mut request = join("");
    request.takes_member_id = false;
    request.fresh_id[14..].copy_from_slice(&u16::try_from(index).unwrap().to_be_bytes());
    request
}

/// A group whose members have all asked to join, and wait; the leader is the first.
fn joining() -> (World, Vec<Ticket>) {
    let mut world = World::new();
    let tickets: Vec<Ticket> = (0..MEMBERS)
        .map(|index| world.ask(Request::Join(join_of(index))))
        .collect();
    world.advance(seconds(7));
    assert!(tickets.iter().all(|ticket| world.is_waiting(*ticket)));
    assert_eq!(world.state(), "CompletingRebalance");
    (world, tickets)
}

impl World {
    /// One slice of work; how many answers it gave.
    fn slice(&mut self) -> usize {
        let effects = self.coordinator.work(self.now());
        let answers = effects.answers.len();
        self.take(effects);
        answers
    }

    fn slices(&mut self) {
        while self.coordinator.has_work() {
            let answers = self.slice();
            assert!(self.is_full || answers <= STEP, "{answers} in one step");
        }
    }

    fn ids(&self, tickets: &[Ticket]) -> Vec<Arc<str>> {
        tickets.iter().map(|ticket| self.joined(*ticket).member_id).collect()
    }
}

fn rejoin(world: &mut World, ids: &[Arc<str>]) -> Vec<Ticket> {
    ids.iter().map(|id| world.ask(Request::Join(join(id)))).collect()
}

#[test]
fn all_are_told_bit_by_bit() {
    let (mut world, tickets) = joining();
    assert_eq!(world.slice(), 100);
    let leader = world.joined(tickets[0]);
    assert_eq!((leader.generation, leader.members.len()), (1, MEMBERS));
    let ids: Vec<Arc<str>> = leader
        .members
        .iter()
        .map(|member| Arc::clone(&member.member_id))
        .collect();
    assert_eq!(ids[0], leader.member_id);
    // The leader may be faster than the others are told.
    let kept = world.log.len();
    let first = world.ask(sync(&ids[0], 1, &ids));
    assert_eq!(world.log.len(), kept);
    while world.log.len() == kept {
        assert_eq!(world.synced_count(&[first]), 0, "before the assignment is kept");
        assert!(world.slice() <= STEP);
    }
    assert_eq!((world.log.len(), world.state()), (kept + 1, "Stable"));
    let told = world.ids(&tickets);
    assert_eq!(told, ids);
    let others: Vec<Ticket> = ids[1..].iter().map(|id| world.ask(sync(id, 1, &[]))).collect();
    world.slices();
    for (id, ticket) in ids.iter().zip([vec![first], others].concat()) {
        assert_eq!(world.synced(ticket), Ok(id.as_bytes().to_vec()));
    }
}

#[test]
fn all_that_wait_for_the_leader_get_their_assignment() {
    let (mut world, tickets) = joining();
    world.slices();
    let ids = world.ids(&tickets);
    let mut syncs: Vec<Ticket> = ids[1..].iter().map(|id| world.ask(sync(id, 1, &[]))).collect();
    syncs.insert(0, world.ask(sync(&ids[0], 1, &ids)));
    assert_eq!(world.synced_count(&syncs), 0);
    world.slices();
    for (id, ticket) in ids.iter().zip(syncs) {
        assert_eq!(world.synced(ticket), Ok(id.as_bytes().to_vec()));
    }
    world.advance(seconds(9));
    assert_eq!(world.group().members().len(), MEMBERS, "their sessions have begun anew");
    assert!(ids.iter().all(|id| world.heartbeat(id, 1).is_ok()));
}

#[test]
fn who_was_not_told_yet_is_in_the_next_generation() {
    let (mut world, tickets) = joining();
    assert_eq!(world.slice(), 100);
    let told = world.ids(&tickets[..100]);
    world.ask(leave(&told[99], None));
    assert_eq!(world.state(), "PreparingRebalance");
    world.slices();
    assert!(tickets[100..].iter().all(|ticket| world.is_waiting(*ticket)));
    let again = rejoin(&mut world, &told[..99]);
    assert_eq!(world.state(), "CompletingRebalance");
    world.slices();
    for ticket in again.iter().chain(&tickets[100..]) {
        assert_eq!(world.joined(*ticket).generation, 2);
    }
    assert_eq!(world.joined(again[0]).members.len(), MEMBERS - 1);
}

#[test]
fn an_assignment_of_a_generation_that_ends_is_forgotten() {
    let (mut world, tickets) = joining();
    world.slices();
    let ids = world.ids(&tickets);
    let kept = world.log.len();
    let waiting = [world.ask(sync(&ids[7], 1, &[])), world.ask(sync(&ids[0], 1, &ids))];
    assert_eq!(world.slice(), 0);
    world.ask(leave(&ids[9], None));
    for ticket in waiting {
        assert_eq!(world.synced(ticket), Err(GroupError::RebalanceInProgress));
    }
    world.slices();
    assert_eq!((world.log.len(), world.state()), (kept, "PreparingRebalance"));
}

#[test]
fn an_assignment_that_cannot_be_kept_is_refused_to_all() {
    let (mut world, tickets) = joining();
    world.slices();
    let ids = world.ids(&tickets);
    let mut syncs: Vec<Ticket> = ids[1..].iter().map(|id| world.ask(sync(id, 1, &[]))).collect();
    syncs.insert(0, world.ask(sync(&ids[0], 1, &ids)));
    world.is_full = true;
    world.slices();
    for ticket in syncs {
        assert_eq!(world.synced(ticket), Err(GroupError::RebalanceInProgress));
    }
    assert_eq!(world.state(), "PreparingRebalance");
}

#[test]
fn many_that_are_late_are_given_up_bit_by_bit() {
    let (mut world, tickets) = joining();
    world.slices();
    let ids = world.ids(&tickets);
    // Nobody asks for an assignment, so the whole generation is given up but for the one that does.
    let leader = world.ask(sync(&ids[0], 1, &[]));
    world.slices();
    assert_eq!(world.state(), "Stable");
    assert_eq!(world.synced(leader), Ok(Vec::new()));
    let mut steps = 0;
    for second in 0..65 {
        world.elapsed += seconds(1);
        for id in &ids {
            let _ = world.heartbeat(id, 1);
        }
        while world
            .coordinator
            .next_deadline()
            .is_some_and(|due| due <= world.now().monotonic)
        {
            let before = world.group().members().len();
            let effects = world.coordinator.on_deadline(world.now(), 32);
            world.take(effects);
            let expelled = before - world.group().members().len();
            assert!(expelled <= 100, "{expelled} in second {second}");
            steps += usize::from(expelled > 0);
            world.elapsed += Duration::from_nanos(1);
        }
    }
    assert_eq!((world.group().members().len(), steps), (1, 3));
    assert_eq!(world.state(), "PreparingRebalance");
}

impl World {
    fn synced_count(&self, tickets: &[Ticket]) -> usize {
        tickets.iter().filter(|ticket| !self.is_waiting(**ticket)).count()
    }
}
