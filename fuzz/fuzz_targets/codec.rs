//! The codecs, with data that was compressed and then changed in a few places: no panic, bounded memory, and unchanged data
//! expands to what it was.
//!
//! Input: codec, number of changes, for each a position (2 bytes) and what it is xored with; the rest is compressed.

#![no_main]

use duramen_fuzz::base::time::TimestampMs;
use duramen_fuzz::bounded;
use duramen_fuzz::record::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, BatchView, Compression, CompressionLevel, Decompressor, Record,
};
use libfuzzer_sys::fuzz_target;

const EXPANDED_BYTES_MAX: u64 = 1 << 20;

/// The chunk and the records, an lz4 block with its history, the context of a codec.
const MEMORY_MAX: usize = 16 << 20;

fuzz_target!(|input: &[u8]| {
    let [codec, changes, rest @ ..] = input else {
        return;
    };
    let compression = match codec % 4 {
        0 => Compression::Gzip,
        1 => Compression::Snappy,
        2 => Compression::Lz4,
        _ => Compression::Zstd,
    };
    let changes = usize::from(changes % 8);
    let Some((changes, value)) = rest.split_at_checked(changes * 3) else {
        return;
    };
    let mut builder = BatchBuilder::new().compression(compression, CompressionLevel::Default);
    builder.append(&Record::new(TimestampMs(0), None, Some(value))).unwrap();
    let batch = builder.build().unwrap();
    let header = BatchHeader::decode(&batch).unwrap();
    let mut records = batch[BATCH_HEADER_BYTES..].to_vec();
    let mut is_changed = false;
    for change in changes.chunks(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % records.len();
        records[at] ^= change[2];
        is_changed |= change[2] != 0;
    }
    let sealed = [&header.seal(&records).unwrap()[..], &records].concat();
    let batch = BatchView::parse_only(&sealed).unwrap();
    bounded(MEMORY_MAX, || {
        let mut decompressor = Decompressor::new(EXPANDED_BYTES_MAX);
        let values: Vec<_> = match batch.records(&mut decompressor) {
            Ok(records) => records
                .flatten()
                .map(|record| record.value.map(<[u8]>::to_vec))
                .collect(),
            Err(_) => Vec::new(),
        };
        assert!(is_changed || values == [Some(value.to_vec())]);
    });
});
