//! Produce: acks, order, topics and partitions that are not there.

use std::time::Duration;

use duramen_wire::ApiKey;
use duramen_wire::messages::{ApiVersionsRequest, FetchRequest, MetadataRequest, ProduceRequest};

use crate::client::frame;
use crate::codes::{INVALID_REQUIRED_ACKS, NONE, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION};
use crate::fixture::{
    METADATA, PRODUCE, Topic, batch, create_topic, create_topic_with, end_offset, fetch, fetch_request, now_ms,
    partitions_of, produce, produce_request, records_of, sized_batch, try_produce, unique,
};
use crate::harness::{Broker, poll};

#[test]
fn acks() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "acks", 2);
    let records = sized_batch(2, 10);
    for (acks, expected) in [
        (1, NONE),
        (-1, NONE),
        (2, INVALID_REQUIRED_ACKS),
        (-2, INVALID_REQUIRED_ACKS),
        (i16::MAX, INVALID_REQUIRED_ACKS),
    ] {
        for version in ApiKey::Produce.versions() {
            let request = ProduceRequest {
                acks,
                ..produce_request(&topic, &[(0, &records), (1, &records)])
            };
            let before = end_offset(&mut client, &topic, 0);
            let response = client.call(version, &request);
            let answers = &response.responses[0].partition_responses;
            assert_eq!(answers.len(), 2, "v{version}, acks {acks}");
            for answer in answers {
                assert_eq!(answer.error_code, expected, "v{version}, acks {acks}");
                assert_eq!(
                    answer.base_offset,
                    if expected == NONE { before } else { -1 },
                    "v{version}, acks {acks}"
                );
            }
            let appended = end_offset(&mut client, &topic, 0) - before;
            assert_eq!(
                appended,
                if expected == NONE { 2 } else { 0 },
                "v{version}, acks {acks}"
            );
        }
    }
}

#[test]
fn without_acks_there_is_no_response() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "no-acks", 1);
    for (round, version) in (1..).zip(ApiKey::Produce.versions()) {
        let request = ProduceRequest {
            acks: 0,
            ..produce_request(&topic, &[(0, &sized_batch(1, 10))])
        };
        client.send(version, &request);
        // The next response is that to the next request.
        let list = client.call(0, &ApiVersionsRequest::default());
        assert_eq!(list.error_code, NONE, "v{version}");
        poll("the record", Duration::from_secs(5), || {
            (end_offset(&mut client, &topic, 0) == round).then_some(())
        });
    }
    client.assert_silent(Duration::from_millis(50));
}

/// There is no other way to tell the client that its metadata are old.
#[test]
fn without_acks_an_error_closes_the_connection() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "no-acks", 1);
    let unknown = Topic {
        name: unique("unknown"),
        id: [0x77; 16],
    };
    let good = sized_batch(1, 10);
    let mut corrupt = good.to_vec();
    corrupt[65] ^= 1;
    for (version, topic, partition, records) in [
        (12, &unknown, 0, &good),
        (13, &unknown, 0, &good),
        (12, &topic, 5, &good),
        (12, &topic, 0, &corrupt.into()),
    ] {
        let mut client = broker.client();
        let request = ProduceRequest {
            acks: 0,
            ..produce_request(topic, &[(partition, records)])
        };
        client.send(version, &request);
        client.assert_closed("an error without acks");
    }
    client.assert_usable();
}

#[test]
fn unknown_topics_and_partitions() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "two", 2);
    let unknown = Topic {
        name: unique("unknown"),
        id: [0x78; 16],
    };
    let records = sized_batch(1, 10);
    for version in ApiKey::Produce.versions() {
        let response = client.call(version, &produce_request(&unknown, &[(0, &records)]));
        let answer = &response.responses[0].partition_responses[0];
        let expected = if version >= 13 {
            UNKNOWN_TOPIC_ID
        } else {
            UNKNOWN_TOPIC_OR_PARTITION
        };
        assert_eq!((answer.error_code, answer.base_offset), (expected, -1), "v{version}");
        for partition in [2, -1, i32::MAX, i32::MIN] {
            let response = client.call(version, &produce_request(&topic, &[(partition, &records)]));
            let answer = &response.responses[0].partition_responses[0];
            assert_eq!(
                answer.error_code, UNKNOWN_TOPIC_OR_PARTITION,
                "v{version}, partition {partition}"
            );
            assert_eq!((answer.index, answer.base_offset), (partition, -1), "v{version}");
        }
    }
    // Producing creates nothing.
    let request = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let all = client.call(METADATA, &request).topics;
    assert!(all.iter().all(|topic| topic.name.as_ref() != Some(&unknown.name)));
}

/// What is wrong with one partition is no matter of the others.
#[test]
fn good_and_bad_partitions_in_one_request() {
    let broker = Broker::start(4);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "mixed", 4);
    let good = sized_batch(1, 10);
    let mut corrupt = good.to_vec();
    corrupt[70] ^= 1;
    let corrupt = corrupt.into();
    let request = produce_request(&topic, &[(0, &good), (9, &good), (1, &corrupt), (3, &good), (2, &good)]);
    let mut answers: Vec<_> = client.call(PRODUCE, &request).responses[0]
        .partition_responses
        .iter()
        .map(|answer| (answer.index, answer.error_code, answer.base_offset))
        .collect();
    answers.sort_unstable();
    assert_eq!(
        answers,
        [(0, NONE, 0), (1, 2, -1), (2, NONE, 0), (3, NONE, 0), (9, 3, -1)]
    );
}

/// Many requests in one write: appended in their order, answered in their order.
fn pipelined_requests_keep_their_order(cores: u16) {
    const REQUESTS: i32 = 120;
    let broker = Broker::start(cores);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "pipelined", 6);
    let mut bytes = Vec::new();
    for index in 0..REQUESTS {
        let value = index.to_be_bytes();
        let produce = ProduceRequest {
            acks: if index % 3 == 0 { 1 } else { -1 },
            ..produce_request(&topic, &[(index % 6, &batch(&[&value]))])
        };
        bytes.extend_from_slice(&frame(PRODUCE, 2 * index, &produce));
        let metadata = MetadataRequest::default();
        bytes.extend_from_slice(&frame(METADATA, 2 * index + 1, &metadata));
    }
    client.send_bytes(&bytes);
    for index in 0..REQUESTS {
        let response = client.receive::<ProduceRequest>(PRODUCE, 2 * index);
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, NONE);
        assert_eq!(answer.base_offset, i64::from(index / 6), "request {index}");
        client.receive::<MetadataRequest>(METADATA, 2 * index + 1);
    }
    for partition in 0..6 {
        let records = fetch(&mut client, &topic, partition, 0);
        let batches = duramen::record::Batches::new(&records);
        let values = batches.map(|batch| {
            let bytes = batch.unwrap().record_bytes();
            // Length, attributes, timestamp, offset, no key, length of the value; no headers behind it.
            i32::from_be_bytes(bytes[6..10].try_into().unwrap())
        });
        let expected = (0..REQUESTS).filter(|index| index % 6 == partition);
        assert!(values.eq(expected), "partition {partition}");
    }
}

#[test]
fn pipelined_requests_keep_their_order_on_1_core() {
    pipelined_requests_keep_their_order(1);
}

#[test]
fn pipelined_requests_keep_their_order_on_4_cores() {
    pipelined_requests_keep_their_order(4);
}

/// A fetch that waits holds up what was asked behind it on its connection, and nothing else.
#[test]
fn responses_wait_for_those_before_them() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "in-order", 1);
    let fetch = FetchRequest {
        max_wait_ms: 300,
        ..fetch_request(&topic, &[(0, 0)])
    };
    let first = client.send(13, &fetch);
    let second = client.send(0, &ApiVersionsRequest::default());
    broker.client().assert_usable();
    client.receive::<FetchRequest>(13, first);
    client.receive::<ApiVersionsRequest>(0, second);
}

/// Each of several connections has its own order; together they write each offset once.
#[test]
fn several_connections_append_to_one_partition() {
    let broker = Broker::start(4);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "shared", 1);
    let mut offsets: Vec<i64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| {
                let mut client = broker.client();
                let topic = &topic;
                scope.spawn(move || -> Vec<i64> {
                    let offsets: Vec<i64> = (0..40)
                        .map(|_| produce(&mut client, topic, 0, &sized_batch(1, 50)))
                        .collect();
                    assert!(offsets.is_sorted_by(|one, next| one < next));
                    offsets
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    offsets.sort_unstable();
    assert!(offsets.into_iter().eq(0..240));
    assert_eq!(end_offset(&mut client, &topic, 0), 240);
}

/// `message.timestamp.type=LogAppendTime`: the broker's time for all records of a batch.
#[test]
fn the_brokers_time() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let configs = [("message.timestamp.type", "LogAppendTime")];
    let topic = create_topic_with(&mut client, "append-time", 1, &configs);
    let before = now_ms();
    let answer = try_produce(&mut client, &topic, 0, &sized_batch(3, 10));
    assert_eq!(answer.error_code, NONE);
    let time = answer.log_append_time_ms;
    assert!((before..=now_ms()).contains(&time), "{time}");
    let response = client.call(13, &fetch_request(&topic, &[(0, 0)]));
    let records = records_of(&partitions_of(response)[0]);
    let view = duramen::record::BatchView::parse_only(&records).unwrap();
    view.check_crc().unwrap();
    assert_eq!(view.header().max_timestamp.0, time);
    assert_eq!(view.header().attributes.0, 8);
}
