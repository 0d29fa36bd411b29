//! What is remembered of one producer.

use crate::base::ids::{ProducerEpoch, Sequence};
use crate::base::limits::PRODUCER_BATCHES_RETAINED;
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use crate::log::batch::Batch;

/// One batch of a producer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RememberedBatch {
    pub last_sequence: Sequence,
    pub last_offset: Offset,
    /// `last_offset` less the batch's first offset.
    pub offset_delta: i32,
    /// Largest timestamp of the batch.
    pub timestamp: TimestampMs,
}

impl RememberedBatch {
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        Offset(self.last_offset.0.saturating_sub(i64::from(self.offset_delta)))
    }

    #[must_use]
    pub fn base_sequence(&self) -> Sequence {
        let first = i64::from(self.last_sequence.0) - i64::from(self.offset_delta);
        let wrapped = if first < 0 { first + (1 << 31) } else { first };
        Sequence(i32::try_from(wrapped).unwrap_or(0))
    }
}

const EMPTY: RememberedBatch = RememberedBatch {
    last_sequence: Sequence::NONE,
    last_offset: Offset(-1),
    offset_delta: 0,
    timestamp: TimestampMs::NONE,
};

/// One producer: its epoch, its latest batches, its transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProducerEntry {
    pub epoch: ProducerEpoch,
    /// Epoch of the transaction coordinator that wrote the last marker; -1 is none.
    pub coordinator_epoch: i32,
    /// When it last wrote, by the timestamps of its batches.
    pub last_timestamp: TimestampMs,
    /// First offset of its open transaction.
    pub transaction_first_offset: Option<Offset>,
    /// Oldest first; `count` of them are used, the others are [`EMPTY`].
    batches: [RememberedBatch; PRODUCER_BATCHES_RETAINED],
    count: u8,
}

impl ProducerEntry {
    #[must_use]
    pub fn new(epoch: ProducerEpoch) -> Self {
        Self {
            epoch,
            coordinator_epoch: -1,
            last_timestamp: TimestampMs::NONE,
            transaction_first_offset: None,
            batches: [EMPTY; PRODUCER_BATCHES_RETAINED],
            count: 0,
        }
    }

    /// The batches remembered, oldest first; all are of the current epoch.
    #[must_use]
    pub fn batches(&self) -> &[RememberedBatch] {
        &self.batches[..usize::from(self.count)]
    }

    /// Sequence of its last record; none when the epoch has no batch yet.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        self.batches()
            .last()
            .map_or(Sequence::NONE, |batch| batch.last_sequence)
    }

    /// Offset of its last record; -1 when the epoch has no batch yet.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.batches()
            .last()
            .map_or(EMPTY.last_offset, |batch| batch.last_offset)
    }

    /// The remembered batch with exactly these sequences.
    #[must_use]
    pub fn find(&self, epoch: ProducerEpoch, base: Sequence, last: Sequence) -> Option<&RememberedBatch> {
        if epoch != self.epoch {
            return None;
        }
        self.batches()
            .iter()
            .find(|batch| batch.last_sequence == last && batch.base_sequence() == base)
    }

    /// Remembers `batch` at `base_offset`. A new epoch forgets the batches of the old one; a marker ends the transaction.
    pub fn note(&mut self, batch: &Batch, base_offset: Offset) {
        if batch.producer_epoch != self.epoch {
            self.epoch = batch.producer_epoch;
            self.forget_batches();
        }
        self.last_timestamp = batch.max_timestamp;
        if batch.is_control {
            self.transaction_first_offset = None;
            return;
        }
        self.push(RememberedBatch {
            last_sequence: batch.last_sequence(),
            last_offset: base_offset.plus(i64::from(batch.last_offset_delta)),
            offset_delta: batch.last_offset_delta,
            timestamp: batch.max_timestamp,
        });
        if batch.is_transactional && self.transaction_first_offset.is_none() {
            self.transaction_first_offset = Some(base_offset);
        }
    }

    /// Adds the newest batch, forgetting the oldest when there is no room.
    pub fn push(&mut self, batch: RememberedBatch) {
        if usize::from(self.count) == PRODUCER_BATCHES_RETAINED {
            self.batches.rotate_left(1);
        } else {
            self.count += 1;
        }
        self.batches[usize::from(self.count) - 1] = batch;
    }

    fn forget_batches(&mut self) {
        self.batches = [EMPTY; PRODUCER_BATCHES_RETAINED];
        self.count = 0;
    }
}
