//! The settings of groups and their offsets. Kafka: `GroupCoordinatorConfig`.

use std::time::Duration;

use super::value::Values;

/// How groups are coordinated, and kept.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// How long the first rebalance of an empty group waits for members.
    pub initial_rebalance_delay: Duration,
    pub session_timeout_min_ms: i32,
    pub session_timeout_max_ms: i32,
    pub members_max: usize,
    /// Of the text beside a committed offset, in UTF-16 units.
    pub offset_metadata_max: usize,
    pub offsets_retention: Duration,
    /// How often groups are looked through for what has had its time.
    pub retention_check_interval: Duration,
    /// Of `__consumer_offsets`, when it is made.
    pub offsets_partitions: i32,
    /// Of `__consumer_offsets`, when it is made.
    pub offsets_replication_factor: i16,
    /// Of `__consumer_offsets`, when it is made.
    pub offsets_segment_bytes: i32,
}

impl GroupConfig {
    pub(super) fn from_values(values: &Values) -> Self {
        let int = |name| i32::try_from(values.whole(name)).unwrap_or(i32::MAX);
        let size = |name| usize::try_from(values.whole(name)).unwrap_or(0);
        let count = |name| u64::try_from(values.whole(name)).unwrap_or(0);
        Self {
            initial_rebalance_delay: Duration::from_millis(count("group.initial.rebalance.delay.ms")),
            session_timeout_min_ms: int("group.min.session.timeout.ms"),
            session_timeout_max_ms: int("group.max.session.timeout.ms"),
            members_max: size("group.max.size"),
            offset_metadata_max: size("offset.metadata.max.bytes"),
            offsets_retention: Duration::from_secs(60 * count("offsets.retention.minutes")),
            retention_check_interval: Duration::from_millis(count("offsets.retention.check.interval.ms")),
            offsets_partitions: int("offsets.topic.num.partitions"),
            offsets_replication_factor: i16::try_from(values.whole("offsets.topic.replication.factor")).unwrap_or(1),
            offsets_segment_bytes: int("offsets.topic.segment.bytes"),
        }
    }
}
