//! What a topic demands of single records: keys, timestamps. Each record that breaks a rule is named.

use bytes::Bytes;
use duramen::base::time::TimestampMs;
use duramen::record::{BatchBuilder, Compression, Record};

use crate::bad_batches::attempt;
use crate::codes::{INVALID_RECORD, INVALID_TIMESTAMP, NONE};
use crate::fixture::{create_topic, create_topic_with, now_ms};
use crate::harness::Broker;
use crate::round_trip::compressed;

fn batch_at(timestamps: &[i64]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for &timestamp in timestamps {
        builder
            .append(&Record::new(TimestampMs(timestamp), None, Some(b"v")))
            .unwrap();
    }
    builder.build().unwrap()
}

/// `message.timestamp.after.max.ms` is an hour by default: a record from the future would never be deleted.
#[test]
fn timestamps_of_the_future() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "future", 1);
    let now = now_ms();
    let hour = 3_600_000;
    assert_eq!(
        attempt(&mut client, &topic, &batch_at(&[now - 1000 * hour, now + hour / 2])).error_code,
        NONE
    );
    let answer = attempt(
        &mut client,
        &topic,
        &batch_at(&[now, now + 2 * hour, now + hour / 2, now + 3 * hour]),
    );
    assert_eq!(answer.error_code, INVALID_TIMESTAMP);
    let indexes: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
    assert_eq!(indexes, [1, 3]);
    assert!(answer.error_message.is_some());
    // Without a timestamp there is nothing to check.
    assert_eq!(attempt(&mut client, &topic, &batch_at(&[-1])).error_code, NONE);
}

/// `message.timestamp.before.max.ms` and `after.max.ms` of a topic; the broker's time makes both idle.
#[test]
fn timestamps_out_of_the_range_of_a_topic() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let range = [
        ("message.timestamp.before.max.ms", "60000"),
        ("message.timestamp.after.max.ms", "1000"),
    ];
    let topic = create_topic_with(&mut client, "range", 1, &range);
    let now = now_ms();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let good = compressed(&batch_at(&[now - 30_000, now]), compression);
        assert_eq!(attempt(&mut client, &topic, &good).error_code, NONE);
        let bad = compressed(&batch_at(&[now - 90_000, now, now + 90_000, -1]), compression);
        let answer = attempt(&mut client, &topic, &bad);
        assert_eq!(answer.error_code, INVALID_TIMESTAMP);
        let indexes: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
        assert_eq!(indexes, [0, 2]);
        let message = answer.record_errors[0].batch_index_error_message.as_deref();
        assert!(
            message.is_some_and(|message| message.contains("out of range")),
            "{message:?}"
        );
    }
    let stamped = [range[0], range[1], ("message.timestamp.type", "LogAppendTime")];
    let topic = create_topic_with(&mut client, "stamped", 1, &stamped);
    assert_eq!(
        attempt(&mut client, &topic, &batch_at(&[now - 90_000])).error_code,
        NONE
    );
}

/// Where keys are missing and times are wrong, the code is that of the times, and all records are named.
#[test]
fn keys_and_timestamps_at_once() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic_with(&mut client, "both", 1, &[("cleanup.policy", "compact,delete")]);
    let now = now_ms();
    let mut builder = BatchBuilder::new();
    for (key, timestamp) in [
        (None, now),
        (Some(b"k".as_slice()), now + 9_000_000),
        (None, now),
        (Some(b"k"), now),
    ] {
        builder
            .append(&Record::new(TimestampMs(timestamp), key, Some(b"v")))
            .unwrap();
    }
    let records = builder.build().unwrap();
    for compression in [Compression::None, Compression::Lz4] {
        let answer = attempt(&mut client, &topic, &compressed(&records, compression));
        assert_eq!(answer.error_code, INVALID_TIMESTAMP);
        let indexes: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
        assert_eq!(indexes, [0, 1, 2]);
    }
}

#[test]
fn compacted_topics_need_keys() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic_with(&mut client, "compacted", 1, &[("cleanup.policy", "compact")]);
    let mut builder = BatchBuilder::new();
    for key in [Some(b"key".as_slice()), None, Some(b"key")] {
        builder
            .append(&Record::new(TimestampMs(now_ms()), key, Some(b"v")))
            .unwrap();
    }
    let answer = attempt(&mut client, &topic, &builder.build().unwrap());
    assert_eq!(answer.error_code, INVALID_RECORD);
    let indexes: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
    assert_eq!(indexes, [1]);
}
