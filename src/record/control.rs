//! Control batches: records that the broker writes for itself among those of clients.
//!
//! They occupy offsets and are never shown to an application. The key says what the value is:
//!
//! ```text
//!  key    i16 version (0), i16 type
//!  value  types 0 and 1 (end of a transaction): i16 version (0), i32 epoch of the transaction coordinator
//!         other types: a message of the protocol (LeaderChangeMessage, SnapshotHeaderRecord, ...)
//! ```
//! A transaction's marker stands alone in its batch, which carries the producer's id and epoch and no sequence.
//! Source: `ControlRecordType.java`, `EndTransactionMarker.java`.

use bytes::Bytes;

use crate::base::ids::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::build::{BatchBuilder, ProducerStamp, Record};
use super::error::BatchError;
use super::iterate::RecordView;

/// What a control record is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ControlType {
    Abort,
    Commit,
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    KRaftVersion,
    KRaftVoters,
    /// Of a later version than ours; readers pass over it.
    Unknown(i16),
}

impl ControlType {
    #[must_use]
    pub fn from_number(number: i16) -> Self {
        match number {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KRaftVersion,
            6 => Self::KRaftVoters,
            number => Self::Unknown(number),
        }
    }

    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KRaftVersion => 5,
            Self::KRaftVoters => 6,
            Self::Unknown(number) => number,
        }
    }

    /// The type that the key of a control record says; `None` when it is no such key.
    #[must_use]
    pub fn from_key(key: Option<&[u8]>) -> Option<Self> {
        let (&version, rest) = key?.split_first_chunk::<2>()?;
        let (&number, _) = rest.split_first_chunk::<2>()?;
        (i16::from_be_bytes(version) >= 0).then(|| Self::from_number(i16::from_be_bytes(number)))
    }

    /// The key of a control record of this type.
    #[must_use]
    pub fn key(self) -> [u8; 4] {
        let [high, low] = self.number().to_be_bytes();
        [0, 0, high, low]
    }
}

/// How a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TxnOutcome {
    Commit,
    Abort,
}

/// The end of a producer's transaction on a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndTxnMarker {
    pub outcome: TxnOutcome,
    /// Of the coordinator that decided it; a later one is not overruled.
    pub coordinator_epoch: i32,
}

/// Where and by whom a marker is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MarkerPlace {
    pub base_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub now: TimestampMs,
}

impl EndTxnMarker {
    /// The marker that a record of a control batch is; `None` when it is another control record, or malformed.
    #[must_use]
    pub fn from_record(record: &RecordView<'_>) -> Option<Self> {
        let outcome = match ControlType::from_key(record.key)? {
            ControlType::Commit => TxnOutcome::Commit,
            ControlType::Abort => TxnOutcome::Abort,
            ControlType::LeaderChange
            | ControlType::SnapshotHeader
            | ControlType::SnapshotFooter
            | ControlType::KRaftVersion
            | ControlType::KRaftVoters
            | ControlType::Unknown(_) => return None,
        };
        let (&version, rest) = record.value?.split_first_chunk::<2>()?;
        let (&coordinator_epoch, _) = rest.split_first_chunk::<4>()?;
        (i16::from_be_bytes(version) >= 0).then_some(Self {
            outcome,
            coordinator_epoch: i32::from_be_bytes(coordinator_epoch),
        })
    }

    /// The control batch that ends the transaction.
    ///
    /// # Errors
    /// None in practice; those of [`BatchBuilder`].
    pub fn batch(self, place: &MarkerPlace) -> Result<Bytes, BatchError> {
        let control_type = match self.outcome {
            TxnOutcome::Commit => ControlType::Commit,
            TxnOutcome::Abort => ControlType::Abort,
        };
        let [a, b, c, d] = self.coordinator_epoch.to_be_bytes();
        let mut builder = BatchBuilder::new()
            .base_offset(place.base_offset)
            .leader_epoch(place.leader_epoch)
            .producer(ProducerStamp {
                producer_id: place.producer_id,
                producer_epoch: place.producer_epoch,
                base_sequence: Sequence::NONE,
            })
            .transactional()
            .control();
        builder.append(&Record::new(
            place.now,
            Some(&control_type.key()),
            Some(&[0, 0, a, b, c, d]),
        ))?;
        builder.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchView, Batches, Decompressor};

    const TRANSACTIONS: &[u8] = include_bytes!("../../tests/fixtures/batches/java-transactions.log");
    const METADATA: &[u8] = include_bytes!("../../tests/fixtures/batches/metadata.log");

    fn control_batches(segment: &[u8]) -> Vec<BatchView<'_>> {
        Batches::new(segment)
            .map(Result::unwrap)
            .filter(|batch| batch.header().attributes.is_control())
            .collect()
    }

    #[test]
    fn markers_are_read_and_written_as_kafka_writes_them() {
        let mut outcomes = Vec::new();
        for batch in control_batches(TRANSACTIONS) {
            let header = *batch.header();
            let mut decompressor = Decompressor::new(0);
            let mut records = batch.records(&mut decompressor).unwrap();
            let record = records.next().unwrap().unwrap();
            assert!(records.next().is_none());
            let marker = EndTxnMarker::from_record(&record).unwrap();
            let place = MarkerPlace {
                base_offset: header.base_offset,
                leader_epoch: header.leader_epoch,
                producer_id: header.producer_id,
                producer_epoch: header.producer_epoch,
                now: header.max_timestamp,
            };
            assert_eq!(marker.batch(&place).unwrap(), batch.bytes());
            outcomes.push((header.base_offset.0, marker.outcome));
        }
        assert_eq!(outcomes, [(3, TxnOutcome::Commit), (5, TxnOutcome::Abort)]);
    }

    #[test]
    fn control_records_of_the_quorum() {
        let mut decompressor = Decompressor::new(0);
        let batch = control_batches(METADATA)[0];
        let records = batch.records(&mut decompressor).unwrap();
        let types: Vec<_> = records
            .map(|record| ControlType::from_key(record.unwrap().key).unwrap())
            .collect();
        let expected = [
            ControlType::LeaderChange,
            ControlType::KRaftVersion,
            ControlType::KRaftVoters,
        ];
        assert_eq!(types, expected);
    }

    #[test]
    fn keys() {
        for number in -1..9 {
            let control_type = ControlType::from_number(number);
            assert_eq!(control_type.number(), number);
            assert_eq!(ControlType::from_key(Some(&control_type.key())), Some(control_type));
        }
        let refused: [Option<&[u8]>; 4] = [None, Some(b""), Some(b"\0\0\0"), Some(b"\xff\xff\0\x01")];
        for key in refused {
            assert_eq!(ControlType::from_key(key), None, "{key:?}");
        }
        let later = Some(&b"\0\x01\0\x01more"[..]);
        assert_eq!(
            ControlType::from_key(later),
            Some(ControlType::Commit),
            "later versions only add"
        );
    }
}
