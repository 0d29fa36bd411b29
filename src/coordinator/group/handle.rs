//! Requests to the groups of one coordinator: which group is meant, and what may be asked of it.

use std::sync::Arc;

use duramen_wire::messages::offset_commit_value::OffsetCommitValue;

use super::classic::{self, Turn};
use super::types::{
    Answer, CommitOffsets, DeleteOffsets, DescribeRefused, Described, GroupError, Heartbeat, Join, JoinRefused, Leave,
    LeavingMember, LeftMember, Request, Sync, Ticket,
};
use super::{Coordinator, Effects, Group, Now, Record};

impl Coordinator {
    /// Takes a request. Its answer comes with these effects, or with later ones.
    pub fn handle(&mut self, ticket: Ticket, request: Request, now: Now) -> Effects {
        match request {
            Request::Join(join) => self.join(ticket, join, now),
            Request::Sync(sync) => self.sync(ticket, sync, now),
            Request::Heartbeat(heartbeat) => {
                let result = self.heartbeat(&heartbeat, now);
                Effects::answer(ticket, Answer::Heartbeat(result))
            }
            Request::Leave(leave) => self.leave(ticket, leave, now),
            Request::CommitOffsets(commit) => self.commit_offsets(ticket, &commit, now),
            Request::FetchOffsets(fetch) => self.fetch_offsets(ticket, fetch),
            Request::DeleteOffsets(delete) => self.delete_offsets(ticket, &delete),
            Request::Describe(ids) => {
                let described = ids.iter().map(|id| self.describe(id)).collect();
                Effects::answer(ticket, Answer::Describe(Ok(described)))
            }
            Request::List => self.list(ticket),
            Request::Delete(ids) => self.delete(ticket, &ids),
            Request::ConsumerHeartbeat(beat) => self.consumer_heartbeat(ticket, &beat, now),
            Request::DescribeConsumers(ids) => self.describe_consumers(ticket, &ids),
        }
    }

    /// A group with the means to change it.
    pub(super) fn classic_mut<'a>(
        &'a mut self,
        id: &str,
        now: Now,
        effects: &'a mut Effects,
    ) -> Option<(&'a mut classic::Group, Turn<'a>)> {
        let Group::Classic(group) = self.groups.get_mut(id)? else {
            return None;
        };
        let turn = Turn {
            config: &self.config,
            now,
            timers: &mut self.timers,
            chores: &mut self.chores,
            effects,
        };
        Some((group, turn))
    }

    /// Kafka: `GroupCoordinatorService.joinGroup`, `GroupMetadataManager.classicGroupJoinToClassicGroup`.
    fn join(&mut self, ticket: Ticket, join: Join, now: Now) -> Effects {
        let refuse = |error| {
            let member_id = Arc::clone(&join.member_id);
            Effects::answer(ticket, Answer::Join(Err(JoinRefused { error, member_id })))
        };
        if join.group.is_empty() {
            return refuse(GroupError::InvalidGroupId);
        }
        let allowed = self.config.session_timeout_min_ms..=self.config.session_timeout_max_ms;
        if !allowed.contains(&join.session_timeout_ms) {
            return refuse(GroupError::InvalidSessionTimeout);
        }
        if self.has_consumers(&join.group) {
            return self.join_consumers(ticket, &join, now);
        }
        let mut effects = Effects::default();
        let is_new = self.classic(&join.group).is_none();
        if is_new {
            if !join.member_id.is_empty() {
                return refuse(GroupError::UnknownMember);
            }
            // A group of the other protocol, whose members have gone.
            if let Some(empty) = self.groups.get(&join.group) {
                empty.entomb(&mut effects.records);
            }
            let group = classic::Group::new(Arc::clone(&join.group));
            self.groups.insert(Arc::clone(&join.group), Group::Classic(group));
        }
        let id = Arc::clone(&join.group);
        let before = effects.records.len();
        if let Some((group, mut turn)) = self.classic_mut(&id, now, &mut effects) {
            group.join(ticket, join, &mut turn);
            if is_new && turn.effects.records.len() == before {
                turn.effects.records.push(group.first_record(now.wall));
            }
        }
        effects
    }

    fn sync(&mut self, ticket: Ticket, sync: Sync, now: Now) -> Effects {
        if sync.group.is_empty() {
            return Effects::answer(ticket, Answer::Sync(Err(GroupError::InvalidGroupId)));
        }
        if self.has_consumers(&sync.group) {
            return Effects::answer(ticket, Answer::Sync(self.sync_consumer(&sync, now)));
        }
        let mut effects = Effects::default();
        match self.classic_mut(&Arc::clone(&sync.group), now, &mut effects) {
            Some((group, mut turn)) => group.sync(ticket, sync, &mut turn),
            None => effects.give(ticket, Answer::Sync(Err(GroupError::UnknownMember))),
        }
        effects
    }

    fn heartbeat(&mut self, heartbeat: &Heartbeat, now: Now) -> Result<(), GroupError> {
        if heartbeat.group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        if self.has_consumers(&heartbeat.group) {
            return self.heartbeat_of_consumer(heartbeat, now);
        }
        let mut effects = Effects::default();
        let found = self.classic_mut(&heartbeat.group, now, &mut effects);
        let (group, mut turn) = found.ok_or(GroupError::UnknownMember)?;
        group.heartbeat(heartbeat, &mut turn)
    }

    fn leave(&mut self, ticket: Ticket, leave: Leave, now: Now) -> Effects {
        if leave.group.is_empty() {
            return Effects::answer(ticket, Answer::Leave(Err(GroupError::InvalidGroupId)));
        }
        if self.has_consumers(&leave.group) {
            return self.leave_consumers(ticket, leave);
        }
        let mut effects = Effects::default();
        match self.classic_mut(&leave.group, now, &mut effects) {
            Some((group, mut turn)) => group.leave(ticket, leave.members, &mut turn),
            None => {
                let unknown = |member: LeavingMember| LeftMember {
                    member,
                    result: Err(GroupError::UnknownMember),
                };
                let left = leave.members.into_iter().map(unknown).collect();
                effects.give(ticket, Answer::Leave(Ok(left)));
            }
        }
        effects
    }

    /// Kafka: `OffsetMetadataManager.commitOffset`.
    fn commit_offsets(&mut self, ticket: Ticket, commit: &CommitOffsets, now: Now) -> Effects {
        let mut effects = Effects::default();
        let of_consumers = self.consumer(&commit.group).map(|group| group.may_commit(commit));
        let allowed = match self.classic_mut(&commit.group, now, &mut effects) {
            Some((group, mut turn)) => group.may_commit(commit, &mut turn),
            None if let Some(allowed) = of_consumers => allowed,
            None if commit.generation < 0 => Ok(()),
            None => Err(commit.unknown_group),
        };
        if let Err(error) = allowed {
            effects.give(ticket, Answer::CommitOffsets(Err(error)));
            return effects;
        }
        let expire_timestamp = match commit.retention_ms {
            Some(retention_ms) => now.wall.0.saturating_add(retention_ms),
            None => -1,
        };
        let mut too_long = Vec::new();
        for offset in &commit.offsets {
            let metadata = offset.metadata.clone().unwrap_or_default();
            if metadata.encode_utf16().count() > self.config.metadata_units_max {
                too_long.push(offset.tag);
                continue;
            }
            effects.records.push(Record::Offset {
                group: Arc::clone(&commit.group),
                topic: Arc::clone(&offset.topic),
                partition: offset.partition,
                value: Some(OffsetCommitValue {
                    offset: offset.offset.0,
                    leader_epoch: offset.leader_epoch.0,
                    metadata,
                    commit_timestamp: now.wall.0,
                    expire_timestamp,
                    topic_id: offset.topic_id.0,
                }),
            });
        }
        effects.give(ticket, Answer::CommitOffsets(Ok(too_long)));
        effects
    }

    /// Kafka: `OffsetMetadataManager.deleteOffsets`.
    fn delete_offsets(&self, ticket: Ticket, delete: &DeleteOffsets) -> Effects {
        let refuse = |error| Effects::answer(ticket, Answer::DeleteOffsets(Err(error)));
        let Some(group) = self.groups.get(&delete.group) else {
            return refuse(GroupError::GroupNotFound);
        };
        if let Err(error) = group.may_delete_offsets() {
            return refuse(error);
        }
        let mut effects = Effects::default();
        let mut kept = Vec::new();
        for offset in &delete.offsets {
            if group.is_subscribed_to(&offset.topic) {
                kept.push(offset.tag);
            } else if self
                .offsets
                .get(&delete.group, &offset.topic, offset.partition)
                .is_some()
            {
                effects.records.push(Record::Offset {
                    group: Arc::clone(&delete.group),
                    topic: Arc::clone(&offset.topic),
                    partition: offset.partition,
                    value: None,
                });
            }
        }
        effects.give(ticket, Answer::DeleteOffsets(Ok(kept)));
        effects
    }

    fn describe(&self, id: &str) -> Result<Described, DescribeRefused> {
        match self.groups.get(id) {
            None => Err(DescribeRefused::NotFound),
            Some(Group::Classic(group)) => Ok(group.describe()),
            Some(Group::Consumer { .. }) => Err(DescribeRefused::OtherProtocol),
        }
    }
}
