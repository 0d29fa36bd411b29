//! From a group of one protocol to one of the other, while it has members (KIP-848). Kafka: `ConsumerGroup.fromClassicGroup`,
//! `ClassicGroup.fromConsumerGroup`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::time::TimestampMs;
use crate::coordinator::group::consumer::{
    self, Assignment, Catalogue, ClassicMember, ConsumerRecord, Current, MemberState, Owned,
};
use crate::coordinator::group::types::Protocol;
use crate::coordinator::group::{Now, Record};

use super::{Group, Member};

impl Group {
    /// The records of the consumer group that this one becomes, with all its members in one epoch: its generation. `None` if they are not
    /// consumers, or cannot be understood.
    pub(in crate::coordinator::group) fn as_consumers(
        &self,
        catalogue: &dyn Catalogue,
        now: Now,
    ) -> Option<Vec<ConsumerRecord>> {
        if !self.is_of_consumers() {
            return None;
        }
        let mut members = Vec::with_capacity(self.members.len());
        let mut taken: BTreeSet<_> = BTreeSet::new();
        for (id, member) in &self.members {
            let (mut member, assignment) = self.as_consumer(member, catalogue)?;
            // A leader may have written anything; nobody may own what another does.
            for (topic, partition, ()) in assignment.iter() {
                if taken.insert((topic, partition)) {
                    member.current.assigned.insert(topic, partition, self.generation);
                }
            }
            members.push((Arc::clone(id), member));
        }
        Some(consumer::Group::founding(
            &self.id,
            self.generation,
            members,
            catalogue,
            now.wall,
        ))
    }

    fn as_consumer(&self, member: &Member, catalogue: &dyn Catalogue) -> Option<(consumer::Member, Assignment)> {
        let protocol = self
            .protocol
            .as_ref()
            .or(member.protocols.first().map(|first| &first.name));
        let subscription = consumer::subscription_of(&member.metadata(protocol))?;
        let assignment = match member.assignment.is_empty() {
            true => Assignment::default(),
            false => consumer::assignment_of(&member.assignment, catalogue)?,
        };
        let protocols = member.protocols.iter();
        let protocols = protocols.map(|protocol| (Arc::clone(&protocol.name), protocol.metadata.clone()));
        let consumer = consumer::Member {
            instance_id: member.instance_id.clone(),
            rack_id: subscription.rack_id.as_deref().map(Arc::from),
            client_id: Arc::clone(&member.client_id),
            client_host: Arc::clone(&member.client_host),
            subscribed_names: subscription
                .topics
                .iter()
                .map(|name| Arc::from(name.as_str()))
                .collect(),
            subscribed_regex: None,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            assignor: None,
            classic: Some(ClassicMember {
                session_timeout_ms: member.session_timeout_ms,
                protocols: protocols.collect(),
            }),
            current: Current {
                state: MemberState::Stable,
                epoch: self.generation,
                previous_epoch: self.generation,
                assigned: Owned::default(),
                pending_revocation: Owned::default(),
            },
        };
        Some((consumer, assignment))
    }

    /// The record of the classic group that a consumer group becomes without some of its members, and with one that joins; all the others
    /// speak the classic protocol.
    pub(in crate::coordinator::group) fn of_consumers(
        consumers: &consumer::Group,
        gone: &BTreeSet<&Arc<str>>,
        joining: Option<(&Arc<str>, &consumer::Member)>,
        catalogue: &dyn Catalogue,
        now: TimestampMs,
    ) -> Record {
        let mut group = Self::new(Arc::clone(consumers.id()));
        group.generation = consumers.epoch();
        group.state_since = Some(now);
        let protocol_type: Arc<str> = "consumer".into();
        let staying = consumers.members().filter(|(id, _)| !gone.contains(id));
        for (id, member) in staying.chain(joining) {
            let Some(classic) = &member.classic else { continue };
            let protocols = classic.protocols.iter().map(|(name, metadata)| Protocol {
                name: Arc::clone(name),
                metadata: metadata.clone(),
            });
            let member = Member {
                instance_id: member.instance_id.clone(),
                client_id: Arc::clone(&member.client_id),
                client_host: Arc::clone(&member.client_host),
                session_timeout_ms: classic.session_timeout_ms,
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                protocols: protocols.collect(),
                assignment: member.classic_assignment(catalogue),
                awaiting_join: None,
                awaiting_sync: None,
                is_new: false,
            };
            group.add(id, member, &protocol_type);
        }
        group.protocol = group.select_protocol();
        group.record_by_id(&|id| {
            let member = group.members.get(id);
            member.map(|member| member.assignment.clone()).unwrap_or_default()
        })
    }
}
