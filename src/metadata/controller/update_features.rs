//! UpdateFeatures (KIP-584, KIP-1022): the levels that a cluster is finalized at. Kafka: `FeatureControlManager`.
//!
//! What can be changed here is `group.version`. The level of the metadata stays what it is, and features that are only kept for Apache Kafka
//! are its to change.

use std::collections::BTreeMap;

use duramen_wire::messages::metadata::FeatureLevelRecord;
use duramen_wire::messages::update_features_request::FeatureUpdateKey;

use crate::base::ids::NodeId;
use crate::metadata::image::MetadataImage;

use super::Decision;
use super::broker::{FEATURES, Feature, KEPT_FEATURES};

const METADATA_VERSION: &str = "metadata.version";

/// Which way a level may go. Kafka: `FeatureUpdate.UpgradeType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    DownSafely,
    DownUnsafely,
}

impl Direction {
    fn of_wire(value: i8) -> Option<Self> {
        match value {
            1 => Some(Self::Up),
            2 => Some(Self::DownSafely),
            3 => Some(Self::DownUnsafely),
            _ => None,
        }
    }
}

/// Why no feature is changed; the texts are Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateFeaturesError {
    #[error("Invalid update version {level} for feature {feature}. {reason}")]
    Refused {
        feature: String,
        level: i16,
        reason: Reason,
    },
    #[error("Unsupported metadata.version downgrade from {from} to {to}. {reason}")]
    MetadataDowngrade { from: i16, to: i16, reason: &'static str },
}

/// What is wrong with the level of a feature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("The controller does not support the given upgrade type.")]
    Direction,
    #[error("A feature version cannot be less than 0.")]
    Negative,
    #[error("Local controller {0} does not support this feature.")]
    Unsupported(i32),
    #[error("Local controller {controller} only supports versions {min}-{max}")]
    OutOfRange { controller: i32, min: i16, max: i16 },
    #[error(
        "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."
    )]
    Down,
    #[error("Can't downgrade to a newer version.")]
    Up,
    #[error("Feature {0} not found.")]
    Unknown(String),
}

/// Decides on all updates together; of two of one feature, the later counts.
///
/// # Errors
///
/// The first update that cannot be made; then none is.
pub fn update_features(
    image: &MetadataImage,
    controller: NodeId,
    updates: &[FeatureUpdateKey],
) -> Result<Decision<()>, UpdateFeaturesError> {
    let last: BTreeMap<&str, &FeatureUpdateKey> =
        updates.iter().map(|update| (update.feature.as_str(), update)).collect();
    let mut records = Vec::new();
    for update in last.values() {
        if let Some(record) = update_feature(image, controller, update)? {
            records.push(record.into());
        }
    }
    Ok(Decision { records, response: () })
}

fn update_feature(
    image: &MetadataImage,
    controller: NodeId,
    update: &FeatureUpdateKey,
) -> Result<Option<FeatureLevelRecord>, UpdateFeaturesError> {
    let level = update.max_version_level;
    let name = &update.feature;
    let refused = |reason| UpdateFeaturesError::Refused {
        feature: name.clone(),
        level,
        reason,
    };
    let direction = Direction::of_wire(update.upgrade_type).ok_or_else(|| refused(Reason::Direction))?;
    if level < 0 {
        return Err(refused(Reason::Negative));
    }
    let feature = supported(image, name, level, controller).map_err(refused)?;
    let current = image.features.get(name).copied().unwrap_or(0);
    match direction {
        Direction::Up if level < current => return Err(refused(Reason::Down)),
        Direction::DownSafely | Direction::DownUnsafely if level > current => return Err(refused(Reason::Up)),
        Direction::Up | Direction::DownSafely | Direction::DownUnsafely => {}
    }
    if level == current {
        return Ok(None);
    }
    if feature.name == METADATA_VERSION {
        return Err(UpdateFeaturesError::MetadataDowngrade {
            from: current,
            to: level,
            reason: match direction {
                Direction::DownUnsafely => "Unsafe metadata downgrade is not supported in this version.",
                Direction::Up | Direction::DownSafely => {
                    "Refusing to perform the requested downgrade because it might delete metadata information."
                }
            },
        });
    }
    Ok(Some(FeatureLevelRecord {
        name: name.clone(),
        feature_level: level,
    }))
}

fn supported(image: &MetadataImage, name: &str, level: i16, controller: NodeId) -> Result<&'static Feature, Reason> {
    let Some(feature) = FEATURES.iter().find(|feature| feature.name == name) else {
        let is_kept = KEPT_FEATURES.iter().any(|kept| kept.name == name);
        return Err(match level == 0 && !is_kept {
            true => Reason::Unknown(name.to_owned()),
            false => Reason::Unsupported(controller.0),
        });
    };
    let max = match name {
        METADATA_VERSION => image.metadata_version(),
        _ => feature.level_max,
    };
    let min = feature.level_min;
    match (min..=max).contains(&level) {
        true => Ok(feature),
        false => Err(Reason::OutOfRange {
            controller: controller.0,
            min,
            max,
        }),
    }
}
