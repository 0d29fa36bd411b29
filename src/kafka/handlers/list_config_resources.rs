//! ListConfigResources (74): what has settings, by kind (KIP-1142).

use std::collections::BTreeSet;

use duramen_wire::messages::list_config_resources_request::ListConfigResourcesRequest;
use duramen_wire::messages::list_config_resources_response::{ConfigResource, ListConfigResourcesResponse};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::ErrorCode;

// The kinds of Kafka's `ConfigResource.Type`.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const KINDS: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

/// Answers the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: ListConfigResourcesRequest = call.decode()?;
    let kinds: BTreeSet<i8> = match request.resource_types {
        // Version 0 was ListClientMetricsResources.
        _ if call.version == 0 => BTreeSet::from([CLIENT_METRICS]),
        kinds if kinds.is_empty() => BTreeSet::from(KINDS),
        kinds => kinds.into_iter().collect(),
    };
    let mut response = ListConfigResourcesResponse::default();
    if kinds.iter().any(|kind| !KINDS.contains(kind)) {
        response.error_code = ErrorCode::UNSUPPORTED_VERSION.0;
        call.respond(&response);
        return Ok(());
    }
    let image = call.context.image();
    for resource_type in kinds {
        let named = |resource_name| ConfigResource {
            resource_name,
            resource_type,
        };
        match resource_type {
            TOPIC => {
                let names = image.topics().map(|topic| topic.name.to_string());
                response.config_resources.extend(names.map(named));
            }
            BROKER | BROKER_LOGGER => {
                let ids = call.context.nodes.ids().map(|id| id.to_string());
                response.config_resources.extend(ids.map(named));
            }
            GROUP => {
                let names = image.configured(GROUP).map(str::to_owned);
                response.config_resources.extend(names.map(named));
            }
            // They cannot be given settings yet.
            _ => {}
        }
    }
    call.respond(&response);
    Ok(())
}
