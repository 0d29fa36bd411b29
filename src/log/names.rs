//! Names of files and directories of a log, as Kafka gives them (`LogFileUtils`, `UnifiedLog.parseTopicPartitionName`).

use std::sync::Arc;

use crate::base::ids::TopicPartition;
use crate::base::limits::TOPIC_NAME_BYTES_MAX;
use crate::base::offset::Offset;

/// Left by a clean stop; when it is there, nothing needs recovery.
pub const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// Held locked while a process uses the log directory.
pub const LOCK: &str = ".lock";
/// Which cluster and node a log directory belongs to.
pub const META_PROPERTIES: &str = "meta.properties";
/// Below which group of the journal nothing counts for a partition, in its directory (ours).
pub const JOURNAL_FLOOR: &str = "duramen-journal-floor";
/// Everything below these offsets is on the disk.
pub const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// First offsets that clients may read, where deletion moved them inside a segment.
pub const LOG_START_OFFSETS: &str = "log-start-offset-checkpoint";
/// High watermarks: hints for a start.
pub const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
/// How far logs are compacted.
pub const COMPACTED_OFFSETS: &str = "cleaner-offset-checkpoint";
/// Leader epochs of a partition and their start offsets.
pub const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
/// Topic id of a partition's directory.
pub const PARTITION_METADATA: &str = "partition.metadata";
/// A file that is not of its log any more, until it is removed.
pub const DELETED_FILE_SUFFIX: &str = ".deleted";
/// A partition's directory whose deletion has begun.
pub const DELETED_DIRECTORY_SUFFIX: &str = "-delete";

/// A partition's directory that is of another topic with the same name.
pub const STRAY_DIRECTORY_SUFFIX: &str = "-stray";

/// The files named after a base offset.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum FileKind {
    /// Record batches.
    Log,
    /// Offsets to positions.
    OffsetIndex,
    /// Timestamps to offsets.
    TimeIndex,
    /// Aborted transactions.
    TransactionIndex,
    /// Producer state before the offset in the name.
    ProducerSnapshot,
}

impl FileKind {
    pub const ALL: [Self; 5] = [
        Self::Log,
        Self::OffsetIndex,
        Self::TimeIndex,
        Self::TransactionIndex,
        Self::ProducerSnapshot,
    ];

    fn suffix(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::OffsetIndex => ".index",
            Self::TimeIndex => ".timeindex",
            Self::TransactionIndex => ".txnindex",
            Self::ProducerSnapshot => ".snapshot",
        }
    }
}

/// What stands behind the name of a file that is not, or not yet, of its log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum FileMark {
    /// Compaction writes it.
    Cleaned,
    /// Compaction has written it, and is about to give it the name of what it replaces.
    Swap,
    /// It is to be removed.
    Deleted,
}

impl FileMark {
    pub const ALL: [Self; 3] = [Self::Cleaned, Self::Swap, Self::Deleted];

    fn suffix(self) -> &'static str {
        match self {
            Self::Cleaned => ".cleaned",
            Self::Swap => ".swap",
            Self::Deleted => DELETED_FILE_SUFFIX,
        }
    }
}

/// The name of a file with a mark behind it.
#[must_use]
pub fn marked_file_name(offset: Offset, kind: FileKind, mark: FileMark) -> String {
    format!("{}{}", file_name(offset, kind), mark.suffix())
}

/// Reads what [`marked_file_name`] writes; `None` for any other name.
#[must_use]
pub fn parse_marked_file_name(name: &str) -> Option<(Offset, FileKind, FileMark)> {
    FileMark::ALL.into_iter().find_map(|mark| {
        let (offset, kind) = parse_file_name(name.strip_suffix(mark.suffix())?)?;
        Some((offset, kind, mark))
    })
}

/// Whether a file with this name, whatever mark it has, holds records of a log.
#[must_use]
pub fn holds_records(name: &str) -> bool {
    let unmarked = FileMark::ALL
        .into_iter()
        .find_map(|mark| name.strip_suffix(mark.suffix()));
    parse_file_name(unmarked.unwrap_or(name)).is_some_and(|(_, kind)| kind == FileKind::Log)
}

/// No log gets there; what comes after is left to sums of offsets.
const OFFSET_MAX: i64 = i64::MAX - (1 << 40);

/// The name of a file: 20 digits and the suffix of its kind.
#[must_use]
pub fn file_name(offset: Offset, kind: FileKind) -> String {
    format!("{:020}{}", offset.0, kind.suffix())
}

/// Reads what [`file_name`] writes; `None` for any other name.
#[must_use]
pub fn parse_file_name(name: &str) -> Option<(Offset, FileKind)> {
    let (digits, suffix) = name.split_at_checked(20)?;
    let kind = FileKind::ALL.into_iter().find(|kind| kind.suffix() == suffix)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let offset = digits.parse().ok().filter(|offset| *offset <= OFFSET_MAX)?;
    Some((Offset(offset), kind))
}

/// The partition of a directory's name, `topic-partition`; `None` when it is not the name of one.
#[must_use]
pub fn parse_directory_name(name: &str) -> Option<TopicPartition> {
    let (topic, digits) = name.rsplit_once('-')?;
    let canonical = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    if !canonical || !is_topic_name(topic) {
        return None;
    }
    Some(TopicPartition {
        topic: Arc::from(topic),
        partition: digits.parse().ok()?,
    })
}

/// The name a partition's directory gets when its deletion begins: `topic-partition.unique-delete`.
///
/// Cut to 255 bytes as Kafka does (`UnifiedLog.logDeleteDirName`), so that it stays a valid name of a directory.
#[must_use]
pub fn deleted_directory_name(partition: &TopicPartition, unique: u128) -> String {
    marked_directory_name(partition, unique, DELETED_DIRECTORY_SUFFIX)
}

/// The name of a partition's directory that does not belong to the topic of that name (`UnifiedLog.logStrayDirName`).
#[must_use]
pub fn stray_directory_name(partition: &TopicPartition, unique: u128) -> String {
    marked_directory_name(partition, unique, STRAY_DIRECTORY_SUFFIX)
}

fn marked_directory_name(partition: &TopicPartition, unique: u128, mark: &str) -> String {
    let suffix = format!("-{}.{unique:032x}{mark}", partition.partition);
    let room = 255 - suffix.len();
    let topic: &str = &partition.topic;
    let kept = topic.get(..room.min(topic.len())).unwrap_or("");
    format!("{kept}{suffix}")
}

/// Whether Kafka allows this name for a topic (`Topic.validate`).
#[must_use]
pub fn is_topic_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= TOPIC_NAME_BYTES_MAX
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        assert_eq!(file_name(Offset(42), FileKind::Log), "00000000000000000042.log");
        for kind in FileKind::ALL {
            for offset in [0, 1, OFFSET_MAX] {
                let name = file_name(Offset(offset), kind);
                assert_eq!(parse_file_name(&name), Some((Offset(offset), kind)), "{name}");
                assert_eq!(parse_marked_file_name(&name), None, "{name}");
                for mark in FileMark::ALL {
                    let name = marked_file_name(Offset(offset), kind, mark);
                    assert_eq!(parse_marked_file_name(&name), Some((Offset(offset), kind, mark)));
                    assert_eq!(parse_file_name(&name), None, "{name}");
                }
            }
        }
        for bad in [
            "",
            ".log",
            "0.log",
            "0000000000000000000x.log",
            "-0000000000000000001.log",
            "99999999999999999999.log",
            "09223372036854775807.log",
            "00000000000000000000.log.deleted",
            "ééééééééééé.log",
        ] {
            assert_eq!(parse_file_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn directories_name_partitions() {
        for (name, topic, partition) in [("t-0", "t", 0), ("a-b-12", "a-b", 12), ("__x.y-1", "__x.y", 1)] {
            let parsed = parse_directory_name(name).unwrap();
            assert_eq!((&*parsed.topic, parsed.partition), (topic, partition));
            assert_eq!(parsed.to_string(), name);
        }
        for bad in [
            "t",
            "-1",
            "t-",
            "t--1x",
            "t-01",
            "t-4294967296",
            "t/u-1",
            "..-x",
            "t-1.0f-delete",
        ] {
            assert_eq!(parse_directory_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_deleted_directory_keeps_a_valid_name() {
        let long = TopicPartition {
            topic: Arc::from("t".repeat(TOPIC_NAME_BYTES_MAX)),
            partition: i32::MAX,
        };
        let name = deleted_directory_name(&long, u128::MAX);
        assert_eq!(name.len(), 255);
        assert!(name.ends_with(DELETED_DIRECTORY_SUFFIX));
        assert_eq!(parse_directory_name(&name), None);
    }
}
