//! ApiVersions, and that everything which it lists is there.

use std::any::Any;

use duramen_wire::messages::add_partitions_to_txn_request::AddPartitionsToTxnTransaction;
use duramen_wire::messages::api_versions_response::ApiVersion;
use duramen_wire::messages::{self, ApiVersionsRequest, ApiVersionsResponse};
use duramen_wire::{ApiKey, Request};

use crate::client::{Client, header, response};
use crate::codes::{INVALID_REQUEST, NONE, UNSUPPORTED_VERSION};
use crate::harness::Broker;

fn request() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "broker-tests".to_owned(),
        client_software_version: "1.0".to_owned(),
    }
}

fn range(response: &ApiVersionsResponse, key: ApiKey) -> Option<(i16, i16)> {
    let found = response.api_keys.iter().find(|api| api.api_key == key.to_i16())?;
    Some((found.min_version, found.max_version))
}

#[test]
fn every_version_lists_the_same_apis() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let lists: Vec<_> = ApiKey::ApiVersions
        .versions()
        .map(|version| client.call(version, &request()))
        .collect();
    for (version, list) in lists.iter().enumerate() {
        assert_eq!(list.error_code, NONE, "v{version}");
        assert_eq!(list.api_keys, lists[0].api_keys, "v{version}");
    }
    let list = &lists[0];
    let served = [
        ApiKey::Fetch,
        ApiKey::ListOffsets,
        ApiKey::Metadata,
        ApiKey::ApiVersions,
        ApiKey::CreateTopics,
        ApiKey::DeleteTopics,
        ApiKey::InitProducerId,
        ApiKey::OffsetForLeaderEpoch,
        ApiKey::DescribeCluster,
    ];
    for key in served {
        let versions = key.versions();
        assert_eq!(range(list, key), Some((*versions.start(), *versions.end())), "{key:?}");
    }
    // librdkafka stops to compress when versions below 3 are not listed.
    assert_eq!(range(list, ApiKey::Produce), Some((0, 13)));
}

#[test]
fn no_version_is_listed_that_kafka_does_not_have() {
    let broker = Broker::start(1);
    let list = broker.client().call(4, &request());
    for ApiVersion {
        api_key,
        min_version,
        max_version,
    } in list.api_keys
    {
        let key = ApiKey::from_i16(api_key).unwrap();
        let versions = key.versions();
        assert!(min_version <= max_version, "{key:?}");
        assert!(
            key == ApiKey::Produce || versions.contains(&min_version),
            "{key:?} from {min_version}"
        );
        assert!(versions.contains(&max_version), "{key:?} to {max_version}");
    }
}

/// KIP-511: the answer to a version of the future has the encoding of version 0, and the body is not looked at.
#[test]
fn a_version_of_the_future_gets_the_list() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    for version in [5, 99, i16::MAX] {
        let mut writer = header(ApiKey::ApiVersions, version, 7);
        writer.int64(-1);
        client.send_bytes(&writer.into_bytes().unwrap());
        let frame = client.receive_frame().unwrap().expect("an answer");
        let list = response::<ApiVersionsRequest>(0, 7, &frame).unwrap();
        assert_eq!(list.error_code, UNSUPPORTED_VERSION, "v{version}");
        assert_eq!(range(&list, ApiKey::ApiVersions), Some((0, 4)), "v{version}");
    }
    client.assert_usable();
}

/// Source: `ApiVersionsRequest.isValid`.
#[test]
fn client_software_must_have_a_name_of_letters() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    for (name, version, expected) in [
        ("good-name.1", "1.0-beta.2", NONE),
        ("", "1.0", INVALID_REQUEST),
        ("name", "", INVALID_REQUEST),
        ("-name", "1.0", INVALID_REQUEST),
        ("name", "1.0 ", INVALID_REQUEST),
        ("na me", "1.0", INVALID_REQUEST),
    ] {
        let request = ApiVersionsRequest {
            client_software_name: name.to_owned(),
            client_software_version: version.to_owned(),
        };
        for version in [3, 4] {
            assert_eq!(client.call(version, &request).error_code, expected, "{request:?}");
        }
    }
}

/// Sends one valid request of this API and version, which gets one response that decodes as a whole.
fn walk(client: &mut Client, key: ApiKey, version: i16) -> Result<(), String> {
    macro_rules! call_each {
        ($($api:ident, $request:ident, $response:ident;)*) => {
            match key {
                $(ApiKey::$api => call::<messages::$request>(client, version),)*
            }
        };
    }
    duramen_wire::for_each_api!(call_each)
}

fn call<R: Request + Default + 'static>(client: &mut Client, version: i16) -> Result<(), String> {
    let mut request = R::default();
    make_valid(&mut request, version);
    let correlation_id = client.send(version, &request);
    client.try_receive::<R>(version, correlation_id).map(|_| ())
}

/// Changes what no broker answers in the default of a request.
fn make_valid(request: &mut dyn Any, version: i16) {
    if let Some(produce) = request.downcast_mut::<messages::ProduceRequest>() {
        produce.acks = 1;
    } else if let Some(describe) = request.downcast_mut::<messages::DescribeAclsRequest>() {
        const ANY: i8 = 1;
        describe.resource_type_filter = ANY;
        describe.pattern_type_filter = ANY;
        describe.operation = ANY;
        describe.permission_type = ANY;
    } else if let Some(add) = request.downcast_mut::<messages::AddPartitionsToTxnRequest>()
        && version >= 4
    {
        add.transactions.push(AddPartitionsToTxnTransaction::default());
    }
}

#[test]
fn every_listed_version_is_answered() {
    let broker = Broker::start(2);
    let list = broker.client().call(4, &request()).api_keys;
    let mut failures = Vec::new();
    for api in list {
        let key = ApiKey::from_i16(api.api_key).unwrap();
        for version in api.min_version..=api.max_version {
            if !key.versions().contains(&version) {
                continue;
            }
            let mut client = broker.client();
            match walk(&mut client, key, version) {
                Ok(()) => client.assert_usable(),
                Err(failure) => failures.push(failure),
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
