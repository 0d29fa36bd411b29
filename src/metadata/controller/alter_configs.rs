//! IncrementalAlterConfigs (KIP-339) and AlterConfigs of topics and groups. Kafka: `ConfigurationControlManager`.

use std::collections::{BTreeMap, BTreeSet};

use duramen_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use duramen_wire::messages::metadata::{ConfigRecord, MetadataRecord};

use crate::config::table::topic_property;
use crate::config::{GroupKeyError, Kind, Settings, TopicConfig, TopicConfigError, check_group_config};
use crate::metadata::image::{ConfigResource, MetadataImage};

use super::Decision;

/// Why the settings of a resource are not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlterConfigError {
    #[error("Each resource must appear at most once.")]
    ResourceTwice,
    #[error("settings of resources of type {0} cannot be changed while the broker runs")]
    ResourceType(i8),
    #[error("The topic '{0}' does not exist.")]
    UnknownTopic(String),
    #[error("Default group resources are not allowed.")]
    EveryGroup,
    #[error("Error due to duplicate config keys")]
    KeyTwice,
    #[error("Unknown operation type {0}.")]
    Operation(i8),
    #[error("Null value not supported for : {0}")]
    NullValue(String),
    #[error("Can't {operation} to key {key} because its type is not LIST.")]
    NotAList { operation: &'static str, key: String },
    #[error(transparent)]
    Config(#[from] TopicConfigError),
    #[error(transparent)]
    Group(#[from] GroupKeyError),
}

/// What an alteration makes of the settings that it does not name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unnamed {
    /// They stay (IncrementalAlterConfigs).
    Stay,
    /// They go back to their defaults (AlterConfigs).
    Go,
}

/// Decides on each resource by itself: its changes are made all or none.
pub fn alter_configs(
    image: &MetadataImage,
    resources: &[AlterConfigsResource],
    unnamed: Unnamed,
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
        records.extend(alter(image, resource, unnamed, settings)?);
        Ok(())
    });
    let response = response.collect();
    Decision { records, response }
}

fn alter(
    image: &MetadataImage,
    resource: &AlterConfigsResource,
    unnamed: Unnamed,
    settings: &Settings,
) -> Result<Vec<MetadataRecord>, AlterConfigError> {
    let name = &resource.resource_name;
    let list_default: ListDefault = match resource.resource_type {
        ConfigResource::TOPIC if image.topic_by_name(name).is_none() => {
            return Err(AlterConfigError::UnknownTopic(name.clone()));
        }
        ConfigResource::TOPIC => list_of_topic,
        ConfigResource::GROUP if name.is_empty() => return Err(AlterConfigError::EveryGroup),
        // A group may have settings before it has members.
        ConfigResource::GROUP => list_of_group,
        other => return Err(AlterConfigError::ResourceType(other)),
    };
    let current = image.config(&ConfigResource {
        kind: resource.resource_type,
        name: name.clone(),
    });
    let mut next = match unnamed {
        Unnamed::Stay => current.clone(),
        Unnamed::Go => BTreeMap::new(),
    };
    let mut keys = BTreeSet::new();
    for change in &resource.configs {
        if !keys.insert(&change.name) {
            return Err(AlterConfigError::KeyTwice);
        }
        apply(&mut next, change, list_default)?;
    }
    let is_set = |(key, value): &(&String, &String)| current.get(*key) != Some(*value);
    if resource.resource_type == ConfigResource::TOPIC {
        let given = next.iter().filter(is_set).map(|(key, _)| key);
        TopicConfig::accept(settings, &next, given)?;
    } else {
        check_group_config(settings, &next)?;
    }
    let record = |key: &str, value: Option<&String>| {
        MetadataRecord::from(ConfigRecord {
            resource_type: resource.resource_type,
            resource_name: name.clone(),
            name: key.to_owned(),
            value: value.cloned(),
        })
    };
    let set = next.iter().filter(is_set);
    let set = set.map(|(key, value)| record(key, Some(value)));
    let removed = current
        .keys()
        .filter(|key| !next.contains_key(*key))
        .map(|key| record(key, None));
    Ok(set.chain(removed).collect())
}

/// The default of a key of topics that is a list; `None` of one that is none.
fn list_of_topic(key: &str) -> Result<Option<&'static str>, AlterConfigError> {
    let property = topic_property(key).ok_or_else(|| TopicConfigError::Unknown { name: key.to_owned() })?;
    let is_list = property.kind == Kind::List;
    Ok(is_list.then(|| property.default.unwrap_or_default()))
}

/// Groups have no lists.
fn list_of_group(_: &str) -> Result<Option<&'static str>, AlterConfigError> {
    Ok(None)
}

/// The default of a key that is a list.
type ListDefault = fn(&str) -> Result<Option<&'static str>, AlterConfigError>;

fn apply(
    config: &mut BTreeMap<String, String>,
    change: &AlterableConfig,
    list_default: ListDefault,
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
        1 => {
            config.remove(key);
        }
        operation @ (2 | 3) => {
            let Some(default) = list_default(key)? else {
                let operation = if operation == 2 { "APPEND" } else { "SUBTRACT" };
                return Err(AlterConfigError::NotAList {
                    operation,
                    key: key.clone(),
                });
            };
            let current = config.get(key).map_or(default, String::as_str);
            let mut parts: Vec<String> = split(current);
            for part in split(&given()?) {
                parts.retain(|other| *other != part);
                if operation == 2 {
                    parts.push(part);
                }
            }
            config.insert(key.clone(), parts.join(","));
        }
        operation => return Err(AlterConfigError::Operation(operation)),
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
        apply(&mut config, &change, list_of_topic)?;
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
            let decision = alter_configs(&image, &resources, Unnamed::Stay, &Settings::default());
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
        let decision = alter_configs(&image, &resources, Unnamed::Stay, &Settings::default());
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
