//! DescribeCluster (60): the brokers of the cluster, or its controllers (KIP-700, KIP-919).

use duramen_wire::messages::describe_cluster_request::DescribeClusterRequest;
use duramen_wire::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::ErrorCode;
use crate::kafka::handlers::metadata::AuthorizedOperations;

const ENDPOINT_BROKERS: i8 = 1;
const ENDPOINT_CONTROLLERS: i8 = 2;

/// Answers the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DescribeClusterRequest = call.decode()?;
    let asked = if call.version == 0 {
        ENDPOINT_BROKERS
    } else {
        request.endpoint_type
    };
    let mut response = DescribeClusterResponse {
        endpoint_type: asked,
        cluster_authorized_operations: AuthorizedOperations::CLUSTER
            .to_wire(request.include_cluster_authorized_operations),
        controller_id: -1,
        ..DescribeClusterResponse::default()
    };
    match asked {
        ENDPOINT_BROKERS => {
            let nodes = &call.context.nodes;
            let brokers = nodes.all().map(|node| DescribeClusterBroker {
                broker_id: node.id,
                host: node.host,
                port: node.port,
                rack: call.context.config.broker.rack.clone(),
                ..DescribeClusterBroker::default()
            });
            response.cluster_id = call.context.image().cluster_id.to_string();
            response.controller_id = nodes.controller();
            response.brokers = brokers.collect();
        }
        ENDPOINT_CONTROLLERS => {
            response.error_code = ErrorCode::MISMATCHED_ENDPOINT_TYPE.0;
            response.error_message = Some(
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
                    .into(),
            );
        }
        _ => {
            response.error_code = ErrorCode::UNSUPPORTED_ENDPOINT_TYPE.0;
            response.error_message = Some(format!("Unsupported endpoint type {asked}"));
        }
    }
    call.respond(&response);
    Ok(())
}
