use super::*;
use crate::base::ids::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::base::offset::Offset;
use crate::record::{BatchView, CompressionLevel, Decompressor, ProducerStamp, Record, RecordHeader};

const ALL: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// Ten records, the timestamps of which go down.
fn batch(compression: Compression, log_append_time: Option<i64>) -> Vec<u8> {
    let mut builder = BatchBuilder::new()
        .base_offset(Offset(1000))
        .leader_epoch(LeaderEpoch(3))
        .producer(ProducerStamp {
            producer_id: ProducerId(7),
            producer_epoch: ProducerEpoch(2),
            base_sequence: Sequence(40),
        })
        .compression(compression, CompressionLevel::Default)
        .transactional();
    if let Some(time) = log_append_time {
        builder = builder.log_append_time(TimestampMs(time));
    }
    for number in 0..10 {
        let key = format!("key {number}");
        let headers = [RecordHeader {
            key: b"header",
            value: Some(key.as_bytes()),
        }];
        let record = Record {
            timestamp: TimestampMs(5000 - number),
            key: Some(key.as_bytes()),
            value: (number % 3 != 0).then_some(&[b'v'; 50][..]),
            headers: if number % 2 == 0 { &headers } else { &[] },
        };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap().to_vec()
}

/// The batch with the records at these offset deltas.
fn rewrite(bytes: &[u8], kept: &[i32], horizon: Option<i64>) -> Vec<u8> {
    let before = BatchView::parse_only(bytes).unwrap();
    let mut decompressor = Decompressor::new(1 << 20);
    let mut builder = BatchBuilder::rewriting(before.header(), horizon.map(TimestampMs));
    for record in before.records(&mut decompressor).unwrap().map(Result::unwrap) {
        if kept.contains(&record.offset_delta) {
            builder.append_view(&record).unwrap();
        }
    }
    let builder = builder.last_offset_delta(before.header().last_offset_delta);
    builder.build().unwrap().to_vec()
}

/// Everything of the records that a reader sees.
fn told(bytes: &[u8]) -> Vec<String> {
    let view = BatchView::parse_only(bytes).unwrap();
    view.check_crc().unwrap();
    let mut decompressor = Decompressor::new(1 << 20);
    let records = view.records(&mut decompressor).unwrap().map(Result::unwrap);
    let told = records.map(|record| {
        let headers: Vec<_> = record.headers().collect();
        format!(
            "{} {:?} {:?} {:?} {headers:?}",
            record.offset, record.timestamp, record.key, record.value
        )
    });
    told.collect()
}

#[test]
fn what_stays_is_as_it_was() {
    for compression in ALL {
        for log_append_time in [None, Some(9000)] {
            let before = batch(compression, log_append_time);
            let header = *BatchView::parse_only(&before).unwrap().header();
            let all = told(&before);
            for kept in [&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9][..], &[0], &[9], &[2, 3, 7]] {
                for horizon in [None, Some(77)] {
                    let after = rewrite(&before, kept, horizon);
                    let expected: Vec<String> = kept
                        .iter()
                        .map(|delta| all[usize::try_from(*delta).unwrap()].clone())
                        .collect();
                    let case = format!("{compression:?} {log_append_time:?} {kept:?} {horizon:?}");
                    assert_eq!(told(&after), expected, "{case}");
                    let found = *BatchView::parse_only(&after).unwrap().header();
                    let first = 5000 - i64::from(kept[0]);
                    let plain_base = log_append_time.unwrap_or(first);
                    let plain = header.attributes.with_compression(Compression::None);
                    let attributes = match horizon {
                        Some(_) => plain.with_delete_horizon(),
                        None => plain,
                    };
                    let expected = BatchHeader {
                        attributes,
                        base_timestamp: TimestampMs(horizon.unwrap_or(plain_base)),
                        max_timestamp: TimestampMs(log_append_time.unwrap_or(first)),
                        record_count: i32::try_from(kept.len()).unwrap(),
                        length: found.length,
                        crc: found.crc,
                        ..header
                    };
                    assert_eq!(found, expected, "{case}");
                }
            }
        }
    }
}

#[test]
fn a_horizon_stays_when_none_is_given() {
    let before = rewrite(&batch(Compression::Zstd, None), &[1, 2, 3], Some(77));
    let after = rewrite(&before, &[2], None);
    let header = *BatchView::parse_only(&after).unwrap().header();
    assert_eq!(header.delete_horizon(), Some(TimestampMs(77)));
    assert_eq!(told(&after), told(&before)[1..2]);
}

#[test]
fn an_emptied_batch_keeps_offsets_and_sequences() {
    for log_append_time in [None, Some(9000)] {
        let before = rewrite(&batch(Compression::Gzip, log_append_time), &[4, 5], Some(77));
        let header = *BatchView::parse_only(&before).unwrap().header();
        let after = emptied(&header);
        assert!(told(&after).is_empty());
        let found = *BatchView::parse_only(&after).unwrap().header();
        assert_eq!(found.last_offset(), Offset(1009));
        assert_eq!(found.last_sequence(), Sequence(49));
        assert_eq!(found.max_timestamp, header.max_timestamp);
        assert_eq!(found.base_timestamp, TimestampMs::NONE);
        assert_eq!(
            (found.producer_id, found.producer_epoch),
            (ProducerId(7), ProducerEpoch(2))
        );
        assert_eq!(found.leader_epoch, LeaderEpoch(3));
        assert_eq!(found.attributes.compression(), Some(Compression::None));
        assert_eq!(found.attributes.timestamp_type(), header.attributes.timestamp_type());
        assert!(found.attributes.is_transactional() && !found.attributes.has_delete_horizon());
    }
}
