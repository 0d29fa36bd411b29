//! Groups of the consumer protocol in their coordinator: their requests, their records, their deadlines.

use std::sync::Arc;
use std::time::Duration;

use super::consumer::{
    self, Beaten, Catalogue, ConsumerRecord, Heartbeat, Member, MemberState, Outcome, Refused, Surroundings, Tuning,
    What,
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

    /// Gives all groups without an interval of their own another one, and says whether it is another. Groups with settings of their own are
    /// to be [tuned](Self::tune) again.
    pub fn set_assignment_interval(&mut self, interval: Duration) -> bool {
        let before = std::mem::replace(&mut self.config.consumer.assignment_interval, interval);
        before != interval
    }

    /// Gives a group settings of its own, or takes them back. Members have the new times from their next heartbeat on.
    pub fn tune(&mut self, group: Arc<str>, tuning: Tuning) {
        if tuning == Tuning::default() {
            self.tuned.remove(&group);
            return;
        }
        let common = &self.config.consumer;
        let tuned = consumer::Config {
            session_timeout: tuning.session_timeout.unwrap_or(common.session_timeout),
            assignment_interval: tuning.assignment_interval.unwrap_or(common.assignment_interval),
            ..common.clone()
        };
        self.tuned.insert(group, tuned);
    }

    /// The settings of a group.
    pub(super) fn consumer_config(&self, group: &str) -> &consumer::Config {
        self.tuned.get(group).unwrap_or(&self.config.consumer)
    }

    /// The consumer group of this id.
    #[must_use]
    pub fn consumer(&self, id: &str) -> Option<&consumer::Group> {
        self.groups.get(id)?.as_consumer()
    }

    /// Kafka: `GroupMetadataManager.consumerGroupHeartbeat`.
    pub(super) fn consumer_heartbeat(&mut self, ticket: Ticket, beat: &Heartbeat, now: Now) -> Effects {
        let mut effects = Effects::default();
        let checked = beat.check(&self.config.consumer.assignors);
        let result = checked.and_then(|()| self.beat(beat, now, &mut effects));
        if result.is_err() {
            effects.records.clear();
        }
        effects.give(ticket, Answer::ConsumerHeartbeat(result));
        effects
    }

    /// A member says what it has and wants, by either protocol.
    pub(super) fn beat(&mut self, beat: &Heartbeat, now: Now, effects: &mut Effects) -> Result<Beaten, Refused> {
        let fresh;
        let records = &mut effects.records;
        let mut upgrades = false;
        let (group, seen) = match self.groups.get(&beat.group) {
            Some(Group::Consumer { group, seen }) => (group, *seen),
            other => {
                let mut begun = consumer::Group::new(Arc::clone(&beat.group));
                if let Some(other) = other {
                    if !beat.is_joining() {
                        return Err(Refused::OtherProtocol(Arc::clone(&beat.group)));
                    }
                    other.entomb(records);
                    upgrades = other.may_be_deleted().is_err();
                    if upgrades {
                        let founding = self.upgrade(&beat.group, now)?;
                        founding.iter().for_each(|record| begun.replay(&record.what));
                        records.extend(founding.into_iter().map(Record::Consumer));
                    }
                } else if !beat.is_joining() {
                    return Err(missing(beat));
                }
                fresh = begun;
                (&fresh, None)
            }
        };
        let around = Surroundings {
            catalogue: &*self.catalogue,
            has_news: seen != Some(self.topics_version),
            config: self.consumer_config(&beat.group),
            now: now.wall,
        };
        if let Some(beaten) = group.idle(beat, &around) {
            self.hear_of(&beat.group, &beat.member_id, now);
            return Ok(beaten);
        }
        let state_before = state_of(group, &beat.member_id);
        let mut outcome = group.heartbeat(beat, &around)?;
        let downgrade = match outcome.member {
            None => self.downgrade(group, &beat.member_id, now),
            Some(_) => self.downgrade_by_join(group, beat, &outcome, now),
        };
        match downgrade {
            Some(downgrade) => {
                if beat.is_joining() {
                    outcome.beaten.member_epoch = downgrade.generation;
                }
                records.extend(downgrade.records);
                if downgrade.rebalances {
                    self.chores.rebalance(&beat.group);
                }
            }
            None => records.extend(outcome.records.iter().cloned().map(Record::Consumer)),
        }
        if upgrades && let Some(Group::Classic(classic)) = self.groups.get_mut(&beat.group) {
            // They join the group that it has become.
            classic.refuse_waiting(GroupError::RebalanceInProgress, effects);
        }
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
        let rebalance = rebalance(id, &beat.member_id);
        if beat.is_leaving() {
            self.timers.cancel(&rebalance);
            return;
        }
        self.hear_of_for(id, &beat.member_id, self.session_timeout(id, member), now);
        let has_to_give_up = member.current.state == MemberState::UnrevokedPartitions;
        if !has_to_give_up {
            self.timers.cancel(&rebalance);
        } else if before != Some(MemberState::UnrevokedPartitions) || self.timers.due(&rebalance).is_none() {
            self.expect_of(id, &beat.member_id, member.rebalance_timeout_ms, now);
        }
    }

    /// A member has to do something within its rebalance timeout.
    pub(super) fn expect_of(&mut self, group: &Arc<str>, member: &Arc<str>, timeout_ms: i32, now: Now) {
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        self.timers
            .schedule(rebalance(group, member), now.monotonic.plus(timeout));
    }

    /// After which silence a member loses its place.
    pub(super) fn session_timeout(&self, group: &str, member: &Member) -> Duration {
        match &member.classic {
            Some(classic) => Duration::from_millis(u64::try_from(classic.session_timeout_ms).unwrap_or(0)),
            None => self.consumer_config(group).session_timeout,
        }
    }

    pub(super) fn hear_of_for(&mut self, group: &Arc<str>, member: &Arc<str>, timeout: Duration, now: Now) {
        self.timers
            .schedule(session(group, member), now.monotonic.plus(timeout));
    }

    /// A member is alive.
    fn hear_of(&mut self, group: &Arc<str>, member: &Arc<str>, now: Now) {
        let timeout = self.consumer_config(group).session_timeout;
        self.hear_of_for(group, member, timeout, now);
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
    pub(super) fn watch_over_loaded(&mut self, id: &Arc<str>, now: Now) {
        let group = self.groups.get(id).and_then(Group::as_consumer);
        for (member_id, member) in group.into_iter().flat_map(consumer::Group::members) {
            let due = now.monotonic.plus(self.session_timeout(id, member));
            self.timers.schedule(session(id, member_id), due);
            if member.current.state == MemberState::UnrevokedPartitions {
                let timeout = u64::try_from(member.rebalance_timeout_ms).unwrap_or(0);
                let due = now.monotonic.plus(Duration::from_millis(timeout));
                self.timers.schedule(rebalance(id, member_id), due);
            }
        }
    }

    /// A member has not been heard of, or has not given up what it had to: it loses its place.
    pub(super) fn on_consumer_timer(&mut self, key: &TimerKey, now: Now, records: &mut Vec<Record>) {
        let Some(group) = self.consumer(key.group()) else {
            return;
        };
        let member = match key {
            TimerKey::Session { member, .. } | TimerKey::Rebalance { member, .. } => member,
            TimerKey::Join { .. } | TimerKey::Sync { .. } => return,
        };
        if group.member(member).is_none() {
            return;
        }
        match self.downgrade(group, member, now) {
            Some(downgrade) => {
                records.extend(downgrade.records);
                self.chores.rebalance(key.group());
            }
            None => {
                let fenced = group.fence(&[member], &*self.catalogue);
                records.extend(fenced.into_iter().map(Record::Consumer));
            }
        }
        cancel_timers(key.group(), member, &mut self.timers);
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

pub(super) fn rebalance(group: &Arc<str>, member: &Arc<str>) -> TimerKey {
    TimerKey::Rebalance {
        group: Arc::clone(group),
        member: Arc::clone(member),
    }
}

pub(super) fn cancel_timers(group: &Arc<str>, member: &Arc<str>, timers: &mut Timers) {
    timers.cancel(&session(group, member));
    timers.cancel(&rebalance(group, member));
}

impl From<GroupError> for Refused {
    fn from(error: GroupError) -> Self {
        Self::Coordinator(error)
    }
}
