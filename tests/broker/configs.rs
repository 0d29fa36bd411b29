//! DescribeConfigs and IncrementalAlterConfigs.

use std::time::Duration;

use duramen_wire::messages::describe_configs_request::DescribeConfigsResource;
use duramen_wire::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use duramen_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use duramen_wire::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest, MetadataRequest};

use crate::client::Client;
use crate::codes::{
    INVALID_CONFIG, INVALID_REQUEST, INVALID_TOPIC_EXCEPTION, MESSAGE_TOO_LARGE, NONE, UNKNOWN_TOPIC_OR_PARTITION,
};
use crate::fixture::{METADATA, Topic, create_topic, create_topic_with, sized_batch, try_produce, unique};
use crate::harness::{Broker, poll};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Kafka: `DescribeConfigsResponse.ConfigSource`.
const SOURCE_TOPIC: i8 = 1;
const SOURCE_DEFAULT: i8 = 5;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn describe(client: &mut Client, version: i16, resource: (i8, &str), keys: Option<&[&str]>) -> DescribeConfigsResult {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: resource.0,
            resource_name: resource.1.to_owned(),
            configuration_keys: keys.map(|keys| keys.iter().map(|&key| key.to_owned()).collect()),
        }],
        include_synonyms: true,
        include_documentation: version >= 3,
    };
    let [result] = client.call(version, &request).results.try_into().unwrap();
    assert_eq!((result.resource_type, result.resource_name.as_str()), resource);
    result
}

/// One setting of a topic.
fn setting(client: &mut Client, topic: &Topic, key: &str) -> DescribeConfigsResourceResult {
    let result = describe(client, 4, (TOPIC, &topic.name), Some(&[key]));
    assert_eq!(result.error_code, NONE, "{key}: {:?}", result.error_message);
    let [config] = result.configs.try_into().unwrap();
    config
}

#[test]
fn every_version_describes_a_topic() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic_with(&mut client, "described", 1, &[("max.message.bytes", "123456")]);
    for version in 1..=4 {
        let result = describe(&mut client, version, (TOPIC, &topic.name), None);
        assert_eq!(result.error_code, NONE, "v{version}");
        let of = |name| result.configs.iter().find(|config| config.name == name).unwrap();
        let (set, default) = (of("max.message.bytes"), of("segment.bytes"));
        assert_eq!(
            (set.value.as_deref(), set.config_source),
            (Some("123456"), SOURCE_TOPIC),
            "v{version}"
        );
        assert_eq!(default.value.as_deref(), Some("1073741824"), "v{version}");
        assert_eq!(default.config_source, SOURCE_DEFAULT, "v{version}");
        for config in [set, default] {
            assert!(!config.read_only && !config.is_sensitive, "v{version}");
            if version >= 3 {
                assert_ne!(config.config_type, 0, "v{version}");
                assert!(
                    config.documentation.as_ref().is_some_and(|text| !text.is_empty()),
                    "v{version}"
                );
            }
        }
        // Behind the topic's own value stands what would hold without it.
        let synonyms: Vec<_> = set.synonyms.iter().map(|synonym| synonym.source).collect();
        assert_eq!(
            synonyms,
            [SOURCE_TOPIC, SOURCE_DEFAULT],
            "v{version}: {:?}",
            set.synonyms
        );
        let asked = ["cleanup.policy", "no.such.key", "compression.type"];
        let some = describe(&mut client, version, (TOPIC, &topic.name), Some(&asked));
        let mut names: Vec<_> = some.configs.iter().map(|config| config.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["cleanup.policy", "compression.type"], "v{version}");
    }
}

#[test]
fn what_cannot_be_described() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let unknown = unique("unknown");
    for (resource, expected) in [
        ((TOPIC, unknown.as_str()), UNKNOWN_TOPIC_OR_PARTITION),
        ((TOPIC, "two words"), INVALID_TOPIC_EXCEPTION),
        ((BROKER, "12345"), INVALID_REQUEST),
        ((BROKER, "first"), INVALID_REQUEST),
        ((99, "x"), INVALID_REQUEST),
    ] {
        let result = describe(&mut client, 4, resource, None);
        assert_eq!(result.error_code, expected, "{resource:?}: {:?}", result.error_message);
        assert!(result.configs.is_empty(), "{resource:?}");
    }
}

#[test]
fn the_broker_is_described() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let node = client
        .call(METADATA, &MetadataRequest::default())
        .controller_id
        .to_string();
    let result = describe(&mut client, 4, (BROKER, &node), None);
    assert_eq!(result.error_code, NONE);
    let of = |name| result.configs.iter().find(|config| config.name == name);
    for name in [
        "log.retention.ms",
        "num.partitions",
        "message.max.bytes",
        "listeners",
        "log.dirs",
        "node.id",
    ] {
        assert!(of(name).is_some(), "{name}");
    }
    assert!(of("node.id").unwrap().read_only);
    assert_eq!(of("node.id").unwrap().value.as_ref(), Some(&node));
    assert_eq!(of("message.max.bytes").unwrap().value.as_deref(), Some("1048588"));
}

/// Error code of changes to one topic, each (key, operation, value).
fn alter(client: &mut Client, topic: &str, changes: &[(&str, i8, Option<&str>)]) -> i16 {
    alter_in_mode(client, topic, changes, false)
}

fn alter_in_mode(client: &mut Client, topic: &str, changes: &[(&str, i8, Option<&str>)], validate_only: bool) -> i16 {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: topic.to_owned(),
            configs: changes
                .iter()
                .map(|&(name, config_operation, value)| AlterableConfig {
                    name: name.to_owned(),
                    config_operation,
                    value: value.map(str::to_owned),
                })
                .collect(),
        }],
        validate_only,
    };
    let responses: Vec<_> = [0, 1].map(|version| client.call(version, &request).responses).into();
    let codes: Vec<_> = responses.iter().map(|responses| responses[0].error_code).collect();
    // What is changed twice is changed once; what is refused is refused twice.
    assert_eq!(codes[0], codes[1]);
    assert_eq!(responses[0][0].resource_name, topic);
    codes[0]
}

/// Apache Kafka's brokers learn of a change a little later.
fn wait_for(client: &mut Client, topic: &Topic, key: &str, value: &str) {
    poll("a changed setting", Duration::from_secs(5), || {
        (setting(client, topic, key).value.as_deref() == Some(value)).then_some(())
    });
}

#[test]
fn set_delete_append_subtract() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "altered", 1);
    let name = topic.name.as_str();
    assert_eq!(
        alter(&mut client, name, &[("retention.ms", SET, Some("1000000"))]),
        NONE
    );
    wait_for(&mut client, &topic, "retention.ms", "1000000");
    assert_eq!(setting(&mut client, &topic, "retention.ms").config_source, SOURCE_TOPIC);
    assert_eq!(alter(&mut client, name, &[("retention.ms", DELETE, None)]), NONE);
    wait_for(&mut client, &topic, "retention.ms", "604800000");
    assert_eq!(
        setting(&mut client, &topic, "retention.ms").config_source,
        SOURCE_DEFAULT
    );
    assert_eq!(
        alter(&mut client, name, &[("cleanup.policy", APPEND, Some("compact"))]),
        NONE
    );
    wait_for(&mut client, &topic, "cleanup.policy", "delete,compact");
    assert_eq!(
        alter(&mut client, name, &[("cleanup.policy", SUBTRACT, Some("delete"))]),
        NONE
    );
    wait_for(&mut client, &topic, "cleanup.policy", "compact");
    let two = [
        ("segment.bytes", SET, Some("2000000")),
        ("retention.bytes", SET, Some("5000000")),
    ];
    assert_eq!(alter(&mut client, name, &two), NONE);
    wait_for(&mut client, &topic, "segment.bytes", "2000000");
    wait_for(&mut client, &topic, "retention.bytes", "5000000");
}

/// Of a resource, all changes are made or none.
#[test]
fn what_cannot_be_altered() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "unaltered", 1);
    let good = ("retention.ms", SET, Some("777"));
    for (bad, expected) in [
        (("no.such.key", SET, Some("1")), INVALID_CONFIG),
        (("segment.bytes", SET, Some("many")), INVALID_CONFIG),
        (("segment.bytes", SET, Some("-1")), INVALID_CONFIG),
        (("segment.bytes", SET, None), INVALID_REQUEST),
        (("segment.bytes", APPEND, Some("1")), INVALID_CONFIG),
        (("retention.ms", SET, Some("778")), INVALID_REQUEST),
    ] {
        assert_eq!(alter(&mut client, &topic.name, &[good, bad]), expected, "{bad:?}");
    }
    assert_eq!(
        alter(&mut client, &unique("unknown"), &[good]),
        UNKNOWN_TOPIC_OR_PARTITION
    );
    assert_eq!(alter_in_mode(&mut client, &topic.name, &[good], true), NONE);
    assert_eq!(
        setting(&mut client, &topic, "retention.ms").config_source,
        SOURCE_DEFAULT
    );
}

/// A change holds for the next batch, and after a restart.
#[test]
fn changes_take_effect_and_stay() {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "effective", 3);
    let change = [("max.message.bytes", SET, Some("1000"))];
    assert_eq!(alter(&mut client, &topic.name, &change), NONE);
    for restart in [
        None,
        Some(Broker::kill_and_restart as fn(&mut Broker, u16)),
        Some(Broker::restart),
    ] {
        if let Some(restart) = restart {
            restart(&mut broker, 2);
        }
        let mut client = broker.client();
        assert_eq!(
            setting(&mut client, &topic, "max.message.bytes").value.as_deref(),
            Some("1000")
        );
        for partition in 0..3 {
            assert_eq!(
                try_produce(&mut client, &topic, partition, &sized_batch(1, 500)).error_code,
                NONE
            );
            let large = try_produce(&mut client, &topic, partition, &sized_batch(1, 2000));
            assert_eq!(large.error_code, MESSAGE_TOO_LARGE);
        }
    }
    let mut client = broker.client();
    assert_eq!(
        alter(&mut client, &topic.name, &[("max.message.bytes", DELETE, None)]),
        NONE
    );
    assert_eq!(
        try_produce(&mut client, &topic, 0, &sized_batch(1, 2000)).error_code,
        NONE
    );
}
