//! One group of many members that all come at once, each with a connection of its own.
//!
//! A classic member joins, syncs (the leader with an assignment that it makes), and learns from its heartbeats that it has to join again.
//! A member of the consumer protocol (KIP-848) sends heartbeats, and at once where it has something to acknowledge. The group is stable
//! when all members are of one generation or epoch, and each partition has exactly one owner among them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen_wire::messages::JoinGroupResponse;
use duramen_wire::messages::consumer_group_heartbeat_request::{ConsumerGroupHeartbeatRequest, TopicPartitions};
use duramen_wire::messages::heartbeat_request::HeartbeatRequest;
use duramen_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use duramen_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use duramen_wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};

use crate::client::{TopicHandle, Wait};
use crate::failure::{Context, Result, fail};

use super::assignment::{check, decode_assignment, encode_assignment, range, subscription};
use super::lines::{Answer, Lines};
use super::{MEMBER_ID_REQUIRED, PROTOCOL, PROTOCOL_TYPE, Protocol, REBALANCE_TIMEOUT_MS, SESSION_TIMEOUT_MS};

/// Between two heartbeats of a member. Clients leave 3 and 5 s, and would hide behind that how long the broker takes.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long a crowd may take.
const STABLE_MAX: Duration = Duration::from_secs(300);

/// Errors that say: join again.
const ILLEGAL_GENERATION: i16 = 22;
const REBALANCE_IN_PROGRESS: i16 = 27;

/// What a member has asked for; it speaks over the connection of its own number.
#[derive(Clone, Copy)]
pub enum Step {
    Join,
    Sync,
    Beat,
    Other,
}

#[derive(Clone, Default)]
struct Member {
    id: String,
    /// Of the generation, or of the member.
    epoch: i32,
    /// What it was given in that epoch; `None` while it has to join or to sync.
    owned: Option<Vec<i32>>,
}

/// The group.
pub struct Crowd {
    protocol: Protocol,
    group: String,
    topic: TopicHandle,
    subscription: Bytes,
    members: Vec<Member>,
    /// Heartbeats that are due.
    beats: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Members of each generation, as its leader was told.
    sizes: BTreeMap<i32, usize>,
}

impl Crowd {
    pub fn new(protocol: Protocol, topic: &TopicHandle, group: String, members: usize) -> Result<Self> {
        let member = |number: usize| Member {
            id: match protocol {
                Protocol::Classic => String::new(),
                Protocol::Consumer => format!("member-{number}-of-{group}"),
            },
            ..Member::default()
        };
        Ok(Self {
            protocol,
            members: (0..members).map(member).collect(),
            subscription: subscription(&topic.name)?,
            topic: topic.clone(),
            group,
            beats: BinaryHeap::new(),
            sizes: BTreeMap::new(),
        })
    }

    /// All members come at once; until the group is stable. How many generations or epochs that took.
    pub fn join(&mut self, lines: &mut Lines<Step>) -> Result<i32> {
        let began = Instant::now();
        for member in 0..self.members.len() {
            match self.protocol {
                Protocol::Classic => lines.send(member, &self.join_request(member), Step::Join)?,
                Protocol::Consumer => lines.send(member, &self.consumer_beat(member), Step::Beat)?,
            }
        }
        loop {
            let due = self.beats.peek().map(|Reverse((due, _))| *due);
            let mut has_changed = false;
            for answer in lines.receive(Wait::Until(due))? {
                has_changed |= match self.protocol {
                    Protocol::Classic => self.on_classic(lines, &answer)?,
                    Protocol::Consumer => self.on_consumer(lines, &answer)?,
                };
            }
            if has_changed && let Some(epoch) = self.stable_epoch() {
                self.check()?;
                return Ok(epoch);
            }
            if began.elapsed() > STABLE_MAX {
                fail!("the group is not stable after {} s", STABLE_MAX.as_secs());
            }
            self.send_heartbeats(lines)?;
        }
    }

    fn send_heartbeats(&mut self, lines: &mut Lines<Step>) -> Result<()> {
        let now = Instant::now();
        while let Some(Reverse((due, member))) = self.beats.peek().copied()
            && due <= now
        {
            self.beats.pop();
            self.send_heartbeat(lines, member)?;
        }
        Ok(())
    }

    fn send_heartbeat(&self, lines: &mut Lines<Step>, member: usize) -> Result<()> {
        match self.protocol {
            Protocol::Classic => {
                let heartbeat = HeartbeatRequest {
                    group_id: self.group.clone(),
                    generation_id: self.members[member].epoch,
                    member_id: self.members[member].id.clone(),
                    ..HeartbeatRequest::default()
                };
                lines.send(member, &heartbeat, Step::Beat)
            }
            Protocol::Consumer => lines.send(member, &self.consumer_beat(member), Step::Beat),
        }
    }

    /// Takes an answer; whether what the member has is new.
    fn on_classic(&mut self, lines: &mut Lines<Step>, answer: &Answer<Step>) -> Result<bool> {
        let member = answer.connection;
        match answer.what {
            Step::Join => {
                let joined = answer.decode::<JoinGroupRequest>()?;
                self.on_joined(lines, member, joined)?;
                Ok(false)
            }
            Step::Sync => {
                let synced = answer.decode::<SyncGroupRequest>()?;
                match synced.error_code {
                    0 => {
                        self.members[member].owned = Some(decode_assignment(&self.topic.name, &synced.assignment)?);
                        self.beats.push(Reverse((Instant::now() + HEARTBEAT, member)));
                        Ok(true)
                    }
                    error => self.join_again(lines, member, error).map(|()| false),
                }
            }
            Step::Beat => {
                match answer.decode::<HeartbeatRequest>()?.error_code {
                    0 => self.beats.push(Reverse((Instant::now() + HEARTBEAT, member))),
                    error => self.join_again(lines, member, error)?,
                }
                Ok(false)
            }
            Step::Other => fail!("an answer came that no member waits for"),
        }
    }

    fn on_joined(&mut self, lines: &mut Lines<Step>, member: usize, joined: JoinGroupResponse) -> Result<()> {
        match joined.error_code {
            MEMBER_ID_REQUIRED if self.members[member].id.is_empty() => {
                self.members[member].id = joined.member_id;
                lines.send(member, &self.join_request(member), Step::Join)
            }
            0 => {
                self.members[member].epoch = joined.generation_id;
                let mut assignments = Vec::new();
                if joined.leader == joined.member_id {
                    let ids: Vec<_> = joined.members.into_iter().map(|member| member.member_id).collect();
                    self.sizes.insert(joined.generation_id, ids.len());
                    for (member_id, partitions) in range(&ids, self.topic.partitions) {
                        assignments.push(SyncGroupRequestAssignment {
                            member_id,
                            assignment: encode_assignment(&self.topic.name, partitions)?,
                        });
                    }
                }
                let sync = SyncGroupRequest {
                    group_id: self.group.clone(),
                    generation_id: joined.generation_id,
                    member_id: self.members[member].id.clone(),
                    protocol_type: Some(PROTOCOL_TYPE.to_owned()),
                    protocol_name: Some(PROTOCOL.to_owned()),
                    assignments,
                    ..SyncGroupRequest::default()
                };
                lines.send(member, &sync, Step::Sync)
            }
            error => fail!("member {member} joins: error {error}"),
        }
    }

    fn join_again(&mut self, lines: &mut Lines<Step>, member: usize, error: i16) -> Result<()> {
        if !matches!(error, REBALANCE_IN_PROGRESS | ILLEGAL_GENERATION) {
            fail!("member {member}: error {error}");
        }
        self.members[member].owned = None;
        lines.send(member, &self.join_request(member), Step::Join)
    }

    fn join_request(&self, member: usize) -> JoinGroupRequest {
        JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            member_id: self.members[member].id.clone(),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: vec![JoinGroupRequestProtocol {
                name: PROTOCOL.to_owned(),
                metadata: self.subscription.clone(),
            }],
            ..JoinGroupRequest::default()
        }
    }

    fn on_consumer(&mut self, lines: &mut Lines<Step>, answer: &Answer<Step>) -> Result<bool> {
        let number = answer.connection;
        let beaten = answer.decode::<ConsumerGroupHeartbeatRequest>()?;
        if beaten.error_code != 0 {
            let why = beaten.error_message.unwrap_or_default();
            fail!("member {number}: error {} {why}", beaten.error_code);
        }
        let member = &mut self.members[number];
        let is_new = member.epoch != beaten.member_epoch || beaten.assignment.is_some();
        member.epoch = beaten.member_epoch;
        if let Some(assignment) = beaten.assignment {
            let given = assignment.topic_partitions.into_iter();
            member.owned = Some(given.flat_map(|topic| topic.partitions).collect());
            // What it was given, or has given up, is acknowledged at once.
            self.send_heartbeat(lines, number)?;
        } else {
            self.beats.push(Reverse((Instant::now() + HEARTBEAT, number)));
        }
        Ok(is_new)
    }

    fn consumer_beat(&self, member: usize) -> ConsumerGroupHeartbeatRequest {
        let member = &self.members[member];
        let is_first = member.epoch == 0;
        let owned = member.owned.clone().unwrap_or_default();
        let owned = TopicPartitions {
            topic_id: self.topic.id,
            partitions: owned,
        };
        ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: member.id.clone(),
            member_epoch: member.epoch,
            rebalance_timeout_ms: if is_first { REBALANCE_TIMEOUT_MS } else { -1 },
            subscribed_topic_names: is_first.then(|| vec![self.topic.name.clone()]),
            topic_partitions: Some(if owned.partitions.is_empty() {
                Vec::new()
            } else {
                vec![owned]
            }),
            ..ConsumerGroupHeartbeatRequest::default()
        }
    }

    /// The epoch in which all members have all partitions, once they do.
    fn stable_epoch(&self) -> Option<i32> {
        let epoch = self.members.first()?.epoch;
        let owned = |member: &Member| (member.epoch == epoch).then(|| member.owned.as_ref().map(Vec::len))?;
        let all = self.members.iter().map(owned).sum::<Option<usize>>()?;
        let is_whole = i32::try_from(all).is_ok_and(|all| all == self.topic.partitions);
        let is_full = match self.protocol {
            Protocol::Classic => self.sizes.get(&epoch) == Some(&self.members.len()),
            Protocol::Consumer => true,
        };
        (epoch > 0 && is_whole && is_full).then_some(epoch)
    }

    /// Fails unless each partition has exactly one owner.
    fn check(&self) -> Result<()> {
        let owned = self.members.iter().map(|member| member.owned.as_deref().unwrap_or(&[]));
        check(self.topic.partitions, owned).context(|| "the stable group".to_owned())
    }

    /// All members leave. Answers that are still to come are of no use any more.
    pub fn leave(&self, lines: &mut Lines<Step>) -> Result<()> {
        while lines.in_flight() > 0 {
            lines.receive(Wait::Until(None))?;
        }
        match self.protocol {
            Protocol::Classic => {
                let members = self.members.iter().map(|member| MemberIdentity {
                    member_id: member.id.clone(),
                    ..MemberIdentity::default()
                });
                let leave = LeaveGroupRequest {
                    group_id: self.group.clone(),
                    members: members.collect(),
                    ..LeaveGroupRequest::default()
                };
                lines.send(0, &leave, Step::Other)?;
            }
            Protocol::Consumer => {
                for (number, member) in self.members.iter().enumerate() {
                    let leave = ConsumerGroupHeartbeatRequest {
                        group_id: self.group.clone(),
                        member_id: member.id.clone(),
                        member_epoch: -1,
                        ..ConsumerGroupHeartbeatRequest::default()
                    };
                    lines.send(number, &leave, Step::Other)?;
                }
            }
        }
        while lines.in_flight() > 0 {
            lines.receive(Wait::Until(None))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_stable_when_all_have_all() {
        let topic = TopicHandle::of_test(3);
        // Epochs and partitions of two members; members of generation 7 as its leader was told; whether that is stable.
        type Has = (i32, Option<&'static [i32]>);
        let cases: &[([Has; 2], usize, bool)] = &[
            ([(7, Some(&[0, 1])), (7, Some(&[2]))], 2, true),
            ([(7, Some(&[0, 1])), (7, None)], 2, false),
            ([(7, Some(&[0, 1])), (6, Some(&[2]))], 2, false),
            ([(7, Some(&[0, 1])), (7, Some(&[]))], 2, false),
            ([(7, Some(&[0, 1])), (7, Some(&[2]))], 1, false),
        ];
        for (members, size, expected) in cases {
            let mut crowd = Crowd::new(Protocol::Classic, &topic, "g".to_owned(), 2).unwrap();
            crowd.sizes.insert(7, *size);
            for (member, (epoch, owned)) in crowd.members.iter_mut().zip(members) {
                member.epoch = *epoch;
                member.owned = owned.map(<[i32]>::to_vec);
            }
            assert_eq!(crowd.stable_epoch().is_some(), *expected, "{members:?} {size}");
        }
    }

    #[test]
    fn a_doubled_owner_fails() {
        let topic = TopicHandle::of_test(2);
        let mut crowd = Crowd::new(Protocol::Consumer, &topic, "g".to_owned(), 2).unwrap();
        for member in &mut crowd.members {
            member.epoch = 1;
            member.owned = Some(vec![1]);
        }
        assert!(crowd.stable_epoch().is_some());
        let error = crowd.check().unwrap_err().to_string();
        assert_eq!(error, "the stable group: partition 1 has two owners, members 0 and 1");
    }
}
