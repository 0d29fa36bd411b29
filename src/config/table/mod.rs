//! The table of properties: every broker and topic key of Kafka 4.3.1, and Duramen's own. Parsing, `DescribeConfigs`, the checks of
//! `CreateTopics` and the generated documentation all read it; nothing else knows a key's default or bounds.
//!
//! The columns of a row: name, kind, default, rule, update, effect, `internal` if it is not shown, and what it means.

use super::property::Property;

mod group;
mod listener;
mod log;
mod node;
mod one_group;
mod operation;
mod own;
mod removed;
mod replication;
mod sasl;
mod security;
mod share;
mod synonym;
mod tiered;
mod topic;
mod transaction;

pub use removed::reason_of_removal;
pub use synonym::{Synonym, Unit, siblings, synonyms, topic_key_of};

/// Writes the rows of one scope as a static slice, `BROKER`, `TOPIC` or `GROUP`.
macro_rules! properties {
    (Broker; $($rows:tt)*) => {
        super::rows! { BROKER; $($rows)* }
    };
    (Topic; $($rows:tt)*) => {
        super::rows! { TOPIC; $($rows)* }
    };
    (Group; $($rows:tt)*) => {
        super::rows! { GROUP; $($rows)* }
    };
}

macro_rules! rows {
    ($table:ident; $($name:literal, $kind:ident, $default:tt, $rule:expr, $update:ident, $effect:ident $(, $internal:ident)? $(: $doc:literal)?;)*) => {
        pub(super) static $table: &[crate::config::property::Property] = {
            use crate::config::property::{Effect, Kind, Rule::*, Update};
            &[$(crate::config::property::Property {
                name: $name,
                kind: Kind::$kind,
                default: super::default_value!($default),
                rule: $rule,
                update: Update::$update,
                effect: Effect::$effect,
                is_internal: super::internal_value!($($internal)?),
                doc: concat!($($doc)?),
            },)*]
        };
    };
}

macro_rules! default_value {
    (null) => {
        None
    };
    ($text:literal) => {
        Some($text)
    };
}

macro_rules! internal_value {
    () => {
        false
    };
    (internal) => {
        true
    };
}

use {default_value, internal_value, properties, rows};

static BROKER: &[&[Property]] = &[
    own::BROKER,
    node::BROKER,
    listener::BROKER,
    log::BROKER,
    replication::BROKER,
    group::BROKER,
    share::BROKER,
    transaction::BROKER,
    tiered::BROKER,
    security::BROKER,
    sasl::BROKER,
    operation::BROKER,
];

/// Keys of a topic that Kafka does not have.
#[cfg(test)]
const OWN_TOPIC_KEYS: [&str; 1] = ["durability"];

/// Keys that Kafka has for storage in other places, which does not exist here.
const TIERED_TOPIC_KEYS: [&str; 5] = [
    "local.retention.bytes",
    "local.retention.ms",
    "remote.log.copy.disable",
    "remote.log.delete.on.disable",
    "remote.storage.enable",
];

/// Whether a topic key speaks of tiered storage.
#[must_use]
pub fn is_tiered(topic_key: &str) -> bool {
    TIERED_TOPIC_KEYS.contains(&topic_key)
}

/// All keys of a broker, by subject.
pub fn broker_properties() -> impl Iterator<Item = &'static Property> {
    BROKER.iter().copied().flatten()
}

/// All keys of a topic.
pub fn topic_properties() -> impl Iterator<Item = &'static Property> {
    topic::TOPIC.iter()
}

/// All keys of a group.
pub fn group_properties() -> impl Iterator<Item = &'static Property> {
    one_group::GROUP.iter()
}

/// The group's key of this name.
#[must_use]
pub fn group_property(name: &str) -> Option<&'static Property> {
    group_properties().find(|property| property.name == name)
}

/// The name of the broker's key that stands behind a group's, if there is one of it.
#[must_use]
pub fn broker_key_of_group(name: &str) -> String {
    format!("group.{name}")
}

/// The broker's key of this name.
#[must_use]
pub fn broker_property(name: &str) -> Option<&'static Property> {
    broker_properties().find(|property| property.name == name)
}

/// The topic's key of this name.
#[must_use]
pub fn topic_property(name: &str) -> Option<&'static Property> {
    topic_properties().find(|property| property.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn kafka_4_3_1_is_complete() {
        // Counted from `KafkaConfig.configDef` (360 keys) and `LogConfig.configDefCopy` (34); three keys more exist only as dynamic ones.
        let own = own::BROKER.len();
        assert_eq!(broker_properties().count() - own, 360 + 3);
        assert_eq!(topic_properties().count() - OWN_TOPIC_KEYS.len(), 34);
        // `GroupConfig.configDef`, without what is internal.
        assert_eq!(group_properties().count(), 17);
        assert!(OWN_TOPIC_KEYS.iter().all(|name| topic_property(name).is_some()));
    }

    #[test]
    fn names_are_unique_and_defaults_obey_their_rules() {
        let scopes = [
            broker_properties().collect::<Vec<_>>(),
            topic_properties().collect(),
            group_properties().collect(),
        ];
        for scope in scopes {
            let mut names = BTreeSet::new();
            for property in scope {
                assert!(names.insert(property.name), "{} stands twice", property.name);
                if let Some(text) = property.default
                    && !text.is_empty()
                {
                    assert!(property.parse(text).is_ok(), "{}: default {text}", property.name);
                }
            }
        }
    }

    #[test]
    fn a_key_of_a_group_has_the_default_of_the_broker() {
        for property in group_properties() {
            assert_eq!(
                property.update,
                crate::config::property::Update::Group,
                "{}",
                property.name
            );
            if let Some(behind) = broker_property(&broker_key_of_group(property.name)) {
                let both = (property.kind, property.default);
                assert_eq!(both, (behind.kind, behind.default), "{}", property.name);
            }
        }
    }

    /// Counted in the answer of Apache Kafka 4.3.1 to DescribeConfigs: its keys that are not read-only, and the three that are dynamic alone.
    const DYNAMIC_IN_KAFKA: usize = 99 + 3;

    /// Keys that Kafka changes while it runs, and this broker does not.
    const READ_AT_THE_START: [&str; 10] = [
        "config.providers",
        "cordoned.log.dirs",
        "listener.security.protocol.map",
        "listeners",
        "max.connection.creation.rate",
        "max.connections",
        "max.connections.per.ip",
        "max.connections.per.ip.overrides",
        "metric.reporters",
        "principal.builder.class",
    ];

    #[test]
    fn what_kafka_changes_while_it_runs() {
        use crate::config::property::Update;
        let is_dynamic = |property: &&Property| matches!(property.update, Update::Broker | Update::Cluster);
        let shown = broker_properties().filter(|property| !property.is_internal);
        let dynamic = shown.filter(is_dynamic).count();
        assert_eq!(dynamic + READ_AT_THE_START.len(), DYNAMIC_IN_KAFKA);
        for name in READ_AT_THE_START {
            assert_eq!(
                broker_property(name).map(|property| property.update),
                Some(Update::Start),
                "{name}"
            );
        }
    }

    #[test]
    fn topic_keys_change_at_once() {
        for property in topic_properties() {
            assert_eq!(
                property.update,
                crate::config::property::Update::Topic,
                "{}",
                property.name
            );
        }
    }
}
