//! Stopped and started again: what was acknowledged is there, whatever the number of cores.

use std::time::Duration;

use bytes::Bytes;
use duramen_wire::messages::MetadataRequest;

use crate::client::Client;
use crate::codes::NONE;
use crate::fixture::{
    METADATA, Topic, batch, create_topic, describe, end_offset, fetch, leader_epoch, list_offset, produce, sized_batch,
    stored, wait_for_partitions,
};
use crate::harness::{Broker, poll};

/// Topics with what was acknowledged in each of their partitions.
pub struct Expected {
    cluster_id: Option<String>,
    topics: Vec<(Topic, Vec<Vec<u8>>)>,
}

impl Expected {
    pub fn new(client: &mut Client) -> Self {
        let mut topics = Vec::new();
        for partitions in [1, 3, 8] {
            let count = usize::try_from(partitions).unwrap();
            topics.push((create_topic(client, "kept", partitions), vec![Vec::new(); count]));
        }
        Self {
            cluster_id: cluster_id(client),
            topics,
        }
    }

    /// Appends `rounds` batches to each partition.
    pub fn append(&mut self, client: &mut Client, rounds: usize) {
        for round in 0..rounds {
            for (topic, partitions) in &mut self.topics {
                for (partition, log) in (0..).zip(partitions) {
                    let value = format!("{} {partition} {round}", topic.name);
                    let records = batch(&[value.as_bytes(), b"second"]);
                    let offset = produce(client, topic, partition, &records);
                    let epoch = leader_epoch(client, topic, partition);
                    log.extend_from_slice(&stored(&records, offset, epoch));
                }
            }
        }
    }

    pub fn assert_kept(&self, client: &mut Client, when: &str) {
        assert_eq!(cluster_id(client), self.cluster_id, "{when}");
        for (topic, partitions) in &self.topics {
            let described = describe(client, &topic.name);
            assert_eq!(described.topic_id, topic.id, "{when}");
            assert_eq!(described.partitions.len(), partitions.len(), "{when}");
            for (partition, log) in (0..).zip(partitions) {
                let found: Bytes = fetch(client, topic, partition, 0);
                assert!(found == *log, "{when}: {}-{partition}", topic.name);
                assert_eq!(list_offset(client, topic, partition, -2), (NONE, 0), "{when}");
            }
        }
    }
}

fn cluster_id(client: &mut Client) -> Option<String> {
    client.call(METADATA, &MetadataRequest::default()).cluster_id
}

/// Starts with each number of cores in turn, after a stop or a kill.
fn kept_over(cores: &[u16], stop: fn(&mut Broker, u16)) {
    let Some(mut broker) = Broker::start_own(cores[0], &[]) else {
        return;
    };
    let mut client = broker.client();
    let mut expected = Expected::new(&mut client);
    expected.append(&mut client, 3);
    for &cores in &cores[1..] {
        stop(&mut broker, cores);
        let mut client = broker.client();
        expected.assert_kept(&mut client, &format!("after the start with {cores} cores"));
        expected.append(&mut client, 2);
        expected.assert_kept(&mut client, &format!("appended with {cores} cores"));
    }
}

#[test]
fn kept_over_stops() {
    kept_over(&[2, 2, 2], Broker::restart);
}

#[test]
fn kept_over_kills() {
    kept_over(&[2, 2, 2], Broker::kill_and_restart);
}

#[test]
fn other_numbers_of_cores_after_stops() {
    kept_over(&[4, 1, 4, 2], Broker::restart);
}

#[test]
fn other_numbers_of_cores_after_kills() {
    kept_over(&[4, 1, 4, 2], Broker::kill_and_restart);
}

/// Offsets go on where they were, in topics of before and in new ones.
#[test]
fn topics_deleted_and_created_over_restarts() {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut client = broker.client();
    let kept = create_topic(&mut client, "stays", 2);
    let gone = create_topic(&mut client, "goes", 2);
    for topic in [&kept, &gone] {
        produce(&mut client, topic, 1, &sized_batch(3, 100));
    }
    let request = duramen_wire::messages::DeleteTopicsRequest {
        topic_names: vec![gone.name.clone()],
        timeout_ms: 10_000,
        ..Default::default()
    };
    assert_eq!(client.call(5, &request).responses[0].error_code, NONE);
    for restart in [Broker::kill_and_restart, Broker::restart] {
        restart(&mut broker, 2);
        let mut client = broker.client();
        assert_ne!(describe(&mut client, &gone.name).error_code, NONE);
        wait_for_partitions(&mut client, &kept, 2);
        assert_eq!(end_offset(&mut client, &kept, 1), 3);
        let new = create_topic(&mut client, "new", 1);
        assert_eq!(produce(&mut client, &new, 0, &sized_batch(1, 10)), 0);
    }
}

/// Kill after kill, with appends between: nothing that was acknowledged is lost or there twice.
#[test]
fn killed_while_it_is_written_to() {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let topic = create_topic(&mut broker.client(), "killed", 4);
    let mut acknowledged = [0; 4];
    for round in 0..4 {
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|partition| {
                    let (broker, topic) = (&broker, &topic);
                    scope.spawn(move || write_until_it_ends(broker.client(), topic, partition))
                })
                .collect();
            let started = end_offset(&mut broker.client(), &topic, 0);
            poll("some appends", Duration::from_secs(10), || {
                (end_offset(&mut broker.client(), &topic, 0) > started + 10).then_some(())
            });
            broker.kill();
            for (acknowledged, writer) in acknowledged.iter_mut().zip(writers) {
                *acknowledged = writer.join().unwrap().max(*acknowledged);
            }
        });
        broker.start_again(2);
        let mut client = broker.client();
        for (partition, acknowledged) in (0..).zip(acknowledged) {
            let end = end_offset(&mut client, &topic, partition);
            assert!(
                end >= acknowledged,
                "round {round}: partition {partition} lost {}",
                acknowledged - end
            );
            let records = fetch(&mut client, &topic, partition, 0);
            let mut next = 0;
            for batch in duramen::record::Batches::new(&records) {
                let batch = batch.unwrap();
                batch.check_crc().unwrap();
                assert_eq!(batch.header().base_offset.0, next, "round {round}");
                next = batch.header().next_offset().0;
            }
            assert_eq!(next, end, "round {round}");
        }
    }
}

/// Appends one record after the other until the connection breaks; the end of what was acknowledged.
fn write_until_it_ends(mut client: Client, topic: &Topic, partition: i32) -> i64 {
    let mut end = 0;
    let request = crate::fixture::produce_request(topic, &[(partition, &sized_batch(1, 100))]);
    for correlation_id in 0.. {
        let frame = crate::client::frame(12, correlation_id, &request);
        if !client.try_send_bytes(&frame) {
            break;
        }
        let Ok(response) = client.try_receive::<duramen_wire::messages::ProduceRequest>(12, correlation_id) else {
            break;
        };
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, NONE);
        end = answer.base_offset + 1;
    }
    end
}
