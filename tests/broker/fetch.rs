//! Fetch: which batches an answer holds, and how many.

use bytes::Bytes;
use duramen::record::{BatchView, Batches};
use duramen_wire::messages::FetchRequest;
use duramen_wire::messages::fetch_response::PartitionData;

use crate::client::Client;
use crate::codes::{
    FETCH_SESSION_ID_NOT_FOUND, NONE, OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION,
};
use crate::fixture::{
    FETCH, HEADER_BYTES, Topic, create_topic, fetch_request, partitions_of, produce, records_of, sized_batch,
    try_fetch, unique,
};
use crate::harness::Broker;

/// A topic with `batches` batches of 5 records in each partition; the bytes of a batch.
fn filled(client: &mut Client, partitions: i32, batches: usize) -> (Topic, usize) {
    let topic = create_topic(client, "filled", partitions);
    let batch = sized_batch(5, 200);
    for partition in 0..partitions {
        for _ in 0..batches {
            produce(client, &topic, partition, &batch);
        }
    }
    (topic, batch.len())
}

/// Base offsets of the whole batches in an answer.
fn base_offsets(answer: &PartitionData) -> Vec<i64> {
    let records = records_of(answer);
    let whole = Batches::new(&records).map_while(Result::ok);
    whole.map(|batch| batch.header().base_offset.0).collect()
}

#[test]
fn an_offset_within_a_batch_gives_the_batch() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let (topic, batch_bytes) = filled(&mut client, 1, 4);
    for offset in 0..20 {
        let answer = try_fetch(&mut client, &topic, 0, offset);
        assert_eq!(answer.error_code, NONE);
        let first = offset / 5 * 5;
        let expected: Vec<_> = (first..20).step_by(5).collect();
        assert_eq!(base_offsets(&answer), expected, "offset {offset}");
        assert_eq!(
            records_of(&answer).len(),
            expected.len() * batch_bytes,
            "offset {offset}"
        );
    }
}

#[test]
fn offsets_at_the_end_and_out_of_range() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let (topic, _) = filled(&mut client, 1, 2);
    let answer = try_fetch(&mut client, &topic, 0, 10);
    assert_eq!(answer.error_code, NONE);
    assert!(records_of(&answer).is_empty());
    assert_eq!(
        (
            answer.high_watermark,
            answer.last_stable_offset,
            answer.log_start_offset
        ),
        (10, 10, 0)
    );
    for version in 4..=18 {
        for offset in [11, 1_000_000, i64::MAX, -1, -2, i64::MIN] {
            let response = client.call(version, &fetch_request(&topic, &[(0, offset)]));
            let [answer] = partitions_of(response).try_into().unwrap();
            assert_eq!(answer.error_code, OFFSET_OUT_OF_RANGE, "v{version}, offset {offset}");
            assert!(records_of(&answer).is_empty(), "v{version}, offset {offset}");
            assert_eq!(answer.high_watermark, -1, "v{version}, offset {offset}");
        }
    }
    let empty = create_topic(&mut client, "empty", 1);
    let answer = try_fetch(&mut client, &empty, 0, 0);
    assert_eq!((answer.error_code, answer.high_watermark), (NONE, 0));
    assert!(records_of(&answer).is_empty());
}

#[test]
fn unknown_topics_and_partitions() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let (topic, _) = filled(&mut client, 1, 1);
    let unknown = Topic {
        name: unique("unknown"),
        id: [0x79; 16],
    };
    for version in 4..=18 {
        let response = client.call(version, &fetch_request(&unknown, &[(0, 0)]));
        let [answer] = partitions_of(response).try_into().unwrap();
        let expected = if version >= 13 {
            UNKNOWN_TOPIC_ID
        } else {
            UNKNOWN_TOPIC_OR_PARTITION
        };
        assert_eq!(answer.error_code, expected, "v{version}");
        assert!(records_of(&answer).is_empty(), "v{version}");
        let response = client.call(version, &fetch_request(&topic, &[(1, 0), (0, 0), (-1, 0)]));
        let answers: Vec<_> = partitions_of(response)
            .iter()
            .map(|answer| (answer.partition_index, answer.error_code, records_of(answer).is_empty()))
            .collect();
        let missing = UNKNOWN_TOPIC_OR_PARTITION;
        assert_eq!(
            answers,
            [(-1, missing, true), (0, NONE, false), (1, missing, true)],
            "v{version}"
        );
    }
}

/// Fetches the partitions in this order with a limit for the whole answer; the base offsets of each, by number.
fn fetch_limited(client: &mut Client, topic: &Topic, partitions: &[i32], max_bytes: usize) -> Vec<Vec<i64>> {
    let asked: Vec<_> = partitions.iter().map(|&partition| (partition, 0)).collect();
    let request = FetchRequest {
        max_bytes: max_bytes.try_into().unwrap(),
        ..fetch_request(topic, &asked)
    };
    let answers = partitions_of(client.call(FETCH, &request));
    assert_eq!(answers.len(), partitions.len());
    let bytes: usize = answers.iter().map(|answer| records_of(answer).len()).sum();
    let first_batch = HEADER_BYTES + 5 * 210;
    assert!(
        bytes <= max_bytes.max(first_batch),
        "{bytes} bytes for at most {max_bytes}"
    );
    answers.iter().map(base_offsets).collect()
}

/// KIP-74: the first batch of the first partition that has one comes whole, whatever the limits; behind it the limits hold.
fn limits_of_an_answer(cores: u16) {
    let broker = Broker::start(cores);
    let mut client = broker.client();
    let (topic, batch) = filled(&mut client, 8, 2);
    let none = Vec::new;
    for max_bytes in [0, 1, 100, batch - 1] {
        for first in [0, 3, 7] {
            let order: Vec<_> = (first..8).chain(0..first).collect();
            let mut expected = vec![Vec::new(); 8];
            expected[usize::try_from(first).unwrap()] = vec![0];
            let found = fetch_limited(&mut client, &topic, &order, max_bytes);
            assert_eq!(found, expected, "{max_bytes} bytes, first {first}");
        }
    }
    // Two partitions are asked first, so theirs is what fits.
    let found = fetch_limited(&mut client, &topic, &[2, 1, 0], 2 * batch);
    assert_eq!(found, [none(), none(), vec![0, 5]]);
    let found = fetch_limited(&mut client, &topic, &[2, 1, 0], 2 * batch + batch / 2);
    assert_eq!(found, [none(), none(), vec![0, 5]]);
    let found = fetch_limited(&mut client, &topic, &[2, 1, 0], 3 * batch);
    assert_eq!(found, [none(), vec![0], vec![0, 5]]);
    let all = fetch_limited(&mut client, &topic, &[7, 6, 5, 4, 3, 2, 1, 0], 16 * batch);
    assert_eq!(all, vec![vec![0, 5]; 8]);
}

#[test]
fn limits_of_an_answer_on_1_core() {
    limits_of_an_answer(1);
}

#[test]
fn limits_of_an_answer_on_2_cores() {
    limits_of_an_answer(2);
}

#[test]
fn limits_of_an_answer_on_4_cores() {
    limits_of_an_answer(4);
}

/// Partitions without records, or with an error, do not use up the exception for the first batch.
#[test]
fn the_first_batch_is_that_of_the_first_partition_with_records() {
    let broker = Broker::start(4);
    let mut client = broker.client();
    let (topic, batch) = filled(&mut client, 6, 1);
    let request = FetchRequest {
        max_bytes: 1,
        ..fetch_request(&topic, &[(5, 5), (4, 99), (9, 0), (3, 5), (2, 0), (1, 0), (0, 0)])
    };
    let answers = partitions_of(client.call(FETCH, &request));
    let found: Vec<_> = answers.iter().map(|answer| records_of(answer).len()).collect();
    assert_eq!(found, [0, 0, batch, 0, 0, 0, 0]);
}

#[test]
fn limits_of_a_partition() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let (topic, batch) = filled(&mut client, 2, 4);
    for (limit, first_expected, second_expected) in [
        (0, 1, 0),
        (1, 1, 0),
        (batch - 1, 1, 0),
        (batch, 1, 1),
        (2 * batch - 1, 1, 1),
        (2 * batch, 2, 2),
        (100 * batch, 4, 4),
    ] {
        let mut request = fetch_request(&topic, &[(0, 0), (1, 0)]);
        for partition in &mut request.topics[0].partitions {
            partition.partition_max_bytes = limit.try_into().unwrap();
        }
        let answers = partitions_of(client.call(FETCH, &request));
        let whole: Vec<_> = answers.iter().map(|answer| base_offsets(answer).len()).collect();
        assert_eq!(whole, [first_expected, second_expected], "{limit} bytes");
        for answer in answers {
            let records = records_of(&answer);
            assert!(records.len() <= limit.max(batch), "{limit} bytes");
            // What is cut off is the front of the next batch.
            assert_batches_to_the_end(&records);
        }
    }
}

/// Whole batches, then at most the front of one more.
fn assert_batches_to_the_end(records: &Bytes) {
    let mut rest = records.as_ref();
    while let Ok(batch) = BatchView::parse(rest) {
        batch.check_crc().unwrap();
        rest = &rest[batch.bytes().len()..];
    }
    assert!(rest.len() < HEADER_BYTES + 5 * 210);
}

#[test]
fn negative_limits_are_no_way_out() {
    let mut broker = Broker::start(1);
    let mut client = broker.client();
    let (topic, batch) = filled(&mut client, 1, 2);
    for (max_wait_ms, min_bytes, max_bytes) in [(-1, 1, 1), (0, -1, 1), (0, i32::MIN, 1), (i32::MIN, 1, 1)] {
        let request = FetchRequest {
            max_wait_ms,
            min_bytes,
            max_bytes,
            ..fetch_request(&topic, &[(0, 0)])
        };
        let [answer] = partitions_of(client.call(FETCH, &request)).try_into().unwrap();
        assert_eq!(
            records_of(&answer).len(),
            batch,
            "{max_wait_ms} {min_bytes} {max_bytes}"
        );
    }
    let request = FetchRequest {
        max_bytes: -1,
        ..fetch_request(&topic, &[(0, 0)])
    };
    let [answer] = partitions_of(client.call(FETCH, &request)).try_into().unwrap();
    assert!(records_of(&answer).len() <= batch);
    broker.assert_alive();
}

/// The same partition may be asked for twice, and a topic stand in the request twice.
#[test]
fn partitions_asked_for_twice() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let (topic, _) = filled(&mut client, 2, 1);
    let mut request = fetch_request(&topic, &[(0, 0), (1, 0)]);
    request.topics.extend(fetch_request(&topic, &[(0, 5)]).topics);
    let response = client.call(FETCH, &request);
    let mut found: Vec<_> = partitions_of(response)
        .iter()
        .map(|answer| answer.partition_index)
        .collect();
    found.dedup();
    assert_eq!(found, [0, 1]);
}

/// Session id 0 means that there is no session, which is always allowed.
#[test]
fn sessions() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let (topic, batch) = filled(&mut client, 1, 1);
    for (session_epoch, version) in [(-1, 7), (0, 7), (-1, 12), (0, 12), (-1, 17), (0, 17)] {
        let request = FetchRequest {
            session_epoch,
            ..fetch_request(&topic, &[(0, 0)])
        };
        let response = client.call(version, &request);
        assert!(session_epoch == 0 || response.session_id == 0, "v{version}");
        assert_eq!(records_of(&partitions_of(response)[0]).len(), batch, "v{version}");
    }
    for session_epoch in [1, 2, i32::MAX] {
        let request = FetchRequest {
            session_id: 123_456_789,
            session_epoch,
            ..fetch_request(&topic, &[(0, 0)])
        };
        for version in [7, 12, 17] {
            let response = client.call(version, &request);
            assert_eq!(
                response.error_code, FETCH_SESSION_ID_NOT_FOUND,
                "v{version}, epoch {session_epoch}"
            );
            assert!(response.responses.is_empty(), "v{version}, epoch {session_epoch}");
        }
    }
}

/// Who reads committed records only is told of aborted transactions, of which there are none; others are told nothing.
#[test]
fn isolation_levels() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let (topic, batch) = filled(&mut client, 1, 2);
    for version in 4..=18 {
        for (isolation_level, aborted) in [(0, None), (1, Some(Vec::new()))] {
            let request = FetchRequest {
                isolation_level,
                ..fetch_request(&topic, &[(0, 0)])
            };
            let [answer] = partitions_of(client.call(version, &request)).try_into().unwrap();
            assert_eq!(
                answer.aborted_transactions, aborted,
                "v{version}, level {isolation_level}"
            );
            assert_eq!(answer.last_stable_offset, 10, "v{version}, level {isolation_level}");
            assert_eq!(
                records_of(&answer).len(),
                2 * batch,
                "v{version}, level {isolation_level}"
            );
        }
    }
}

/// More partitions than a core can hand out in one turn.
fn many_partitions(cores: u16) {
    const PARTITIONS: i32 = 200;
    let broker = Broker::start(cores);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "many", PARTITIONS);
    for partition in (0..PARTITIONS).step_by(3) {
        produce(&mut client, &topic, partition, &sized_batch(1, 100));
    }
    let asked: Vec<_> = (0..PARTITIONS).rev().map(|partition| (partition, 0)).collect();
    let answers = partitions_of(client.call(FETCH, &fetch_request(&topic, &asked)));
    assert_eq!(answers.len(), 200);
    for (partition, answer) in (0..).zip(&answers) {
        assert_eq!((answer.partition_index, answer.error_code), (partition, NONE));
        assert_eq!(
            base_offsets(answer).len(),
            usize::from(partition % 3 == 0),
            "partition {partition}"
        );
    }
}

#[test]
fn many_partitions_on_1_core() {
    many_partitions(1);
}

#[test]
fn many_partitions_on_4_cores() {
    many_partitions(4);
}
