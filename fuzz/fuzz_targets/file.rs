//! The files of a log directory, metadata records and server.properties: no panic, bounded memory, what was read is written to what reads the same.
//!
//! Input: which file; the rest is its content.

#![no_main]

use bytes::Bytes;
use duramen_fuzz::base::crc32c::crc32c;
use duramen_fuzz::base::offset::{FilePosition, Offset};
use duramen_fuzz::log::{checkpoint, epochs, index, producers, properties, scan};
use duramen_fuzz::{bounded, java_properties, metadata_record};
use libfuzzer_sys::fuzz_target;

fn offset_checkpoint(content: &[u8]) {
    let Ok(entries) = checkpoint::decode_offsets(content) else {
        return;
    };
    let text = checkpoint::encode_offsets(entries.iter().map(|(partition, offset)| (partition, *offset)));
    assert_eq!(checkpoint::decode_offsets(text.as_bytes()).unwrap(), entries);
}

fn epoch_checkpoint(content: &[u8]) {
    let Ok(entries) = checkpoint::decode_epochs(content) else {
        return;
    };
    let text = checkpoint::encode_epochs(&entries);
    assert_eq!(checkpoint::decode_epochs(text.as_bytes()).unwrap(), entries);
    let kept = epochs::LeaderEpochs::from_entries(&entries);
    for entry in kept.entries() {
        assert_eq!(kept.epoch_of(entry.start_offset), Some(entry.epoch));
    }
}

fn meta_properties(content: &[u8]) {
    let Ok(meta) = properties::MetaProperties::decode(content) else {
        return;
    };
    assert_eq!(
        properties::MetaProperties::decode(meta.encode().as_bytes()).unwrap(),
        meta
    );
}

fn partition_metadata(content: &[u8]) {
    let Ok(topic_id) = properties::decode_partition_metadata(content) else {
        return;
    };
    let text = properties::encode_partition_metadata(topic_id);
    assert_eq!(
        properties::decode_partition_metadata(text.as_bytes()).unwrap(),
        topic_id
    );
}

/// With the checksum set right, which no change of the bytes would be.
fn producer_snapshot(content: &[u8]) {
    let _ = producers::snapshot::decode(content);
    let Some(checked) = content.get(6..) else {
        return;
    };
    let content = [&content[..2], &crc32c(checked).to_be_bytes(), checked].concat();
    let Ok(state) = producers::snapshot::decode(&content) else {
        return;
    };
    let bytes = producers::snapshot::encode(&state);
    let again = producers::snapshot::decode(&bytes).unwrap();
    assert_eq!(producers::snapshot::encode(&again), bytes);
}

fn indexes(content: &[u8]) {
    let base_offset = Offset(1 << 33);
    let bytes = content.len() as u64;
    let entries = content.as_chunks::<8>().0.iter();
    let last = entries
        .map(|entry| index::OffsetEntry::decode(entry, base_offset))
        .last();
    let _ = index::judge_offset_index(bytes, last, base_offset, 1 << 30);
    let entries = content.as_chunks::<12>().0.iter();
    let last = entries.map(|entry| index::TimeEntry::decode(entry, base_offset)).last();
    let _ = index::judge_time_index(bytes, last, base_offset, 1 << 30);
}

fn server_properties(content: &[u8]) {
    if let Ok(text) = std::str::from_utf8(content)
        && let Ok(entries) = java_properties::parse(text)
    {
        assert!(entries.len() <= text.lines().count());
    }
}

fn metadata_record(content: &[u8]) {
    let Ok(record) = metadata_record::decode_record(&Bytes::copy_from_slice(content)) else {
        return;
    };
    let bytes = metadata_record::encode_record(&record).expect("what was decoded encodes");
    let again = metadata_record::decode_record(&bytes).expect("what was encoded decodes");
    // Bytes are compared, not values: a quota may be NaN, which differs from itself.
    let bytes_again = metadata_record::encode_record(&again).expect("what was decoded encodes");
    assert_eq!(bytes_again, bytes);
}

fn segment(content: &[u8]) {
    let _ = scan::find_offset(content, FilePosition(7), Offset(100));
    let _ = scan::find_boundary(content, FilePosition(7), FilePosition(1 << 20));
}

fuzz_target!(|input: &[u8]| {
    let [file, content @ ..] = input else {
        return;
    };
    bounded(256 * content.len() + 16 * 1024, || match file % 9 {
        0 => offset_checkpoint(content),
        1 => epoch_checkpoint(content),
        2 => meta_properties(content),
        3 => partition_metadata(content),
        4 => producer_snapshot(content),
        5 => indexes(content),
        6 => segment(content),
        7 => server_properties(content),
        _ => metadata_record(content),
    });
});
