//! From the log to a coordinator, record by record.
//!
//! A log that Apache Kafka has written may hold offsets that were committed in transactions: they count when their marker says so, and
//! when nothing newer was committed for the same partition meanwhile (Kafka: `OffsetMetadataManager.replayEndTransactionMarker`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::ids::ProducerId;
use crate::base::offset::Offset;
use crate::record::{BatchHeader, EndTxnMarker, RecordView, TxnOutcome};

use super::record::OffsetRecord;
use super::{Committed, Coordinator, Record, RecordError};

/// What a coordinator was not made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Skipped {
    /// Records of protocols that are not served.
    pub unknown: u64,
    /// Records that cannot be decoded.
    pub broken: u64,
    /// Offsets of transactions that nobody has ended.
    pub undecided: u64,
}

type Key = (Arc<str>, Arc<str>, i32);

/// Offsets that are taken over at once, each taking a tenth of a microsecond.
const RUN_OFFSETS_MAX: usize = 1024;

/// Offsets of one topic of a group that stand one after another, as a commit of many partitions leaves them. Taken over together they
/// are looked up once, and take half of the memory.
#[derive(Debug, Default)]
struct Run {
    group: String,
    topic: String,
    offsets: Vec<(i32, Committed)>,
}

/// A coordinator in the making.
#[derive(Debug)]
pub struct Loader {
    coordinator: Coordinator,
    /// What the last records said, and the coordinator does not know yet.
    run: Run,
    /// Offsets of open transactions, each with the offset of its record.
    pending: BTreeMap<i64, BTreeMap<Key, (Offset, Record)>>,
    skipped: Skipped,
}

impl Loader {
    /// Begins with a coordinator that knows nothing.
    #[must_use]
    pub fn new(coordinator: Coordinator) -> Self {
        Self {
            coordinator,
            run: Run::default(),
            pending: BTreeMap::new(),
            skipped: Skipped::default(),
        }
    }

    /// Takes the next record of the log, of the batch with this header. One that is not understood is counted and passed over.
    pub fn load(&mut self, header: &BatchHeader, record: &RecordView<'_>) {
        let producer = header.producer_id;
        if header.attributes.is_control() {
            self.end_run();
            self.end_transaction(producer, record);
        } else {
            let transaction = header.attributes.is_transactional().then_some(producer);
            self.take(record, transaction);
        }
    }

    /// The coordinator after the last record.
    #[must_use]
    pub fn finish(mut self) -> (Coordinator, Skipped) {
        self.end_run();
        let undecided = self.pending.values().map(BTreeMap::len).sum::<usize>();
        self.skipped.undecided = u64::try_from(undecided).unwrap_or(u64::MAX);
        (self.coordinator, self.skipped)
    }

    fn take(&mut self, view: &RecordView<'_>, transaction: Option<ProducerId>) {
        if transaction.is_none()
            && self.pending.is_empty()
            && let Some(offset) = OffsetRecord::decode(view.key, view.value)
        {
            self.go_on_with(offset);
            return;
        }
        self.end_run();
        let record = match Record::decode(view.key, view.value) {
            Ok(record) => record,
            Err(RecordError::UnknownType(_)) => {
                self.skipped.unknown += 1;
                return;
            }
            Err(RecordError::NoKey | RecordError::Malformed(_)) => {
                self.skipped.broken += 1;
                return;
            }
        };
        match (key_of(&record), transaction) {
            (Some(key), Some(producer)) => {
                let pending = self.pending.entry(producer.0).or_default();
                pending.insert(key, (view.offset, record));
            }
            (Some(key), None) if !self.pending.is_empty() => self.settle(&key, view.offset, &record),
            (Some(_) | None, _) => self.coordinator.replay(&record),
        }
    }

    fn go_on_with(&mut self, offset: OffsetRecord<'_>) {
        let run = &self.run;
        if run.topic != offset.topic || run.group != offset.group || run.offsets.len() >= RUN_OFFSETS_MAX {
            self.end_run();
            self.run.group.push_str(offset.group);
            self.run.topic.push_str(offset.topic);
        }
        self.run.offsets.push((offset.partition, offset.committed));
    }

    fn end_run(&mut self) {
        let Run { group, topic, offsets } = &mut self.run;
        if !offsets.is_empty() {
            self.coordinator.put_offsets(group, topic, offsets.drain(..));
        }
        group.clear();
        topic.clear();
    }

    fn end_transaction(&mut self, producer: ProducerId, view: &RecordView<'_>) {
        let Some(marker) = EndTxnMarker::from_record(view) else {
            return;
        };
        let pending = self.pending.remove(&producer.0).unwrap_or_default();
        match marker.outcome {
            TxnOutcome::Abort => {}
            TxnOutcome::Commit => {
                for (key, (offset, record)) in pending {
                    self.settle(&key, offset, &record);
                }
            }
        }
    }

    /// Applies an offset; what other transactions had said of the partition before it does not count any more.
    fn settle(&mut self, key: &Key, offset: Offset, record: &Record) {
        for pending in self.pending.values_mut() {
            if pending.get(key).is_some_and(|(at, _)| *at < offset) {
                pending.remove(key);
            }
        }
        self.coordinator.replay(record);
    }
}

fn key_of(record: &Record) -> Option<Key> {
    match record {
        Record::Offset {
            group,
            topic,
            partition,
            ..
        } => Some((Arc::clone(group), Arc::clone(topic), *partition)),
        Record::ClassicGroup { .. } | Record::Consumer(_) => None,
    }
}
