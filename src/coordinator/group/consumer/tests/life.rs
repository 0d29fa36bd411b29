//! Clients that join, leave, lose answers and are fenced, in an order that a seed draws.
//!
//! After each step: no partition has two holders, and epochs have not gone back. When the faults stop, every member arrives, and every
//! partition is held.

use super::*;

const SEEDS: u64 = 60;
const ROUNDS: usize = 150;
const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];
const SUBSCRIPTIONS: [&[&str]; 3] = [&["t"], &["t", "u"], &["u"]];

/// A sequence that looks random and is the same each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % 1_000_003).unwrap() % bound
    }
}

/// What a client believes.
struct Believes {
    epoch: i32,
    holds: Assignment,
}

struct Life {
    seed: u64,
    draw: Draw,
    books: Books,
    clients: [Option<Believes>; 5],
    /// Of the group, and of its targets.
    epochs: (i32, i32),
}

impl Life {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            draw: Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            books: Books::new(&[("t", 7), ("u", 3)]),
            clients: [const { None }; 5],
            epochs: (0, 0),
        }
    }

    /// One heartbeat of a client, whose answer may get lost.
    fn beat(&mut self, place: usize, is_heard: bool, subscription: &[&str]) {
        let beat = match &self.clients[place] {
            None => joining(IDS[place], subscription),
            // A client whose answer was lost says all that it can say.
            Some(believes) => Heartbeat {
                owned: Some(believes.holds.clone()),
                member_epoch: believes.epoch,
                subscribed_names: (self.books.live.members.get(IDS[place]))
                    .map(|member| member.subscribed_names.clone()),
                ..joining(IDS[place], &[])
            },
        };
        match self.books.beat(&beat) {
            Err(_) => self.clients[place] = None,
            Ok(_) if !is_heard => {}
            Ok(beaten) => {
                let assigned = beaten.assigned.expect("a client that says all is told all");
                let holds = assigned.iter().map(|(topic, partition, _)| (topic, partition));
                self.clients[place] = Some(Believes {
                    epoch: beaten.member_epoch,
                    holds: holds.collect(),
                });
            }
        }
    }

    fn step(&mut self, round: usize) {
        let place = self.draw.below(IDS.len());
        match self.draw.below(20) {
            0 if self.clients[place].take().is_some() => {
                // A member that was fenced may leave too.
                drop(self.books.beat(&going_on(IDS[place], -1)));
            }
            1 => self.fence(place),
            2 => self.books.topics.0.get_mut("t").unwrap().partitions += i32::from(round < 100),
            _ => {
                let subscription = SUBSCRIPTIONS[self.draw.below(3)];
                let is_heard = self.draw.below(5) > 0;
                self.beat(place, is_heard, subscription);
            }
        }
    }

    /// A session that has timed out; the client has noticed.
    fn fence(&mut self, place: usize) {
        let id: Arc<str> = IDS[place].into();
        if self.books.live.members.contains_key(&id) {
            let records = self.books.live.fence(&[&id], &self.books.topics);
            self.books.keep(&records);
            self.clients[place] = None;
        }
    }

    fn held(&self) -> Vec<(TopicId, i32)> {
        let holds = self.clients.iter().flatten();
        let held = holds.flat_map(|client| client.holds.iter().map(|(topic, partition, ())| (topic, partition)));
        held.collect()
    }

    fn check(&mut self, round: usize) {
        let held = self.held();
        let distinct: BTreeSet<_> = held.iter().collect();
        assert_eq!(
            held.len(),
            distinct.len(),
            "seed {}, round {round}: a partition has two holders",
            self.seed
        );
        let now = (self.books.live.epoch, self.books.live.target_epoch);
        let has_gone_back = now.0 < self.epochs.0 || now.1 < self.epochs.1 || now.1 > now.0;
        assert!(!has_gone_back, "seed {}: {:?}, then {now:?}", self.seed, self.epochs);
        self.epochs = now;
    }

    fn settle(&mut self) {
        for _ in 0..12 {
            for place in 0..IDS.len() {
                self.beat(place, true, &["t", "u"]);
            }
        }
        let live = &self.books.live;
        assert_eq!(live.state(), GroupState::Stable, "seed {}", self.seed);
        let subscribed: BTreeSet<&Arc<str>> = live
            .members()
            .flat_map(|(_, member)| &member.subscribed_names)
            .collect();
        let wanted = subscribed.iter().map(|name| self.books.topics.0[&***name].partitions);
        let wanted = usize::try_from(wanted.sum::<i32>()).unwrap();
        assert_eq!(self.held().len(), wanted, "seed {}: every partition is held", self.seed);
    }
}

#[test]
fn no_partition_has_two_holders_and_all_arrive() {
    for seed in 1..=SEEDS {
        let mut life = Life::new(seed);
        for round in 0..ROUNDS {
            life.step(round);
            life.check(round);
        }
        life.settle();
    }
}
