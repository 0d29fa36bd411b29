//! Who is in a group: coming, going, taking over.

use std::sync::Arc;

use crate::coordinator::group::Effects;
use crate::coordinator::group::types::{
    Answer, GroupError, Join, JoinRefused, Joined, JoinedMember, Protocol, Synced, Ticket,
};

use super::member::own;
use super::{Group, Member, State, Turn, milliseconds};

impl Group {
    /// Kafka: `ClassicGroup.add`.
    pub(super) fn add(&mut self, id: &Arc<str>, member: Member, protocol_type: &Arc<str>) {
        if let Some(instance) = &member.instance_id {
            self.instances.insert(Arc::clone(instance), Arc::clone(id));
        }
        if self.members.is_empty() {
            self.protocol_type = Some(Arc::clone(protocol_type));
        }
        if self.leader.is_none() {
            self.leader = Some(Arc::clone(id));
        }
        self.count_protocols(&member.protocols, 1);
        self.awaiting_join += usize::from(member.awaiting_join.is_some());
        self.pending_join.remove(id);
        self.members.insert(Arc::clone(id), member);
    }

    /// Takes a member out, and gives it back. Its deadline is left to the caller. Kafka: `ClassicGroup.remove`.
    pub(super) fn remove(&mut self, id: &Arc<str>) -> Option<Member> {
        let removed = self.members.remove(id);
        if let Some(member) = &removed {
            self.count_protocols(&member.protocols, -1);
            self.awaiting_join -= usize::from(member.awaiting_join.is_some());
            if let Some(instance) = &member.instance_id {
                self.instances.remove(instance);
            }
        }
        if self.leader.as_ref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_join.remove(id);
        self.pending_sync.remove(id);
        removed
    }

    /// Takes a member out for good: whoever waits as it learns that it is not known.
    pub(super) fn expel(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.session_timer(id));
        if let Some(member) = self.remove(id) {
            refuse(&member, id, GroupError::UnknownMember, turn.effects);
        }
    }

    /// Gives a static member another id and keeps the rest; whoever waits under the old id is fenced. Kafka:
    /// `ClassicGroup.replaceStaticMember`.
    pub(super) fn replace(&mut self, old: &Arc<str>, new: &Arc<str>, turn: &mut Turn<'_>) {
        let was_leader = self.leader.as_ref() == Some(old);
        let was_pending_sync = self.pending_sync.contains(old);
        turn.timers.cancel(&self.session_timer(old));
        let Some(mut member) = self.remove(old) else { return };
        refuse(&member, old, GroupError::FencedInstance, turn.effects);
        member.awaiting_join = None;
        member.awaiting_sync = None;
        member.is_new = false;
        let protocol_type = self.protocol_type.clone().unwrap_or_default();
        self.add(new, member, &protocol_type);
        if was_leader {
            self.leader = Some(Arc::clone(new));
        }
        if was_pending_sync {
            self.pending_sync.insert(Arc::clone(new));
        }
        self.extend_session(new, turn);
    }

    /// A member joins again, maybe with other protocols. Kafka: `ClassicGroup.updateMember`.
    pub(super) fn update(&mut self, id: &Arc<str>, join: &Join, ticket: Ticket, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let old = std::mem::replace(&mut member.protocols, own(&join.protocols));
        let new = member.protocols.clone();
        member.rebalance_timeout_ms = join.rebalance_timeout_ms;
        member.session_timeout_ms = join.session_timeout_ms;
        let before = member.awaiting_join.replace(ticket);
        self.awaiting_join += usize::from(before.is_none());
        self.count_protocols(&old, -1);
        self.count_protocols(&new, 1);
        if let Some(before) = before {
            // The same member asks again: its older request is over.
            let refused = JoinRefused {
                error: GroupError::RebalanceInProgress,
                member_id: Arc::clone(id),
            };
            turn.effects.give(before, Answer::Join(Err(refused)));
        }
    }

    /// Answers a member that waits for the next generation.
    pub(super) fn complete_join(&mut self, id: &Arc<str>, joined: Joined, effects: &mut Effects) {
        let waiting = self.members.get_mut(id).and_then(|member| member.awaiting_join.take());
        if let Some(ticket) = waiting {
            self.awaiting_join -= 1;
            effects.give(ticket, Answer::Join(Ok(joined)));
        }
    }

    /// Answers a member that waits for the leader's assignment, which is in force; it begins a session anew.
    pub(super) fn tell_assignment(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        if let Some(ticket) = member.awaiting_sync.take() {
            let assignment = member.assignment.clone();
            let synced = self.synced(assignment);
            turn.effects.give(ticket, Answer::Sync(Ok(synced)));
            self.extend_session(id, turn);
        }
    }

    /// Refuses all that wait for the leader's assignment.
    pub(super) fn refuse_syncs(&mut self, error: GroupError, turn: &mut Turn<'_>) {
        self.complete_syncs(turn, |_| Err(error));
    }

    /// Answers all that wait for the leader's assignment; whether a member got one. Members that were answered begin a session anew.
    pub(super) fn complete_syncs(
        &mut self,
        turn: &mut Turn<'_>,
        mut answer: impl FnMut(&Arc<str>) -> Result<Synced, GroupError>,
    ) {
        let mut answered = Vec::new();
        for (id, member) in &mut self.members {
            if let Some(ticket) = member.awaiting_sync.take() {
                turn.effects.give(ticket, Answer::Sync(answer(id)));
                answered.push(Arc::clone(id));
            }
        }
        for id in answered {
            self.extend_session(&id, turn);
        }
    }

    /// Refuses all that wait.
    pub(in crate::coordinator::group) fn refuse_waiting(&mut self, error: GroupError, effects: &mut Effects) {
        for (id, member) in &mut self.members {
            refuse(member, id, error, effects);
            member.awaiting_join = None;
            member.awaiting_sync = None;
        }
        self.awaiting_join = 0;
    }

    /// A member was heard of.
    pub(super) fn extend_session(&self, id: &Arc<str>, turn: &mut Turn<'_>) {
        if let Some(member) = self.members.get(id) {
            let due = turn.now.monotonic.plus(milliseconds(member.session_timeout_ms));
            turn.timers.schedule(self.session_timer(id), due);
        }
    }

    /// Whether a request may speak for a member. Kafka: `ClassicGroup.validateMember`.
    pub(super) fn check_member(&self, id: &Arc<str>, instance_id: Option<&Arc<str>>) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            let current = self.instances.get(instance_id).ok_or(GroupError::UnknownMember)?;
            if current != id {
                return Err(GroupError::FencedInstance);
            }
        }
        match self.members.contains_key(id) {
            true => Ok(()),
            false => Err(GroupError::UnknownMember),
        }
    }

    pub(super) fn all_have_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending_join.is_empty()
    }

    /// What the leader is told of all.
    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let told = self.members.iter().map(|(id, member)| JoinedMember {
            member_id: Arc::clone(id),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(self.protocol.as_ref()),
        });
        told.collect()
    }

    /// The current generation, as a member learns of it.
    pub(super) fn joined(&self, id: &Arc<str>, members: Vec<JoinedMember>) -> Joined {
        Joined {
            member_id: Arc::clone(id),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members,
            skip_assignment: false,
        }
    }

    /// Whether a member with these protocols fits in. Kafka: `ClassicGroup.supportsProtocols`.
    pub(super) fn supports(&self, protocol_type: &Arc<str>, protocols: &[Protocol]) -> bool {
        match self.state {
            State::Empty => !protocol_type.is_empty() && !protocols.is_empty(),
            State::PreparingRebalance { .. } | State::CompletingRebalance | State::Stable => {
                let is_common = |protocol: &Protocol| {
                    self.supported.get(&protocol.name).copied().unwrap_or(0) == self.members.len()
                };
                self.protocol_type.as_ref() == Some(protocol_type) && protocols.iter().any(is_common)
            }
        }
    }

    /// The protocol that most members like best, of those that all support; among equals, the first by name.
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let mut votes = std::collections::BTreeMap::new();
        for member in self.members.values() {
            if let Some(name) = member.vote(&self.supported, self.members.len()) {
                *votes.entry(name).or_insert(0usize) += 1;
            }
        }
        let most = votes.values().max().copied()?;
        let elected = votes.into_iter().find(|(_, count)| *count == most)?;
        Some(Arc::clone(elected.0))
    }

    fn count_protocols(&mut self, protocols: &[Protocol], by: isize) {
        for protocol in protocols {
            let count = self.supported.entry(Arc::clone(&protocol.name)).or_default();
            *count = count.saturating_add_signed(by);
            if *count == 0 {
                self.supported.remove(&protocol.name);
            }
        }
    }
}

fn refuse(member: &Member, id: &Arc<str>, error: GroupError, effects: &mut Effects) {
    if let Some(ticket) = member.awaiting_join {
        // Who is not known is to begin without an id.
        let member_id = match error == GroupError::UnknownMember {
            true => Arc::default(),
            false => Arc::clone(id),
        };
        effects.give(ticket, Answer::Join(Err(JoinRefused { error, member_id })));
    }
    if let Some(ticket) = member.awaiting_sync {
        effects.give(ticket, Answer::Sync(Err(error)));
    }
}
