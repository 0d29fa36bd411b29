//! Images share what is the same, and say what is not.

use std::sync::Arc;

use duramen_wire::messages::metadata::{ConfigRecord, MetadataRecord, PartitionChangeRecord, RemoveTopicRecord};

use super::{cluster, create, id, replay};
use crate::base::ids::{LeaderEpoch, NodeId, ProducerId, TopicIdPartition};
use crate::metadata::controller::{
    BrokerError, ProducerIdError, Registration, Restart, allocate_producer_ids, check_features, fence_broker,
    lead_partitions, register_broker,
};
use crate::metadata::{ConfigResource, ReplayError, TopicChange};

#[test]
fn the_next_image_shares_all_that_is_the_same() {
    let mut image = cluster(1);
    let mut ids = Vec::new();
    for number in 0..500 {
        ids.push(create(&mut image, &format!("topic-{number}"), 2));
    }
    let old = image.clone();
    assert_eq!(image.topics_changed_since(&old).count(), 0);

    let new = create(&mut image, "new", 1);
    let change = PartitionChangeRecord {
        partition_id: 1,
        topic_id: ids[3].0,
        isr: Some(vec![]),
        leader: -1,
        ..PartitionChangeRecord::default()
    };
    replay(
        &mut image,
        &[change.into(), RemoveTopicRecord { topic_id: ids[4].0 }.into()],
    );

    let mut changes: Vec<_> = image.topics_changed_since(&old).collect();
    changes.sort_by_key(|change| match change {
        TopicChange::Created(topic) | TopicChange::Deleted(topic) | TopicChange::Changed { new: topic, .. } => topic.id,
    });
    let [
        TopicChange::Changed { old: was, new: is },
        TopicChange::Deleted(deleted),
        TopicChange::Created(created),
    ] = changes.as_slice()
    else {
        panic!("{changes:?}")
    };
    assert_eq!((deleted.id, created.id), (ids[4], new));
    assert!(
        Arc::ptr_eq(&was.partitions[0], &is.partitions[0]),
        "the other partition is shared"
    );
    assert_eq!(
        (was.partitions[1].leader, is.partitions[1].leader),
        (Some(NodeId(1)), None)
    );
    assert_eq!(
        (is.partitions[1].leader_epoch, is.partitions[1].partition_epoch),
        (LeaderEpoch(1), 1)
    );
    assert_eq!(old.topic_count(), 500);
    assert!(Arc::ptr_eq(old.topic(ids[9]).unwrap(), image.topic(ids[9]).unwrap()));
    let of = TopicIdPartition {
        topic_id: ids[3],
        partition: 2,
    };
    assert_eq!(image.partition(of), None);
    assert_eq!(image.partition(TopicIdPartition { partition: -1, ..of }), None);
}

#[test]
fn changed_settings_are_named() {
    let mut image = cluster(1);
    create(&mut image, "t", 1);
    let old = image.clone();
    let config = |value: Option<&str>| {
        MetadataRecord::from(ConfigRecord {
            resource_type: 2,
            resource_name: "t".into(),
            name: "retention.ms".into(),
            value: value.map(str::to_owned),
        })
    };
    replay(&mut image, &[config(Some("5"))]);
    assert_eq!(image.configs_changed_since(&old, ConfigResource::TOPIC), ["t"]);
    assert_eq!(image.topics_changed_since(&old).count(), 0);
    replay(&mut image, &[config(None)]);
    assert_eq!(image.configs_changed_since(&old, ConfigResource::TOPIC), [""; 0]);
    assert!(image.topic_config("t").is_empty());
}

#[test]
fn contradictions_are_errors() {
    let mut image = cluster(1);
    let known = create(&mut image, "t", 1);
    let change = |topic_id, partition_id| PartitionChangeRecord {
        partition_id,
        topic_id,
        ..PartitionChangeRecord::default()
    };
    let unknown = id(3);
    let removed = RemoveTopicRecord { topic_id: unknown.0 };
    let table: [(MetadataRecord, ReplayError); 3] = [
        (removed.into(), ReplayError::UnknownTopic(unknown)),
        (change(unknown.0, 0).into(), ReplayError::UnknownTopic(unknown)),
        (
            change(known.0, 1).into(),
            ReplayError::UnknownPartition {
                topic: known,
                partition: 1,
            },
        ),
    ];
    for (record, expected) in table {
        assert_eq!(image.clone().replay(&record), Err(expected));
    }
}

#[test]
fn producer_ids_are_given_once() {
    let mut image = cluster(2);
    let broker = NodeId(2);
    let epoch = image.brokers[&broker].epoch;
    for first in [0, 1000, 2000] {
        let decision = allocate_producer_ids(&image, broker, epoch).unwrap();
        let block = decision.response;
        assert_eq!((block.first, block.end), (ProducerId(first), ProducerId(first + 1000)));
        replay(&mut image, &decision.records);
    }
    let refusal = |id: i32, epoch| allocate_producer_ids(&image, NodeId(id), epoch).unwrap_err();
    assert_eq!(refusal(3, epoch), ProducerIdError::UnknownBroker(3));
    let stale = ProducerIdError::StaleBrokerEpoch {
        id: 2,
        registered: epoch,
        given: epoch - 1,
    };
    assert_eq!(refusal(2, epoch - 1), stale);
    image.producer_id_next = i64::MAX - 999;
    assert_eq!(
        allocate_producer_ids(&image, broker, epoch),
        Err(ProducerIdError::Exhausted)
    );
}

#[test]
fn a_broker_does_not_join_a_cluster_that_is_ahead_of_it() {
    let mut image = cluster(1);
    image.features.insert("metadata.version".into(), 31);
    let registration = Registration {
        id: NodeId(1),
        incarnation_id: [2; 16],
        endpoints: Vec::new(),
        rack: None,
        directories: Vec::new(),
    };
    let ahead = BrokerError::FeatureLevel {
        feature: "metadata.version".into(),
        level: 31,
        min: 7,
        max: 30,
    };
    assert_eq!(register_broker(&image, registration), Err(ahead));
}

#[test]
fn levels_that_nothing_served_depends_on_are_kept() {
    let mut image = cluster(1);
    for (feature, level, is_known) in [
        ("group.version", 1, true),
        ("group.version", 2, false),
        ("transaction.version", 2, true),
        ("share.version", 1, true),
        ("streams.version", 1, true),
        ("eligible.leader.replicas.version", 1, true),
        ("invented.version", 1, false),
        ("metadata.version", 6, false),
        ("metadata.version", 7, true),
    ] {
        let before = image.features.insert(feature.into(), level);
        assert_eq!(check_features(&image).is_ok(), is_known, "{feature} {level}");
        match before {
            Some(level) => image.features.insert(feature.into(), level),
            None => image.features.remove(feature),
        };
    }
}

#[test]
fn a_restart_after_a_crash_begins_new_leader_epochs() {
    let mut image = cluster(1);
    let topic_id = create(&mut image, "t", 2);
    assert_eq!(lead_partitions(&image, NodeId(1), Restart::Clean), []);
    let records = lead_partitions(&image, NodeId(1), Restart::Unclean);
    assert_eq!(records.len(), 2);
    replay(&mut image, &records);
    for partition in &image.topic(topic_id).unwrap().partitions {
        assert_eq!(
            (partition.leader, partition.leader_epoch),
            (Some(NodeId(1)), LeaderEpoch(1))
        );
        assert_eq!(
            (partition.isr.as_slice(), partition.partition_epoch),
            ([NodeId(1)].as_slice(), 1)
        );
    }
    assert_eq!(lead_partitions(&image, NodeId(2), Restart::Unclean), []);
}

#[test]
fn a_broker_that_stops_is_fenced_until_it_registers_again() {
    let mut image = cluster(1);
    let records = fence_broker(&image, NodeId(1));
    assert_eq!(records.len(), 1);
    replay(&mut image, &records);
    let broker = &image.brokers[&NodeId(1)];
    assert!(broker.is_fenced && broker.is_shutting_down);
    assert_eq!(fence_broker(&image, NodeId(1)), []);
    assert_eq!(fence_broker(&image, NodeId(2)), []);
}

#[test]
fn partitions_that_nobody_leads_are_led_where_no_other_broker_may_know_more() {
    let nodes = |ids: &[i32]| Some(ids.to_vec());
    for (replicas, isr, eligible, last_known, leads) in [
        (nodes(&[1]), nodes(&[1]), nodes(&[]), nodes(&[]), true),
        (nodes(&[1]), nodes(&[]), nodes(&[1]), nodes(&[]), true),
        (nodes(&[1]), nodes(&[]), nodes(&[]), nodes(&[1]), true),
        (nodes(&[1]), nodes(&[]), nodes(&[]), nodes(&[]), true),
        (nodes(&[1, 2]), nodes(&[1]), nodes(&[]), nodes(&[]), true),
        (nodes(&[1, 2]), nodes(&[]), nodes(&[]), nodes(&[2]), false),
        (nodes(&[1, 2]), nodes(&[2]), nodes(&[1]), nodes(&[]), false),
        (nodes(&[2]), nodes(&[2]), nodes(&[]), nodes(&[]), false),
    ] {
        let mut image = cluster(1);
        let topic_id = create(&mut image, "t", 1);
        let stopped = PartitionChangeRecord {
            partition_id: 0,
            topic_id: topic_id.0,
            leader: -1,
            replicas,
            isr,
            eligible_leader_replicas: eligible,
            last_known_elr: last_known,
            ..PartitionChangeRecord::default()
        };
        replay(&mut image, &[stopped.clone().into()]);
        let records = lead_partitions(&image, NodeId(1), Restart::Clean);
        assert_eq!(!records.is_empty(), leads, "{stopped:?}");
        replay(&mut image, &records);
        let partition = image.topic(topic_id).unwrap().partition(0).unwrap();
        assert_eq!(partition.leader, leads.then_some(NodeId(1)), "{stopped:?}");
        assert!(!leads || partition.isr.contains(&NodeId(1)), "{stopped:?}");
    }
}
