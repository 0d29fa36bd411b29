//! Settings of groups (KIP-848): given, told, listed, and in force.

use std::time::Duration;

use duramen_wire::messages::describe_configs_request::DescribeConfigsResource;
use duramen_wire::messages::describe_configs_response::DescribeConfigsResult;
use duramen_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use duramen_wire::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest};

use crate::client::Client;
use crate::codes::{INVALID_CONFIG, INVALID_REQUEST, NONE};
use crate::consumer_group_fixture::{HEARTBEAT, Member, going_on, joining};
use crate::fixture::{create_topic, unique};
use crate::group_fixture::{EAGER, new_group, start};
use crate::harness::{Broker, poll};

const GROUP: i8 = 32;

/// Kafka: `DescribeConfigsResponse.ConfigSource`.
const SOURCE_DEFAULT: i8 = 5;
const SOURCE_GROUP: i8 = 8;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

const INTERVAL: &str = "consumer.heartbeat.interval.ms";
const SESSION: &str = "consumer.session.timeout.ms";

fn alter(client: &mut Client, group: &str, key: &str, operation: i8, value: Option<&str>) -> (i16, Option<String>) {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: GROUP,
            resource_name: group.to_owned(),
            configs: vec![AlterableConfig {
                name: key.to_owned(),
                config_operation: operation,
                value: value.map(str::to_owned),
            }],
        }],
        validate_only: false,
    };
    let [response] = client.call(1, &request).responses.try_into().unwrap();
    (response.error_code, response.error_message)
}

fn described(client: &mut Client, group: &str) -> DescribeConfigsResult {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: GROUP,
            resource_name: group.to_owned(),
            configuration_keys: None,
        }],
        include_synonyms: true,
        include_documentation: false,
    };
    let [result] = client.call(4, &request).results.try_into().unwrap();
    result
}

/// The value of a key and where it comes from, then what stands behind it.
fn setting(client: &mut Client, group: &str, key: &str) -> Vec<(String, i8)> {
    let result = described(client, group);
    assert_eq!(result.error_code, NONE);
    let found = result.configs.into_iter().find(|config| config.name == key).unwrap();
    assert!(!found.read_only && !found.is_sensitive);
    let synonyms = found.synonyms.into_iter();
    let synonyms: Vec<_> = synonyms
        .map(|synonym| (synonym.value.unwrap(), synonym.source))
        .collect();
    assert_eq!((found.value.unwrap(), found.config_source), synonyms[0]);
    synonyms
}

fn is_listed(client: &mut Client, group: &str) -> bool {
    let request = ListConfigResourcesRequest {
        resource_types: vec![GROUP],
    };
    let resources = client.call(1, &request).config_resources;
    assert!(resources.iter().all(|resource| resource.resource_type == GROUP));
    resources.iter().any(|resource| resource.resource_name == group)
}

#[test]
fn a_group_has_settings_of_its_own() {
    let (_broker, mut client) = start(2);
    let group = unique("tuned");
    let default = [("5000".to_owned(), SOURCE_DEFAULT)];
    assert_eq!(setting(&mut client, &group, INTERVAL), default);
    assert!(!is_listed(&mut client, &group));
    assert_eq!(alter(&mut client, &group, INTERVAL, SET, Some("6000")), (NONE, None));
    assert_eq!(alter(&mut client, &group, SESSION, SET, Some("50000")), (NONE, None));
    let own = [("6000".to_owned(), SOURCE_GROUP), default[0].clone()];
    poll("the settings", Duration::from_secs(10), || {
        (setting(&mut client, &group, INTERVAL) == own && is_listed(&mut client, &group)).then_some(())
    });
    let described = described(&mut client, &group);
    assert_eq!(described.configs.len(), 17);

    let topic = create_topic(&mut client, "tuned", 1);
    crate::group_fixture::wait_for_coordinator(&mut client, &group);
    let response = client.call(HEARTBEAT, &joining(&group, "member", &[&topic.name]));
    assert_eq!((response.error_code, response.heartbeat_interval_ms), (NONE, 6000));
    let other = new_group(&mut client);
    let response = client.call(HEARTBEAT, &joining(&other, "member", &[&topic.name]));
    assert_eq!((response.error_code, response.heartbeat_interval_ms), (NONE, 5000));

    for key in [INTERVAL, SESSION] {
        assert_eq!(alter(&mut client, &group, key, DELETE, None), (NONE, None));
    }
    poll("the defaults", Duration::from_secs(10), || {
        let is_default = setting(&mut client, &group, INTERVAL) == default;
        (is_default && !is_listed(&mut client, &group)).then_some(())
    });
    poll("the default interval", Duration::from_secs(10), || {
        let response = client.call(HEARTBEAT, &going_on(&group, "member", 2));
        (response.heartbeat_interval_ms == 5000).then_some(())
    });
}

#[test]
fn what_no_group_may_have() {
    let (_broker, mut client) = start(1);
    let group = unique("refused");
    let bound =
        |key: &str, which: &str, bound: &str| format!("{key} must be {which} than or equal to group.consumer.{bound}");
    let interval = "heartbeat.interval.ms";
    for (name, key, operation, value, code, message) in [
        (
            group.as_str(),
            INTERVAL,
            SET,
            Some("4999"),
            INVALID_CONFIG,
            bound(INTERVAL, "greater", &format!("min.{interval}")),
        ),
        (
            &group,
            INTERVAL,
            SET,
            Some("15001"),
            INVALID_CONFIG,
            bound(INTERVAL, "less", &format!("max.{interval}")),
        ),
        (
            &group,
            SESSION,
            SET,
            Some("44999"),
            INVALID_CONFIG,
            bound(SESSION, "greater", "min.session.timeout.ms"),
        ),
        (
            &group,
            SESSION,
            SET,
            Some("60001"),
            INVALID_CONFIG,
            bound(SESSION, "less", "max.session.timeout.ms"),
        ),
        (
            &group,
            INTERVAL,
            SET,
            Some("0"),
            INVALID_CONFIG,
            format!("Invalid value 0 for configuration {INTERVAL}: Value must be at least 1"),
        ),
        (
            &group,
            INTERVAL,
            SET,
            Some("x"),
            INVALID_CONFIG,
            format!("Invalid value x for configuration {INTERVAL}: Not a number of type INT"),
        ),
        (
            &group,
            "nope",
            SET,
            Some("1"),
            INVALID_CONFIG,
            "Unknown group config name: nope".to_owned(),
        ),
        (
            &group,
            INTERVAL,
            APPEND,
            Some("1"),
            INVALID_CONFIG,
            format!("Can't APPEND to key {INTERVAL} because its type is not LIST."),
        ),
        (
            &group,
            INTERVAL,
            SET,
            None,
            INVALID_REQUEST,
            format!("Null value not supported for : {INTERVAL}"),
        ),
        (
            "",
            INTERVAL,
            SET,
            Some("6000"),
            INVALID_REQUEST,
            "Default group resources are not allowed.".to_owned(),
        ),
    ] {
        let answer = alter(&mut client, name, key, operation, value);
        assert_eq!(answer, (code, Some(message)), "{name} {key} {operation} {value:?}");
    }
    assert!(!is_listed(&mut client, &group));
    let nameless = described(&mut client, "");
    assert_eq!(nameless.error_code, INVALID_REQUEST);
    assert_eq!(nameless.error_message.as_deref(), Some("Group name must not be empty"));
}

#[test]
fn a_short_session_of_its_own_ends_early_and_survives_a_restart() {
    let bounds = [
        "group.consumer.min.session.timeout.ms=500",
        "group.consumer.min.heartbeat.interval.ms=100",
    ];
    let Some(mut broker) = Broker::start_own(2, &[EAGER, &bounds].concat()) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "short", 1);
    let group = new_group(&mut client);
    assert_eq!(alter(&mut client, &group, INTERVAL, SET, Some("200")), (NONE, None));
    assert_eq!(alter(&mut client, &group, SESSION, SET, Some("500")), (NONE, None));
    for when in ["at once", "after a restart"] {
        Member::join(&mut client, joining(&group, when, &[&topic.name]));
        poll("the end of a session", Duration::from_secs(20), || {
            let described = crate::consumer_group_fixture::describe(&mut client, &group);
            (described.error_code == NONE && described.members.is_empty()).then_some(())
        });
        broker.kill_and_restart(1);
        client = broker.client();
        crate::group_fixture::wait_for_coordinator(&mut client, &group);
    }
}
