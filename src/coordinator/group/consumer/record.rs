//! The records of consumer groups in `__consumer_offsets`, in Kafka's format.
//!
//! | type | what |
//! |---|---|
//! | 3 | the group: its epoch |
//! | 4 | partitions of its topics; only older brokers write it, it is kept out of sight |
//! | 5 | a member: its subscription |
//! | 6 | the epoch of the target assignment |
//! | 7 | a member's target |
//! | 8 | a member's current assignment |
//! | 16 | the topics of a regular expression |
//!
//! Kafka: `GroupCoordinatorRecordHelpers.newConsumerGroup*`.

use std::sync::Arc;

use bytes::Bytes;
use duramen_wire::EncodeError;
use duramen_wire::messages::consumer_group_current_member_assignment_key::ConsumerGroupCurrentMemberAssignmentKey;
use duramen_wire::messages::consumer_group_current_member_assignment_value::ConsumerGroupCurrentMemberAssignmentValue;
use duramen_wire::messages::consumer_group_member_metadata_key::ConsumerGroupMemberMetadataKey;
use duramen_wire::messages::consumer_group_member_metadata_value::ConsumerGroupMemberMetadataValue;
use duramen_wire::messages::consumer_group_metadata_key::ConsumerGroupMetadataKey;
use duramen_wire::messages::consumer_group_metadata_value::ConsumerGroupMetadataValue;
use duramen_wire::messages::consumer_group_partition_metadata_key::ConsumerGroupPartitionMetadataKey;
use duramen_wire::messages::consumer_group_regular_expression_key::ConsumerGroupRegularExpressionKey;
use duramen_wire::messages::consumer_group_regular_expression_value::ConsumerGroupRegularExpressionValue;
use duramen_wire::messages::consumer_group_target_assignment_member_key::ConsumerGroupTargetAssignmentMemberKey;
use duramen_wire::messages::consumer_group_target_assignment_member_value::ConsumerGroupTargetAssignmentMemberValue;
use duramen_wire::messages::consumer_group_target_assignment_metadata_key::ConsumerGroupTargetAssignmentMetadataKey;
use duramen_wire::messages::consumer_group_target_assignment_metadata_value::ConsumerGroupTargetAssignmentMetadataValue;

use crate::coordinator::group::record::{RecordError, encode, message, versioned};

/// One record of a group; without a value, a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerRecord {
    pub group: Arc<str>,
    pub what: What,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Group(Option<ConsumerGroupMetadataValue>),
    /// Of older brokers; only its tombstone is written.
    Partitions,
    Member(Arc<str>, Option<ConsumerGroupMemberMetadataValue>),
    TargetEpoch(Option<ConsumerGroupTargetAssignmentMetadataValue>),
    Target(Arc<str>, Option<ConsumerGroupTargetAssignmentMemberValue>),
    Current(Arc<str>, Option<ConsumerGroupCurrentMemberAssignmentValue>),
    Regex(Arc<str>, Option<ConsumerGroupRegularExpressionValue>),
}

impl What {
    /// Whether it only takes something away.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        match self {
            Self::Group(value) => value.is_none(),
            Self::Partitions => true,
            Self::Member(_, value) => value.is_none(),
            Self::TargetEpoch(value) => value.is_none(),
            Self::Target(_, value) => value.is_none(),
            Self::Current(_, value) => value.is_none(),
            Self::Regex(_, value) => value.is_none(),
        }
    }
}

impl ConsumerRecord {
    /// Key and value as they stand in the log.
    ///
    /// # Errors
    /// A text or a list is longer than the format can say.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        let group_id = self.group.to_string();
        let key = |number, member: &Arc<str>| {
            // The keys of members have the same fields.
            let key = ConsumerGroupMemberMetadataKey {
                group_id: self.group.to_string(),
                member_id: member.to_string(),
            };
            encode(number, &key, 0)
        };
        // The keys of groups too.
        let of_group = |number| {
            encode(
                number,
                &ConsumerGroupMetadataKey {
                    group_id: group_id.clone(),
                },
                0,
            )
        };
        fn value<M: duramen_wire::Message>(value: &Option<M>) -> Result<Option<Bytes>, EncodeError> {
            value.as_ref().map(|value| encode(0, value, 0)).transpose()
        }
        Ok(match &self.what {
            What::Group(group) => (of_group(ConsumerGroupMetadataKey::KEY)?, value(group)?),
            What::Partitions => (of_group(ConsumerGroupPartitionMetadataKey::KEY)?, None),
            What::Member(id, member) => (key(ConsumerGroupMemberMetadataKey::KEY, id)?, value(member)?),
            What::TargetEpoch(target) => (of_group(ConsumerGroupTargetAssignmentMetadataKey::KEY)?, value(target)?),
            What::Target(id, target) => (key(ConsumerGroupTargetAssignmentMemberKey::KEY, id)?, value(target)?),
            What::Current(id, current) => (key(ConsumerGroupCurrentMemberAssignmentKey::KEY, id)?, value(current)?),
            What::Regex(regex, resolved) => {
                let key = ConsumerGroupRegularExpressionKey {
                    group_id,
                    regular_expression: regex.to_string(),
                };
                let number = ConsumerGroupRegularExpressionKey::KEY;
                (encode(number, &key, 0)?, value(resolved)?)
            }
        })
    }

    /// Reads a record of type `number`; `None` for one that is not of a consumer group.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn decode(number: i16, key: &[u8], value: Option<&[u8]>) -> Result<Option<Self>, RecordError> {
        let of_group = || {
            let key: ConsumerGroupMetadataKey = message(key, 0)?;
            Ok::<_, RecordError>(Arc::from(key.group_id))
        };
        let of_member = || {
            let key: ConsumerGroupMemberMetadataKey = message(key, 0)?;
            Ok::<_, RecordError>((Arc::from(key.group_id), Arc::from(key.member_id)))
        };
        let (group, what) = match number {
            ConsumerGroupMetadataKey::KEY => (of_group()?, What::Group(versioned(value)?)),
            ConsumerGroupPartitionMetadataKey::KEY => (of_group()?, What::Partitions),
            ConsumerGroupTargetAssignmentMetadataKey::KEY => (of_group()?, What::TargetEpoch(versioned(value)?)),
            ConsumerGroupMemberMetadataKey::KEY => {
                let (group, member) = of_member()?;
                (group, What::Member(member, versioned(value)?))
            }
            ConsumerGroupTargetAssignmentMemberKey::KEY => {
                let (group, member) = of_member()?;
                (group, What::Target(member, versioned(value)?))
            }
            ConsumerGroupCurrentMemberAssignmentKey::KEY => {
                let (group, member) = of_member()?;
                (group, What::Current(member, versioned(value)?))
            }
            ConsumerGroupRegularExpressionKey::KEY => {
                let key: ConsumerGroupRegularExpressionKey = message(key, 0)?;
                let regex = Arc::from(key.regular_expression);
                (Arc::from(key.group_id), What::Regex(regex, versioned(value)?))
            }
            _ => return Ok(None),
        };
        Ok(Some(Self { group, what }))
    }
}
