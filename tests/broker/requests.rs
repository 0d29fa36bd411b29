//! Forms of good requests that few clients send.

use duramen_wire::messages::{ApiVersionsRequest, MetadataRequest};
use duramen_wire::{ApiKey, Message, Writer};

use crate::client::Client;
use crate::codes::NONE;
use crate::fixture::create_topic;
use crate::harness::Broker;

/// A frame of parts, with its size in front.
fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let size = i32::try_from(body.len()).unwrap();
    [&size.to_be_bytes()[..], &body].concat()
}

/// Key, version and correlation id 1.
fn preamble(key: ApiKey, version: i16) -> Vec<u8> {
    let correlation_id = 1_i32;
    [
        &key.to_i16().to_be_bytes()[..],
        &version.to_be_bytes(),
        &correlation_id.to_be_bytes(),
    ]
    .concat()
}

/// All topics.
fn metadata(version: i16) -> Vec<u8> {
    let request = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let mut writer = Writer::new();
    request.encode(&mut writer, version).unwrap();
    writer.into_bytes().unwrap().to_vec()
}

/// The request is answered with the topic among others.
fn assert_answered(client: &mut Client, version: i16, what: &str, request: &[u8], topic: &str) {
    client.send_bytes(request);
    let response = client.try_receive::<MetadataRequest>(version, 1);
    let response = response.unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = response.topics.iter().any(|found| found.name.as_deref() == Some(topic));
    assert!(found, "{what}");
}

#[test]
fn client_ids() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "client-ids", 1).name;
    let long = [&[0x7f, 0xff][..], &[b'x'; 0x7fff]].concat();
    for (what, client_id) in [
        ("null", &[0xff, 0xff][..]),
        ("empty", &[0, 0]),
        ("no text", &[0, 3, 0xff, 0, 0xfe]),
        ("the longest", &long),
    ] {
        let plain = framed(&[&preamble(ApiKey::Metadata, 4), client_id, &metadata(4)]);
        assert_answered(&mut client, 4, what, &plain, &topic);
        let flexible = framed(&[&preamble(ApiKey::Metadata, 12), client_id, &[0], &metadata(12)]);
        assert_answered(&mut client, 12, what, &flexible, &topic);
    }
}

/// Tagged fields of the future are skipped, in the header and in the body.
#[test]
fn unknown_tags() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "tags", 1).name;
    let body = metadata(12);
    let (fields, no_tags) = body.split_at(body.len() - 1);
    assert_eq!(no_tags, [0]);
    // One tag, 99, of three bytes; two tags, the second of a number of five bytes.
    let one = [1, 99, 3, 1, 2, 3];
    let two = [2, 99, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 7];
    for (what, header_tags, body_tags) in [
        ("in the header", &one[..], &[0][..]),
        ("in the body", &[0], &one),
        ("in both", &two, &one),
        ("two in the body", &[0], &two),
    ] {
        let preamble = preamble(ApiKey::Metadata, 12);
        let request = framed(&[&preamble, &[0, 1, b'c'], header_tags, fields, body_tags]);
        assert_answered(&mut client, 12, what, &request, &topic);
    }
}

/// Bytes behind a request are ignored, as Apache Kafka does.
#[test]
fn bytes_behind_a_request() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "behind", 1).name;
    for trailing in [&[0][..], &[0xff; 9], &[7; 1000]] {
        let plain = framed(&[&preamble(ApiKey::Metadata, 4), &[0, 0], &metadata(4), trailing]);
        assert_answered(&mut client, 4, "trailing bytes", &plain, &topic);
    }
}

/// Responses carry the number that the client has chosen, whatever it is.
#[test]
fn correlation_ids() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let ids = [0, -1, i32::MIN, i32::MAX, 5, 5, 4];
    for id in ids {
        client.send_bytes(&crate::client::frame(3, id, &ApiVersionsRequest::default()));
    }
    for id in ids {
        let list = client.receive::<ApiVersionsRequest>(3, id);
        assert_ne!(list.error_code, NONE, "a client without a name");
    }
}
