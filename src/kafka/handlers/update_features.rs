//! UpdateFeatures (57): the levels that the cluster is finalized at.

use duramen_wire::messages::update_features_request::UpdateFeaturesRequest;
use duramen_wire::messages::update_features_response::{UpdatableFeatureResult, UpdateFeaturesResponse};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal, update_features_error};
use crate::kafka::gather::Gather;
use crate::shard::CONTROLLER;
use crate::shard::controller::{ChangeMode, ControllerReply, ControllerRequest};
use crate::shard::message::{ShardReply, ShardRequest};

/// The last version that says of each feature how it went.
const RESULTS_VERSION_MAX: i16 = 1;

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: UpdateFeaturesRequest = call.decode()?;
    let result = |name: &String| UpdatableFeatureResult {
        feature: name.clone(),
        error_code: ErrorCode::NONE.0,
        error_message: Some(ErrorCode::NONE.name().to_owned()),
    };
    let names = request.feature_updates.iter().map(|update| &update.feature);
    let names = names.filter(|_| call.version <= RESULTS_VERSION_MAX);
    let response = UpdateFeaturesResponse {
        error_message: None,
        results: names.map(result).collect(),
        ..UpdateFeaturesResponse::default()
    };
    let mode = if request.validate_only {
        ChangeMode::ValidateOnly
    } else {
        ChangeMode::Change
    };
    let asked = ControllerRequest::UpdateFeatures {
        updates: request.feature_updates,
        mode,
    };
    let asked = [(CONTROLLER, ShardRequest::Controller(asked))];
    Gather::start(call, response, asked, absorb, |call, response| call.respond(&response));
    Ok(())
}

fn absorb(response: &mut UpdateFeaturesResponse, reply: ShardReply) {
    let refusal = if let ShardReply::Controller(ControllerReply::UpdatedFeatures(Ok(result))) = reply {
        let Err(error) = result else { return };
        update_features_error(&error)
    } else {
        Refusal::of(ErrorCode::KAFKA_STORAGE_ERROR)
    };
    response.error_code = refusal.code.0;
    response.error_message = refusal.message;
    response.results.clear();
}
