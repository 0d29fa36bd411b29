//! The records of a compacted log as they were written, and the comparison with a log.

use std::cell::RefCell;
use std::collections::BTreeMap;

use duramen::base::ids::ProducerId;
use duramen::base::time::TimestampMs;
use duramen::record::Decompressor;
use duramen::rt::sim::{Random, Simulation};
use duramen::storage::Log;

use crate::shadow::{read_everything, request, view};

/// Producers that write.
pub const PRODUCERS: usize = 2;

/// A record as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
    pub timestamp: i64,
}

#[derive(Default)]
pub struct Shadow {
    pub written: BTreeMap<i64, Written>,
    pub acknowledged: i64,
    pub may_be_deleted: i64,
    /// Compaction may have come to here.
    pub reached: i64,
    /// The last sequence of each producer, with the offset after it.
    pub sequences: BTreeMap<i64, BTreeMap<i64, i32>>,
    /// No tombstone has had its time.
    pub tombstones_stay: bool,
}

impl Shadow {
    /// Holds a log that was just opened against what was written, and forgets what it lost with right.
    pub fn compare(&mut self, log: &Log) -> [i32; PRODUCERS] {
        let found = records_of(log);
        let (start, end) = (log.log_start_offset().0, log.log_end_offset().0);
        assert!(
            end >= self.acknowledged,
            "{} was acknowledged, the log ends at {end}",
            self.acknowledged
        );
        assert!(start <= self.may_be_deleted, "nobody deleted what is below {start}");
        self.written.retain(|offset, _| *offset < end);
        self.acknowledged = end;
        self.reached = self.reached.min(end);
        let mut last_of_key = BTreeMap::new();
        for (offset, record) in &self.written {
            last_of_key.insert(record.key.clone(), *offset);
        }
        for (offset, record) in self.written.range(start..) {
            match found.get(offset) {
                Some(stands) => assert_eq!(stands, record, "what stands at {offset}"),
                None => {
                    let is_superseded = last_of_key[&record.key] > *offset;
                    let is_old_tombstone = record.value.is_none() && !self.tombstones_stay;
                    assert!(is_superseded || is_old_tombstone, "{offset} is missing: {record:?}");
                    assert!(*offset < self.reached, "{offset} is missing, and nobody compacted it");
                }
            }
        }
        for offset in found.keys() {
            assert!(self.written.contains_key(offset), "nobody wrote at {offset}");
        }
        self.compare_producers(log)
    }

    /// The next sequence of each producer.
    fn compare_producers(&mut self, log: &Log) -> [i32; PRODUCERS] {
        let end = log.log_end_offset().0;
        let start = log.log_start_offset().0;
        let mut next = [0; PRODUCERS];
        for (id, sequences) in &mut self.sequences {
            sequences.retain(|offset, _| *offset <= end);
            let known = log.with_state(|state| {
                let entry = state.producers().get(ProducerId(*id));
                entry.map(|entry| entry.last_sequence().0)
            });
            let last = sequences.last_key_value();
            if last.is_some_and(|(offset, _)| *offset > start) {
                assert_eq!(
                    known,
                    last.map(|(_, sequence)| *sequence),
                    "the last sequence of producer {id}"
                );
            }
            next[usize::try_from(*id).expect("small")] = known.map_or(0, |known| known + 1);
        }
        next
    }
}

/// The records of a log by offset.
fn records_of(log: &Log) -> BTreeMap<i64, Written> {
    let mut found = BTreeMap::new();
    let mut decompressor = Decompressor::new(1 << 20);
    let mut next = 0;
    for (base, bytes) in read_everything(log, 4000) {
        assert!(base >= next, "offsets go up");
        let batch = view(&bytes);
        next = batch.header().next_offset().0;
        for record in batch.records(&mut decompressor).expect("records") {
            let record = record.expect("a record");
            assert!(record.offset.0 < next, "a record lies in its batch");
            let written = Written {
                key: record.key.expect("a key").to_vec(),
                value: record.value.map(<[u8]>::to_vec),
                timestamp: record.timestamp.0,
            };
            assert!(found.insert(record.offset.0, written).is_none());
        }
    }
    assert_eq!(next, log.log_end_offset().0, "the log ends after its last batch");
    found
}

/// Random offsets and timestamps are found where a look at every record finds them.
pub async fn look_up(log: &Log, random: &RefCell<Random>) {
    let found = records_of(log);
    let below = |bound| random.borrow_mut().below(bound).cast_signed();
    let (start, end) = (log.log_start_offset().0, log.log_end_offset().0);
    let all = read_everything(log, 4000);
    for _ in 0..3 {
        if start < end {
            let asked = start + below((end - start).unsigned_abs());
            let read = log
                .read(&request(asked, 1))
                .expect("the disk works")
                .expect("in the log");
            let bytes = read.expect("a batch follows").read().expect("the disk works");
            let expected = all.values().find(|batch| view(batch).header().next_offset().0 > asked);
            assert_eq!(Some(&bytes), expected, "what stands at or after {asked}");
        }
        let timestamp = 900 + below(3000);
        let hit = log.offset_for_timestamp(TimestampMs(timestamp)).await;
        if Simulation::has_crashed() {
            return;
        }
        let hit = hit.expect("the disk works").map(|hit| hit.offset.0);
        let expected = found.range(start..).find(|(_, record)| record.timestamp >= timestamp);
        assert_eq!(
            hit,
            expected.map(|(offset, _)| *offset),
            "the first record at {timestamp}"
        );
    }
}

pub fn assert_one_record_a_key(log: &Log, end: i64) {
    let mut last: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    // What nobody may read any more is not looked at.
    let start = log.log_start_offset().0;
    for (offset, record) in records_of(log).range(start..end.max(start)) {
        if let Some(before) = last.insert(record.key.clone(), *offset) {
            panic!("{offset} and {before} have one key, and a round has reached {end}");
        }
    }
}
