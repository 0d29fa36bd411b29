//! What is on the disk when an append is answered: by its acks, and by the settings of its topic.
//!
//! After a kill the end of the segment is cut off, as a crash of the machine does with what was not synced: what was on the disk, the
//! journal brings back.

use std::time::Duration;

use duramen_wire::messages::ProduceRequest;

use crate::client::Client;
use crate::codes::NONE;
use crate::fixture::{PRODUCE, Topic, batch, create_topic_with, end_offset, produce_request};
use crate::harness::Broker;
use crate::journal::{is_in_use, is_there};

/// What it is, acks, settings of the topic, and whether the record comes back.
type Row = (&'static str, i16, &'static [(&'static str, &'static str)], bool);

/// Longer than the `flush.ms` of a test.
const FLUSHED: Duration = Duration::from_millis(400);

fn send(client: &mut Client, topic: &Topic, acks: i16) {
    let request = ProduceRequest {
        acks,
        ..produce_request(topic, &[(0, &batch(&[b"a record"]))])
    };
    let response = client.call(PRODUCE, &request);
    assert_eq!(response.responses[0].partition_responses[0].error_code, NONE);
}

#[test]
fn what_is_on_the_disk_comes_back() {
    let Some(mut broker) = Broker::start_own(1, &[]) else {
        return;
    };
    let mut client = broker.client();
    let table: [Row; 6] = [
        ("acks=all", -1, &[], true),
        ("acks=1", 1, &[], false),
        ("acks=1, flush.messages=1", 1, &[("flush.messages", "1")], true),
        ("acks=1, flush.messages=5", 1, &[("flush.messages", "5")], false),
        ("acks=1, flush.ms=50", 1, &[("flush.ms", "50")], true),
        ("acks=all, durability=memory", -1, &[("durability", "memory")], false),
    ];
    let topics: Vec<Topic> = table
        .iter()
        .map(|(_, _, configs, _)| create_topic_with(&mut client, "durable", 1, configs))
        .collect();
    let data = broker.data();
    if !is_there(&data) {
        eprintln!("skipped: no journal on this file system");
        return;
    }
    is_in_use(&mut client, &data);
    for ((_, acks, _, _), topic) in table.iter().zip(&topics) {
        send(&mut client, topic, *acks);
    }
    std::thread::sleep(FLUSHED);
    broker.kill();
    for topic in &topics {
        let path = data.join(format!("{}-0/00000000000000000000.log", topic.name));
        std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(0)
            .unwrap();
    }
    broker.start_again(1);
    let mut client = broker.client();
    for ((what, _, _, is_kept), topic) in table.iter().zip(&topics) {
        assert_eq!(end_offset(&mut client, topic, 0), i64::from(*is_kept), "{what}");
    }
}
