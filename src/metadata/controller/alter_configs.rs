//! IncrementalAlterConfigs (KIP-339) and AlterConfigs of topics. Kafka: `ConfigurationControlManager`.

use std::collections::{BTreeMap, BTreeSet};

use duramen_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use duramen_wire::messages::metadata::{ConfigRecord, MetadataRecord};

use crate::config::table::topic_property;
use crate::config::{Kind, Settings, TopicConfig, TopicConfigError};
use crate::metadata::image::MetadataImage;

use super::Decision;

/// Kafka: `ConfigResource.Type.TOPIC`.
const TOPIC_RESOURCE: i8 = 2;

/// Why the settings of a resource are not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlterConfigError {
    #[error("Each resource must appear at most once.")]
    ResourceTwice,
    #[error("settings of resources of type {0} cannot be changed while the broker runs")]
    ResourceType(i8),
    #[error("The topic '{0}' does not exist.")]
    UnknownTopic(String),
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
        records.extend(alter_topic(image, resource, unnamed, settings)?);
        Ok(())
    });
    let response = response.collect();
    Decision { records, response }
}

fn alter_topic(
    image: &MetadataImage,
    resource: &AlterConfigsResource,
    unnamed: Unnamed,
    settings: &Settings,
) -> Result<Vec<MetadataRecord>, AlterConfigError> {
    let name = &resource.resource_name;
    if resource.resource_type != TOPIC_RESOURCE {
        return Err(AlterConfigError::ResourceType(resource.resource_type));
    }
    if image.topic_by_name(name).is_none() {
        return Err(AlterConfigError::UnknownTopic(name.clone()));
    }
    let current = image.topic_config(name);
    let mut next = match unnamed {
        Unnamed::Stay => current.clone(),
        Unnamed::Go => BTreeMap::new(),
    };
    let mut keys = BTreeSet::new();
    for change in &resource.configs {
        if !keys.insert(&change.name) {
            return Err(AlterConfigError::KeyTwice);
        }
        apply(&mut next, change)?;
    }
    let is_set = |(key, value): &(&String, &String)| current.get(*key) != Some(*value);
    let given = next.iter().filter(is_set).map(|(key, _)| key);
    TopicConfig::accept(settings, &next, given)?;
    let record = |key: &str, value: Option<&String>| {
        MetadataRecord::from(ConfigRecord {
            resource_type: TOPIC_RESOURCE,
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

fn apply(config: &mut BTreeMap<String, String>, change: &AlterableConfig) -> Result<(), AlterConfigError> {
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
            let property = topic_property(key).ok_or_else(|| TopicConfigError::Unknown { name: key.clone() })?;
            if property.kind != Kind::List {
                let operation = if operation == 2 { "APPEND" } else { "SUBTRACT" };
                return Err(AlterConfigError::NotAList {
                    operation,
                    key: key.clone(),
                });
            }
            let current = config
                .get(key)
                .map_or(property.default.unwrap_or_default(), String::as_str);
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
        apply(&mut config, &change)?;
        Ok(config.get(key).cloned())
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
