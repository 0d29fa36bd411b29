//! SyncGroup.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::coordinator::group::types::{Answer, GroupError, Sync, Synced, Ticket};

use super::{Group, Member, State, Turn};

impl Group {
    /// A member asks for its assignment; the leader brings all of them. Kafka: `GroupMetadataManager.classicGroupSyncToClassicGroup`.
    pub(in crate::coordinator::group) fn sync(&mut self, ticket: Ticket, sync: Sync, turn: &mut Turn<'_>) {
        if let Err(error) = self.check_sync(&sync) {
            turn.effects.give(ticket, Answer::Sync(Err(error)));
            return;
        }
        let id = &sync.member_id;
        match self.state {
            State::Empty => turn.effects.give(ticket, Answer::Sync(Err(GroupError::UnknownMember))),
            State::PreparingRebalance { .. } => {
                turn.effects
                    .give(ticket, Answer::Sync(Err(GroupError::RebalanceInProgress)));
            }
            State::CompletingRebalance => {
                let before = self
                    .members
                    .get_mut(id)
                    .and_then(|member| member.awaiting_sync.replace(ticket));
                if let Some(before) = before {
                    // The same member asks again: its older request is over.
                    turn.effects
                        .give(before, Answer::Sync(Err(GroupError::RebalanceInProgress)));
                }
                self.note_sync(id, turn);
                if self.leader.as_ref() == Some(id) {
                    self.assign(sync.assignments, turn);
                }
            }
            State::Stable => {
                self.note_sync(id, turn);
                let assignment = self.members.get(id).map(|member| member.assignment.clone());
                let synced = self.synced(assignment.unwrap_or_default());
                turn.effects.give(ticket, Answer::Sync(Ok(synced)));
            }
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), GroupError> {
        self.check_member(&sync.member_id, sync.instance_id.as_ref())?;
        if sync.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        if differs(sync.protocol_type.as_deref(), self.protocol_type.as_deref())
            || differs(sync.protocol.as_deref(), self.protocol.as_deref())
        {
            return Err(GroupError::InconsistentProtocol);
        }
        Ok(())
    }

    fn note_sync(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        self.pending_sync.remove(id);
        if self.pending_sync.is_empty() {
            turn.timers.cancel(&self.sync_timer());
        }
    }

    /// The assignment of the generation: it is in force when the record is replayed. Members that it does not name have nothing to do.
    fn assign(&mut self, assignments: Vec<(Arc<str>, Bytes)>, turn: &mut Turn<'_>) {
        let by_member: BTreeMap<Arc<str>, Bytes> = assignments.into_iter().collect();
        if self.is_large() {
            self.assign_in_slices(by_member, turn);
            return;
        }
        let of = |id: &Arc<str>| by_member.get(id).cloned().unwrap_or_default();
        let record = self.record_by_id(&of);
        turn.effects.records.push(record);
        let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
        self.complete_syncs(turn, |id| {
            Ok(Synced {
                protocol_type: protocol_type.clone(),
                protocol: protocol.clone(),
                // Not a part of the leader's frame, which would be kept for it.
                assignment: Bytes::copy_from_slice(&of(id)),
            })
        });
    }

    pub(super) fn synced(&self, assignment: Bytes) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        }
    }

    /// The group as it is kept, with assignments by what each member is.
    pub(super) fn record(&self, assignment: impl Fn(&Member) -> Bytes) -> crate::coordinator::group::Record {
        self.record_by_id(&|id| self.members.get(id).map(&assignment).unwrap_or_default())
    }
}

/// Whether a member believes something else than the group knows.
fn differs(believed: Option<&str>, known: Option<&str>) -> bool {
    believed.zip(known).is_some_and(|(believed, known)| believed != known)
}
