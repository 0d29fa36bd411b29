//! A snapshot holds the image that it was made of; batches of the log behind it are applied from where it ends.

use std::sync::Arc;

use duramen_wire::messages::metadata::{
    AccessControlEntryRecord, MetadataRecord, PartitionChangeRecord, ProducerIdsRecord, RegisterControllerRecord,
};
use duramen_wire::messages::voters_record::Voter;

use super::{cluster, create};
use crate::base::ids::{LeaderEpoch, TopicId};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::metadata::quorum::{Quorum, SnapshotId};
use crate::metadata::{
    LoadError, MetadataImage, apply_batch, decode_record, encode_record, encode_snapshot, read_snapshot, records_of,
};
use crate::record::{BatchBuilder, BatchView, Decompressor, Record};

fn workspace() -> Decompressor {
    Decompressor::new(1 << 20)
}

fn id_of(image: &MetadataImage) -> SnapshotId {
    SnapshotId {
        end_offset: image.end_offset,
        epoch: LeaderEpoch(3),
    }
}

fn encode(image: &MetadataImage) -> Vec<u8> {
    encode_snapshot(image, id_of(image), TimestampMs(1_700_000_000_000)).unwrap()
}

/// An image with something of everything.
fn full_image() -> MetadataImage {
    let mut image = MetadataImage::new("c");
    for value in super::log::values() {
        image.replay(&decode_record(&value).unwrap()).unwrap();
        image.end_offset = image.end_offset.next();
    }
    let topic = create(&mut image, "other.topic", 3);
    let change = PartitionChangeRecord {
        partition_id: 2,
        topic_id: topic.0,
        leader: -1,
        isr: Some(Vec::new()),
        eligible_leader_replicas: Some(vec![1]),
        last_known_elr: Some(vec![1]),
        leader_recovery_state: 1,
        ..PartitionChangeRecord::default()
    };
    let producer_ids = ProducerIdsRecord {
        next_producer_id: 7000,
        ..ProducerIdsRecord::default()
    };
    for record in [
        change.into(),
        producer_ids.into(),
        AccessControlEntryRecord::default().into(),
        RegisterControllerRecord::default().into(),
    ] {
        image.replay(&record).unwrap();
    }
    image.quorum = Arc::new(Quorum {
        kraft_version: 1,
        voters: vec![Voter {
            voter_id: 1,
            ..Voter::default()
        }],
        ..Quorum::default()
    });
    image
}

#[test]
fn a_snapshot_holds_the_image_that_it_was_made_of() {
    for image in [MetadataImage::new("c"), cluster(2), full_image()] {
        let bytes = encode(&image);
        let read = read_snapshot(&bytes, id_of(&image), &image.cluster_id, &mut workspace());
        assert_eq!(read, Ok(image));
    }
}

#[test]
fn a_snapshot_of_many_batches() {
    let mut image = cluster(1);
    for number in 0..4000 {
        create(&mut image, &format!("{:0200}", number), 2);
    }
    let bytes = encode(&image);
    assert!(bytes.len() > 1024 * 1024);
    let read = read_snapshot(&bytes, id_of(&image), &image.cluster_id, &mut workspace());
    assert_eq!(read, Ok(image));
}

#[test]
fn what_is_not_whole_is_no_snapshot() {
    let image = full_image();
    let bytes = encode(&image);
    let read = |bytes: &[u8]| read_snapshot(bytes, id_of(&image), &image.cluster_id, &mut workspace());
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "{length} bytes");
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        // The base offsets and the leader epochs of batches are under no checksum, and mean nothing here.
        if let Ok(read) = read(&flipped) {
            assert_eq!(read, image, "a flipped bit at {at}");
        }
    }
    assert_eq!(read(&[]), Err(LoadError::NoHeader));
}

#[test]
fn what_a_snapshot_has_is_not_applied_again() {
    let mut image = cluster(1);
    let known = create(&mut image, "known", 1);
    let begin = image.end_offset;
    let bytes = {
        let mut other = image.clone();
        create(&mut other, "new", 1);
        let mut builder = BatchBuilder::new().base_offset(Offset(begin.0 - 2));
        let all: Vec<_> = records_of(&other).collect();
        let of = |name: &str, topic: TopicId| {
            let is_of = |record: &&MetadataRecord| {
                matches!(record, MetadataRecord::Topic(found) if found.name == name)
                    || matches!(record, MetadataRecord::Partition(found) if found.topic_id == topic.0)
            };
            all.iter().filter(is_of).cloned().collect::<Vec<_>>()
        };
        let new = other.topic_by_name("new").unwrap().id;
        for record in of("known", known).iter().chain(&of("new", new)) {
            let value = encode_record(record).unwrap();
            builder
                .append(&Record::new(TimestampMs(1), None, Some(&value)))
                .unwrap();
        }
        builder.build().unwrap()
    };
    let batch = BatchView::parse(&bytes).unwrap();
    apply_batch(&batch, &mut image, &mut workspace()).unwrap();
    assert_eq!((image.topic_count(), image.end_offset), (2, Offset(begin.0 + 2)));
    apply_batch(&batch, &mut image, &mut workspace()).unwrap();
    assert_eq!(image.topic_count(), 2, "a batch below the end is passed over");
}
