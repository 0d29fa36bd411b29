//! The uniform assignor: members keep what they have, what is free goes to who has least, and who has too much gives to who has too little.
//!
//! Topics with the same subscribers are one *market*: any partition of it may go to any of its members. In each, the loads of its members
//! stand in order, so that a step costs the logarithm of their number. With one market, loads differ by one at most in the end; with
//! several, no single move makes two members more equal.
//! Kafka has the same aims (`UniformAssignor`) by other ways: two brokers may assign differently, each evenly.

use std::collections::{BTreeMap, BTreeSet};

use super::{Dealt, Input};

/// Topics with the same subscribers.
#[derive(Debug)]
struct Market {
    /// Its members by how much each has in all.
    by_load: BTreeSet<(usize, usize)>,
    /// Partitions of this market that each member has: (topic, partition).
    held: BTreeMap<usize, Vec<(usize, i32)>>,
}

/// What is being done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Members keep what they had: this one is next.
    Keep(usize),
    /// What nobody has goes to who has least: this partition of this topic is next.
    Fill(usize, i32),
    /// Loads are evened out: this market is next; so many in a row had nothing to even out.
    Balance(usize, usize),
    Done,
}

/// An assignment in the making.
#[derive(Debug)]
pub struct Uniform {
    input: Input,
    markets: Vec<Market>,
    /// The market of each topic; none for a topic without subscribers.
    market_of: Vec<Option<usize>>,
    /// The markets of each member.
    markets_of: Vec<Vec<usize>>,
    loads: Vec<usize>,
    /// Whether each partition of each topic has somebody.
    taken: Vec<Vec<bool>>,
    phase: Phase,
}

impl Uniform {
    pub(super) fn new(input: Input) -> Self {
        let mut subscribers = vec![Vec::new(); input.topics.len()];
        for (place, member) in input.members.iter().enumerate() {
            for &topic in &member.subscribed {
                if let Some(of_topic) = subscribers.get_mut(topic) {
                    of_topic.push(place);
                }
            }
        }
        let mut by_members: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let mut markets: Vec<Market> = Vec::new();
        let mut markets_of = vec![Vec::new(); input.members.len()];
        let mut market_of = Vec::with_capacity(subscribers.len());
        for members in subscribers {
            if members.is_empty() {
                market_of.push(None);
                continue;
            }
            let number = *by_members.entry(members).or_insert_with_key(|members| {
                for &member in members {
                    markets_of[member].push(markets.len());
                }
                markets.push(Market {
                    by_load: members.iter().map(|member| (0, *member)).collect(),
                    held: BTreeMap::new(),
                });
                markets.len() - 1
            });
            market_of.push(Some(number));
        }
        let taken = input.topics.iter().map(|topic| {
            let partitions = usize::try_from(topic.partitions).unwrap_or(0);
            vec![false; partitions]
        });
        Self {
            taken: taken.collect(),
            loads: vec![0; input.members.len()],
            input,
            markets,
            market_of,
            markets_of,
            phase: Phase::Keep(0),
        }
    }

    pub(super) fn advance(&mut self, steps: usize) -> bool {
        let mut done = 0;
        while done < steps && self.phase != Phase::Done {
            done = done.saturating_add(match self.phase {
                Phase::Keep(member) => self.keep(member),
                Phase::Fill(topic, partition) => self.fill(topic, partition),
                Phase::Balance(market, idle) => self.balance(market, idle),
                Phase::Done => 0,
            });
        }
        self.phase == Phase::Done
    }

    /// A member keeps what it had of topics that it is subscribed to.
    fn keep(&mut self, member: usize) -> usize {
        let Some(candidate) = self.input.members.get_mut(member) else {
            self.phase = Phase::Fill(0, 0);
            return 1;
        };
        // What it had is not needed any more, and is a lot to give back at once in the end.
        let before = std::mem::take(&mut candidate.before);
        let mut kept = Vec::new();
        for &topic in &candidate.subscribed {
            let Some(known) = self.input.topics.get(topic) else {
                continue;
            };
            let before = before.of_topic(known.id).into_iter();
            kept.extend(
                before
                    .flat_map(|partitions| partitions.keys())
                    .map(|partition| (topic, *partition)),
            );
        }
        let work = kept.len() + candidate.subscribed.len() + 1;
        for (topic, partition) in kept {
            if self.take(topic, partition) {
                self.give(member, topic, partition);
            }
        }
        self.phase = Phase::Keep(member + 1);
        work
    }

    /// Whether a partition exists and was nobody's; it is somebody's now.
    fn take(&mut self, topic: usize, partition: i32) -> bool {
        let place = usize::try_from(partition).ok();
        let taken = place.and_then(|place| self.taken.get_mut(topic)?.get_mut(place));
        taken.is_some_and(|taken| !std::mem::replace(taken, true))
    }

    fn give(&mut self, member: usize, topic: usize, partition: i32) {
        self.change_load(member, 1);
        if let Some(market) = self.market_of[topic] {
            let held = self.markets[market].held.entry(member).or_default();
            held.push((topic, partition));
        }
    }

    fn change_load(&mut self, member: usize, by: isize) {
        let before = self.loads[member];
        let after = before.saturating_add_signed(by);
        self.loads[member] = after;
        for &market in &self.markets_of[member] {
            let by_load = &mut self.markets[market].by_load;
            by_load.remove(&(before, member));
            by_load.insert((after, member));
        }
    }

    fn fill(&mut self, topic: usize, partition: i32) -> usize {
        let Some(known) = self.input.topics.get(topic) else {
            self.phase = Phase::Balance(0, 0);
            return 1;
        };
        if partition >= known.partitions {
            self.phase = Phase::Fill(topic + 1, 0);
            return 1;
        }
        self.phase = Phase::Fill(topic, partition + 1);
        if let Some(market) = self.market_of[topic]
            && let Some(&(_, member)) = self.markets[market].by_load.first()
            && self.take(topic, partition)
        {
            self.give(member, topic, partition);
        }
        1
    }

    /// Moves one partition from the member of a market that has most to the one that has least.
    fn balance(&mut self, market: usize, idle: usize) -> usize {
        if idle >= self.markets.len() {
            self.phase = Phase::Done;
            return 1;
        }
        let next = (market + 1) % self.markets.len();
        let (from, looked_at) = self.markets[market].richest_holder();
        let to = self.markets[market].by_load.first().copied();
        let (Some((most, from)), Some((least, to))) = (from, to) else {
            self.phase = Phase::Balance(next, idle + 1);
            return looked_at;
        };
        if most < least + 2 {
            self.phase = Phase::Balance(next, idle + 1);
            return looked_at;
        }
        if let Some(moved) = self.markets[market].take_from(from) {
            self.change_load(from, -1);
            self.change_load(to, 1);
            self.markets[market].held.entry(to).or_default().push(moved);
        }
        self.phase = Phase::Balance(market, 0);
        looked_at
    }

    pub(super) fn finish(self) -> (Input, Vec<Dealt>) {
        let mut assigned = vec![Dealt::new(); self.input.members.len()];
        for (member, held) in self.markets.into_iter().flat_map(|market| market.held) {
            let topics = &self.input.topics;
            assigned[member].extend(held.into_iter().map(|(topic, partition)| (topics[topic].id, partition)));
        }
        (self.input, assigned)
    }
}

impl Market {
    /// The member with the highest load that has something of this market, and how many were looked at.
    fn richest_holder(&self) -> (Option<(usize, usize)>, usize) {
        let mut looked_at = 0;
        for &(load, member) in self.by_load.iter().rev() {
            looked_at += 1;
            if self.held.get(&member).is_some_and(|held| !held.is_empty()) {
                return (Some((load, member)), looked_at);
            }
        }
        (None, looked_at.max(1))
    }

    /// The partition that a member got last: those that it had longest stay.
    fn take_from(&mut self, member: usize) -> Option<(usize, i32)> {
        self.held.get_mut(&member)?.pop()
    }
}
