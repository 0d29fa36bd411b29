//! What a coordinator has to know of the broker's settings.

use std::time::Duration;

/// The settings, by the names of Kafka's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`
    pub session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`
    pub session_timeout_max_ms: i32,
    /// `group.max.size`
    pub members_max: usize,
    /// `offset.metadata.max.bytes`; counted as Kafka does, in UTF-16 units.
    pub metadata_units_max: usize,
    /// `offsets.retention.minutes`
    pub offsets_retention: Duration,
    /// `group.consumer.*`
    pub consumer: super::consumer::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::from_secs(3),
            session_timeout_min_ms: 6000,
            session_timeout_max_ms: 1_800_000,
            members_max: usize::MAX,
            metadata_units_max: 4096,
            offsets_retention: Duration::from_secs(10080 * 60),
            consumer: super::consumer::Config::default(),
        }
    }
}
