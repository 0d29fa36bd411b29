//! The settings as clients see them: values, where each comes from, and what would hold without it. Kafka: `ConfigHelper`.

use std::collections::BTreeMap;

use super::property::{Kind, Property, Update};
use super::source::{Layer, Settings};
use super::table::{
    broker_key_of_group, broker_properties, broker_property, group_properties, siblings, synonyms, topic_properties,
};
use super::topic::effective_text;

/// Where a value comes from (Kafka: `ConfigSource`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    Topic,
    Group,
    /// Set for this broker while it ran.
    ThisBroker,
    /// Set for all brokers while they ran.
    EveryBroker,
    /// File, environment or command line.
    Start,
    Default,
}

/// A value that stands behind another, or is it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescribedSynonym {
    pub name: String,
    /// `None` for a secret.
    pub value: Option<String>,
    pub source: Source,
}

/// One setting.
#[derive(Clone, Debug)]
pub struct Described {
    pub name: String,
    /// `None` of a broker's key that is not in the table.
    pub property: Option<&'static Property>,
    /// `None` for a secret, and for what is not set.
    pub value: Option<String>,
    pub source: Source,
    pub is_read_only: bool,
    /// The strongest first.
    pub synonyms: Vec<DescribedSynonym>,
}

impl Described {
    /// Whether its value must never be shown. Of a key that nobody knows, that is not known.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.property.is_none_or(Property::is_sensitive)
    }

    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.property.map(|property| property.kind)
    }

    /// What it means, in words.
    #[must_use]
    pub fn doc(&self) -> &'static str {
        self.property.map_or("", |property| property.doc)
    }
}

/// All settings of the broker.
pub(super) fn broker(settings: &Settings) -> Vec<Described> {
    let known = broker_properties().filter(|property| !property.is_internal);
    let known = known.map(|property| {
        let synonyms = broker_values(property, settings);
        Described {
            name: property.name.to_owned(),
            property: Some(property),
            value: own_value(property, settings),
            source: source_of(&synonyms),
            is_read_only: property.update == Update::Start,
            synonyms,
        }
    });
    let unknown = settings.changes().unknown().map(|name| {
        let layers = Layer::ALL
            .into_iter()
            .filter(|layer| settings.get_in(*layer, name).is_some());
        let synonyms: Vec<_> = layers.map(|layer| hidden(name, layer)).collect();
        of_unknown(name, synonyms)
    });
    known.chain(unknown).collect()
}

/// What is set for all brokers while they run.
pub(super) fn every_broker(settings: &Settings) -> Vec<Described> {
    let describe = |name: &str, text: &str| match broker_property(name) {
        None => of_unknown(name, vec![hidden(name, Layer::EveryBroker)]),
        Some(property) => Described {
            name: name.to_owned(),
            property: Some(property),
            value: shown(property, text),
            source: Source::EveryBroker,
            is_read_only: property.update == Update::Start,
            synonyms: broker_values(property, settings)
                .into_iter()
                .filter(|synonym| synonym.source == Source::EveryBroker)
                .collect(),
        },
    };
    let set = settings.changes().of_every_broker();
    set.map(|(name, setting)| describe(name, &setting.text)).collect()
}

fn of_unknown(name: &str, synonyms: Vec<DescribedSynonym>) -> Described {
    Described {
        name: name.to_owned(),
        property: None,
        value: None,
        source: source_of(&synonyms),
        is_read_only: true,
        synonyms,
    }
}

fn hidden(name: &str, layer: Layer) -> DescribedSynonym {
    DescribedSynonym {
        name: name.to_owned(),
        value: None,
        source: source_in(layer),
    }
}

pub(super) fn topic(settings: &Settings, overrides: &BTreeMap<String, String>) -> Vec<Described> {
    let describe = |property: &'static Property| {
        let own = overrides.get(property.name).map(|text| DescribedSynonym {
            name: property.name.to_owned(),
            value: Some(text.clone()),
            source: Source::Topic,
        });
        // What is behind the strongest broker key counts, as in Kafka.
        let behind = synonyms(property.name).first();
        let behind = behind.and_then(|synonym| broker_property(synonym.name));
        let behind = behind.map(|key| broker_values(key, settings)).unwrap_or_default();
        described(property, own, behind, effective_text(property, settings, overrides))
    };
    topic_properties()
        .filter(|property| !property.is_internal)
        .map(describe)
        .collect()
}

pub(super) fn group(settings: &Settings, overrides: &BTreeMap<String, String>) -> Vec<Described> {
    let describe = |property: &'static Property| {
        let own = overrides.get(property.name).map(|text| DescribedSynonym {
            name: property.name.to_owned(),
            value: Some(text.clone()),
            source: Source::Group,
        });
        let behind = broker_property(&broker_key_of_group(property.name)).unwrap_or(property);
        let behind = broker_values(behind, settings);
        let value = own.iter().chain(&behind).next().and_then(|first| first.value.clone());
        described(property, own, behind, value)
    };
    group_properties().map(describe).collect()
}

fn described(
    property: &'static Property,
    own: Option<DescribedSynonym>,
    behind: Vec<DescribedSynonym>,
    value: Option<String>,
) -> Described {
    let synonyms: Vec<_> = own.into_iter().chain(behind).collect();
    Described {
        name: property.name.to_owned(),
        property: Some(property),
        value,
        source: source_of(&synonyms),
        is_read_only: false,
        synonyms,
    }
}

fn source_of(synonyms: &[DescribedSynonym]) -> Source {
    synonyms.first().map_or(Source::Default, |synonym| synonym.source)
}

fn source_in(layer: Layer) -> Source {
    match layer {
        Layer::ThisBroker => Source::ThisBroker,
        Layer::EveryBroker => Source::EveryBroker,
        Layer::Start => Source::Start,
    }
}

fn shown(property: &Property, text: &str) -> Option<String> {
    (!property.is_sensitive()).then(|| text.to_owned())
}

/// What a broker key has, whatever stands for the same in other units.
fn own_value(property: &Property, settings: &Settings) -> Option<String> {
    let set = settings.get(property.name).map(|setting| setting.text.trim());
    shown(property, set.or(property.default)?)
}

/// The values of a broker key and of its siblings, by layer, and behind them the defaults. They begin with one of the key itself: without
/// one, there are none. Kafka: `ConfigHelper.configSynonyms`.
fn broker_values(property: &'static Property, settings: &Settings) -> Vec<DescribedSynonym> {
    // A group's key that no broker's stands behind has itself alone.
    let key = |name| {
        if name == property.name {
            Some(property)
        } else {
            broker_property(name)
        }
    };
    let keys: Vec<_> = siblings(property.name).filter_map(key).collect();
    let synonym = |key: &Property, text: &str, source| DescribedSynonym {
        name: key.name.to_owned(),
        value: shown(key, text),
        source,
    };
    let set = Layer::ALL.into_iter().flat_map(|layer| {
        let in_layer = keys
            .iter()
            .filter_map(move |key| Some((key, settings.get_in(layer, key.name)?)));
        in_layer.map(move |(key, setting)| synonym(key, &setting.text, source_in(layer)))
    });
    let defaults = keys
        .iter()
        .filter_map(|key| Some(synonym(key, key.default?, Source::Default)));
    set.chain(defaults)
        .skip_while(|synonym| synonym.name != property.name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Changes, Config, Inputs};

    fn shown(all: &[Described], name: &str) -> String {
        let described = all.iter().find(|described| described.name == name).expect(name);
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
            "24 Start read-only [log.roll.hours=24/Start, log.roll.hours=168/Default]"
        );
        assert_eq!(shown(&broker, "log.roll.ms"), "null Default []");
        assert_eq!(
            shown(&broker, "num.partitions"),
            "1 Default read-only [num.partitions=1/Default]"
        );
        assert_eq!(
            shown(&broker, "ssl.key.password"),
            "null Start [ssl.key.password=null/Start]"
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
            "2000000 Start [log.segment.bytes=2000000/Start, log.segment.bytes=1073741824/Default]"
        );
        assert_eq!(shown(&topic, "remote.storage.enable"), "false Default []");
    }

    /// As above.
    #[test]
    fn as_kafka_describes_what_changed_while_it_ran() {
        let sets = ["log.roll.hours=24", "log.segment.bytes=3000000"].map(str::to_owned);
        let config = Config::load(&Inputs {
            sets: &sets,
            ..Inputs::default()
        })
        .expect("valid");
        let map = |given: &[(&str, &str)]| {
            let own = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
            given.iter().map(own).collect::<BTreeMap<_, _>>()
        };
        let every = map(&[
            ("log.retention.ms", "1000000"),
            ("log.segment.bytes", "2000000"),
            ("custom.key", "hello"),
        ]);
        let own = map(&[
            ("log.retention.ms", "900000"),
            ("log.flush.interval.ms", "1234"),
            ("log.roll.ms", " 7000 "),
        ]);
        let config = config.with_changes(Changes::new(&every, &own)).expect("valid");
        let (broker, topic) = (config.describe_broker(), config.describe_topic(&BTreeMap::new()));
        let retention =
            "log.retention.ms=900000/ThisBroker, log.retention.ms=1000000/EveryBroker, log.retention.hours=168/Default";
        let flush =
            "log.flush.interval.ms=1234/ThisBroker, log.flush.scheduler.interval.ms=9223372036854775807/Default";
        let segment = "log.segment.bytes=2000000/EveryBroker, log.segment.bytes=3000000/Start, log.segment.bytes=1073741824/Default";
        let roll = "log.roll.ms= 7000 /ThisBroker, log.roll.hours=24/Start, log.roll.hours=168/Default";
        for (own_key, topic_key, value, source, synonyms) in [
            ("log.retention.ms", "retention.ms", "900000", "ThisBroker", retention),
            ("log.flush.interval.ms", "flush.ms", "1234", "ThisBroker", flush),
            ("log.segment.bytes", "segment.bytes", "2000000", "EveryBroker", segment),
            ("log.roll.ms", "segment.ms", "7000", "ThisBroker", roll),
        ] {
            let expected = format!("{value} {source} [{synonyms}]");
            assert_eq!(shown(&broker, own_key), expected);
            assert_eq!(shown(&topic, topic_key), expected);
        }
        assert_eq!(
            shown(&broker, "log.retention.hours"),
            "168 Default read-only [log.retention.hours=168/Default]"
        );
        let unknown = "null EveryBroker read-only [custom.key=null/EveryBroker]";
        assert_eq!(shown(&broker, "custom.key"), unknown);
        let every = config.describe_every_broker();
        assert_eq!(every.len(), 3);
        assert_eq!(shown(&every, "custom.key"), unknown);
        assert_eq!(
            shown(&every, "log.retention.ms"),
            "1000000 EveryBroker [log.retention.ms=1000000/EveryBroker]"
        );
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
            "50000 Group [consumer.session.timeout.ms=50000/Group, group.consumer.session.timeout.ms=46000/Start, \
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
