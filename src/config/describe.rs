//! The settings as clients see them: values, where each comes from, and what would hold without it. Kafka: `ConfigHelper`.

use std::collections::BTreeMap;

use super::property::{Property, Update};
use super::source::Settings;
use super::table::{
    Unit, broker_key_of_group, broker_properties, broker_property, group_properties, synonyms, topic_properties,
};
use super::topic::effective_text;

/// Where a value comes from (Kafka: `ConfigSource`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    Topic,
    Group,
    /// File, environment or command line.
    Broker,
    Default,
}

/// A value that stands behind another, or is it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescribedSynonym {
    pub name: &'static str,
    /// `None` for a secret.
    pub value: Option<String>,
    pub source: Source,
}

/// One setting.
#[derive(Clone, Debug)]
pub struct Described {
    pub property: &'static Property,
    /// `None` for a secret, and for what is not set.
    pub value: Option<String>,
    pub source: Source,
    pub is_read_only: bool,
    /// The strongest first.
    pub synonyms: Vec<DescribedSynonym>,
}

pub(super) fn broker(settings: &Settings) -> Vec<Described> {
    let describe = |property: &'static Property| {
        let synonyms = broker_values(property, settings);
        Described {
            property,
            value: synonyms.first().and_then(|synonym| synonym.value.clone()),
            source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
            is_read_only: property.update == Update::Start,
            synonyms,
        }
    };
    broker_properties()
        .filter(|property| !property.is_internal)
        .map(describe)
        .collect()
}

pub(super) fn topic(settings: &Settings, overrides: &BTreeMap<String, String>) -> Vec<Described> {
    let describe = |property: &'static Property| {
        let own = overrides.get(property.name).map(|text| DescribedSynonym {
            name: property.name,
            value: Some(text.clone()),
            source: Source::Topic,
        });
        // Only the strongest broker key counts, and only if it has the same unit: so does Kafka.
        let broker_key = synonyms(property.name)
            .first()
            .filter(|synonym| synonym.unit == Unit::Same);
        let behind = broker_key.and_then(|synonym| broker_property(synonym.name));
        let behind = behind.map(|key| broker_values(key, settings)).unwrap_or_default();
        let synonyms: Vec<_> = own.into_iter().chain(behind).collect();
        Described {
            property,
            value: effective_text(property, settings, overrides),
            source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
            is_read_only: false,
            synonyms,
        }
    };
    topic_properties()
        .filter(|property| !property.is_internal)
        .map(describe)
        .collect()
}

pub(super) fn group(settings: &Settings, overrides: &BTreeMap<String, String>) -> Vec<Described> {
    let describe = |property: &'static Property| {
        let own = overrides.get(property.name).map(|text| DescribedSynonym {
            name: property.name,
            value: Some(text.clone()),
            source: Source::Group,
        });
        let behind = broker_property(&broker_key_of_group(property.name)).unwrap_or(property);
        let synonyms: Vec<_> = own.into_iter().chain(broker_values(behind, settings)).collect();
        Described {
            property,
            value: synonyms.first().and_then(|synonym| synonym.value.clone()),
            source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
            is_read_only: false,
            synonyms,
        }
    };
    group_properties().map(describe).collect()
}

/// The value of a broker key and, behind it, its default.
fn broker_values(property: &'static Property, settings: &Settings) -> Vec<DescribedSynonym> {
    let set = settings
        .get(property.name)
        .map(|setting| (setting.text.trim(), Source::Broker));
    let default = property.default.map(|text| (text, Source::Default));
    let describe = |(text, source): (&str, Source)| DescribedSynonym {
        name: property.name,
        value: (!property.is_sensitive()).then(|| text.to_owned()),
        source,
    };
    set.into_iter().chain(default).map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Inputs};

    fn shown(all: &[Described], name: &str) -> String {
        let described = all
            .iter()
            .find(|described| described.property.name == name)
            .expect(name);
        let synonym =
            |s: &DescribedSynonym| format!("{}={}/{:?}", s.name, s.value.as_deref().unwrap_or("null"), s.source);
        let synonyms: Vec<_> = described.synonyms.iter().map(synonym).collect();
        let read_only = if described.is_read_only { " read-only" } else { "" };
        let value = described.value.as_deref().unwrap_or("null");
        format!("{value} {:?}{read_only} [{}]", described.source, synonyms.join(", "))
    }

    /// The expected lines were read from Apache Kafka 4.3.1 by its own admin client.
    #[test]
    fn as_kafka_describes_them() {
        let sets = [
            "log.roll.hours=24",
            "ssl.key.password=secret",
            "log.segment.bytes=2000000",
        ]
        .map(str::to_owned);
        let config = Config::load(&Inputs {
            sets: &sets,
            ..Inputs::default()
        })
        .expect("valid");
        let broker = config.describe_broker();
        assert_eq!(
            shown(&broker, "log.roll.hours"),
            "24 Broker read-only [log.roll.hours=24/Broker, log.roll.hours=168/Default]"
        );
        assert_eq!(shown(&broker, "log.roll.ms"), "null Default []");
        assert_eq!(
            shown(&broker, "num.partitions"),
            "1 Default read-only [num.partitions=1/Default]"
        );
        assert_eq!(
            shown(&broker, "ssl.key.password"),
            "null Broker [ssl.key.password=null/Broker]"
        );
        let overrides = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        let topic = config.describe_topic(&overrides);
        assert_eq!(
            shown(&topic, "cleanup.policy"),
            "compact Topic [cleanup.policy=compact/Topic, log.cleanup.policy=delete/Default]"
        );
        assert_eq!(shown(&topic, "flush.ms"), "9223372036854775807 Default []");
        assert_eq!(shown(&topic, "segment.ms"), "86400000 Default []");
        assert_eq!(
            shown(&topic, "segment.bytes"),
            "2000000 Broker [log.segment.bytes=2000000/Broker, log.segment.bytes=1073741824/Default]"
        );
        assert_eq!(shown(&topic, "remote.storage.enable"), "false Default []");
    }

    /// As above.
    #[test]
    fn as_kafka_describes_a_group() {
        let sets = ["group.consumer.session.timeout.ms=46000".to_owned()];
        let config = Config::load(&Inputs {
            sets: &sets,
            ..Inputs::default()
        })
        .expect("valid");
        let own = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let group = config.describe_group(&BTreeMap::from([
            own("consumer.heartbeat.interval.ms", "6000"),
            own("consumer.session.timeout.ms", "50000"),
        ]));
        assert_eq!(
            shown(&group, "consumer.heartbeat.interval.ms"),
            "6000 Group [consumer.heartbeat.interval.ms=6000/Group, group.consumer.heartbeat.interval.ms=5000/Default]"
        );
        assert_eq!(
            shown(&group, "consumer.session.timeout.ms"),
            "50000 Group [consumer.session.timeout.ms=50000/Group, group.consumer.session.timeout.ms=46000/Broker, \
             group.consumer.session.timeout.ms=45000/Default]"
        );
        assert_eq!(
            shown(&group, "share.isolation.level"),
            "read_uncommitted Default [share.isolation.level=read_uncommitted/Default]"
        );
        assert_eq!(group.len(), 17);
    }

    #[test]
    fn internal_keys_are_not_shown() {
        let config = Config::load(&Inputs::default()).expect("valid");
        // Kafka shows 340 of its keys, and none of the three that are dynamic alone.
        assert_eq!(config.describe_broker().len(), 340 + 3 + 5);
        assert_eq!(config.describe_topic(&BTreeMap::new()).len(), 33 + 1);
    }
}
