//! What goes from the front of a log: by time, by size, and by DeleteRecords; and where logs are.

use std::time::Duration;

use bytes::Bytes;
use duramen::base::time::TimestampMs;
use duramen::record::{BatchBuilder, Record};
use duramen_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use duramen_wire::messages::describe_log_dirs_request::DescribableLogDirTopic;
use duramen_wire::messages::describe_log_dirs_response::DescribeLogDirsResult;
use duramen_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use duramen_wire::messages::{
    DeleteRecordsRequest, DescribeLogDirsRequest, FetchRequest, IncrementalAlterConfigsRequest,
};

use crate::client::Client;
use crate::codes::{NONE, OFFSET_OUT_OF_RANGE, POLICY_VIOLATION, UNKNOWN_TOPIC_OR_PARTITION};
use crate::fixture::{
    FETCH, Topic, create_topic, create_topic_with, end_offset, fetch_request, list_offset, now_ms, partitions_of,
    produce, sized_batch, try_fetch, unique,
};
use crate::harness::{Broker, poll};

/// Looks for old segments all the time.
const HURRIED: &[&str] = &["log.retention.check.interval.ms=20", "log.initial.task.delay.ms=0"];

/// Where a log begins when the requests says -2.
fn start_offset(client: &mut Client, topic: &Topic) -> i64 {
    let (error_code, offset) = list_offset(client, topic, 0, -2);
    assert_eq!(error_code, NONE);
    offset
}

/// A batch of one record with this timestamp.
fn batch_at(timestamp: i64) -> Bytes {
    let mut builder = BatchBuilder::new();
    let value = vec![b'v'; 2000];
    builder
        .append(&Record::new(TimestampMs(timestamp), None, Some(&value)))
        .unwrap();
    builder.build().unwrap()
}

/// Waits until a log begins at `offset`.
fn wait_for_start(client: &mut Client, topic: &Topic, offset: i64) {
    poll("the start of the log", Duration::from_secs(10), || {
        (start_offset(client, topic) == offset).then_some(())
    });
}

fn delete(client: &mut Client, version: i16, topic: &str, partition: i32, offset: i64) -> (i16, i64) {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: topic.to_owned(),
            partitions: vec![DeleteRecordsPartition {
                partition_index: partition,
                offset,
            }],
        }],
        timeout_ms: 10_000,
    };
    let [topic] = client.call(version, &request).topics.try_into().unwrap();
    let [answer] = topic.partitions.try_into().unwrap();
    assert_eq!(answer.partition_index, partition);
    (answer.error_code, answer.low_watermark)
}

#[test]
fn records_are_deleted_up_to_an_offset_and_stay_so() {
    let mut broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "delete-records", 2);
    for _ in 0..20 {
        produce(&mut client, &topic, 0, &sized_batch(5, 100));
    }
    for (version, offset) in (0..=2).zip([7, 12, 33]) {
        assert_eq!(delete(&mut client, version, &topic.name, 0, offset), (NONE, offset));
        assert_eq!(start_offset(&mut client, &topic), offset);
        assert_eq!(
            try_fetch(&mut client, &topic, 0, offset - 1).error_code,
            OFFSET_OUT_OF_RANGE
        );
        let answer = try_fetch(&mut client, &topic, 0, offset);
        assert_eq!((answer.error_code, answer.log_start_offset), (NONE, offset));
    }
    assert_eq!(
        delete(&mut client, 2, &topic.name, 0, 5),
        (NONE, 33),
        "it never goes back"
    );
    assert_eq!(delete(&mut client, 2, &topic.name, 0, 101), (OFFSET_OUT_OF_RANGE, -1));
    assert_eq!(delete(&mut client, 2, &topic.name, 0, -2), (OFFSET_OUT_OF_RANGE, -1));
    let unknown = (UNKNOWN_TOPIC_OR_PARTITION, -1);
    assert_eq!(delete(&mut client, 2, &topic.name, 2, 0), unknown);
    assert_eq!(delete(&mut client, 2, &unique("unknown"), 0, 0), unknown);
    let compacted = create_topic_with(&mut client, "compacted", 1, &[("cleanup.policy", "compact")]);
    assert_eq!(delete(&mut client, 2, &compacted.name, 0, 0), (POLICY_VIOLATION, -1));
    if broker.is_ours() {
        broker.kill_and_restart(1);
        client = broker.client();
        assert_eq!(start_offset(&mut client, &topic), 33);
        broker.restart(2);
        client = broker.client();
        assert_eq!(start_offset(&mut client, &topic), 33);
    }
    assert_eq!(
        delete(&mut client, 2, &topic.name, 0, -1),
        (NONE, 100),
        "the high watermark"
    );
    assert_eq!(start_offset(&mut client, &topic), 100);
    assert_eq!(produce(&mut client, &topic, 0, &sized_batch(1, 10)), 100);
}

/// A reader waits at the end for more bytes than there are, and the records that it waits with go.
#[test]
fn a_waiting_reader_learns_that_its_records_are_gone() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "gone", 1);
    produce(&mut client, &topic, 0, &sized_batch(5, 100));
    let mut reader = broker.client();
    let request = FetchRequest {
        max_wait_ms: 20_000,
        min_bytes: 10_000,
        ..fetch_request(&topic, &[(0, 2)])
    };
    let asked = reader.send(FETCH, &request);
    reader.assert_silent(Duration::from_millis(100));
    assert_eq!(delete(&mut client, 2, &topic.name, 0, 4), (NONE, 4));
    // Apache Kafka tells it when its time is over.
    if broker.is_ours() {
        let [answer] = partitions_of(reader.receive::<FetchRequest>(FETCH, asked))
            .try_into()
            .unwrap();
        assert_eq!(answer.error_code, OFFSET_OUT_OF_RANGE);
    }
}

#[test]
fn old_segments_go_by_themselves() {
    let Some(mut broker) = Broker::start_own(2, HURRIED) else {
        return;
    };
    let mut client = broker.client();
    let configs = [
        ("internal.segment.bytes", "5000"),
        ("retention.ms", "3600000"),
        ("file.delete.delay.ms", "0"),
        ("message.timestamp.before.max.ms", "9223372036854775807"),
    ];
    let topic = create_topic_with(&mut client, "old", 1, &configs);
    let now = now_ms();
    // Five old records, then two young ones; two to a segment, or less, when a look comes in between: an old active segment ends too.
    for (record, age_ms) in [7_200_000, 7_200_000, 7_200_000, 7_200_000, 7_200_000, 0, 0]
        .into_iter()
        .enumerate()
    {
        let offset = produce(&mut client, &topic, 0, &batch_at(now - age_ms));
        assert_eq!(offset, i64::try_from(record).unwrap());
    }
    poll("the start of the log", Duration::from_secs(10), || {
        let start = start_offset(&mut client, &topic);
        assert!(start <= 5, "{start}");
        (start >= 4).then_some(())
    });
    assert_eq!(try_fetch(&mut client, &topic, 0, 3).error_code, OFFSET_OUT_OF_RANGE);

    // The setting changes, and with it what the running partition does; the last segment goes too.
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: 2,
            resource_name: topic.name.clone(),
            configs: vec![AlterableConfig {
                name: "retention.ms".to_owned(),
                config_operation: 0,
                value: Some("1".to_owned()),
            }],
        }],
        validate_only: false,
    };
    assert_eq!(client.call(1, &request).responses[0].error_code, NONE);
    wait_for_start(&mut client, &topic, 7);
    assert_eq!(end_offset(&mut client, &topic, 0), 7);
    broker.restart(1);
    let mut client = broker.client();
    assert_eq!(
        (start_offset(&mut client, &topic), end_offset(&mut client, &topic, 0)),
        (7, 7)
    );
    assert_eq!(produce(&mut client, &topic, 0, &sized_batch(1, 10)), 7);
}

#[test]
fn a_log_keeps_its_size() {
    let Some(broker) = Broker::start_own(1, HURRIED) else {
        return;
    };
    let mut client = broker.client();
    let configs = [
        ("internal.segment.bytes", "5000"),
        ("retention.bytes", "12000"),
        ("file.delete.delay.ms", "0"),
    ];
    let topic = create_topic_with(&mut client, "large", 1, &configs);
    let now = now_ms();
    for _ in 0..20 {
        produce(&mut client, &topic, 0, &batch_at(now));
    }
    // Six records are a little more than 12000 bytes, and three segments.
    wait_for_start(&mut client, &topic, 14);
    let size = || {
        let directories = describe_log_dirs(&mut broker.client(), 4, None);
        directories[0].topics[0].partitions[0].partition_size
    };
    assert!((12_000..17_000).contains(&size()), "{}", size());
}

fn describe_log_dirs(
    client: &mut Client,
    version: i16,
    topics: Option<Vec<DescribableLogDirTopic>>,
) -> Vec<DescribeLogDirsResult> {
    let response = client.call(version, &DescribeLogDirsRequest { topics });
    assert_eq!(response.error_code, NONE);
    response.results
}

#[test]
fn logs_are_found_in_their_directory() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "directories", 3);
    produce(&mut client, &topic, 1, &sized_batch(5, 100));
    for version in 1..=5 {
        let asked = DescribableLogDirTopic {
            topic: topic.name.clone(),
            partitions: vec![0, 1, 7],
        };
        let [directory] = describe_log_dirs(&mut client, version, Some(vec![asked]))
            .try_into()
            .unwrap();
        assert_eq!(directory.error_code, NONE);
        assert!(directory.log_dir.starts_with('/'), "{}", directory.log_dir);
        if version >= 4 {
            assert!(directory.total_bytes >= directory.usable_bytes && directory.usable_bytes > 0);
        }
        let [found] = directory.topics.try_into().unwrap();
        assert_eq!(found.name, topic.name);
        let mut sizes: Vec<_> = found
            .partitions
            .iter()
            .map(|partition| {
                (
                    partition.partition_index,
                    partition.partition_size > 0,
                    partition.offset_lag,
                )
            })
            .collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [(0, false, 0), (1, true, 0)]);
        let all = describe_log_dirs(&mut client, version, None);
        assert!(
            all[0]
                .topics
                .iter()
                .any(|found| found.name == topic.name && found.partitions.len() == 3)
        );
    }
    assert!(describe_log_dirs(&mut client, 4, Some(Vec::new()))[0].topics.is_empty());
}
