//! The settings of compaction that are the broker's, not the topic's. Kafka: `CleanerConfig`.

use std::time::Duration;

use super::value::Values;

/// How logs are compacted.
#[derive(Clone, Debug)]
pub struct CleanerConfig {
    pub is_enabled: bool,
    /// Of all maps of keys together.
    pub map_bytes_max: u64,
    /// How full a map may become.
    pub map_load_factor: f64,
    /// Read and written by all cores together; infinite is no limit.
    pub io_bytes_per_second: f64,
    /// Between two looks for logs to compact, when there was none.
    pub backoff: Duration,
}

impl CleanerConfig {
    pub(super) fn from_values(values: &Values) -> Self {
        Self {
            is_enabled: values.bool("log.cleaner.enable"),
            map_bytes_max: u64::try_from(values.whole("log.cleaner.dedupe.buffer.size")).unwrap_or(0),
            map_load_factor: values.double("log.cleaner.io.buffer.load.factor"),
            io_bytes_per_second: values.double("log.cleaner.io.max.bytes.per.second"),
            backoff: Duration::from_millis(u64::try_from(values.whole("log.cleaner.backoff.ms")).unwrap_or(0)),
        }
    }
}
