//! Groups of the consumer protocol in their coordinator: their requests, their records, their deadlines.

use std::sync::Arc;
use std::time::Duration;

use super::consumer::{
    self, Beaten, Catalogue, ConsumerRecord, Heartbeat, MemberState, Outcome, Refused, Surroundings, What,
};
use super::timers::{TimerKey, Timers};
use super::types::{Answer, DescribeRefused, GroupError, Ticket};
use super::{Coordinator, Effects, Group, Now, Record};

impl Coordinator {
    /// Takes the topics as they are now.
    pub fn on_topics(&mut self, catalogue: Box<dyn Catalogue>) {
        self.catalogue = catalogue;
        self.topics_version += 1;
        self.chores.look_at_regexes();
    }

    /// The consumer group of this id.
    #[must_use]
    pub fn consumer(&self, id: &str) -> Option<&consumer::Group> {
        self.groups.get(id)?.as_consumer()
    }

    /// Kafka: `GroupMetadataManager.consumerGroupHeartbeat`.
    pub(super) fn consumer_heartbeat(&mut self, ticket: Ticket, beat: &Heartbeat, now: Now) -> Effects {
        let mut effects = Effects::default();
        let result = self.beat(beat, now, &mut effects.records);
        if result.is_err() {
            effects.records.clear();
        }
        effects.give(ticket, Answer::ConsumerHeartbeat(result));
        effects
    }

    fn beat(&mut self, beat: &Heartbeat, now: Now, records: &mut Vec<Record>) -> Result<Beaten, Refused> {
        beat.check(&self.config.consumer)?;
        let fresh;
        let (group, seen) = match self.groups.get(&beat.group) {
            Some(Group::Consumer { group, seen }) => (group, *seen),
            other => {
                if let Some(other) = other {
                    if !beat.is_joining() || other.may_be_deleted().is_err() {
                        return Err(Refused::OtherProtocol(Arc::clone(&beat.group)));
                    }
                    other.entomb(records);
                } else if !beat.is_joining() {
                    return Err(missing(beat));
                }
                fresh = consumer::Group::new(Arc::clone(&beat.group));
                (&fresh, None)
            }
        };
        let around = Surroundings {
            catalogue: &*self.catalogue,
            has_news: seen != Some(self.topics_version),
            config: &self.config.consumer,
            now: now.wall,
        };
        if let Some(beaten) = group.idle(beat, &around) {
            self.hear_of(&beat.group, &beat.member_id, now);
            return Ok(beaten);
        }
        let state_before = state_of(group, &beat.member_id);
        let outcome = group.heartbeat(beat, &around)?;
        records.extend(outcome.records.iter().cloned().map(Record::Consumer));
        self.watch_over(beat, &outcome, state_before, now);
        Ok(outcome.beaten)
    }

    /// Sets the deadlines of a member, and what is left to do for its group, after a heartbeat.
    fn watch_over(&mut self, beat: &Heartbeat, outcome: &Outcome, before: Option<MemberState>, now: Now) {
        let id = &beat.group;
        if let Some(Group::Consumer { seen, .. }) = self.groups.get_mut(id)
            && !beat.is_leaving()
        {
            *seen = Some(self.topics_version);
        }
        if outcome.is_unassigned {
            self.chores.assign(id);
        }
        if outcome.is_unresolved {
            self.chores.resolve(id);
        }
        if let Some(replaced) = &outcome.replaced {
            cancel_timers(id, replaced, &mut self.timers);
        }
        let Some(member) = &outcome.member else {
            cancel_timers(id, &beat.member_id, &mut self.timers);
            return;
        };
        let rebalance = TimerKey::Rebalance {
            group: Arc::clone(id),
            member: Arc::clone(&beat.member_id),
        };
        if beat.is_leaving() {
            self.timers.cancel(&rebalance);
            return;
        }
        self.hear_of(id, &beat.member_id, now);
        let has_to_give_up = member.current.state == MemberState::UnrevokedPartitions;
        if !has_to_give_up {
            self.timers.cancel(&rebalance);
        } else if before != Some(MemberState::UnrevokedPartitions) || self.timers.due(&rebalance).is_none() {
            let timeout = u64::try_from(member.rebalance_timeout_ms).unwrap_or(0);
            let due = now.monotonic.plus(Duration::from_millis(timeout));
            self.timers.schedule(rebalance, due);
        }
    }

    /// A member is alive.
    fn hear_of(&mut self, group: &Arc<str>, member: &Arc<str>, now: Now) {
        let due = now.monotonic.plus(self.config.consumer.session_timeout);
        self.timers.schedule(session(group, member), due);
    }

    /// Applies one record of a consumer group. Kafka: `GroupMetadataManager.getOrMaybeCreatePersistedConsumerGroup`.
    pub(super) fn replay_consumer(&mut self, record: &ConsumerRecord) {
        let ConsumerRecord { group: id, what } = record;
        let is_consumer = matches!(self.groups.get(id), Some(Group::Consumer { .. }));
        if !is_consumer {
            if what.is_tombstone() {
                // What is left of a group that is gone.
                return;
            }
            let fresh = Group::consumer(Arc::clone(id));
            if let Some(before) = self.groups.insert(Arc::clone(id), fresh) {
                before.cancel_timers(&mut self.timers);
            }
        }
        if let What::Group(None) = what {
            if let Some(ended) = self.groups.remove(id) {
                ended.cancel_timers(&mut self.timers);
            }
            return;
        }
        let Some(Group::Consumer { group, seen }) = self.groups.get_mut(id) else {
            return;
        };
        group.replay(what);
        match what {
            // The topics of the group are others now.
            What::Regex(..) => *seen = None,
            What::Group(_)
            | What::Partitions
            | What::Member(..)
            | What::TargetEpoch(_)
            | What::Target(..)
            | What::Current(..) => {}
        }
    }

    /// Members of a group that was loaded have their full time to be heard of.
    pub(super) fn watch_over_loaded(&mut self, now: Now) {
        let session_due = now.monotonic.plus(self.config.consumer.session_timeout);
        for (id, group) in &self.groups {
            let members = group.as_consumer().into_iter().flat_map(consumer::Group::members);
            for (member_id, member) in members {
                self.timers.schedule(session(id, member_id), session_due);
                if member.current.state == MemberState::UnrevokedPartitions {
                    let timeout = u64::try_from(member.rebalance_timeout_ms).unwrap_or(0);
                    let key = TimerKey::Rebalance {
                        group: Arc::clone(id),
                        member: Arc::clone(member_id),
                    };
                    let due = now.monotonic.plus(Duration::from_millis(timeout));
                    self.timers.schedule(key, due);
                }
            }
        }
        self.chores.look_at_regexes();
    }

    /// A member has not been heard of, or has not given up what it had to: it loses its place.
    pub(super) fn on_consumer_timer(&mut self, key: &TimerKey, records: &mut Vec<Record>) {
        let Some(group) = self.consumer(key.group()) else {
            return;
        };
        let (member, is_over) = match key {
            TimerKey::Session { member, .. } => (member, true),
            TimerKey::Rebalance { member, .. } => {
                let state = state_of(group, member);
                (member, state == Some(MemberState::UnrevokedPartitions))
            }
            TimerKey::Join { .. } | TimerKey::Sync { .. } => return,
        };
        if is_over && group.member(member).is_some() {
            let fenced = group.fence(&[member], &*self.catalogue);
            records.extend(fenced.into_iter().map(Record::Consumer));
            cancel_timers(key.group(), member, &mut self.timers);
        }
    }

    /// What a record says has not come to be. A member that was to lose its place is looked at again later.
    pub(super) fn on_consumer_append_failed(&mut self, record: &ConsumerRecord, now: Now) {
        if let Some(Group::Consumer { seen, .. }) = self.groups.get_mut(&record.group) {
            *seen = None;
        }
        if let What::Member(member, None) = &record.what {
            self.hear_of(&record.group, member, now);
        }
    }

    /// Kafka: `GroupMetadataManager.consumerGroupDescribe`.
    pub(super) fn describe_consumers(&self, ticket: Ticket, ids: &[Arc<str>]) -> Effects {
        let describe = |id: &Arc<str>| match self.groups.get(id) {
            None => Err(DescribeRefused::NotFound),
            Some(Group::Classic(_)) => Err(DescribeRefused::OtherProtocol),
            Some(Group::Consumer { group, .. }) => Ok(group.describe(&self.config.consumer)),
        };
        let described = ids.iter().map(describe).collect();
        Effects::answer(ticket, Answer::DescribeConsumers(Ok(described)))
    }

    /// Whether a group has consumers of the new protocol, which those of the classic one cannot join.
    pub(super) fn has_consumers(&self, id: &str) -> bool {
        self.consumer(id).is_some_and(|group| group.may_be_deleted().is_err())
    }
}

/// Why a member of a group that does not exist is refused.
fn missing(beat: &Heartbeat) -> Refused {
    let group = Arc::clone(&beat.group);
    match beat.is_leaving() {
        true => Refused::LeftGroupNotFound(group),
        false => Refused::GroupNotFound(group),
    }
}

fn state_of(group: &consumer::Group, member: &str) -> Option<MemberState> {
    group.member(member).map(|member| member.current.state)
}

fn session(group: &Arc<str>, member: &Arc<str>) -> TimerKey {
    TimerKey::Session {
        group: Arc::clone(group),
        member: Arc::clone(member),
    }
}

pub(super) fn cancel_timers(group: &Arc<str>, member: &Arc<str>, timers: &mut Timers) {
    timers.cancel(&session(group, member));
    timers.cancel(&TimerKey::Rebalance {
        group: Arc::clone(group),
        member: Arc::clone(member),
    });
}

impl From<GroupError> for Refused {
    fn from(error: GroupError) -> Self {
        Self::Coordinator(error)
    }
}
