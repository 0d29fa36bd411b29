//! Settings of brokers that change while they run (KIP-226): given, told, refused, kept, and in force at once.

use std::time::Duration;

use duramen_wire::messages::alter_configs_request::{self, AlterConfigsRequest};
use duramen_wire::messages::describe_configs_request::DescribeConfigsResource;
use duramen_wire::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use duramen_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use duramen_wire::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest, MetadataRequest};

use crate::client::Client;
use crate::codes::{INVALID_CONFIG, INVALID_REQUEST, MESSAGE_TOO_LARGE, NONE};
use crate::fixture::{METADATA, Topic, create_topic, create_topic_with, sized_batch, try_produce};
use crate::harness::{Broker, poll};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Kafka: `DescribeConfigsResponse.ConfigSource`.
const SOURCE_BROKER: i8 = 2;
const SOURCE_EVERY_BROKER: i8 = 3;
const SOURCE_DEFAULT: i8 = 5;

const SET: i8 = 0;
const DELETE: i8 = 1;

const MESSAGE_BYTES: &str = "message.max.bytes";

/// The name of the broker.
fn node(client: &mut Client) -> String {
    let metadata = client.call(METADATA, &MetadataRequest::default());
    metadata.controller_id.to_string()
}

fn resource(name: &str, changes: &[(&str, i8, Option<&str>)]) -> AlterConfigsResource {
    let change = |&(key, config_operation, value): &(&str, i8, Option<&str>)| AlterableConfig {
        name: key.to_owned(),
        config_operation,
        value: value.map(str::to_owned),
    };
    AlterConfigsResource {
        resource_type: BROKER,
        resource_name: name.to_owned(),
        configs: changes.iter().map(change).collect(),
    }
}

fn ask(client: &mut Client, resources: Vec<AlterConfigsResource>, validate_only: bool) -> Vec<(i16, Option<String>)> {
    let request = IncrementalAlterConfigsRequest {
        resources,
        validate_only,
    };
    let responses = client.call(1, &request).responses;
    let responses = responses.into_iter();
    responses
        .map(|response| (response.error_code, response.error_message))
        .collect()
}

fn alter(client: &mut Client, name: &str, changes: &[(&str, i8, Option<&str>)]) -> (i16, Option<String>) {
    let [answer] = ask(client, vec![resource(name, changes)], false).try_into().unwrap();
    answer
}

fn describe(client: &mut Client, kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configuration_keys: keys.map(|keys| keys.iter().map(|&key| key.to_owned()).collect()),
        }],
        include_synonyms: true,
        include_documentation: false,
    };
    let [result] = client.call(4, &request).results.try_into().unwrap();
    result
}

fn setting(client: &mut Client, kind: i8, name: &str, key: &str) -> DescribeConfigsResourceResult {
    let result = describe(client, kind, name, Some(&[key]));
    assert_eq!(result.error_code, NONE, "{key}: {:?}", result.error_message);
    let [config] = result.configs.try_into().unwrap();
    config
}

/// The value of a key and where it comes from, once it is this: Apache Kafka's brokers learn of a change a little later.
fn wait_for(client: &mut Client, (kind, name, key): (i8, &str, &str), value: &str, source: i8) {
    poll("a changed setting", Duration::from_secs(10), || {
        let told = setting(client, kind, name, key);
        (told.value.as_deref() == Some(value) && told.config_source == source).then_some(())
    });
}

fn size_refused(client: &mut Client, topic: &Topic, bytes: usize) -> bool {
    match try_produce(client, topic, 0, &sized_batch(1, bytes)).error_code {
        NONE => false,
        MESSAGE_TOO_LARGE => true,
        other => panic!("error {other}"),
    }
}

/// What a topic does not set itself is the broker's, that of all brokers or of the start, whichever is the strongest; also after a restart.
#[test]
fn a_change_is_in_force_in_every_topic_that_does_not_set_the_key() {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut client = broker.client();
    let node = node(&mut client);
    let with_own = create_topic_with(&mut client, "own", 1, &[("max.message.bytes", "5000")]);
    let before = create_topic(&mut client, "before", 1);
    assert_eq!(
        alter(&mut client, "", &[(MESSAGE_BYTES, SET, Some("1000"))]),
        (NONE, None)
    );
    wait_for(
        &mut client,
        (TOPIC, &before.name, "max.message.bytes"),
        "1000",
        SOURCE_EVERY_BROKER,
    );
    assert!(size_refused(&mut client, &before, 2000));
    assert!(!size_refused(&mut client, &with_own, 2000));
    assert_eq!(
        alter(&mut client, &node, &[(MESSAGE_BYTES, SET, Some("3000"))]),
        (NONE, None)
    );
    wait_for(
        &mut client,
        (TOPIC, &before.name, "max.message.bytes"),
        "3000",
        SOURCE_BROKER,
    );
    let after = create_topic(&mut client, "after", 1);
    for restart in [
        None,
        Some(Broker::kill_and_restart as fn(&mut Broker, u16)),
        Some(Broker::restart),
    ] {
        if let Some(restart) = restart {
            restart(&mut broker, 2);
        }
        client = broker.client();
        for topic in [&before, &after] {
            assert!(!size_refused(&mut client, topic, 2000));
            assert!(size_refused(&mut client, topic, 4000));
        }
        assert!(!size_refused(&mut client, &with_own, 4000));
        let told = setting(&mut client, BROKER, &node, MESSAGE_BYTES);
        let synonyms: Vec<_> = told.synonyms.iter().map(|synonym| synonym.source).collect();
        assert_eq!(synonyms, [SOURCE_BROKER, SOURCE_EVERY_BROKER, SOURCE_DEFAULT]);
        assert!(!told.read_only);
    }
    assert_eq!(
        alter(&mut client, &node, &[(MESSAGE_BYTES, DELETE, None)]),
        (NONE, None)
    );
    wait_for(
        &mut client,
        (TOPIC, &before.name, "max.message.bytes"),
        "1000",
        SOURCE_EVERY_BROKER,
    );
    assert!(size_refused(&mut client, &before, 2000));
    assert_eq!(alter(&mut client, "", &[(MESSAGE_BYTES, DELETE, None)]), (NONE, None));
    wait_for(&mut client, (BROKER, &node, MESSAGE_BYTES), "1048588", SOURCE_DEFAULT);
    assert!(!size_refused(&mut client, &before, 2000));
}

/// What holds for all brokers is described apart, and AlterConfigs takes away what it does not name.
#[test]
fn all_at_once_by_the_older_api() {
    let Some(broker) = Broker::start_own(1, &["log.segment.bytes=3000000"]) else {
        return;
    };
    let mut client = broker.client();
    let node = node(&mut client);
    let set = [
        ("log.retention.ms", SET, Some("1000000")),
        ("log.segment.bytes", SET, Some("2000000")),
    ];
    assert_eq!(alter(&mut client, "", &set), (NONE, None));
    wait_for(
        &mut client,
        (BROKER, &node, "log.segment.bytes"),
        "2000000",
        SOURCE_EVERY_BROKER,
    );
    let names = |client: &mut Client| {
        let configs = describe(client, BROKER, "", None).configs.into_iter();
        let set = configs.filter(|config| config.name.starts_with("log."));
        set.map(|config| config.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut client), ["log.retention.ms", "log.segment.bytes"]);
    for version in 0..=2 {
        let request = AlterConfigsRequest {
            resources: vec![alter_configs_request::AlterConfigsResource {
                resource_type: BROKER,
                resource_name: node.clone(),
                configs: vec![alter_configs_request::AlterableConfig {
                    name: "log.roll.ms".to_owned(),
                    value: Some(format!("700{version}")),
                }],
            }],
            validate_only: false,
        };
        let [response] = client.call(version, &request).responses.try_into().unwrap();
        assert_eq!((response.error_code, response.error_message), (NONE, None));
        wait_for(
            &mut client,
            (BROKER, &node, "log.roll.ms"),
            &format!("700{version}"),
            SOURCE_BROKER,
        );
    }
    assert_eq!(names(&mut client), ["log.retention.ms", "log.segment.bytes"]);
}

/// The texts are those of Apache Kafka 4.3.1.
#[test]
fn what_no_broker_may_have() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let node = node(&mut client);
    let key = "log.retention.ms";
    for (name, change, code, message) in [
        (
            node.as_str(),
            ("num.partitions", SET, Some("3")),
            INVALID_REQUEST,
            "Cannot update these configs dynamically: [num.partitions]".to_owned(),
        ),
        (
            "",
            (key, SET, Some("abc")),
            INVALID_REQUEST,
            format!("Invalid value abc for configuration {key}: Not a number of type LONG"),
        ),
        (
            "",
            ("sasl.kerberos.min.time.before.relogin", SET, Some("58000")),
            INVALID_REQUEST,
            "Cannot update these configs at default cluster level, broker id must be specified: [sasl.kerberos.min.time.before.relogin]"
                .to_owned(),
        ),
        (
            "12345",
            (key, SET, Some("5")),
            INVALID_REQUEST,
            format!("Unexpected broker id, expected {node}, but received 12345"),
        ),
        (
            "",
            ("no.such.key", 2, Some("5")),
            INVALID_CONFIG,
            "Unknown config name: no.such.key".to_owned(),
        ),
    ] {
        let good = ("log.segment.bytes", SET, Some("2000000"));
        let answer = alter(&mut client, name, &[good, change]);
        assert_eq!(answer, (code, Some(message)), "{name:?} {change:?}");
    }
    // One that is refused does not hinder another, and what is only asked changes nothing.
    let asked = vec![
        resource(&node, &[("log.dirs", SET, Some("/"))]),
        resource("", &[("log.segment.bytes", SET, Some("2000000"))]),
    ];
    let codes: Vec<i16> = ask(&mut client, asked, true)
        .into_iter()
        .map(|(code, _)| code)
        .collect();
    assert_eq!(codes, [INVALID_REQUEST, NONE]);
    let told = setting(&mut client, BROKER, &node, "log.segment.bytes");
    assert_eq!(told.config_source, SOURCE_DEFAULT);
    let read_only = ["num.partitions", "log.dirs", "node.id"];
    assert!(
        read_only
            .iter()
            .all(|key| setting(&mut client, BROKER, &node, key).read_only)
    );
}
