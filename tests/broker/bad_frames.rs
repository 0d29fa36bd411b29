//! Bytes that are no request: the connection ends, and nothing else does.

use std::io::Write;
use std::time::Duration;

use duramen_wire::messages::{MetadataRequest, ProduceRequest};
use duramen_wire::{ApiKey, Writer};

use crate::client::{Client, frame, header};
use crate::fixture::{create_topic, end_offset, fetch_request, produce_request, sized_batch};
use crate::harness::Broker;

/// Each of these bytes, sent first on a connection, ends it, while another connection goes on.
fn assert_all_closed(broker: &mut Broker, cases: Vec<(String, Vec<u8>)>) {
    let mut witness = broker.client();
    for (what, bytes) in cases {
        let mut client = broker.client();
        client.try_send_bytes(&bytes);
        client.assert_closed(&what);
        witness.assert_usable();
    }
    broker.assert_alive();
}

#[test]
fn sizes_of_frames() {
    let mut broker = Broker::start(2);
    let mut cases = Vec::new();
    let above_max = 100 * 1024 * 1024 + 1;
    for size in [-1, i32::MIN, -100, 0, 1, 2, 3, 4, 5, 6, 7, above_max, i32::MAX] {
        let mut bytes = size.to_be_bytes().to_vec();
        // Zeroes would be a request of a version that no longer is.
        bytes.resize(4 + usize::try_from(size).unwrap_or(0).min(64), 0);
        cases.push((format!("size {size}"), bytes));
    }
    assert_all_closed(&mut broker, cases);
}

/// A limit of one's own: the largest request that it allows is served, one byte more is not.
#[test]
fn a_smaller_limit_for_requests() {
    let Some(mut broker) = Broker::start_own(2, &["socket.request.max.bytes=20000"]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "limited", 1);
    let request = |value_bytes| produce_request(&topic, &[(0, &sized_batch(1, value_bytes))]);
    let overhead = frame(12, 1, &request(17_000)).len() - 4 - 17_000;
    let largest = request(20_000 - overhead);
    assert_eq!(frame(12, 1, &largest).len() - 4, 20_000);
    assert_eq!(
        client.call(12, &largest).responses[0].partition_responses[0].error_code,
        0
    );
    let larger = frame(12, 1, &request(20_001 - overhead)).to_vec();
    assert_all_closed(&mut broker, vec![("20001 bytes".to_owned(), larger)]);
    assert_eq!(end_offset(&mut client, &topic, 0), 1);
}

/// A header for any key and version, with a client id, and nothing behind it.
fn header_only(key: i16, version: i16) -> Vec<u8> {
    let mut writer = Writer::framed();
    writer.int16(key);
    writer.int16(version);
    writer.int32(1);
    writer.int16(-1);
    writer.int64(0);
    writer.into_bytes().unwrap().to_vec()
}

#[test]
fn unknown_apis_and_versions() {
    let mut broker = Broker::start(1);
    let mut cases = Vec::new();
    // 4 to 7 were between brokers, until Kafka 4.0.
    for key in [4, 5, 6, 7, 93, 94, 1000, i16::MAX, -1, i16::MIN] {
        for version in [0, 1, 9] {
            cases.push((format!("key {key} v{version}"), header_only(key, version)));
        }
    }
    for key in [
        ApiKey::Produce,
        ApiKey::Fetch,
        ApiKey::Metadata,
        ApiKey::CreateTopics,
        ApiKey::InitProducerId,
    ] {
        for version in [key.versions().end() + 1, 100, i16::MAX, -1, i16::MIN] {
            cases.push((format!("{key:?} v{version}"), header_only(key.to_i16(), version)));
        }
    }
    for key in [
        ApiKey::Produce,
        ApiKey::Fetch,
        ApiKey::ListOffsets,
        ApiKey::CreateTopics,
    ] {
        cases.push((format!("{key:?} v0"), header_only(key.to_i16(), 0)));
    }
    assert_all_closed(&mut broker, cases);
}

/// What is not listed is not served either.
#[test]
fn apis_that_are_not_listed() {
    let mut broker = Broker::start(1);
    let list = broker
        .client()
        .call(0, &duramen_wire::messages::ApiVersionsRequest::default());
    let mut cases = Vec::new();
    for key in ApiKey::ALL {
        if list.api_keys.iter().any(|api| api.api_key == key.to_i16()) {
            continue;
        }
        for version in key.versions() {
            cases.push((format!("{key:?} v{version}"), header_only(key.to_i16(), version)));
        }
    }
    assert_all_closed(&mut broker, cases);
}

/// A frame with this body behind a proper header.
fn framed(key: ApiKey, version: i16, body: &[u8]) -> Vec<u8> {
    let mut bytes = header(key, version, 1).into_bytes().unwrap().to_vec();
    bytes.extend_from_slice(body);
    let size = i32::try_from(bytes.len() - 4).unwrap();
    bytes[..4].copy_from_slice(&size.to_be_bytes());
    bytes
}

/// Sends each body, framed and behind a proper header, on a connection that then has to end.
fn assert_bodies_closed(bodies: &[(&str, ApiKey, i16, Vec<u8>)]) {
    let cases = bodies
        .iter()
        .map(|(what, key, version, body)| (format!("{what}, {key:?} v{version}"), framed(*key, *version, body)))
        .collect();
    assert_all_closed(&mut Broker::start(2), cases);
}

#[test]
fn lengths_within_requests() {
    let name = "topic".as_bytes();
    assert_bodies_closed(&[
        ("array of 2 GiB", ApiKey::Metadata, 4, i32::MAX.to_be_bytes().to_vec()),
        (
            "array of 100 million",
            ApiKey::Metadata,
            4,
            100_000_000_i32.to_be_bytes().to_vec(),
        ),
        (
            "array of 2 where 1 is",
            ApiKey::Metadata,
            4,
            [&[0, 0, 0, 2, 0, 5], name].concat(),
        ),
        (
            "string beyond the frame",
            ApiKey::Metadata,
            4,
            [&[0, 0, 0, 1, 0, 100], name].concat(),
        ),
        (
            "negative length of a name",
            ApiKey::Metadata,
            4,
            vec![0, 0, 0, 1, 0xff, 0xfe, 0],
        ),
    ]);
}

#[test]
fn compact_lengths_within_requests() {
    let name = "topic".as_bytes();
    let endless = [0xff; 64];
    assert_bodies_closed(&[
        ("endless array length", ApiKey::Metadata, 12, endless.to_vec()),
        (
            "compact array of 4 GiB",
            ApiKey::Metadata,
            9,
            vec![0xff, 0xff, 0xff, 0xff, 0x0f],
        ),
        (
            "compact string beyond the frame",
            ApiKey::Metadata,
            9,
            [&[2, 100], name].concat(),
        ),
        ("endless tags", ApiKey::Metadata, 9, [&[1, 1, 1], &endless[..]].concat()),
        (
            "tag longer than the frame",
            ApiKey::Metadata,
            9,
            vec![1, 0, 0, 0, 1, 9, 0xff, 0xff, 3],
        ),
        (
            "many tags",
            ApiKey::Metadata,
            9,
            vec![1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 7],
        ),
        ("nothing", ApiKey::Metadata, 9, Vec::new()),
        ("nothing", ApiKey::Produce, 9, Vec::new()),
        ("nothing", ApiKey::Fetch, 12, Vec::new()),
        ("nothing", ApiKey::CreateTopics, 7, Vec::new()),
        (
            "topics of 2 GiB",
            ApiKey::Produce,
            8,
            [&[0xff, 0xff, 0, 1, 0, 0, 0, 1][..], &i32::MAX.to_be_bytes()].concat(),
        ),
        (
            "endless topics",
            ApiKey::Produce,
            9,
            [&[0, 0, 1, 0, 0, 0, 1][..], &endless].concat(),
        ),
        (
            "topics of 2 GiB",
            ApiKey::Fetch,
            4,
            [&[0; 17][..], &i32::MAX.to_be_bytes()].concat(),
        ),
    ]);
}

/// Requests that end anywhere: each prefix of a good request, framed as if it were whole.
#[test]
fn requests_that_end_early() {
    let mut broker = Broker::start(2);
    let mut witness = broker.client();
    let topic = create_topic(&mut witness, "early", 1);
    let requests = [
        frame(12, 1, &produce_request(&topic, &[(0, &sized_batch(1, 20))])),
        frame(5, 1, &produce_request(&topic, &[(0, &sized_batch(1, 20))])),
        frame(12, 1, &fetch_request(&topic, &[(0, 0)])),
        frame(4, 1, &fetch_request(&topic, &[(0, 0)])),
    ];
    for request in requests {
        // Behind the last field only tags are left out.
        for end in 8..request.len() - 8 {
            let mut bytes = request[..end].to_vec();
            let size = i32::try_from(end - 4).unwrap();
            bytes[..4].copy_from_slice(&size.to_be_bytes());
            let mut client = broker.client();
            client.try_send_bytes(&bytes);
            client.assert_closed(&format!("{end} of {} bytes", request.len()));
        }
        witness.assert_usable();
    }
    assert_eq!(end_offset(&mut witness, &topic, 0), 0);
    broker.assert_alive();
}

/// A request comes byte by byte, or several in one piece and a half.
#[test]
fn requests_in_pieces() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "pieces", 1);
    let request = frame(12, 1, &produce_request(&topic, &[(0, &sized_batch(1, 20))]));
    for byte in request.iter() {
        client.send_bytes(&[*byte]);
    }
    client.receive::<ProduceRequest>(12, 1);
    let three = [&request[..], &request, &request].concat();
    let (most, rest) = three.split_at(three.len() - 7);
    client.send_bytes(most);
    client.receive::<ProduceRequest>(12, 1);
    client.receive::<ProduceRequest>(12, 1);
    client.assert_silent(Duration::from_millis(30));
    client.send_bytes(rest);
    client.receive::<ProduceRequest>(12, 1);
    assert_eq!(end_offset(&mut client, &topic, 0), 4);
}

/// Half a request and then silence, or the end of the connection.
#[test]
fn half_a_request() {
    let mut broker = Broker::start(2);
    let mut witness = broker.client();
    let topic = create_topic(&mut witness, "half", 1);
    let request = frame(12, 1, &produce_request(&topic, &[(0, &sized_batch(1, 2000))]));
    let mut silent = Vec::new();
    for end in (1..request.len()).step_by(100) {
        let mut client = broker.client();
        client.send_bytes(&request[..end]);
        silent.push(client);
        let mut client = broker.client();
        client.send_bytes(&request[..end]);
        drop(client);
        witness.assert_usable();
    }
    assert_eq!(end_offset(&mut witness, &topic, 0), 0);
    // What was begun can be ended, however long it took.
    let mut client = silent.remove(3);
    client.send_bytes(&request[301..]);
    client.receive::<ProduceRequest>(12, 1);
    assert_eq!(end_offset(&mut witness, &topic, 0), 1);
    broker.assert_alive();
}

/// Clients that never read their answers must not take memory without end, nor the broker's time.
#[test]
fn clients_that_do_not_read() {
    let mut broker = Broker::start(2);
    let mut witness = broker.client();
    let topic = create_topic(&mut witness, "unread", 1);
    for _ in 0..20 {
        crate::fixture::produce(&mut witness, &topic, 0, &sized_batch(1, 500_000));
    }
    let before = broker.memory_bytes();
    let request = frame(13, 1, &fetch_request(&topic, &[(0, 0)]));
    let mut deaf: Vec<Client> = (0..8).map(|_| broker.client()).collect();
    for client in &mut deaf {
        let stream = client.stream();
        stream.set_nonblocking(true).unwrap();
        // 10 MB of answers for each request, until the broker takes no more.
        for _ in 0..50 {
            if stream.write(&request).is_err() {
                break;
            }
        }
    }
    for _ in 0..20 {
        witness.assert_usable();
        assert_eq!(end_offset(&mut witness, &topic, 0), 20);
    }
    if let (Some(before), Some(after)) = (before, broker.memory_bytes()) {
        let grown = after.saturating_sub(before);
        eprintln!("8 clients that read none of 4 GB: {} KiB more memory", grown / 1024);
        assert!(grown < 128 << 20, "{grown} bytes");
    }
    drop(deaf);
    broker.assert_alive();
}

/// A name with all bytes that there are: a string is not trusted to be text.
#[test]
fn names_that_are_no_text() {
    let mut broker = Broker::start(1);
    let mut client = broker.client();
    for bytes in [&b"\xff\xfe"[..], b"\xc3\x28", b"\0", b"a\xf0\x9f\x92\xa9"] {
        let mut body = vec![0, 0, 0, 1];
        body.extend_from_slice(&i16::try_from(bytes.len()).unwrap().to_be_bytes());
        body.extend_from_slice(bytes);
        body.push(0);
        client.send_bytes(&framed(ApiKey::Metadata, 4, &body));
        match client.try_receive::<MetadataRequest>(4, 1) {
            Ok(response) => assert_ne!(response.topics[0].error_code, 0, "{bytes:?}"),
            Err(_) => client = broker.client(),
        }
    }
    client.assert_usable();
    broker.assert_alive();
}
