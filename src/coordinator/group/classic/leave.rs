//! LeaveGroup.

use std::sync::Arc;

use crate::coordinator::group::types::{Answer, GroupError, LeavingMember, LeftMember, Ticket};

use super::{Group, State, Turn};

impl Group {
    /// Members leave, or are taken out by their instance ids. Kafka: `GroupMetadataManager.classicGroupLeaveToClassicGroup`.
    pub(in crate::coordinator::group) fn leave(
        &mut self,
        ticket: Ticket,
        members: Vec<LeavingMember>,
        turn: &mut Turn<'_>,
    ) {
        let left = members.into_iter().map(|member| {
            let result = self.leave_one(&member, turn);
            LeftMember { member, result }
        });
        let left: Vec<LeftMember> = left.collect();
        let has_changed = left.iter().any(|left| left.result.is_ok());
        if has_changed {
            match self.state {
                State::Stable | State::CompletingRebalance => self.rebalance(turn),
                State::PreparingRebalance { .. } => self.maybe_complete(turn),
                State::Empty => {}
            }
        }
        turn.effects.give(ticket, Answer::Leave(Ok(left)));
    }

    fn leave_one(&mut self, leaving: &LeavingMember, turn: &mut Turn<'_>) -> Result<(), GroupError> {
        let id = &leaving.member_id;
        if id.is_empty() {
            let instance_id = leaving.instance_id.as_ref().ok_or(GroupError::UnknownMember)?;
            let current = self.instances.get(instance_id).map(Arc::clone);
            self.expel(&current.ok_or(GroupError::UnknownMember)?, turn);
            return Ok(());
        }
        if !self.pending_join.contains(id) {
            self.check_member(id, leaving.instance_id.as_ref())?;
        }
        self.expel(id, turn);
        Ok(())
    }
}
