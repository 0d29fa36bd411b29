//! The records of `__consumer_offsets`, in Kafka's format.
//!
//! ```text
//! key:   type i16 | message version 0
//! value: version i16 | message of that version     (null deletes)
//! ```
//!
//! Types 0 and 1 are committed offsets, 2 is a classic group; those of consumer groups stand in [`ConsumerRecord`]. Others belong to protocols that are not served: they are kept and skipped.
//! Kafka: `GroupCoordinatorRecordHelpers`, `GroupCoordinatorRecordSerde`.

use std::sync::Arc;

use bytes::Bytes;
use duramen_wire::messages::group_metadata_key::GroupMetadataKey;
use duramen_wire::messages::group_metadata_value::GroupMetadataValue;
use duramen_wire::messages::legacy_offset_commit_key::LegacyOffsetCommitKey;
use duramen_wire::messages::offset_commit_key::OffsetCommitKey;
use duramen_wire::messages::offset_commit_value::OffsetCommitValue;
use duramen_wire::{DecodeError, EncodeError, Message, Reader, Writer, borrowed};

use crate::base::ids::{LeaderEpoch, TopicId};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::Committed;
use super::consumer::ConsumerRecord;

/// Kafka 4.3.1 writes this version, and version 1 for an offset that carries its own end of retention.
const OFFSET_VALUE_VERSION: i16 = 4;
const OFFSET_VALUE_VERSION_WITH_EXPIRY: i16 = 1;

/// The version of groups that Kafka 4.3.1 writes.
const GROUP_VALUE_VERSION: i16 = 3;

/// Bytes that decoding may reserve for each byte of a record.
const DECODE_BUDGET_PER_BYTE: usize = 64;

/// One record; without a value, a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    Offset {
        group: Arc<str>,
        topic: Arc<str>,
        partition: i32,
        value: Option<OffsetCommitValue>,
    },
    ClassicGroup {
        group: Arc<str>,
        value: Option<GroupMetadataValue>,
    },
    Consumer(ConsumerRecord),
}

/// Why a record is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the record has no key")]
    NoKey,
    #[error("records of type {0} are not known")]
    UnknownType(i16),
    #[error("the record cannot be decoded: {0}")]
    Malformed(#[from] DecodeError),
}

impl Record {
    /// Key and value as they stand in the log.
    ///
    /// # Errors
    /// A text or a list is longer than the format can say.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            Self::Offset {
                group,
                topic,
                partition,
                value,
            } => {
                let key = OffsetCommitKey {
                    group: group.to_string(),
                    topic: topic.to_string(),
                    partition: *partition,
                };
                let version = |value: &OffsetCommitValue| match value.expire_timestamp {
                    -1 => OFFSET_VALUE_VERSION,
                    _ => OFFSET_VALUE_VERSION_WITH_EXPIRY,
                };
                let value = value
                    .as_ref()
                    .map(|value| encode(version(value), value, version(value)));
                Ok((encode(OffsetCommitKey::KEY, &key, 0)?, value.transpose()?))
            }
            Self::ClassicGroup { group, value } => {
                let key = GroupMetadataKey {
                    group: group.to_string(),
                };
                let value = value
                    .as_ref()
                    .map(|value| encode(GROUP_VALUE_VERSION, value, GROUP_VALUE_VERSION));
                Ok((encode(GroupMetadataKey::KEY, &key, 0)?, value.transpose()?))
            }
            Self::Consumer(record) => record.encode(),
        }
    }

    /// Reads what [`encode`](Self::encode) wrote, or any version of Kafka.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Self, RecordError> {
        let (number, key) = split(key.ok_or(RecordError::NoKey)?)?;
        match number {
            LegacyOffsetCommitKey::KEY | OffsetCommitKey::KEY => {
                // Both keys have the same fields.
                let key: OffsetCommitKey = message(key, 0)?;
                Ok(Self::Offset {
                    group: key.group.into(),
                    topic: key.topic.into(),
                    partition: key.partition,
                    value: versioned(value)?,
                })
            }
            GroupMetadataKey::KEY => {
                let key: GroupMetadataKey = message(key, 0)?;
                Ok(Self::ClassicGroup {
                    group: key.group.into(),
                    value: versioned(value)?,
                })
            }
            other => match ConsumerRecord::decode(other, key, value)? {
                Some(record) => Ok(Self::Consumer(record)),
                None => Err(RecordError::UnknownType(other)),
            },
        }
    }
}

pub(super) fn encode<M: Message>(prefix: i16, message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.int16(prefix);
    message.encode(&mut writer, version)?;
    writer.into_bytes()
}

/// An offset that was committed, read in place: most records of a log are such.
#[derive(Debug)]
pub(super) struct OffsetRecord<'a> {
    pub(super) group: &'a str,
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) committed: Committed,
}

impl<'a> OffsetRecord<'a> {
    /// Reads a record that is an offset; `None` of any other, and of what [`Record::decode`] has to judge.
    pub(super) fn decode(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Option<Self> {
        let (LegacyOffsetCommitKey::KEY | OffsetCommitKey::KEY, key) = split(key?).ok()? else {
            return None;
        };
        let (version, value) = split(value?).ok()?;
        // Nothing is reserved.
        let key = borrowed::OffsetCommitKey::decode(&mut Reader::over(key, 0), 0).ok()?;
        let value = borrowed::OffsetCommitValue::decode(&mut Reader::over(value, 0), version).ok()?;
        Some(Self {
            group: key.group,
            topic: key.topic,
            partition: key.partition,
            committed: Committed {
                offset: Offset(value.offset),
                leader_epoch: LeaderEpoch(value.leader_epoch),
                metadata: value.metadata.into(),
                committed_at: TimestampMs(value.commit_timestamp),
                expires_at: TimestampMs(value.expire_timestamp),
                topic_id: TopicId(value.topic_id),
            },
        })
    }
}

fn split(bytes: &[u8]) -> Result<(i16, &[u8]), RecordError> {
    match bytes {
        [high, low, rest @ ..] => Ok((i16::from_be_bytes([*high, *low]), rest)),
        _ => Err(RecordError::Malformed(DecodeError::InvalidLength)),
    }
}

pub(super) fn message<M: Message>(bytes: &[u8], version: i16) -> Result<M, RecordError> {
    let budget = bytes.len().saturating_mul(DECODE_BUDGET_PER_BYTE).max(4096);
    Ok(M::decode(&mut Reader::over(bytes, budget), version)?)
}

pub(super) fn versioned<M: Message>(value: Option<&[u8]>) -> Result<Option<M>, RecordError> {
    let Some(value) = value else { return Ok(None) };
    let (version, bytes) = split(value)?;
    message(bytes, version).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_wire::messages::group_metadata_value::MemberMetadata;

    fn offset(value: Option<OffsetCommitValue>) -> Record {
        Record::Offset {
            group: "g".into(),
            topic: "t".into(),
            partition: 7,
            value,
        }
    }

    fn group(value: Option<GroupMetadataValue>) -> Record {
        Record::ClassicGroup {
            group: "g".into(),
            value,
        }
    }

    fn records() -> Vec<Record> {
        let value = OffsetCommitValue {
            offset: 5,
            leader_epoch: 3,
            metadata: "m".to_owned(),
            commit_timestamp: 77,
            topic_id: [9; 16],
            ..OffsetCommitValue::default()
        };
        let expiring = OffsetCommitValue {
            offset: 5,
            commit_timestamp: 77,
            expire_timestamp: 88,
            ..OffsetCommitValue::default()
        };
        let member = MemberMetadata {
            member_id: "a-1".to_owned(),
            group_instance_id: Some("one".to_owned()),
            assignment: Bytes::from_static(b"x"),
            ..MemberMetadata::default()
        };
        let of_members = GroupMetadataValue {
            members: vec![member],
            protocol: None,
            ..GroupMetadataValue::default()
        };
        vec![
            offset(Some(value)),
            offset(Some(expiring)),
            offset(None),
            group(Some(of_members)),
            group(None),
        ]
    }

    #[test]
    fn records_come_back() {
        for record in records() {
            let (key, value) = record.encode().unwrap();
            assert_eq!(Record::decode(Some(&key), value.as_deref()), Ok(record));
        }
    }

    #[test]
    fn an_offset_in_place_says_the_same() {
        for record in records() {
            let (key, value) = record.encode().unwrap();
            let in_place = OffsetRecord::decode(Some(&key), value.as_deref());
            let Record::Offset {
                group,
                topic,
                partition,
                value: Some(value),
            } = &record
            else {
                assert!(in_place.is_none(), "{record:?}");
                continue;
            };
            let in_place = in_place.unwrap();
            assert_eq!(
                (in_place.group, in_place.topic, in_place.partition),
                (&**group, &**topic, *partition)
            );
            assert_eq!(in_place.committed, Committed::from_value(value));
        }
        // Not UTF-8: it is read, but not in place.
        let key = [0, 1, 0, 1, 0xff, 0, 1, b't', 0, 0, 0, 7];
        let value = records()[0].encode().unwrap().1.unwrap();
        assert!(OffsetRecord::decode(Some(&key), Some(&value)).is_none());
        assert!(Record::decode(Some(&key), Some(&value)).is_ok());
    }

    /// As Apache Kafka 4.3.1 has written it for the same commit.
    #[test]
    fn an_offset_stands_as_kafka_writes_it() {
        let (key, value) = records()[0].encode().unwrap();
        assert_eq!(key[..], [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 7]);
        let expected = [
            &[0, 4][..],
            &[0, 0, 0, 0, 0, 0, 0, 5],
            &[0, 0, 0, 3],
            &[2, b'm'],
            &[0, 0, 0, 0, 0, 0, 0, 77],
            &[1, 0, 16],
            &[9; 16],
        ];
        assert_eq!(value.unwrap()[..], expected.concat());
    }

    #[test]
    fn what_is_broken_is_an_error() {
        let (key, value) = records()[0].encode().unwrap();
        let value = value.unwrap();
        for end in 0..key.len() {
            assert!(Record::decode(Some(&key[..end]), Some(&value)).is_err(), "key of {end}");
        }
        for end in 0..value.len() {
            assert!(
                Record::decode(Some(&key), Some(&value[..end])).is_err(),
                "value of {end}"
            );
            assert!(OffsetRecord::decode(Some(&key), Some(&value[..end])).is_none());
        }
        assert_eq!(Record::decode(None, None), Err(RecordError::NoKey));
        assert_eq!(
            Record::decode(Some(&[0, 9, 0, 0]), None),
            Err(RecordError::UnknownType(9))
        );
        let unknown_version = [0, 99, 0, 0];
        assert!(Record::decode(Some(&key), Some(&unknown_version)).is_err());
    }
}
