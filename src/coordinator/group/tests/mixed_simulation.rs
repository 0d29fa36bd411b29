//! Clients of both protocols in one group, that come, go, crash, fall silent and lose answers, while topics grow, appends fail and the
//! coordinator restarts; by seed and on simulated time. `SEED=n` runs one.
//!
//! After each step:
//! 1. No partition stands with two members of a consumer group, and the epoch of such a group does not go back.
//! 2. No two clients hold a partition that are both in the epoch that the coordinator knows them in.
//! 3. A replay of the log gives the consumer group that stands in the coordinator.
//!
//! When the faults stop:
//! 4. Every partition is held, by one client.

use std::collections::BTreeSet;

use duramen_wire::messages::consumer_protocol_assignment::{ConsumerProtocolAssignment, TopicPartition as Assigned};
use duramen_wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use duramen_wire::{Message, Reader};

use super::consumer::{Assignment, Heartbeat as Beat};
use super::consumers::{TOPIC_ID, Topics, going_on, joining};
use super::mixed::written;
use super::simulation::Chance;
use super::*;

const SEEDS: u64 = 30;
const STEPS: u64 = 400;

#[derive(Clone, Debug, PartialEq)]
enum Doing {
    Nothing,
    /// Of the classic protocol alone.
    Joining(Ticket),
    Syncing(Ticket),
    Reading,
}

#[derive(Debug)]
struct Client {
    is_classic: bool,
    id: String,
    epoch: i32,
    held: BTreeSet<i32>,
    doing: Doing,
    /// It does nothing, but is not gone.
    is_hung: bool,
}

struct Simulation {
    seed: u64,
    chance: Chance,
    world: World,
    clients: Vec<Client>,
    partitions: i32,
    fresh: u64,
    epoch: i32,
    /// Steps after which the group was of the other protocol.
    changes: u64,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let clients = (0..2 + chance.below(4)).map(|number| Client {
            is_classic: number % 2 == 0,
            id: String::new(),
            epoch: 0,
            held: BTreeSet::new(),
            doing: Doing::Nothing,
            is_hung: false,
        });
        let clients = clients.collect();
        let mut config = Config {
            initial_rebalance_delay: Duration::ZERO,
            ..Config::default()
        };
        // Half of the groups are assigned in slices.
        config.consumer.assigned_at_once_max = [0, 1000][usize::try_from(chance.below(2)).unwrap()];
        let mut world = World::with(config);
        world.coordinator.on_topics(Topics::of(1, 5));
        Self {
            seed,
            chance,
            world,
            clients,
            partitions: 5,
            fresh: 0,
            epoch: 0,
            changes: 0,
        }
    }

    /// It begins again, as another.
    fn forget(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.held.clear();
        client.doing = Doing::Nothing;
        client.id.clear();
        client.epoch = 0;
    }

    fn act(&mut self, index: usize, is_heard: bool) {
        match self.clients[index].is_classic {
            true => self.act_classic(index),
            false => self.act_modern(index, is_heard),
        }
    }

    fn act_modern(&mut self, index: usize, is_heard: bool) {
        if self.clients[index].id.is_empty() {
            self.fresh += 1;
            self.clients[index].id = format!("modern-{}", self.fresh);
        }
        let client = &self.clients[index];
        let beat = match client.doing {
            Doing::Reading => Beat {
                rebalance_timeout_ms: 30_000,
                subscribed_names: Some(BTreeSet::from(["topic".into()])),
                owned: Some(
                    client
                        .held
                        .iter()
                        .map(|partition| (TOPIC_ID, *partition))
                        .collect::<Assignment>(),
                ),
                ..going_on(&client.id, client.epoch)
            },
            Doing::Nothing | Doing::Joining(_) | Doing::Syncing(_) => joining(&client.id),
        };
        match self.world.beat(&beat) {
            Err(_) => self.forget(index),
            Ok(_) if !is_heard => {}
            Ok(beaten) => {
                let client = &mut self.clients[index];
                client.doing = Doing::Reading;
                client.epoch = beaten.member_epoch;
                if let Some(assigned) = &beaten.assigned {
                    client.held = assigned.iter().map(|(_, partition, _)| partition).collect();
                }
            }
        }
    }

    fn act_classic(&mut self, index: usize) {
        match self.clients[index].doing.clone() {
            Doing::Nothing => self.join(index),
            Doing::Joining(ticket) if !self.world.is_waiting(ticket) => self.look_at_join(index, ticket),
            Doing::Syncing(ticket) if !self.world.is_waiting(ticket) => match self.world.synced(ticket) {
                Ok(assignment) => {
                    let client = &mut self.clients[index];
                    client.held = read(&Bytes::from(assignment));
                    client.doing = Doing::Reading;
                }
                Err(error) => self.join_again(index, error),
            },
            Doing::Joining(_) | Doing::Syncing(_) => {}
            Doing::Reading => {
                let (id, epoch) = (self.clients[index].id.clone(), self.clients[index].epoch);
                if let Err(error) = self.world.heartbeat(&id, epoch) {
                    self.join_again(index, error);
                }
            }
        }
    }

    /// It gives up all that it has before it joins again.
    fn join_again(&mut self, index: usize, error: GroupError) {
        let client = &mut self.clients[index];
        client.held.clear();
        client.doing = Doing::Nothing;
        if error == GroupError::UnknownMember {
            self.forget(index);
        }
    }

    fn join(&mut self, index: usize) {
        self.fresh += 1;
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["topic".to_owned()],
            ..ConsumerProtocolSubscription::default()
        };
        let mut request = join(&self.clients[index].id);
        request.protocols[0].metadata = written(&subscription);
        request.takes_member_id = self.fresh.is_multiple_of(2);
        request.fresh_id[..8].copy_from_slice(&self.fresh.to_be_bytes());
        let ticket = self.world.ask(Request::Join(request));
        self.clients[index].doing = Doing::Joining(ticket);
    }

    fn look_at_join(&mut self, index: usize, ticket: Ticket) {
        let Answer::Join(answer) = self.world.answer(ticket).clone() else {
            panic!("{:?}", self.world.answer(ticket))
        };
        let joined = match answer {
            Ok(joined) => joined,
            Err(refused) if refused.error == GroupError::MemberIdRequired => {
                self.clients[index].id = refused.member_id.to_string();
                return self.join(index);
            }
            Err(refused) => return self.join_again(index, refused.error),
        };
        self.clients[index].id = joined.member_id.to_string();
        self.clients[index].epoch = joined.generation;
        let Request::Sync(mut request) = sync(&joined.member_id, joined.generation, &[]) else {
            panic!("a sync")
        };
        // The leader of a classic group deals the partitions out.
        for (place, member) in (0i32..).zip(&joined.members) {
            let step = joined.members.len();
            let partitions = (place..self.partitions).step_by(step).collect();
            let assignment = ConsumerProtocolAssignment {
                assigned_partitions: vec![Assigned {
                    topic: "topic".to_owned(),
                    partitions,
                }],
                user_data: None,
            };
            request
                .assignments
                .push((Arc::clone(&member.member_id), written(&assignment)));
        }
        let ticket = self.world.ask(Request::Sync(request));
        self.clients[index].doing = Doing::Syncing(ticket);
    }

    fn leave(&mut self, index: usize) {
        let client = &self.clients[index];
        if client.id.is_empty() {
            return;
        }
        if client.is_classic {
            let request = leave(&client.id, None);
            self.world.ask(request);
        } else {
            drop(self.world.beat(&going_on(&client.id.clone(), -1)));
        }
        self.forget(index);
    }

    /// The coordinator ends; another reads the log.
    fn restart(&mut self) {
        let waiting = self.world.coordinator.take_waiting();
        self.world.answers.extend(waiting.answers);
        let mut loaded = Coordinator::new(self.world.coordinator.config.clone());
        for record in &self.world.log {
            loaded.replay(record);
        }
        loaded.on_topics(Topics::of(1, self.partitions));
        let now = self.world.now();
        let effects = super::restart::serve(&mut loaded, now);
        self.world.coordinator = loaded;
        self.world.take(effects);
    }

    fn step(&mut self) {
        let index = usize::try_from(self.chance.below(self.clients.len() as u64)).unwrap();
        match self.chance.below(40) {
            0 => self.leave(index),
            1 => self.forget(index),
            2 => self.clients[index].is_hung ^= true,
            3 => self.restart(),
            4 if self.partitions < 9 => {
                self.partitions += 1;
                self.world.coordinator.on_topics(Topics::of(1, self.partitions));
            }
            5 => self.world.is_full ^= true,
            6..=12 => {
                let by = Duration::from_millis(self.chance.below(4000));
                self.world.advance(by);
            }
            13..=16 => drop(self.world.work()),
            // All of the new protocol go: the others have a group of the old one.
            17 => (0..self.clients.len())
                .filter(|index| index % 2 == 1)
                .for_each(|index| self.leave(index)),
            _ => {
                let is_heard = !self.chance.one_in(8);
                if !self.clients[index].is_hung {
                    self.act(index, is_heard);
                }
            }
        }
    }

    fn check(&mut self) {
        let seed = self.seed;
        let Some(group) = self.world.coordinator.consumer("g") else {
            self.changes += u64::from(self.epoch > 0);
            self.epoch = 0;
            return;
        };
        assert!(group.epoch() >= self.epoch, "seed {seed}: the epoch went back");
        self.changes += u64::from(self.epoch == 0);
        self.epoch = group.epoch();
        let mut owned = BTreeSet::new();
        for (id, member) in group.members() {
            for partitions in [&member.current.assigned, &member.current.pending_revocation] {
                for (topic, partition, _) in partitions.iter() {
                    assert!(
                        owned.insert((topic, partition)),
                        "seed {seed}: {id} has {partition} too"
                    );
                }
            }
        }
        let mut held = BTreeSet::new();
        for client in &self.clients {
            let is_current = |member: &consumer::Member| member.current.epoch == client.epoch;
            if client.doing == Doing::Reading && group.member(&client.id).is_some_and(is_current) {
                let mine = client.held.iter().all(|partition| held.insert(*partition));
                assert!(mine, "seed {seed}: two hold what {} holds", client.id);
            }
        }
        self.world.check_log();
    }

    fn settle(&mut self) {
        self.world.is_full = false;
        for _ in 0..60 {
            for index in 0..self.clients.len() {
                self.clients[index].is_hung = false;
                self.act(index, true);
                self.world.work();
            }
            self.world.advance(seconds(2));
            self.check();
        }
        let mut held: Vec<i32> = self.clients.iter().flat_map(|client| client.held.clone()).collect();
        held.sort_unstable();
        let all: Vec<i32> = (0..self.partitions).collect();
        assert_eq!(held, all, "seed {}: {:?}", self.seed, self.clients);
    }
}

fn read(assignment: &Bytes) -> BTreeSet<i32> {
    if assignment.is_empty() {
        return BTreeSet::new();
    }
    let decoded = ConsumerProtocolAssignment::decode(&mut Reader::new(&assignment.slice(2..), 4096), 1);
    let topics = decoded.unwrap().assigned_partitions.into_iter();
    topics.flat_map(|topic| topic.partitions).collect()
}

#[test]
fn groups_of_both_protocols_survive() {
    let one: Option<u64> = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = one.map_or(0..SEEDS, |seed| seed..seed + 1);
    let (mut changes, mut runs) = (0, 0);
    for seed in seeds {
        let mut simulation = Simulation::new(seed);
        for _ in 0..STEPS {
            simulation.step();
            simulation.check();
        }
        simulation.settle();
        changes += simulation.changes;
        runs += 1;
    }
    assert!(
        one.is_some() || changes >= runs * 3,
        "groups change their protocol: {changes} times"
    );
}
