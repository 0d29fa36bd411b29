//! Frames that a real broker understood and sent: `golden/broker_4.3.1.txt`, written by `golden/capture.py`.

use bytes::Bytes;

use crate::messages::{
    ApiVersionsRequest, FetchRequest, MetadataRequest, ProduceRequest, RequestHeader, ResponseHeader,
};
use crate::{ApiKey, Message, Reader, Records, Request, Writer, borrowed};

use super::BUDGET;
use super::golden::unhex;

const FRAMES: &str = include_str!("golden/broker_4.3.1.txt");

struct Frame {
    is_request: bool,
    version: i16,
    bytes: Bytes,
}

fn frames(api: &str) -> Vec<Frame> {
    let frame = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        (words[1] == api).then(|| Frame {
            is_request: words[0] == "request",
            version: words[2].parse().unwrap(),
            bytes: unhex(words[3]).into(),
        })
    };
    FRAMES.lines().filter_map(frame).collect()
}

/// Decodes header and message, and writes both again.
fn again<Header: Message, M: Message>(frame: &Frame, header_version: i16) -> (M, Bytes) {
    let mut r = Reader::new(&frame.bytes, BUDGET);
    let header = Header::decode(&mut r, header_version).unwrap();
    let message = M::decode(&mut r, frame.version).unwrap();
    assert_eq!(r.remaining(), 0);
    let mut w = Writer::new();
    header.encode(&mut w, header_version).unwrap();
    message.encode(&mut w, frame.version).unwrap();
    (message, w.into_bytes().unwrap())
}

fn check<R: Request>(api: &str) -> Vec<(i16, R::Response)> {
    let mut responses = Vec::new();
    for frame in frames(api) {
        let written = if frame.is_request {
            again::<RequestHeader, R>(&frame, R::KEY.request_header_version(frame.version)).1
        } else {
            let header_version = R::KEY.response_header_version(frame.version);
            let (response, written) = again::<ResponseHeader, R::Response>(&frame, header_version);
            responses.push((frame.version, response));
            written
        };
        assert_eq!(written, frame.bytes, "{api} version {}", frame.version);
    }
    responses
}

#[test]
fn api_versions() {
    let responses = check::<ApiVersionsRequest>("ApiVersions");
    let [(0, _), (3, _), (4, newest)] = responses.as_slice() else {
        panic!("{responses:?}")
    };
    for (version, response) in &responses {
        for served in &response.api_keys {
            let api = ApiKey::from_i16(served.api_key).unwrap();
            assert_eq!(
                *api.versions().end(),
                served.max_version,
                "{api:?}, asked by version {version}"
            );
            // Old librdkafka takes a broker without Produce version 0 to be ancient, so Kafka says that it has it.
            let min = if api == ApiKey::Produce {
                0
            } else {
                *api.versions().start()
            };
            assert_eq!(min, served.min_version, "{api:?}, asked by version {version}");
        }
    }
    let level = newest
        .finalized_features
        .iter()
        .find(|feature| feature.name == "metadata.version");
    assert_eq!(level.map(|feature| feature.max_version_level), Some(30));
}

#[test]
fn metadata() {
    let responses = check::<MetadataRequest>("Metadata");
    let (_, newest) = responses.last().unwrap();
    assert_eq!(newest.topics[0].name.as_deref(), Some("capture"));
    assert_eq!(newest.topics[0].error_code, 0);
    for frame in frames("Metadata").iter().filter(|frame| frame.is_request) {
        let mut r = Reader::new(&frame.bytes, BUDGET);
        RequestHeader::decode(&mut r, ApiKey::Metadata.request_header_version(frame.version)).unwrap();
        let request = borrowed::MetadataRequest::decode(&mut r, frame.version).unwrap();
        assert_eq!(request.topics.unwrap()[0].name, Some("capture"));
        assert_eq!(r.remaining(), 0);
    }
}

#[test]
fn produce() {
    for (version, response) in check::<ProduceRequest>("Produce") {
        assert_eq!(
            response.responses[0].partition_responses[0].error_code, 0,
            "version {version}"
        );
    }
    for frame in frames("Produce").iter().filter(|frame| frame.is_request) {
        let mut r = Reader::new(&frame.bytes, BUDGET);
        RequestHeader::decode(&mut r, ApiKey::Produce.request_header_version(frame.version)).unwrap();
        let request = borrowed::ProduceRequest::decode(&mut r, frame.version).unwrap();
        let records = request.topic_data[0].partition_data[0].records.unwrap();
        assert_eq!((records.len(), records[16]), (73, 2), "a batch of magic 2");
        assert_eq!(r.remaining(), 0);
    }
}

#[test]
fn fetch() {
    for (version, response) in check::<FetchRequest>("Fetch") {
        let partition = &response.responses[0].partitions[0];
        assert_eq!(
            (partition.error_code, partition.high_watermark),
            (0, 4),
            "version {version}"
        );
        let Records::Bytes(records) = &partition.records else {
            panic!("no records")
        };
        assert_eq!(records.len(), 3 * 73);
    }
    for frame in frames("Fetch").iter().filter(|frame| frame.is_request) {
        let mut r = Reader::new(&frame.bytes, BUDGET);
        RequestHeader::decode(&mut r, ApiKey::Fetch.request_header_version(frame.version)).unwrap();
        let request = borrowed::FetchRequest::decode(&mut r, frame.version).unwrap();
        assert_eq!(request.topics[0].partitions[0].fetch_offset, 1);
        assert_eq!(r.remaining(), 0);
    }
}
