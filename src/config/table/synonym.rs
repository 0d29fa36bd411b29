//! Which broker keys give a topic key its default (Kafka: `ServerTopicConfigSynonyms`).

/// A broker key that stands behind a topic key.
#[derive(Clone, Copy, Debug)]
pub struct Synonym {
    pub name: &'static str,
    pub unit: Unit,
}

/// What the broker key counts, where the topic key counts milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Same,
    Milliseconds,
    Minutes,
    Hours,
}

impl Unit {
    /// The topic key's value. A negative value means "no limit" in every unit of time.
    #[must_use]
    pub fn convert(self, value: i64) -> i64 {
        let factor = match self {
            Self::Same => return value,
            Self::Milliseconds => 1,
            Self::Minutes => 60_000,
            Self::Hours => 3_600_000,
        };
        if value < 0 { -1 } else { value.saturating_mul(factor) }
    }
}

const fn same(name: &'static str) -> Synonym {
    Synonym { name, unit: Unit::Same }
}

const fn milliseconds(name: &'static str) -> Synonym {
    Synonym {
        name,
        unit: Unit::Milliseconds,
    }
}

const fn minutes(name: &'static str) -> Synonym {
    Synonym {
        name,
        unit: Unit::Minutes,
    }
}

const fn hours(name: &'static str) -> Synonym {
    Synonym {
        name,
        unit: Unit::Hours,
    }
}

/// By topic key; the first broker key that is set wins.
static SYNONYMS: &[(&str, &[Synonym])] = &[
    ("cleanup.policy", &[same("log.cleanup.policy")]),
    ("compression.gzip.level", &[same("compression.gzip.level")]),
    ("compression.lz4.level", &[same("compression.lz4.level")]),
    ("compression.type", &[same("compression.type")]),
    ("compression.zstd.level", &[same("compression.zstd.level")]),
    ("delete.retention.ms", &[same("log.cleaner.delete.retention.ms")]),
    ("file.delete.delay.ms", &[same("log.segment.delete.delay.ms")]),
    ("flush.messages", &[same("log.flush.interval.messages")]),
    (
        "flush.ms",
        &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
    ),
    ("index.interval.bytes", &[same("log.index.interval.bytes")]),
    ("local.retention.bytes", &[same("log.local.retention.bytes")]),
    ("local.retention.ms", &[same("log.local.retention.ms")]),
    ("max.compaction.lag.ms", &[same("log.cleaner.max.compaction.lag.ms")]),
    ("max.message.bytes", &[same("message.max.bytes")]),
    (
        "message.timestamp.after.max.ms",
        &[same("log.message.timestamp.after.max.ms")],
    ),
    (
        "message.timestamp.before.max.ms",
        &[same("log.message.timestamp.before.max.ms")],
    ),
    ("message.timestamp.type", &[same("log.message.timestamp.type")]),
    ("min.cleanable.dirty.ratio", &[same("log.cleaner.min.cleanable.ratio")]),
    ("min.compaction.lag.ms", &[same("log.cleaner.min.compaction.lag.ms")]),
    ("min.insync.replicas", &[same("min.insync.replicas")]),
    ("preallocate", &[same("log.preallocate")]),
    ("retention.bytes", &[same("log.retention.bytes")]),
    (
        "retention.ms",
        &[
            milliseconds("log.retention.ms"),
            minutes("log.retention.minutes"),
            hours("log.retention.hours"),
        ],
    ),
    ("segment.bytes", &[same("log.segment.bytes")]),
    ("segment.index.bytes", &[same("log.index.size.max.bytes")]),
    (
        "segment.jitter.ms",
        &[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")],
    ),
    ("segment.ms", &[same("log.roll.ms"), hours("log.roll.hours")]),
    (
        "unclean.leader.election.enable",
        &[same("unclean.leader.election.enable")],
    ),
];

/// The broker keys behind a topic key, the strongest first; none for a key that exists for topics alone.
#[must_use]
pub fn synonyms(topic_key: &str) -> &'static [Synonym] {
    SYNONYMS
        .iter()
        .find(|(name, _)| *name == topic_key)
        .map_or(&[], |(_, synonyms)| synonyms)
}

/// A broker key and those that stand for the same in other units, the strongest first. Kafka: `DynamicBrokerConfig.brokerConfigSynonyms`.
pub fn siblings(broker_key: &'static str) -> impl Iterator<Item = &'static str> {
    let all = topic_key_of(broker_key).map_or(&[][..], synonyms);
    let alone = all.is_empty().then_some(broker_key);
    alone.into_iter().chain(all.iter().map(|synonym| synonym.name))
}

/// The topic key whose default this broker key gives.
#[must_use]
pub fn topic_key_of(broker_key: &str) -> Option<&'static str> {
    let stands_behind = |synonyms: &[Synonym]| synonyms.iter().any(|synonym| synonym.name == broker_key);
    SYNONYMS
        .iter()
        .find(|(_, synonyms)| stands_behind(synonyms))
        .map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::{broker_property, topic_properties, topic_property};

    #[test]
    fn both_ends_exist_and_agree() {
        for (topic_key, synonyms) in SYNONYMS {
            let topic = topic_property(topic_key).expect(topic_key);
            for synonym in *synonyms {
                let broker = broker_property(synonym.name).expect(synonym.name);
                if synonym.unit == Unit::Same && broker.default.is_some() {
                    assert_eq!(topic.default, broker.default, "{topic_key}");
                }
                assert_eq!(topic_key_of(synonym.name), Some(*topic_key));
            }
        }
        let alone = topic_properties()
            .filter(|property| synonyms(property.name).is_empty())
            .count();
        assert_eq!(
            alone, 7,
            "durability, replica throttles, remote storage and internal.segment.bytes have no broker key"
        );
    }

    #[test]
    fn units() {
        assert_eq!(Unit::Hours.convert(168), 604_800_000);
        assert_eq!(Unit::Minutes.convert(-5), -1);
        assert_eq!(Unit::Hours.convert(i64::MAX), i64::MAX);
        assert_eq!(Unit::Same.convert(-2), -2);
        assert_eq!(Unit::Milliseconds.convert(-2), -1);
        assert_eq!(Unit::Milliseconds.convert(7), 7);
    }
}
