//! Groups with members of both protocols, and from one to the other (KIP-848): a classic group that a consumer of the new protocol joins
//! becomes a consumer group, with its members; one that the last of these leaves becomes a classic group again.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::ids::TopicId;

use super::consumer::{self, ConsumerRecord, Heartbeat as Beat, Outcome, Refused};
use super::consumers::{cancel_timers, rebalance};
use super::types::{
    Answer, GroupError, Heartbeat, Join, JoinRefused, Joined, Leave, LeavingMember, LeftMember, Sync, Synced, Ticket,
};
use super::{Coordinator, Effects, Group, Now, Record, classic};

/// A consumer group becomes a classic one.
pub(super) struct Downgrade {
    pub records: Vec<Record>,
    /// Of the classic group, as its members know it.
    pub generation: i32,
    /// Whether its members have to join it.
    pub rebalances: bool,
}

impl Downgrade {
    fn new(from: &consumer::Group, classic: Record, rebalances: bool) -> Self {
        let mut records: Vec<Record> = from.tombstones().map(Record::Consumer).collect();
        records.push(classic);
        Self {
            records,
            generation: from.epoch(),
            rebalances,
        }
    }
}

impl Coordinator {
    /// The records of the consumer group that a classic group with members becomes. Kafka: `GroupMetadataManager.convertToConsumerGroup`.
    pub(super) fn upgrade(&self, id: &Arc<str>, now: Now) -> Result<Vec<ConsumerRecord>, Refused> {
        let refused = || Refused::OtherProtocol(Arc::clone(id));
        let group = self.classic(id).ok_or_else(refused)?;
        let config = &self.config.consumer;
        if !config.migration.upgrades || group.members().len() > config.members_max {
            return Err(refused());
        }
        group.as_consumers(&*self.catalogue, now).ok_or_else(refused)
    }

    /// How a consumer group becomes a classic one as a member goes; `None` if it stays what it is. Kafka:
    /// `GroupMetadataManager.convertToClassicGroup`.
    pub(super) fn downgrade(&self, group: &consumer::Group, gone: &Arc<str>, now: Now) -> Option<Downgrade> {
        let gone = BTreeSet::from([gone]);
        let stays = group.members().len() > gone.len();
        if !stays || !self.may_be_downgraded(group) || !group.is_classic_without(&gone) {
            return None;
        }
        let classic = classic::Group::of_consumers(group, &gone, None, &*self.catalogue, now.wall);
        Some(Downgrade::new(group, classic, true))
    }

    /// How a consumer group becomes a classic one when a static member of the classic protocol takes the place of the last member of the
    /// other; `None` if it stays what it is. Its members go on as they are when they have what they are to have; otherwise they join.
    /// Kafka: `GroupMetadataManager.validateOnlineDowngradeWithReplacedMember`.
    pub(super) fn downgrade_by_join(
        &self,
        group: &consumer::Group,
        beat: &Beat,
        outcome: &Outcome,
        now: Now,
    ) -> Option<Downgrade> {
        let (Some(instance), Some(member), Some(_)) = (&beat.instance_id, &outcome.member, &beat.classic) else {
            return None;
        };
        let (owner, replaced) = group.of_instance(instance)?;
        let gone = BTreeSet::from([owner]);
        if replaced.classic.is_some() || !self.may_be_downgraded(group) || !group.is_classic_without(&gone) {
            return None;
        }
        let joining = Some((&beat.member_id, member));
        let classic = classic::Group::of_consumers(group, &gone, joining, &*self.catalogue, now.wall);
        let is_at_rest = group.is_at_rest_without(&gone) && !outcome.bumps();
        Some(Downgrade::new(group, classic, !is_at_rest))
    }

    fn may_be_downgraded(&self, group: &consumer::Group) -> bool {
        self.config.consumer.migration.downgrades && group.members().len() <= self.config.members_max
    }

    /// Kafka: `GroupMetadataManager.classicGroupJoinToConsumerGroup`.
    pub(super) fn join_consumers(&mut self, ticket: Ticket, join: &Join, now: Now) -> Effects {
        let member_id = match join.member_id.is_empty() {
            true => TopicId(join.fresh_id).to_string().into(),
            false => Arc::clone(&join.member_id),
        };
        let mut effects = Effects::default();
        let result = self.join_as_consumer(join, Arc::clone(&member_id), now, &mut effects);
        let result = result.map_err(|error| JoinRefused {
            error,
            member_id: match error == GroupError::MemberIdRequired {
                true => member_id,
                false => Arc::clone(&join.member_id),
            },
        });
        if result.is_err() {
            effects.records.clear();
        }
        effects.give(ticket, Answer::Join(result));
        effects
    }

    fn join_as_consumer(
        &mut self,
        join: &Join,
        member_id: Arc<str>,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Joined, GroupError> {
        let group = self.consumer(&join.group).ok_or(GroupError::UnknownMember)?;
        let is_new = group.member(&member_id).is_none();
        if is_new && group.members().len() >= self.config.consumer.members_max {
            return Err(GroupError::GroupFull);
        }
        if !group.supports(join) {
            return Err(GroupError::InconsistentProtocol);
        }
        if join.takes_member_id && join.member_id.is_empty() && join.instance_id.is_none() {
            return Err(GroupError::MemberIdRequired);
        }
        let beat: Option<Beat> = consumer::as_heartbeat(join, Arc::clone(&member_id), &*self.catalogue);
        let beat = beat.ok_or(GroupError::InconsistentProtocol)?;
        let beaten = self.beat(&beat, now, effects).map_err(|refused| match refused {
            Refused::Coordinator(error) => error,
            Refused::FencedInstance { .. } => GroupError::FencedInstance,
            Refused::Full(_) => GroupError::GroupFull,
            Refused::UnknownMember(..)
            | Refused::UnknownInstance(_)
            | Refused::Invalid(_)
            | Refused::UnsupportedAssignor(..)
            | Refused::GroupNotFound(_)
            | Refused::LeftGroupNotFound(_)
            | Refused::OtherProtocol(_)
            | Refused::UnreleasedInstance { .. }
            | Refused::FencedEpoch { .. }
            | Refused::InvalidRegex(..) => GroupError::UnknownMember,
        })?;
        let is_downgraded = effects
            .records
            .iter()
            .any(|record| matches!(record, Record::ClassicGroup { .. }));
        if !is_downgraded {
            // It has to ask for its assignment.
            self.expect_of(&join.group, &member_id, join.rebalance_timeout_ms, now);
        }
        Ok(Joined {
            member_id,
            generation: beaten.member_epoch,
            protocol_type: Some("consumer".into()),
            protocol: join.protocols.first().map(|protocol| Arc::clone(&protocol.name)),
            leader: None,
            members: Vec::new(),
            skip_assignment: false,
        })
    }

    /// Kafka: `GroupMetadataManager.classicGroupSyncToConsumerGroup`.
    pub(super) fn sync_consumer(&mut self, sync: &Sync, now: Now) -> Result<Synced, GroupError> {
        let group = self.consumer(&sync.group).ok_or(GroupError::UnknownMember)?;
        let synced = group.sync(sync, &*self.catalogue)?;
        self.hear_of_classic(&sync.group, &sync.member_id, now);
        self.timers.cancel(&rebalance(&sync.group, &sync.member_id));
        Ok(synced)
    }

    /// Kafka: `GroupMetadataManager.classicGroupHeartbeatToConsumerGroup`.
    pub(super) fn heartbeat_of_consumer(&mut self, heartbeat: &Heartbeat, now: Now) -> Result<(), GroupError> {
        let Heartbeat {
            group: id,
            member_id,
            instance_id,
            generation,
        } = heartbeat;
        let group = self.consumer(id).ok_or(GroupError::UnknownMember)?;
        let has_to_join = group.has_to_join_again(member_id, instance_id.as_ref(), *generation)?;
        let timeout_ms = group.member(member_id).map_or(0, |member| member.rebalance_timeout_ms);
        self.hear_of_classic(id, member_id, now);
        if !has_to_join {
            return Ok(());
        }
        if self.timers.due(&rebalance(id, member_id)).is_none() {
            self.expect_of(id, member_id, timeout_ms, now);
        }
        Err(GroupError::RebalanceInProgress)
    }

    fn hear_of_classic(&mut self, id: &Arc<str>, member: &Arc<str>, now: Now) {
        let known = self.consumer(id).and_then(|group| group.member(member));
        if let Some(timeout) = known.map(|known| self.session_timeout(id, known)) {
            self.hear_of_for(id, member, timeout, now);
        }
    }

    /// Kafka: `GroupMetadataManager.classicGroupLeaveToConsumerGroup`.
    pub(super) fn leave_consumers(&mut self, ticket: Ticket, leave: Leave) -> Effects {
        let mut effects = Effects::default();
        let Some(Group::Consumer { group, .. }) = self.groups.get(&leave.group) else {
            return Effects::answer(ticket, Answer::Leave(Err(GroupError::UnknownMember)));
        };
        let mut gone: BTreeSet<Arc<str>> = BTreeSet::new();
        let leave_one = |member: LeavingMember| {
            let found = group.leaving(&member);
            let result = found.and_then(|id| gone.insert(id).then_some(()).ok_or(GroupError::UnknownMember));
            LeftMember { member, result }
        };
        let left = leave.members.into_iter().map(leave_one).collect();
        if !gone.is_empty() {
            let ids: Vec<&Arc<str>> = gone.iter().collect();
            let fenced = group.fence(&ids, &*self.catalogue);
            effects.records.extend(fenced.into_iter().map(Record::Consumer));
        }
        for id in &gone {
            cancel_timers(&leave.group, id, &mut self.timers);
        }
        effects.give(ticket, Answer::Leave(Ok(left)));
        effects
    }
}
