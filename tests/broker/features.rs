//! UpdateFeatures: the protocol of groups is switched off and on, and what cannot be changed is refused.

use std::time::Duration;

use duramen_wire::ApiKey;
use duramen_wire::messages::update_features_request::FeatureUpdateKey;
use duramen_wire::messages::{ApiVersionsRequest, UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::client::Client;
use crate::codes::{INVALID_UPDATE_VERSION, NONE, UNSUPPORTED_VERSION};
use crate::consumer_group_fixture::{HEARTBEAT, Member, going_on, joining};
use crate::fixture::create_topic;
use crate::group_fixture::{EAGER, new_group};
use crate::harness::{Broker, poll};

const UP: i8 = 1;
const SAFE: i8 = 2;

fn update(client: &mut Client, version: i16, updates: &[(&str, i16, i8)]) -> UpdateFeaturesResponse {
    client.call(version, &request(updates))
}

fn request(updates: &[(&str, i16, i8)]) -> UpdateFeaturesRequest {
    let updates = updates
        .iter()
        .map(|&(feature, max_version_level, upgrade_type)| FeatureUpdateKey {
            feature: feature.to_owned(),
            max_version_level,
            upgrade_type,
            ..FeatureUpdateKey::default()
        });
    UpdateFeaturesRequest {
        feature_updates: updates.collect(),
        ..UpdateFeaturesRequest::default()
    }
}

/// The level of a feature, and the epoch of all.
fn finalized(client: &mut Client, feature: &str) -> (Option<i16>, i64) {
    let request = ApiVersionsRequest {
        client_software_name: "broker-tests".to_owned(),
        client_software_version: "1".to_owned(),
    };
    let response = client.call(4, &request);
    let features = response.finalized_features.iter();
    let mut levels = features.filter(|found| found.name == feature);
    let level = levels.next().map(|found| found.max_version_level);
    (level, response.finalized_features_epoch)
}

#[test]
fn the_consumer_protocol_is_switched_off_and_on() {
    let Some(mut broker) = Broker::start_own(2, EAGER) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "switched", 1);
    let group = new_group(&mut client);
    let mut member = Member::join(&mut client, joining(&group, "member", &[&topic.name]));
    let (level, epoch) = finalized(&mut client, "group.version");
    assert_eq!(level, Some(1));

    let validated = UpdateFeaturesRequest {
        validate_only: true,
        ..request(&[("group.version", 0, SAFE)])
    };
    assert_eq!(client.call(2, &validated).error_code, NONE);
    assert_eq!(finalized(&mut client, "group.version"), (Some(1), epoch));

    let response = update(&mut client, 2, &[("group.version", 0, SAFE)]);
    assert_eq!((response.error_code, response.error_message), (NONE, None));
    let (level, epoch_after) = finalized(&mut client, "group.version");
    assert_eq!(level, None);
    assert!(epoch_after > epoch);
    let refused = client.call(HEARTBEAT, &going_on(&group, "member", member.epoch));
    assert_eq!(refused.error_code, UNSUPPORTED_VERSION);

    broker.kill_and_restart(1);
    let mut client = broker.client();
    assert_eq!(finalized(&mut client, "group.version").0, None, "it is durable");
    assert_eq!(update(&mut client, 2, &[("group.version", 1, UP)]).error_code, NONE);
    poll("the group", Duration::from_secs(20), || {
        let response = client.call(HEARTBEAT, &going_on(&group, "member", member.epoch));
        (response.error_code == NONE).then_some(())
    });
    member.beat(&mut client);
    assert_eq!(member.partitions(), [0], "it is as it was");
}

#[test]
fn what_cannot_be_changed_is_refused() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let before = finalized(&mut client, "group.version");
    let not_supported = |name: &str| format!("{name}. Local controller 1 does not support this feature.");
    let down = "group.version. Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.";
    for version in ApiKey::UpdateFeatures.versions() {
        for (feature, level, direction, expected) in [
            ("group.version", 0, UP, down.to_owned()),
            (
                "group.version",
                2,
                UP,
                "group.version. Local controller 1 only supports versions 0-1".to_owned(),
            ),
            ("nope", 1, UP, not_supported("nope")),
            ("", 1, UP, not_supported("")),
            (
                "metadata.version",
                31,
                UP,
                "metadata.version. Local controller 1 only supports versions 7-30".to_owned(),
            ),
            (
                "group.version",
                1,
                9,
                "group.version. The controller does not support the given upgrade type.".to_owned(),
            ),
        ] {
            if version == 0 && direction != UP {
                continue;
            }
            let response = update(&mut client, version, &[(feature, level, direction)]);
            let expected = format!(
                "The update failed for all features since the following feature had an error: Invalid update version {level} for feature {expected}"
            );
            assert_eq!(response.error_message, Some(expected), "v{version}");
            assert_eq!(
                (response.error_code, response.results.len()),
                (INVALID_UPDATE_VERSION, 0)
            );
        }
        let response = update(&mut client, version, &[("group.version", 1, UP)]);
        assert_eq!((response.error_code, response.error_message), (NONE, None));
        let results = response.results.iter();
        let results: Vec<_> = results
            .map(|result| (result.feature.as_str(), result.error_code))
            .collect();
        let expected: &[(&str, i16)] = if version <= 1 { &[("group.version", NONE)] } else { &[] };
        assert_eq!(results, expected, "v{version}");
    }
    assert_eq!(finalized(&mut client, "group.version").0, before.0);
}
