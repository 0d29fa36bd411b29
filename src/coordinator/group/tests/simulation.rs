//! Clients that join, leave, crash, are slow and commit, and coordinators that restart, by seed and on simulated time. `SEED=n` runs one.
//!
//! After each step:
//! 1. A member of the current generation has one assignment, and no two members have the same part of it.
//! 2. The generation of a group never goes back, but for a restart, which may take back one that was never stable.
//! 3. A committed offset is what was last committed.
//! 4. What a replay of the log gives is what stands in the coordinator, as far as it is kept.
//! 5. Each request has at most one answer; none waits for a group that is stable.
//!
//! When the faults stop:
//! 6. Every group that has live members becomes stable.

use super::*;

/// SplitMix64: a stream of numbers from a seed.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// What a client is doing.
#[derive(Clone, Debug, PartialEq)]
enum Doing {
    Nothing,
    Joining(Ticket),
    Syncing(Ticket, i32),
    Reading(i32),
}

#[derive(Clone, Debug)]
struct Client {
    id: Arc<str>,
    instance_id: Option<Arc<str>>,
    doing: Doing,
    /// It does nothing, but is not gone.
    is_hung: bool,
}

struct Simulation {
    seed: u64,
    chance: Chance,
    world: World,
    clients: Vec<Client>,
    committed: Option<i64>,
    /// The highest generation that was stable.
    stable_generation: i32,
    fresh: u64,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let delay = [0, 100, 3000][usize::try_from(chance.below(3)).unwrap()];
        let world = World::with(Config {
            initial_rebalance_delay: Duration::from_millis(delay),
            members_max: usize::try_from(2 + chance.below(6)).unwrap(),
            ..Config::default()
        });
        let clients = (0..1 + chance.below(6)).map(|index| Client {
            id: Arc::default(),
            instance_id: (index % 3 == 0).then(|| format!("instance-{index}").into()),
            doing: Doing::Nothing,
            is_hung: false,
        });
        let clients = clients.collect();
        Self {
            seed,
            chance,
            world,
            clients,
            committed: None,
            stable_generation: 0,
            fresh: 0,
        }
    }

    fn join(&mut self, index: usize) {
        self.fresh += 1;
        let client = &self.clients[index];
        let mut request = join(&client.id);
        request.instance_id = client.instance_id.clone();
        request.takes_member_id = self.fresh.is_multiple_of(2);
        request.can_skip_assignment = !self.fresh.is_multiple_of(3);
        request.fresh_id[..8].copy_from_slice(&self.fresh.to_be_bytes());
        let ticket = self.world.ask(Request::Join(request));
        self.clients[index].doing = Doing::Joining(ticket);
    }

    /// One client does what a client does next.
    fn act(&mut self, index: usize) {
        let client = self.clients[index].clone();
        match client.doing {
            Doing::Nothing => self.join(index),
            Doing::Joining(ticket) => self.look_at_join(index, ticket),
            Doing::Syncing(ticket, generation) => {
                if self.world.is_waiting(ticket) {
                    return;
                }
                self.clients[index].doing = match self.world.synced(ticket) {
                    Ok(_) => Doing::Reading(generation),
                    Err(error) => self.begin_again(index, error),
                };
            }
            Doing::Reading(generation) => {
                let result = match self.chance.one_in(3) {
                    true => self.commit(&client, generation),
                    false => self.heartbeat(&client, generation),
                };
                match result {
                    Ok(()) => {}
                    Err(GroupError::RebalanceInProgress) => self.join(index),
                    Err(error) => self.clients[index].doing = self.begin_again(index, error),
                }
            }
        }
    }

    fn look_at_join(&mut self, index: usize, ticket: Ticket) {
        if self.world.is_waiting(ticket) {
            return;
        }
        let Answer::Join(answer) = self.world.answer(ticket).clone() else {
            panic!("{:?}", self.world.answer(ticket))
        };
        let joined = match answer {
            Ok(joined) => joined,
            Err(JoinRefused { error, member_id }) => {
                if error == GroupError::MemberIdRequired {
                    self.clients[index].id = member_id;
                    self.join(index);
                } else {
                    self.clients[index].doing = self.begin_again(index, error);
                }
                return;
            }
        };
        self.clients[index].id = Arc::clone(&joined.member_id);
        let members: Vec<Arc<str>> = joined
            .members
            .iter()
            .map(|member| Arc::clone(&member.member_id))
            .collect();
        let members = if joined.skip_assignment { Vec::new() } else { members };
        let Request::Sync(mut request) = sync(&joined.member_id, joined.generation, &members) else {
            return;
        };
        request.instance_id = self.clients[index].instance_id.clone();
        let ticket = self.world.ask(Request::Sync(request));
        self.clients[index].doing = Doing::Syncing(ticket, joined.generation);
    }

    fn begin_again(&mut self, index: usize, error: GroupError) -> Doing {
        if matches!(
            error,
            GroupError::UnknownMember | GroupError::FencedInstance | GroupError::GroupFull
        ) {
            self.clients[index].id = Arc::default();
        }
        Doing::Nothing
    }

    fn heartbeat(&mut self, client: &Client, generation: i32) -> Result<(), GroupError> {
        let ticket = self.world.ask(Request::Heartbeat(Heartbeat {
            group: "g".into(),
            member_id: Arc::clone(&client.id),
            instance_id: client.instance_id.clone(),
            generation,
        }));
        let Answer::Heartbeat(result) = self.world.answer(ticket) else {
            panic!("{:?}", self.world.answer(ticket))
        };
        *result
    }

    fn commit(&mut self, client: &Client, generation: i32) -> Result<(), GroupError> {
        let offset = i64::try_from(self.chance.below(1000)).unwrap();
        let mut request = commit(&client.id, generation, offset);
        request.instance_id = client.instance_id.clone();
        self.world.commit(request).map(|_| self.committed = Some(offset))
    }

    fn fault(&mut self) {
        let index = usize::try_from(self.chance.below(self.clients.len() as u64)).unwrap();
        match self.chance.below(8) {
            // It crashes, and comes back as another.
            0 => {
                self.clients[index].id = Arc::default();
                self.clients[index].doing = Doing::Nothing;
            }
            1 => {
                let (id, instance_id) = (
                    Arc::clone(&self.clients[index].id),
                    self.clients[index].instance_id.clone(),
                );
                if !id.is_empty() {
                    self.world.ask(leave(&id, instance_id.as_deref()));
                    self.clients[index].id = Arc::default();
                    self.clients[index].doing = Doing::Nothing;
                }
            }
            2 => self.clients[index].is_hung = true,
            3 => self.clients[index].is_hung = false,
            // It gives up its request and asks again.
            4 => self.clients[index].doing = Doing::Nothing,
            5 => self.world.advance(seconds(20)),
            6 => self.world.is_full = self.chance.one_in(2),
            _ => self.restart(),
        }
    }

    fn restart(&mut self) {
        let full = self.world.is_full;
        self.world.is_full = false;
        self.world = self.world.restarted();
        self.world.is_full = full;
        for client in &mut self.clients {
            // Connections are gone, and what was asked by them.
            if !matches!(client.doing, Doing::Reading(_)) {
                client.doing = Doing::Nothing;
            }
        }
    }

    fn check(&mut self) {
        let seed = self.seed;
        let offset = self.world.coordinator.offsets().get("g", "topic", 0);
        assert_eq!(offset.map(|found| found.offset.0), self.committed, "3, seed {seed}");
        let Some(group) = self.world.coordinator.classic("g") else {
            return;
        };
        let is_stable = group.state() == classic::State::Stable;
        assert!(group.generation() >= self.stable_generation, "2, seed {seed}");
        if is_stable {
            self.stable_generation = group.generation();
            let mut parts: Vec<&Bytes> = group.members().map(|(_, member)| member.assignment()).collect();
            parts.retain(|part| !part.is_empty());
            parts.sort();
            let all = parts.len();
            parts.dedup();
            assert_eq!(parts.len(), all, "1, seed {seed}");
        }
        let mut replayed = Coordinator::new(self.world.coordinator.config.clone());
        for record in &self.world.log {
            replayed.replay(record);
        }
        assert_eq!(replayed.offsets(), self.world.coordinator.offsets(), "4, seed {seed}");
        if is_stable {
            let kept = replayed.classic("g").map(classic::Group::describe);
            assert_eq!(kept, Some(group.describe()), "4, seed {seed}");
            assert_eq!(
                replayed.classic("g").map(classic::Group::generation),
                Some(group.generation())
            );
        }
    }

    fn step(&mut self) {
        let index = usize::try_from(self.chance.below(self.clients.len() as u64)).unwrap();
        if !self.clients[index].is_hung {
            self.act(index);
        }
        let by = self.chance.below(500);
        self.world.advance(Duration::from_millis(by));
        self.check();
    }

    fn heal(&mut self) {
        self.world.is_full = false;
        for client in &mut self.clients {
            client.is_hung = false;
        }
        let members_max = self.world.coordinator.config.members_max;
        self.clients.truncate(members_max);
        let is_over = |simulation: &Self| {
            let reading = simulation
                .clients
                .iter()
                .all(|client| matches!(client.doing, Doing::Reading(_)));
            let group = simulation.world.coordinator.classic("g");
            let stable = group.is_some_and(|group| {
                group.state() == classic::State::Stable && group.members().len() == simulation.clients.len()
            });
            reading && stable
        };
        for _ in 0..20_000 {
            self.step();
            if is_over(self) {
                return;
            }
        }
        panic!(
            "6, seed {}: {:?} {:?}",
            self.seed,
            self.clients,
            self.world.coordinator.classic("g")
        );
    }
}

fn run(seed: u64) {
    let mut simulation = Simulation::new(seed);
    for _ in 0..400 {
        simulation.step();
        if simulation.chance.one_in(12) {
            simulation.fault();
            simulation.check();
        }
    }
    simulation.heal();
}

#[test]
fn groups_survive() {
    match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => run(seed),
        None => (0..100).for_each(run),
    }
}
