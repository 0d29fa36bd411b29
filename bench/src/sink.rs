//! Something that speaks enough of the protocol to be loaded, and does nothing: what comes is thrown away unseen. Loading it shows what
//! the load generator itself can do. In tests it keeps what comes, as well or as badly as the test wants. [`Answers`] is how it speaks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use duramen_wire::messages::api_versions_response::ApiVersion;
use duramen_wire::messages::create_topics_response::CreatableTopicResult;
use duramen_wire::messages::delete_topics_response::DeletableTopicResult;
use duramen_wire::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use duramen_wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use duramen_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use duramen_wire::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use duramen_wire::messages::request_header::RequestHeader;
use duramen_wire::messages::response_header::ResponseHeader;
use duramen_wire::messages::{
    ApiVersionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsResponse, FetchRequest, FetchResponse,
    InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse,
    ProduceResponse,
};
use duramen_wire::{ApiKey, Message, Reader, Records, Writer};
use rustix::net::RecvFlags;

use crate::failure::{Result, fail};

/// What it speaks, one version of each.
const VERSIONS: &[(ApiKey, i16)] = &[
    (ApiKey::Produce, 13),
    (ApiKey::Fetch, 13),
    (ApiKey::ListOffsets, 7),
    (ApiKey::Metadata, 12),
    (ApiKey::ApiVersions, 0),
    (ApiKey::CreateTopics, 7),
    (ApiKey::DeleteTopics, 6),
    (ApiKey::InitProducerId, 4),
];

/// Bytes of a request that are looked at; what is behind them in a produce is record data.
pub const FRONT_BYTES: usize = 512;

/// Bytes that are thrown away by one system call, at most.
const DISCARD_BYTES: usize = 1 << 20;

const DECODE_BUDGET: usize = 64 << 20;

/// Decides what is kept of a batch, the so-manieth of all.
pub type Keep = fn(u64, Bytes) -> Vec<Bytes>;

/// A listener and its threads; they end with their connections.
pub struct Sink {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
}

impl Sink {
    /// Keeps nothing.
    pub fn start() -> Result<Self> {
        Self::listen(None)
    }

    /// Keeps what `keep` says.
    #[cfg(test)]
    pub fn keeping(keep: Keep) -> Self {
        Self::listen(Some(keep)).unwrap()
    }

    fn listen(keep: Option<Keep>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(Answers::new(address, keep));
        let over = Arc::clone(&is_over);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept()
                && !over.load(Ordering::Relaxed)
            {
                let answers = Arc::clone(&answers);
                // A connection that ends in an error has lost its peer.
                std::thread::spawn(move || Session { answers, stream }.serve());
            }
        });
        Ok(Self { address, is_over })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // The listener wakes, and sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

/// What the clients of a listener are told, whoever has their connections.
pub struct Answers {
    address: SocketAddr,
    keep: Option<Keep>,
    logs: Mutex<Logs>,
}

/// What one request is told.
pub struct Answer {
    /// Nothing where the client wants none.
    pub response: Option<Bytes>,
    pub asked: Asked,
}

/// What a request was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// That its records are taken, and on the disk before it hears so.
    Durable,
    /// That its records are taken.
    Written,
    /// That a topic goes.
    Deletion,
    Other,
}

/// What was kept. There is one topic at a time; a new one takes its place.
#[derive(Default)]
struct Logs {
    name: String,
    batches_seen: u64,
    partitions: Vec<Log>,
}

#[derive(Default)]
struct Log {
    /// The offset that the next batch is told.
    told: i64,
    kept: Vec<(i64, Bytes)>,
    end: i64,
}

/// One connection.
struct Session {
    answers: Arc<Answers>,
    stream: TcpStream,
}

/// The front of a request.
struct Request {
    header: RequestHeader,
    frame: Bytes,
    body_at: usize,
}

impl Session {
    fn serve(mut self) -> Result<()> {
        self.stream.set_nodelay(true)?;
        let mut discarded = vec![0; DISCARD_BYTES];
        loop {
            let mut begin = [0; 6];
            self.stream.read_exact(&mut begin)?;
            let [a, b, c, d, key @ ..] = begin;
            let size = usize::try_from(i32::from_be_bytes([a, b, c, d]))?;
            // Of a produce alone is the end not looked at.
            let is_front_enough = key == ApiKey::Produce.to_i16().to_be_bytes() && self.answers.keep.is_none();
            if size > DECODE_BUDGET && !is_front_enough {
                fail!("a request of {size} bytes");
            }
            let mut front = vec![0; if is_front_enough { size.min(FRONT_BYTES) } else { size }];
            let Some((start, rest)) = front.split_at_mut_checked(key.len()) else {
                fail!("no request");
            };
            start.copy_from_slice(&key);
            self.stream.read_exact(rest)?;
            let mut left = size - front.len();
            while left > 0 {
                let room = left.min(DISCARD_BYTES);
                // TCP gives the bytes back to the kernel without copying them.
                let (_, length) = rustix::net::recv(&self.stream, &mut discarded[..room], RecvFlags::TRUNC)?;
                if length == 0 {
                    return Ok(());
                }
                left -= length;
            }
            if let Some(response) = self.answers.answer(front.into())?.response {
                self.stream.write_all(&response)?;
            }
        }
    }
}

impl Answers {
    /// For a listener at this address, which keeps of each batch what `keep` says.
    pub fn new(address: SocketAddr, keep: Option<Keep>) -> Self {
        Self {
            address,
            keep,
            logs: Mutex::default(),
        }
    }

    /// Answers a request by its frame; where nothing is kept, of a produce the first [`FRONT_BYTES`] are enough.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of all APIs few are served here, whatever there will be"
    )]
    pub fn answer(&self, frame: Bytes) -> Result<Answer> {
        let key = frame
            .first_chunk::<4>()
            .map(|[a, b, c, d]| (i16::from_be_bytes([*a, *b]), i16::from_be_bytes([*c, *d])));
        let Some((Some(key), version)) = key.map(|(key, version)| (ApiKey::from_i16(key), version)) else {
            fail!("no request");
        };
        let mut reader = Reader::new(&frame, DECODE_BUDGET);
        let header = RequestHeader::decode(&mut reader, key.request_header_version(version))?;
        let body_at = reader.position();
        let request = Request { header, frame, body_at };
        let response = match key {
            ApiKey::Produce => return self.produce(&request),
            ApiKey::Fetch => request.respond(&self.fetch(&request.body()?)),
            ApiKey::ListOffsets => request.respond(&self.list_offsets(request.body()?)),
            ApiKey::Metadata => request.respond(&self.metadata(&request.body()?)),
            ApiKey::CreateTopics => request.respond(&self.create_topics(request.body()?)),
            ApiKey::DeleteTopics => request.respond(&DeleteTopicsResponse {
                responses: vec![DeletableTopicResult::default()],
                ..DeleteTopicsResponse::default()
            }),
            ApiKey::InitProducerId => request.respond(&InitProducerIdResponse {
                producer_id: 1,
                producer_epoch: 0,
                ..InitProducerIdResponse::default()
            }),
            ApiKey::ApiVersions => request.respond(&api_versions()),
            other => fail!("{other:?} is not served"),
        };
        let asked = match key {
            ApiKey::DeleteTopics => Asked::Deletion,
            _ => Asked::Other,
        };
        response.map(|response| Answer { response, asked })
    }

    fn logs(&self) -> std::sync::MutexGuard<'_, Logs> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the request up to its record data.
    fn produce(&self, request: &Request) -> Result<Answer> {
        let body = request.frame.slice(request.body_at..);
        let mut reader = Reader::new(&body, DECODE_BUDGET);
        reader.nullable_string(true)?;
        let acks = reader.int16()?;
        reader.int32()?;
        reader.unsigned_varint()?;
        let topic_id = reader.uuid()?;
        reader.unsigned_varint()?;
        let index = reader.int32()?;
        let length = reader.unsigned_varint()?;
        let base_offset = match self.keep {
            Some(keep) => {
                let at = reader.position();
                let batch = body.slice(at..at + usize::try_from(length)? - 1);
                self.logs().append(keep, usize::try_from(index)?, batch)
            }
            None => 0,
        };
        let asked = if acks == -1 { Asked::Durable } else { Asked::Written };
        if acks == 0 {
            return Ok(Answer { response: None, asked });
        }
        let response = request.respond(&ProduceResponse {
            responses: vec![TopicProduceResponse {
                topic_id,
                partition_responses: vec![PartitionProduceResponse {
                    index,
                    base_offset,
                    ..PartitionProduceResponse::default()
                }],
                ..TopicProduceResponse::default()
            }],
            ..ProduceResponse::default()
        })?;
        Ok(Answer { response, asked })
    }

    fn fetch(&self, request: &FetchRequest) -> FetchResponse {
        let logs = self.logs();
        let partition = |partition: &duramen_wire::messages::fetch_request::FetchPartition| {
            let log = usize::try_from(partition.partition)
                .ok()
                .and_then(|index| logs.partitions.get(index));
            let kept = log.map_or(&[][..], |log| &log.kept);
            let wanted = kept
                .iter()
                .filter(|(offset, _)| *offset >= partition.fetch_offset)
                .take(64);
            let bytes: Vec<u8> = wanted.flat_map(|(_, batch)| batch.iter().copied()).collect();
            PartitionData {
                partition_index: partition.partition,
                records: Records::Bytes(bytes.into()),
                ..PartitionData::default()
            }
        };
        let responses = request.topics.iter().map(|topic| FetchableTopicResponse {
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(partition).collect(),
            ..FetchableTopicResponse::default()
        });
        FetchResponse {
            responses: responses.collect(),
            ..FetchResponse::default()
        }
    }

    fn list_offsets(&self, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let logs = self.logs();
        let topics = request.topics.into_iter().map(|topic| ListOffsetsTopicResponse {
            name: topic.name,
            partitions: topic
                .partitions
                .iter()
                .map(|partition| {
                    let log = usize::try_from(partition.partition_index)
                        .ok()
                        .and_then(|index| logs.partitions.get(index));
                    let end = log.map_or(0, |log| log.end);
                    ListOffsetsPartitionResponse {
                        partition_index: partition.partition_index,
                        offset: if partition.timestamp == -1 { end } else { 0 },
                        ..ListOffsetsPartitionResponse::default()
                    }
                })
                .collect(),
        });
        ListOffsetsResponse {
            topics: topics.collect(),
            ..ListOffsetsResponse::default()
        }
    }

    fn metadata(&self, _: &MetadataRequest) -> MetadataResponse {
        let logs = self.logs();
        let partitions = (0..)
            .zip(&logs.partitions)
            .map(|(partition_index, _)| MetadataResponsePartition {
                partition_index,
                leader_id: 1,
                ..MetadataResponsePartition::default()
            });
        MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: 1,
                host: self.address.ip().to_string(),
                port: self.address.port().into(),
                rack: None,
            }],
            topics: vec![MetadataResponseTopic {
                name: Some(logs.name.clone()),
                topic_id: [1; 16],
                partitions: partitions.collect(),
                ..MetadataResponseTopic::default()
            }],
            ..MetadataResponse::default()
        }
    }

    fn create_topics(&self, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let mut logs = self.logs();
        let topics = request.topics.into_iter().map(|topic| {
            logs.name.clone_from(&topic.name);
            logs.batches_seen = 0;
            logs.partitions = (0..topic.num_partitions).map(|_| Log::default()).collect();
            CreatableTopicResult {
                name: topic.name,
                topic_id: [1; 16],
                ..CreatableTopicResult::default()
            }
        });
        CreateTopicsResponse {
            topics: topics.collect(),
            ..CreateTopicsResponse::default()
        }
    }
}

impl Logs {
    /// Keeps what is to be kept of a batch; the offset that the producer is told.
    fn append(&mut self, keep: Keep, partition: usize, batch: Bytes) -> i64 {
        let Some(log) = self.partitions.get_mut(partition) else {
            return -1;
        };
        let told = log.told;
        log.told += i64::from(records(&batch));
        for mut batch in keep(self.batches_seen, batch).into_iter().map(Vec::from) {
            batch[..8].copy_from_slice(&log.end.to_be_bytes());
            let base_offset = log.end;
            log.end += i64::from(records(&batch));
            log.kept.push((base_offset, batch.into()));
        }
        self.batches_seen += 1;
        told
    }
}

/// Records of a batch by its header.
fn records(batch: &[u8]) -> i32 {
    batch
        .get(57..61)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, i32::from_be_bytes)
}

impl Request {
    fn body<R: duramen_wire::Request>(&self) -> Result<R> {
        let body = self.frame.slice(self.body_at..);
        let mut reader = Reader::new(&body, DECODE_BUDGET);
        Ok(R::decode(&mut reader, self.header.request_api_version)?)
    }

    fn respond<M: Message>(&self, response: &M) -> Result<Option<Bytes>> {
        let Some(key) = ApiKey::from_i16(self.header.request_api_key) else {
            fail!("no request");
        };
        let version = self.header.request_api_version;
        let mut writer = Writer::framed();
        let header = ResponseHeader {
            correlation_id: self.header.correlation_id,
        };
        header.encode(&mut writer, key.response_header_version(version))?;
        response.encode(&mut writer, version)?;
        Ok(Some(writer.into_bytes()?))
    }
}

fn api_versions() -> ApiVersionsResponse {
    let versions = VERSIONS.iter().map(|(key, version)| ApiVersion {
        api_key: key.to_i16(),
        min_version: *version,
        max_version: *version,
    });
    ApiVersionsResponse {
        api_keys: versions.collect(),
        ..ApiVersionsResponse::default()
    }
}
