//! AlterConfigs (33): all settings of topics, groups and brokers, as older clients change them; what is not named goes back to its default.

use duramen_wire::messages::alter_configs_request::{self, AlterConfigsRequest};
use duramen_wire::messages::alter_configs_response::{self, AlterConfigsResponse};
use duramen_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use duramen_wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;

use super::incremental_alter_configs::ask;
use crate::kafka::call::{BadRequest, Call};
use crate::metadata::controller::Unnamed;

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: AlterConfigsRequest = call.decode()?;
    let changes = IncrementalAlterConfigsRequest {
        resources: request.resources.into_iter().map(as_changes).collect(),
        validate_only: request.validate_only,
    };
    ask(call, changes, Unnamed::Go, |call, responses| {
        let response = AlterConfigsResponse {
            responses: responses.into_iter().map(as_response).collect(),
            ..AlterConfigsResponse::default()
        };
        call.respond(&response);
    });
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

fn as_response(answered: AlterConfigsResourceResponse) -> alter_configs_response::AlterConfigsResourceResponse {
    alter_configs_response::AlterConfigsResourceResponse {
        error_code: answered.error_code,
        error_message: answered.error_message,
        resource_type: answered.resource_type,
        resource_name: answered.resource_name,
    }
}
