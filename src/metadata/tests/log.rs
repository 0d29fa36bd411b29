//! `kafka_4.3.1_log.hex`: offset and value of each record in `__cluster_metadata-0` of an Apache Kafka 4.3.1 on which a topic `t1` with two
//! partitions and `retention.ms=1000` was created, and a topic `gone` was created and deleted. All but one of its NoOpRecords are left out.

use bytes::Bytes;
use duramen_wire::DecodeError;
use duramen_wire::messages::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, EndTransactionRecord, FeatureLevelRecord, MetadataRecord,
    NoOpRecord, TopicRecord,
};

use super::{MetadataImage, create, id};
use crate::base::ids::{LeaderEpoch, NodeId};
use crate::metadata::{RecordError, ReplayError, decode_record, encode_record};

pub(super) fn values() -> Vec<Bytes> {
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    let value = |line: &str| line.split_once(' ').unwrap().1.as_bytes().chunks(2).map(byte).collect();
    include_str!("kafka_4.3.1_log.hex").lines().map(value).collect()
}

#[test]
fn records_are_written_as_kafka_writes_them() {
    let values = values();
    assert_eq!(values.len(), 24);
    for value in values {
        let record = decode_record(&value).unwrap();
        assert_eq!(encode_record(&record).unwrap(), value, "{record:?}");
    }
}

#[test]
fn a_log_of_kafka_is_understood() {
    let mut image = MetadataImage::new("c");
    for value in values() {
        image.replay(&decode_record(&value).unwrap()).unwrap();
    }
    assert!(!image.is_in_transaction());
    assert_eq!(image.metadata_version(), 30);
    assert_eq!(image.features.get("transaction.version"), Some(&2));
    assert_eq!(image.topic_count(), 1);
    let topic = image.topic_by_name("t1").unwrap();
    assert_eq!(topic.id.to_string(), "40z4YnbBRbOduHeRNLb65g");
    assert_eq!(topic.partitions.len(), 2);
    let partition = topic.partition(1).unwrap();
    assert_eq!(partition.leader, Some(NodeId(1)));
    assert_eq!(partition.leader_epoch, LeaderEpoch(0));
    assert_eq!(partition.isr, [NodeId(1)]);
    assert_eq!(image.topic_config("t1")["retention.ms"], "1000");
    assert!(image.topic_config("gone").is_empty());
    let broker = &image.brokers[&NodeId(1)];
    assert_eq!((broker.epoch, broker.is_fenced), (13, false));
    assert_eq!(broker.endpoints[0].port, 29492);
    assert_eq!(broker.cordoned_directories.as_deref(), Some([].as_slice()));
}

#[test]
fn what_is_no_record_is_an_error() {
    let decode = |bytes: &'static [u8]| decode_record(&Bytes::from_static(bytes));
    let malformed = |key, version, error| Err(RecordError::Malformed { key, version, error });
    assert_eq!(decode(&[]), Err(RecordError::Header(DecodeError::Truncated)));
    assert_eq!(decode(&[0, 20, 0, 0]), Err(RecordError::FrameVersion(0)));
    assert_eq!(decode(&[1, 20, 0, 0]), Ok(MetadataRecord::NoOp(NoOpRecord {})));
    assert_eq!(decode(&[1, 20, 0, 0, 0]), Err(RecordError::TrailingBytes(1)));
    assert_eq!(
        decode(&[1, 20, 1, 0]),
        malformed(20, 1, DecodeError::UnsupportedVersion(1))
    );
    assert_eq!(decode(&[1, 2, 0, 3, b'a']), malformed(2, 0, DecodeError::InvalidLength));
    assert_eq!(decode(&[1, 99, 0]), Err(RecordError::Type(99)));
    assert_eq!(decode(&[1, 0xff, 0xff, 3, 0]), Err(RecordError::Type(0xffff)));
    for value in values() {
        for end in 0..value.len() {
            decode_record(&value.slice(..end)).unwrap_err();
        }
    }
}

#[test]
fn an_aborted_transaction_leaves_no_trace() {
    let mut image = super::cluster(1);
    create(&mut image, "kept", 1);
    let before = image.clone();
    let begin: MetadataRecord = BeginTransactionRecord::default().into();
    let topic: MetadataRecord = TopicRecord {
        name: "t".into(),
        topic_id: id(5).0,
    }
    .into();
    image.replay(&begin).unwrap();
    image.replay(&topic).unwrap();
    assert!(image.is_in_transaction() && image.topic(id(5)).is_some());
    image.replay(&AbortTransactionRecord::default().into()).unwrap();
    assert_eq!(image, before);

    image.replay(&begin).unwrap();
    image.replay(&topic).unwrap();
    image.replay(&EndTransactionRecord::default().into()).unwrap();
    assert!(!image.is_in_transaction() && image.topic(id(5)).is_some());
    let end = image.replay(&EndTransactionRecord::default().into());
    assert_eq!(end, Err(ReplayError::TransactionOutOfOrder));
    image.replay(&begin).unwrap();
    assert_eq!(image.replay(&begin), Err(ReplayError::TransactionOutOfOrder));
}

#[test]
fn a_level_of_zero_is_no_level() {
    let mut image = super::cluster(1);
    let level = |feature_level| {
        MetadataRecord::from(FeatureLevelRecord {
            name: "group.version".into(),
            feature_level,
        })
    };
    image.replay(&level(1)).unwrap();
    assert_eq!(image.features.get("group.version"), Some(&1));
    image.replay(&level(0)).unwrap();
    assert_eq!(image.features.get("group.version"), None);
}
