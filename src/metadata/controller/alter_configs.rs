//! IncrementalAlterConfigs (KIP-339) and AlterConfigs of topics, groups and brokers. Kafka: `ConfigurationControlManager`.

use std::collections::{BTreeMap, BTreeSet};

use duramen_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use duramen_wire::messages::metadata::{ConfigRecord, MetadataRecord};

use crate::base::ids::NodeId;
use crate::base::limits::{BROKER_KEYS_MAX, BROKER_SETTING_BYTES_MAX};
use crate::config::table::topic_property;
use crate::config::{BrokerKeyError, GroupKeyError, Kind, Settings, TopicConfig, TopicConfigError, check_group_config};
use crate::metadata::image::{ConfigResource, MetadataImage};

use super::Decision;
use super::broker_configs::{OF_BROKERS, check_broker, resource_of_broker};

/// Why the settings of a resource are not changed; the texts are Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlterConfigError {
    #[error("Each resource must appear at most once.")]
    ResourceTwice,
    #[error("Unknown resource type {0}")]
    ResourceType(i8),
    #[error("The topic '{0}' does not exist.")]
    UnknownTopic(String),
    #[error("Default group resources are not allowed.")]
    EveryGroup,
    #[error("Node id must be an integer, but it is: {0}")]
    NoNodeId(String),
    #[error("Unexpected broker id, expected {}, but received {named}", .node.0)]
    OtherBroker { node: NodeId, named: String },
    #[error("Error due to duplicate config keys")]
    KeyTwice,
    #[error("Unknown operation type {0}.")]
    Operation(i8),
    #[error("Unknown operations type {0}")]
    BrokerOperation(i8),
    #[error("Null value not supported for : {0}")]
    NullValue(String),
    #[error("Can't {operation} to key {key} because its type is not LIST.")]
    NotAList { operation: &'static str, key: String },
    #[error("Config value {operation} is not allowed for config key: {key}")]
    BrokerNotAList { operation: &'static str, key: String },
    #[error("Unknown config name: {0}")]
    UnknownBrokerKey(String),
    #[error("Broker-level min.insync.replicas cannot be altered while ELR is enabled.")]
    InsyncOfOneBroker,
    #[error("Cluster-level min.insync.replicas cannot be removed while ELR is enabled.")]
    InsyncOfEveryBroker,
    #[error("More than {BROKER_KEYS_MAX} keys, or one of more than {BROKER_SETTING_BYTES_MAX} bytes.")]
    TooLarge,
    #[error(transparent)]
    Config(#[from] TopicConfigError),
    #[error(transparent)]
    Group(#[from] GroupKeyError),
    #[error(transparent)]
    Broker(#[from] BrokerKeyError),
}

/// What an alteration makes of the settings that it does not name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unnamed {
    /// They stay (IncrementalAlterConfigs).
    Stay,
    /// They go back to their defaults (AlterConfigs).
    Go,
}

/// Decides on each resource by itself: its changes are made all or none. `settings` are those of the broker `node` as they are now.
pub fn alter_configs(
    image: &MetadataImage,
    resources: &[AlterConfigsResource],
    unnamed: Unnamed,
    node: NodeId,
    settings: &Settings,
) -> Decision<Vec<Result<(), AlterConfigError>>> {
    let mut count = BTreeMap::new();
    for resource in resources {
        *count
            .entry((resource.resource_type, &resource.resource_name))
            .or_insert(0_u32) += 1;
    }
    let mut records = Vec::new();
    let response = resources.iter().map(|resource| {
        if count.get(&(resource.resource_type, &resource.resource_name)) != Some(&1) {
            return Err(AlterConfigError::ResourceTwice);
        }
        check_form(resource)?;
        let subject = subject(image, resource, node)?;
        records.extend(alter(image, resource, (&subject, node), unnamed, settings)?);
        Ok(())
    });
    let response = response.collect();
    Decision { records, response }
}

/// What the changes of a resource must be, whatever it is.
fn check_form(resource: &AlterConfigsResource) -> Result<(), AlterConfigError> {
    let mut keys = BTreeSet::new();
    if !resource.configs.iter().all(|change| keys.insert(&change.name)) {
        return Err(AlterConfigError::KeyTwice);
    }
    let lacks_value = |change: &&AlterableConfig| change.config_operation != DELETE && change.value.is_none();
    let without: Vec<&str> = resource
        .configs
        .iter()
        .filter(lacks_value)
        .map(|change| change.name.as_str())
        .collect();
    if without.is_empty() {
        Ok(())
    } else {
        Err(AlterConfigError::NullValue(without.join(", ")))
    }
}

/// What a change is about, if it may be changed at all.
fn subject(
    image: &MetadataImage,
    resource: &AlterConfigsResource,
    node: NodeId,
) -> Result<ConfigResource, AlterConfigError> {
    let name = &resource.resource_name;
    match resource.resource_type {
        ConfigResource::TOPIC if image.topic_by_name(name).is_none() => {
            Err(AlterConfigError::UnknownTopic(name.clone()))
        }
        ConfigResource::TOPIC => Ok(ConfigResource::topic(name)),
        ConfigResource::GROUP if name.is_empty() => Err(AlterConfigError::EveryGroup),
        // A group may have settings before it has members.
        ConfigResource::GROUP => Ok(ConfigResource::group(name)),
        ConfigResource::BROKER => resource_of_broker(name, node),
        other => Err(AlterConfigError::ResourceType(other)),
    }
}

fn alter(
    image: &MetadataImage,
    resource: &AlterConfigsResource,
    (subject, node): (&ConfigResource, NodeId),
    unnamed: Unnamed,
    settings: &Settings,
) -> Result<Vec<MetadataRecord>, AlterConfigError> {
    let dialect = match subject.kind {
        ConfigResource::TOPIC => &OF_TOPICS,
        ConfigResource::BROKER => &OF_BROKERS,
        _ => &OF_GROUPS,
    };
    let current = image.config(subject);
    let mut next = match unnamed {
        Unnamed::Stay => current.clone(),
        Unnamed::Go => BTreeMap::new(),
    };
    for change in &resource.configs {
        apply(&mut next, change, dialect)?;
    }
    let is_set = |(key, value): &(&String, &String)| current.get(*key) != Some(*value);
    let set = next.iter().filter(is_set);
    let removed = current.keys().filter(|key| !next.contains_key(*key));
    match subject.kind {
        ConfigResource::TOPIC => {
            TopicConfig::accept(settings, &next, set.clone().map(|(key, _)| key))?;
        }
        ConfigResource::BROKER => {
            let changed = set.clone().map(|(key, _)| key).chain(removed.clone());
            check_broker(image, (subject, node), &next, changed, settings)?;
        }
        _ => check_group_config(settings, &next)?,
    }
    let record = |key: &str, value: Option<&String>| {
        MetadataRecord::from(ConfigRecord {
            resource_type: subject.kind,
            resource_name: subject.name.clone(),
            name: key.to_owned(),
            value: value.cloned(),
        })
    };
    let set = set.map(|(key, value)| record(key, Some(value)));
    Ok(set.chain(removed.map(|key| record(key, None))).collect())
}

/// The default of a key of topics that is a list; `None` of one that is none.
fn list_of_topic(key: &str) -> Result<Option<&'static str>, AlterConfigError> {
    let property = topic_property(key).ok_or_else(|| TopicConfigError::Unknown { name: key.to_owned() })?;
    let is_list = property.kind == Kind::List;
    Ok(is_list.then(|| property.default.unwrap_or_default()))
}

/// What is known and said of the keys of one kind of resources.
pub(super) struct Dialect {
    /// The default of a key that is a list; `None` of one that is none.
    pub(super) list_default: fn(&str) -> Result<Option<&'static str>, AlterConfigError>,
    pub(super) not_a_list: fn(ListOperation, String) -> AlterConfigError,
    pub(super) no_operation: fn(i8) -> AlterConfigError,
}

/// What is done to a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ListOperation {
    Append,
    Subtract,
}

const OF_TOPICS: Dialect = Dialect {
    list_default: list_of_topic,
    not_a_list,
    no_operation: AlterConfigError::Operation,
};

const OF_GROUPS: Dialect = Dialect {
    // Groups have no lists.
    list_default: |_| Ok(None),
    not_a_list,
    no_operation: AlterConfigError::Operation,
};

fn not_a_list(operation: ListOperation, key: String) -> AlterConfigError {
    let operation = match operation {
        ListOperation::Append => "APPEND",
        ListOperation::Subtract => "SUBTRACT",
    };
    AlterConfigError::NotAList { operation, key }
}

/// Kafka: `AlterConfigOp.OpType`.
const DELETE: i8 = 1;

fn apply(
    config: &mut BTreeMap<String, String>,
    change: &AlterableConfig,
    dialect: &Dialect,
) -> Result<(), AlterConfigError> {
    let key = &change.name;
    let given = || {
        change
            .value
            .clone()
            .ok_or_else(|| AlterConfigError::NullValue(key.clone()))
    };
    match change.config_operation {
        0 => {
            config.insert(key.clone(), given()?);
        }
        DELETE => {
            config.remove(key);
        }
        operation @ (2 | 3) => {
            let operation = match operation {
                2 => ListOperation::Append,
                _ => ListOperation::Subtract,
            };
            let Some(default) = (dialect.list_default)(key)? else {
                return Err((dialect.not_a_list)(operation, key.clone()));
            };
            let current = config.get(key).map_or(default, String::as_str);
            let mut parts: Vec<String> = split(current);
            for part in split(&given()?) {
                parts.retain(|other| *other != part);
                if operation == ListOperation::Append {
                    parts.push(part);
                }
            }
            config.insert(key.clone(), parts.join(","));
        }
        operation => return Err((dialect.no_operation)(operation)),
    }
    Ok(())
}

fn split(list: &str) -> Vec<String> {
    list.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(key: &str, operation: i8, value: Option<&str>) -> Result<Option<String>, AlterConfigError> {
        let mut config = BTreeMap::from([("cleanup.policy".to_owned(), "delete".to_owned())]);
        let change = AlterableConfig {
            name: key.to_owned(),
            config_operation: operation,
            value: value.map(str::to_owned),
        };
        apply(&mut config, &change, &OF_TOPICS)?;
        Ok(config.get(key).cloned())
    }

    #[test]
    fn settings_of_groups() {
        let resource = |name: &str, key: &str, operation: i8, value: Option<&str>| AlterConfigsResource {
            resource_type: ConfigResource::GROUP,
            resource_name: name.to_owned(),
            configs: vec![AlterableConfig {
                name: key.to_owned(),
                config_operation: operation,
                value: value.map(str::to_owned),
            }],
        };
        let mut image = MetadataImage::new("cluster");
        let heartbeat = "consumer.heartbeat.interval.ms";
        let below =
            "consumer.heartbeat.interval.ms must be greater than or equal to group.consumer.min.heartbeat.interval.ms";
        let not_a_list = "Can't APPEND to key consumer.heartbeat.interval.ms because its type is not LIST.";
        for (name, key, operation, value, expected) in [
            (
                "",
                heartbeat,
                0,
                Some("6000"),
                "Default group resources are not allowed.",
            ),
            ("g", heartbeat, 0, Some("1"), below),
            ("g", heartbeat, 2, Some("6000"), not_a_list),
            (
                "g",
                "retention.ms",
                0,
                Some("6000"),
                "Unknown group config name: retention.ms",
            ),
            (
                "g",
                heartbeat,
                0,
                None,
                "Null value not supported for : consumer.heartbeat.interval.ms",
            ),
            ("g", heartbeat, 1, None, ""),
            ("g", heartbeat, 0, Some("6000"), ""),
        ] {
            let resources = [resource(name, key, operation, value)];
            let decision = alter_configs(&image, &resources, Unnamed::Stay, NodeId(1), &Settings::default());
            let said = decision.response[0]
                .as_ref()
                .map_or_else(ToString::to_string, |()| String::new());
            assert_eq!(said, expected, "{name} {key} {operation}");
            for record in decision.records {
                image.replay(&record).unwrap();
            }
        }
        assert_eq!(image.configured(ConfigResource::GROUP).collect::<Vec<_>>(), ["g"]);
        let resources = [resource("g", heartbeat, 1, None)];
        let decision = alter_configs(&image, &resources, Unnamed::Stay, NodeId(1), &Settings::default());
        image.replay(&decision.records[0]).unwrap();
        assert_eq!(image.configured(ConfigResource::GROUP).count(), 0);
    }

    #[test]
    fn operations() {
        let text = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(changed("cleanup.policy", 0, Some("compact")), text("compact"));
        assert_eq!(changed("cleanup.policy", 1, None), Ok(None));
        assert_eq!(changed("cleanup.policy", 2, Some("compact")), text("delete,compact"));
        assert_eq!(changed("cleanup.policy", 2, Some("delete")), text("delete"));
        assert_eq!(changed("cleanup.policy", 3, Some("delete")), text(""));
        assert_eq!(
            changed("cleanup.policy", 0, None),
            Err(AlterConfigError::NullValue("cleanup.policy".into()))
        );
        assert_eq!(changed("cleanup.policy", 4, None), Err(AlterConfigError::Operation(4)));
        let not_a_list = AlterConfigError::NotAList {
            operation: "APPEND",
            key: "retention.ms".into(),
        };
        assert_eq!(changed("retention.ms", 2, Some("1")), Err(not_a_list));
    }
}
