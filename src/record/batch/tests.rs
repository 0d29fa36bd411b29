use bytes::Bytes;

use super::*;
use crate::base::ids::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::record::{Assignment, BATCH_HEADER_BYTES, BatchBuilder, Decompressor, ProducerStamp, Record, TimestampType};

fn batch_at(base_offset: i64, records: usize) -> Bytes {
    let mut builder = BatchBuilder::new()
        .base_offset(Offset(base_offset))
        .leader_epoch(LeaderEpoch(7))
        .producer(ProducerStamp {
            producer_id: ProducerId(41),
            producer_epoch: ProducerEpoch(3),
            base_sequence: Sequence(i32::MAX - 1),
        })
        .transactional();
    for index in 0..records {
        let timestamp = TimestampMs(1_000 - i64::try_from(index).unwrap());
        builder
            .append(&Record::new(timestamp, Some(b"key"), Some(b"value")))
            .unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn fields_are_where_the_format_has_them() {
    let bytes = batch_at(0x0102_0304_0506_0708, 3);
    let expected: &[(usize, &[u8])] = &[
        (0, &[1, 2, 3, 4, 5, 6, 7, 8]),
        (8, &i32::try_from(bytes.len() - 12).unwrap().to_be_bytes()),
        (12, &[0, 0, 0, 7]),
        (16, &[2]),
        (21, &[0, 0x10]),
        (23, &[0, 0, 0, 2]),
        (27, &1_000i64.to_be_bytes()),
        (35, &1_000i64.to_be_bytes()),
        (43, &41i64.to_be_bytes()),
        (51, &[0, 3]),
        (53, &(i32::MAX - 1).to_be_bytes()),
        (57, &[0, 0, 0, 3]),
        // length 14, attributes 0, timestamp 0, offset 0, key, value, no headers
        (61, b"\x1c\x00\x00\x00\x06key\x0avalue\x00"),
        (76, b"\x1c\x00\x01\x02\x06key\x0avalue\x00"),
    ];
    for (at, field) in expected {
        assert_eq!(&bytes[*at..at + field.len()], *field, "at {at}");
    }
    let batch = BatchView::parse(&bytes).unwrap();
    batch.check_crc().unwrap();
    let header = batch.header();
    assert_eq!(header.encode()[..], bytes[..BATCH_HEADER_BYTES]);
    assert_eq!(header.last_offset(), Offset(0x0102_0304_0506_070a));
    assert_eq!(header.next_offset(), Offset(0x0102_0304_0506_070b));
    assert_eq!(header.last_sequence(), Sequence(0), "sequences wrap");
    assert_eq!(header.batch_bytes(), bytes.len());
    assert!(header.attributes.is_transactional() && !header.attributes.is_control());
}

#[test]
fn every_cut_is_truncated() {
    let bytes = batch_at(0, 2);
    for cut in 0..bytes.len() {
        let error = BatchView::parse(&bytes[..cut]).unwrap_err();
        assert!(matches!(error, BatchError::Truncated { .. }), "{cut}: {error}");
    }
    assert_eq!(BatchView::parse_only(&[]).unwrap_err(), Invalidity::Empty.into());
    let longer = [&bytes[..], b"x"].concat();
    assert!(BatchView::parse(&longer).is_ok());
    assert_eq!(
        BatchView::parse_only(&longer).unwrap_err(),
        Invalidity::Trailing { bytes: 1 }.into()
    );
}

#[test]
fn headers_that_cannot_be() {
    let good = batch_at(0, 1);
    let cases: &[(usize, &[u8], BatchError)] = &[
        (16, &[0], Invalidity::OldFormat { magic: 0 }.into()),
        (16, &[1], Invalidity::OldFormat { magic: 1 }.into()),
        (16, &[3], Corruption::Magic { magic: 3 }.into()),
        (16, &[0xff], Corruption::Magic { magic: -1 }.into()),
        (8, &48i32.to_be_bytes(), Corruption::Length { length: 48 }.into()),
        (8, &(-1i32).to_be_bytes(), Corruption::Length { length: -1 }.into()),
        (
            8,
            &i32::MAX.to_be_bytes(),
            BatchError::Truncated {
                bytes: good.len(),
                bytes_expected: 0x8000_000b,
            },
        ),
    ];
    for (at, field, expected) in cases {
        let mut bytes = good.to_vec();
        bytes[*at..at + field.len()].copy_from_slice(field);
        assert_eq!(BatchView::parse(&bytes).unwrap_err(), *expected);
    }
}

#[test]
fn every_flipped_bit_under_the_checksum_is_seen() {
    let good = batch_at(0, 2);
    for at in 17..good.len() {
        let mut bytes = good.to_vec();
        bytes[at] ^= 0x10;
        let batch = BatchView::parse(&bytes).unwrap();
        assert!(
            matches!(batch.check_crc(), Err(Corruption::Checksum { .. })),
            "byte {at}"
        );
    }
}

#[test]
fn several_batches_in_a_buffer() {
    let first = batch_at(0, 2);
    let second = batch_at(2, 5);
    let mut both = [&first[..], &second[..]].concat();
    let offsets: Vec<_> = Batches::new(&both)
        .map(|batch| batch.unwrap().header().base_offset.0)
        .collect();
    assert_eq!(offsets, [0, 2]);
    both.truncate(both.len() - 1);
    let results: Vec<_> = Batches::new(&both).map(|batch| batch.is_ok()).collect();
    assert_eq!(results, [true, false]);
    assert_eq!(Batches::new(&[]).count(), 0);
}

#[test]
fn an_assignment_changes_only_what_it_must() {
    let bytes = batch_at(0, 3);
    let batch = BatchView::parse(&bytes).unwrap();
    let records = batch.record_bytes();
    let assignment = Assignment {
        base_offset: Offset(500),
        leader_epoch: LeaderEpoch(9),
        timestamp_type: TimestampType::CreateTime,
        max_timestamp: TimestampMs(1_000),
    };
    let stored = assignment.apply(batch.header(), records);
    assert_eq!(stored.crc, batch.header().crc, "both fields lie outside the checksum");
    assert_eq!(stored.base_offset, Offset(500));
    assert_eq!(stored.leader_epoch, LeaderEpoch(9));

    let by_broker = Assignment {
        timestamp_type: TimestampType::LogAppendTime,
        max_timestamp: TimestampMs(5_555),
        ..assignment
    };
    let stored = by_broker.apply(batch.header(), records);
    let stored_bytes = [&stored.encode()[..], records].concat();
    let again = BatchView::parse(&stored_bytes).unwrap();
    again.check_crc().unwrap();
    assert_eq!(again.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(again.header().max_timestamp, TimestampMs(5_555));
    assert!(again.header().attributes.is_transactional());
}

#[test]
fn a_checksum_is_compared_in_steps() {
    let mut builder = BatchBuilder::new();
    let value = vec![7; 10_000];
    builder
        .append(&Record::new(TimestampMs(1), None, Some(&value)))
        .unwrap();
    let mut bytes = builder.clone().build().unwrap().to_vec();
    let mut sealing = builder.sealing().unwrap();
    while sealing.advance(999) {}
    assert_eq!(sealing.finish(), bytes, "it is written in steps too");
    let steps = |bytes: &[u8], at_once| {
        let mut checking = BatchView::parse(bytes).unwrap().checking();
        let mut steps = 1;
        while checking.advance(at_once)? {
            steps += 1;
        }
        Ok::<_, Corruption>(steps)
    };
    let checked = bytes.len() - CHECKED_FROM;
    for (at_once, expected) in [(1, checked), (checked - 1, 2), (checked, 1), (usize::MAX, 1)] {
        assert_eq!(steps(&bytes, at_once), Ok(expected), "{at_once}");
    }
    *bytes.last_mut().unwrap() ^= 1;
    for at_once in [1, 4096, usize::MAX] {
        assert!(
            matches!(steps(&bytes, at_once), Err(Corruption::Checksum { .. })),
            "{at_once}"
        );
    }
}

#[test]
fn a_batch_without_records_keeps_its_offsets() {
    let bytes = BatchBuilder::new()
        .base_offset(Offset(100))
        .last_offset_delta(9)
        .max_timestamp(TimestampMs(77))
        .build()
        .unwrap();
    assert_eq!(bytes.len(), BATCH_HEADER_BYTES);
    let batch = BatchView::parse(&bytes).unwrap();
    batch.check_crc().unwrap();
    assert_eq!(batch.header().next_offset(), Offset(110));
    assert_eq!(batch.header().record_count, 0);
    assert_eq!(batch.header().max_timestamp, TimestampMs(77));
    assert_eq!(batch.records(&mut Decompressor::new(0)).unwrap().count(), 0);
    assert_eq!(batch.header().last_sequence(), Sequence::NONE);
}
