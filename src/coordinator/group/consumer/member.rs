//! One member, and how it stands in the log.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use duramen_wire::messages::consumer_group_current_member_assignment_value as current_value;
use duramen_wire::messages::consumer_group_current_member_assignment_value::ConsumerGroupCurrentMemberAssignmentValue;
use duramen_wire::messages::consumer_group_member_metadata_value::{
    ClassicMemberMetadata, ClassicProtocol, ConsumerGroupMemberMetadataValue,
};
use duramen_wire::messages::consumer_group_target_assignment_member_value as target_value;
use duramen_wire::messages::consumer_group_target_assignment_member_value::ConsumerGroupTargetAssignmentMemberValue;

use crate::base::ids::TopicId;

use super::{Assignment, Current, MemberState, Owned};

/// The epoch of a static member that is away for a while.
pub const EPOCH_AWAY: i32 = -2;

/// A member: what it wants, and what it has.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Member {
    pub instance_id: Option<Arc<str>>,
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub subscribed_names: BTreeSet<Arc<str>>,
    pub subscribed_regex: Option<Arc<str>>,
    pub rebalance_timeout_ms: i32,
    pub assignor: Option<Arc<str>>,
    /// Of a member that speaks the classic protocol.
    pub classic: Option<ClassicMember>,
    pub current: Current,
}

/// What a member that speaks the classic protocol said as it joined.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ClassicMember {
    pub session_timeout_ms: i32,
    /// In the order of its preference, each by name and with its subscription.
    pub protocols: Vec<(Arc<str>, Bytes)>,
}

fn text(text: &Arc<str>) -> String {
    text.to_string()
}

impl Member {
    /// What it wants, as it is kept. Kafka: `newConsumerGroupMemberSubscriptionRecord`.
    pub(super) fn subscription_value(&self) -> ConsumerGroupMemberMetadataValue {
        ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.as_ref().map(text),
            rack_id: self.rack_id.as_ref().map(text),
            client_id: text(&self.client_id),
            client_host: text(&self.client_host),
            subscribed_topic_names: self.subscribed_names.iter().map(text).collect(),
            subscribed_topic_regex: self.subscribed_regex.as_ref().map(text),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.assignor.as_ref().map(text),
            classic_member_metadata: self.classic.as_ref().map(|classic| ClassicMemberMetadata {
                session_timeout_ms: classic.session_timeout_ms,
                supported_protocols: (classic.protocols.iter())
                    .map(|(name, metadata)| ClassicProtocol {
                        name: text(name),
                        metadata: metadata.clone(),
                    })
                    .collect(),
            }),
        }
    }

    /// Takes over what a record says it wants.
    pub(super) fn subscribe(&mut self, value: &ConsumerGroupMemberMetadataValue) {
        let optional = |text: &Option<String>| text.as_deref().map(Arc::from);
        self.instance_id = optional(&value.instance_id);
        self.rack_id = optional(&value.rack_id);
        self.client_id = value.client_id.as_str().into();
        self.client_host = value.client_host.as_str().into();
        self.subscribed_names = value
            .subscribed_topic_names
            .iter()
            .map(|name| Arc::from(name.as_str()))
            .collect();
        self.subscribed_regex = optional(&value.subscribed_topic_regex).filter(|regex: &Arc<str>| !regex.is_empty());
        self.rebalance_timeout_ms = value.rebalance_timeout_ms;
        self.assignor = optional(&value.server_assignor);
        self.classic = value.classic_member_metadata.as_ref().map(|classic| ClassicMember {
            session_timeout_ms: classic.session_timeout_ms,
            protocols: (classic.supported_protocols.iter())
                .map(|protocol| {
                    (
                        protocol.name.as_str().into(),
                        Bytes::copy_from_slice(&protocol.metadata),
                    )
                })
                .collect(),
        });
    }
}

/// What a member has, as it is kept. Kafka: `newConsumerGroupCurrentAssignmentRecord`.
pub(super) fn current_to_value(current: &Current) -> ConsumerGroupCurrentMemberAssignmentValue {
    let topics = |owned: &Owned| {
        let topics = owned
            .topics()
            .map(|(topic, partitions)| current_value::TopicPartitions {
                topic_id: topic.0,
                partitions: partitions.keys().copied().collect(),
                assignment_epochs: Some(partitions.values().copied().collect()),
            });
        topics.collect()
    };
    ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: current.epoch,
        previous_member_epoch: current.previous_epoch,
        state: current.state.to_number(),
        assigned_partitions: topics(&current.assigned),
        partitions_pending_revocation: topics(&current.pending_revocation),
    }
}

/// What a record says that a member has. Older brokers do not say since when: since the member's epoch.
pub(super) fn current_of_value(value: &ConsumerGroupCurrentMemberAssignmentValue) -> Current {
    let owned = |topics: &[current_value::TopicPartitions]| {
        let mut owned = Owned::default();
        for topic in topics {
            let epochs = topic.assignment_epochs.as_deref().unwrap_or_default();
            for (place, partition) in topic.partitions.iter().enumerate() {
                let epoch = epochs.get(place).copied().unwrap_or(value.member_epoch);
                owned.insert(TopicId(topic.topic_id), *partition, epoch);
            }
        }
        owned
    };
    Current {
        state: MemberState::of_number(value.state),
        epoch: value.member_epoch,
        previous_epoch: value.previous_member_epoch,
        assigned: owned(&value.assigned_partitions),
        pending_revocation: owned(&value.partitions_pending_revocation),
    }
}

/// A target, as it is kept. Kafka: `newConsumerGroupTargetAssignmentRecord`.
pub(super) fn target_to_value(target: &Assignment) -> ConsumerGroupTargetAssignmentMemberValue {
    let topics = target.topics().map(|(topic, partitions)| target_value::TopicPartition {
        topic_id: topic.0,
        partitions: partitions.keys().copied().collect(),
    });
    ConsumerGroupTargetAssignmentMemberValue {
        topic_partitions: topics.collect(),
    }
}

/// The target that a record tells of.
pub(super) fn target_of_value(value: &ConsumerGroupTargetAssignmentMemberValue) -> Assignment {
    let topics = value.topic_partitions.iter();
    let partitions = topics.flat_map(|topic| {
        let id = TopicId(topic.topic_id);
        topic.partitions.iter().map(move |partition| (id, *partition))
    });
    partitions.collect()
}

impl MemberState {
    /// Kafka: `MemberState.value`.
    fn to_number(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
        }
    }

    /// A state that is not known is one in which the member has to be asked what it owns.
    fn of_number(number: i8) -> Self {
        match number {
            0 => Self::Stable,
            2 => Self::UnreleasedPartitions,
            _ => Self::UnrevokedPartitions,
        }
    }
}
