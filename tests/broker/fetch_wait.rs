//! Fetch that waits: what wakes it, and how long it waits otherwise.

use std::time::{Duration, Instant};

use duramen_wire::messages::delete_topics_request::DeleteTopicState;
use duramen_wire::messages::fetch_response::PartitionData;
use duramen_wire::messages::{DeleteTopicsRequest, FetchRequest};

use crate::client::Client;
use crate::codes::{NONE, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION};
use crate::fixture::{FETCH, Topic, create_topic, fetch_request, partitions_of, produce, records_of, sized_batch};
use crate::harness::Broker;

/// Long enough that an answer before it was woken, whatever else the machine does.
const LONG_MS: i32 = 5000;

fn waiting(topic: &Topic, partitions: &[(i32, i64)], max_wait_ms: i32, min_bytes: i32) -> FetchRequest {
    FetchRequest {
        max_wait_ms,
        min_bytes,
        ..fetch_request(topic, partitions)
    }
}

/// Answers, and how long they took from `start` on.
fn receive(client: &mut Client, correlation_id: i32, start: Instant) -> (Vec<PartitionData>, Duration) {
    let response = client.receive::<FetchRequest>(FETCH, correlation_id);
    (partitions_of(response), start.elapsed())
}

/// Appends to partitions in turn; the next append is only after the answer to the one before.
fn wakes_on_append(cores: u16) {
    const PARTITIONS: i32 = 6;
    const ROUNDS: i32 = 60;
    let broker = Broker::start(cores);
    let mut consumer = broker.client();
    let mut producer = broker.client();
    let topic = create_topic(&mut producer, "woken", PARTITIONS);
    let mut offsets: Vec<_> = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
    let batch = sized_batch(1, 100);
    let mut latencies = Vec::new();
    for round in 0..ROUNDS {
        let partition = round % PARTITIONS;
        let waiting = consumer.send(FETCH, &waiting(&topic, &offsets, LONG_MS, 1));
        // The answer to this comes after the fetch has been taken up, wherever that is done.
        producer.assert_usable();
        let start = Instant::now();
        produce(&mut producer, &topic, partition, &batch);
        let (answers, latency) = receive(&mut consumer, waiting, start);
        let index = usize::try_from(partition).unwrap();
        assert_eq!(records_of(&answers[index]).len(), batch.len(), "round {round}");
        offsets[index].1 += 1;
        latencies.push(latency);
    }
    latencies.sort_unstable();
    let (median, longest) = (latencies[latencies.len() / 2], latencies[latencies.len() - 1]);
    eprintln!("append to answer with {cores} cores: median {median:?}, longest {longest:?}");
    assert!(median < Duration::from_millis(100), "median {median:?}");
    assert!(longest < Duration::from_millis(2000), "longest {longest:?}");
}

#[test]
fn wakes_on_append_on_1_core() {
    wakes_on_append(1);
}

#[test]
fn wakes_on_append_on_2_cores() {
    wakes_on_append(2);
}

#[test]
fn wakes_on_append_on_4_cores() {
    wakes_on_append(4);
}

#[test]
fn waits_as_long_as_it_was_told() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "silent", 3);
    let partitions = [(0, 0), (1, 0), (2, 0)];
    for max_wait_ms in [0, 1, 50, 400] {
        let start = Instant::now();
        let sent = client.send(FETCH, &waiting(&topic, &partitions, max_wait_ms, 1));
        let (answers, elapsed) = receive(&mut client, sent, start);
        assert_eq!(answers.len(), 3);
        for answer in answers {
            assert_eq!(answer.error_code, NONE);
            assert!(records_of(&answer).is_empty());
        }
        let wait = Duration::from_millis(max_wait_ms.try_into().unwrap());
        // Clocks of two processes may round a millisecond differently.
        assert!(
            elapsed + Duration::from_millis(1) >= wait,
            "{elapsed:?} instead of {wait:?}"
        );
        assert!(
            elapsed < wait + Duration::from_millis(500),
            "{elapsed:?} instead of {wait:?}"
        );
    }
}

/// Without a wish for bytes there is nothing to wait for.
#[test]
fn zero_bytes_are_there_at_once() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "zero", 1);
    let start = Instant::now();
    let sent = client.send(FETCH, &waiting(&topic, &[(0, 0)], LONG_MS, 0));
    let (_, elapsed) = receive(&mut client, sent, start);
    assert!(elapsed < Duration::from_millis(2000), "{elapsed:?}");
    // No partitions, no wait.
    let start = Instant::now();
    let request = FetchRequest {
        topics: Vec::new(),
        ..waiting(&topic, &[], LONG_MS, 1)
    };
    let sent = client.send(FETCH, &request);
    let (answers, elapsed) = receive(&mut client, sent, start);
    assert!(answers.is_empty());
    assert!(elapsed < Duration::from_millis(2000), "{elapsed:?}");
}

/// Bytes are counted over all partitions, whatever cores these are on.
fn waits_for_min_bytes(cores: u16) {
    let broker = Broker::start(cores);
    let mut consumer = broker.client();
    let mut producer = broker.client();
    let topic = create_topic(&mut producer, "min-bytes", 4);
    let partitions = [(0, 0), (1, 0), (2, 0), (3, 0)];
    let batch = sized_batch(1, 100);
    let size = i32::try_from(batch.len()).unwrap();
    let start = Instant::now();
    let sent = consumer.send(FETCH, &waiting(&topic, &partitions, LONG_MS, 4 * size));
    for partition in [0, 1, 2] {
        produce(&mut producer, &topic, partition, &batch);
    }
    consumer.assert_silent(Duration::from_millis(100));
    produce(&mut producer, &topic, 1, &batch);
    let (answers, elapsed) = receive(&mut consumer, sent, start);
    assert!(elapsed < Duration::from_millis(3000), "{elapsed:?}");
    let bytes: Vec<_> = answers
        .iter()
        .map(|answer| records_of(answer).len() / batch.len())
        .collect();
    assert_eq!(bytes, [1, 2, 1, 0]);

    // There at once.
    let start = Instant::now();
    let sent = consumer.send(FETCH, &waiting(&topic, &partitions, LONG_MS, 4 * size));
    let (_, elapsed) = receive(&mut consumer, sent, start);
    assert!(elapsed < Duration::from_millis(2000), "{elapsed:?}");

    // Too few until the end of the wait, which then gives what there is.
    let start = Instant::now();
    let sent = consumer.send(FETCH, &waiting(&topic, &partitions, 300, 5 * size));
    let (answers, elapsed) = receive(&mut consumer, sent, start);
    assert!(elapsed >= Duration::from_millis(300), "{elapsed:?}");
    let bytes: usize = answers.iter().map(|answer| records_of(answer).len()).sum();
    assert_eq!(bytes, 4 * batch.len());
}

#[test]
fn waits_for_min_bytes_on_1_core() {
    waits_for_min_bytes(1);
}

#[test]
fn waits_for_min_bytes_on_4_cores() {
    waits_for_min_bytes(4);
}

#[test]
fn an_error_does_not_wait() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "errors", 2);
    for partitions in [&[(7, 0)][..], &[(1, 100)], &[(0, 0), (1, 100)], &[(1, 100), (0, 0)]] {
        let start = Instant::now();
        let sent = client.send(FETCH, &waiting(&topic, partitions, LONG_MS, 1));
        let (answers, elapsed) = receive(&mut client, sent, start);
        let errors = answers.iter().filter(|answer| answer.error_code != NONE).count();
        assert_eq!((answers.len(), errors), (partitions.len(), 1), "{partitions:?}");
        assert!(elapsed < Duration::from_millis(2000), "{partitions:?}: {elapsed:?}");
    }
}

#[test]
fn the_end_of_a_topic_wakes() {
    let broker = Broker::start(2);
    let mut consumer = broker.client();
    let mut admin = broker.client();
    for version in [12, 17] {
        let topic = create_topic(&mut admin, "ends", 2);
        let start = Instant::now();
        let sent = consumer.send(version, &waiting(&topic, &[(0, 0), (1, 0)], LONG_MS, 1));
        admin.assert_usable();
        let request = DeleteTopicsRequest {
            topics: vec![DeleteTopicState {
                name: Some(topic.name),
                topic_id: [0; 16],
            }],
            timeout_ms: 10_000,
            ..DeleteTopicsRequest::default()
        };
        assert_eq!(admin.call(6, &request).responses[0].error_code, NONE);
        let response = consumer.receive::<FetchRequest>(version, sent);
        let elapsed = start.elapsed();
        assert!(elapsed < Duration::from_millis(3000), "v{version}: {elapsed:?}");
        let gone = [UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID];
        let codes: Vec<_> = partitions_of(response).iter().map(|answer| answer.error_code).collect();
        assert!(codes.iter().any(|code| gone.contains(code)), "v{version}: {codes:?}");
    }
}

/// All who wait on a partition are woken, those of other partitions are not.
#[test]
fn many_wait_on_one_partition() {
    let broker = Broker::start(2);
    let mut producer = broker.client();
    let topic = create_topic(&mut producer, "crowd", 2);
    let mut consumers: Vec<_> = (0..20).map(|_| broker.client()).collect();
    let start = Instant::now();
    let mut sent = Vec::new();
    for consumer in &mut consumers {
        sent.push(consumer.send(FETCH, &waiting(&topic, &[(0, 0)], LONG_MS, 1)));
    }
    let mut other = broker.client();
    other.send(FETCH, &waiting(&topic, &[(1, 0)], LONG_MS, 1));
    let batch = sized_batch(1, 100);
    produce(&mut producer, &topic, 0, &batch);
    for (consumer, sent) in consumers.iter_mut().zip(sent) {
        let (answers, elapsed) = receive(consumer, sent, start);
        assert_eq!(records_of(&answers[0]).len(), batch.len());
        assert!(elapsed < Duration::from_millis(3000), "{elapsed:?}");
    }
    other.assert_silent(Duration::from_millis(50));
}

/// Who waits and goes away leaves nothing behind that fails.
#[test]
fn clients_that_go_away_while_they_wait() {
    let mut broker = Broker::start(2);
    let mut producer = broker.client();
    let topic = create_topic(&mut producer, "left", 2);
    for _ in 0..50 {
        broker
            .client()
            .send(FETCH, &waiting(&topic, &[(0, 0), (1, 0)], LONG_MS, 1));
    }
    for partition in [0, 1] {
        assert_eq!(produce(&mut producer, &topic, partition, &sized_batch(1, 100)), 0);
    }
    producer.assert_usable();
    broker.assert_alive();
}
