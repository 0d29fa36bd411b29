//! What a group says to its offsets.

use std::collections::BTreeSet;

use duramen_wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use duramen_wire::{Message, Reader};

use crate::base::time::TimestampMs;
use crate::coordinator::group::types::{CommitOffsets, GroupError};

use super::{Group, State, Turn};

/// The protocol type of consumers (Kafka: `ConsumerProtocol.PROTOCOL_TYPE`).
const CONSUMER: &str = "consumer";

/// Bytes that decoding a subscription may reserve for each of its bytes.
const DECODE_BUDGET_PER_BYTE: usize = 64;

impl Group {
    /// Whether offsets may be committed; a member that may is alive. Kafka: `ClassicGroup.validateOffsetCommit`.
    pub(in crate::coordinator::group) fn may_commit(
        &mut self,
        commit: &CommitOffsets,
        turn: &mut Turn<'_>,
    ) -> Result<(), GroupError> {
        if commit.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if commit.generation < 0 && commit.member_id.is_empty() && commit.instance_id.is_none() {
            return Err(GroupError::UnknownMember);
        }
        self.check_member(&commit.member_id, commit.instance_id.as_ref())?;
        if commit.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        match self.state {
            State::CompletingRebalance => Err(GroupError::RebalanceInProgress),
            State::Stable | State::PreparingRebalance { .. } => {
                self.extend_session(&commit.member_id, turn);
                Ok(())
            }
            State::Empty => Ok(()),
        }
    }

    /// Whether offsets may be deleted, of topics that it is not subscribed to. Kafka: `ClassicGroup.validateOffsetDelete`.
    pub(in crate::coordinator::group) fn may_delete_offsets(&self) -> Result<(), GroupError> {
        match self.state == State::Empty || self.is_of_consumers() {
            true => Ok(()),
            false => Err(GroupError::NonEmptyGroup),
        }
    }

    /// Whether the group may be deleted. Kafka: `ClassicGroup.validateDeleteGroup`.
    pub(in crate::coordinator::group) fn may_be_deleted(&self) -> Result<(), GroupError> {
        match self.state == State::Empty {
            true => Ok(()),
            false => Err(GroupError::NonEmptyGroup),
        }
    }

    /// Whether members are subscribed to a topic, as far as is known: of consumers that are not understood, any.
    pub(in crate::coordinator::group) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    /// From when on the retention of an offset counts; `None` while it does not end. Kafka: `ClassicGroup.offsetExpirationCondition`.
    pub(in crate::coordinator::group) fn retention_base(&self, committed_at: TimestampMs) -> Option<TimestampMs> {
        if self.protocol_type.is_none() {
            return Some(committed_at);
        }
        match self.state {
            State::Empty => Some(self.state_since.unwrap_or(committed_at)),
            State::Stable if self.is_of_consumers() && self.subscribed.is_some() => Some(committed_at),
            State::Stable | State::PreparingRebalance { .. } | State::CompletingRebalance => None,
        }
    }

    pub(super) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Learns what the members of a generation are subscribed to. Kafka: `ClassicGroup.computeSubscribedTopics`.
    pub(super) fn compute_subscription(&mut self) {
        self.subscribed = match (self.is_of_consumers(), self.members.is_empty(), &self.protocol) {
            (false, _, _) | (true, false, None) => None,
            (true, true, _) => Some(BTreeSet::new()),
            (true, false, Some(protocol)) => {
                let subscriptions = self.members.values().map(|member| member.metadata(Some(protocol)));
                let mut topics = BTreeSet::new();
                let mut understood = true;
                let mut last = None;
                for subscription in subscriptions {
                    if last.as_ref() == Some(&subscription) {
                        continue;
                    }
                    match topics_of(&subscription) {
                        Some(named) => topics.extend(named),
                        None => understood = false,
                    }
                    // Most members say the same.
                    last = Some(subscription);
                }
                understood.then_some(topics)
            }
        };
    }
}

/// The topics of a subscription: its first fields are those of version 0, whatever its version.
fn topics_of(subscription: &bytes::Bytes) -> Option<Vec<String>> {
    let (_version, rest) = subscription.split_first_chunk::<2>()?;
    let rest = subscription.slice_ref(rest);
    let budget = rest.len().saturating_mul(DECODE_BUDGET_PER_BYTE);
    let decoded = ConsumerProtocolSubscription::decode(&mut Reader::new(&rest, budget), 0).ok()?;
    Some(decoded.topics)
}
