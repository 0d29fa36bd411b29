//! The levels of features, and what is refused: the texts were read from Apache Kafka 4.3.1.

use duramen_wire::messages::update_features_request::FeatureUpdateKey;

use super::controller::update_features;
use super::*;

const UP: i8 = 1;
const SAFE: i8 = 2;
const UNSAFE: i8 = 3;

fn update(feature: &str, level: i16, upgrade_type: i8) -> FeatureUpdateKey {
    FeatureUpdateKey {
        feature: feature.to_owned(),
        max_version_level: level,
        upgrade_type,
        ..FeatureUpdateKey::default()
    }
}

fn updated(image: &mut MetadataImage, updates: &[FeatureUpdateKey]) -> Result<usize, String> {
    let decision = update_features(image, NodeId(1), updates).map_err(|error| error.to_string())?;
    replay(image, &decision.records);
    Ok(decision.records.len())
}

#[test]
fn groups_of_consumers_are_switched_off_and_on() {
    let mut image = cluster(1);
    assert!(image.has_consumer_groups());
    for (level, direction, records, is_on) in [
        (1, UP, 0, true),
        (0, SAFE, 1, false),
        (0, SAFE, 0, false),
        (0, UP, 0, false),
        (1, UP, 1, true),
        (0, UNSAFE, 1, false),
    ] {
        let result = updated(&mut image, &[update("group.version", level, direction)]);
        assert_eq!(result, Ok(records), "{level} {direction}");
        assert_eq!(image.has_consumer_groups(), is_on, "{level} {direction}");
    }
    assert_eq!(image.features.get("group.version"), None);
    let twice = [update("group.version", 7, UP), update("group.version", 1, UP)];
    assert_eq!(updated(&mut image, &twice), Ok(1), "the later counts");
    assert_eq!(updated(&mut image, &[]), Ok(0));
}

#[test]
fn what_cannot_be_done_is_refused_with_all_that_is_asked() {
    const DOWN: &str = "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.";
    let mut image = cluster(1);
    for (feature, level, direction, expected) in [
        ("group.version", 0, UP, DOWN),
        ("group.version", 2, UP, "Local controller 1 only supports versions 0-1"),
        ("group.version", -1, SAFE, "A feature version cannot be less than 0."),
        (
            "group.version",
            1,
            0,
            "The controller does not support the given upgrade type.",
        ),
        (
            "group.version",
            1,
            9,
            "The controller does not support the given upgrade type.",
        ),
        ("nope", 1, UP, "Local controller 1 does not support this feature."),
        ("", 1, UP, "Local controller 1 does not support this feature."),
        ("nope", 0, SAFE, "Feature nope not found."),
        (
            "metadata.version",
            31,
            UP,
            "Local controller 1 only supports versions 7-30",
        ),
        (
            "metadata.version",
            6,
            SAFE,
            "Local controller 1 only supports versions 7-30",
        ),
        ("metadata.version", 29, UP, DOWN),
        (
            "share.version",
            1,
            UP,
            "Local controller 1 does not support this feature.",
        ),
        (
            "transaction.version",
            0,
            SAFE,
            "Local controller 1 does not support this feature.",
        ),
    ] {
        let other = update("group.version", 0, SAFE);
        let mut updates = vec![update(feature, level, direction)];
        if feature != other.feature {
            updates.insert(0, other);
        }
        let expected = format!("Invalid update version {level} for feature {feature}. {expected}");
        assert_eq!(updated(&mut image, &updates), Err(expected));
        assert!(image.has_consumer_groups(), "{feature}");
    }
    for (direction, expected) in [
        (
            SAFE,
            "Refusing to perform the requested downgrade because it might delete metadata information.",
        ),
        (UNSAFE, "Unsafe metadata downgrade is not supported in this version."),
    ] {
        let expected = format!("Unsupported metadata.version downgrade from 30 to 29. {expected}");
        let result = updated(&mut image, &[update("metadata.version", 29, direction)]);
        assert_eq!(result, Err(expected));
    }
    assert_eq!(updated(&mut image, &[update("metadata.version", 30, UP)]), Ok(0));
    // What is not up cannot go further down.
    updated(&mut image, &[update("group.version", 0, SAFE)]).unwrap();
    let result = updated(&mut image, &[update("group.version", 1, SAFE)]);
    let expected = "Invalid update version 1 for feature group.version. Can't downgrade to a newer version.";
    assert_eq!(result, Err(expected.to_owned()));
}
