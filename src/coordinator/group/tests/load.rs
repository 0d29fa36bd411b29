//! From batches, as a log has them.

use super::*;
use crate::base::ids::{ProducerEpoch, ProducerId, Sequence};
use crate::record::{
    BatchBuilder, BatchView, Decompressor, EndTxnMarker, MarkerPlace, ProducerStamp, Record as LogRecord, TxnOutcome,
};

fn offset_record(partition: i32, offset: i64) -> Record {
    let value = duramen_wire::messages::offset_commit_value::OffsetCommitValue {
        offset,
        ..Default::default()
    };
    Record::Offset {
        group: "g".into(),
        topic: "t".into(),
        partition,
        value: Some(value),
    }
}

fn batch(base_offset: i64, producer: Option<i64>, records: &[Record]) -> Bytes {
    let mut builder = BatchBuilder::new().base_offset(Offset(base_offset));
    if let Some(producer) = producer {
        let stamp = ProducerStamp {
            producer_id: ProducerId(producer),
            producer_epoch: ProducerEpoch(0),
            base_sequence: Sequence(0),
        };
        builder = builder.producer(stamp).transactional();
    }
    for record in records {
        let (key, value) = record.encode().unwrap();
        let record = LogRecord::new(TimestampMs(0), Some(&key), value.as_deref());
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

fn marker(base_offset: i64, producer: i64, outcome: TxnOutcome) -> Bytes {
    let marker = EndTxnMarker {
        outcome,
        coordinator_epoch: 0,
    };
    let place = MarkerPlace {
        base_offset: Offset(base_offset),
        leader_epoch: LeaderEpoch(0),
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(0),
        now: TimestampMs(0),
    };
    marker.batch(&place).unwrap()
}

fn load(batches: &[Bytes]) -> (Coordinator, Skipped) {
    let mut loader = Loader::new(Coordinator::new(Config::default()));
    let mut workspace = Decompressor::new(1 << 20);
    for batch in batches {
        let view = BatchView::parse_only(batch).unwrap();
        for record in view.records(&mut workspace).unwrap() {
            loader.load(view.header(), &record.unwrap());
        }
    }
    loader.finish()
}

#[test]
fn offsets_of_transactions_count_by_their_markers() {
    use TxnOutcome::{Abort, Commit};
    let (coordinator, skipped) = load(&[
        batch(
            0,
            None,
            &[offset_record(0, 1), offset_record(1, 1), offset_record(2, 1)],
        ),
        batch(3, Some(10), &[offset_record(0, 2), offset_record(2, 2)]),
        batch(5, Some(11), &[offset_record(1, 3)]),
        // Newer than the one in the transaction, which does not take it back.
        batch(6, None, &[offset_record(2, 4)]),
        marker(7, 10, Commit),
        marker(8, 11, Abort),
        batch(9, Some(12), &[offset_record(1, 9)]),
        // Both of them: the record that stands behind counts, whichever marker comes first.
        batch(10, Some(20), &[offset_record(3, 20)]),
        batch(11, Some(21), &[offset_record(3, 21)]),
        marker(12, 21, Commit),
        marker(13, 20, Commit),
    ]);
    let offset = |partition| {
        coordinator
            .offsets()
            .get("g", "t", partition)
            .map(|found| found.offset.0)
    };
    assert_eq!([0, 1, 2, 3].map(offset), [Some(2), Some(1), Some(4), Some(21)]);
    assert_eq!(skipped.undecided, 1);
}

/// What the loader takes over together is what each record by itself would have said.
#[test]
fn offsets_in_a_row_are_each_what_they_say() {
    let of = |group: &str, topic: &str, partition: i32, offset: Option<i64>| {
        let Record::Offset { value, .. } = offset_record(partition, offset.unwrap_or(0)) else {
            panic!("an offset is an offset");
        };
        Record::Offset {
            group: group.into(),
            topic: topic.into(),
            partition,
            value: offset.and(value),
        }
    };
    let many = |group: &str, first: i64| -> Vec<Record> {
        (0..3000)
            .map(|partition| of(group, "t", partition, Some(first + i64::from(partition))))
            .collect()
    };
    for (what, records) in [
        ("one", vec![of("g", "t", 0, Some(1))]),
        ("twice", vec![of("g", "t", 0, Some(1)), of("g", "t", 0, Some(2))]),
        (
            "backwards",
            (0..50)
                .rev()
                .map(|partition| of("g", "t", partition, Some(7)))
                .collect(),
        ),
        (
            "two topics",
            vec![
                of("g", "t", 0, Some(1)),
                of("g", "u", 0, Some(2)),
                of("g", "t", 1, Some(3)),
            ],
        ),
        (
            "two groups",
            vec![
                of("g", "t", 0, Some(1)),
                of("h", "t", 0, Some(2)),
                of("g", "t", 0, Some(3)),
            ],
        ),
        (
            "taken back",
            vec![
                of("g", "t", 0, Some(1)),
                of("g", "t", 0, None),
                of("g", "t", 1, Some(3)),
            ],
        ),
        (
            "taken back at last",
            vec![of("g", "t", 0, Some(1)), of("g", "t", 0, None)],
        ),
        ("more than a run, and again", [many("g", 0), many("g", 9)].concat()),
        (
            "a group that ends",
            vec![
                of("g", "t", 0, Some(1)),
                Record::ClassicGroup {
                    group: "g".into(),
                    value: None,
                },
            ],
        ),
    ] {
        let (loaded, skipped) = load(&[batch(0, None, &records)]);
        let mut replayed = Coordinator::new(Config::default());
        records.iter().for_each(|record| replayed.replay(record));
        assert_eq!(loaded.offsets(), replayed.offsets(), "{what}");
        assert_eq!(loaded.group_count(), replayed.group_count(), "{what}");
        assert_eq!(skipped, Skipped::default(), "{what}");
    }
}

#[test]
fn records_that_are_not_understood_are_passed_over() {
    let mut builder = BatchBuilder::new();
    for (key, value) in [
        (Some(&b"\0\x09\0\x01g"[..]), Some(&b"\0\0"[..])),
        (Some(&b"\0\x01\0\x09g"[..]), Some(&b"\0\0"[..])),
        (Some(&b"\0"[..]), None),
        (None, Some(&b"x"[..])),
        (Some(&b"\0\x02\0\x01h"[..]), Some(&b"\0\x03\xff"[..])),
    ] {
        builder.append(&LogRecord::new(TimestampMs(0), key, value)).unwrap();
    }
    let (coordinator, skipped) = load(&[builder.build().unwrap(), batch(5, None, &[offset_record(0, 1)])]);
    assert_eq!((skipped.unknown, skipped.broken), (1, 4));
    assert_eq!((coordinator.group_count(), coordinator.offsets().count()), (1, 1));
}
