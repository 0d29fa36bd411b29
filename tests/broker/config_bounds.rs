//! Every setting of a topic: what may be given, what may not, and what is said of it. AlterConfigs, which replaces them all.

use std::time::Duration;

use duramen_wire::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use duramen_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use duramen_wire::messages::describe_configs_request::DescribeConfigsResource;
use duramen_wire::messages::{AlterConfigsRequest, CreateTopicsRequest, DescribeConfigsRequest};

use crate::client::Client;
use crate::codes::{INVALID_CONFIG, INVALID_REQUEST, NONE, UNKNOWN_TOPIC_OR_PARTITION};
use crate::fixture::{Topic, create_topic, unique};
use crate::harness::{Broker, poll};

const TOPIC: i8 = 2;

/// Keys with values that may be given, then values that may not, then a part of what is said of those: the bounds.
const KEYS: &[(&str, &[&str], &[&str], &str)] = &[
    (
        "cleanup.policy",
        &["compact", "delete,compact"],
        &["none", "delete,none"],
        "compact",
    ),
    ("compression.gzip.level", &["-1", "1", "9"], &["0", "10", "x"], "9"),
    ("compression.lz4.level", &["1", "17"], &["0", "18"], "17"),
    (
        "compression.type",
        &["uncompressed", "zstd", "producer"],
        &["brotli"],
        "zstd",
    ),
    ("compression.zstd.level", &["-131072", "22"], &["23"], "22"),
    (
        "delete.retention.ms",
        &["0", "9223372036854775807"],
        &["-1", "9223372036854775808"],
        "0",
    ),
    ("file.delete.delay.ms", &["0"], &["-1"], "0"),
    ("flush.messages", &["1"], &["0"], "1"),
    ("flush.ms", &["0"], &["-1"], "0"),
    ("index.interval.bytes", &["0"], &["-1", "2147483648"], "0"),
    ("max.compaction.lag.ms", &["1"], &["0"], "1"),
    ("max.message.bytes", &["0", "2147483647"], &["-1", "2147483648"], "0"),
    ("message.timestamp.after.max.ms", &["0"], &["-1"], "0"),
    ("message.timestamp.before.max.ms", &["0"], &["-1"], "0"),
    (
        "message.timestamp.type",
        &["CreateTime", "LogAppendTime"],
        &["createtime"],
        "LogAppendTime",
    ),
    ("min.cleanable.dirty.ratio", &["0", "1", "0.25"], &["1.1", "-0.1"], "1"),
    ("min.compaction.lag.ms", &["0"], &["-1"], "0"),
    ("min.insync.replicas", &["1"], &["0"], "1"),
    ("retention.bytes", &["-1", "0"], &["x", "9223372036854775808"], ""),
    ("retention.ms", &["-1", "0"], &["-2"], "-1"),
    (
        "segment.bytes",
        &["1048576", "2147483647"],
        &["1", "1048575"],
        "1048576",
    ),
    ("segment.index.bytes", &["4"], &["3"], "4"),
    ("segment.jitter.ms", &["0"], &["-1"], "0"),
    ("segment.ms", &["1"], &["0"], "1"),
    ("unclean.leader.election.enable", &["true", "false"], &["yes"], "true"),
];

/// Asks for a topic with one setting, without making it; the code and what is said.
fn try_create(client: &mut Client, key: &str, value: &str) -> (i16, String) {
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: unique("bounds"),
            num_partitions: 1,
            replication_factor: 1,
            configs: vec![CreatableTopicConfig {
                name: key.to_owned(),
                value: Some(value.to_owned()),
            }],
            ..CreatableTopic::default()
        }],
        timeout_ms: 10_000,
        validate_only: true,
    };
    let [result] = client.call(7, &request).topics.try_into().unwrap();
    (result.error_code, result.error_message.unwrap_or_default())
}

#[test]
fn each_setting_has_its_bounds() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    for (key, good, bad, bounds) in KEYS {
        for value in *good {
            assert_eq!(
                try_create(&mut client, key, value),
                (NONE, String::new()),
                "{key}={value}"
            );
        }
        for value in *bad {
            let (code, message) = try_create(&mut client, key, value);
            let culprit = value.rsplit(',').next().unwrap();
            assert_eq!(code, INVALID_CONFIG, "{key}={value}: {message}");
            assert!(
                message.contains(key) && message.contains(culprit),
                "{key}={value}: {message}"
            );
            if broker.is_ours() {
                assert!(message.contains(bounds), "{key}={value}: {message}");
            }
        }
    }
    assert_eq!(try_create(&mut client, "no.such.key", "1").0, INVALID_CONFIG);
    let names: Vec<_> = described(&mut client)
        .into_iter()
        .filter(|name| !is_beside(name))
        .collect();
    let listed: Vec<_> = KEYS.iter().map(|(key, ..)| (*key).to_owned()).collect();
    assert_eq!(names, listed, "every key has its bounds here");
}

/// Keys without bounds, or with tests of their own.
fn is_beside(name: &str) -> bool {
    name.starts_with("local.")
        || name.starts_with("remote.")
        || name.contains("throttled.replicas")
        || ["preallocate", "durability"].contains(&name)
}

/// Names of all settings of a topic.
fn described(client: &mut Client) -> Vec<String> {
    let topic = create_topic(client, "described", 1);
    let mut names: Vec<_> = settings_of(client, &topic, None)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    names.sort();
    names
}

/// Names of settings and their values.
fn settings_of(client: &mut Client, topic: &Topic, keys: Option<&[&str]>) -> Vec<(String, String)> {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: TOPIC,
            resource_name: topic.name.clone(),
            configuration_keys: keys.map(|keys| keys.iter().map(|&key| key.to_owned()).collect()),
        }],
        ..DescribeConfigsRequest::default()
    };
    let [result] = client.call(4, &request).results.try_into().unwrap();
    assert_eq!(result.error_code, NONE);
    let settings = result.configs.into_iter();
    settings
        .map(|config| (config.name, config.value.unwrap_or_default()))
        .collect()
}

#[test]
fn there_is_no_tiered_storage() {
    let Some(broker) = Broker::start_own(1, &[]) else {
        return;
    };
    let mut client = broker.client();
    for (key, value) in [
        ("local.retention.ms", "1000"),
        ("local.retention.bytes", "1000"),
        ("remote.storage.enable", "true"),
    ] {
        let (code, message) = try_create(&mut client, key, value);
        assert_eq!(code, INVALID_CONFIG);
        assert!(
            message.contains(key) && message.contains("no tiered storage"),
            "{message}"
        );
    }
    assert_eq!(
        try_create(&mut client, "local.retention.ms", "-2").0,
        NONE,
        "its default"
    );
    for (value, expected) in [("disk", NONE), ("memory", NONE), ("tape", INVALID_CONFIG)] {
        assert_eq!(try_create(&mut client, "durability", value).0, expected, "{value}");
    }
}

/// A key and its value.
type Setting<'a> = (&'a str, Option<&'a str>);

/// Replaces all settings of a topic.
fn replace(client: &mut Client, version: i16, topic: &str, configs: &[Setting<'_>], validate_only: bool) -> i16 {
    let request = AlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: topic.to_owned(),
            configs: configs
                .iter()
                .map(|&(name, value)| AlterableConfig {
                    name: name.to_owned(),
                    value: value.map(str::to_owned),
                })
                .collect(),
        }],
        validate_only,
    };
    let [answer] = client.call(version, &request).responses.try_into().unwrap();
    assert_eq!((answer.resource_type, answer.resource_name.as_str()), (TOPIC, topic));
    answer.error_code
}

#[test]
fn every_version_replaces_all_settings() {
    const WATCHED: &[&str] = &["flush.ms", "retention.ms"];
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "replaced", 2);
    let wait_for = |expected: [&str; 2]| {
        let mut client = broker.client();
        poll("the settings", Duration::from_secs(5), || {
            let mut settings = settings_of(&mut client, &topic, Some(WATCHED));
            settings.sort();
            let values: Vec<_> = settings.iter().map(|(_, value)| value.as_str()).collect();
            (values == expected).then_some(())
        });
    };
    for version in 0..=2 {
        let (flush, retention) = (Some("1000"), Some("2000"));
        let both = [("flush.ms", flush), ("retention.ms", retention)];
        assert_eq!(
            replace(&mut client, version, &topic.name, &both, false),
            NONE,
            "v{version}"
        );
        wait_for(["1000", "2000"]);
        assert_eq!(replace(&mut client, version, &topic.name, &both[1..], true), NONE);
        wait_for(["1000", "2000"]);
        assert_eq!(replace(&mut client, version, &topic.name, &both[1..], false), NONE);
        wait_for(["9223372036854775807", "2000"]);
        let bad: [(&[Setting<'_>], i16); 4] = [
            (&[("flush.ms", Some("-1"))], INVALID_CONFIG),
            (&[("no.such.key", Some("1"))], INVALID_CONFIG),
            (&[("flush.ms", None)], INVALID_REQUEST),
            (&[("flush.ms", flush), ("flush.ms", retention)], INVALID_REQUEST),
        ];
        for (configs, expected) in bad {
            let code = replace(&mut client, version, &topic.name, configs, false);
            assert_eq!(code, expected, "v{version}: {configs:?}");
        }
        let unknown = unique("unknown");
        assert_eq!(
            replace(&mut client, version, &unknown, &both, false),
            UNKNOWN_TOPIC_OR_PARTITION
        );
        assert_eq!(replace(&mut client, version, &topic.name, &[], false), NONE);
        wait_for(["9223372036854775807", "604800000"]);
    }
}
