//! What follows for the group when a member has changed: its epoch, the topics of regular expressions, the targets of all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_wire::messages::consumer_group_metadata_value::ConsumerGroupMetadataValue;
use duramen_wire::messages::consumer_group_target_assignment_metadata_value::ConsumerGroupTargetAssignmentMetadataValue;

use crate::base::ids::TopicId;
use crate::base::time::TimestampMs;

use super::assign::{Dealt, Topic};
use super::catalogue::fingerprint;
use super::gather::Gathering;
use super::heartbeat::{Heartbeat, Refused, Surroundings};
use super::member::{current_to_value, target_to_value};
use super::record::{ConsumerRecord, What};
use super::regex::{Resolving, resolved_to};
use super::{Assignment, Catalogue, Config, Current, Group, Member, Reconcile};

/// A group as it will be after the records of one heartbeat.
pub(super) struct Turn<'a> {
    group: &'a Group,
    around: Surroundings<'a>,
    id: &'a Arc<str>,
    replaced: Option<&'a Arc<str>>,
    pub member: Member,
    /// The topics of the member's regular expression are not known yet.
    pub is_unresolved: bool,
    resolved: Option<(Arc<str>, BTreeSet<Arc<str>>)>,
    epoch: i32,
    pub target_epoch: i32,
    /// The target of the member.
    pub target: Assignment,
    records: Vec<ConsumerRecord>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        group: &'a Group,
        around: &Surroundings<'a>,
        id: &'a Arc<str>,
        member: Member,
        replaced: Option<&'a Arc<str>>,
    ) -> Self {
        let target = group.target(replaced.unwrap_or(id)).cloned().unwrap_or_default();
        Self {
            group,
            around: *around,
            id,
            replaced,
            member,
            is_unresolved: false,
            resolved: None,
            epoch: group.epoch,
            target_epoch: group.target_epoch,
            target,
            records: Vec::new(),
        }
    }

    pub(super) fn keep(&mut self, what: What) {
        self.records.push(self.group.record(what));
    }

    pub(super) fn finish(self) -> (Vec<ConsumerRecord>, Member) {
        (self.records, self.member)
    }

    pub(super) fn keep_subscription(&mut self) {
        let value = self.member.subscription_value();
        self.keep(What::Member(Arc::clone(self.id), Some(value)));
    }

    /// The member takes the place of another, with all that it has and is to have.
    pub(super) fn replace(&mut self, replaced: &Arc<str>) {
        self.records.extend(self.group.removal(replaced));
        self.keep_subscription();
        let target = target_to_value(&self.target);
        self.keep(What::Target(Arc::clone(self.id), Some(target)));
        let current = current_to_value(&self.member.current);
        self.keep(What::Current(Arc::clone(self.id), Some(current)));
    }

    /// Whether a partition that the books have as owned is the member's own, under the id that it had.
    fn frees(&self, topic: TopicId, partition: i32) -> bool {
        self.replaced.is_some() && self.member.current.assigned.contains(topic, partition)
    }

    /// Finds the topics of a regular expression that nobody else has.
    pub(super) fn resolve_regex(&mut self) -> Result<(), Refused> {
        self.forget_regex();
        let Some(regex) = self.member.subscribed_regex.clone() else {
            return Ok(());
        };
        if self.group.resolved.contains_key(&regex) {
            return Ok(());
        }
        let mut resolving = Resolving::begin(Arc::clone(&regex))?;
        if !resolving.is_compiled() || self.around.catalogue.count() > self.around.config.resolved_at_once_max {
            self.is_unresolved = true;
            return Ok(());
        }
        resolving.advance(self.around.catalogue, usize::MAX);
        let names = resolving.finish();
        self.keep(resolved_to(&regex, &names, self.around.now));
        self.resolved = Some((regex, names));
        Ok(())
    }

    /// The regular expression that the member had, if nobody else has it.
    fn forget_regex(&mut self) {
        let Some(before) = self.before() else { return };
        let Some(regex) = before.subscribed_regex.as_ref() else {
            return;
        };
        if !self.group.uses(regex, &[before]) && self.member.subscribed_regex.as_ref() != Some(regex) {
            self.keep(What::Regex(Arc::clone(regex), None));
        }
    }

    /// The member as it is in the books.
    fn before(&self) -> Option<&'a Member> {
        self.group.member(self.replaced.unwrap_or(self.id))
    }

    /// The members as they will be.
    fn members(&self) -> impl Iterator<Item = (&Arc<str>, &Member)> {
        let others = self.group.members();
        let others = others.filter(|(id, _)| *id != self.id && Some(*id) != self.replaced);
        others.chain([(self.id, &self.member)])
    }

    fn topics_of<'b>(&'b self, member: &'b Member) -> BTreeMap<&'b str, Topic> {
        let mut topics = self.group.topics_of(member, self.around.catalogue);
        if let Some((regex, names)) = &self.resolved
            && member.subscribed_regex.as_ref() == Some(regex)
        {
            topics.extend(
                names
                    .iter()
                    .filter_map(|name| Some((&**name, self.around.catalogue.topic(name)?))),
            );
        }
        topics
    }

    /// The next step of the member towards its target.
    pub(super) fn reconcile(&self, beat: &Heartbeat) -> Current {
        let topics = self.topics_of(&self.member);
        let topics: BTreeSet<TopicId> = topics.values().map(|topic| topic.id).collect();
        let is_owned = |topic, partition| self.group.owned.contains(topic, partition) && !self.frees(topic, partition);
        self.member.current.step(&Reconcile {
            target_epoch: self.target_epoch,
            target: &self.target,
            owned: beat.owned.as_ref(),
            is_subscribed: &|topic| topics.contains(&topic),
            is_owned: &is_owned,
        })
    }

    /// The topics that the members will be subscribed to.
    fn all_topics(&self) -> BTreeMap<&str, Topic> {
        let before = self.before();
        let mut topics = self.group.topics_without(before.as_slice(), self.around.catalogue);
        topics.extend(self.topics_of(&self.member));
        topics
    }

    /// Begins another epoch of the group, if subscriptions or topics have changed.
    pub(super) fn bump(&mut self, is_changed: bool) {
        let fingerprint = fingerprint(self.all_topics().into_iter());
        if !is_changed && fingerprint == self.group.fingerprint {
            return;
        }
        self.epoch = self.group.epoch.saturating_add(1);
        self.keep(What::Group(Some(ConsumerGroupMetadataValue {
            epoch: self.epoch,
            metadata_hash: fingerprint,
        })));
    }

    /// Computes the targets of the group's epoch, if it is time; false when they are too many to be computed at once.
    pub(super) fn assign(&mut self) -> bool {
        let Surroundings { config, now, .. } = self.around;
        if self.target_epoch >= self.epoch || !self.group.may_be_assigned(config, now) {
            return true;
        }
        let partitions = self.all_topics().into_values().map(|topic| topic.partitions);
        let partitions: usize = partitions.map(|count| usize::try_from(count).unwrap_or(0)).sum();
        if partitions + self.group.members.len() > config.assigned_at_once_max {
            return false;
        }
        let mut gathering = Gathering::new(self.epoch);
        for (id, member) in self.members() {
            let before = match *id == *self.id {
                true => Some(&self.target),
                false => self.group.target(id),
            };
            gathering.add(id, member, &self.topics_of(member), before);
        }
        let (_, mut assigning) = gathering.finish(config);
        while !assigning.advance(usize::MAX) {}
        self.target_epoch = self.epoch;
        for (id, dealt) in assigning.finish() {
            let target: Assignment = dealt.into_iter().collect();
            if id == *self.id {
                self.target.clone_from(&target);
            }
            // The records of a member that takes another's place are not replayed yet.
            let known = match self.replaced {
                Some(replaced) if id == *self.id => self.group.target(replaced),
                Some(_) | None => self.group.target(&id),
            };
            if known != Some(&target) {
                self.keep(What::Target(id, Some(target_to_value(&target))));
            }
        }
        self.keep(target_epoch(self.epoch, now));
        true
    }
}

pub(super) fn target_epoch(epoch: i32, now: TimestampMs) -> What {
    What::TargetEpoch(Some(ConsumerGroupTargetAssignmentMetadataValue {
        assignment_epoch: epoch,
        assignment_timestamp: now.0,
    }))
}

impl Group {
    pub(super) fn record(&self, what: What) -> ConsumerRecord {
        ConsumerRecord {
            group: Arc::clone(&self.id),
            what,
        }
    }

    /// The records that take a member out.
    fn removal(&self, id: &Arc<str>) -> [ConsumerRecord; 3] {
        [
            What::Current(Arc::clone(id), None),
            What::Target(Arc::clone(id), None),
            What::Member(Arc::clone(id), None),
        ]
        .map(|what| self.record(what))
    }

    /// The records by which members lose their places: the group has another epoch then.
    #[must_use]
    pub fn fence(&self, ids: &[&Arc<str>], catalogue: &dyn Catalogue) -> Vec<ConsumerRecord> {
        let mut records: Vec<ConsumerRecord> = ids.iter().flat_map(|id| self.removal(id)).collect();
        let gone: Vec<&Member> = ids.iter().filter_map(|id| self.member(id)).collect();
        for regex in self.resolved.keys() {
            if !self.uses(regex, &gone) {
                records.push(self.record(What::Regex(Arc::clone(regex), None)));
            }
        }
        let topics = self.topics_without(&gone, catalogue);
        records.push(self.record(What::Group(Some(ConsumerGroupMetadataValue {
            epoch: self.epoch.saturating_add(1),
            metadata_hash: fingerprint(topics.into_iter()),
        }))));
        records
    }

    /// Whether it is time for other targets: not too soon after the last. Kafka: `canComputeNextTargetAssignment`.
    #[must_use]
    pub fn may_be_assigned(&self, config: &Config, now: TimestampMs) -> bool {
        let interval = i64::try_from(config.assignment_interval.as_millis()).unwrap_or(i64::MAX);
        self.assigned_at.0 == 0 || now.0 >= self.assigned_at.0.saturating_add(interval)
    }

    /// Whether the targets are older than the group.
    #[must_use]
    pub fn is_unassigned(&self) -> bool {
        self.epoch > self.target_epoch
    }

    /// The records by which a group ends. Kafka: `ConsumerGroup.createGroupTombstoneRecords`.
    pub fn tombstones(&self) -> impl Iterator<Item = ConsumerRecord> {
        let currents = self.members.keys().map(|id| What::Current(Arc::clone(id), None));
        let targets = self.targets.keys().map(|id| What::Target(Arc::clone(id), None));
        let members = self.members.keys().map(|id| What::Member(Arc::clone(id), None));
        let regexes = self.resolved.keys().map(|regex| What::Regex(Arc::clone(regex), None));
        let of_members = currents.chain(targets).chain([What::TargetEpoch(None)]).chain(members);
        let whats = of_members.chain(regexes).chain([What::Partitions, What::Group(None)]);
        whats.map(|what| self.record(what))
    }

    /// The records of a group that begins with members, all of them in one epoch.
    #[must_use]
    pub fn founding(
        id: &Arc<str>,
        epoch: i32,
        members: Vec<(Arc<str>, Member)>,
        catalogue: &dyn Catalogue,
        now: TimestampMs,
    ) -> Vec<ConsumerRecord> {
        let mut group = Self::new(Arc::clone(id));
        let mut whats = Vec::new();
        for (id, member) in &members {
            whats.push(What::Member(Arc::clone(id), Some(member.subscription_value())));
        }
        for what in &whats {
            group.replay(what);
        }
        let metadata_hash = fingerprint(group.topics_without(&[], catalogue).into_iter());
        whats.push(What::Group(Some(ConsumerGroupMetadataValue { epoch, metadata_hash })));
        for (id, member) in &members {
            let assigned = member.current.assigned.iter();
            let target: Assignment = assigned.map(|(topic, partition, _)| (topic, partition)).collect();
            whats.push(What::Target(Arc::clone(id), Some(target_to_value(&target))));
        }
        whats.push(target_epoch(epoch, now));
        for (id, member) in &members {
            whats.push(What::Current(Arc::clone(id), Some(current_to_value(&member.current))));
        }
        whats.into_iter().map(|what| group.record(what)).collect()
    }

    /// Records of targets that were computed in steps; members that have gone meanwhile are left out.
    #[must_use]
    pub fn adopt(&self, targets: impl IntoIterator<Item = (Arc<str>, Dealt)>) -> Vec<ConsumerRecord> {
        let targets = targets.into_iter();
        let targets = targets.map(|(id, dealt)| (id, dealt.into_iter().collect::<Assignment>()));
        let others = targets.filter(|(id, target)| self.members.contains_key(id) && self.target(id) != Some(target));
        let records = others.map(|(id, target)| self.record(What::Target(id, Some(target_to_value(&target)))));
        records.collect()
    }

    /// The record after the last target of `epoch`; `None` when there are newer ones.
    #[must_use]
    pub fn adopted(&self, epoch: i32, now: TimestampMs) -> Option<ConsumerRecord> {
        (epoch > self.target_epoch).then(|| self.record(target_epoch(epoch, now)))
    }
}
