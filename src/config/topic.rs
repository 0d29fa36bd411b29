//! The settings of one topic as typed values: its own, for the rest the broker's. Kafka: `LogConfig`.

use std::collections::BTreeMap;

use super::error::TopicConfigError;
use super::property::Property;
use super::source::Settings;
use super::table::{Unit, broker_property, is_tiered, synonyms, topic_properties, topic_property};
use super::value::{Value, Values};

/// Who stamps records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimestampType {
    /// The producer.
    CreateTime,
    /// The broker, at the moment of the append.
    LogAppendTime,
}

/// Codec of stored batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// As the producer sent them.
    Producer,
    Uncompressed,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// When an acks=all append is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Its records are on the disk.
    Disk,
    /// They are in the page cache: a crash of the machine loses them.
    Memory,
}

/// What happens to old records; both may be on, and neither too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cleanup {
    pub delete: bool,
    pub compact: bool,
}

/// The effective settings of a topic. Times are milliseconds.
#[derive(Clone, PartialEq, Debug)]
pub struct TopicConfig {
    pub segment_bytes: u32,
    pub segment_ms: i64,
    pub segment_jitter_ms: i64,
    pub segment_index_bytes: u32,
    pub index_interval_bytes: u32,
    /// Of one record batch.
    pub message_bytes_max: u32,
    pub timestamp_type: TimestampType,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub compression: Compression,
    /// Level of the codec that `compression` names; `None` is the codec's own, also where it has only one.
    pub compression_level: Option<i32>,
    pub cleanup: Cleanup,
    /// -1 for ever.
    pub retention_ms: i64,
    /// Of one partition; -1 without limit.
    pub retention_bytes: i64,
    pub delete_retention_ms: i64,
    pub durability: Durability,
    pub compaction_lag_min_ms: i64,
    pub compaction_lag_max_ms: i64,
    pub dirty_ratio_min: f64,
    pub file_delete_delay_ms: i64,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub preallocate: bool,
    pub insync_replicas_min: u32,
    pub unclean_leader_election: bool,
}

impl TopicConfig {
    /// The settings of a topic with these `overrides`.
    ///
    /// # Errors
    ///
    /// An override that is no topic key or not allowed.
    pub fn effective(settings: &Settings, overrides: &BTreeMap<String, String>) -> Result<Self, TopicConfigError> {
        if let Some(name) = overrides.keys().find(|name| topic_property(name).is_none()) {
            return Err(TopicConfigError::Unknown { name: name.clone() });
        }
        let mut values = BTreeMap::new();
        for property in topic_properties() {
            if let Some(text) = effective_text(property, settings, overrides) {
                let value = property.parse(&text).map_err(|_| TopicConfigError::Value {
                    name: property.name.to_owned(),
                    value: text,
                    allowed: property.allowed(),
                })?;
                values.insert(property.name, value);
            }
        }
        Ok(Self::from_values(&Values(values)))
    }

    /// [`effective`](Self::effective) for settings that somebody gives now: `given` are the keys of them that are new or changed.
    ///
    /// # Errors
    ///
    /// As of [`effective`](Self::effective), for settings at odds with each other, and for keys without meaning here that would promise
    /// something.
    pub fn accept<'a>(
        settings: &Settings,
        overrides: &BTreeMap<String, String>,
        given: impl IntoIterator<Item = &'a String>,
    ) -> Result<Self, TopicConfigError> {
        let config = Self::effective(settings, overrides)?;
        config.check()?;
        for name in given {
            let Some(property) = topic_property(name).filter(|_| is_tiered(name)) else {
                continue;
            };
            let parsed = |text: &str| property.parse(text).ok();
            let value = overrides.get(name);
            if value.and_then(|value| parsed(value)) != property.default.and_then(parsed) {
                return Err(TopicConfigError::Value {
                    name: name.clone(),
                    value: value.cloned().unwrap_or_default(),
                    allowed: format!(
                        "{}, its default: there is no tiered storage",
                        property.default.unwrap_or_default()
                    ),
                });
            }
        }
        Ok(config)
    }

    fn from_values(values: &Values) -> Self {
        let segment_bytes = match values.whole_or_null("internal.segment.bytes") {
            Some(bytes) => u32::try_from(bytes).unwrap_or(0),
            None => values.unsigned("segment.bytes"),
        };
        let cleans = |policy: &str| values.list("cleanup.policy").iter().any(|given| given == policy);
        Self {
            segment_bytes,
            segment_ms: values.whole("segment.ms"),
            segment_jitter_ms: values.whole("segment.jitter.ms"),
            segment_index_bytes: values.unsigned("segment.index.bytes"),
            index_interval_bytes: values.unsigned("index.interval.bytes"),
            message_bytes_max: values.unsigned("max.message.bytes"),
            timestamp_type: match values.text("message.timestamp.type") {
                Some("LogAppendTime") => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: values.whole("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: values.whole("message.timestamp.after.max.ms"),
            compression: compression(values.text("compression.type")),
            compression_level: compression_level(values),
            cleanup: Cleanup {
                delete: cleans("delete"),
                compact: cleans("compact"),
            },
            retention_ms: values.whole("retention.ms"),
            retention_bytes: values.whole("retention.bytes"),
            delete_retention_ms: values.whole("delete.retention.ms"),
            durability: match values.text("durability") {
                Some("memory") => Durability::Memory,
                _ => Durability::Disk,
            },
            compaction_lag_min_ms: values.whole("min.compaction.lag.ms"),
            compaction_lag_max_ms: values.whole("max.compaction.lag.ms"),
            dirty_ratio_min: values.double("min.cleanable.dirty.ratio"),
            file_delete_delay_ms: values.whole("file.delete.delay.ms"),
            flush_messages: values.whole("flush.messages"),
            flush_ms: values.whole("flush.ms"),
            preallocate: values.bool("preallocate"),
            insync_replicas_min: values.unsigned("min.insync.replicas"),
            unclean_leader_election: values.bool("unclean.leader.election.enable"),
        }
    }

    /// What the rules of single keys cannot say. Settings of the broker that changed while it ran may bring it about: then they count as
    /// they are, as in Kafka.
    pub(super) fn check(&self) -> Result<(), TopicConfigError> {
        if self.compaction_lag_min_ms > self.compaction_lag_max_ms {
            return Err(TopicConfigError::Conflict {
                name: "min.compaction.lag.ms",
                problem: format!(
                    "{} is larger than max.compaction.lag.ms, which is {}",
                    self.compaction_lag_min_ms, self.compaction_lag_max_ms
                ),
            });
        }
        Ok(())
    }
}

fn compression(name: Option<&str>) -> Compression {
    match name {
        Some("uncompressed") => Compression::Uncompressed,
        Some("gzip") => Compression::Gzip,
        Some("snappy") => Compression::Snappy,
        Some("lz4") => Compression::Lz4,
        Some("zstd") => Compression::Zstd,
        _ => Compression::Producer,
    }
}

fn compression_level(values: &Values) -> Option<i32> {
    let level = |name| i32::try_from(values.whole(name)).ok();
    match compression(values.text("compression.type")) {
        // -1 is the default of zlib.
        Compression::Gzip => level("compression.gzip.level").filter(|level| *level > 0),
        Compression::Zstd => level("compression.zstd.level"),
        Compression::Lz4 | Compression::Snappy | Compression::Producer | Compression::Uncompressed => None,
    }
}

/// The override, else the first synonym that the broker has set, else the default.
pub(super) fn effective_text(
    property: &Property,
    settings: &Settings,
    overrides: &BTreeMap<String, String>,
) -> Option<String> {
    if let Some(text) = overrides.get(property.name) {
        return Some(text.clone());
    }
    for synonym in synonyms(property.name) {
        let Some(setting) = settings.get(synonym.name) else {
            continue;
        };
        if synonym.unit == Unit::Same {
            return Some(setting.text.trim().to_owned());
        }
        let value = broker_property(synonym.name).and_then(|broker_key| broker_key.parse(&setting.text).ok());
        if let Some(Value::Whole(number)) = value {
            return Some(synonym.unit.convert(number).to_string());
        }
    }
    property.default.map(str::to_owned)
}
