use super::*;
use crate::base::ids::{ProducerEpoch, ProducerId, Sequence};
use crate::record::Attributes;
use crate::record::error::RECORD_ERRORS_MAX;
use crate::record::varint::put_varint;
use crate::record::{BATCH_HEADER_BYTES, BatchBuilder, CompressionLevel, ProducerStamp, Record, RecordHeader};

const NOW: i64 = 1_700_000_000_000;

fn rules() -> Rules {
    Rules {
        batch_bytes_max: 1_048_588,
        key_required: false,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        now: TimestampMs(NOW),
        zstd_allowed: true,
    }
}

fn check(bytes: &[u8], rules: &Rules) -> Result<Validated, BatchError> {
    validate(&BatchView::parse_only(bytes)?, rules, &mut Decompressor::new(1 << 20))
}

fn batch_of(timestamps: &[i64]) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for &timestamp in timestamps {
        let headers = [
            RecordHeader {
                key: b"h",
                value: Some(b"1"),
            },
            RecordHeader { key: b"h", value: None },
        ];
        let record = Record {
            headers: &headers,
            ..Record::new(TimestampMs(timestamp), None, Some(b"value"))
        };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap().to_vec()
}

/// A batch with these header fields changed and its checksum right.
fn resealed(bytes: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let mut header = BatchHeader::decode(bytes).unwrap();
    change(&mut header);
    let records = &bytes[BATCH_HEADER_BYTES..];
    [&header.seal(records).unwrap()[..], records].concat()
}

/// A batch of one record with this body.
fn batch_of_body(body: &[u8], length: i32) -> Vec<u8> {
    let mut bytes = batch_of(&[NOW]);
    bytes.truncate(BATCH_HEADER_BYTES);
    put_varint(&mut bytes, length);
    bytes.extend_from_slice(body);
    resealed(&bytes, |_| {})
}

#[test]
fn a_good_batch_passes() {
    let validated = check(&batch_of(&[NOW, NOW + 5, NOW + 5, NOW - 5]), &rules()).unwrap();
    let expected = Validated {
        record_count: 4,
        last_offset_delta: 3,
        max_timestamp: TimestampMs(NOW + 5),
        offset_delta_of_max_timestamp: 1,
        timestamp_type: TimestampType::CreateTime,
    };
    assert_eq!(validated, expected);
}

#[test]
fn headers_that_break_a_rule() {
    type Change = fn(&mut BatchHeader);
    let cases: &[(Change, BatchError)] = &[
        (
            |h| h.base_offset = Offset(5),
            Invalidity::BaseOffset { base_offset: Offset(5) }.into(),
        ),
        (
            |h| h.last_offset_delta = 0,
            Invalidity::Count {
                record_count: 2,
                last_offset_delta: 0,
            }
            .into(),
        ),
        (
            |h| h.record_count = 3,
            Invalidity::Count {
                record_count: 3,
                last_offset_delta: 1,
            }
            .into(),
        ),
        (
            |h| (h.record_count, h.last_offset_delta) = (0, -1),
            Invalidity::Count {
                record_count: 0,
                last_offset_delta: -1,
            }
            .into(),
        ),
        (
            |h| (h.record_count, h.last_offset_delta) = (i32::MIN, i32::MAX),
            Invalidity::Count {
                record_count: i32::MIN,
                last_offset_delta: i32::MAX,
            }
            .into(),
        ),
        (
            |h| h.attributes = h.attributes.with_control(),
            Invalidity::Control.into(),
        ),
        (
            |h| h.attributes = Attributes(5),
            Invalidity::UnknownCompression { bits: 5 }.into(),
        ),
        (
            |h| h.producer_id = ProducerId(4),
            Invalidity::Sequence {
                producer_id: 4,
                base_sequence: -1,
            }
            .into(),
        ),
        (
            |h| (h.record_count, h.last_offset_delta) = (3, 2),
            Invalidity::Record {
                index: 2,
                fault: RecordFault::Short,
            }
            .into(),
        ),
        (
            |h| (h.record_count, h.last_offset_delta) = (1, 0),
            Invalidity::Record {
                index: 0,
                fault: RecordFault::Trailing,
            }
            .into(),
        ),
    ];
    let good = batch_of(&[NOW, NOW]);
    for (change, expected) in cases {
        assert_eq!(check(&resealed(&good, change), &rules()).unwrap_err(), *expected);
    }
    let idempotent = resealed(&good, |h| {
        h.producer_id = ProducerId(0);
        h.producer_epoch = ProducerEpoch(0);
        h.base_sequence = Sequence(0);
    });
    assert!(check(&idempotent, &rules()).is_ok());
}

#[test]
fn size_and_checksum() {
    let good = batch_of(&[NOW]);
    let bytes_max = good.len() - 1;
    let small = Rules {
        batch_bytes_max: bytes_max,
        ..rules()
    };
    let bytes = good.len();
    assert_eq!(
        check(&good, &small).unwrap_err(),
        BatchError::TooLarge { bytes, bytes_max }
    );
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    let error = check(&bad, &rules()).unwrap_err();
    assert!(matches!(error, BatchError::Corrupt(Corruption::Checksum { .. })));
    let zstd = resealed(&good, |h| {
        h.attributes = h.attributes.with_compression(Compression::Zstd)
    });
    let old = Rules {
        zstd_allowed: false,
        ..rules()
    };
    assert_eq!(check(&zstd, &old).unwrap_err(), BatchError::UnsupportedCompression);
}

#[test]
fn records_that_are_malformed() {
    let cases: &[(&[u8], i32, RecordFault)] = &[
        (b"", 0, RecordFault::Short),
        (b"\0\0\0\x01\x01\0", -1, RecordFault::Length),
        (b"\0\0\0\x01\x01\0", 5, RecordFault::Length),
        (b"\0\0\0\x01\x01\0", 7, RecordFault::Length),
        (b"\0\0\0\x01\x01\0\0", 6, RecordFault::Trailing),
        (b"\0\0\x02\x01\x01\0", 6, RecordFault::OffsetDelta),
        (b"\0\0\0\x14\x01\0", 6, RecordFault::Short),
        (b"\0\0\0\x01\x01\x01", 6, RecordFault::HeaderCount),
        (b"\0\0\0\x01\x01\x02\x01\x01", 8, RecordFault::HeaderKey),
        (b"\0\0\0\x01\x01\xfe\xff\xff\xff\x0f", 10, RecordFault::Short),
        (
            b"\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\0\x01\x01\0",
            16,
            RecordFault::Varint,
        ),
        (b"\0\0\0\xff\xff\xff\xff\xff\xff\x01\0", 11, RecordFault::Varint),
    ];
    for (body, length, fault) in cases {
        let expected = Invalidity::Record {
            index: 0,
            fault: *fault,
        };
        let error = check(&batch_of_body(body, *length), &rules()).unwrap_err();
        assert_eq!(error, expected.into(), "{body:x?} of length {length}");
    }
    assert!(check(&batch_of_body(b"\0\0\0\x01\x01\0", 6), &rules()).is_ok());
    assert!(
        check(&batch_of_body(b"\0\0\0\x03\x05\0", 6), &rules()).is_ok(),
        "any length below 0 is null"
    );
}

#[test]
fn every_cut_of_the_records_is_an_error() {
    let good = batch_of(&[NOW, NOW + 1]);
    for cut in BATCH_HEADER_BYTES..good.len() {
        let bytes = resealed(&good[..cut], |_| {});
        assert!(check(&bytes, &rules()).is_err(), "{cut}");
    }
}

#[test]
fn timestamps() {
    let hour = 3_600_000;
    let create = rules();
    let bounded = Rules {
        timestamp_before_max_ms: hour,
        ..rules()
    };
    let append = Rules {
        timestamp_type: TimestampType::LogAppendTime,
        ..rules()
    };
    // (rules, the batch says LogAppendTime, timestamps) -> (max timestamp, its offset) or the records refused
    type Outcome = Result<(i64, i32), &'static [i32]>;
    let cases: &[(&Rules, bool, &[i64], Outcome)] = &[
        (&create, false, &[0, NOW + hour, 7], Ok((NOW + hour, 1))),
        (&create, false, &[NOW, NOW + hour + 1, i64::MIN], Err(&[1, 2])),
        (&create, false, &[-1, -1], Ok((-1, 0))),
        (&bounded, false, &[NOW - hour, NOW], Ok((NOW, 1))),
        (&bounded, false, &[NOW - hour - 1, NOW, -1], Err(&[0])),
        (&append, false, &[0, i64::MAX, -1], Ok((NOW, 0))),
        (&append, true, &[NOW, NOW], Err(&[0, 1])),
        (&create, true, &[NOW, NOW + hour + 1], Err(&[0, 1])),
        (&create, true, &[NOW, NOW + 1], Ok((NOW + 1, 0))),
        (&create, true, &[-1], Err(&[0])),
    ];
    for (rules, is_append_time, timestamps, expected) in cases {
        let mut bytes = batch_of(timestamps);
        if *is_append_time {
            bytes = resealed(&bytes, |h| {
                h.attributes = h.attributes.with_timestamp_type(TimestampType::LogAppendTime);
            });
        }
        match (check(&bytes, rules), expected) {
            (Ok(validated), Ok((max_timestamp, offset_delta))) => {
                assert_eq!(validated.max_timestamp.0, *max_timestamp, "{timestamps:?}");
                assert_eq!(validated.offset_delta_of_max_timestamp, *offset_delta, "{timestamps:?}");
            }
            (Err(BatchError::InvalidTimestamps(errors)), Err(indexes)) => {
                let refused: Vec<_> = errors.first.iter().map(|error| error.index).collect();
                assert_eq!(refused, *indexes, "{timestamps:?}");
            }
            (other, _) => panic!("{timestamps:?}: {other:?}"),
        }
    }
}

#[test]
fn keys_on_compacted_topics() {
    let compacted = Rules {
        key_required: true,
        ..rules()
    };
    let Err(BatchError::InvalidRecords(errors)) = check(&batch_of(&[NOW; 250]), &compacted) else {
        panic!("refused");
    };
    assert_eq!(errors.count, 250);
    assert_eq!(errors.first.len(), RECORD_ERRORS_MAX);
    assert_eq!(errors.first[3].index, 3);
    let mixed = check(&batch_of(&[NOW, NOW + 3_600_001]), &compacted).unwrap_err();
    assert!(
        matches!(mixed, BatchError::InvalidRecords(_)),
        "the key is looked at first"
    );
    let mut builder = BatchBuilder::new();
    for _ in 0..RECORD_ERRORS_MAX {
        builder.append(&Record::new(TimestampMs(NOW), None, None)).unwrap();
    }
    builder
        .append(&Record::new(TimestampMs(i64::MAX), Some(b"k"), None))
        .unwrap();
    let late = check(&builder.build().unwrap(), &compacted).unwrap_err();
    assert!(
        matches!(late, BatchError::InvalidTimestamps(_)),
        "also when it is not among the first"
    );
    let mut builder = BatchBuilder::new();
    builder.append(&Record::new(TimestampMs(NOW), Some(b""), None)).unwrap();
    assert!(
        check(&builder.build().unwrap(), &compacted).is_ok(),
        "an empty key is a key"
    );
}

#[test]
fn sequence_of_a_producer_may_be_the_last() {
    let mut builder = BatchBuilder::new().producer(ProducerStamp {
        producer_id: ProducerId(1),
        producer_epoch: ProducerEpoch(0),
        base_sequence: Sequence(i32::MAX),
    });
    builder.append(&Record::new(TimestampMs(NOW), None, None)).unwrap();
    assert!(check(&builder.build().unwrap(), &rules()).is_ok());
}

/// How often `advance` goes on with this step, and what it says at last.
fn in_steps(bytes: &[u8], step: u64) -> (u32, Result<Validated, BatchError>) {
    let rules = Rules {
        batch_bytes_max: 1 << 24,
        ..rules()
    };
    let mut decompressor = Decompressor::new(1 << 24);
    let batch = BatchView::parse(bytes).unwrap();
    let mut validation = Validation::begin(&batch, &rules, &mut decompressor).unwrap();
    let mut count = 1;
    loop {
        match validation.advance(step).transpose() {
            Some(outcome) => return (count, outcome),
            None => count += 1,
        }
    }
}

#[test]
fn steps_end_between_records() {
    let bytes = batch_of(&[NOW; 10]);
    // Ten numbers a record, with its two headers.
    for (step, steps) in [(1, 10), (20, 10), (21, 5), (40, 5), (u64::MAX, 1)] {
        let (count, validated) = in_steps(&bytes, step);
        assert_eq!((count, validated.unwrap().record_count), (steps, 10), "{step}");
    }
}

#[test]
fn steps_end_between_headers_of_a_record() {
    let header = RecordHeader { key: b"k", value: None };
    let with_headers = |headers| {
        let headers = vec![header; headers];
        let mut builder = BatchBuilder::new();
        for _ in 0..2 {
            let record = Record {
                headers: &headers,
                ..Record::new(TimestampMs(NOW), None, None)
            };
            builder.append(&record).unwrap();
        }
        builder.build().unwrap()
    };
    for (headers, steps) in [(0, 1), (10_000, 2), (30_000, 9)] {
        let bytes = with_headers(headers);
        let (count, validated) = in_steps(&bytes, 30_000);
        assert_eq!((count, validated.unwrap().record_count), (steps, 2), "{headers}");
        assert!(in_steps(&bytes, u64::MAX).1.is_ok());
    }
    // A header without key among the last of the second record, and a record that ends elsewhere than it says.
    let bytes = with_headers(30_000);
    let last_key = bytes.len() - 3;
    let key_gone = with_bytes(&bytes, |bytes| bytes[last_key] = 1);
    let longer = with_bytes(&bytes, |bytes| bytes.extend_from_slice(&[2, b'k', 1]));
    for (bytes, fault) in [(key_gone, RecordFault::HeaderKey), (longer, RecordFault::Trailing)] {
        let expected = Err(Invalidity::Record { index: 1, fault }.into());
        assert_eq!(in_steps(&bytes, 30_000).1, expected);
    }
}

#[test]
fn steps_end_within_a_value() {
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::Zstd,
        Compression::Lz4,
        Compression::Snappy,
    ] {
        let mut builder = BatchBuilder::new().compression(compression, CompressionLevel::Default);
        let value = vec![7; 5 << 20];
        builder
            .append(&Record::new(TimestampMs(NOW), Some(&value), Some(&value)))
            .unwrap();
        let bytes = builder.build().unwrap();
        let (count, validated) = in_steps(&bytes, 128 * 1024);
        assert_eq!(validated.unwrap().record_count, 1);
        // What is not expanded takes a step for each part of the checksum.
        let parts = u32::try_from(bytes.len().div_ceil(CHECKSUM_STEP_BYTES)).unwrap();
        let steps = if compression == Compression::None {
            parts..parts + 2
        } else {
            75..90
        };
        assert!(steps.contains(&count), "{compression:?}: {count}");
        assert!(in_steps(&bytes, u64::MAX).1.is_ok());
        let long = with_bytes(&bytes, |bytes| bytes.truncate(bytes.len() - 1));
        assert!(
            matches!(in_steps(&long, 128 * 1024).1, Err(BatchError::Invalid(_))),
            "{compression:?}"
        );
    }
}

/// The batch with its records changed, and length and checksum right.
fn with_bytes(batch: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    change(&mut bytes);
    let header = BatchHeader::decode(&bytes).unwrap();
    let sealed = header.seal(&bytes[BATCH_HEADER_BYTES..]).unwrap();
    bytes[..BATCH_HEADER_BYTES].copy_from_slice(&sealed);
    bytes
}

#[test]
fn long_checksums_are_computed_in_steps() {
    let mut builder = BatchBuilder::new();
    let value = vec![7; 3 << 20];
    builder
        .append(&Record::new(TimestampMs(NOW), None, Some(&value)))
        .unwrap();
    let mut bytes = builder.build().unwrap().to_vec();
    let steps = u32::try_from(bytes.len().div_ceil(CHECKSUM_STEP_BYTES)).unwrap();
    let (count, validated) = in_steps(&bytes, u64::MAX);
    assert_eq!((count, validated.unwrap().record_count), (steps, 1));
    *bytes.last_mut().unwrap() ^= 1;
    let (count, refused) = in_steps(&bytes, u64::MAX);
    assert_eq!(count, steps);
    assert!(matches!(refused, Err(BatchError::Corrupt(Corruption::Checksum { .. }))));
}
