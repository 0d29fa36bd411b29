//! What other implementations wrote, and what attackers might (`tests/fixtures/batches/README.md`).

use super::*;
use crate::base::time::TimestampMs;

const EXPANDED_BYTES_MAX: u64 = 1 << 20;

macro_rules! fixture {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../tests/fixtures/batches/", $name, ".log")),
        )
    };
}

const JAVA: [(&str, &[u8]); 5] = [
    fixture!("java-none"),
    fixture!("java-gzip"),
    fixture!("java-snappy"),
    fixture!("java-lz4"),
    fixture!("java-zstd"),
];
const KCAT: [(&str, &[u8]); 5] = [
    fixture!("kcat-none"),
    fixture!("kcat-gzip"),
    fixture!("kcat-snappy"),
    fixture!("kcat-lz4"),
    fixture!("kcat-zstd"),
];
const TRANSACTIONS: (&str, &[u8]) = fixture!("java-transactions");

type Owned = (
    i64,
    i64,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Vec<(Vec<u8>, Option<Vec<u8>>)>,
);

/// Offset, timestamp, key, value and headers of every record.
fn all_records(segment: &[u8]) -> Vec<Owned> {
    let mut decompressor = Decompressor::new(EXPANDED_BYTES_MAX);
    let mut records = Vec::new();
    for batch in Batches::new(segment) {
        let batch = batch.unwrap();
        batch.check_crc().unwrap();
        for record in batch.records(&mut decompressor).unwrap() {
            let record = record.unwrap();
            let headers = record.headers().map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec)));
            records.push((
                record.offset.0,
                record.timestamp.0,
                record.key.map(<[u8]>::to_vec),
                record.value.map(<[u8]>::to_vec),
                headers.collect(),
            ));
        }
    }
    records
}

/// The records that `Fixtures.java` states.
fn java_record(i: i64, is_none: bool) -> Owned {
    let repeat = if i == 20 && !is_none { 20_000 } else { i };
    let value = format!("value {i} ").repeat(usize::try_from(repeat).unwrap());
    let headers = vec![
        (b"h".to_vec(), Some(format!("first of {i}").into_bytes())),
        (b"h".to_vec(), None),
        ("ключ".as_bytes().to_vec(), Some(Vec::new())),
    ];
    (
        i,
        1_700_000_000_000 + i * 10 - (i % 4) * 1000,
        (i % 5 != 0).then(|| format!("key-{i}").into_bytes()),
        (i % 7 != 3).then(|| value.into_bytes()),
        if i % 3 == 0 { headers } else { Vec::new() },
    )
}

fn rules() -> Rules {
    Rules {
        batch_bytes_max: 1_048_588,
        key_required: false,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: i64::MAX,
        now: TimestampMs(1_700_000_000_000),
        zstd_allowed: true,
    }
}

/// A stored batch as its producer sent it: at offset 0.
fn as_sent(batch: &BatchView<'_>) -> Vec<u8> {
    let header = BatchHeader {
        base_offset: crate::base::offset::Offset::ZERO,
        ..*batch.header()
    };
    [&header.encode()[..], batch.record_bytes()].concat()
}

#[test]
fn records_of_the_java_client() {
    for (name, segment) in JAVA {
        let records = all_records(segment);
        assert_eq!(records.len(), 40, "{name}");
        for (i, record) in (0..).zip(records) {
            assert_eq!(record, java_record(i, name == "java-none"), "{name}");
        }
    }
}

#[test]
fn records_of_librdkafka() {
    for (name, segment) in KCAT {
        let records = all_records(segment);
        assert_eq!(records.len(), 20, "{name}");
        for (i, (offset, _, key, value, headers)) in (0..).zip(records) {
            assert_eq!(offset, i, "{name}");
            assert_eq!(key.unwrap(), format!("key-{i}").into_bytes(), "{name}");
            let repeat = usize::try_from(i * 3 + 1).unwrap();
            assert_eq!(
                value.unwrap(),
                format!("value {i} {}", "abc".repeat(repeat)).into_bytes(),
                "{name}"
            );
            let one = |value: &[u8]| (b"one".to_vec(), Some(value.to_vec()));
            assert_eq!(headers, [one(b"1"), one(b"2")], "{name}");
        }
    }
}

#[test]
fn what_producers_sent_is_valid() {
    let mut decompressor = Decompressor::new(EXPANDED_BYTES_MAX);
    for (name, segment) in JAVA.into_iter().chain(KCAT) {
        for batch in Batches::new(segment) {
            let sent = as_sent(&batch.unwrap());
            let batch = BatchView::parse_only(&sent).unwrap();
            let validated = validate(&batch, &rules(), &mut decompressor).unwrap();
            assert_eq!(validated.max_timestamp, batch.header().max_timestamp, "{name}");
            assert_eq!(validated.record_count, batch.header().record_count, "{name}");
        }
    }
}

/// All that is done with bytes from outside; must return, whatever they are.
fn exercise(bytes: &[u8], decompressor: &mut Decompressor) -> bool {
    let Ok(batch) = BatchView::parse_only(bytes) else {
        return false;
    };
    let valid = validate(&batch, &rules(), decompressor).is_ok();
    if let Ok(records) = batch.records(decompressor) {
        for record in records.flatten() {
            record.headers().for_each(drop);
        }
    }
    valid
}

/// The batch with the header fields and checksum that belong to other records.
fn resealed(header: &BatchHeader, records: &[u8]) -> Vec<u8> {
    [&header.seal(records).unwrap()[..], records].concat()
}

#[test]
fn every_cut_is_an_error() {
    let mut decompressor = Decompressor::new(EXPANDED_BYTES_MAX);
    for (name, segment) in JAVA.into_iter().chain(KCAT) {
        let sent = as_sent(&BatchView::parse(segment).unwrap());
        assert!(exercise(&sent, &mut decompressor), "{name}");
        for cut in 0..sent.len() {
            assert!(!exercise(&sent[..cut], &mut decompressor), "{name} cut to {cut}");
        }
        let batch = BatchView::parse(&sent).unwrap();
        let records = batch.record_bytes();
        for cut in (0..records.len()).step_by(if records.len() > 1_000 { 41 } else { 1 }) {
            let bytes = resealed(batch.header(), &records[..cut]);
            assert!(!exercise(&bytes, &mut decompressor), "{name} with records cut to {cut}");
        }
        let longer = [records, &[0]].concat();
        assert!(
            !exercise(&resealed(batch.header(), &longer), &mut decompressor),
            "{name}"
        );
    }
}

#[test]
fn flipped_bits_never_panic() {
    let mut decompressor = Decompressor::new(EXPANDED_BYTES_MAX);
    let small = KCAT.into_iter().chain([TRANSACTIONS]).map(|(_, segment)| (segment, 1));
    let large = JAVA.into_iter().map(|(_, segment)| (segment, 41));
    for (segment, step) in small.chain(large) {
        let sent = as_sent(&BatchView::parse(segment).unwrap());
        let batch = BatchView::parse(&sent).unwrap();
        for at in (0..sent.len()).step_by(step) {
            for bit in [0x01, 0x08, 0x80] {
                let mut bytes = sent.clone();
                bytes[at] ^= bit;
                exercise(&bytes, &mut decompressor);
                if let Some(at) = at.checked_sub(BATCH_HEADER_BYTES) {
                    let mut records = batch.record_bytes().to_vec();
                    records[at] ^= bit;
                    exercise(&resealed(batch.header(), &records), &mut decompressor);
                }
            }
        }
    }
}

#[test]
fn bombs_are_refused_before_they_take_memory() {
    const MEGABYTES: usize = 64;
    for compression in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let mut builder = BatchBuilder::new().compression(compression, CompressionLevel::Default);
        let zeroes = vec![0; MEGABYTES << 20];
        builder
            .append(&Record::new(TimestampMs(1), None, Some(&zeroes)))
            .unwrap();
        let bomb = builder.build().unwrap();
        let batch = BatchView::parse(&bomb).unwrap();
        let rules = Rules {
            batch_bytes_max: bomb.len(),
            ..rules()
        };
        let mut decompressor = Decompressor::new(EXPANDED_BYTES_MAX);
        let refused = Invalidity::Record {
            index: 0,
            fault: RecordFault::Expanded,
        };
        assert_eq!(
            validate(&batch, &rules, &mut decompressor).unwrap_err(),
            refused.into(),
            "{compression:?}"
        );
        assert_eq!(
            batch.records(&mut decompressor).unwrap_err(),
            refused.into(),
            "{compression:?}"
        );
        assert!(
            decompressor.held_bytes() < 4 << 20,
            "{compression:?}: {}",
            decompressor.held_bytes()
        );
        let mut roomy = Decompressor::new((MEGABYTES as u64 + 1) << 20);
        assert!(validate(&batch, &rules, &mut roomy).is_ok(), "{compression:?}");
        assert!(roomy.held_bytes() < 16 << 20, "{compression:?}: {}", roomy.held_bytes());
    }
}
