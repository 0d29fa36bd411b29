//! Requests that are prepared once: only what differs from one to the next is written each time.

use bytes::Bytes;
use duramen_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use duramen_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use duramen_wire::messages::{FetchRequest, FetchResponse, ProduceRequest, ProduceResponse};
use duramen_wire::{ApiKey, Message, Part, Records};

use crate::batch::Template;
use crate::failure::{Failure, Result, fail};

use super::control::{decode_response, frame, header};
use super::{Connection, TopicHandle, Versions};

/// Where the correlation id stands in a frame: behind size, API key and version.
const CORRELATION_AT: usize = 8;

/// Bodies up to this are copied behind their header: a system call with fewer pieces costs less than the copy.
const COPIED_BYTES_MAX: usize = 2048;

/// Time that a broker has for a produce.
const TIMEOUT_MS: i32 = 60_000;

/// Bytes of all partitions in one answer, at most.
const FETCH_BYTES_MAX: i32 = 64 << 20;

/// Produce requests of one batch each.
pub struct ProduceRequests {
    version: i16,
    topic: TopicHandle,
    acks: i16,
    /// What stands before and behind the batch, for each partition, by the length of the batch that it was made for.
    prepared: Vec<Option<Envelope>>,
}

struct Envelope {
    batch_bytes: usize,
    before: Bytes,
    behind: Bytes,
}

impl ProduceRequests {
    pub fn new(versions: &Versions, topic: &TopicHandle, acks: i16) -> Result<Self> {
        Ok(Self {
            version: versions.of(ApiKey::Produce)?,
            topic: topic.clone(),
            acks,
            prepared: (0..topic.partitions).map(|_| None).collect(),
        })
    }

    /// Puts one batch, the stamped header and the body of its template, on a connection.
    pub fn push(
        &mut self,
        connection: &mut Connection,
        correlation_id: i32,
        slot: Slot,
        header: &[u8],
        template: &Template,
    ) -> Result<()> {
        let envelope = self.envelope(slot, template.batch_bytes())?;
        let body = template.body();
        let is_copied = body.len() <= COPIED_BYTES_MAX;
        let mut front = Vec::with_capacity(envelope.before.len() + header.len() + COPIED_BYTES_MAX + 16);
        front.extend_from_slice(&envelope.before);
        front[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&correlation_id.to_be_bytes());
        front.extend_from_slice(header);
        let behind = envelope.behind.clone();
        if is_copied {
            front.extend_from_slice(body);
            front.extend_from_slice(&behind);
            connection.push(front.into());
            return Ok(());
        }
        connection.push(front.into());
        connection.push(body.clone());
        if !behind.is_empty() {
            connection.push(behind);
        }
        Ok(())
    }

    fn envelope(&mut self, slot: Slot, batch_bytes: usize) -> Result<&Envelope> {
        let is_fit = matches!(&self.prepared[slot.index], Some(envelope) if envelope.batch_bytes == batch_bytes);
        if !is_fit {
            self.prepared[slot.index] = Some(self.prepare(slot, batch_bytes)?);
        }
        match &self.prepared[slot.index] {
            Some(envelope) => Ok(envelope),
            None => Err(Failure::new("no envelope was prepared")),
        }
    }

    fn prepare(&self, slot: Slot, batch_bytes: usize) -> Result<Envelope> {
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.acks,
            timeout_ms: TIMEOUT_MS,
            topic_data: vec![TopicProduceData {
                name: self.topic.name.clone(),
                topic_id: self.topic.id,
                partition_data: vec![PartitionProduceData {
                    index: slot.partition,
                    records: Records::External {
                        index: 0,
                        length: u32::try_from(batch_bytes)?,
                    },
                }],
            }],
        };
        let mut writer = header(ApiKey::Produce, self.version, 0)?;
        request.encode(&mut writer, self.version)?;
        let mut pieces = writer.into_parts()?.into_iter();
        let Some(Part::Bytes(before)) = pieces.next() else {
            fail!("a produce request does not begin with bytes");
        };
        let behind = pieces.find_map(|part| match part {
            Part::Bytes(bytes) => Some(bytes),
            Part::External { .. } => None,
        });
        Ok(Envelope {
            batch_bytes,
            before,
            behind: behind.unwrap_or_default(),
        })
    }

    /// The base offset that the broker gave the batch.
    pub fn base_offset(&self, correlation_id: i32, slot: Slot, frame: &Bytes) -> Result<i64> {
        let response: ProduceResponse = decode_response::<ProduceRequest>(self.version, correlation_id, frame)?;
        let mut answers = response
            .responses
            .into_iter()
            .flat_map(|topic| topic.partition_responses);
        let (Some(answer), None) = (answers.next(), answers.next()) else {
            fail!("a produce of one batch was not answered by one partition");
        };
        if answer.error_code != 0 {
            let why = answer.error_message.unwrap_or_default();
            fail!(
                "produce to {}-{}: error {} {why}",
                self.topic.name,
                slot.partition,
                answer.error_code
            );
        }
        if answer.index != slot.partition {
            fail!(
                "produce to partition {} was answered for partition {}",
                slot.partition,
                answer.index
            );
        }
        Ok(answer.base_offset)
    }
}

/// A partition, by its number and as an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub partition: i32,
    pub index: usize,
}

impl Slot {
    pub fn new(partition: i32) -> Self {
        Self {
            partition,
            index: usize::try_from(partition).unwrap_or(0),
        }
    }
}

/// Fetch requests without a session.
pub struct FetchRequests {
    version: i16,
    topic: TopicHandle,
    partition_bytes: i32,
    wait_ms: i32,
}

impl FetchRequests {
    pub fn new(versions: &Versions, topic: &TopicHandle, partition_bytes: i32, wait_ms: i32) -> Result<Self> {
        Ok(Self {
            version: versions.of(ApiKey::Fetch)?,
            topic: topic.clone(),
            partition_bytes,
            wait_ms,
        })
    }

    /// A request for partitions, each from an offset.
    pub fn frame(&self, correlation_id: i32, partitions: impl Iterator<Item = (i32, i64)>) -> Result<Bytes> {
        let request = FetchRequest {
            max_wait_ms: self.wait_ms,
            min_bytes: 1,
            max_bytes: FETCH_BYTES_MAX,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: self.topic.name.clone(),
                topic_id: self.topic.id,
                partitions: partitions
                    .map(|(partition, fetch_offset)| FetchPartition {
                        partition,
                        fetch_offset,
                        partition_max_bytes: self.partition_bytes,
                        ..FetchPartition::default()
                    })
                    .collect(),
            }],
            ..FetchRequest::default()
        };
        frame(self.version, correlation_id, &request)
    }

    /// The partitions of an answer with their record data.
    pub fn answer(&self, correlation_id: i32, frame: &Bytes) -> Result<Vec<(i32, Bytes)>> {
        let response: FetchResponse = decode_response::<FetchRequest>(self.version, correlation_id, frame)?;
        if response.error_code != 0 {
            fail!("fetch from {}: error {}", self.topic.name, response.error_code);
        }
        let mut answers = Vec::new();
        for partition in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            if partition.error_code != 0 {
                let index = partition.partition_index;
                fail!("fetch from {}-{index}: error {}", self.topic.name, partition.error_code);
            }
            match partition.records {
                Records::Bytes(bytes) => answers.push((partition.partition_index, bytes)),
                Records::Null | Records::External { .. } => {}
            }
        }
        Ok(answers)
    }
}
