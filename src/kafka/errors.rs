//! Kafka's error codes, and how the errors of the broker map to them. The only file that knows the numbers.
//!
//! Source: `org.apache.kafka.common.protocol.Errors`.

use crate::coordinator::group::GroupError;
use crate::coordinator::group::consumer::Refused;
use crate::log::producers::ProducerError;
use crate::metadata::controller::{
    AlterConfigError, CreatePartitionsError, CreateTopicError, DeleteTopicError, ReassignError, UpdateFeaturesError,
};
use crate::partition::types::{AppendError, DeleteRecordsError, ReadError};
use crate::record::BatchError;

/// An error as it stands in a response.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ErrorCode(pub i16);

macro_rules! error_codes {
    ($($name:ident = $code:literal $retriable:ident,)+) => {
        impl ErrorCode {
            $(pub const $name: Self = Self($code);)+
        }

        /// Each code in use: its name, and whether clients try again after it.
        pub const ERROR_CODES: &[(ErrorCode, &str, Retriability)] =
            &[$((ErrorCode::$name, stringify!($name), Retriability::$retriable),)+];
    };
}

/// What a client does after an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retriability {
    /// Clients try again by themselves.
    Retriable,
    /// Clients hand it to the application.
    Final,
}

error_codes! {
    UNKNOWN_SERVER_ERROR = -1 Final,
    NONE = 0 Final,
    OFFSET_OUT_OF_RANGE = 1 Final,
    CORRUPT_MESSAGE = 2 Retriable,
    UNKNOWN_TOPIC_OR_PARTITION = 3 Retriable,
    LEADER_NOT_AVAILABLE = 5 Retriable,
    NOT_LEADER_OR_FOLLOWER = 6 Retriable,
    REQUEST_TIMED_OUT = 7 Retriable,
    REPLICA_NOT_AVAILABLE = 9 Retriable,
    MESSAGE_TOO_LARGE = 10 Final,
    OFFSET_METADATA_TOO_LARGE = 12 Final,
    COORDINATOR_LOAD_IN_PROGRESS = 14 Retriable,
    COORDINATOR_NOT_AVAILABLE = 15 Retriable,
    NOT_COORDINATOR = 16 Retriable,
    INVALID_TOPIC_EXCEPTION = 17 Final,
    RECORD_LIST_TOO_LARGE = 18 Final,
    INVALID_REQUIRED_ACKS = 21 Final,
    ILLEGAL_GENERATION = 22 Final,
    INCONSISTENT_GROUP_PROTOCOL = 23 Final,
    INVALID_GROUP_ID = 24 Final,
    UNKNOWN_MEMBER_ID = 25 Final,
    INVALID_SESSION_TIMEOUT = 26 Final,
    REBALANCE_IN_PROGRESS = 27 Final,
    TOPIC_AUTHORIZATION_FAILED = 29 Final,
    INVALID_TIMESTAMP = 32 Final,
    UNSUPPORTED_VERSION = 35 Final,
    TOPIC_ALREADY_EXISTS = 36 Final,
    INVALID_PARTITIONS = 37 Final,
    INVALID_REPLICATION_FACTOR = 38 Final,
    INVALID_REPLICA_ASSIGNMENT = 39 Final,
    INVALID_CONFIG = 40 Final,
    NOT_CONTROLLER = 41 Retriable,
    INVALID_REQUEST = 42 Final,
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43 Final,
    POLICY_VIOLATION = 44 Final,
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45 Final,
    INVALID_PRODUCER_EPOCH = 47 Final,
    INVALID_TXN_STATE = 48 Final,
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53 Final,
    OPERATION_NOT_ATTEMPTED = 55 Final,
    KAFKA_STORAGE_ERROR = 56 Retriable,
    LOG_DIR_NOT_FOUND = 57 Final,
    NON_EMPTY_GROUP = 68 Final,
    GROUP_ID_NOT_FOUND = 69 Final,
    FETCH_SESSION_ID_NOT_FOUND = 70 Retriable,
    INVALID_FETCH_SESSION_EPOCH = 71 Retriable,
    TOPIC_DELETION_DISABLED = 73 Final,
    FENCED_LEADER_EPOCH = 74 Retriable,
    UNKNOWN_LEADER_EPOCH = 75 Retriable,
    UNSUPPORTED_COMPRESSION_TYPE = 76 Final,
    OFFSET_NOT_AVAILABLE = 78 Retriable,
    MEMBER_ID_REQUIRED = 79 Final,
    PREFERRED_LEADER_NOT_AVAILABLE = 80 Retriable,
    GROUP_MAX_SIZE_REACHED = 81 Final,
    FENCED_INSTANCE_ID = 82 Final,
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83 Retriable,
    ELECTION_NOT_NEEDED = 84 Retriable,
    NO_REASSIGNMENT_IN_PROGRESS = 85 Final,
    GROUP_SUBSCRIBED_TO_TOPIC = 86 Final,
    INVALID_RECORD = 87 Final,
    INVALID_UPDATE_VERSION = 95 Final,
    UNKNOWN_TOPIC_ID = 100 Retriable,
    INCONSISTENT_TOPIC_ID = 103 Retriable,
    FETCH_SESSION_TOPIC_ID_ERROR = 106 Retriable,
    FENCED_MEMBER_EPOCH = 110 Final,
    UNRELEASED_INSTANCE_ID = 111 Final,
    UNSUPPORTED_ASSIGNOR = 112 Final,
    STALE_MEMBER_EPOCH = 113 Final,
    MISMATCHED_ENDPOINT_TYPE = 114 Final,
    UNSUPPORTED_ENDPOINT_TYPE = 115 Final,
    INVALID_REGULAR_EXPRESSION = 128 Final,
}

impl ErrorCode {
    #[must_use]
    pub fn is_error(self) -> bool {
        self != Self::NONE
    }

    /// Kafka's name of the code.
    #[must_use]
    pub fn name(self) -> &'static str {
        ERROR_CODES
            .iter()
            .find(|(code, _, _)| *code == self)
            .map_or("UNKNOWN_SERVER_ERROR", |(_, name, _)| name)
    }
}

/// Why a part of a request is refused, as its answer says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: Option<String>,
    /// Records of a batch by number, each with what is wrong with it.
    pub record_errors: Vec<(i32, String)>,
}

impl Refusal {
    /// A code that says all.
    #[must_use]
    pub fn of(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            record_errors: Vec::new(),
        }
    }

    /// A code with words.
    #[must_use]
    pub fn with(code: ErrorCode, message: impl ToString) -> Self {
        Self {
            code,
            message: Some(shortened(message.to_string())),
            record_errors: Vec::new(),
        }
    }
}

/// The longest text of an error, in bytes: one that repeats what a client sent may be longer than a response can say.
const MESSAGE_BYTES_MAX: usize = 4096;

fn shortened(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message.push('…');
    }
    message
}

/// How a batch that does not stand in the log is answered.
#[must_use]
pub fn append_error(error: AppendError) -> Refusal {
    match error {
        AppendError::NotHosted => Refusal::of(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        AppendError::Invalid(error) => batch_error(&error),
        AppendError::Refused(error) => Refusal::with(log_error(error), error),
        AppendError::Transactional => Refusal::with(ErrorCode::INVALID_TXN_STATE, error),
        AppendError::Full | AppendError::Offline => Refusal::with(ErrorCode::KAFKA_STORAGE_ERROR, error),
    }
}

/// How a batch that its log does not take is answered (Kafka: `ProducerAppendInfo`, `UnifiedLog.append`).
#[must_use]
pub fn log_error(error: crate::log::AppendError) -> ErrorCode {
    use crate::log::AppendError as Refused;
    match error {
        Refused::Producer(ProducerError::OutOfOrderSequence { .. }) => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        Refused::Producer(ProducerError::OldEpoch { .. }) => ErrorCode::INVALID_PRODUCER_EPOCH,
        Refused::Producer(ProducerError::TransactionOpen { .. }) => ErrorCode::INVALID_TXN_STATE,
        Refused::BatchTooLarge { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
        Refused::OffsetTaken { .. } => ErrorCode::UNKNOWN_SERVER_ERROR,
    }
}

/// How a batch that breaks a rule is answered (Kafka: `LogValidator`, `UnifiedLog.analyzeAndValidateRecords`).
#[must_use]
pub fn batch_error(error: &BatchError) -> Refusal {
    let (code, records) = match error {
        BatchError::Corrupt(_) => (ErrorCode::CORRUPT_MESSAGE, None),
        BatchError::Truncated { .. } | BatchError::Invalid(_) => (ErrorCode::INVALID_RECORD, None),
        BatchError::TooLarge { .. } => (ErrorCode::MESSAGE_TOO_LARGE, None),
        BatchError::Compressor => (ErrorCode::UNKNOWN_SERVER_ERROR, None),
        BatchError::UnsupportedCompression => (ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, None),
        BatchError::InvalidRecords(records) => (ErrorCode::INVALID_RECORD, Some(records)),
        BatchError::InvalidTimestamps(records) => (ErrorCode::INVALID_TIMESTAMP, Some(records)),
    };
    let record_errors = records
        .into_iter()
        .flat_map(|records| &records.first)
        .map(|record| (record.index, record.reason.to_string()));
    Refusal {
        code,
        message: Some(error.to_string()),
        record_errors: record_errors.collect(),
    }
}

/// How a place that cannot be read is answered.
#[must_use]
pub fn read_error(error: ReadError) -> ErrorCode {
    match error {
        ReadError::NotHosted => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ReadError::OffsetOutOfRange => ErrorCode::OFFSET_OUT_OF_RANGE,
        ReadError::FencedLeaderEpoch => ErrorCode::FENCED_LEADER_EPOCH,
        ReadError::UnknownLeaderEpoch => ErrorCode::UNKNOWN_LEADER_EPOCH,
        ReadError::Offline => ErrorCode::KAFKA_STORAGE_ERROR,
    }
}

/// How a partition whose records are not deleted is answered (Kafka: `ReplicaManager.deleteRecordsOnLocalLog`).
#[must_use]
pub fn delete_records_error(error: DeleteRecordsError) -> ErrorCode {
    match error {
        DeleteRecordsError::NotHosted => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        DeleteRecordsError::OutOfRange => ErrorCode::OFFSET_OUT_OF_RANGE,
        DeleteRecordsError::CompactedOnly => ErrorCode::POLICY_VIOLATION,
        DeleteRecordsError::Full | DeleteRecordsError::Offline => ErrorCode::KAFKA_STORAGE_ERROR,
    }
}

/// How a request that a group refuses is answered.
#[must_use]
pub fn group_error(error: GroupError) -> ErrorCode {
    match error {
        GroupError::Loading => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        GroupError::NotCoordinator => ErrorCode::NOT_COORDINATOR,
        GroupError::NotAvailable => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        GroupError::InvalidGroupId => ErrorCode::INVALID_GROUP_ID,
        GroupError::GroupNotFound => ErrorCode::GROUP_ID_NOT_FOUND,
        GroupError::NonEmptyGroup => ErrorCode::NON_EMPTY_GROUP,
        GroupError::SubscribedToTopic => ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC,
        GroupError::GroupFull => ErrorCode::GROUP_MAX_SIZE_REACHED,
        GroupError::UnknownMember => ErrorCode::UNKNOWN_MEMBER_ID,
        GroupError::MemberIdRequired => ErrorCode::MEMBER_ID_REQUIRED,
        GroupError::FencedInstance => ErrorCode::FENCED_INSTANCE_ID,
        GroupError::IllegalGeneration => ErrorCode::ILLEGAL_GENERATION,
        GroupError::RebalanceInProgress => ErrorCode::REBALANCE_IN_PROGRESS,
        GroupError::InconsistentProtocol => ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        GroupError::InvalidSessionTimeout => ErrorCode::INVALID_SESSION_TIMEOUT,
        GroupError::StaleMemberEpoch => ErrorCode::STALE_MEMBER_EPOCH,
        GroupError::UnsupportedVersion => ErrorCode::UNSUPPORTED_VERSION,
        GroupError::TooLarge => ErrorCode::UNKNOWN_SERVER_ERROR,
    }
}

/// How a heartbeat that a consumer group refuses is answered.
#[must_use]
pub fn consumer_group_error(refused: &Refused) -> Refusal {
    let code = match refused {
        Refused::Coordinator(error) => return Refusal::of(group_error(*error)),
        Refused::Invalid(_) => ErrorCode::INVALID_REQUEST,
        Refused::UnsupportedAssignor(..) => ErrorCode::UNSUPPORTED_ASSIGNOR,
        Refused::GroupNotFound(_) | Refused::LeftGroupNotFound(_) | Refused::OtherProtocol(_) => {
            ErrorCode::GROUP_ID_NOT_FOUND
        }
        Refused::Full(_) => ErrorCode::GROUP_MAX_SIZE_REACHED,
        Refused::UnknownMember(..) | Refused::UnknownInstance(_) => ErrorCode::UNKNOWN_MEMBER_ID,
        Refused::UnreleasedInstance { .. } => ErrorCode::UNRELEASED_INSTANCE_ID,
        Refused::FencedInstance { .. } => ErrorCode::FENCED_INSTANCE_ID,
        Refused::FencedEpoch { .. } => ErrorCode::FENCED_MEMBER_EPOCH,
        Refused::InvalidRegex(..) => ErrorCode::INVALID_REGULAR_EXPRESSION,
    };
    Refusal::with(code, refused)
}

/// How a topic that cannot be made is answered (Kafka: `ReplicationControlManager.createTopics`).
#[must_use]
pub fn create_topic_error(error: &CreateTopicError) -> Refusal {
    let code = match error {
        CreateTopicError::NamedTwice => ErrorCode::INVALID_REQUEST,
        CreateTopicError::MetadataTopic => ErrorCode::INVALID_REQUEST,
        CreateTopicError::Name(_) | CreateTopicError::Collision { .. } => ErrorCode::INVALID_TOPIC_EXCEPTION,
        CreateTopicError::Exists(_) => ErrorCode::TOPIC_ALREADY_EXISTS,
        CreateTopicError::TooManyPartitions | CreateTopicError::TooManyRecords => ErrorCode::POLICY_VIOLATION,
        CreateTopicError::NullConfig(_) | CreateTopicError::Config(_) => ErrorCode::INVALID_CONFIG,
        CreateTopicError::PartitionCount => ErrorCode::INVALID_PARTITIONS,
        CreateTopicError::ReplicationFactor | CreateTopicError::Place { .. } => ErrorCode::INVALID_REPLICATION_FACTOR,
        CreateTopicError::AssignmentAndFactor | CreateTopicError::AssignmentAndCount => ErrorCode::INVALID_REQUEST,
        CreateTopicError::Assignment(_) => ErrorCode::INVALID_REPLICA_ASSIGNMENT,
    };
    Refusal::with(code, error)
}

/// How a topic that gets no more partitions is answered (Kafka: `ReplicationControlManager.createPartitions`).
#[must_use]
pub fn create_partitions_error(error: &CreatePartitionsError) -> Refusal {
    let code = match error {
        CreatePartitionsError::NamedTwice => ErrorCode::INVALID_REQUEST,
        CreatePartitionsError::UnknownTopic => return Refusal::of(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        CreatePartitionsError::AlreadySo(_) | CreatePartitionsError::Fewer { .. } => ErrorCode::INVALID_PARTITIONS,
        CreatePartitionsError::TooMany => ErrorCode::POLICY_VIOLATION,
        CreatePartitionsError::AssignmentCount { .. } | CreatePartitionsError::Assignment(_) => {
            ErrorCode::INVALID_REPLICA_ASSIGNMENT
        }
        CreatePartitionsError::Place { .. } => ErrorCode::INVALID_REPLICATION_FACTOR,
    };
    Refusal::with(code, error)
}

/// How a partition that does not get other replicas is answered (Kafka: `ReplicationControlManager.alterPartitionReassignment`).
#[must_use]
pub fn reassign_error(error: &ReassignError) -> Refusal {
    let code = match error {
        ReassignError::UnknownTopic(_) | ReassignError::UnknownPartition { .. } => {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        }
        ReassignError::NothingToCancel => return Refusal::of(ErrorCode::NO_REASSIGNMENT_IN_PROGRESS),
        ReassignError::FactorChanged { .. } => ErrorCode::INVALID_REPLICATION_FACTOR,
        ReassignError::Assignment(_) | ReassignError::OtherReplicas => ErrorCode::INVALID_REPLICA_ASSIGNMENT,
    };
    Refusal::with(code, error)
}

/// How a resource whose settings are not changed is answered (Kafka: `ConfigurationControlManager`).
#[must_use]
pub fn alter_config_error(error: &AlterConfigError) -> Refusal {
    let code = match error {
        AlterConfigError::ResourceTwice
        | AlterConfigError::ResourceType(_)
        | AlterConfigError::EveryGroup
        | AlterConfigError::NoNodeId(_)
        | AlterConfigError::OtherBroker { .. }
        | AlterConfigError::KeyTwice
        | AlterConfigError::Operation(_)
        | AlterConfigError::BrokerOperation(_)
        | AlterConfigError::NullValue(_)
        | AlterConfigError::Broker(_) => ErrorCode::INVALID_REQUEST,
        AlterConfigError::UnknownTopic(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        AlterConfigError::NotAList { .. }
        | AlterConfigError::BrokerNotAList { .. }
        | AlterConfigError::UnknownBrokerKey(_)
        | AlterConfigError::InsyncOfOneBroker
        | AlterConfigError::InsyncOfEveryBroker
        | AlterConfigError::TooLarge
        | AlterConfigError::Config(_)
        | AlterConfigError::Group(_) => ErrorCode::INVALID_CONFIG,
    };
    Refusal::with(code, error)
}

/// How features that are not changed are answered (Kafka: `QuorumController.updateFeatures`).
#[must_use]
pub fn update_features_error(error: &UpdateFeaturesError) -> Refusal {
    let code = match error {
        UpdateFeaturesError::Refused { .. } | UpdateFeaturesError::MetadataDowngrade { .. } => {
            ErrorCode::INVALID_UPDATE_VERSION
        }
    };
    let message = format!("The update failed for all features since the following feature had an error: {error}");
    Refusal::with(code, message)
}

/// How a topic that is not deleted is answered (Kafka: `ControllerApis.deleteTopics`).
#[must_use]
pub fn delete_topic_error(error: DeleteTopicError) -> Refusal {
    let code = match error {
        DeleteTopicError::NameAndId
        | DeleteTopicError::NeitherNameNorId
        | DeleteTopicError::NamedTwice
        | DeleteTopicError::IdTwice
        | DeleteTopicError::NameAndIdOfOne => ErrorCode::INVALID_REQUEST,
        DeleteTopicError::UnknownName => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        DeleteTopicError::UnknownId => ErrorCode::UNKNOWN_TOPIC_ID,
    };
    Refusal::with(code, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_name() {
        for (place, (code, name, _)) in ERROR_CODES.iter().enumerate() {
            assert_eq!(code.name(), *name);
            assert!(
                ERROR_CODES[..place].iter().all(|(other, _, _)| other < code),
                "{name} is not in order"
            );
        }
    }

    #[test]
    fn what_clients_do_after_each_error_of_an_append() {
        use AppendError::{NotHosted, Offline, Transactional};
        let offline = append_error(Offline).code;
        let retried = |code: ErrorCode| {
            ERROR_CODES
                .iter()
                .any(|(known, _, after)| *known == code && *after == Retriability::Retriable)
        };
        assert!(retried(append_error(NotHosted).code));
        assert!(retried(offline));
        assert!(!retried(append_error(Transactional).code));
    }
}
