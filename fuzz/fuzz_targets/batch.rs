//! Record batches, as they are and with length and checksum set right.
//!
//! No panic; bounded memory; what validation lets pass has as many records as it says, at offsets without a gap, and they make
//! the same records again when they are written anew.

#![no_main]

use duramen_fuzz::base::ids::LeaderEpoch;
use duramen_fuzz::base::offset::Offset;
use duramen_fuzz::base::time::TimestampMs;
use duramen_fuzz::bounded;
use duramen_fuzz::record::control::{ControlType, EndTxnMarker};
use duramen_fuzz::record::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, BatchView, Batches, Decompressor, Record, RecordHeader, Rules,
    TimestampType, validate,
};
use libfuzzer_sys::fuzz_target;

const EXPANDED_BYTES_MAX: u64 = 256 * 1024;

/// The chunk and the records, an lz4 block with its history, the context of a codec, the errors of records.
const MEMORY_MAX: usize = 16 << 20;

fn rules() -> Rules {
    Rules {
        batch_bytes_max: 1 << 20,
        key_required: false,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: i64::MAX,
        now: TimestampMs(0),
        zstd_allowed: true,
    }
}

fn look_at(bytes: &[u8]) {
    for batch in Batches::new(bytes).flatten() {
        let header = batch.header();
        let _ = (
            header.last_offset(),
            header.next_offset(),
            header.last_sequence(),
            header.delete_horizon(),
        );
        let _ = batch.check_crc();
        let mut decompressor = Decompressor::new(EXPANDED_BYTES_MAX);
        for record in batch.records(&mut decompressor).into_iter().flatten().flatten() {
            let _ = (ControlType::from_key(record.key), EndTxnMarker::from_record(&record));
            record.headers().for_each(drop);
        }
    }
}

fn check(bytes: &[u8]) {
    let Ok(batch) = BatchView::parse_only(bytes) else {
        return;
    };
    let mut decompressor = Decompressor::new(EXPANDED_BYTES_MAX);
    let validated = validate(&batch, &rules(), &mut decompressor);
    let strict = Rules {
        key_required: true,
        timestamp_after_max_ms: 0,
        ..rules()
    };
    let _ = validate(&batch, &strict, &mut decompressor);
    let Ok(validated) = validated else { return };
    let mut again = BatchBuilder::new();
    let mut count = 0;
    for record in batch.records(&mut decompressor).unwrap() {
        let record = record.unwrap();
        assert_eq!(record.offset_delta, count);
        assert!(record.timestamp <= validated.max_timestamp || record.timestamp < TimestampMs::NONE);
        let headers: Vec<RecordHeader<'_>> = record.headers().collect();
        let copy = Record {
            headers: &headers,
            ..Record::new(record.timestamp, record.key, record.value)
        };
        again.append(&copy).unwrap();
        count += 1;
    }
    assert_eq!(count, validated.record_count);
    let again = again.build().unwrap();
    let again = BatchView::parse_only(&again).unwrap();
    let mut other = Decompressor::new(EXPANDED_BYTES_MAX);
    let firsts = batch.records(&mut decompressor).unwrap().map(Result::unwrap);
    for (first, second) in firsts.zip(again.records(&mut other).unwrap().map(Result::unwrap)) {
        assert_eq!(
            (first.timestamp, first.key, first.value),
            (second.timestamp, second.key, second.value)
        );
        assert!(first.headers().eq(second.headers()));
    }
    let stored = validated
        .assignment(Offset(1 << 40), LeaderEpoch(3))
        .apply(batch.header(), batch.record_bytes());
    let stored = [&stored.encode()[..], batch.record_bytes()].concat();
    BatchView::parse_only(&stored).unwrap().check_crc().unwrap();
}

fuzz_target!(|input: &[u8]| {
    bounded(MEMORY_MAX + 64 * input.len(), || {
        look_at(input);
        check(input);
    });
    let mut header = input.to_vec();
    header.resize(BATCH_HEADER_BYTES.max(input.len()), 0);
    header[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    header[16] = 2;
    let mut header = BatchHeader::decode(&header).unwrap();
    header.base_offset = Offset::ZERO;
    header.last_offset_delta = header.record_count.wrapping_sub(1);
    let records = input.get(BATCH_HEADER_BYTES..).unwrap_or_default();
    let sealed = [&header.seal(records).unwrap()[..], records].concat();
    bounded(MEMORY_MAX + 64 * input.len(), || check(&sealed));
});
