//! Heartbeat.

use crate::coordinator::group::types::{GroupError, Heartbeat};

use super::{Group, State, Turn};

impl Group {
    /// A member is alive. Kafka: `GroupMetadataManager.classicGroupHeartbeatToClassicGroup`.
    pub(in crate::coordinator::group) fn heartbeat(
        &mut self,
        heartbeat: &Heartbeat,
        turn: &mut Turn<'_>,
    ) -> Result<(), GroupError> {
        self.check_member(&heartbeat.member_id, heartbeat.instance_id.as_ref())?;
        if heartbeat.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        match self.state {
            State::Empty => Err(GroupError::UnknownMember),
            State::PreparingRebalance { .. } => {
                self.extend_session(&heartbeat.member_id, turn);
                Err(GroupError::RebalanceInProgress)
            }
            State::CompletingRebalance | State::Stable => {
                self.extend_session(&heartbeat.member_id, turn);
                Ok(())
            }
        }
    }
}
