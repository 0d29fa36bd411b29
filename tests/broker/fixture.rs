//! What most tests need: topics, batches, and the requests about them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use duramen::base::ids::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use duramen::base::offset::Offset;
use duramen::base::time::TimestampMs;
use duramen::record::{BatchBuilder, BatchHeader, ProducerStamp, Record};
use duramen_wire::Records;
use duramen_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use duramen_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use duramen_wire::messages::fetch_response::PartitionData;
use duramen_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use duramen_wire::messages::metadata_request::MetadataRequestTopic;
use duramen_wire::messages::metadata_response::MetadataResponseTopic;
use duramen_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use duramen_wire::messages::produce_response::PartitionProduceResponse;
use duramen_wire::messages::{
    CreateTopicsRequest, FetchRequest, FetchResponse, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest,
    ProduceRequest,
};

use crate::client::Client;
use crate::codes::NONE;
use crate::harness::poll;

/// Versions for tests that are not about versions.
pub const PRODUCE: i16 = 12;
pub const FETCH: i16 = 17;
pub const METADATA: i16 = 13;
pub const LIST_OFFSETS: i16 = 10;

/// Length of a batch header, and where the fields that tests spoil begin.
pub const HEADER_BYTES: usize = 61;

#[derive(Clone, Debug)]
pub struct Topic {
    pub name: String,
    pub id: [u8; 16],
}

/// A name that no other test, and no run before on the same target, has.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{:x}-{count}", now_ms())
}

pub fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since_epoch.as_millis().try_into().unwrap()
}

/// Creates a topic with a name of its own and waits until all partitions answer.
pub fn create_topic(client: &mut Client, prefix: &str, partitions: i32) -> Topic {
    create_topic_with(client, prefix, partitions, &[])
}

pub fn create_topic_with(client: &mut Client, prefix: &str, partitions: i32, configs: &[(&str, &str)]) -> Topic {
    let name = unique(prefix);
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.clone(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs
                .iter()
                .map(|&(name, value)| CreatableTopicConfig {
                    name: name.to_owned(),
                    value: Some(value.to_owned()),
                })
                .collect(),
            ..CreatableTopic::default()
        }],
        timeout_ms: 10_000,
        validate_only: false,
    };
    let response = client.call(7, &request);
    let [result] = response.topics.try_into().unwrap();
    assert_eq!(result.error_code, NONE, "{name}: {:?}", result.error_message);
    let topic = Topic {
        name,
        id: result.topic_id,
    };
    wait_for_partitions(client, &topic, partitions);
    topic
}

/// Waits until all partitions of a new topic answer.
pub fn wait_for_partitions(client: &mut Client, topic: &Topic, partitions: i32) {
    poll("the partitions of a new topic", Duration::from_secs(10), || {
        (0..partitions)
            .all(|partition| list_offset(client, topic, partition, -1).0 == NONE)
            .then_some(())
    });
}

/// Metadata of one topic by name, not created when it is unknown.
pub fn describe(client: &mut Client, name: &str) -> MetadataResponseTopic {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(name.to_owned()),
            topic_id: [0; 16],
        }]),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    let [topic] = client.call(METADATA, &request).topics.try_into().unwrap();
    topic
}

pub fn leader_epoch(client: &mut Client, topic: &Topic, partition: i32) -> i32 {
    let partitions = describe(client, &topic.name).partitions;
    let found = partitions.iter().find(|found| found.partition_index == partition);
    found.unwrap().leader_epoch
}

/// Error code and offset that ListOffsets answers.
pub fn list_offset(client: &mut Client, topic: &Topic, partition: i32, timestamp: i64) -> (i16, i64) {
    let request = list_offsets_request(topic, &[(partition, timestamp)]);
    let response = client.call(LIST_OFFSETS, &request);
    let answer = &response.topics[0].partitions[0];
    (answer.error_code, answer.offset)
}

/// A ListOffsets request for (partition, timestamp) pairs.
pub fn list_offsets_request(topic: &Topic, partitions: &[(i32, i64)]) -> ListOffsetsRequest {
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: topic.name.clone(),
            partitions: partitions
                .iter()
                .map(|&(partition_index, timestamp)| ListOffsetsPartition {
                    partition_index,
                    timestamp,
                    ..ListOffsetsPartition::default()
                })
                .collect(),
        }],
        ..ListOffsetsRequest::default()
    }
}

/// First offset after the log.
pub fn end_offset(client: &mut Client, topic: &Topic, partition: i32) -> i64 {
    let (error_code, offset) = list_offset(client, topic, partition, -1);
    assert_eq!(error_code, NONE);
    offset
}

/// A batch of records with these values, without keys, of this moment.
pub fn batch(values: &[&[u8]]) -> Bytes {
    fill(BatchBuilder::new(), values)
}

/// A batch of `records` records whose values have `value_bytes` bytes.
pub fn sized_batch(records: usize, value_bytes: usize) -> Bytes {
    let value = vec![b'v'; value_bytes];
    batch(&vec![value.as_slice(); records])
}

/// A batch of an idempotent producer, with `records` records from this sequence on.
pub fn sequenced(producer_id: i64, epoch: i16, sequence: i32, records: usize) -> Bytes {
    let builder = BatchBuilder::new().producer(ProducerStamp {
        producer_id: ProducerId(producer_id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: Sequence(sequence),
    });
    fill(builder, &vec![b"sequenced".as_slice(); records])
}

fn fill(mut builder: BatchBuilder, values: &[&[u8]]) -> Bytes {
    let timestamp = TimestampMs(now_ms());
    for value in values {
        builder.append(&Record::new(timestamp, None, Some(value))).unwrap();
    }
    builder.build().unwrap()
}

/// The batch with another header, and the checksum that belongs to it.
pub fn with_header(batch: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::decode(batch).unwrap();
    change(&mut header);
    seal(header, &batch[HEADER_BYTES..])
}

/// Header and records with length and checksum.
pub fn seal(header: BatchHeader, records: &[u8]) -> Bytes {
    let mut bytes = header.seal(records).unwrap().to_vec();
    bytes.extend_from_slice(records);
    bytes.into()
}

/// What a broker stores of a batch: the batch as it was sent, with base offset and leader epoch set.
pub fn stored(batch: &[u8], base_offset: i64, leader_epoch: i32) -> Bytes {
    with_header(batch, |header| {
        header.base_offset = Offset(base_offset);
        header.leader_epoch = LeaderEpoch(leader_epoch);
    })
}

/// A produce request for (partition, batch) pairs, with acks=all.
pub fn produce_request(topic: &Topic, batches: &[(i32, &Bytes)]) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: topic.name.clone(),
            topic_id: topic.id,
            partition_data: batches
                .iter()
                .map(|&(index, batch)| PartitionProduceData {
                    index,
                    records: Records::Bytes(batch.clone()),
                })
                .collect(),
        }],
        ..ProduceRequest::default()
    }
}

/// Produces one batch with acks=all; the answer, whatever it is.
pub fn try_produce(client: &mut Client, topic: &Topic, partition: i32, batch: &Bytes) -> PartitionProduceResponse {
    let response = client.call(PRODUCE, &produce_request(topic, &[(partition, batch)]));
    let [topic] = response.responses.try_into().unwrap();
    let [partition] = topic.partition_responses.try_into().unwrap();
    partition
}

/// Produces one batch with acks=all; its base offset.
pub fn produce(client: &mut Client, topic: &Topic, partition: i32, batch: &Bytes) -> i64 {
    let answer = try_produce(client, topic, partition, batch);
    assert_eq!(answer.error_code, NONE, "{:?}", answer.error_message);
    answer.base_offset
}

/// A fetch of (partition, offset) pairs that takes what is there, without waiting.
pub fn fetch_request(topic: &Topic, partitions: &[(i32, i64)]) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: vec![FetchTopic {
            topic: topic.name.clone(),
            topic_id: topic.id,
            partitions: partitions
                .iter()
                .map(|&(partition, fetch_offset)| FetchPartition {
                    partition,
                    fetch_offset,
                    partition_max_bytes: 50 << 20,
                    ..FetchPartition::default()
                })
                .collect(),
        }],
        ..FetchRequest::default()
    }
}

/// The partitions of a response about one topic, in the order of their numbers.
pub fn partitions_of(response: FetchResponse) -> Vec<PartitionData> {
    assert_eq!(response.error_code, NONE);
    let mut partitions: Vec<_> = response
        .responses
        .into_iter()
        .flat_map(|topic| topic.partitions)
        .collect();
    partitions.sort_by_key(|partition| partition.partition_index);
    partitions
}

/// Fetches one partition from `offset` on; the answer, whatever it is.
pub fn try_fetch(client: &mut Client, topic: &Topic, partition: i32, offset: i64) -> PartitionData {
    let response = client.call(FETCH, &fetch_request(topic, &[(partition, offset)]));
    let [partition] = partitions_of(response).try_into().unwrap();
    partition
}

/// Fetches one partition from `offset` on; the batches.
pub fn fetch(client: &mut Client, topic: &Topic, partition: i32, offset: i64) -> Bytes {
    let answer = try_fetch(client, topic, partition, offset);
    assert_eq!(answer.error_code, NONE);
    records_of(&answer)
}

/// The record data of an answer, which is never null: librdkafka breaks on it.
pub fn records_of(answer: &PartitionData) -> Bytes {
    match &answer.records {
        Records::Bytes(bytes) => bytes.clone(),
        other @ (Records::Null | Records::External { .. }) => {
            panic!("partition {}: record data is {other:?}", answer.partition_index)
        }
    }
}

/// A producer id, fresh from the broker.
pub fn new_producer_id(client: &mut Client) -> i64 {
    let request = InitProducerIdRequest {
        transactional_id: None,
        ..InitProducerIdRequest::default()
    };
    // Apache Kafka answers COORDINATOR_LOAD_IN_PROGRESS until its first block of ids has come.
    poll("a producer id", Duration::from_secs(10), || {
        let response = client.call(5, &request);
        (response.error_code == NONE).then_some(response.producer_id)
    })
}
