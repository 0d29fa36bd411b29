//! One blocking connection, for what is done before and after the load.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use duramen_wire::messages::delete_topics_request::DeleteTopicState;
use duramen_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use duramen_wire::messages::metadata_request::MetadataRequestTopic;
use duramen_wire::messages::metadata_response::{MetadataResponseBroker, MetadataResponseTopic};
use duramen_wire::messages::request_header::RequestHeader;
use duramen_wire::messages::response_header::ResponseHeader;
use duramen_wire::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DeleteTopicsRequest, InitProducerIdRequest, ListOffsetsRequest,
    MetadataRequest,
};
use duramen_wire::{ApiKey, Message, Reader, Request, Writer};

use crate::batch::Producer;
use crate::failure::{Context, Failure, Result, fail};
use crate::number::count;

/// Memory that decoding an answer may reserve.
const DECODE_BUDGET: usize = 1 << 30;

/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// How long a topic may take until every partition answers.
const READY_MAX: Duration = Duration::from_secs(120);

/// Memory that is reserved for an answer before it has come.
const RESERVED_BYTES_MAX: usize = 128 << 20;

/// How the client calls itself.
const CLIENT_ID: &str = "duramen-bench";

/// The newest version of each API that both sides know.
#[derive(Clone, Debug, Default)]
pub struct Versions(BTreeMap<i16, i16>);

impl Versions {
    /// The version to use; a failure when the broker has none of ours.
    pub fn of(&self, key: ApiKey) -> Result<i16> {
        match self.0.get(&key.to_i16()) {
            Some(version) => Ok(*version),
            None => fail!("the broker has no version of {key:?} that is known here"),
        }
    }
}

/// A topic of a broker, as requests name it.
#[derive(Clone, Debug)]
pub struct TopicHandle {
    pub name: String,
    pub id: [u8; 16],
    pub partitions: i32,
    pub leaders: Arc<Leaders>,
}

#[cfg(test)]
impl TopicHandle {
    /// A topic of nobody.
    pub fn of_test(partitions: i32) -> Self {
        Self {
            name: "t".to_owned(),
            id: [1; 16],
            partitions,
            leaders: Arc::new(Leaders::one(([127, 0, 0, 1], 9092).into(), partitions)),
        }
    }
}

/// The brokers that lead partitions of a topic, and which of them leads each.
#[derive(Clone, Debug)]
pub struct Leaders {
    pub addresses: Vec<SocketAddr>,
    /// By partition.
    pub of: Vec<usize>,
}

impl Leaders {
    /// One broker leads all partitions.
    pub fn one(address: SocketAddr, partitions: i32) -> Self {
        let partitions = usize::try_from(partitions).unwrap_or(0);
        Self {
            addresses: vec![address],
            of: vec![0; partitions],
        }
    }

    /// As metadata tells: a broker that leads all is where the metadata came from, `asked`, whatever it calls itself.
    fn told(asked: SocketAddr, brokers: &[MetadataResponseBroker], topic: &MetadataResponseTopic) -> Result<Self> {
        let by_index: BTreeMap<i32, i32> = topic
            .partitions
            .iter()
            .map(|partition| (partition.partition_index, partition.leader_id))
            .collect();
        let ids: BTreeSet<i32> = by_index.values().copied().collect();
        if ids.len() <= 1 {
            return Ok(Self::one(asked, i32::try_from(by_index.len())?));
        }
        let address = |id: &i32| {
            let Some(broker) = brokers.iter().find(|broker| broker.node_id == *id) else {
                fail!("broker {id} leads partitions, and is not in the metadata");
            };
            let at = (broker.host.as_str(), u16::try_from(broker.port)?);
            let address = at
                .to_socket_addrs()
                .context(|| format!("broker {id} at {}:{}", at.0, at.1))?
                .next();
            match address {
                Some(address) => Ok(address),
                None => fail!("broker {id} at {}:{} has no address", at.0, at.1),
            }
        };
        let of = by_index.values().map(|leader| ids.range(..leader).count());
        Ok(Self {
            of: of.collect(),
            addresses: ids.iter().map(address).collect::<Result<_>>()?,
        })
    }

    /// The broker that leads a partition.
    pub fn address(&self, partition: i32) -> Result<SocketAddr> {
        let leader = usize::try_from(partition).ok().and_then(|at| self.of.get(at));
        match leader {
            Some(leader) => Ok(self.addresses[*leader]),
            None => fail!("nobody leads partition {partition}"),
        }
    }
}

/// An end of a partition.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Start,
    End,
}

/// A blocking connection.
pub struct Control {
    stream: TcpStream,
    correlation_id: i32,
    versions: Versions,
}

impl Control {
    /// Connects, and asks for the versions of the broker.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        Self::try_connect(address).context(|| format!("the broker at {address} does not answer"))
    }

    fn try_connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        let mut control = Self {
            stream,
            correlation_id: 0,
            versions: Versions(BTreeMap::from([(ApiKey::ApiVersions.to_i16(), 0)])),
        };
        let answer = control.call(&ApiVersionsRequest::default())?;
        let known = answer.api_keys.iter().filter_map(|api| {
            let ours = ApiKey::from_i16(api.api_key)?.versions();
            let version = api.max_version.min(*ours.end());
            (version >= api.min_version && ours.contains(&version)).then_some((api.api_key, version))
        });
        control.versions = Versions(known.collect());
        Ok(control)
    }

    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Sends a request and waits for its answer.
    pub fn call<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        let version = self.versions.of(R::KEY)?;
        self.correlation_id += 1;
        let sent = frame(version, self.correlation_id, request)?;
        let answer = self.exchange(&sent).context(|| format!("{:?}", R::KEY))?;
        decode_response::<R>(version, self.correlation_id, &answer)
    }

    /// Sends a frame and waits for the next one that comes.
    pub fn exchange(&mut self, frame: &[u8]) -> Result<Bytes> {
        self.stream.write_all(frame)?;
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let size = usize::try_from(i32::from_be_bytes(size))?;
        let mut answer = Vec::with_capacity(size.min(RESERVED_BYTES_MAX));
        (&self.stream).take(count(size)).read_to_end(&mut answer)?;
        if answer.len() < size {
            fail!("the broker closed the connection");
        }
        Ok(answer.into())
    }

    /// Makes a topic, and waits until each of its partitions answers.
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        settings: &BTreeMap<String, String>,
    ) -> Result<TopicHandle> {
        let configs = settings.iter().map(|(name, value)| CreatableTopicConfig {
            name: name.clone(),
            value: Some(value.clone()),
        });
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: name.to_owned(),
                num_partitions: partitions,
                replication_factor: 1,
                assignments: Vec::new(),
                configs: configs.collect(),
            }],
            timeout_ms: 60_000,
            validate_only: false,
        };
        for topic in self.call(&request)?.topics {
            if topic.error_code != 0 {
                let why = topic.error_message.unwrap_or_default();
                fail!("creating topic {name}: error {} {why}", topic.error_code);
            }
        }
        let began = Instant::now();
        loop {
            match self.try_topic(name, partitions) {
                Ok(topic) => return Ok(topic),
                Err(error) if began.elapsed() > READY_MAX => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// The topic, once all of its partitions have a leader that answers.
    fn try_topic(&mut self, name: &str, partitions: i32) -> Result<TopicHandle> {
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                topic_id: [0; 16],
                name: Some(name.to_owned()),
            }]),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let answer = self.call(&request)?;
        let Some(topic) = answer.topics.first() else {
            fail!("topic {name} is not in the metadata");
        };
        let ready = topic
            .partitions
            .iter()
            .filter(|partition| partition.error_code == 0 && partition.leader_id >= 0);
        let ready = i32::try_from(ready.count())?;
        if topic.error_code != 0 || ready != partitions {
            fail!(
                "topic {name}: error {}, {ready} of {partitions} partitions are ready",
                topic.error_code
            );
        }
        let handle = TopicHandle {
            name: name.to_owned(),
            id: topic.topic_id,
            partitions,
            leaders: Arc::new(Leaders::told(self.stream.peer_addr()?, &answer.brokers, topic)?),
        };
        self.offsets(&handle, Place::End)?;
        Ok(handle)
    }

    /// Forgets a topic. It may live on for a while.
    pub fn delete_topic(&mut self, topic: &TopicHandle) -> Result<()> {
        let request = DeleteTopicsRequest {
            topics: vec![DeleteTopicState {
                name: Some(topic.name.clone()),
                topic_id: [0; 16],
            }],
            topic_names: vec![topic.name.clone()],
            timeout_ms: 60_000,
        };
        let version = self.versions.of(ApiKey::DeleteTopics)?;
        let request = match version {
            ..6 => DeleteTopicsRequest {
                topics: Vec::new(),
                ..request
            },
            _ => DeleteTopicsRequest {
                topic_names: Vec::new(),
                ..request
            },
        };
        for answer in self.call(&request)?.responses {
            if answer.error_code != 0 {
                fail!("deleting topic {}: error {}", topic.name, answer.error_code);
            }
        }
        Ok(())
    }

    /// The offset of each partition's start or end.
    pub fn offsets(&mut self, topic: &TopicHandle, place: Place) -> Result<Vec<i64>> {
        let timestamp = match place {
            Place::Start => -2,
            Place::End => -1,
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: topic.name.clone(),
                partitions: (0..topic.partitions)
                    .map(|partition| ListOffsetsPartition {
                        partition_index: partition,
                        current_leader_epoch: -1,
                        timestamp,
                    })
                    .collect(),
            }],
            ..ListOffsetsRequest::default()
        };
        let mut offsets = BTreeMap::new();
        for partition in self
            .call(&request)?
            .topics
            .into_iter()
            .flat_map(|topic| topic.partitions)
        {
            if partition.error_code != 0 {
                let (name, index) = (&topic.name, partition.partition_index);
                fail!("offsets of {name}-{index}: error {}", partition.error_code);
            }
            offsets.insert(partition.partition_index, partition.offset);
        }
        if offsets.len() != usize::try_from(topic.partitions)? {
            fail!(
                "offsets of {}: {} of {} partitions",
                topic.name,
                offsets.len(),
                topic.partitions
            );
        }
        Ok(offsets.into_values().collect())
    }

    /// A producer of our own, for sequences.
    pub fn producer(&mut self) -> Result<Producer> {
        let began = Instant::now();
        loop {
            let answer = self.call(&InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: i32::MAX,
                ..InitProducerIdRequest::default()
            })?;
            match answer.error_code {
                0 => {
                    return Ok(Producer {
                        id: answer.producer_id,
                        epoch: answer.producer_epoch,
                    });
                }
                // A broker that has just begun says that its coordinator is not there yet.
                14..=16 if began.elapsed() < READY_MAX => std::thread::sleep(Duration::from_millis(10)),
                error => fail!("asking for a producer id: error {error}"),
            }
        }
    }
}

/// A request as it goes over a socket.
pub fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> Result<Bytes> {
    let mut writer = header(R::KEY, version, correlation_id)?;
    request
        .encode(&mut writer, version)
        .context(|| format!("{:?} v{version}", R::KEY))?;
    Ok(writer.into_bytes()?)
}

/// A frame that holds the header of a request, to be continued.
pub fn header(key: ApiKey, version: i16, correlation_id: i32) -> Result<Writer> {
    let header = RequestHeader {
        request_api_key: key.to_i16(),
        request_api_version: version,
        correlation_id,
        client_id: Some(CLIENT_ID.to_owned()),
    };
    let mut writer = Writer::framed();
    header.encode(&mut writer, key.request_header_version(version))?;
    Ok(writer)
}

/// Decodes an answer, which has to take the whole frame.
pub fn decode_response<R: Request>(version: i16, correlation_id: i32, frame: &Bytes) -> Result<R::Response> {
    let wrong = |error: duramen_wire::DecodeError| Failure::new(format!("{:?} v{version}: {error}", R::KEY));
    let mut reader = Reader::new(frame, DECODE_BUDGET);
    let header = ResponseHeader::decode(&mut reader, R::KEY.response_header_version(version)).map_err(wrong)?;
    if header.correlation_id != correlation_id {
        fail!(
            "{:?}: the answer to request {}, not {correlation_id}",
            R::KEY,
            header.correlation_id
        );
    }
    let response = R::Response::decode(&mut reader, version).map_err(wrong)?;
    if reader.remaining() > 0 {
        fail!(
            "{:?} v{version}: {} bytes behind the answer",
            R::KEY,
            reader.remaining()
        );
    }
    Ok(response)
}
