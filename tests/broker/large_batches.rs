//! Batches whose checks take long: they are checked in steps, in the order of their connection, and others go on meanwhile.

use bytes::Bytes;
use duramen::base::time::TimestampMs;
use duramen::record::{BatchBuilder, Compression, Record};
use duramen_wire::messages::ProduceRequest;

use crate::client::{Client, frame};
use crate::codes::{CORRUPT_MESSAGE, INVALID_RECORD, NONE};
use crate::fixture::{
    PRODUCE, Topic, batch, create_topic, end_offset, fetch, produce, produce_request, sized_batch, try_produce,
};
use crate::harness::Broker;
use crate::round_trip::compressed;

/// A good batch of many small records.
fn many_records(count: i32, compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    for index in 0..count {
        let value = index.to_be_bytes();
        builder
            .append(&Record::new(TimestampMs(1_000_000), None, Some(&value)))
            .unwrap();
    }
    compressed(&builder.build().unwrap(), compression)
}

fn base_offset(client: &mut Client, correlation_id: i32) -> i64 {
    let response = client.receive::<ProduceRequest>(PRODUCE, correlation_id);
    // The first partition of the request; answers have an order of their own.
    let answers = &response.responses[0].partition_responses;
    let answer = answers.iter().min_by_key(|answer| answer.index).unwrap();
    assert_eq!(answer.error_code, NONE, "{:?}", answer.error_message);
    answer.base_offset
}

const COUNT: i32 = 60_000;

/// Long, brief, long, brief: offsets are given in this order, for every codec and acks.
fn a_connection_keeps_its_order(cores: u16) {
    let broker = Broker::start(cores);
    let mut client = broker.client();
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let topic = create_topic(&mut client, "long", 2);
        let (long, brief) = (many_records(COUNT, compression), batch(&[b"brief"]));
        let mut requests = Vec::new();
        for index in 0..8 {
            let records = if index % 2 == 0 { &long } else { &brief };
            let request = ProduceRequest {
                acks: if index % 3 == 0 { 1 } else { -1 },
                ..produce_request(&topic, &[(0, records), (1, &brief)])
            };
            requests.extend_from_slice(&frame(PRODUCE, index, &request));
        }
        client.send_bytes(&requests);
        let mut expected = 0;
        for index in 0..8 {
            assert_eq!(base_offset(&mut client, index), expected, "{compression:?} {index}");
            expected += if index % 2 == 0 { i64::from(COUNT) } else { 1 };
        }
        assert_eq!(end_offset(&mut client, &topic, 0), expected);
        assert_eq!(end_offset(&mut client, &topic, 1), 8);
        let stored = fetch(&mut client, &topic, 0, 0);
        let batches: Vec<_> = duramen::record::Batches::new(&stored).map(Result::unwrap).collect();
        assert_eq!(batches[0].record_bytes(), &long[crate::fixture::HEADER_BYTES..]);
        assert!(batches.iter().all(|batch| batch.check_crc().is_ok()));
    }
}

#[test]
fn a_connection_keeps_its_order_on_1_core() {
    a_connection_keeps_its_order(1);
}

#[test]
fn a_connection_keeps_its_order_on_4_cores() {
    a_connection_keeps_its_order(4);
}

/// Many partitions in one request: whatever of it is put off, each has its batches in order.
#[test]
fn requests_for_many_partitions_keep_their_order() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "wide", 100);
    let records = many_records(500, Compression::Gzip);
    let batches: Vec<_> = (0..100).map(|partition| (partition, &records)).collect();
    let mut requests = Vec::new();
    for index in 0..3 {
        requests.extend_from_slice(&frame(PRODUCE, index, &produce_request(&topic, &batches)));
    }
    client.send_bytes(&requests);
    for index in 0..3 {
        let response = client.receive::<ProduceRequest>(PRODUCE, index);
        for answer in &response.responses[0].partition_responses {
            let expected = (NONE, i64::from(index) * 500);
            assert_eq!((answer.error_code, answer.base_offset), expected, "{}", answer.index);
        }
    }
}

/// While a batch is checked, other connections append to its partition and to others of its core.
#[test]
fn other_connections_go_on() {
    // Where a broker has several threads for all, nothing is to be seen.
    let Some(broker) = Broker::start_own(1, &[]) else {
        return;
    };
    let (mut client, mut other) = (broker.client(), broker.client());
    let topic = create_topic(&mut client, "mixed", 2);
    // Of 120 MiB when expanded: a thousand steps.
    let long = compressed(&sized_batch(1, 120 << 20), Compression::Zstd);
    assert!(long.len() < 1 << 20);
    let sent = client.send(PRODUCE, &produce_request(&topic, &[(0, &long)]));
    for partition in [0, 1] {
        let request = ProduceRequest {
            acks: 1,
            ..produce_request(&topic, &[(partition, &batch(&[b"v"]))])
        };
        let brief = other.send(PRODUCE, &request);
        assert_eq!(base_offset(&mut other, brief), 0);
    }
    assert_eq!(
        base_offset(&mut client, sent),
        1,
        "the long batch was checked in one go"
    );
}

/// What is wrong at the end of a long batch is found, and changes nothing.
#[test]
fn bad_long_batches() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "bad", 1);
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let refused = |client: &mut Client, topic: &Topic, records: &Bytes| {
            let answer = try_produce(client, topic, 0, records);
            assert_eq!(end_offset(client, topic, 0), 0);
            answer.error_code
        };
        let good = many_records(COUNT, Compression::None);
        let mut cut = good.to_vec();
        cut.truncate(good.len() - 3);
        let header = duramen::record::BatchHeader::decode(&good).unwrap();
        let cut = crate::fixture::seal(header, &cut[crate::fixture::HEADER_BYTES..]);
        assert_eq!(
            refused(&mut client, &topic, &compressed(&cut, compression)),
            INVALID_RECORD
        );
        let mut flipped = compressed(&good, compression).to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(refused(&mut client, &topic, &flipped.into()), CORRUPT_MESSAGE);
    }
    assert_eq!(produce(&mut client, &topic, 0, &batch(&[b"v"])), 0);
}
