//! A coordinator on simulated time: its log is a list, its answers are kept by ticket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::base::ids::{LeaderEpoch, TopicId};
use crate::base::offset::Offset;

mod bad_input;
mod bad_log;
mod consumers;
mod expiry;
mod generation;
mod large;
mod load;
mod mixed;
mod mixed_simulation;
mod offset;
mod restart;
mod simulation;
mod static_member;

/// What the wall clock shows when a test begins.
const BEGIN_MS: i64 = 1_700_000_000_000;

struct World {
    coordinator: Coordinator,
    log: Vec<Record>,
    elapsed: Duration,
    answers: BTreeMap<Ticket, Answer>,
    tickets: u64,
    /// Appends fail.
    is_full: bool,
}

impl World {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self {
            coordinator: Coordinator::new(config),
            log: Vec::new(),
            elapsed: Duration::from_secs(1),
            answers: BTreeMap::new(),
            tickets: 0,
            is_full: false,
        }
    }

    /// A group that does not wait for more members.
    fn eager() -> Self {
        Self::with(Config {
            initial_rebalance_delay: Duration::ZERO,
            ..Config::default()
        })
    }

    fn now(&self) -> Now {
        Now {
            monotonic: Monotonic(0).plus(self.elapsed),
            wall: TimestampMs(BEGIN_MS + i64::try_from(self.elapsed.as_millis()).unwrap()),
        }
    }

    fn ask(&mut self, request: Request) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let effects = self.coordinator.handle(ticket, request, self.now());
        self.take(effects);
        ticket
    }

    fn take(&mut self, effects: Effects) {
        let effects = match self.is_full && !effects.records.is_empty() {
            true => self
                .coordinator
                .on_append_failed(effects, GroupError::NotAvailable, self.now()),
            false => effects,
        };
        for record in effects.records {
            // As the log has it.
            let (key, value) = record.encode().unwrap();
            let record = Record::decode(Some(&key), value.as_deref()).unwrap();
            self.coordinator.replay(&record);
            self.log.push(record);
        }
        for (ticket, answer) in effects.answers {
            assert_eq!(self.answers.insert(ticket, answer), None, "{ticket:?} has two answers");
        }
    }

    /// Lets time pass, deadline by deadline.
    fn advance(&mut self, by: Duration) {
        let end = self.elapsed + by;
        while let Some(due) = self.coordinator.next_deadline() {
            let due = due.since(Monotonic(0));
            if due > end {
                break;
            }
            self.elapsed = self.elapsed.max(due);
            let effects = self.coordinator.on_deadline(self.now(), 1);
            self.take(effects);
        }
        self.elapsed = end;
    }

    fn is_waiting(&self, ticket: Ticket) -> bool {
        !self.answers.contains_key(&ticket)
    }

    fn answer(&self, ticket: Ticket) -> &Answer {
        self.answers.get(&ticket).expect("no answer")
    }

    fn joined(&self, ticket: Ticket) -> Joined {
        let Answer::Join(Ok(joined)) = self.answer(ticket) else {
            panic!("{:?}", self.answer(ticket))
        };
        joined.clone()
    }

    fn join_refused(&self, ticket: Ticket) -> (GroupError, String) {
        let Answer::Join(Err(refused)) = self.answer(ticket) else {
            panic!("{:?}", self.answer(ticket))
        };
        (refused.error, refused.member_id.to_string())
    }

    fn synced(&self, ticket: Ticket) -> Result<Vec<u8>, GroupError> {
        let Answer::Sync(synced) = self.answer(ticket) else {
            panic!("{:?}", self.answer(ticket))
        };
        synced.clone().map(|synced| synced.assignment.to_vec())
    }

    fn heartbeat(&mut self, member: &str, generation: i32) -> Result<(), GroupError> {
        let ticket = self.ask(Request::Heartbeat(Heartbeat {
            group: "g".into(),
            member_id: member.into(),
            instance_id: None,
            generation,
        }));
        let Answer::Heartbeat(result) = self.answer(ticket) else {
            panic!("{:?}", self.answer(ticket))
        };
        *result
    }

    fn commit(&mut self, commit: CommitOffsets) -> Result<Vec<u32>, GroupError> {
        let ticket = self.ask(Request::CommitOffsets(commit));
        let Answer::CommitOffsets(result) = self.answer(ticket) else {
            panic!("{:?}", self.answer(ticket))
        };
        result.clone()
    }

    fn group(&self) -> &classic::Group {
        self.coordinator.classic("g").unwrap()
    }

    fn state(&self) -> &'static str {
        self.group().state().name()
    }

    /// A group of so many dynamic members, stable; their ids, the leader first.
    fn stable(&mut self, members: usize) -> Vec<Arc<str>> {
        self.stable_with(members, 10_000)
    }

    fn stable_with(&mut self, members: usize, session_timeout_ms: i32) -> Vec<Arc<str>> {
        let tickets: Vec<Ticket> = (0..members)
            .map(|index| {
                let mut request = join("");
                request.takes_member_id = false;
                request.session_timeout_ms = session_timeout_ms;
                request.fresh_id[15] = u8::try_from(index).unwrap();
                self.ask(Request::Join(request))
            })
            .collect();
        self.advance(seconds(7));
        let mut ids: Vec<Arc<str>> = tickets.iter().map(|ticket| self.joined(*ticket).member_id).collect();
        let leader = self.group().leader().cloned().unwrap();
        ids.sort_by_key(|id| *id != leader);
        let generation = self.group().generation();
        let syncs: Vec<Ticket> = ids
            .iter()
            .rev()
            .map(|id| self.ask(sync(id, generation, &ids)))
            .collect();
        assert!(syncs.iter().all(|ticket| self.synced(*ticket).is_ok()));
        assert_eq!(self.state(), "Stable");
        ids
    }
}

/// A consumer that joins `g`; without an id, it takes the one that it is given.
fn join(member: &str) -> Join {
    Join {
        group: "g".into(),
        member_id: member.into(),
        instance_id: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range")],
        takes_member_id: true,
        can_skip_assignment: true,
        fresh_id: [0; 16],
    }
}

/// A protocol with a subscription to `topic`.
fn protocol(name: &str) -> Protocol {
    Protocol {
        name: name.into(),
        metadata: Bytes::from_static(b"\0\x01\0\0\0\x01\0\x05topic\xff\xff\xff\xff"),
    }
}

/// A member that asks for its assignment; the leader brings one for each of `members`: its id.
fn sync(member: &str, generation: i32, members: &[Arc<str>]) -> Request {
    let assignment = |id: &Arc<str>| (Arc::clone(id), Bytes::copy_from_slice(id.as_bytes()));
    Request::Sync(Sync {
        group: "g".into(),
        member_id: member.into(),
        instance_id: None,
        generation,
        protocol_type: Some("consumer".to_owned()),
        protocol: Some("range".to_owned()),
        assignments: members.iter().map(assignment).collect(),
    })
}

fn leave(member: &str, instance_id: Option<&str>) -> Request {
    Request::Leave(Leave {
        group: "g".into(),
        members: vec![LeavingMember {
            member_id: member.into(),
            instance_id: instance_id.map(Into::into),
        }],
    })
}

/// A commit of one offset, of partition 0 of `topic`.
fn commit(member: &str, generation: i32, offset: i64) -> CommitOffsets {
    CommitOffsets {
        group: "g".into(),
        member_id: member.into(),
        instance_id: None,
        generation,
        retention_ms: None,
        knows_epochs: true,
        unknown_group: GroupError::GroupNotFound,
        offsets: vec![OffsetToCommit {
            tag: 0,
            topic: "topic".into(),
            topic_id: TopicId([7; 16]),
            partition: 0,
            offset: Offset(offset),
            leader_epoch: LeaderEpoch(0),
            metadata: None,
        }],
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
