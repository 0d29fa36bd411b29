//! What a consumer group says to its offsets.

use std::sync::Arc;

use crate::coordinator::group::types::{CommitOffsets, FetchOffsets, GroupError};

use super::{Group, Member};

impl Group {
    /// Whether offsets may be committed: by a member in its epoch, or in an earlier one for what it has had since then (KIP-1251).
    /// Kafka: `ConsumerGroup.validateOffsetCommit`.
    pub(in crate::coordinator::group) fn may_commit(&self, commit: &CommitOffsets) -> Result<(), GroupError> {
        if commit.generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.member(&commit.member_id).ok_or(GroupError::UnknownMember)?;
        let (is_classic, stale) = epoch_error(member);
        if !commit.knows_epochs && !is_classic {
            return Err(GroupError::UnsupportedVersion);
        }
        if commit.generation == member.current.epoch {
            return Ok(());
        }
        if commit.generation > member.current.epoch {
            return Err(stale);
        }
        let had = |member: &Member, topic, partition| {
            let since = member.current.assigned.get(topic, partition);
            let since = since.or_else(|| member.current.pending_revocation.get(topic, partition));
            since.is_some_and(|since| commit.generation >= *since)
        };
        let mut offsets = commit.offsets.iter();
        match offsets.all(|offset| had(member, offset.topic_id, offset.partition)) {
            true => Ok(()),
            false => Err(stale),
        }
    }

    /// Whether a member may see the offsets; whoever does not say that it is a member may. Kafka: `ConsumerGroup.validateOffsetFetch`.
    pub(in crate::coordinator::group) fn may_fetch(&self, fetch: &FetchOffsets) -> Result<(), GroupError> {
        if fetch.member_id.is_none() && fetch.member_epoch < 0 {
            return Ok(());
        }
        let id: &str = fetch.member_id.as_deref().unwrap_or_default();
        let member = self.member(id).ok_or(GroupError::UnknownMember)?;
        match fetch.member_epoch == member.current.epoch {
            true => Ok(()),
            false => Err(epoch_error(member).1),
        }
    }

    /// Whether members are subscribed to a topic, by its name or otherwise.
    pub(in crate::coordinator::group) fn is_subscribed_to(&self, topic: &str) -> bool {
        let is_resolved = |(regex, names): (&Arc<str>, &std::collections::BTreeSet<Arc<str>>)| {
            self.regexes.contains_key(regex) && names.contains(topic)
        };
        self.subscribers.contains_key(topic) || self.resolved.iter().any(is_resolved)
    }

    /// Whether the group may be deleted. Kafka: `ConsumerGroup.validateDeleteGroup`.
    pub(in crate::coordinator::group) fn may_be_deleted(&self) -> Result<(), GroupError> {
        match self.members.is_empty() {
            true => Ok(()),
            false => Err(GroupError::NonEmptyGroup),
        }
    }
}

/// Whether a member speaks the classic protocol, and what it is told when it comes with another epoch.
fn epoch_error(member: &Member) -> (bool, GroupError) {
    match member.classic.is_some() {
        true => (true, GroupError::IllegalGeneration),
        false => (false, GroupError::StaleMemberEpoch),
    }
}
