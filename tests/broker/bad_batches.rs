//! Batches that must not be in a log: each gets Kafka's error, and changes nothing.

use bytes::Bytes;
use duramen::base::ids::{ProducerEpoch, ProducerId, Sequence};
use duramen::base::offset::Offset;
use duramen::record::varint::put_varint;
use duramen::record::{Attributes, BatchHeader, Compression};
use duramen_wire::Records;
use duramen_wire::messages::produce_response::PartitionProduceResponse;

use crate::client::Client;
use crate::codes::{
    CORRUPT_MESSAGE, INVALID_RECORD, MESSAGE_TOO_LARGE, NONE, UNKNOWN_SERVER_ERROR, UNSUPPORTED_COMPRESSION_TYPE,
};
use crate::fixture::{
    HEADER_BYTES, PRODUCE, Topic, batch, create_topic, create_topic_with, end_offset, produce, produce_request, seal,
    sized_batch, try_produce, with_header,
};
use crate::harness::Broker;
use crate::round_trip::compressed;

/// Appends to a new topic; the answer, which changed nothing unless it is a success.
pub fn attempt(client: &mut Client, topic: &Topic, records: &Bytes) -> PartitionProduceResponse {
    let before = end_offset(client, topic, 0);
    let answer = try_produce(client, topic, 0, records);
    if answer.error_code != NONE {
        assert_eq!(answer.base_offset, -1);
        assert_eq!(end_offset(client, topic, 0), before, "an error, and records in the log");
    }
    answer
}

fn three_records() -> Bytes {
    batch(&[b"one", b"two", b"three"])
}

/// What a batch gets.
enum Expected {
    /// This code, from any broker.
    Code(i16),
    /// INVALID_RECORD from ours; from Apache Kafka this code: it takes the batch, or stumbles over it.
    StricterThanKafka(i16),
}

use Expected::{Code, StricterThanKafka};

/// Appends each batch to a new topic and compares the answers.
fn attempt_all(cases: &[(&str, Bytes, Expected)]) {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "attempts", 1);
    for (what, records, expected) in cases {
        let expected = match *expected {
            Code(code) => code,
            StricterThanKafka(_) if broker.is_ours() => INVALID_RECORD,
            StricterThanKafka(code) => code,
        };
        let answer = attempt(&mut client, &topic, records);
        assert_eq!(answer.error_code, expected, "{what}: {:?}", answer.error_message);
    }
    let end = end_offset(&mut client, &topic, 0);
    assert_eq!(produce(&mut client, &topic, 0, &three_records()), end);
}

fn joined(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

/// The batch with one byte changed.
fn flipped(batch: &[u8], at: usize) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[at] ^= 1;
    bytes.into()
}

/// The batch with bytes written over it at `at`.
fn patched(batch: &[u8], at: usize, with: &[u8]) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes.into()
}

#[test]
fn framing_of_batches() {
    let good = three_records();
    attempt_all(&[
        ("nothing", Bytes::new(), Code(INVALID_RECORD)),
        ("less than a header", good.slice(..40), Code(INVALID_RECORD)),
        ("a header alone", good.slice(..HEADER_BYTES), Code(INVALID_RECORD)),
        (
            "a batch that ends early",
            good.slice(..good.len() - 1),
            Code(INVALID_RECORD),
        ),
        ("two batches", joined(&[&good, &good]), Code(INVALID_RECORD)),
        ("a batch and a byte", joined(&[&good, b"x"]), StricterThanKafka(NONE)),
        (
            "a batch and zeroes",
            joined(&[&good, &[0; 100]]),
            StricterThanKafka(CORRUPT_MESSAGE),
        ),
        (
            "length below a header's",
            patched(&good, 8, &48_i32.to_be_bytes()),
            Code(CORRUPT_MESSAGE),
        ),
        ("length 0", patched(&good, 8, &[0; 4]), Code(CORRUPT_MESSAGE)),
        ("negative length", patched(&good, 8, &[0xff; 4]), Code(CORRUPT_MESSAGE)),
        (
            "length of 2 GiB",
            patched(&good, 8, &i32::MAX.to_be_bytes()),
            StricterThanKafka(UNKNOWN_SERVER_ERROR),
        ),
        ("magic 0", patched(&good, 16, &[0]), Code(INVALID_RECORD)),
        ("magic 1", patched(&good, 16, &[1]), Code(INVALID_RECORD)),
        ("magic 3", patched(&good, 16, &[3]), Code(CORRUPT_MESSAGE)),
        ("magic -1", patched(&good, 16, &[0xff]), Code(CORRUPT_MESSAGE)),
        ("checksum", flipped(&good, 17), Code(CORRUPT_MESSAGE)),
        ("a byte of the header", flipped(&good, 30), Code(CORRUPT_MESSAGE)),
        (
            "a byte of the records",
            flipped(&good, HEADER_BYTES + 5),
            Code(CORRUPT_MESSAGE),
        ),
        ("the last byte", flipped(&good, good.len() - 1), Code(CORRUPT_MESSAGE)),
    ]);
}

#[test]
fn null_instead_of_records() {
    // Apache Kafka does not answer.
    let Some(broker) = Broker::start_own(1, &[]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "null", 1);
    let mut request = produce_request(&topic, &[(0, &Bytes::new())]);
    request.topic_data[0].partition_data[0].records = Records::Null;
    for version in 3..=13 {
        let response = client.call(version, &request);
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, INVALID_RECORD, "v{version}");
    }
}

/// Headers that contradict their records, with a checksum that is right.
#[test]
fn headers_of_batches() {
    let good = three_records();
    let change = |change: fn(&mut BatchHeader)| with_header(&good, change);
    attempt_all(&[
        (
            "count too large",
            change(|header| header.record_count = 4),
            Code(INVALID_RECORD),
        ),
        (
            "count too small",
            change(|header| header.record_count = 2),
            Code(INVALID_RECORD),
        ),
        (
            "count 0",
            change(|header| header.record_count = 0),
            Code(INVALID_RECORD),
        ),
        (
            "negative count",
            change(|header| header.record_count = -1),
            Code(INVALID_RECORD),
        ),
        (
            "count and offsets too large",
            change(|header| (header.record_count, header.last_offset_delta) = (4, 3)),
            Code(INVALID_RECORD),
        ),
        (
            "count and offsets too small",
            change(|header| (header.record_count, header.last_offset_delta) = (2, 1)),
            Code(INVALID_RECORD),
        ),
        (
            "two thousand million records",
            change(|header| (header.record_count, header.last_offset_delta) = (i32::MAX, i32::MAX - 1)),
            Code(INVALID_RECORD),
        ),
        (
            "last offset delta",
            change(|header| header.last_offset_delta = 5),
            Code(INVALID_RECORD),
        ),
        (
            "base offset",
            change(|header| header.base_offset = Offset(1)),
            Code(INVALID_RECORD),
        ),
        (
            "control batch",
            change(|header| header.attributes = Attributes(0x20)),
            Code(INVALID_RECORD),
        ),
    ]);
}

#[test]
fn producers_and_codecs_of_batches() {
    let good = three_records();
    let change = |change: fn(&mut BatchHeader)| with_header(&good, change);
    attempt_all(&[
        (
            "producer without sequence",
            change(|header| (header.producer_id, header.producer_epoch) = (ProducerId(1), ProducerEpoch(0))),
            Code(INVALID_RECORD),
        ),
        (
            "codec 5",
            change(|header| header.attributes = Attributes(5)),
            StricterThanKafka(UNKNOWN_SERVER_ERROR),
        ),
        (
            "codec 7",
            change(|header| header.attributes = Attributes(7)),
            StricterThanKafka(UNKNOWN_SERVER_ERROR),
        ),
        (
            "gzip that is none",
            change(|header| header.attributes = Attributes(1)),
            StricterThanKafka(UNKNOWN_SERVER_ERROR),
        ),
        (
            "snappy that is none",
            change(|header| header.attributes = Attributes(2)),
            StricterThanKafka(UNKNOWN_SERVER_ERROR),
        ),
        (
            "lz4 that is none",
            change(|header| header.attributes = Attributes(3)),
            StricterThanKafka(UNKNOWN_SERVER_ERROR),
        ),
        (
            "zstd that is none",
            change(|header| header.attributes = Attributes(4)),
            StricterThanKafka(UNKNOWN_SERVER_ERROR),
        ),
        (
            "sequence without producer",
            change(|header| header.base_sequence = Sequence(0)),
            Code(NONE),
        ),
    ]);
}

/// Records as bytes under a header for `count` of them.
fn handmade(count: i32, records: &[u8]) -> Bytes {
    let header = BatchHeader {
        record_count: count,
        last_offset_delta: count - 1,
        ..BatchHeader::decode(&three_records()).unwrap()
    };
    seal(header, records)
}

/// A record without key and headers.
fn record(offset_delta: i32) -> Vec<u8> {
    let mut body = vec![0, 0];
    put_varint(&mut body, offset_delta);
    body.extend_from_slice(&[1, 2, b'v', 0]);
    let mut record = Vec::new();
    put_varint(&mut record, body.len().try_into().unwrap());
    record.extend_from_slice(&body);
    record
}

#[test]
fn records_of_batches() {
    let endless = [0xff; 30];
    attempt_all(&[
        (
            "as it should be",
            handmade(2, &[record(0), record(1)].concat()),
            Code(NONE),
        ),
        (
            "length beyond the batch",
            handmade(1, &[200, 1, 0, 0, 0, 1, 2, b'v', 0]),
            Code(INVALID_RECORD),
        ),
        (
            "negative length",
            handmade(1, &[3, 0, 0, 0, 1, 2, b'v', 0]),
            Code(INVALID_RECORD),
        ),
        ("length 0", handmade(1, &[0]), Code(INVALID_RECORD)),
        (
            "a length that never ends",
            handmade(1, &endless),
            StricterThanKafka(UNKNOWN_SERVER_ERROR),
        ),
        (
            "a timestamp that never ends",
            handmade(1, &[&[40, 0], &endless[..19]].concat()),
            Code(INVALID_RECORD),
        ),
        (
            "key beyond the record",
            handmade(1, &[14, 0, 0, 0, 100, 2, b'v', 0]),
            Code(INVALID_RECORD),
        ),
        (
            "value beyond the record",
            handmade(1, &[14, 0, 0, 0, 1, 100, b'v', 0]),
            Code(INVALID_RECORD),
        ),
        (
            "header count beyond the record",
            handmade(1, &[14, 0, 0, 0, 1, 2, b'v', 100]),
            Code(INVALID_RECORD),
        ),
        (
            "negative header count",
            handmade(1, &[14, 0, 0, 0, 1, 2, b'v', 1]),
            Code(INVALID_RECORD),
        ),
    ]);
}

#[test]
fn ends_and_offsets_of_records() {
    attempt_all(&[
        (
            "bytes behind the headers",
            handmade(1, &[16, 0, 0, 0, 1, 2, b'v', 0, 0]),
            Code(INVALID_RECORD),
        ),
        (
            "bytes behind the records",
            handmade(1, &[record(0), vec![9; 9]].concat()),
            Code(INVALID_RECORD),
        ),
        (
            "one offset twice",
            handmade(2, &[record(0), record(0)].concat()),
            StricterThanKafka(NONE),
        ),
        (
            "a gap",
            handmade(2, &[record(0), record(2)].concat()),
            StricterThanKafka(NONE),
        ),
        (
            "a gap in compressed records",
            compressed(&handmade(2, &[record(0), record(2)].concat()), Compression::Gzip),
            StricterThanKafka(UNKNOWN_SERVER_ERROR),
        ),
        (
            "bytes behind compressed records",
            compressed(&handmade(1, &[record(0), vec![9; 9]].concat()), Compression::Gzip),
            Code(INVALID_RECORD),
        ),
        (
            "compressed records that end early",
            compressed(&handmade(3, &[record(0), record(1)].concat()), Compression::Zstd),
            Code(INVALID_RECORD),
        ),
        (
            "offsets backwards",
            handmade(2, &[record(1), record(0)].concat()),
            StricterThanKafka(NONE),
        ),
    ]);
}

#[test]
fn batches_that_are_too_large() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "too-large", 1);
    let small_topic = create_topic_with(&mut client, "small", 1, &[("max.message.bytes", "1000")]);
    let bytes_max = 1_048_588;
    // Length, attributes, timestamp, offset, key, length of the value, headers.
    let overhead = HEADER_BYTES + 3 + 1 + 1 + 1 + 1 + 3 + 1;
    let largest = sized_batch(1, bytes_max - overhead);
    assert_eq!(largest.len(), bytes_max);
    assert_eq!(attempt(&mut client, &topic, &largest).error_code, NONE);
    let larger = sized_batch(1, bytes_max - overhead + 1);
    assert_eq!(attempt(&mut client, &topic, &larger).error_code, MESSAGE_TOO_LARGE);
    assert_eq!(
        attempt(&mut client, &small_topic, &sized_batch(1, 800)).error_code,
        NONE
    );
    assert_eq!(
        attempt(&mut client, &small_topic, &sized_batch(1, 1000)).error_code,
        MESSAGE_TOO_LARGE
    );
}

/// Codec bits that older versions did not have.
#[test]
fn codecs_by_version() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "codecs", 1);
    let records = with_header(&three_records(), |header| header.attributes = Attributes(4));
    let response = client.call(6, &produce_request(&topic, &[(0, &records)]));
    assert_eq!(
        response.responses[0].partition_responses[0].error_code,
        UNSUPPORTED_COMPRESSION_TYPE
    );
    let response = client.call(PRODUCE, &produce_request(&topic, &[(0, &three_records())]));
    assert_eq!(response.responses[0].partition_responses[0].error_code, NONE);
}
