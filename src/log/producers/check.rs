//! May this batch of a producer be appended?

use thiserror::Error;

use crate::base::ids::{ProducerEpoch, ProducerId, Sequence};
use crate::log::append::Origin;
use crate::log::batch::Batch;

use super::Producers;
use super::entry::{ProducerEntry, RememberedBatch};

/// Why not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ProducerError {
    /// Records before this one are missing: the producer sends them first, or begins a new epoch.
    #[error("sequence {found:?} of producer {producer_id:?} does not follow {last:?}")]
    OutOfOrderSequence {
        producer_id: ProducerId,
        last: Sequence,
        found: Sequence,
    },
    /// A newer instance of the producer has written.
    #[error("epoch {found:?} of producer {producer_id:?} is older than {current:?}")]
    OldEpoch {
        producer_id: ProducerId,
        current: ProducerEpoch,
        found: ProducerEpoch,
    },
    /// A batch outside of a transaction came while the producer has one open.
    #[error("producer {producer_id:?} has a transaction open, and the batch is not part of it")]
    TransactionOpen { producer_id: ProducerId },
}

/// What to do with a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Append,
    /// It stands in the log already, as this batch.
    Duplicate(RememberedBatch),
}

/// Judges `batch` by what is known of its producer (`ProducerAppendInfo.checkProducerEpoch`, `checkSequence`).
///
/// A replica takes what its leader took. The group coordinator's batches have no sequences: only their epoch counts.
///
/// # Errors
/// As named by [`ProducerError`]; nothing may be appended then.
pub fn check(producers: &Producers, batch: &Batch, origin: Origin) -> Result<Verdict, ProducerError> {
    if !batch.has_producer() || batch.is_control || origin == Origin::Replication {
        return Ok(Verdict::Append);
    }
    let Some(entry) = producers.get(batch.producer_id) else {
        // Nothing is known, maybe because retention took it: any first sequence is taken.
        return Ok(Verdict::Append);
    };
    if origin == Origin::Client {
        let found = entry.find(batch.producer_epoch, batch.base_sequence, batch.last_sequence());
        if let Some(duplicate) = found {
            return Ok(Verdict::Duplicate(*duplicate));
        }
    }
    if batch.producer_epoch < entry.epoch {
        return Err(ProducerError::OldEpoch {
            producer_id: batch.producer_id,
            current: entry.epoch,
            found: batch.producer_epoch,
        });
    }
    if origin == Origin::Client && !is_next(entry, batch) {
        return Err(ProducerError::OutOfOrderSequence {
            producer_id: batch.producer_id,
            last: entry.last_sequence(),
            found: batch.base_sequence,
        });
    }
    if entry.transaction_first_offset.is_some() && !batch.is_transactional {
        return Err(ProducerError::TransactionOpen {
            producer_id: batch.producer_id,
        });
    }
    Ok(Verdict::Append)
}

/// A new epoch begins at 0; within an epoch, sequences are dense and wrap from 2^31 - 1 to 0.
fn is_next(entry: &ProducerEntry, batch: &Batch) -> bool {
    let last = entry.last_sequence();
    if batch.producer_epoch != entry.epoch || last == Sequence::NONE {
        // An entry without an epoch was left by a snapshot that knew none.
        return batch.base_sequence == Sequence(0) || entry.epoch == ProducerEpoch::NONE;
    }
    batch.base_sequence == last.plus(1)
}
