//! What follows for the group when a member has changed: its epoch, the topics of regular expressions, the targets of all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_wire::messages::consumer_group_metadata_value::ConsumerGroupMetadataValue;
use duramen_wire::messages::consumer_group_regular_expression_value::ConsumerGroupRegularExpressionValue;
use duramen_wire::messages::consumer_group_target_assignment_metadata_value::ConsumerGroupTargetAssignmentMetadataValue;

use crate::base::ids::TopicId;
use crate::base::time::TimestampMs;

use super::assign::{Assigning, Assignor, Candidate, Input, Topic};
use super::catalogue::fingerprint;
use super::heartbeat::Refused;
use super::member::{current_to_value, target_to_value};
use super::record::{ConsumerRecord, What};
use super::{Assignment, Catalogue, Config, Group, Member};

/// A group as it will be after the records of one heartbeat.
pub(super) struct Turn<'a> {
    group: &'a Group,
    catalogue: &'a dyn Catalogue,
    id: &'a Arc<str>,
    replaced: Option<&'a Arc<str>>,
    pub member: Member,
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
        catalogue: &'a dyn Catalogue,
        id: &'a Arc<str>,
        member: Member,
        replaced: Option<&'a Arc<str>>,
    ) -> Self {
        let target = group.targets.get(replaced.unwrap_or(id)).cloned().unwrap_or_default();
        Self {
            group,
            catalogue,
            id,
            replaced,
            member,
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
    pub(super) fn frees(&self, topic: TopicId, partition: i32) -> bool {
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
        let names = resolve(&regex, self.catalogue)?;
        let value = ConsumerGroupRegularExpressionValue {
            topics: names.iter().map(|name| name.to_string()).collect(),
            version: 0,
            timestamp: 0,
        };
        self.keep(What::Regex(Arc::clone(&regex), Some(value)));
        self.resolved = Some((regex, names));
        Ok(())
    }

    /// The regular expression that the member had, if nobody else has it.
    fn forget_regex(&mut self) {
        let before = self.group.members.get(self.replaced.unwrap_or(self.id));
        let Some(regex) = before.and_then(|before| before.subscribed_regex.as_ref()) else {
            return;
        };
        let is_used = self
            .members()
            .any(|(_, member)| member.subscribed_regex.as_ref() == Some(regex));
        if !is_used {
            self.keep(What::Regex(Arc::clone(regex), None));
        }
    }

    /// The members as they will be.
    fn members(&self) -> impl Iterator<Item = (&Arc<str>, &Member)> {
        let others = self.group.members.iter();
        let others = others.filter(|(id, _)| *id != self.id && Some(*id) != self.replaced);
        others.chain([(self.id, &self.member)])
    }

    fn topics_of<'b>(&'b self, member: &'b Member) -> BTreeMap<&'b str, Topic> {
        let mut topics = self.group.topics_of(member, self.catalogue);
        if let Some((regex, names)) = &self.resolved
            && member.subscribed_regex.as_ref() == Some(regex)
        {
            topics.extend(
                names
                    .iter()
                    .filter_map(|name| Some((&**name, self.catalogue.topic(name)?))),
            );
        }
        topics
    }

    /// The topics that the member is subscribed to.
    pub(super) fn subscribed_topics(&self) -> BTreeSet<TopicId> {
        self.topics_of(&self.member).values().map(|topic| topic.id).collect()
    }

    /// Begins another epoch of the group, if subscriptions or topics have changed.
    pub(super) fn bump(&mut self, is_changed: bool) {
        let fingerprint = {
            let mut topics = BTreeMap::new();
            for (_, member) in self.members() {
                topics.extend(self.topics_of(member));
            }
            fingerprint(topics.into_iter())
        };
        if !is_changed && fingerprint == self.group.fingerprint {
            return;
        }
        self.epoch = self.group.epoch.saturating_add(1);
        self.keep(What::Group(Some(ConsumerGroupMetadataValue {
            epoch: self.epoch,
            metadata_hash: fingerprint,
        })));
    }

    /// Computes the targets of the group's epoch; false when they are too many to be computed at once.
    pub(super) fn assign(&mut self, config: &Config) -> bool {
        if self.target_epoch >= self.epoch {
            return true;
        }
        let input = self.input();
        let partitions = input
            .topics
            .iter()
            .map(|topic| usize::try_from(topic.partitions).unwrap_or(0));
        let work = input.members.len() + partitions.sum::<usize>();
        if work > config.assigned_at_once_max {
            return false;
        }
        let mut assigning = Assigning::begin(self.assignor(config), input);
        while !assigning.advance(usize::MAX) {}
        self.target_epoch = self.epoch;
        for (id, target) in assigning.finish() {
            if id == *self.id {
                self.target.clone_from(&target);
            }
            // The records of a member that takes another's place are not replayed yet.
            let known = match self.replaced {
                Some(replaced) if id == *self.id => self.group.targets.get(replaced),
                Some(_) | None => self.group.targets.get(&id),
            };
            if known != Some(&target) {
                self.keep(What::Target(id, Some(target_to_value(&target))));
            }
        }
        self.keep(target_epoch(self.epoch));
        true
    }

    fn input(&self) -> Input {
        assignment_input(
            self.members(),
            |member| self.topics_of(member),
            |id| {
                if *id == *self.id {
                    Some(&self.target)
                } else {
                    self.group.targets.get(id)
                }
            },
        )
    }

    fn assignor(&self, config: &Config) -> Assignor {
        preferred(self.members().map(|(_, member)| member), config)
    }
}

/// The assignor that most members want; the first of the settings where they want none.
fn preferred<'a>(members: impl Iterator<Item = &'a Member>, config: &Config) -> Assignor {
    let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
    for name in members.filter_map(|member| member.assignor.as_ref()) {
        if let Some(assignor) = Assignor::by_name(name) {
            *votes.entry(assignor).or_default() += 1;
        }
    }
    let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
    let first = config.assignors.first().copied().unwrap_or(Assignor::Uniform);
    most.map_or(first, |(assignor, _)| assignor)
}

fn assignment_input<'a>(
    members: impl Iterator<Item = (&'a Arc<str>, &'a Member)>,
    topics_of: impl Fn(&'a Member) -> BTreeMap<&'a str, Topic>,
    before: impl Fn(&Arc<str>) -> Option<&'a Assignment>,
) -> Input {
    let mut input = Input::default();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, member) in members {
        let mut subscribed: Vec<usize> = topics_of(member)
            .into_iter()
            .map(|(name, topic)| {
                *places.entry(name).or_insert_with(|| {
                    input.topics.push(topic);
                    input.topics.len() - 1
                })
            })
            .collect();
        subscribed.sort_unstable();
        input.members.push(Candidate {
            id: Arc::clone(id),
            instance_id: member.instance_id.clone(),
            subscribed,
            before: before(id).cloned().unwrap_or_default(),
        });
    }
    input
}

fn target_epoch(epoch: i32) -> What {
    What::TargetEpoch(Some(ConsumerGroupTargetAssignmentMetadataValue {
        assignment_epoch: epoch,
        ..ConsumerGroupTargetAssignmentMetadataValue::default()
    }))
}

/// The topics whose whole names a regular expression matches. Kafka has RE2; this is of the same family: no expression takes longer than
/// its length times that of the name.
fn resolve(regex: &Arc<str>, catalogue: &dyn Catalogue) -> Result<BTreeSet<Arc<str>>, Refused> {
    let whole = format!("^(?:{regex})$");
    let compiled = regex::RegexBuilder::new(&whole).size_limit(REGEX_BYTES_MAX).build();
    let compiled = compiled.map_err(|error| Refused::InvalidRegex(Arc::clone(regex), error.to_string()))?;
    let names = catalogue.names().filter(|name| compiled.is_match(name));
    Ok(names.map(Arc::from).collect())
}

/// Bytes of a compiled regular expression.
const REGEX_BYTES_MAX: usize = 1 << 20;

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
        let left = || {
            self.members
                .iter()
                .filter(|(id, _)| !ids.contains(id))
                .map(|(_, member)| member)
        };
        for regex in self.resolved.keys() {
            if !left().any(|member| member.subscribed_regex.as_ref() == Some(regex)) {
                records.push(self.record(What::Regex(Arc::clone(regex), None)));
            }
        }
        let mut topics = BTreeMap::new();
        for member in left() {
            topics.extend(self.topics_of(member, catalogue));
        }
        records.push(self.record(What::Group(Some(ConsumerGroupMetadataValue {
            epoch: self.epoch.saturating_add(1),
            metadata_hash: fingerprint(topics.into_iter()),
        }))));
        records
    }

    /// What the assignor of the group has to know, to go on in steps; with the epoch that it is for.
    #[must_use]
    pub fn assignment(&self, catalogue: &dyn Catalogue, config: &Config) -> (i32, Assigning) {
        let input = assignment_input(
            self.members.iter(),
            |member| self.topics_of(member, catalogue),
            |id| self.targets.get(id),
        );
        (
            self.epoch,
            Assigning::begin(preferred(self.members.values(), config), input),
        )
    }

    /// The records of targets that were computed for `epoch`; members that have gone meanwhile are left out.
    #[must_use]
    pub fn adopt(&self, epoch: i32, targets: Vec<(Arc<str>, Assignment)>) -> Vec<ConsumerRecord> {
        if epoch <= self.target_epoch {
            return Vec::new();
        }
        let mut records = Vec::new();
        for (id, target) in targets {
            if self.members.contains_key(&id) && self.targets.get(&id) != Some(&target) {
                records.push(self.record(What::Target(id, Some(target_to_value(&target)))));
            }
        }
        records.push(self.record(target_epoch(epoch)));
        records
    }

    /// The records by which regular expressions get the topics that have come and gone.
    #[must_use]
    pub fn refresh(&self, catalogue: &dyn Catalogue, now: TimestampMs) -> Vec<ConsumerRecord> {
        let mut records = Vec::new();
        for (regex, known) in &self.resolved {
            match resolve(regex, catalogue) {
                Ok(names) if names != *known => {
                    let value = ConsumerGroupRegularExpressionValue {
                        topics: names.iter().map(|name| name.to_string()).collect(),
                        version: 0,
                        timestamp: now.0,
                    };
                    records.push(self.record(What::Regex(Arc::clone(regex), Some(value))));
                }
                Ok(_) | Err(_) => {}
            }
        }
        records
    }
}
