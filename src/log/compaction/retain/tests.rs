use super::*;
use crate::base::ids::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::log::Batch;
use crate::log::compaction::offset_map::MapSize;
use crate::record::{BatchBuilder, BatchView, Decompressor, ProducerStamp, Record};

const NOW: i64 = 10_000;

/// A map of `(key, last offset)` that ends at 100.
fn round(entries: &[(&str, i64)]) -> Round {
    let size = MapSize {
        bytes_max: 24_000,
        load_factor: 0.9,
    };
    let mut map = OffsetMap::new(&size, 100, [3, 4]);
    for (key, offset) in entries {
        assert!(map.put(key.as_bytes(), Offset(*offset)));
    }
    Round {
        map,
        end_offset: Offset(100),
        now: TimestampMs(NOW),
        delete_retention_ms: 500,
    }
}

fn builder(base_offset: i64) -> BatchBuilder {
    BatchBuilder::new()
        .base_offset(Offset(base_offset))
        .producer(ProducerStamp {
            producer_id: ProducerId(7),
            producer_epoch: ProducerEpoch(2),
            base_sequence: Sequence(0),
        })
}

fn header_of(builder: BatchBuilder, horizon: Option<i64>) -> BatchHeader {
    let bytes = {
        let mut builder = builder;
        builder.append(&Record::new(TimestampMs(0), None, None)).unwrap();
        builder.build().unwrap()
    };
    let mut header = BatchHeader::decode(&bytes).unwrap();
    if let Some(horizon) = horizon {
        header.attributes = header.attributes.with_delete_horizon();
        header.base_timestamp = TimestampMs(horizon);
    }
    header
}

#[test]
fn records_stay_by_key_offset_and_horizon() {
    let round = round(&[("a", 20), ("b", 9)]);
    // Key, whether it has a value, offset, delete horizon of the batch.
    for (key, has_value, offset, horizon, stays) in [
        (Some("a"), true, 20, None, true),
        (Some("a"), true, 19, None, false),
        (Some("b"), true, 10, None, true),
        (Some("c"), true, 0, None, true),
        (None, true, 0, None, false),
        // Tombstones, by the horizon.
        (Some("a"), false, 20, None, true),
        (Some("a"), false, 20, Some(NOW + 1), true),
        (Some("a"), false, 20, Some(NOW), false),
        (Some("a"), false, 20, Some(NOW - 1), false),
        (Some("a"), false, 19, Some(NOW + 1), false),
        (Some("a"), true, 20, Some(NOW - 1), true),
        (Some("c"), false, 0, Some(NOW - 1), false),
        // What the map does not reach.
        (Some("a"), true, 100, None, true),
        (Some("a"), false, 100, Some(0), true),
        (None, true, 100, None, true),
    ] {
        let mut one = builder(offset);
        let value = has_value.then_some(&b"v"[..]);
        one.append(&Record::new(TimestampMs(0), key.map(str::as_bytes), value))
            .unwrap();
        let bytes = one.build().unwrap();
        let view = BatchView::parse_only(&bytes).unwrap();
        let mut decompressor = Decompressor::new(0);
        let record = view.records(&mut decompressor).unwrap().next().unwrap().unwrap();
        let header = header_of(builder(offset), horizon);
        let case = format!("{key:?} {has_value} {offset} {horizon:?}");
        assert_eq!(round.keeps(&header, &record), stays, "{case}");
    }
}

#[test]
fn batches_stay_for_a_reason() {
    let round = round(&[]);
    // Control, horizon, discarded, ends its segment, last of its producer; then what follows.
    for (is_control, horizon, is_discarded, ends, is_last, kept, when_empty) in [
        (false, None, false, false, false, Kept::ByKey, WhenEmpty::Dropped),
        (false, None, false, true, false, Kept::ByKey, WhenEmpty::Kept),
        (false, None, false, false, true, Kept::ByKey, WhenEmpty::Kept),
        (false, None, true, false, false, Kept::None, WhenEmpty::Dropped),
        (false, None, true, false, true, Kept::None, WhenEmpty::Kept),
        (false, Some(0), true, true, false, Kept::None, WhenEmpty::Kept),
        // Markers wait for the horizon.
        (true, None, false, false, false, Kept::All, WhenEmpty::Dropped),
        (true, None, true, false, false, Kept::All, WhenEmpty::Dropped),
        (true, Some(NOW + 1), true, false, false, Kept::All, WhenEmpty::Dropped),
        (true, Some(NOW), true, false, false, Kept::None, WhenEmpty::Dropped),
        (true, Some(NOW), true, false, true, Kept::None, WhenEmpty::Kept),
        (true, Some(NOW), false, false, false, Kept::All, WhenEmpty::Dropped),
    ] {
        let one = if is_control { builder(5).control() } else { builder(5) };
        let surroundings = Surroundings {
            ends_segment: ends,
            is_last_of_producer: is_last,
            is_discarded,
        };
        let plan = round.plan_batch(&header_of(one, horizon), &surroundings);
        let expected = BatchPlan {
            kept,
            when_empty,
            is_marker_to_delete: is_control && is_discarded,
        };
        assert_eq!(plan, expected, "{is_control} {horizon:?} {surroundings:?}");
    }
}

#[test]
fn a_horizon_is_set_once() {
    let mut round = round(&[]);
    let horizon = |round: &Round, set| round.new_delete_horizon(&header_of(builder(0), set));
    assert_eq!(horizon(&round, None), Some(TimestampMs(NOW + 500)));
    assert_eq!(horizon(&round, Some(3)), None);
    round.delete_retention_ms = i64::MAX;
    assert_eq!(horizon(&round, None), Some(TimestampMs(i64::MAX)));
}

#[test]
fn the_last_batch_of_a_producer_is_known() {
    let facts = |header: &BatchHeader| Batch {
        leader_epoch: LeaderEpoch(0),
        ..Batch::from_header(header)
    };
    let (data, control) = (header_of(builder(5), None), header_of(builder(6).control(), None));
    let mut entry = ProducerEntry::new(ProducerEpoch(2));
    assert!(!is_last_of_producer(&data, None));
    assert!(!is_last_of_producer(&data, Some(&entry)));
    assert!(is_last_of_producer(&control, Some(&entry)), "its epoch");
    entry.note(&facts(&data), Offset(5));
    assert!(is_last_of_producer(&data, Some(&entry)));
    assert!(!is_last_of_producer(&control, Some(&entry)));
    entry.note(&facts(&data), Offset(9));
    assert!(!is_last_of_producer(&data, Some(&entry)));
    let other = ProducerEntry::new(ProducerEpoch(3));
    assert!(!is_last_of_producer(&control, Some(&other)), "of an older epoch");
    let nobody = BatchHeader {
        producer_id: ProducerId::NONE,
        ..data
    };
    assert!(!is_last_of_producer(&nobody, Some(&entry)));
}
