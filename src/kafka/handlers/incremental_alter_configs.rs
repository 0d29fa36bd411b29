//! IncrementalAlterConfigs (44): settings of topics, groups and brokers. AlterConfigs asks the controller in the same way.

use duramen_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, IncrementalAlterConfigsRequest};
use duramen_wire::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal, alter_config_error};
use crate::kafka::gather::Gather;
use crate::kafka::nodes::Nodes;
use crate::metadata::ConfigResource;
use crate::metadata::controller::Unnamed;
use crate::shard::CONTROLLER;
use crate::shard::controller::{ChangeMode, ControllerReply, ControllerRequest};
use crate::shard::message::{ShardReply, ShardRequest};

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: IncrementalAlterConfigsRequest = call.decode()?;
    ask(call, request, Unnamed::Stay, |call, responses| {
        let response = IncrementalAlterConfigsResponse {
            responses,
            ..IncrementalAlterConfigsResponse::default()
        };
        call.respond(&response);
    });
    Ok(())
}

/// Asks the controller for the changes; `finish` gets a response for each resource.
pub(super) fn ask(
    call: Call,
    mut request: IncrementalAlterConfigsRequest,
    unnamed: Unnamed,
    finish: fn(Call, Vec<AlterConfigsResourceResponse>),
) {
    let unanswered = request.resources.iter().map(unanswered).collect();
    for resource in &mut request.resources {
        name_node(&call.context.nodes, resource);
    }
    let mode = if request.validate_only {
        ChangeMode::ValidateOnly
    } else {
        ChangeMode::Change
    };
    let asked = ControllerRequest::AlterConfigs {
        resources: request.resources,
        unnamed,
        mode,
    };
    let asked = [(CONTROLLER, ShardRequest::Controller(asked))];
    Gather::start(call, unanswered, asked, absorb, finish);
}

/// Each core may be a broker towards clients; what has settings is the node.
fn name_node(nodes: &Nodes, resource: &mut AlterConfigsResource) {
    if resource.resource_type == ConfigResource::BROKER
        && let Ok(id) = resource.resource_name.parse()
    {
        resource.resource_name = nodes.node_of(id).to_string();
    }
}

fn unanswered(resource: &AlterConfigsResource) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        error_code: ErrorCode::NONE.0,
        error_message: None,
    }
}

fn absorb(responses: &mut Vec<AlterConfigsResourceResponse>, reply: ShardReply) {
    let ShardReply::Controller(ControllerReply::Altered(Ok(results))) = reply else {
        for resource in responses {
            refuse(resource, Refusal::of(ErrorCode::KAFKA_STORAGE_ERROR));
        }
        return;
    };
    for (resource, result) in responses.iter_mut().zip(results) {
        if let Err(error) = result {
            refuse(resource, alter_config_error(&error));
        }
    }
}

fn refuse(resource: &mut AlterConfigsResourceResponse, refusal: Refusal) {
    resource.error_code = refusal.code.0;
    resource.error_message = refusal.message;
}
