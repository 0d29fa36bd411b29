//! The settings of groups and their offsets. Kafka: `GroupCoordinatorConfig`.

use std::time::Duration;

use super::ConfigError;
use super::broker::conflict;
use super::source::Settings;
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
    pub consumer: ConsumerGroupConfig,
}

/// How groups of the consumer protocol (KIP-848) are coordinated.
#[derive(Clone, Debug)]
pub struct ConsumerGroupConfig {
    /// Whether they are served at all.
    pub is_served: bool,
    /// By name; the first is that of groups whose members want none.
    pub assignors: Vec<String>,
    pub members_max: usize,
    pub session_timeout: Duration,
    pub heartbeat_interval_ms: i32,
    /// From one assignment of a group to the next.
    pub assignment_interval: Duration,
    /// Whether a classic group becomes one of consumers when such a member joins it.
    pub upgrades: bool,
    /// Whether a group of consumers becomes a classic one when the last of them leaves.
    pub downgrades: bool,
}

impl GroupConfig {
    /// # Errors
    /// Settings that do not go together.
    pub(super) fn new(settings: &Settings, values: &Values) -> Result<Self, ConfigError> {
        let int = |name| i32::try_from(values.whole(name)).unwrap_or(i32::MAX);
        let size = |name| usize::try_from(values.whole(name)).unwrap_or(0);
        let count = |name| u64::try_from(values.whole(name)).unwrap_or(0);
        Ok(Self {
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
            consumer: ConsumerGroupConfig::new(settings, values)?,
        })
    }
}

/// The assignors that there are.
const ASSIGNORS: [&str; 2] = ["uniform", "range"];

impl ConsumerGroupConfig {
    fn new(settings: &Settings, values: &Values) -> Result<Self, ConfigError> {
        for time in ["session.timeout.ms", "heartbeat.interval.ms", "assignment.interval.ms"] {
            check_bounds(settings, values, time)?;
        }
        let protocols = values.list("group.coordinator.rebalance.protocols");
        if !protocols.iter().any(|protocol| protocol == "classic") {
            let problem = "groups of the classic protocol cannot be switched off: add classic";
            return Err(conflict(settings, "group.coordinator.rebalance.protocols", problem));
        }
        let assignors = values.list("group.consumer.assignors").to_vec();
        let unknown = assignors.iter().find(|name| !ASSIGNORS.contains(&name.as_str()));
        let problem = match unknown {
            Some(unknown) => Some(format!("there is no assignor {unknown}: give uniform, range or both")),
            None if assignors.is_empty() => Some("an assignor is needed: give uniform, range or both".to_owned()),
            None => None,
        };
        if let Some(problem) = problem {
            return Err(conflict(settings, "group.consumer.assignors", problem));
        }
        let policy = values.text("group.consumer.migration.policy").unwrap_or_default();
        let is_one_of = |names: [&str; 2]| names.iter().any(|name| policy.eq_ignore_ascii_case(name));
        let milliseconds = |name| Duration::from_millis(values.unsigned(name).into());
        Ok(Self {
            is_served: protocols.iter().any(|protocol| protocol == "consumer"),
            assignors,
            members_max: usize::try_from(values.unsigned("group.consumer.max.size")).unwrap_or(usize::MAX),
            session_timeout: milliseconds("group.consumer.session.timeout.ms"),
            heartbeat_interval_ms: i32::try_from(values.whole("group.consumer.heartbeat.interval.ms"))
                .unwrap_or(i32::MAX),
            assignment_interval: milliseconds("group.consumer.assignment.interval.ms"),
            upgrades: is_one_of(["upgrade", "bidirectional"]),
            downgrades: is_one_of(["downgrade", "bidirectional"]),
        })
    }
}

/// A time has to be within the bounds that are set beside it, and these in order.
fn check_bounds(settings: &Settings, values: &Values, time: &str) -> Result<(), ConfigError> {
    let key = |bound: &str| format!("group.consumer.{bound}{time}");
    let (key, least, most) = (key(""), key("min."), key("max."));
    let (value, min, max) = (values.whole(&key), values.whole(&least), values.whole(&most));
    if max < min {
        let problem = format!("{max} is below {least}, which is {min}");
        return Err(conflict(settings, &most, problem));
    }
    if !(min..=max).contains(&value) {
        let problem = format!("{value} is not between {least} and {most}, which are {min} and {max}");
        return Err(conflict(settings, &key, problem));
    }
    Ok(())
}
