//! ApiVersions (18): what is served. The switch by which clients choose what they use.

use duramen_wire::ApiKey;
use duramen_wire::messages::api_versions_request::ApiVersionsRequest;
use duramen_wire::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::ErrorCode;
use crate::kafka::router::SERVED;
use crate::metadata::MetadataImage;
use crate::metadata::controller::FEATURES;

/// librdkafka compresses only where Produce is served from version 0, so that is what is said (KAFKA-18659); versions 0 to 2 are
/// refused like any version that is not served.
const PRODUCE_VERSION_ADVERTISED_MIN: i16 = 0;

/// The first version whose clients take a feature that begins at level 0 (KAFKA-17492).
const LEVEL_ZERO_VERSION_MIN: i16 = 4;

/// Answers the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: ApiVersionsRequest = call.decode()?;
    let valid =
        call.version < 3 || (is_name(&request.client_software_name) && is_name(&request.client_software_version));
    if !valid {
        call.respond(&ApiVersionsResponse {
            error_code: ErrorCode::INVALID_REQUEST.0,
            ..ApiVersionsResponse::default()
        });
        return Ok(());
    }
    let image = call.context.image();
    let response = ApiVersionsResponse {
        api_keys: served_versions(),
        supported_features: supported_features(&image, call.version),
        finalized_features_epoch: image.end_offset.0 - 1,
        finalized_features: finalized_features(&image),
        ..ApiVersionsResponse::default()
    };
    call.respond(&response);
    Ok(())
}

fn supported_features(image: &MetadataImage, version: i16) -> Vec<SupportedFeatureKey> {
    let told = FEATURES
        .iter()
        .filter(|feature| feature.level_min > 0 || version >= LEVEL_ZERO_VERSION_MIN);
    let supported = told.map(|feature| SupportedFeatureKey {
        name: feature.name.to_owned(),
        min_version: feature.level_min,
        max_version: match feature.name {
            // Clusters that are at an older one are served as they are: nothing here can raise it.
            "metadata.version" => image.metadata_version(),
            _ => feature.level_max,
        },
    });
    supported.collect()
}

fn finalized_features(image: &MetadataImage) -> Vec<FinalizedFeatureKey> {
    let served = FEATURES
        .iter()
        .filter_map(|feature| Some((feature.name, *image.features.get(feature.name)?)));
    let finalized = served.map(|(name, level)| FinalizedFeatureKey {
        name: name.to_owned(),
        max_version_level: level,
        min_version_level: level,
    });
    finalized.collect()
}

/// Answers a version that is too new: version 0, with the error and all that is served, so that the client can try again (KIP-511).
pub fn refuse_version(call: Call) {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION.0,
        api_keys: served_versions(),
        ..ApiVersionsResponse::default()
    };
    call.respond_as(&response, 0, Vec::new());
}

fn served_versions() -> Vec<ApiVersion> {
    SERVED
        .iter()
        .map(|served| {
            let versions = served.versions();
            let min_version = match served.key == ApiKey::Produce {
                true => PRODUCE_VERSION_ADVERTISED_MIN,
                false => *versions.start(),
            };
            ApiVersion {
                api_key: served.key as i16,
                min_version,
                max_version: *versions.end(),
            }
        })
        .collect()
}

/// Kafka's rule for a client's name and version: `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`.
fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let outer = |byte: &u8| byte.is_ascii_alphanumeric();
    bytes.first().is_some_and(outer)
        && bytes.last().is_some_and(outer)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_client_software() {
        for (name, valid) in [
            ("apache-kafka-java", true),
            ("4.3.1", true),
            ("a", true),
            ("", false),
            ("-a", false),
            ("a-", false),
            ("a b", false),
            ("a/b", false),
        ] {
            assert_eq!(is_name(name), valid, "{name:?}");
        }
    }
}
