//! JoinGroup.

use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::hyphenated;
use crate::base::limits::PENDING_MEMBERS_PER_GROUP_MAX;
use crate::coordinator::group::types::{Answer, GroupError, Join, JoinRefused, Joined, Ticket};

use super::{Group, Member, State, Turn, milliseconds};

/// How long a new member may wait without a sign of life: it does not know its id yet (Kafka: `classicGroupNewMemberJoinTimeoutMs`).
const NEW_MEMBER_TIMEOUT: Duration = Duration::from_secs(300);

impl Group {
    /// A client wants to be in the next generation. Kafka: `GroupMetadataManager.classicGroupJoinToClassicGroup`.
    pub(in crate::coordinator::group) fn join(&mut self, ticket: Ticket, join: Join, turn: &mut Turn<'_>) {
        let outcome = if !self.has_room_for(&join.member_id, turn) {
            self.expel(&join.member_id, turn);
            Err((GroupError::GroupFull, Arc::default()))
        } else if join.member_id.is_empty() {
            self.join_new(ticket, &join, turn)
        } else {
            let joined = self.join_known(ticket, &join, turn);
            joined.map_err(|error| (error, Arc::clone(&join.member_id)))
        };
        if let Err((error, member_id)) = outcome {
            let refused = JoinRefused { error, member_id };
            turn.effects.give(ticket, Answer::Join(Err(refused)));
        }
    }

    /// Kafka: `GroupMetadataManager.acceptJoiningMember`.
    fn has_room_for(&self, id: &Arc<str>, turn: &Turn<'_>) -> bool {
        let member = self.members.get(id);
        let members_max = turn.config.members_max;
        match self.state {
            State::Empty => true,
            // Members beyond the limit, which may have become lower, are those that come last.
            State::PreparingRebalance { .. } => {
                member.is_some_and(|member| member.awaiting_join.is_some()) || self.awaiting_join < members_max
            }
            State::CompletingRebalance | State::Stable => member.is_some() || self.members.len() < members_max,
        }
    }

    fn join_new(&mut self, ticket: Ticket, join: &Join, turn: &mut Turn<'_>) -> Result<(), (GroupError, Arc<str>)> {
        if !self.supports(&join.protocol_type, &join.protocols) {
            return Err((GroupError::InconsistentProtocol, Arc::default()));
        }
        let named_after = join.instance_id.as_ref().unwrap_or(&join.client_id);
        let id: Arc<str> = format!("{named_after}-{}", hyphenated(&join.fresh_id)).into();
        if let Some(instance_id) = &join.instance_id {
            match self.instances.get(instance_id).cloned() {
                Some(old) => self.take_over(ticket, join, &old, &id, turn),
                None => self.add_joining(ticket, join, &id, turn),
            }
            return Ok(());
        }
        if !join.takes_member_id {
            self.add_joining(ticket, join, &id, turn);
            return Ok(());
        }
        if self.pending_join.len() >= PENDING_MEMBERS_PER_GROUP_MAX {
            return Err((GroupError::GroupFull, Arc::default()));
        }
        self.pending_join.insert(Arc::clone(&id));
        let due = turn.now.monotonic.plus(milliseconds(join.session_timeout_ms));
        turn.timers.schedule(self.session_timer(&id), due);
        Err((GroupError::MemberIdRequired, id))
    }

    fn join_known(&mut self, ticket: Ticket, join: &Join, turn: &mut Turn<'_>) -> Result<(), GroupError> {
        let id = &join.member_id;
        if !self.supports(&join.protocol_type, &join.protocols) {
            return Err(GroupError::InconsistentProtocol);
        }
        if self.pending_join.contains(id) {
            if join.instance_id.is_some() {
                // A static member gets no id before it joins, so this one was made up.
                return Err(GroupError::UnknownMember);
            }
            self.add_joining(ticket, join, id, turn);
            return Ok(());
        }
        self.check_member(id, join.instance_id.as_ref())?;
        let Some(member) = self.members.get(id) else {
            return Err(GroupError::UnknownMember);
        };
        let is_same = member.protocols == super::member::own(&join.protocols);
        let is_leader = self.leader.as_ref() == Some(id);
        let may_stay = match self.state {
            State::PreparingRebalance { .. } => false,
            // It may not have got its answer.
            State::CompletingRebalance => is_same,
            // A leader that joins wants to assign again: what it assigns has changed.
            State::Stable => is_same && !is_leader,
            State::Empty => return Err(GroupError::UnknownMember),
        };
        if may_stay {
            let members = match is_leader {
                true => self.joined_members(),
                false => Vec::new(),
            };
            let joined = self.joined(id, members);
            turn.effects.give(ticket, Answer::Join(Ok(joined)));
        } else {
            self.update(id, join, ticket, turn);
            self.rebalance(turn);
        }
        Ok(())
    }

    /// Kafka: `GroupMetadataManager.addMemberThenRebalanceOrCompleteJoin`.
    fn add_joining(&mut self, ticket: Ticket, join: &Join, id: &Arc<str>, turn: &mut Turn<'_>) {
        if let State::PreparingRebalance { initial: Some(initial) } = &mut self.state {
            initial.member_added = true;
        }
        let member = Member {
            awaiting_join: Some(ticket),
            ..Member::new(join)
        };
        self.add(id, member, &join.protocol_type);
        let due = turn.now.monotonic.plus(NEW_MEMBER_TIMEOUT);
        turn.timers.schedule(self.session_timer(id), due);
        self.rebalance(turn);
    }

    /// A static member has come back under another id. Kafka: `GroupMetadataManager.updateStaticMemberThenRebalanceOrCompleteJoin`.
    fn take_over(&mut self, ticket: Ticket, join: &Join, old: &Arc<str>, id: &Arc<str>, turn: &mut Turn<'_>) {
        let old_leader = self.leader.clone();
        self.replace(old, id, turn);
        self.update(id, join, ticket, turn);
        match self.state {
            State::Stable if self.protocol == self.select_protocol() => {
                // Nothing changes for the others: the member gets what it had, under its new id.
                let is_leader = self.leader.as_ref() == Some(id);
                let joined = match join.can_skip_assignment {
                    true => {
                        let members = match is_leader {
                            true => self.joined_members(),
                            false => Vec::new(),
                        };
                        Joined {
                            skip_assignment: is_leader,
                            ..self.joined(id, members)
                        }
                    }
                    // Told of the old leader, a client that cannot skip does not take itself for it.
                    false => Joined {
                        leader: old_leader,
                        ..self.joined(id, Vec::new())
                    },
                };
                self.complete_join(id, joined, turn.effects);
                let record = self.record(|member| member.assignment.clone());
                turn.effects.records.push(record);
            }
            // The leader may be assigning to the old id.
            State::CompletingRebalance | State::Stable => self.prepare(turn),
            State::PreparingRebalance { .. } => self.maybe_complete(turn),
            // A group without members has no static one.
            State::Empty => {}
        }
    }
}
