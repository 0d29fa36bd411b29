//! Who votes on the metadata log (KIP-853), and the files beside it: names of snapshots, the state of the quorum. Pure.
//!
//! Voters stand in control records of the log and of its snapshots, not among the metadata records. Source: `KRaftControlRecordStateMachine`,
//! `Snapshots.java`, `QuorumStateData.json`.

use std::fmt;

use duramen_wire::messages::kraft_version_record::KRaftVersionRecord;
use duramen_wire::messages::voters_record::{Voter, VotersRecord};
use duramen_wire::{DecodeError, Message, Reader};

use crate::base::ids::{LeaderEpoch, NodeId};
use crate::base::offset::Offset;
use crate::record::{ControlType, RecordView};

/// How often its own length a decoded control record may take in memory.
const BUDGET_FACTOR: usize = 64;

/// What the control records say.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Quorum {
    /// Finalized level of `kraft.version`: from 1 on the voters stand in the log, below they are a matter of configuration.
    pub kraft_version: i16,
    pub voters: Vec<Voter>,
    /// In which this node appends, once it does.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// Why this node may not act as the controller of a metadata log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    #[error("a control record cannot be read: {0}")]
    Malformed(DecodeError),
    #[error("its controllers are {}, and this is node {}", list(.voters), .node.0)]
    NotAlone { voters: Vec<i32>, node: NodeId },
    #[error("it is at level {0} of kraft.version, and levels 0 and 1 are known here")]
    Version(i16),
}

fn list(voters: &[i32]) -> String {
    let names: Vec<String> = voters.iter().map(|voter| format!("node {voter}")).collect();
    names.join(", ")
}

impl Quorum {
    /// Highest level of `kraft.version` that is known.
    pub const KRAFT_VERSION_MAX: i16 = 1;

    /// Applies a record of a control batch; those that say nothing of voters are passed over.
    ///
    /// # Errors
    ///
    /// [`QuorumError::Malformed`].
    pub fn replay(&mut self, record: &RecordView<'_>) -> Result<(), QuorumError> {
        let value = record.value.unwrap_or_default();
        match ControlType::from_key(record.key) {
            Some(ControlType::KRaftVersion) => {
                self.kraft_version = decode::<KRaftVersionRecord>(value)?.kraft_version;
            }
            Some(ControlType::KRaftVoters) => self.voters = decode::<VotersRecord>(value)?.voters,
            Some(
                ControlType::Abort
                | ControlType::Commit
                | ControlType::LeaderChange
                | ControlType::SnapshotHeader
                | ControlType::SnapshotFooter
                | ControlType::Unknown(_),
            )
            | None => {}
        }
        Ok(())
    }

    /// Whether `node` is the only voter, as far as the log says who votes.
    ///
    /// # Errors
    ///
    /// [`QuorumError::NotAlone`], [`QuorumError::Version`].
    pub fn check_alone(&self, node: NodeId) -> Result<(), QuorumError> {
        if !(0..=Self::KRAFT_VERSION_MAX).contains(&self.kraft_version) {
            return Err(QuorumError::Version(self.kraft_version));
        }
        let voters: Vec<i32> = self.voters.iter().map(|voter| voter.voter_id).collect();
        if voters.is_empty() || voters == [node.0] {
            return Ok(());
        }
        Err(QuorumError::NotAlone { voters, node })
    }
}

fn decode<M: Message>(value: &[u8]) -> Result<M, QuorumError> {
    let value = bytes::Bytes::copy_from_slice(value);
    let mut reader = Reader::new(&value, value.len().saturating_mul(BUDGET_FACTOR));
    M::decode(&mut reader, 0).map_err(QuorumError::Malformed)
}

/// Which part of the metadata log a snapshot stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// Offset after the last record that is in it.
    pub end_offset: Offset,
    /// Epoch of that record.
    pub epoch: LeaderEpoch,
}

impl SnapshotId {
    /// Of a log without a record: such a snapshot tells the voters alone.
    pub const BEGIN: Self = Self {
        end_offset: Offset::ZERO,
        epoch: LeaderEpoch(0),
    };

    /// The snapshot of a file's name; `None` for any other name, also that of a snapshot that is not finished.
    #[must_use]
    pub fn parse(file_name: &str) -> Option<Self> {
        let (offset, epoch) = file_name.strip_suffix(".checkpoint")?.split_once('-')?;
        let is_number = |digits: &str, width| digits.len() == width && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(offset, 20) || !is_number(epoch, 10) {
            return None;
        }
        Some(Self {
            end_offset: Offset(offset.parse().ok()?),
            epoch: LeaderEpoch(epoch.parse().ok()?),
        })
    }
}

/// The name of the file.
impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{:010}.checkpoint", self.end_offset.0, self.epoch.0)
    }
}

/// The file in which Kafka remembers in which epoch it voted.
pub const QUORUM_STATE: &str = "quorum-state";

/// The text of [`QUORUM_STATE`] of the leader of an epoch.
#[must_use]
pub fn encode_quorum_state(leader: NodeId, epoch: LeaderEpoch) -> String {
    format!(
        "{{\"leaderId\":{},\"leaderEpoch\":{},\"votedId\":-1,\"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"data_version\":1}}",
        leader.0, epoch.0
    )
}

/// The epoch that a [`QUORUM_STATE`] tells; `None` when it is torn.
#[must_use]
pub fn quorum_epoch(text: &[u8]) -> Option<LeaderEpoch> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, after) = text.split_once("\"leaderEpoch\"")?;
    let digits = after.trim_start().strip_prefix(':')?.trim_start();
    let end = digits.find(|character: char| !character.is_ascii_digit())?;
    digits[..end].parse().ok().map(LeaderEpoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_snapshots_are_kafkas() {
        let id = SnapshotId {
            end_offset: Offset(205),
            epoch: LeaderEpoch(7),
        };
        assert_eq!(id.to_string(), "00000000000000000205-0000000007.checkpoint");
        assert_eq!(SnapshotId::parse(&id.to_string()), Some(id));
        for bad in [
            "bootstrap.checkpoint",
            "00000000000000000205-0000000007.checkpoint.part",
            "00000000000000000205-0000000007.checkpoint.deleted",
            "00000000000000000205-7.checkpoint",
            "99999999999999999999-0000000007.checkpoint",
            "00000000000000000205.snapshot",
        ] {
            assert_eq!(SnapshotId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_epoch_of_a_quorum_state_is_read() {
        let ours = encode_quorum_state(NodeId(3), LeaderEpoch(12));
        assert_eq!(quorum_epoch(ours.as_bytes()), Some(LeaderEpoch(12)));
        let old = br#"{"clusterId":"","leaderId":1,"leaderEpoch": 9,"votedId":-1,"appliedOffset":0,"data_version":0}"#;
        assert_eq!(quorum_epoch(old), Some(LeaderEpoch(9)));
        for length in 0..ours.find(",\"votedId").unwrap() {
            assert_eq!(quorum_epoch(&ours.as_bytes()[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_node_acts_alone_where_nobody_else_votes() {
        let voter = |voter_id| Voter {
            voter_id,
            ..Voter::default()
        };
        for (kraft_version, voters, is_allowed) in [
            (0, vec![], true),
            (1, vec![voter(1)], true),
            (1, vec![voter(2)], false),
            (1, vec![voter(1), voter(2)], false),
            (2, vec![voter(1)], false),
        ] {
            let quorum = Quorum {
                kraft_version,
                voters,
                ..Quorum::default()
            };
            assert_eq!(quorum.check_alone(NodeId(1)).is_ok(), is_allowed, "{quorum:?}");
        }
    }
}
