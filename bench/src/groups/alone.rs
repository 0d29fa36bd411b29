//! Many groups with one member each.
//!
//! A classic member joins as clients do: once to be given an id, once with it; then it syncs with its own assignment. A member of the
//! consumer protocol (KIP-848) sends heartbeats until it has its partition. Afterwards each is asked for: one whose group does not know it
//! fails the run.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use duramen_wire::messages::consumer_group_heartbeat_request::{ConsumerGroupHeartbeatRequest, TopicPartitions};
use duramen_wire::messages::heartbeat_request::HeartbeatRequest;
use duramen_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use duramen_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use duramen_wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};

use bytes::Bytes;

use crate::client::{TopicHandle, Wait};
use crate::failure::{Context, Result, fail};

use super::assignment::{decode_assignment, encode_assignment, subscription};
use super::lines::{Answer, Lines};
use super::{MEMBER_ID_REQUIRED, PROTOCOL, PROTOCOL_TYPE, Protocol, REBALANCE_TIMEOUT_MS, SESSION_TIMEOUT_MS};

/// How long a member of the consumer protocol waits before it asks again for its partition.
const PAUSE: Duration = Duration::from_millis(50);

/// A group and its member, which owns partition 0 of the topic.
struct Alone {
    group: String,
    member_id: String,
    /// Of the generation, or of the member.
    epoch: i32,
    is_stable: bool,
}

/// What an answer is for: a group by its index.
#[derive(Clone, Copy)]
pub enum Step {
    Join(usize),
    Sync(usize),
    Beat(usize),
    Other,
}

/// All groups.
pub struct Groups {
    protocol: Protocol,
    topic: TopicHandle,
    subscription: Bytes,
    all: Vec<Alone>,
    stable: usize,
    /// Members that ask again, and when.
    pauses: VecDeque<(Instant, usize, usize)>,
}

impl Groups {
    pub fn new(protocol: Protocol, topic: &TopicHandle, ids: impl Iterator<Item = String>) -> Result<Self> {
        let all = ids.map(|group| Alone {
            // Members of the consumer protocol name themselves.
            member_id: match protocol {
                Protocol::Classic => String::new(),
                Protocol::Consumer => format!("member-of-{group}"),
            },
            group,
            epoch: 0,
            is_stable: false,
        });
        Ok(Self {
            protocol,
            subscription: subscription(&topic.name)?,
            topic: topic.clone(),
            all: all.collect(),
            stable: 0,
            pauses: VecDeque::new(),
        })
    }

    pub fn ids(&self) -> Vec<String> {
        self.all.iter().map(|alone| alone.group.clone()).collect()
    }

    /// Makes all groups stable, so many at a time on each connection; group `i` speaks over connection `i` modulo their number.
    pub fn join(&mut self, lines: &mut Lines<Step>, depth: usize) -> Result<()> {
        let connections = lines.connections();
        let mut next: Vec<usize> = (0..connections).collect();
        for connection in (0..depth).flat_map(|_| 0..connections) {
            self.start(lines, connection, &mut next)?;
        }
        while self.stable < self.all.len() {
            let due = self.pauses.front().map(|(due, ..)| *due);
            for answer in lines.receive(Wait::Until(due))? {
                if self.advance(lines, &answer)? {
                    self.start(lines, answer.connection, &mut next)?;
                }
            }
            let now = Instant::now();
            while let Some((_, connection, index)) = self.pauses.pop_front_if(|(due, ..)| *due <= now) {
                lines.send(connection, &self.beat(index), Step::Beat(index))?;
            }
        }
        Ok(())
    }

    /// The next group of a connection begins.
    fn start(&self, lines: &mut Lines<Step>, connection: usize, next: &mut [usize]) -> Result<()> {
        let index = next[connection];
        if index >= self.all.len() {
            return Ok(());
        }
        next[connection] += lines.connections();
        match self.protocol {
            Protocol::Classic => lines.send(connection, &self.join_request(index), Step::Join(index)),
            Protocol::Consumer => lines.send(connection, &self.beat(index), Step::Beat(index)),
        }
    }

    /// Takes an answer; whether its group is stable now.
    fn advance(&mut self, lines: &mut Lines<Step>, answer: &Answer<Step>) -> Result<bool> {
        match answer.what {
            Step::Join(index) => {
                let joined = answer.decode::<JoinGroupRequest>()?;
                match joined.error_code {
                    MEMBER_ID_REQUIRED if self.all[index].member_id.is_empty() => {
                        self.all[index].member_id = joined.member_id;
                        lines.send(answer.connection, &self.join_request(index), Step::Join(index))?;
                    }
                    0 => {
                        self.all[index].epoch = joined.generation_id;
                        let sync = self.sync_request(index)?;
                        lines.send(answer.connection, &sync, Step::Sync(index))?;
                    }
                    error => fail!("joining group {}: error {error}", self.all[index].group),
                }
                Ok(false)
            }
            Step::Sync(index) => {
                let synced = answer.decode::<SyncGroupRequest>()?;
                let group = &self.all[index].group;
                if synced.error_code != 0 {
                    fail!("syncing group {group}: error {}", synced.error_code);
                }
                if decode_assignment(&self.topic.name, &synced.assignment)? != [0] {
                    fail!("the member of group {group} was not given what its leader gave it");
                }
                self.settle(index)
            }
            Step::Beat(index) => {
                let beaten = answer.decode::<ConsumerGroupHeartbeatRequest>()?;
                let alone = &mut self.all[index];
                if beaten.error_code != 0 {
                    let why = beaten.error_message.unwrap_or_default();
                    fail!(
                        "a heartbeat to group {}: error {} {why}",
                        alone.group,
                        beaten.error_code
                    );
                }
                alone.epoch = beaten.member_epoch;
                let given = beaten.assignment.map(|assignment| assignment.topic_partitions);
                let is_given = given.into_iter().flatten().any(|topic| topic.partitions.contains(&0));
                if is_given {
                    return self.settle(index);
                }
                self.pauses
                    .push_back((Instant::now() + PAUSE, answer.connection, index));
                Ok(false)
            }
            Step::Other => fail!("an answer came that no group waits for"),
        }
    }

    fn settle(&mut self, index: usize) -> Result<bool> {
        if std::mem::replace(&mut self.all[index].is_stable, true) {
            fail!("group {} was made stable twice", self.all[index].group);
        }
        self.stable += 1;
        Ok(true)
    }

    fn join_request(&self, index: usize) -> JoinGroupRequest {
        let alone = &self.all[index];
        JoinGroupRequest {
            group_id: alone.group.clone(),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            member_id: alone.member_id.clone(),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: vec![JoinGroupRequestProtocol {
                name: PROTOCOL.to_owned(),
                metadata: self.subscription.clone(),
            }],
            ..JoinGroupRequest::default()
        }
    }

    fn sync_request(&self, index: usize) -> Result<SyncGroupRequest> {
        let alone = &self.all[index];
        Ok(SyncGroupRequest {
            group_id: alone.group.clone(),
            generation_id: alone.epoch,
            member_id: alone.member_id.clone(),
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(PROTOCOL.to_owned()),
            assignments: vec![SyncGroupRequestAssignment {
                member_id: alone.member_id.clone(),
                assignment: encode_assignment(&self.topic.name, vec![0])?,
            }],
            ..SyncGroupRequest::default()
        })
    }

    /// A heartbeat of the consumer protocol: the first one joins.
    fn beat(&self, index: usize) -> ConsumerGroupHeartbeatRequest {
        let alone = &self.all[index];
        let first = ConsumerGroupHeartbeatRequest {
            group_id: alone.group.clone(),
            member_id: alone.member_id.clone(),
            member_epoch: alone.epoch,
            ..ConsumerGroupHeartbeatRequest::default()
        };
        if alone.is_stable {
            return ConsumerGroupHeartbeatRequest {
                topic_partitions: Some(vec![TopicPartitions {
                    topic_id: self.topic.id,
                    partitions: vec![0],
                }]),
                ..first
            };
        }
        if alone.epoch != 0 {
            return first;
        }
        ConsumerGroupHeartbeatRequest {
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            subscribed_topic_names: Some(vec![self.topic.name.clone()]),
            topic_partitions: Some(Vec::new()),
            ..first
        }
    }

    /// Sends the heartbeat of one group.
    pub fn send_heartbeat(&self, lines: &mut Lines<Step>, connection: usize, index: usize) -> Result<()> {
        match self.protocol {
            Protocol::Classic => lines.send(connection, &self.heartbeat(index), Step::Beat(index)),
            Protocol::Consumer => lines.send(connection, &self.beat(index), Step::Beat(index)),
        }
    }

    fn heartbeat(&self, index: usize) -> HeartbeatRequest {
        let alone = &self.all[index];
        HeartbeatRequest {
            group_id: alone.group.clone(),
            generation_id: alone.epoch,
            member_id: alone.member_id.clone(),
            ..HeartbeatRequest::default()
        }
    }

    /// Fails unless the answer to a heartbeat says that all is well.
    pub fn check_heartbeat(&self, answer: &Answer<Step>) -> Result<()> {
        let error = match self.protocol {
            Protocol::Classic => answer.decode::<HeartbeatRequest>()?.error_code,
            Protocol::Consumer => answer.decode::<ConsumerGroupHeartbeatRequest>()?.error_code,
        };
        if error != 0 {
            fail!("a stable group does not know its member: error {error}");
        }
        Ok(())
    }

    /// Asks every group for its member.
    pub fn verify(&self, lines: &mut Lines<Step>) -> Result<()> {
        let connections = lines.connections();
        for index in 0..self.all.len() {
            self.send_heartbeat(lines, index % connections, index)?;
        }
        while lines.in_flight() > 0 {
            for answer in lines.receive(Wait::Until(None))? {
                self.check_heartbeat(&answer)?;
            }
        }
        Ok(())
    }

    /// All members leave.
    pub fn leave(&self, lines: &mut Lines<Step>, depth: usize) -> Result<()> {
        let what = |_| Step::Other;
        let left = |error: i16| match error {
            0 => Ok(()),
            error => fail!("leaving a group: error {error}"),
        };
        let done = match self.protocol {
            Protocol::Classic => lines.each(
                depth,
                self.all.len(),
                |index| LeaveGroupRequest {
                    group_id: self.all[index].group.clone(),
                    members: vec![MemberIdentity {
                        member_id: self.all[index].member_id.clone(),
                        ..MemberIdentity::default()
                    }],
                    ..LeaveGroupRequest::default()
                },
                what,
                |_, response| left(response.error_code),
            ),
            Protocol::Consumer => lines.each(
                depth,
                self.all.len(),
                |index| ConsumerGroupHeartbeatRequest {
                    group_id: self.all[index].group.clone(),
                    member_id: self.all[index].member_id.clone(),
                    member_epoch: -1,
                    ..ConsumerGroupHeartbeatRequest::default()
                },
                what,
                |_, response| left(response.error_code),
            ),
        };
        done.context(|| "the members leave".to_owned())
    }
}
