//! Data directories that are not to be served: a clear refusal, and nothing is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duramen::base::ids::LeaderEpoch;
use duramen::base::offset::Offset;
use duramen::base::time::TimestampMs;
use duramen::metadata::encode_record;
use duramen::record::{BatchBuilder, Record};
use duramen_wire::messages::MetadataRequest;
use duramen_wire::messages::metadata::{BeginTransactionRecord, FeatureLevelRecord, MetadataRecord, TopicRecord};

use crate::codes::{KAFKA_STORAGE_ERROR, NONE};
use crate::fixture::{
    METADATA, batch, create_topic, describe, fetch, leader_epoch, produce, stored, try_fetch, try_produce,
};
use crate::harness::{Broker, poll};

/// Every file below a directory with its bytes.
fn all_files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    files
}

/// A stopped broker with a partition that has a record.
fn stopped() -> Option<Broker> {
    let mut broker = Broker::start_own(2, &[])?;
    let mut client = broker.client();
    let topic = create_topic(&mut client, "kept", 1);
    produce(&mut client, &topic, 0, &batch(&[b"value"]));
    broker.terminate();
    Some(broker)
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

/// Appends a record to the metadata log, as another version might have done.
fn append_to_metadata(data: &Path, record: &MetadataRecord) {
    let path = data.join("__cluster_metadata-0/00000000000000000000.log");
    let mut log = std::fs::read(&path).unwrap();
    let end = last_offset(&log) + 1;
    let mut builder = BatchBuilder::new()
        .base_offset(Offset(end))
        .leader_epoch(LeaderEpoch(1));
    let value = encode_record(record).unwrap();
    builder
        .append(&Record::new(TimestampMs(1), None, Some(&value)))
        .unwrap();
    log.extend_from_slice(&builder.build().unwrap());
    std::fs::write(&path, log).unwrap();
}

#[test]
fn a_metadata_transaction_that_nobody_ended_is_taken_back() {
    let Some(mut broker) = stopped() else { return };
    append_to_metadata(&broker.data(), &BeginTransactionRecord::default().into());
    let topic = TopicRecord {
        name: "half-made".into(),
        topic_id: [9; 16],
    };
    append_to_metadata(&broker.data(), &topic.into());
    for cores in [1, 2] {
        broker.start_again(cores);
        let names: Vec<_> = broker
            .client()
            .call(
                METADATA,
                &MetadataRequest {
                    topics: None,
                    ..MetadataRequest::default()
                },
            )
            .topics;
        let names: Vec<_> = names.iter().filter_map(|topic| topic.name.clone()).collect();
        assert!(names.len() == 1 && names[0].starts_with("kept"), "{names:?}");
        broker.terminate();
    }
}

fn last_offset(log: &[u8]) -> i64 {
    let batches = duramen::record::Batches::new(log);
    batches.last().unwrap().unwrap().header().last_offset().0
}

#[test]
fn what_is_not_to_be_served_is_refused_and_left_as_it_is() {
    let Some(mut broker) = stopped() else { return };
    let data = broker.data();
    let whole = all_files(&data);
    let restore = |whole: &BTreeMap<PathBuf, Vec<u8>>| {
        std::fs::remove_dir_all(&data).unwrap();
        for (path, bytes) in whole {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    };
    let level = FeatureLevelRecord {
        name: "metadata.version".into(),
        feature_level: 31,
    };
    let meta = data.join("meta.properties");
    let other = tempfile::tempdir().unwrap();
    let other_text = "version=1\ncluster.id=another\nnode.id=1\n";
    std::fs::write(other.path().join("meta.properties"), other_text).unwrap();
    let both = format!("log.dirs={},{}", data.display(), other.path().display());
    type Change<'a> = &'a dyn Fn();
    let cases: [(Change<'_>, &[&str], &str); 5] = [
        (
            &|| replace(&meta, "version=1", "version=2"),
            &[],
            "it has the version 2, and 1 is known",
        ),
        (&|| (), &["node.id=7"], "belongs to node 1, this is node 7"),
        (&|| (), &[&both], "belongs to cluster another, this is cluster"),
        (
            &|| append_to_metadata(&data, &level.clone().into()),
            &[],
            "it is at level 31 of metadata.version, and levels 7 to 30 are known here",
        ),
        (
            &|| std::fs::remove_dir_all(data.join("__cluster_metadata-0")).unwrap(),
            &[],
            "1 partitions have files in log.dirs, and there is no metadata log that knows their topics",
        ),
    ];
    for (change, settings, expected) in cases {
        change();
        let before = all_files(&data);
        let (output, code) = broker.refused_start(settings);
        assert!(output.contains(expected), "{output}");
        assert_eq!(code, Some(1), "{output}");
        let mut after = all_files(&data);
        after.retain(|path, _| before.contains_key(path) || !path.starts_with(data.join("__cluster_metadata-0")));
        assert!(before == after, "{expected}: the directory was changed");
        restore(&whole);
    }
    broker.start_again(1);
}

#[test]
fn the_node_id_is_that_of_the_directory_where_none_is_given() {
    let Some(mut broker) = stopped() else { return };
    replace(&broker.data().join("meta.properties"), "node.id=1", "node.id=1 ");
    broker.start_again(2);
    broker.terminate();
    replace(&broker.data().join("meta.properties"), "node.id=1", "node.id=9");
    let (output, _) = broker.refused_start(&[]);
    assert!(
        output.contains("its controllers are node 1, and this is node 9"),
        "{output}"
    );
}

#[test]
fn a_damaged_partition_alone_is_offline() {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut client = broker.client();
    let topics = ["damaged", "whole"].map(|name| create_topic(&mut client, name, 1));
    let mut second = 0;
    let records = batch(&[b"value"]);
    for topic in &topics {
        for _ in 0..3 {
            produce(&mut client, topic, 0, &records);
        }
    }
    let epoch = leader_epoch(&mut client, &topics[1], 0);
    broker.terminate();
    let directory = broker.data().join(format!("{}-0", topics[0].name));
    let path = directory.join("00000000000000000000.log");
    let mut log = std::fs::read(&path).unwrap();
    second += log.len() / 3;
    log[second + 70] ^= 1;
    std::fs::write(&path, &log).unwrap();
    std::fs::remove_file(directory.join("00000000000000000000.index")).unwrap();

    broker.start_again(2);
    let told = format!("{} is damaged at position {second}, offset 1: ", path.display());
    assert!(broker.output().contains(&told), "{}", broker.output());
    let mut client = broker.client();
    let expected: Vec<u8> = (0..3).flat_map(|offset| stored(&records, offset, epoch)).collect();
    assert!(fetch(&mut client, &topics[1], 0, 0) == expected);
    assert_eq!(try_produce(&mut client, &topics[1], 0, &records).error_code, NONE);
    assert_eq!(try_fetch(&mut client, &topics[0], 0, 0).error_code, KAFKA_STORAGE_ERROR);
    assert_eq!(
        try_produce(&mut client, &topics[0], 0, &records).error_code,
        KAFKA_STORAGE_ERROR
    );
    assert!(std::fs::read(&path).unwrap() == log, "what is damaged is not touched");
}

#[test]
fn snapshots_take_the_place_of_the_metadata_log() {
    let settings = ["metadata.log.max.record.bytes.between.snapshots=1000"];
    let Some(mut broker) = Broker::start_own(2, &settings) else {
        return;
    };
    let mut client = broker.client();
    let topics: Vec<_> = (0..40).map(|_| create_topic(&mut client, "many", 3)).collect();
    let metadata = broker.data().join("__cluster_metadata-0");
    let snapshots = || {
        let names = std::fs::read_dir(&metadata).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut found: Vec<_> = names.filter(|name| name.ends_with(".checkpoint")).collect();
        found.sort();
        found
    };
    poll("two snapshots", Duration::from_secs(10), || {
        let found = snapshots();
        (found.len() == 2 && !found[0].starts_with("00000000000000000000-")).then_some(())
    });
    broker.restart(1);
    let mut client = broker.client();
    for topic in &topics {
        let described = describe(&mut client, &topic.name);
        assert_eq!((described.topic_id, described.partitions.len()), (topic.id, 3));
    }
    broker.terminate();
    // The newest is torn: the one before it serves, with the log behind it.
    let newest = metadata.join(snapshots().last().unwrap());
    let whole = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &whole[..whole.len() / 2]).unwrap();
    broker.start_again(2);
    assert!(
        broker.output().contains("a metadata snapshot is not whole"),
        "{}",
        broker.output()
    );
    let mut client = broker.client();
    for topic in &topics {
        let described = describe(&mut client, &topic.name);
        assert_eq!((described.topic_id, described.partitions.len()), (topic.id, 3));
    }
}
