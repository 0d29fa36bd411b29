//! Members of a consumer group that speak the classic protocol: they are assigned like all, and learn of it as a classic group would tell
//! them. A generation is a member epoch to them, and their assignment is written in the format of clients.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use duramen_wire::messages::consumer_protocol_assignment::{ConsumerProtocolAssignment, TopicPartition};
use duramen_wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use duramen_wire::{Message, Reader, Writer};

use crate::coordinator::group::types::{GroupError, Join, LeavingMember, Sync, Synced};

use super::heartbeat::ClassicJoin;
use super::{Assignment, Catalogue, ClassicMember, Group, Heartbeat, Member, MemberState, Owned};

/// The protocol type of consumers (Kafka: `ConsumerProtocol.PROTOCOL_TYPE`).
const CONSUMER: &str = "consumer";

/// The latest version of subscriptions and assignments; later ones begin with its fields.
const VERSION_MAX: i16 = 3;

/// Bytes that decoding may reserve for each of a client's bytes.
const DECODE_BUDGET_PER_BYTE: usize = 64;

/// A join by the classic protocol, as a heartbeat; `None` if it cannot be understood.
#[must_use]
pub fn as_heartbeat(join: &Join, member_id: Arc<str>, catalogue: &dyn Catalogue) -> Option<Heartbeat> {
    let preferred = join.protocols.first()?;
    let subscription = subscription_of(&preferred.metadata)?;
    let owned = subscription.owned_partitions.iter().flat_map(|owned| {
        let topic = catalogue.topic(&owned.topic);
        let of_topic = move |partition: &i32| Some((topic?.id, *partition));
        owned.partitions.iter().filter_map(of_topic)
    });
    let own = |protocol: &crate::coordinator::group::Protocol| {
        (Arc::clone(&protocol.name), Bytes::copy_from_slice(&protocol.metadata))
    };
    Some(Heartbeat {
        group: Arc::clone(&join.group),
        member_id,
        member_epoch: 0,
        instance_id: join.instance_id.clone(),
        rack_id: subscription.rack_id.as_deref().map(Arc::from),
        client_id: Arc::clone(&join.client_id),
        client_host: Arc::clone(&join.client_host),
        rebalance_timeout_ms: join.rebalance_timeout_ms,
        subscribed_names: Some(
            subscription
                .topics
                .iter()
                .map(|name| Arc::from(name.as_str()))
                .collect(),
        ),
        // One that it had by the other protocol is no more.
        subscribed_regex: Some(Arc::default()),
        assignor: None,
        owned: Some(owned.collect()),
        classic: Some(ClassicJoin {
            member: ClassicMember {
                session_timeout_ms: join.session_timeout_ms,
                protocols: join.protocols.iter().map(own).collect(),
            },
            has_fresh_id: join.member_id.is_empty(),
        }),
    })
}

/// What a classic member is subscribed to, and says it owns.
#[must_use]
pub fn subscription_of(metadata: &Bytes) -> Option<ConsumerProtocolSubscription> {
    let (version, rest) = versioned(metadata)?;
    ConsumerProtocolSubscription::decode(&mut Reader::new(&rest, budget(&rest)), version).ok()
}

/// The partitions in an assignment that a leader of a classic group has written.
#[must_use]
pub fn assignment_of(bytes: &Bytes, catalogue: &dyn Catalogue) -> Option<Assignment> {
    let (version, rest) = versioned(bytes)?;
    let decoded = ConsumerProtocolAssignment::decode(&mut Reader::new(&rest, budget(&rest)), version).ok()?;
    let partitions = decoded.assigned_partitions.iter().flat_map(|assigned| {
        let topic = catalogue.topic(&assigned.topic);
        let of_topic = move |partition: &i32| Some((topic?.id, *partition));
        assigned.partitions.iter().filter_map(of_topic)
    });
    Some(partitions.collect())
}

fn versioned(bytes: &Bytes) -> Option<(i16, Bytes)> {
    let (version, rest) = bytes.split_first_chunk::<2>()?;
    let version = i16::from_be_bytes(*version);
    (version >= 0).then(|| (version.min(VERSION_MAX), bytes.slice_ref(rest)))
}

fn budget(bytes: &Bytes) -> usize {
    bytes.len().saturating_mul(DECODE_BUDGET_PER_BYTE)
}

impl Member {
    /// The protocol that it is told to use: its own first.
    #[must_use]
    pub fn classic_protocol(&self) -> Option<&(Arc<str>, Bytes)> {
        self.classic.as_ref()?.protocols.first()
    }

    /// What it has, in the format of clients. Topics that are gone are left out.
    #[must_use]
    pub fn classic_assignment(&self, catalogue: &dyn Catalogue) -> Bytes {
        let topics = self.current.assigned.topics().filter_map(|(id, partitions)| {
            Some(TopicPartition {
                topic: catalogue.name(id)?.to_owned(),
                partitions: partitions.keys().copied().collect(),
            })
        });
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: topics.collect(),
            user_data: None,
        };
        let protocol = self.classic_protocol().and_then(|(_, metadata)| versioned(metadata));
        let version = protocol.map_or(0, |(version, _)| version);
        let mut writer = Writer::new();
        writer.int16(version);
        let encoded = assignment.encode(&mut writer, version);
        encoded.and_then(|()| writer.into_bytes()).unwrap_or_default()
    }
}

impl Group {
    /// Whether a member with these protocols fits in. Kafka: `ConsumerGroup.supportsClassicProtocols`.
    #[must_use]
    pub fn supports(&self, join: &Join) -> bool {
        let classic: Vec<&ClassicMember> = self
            .members
            .values()
            .filter_map(|member| member.classic.as_ref())
            .collect();
        let is_common = |name: &Arc<str>| {
            classic
                .iter()
                .all(|member| member.protocols.iter().any(|(known, _)| known == name))
        };
        *join.protocol_type == *CONSUMER && join.protocols.iter().any(|protocol| is_common(&protocol.name))
    }

    /// The member that a classic request is of. Kafka: `GroupMetadataManager.validateConsumerGroupMember`.
    fn classic_member(&self, id: &Arc<str>, instance_id: Option<&Arc<str>>) -> Result<&Member, GroupError> {
        if let Some(instance_id) = instance_id {
            let owner = self.instances.get(instance_id).ok_or(GroupError::UnknownMember)?;
            if owner != id {
                return Err(GroupError::FencedInstance);
            }
        }
        let member = self.member(id).filter(|member| member.classic.is_some());
        member.ok_or(GroupError::UnknownMember)
    }

    /// What a member has to do. Kafka: `GroupMetadataManager.classicGroupSyncToConsumerGroup`.
    pub(in crate::coordinator::group) fn sync(
        &self,
        sync: &Sync,
        catalogue: &dyn Catalogue,
    ) -> Result<Synced, GroupError> {
        let member = self.classic_member(&sync.member_id, sync.instance_id.as_ref())?;
        if sync.generation != member.current.epoch {
            return Err(GroupError::IllegalGeneration);
        }
        let protocol = member.classic_protocol().map(|(name, _)| Arc::clone(name));
        let differs = |said: &Option<String>, known: Option<&str>| said.is_some() && said.as_deref() != known;
        if differs(&sync.protocol_type, Some(CONSUMER)) || differs(&sync.protocol, protocol.as_deref()) {
            return Err(GroupError::InconsistentProtocol);
        }
        // One that has to give partitions up is to learn so first.
        if self.epoch > member.current.epoch && member.current.state != MemberState::UnrevokedPartitions {
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(Synced {
            protocol_type: sync.protocol_type.as_deref().map(Arc::from),
            protocol: sync.protocol.as_deref().map(Arc::from),
            assignment: member.classic_assignment(catalogue),
        })
    }

    /// Whether a member may go on as it is, or has to join again. Kafka: `GroupMetadataManager.classicGroupHeartbeatToConsumerGroup`.
    pub(in crate::coordinator::group) fn has_to_join_again(
        &self,
        id: &Arc<str>,
        instance_id: Option<&Arc<str>>,
        generation: i32,
    ) -> Result<bool, GroupError> {
        let member = self.classic_member(id, instance_id)?;
        if generation != member.current.epoch {
            return Err(GroupError::IllegalGeneration);
        }
        Ok(match member.current.state {
            _ if member.current.epoch < self.epoch => true,
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !self.waits_for_others(id, &member.current.assigned),
            MemberState::Stable => false,
        })
    }

    /// Whether others own some of what a member is to have.
    fn waits_for_others(&self, id: &Arc<str>, assigned: &Owned) -> bool {
        let target = self.target(id);
        let mut missing = target.into_iter().flat_map(Assignment::iter);
        missing
            .any(|(topic, partition, ())| !assigned.contains(topic, partition) && self.owned.contains(topic, partition))
    }

    /// The member that leaves by the classic protocol, or is taken out. Kafka: `GroupMetadataManager.classicGroupLeaveToConsumerGroup`.
    pub(in crate::coordinator::group) fn leaving(&self, leaving: &LeavingMember) -> Result<Arc<str>, GroupError> {
        let id = match &leaving.instance_id {
            Some(instance_id) if leaving.member_id.is_empty() => {
                self.instances.get(instance_id).ok_or(GroupError::UnknownMember)?
            }
            Some(_) | None => &leaving.member_id,
        };
        self.classic_member(id, leaving.instance_id.as_ref())?;
        Ok(Arc::clone(id))
    }

    /// Whether all members speak the classic protocol, but for those that go.
    pub(in crate::coordinator::group) fn is_classic_without(&self, gone: &BTreeSet<&Arc<str>>) -> bool {
        self.staying(gone).all(|member| member.classic.is_some())
    }

    /// Whether all members have what they are to have, but for those that go.
    pub(in crate::coordinator::group) fn is_at_rest_without(&self, gone: &BTreeSet<&Arc<str>>) -> bool {
        let is_at_rest =
            |member: &Member| member.current.state == MemberState::Stable && member.current.epoch == self.epoch;
        self.target_epoch == self.epoch && self.staying(gone).all(is_at_rest)
    }

    fn staying(&self, gone: &BTreeSet<&Arc<str>>) -> impl Iterator<Item = &Member> {
        let staying = self.members().filter(|(id, _)| !gone.contains(id));
        staying.map(|(_, member)| member)
    }

    /// The static member of an instance.
    pub(in crate::coordinator::group) fn of_instance(&self, instance: &Arc<str>) -> Option<(&Arc<str>, &Member)> {
        let owner = self.instances.get(instance)?;
        Some((owner, self.member(owner)?))
    }
}
