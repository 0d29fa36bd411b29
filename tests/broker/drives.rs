//! Several log directories, a drive each: partitions are spread over them, and a drive that fails takes its own partitions alone.

use std::path::Path;
use std::time::Duration;

use duramen_wire::messages::CreateTopicsRequest;
use duramen_wire::messages::create_topics_request::CreatableTopic;

use crate::client::Client;
use crate::codes::{KAFKA_STORAGE_ERROR, NONE};
use crate::fixture::{batch, create_topic, fetch, list_offset, produce, try_fetch, try_produce, unique};
use crate::harness::{Broker, poll};

const CREATE_TOPICS: i16 = 7;

/// The partitions of a topic that have their files in a directory.
fn partitions_in(directory: &Path, topic: &str) -> Vec<i32> {
    let names = std::fs::read_dir(directory).unwrap();
    let names = names.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let prefix = format!("{topic}-");
    let mut partitions: Vec<i32> = names
        .filter_map(|name| name.strip_prefix(&prefix)?.parse().ok())
        .collect();
    partitions.sort_unstable();
    partitions
}

#[test]
fn a_failed_drive_takes_its_own_partitions_alone() {
    let drives = tempfile::tempdir().unwrap();
    let (good, bad) = (drives.path().join("good"), drives.path().join("bad"));
    let log_dirs = format!("log.dirs={},{}", good.display(), bad.display());
    let Some(mut broker) = Broker::start_own(2, &[&log_dirs]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "spread", 8);
    let (on_good, on_bad) = (partitions_in(&good, &topic.name), partitions_in(&bad, &topic.name));
    assert_eq!(on_good.len() + on_bad.len(), 8);
    assert!(on_good.len() >= 3 && on_bad.len() >= 3, "{on_good:?} {on_bad:?}");
    for partition in 0..8 {
        produce(&mut client, &topic, partition, &batch(&[b"before"]));
    }
    // A drive that vanishes: what is opened there next fails, and from then on all of it.
    std::fs::rename(&bad, drives.path().join("gone")).unwrap();
    std::fs::write(&bad, b"no directory").unwrap();
    for index in 0..4 {
        // Some of these partitions find their drive gone.
        create_topic_anywhere(&mut client, index);
    }
    for partition in &on_bad {
        poll("the failed drive is noticed", Duration::from_secs(10), || {
            let answer = try_produce(&mut client, &topic, *partition, &batch(&[b"after"]));
            (answer.error_code == KAFKA_STORAGE_ERROR).then_some(())
        });
    }
    for partition in &on_good {
        let offset = produce(&mut client, &topic, *partition, &batch(&[b"after"]));
        assert_eq!(offset, 1);
        assert!(!fetch(&mut client, &topic, *partition, 0).is_empty());
        assert_eq!(list_offset(&mut client, &topic, *partition, -1), (NONE, 2));
    }
    for partition in &on_bad {
        assert_eq!(
            try_fetch(&mut client, &topic, *partition, 0).error_code,
            KAFKA_STORAGE_ERROR
        );
    }
    let told = broker.said();
    assert!(told.contains("is offline until the next start"), "{told}");
    broker.assert_alive();
}

/// Makes a topic of which some partitions may have no drive: nobody waits for them.
fn create_topic_anywhere(client: &mut Client, index: usize) {
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: unique(&format!("after-{index}")),
            num_partitions: 4,
            replication_factor: 1,
            ..CreatableTopic::default()
        }],
        timeout_ms: 10_000,
        ..CreateTopicsRequest::default()
    };
    let response = client.call(CREATE_TOPICS, &request);
    assert_eq!(response.topics[0].error_code, NONE);
}
