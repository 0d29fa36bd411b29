//! DescribeConfigs (32): every setting of a topic, of a group or of this broker, where it comes from, and what would hold without it.

use duramen_wire::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use duramen_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};

use std::collections::HashSet;

use crate::config::{Config, Described, Kind, Source};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::{ErrorCode, Refusal};
use crate::kafka::nodes::Nodes;
use crate::metadata::controller::validate_topic_name;
use crate::metadata::{ConfigResource, MetadataImage};

/// Kafka: `ConfigResource.Type`.
const TOPIC: i8 = ConfigResource::TOPIC;
const BROKER: i8 = ConfigResource::BROKER;
const GROUP: i8 = ConfigResource::GROUP;

/// Settings of a topic, about.
const ROWS_OF_A_RESOURCE: usize = 40;

/// What of each setting is told.
#[derive(Clone, Copy)]
struct Detail {
    synonyms: bool,
    documentation: bool,
    /// Versions before 3 have neither types nor documentation.
    version: i16,
}

/// Answers the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DescribeConfigsRequest = call.decode()?;
    let detail = Detail {
        synonyms: request.include_synonyms,
        documentation: request.include_documentation,
        version: call.version,
    };
    let (image, config) = (call.context.image(), call.context.current_config());
    let nodes = call.context.nodes.clone();
    let rows = request.resources.len().saturating_mul(ROWS_OF_A_RESOURCE);
    call.respond_rows(rows, move || {
        let results = request.resources.iter().map(|resource| {
            let described = settings_of(&image, &nodes, &config, resource);
            described.map_or_else(
                |refusal| refused(resource, refusal),
                |described| result(resource, described, detail),
            )
        });
        DescribeConfigsResponse {
            results: results.collect(),
            ..DescribeConfigsResponse::default()
        }
    });
    Ok(())
}

fn refused(resource: &DescribeConfigsResource, refusal: Refusal) -> DescribeConfigsResult {
    DescribeConfigsResult {
        error_code: refusal.code.0,
        error_message: refusal.message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..DescribeConfigsResult::default()
    }
}

fn settings_of(
    image: &MetadataImage,
    nodes: &Nodes,
    config: &Config,
    resource: &DescribeConfigsResource,
) -> Result<Vec<Described>, Refusal> {
    let name = &resource.resource_name;
    match resource.resource_type {
        TOPIC => {
            validate_topic_name(name).map_err(|error| Refusal::with(ErrorCode::INVALID_TOPIC_EXCEPTION, error))?;
            if image.topic_by_name(name).is_none() {
                return Err(Refusal::of(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
            }
            Ok(config.describe_topic(image.topic_config(name)))
        }
        GROUP if name.is_empty() => {
            let message = "Group name must not be empty";
            Err(Refusal::with(ErrorCode::INVALID_REQUEST, message))
        }
        // One that has none, and one that does not exist, has those of the broker.
        GROUP => Ok(config.describe_group(image.config(&ConfigResource::group(name)))),
        BROKER if name.is_empty() => Ok(config.describe_every_broker()),
        BROKER => match name.parse::<i32>() {
            Ok(id) if nodes.ids().any(|known| known == id) => Ok(config.describe_broker()),
            Ok(_) => {
                let expected = nodes.controller();
                let message = format!("Unexpected broker id, expected {expected} or empty string, but received {name}");
                Err(Refusal::with(ErrorCode::INVALID_REQUEST, message))
            }
            Err(_) => {
                let message = format!("Broker id must be an integer, but it is: {name}");
                Err(Refusal::with(ErrorCode::INVALID_REQUEST, message))
            }
        },
        other => Err(Refusal::with(
            ErrorCode::INVALID_REQUEST,
            format!("Unsupported resource type: {other}"),
        )),
    }
}

fn result(resource: &DescribeConfigsResource, described: Vec<Described>, detail: Detail) -> DescribeConfigsResult {
    let asked = resource.configuration_keys.as_deref();
    let asked: Option<HashSet<&str>> = asked.map(|keys| keys.iter().map(String::as_str).collect());
    let is_asked = |described: &Described| {
        asked
            .as_ref()
            .is_none_or(|asked| asked.contains(described.name.as_str()))
    };
    let configs = described
        .into_iter()
        .filter(is_asked)
        .map(|described| setting(described, detail));
    DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs: configs.collect(),
        ..DescribeConfigsResult::default()
    }
}

fn setting(described: Described, detail: Detail) -> DescribeConfigsResourceResult {
    let (is_sensitive, config_type, doc) = (
        described.is_sensitive(),
        described.kind().map_or(0, kind),
        described.doc(),
    );
    let synonyms = described.synonyms.into_iter().filter(|_| detail.synonyms);
    let has_types = detail.version >= 3;
    DescribeConfigsResourceResult {
        name: described.name,
        value: described.value,
        read_only: described.is_read_only,
        config_source: source(described.source),
        is_sensitive,
        synonyms: synonyms
            .map(|synonym| DescribeConfigsSynonym {
                name: synonym.name,
                value: synonym.value,
                source: source(synonym.source),
            })
            .collect(),
        config_type: if has_types { config_type } else { 0 },
        documentation: (has_types && detail.documentation).then(|| doc.to_owned()),
    }
}

/// Kafka: `DescribeConfigsResponse.ConfigSource`.
pub(super) fn source(source: Source) -> i8 {
    match source {
        Source::Topic => 1,
        Source::ThisBroker => 2,
        Source::EveryBroker => 3,
        Source::Start => 4,
        Source::Default => 5,
        Source::Group => 8,
    }
}

/// Kafka: `DescribeConfigsResponse.ConfigType`.
fn kind(kind: Kind) -> i8 {
    match kind {
        Kind::Bool => 1,
        Kind::Text => 2,
        Kind::Int => 3,
        Kind::Short => 4,
        Kind::Long => 5,
        Kind::Double => 6,
        Kind::List => 7,
        Kind::Class => 8,
        Kind::Password => 9,
    }
}
