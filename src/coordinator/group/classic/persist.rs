//! What is kept of a group: its members and their assignment, as the log has them.

use std::sync::Arc;

use bytes::Bytes;
use duramen_wire::messages::group_metadata_value::{GroupMetadataValue, MemberMetadata};

use crate::base::time::TimestampMs;
use crate::coordinator::group::Record;
use crate::coordinator::group::types::Protocol;

use super::{Group, Member, State, Turn};

impl Group {
    /// The group as it is kept. Kafka: `GroupCoordinatorRecordHelpers.newGroupMetadataRecord`.
    pub(super) fn record_by_id(&self, assignment: &dyn Fn(&Arc<str>) -> Bytes) -> Record {
        let members = self
            .members
            .keys()
            .filter_map(|id| self.kept_member(id, assignment(id)));
        self.record_of(members.collect())
    }

    /// A member as it is kept.
    pub(super) fn kept_member(&self, id: &Arc<str>, assignment: Bytes) -> Option<MemberMetadata> {
        let member = self.members.get(id)?;
        Some(MemberMetadata {
            member_id: text(id),
            group_instance_id: member.instance_id.as_ref().map(text),
            client_id: text(&member.client_id),
            client_host: text(&member.client_host),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(self.protocol.as_ref()),
            assignment,
        })
    }

    /// The group as it is kept, with these members, which are all, in the order of their ids.
    pub(super) fn record_of(&self, members: Vec<MemberMetadata>) -> Record {
        Record::ClassicGroup {
            group: Arc::clone(&self.id),
            value: Some(GroupMetadataValue {
                protocol_type: self.protocol_type.as_ref().map(text).unwrap_or_default(),
                generation: self.generation,
                protocol: self.protocol.as_ref().map(text),
                leader: self.leader.as_ref().map(text),
                current_state_timestamp: self.state_since.unwrap_or(TimestampMs::NONE).0,
                members,
            }),
        }
    }

    /// A group that nobody has joined yet. Kafka: `GroupCoordinatorRecordHelpers.newEmptyGroupMetadataRecord`.
    pub(in crate::coordinator::group) fn first_record(&self, now: TimestampMs) -> Record {
        Record::ClassicGroup {
            group: Arc::clone(&self.id),
            value: Some(GroupMetadataValue {
                protocol: None,
                leader: None,
                current_state_timestamp: now.0,
                ..GroupMetadataValue::default()
            }),
        }
    }

    /// Whether a record is about this group as it is, rather than about one that was before.
    pub(in crate::coordinator::group) fn is_described_by(&self, value: &GroupMetadataValue) -> bool {
        // The first record of a group comes before its first member counts.
        if value.members.is_empty() && value.generation == 0 && self.generation == 0 {
            return true;
        }
        // Records of this broker have the members in order; one of another broker tells of a group that nobody has spoken to yet.
        let members = value.members.iter().map(|member| member.member_id.as_str());
        self.generation == value.generation && self.members.keys().map(AsRef::as_ref).eq(members)
    }

    /// A record about this group, which it is [described by](Self::is_described_by), is kept: its assignment is in force.
    pub(in crate::coordinator::group) fn adopt(&mut self, value: &GroupMetadataValue) {
        let is_assigned = matches!(self.state, State::CompletingRebalance | State::Stable);
        if !is_assigned || value.members.is_empty() {
            return;
        }
        for (member, kept) in self.members.values_mut().zip(&value.members) {
            member.assignment = Bytes::copy_from_slice(&kept.assignment);
        }
        self.state = State::Stable;
        self.state_since = Some(TimestampMs(value.current_state_timestamp));
    }

    /// The group that a record tells of. Kafka: `GroupMetadataManager.replay`.
    pub(in crate::coordinator::group) fn from_value(id: Arc<str>, value: &GroupMetadataValue) -> Self {
        let mut group = Self::new(id);
        let protocol_type: Arc<str> = value.protocol_type.as_str().into();
        let protocol: Option<Arc<str>> = value.protocol.as_deref().map(Into::into);
        group.generation = value.generation;
        group.state_since = (value.current_state_timestamp != -1).then_some(TimestampMs(value.current_state_timestamp));
        group.leader = value.leader.as_deref().map(Into::into);
        group.protocol_type = (!protocol_type.is_empty()).then(|| Arc::clone(&protocol_type));
        for kept in &value.members {
            let id: Arc<str> = kept.member_id.as_str().into();
            if group.members.contains_key(&id) {
                // No coordinator writes a member twice; one that is whole is better than two that are half.
                continue;
            }
            let member = Member {
                instance_id: kept.group_instance_id.as_deref().map(Into::into),
                client_id: kept.client_id.as_str().into(),
                client_host: kept.client_host.as_str().into(),
                session_timeout_ms: kept.session_timeout,
                rebalance_timeout_ms: match kept.rebalance_timeout {
                    -1 => kept.session_timeout,
                    timeout_ms => timeout_ms,
                },
                protocols: protocol
                    .iter()
                    .map(|name| Protocol {
                        name: Arc::clone(name),
                        metadata: Bytes::copy_from_slice(&kept.subscription),
                    })
                    .collect(),
                assignment: Bytes::copy_from_slice(&kept.assignment),
                awaiting_join: None,
                awaiting_sync: None,
                is_new: false,
            };
            group.add(&id, member, &protocol_type);
        }
        group.protocol = protocol;
        if !group.members.is_empty() {
            group.state = State::Stable;
        }
        group.compute_subscription();
        group
    }

    /// The group was read from the log: its members have the time of a session to be heard of.
    pub(in crate::coordinator::group) fn on_loaded(&mut self, turn: &mut Turn<'_>) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in &ids {
            self.extend_session(id, turn);
        }
        if self.members.len() > turn.config.members_max {
            self.prepare(turn);
        }
    }
}

fn text(text: &Arc<str>) -> String {
    text.to_string()
}
