//! What is particular to settings of brokers that change while they run (KIP-226). Kafka: `ConfigAdminManager`.

use std::collections::BTreeMap;

use crate::base::ids::NodeId;
use crate::base::limits::{BROKER_KEYS_MAX, BROKER_SETTING_BYTES_MAX};
use crate::config::table::broker_property;
use crate::config::{Kind, Layer, Settings, check_broker_config};
use crate::metadata::image::{ConfigResource, MetadataImage};

use super::AlterConfigError;
use super::alter_configs::{Dialect, ListOperation};

/// The key of which all brokers have the same where eligible leader replicas (KIP-966) are in use.
const INSYNC: &str = "min.insync.replicas";

/// Whose settings a name means: those of `node`, or with an empty one those that all brokers share.
pub(super) fn resource_of_broker(name: &str, node: NodeId) -> Result<ConfigResource, AlterConfigError> {
    if name.is_empty() {
        return Ok(ConfigResource::every_broker());
    }
    match name.parse() {
        Err(_) => Err(AlterConfigError::NoNodeId(name.to_owned())),
        Ok(id) if NodeId(id) == node => Ok(ConfigResource::broker(node)),
        Ok(_) => Err(AlterConfigError::OtherBroker {
            node,
            named: name.to_owned(),
        }),
    }
}

/// The default of a key of brokers that is a list; `None` of one that is none.
fn list_of_broker(key: &str) -> Result<Option<&'static str>, AlterConfigError> {
    let property = broker_property(key).ok_or_else(|| AlterConfigError::UnknownBrokerKey(key.to_owned()))?;
    let is_list = property.kind == Kind::List;
    Ok(is_list.then(|| property.default.unwrap_or_default()))
}

pub(super) const OF_BROKERS: Dialect = Dialect {
    list_default: list_of_broker,
    not_a_list: |operation, key| AlterConfigError::BrokerNotAList {
        operation: match operation {
            ListOperation::Append => "append",
            ListOperation::Subtract => "subtract",
        },
        key,
    },
    no_operation: AlterConfigError::BrokerOperation,
};

/// Whether `next` may be what is set for a broker, or for all; `changed` are the keys of it that are new, changed or gone.
pub(super) fn check_broker<'a>(
    image: &MetadataImage,
    (subject, node): (&ConfigResource, NodeId),
    next: &BTreeMap<String, String>,
    mut changed: impl Iterator<Item = &'a String>,
    settings: &Settings,
) -> Result<(), AlterConfigError> {
    let is_large = |(key, value): (&String, &String)| key.len().max(value.len()) > BROKER_SETTING_BYTES_MAX;
    if next.len() > BROKER_KEYS_MAX || next.iter().any(is_large) {
        return Err(AlterConfigError::TooLarge);
    }
    let every = ConfigResource::every_broker();
    let is_of_every = *subject == every;
    match is_of_every {
        true => {
            let own = image.config(&ConfigResource::broker(node));
            check_broker_config(settings, Layer::EveryBroker, next, own)?;
        }
        false => check_broker_config(settings, Layer::ThisBroker, next, image.config(&every))?,
    }
    let has_eligible_replicas = image
        .features
        .get("eligible.leader.replicas.version")
        .is_some_and(|level| *level >= 1);
    if !has_eligible_replicas || !changed.any(|key| key == INSYNC) {
        return Ok(());
    }
    match is_of_every {
        false => Err(AlterConfigError::InsyncOfOneBroker),
        true if !next.contains_key(INSYNC) => Err(AlterConfigError::InsyncOfEveryBroker),
        true => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use duramen_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
    use duramen_wire::messages::metadata::{FeatureLevelRecord, MetadataRecord};

    use super::*;
    use crate::metadata::controller::{Decision, Unnamed, alter_configs};

    /// (key, operation, value)
    type Change<'a> = (&'a str, i8, Option<&'a str>);

    const SET: i8 = 0;
    const DELETE: i8 = 1;
    const APPEND: i8 = 2;
    const SUBTRACT: i8 = 3;

    fn decide(
        image: &MetadataImage,
        name: &str,
        changes: &[Change<'_>],
        unnamed: Unnamed,
    ) -> Decision<Vec<Result<(), AlterConfigError>>> {
        let configs = changes.iter().map(|&(key, config_operation, value)| AlterableConfig {
            name: key.to_owned(),
            config_operation,
            value: value.map(str::to_owned),
        });
        let resource = AlterConfigsResource {
            resource_type: ConfigResource::BROKER,
            resource_name: name.to_owned(),
            configs: configs.collect(),
        };
        alter_configs(image, &[resource], unnamed, NodeId(1), &Settings::default())
    }

    /// What is said, after the change if it is made.
    fn alter(image: &mut MetadataImage, name: &str, changes: &[Change<'_>], unnamed: Unnamed) -> String {
        let decision = decide(image, name, changes, unnamed);
        for record in &decision.records {
            image.replay(record).unwrap();
        }
        match &decision.response[0] {
            Ok(()) => String::new(),
            Err(error) => {
                assert_eq!(decision.records, []);
                error.to_string()
            }
        }
    }

    fn set_of(image: &MetadataImage, name: &str) -> Vec<String> {
        let resource = ConfigResource {
            kind: ConfigResource::BROKER,
            name: name.to_owned(),
        };
        let set = image.config(&resource).iter();
        set.map(|(key, value)| format!("{key}={value}")).collect()
    }

    /// The texts were read from Apache Kafka 4.3.1.
    #[test]
    fn what_is_refused() {
        let mut image = MetadataImage::new("cluster");
        let key = "log.retention.ms";
        let two = [(key, SET, None), ("log.segment.bytes", SET, None)];
        let cases: &[(&str, &[Change<'_>], &str)] = &[
            (
                "77",
                &[(key, SET, Some("4"))],
                "Unexpected broker id, expected 1, but received 77",
            ),
            (
                "x",
                &[(key, SET, Some("4"))],
                "Node id must be an integer, but it is: x",
            ),
            (
                "1",
                &[(key, SET, Some("3")), (key, SET, Some("4"))],
                "Error due to duplicate config keys",
            ),
            (
                "1",
                &two,
                "Null value not supported for : log.retention.ms, log.segment.bytes",
            ),
            ("", &[(key, 9, Some("4"))], "Unknown operations type 9"),
            (
                "",
                &[(key, APPEND, Some("4"))],
                "Config value append is not allowed for config key: log.retention.ms",
            ),
            (
                "",
                &[("num.io.threads", SUBTRACT, Some("4"))],
                "Config value subtract is not allowed for config key: num.io.threads",
            ),
            ("1", &[("no.such", APPEND, Some("4"))], "Unknown config name: no.such"),
            (
                "1",
                &[("log.cleanup.policy", APPEND, Some("bogus"))],
                "Invalid value bogus for configuration log.cleanup.policy: String must be one of: compact, delete",
            ),
            (
                "1",
                &[("node.id", SET, Some("4"))],
                "Cannot update these configs dynamically: [node.id]",
            ),
        ];
        for (name, changes, expected) in cases {
            assert_eq!(
                alter(&mut image, name, changes, Unnamed::Stay),
                *expected,
                "{name} {changes:?}"
            );
        }
        assert_eq!(image, MetadataImage::new("cluster"));
    }

    #[test]
    fn what_is_recorded() {
        let mut image = MetadataImage::new("cluster");
        let ok = |image: &mut MetadataImage, name, changes: &[Change<'_>], unnamed| {
            assert_eq!(alter(image, name, changes, unnamed), "", "{name} {changes:?}");
        };
        ok(
            &mut image,
            "01",
            &[("log.cleanup.policy", APPEND, Some("compact"))],
            Unnamed::Stay,
        );
        assert_eq!(set_of(&image, "1"), ["log.cleanup.policy=delete,compact"]);
        let changes = [
            ("log.cleanup.policy", SUBTRACT, Some("delete")),
            ("no.such", DELETE, None),
        ];
        ok(&mut image, "1", &changes, Unnamed::Stay);
        ok(
            &mut image,
            "",
            &[("log.roll.ms", SET, Some("7000")), ("no.such", SET, Some("1"))],
            Unnamed::Stay,
        );
        assert_eq!(set_of(&image, "1"), ["log.cleanup.policy=compact"]);
        assert_eq!(set_of(&image, ""), ["log.roll.ms=7000", "no.such=1"]);
        // What is set already is not recorded again.
        assert_eq!(
            decide(&image, "", &[("no.such", SET, Some("1"))], Unnamed::Stay).records,
            []
        );
        ok(
            &mut image,
            "",
            &[("log.segment.bytes", SET, Some("2000000"))],
            Unnamed::Go,
        );
        assert_eq!(set_of(&image, ""), ["log.segment.bytes=2000000"]);
        ok(&mut image, "1", &[], Unnamed::Go);
        ok(&mut image, "", &[], Unnamed::Go);
        assert_eq!(image, MetadataImage::new("cluster"));
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut image = MetadataImage::new("cluster");
        let keys: Vec<String> = (0..=BROKER_KEYS_MAX)
            .map(|number| format!("unknown.{number}"))
            .collect();
        let changes: Vec<Change<'_>> = keys.iter().map(|key| (key.as_str(), SET, Some("1"))).collect();
        let refused = AlterConfigError::TooLarge.to_string();
        assert_eq!(alter(&mut image, "", &changes, Unnamed::Stay), refused);
        assert_eq!(alter(&mut image, "", &changes[1..], Unnamed::Stay), "");
        assert_eq!(alter(&mut image, "", &changes[..1], Unnamed::Stay), refused);
        assert_eq!(alter(&mut image, "", &changes[..1], Unnamed::Go), "");
        let long = "x".repeat(BROKER_SETTING_BYTES_MAX + 1);
        assert_eq!(
            alter(&mut image, "", &[(&long, SET, Some("1"))], Unnamed::Stay),
            refused
        );
        assert_eq!(
            alter(&mut image, "", &[("a", SET, Some(&long))], Unnamed::Stay),
            refused
        );
        assert_eq!(
            alter(&mut image, "", &[("a", SET, Some(&long[1..]))], Unnamed::Stay),
            ""
        );
    }

    /// KIP-966; the texts are Kafka's.
    #[test]
    fn replicas_in_sync_where_others_may_be_eligible() {
        let mut image = MetadataImage::new("cluster");
        let one = [(INSYNC, SET, Some("1"))];
        assert_eq!(alter(&mut image, "1", &one, Unnamed::Stay), "");
        assert_eq!(alter(&mut image, "1", &[], Unnamed::Go), "");
        let feature = FeatureLevelRecord {
            name: "eligible.leader.replicas.version".to_owned(),
            feature_level: 1,
        };
        image.replay(&MetadataRecord::from(feature)).unwrap();
        let of_one = "Broker-level min.insync.replicas cannot be altered while ELR is enabled.";
        assert_eq!(alter(&mut image, "1", &one, Unnamed::Stay), of_one);
        assert_eq!(alter(&mut image, "", &one, Unnamed::Stay), "");
        let removed = "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.";
        assert_eq!(alter(&mut image, "", &[(INSYNC, DELETE, None)], Unnamed::Stay), removed);
        assert_eq!(
            alter(&mut image, "", &[("log.roll.ms", SET, Some("1"))], Unnamed::Go),
            removed
        );
        assert_eq!(
            alter(&mut image, "", &[("log.roll.ms", SET, Some("1"))], Unnamed::Stay),
            ""
        );
    }
}
