//! ListOffsets: the offsets with names, and by time.

use std::time::Duration;

use duramen::base::time::TimestampMs;
use duramen::record::{BatchBuilder, Compression, Record};
use duramen_wire::messages::ListOffsetsRequest;

use crate::client::Client;
use crate::codes::{INVALID_REQUEST, NONE, UNKNOWN_TOPIC_OR_PARTITION, UNSUPPORTED_VERSION};
use crate::fixture::{
    LIST_OFFSETS, Topic, create_topic, create_topic_with, list_offsets_request, now_ms, produce, try_produce, unique,
};
use crate::harness::{Broker, poll};
use crate::round_trip::{CODECS, compressed};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Error code, timestamp, offset.
fn ask(client: &mut Client, version: i16, topic: &Topic, timestamp: i64) -> (i16, i64, i64) {
    let request = list_offsets_request(topic, &[(0, timestamp)]);
    let response = client.call(version, &request);
    let [answer] = response.topics[0].partitions.as_slice() else {
        panic!("{response:?}");
    };
    if version >= 4 && answer.error_code == NONE && answer.offset >= 0 && timestamp != MAX_TIMESTAMP {
        assert!(answer.leader_epoch >= 0 || answer.offset == 0, "v{version}: {answer:?}");
    }
    (answer.error_code, answer.timestamp, answer.offset)
}

/// Times relative to the base, in batches: offsets 0 to 8, the greatest time in the middle.
const TIMES: [&[i64]; 3] = [&[0, 10, 20], &[30, 90, 40], &[50, 50, 60]];

/// A topic with records at [`TIMES`] after the time that is returned.
fn timed(client: &mut Client, compression: Compression) -> (Topic, i64) {
    let topic = create_topic(client, "timed", 1);
    let base = now_ms() - 100_000;
    for times in TIMES {
        let mut builder = BatchBuilder::new();
        for time in times {
            builder
                .append(&Record::new(TimestampMs(base + time), None, Some(b"v")))
                .unwrap();
        }
        produce(client, &topic, 0, &compressed(&builder.build().unwrap(), compression));
    }
    (topic, base)
}

#[test]
fn offsets_with_names() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let (topic, base) = timed(&mut client, Compression::None);
    let empty = create_topic(&mut client, "empty", 1);
    for version in 1..=11 {
        let named = [
            (LATEST, 1, (-1, 9), (-1, 0)),
            (EARLIEST, 1, (-1, 0), (-1, 0)),
            (MAX_TIMESTAMP, 7, (base + 90, 4), (-1, -1)),
            (EARLIEST_LOCAL, 8, (-1, 0), (-1, 0)),
            (LATEST_TIERED, 9, (-1, -1), (-1, -1)),
            (EARLIEST_PENDING_UPLOAD, 11, (-1, -1), (-1, -1)),
        ];
        for (timestamp, since, filled_expected, empty_expected) in named {
            let what = format!("v{version}, {timestamp}");
            for (topic, (time, offset)) in [(&topic, filled_expected), (&empty, empty_expected)] {
                let expected = if version >= since {
                    (NONE, time, offset)
                } else {
                    (UNSUPPORTED_VERSION, -1, -1)
                };
                assert_eq!(
                    ask(&mut client, version, topic, timestamp),
                    expected,
                    "{what}, {}",
                    topic.name
                );
            }
        }
        for timestamp in [-7, -1000, i64::MIN] {
            let found = ask(&mut client, version, &topic, timestamp);
            assert_eq!(found, (UNSUPPORTED_VERSION, -1, -1), "v{version}, {timestamp}");
        }
    }
}

/// The first record whose time is not below the one that is asked for.
fn offsets_by_time(compression: Compression) {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let (topic, base) = timed(&mut client, compression);
    for version in 1..=11 {
        for (time, expected_time, expected_offset) in [
            (-50_000, 0, 0),
            (0, 0, 0),
            (1, 10, 1),
            (10, 10, 1),
            (11, 20, 2),
            (21, 30, 3),
            (31, 90, 4),
            (41, 90, 4),
            (90, 90, 4),
        ] {
            let found = ask(&mut client, version, &topic, base + time);
            assert_eq!(
                found,
                (NONE, base + expected_time, expected_offset),
                "v{version}, {time}"
            );
        }
        for time in [91, 100_000_000] {
            assert_eq!(
                ask(&mut client, version, &topic, base + time),
                (NONE, -1, -1),
                "v{version}, {time}"
            );
        }
        assert_eq!(
            ask(&mut client, version, &topic, i64::MAX),
            (NONE, -1, -1),
            "v{version}"
        );
        assert_eq!(ask(&mut client, version, &topic, 0), (NONE, base, 0), "v{version}");
    }
}

#[test]
fn offsets_by_time_in_plain_batches() {
    offsets_by_time(Compression::None);
}

#[test]
fn offsets_by_time_in_compressed_batches() {
    offsets_by_time(Compression::Lz4);
}

/// Over many batches the answer comes by way of the time index.
#[test]
fn offsets_by_time_over_many_batches() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "indexed", 1);
    let base = now_ms() - 1_000_000;
    let value = vec![b'v'; 2000];
    for batch in 0..60 {
        let mut builder = BatchBuilder::new();
        for record in 0..5 {
            let timestamp = TimestampMs(base + 100 * (5 * batch + record));
            builder.append(&Record::new(timestamp, None, Some(&value))).unwrap();
        }
        produce(&mut client, &topic, 0, &builder.build().unwrap());
    }
    for offset in 0..300 {
        let time = base + 100 * offset;
        for asked in [time - 99, time - 50, time] {
            assert_eq!(
                ask(&mut client, LIST_OFFSETS, &topic, asked),
                (NONE, time, offset),
                "{offset}"
            );
        }
    }
    assert_eq!(
        ask(&mut client, LIST_OFFSETS, &topic, MAX_TIMESTAMP),
        (NONE, base + 29_900, 299)
    );
}

/// Records whose producer gave them no time are found by no time.
#[test]
fn records_without_time() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "timeless", 1);
    let mut builder = BatchBuilder::new();
    builder
        .append(&Record::new(TimestampMs::NONE, None, Some(b"v")))
        .unwrap();
    produce(&mut client, &topic, 0, &builder.build().unwrap());
    assert_eq!(ask(&mut client, LIST_OFFSETS, &topic, 0), (NONE, -1, -1));
    // Apache Kafka names the offset of the record without time.
    let maximum = ask(&mut client, LIST_OFFSETS, &topic, MAX_TIMESTAMP);
    assert!([(NONE, -1, -1), (NONE, -1, 0)].contains(&maximum), "{maximum:?}");
    assert_eq!(ask(&mut client, LIST_OFFSETS, &topic, LATEST), (NONE, -1, 1));
}

#[test]
fn what_is_not_there() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "one", 1);
    let unknown = Topic {
        name: unique("unknown"),
        id: [0; 16],
    };
    for version in 1..=11 {
        for (topic, partition) in [(&topic, 1), (&topic, -1), (&unknown, 0)] {
            for timestamp in [LATEST, EARLIEST, 0] {
                let request = list_offsets_request(topic, &[(partition, timestamp)]);
                let answer = &client.call(version, &request).topics[0].partitions[0];
                assert_eq!(answer.partition_index, partition);
                let found = (answer.error_code, answer.timestamp, answer.offset);
                assert_eq!(
                    found,
                    (UNKNOWN_TOPIC_OR_PARTITION, -1, -1),
                    "v{version}, {partition}, {timestamp}"
                );
            }
        }
    }
}

#[test]
fn a_partition_asked_for_twice() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "twice", 2);
    for version in 1..=11 {
        let request = list_offsets_request(&topic, &[(0, LATEST), (1, LATEST), (0, EARLIEST)]);
        let response = client.call(version, &request);
        let mut found: Vec<_> = response.topics[0]
            .partitions
            .iter()
            .map(|answer| (answer.partition_index, answer.error_code))
            .collect();
        found.dedup();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, [(0, INVALID_REQUEST), (1, NONE)], "v{version}");
    }
}

/// All partitions of a topic at once, on several cores, for both isolation levels.
#[test]
fn many_partitions() {
    let broker = Broker::start(4);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "many", 32);
    for partition in 0..32 {
        for _ in 0..partition % 4 {
            produce(&mut client, &topic, partition, &crate::fixture::sized_batch(1, 10));
        }
    }
    let asked: Vec<_> = (0..32).map(|partition| (partition, LATEST)).collect();
    for isolation_level in [0, 1] {
        let request = ListOffsetsRequest {
            isolation_level,
            ..list_offsets_request(&topic, &asked)
        };
        let mut answers = client.call(LIST_OFFSETS, &request).topics.remove(0).partitions;
        answers.sort_by_key(|answer| answer.partition_index);
        let offsets: Vec<_> = answers.iter().map(|answer| answer.offset).collect();
        let expected: Vec<_> = (0..32).map(|partition| partition % 4).collect();
        assert_eq!(offsets, expected);
    }
}

/// With the broker's time, all records of a batch have the time of its append.
#[test]
fn offsets_by_the_brokers_time() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let configs = [("message.timestamp.type", "LogAppendTime")];
    let topic = create_topic_with(&mut client, "append-time", 1, &configs);
    let mut times = Vec::new();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut builder = BatchBuilder::new();
        for time in [5, 3, 9] {
            builder
                .append(&Record::new(TimestampMs(time), None, Some(b"v")))
                .unwrap();
        }
        let answer = try_produce(
            &mut client,
            &topic,
            0,
            &compressed(&builder.build().unwrap(), compression),
        );
        times.push(answer.log_append_time_ms);
        // The next batch has a later time.
        poll("the next millisecond", Duration::from_secs(1), || {
            (now_ms() > times[times.len() - 1]).then_some(())
        });
    }
    for (time, base_offset) in times.iter().zip([0, 3, 6]) {
        assert_eq!(
            ask(&mut client, LIST_OFFSETS, &topic, *time),
            (NONE, *time, base_offset)
        );
        let earlier = times
            .iter()
            .rev()
            .find(|other| *other < time)
            .map_or(0, |other| other + 1);
        assert_eq!(
            ask(&mut client, LIST_OFFSETS, &topic, earlier),
            (NONE, *time, base_offset)
        );
    }
    assert_eq!(ask(&mut client, LIST_OFFSETS, &topic, times[2] + 1), (NONE, -1, -1));
    assert_eq!(
        ask(&mut client, LIST_OFFSETS, &topic, MAX_TIMESTAMP),
        (NONE, times[2], 6)
    );
}

/// Times that go up and down over thousands of batches and several segments: whatever is far behind one late record is searched in steps.
#[test]
fn offsets_by_time_without_order() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let configs = [("segment.bytes", "1048576"), ("index.interval.bytes", "100")];
    let topic = create_topic_with(&mut client, "unordered", 1, &configs);
    let base = now_ms() - 10_000_000;
    let value = vec![b'v'; 1000];
    let time_of = |offset: i64| base + if offset == 50 { 5000 } else { offset * 7919 % 4000 };
    let mut times = Vec::new();
    for batch in 0..300 {
        let mut builder = BatchBuilder::new();
        for record in 0..10 {
            times.push(time_of(batch * 10 + record));
            builder
                .append(&Record::new(TimestampMs(times[times.len() - 1]), None, Some(&value)))
                .unwrap();
        }
        let codec = [Compression::None, Compression::Lz4][usize::try_from(batch % 2).unwrap()];
        produce(&mut client, &topic, 0, &compressed(&builder.build().unwrap(), codec));
    }
    for time in (0..5200).step_by(97).map(|time| base + time) {
        let expected = (0..).zip(&times).find(|(_, other)| **other >= time);
        let expected = expected.map_or((NONE, -1, -1), |(offset, found)| (NONE, *found, offset));
        assert_eq!(
            ask(&mut client, LIST_OFFSETS, &topic, time),
            expected,
            "{}",
            time - base
        );
    }
    assert_eq!(
        ask(&mut client, LIST_OFFSETS, &topic, MAX_TIMESTAMP),
        (NONE, base + 5000, 50)
    );
}

/// The last record of a batch that expands to megabytes.
#[test]
fn offsets_by_time_in_a_large_batch() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let base = now_ms() - 1_000_000;
    for compression in CODECS {
        let topic = create_topic(&mut client, "large", 1);
        let mut builder = BatchBuilder::new();
        for offset in 0..9 {
            let value = vec![
                b'v';
                if compression == Compression::None {
                    100_000
                } else {
                    2_000_000
                }
            ];
            builder
                .append(&Record::new(TimestampMs(base + 10 * offset), None, Some(&value)))
                .unwrap();
        }
        produce(
            &mut client,
            &topic,
            0,
            &compressed(&builder.build().unwrap(), compression),
        );
        for offset in [0, 5, 8] {
            let time = base + 10 * offset;
            assert_eq!(
                ask(&mut client, LIST_OFFSETS, &topic, time - 9),
                (NONE, time, offset),
                "{compression:?}"
            );
        }
        assert_eq!(ask(&mut client, LIST_OFFSETS, &topic, base + 81), (NONE, -1, -1));
    }
}
