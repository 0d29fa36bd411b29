//! What is not served is kept, and taken away as the log says.

use duramen_wire::messages::metadata::client_quota_record::EntityData;
use duramen_wire::messages::metadata::{
    AccessControlEntryRecord, ClearElrRecord, ClientQuotaRecord, DelegationTokenRecord, MetadataRecord,
    PartitionChangeRecord, RegisterControllerRecord, RemoveAccessControlEntryRecord, RemoveDelegationTokenRecord,
    RemoveUserScramCredentialRecord, UserScramCredentialRecord,
};

use super::{cluster, create};
use crate::base::ids::TopicId;
use crate::metadata::{MetadataImage, ReplayError};

fn quota(parts: &[&str], value: f64, remove: bool) -> MetadataRecord {
    let part = |kind: &&str| EntityData {
        entity_type: (*kind).to_owned(),
        entity_name: Some("u".into()),
    };
    ClientQuotaRecord {
        entity: parts.iter().map(part).collect(),
        key: "producer_byte_rate".into(),
        value,
        remove,
    }
    .into()
}

fn token(token_id: &str) -> MetadataRecord {
    DelegationTokenRecord {
        token_id: token_id.into(),
        ..DelegationTokenRecord::default()
    }
    .into()
}

fn credential(mechanism: i8) -> MetadataRecord {
    UserScramCredentialRecord {
        name: "u".into(),
        mechanism,
        ..UserScramCredentialRecord::default()
    }
    .into()
}

fn entry(id: u8) -> MetadataRecord {
    AccessControlEntryRecord {
        id: [id; 16],
        ..AccessControlEntryRecord::default()
    }
    .into()
}

#[test]
fn the_last_word_on_each_subject_is_kept() {
    let mut image = MetadataImage::new("c");
    let put = [
        entry(1),
        entry(2),
        quota(&["user", "client-id"], 1.0, false),
        quota(&["client-id", "user"], 2.0, false),
        quota(&["user"], 3.0, false),
        credential(1),
        credential(2),
        token("a"),
        token("b"),
        RegisterControllerRecord::default().into(),
    ];
    for record in &put {
        image.replay(record).unwrap();
    }
    let enforced: Vec<_> = image.kept.not_enforced().into_iter().collect();
    assert_eq!(
        enforced,
        [
            ("SCRAM credentials", 2),
            ("access control entries", 2),
            ("client quotas", 2),
            ("delegation tokens", 2)
        ]
    );
    let full = image.clone();

    let removed: [MetadataRecord; 4] = [
        RemoveAccessControlEntryRecord { id: [1; 16] }.into(),
        quota(&["client-id", "user"], 0.0, true),
        RemoveUserScramCredentialRecord {
            name: "u".into(),
            mechanism: 2,
        }
        .into(),
        RemoveDelegationTokenRecord { token_id: "a".into() }.into(),
    ];
    for record in &removed {
        image.replay(record).unwrap();
    }
    let left: Vec<_> = image.kept.records().cloned().collect();
    let kept = [
        entry(2),
        quota(&["user"], 3.0, false),
        credential(1),
        token("b"),
        put[9].clone(),
    ];
    assert_eq!(left, kept);
    assert_eq!(full.kept.records().count(), 9, "another image is not touched");
}

/// The eligible leader replicas of the first partition.
fn eligible(image: &MetadataImage, topic: TopicId) -> usize {
    let partition = image.topic(topic).unwrap().partition(0).unwrap();
    partition.eligible_leader_replicas.len() + partition.last_known_leader_replicas.len()
}

#[test]
fn eligible_leader_replicas_are_cleared_of_one_topic_or_of_all() {
    let mut image = cluster(1);
    let topics = ["a", "b"].map(|name| create(&mut image, name, 1));
    for topic in topics {
        let change = PartitionChangeRecord {
            partition_id: 0,
            topic_id: topic.0,
            eligible_leader_replicas: Some(vec![2]),
            last_known_elr: Some(vec![3]),
            ..PartitionChangeRecord::default()
        };
        image.replay(&change.into()).unwrap();
    }
    let clear = |name: &str| {
        MetadataRecord::from(ClearElrRecord {
            topic_name: name.into(),
        })
    };
    image.replay(&clear("b")).unwrap();
    assert_eq!(topics.map(|topic| eligible(&image, topic)), [2, 0]);
    image.replay(&clear("")).unwrap();
    assert_eq!(topics.map(|topic| eligible(&image, topic)), [0, 0]);
    assert_eq!(
        image.replay(&clear("c")),
        Err(ReplayError::UnknownTopicName("c".into()))
    );
}
