//! Leader epochs: fencing in both directions, divergence, and where an epoch ends.

use duramen_wire::messages::fetch_response::EpochEndOffset;
use duramen_wire::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use duramen_wire::messages::{FetchRequest, OffsetForLeaderEpochRequest};

use crate::client::Client;
use crate::codes::{FENCED_LEADER_EPOCH, NONE, OFFSET_OUT_OF_RANGE, UNKNOWN_LEADER_EPOCH, UNKNOWN_TOPIC_OR_PARTITION};
use crate::fixture::{
    Topic, create_topic, fetch_request, leader_epoch, list_offsets_request, partitions_of, produce, records_of,
    sized_batch, unique,
};
use crate::harness::Broker;

/// A topic with 10 records in two batches; its leader epoch.
fn ten_records(client: &mut Client) -> (Topic, i32) {
    let topic = create_topic(client, "epochs", 1);
    for _ in 0..2 {
        produce(client, &topic, 0, &sized_batch(5, 50));
    }
    let epoch = leader_epoch(client, &topic, 0);
    (topic, epoch)
}

fn fetch_with(
    topic: &Topic,
    fetch_offset: i64,
    (current_leader_epoch, last_fetched_epoch): (i32, i32),
) -> FetchRequest {
    let mut request = fetch_request(topic, &[(0, fetch_offset)]);
    let partition = &mut request.topics[0].partitions[0];
    partition.current_leader_epoch = current_leader_epoch;
    partition.last_fetched_epoch = last_fetched_epoch;
    request
}

/// Epochs that a client may believe in, with what it is told; -1 means that it does not know.
fn fences(epoch: i32) -> [(i32, i16); 4] {
    [
        (-1, NONE),
        (epoch, NONE),
        (epoch + 1, UNKNOWN_LEADER_EPOCH),
        (i32::MAX, UNKNOWN_LEADER_EPOCH),
    ]
}

#[test]
fn fetch_is_fenced_both_ways() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let (topic, epoch) = ten_records(&mut client);
    for version in 9..=18 {
        // To Fetch, all negative epochs are unknown ones.
        for (believed, expected) in fences(epoch).into_iter().chain([(-2, NONE)]) {
            let response = client.call(version, &fetch_with(&topic, 0, (believed, -1)));
            let [answer] = partitions_of(response).try_into().unwrap();
            assert_eq!(answer.error_code, expected, "v{version}, epoch {believed}");
            assert_eq!(
                records_of(&answer).is_empty(),
                expected != NONE,
                "v{version}, epoch {believed}"
            );
        }
    }
}

#[test]
fn list_offsets_is_fenced_both_ways() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let (topic, epoch) = ten_records(&mut client);
    for version in 4..=11 {
        // To ListOffsets, -2 is an epoch below all that there are.
        for (believed, expected) in fences(epoch).into_iter().chain([(-2, FENCED_LEADER_EPOCH)]) {
            let mut request = list_offsets_request(&topic, &[(0, -1)]);
            request.topics[0].partitions[0].current_leader_epoch = believed;
            let answer = &client.call(version, &request).topics[0].partitions[0];
            assert_eq!(answer.error_code, expected, "v{version}, epoch {believed}");
            assert_eq!(
                answer.offset,
                if expected == NONE { 10 } else { -1 },
                "v{version}, epoch {believed}"
            );
        }
    }
}

/// The lowest epoch that could fence is one below that of the leader: it takes a leader that was elected again.
#[test]
fn an_epoch_of_the_past_is_fenced() {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut client = broker.client();
    let (topic, _) = ten_records(&mut client);
    broker.kill_and_restart(2);
    let mut client = broker.client();
    let epoch = leader_epoch(&mut client, &topic, 0);
    if epoch == 0 {
        eprintln!("a restart of a single broker elects nobody");
        return;
    }
    let response = client.call(17, &fetch_with(&topic, 0, (epoch - 1, -1)));
    assert_eq!(partitions_of(response)[0].error_code, FENCED_LEADER_EPOCH);
}

/// A reader whose log goes on where ours has ended gets the place where both part.
#[test]
fn divergence() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let (topic, epoch) = ten_records(&mut client);
    let nowhere = EpochEndOffset::default();
    for version in 12..=18 {
        for (offset, last_fetched, code, diverging) in [
            (5, epoch, NONE, nowhere.clone()),
            (10, epoch, NONE, nowhere.clone()),
            (11, epoch, NONE, EpochEndOffset { epoch, end_offset: 10 }),
            (5, epoch + 1, OFFSET_OUT_OF_RANGE, nowhere.clone()),
        ] {
            let what = format!("v{version}, offset {offset}, epoch {last_fetched}");
            let response = client.call(version, &fetch_with(&topic, offset, (-1, last_fetched)));
            let [answer] = partitions_of(response).try_into().unwrap();
            assert_eq!(answer.error_code, code, "{what}");
            assert_eq!(answer.diverging_epoch, diverging, "{what}");
            assert_eq!(records_of(&answer).is_empty(), offset != 5 || code != NONE, "{what}");
        }
    }
}

fn end_of_epoch(
    topic: &str,
    partition: i32,
    current_leader_epoch: i32,
    leader_epoch: i32,
) -> OffsetForLeaderEpochRequest {
    OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![OffsetForLeaderTopic {
            topic: topic.to_owned(),
            partitions: vec![OffsetForLeaderPartition {
                partition,
                current_leader_epoch,
                leader_epoch,
            }],
        }],
    }
}

#[test]
fn where_an_epoch_ends() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let (topic, epoch) = ten_records(&mut client);
    let unknown = unique("unknown");
    for version in 2..=4 {
        for (name, partition, current, asked, expected) in [
            (&topic.name, 0, -1, epoch, (NONE, epoch, 10)),
            (&topic.name, 0, epoch, epoch, (NONE, epoch, 10)),
            (&topic.name, 0, -1, epoch + 1, (NONE, -1, -1)),
            (&topic.name, 0, -1, -1, (NONE, -1, -1)),
            (&topic.name, 0, epoch + 1, epoch, (UNKNOWN_LEADER_EPOCH, -1, -1)),
            (&topic.name, 0, -2, epoch, (FENCED_LEADER_EPOCH, -1, -1)),
            (&topic.name, 1, -1, epoch, (UNKNOWN_TOPIC_OR_PARTITION, -1, -1)),
            (&unknown, 0, -1, epoch, (UNKNOWN_TOPIC_OR_PARTITION, -1, -1)),
        ] {
            let response = client.call(version, &end_of_epoch(name, partition, current, asked));
            let answer = &response.topics[0].partitions[0];
            assert_eq!(answer.partition, partition);
            let found = (answer.error_code, answer.leader_epoch, answer.end_offset);
            assert_eq!(
                found, expected,
                "v{version}, {name}-{partition}, current {current}, asked {asked}"
            );
        }
    }
}
