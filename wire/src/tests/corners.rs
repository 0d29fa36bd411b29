//! Corners of the codec that random values do not reach.

use bytes::Bytes;

use crate::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FetchResponse, MetadataRequest, OffsetCommitRequest,
    OffsetCommitValue, ProduceRequest, RequestHeader, ResponseHeader, fetch_response, produce_request,
};
use crate::{ApiKey, DecodeError, EncodeError, Message, Part, Reader, Records, Request, Writer, borrowed};

use super::{BUDGET, decode, encode};

fn read<T>(bytes: &[u8], read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    read(&mut Reader::new(&Bytes::copy_from_slice(bytes), BUDGET))
}

fn produce() -> ProduceRequest {
    ProduceRequest {
        transactional_id: Some("tx".into()),
        acks: -1,
        timeout_ms: 1500,
        topic_data: vec![produce_request::TopicProduceData {
            name: "logs".into(),
            topic_id: [0; 16],
            partition_data: vec![produce_request::PartitionProduceData {
                index: 3,
                records: Records::Bytes(Bytes::from_static(b"batch")),
            }],
        }],
    }
}

#[test]
fn varints() {
    let table: [(&[u8], Result<u32, DecodeError>); 7] = [
        (&[0], Ok(0)),
        (&[0x7f], Ok(127)),
        (&[0x80, 0x01], Ok(128)),
        (&[0xff, 0xff, 0xff, 0xff, 0x0f], Ok(u32::MAX)),
        (&[0xff, 0xff, 0xff, 0xff, 0x1f], Err(DecodeError::InvalidVarint)),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], Err(DecodeError::InvalidVarint)),
        (&[0x80], Err(DecodeError::Truncated)),
    ];
    for (bytes, expected) in table {
        assert_eq!(read(bytes, |r| r.unsigned_varint()), expected, "{bytes:?}");
        if let Ok(value) = expected {
            let mut w = Writer::new();
            w.unsigned_varint(value);
            assert_eq!(w.into_bytes().unwrap(), bytes);
        }
    }
}

#[test]
fn strings() {
    type Expected = Result<Option<&'static str>, DecodeError>;
    let table: [(&[u8], bool, Expected); 10] = [
        (&[0xff, 0xff], false, Ok(None)),
        (&[0, 0], false, Ok(Some(""))),
        (&[0, 2, b'o', b'k'], false, Ok(Some("ok"))),
        (&[0, 1, 0xff], false, Ok(Some("\u{fffd}"))),
        (&[0, 3, b'o', b'k'], false, Err(DecodeError::InvalidLength)),
        (&[0], true, Ok(None)),
        (&[1], true, Ok(Some(""))),
        (&[3, b'o', b'k'], true, Ok(Some("ok"))),
        (&[4, b'o', b'k'], true, Err(DecodeError::InvalidLength)),
        (&[0xff, 0xff, 0xff, 0xff, 0x0f], true, Err(DecodeError::InvalidLength)),
    ];
    for (bytes, flexible, expected) in table {
        let expected = expected.map(|value| value.map(str::to_owned));
        assert_eq!(
            read(bytes, |r| r.nullable_string(flexible)),
            expected,
            "{bytes:?} flexible {flexible}"
        );
        if expected == Ok(None) {
            assert_eq!(read(bytes, |r| r.string(flexible)), Err(DecodeError::UnexpectedNull));
        }
    }
    assert_eq!(
        read(&[0, 1, 0xff], |r| r.borrowed_string(false).map(str::to_owned)),
        Err(DecodeError::InvalidString)
    );
    let replaced = [&[0x40, 0][..], &[0xff; 0x4000]].concat();
    assert_eq!(
        read(&replaced, |r| r.string(false)),
        Err(DecodeError::InvalidString),
        "three times as long"
    );
    let long = "x".repeat(0x8000);
    assert_eq!(Writer::new().string(&long, true), Err(EncodeError::TooLong));
    assert_eq!(Writer::new().string(&long, false), Err(EncodeError::TooLong));
}

#[test]
fn lengths_that_lie() {
    let of_int32 = |r: &mut Reader<'_>| r.nullable_array(false, 4, Reader::int32);
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff], of_int32), Ok(None));
    assert_eq!(
        read(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1], of_int32),
        Err(DecodeError::InvalidLength)
    );
    assert_eq!(
        read(&[0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0], of_int32),
        Err(DecodeError::InvalidLength)
    );
    assert_eq!(read(&[0, 0, 0, 1, 0, 0, 0, 1], of_int32), Ok(Some(vec![1])));
    assert_eq!(
        read(&[0x7f, 0xff, 0xff, 0xff, 1], |r| r.bytes(false)),
        Err(DecodeError::InvalidLength)
    );
}

#[test]
fn memory_is_bounded_by_the_budget() {
    let mut w = Writer::new();
    w.array(&[0_i8; 1000], true, |w, value| {
        w.int8(*value);
        Ok(())
    })
    .unwrap();
    let frame = w.into_bytes().unwrap();
    let strings = |r: &mut Reader<'_>| r.array(true, 1, |r| r.nullable_string(true));
    let needed = 1000 * size_of::<Option<String>>();
    assert_eq!(
        strings(&mut Reader::new(&frame, needed - 1)),
        Err(DecodeError::OverBudget)
    );
    assert_eq!(
        strings(&mut Reader::new(&frame, needed)).map(|strings| strings.len()),
        Ok(1000)
    );
}

#[test]
fn tags() {
    let header = |tail: &[u8]| decode::<ResponseHeader>(&[&[0, 0, 0, 7], tail].concat(), 1);
    let seven = Ok(ResponseHeader { correlation_id: 7 });
    let table: [(&[u8], Result<ResponseHeader, DecodeError>); 6] = [
        (&[0], seven.clone()),
        (&[1, 5, 2, 0xaa, 0xbb], seven.clone()),
        (&[2, 5, 0, 5, 1, 9], seven),
        (&[1, 5, 3, 0xaa, 0xbb], Err(DecodeError::InvalidLength)),
        (&[2, 5, 0], Err(DecodeError::Truncated)),
        (&[0xff, 0xff, 0xff, 0xff, 0x0f], Err(DecodeError::Truncated)),
    ];
    for (tail, expected) in table {
        assert_eq!(header(tail), expected, "{tail:?}");
    }

    // Tag 1 of ApiVersionsResponse is an int64.
    let response = |tags: &[u8]| decode::<ApiVersionsResponse>(&[&[0, 0, 1, 0, 0, 0, 0], tags].concat(), 3);
    let epoch = |value: u8| [&[1, 8, 0, 0, 0, 0, 0, 0, 0][..], &[value]].concat();
    assert_eq!(
        response(&[&[1][..], &epoch(4)].concat()).map(|r| r.finalized_features_epoch),
        Ok(4)
    );
    let twice = [&[2][..], &epoch(4), &epoch(5)].concat();
    assert_eq!(response(&twice).map(|r| r.finalized_features_epoch), Ok(5));
    let too_wide = [1, 1, 9, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    assert_eq!(response(&too_wide), Err(DecodeError::InvalidTag(1)));
    let too_narrow = [1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 4];
    assert_eq!(response(&too_narrow), Err(DecodeError::InvalidTag(1)));
}

#[test]
fn a_tagged_field_is_refused_in_a_version_without_it() {
    let mut bytes = encode(&FetchRequest::default(), 12).unwrap().to_vec();
    assert_eq!(bytes.pop(), Some(0), "no tags yet");
    bytes.extend([1, 1, 0]);
    assert_eq!(decode::<FetchRequest>(&bytes, 12), Err(DecodeError::InvalidTag(1)));
}

#[test]
fn tagged_fields_are_written_unless_default() {
    let mut response = ApiVersionsResponse::default();
    assert_eq!(encode(&response, 3).unwrap().as_ref(), [0, 0, 1, 0, 0, 0, 0, 0]);
    response.finalized_features_epoch = 300;
    response.zk_migration_ready = true;
    let expected = [0, 0, 1, 0, 0, 0, 0, 2, 1, 8, 0, 0, 0, 0, 0, 0, 1, 44, 3, 1, 1];
    assert_eq!(encode(&response, 3).unwrap().as_ref(), expected);
    assert_eq!(decode(&expected, 3), Ok(response.clone()));
    // Ignorable: silently left out where a version has no tags.
    assert_eq!(encode(&response, 0).unwrap().as_ref(), [0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_size_of_two_bytes_in_front_of_a_tag_moves_what_it_holds() {
    let mut response = FetchResponse::default();
    for node_id in 0..50 {
        let host = format!("host-{node_id}");
        response.node_endpoints.push(fetch_response::NodeEndpoint {
            node_id,
            host,
            port: 9092,
            rack: None,
        });
    }
    let bytes = encode(&response, 17).unwrap();
    assert_eq!(decode(&bytes, 17), Ok(response));
}

#[test]
fn what_a_version_cannot_say_is_an_error() {
    let mut request = OffsetCommitRequest {
        group_instance_id: Some("me".into()),
        ..Default::default()
    };
    assert_eq!(
        encode(&request, 6),
        Err(EncodeError::FieldNotInVersion("OffsetCommitRequest.group_instance_id"))
    );
    assert!(encode(&request, 7).is_ok());
    request.group_instance_id = None;
    assert!(encode(&request, 6).is_ok());
    assert_eq!(encode(&request, 1), Err(EncodeError::UnsupportedVersion(1)));
    assert_eq!(
        decode::<OffsetCommitRequest>(&[], 11),
        Err(DecodeError::UnsupportedVersion(11))
    );

    let all_topics = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    assert_eq!(
        encode(&all_topics, 0),
        Err(EncodeError::UnexpectedNull("MetadataRequest.topics"))
    );
    assert_eq!(encode(&all_topics, 1).unwrap().as_ref(), [0xff, 0xff, 0xff, 0xff]);
    assert_eq!(
        decode::<MetadataRequest>(&[0xff, 0xff, 0xff, 0xff], 0),
        Err(DecodeError::UnexpectedNull)
    );
}

#[test]
fn the_client_id_has_an_old_length_in_every_version() {
    let header = RequestHeader {
        request_api_key: ApiKey::ApiVersions.to_i16(),
        request_api_version: 4,
        correlation_id: 1,
        client_id: Some("c".into()),
    };
    let bytes = encode(&header, 2).unwrap();
    assert_eq!(bytes.as_ref(), [0, 18, 0, 4, 0, 0, 0, 1, 0, 1, b'c', 0]);
    assert_eq!(decode(&bytes, 2), Ok(header));
}

#[test]
fn records_are_parts_of_their_own_and_slices_of_their_frame() {
    let request = produce();
    let Records::Bytes(batch) = request.topic_data[0].partition_data[0].records.clone() else {
        panic!("no bytes")
    };
    let mut w = Writer::framed();
    request.encode(&mut w, 9).unwrap();
    let written = w.bytes_written();
    let parts = w.into_parts().unwrap();
    let [Part::Bytes(front), Part::Bytes(records), Part::Bytes(_)] = parts.as_slice() else {
        panic!("{parts:?}")
    };
    assert_eq!(records.as_ptr(), batch.as_ptr(), "copied");
    let total: usize = parts.iter().map(Part::bytes).sum();
    assert_eq!(total, written);
    assert_eq!(front[..4], u32::try_from(total - 4).unwrap().to_be_bytes());

    let frame = encode(&request, 9).unwrap();
    let decoded = ProduceRequest::decode(&mut Reader::new(&frame, BUDGET), 9).unwrap();
    let Records::Bytes(slice) = &decoded.topic_data[0].partition_data[0].records else {
        panic!("no bytes")
    };
    assert!(frame.as_ptr_range().contains(&slice.as_ptr()), "copied");
    assert_eq!(decoded, request);
}

#[test]
fn external_records_are_left_to_the_sender() {
    let mut response = FetchResponse::default();
    let partition = |index, records| fetch_response::PartitionData {
        partition_index: index,
        records,
        ..Default::default()
    };
    response.responses.push(fetch_response::FetchableTopicResponse {
        partitions: vec![
            partition(
                0,
                Records::External {
                    index: 9,
                    length: 70_000,
                },
            ),
            partition(1, Records::Null),
            partition(2, Records::External { index: 10, length: 0 }),
        ],
        ..Default::default()
    });
    let mut w = Writer::framed();
    response.encode(&mut w, 12).unwrap();
    let parts = w.into_parts().unwrap();
    let [
        Part::Bytes(front),
        Part::External {
            index: 9,
            length: 70_000,
        },
        Part::Bytes(back),
    ] = parts.as_slice()
    else {
        panic!("{parts:?}")
    };
    let size = u32::from_be_bytes(front[..4].try_into().unwrap());
    assert_eq!(usize::try_from(size).unwrap(), front.len() - 4 + 70_000 + back.len());
}

#[test]
fn truncated_anywhere_is_an_error() {
    for version in ApiKey::Produce.versions() {
        let mut request = produce();
        if version == 13 {
            request.topic_data[0].name.clear();
        }
        let whole = encode(&request, version).unwrap();
        for end in 0..whole.len() {
            let frame = whole.slice(..end);
            let error = ProduceRequest::decode(&mut Reader::new(&frame, BUDGET), version).unwrap_err();
            assert!(
                matches!(error, DecodeError::Truncated | DecodeError::InvalidLength),
                "{error:?}"
            );
            borrowed::ProduceRequest::decode(&mut Reader::new(&frame, BUDGET), version).unwrap_err();
        }
    }
}

#[test]
fn borrowed_requests_are_the_owned_ones_in_place() {
    for version in ApiKey::Produce.versions().filter(|version| *version < 13) {
        let frame = encode(&produce(), version).unwrap();
        let mut r = Reader::new(&frame, BUDGET);
        let request = borrowed::ProduceRequest::decode(&mut r, version).unwrap();
        assert_eq!(r.remaining(), 0);
        assert_eq!(request.transactional_id, Some("tx"));
        assert_eq!((request.acks, request.timeout_ms), (-1, 1500));
        assert_eq!(request.topic_data[0].name, "logs");
        assert_eq!(
            request.topic_data[0].partition_data[0].records,
            Some(b"batch".as_slice())
        );
    }
}

#[test]
fn committed_offsets_in_place_are_the_owned_ones() {
    for version in OffsetCommitValue::VERSIONS {
        let value = OffsetCommitValue {
            offset: 5,
            leader_epoch: if version >= 3 { 3 } else { -1 },
            metadata: "m".into(),
            commit_timestamp: 77,
            expire_timestamp: if version == 1 { 88 } else { -1 },
            topic_id: if version >= 4 { [9; 16] } else { [0; 16] },
        };
        let bytes = encode(&value, version).unwrap();
        let mut r = Reader::over(&bytes, 0);
        let in_place = borrowed::OffsetCommitValue::decode(&mut r, version).unwrap();
        assert_eq!(r.remaining(), 0);
        let owned = OffsetCommitValue {
            offset: in_place.offset,
            leader_epoch: in_place.leader_epoch,
            metadata: in_place.metadata.into(),
            commit_timestamp: in_place.commit_timestamp,
            expire_timestamp: in_place.expire_timestamp,
            topic_id: in_place.topic_id,
        };
        assert_eq!(owned, value);
    }
}

#[test]
fn bytes_that_cannot_be_shared_are_copied_within_the_budget() {
    let bytes = [0, 0, 0, 3, 7, 8, 9];
    let read = |budget| Reader::over(&bytes, budget).bytes(false);
    assert_eq!(read(3), Ok(Bytes::from_static(&[7, 8, 9])));
    assert_eq!(read(2), Err(DecodeError::OverBudget));
    assert_eq!(Reader::over(&[0, 0, 0, 0], 0).bytes(false), Ok(Bytes::new()));
}

/// What holds for each API, whatever its messages are.
macro_rules! check_each_api {
    ($($api:ident, $request:ident, $response:ident;)*) => {{
        let mut count = 0;
        $({
            use crate::messages::{$request, $response};
            let key = ApiKey::$api;
            assert_eq!($request::KEY, key);
            assert_eq!(ApiKey::from_i16(key.to_i16()), Some(key));
            assert_eq!(ApiKey::ALL[count], key);
            assert_eq!($request::VERSIONS, $response::VERSIONS);
            assert_eq!(key.versions().start(), $request::VERSIONS.start());
            assert!(key.versions().end() <= $request::VERSIONS.end());
            for version in $request::VERSIONS {
                round_trip(&$request::default(), version);
                round_trip(&$response::default(), version);
                assert_eq!(key.request_header_version(version) == 2, key.is_flexible(version));
            }
            count += 1;
        })*
        assert_eq!(count, ApiKey::ALL.len());
    }};
}

fn round_trip<T: Message + PartialEq + std::fmt::Debug>(message: &T, version: i16) {
    // Some messages have a field that is null by default and cannot be so in every version.
    let Ok(bytes) = encode(message, version) else { return };
    assert!(bytes.len() >= T::BYTES_MIN || bytes.is_empty());
    assert_eq!(decode::<T>(&bytes, version).as_ref(), Ok(message));
}

#[test]
fn every_api() {
    crate::for_each_api!(check_each_api);
    assert_eq!(ApiKey::from_i16(4), None);
    assert_eq!(ApiKey::ApiVersions.response_header_version(4), 0);
    assert_eq!(ApiKey::Fetch.response_header_version(12), 1);
    assert_eq!(ApiKey::Fetch.response_header_version(11), 0);
    assert_eq!(ApiKey::InitProducerId.versions(), 0..=5, "version 6 is not stable yet");
    assert!(encode(&ApiVersionsRequest::default(), 0).unwrap().is_empty());
}
