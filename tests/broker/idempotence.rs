//! Producers with an id: what was sent twice is in the log once, in order or not at all, also after a restart.

use crate::client::Client;
use crate::codes::{INVALID_PRODUCER_EPOCH, NONE, OUT_OF_ORDER_SEQUENCE_NUMBER};
use crate::fixture::{
    PRODUCE, Topic, create_topic, end_offset, new_producer_id, produce_request, sequenced, try_produce, with_header,
};
use crate::harness::Broker;

/// A producer, with a topic of one partition of its own.
struct Producer {
    client: Client,
    topic: Topic,
    id: i64,
}

impl Producer {
    fn new(broker: &Broker) -> Self {
        let mut client = broker.client();
        let topic = create_topic(&mut client, "idempotent", 1);
        let id = new_producer_id(&mut client);
        Self { client, topic, id }
    }

    /// Sends `records` records from `sequence` on; error code and base offset.
    fn send(&mut self, epoch: i16, sequence: i32, records: usize) -> (i16, i64) {
        let batch = sequenced(self.id, epoch, sequence, records);
        let answer = try_produce(&mut self.client, &self.topic, 0, &batch);
        (answer.error_code, answer.base_offset)
    }

    fn end(&mut self) -> i64 {
        end_offset(&mut self.client, &self.topic, 0)
    }
}

const OUT_OF_ORDER: (i16, i64) = (OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
const OLD_EPOCH: (i16, i64) = (INVALID_PRODUCER_EPOCH, -1);

#[test]
fn sent_twice_is_there_once() {
    let broker = Broker::start(2);
    let mut producer = Producer::new(&broker);
    for (sequence, records, offset) in [(0, 3, 0), (3, 1, 3), (4, 10, 4)] {
        for _ in 0..3 {
            assert_eq!(producer.send(0, sequence, records), (NONE, offset));
        }
    }
    assert_eq!(producer.end(), 14);
}

#[test]
fn the_last_five_batches_are_known() {
    let broker = Broker::start(2);
    let mut producer = Producer::new(&broker);
    for batch in 0..8 {
        assert_eq!(producer.send(0, 2 * batch, 2), (NONE, i64::from(2 * batch)));
    }
    for batch in 3..8 {
        assert_eq!(
            producer.send(0, 2 * batch, 2),
            (NONE, i64::from(2 * batch)),
            "batch {batch}"
        );
    }
    for batch in 0..3 {
        assert_eq!(producer.send(0, 2 * batch, 2), OUT_OF_ORDER, "batch {batch}");
    }
    // The same sequences in other batches are not what was sent.
    assert_eq!(producer.send(0, 14, 1), OUT_OF_ORDER);
    assert_eq!(producer.send(0, 13, 2), OUT_OF_ORDER);
    assert_eq!(producer.end(), 16);
    assert_eq!(producer.send(0, 16, 1), (NONE, 16));
}

#[test]
fn gaps_and_epochs() {
    let broker = Broker::start(2);
    let mut producer = Producer::new(&broker);
    assert_eq!(producer.send(3, 0, 5), (NONE, 0));
    assert_eq!(producer.send(3, 6, 1), OUT_OF_ORDER, "a gap");
    assert_eq!(producer.send(3, 4, 1), OUT_OF_ORDER, "a step back");
    assert_eq!(producer.send(2, 5, 1), OLD_EPOCH);
    assert_eq!(producer.send(2, 0, 5), OLD_EPOCH);
    assert_eq!(producer.send(4, 5, 1), OUT_OF_ORDER, "a new epoch starts at 0");
    assert_eq!(
        producer.send(3, 5, 1),
        (NONE, 5),
        "what was refused has changed nothing"
    );
    assert_eq!(producer.send(4, 0, 1), (NONE, 6));
    assert_eq!(producer.send(3, 6, 1), OLD_EPOCH);
    assert_eq!(producer.send(4, 1, 1), (NONE, 7));
    assert_eq!(producer.end(), 8);
}

/// Of a producer that a partition does not know, any sequence is the first.
#[test]
fn an_unknown_producer_starts_anywhere() {
    let broker = Broker::start(1);
    let mut producer = Producer::new(&broker);
    assert_eq!(producer.send(0, 1000, 1), (NONE, 0));
    assert_eq!(producer.send(0, 1001, 1), (NONE, 1));
    assert_eq!(producer.send(0, 1003, 1), OUT_OF_ORDER);
}

#[test]
fn sequences_wrap() {
    let broker = Broker::start(1);
    let mut producer = Producer::new(&broker);
    assert_eq!(producer.send(0, i32::MAX - 9, 8), (NONE, 0));
    // The sequences MAX - 1, MAX, 0, 1, 2.
    assert_eq!(producer.send(0, i32::MAX - 1, 5), (NONE, 8));
    assert_eq!(producer.send(0, i32::MAX - 1, 5), (NONE, 8), "sent twice");
    assert_eq!(producer.send(0, 3, 1), (NONE, 13));
    assert_eq!(producer.end(), 14);

    // The batch before ends exactly at the greatest sequence.
    let mut producer = Producer::new(&broker);
    assert_eq!(producer.send(0, i32::MAX - 2, 3), (NONE, 0));
    assert_eq!(producer.send(0, 1, 1), OUT_OF_ORDER);
    assert_eq!(producer.send(0, 0, 1), (NONE, 3));
}

/// There are no transactions yet: a batch that claims to be part of one is not taken as if it were none.
#[test]
fn batches_of_transactions_are_refused() {
    let Some(broker) = Broker::start_own(1, &[]) else {
        return;
    };
    let mut producer = Producer::new(&broker);
    let batch = with_header(&sequenced(producer.id, 0, 0, 1), |header| {
        header.attributes = header.attributes.with_transactional();
    });
    let answer = try_produce(&mut producer.client, &producer.topic, 0, &batch);
    assert_ne!(answer.error_code, NONE);
    assert_eq!(producer.end(), 0);
    assert_eq!(producer.send(0, 0, 1), (NONE, 0));
}

/// State is that of a partition: sequences are counted in each of them, and producers do not see each other.
#[test]
fn partitions_and_producers_are_apart() {
    let broker = Broker::start(4);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "apart", 8);
    let ids = [new_producer_id(&mut client), new_producer_id(&mut client)];
    for round in 0..3 {
        for id in ids {
            let batches: Vec<_> = (0..8)
                .map(|partition| (partition, sequenced(id, 0, 2 * round, 2)))
                .collect();
            let batches: Vec<_> = batches.iter().map(|(partition, batch)| (*partition, batch)).collect();
            for _ in 0..2 {
                let response = client.call(PRODUCE, &produce_request(&topic, &batches));
                for answer in &response.responses[0].partition_responses {
                    assert_eq!(answer.error_code, NONE, "round {round}, partition {}", answer.index);
                }
            }
        }
    }
    for partition in 0..8 {
        assert_eq!(end_offset(&mut client, &topic, partition), 12, "partition {partition}");
    }
}

/// Five requests in flight, as clients send them; then all again, as they do when the connection broke before the answers.
#[test]
fn five_in_flight_sent_again() {
    let broker = Broker::start(2);
    let mut producer = Producer::new(&broker);
    for attempt in 0..2 {
        let mut sent = Vec::new();
        let mut client = broker.client();
        for batch in 0..5 {
            let records = sequenced(producer.id, 0, batch, 1);
            let request = produce_request(&producer.topic, &[(0, &records)]);
            sent.push(client.send(PRODUCE, &request));
        }
        for (offset, sent) in (0..).zip(sent) {
            let response = client.receive::<duramen_wire::messages::ProduceRequest>(PRODUCE, sent);
            let answer = &response.responses[0].partition_responses[0];
            assert_eq!(
                (answer.error_code, answer.base_offset),
                (NONE, offset),
                "attempt {attempt}"
            );
        }
    }
    assert_eq!(producer.end(), 5);
}

/// What a broker knows of producers, it knows again after `restart`.
fn known_after(restart: impl Fn(&mut Broker)) {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut producer = Producer::new(&broker);
    for batch in 0..7 {
        assert_eq!(producer.send(1, 2 * batch, 2), (NONE, i64::from(2 * batch)));
    }
    for round in 0..2 {
        restart(&mut broker);
        producer.client = broker.client();
        assert_eq!(producer.end(), 14 + round, "round {round}");
        for batch in 3..7 {
            if round == 0 || batch > 3 {
                assert_eq!(
                    producer.send(1, 2 * batch, 2),
                    (NONE, i64::from(2 * batch)),
                    "round {round}"
                );
            }
        }
        assert_eq!(producer.send(1, 0, 2), OUT_OF_ORDER, "round {round}");
        let next = 14 + i32::try_from(round).unwrap();
        assert_eq!(producer.send(1, next + 1, 1), OUT_OF_ORDER, "round {round}");
        assert_eq!(producer.send(0, next, 1), OLD_EPOCH, "round {round}");
        assert_eq!(producer.send(2, next, 1), OUT_OF_ORDER, "round {round}");
        assert_eq!(producer.send(1, next, 1), (NONE, i64::from(next)), "round {round}");
        assert_eq!(producer.send(1, next, 1), (NONE, i64::from(next)), "round {round}");
        assert_eq!(producer.end(), 15 + round, "round {round}");
    }
}

#[test]
fn known_after_kill() {
    known_after(|broker| broker.kill_and_restart(2));
}

#[test]
fn known_after_stop() {
    known_after(|broker| broker.restart(2));
}

#[test]
fn known_after_stop_and_kill() {
    known_after(|broker| {
        broker.restart(1);
        broker.kill_and_restart(2);
    });
}
