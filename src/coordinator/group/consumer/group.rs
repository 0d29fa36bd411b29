//! The state of one group, and how records change it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::time::TimestampMs;

use super::assign::Topic;
use super::member::{current_of_value, target_of_value};
use super::record::What;
use super::{Assignment, Catalogue, Current, Member, Owned};

/// The epoch of a group that nobody has joined yet (Kafka: `ModernGroup`).
const EPOCH_FIRST: i32 = 1;

/// One group. Nothing changes it but [`replay`](Self::replay).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    pub(super) id: Arc<str>,
    /// Grows with every change of subscriptions and of topics.
    pub(super) epoch: i32,
    /// Of the topics that it is subscribed to, when the epoch began.
    pub(super) fingerprint: i64,
    /// The epoch of the targets.
    pub(super) target_epoch: i32,
    /// When the targets were computed; 0 when that is not known.
    pub(super) assigned_at: TimestampMs,
    /// Shared with descriptions of the group, which are told beside the core.
    pub(super) members: BTreeMap<Arc<str>, Arc<Member>>,
    /// Member ids by instance id.
    pub(super) instances: BTreeMap<Arc<str>, Arc<str>>,
    pub(super) targets: BTreeMap<Arc<str>, Arc<Assignment>>,
    /// Partitions that somebody has, or has not given up, each with the epoch of its member.
    pub(super) owned: Owned,
    /// Names that each regular expression stands for.
    pub(super) resolved: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// How many members are subscribed to each name.
    pub(super) subscribers: BTreeMap<Arc<str>, usize>,
    /// How many members are subscribed to each regular expression.
    pub(super) regexes: BTreeMap<Arc<str>, usize>,
}

/// Where a group stands, as clients are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupState {
    Empty,
    /// The targets are older than the group.
    Assigning,
    /// Members are on their way to their targets.
    Reconciling,
    Stable,
}

impl GroupState {
    /// Kafka's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

impl Group {
    /// A group without members.
    #[must_use]
    pub fn new(id: Arc<str>) -> Self {
        Self {
            id,
            epoch: EPOCH_FIRST,
            fingerprint: 0,
            target_epoch: 0,
            assigned_at: TimestampMs(0),
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            targets: BTreeMap::new(),
            owned: Owned::default(),
            resolved: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            regexes: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    #[must_use]
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The epoch of the targets.
    #[must_use]
    pub fn target_epoch(&self) -> i32 {
        self.target_epoch
    }

    /// The members, by id.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Member)> {
        self.members.iter().map(|(id, member)| (id, &**member))
    }

    /// A member, by its id.
    #[must_use]
    pub fn member(&self, id: &str) -> Option<&Member> {
        self.members.get(id).map(Arc::as_ref)
    }

    /// What a member is to have.
    #[must_use]
    pub fn target(&self, member: &str) -> Option<&Assignment> {
        self.targets.get(member).map(Arc::as_ref)
    }

    #[must_use]
    pub fn state(&self) -> GroupState {
        if self.members.is_empty() {
            return GroupState::Empty;
        }
        if self.epoch > self.target_epoch {
            return GroupState::Assigning;
        }
        let has_arrived = |member: &Member| {
            member.current.state == super::MemberState::Stable && member.current.epoch == self.target_epoch
        };
        if self.members.values().all(|member| has_arrived(member)) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// Takes over what a record says. Kafka: `GroupMetadataManager.replay`.
    pub fn replay(&mut self, what: &What) {
        match what {
            What::Group(Some(value)) => {
                self.epoch = value.epoch;
                self.fingerprint = value.metadata_hash;
            }
            What::TargetEpoch(value) => {
                self.target_epoch = value.as_ref().map_or(-1, |value| value.assignment_epoch);
                self.assigned_at = TimestampMs(value.as_ref().map_or(0, |value| value.assignment_timestamp));
            }
            What::Target(member, Some(value)) => {
                let target = Arc::new(target_of_value(value));
                self.targets.insert(Arc::clone(member), target);
            }
            What::Target(member, None) => {
                self.targets.remove(member);
            }
            What::Member(id, Some(value)) => {
                let member = Arc::make_mut(self.members.entry(Arc::clone(id)).or_default());
                let before = member.instance_id.take();
                uncount(&mut self.subscribers, &member.subscribed_names);
                uncount(&mut self.regexes, &member.subscribed_regex);
                member.subscribe(value);
                count(&mut self.subscribers, &member.subscribed_names);
                count(&mut self.regexes, &member.subscribed_regex);
                let instance = member.instance_id.clone();
                if before != instance {
                    self.forget_instance(before.as_ref(), id);
                }
                if let Some(instance) = instance {
                    self.instances.insert(instance, Arc::clone(id));
                }
            }
            What::Member(id, None) => {
                if let Some(member) = self.members.remove(id) {
                    uncount(&mut self.subscribers, &member.subscribed_names);
                    uncount(&mut self.regexes, &member.subscribed_regex);
                    self.release(&member.current);
                    self.forget_instance(member.instance_id.as_ref(), id);
                }
            }
            What::Current(id, value) => {
                let current = value.as_ref().map(current_of_value).unwrap_or_default();
                self.hand_over(id, current);
            }
            What::Regex(regex, Some(value)) => {
                let names = value.topics.iter().map(|name| Arc::from(name.as_str()));
                self.resolved.insert(Arc::clone(regex), names.collect());
            }
            What::Regex(regex, None) => {
                self.resolved.remove(regex);
            }
            // The end of the group is its coordinator's.
            What::Group(None) | What::Partitions => {}
        }
    }

    fn hand_over(&mut self, id: &Arc<str>, current: Current) {
        let Some(member) = self.members.get_mut(id).map(Arc::make_mut) else {
            // What is left of a member that is gone.
            return;
        };
        let before = std::mem::replace(&mut member.current, current.clone());
        self.release(&before);
        for owned in [&current.assigned, &current.pending_revocation] {
            for (topic, partition, _) in owned.iter() {
                self.owned.insert(topic, partition, current.epoch);
            }
        }
    }

    fn release(&mut self, current: &Current) {
        for owned in [&current.assigned, &current.pending_revocation] {
            for (topic, partition, _) in owned.iter() {
                // Another may have it since: a member that was replaced leaves what its successor has.
                if self.owned.get(topic, partition) == Some(&current.epoch) {
                    self.owned.remove(topic, partition);
                }
            }
        }
    }

    fn forget_instance(&mut self, instance: Option<&Arc<str>>, id: &Arc<str>) {
        if let Some(instance) = instance
            && self.instances.get(instance) == Some(id)
        {
            self.instances.remove(instance);
        }
    }

    /// The topics that a member wants to read and that exist, by name.
    pub(super) fn topics_of<'a>(&'a self, member: &'a Member, catalogue: &dyn Catalogue) -> BTreeMap<&'a str, Topic> {
        let resolved = member
            .subscribed_regex
            .as_ref()
            .and_then(|regex| self.resolved.get(regex));
        let names = member.subscribed_names.iter().chain(resolved.into_iter().flatten());
        existing(names, catalogue)
    }

    /// The topics that members want to read and that exist, without the members that are `gone`.
    pub(super) fn topics_without<'a>(
        &'a self,
        gone: &[&Member],
        catalogue: &dyn Catalogue,
    ) -> BTreeMap<&'a str, Topic> {
        let names = self.subscribers.iter().filter(|(name, count)| {
            let of_gone = gone.iter().filter(|member| member.subscribed_names.contains(*name));
            of_gone.count() < **count
        });
        let resolved = self.resolved.iter().filter(|(regex, _)| self.uses(regex, gone));
        let names = names.map(|(name, _)| name);
        existing(names.chain(resolved.flat_map(|(_, names)| names)), catalogue)
    }

    /// Whether a member is subscribed to a regular expression, beside those that are `gone`.
    pub(super) fn uses(&self, regex: &Arc<str>, gone: &[&Member]) -> bool {
        let of_gone = gone
            .iter()
            .filter(|member| member.subscribed_regex.as_ref() == Some(regex));
        of_gone.count() < self.regexes.get(regex).copied().unwrap_or(0)
    }
}

fn existing<'a>(names: impl Iterator<Item = &'a Arc<str>>, catalogue: &dyn Catalogue) -> BTreeMap<&'a str, Topic> {
    names
        .filter_map(|name| Some((&**name, catalogue.topic(name)?)))
        .collect()
}

fn count<'a>(counts: &mut BTreeMap<Arc<str>, usize>, names: impl IntoIterator<Item = &'a Arc<str>>) {
    for name in names {
        *counts.entry(Arc::clone(name)).or_default() += 1;
    }
}

fn uncount<'a>(counts: &mut BTreeMap<Arc<str>, usize>, names: impl IntoIterator<Item = &'a Arc<str>>) {
    for name in names {
        if let Some(count) = counts.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                counts.remove(name);
            }
        }
    }
}
