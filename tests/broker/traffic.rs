//! Everything at the same time: producers, consumers that wait, topics that come and go.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen::record::{Batches, Decompressor};
use duramen_wire::messages::{CreateTopicsRequest, DeleteTopicsRequest, FetchRequest, MetadataRequest, ProduceRequest};

use crate::client::Client;
use crate::codes::{NONE, TOPIC_ALREADY_EXISTS, UNKNOWN_TOPIC_OR_PARTITION};
use crate::fixture::{
    FETCH, METADATA, PRODUCE, Topic, create_topic, fetch_request, new_producer_id, partitions_of, produce_request,
    records_of, sequenced, unique,
};
use crate::harness::{Broker, poll};

const PARTITIONS: i32 = 6;
const PRODUCERS: usize = 4;
const ROUNDS: i32 = 60;
const RECORDS: usize = 3;
const IN_FLIGHT: usize = 5;

/// Writes to all partitions, with several requests in flight.
fn write(mut client: Client, topic: &Topic) {
    let id = new_producer_id(&mut client);
    let mut in_flight = Vec::new();
    let settle = |client: &mut Client, sent| {
        let response = client.receive::<ProduceRequest>(PRODUCE, sent);
        for answer in &response.responses[0].partition_responses {
            assert_eq!(answer.error_code, NONE, "{:?}", answer.error_message);
        }
    };
    for round in 0..ROUNDS {
        let sequence = round * i32::try_from(RECORDS).unwrap();
        let batch = sequenced(id, 0, sequence, RECORDS);
        let batches: Vec<_> = (0..PARTITIONS).map(|partition| (partition, &batch)).collect();
        in_flight.push(client.send(PRODUCE, &produce_request(topic, &batches)));
        if in_flight.len() == IN_FLIGHT {
            settle(&mut client, in_flight.remove(0));
        }
    }
    for sent in in_flight {
        settle(&mut client, sent);
    }
}

/// Reads until it has seen all; what each producer wrote to a partition has to come once and in order.
fn read(mut client: Client, topic: &Topic, max_bytes: i32) {
    let end = i64::from(ROUNDS) * i64::try_from(PRODUCERS * RECORDS).unwrap();
    let mut offsets: Vec<_> = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
    let mut next_sequences: Vec<BTreeMap<i64, i32>> = vec![BTreeMap::new(); offsets.len()];
    let mut decompressor = Decompressor::new(1 << 20);
    while offsets.iter().any(|&(_, offset)| offset < end) {
        let request = FetchRequest {
            max_wait_ms: 5000,
            max_bytes,
            ..fetch_request(topic, &offsets)
        };
        let answers = partitions_of(client.call(FETCH, &request));
        for (index, answer) in answers.iter().enumerate() {
            assert_eq!(answer.error_code, NONE);
            let records = records_of(answer);
            for batch in Batches::new(&records).map_while(Result::ok) {
                batch.check_crc().unwrap();
                let header = batch.header();
                assert_eq!(header.base_offset.0, offsets[index].1, "partition {index}");
                let next = next_sequences[index].entry(header.producer_id.0).or_default();
                assert_eq!(header.base_sequence.0, *next, "partition {index}");
                *next += header.record_count;
                assert_eq!(
                    batch.records(&mut decompressor).unwrap().map(Result::unwrap).count(),
                    RECORDS
                );
                offsets[index].1 = header.next_offset().0;
            }
        }
    }
}

fn producers_and_consumers(cores: u16) {
    let broker = Broker::start(cores);
    let topic = create_topic(&mut broker.client(), "traffic", PARTITIONS);
    std::thread::scope(|scope| {
        for max_bytes in [1, 2000, 50 << 20] {
            let (client, topic) = (broker.client(), &topic);
            scope.spawn(move || read(client, topic, max_bytes));
        }
        for _ in 0..PRODUCERS {
            let (client, topic) = (broker.client(), &topic);
            scope.spawn(move || write(client, topic));
        }
    });
}

#[test]
fn producers_and_consumers_on_1_core() {
    producers_and_consumers(1);
}

#[test]
fn producers_and_consumers_on_2_cores() {
    producers_and_consumers(2);
}

#[test]
fn producers_and_consumers_on_4_cores() {
    producers_and_consumers(4);
}

/// Several clients create, describe, write to and delete the same few topics.
#[test]
fn topics_come_and_go() {
    let mut broker = Broker::start(2);
    let names: Vec<_> = (0..3).map(|_| unique("comes-and-goes")).collect();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (client, names) = (broker.client(), &names);
            scope.spawn(move || come_and_go(client, names, seed));
        }
    });
    let mut client = broker.client();
    for name in &names {
        let code = delete(&mut client, name);
        assert!([NONE, UNKNOWN_TOPIC_OR_PARTITION].contains(&code), "{code}");
    }
    let request = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    poll("the end of all topics", Duration::from_secs(5), || {
        let all = client.call(METADATA, &request).topics;
        let is_left = |name: Option<String>| name.is_some_and(|name| names.contains(&name));
        (!all.into_iter().any(|topic| is_left(topic.name))).then_some(())
    });
    broker.assert_alive();
}

fn come_and_go(mut client: Client, names: &[String], seed: usize) {
    client.set_read_timeout(Duration::from_secs(20));
    for round in 0..30 {
        let name = &names[(round + seed) % names.len()];
        let code = create(&mut client, name);
        assert!([NONE, TOPIC_ALREADY_EXISTS].contains(&code), "{code}");
        let topic = Topic {
            name: name.clone(),
            id: [0; 16],
        };
        let batch = sequenced(-1, -1, -1, 1);
        client.call(PRODUCE, &produce_request(&topic, &[(0, &batch), (1, &batch)]));
        client.call(12, &fetch_request(&topic, &[(0, 0), (1, 0)]));
        let code = delete(&mut client, name);
        assert!([NONE, UNKNOWN_TOPIC_OR_PARTITION].contains(&code), "{code}");
    }
}

fn create(client: &mut Client, name: &str) -> i16 {
    let request = CreateTopicsRequest {
        topics: vec![duramen_wire::messages::create_topics_request::CreatableTopic {
            name: name.to_owned(),
            num_partitions: 2,
            replication_factor: 1,
            ..Default::default()
        }],
        ..CreateTopicsRequest::default()
    };
    client.call(7, &request).topics[0].error_code
}

fn delete(client: &mut Client, name: &str) -> i16 {
    let request = DeleteTopicsRequest {
        topic_names: vec![name.to_owned()],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    client.call(5, &request).responses[0].error_code
}
