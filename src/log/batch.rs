//! What a log needs to know of a record batch, whoever wrote it.

use crate::base::ids::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::record::BatchHeader;

/// The facts of one batch that decide where it goes and what it changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Offset of the first record as the header has it; a leader assigns its own.
    pub base_offset: Offset,
    /// Offset of the last record less `base_offset`; not negative.
    pub last_offset_delta: i32,
    /// Bytes of the whole batch, header included.
    pub bytes: u32,
    /// Largest timestamp of its records.
    pub max_timestamp: TimestampMs,
    pub leader_epoch: LeaderEpoch,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: Sequence,
    pub is_transactional: bool,
    /// Holds a marker instead of records.
    pub is_control: bool,
}

impl Batch {
    /// The facts of a batch with this header.
    #[must_use]
    pub fn from_header(header: &BatchHeader) -> Self {
        Self {
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta.max(0),
            bytes: u32::try_from(header.batch_bytes()).unwrap_or(u32::MAX),
            max_timestamp: header.max_timestamp,
            leader_epoch: header.leader_epoch,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            is_transactional: header.attributes.is_transactional(),
            is_control: header.attributes.is_control(),
        }
    }

    /// Offset of the last record, as the header has it; headers on a disk may say anything.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.saturating_add(i64::from(self.last_offset_delta)))
    }

    /// Sequence of the last record; none for a batch without sequences.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence == Sequence::NONE {
            Sequence::NONE
        } else {
            self.base_sequence.plus(self.last_offset_delta)
        }
    }

    #[must_use]
    pub fn has_producer(&self) -> bool {
        self.producer_id != ProducerId::NONE
    }
}
