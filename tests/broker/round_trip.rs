//! What is produced is fetched, byte for byte: codecs, versions, cores.

use std::io::Write;

use bytes::Bytes;
use duramen::base::time::TimestampMs;
use duramen::record::{BatchBuilder, BatchHeader, Compression, Record, RecordHeader};
use duramen_wire::ApiKey;

use crate::client::Client;
use crate::codes::{NONE, UNSUPPORTED_COMPRESSION_TYPE};
use crate::fixture::{
    HEADER_BYTES, Topic, create_topic, end_offset, fetch, fetch_request, leader_epoch, now_ms, partitions_of, produce,
    produce_request, records_of, seal, stored,
};
use crate::harness::Broker;

pub const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// Records of all forms: with and without key and value, with headers of which two have one key, small and large.
pub fn diverse_batch() -> Bytes {
    let mut builder = BatchBuilder::new();
    let large = b"0123456789abcdef".repeat(1000);
    let headers = [
        RecordHeader {
            key: b"twice",
            value: Some(b"first"),
        },
        RecordHeader {
            key: b"twice",
            value: None,
        },
    ];
    let now = now_ms();
    let records = [
        Record::new(TimestampMs(now), Some(b"key"), Some(b"value")),
        Record {
            headers: &headers,
            ..Record::new(TimestampMs(now - 1), None, Some(b"without key"))
        },
        Record::new(TimestampMs(now - 2), Some(b"without value"), None),
        Record {
            headers: &headers,
            ..Record::new(TimestampMs(now + 3), Some(b""), Some(b""))
        },
        Record::new(TimestampMs(now), None, Some(&large)),
    ];
    for record in &records {
        builder.append(record).unwrap();
    }
    builder.build().unwrap()
}

/// The batch, compressed by a codec other than the broker's reader.
pub fn compressed(batch: &Bytes, compression: Compression) -> Bytes {
    let mut header = BatchHeader::decode(batch).unwrap();
    header.attributes = header.attributes.with_compression(compression);
    seal(header, &compress(compression, &batch[HEADER_BYTES..]))
}

pub fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(bytes, 3).unwrap(),
    }
}

/// Snappy as Java clients write it: a header, then blocks with their lengths.
fn compressed_by_xerial(batch: &Bytes) -> Bytes {
    let mut header = BatchHeader::decode(batch).unwrap();
    header.attributes = header.attributes.with_compression(Compression::Snappy);
    let mut records = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in batch[HEADER_BYTES..].chunks(4096) {
        let block = compress(Compression::Snappy, block);
        records.extend_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
        records.extend_from_slice(&block);
    }
    seal(header, &records)
}

/// Produces with one version, fetches with another, compares.
fn there_and_back(client: &mut Client, topic: &Topic, (partition, batch): (i32, &Bytes), versions: (i16, i16)) {
    let what = format!("produce v{}, fetch v{}, {:?}", versions.0, versions.1, topic.name);
    let response = client.call(versions.0, &produce_request(topic, &[(partition, batch)]));
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, NONE, "{what}: {:?}", answer.error_message);
    assert_eq!(answer.index, partition, "{what}");
    assert_eq!(answer.log_append_time_ms, -1, "{what}");
    assert_eq!(answer.log_start_offset, if versions.0 >= 5 { 0 } else { -1 }, "{what}");
    let base_offset = answer.base_offset;

    let response = client.call(versions.1, &fetch_request(topic, &[(partition, base_offset)]));
    assert_eq!(response.throttle_time_ms, 0, "{what}");
    let topic_id = if versions.1 >= 13 { topic.id } else { [0; 16] };
    assert_eq!(response.responses[0].topic_id, topic_id, "{what}");
    let [answer] = partitions_of(response).try_into().unwrap();
    assert_eq!(answer.error_code, NONE, "{what}");
    assert_eq!(answer.partition_index, partition, "{what}");
    let header = BatchHeader::decode(batch).unwrap();
    let end = base_offset + i64::from(header.record_count);
    assert_eq!((answer.high_watermark, answer.last_stable_offset), (end, end), "{what}");
    assert_eq!(answer.log_start_offset, if versions.1 >= 5 { 0 } else { -1 }, "{what}");
    assert_eq!(answer.preferred_read_replica, -1, "{what}");
    let expected = stored(batch, base_offset, leader_epoch(client, topic, partition));
    assert!(
        records_of(&answer) == expected,
        "{what}: other bytes than those that were produced"
    );
}

fn every_codec_and_version(cores: u16) {
    let broker = Broker::start(cores);
    let mut client = broker.client();
    let plain = diverse_batch();
    let mut batches: Vec<_> = CODECS.iter().map(|&codec| compressed(&plain, codec)).collect();
    batches.push(compressed_by_xerial(&plain));
    let topic = create_topic(&mut client, "round-trip", 6);
    for (partition, batch) in (0..).zip(&batches) {
        for version in ApiKey::Produce.versions().filter(|&version| version >= 7) {
            there_and_back(&mut client, &topic, (partition, batch), (version, 17));
        }
        for version in ApiKey::Fetch.versions().filter(|&version| version >= 10) {
            there_and_back(&mut client, &topic, (partition, batch), (13, version));
        }
    }
    // Older versions do not know zstd.
    for (partition, batch) in (0..4).zip(&batches) {
        for version in 3..7 {
            there_and_back(&mut client, &topic, (partition, batch), (version, version + 1));
        }
        for version in 8..10 {
            there_and_back(&mut client, &topic, (partition, batch), (9, version));
        }
    }
}

#[test]
fn every_codec_and_version_on_1_core() {
    every_codec_and_version(1);
}

#[test]
fn every_codec_and_version_on_2_cores() {
    every_codec_and_version(2);
}

#[test]
fn every_codec_and_version_on_4_cores() {
    every_codec_and_version(4);
}

#[test]
fn zstd_needs_version_7() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "zstd", 1);
    let batch = compressed(&diverse_batch(), Compression::Zstd);
    for version in 3..=6 {
        let response = client.call(version, &produce_request(&topic, &[(0, &batch)]));
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, UNSUPPORTED_COMPRESSION_TYPE, "v{version}");
    }
    assert_eq!(end_offset(&mut client, &topic, 0), 0);
}

/// Batches of which many go into one answer, and large ones, which leave by another path than small ones.
fn many_batches(cores: u16) {
    let broker = Broker::start(cores);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "many-batches", 4);
    let epochs: Vec<_> = (0..4)
        .map(|partition| leader_epoch(&mut client, &topic, partition))
        .collect();
    let mut expected = vec![Vec::new(); 4];
    let mut ends = [0; 4];
    let values: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte; 10]).collect();
    for round in 0..40_usize {
        let partition = round % 4;
        let records = 1 + round * 7 % 50;
        let large = vec![b'x'; if round % 8 == 3 { 300_000 } else { 100 }];
        let mut chosen: Vec<&[u8]> = values
            .iter()
            .cycle()
            .skip(round)
            .take(records)
            .map(Vec::as_slice)
            .collect();
        chosen.push(&large);
        let batch = crate::fixture::batch(&chosen);
        let index = i32::try_from(partition).unwrap();
        let base_offset = produce(&mut client, &topic, index, &batch);
        assert_eq!(base_offset, ends[partition]);
        ends[partition] += i64::try_from(chosen.len()).unwrap();
        expected[partition].extend_from_slice(&stored(&batch, base_offset, epochs[partition]));
    }
    for (partition, expected) in (0..).zip(&expected) {
        assert!(
            fetch(&mut client, &topic, partition, 0) == expected,
            "partition {partition}"
        );
    }
    // All of it in one answer, asked for in another order.
    let request = fetch_request(&topic, &[(2, 0), (0, 0), (3, 0), (1, 0)]);
    for (answer, expected) in partitions_of(client.call(13, &request)).iter().zip(&expected) {
        assert!(records_of(answer) == expected, "partition {}", answer.partition_index);
    }
}

#[test]
fn many_batches_on_1_core() {
    many_batches(1);
}

#[test]
fn many_batches_on_2_cores() {
    many_batches(2);
}

#[test]
fn many_batches_on_4_cores() {
    many_batches(4);
}

/// As large as a batch may be by default.
#[test]
fn a_batch_of_a_megabyte() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "megabyte", 1);
    let value: Vec<u8> = (0..1_040_000_u32).map(|index| (index % 251).to_be_bytes()[3]).collect();
    let batch = crate::fixture::batch(&[&value]);
    there_and_back(&mut client, &topic, (0, &batch), (13, 18));
}
