//! Logs of several segments: read from anywhere, over segment boundaries, after restarts, and while their topic ends.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use duramen::base::time::TimestampMs;
use duramen::record::{BatchBuilder, Batches, Record};
use duramen_wire::messages::DeleteTopicsRequest;

use crate::client::{Client, frame};
use crate::codes::NONE;
use crate::fixture::{
    LIST_OFFSETS, Topic, create_topic_with, end_offset, fetch_request, list_offsets_request, now_ms, partitions_of,
    produce, records_of, try_fetch,
};
use crate::harness::Broker;

const BATCHES: i64 = 60;
const RECORDS: i64 = 4;

/// Records are 10 ms apart.
const STEP_MS: i64 = 10;

/// A topic with `BATCHES` batches of 100 KB in segments of 1 MiB; the time of its first record.
fn several_segments(client: &mut Client) -> (Topic, i64) {
    let topic = create_topic_with(client, "segments", 1, &[("segment.bytes", "1048576")]);
    let base = now_ms() - 1_000_000;
    let value: Vec<u8> = (0..25_000_u32).map(|index| (index % 253).to_be_bytes()[3]).collect();
    for batch in 0..BATCHES {
        let mut builder = BatchBuilder::new();
        for record in 0..RECORDS {
            let timestamp = TimestampMs(base + STEP_MS * (RECORDS * batch + record));
            builder.append(&Record::new(timestamp, None, Some(&value))).unwrap();
        }
        assert_eq!(produce(client, &topic, 0, &builder.build().unwrap()), RECORDS * batch);
    }
    (topic, base)
}

/// Base offset of the first batch at or after the front of `records`, which are whole batches one after the other.
fn first_offset(records: &Bytes) -> i64 {
    let mut next = None;
    for batch in Batches::new(records).map_while(Result::ok) {
        batch.check_crc().unwrap();
        assert!(next.is_none_or(|next| next == batch.header().base_offset), "a gap");
        next = Some(batch.header().next_offset());
    }
    let first = Batches::new(records).next().unwrap().unwrap();
    first.header().base_offset.0
}

/// Reads all of it, as a consumer does.
fn read_through(client: &mut Client, topic: &Topic, bytes: i32) -> i64 {
    let mut offset = 0;
    loop {
        let mut request = fetch_request(topic, &[(0, offset)]);
        request.topics[0].partitions[0].partition_max_bytes = bytes;
        let [answer] = partitions_of(client.call(13, &request)).try_into().unwrap();
        assert_eq!(answer.error_code, NONE);
        let records = records_of(&answer);
        let Some(last) = Batches::new(&records).map_while(Result::ok).last() else {
            return offset;
        };
        assert!(first_offset(&records) <= offset);
        offset = last.header().next_offset().0;
    }
}

fn assert_readable(client: &mut Client, topic: &Topic, base: i64) {
    let end = BATCHES * RECORDS;
    assert_eq!(end_offset(client, topic, 0), end);
    for offset in (0..end).step_by(7) {
        let answer = try_fetch(client, topic, 0, offset);
        assert_eq!(answer.error_code, NONE);
        assert_eq!(
            first_offset(&records_of(&answer)),
            offset / RECORDS * RECORDS,
            "offset {offset}"
        );
        let request = list_offsets_request(topic, &[(0, base + STEP_MS * offset - 3)]);
        let found = &client.call(LIST_OFFSETS, &request).topics[0].partitions[0];
        assert_eq!(
            (found.error_code, found.offset),
            (NONE, offset),
            "time of offset {offset}"
        );
    }
    for bytes in [1, 150_000, 3_000_000] {
        assert_eq!(read_through(client, topic, bytes), end, "{bytes} bytes at a time");
    }
}

#[test]
fn read_from_anywhere() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let (topic, base) = several_segments(&mut client);
    assert_readable(&mut client, &topic, base);
}

#[test]
fn read_from_anywhere_after_restarts() {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let (topic, base) = several_segments(&mut broker.client());
    for restart in [Broker::kill_and_restart, Broker::restart] {
        restart(&mut broker, 1);
        assert_readable(&mut broker.client(), &topic, base);
    }
}

/// A slow reader has asked for records of a topic that ends before they have left: it gets them all, or a closed connection.
#[test]
fn deleted_while_it_is_sent() {
    let mut broker = Broker::start(2);
    let mut admin = broker.client();
    let (topic, _) = several_segments(&mut admin);
    let mut readers: Vec<_> = (0..4).map(|_| broker.client()).collect();
    for reader in &mut readers {
        reader.send_bytes(&frame(12, 1, &fetch_request(&topic, &[(0, 0)])));
        let mut size = [0; 4];
        reader.stream().read_exact(&mut size).unwrap();
        assert!(i32::from_be_bytes(size) > 500_000);
    }
    let request = DeleteTopicsRequest {
        topic_names: vec![topic.name.clone()],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    assert_eq!(admin.call(5, &request).responses[0].error_code, NONE);
    for reader in &mut readers {
        let mut bytes = 0;
        let mut buffer = vec![0; 1 << 16];
        reader.set_read_timeout(Duration::from_millis(500));
        while let Ok(count) = reader.stream().read(&mut buffer)
            && count > 0
        {
            bytes += count;
        }
        assert!(bytes > 0);
    }
    admin.assert_usable();
    broker.assert_alive();
}
