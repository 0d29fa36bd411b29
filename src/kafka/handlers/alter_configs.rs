//! AlterConfigs (33): all settings of topics, as older clients change them; what is not named goes back to its default.

use duramen_wire::messages::alter_configs_request::{self, AlterConfigsRequest};
use duramen_wire::messages::alter_configs_response::{AlterConfigsResourceResponse, AlterConfigsResponse};
use duramen_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal, alter_config_error};
use crate::kafka::gather::Gather;
use crate::metadata::controller::Unnamed;
use crate::shard::CONTROLLER;
use crate::shard::controller::{ChangeMode, ControllerReply, ControllerRequest};
use crate::shard::message::{ShardReply, ShardRequest};

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: AlterConfigsRequest = call.decode()?;
    let unanswered = request.resources.iter().map(|resource| AlterConfigsResourceResponse {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..AlterConfigsResourceResponse::default()
    });
    let response = AlterConfigsResponse {
        responses: unanswered.collect(),
        ..AlterConfigsResponse::default()
    };
    let mode = if request.validate_only {
        ChangeMode::ValidateOnly
    } else {
        ChangeMode::Change
    };
    let asked = ControllerRequest::AlterConfigs {
        resources: request.resources.into_iter().map(as_changes).collect(),
        unnamed: Unnamed::Go,
        mode,
    };
    let asked = [(CONTROLLER, ShardRequest::Controller(asked))];
    Gather::start(call, response, asked, absorb, |call, response| call.respond(&response));
    Ok(())
}

/// Every setting that is named is set.
fn as_changes(resource: alter_configs_request::AlterConfigsResource) -> AlterConfigsResource {
    let set = |config: alter_configs_request::AlterableConfig| AlterableConfig {
        name: config.name,
        config_operation: 0,
        value: config.value,
    };
    AlterConfigsResource {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        configs: resource.configs.into_iter().map(set).collect(),
    }
}

fn absorb(response: &mut AlterConfigsResponse, reply: ShardReply) {
    let ShardReply::Controller(ControllerReply::Altered(Ok(results))) = reply else {
        for resource in &mut response.responses {
            refuse(resource, Refusal::of(ErrorCode::KAFKA_STORAGE_ERROR));
        }
        return;
    };
    for (resource, result) in response.responses.iter_mut().zip(results) {
        if let Err(error) = result {
            refuse(resource, alter_config_error(&error));
        }
    }
}

fn refuse(resource: &mut AlterConfigsResourceResponse, refusal: Refusal) {
    resource.error_code = refusal.code.0;
    resource.error_message = refusal.message;
}
