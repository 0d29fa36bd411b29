//! CreateTopics, and topics made on first use. Kafka: `ReplicationControlManager.createTopics`, `ControllerApis.createTopics`.

use std::collections::BTreeMap;

use duramen_wire::messages::create_topics_request::CreatableTopic;
use duramen_wire::messages::metadata::{ConfigRecord, MetadataRecord, PartitionRecord, TopicRecord};

use crate::base::ids::{NodeId, TopicId};
use crate::base::limits::{METADATA_RECORDS_PER_REQUEST_MAX, PARTITIONS_PER_REQUEST_MAX};
use crate::config::{Settings, TopicConfig, TopicConfigError};
use crate::metadata::METADATA_TOPIC;
use crate::metadata::image::{ConfigResource, MetadataImage};

use super::assignment::{AssignmentError, assigned_partitions};
use super::place::{PlaceError, place};
use super::{Decision, TopicNameError, metric_name, validate_topic_name};

/// A topic asked for, and the id that it gets.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTopic {
    /// Random, neither reserved nor in use.
    pub id: TopicId,
    pub spec: CreatableTopic,
}

impl NewTopic {
    /// A topic with all defaults, as it is made when a client asks for one that does not exist.
    pub fn automatic(id: TopicId, name: &str) -> Self {
        let spec = CreatableTopic {
            name: name.to_owned(),
            num_partitions: -1,
            replication_factor: -1,
            ..CreatableTopic::default()
        };
        Self { id, spec }
    }
}

/// What stands where a request says -1.
#[derive(Debug, Clone, Copy)]
pub struct NewTopicDefaults<'a> {
    pub partition_count: i32,
    pub replication_factor: i16,
    /// The broker's settings: defaults of what the topic does not set.
    pub settings: &'a Settings,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreatedTopic {
    pub id: TopicId,
    pub partition_count: i32,
    pub replication_factor: i16,
    /// What the topic sets itself.
    pub config: BTreeMap<String, String>,
}

/// Why a topic is not made; the text is Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateTopicError {
    #[error("Duplicate topic name.")]
    NamedTwice,
    #[error("Creation of internal topic {METADATA_TOPIC} is prohibited.")]
    MetadataTopic,
    #[error("Topic name is invalid: {0}")]
    Name(#[from] TopicNameError),
    #[error("Topic '{name}' collides with existing topic: {existing}")]
    Collision { name: String, existing: String },
    #[error("Topic '{0}' already exists.")]
    Exists(String),
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitions,
    #[error("Unable to perform excessively large batch operation.")]
    TooManyRecords,
    #[error("Null value not supported for topic configs: {0}")]
    NullConfig(String),
    #[error(transparent)]
    Config(#[from] TopicConfigError),
    #[error("Number of partitions was set to an invalid non-positive value.")]
    PartitionCount,
    #[error("Replication factor must be larger than 0, or -1 to use the default value.")]
    ReplicationFactor,
    #[error("Unable to replicate the partition {replication_factor} time(s): {reason}")]
    Place {
        replication_factor: i16,
        reason: PlaceError,
    },
    #[error("A manual partition assignment was specified, but replication factor was not set to -1.")]
    AssignmentAndFactor,
    #[error("A manual partition assignment was specified, but numPartitions was not set to -1.")]
    AssignmentAndCount,
    #[error("{0}")]
    Assignment(AssignmentError),
}

/// Decides on each topic by itself: one that cannot be made does not hinder the others. In the response they stand in the order of
/// the request.
pub fn create_topics(
    image: &MetadataImage,
    topics: &[NewTopic],
    defaults: &NewTopicDefaults<'_>,
) -> Decision<Vec<Result<CreatedTopic, CreateTopicError>>> {
    let partitions: i64 = topics
        .iter()
        .map(|topic| partition_count_asked(&topic.spec, defaults))
        .sum();
    if partitions > i64::from(PARTITIONS_PER_REQUEST_MAX) {
        return refuse_all(topics, &CreateTopicError::TooManyPartitions);
    }
    let mut names = BTreeMap::new();
    for topic in topics {
        *names.entry(topic.spec.name.as_str()).or_insert(0_u32) += 1;
    }
    let mut records = Vec::new();
    let mut metric_names = BTreeMap::new();
    let mut response = Vec::new();
    for topic in topics {
        let name = topic.spec.name.as_str();
        let created = match names.get(name) {
            Some(2..) => Err(CreateTopicError::NamedTwice),
            _ => create_topic(image, image.topic_count().wrapping_add(response.len()), topic, defaults),
        };
        let created = created.and_then(|created| {
            let Some(metric_name) = metric_name(name) else {
                return Ok(created);
            };
            match metric_names.insert(metric_name, name) {
                None => Ok(created),
                Some(other) => Err(collision(name, other)),
            }
        });
        response.push(created.map(|(created, of_topic)| {
            records.extend(of_topic);
            created
        }));
    }
    if records.len() > METADATA_RECORDS_PER_REQUEST_MAX {
        return refuse_all(topics, &CreateTopicError::TooManyRecords);
    }
    Decision { records, response }
}

fn refuse_all<T>(topics: &[NewTopic], error: &CreateTopicError) -> Decision<Vec<Result<T, CreateTopicError>>> {
    Decision {
        records: Vec::new(),
        response: topics.iter().map(|_| Err(error.clone())).collect(),
    }
}

fn partition_count_asked(spec: &CreatableTopic, defaults: &NewTopicDefaults<'_>) -> i64 {
    match spec.num_partitions {
        _ if !spec.assignments.is_empty() => i64::try_from(spec.assignments.len()).unwrap_or(i64::MAX),
        -1 => i64::from(defaults.partition_count),
        count => i64::from(count.max(0)),
    }
}

fn create_topic(
    image: &MetadataImage,
    topic_number: usize,
    topic: &NewTopic,
    defaults: &NewTopicDefaults<'_>,
) -> Result<(CreatedTopic, Vec<MetadataRecord>), CreateTopicError> {
    let spec = &topic.spec;
    check_name(image, &spec.name)?;
    let config = check_config(spec, defaults)?;
    let partitions = if spec.assignments.is_empty() {
        place_partitions(image, topic_number, spec, defaults)?
    } else {
        assigned_partitions(image, spec)?
    };
    let first = partitions.first().map_or(0, |(replicas, _)| replicas.len());
    let created = CreatedTopic {
        id: topic.id,
        partition_count: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(first).unwrap_or(i16::MAX),
        config,
    };
    let records = records_of(image, topic, &created, partitions);
    Ok((created, records))
}

fn check_name(image: &MetadataImage, name: &str) -> Result<(), CreateTopicError> {
    if name == METADATA_TOPIC {
        return Err(CreateTopicError::MetadataTopic);
    }
    validate_topic_name(name)?;
    if image.topic_by_name(name).is_some() {
        return Err(CreateTopicError::Exists(name.to_owned()));
    }
    let other = metric_name(name).and_then(|metric_name| image.metric_names.get(metric_name.as_str()));
    other.map_or(Ok(()), |existing| Err(collision(name, existing)))
}

fn collision(name: &str, existing: &str) -> CreateTopicError {
    CreateTopicError::Collision {
        name: name.to_owned(),
        existing: existing.to_owned(),
    }
}

fn check_config(
    spec: &CreatableTopic,
    defaults: &NewTopicDefaults<'_>,
) -> Result<BTreeMap<String, String>, CreateTopicError> {
    let mut config = BTreeMap::new();
    for entry in &spec.configs {
        let value = entry.value.clone();
        let value = value.ok_or_else(|| CreateTopicError::NullConfig(entry.name.clone()))?;
        config.insert(entry.name.clone(), value);
    }
    if !config.is_empty() {
        TopicConfig::accept(defaults.settings, &config, config.keys())?;
    }
    Ok(config)
}

/// Replicas and in-sync replicas of each partition.
pub(super) type Partitions = Vec<(Vec<NodeId>, Vec<NodeId>)>;

fn place_partitions(
    image: &MetadataImage,
    topic_number: usize,
    spec: &CreatableTopic,
    defaults: &NewTopicDefaults<'_>,
) -> Result<Partitions, CreateTopicError> {
    let replication_factor = match spec.replication_factor {
        -1 => defaults.replication_factor,
        factor => factor,
    };
    let replicas = usize::try_from(replication_factor).unwrap_or(0);
    if replicas == 0 {
        return Err(CreateTopicError::ReplicationFactor);
    }
    let partition_count = match spec.num_partitions {
        -1 => defaults.partition_count,
        count => count,
    };
    let partition_count = usize::try_from(partition_count).unwrap_or(0);
    if partition_count == 0 {
        return Err(CreateTopicError::PartitionCount);
    }
    let placed = place(image, topic_number, partition_count, replicas).map_err(|reason| CreateTopicError::Place {
        replication_factor,
        reason,
    })?;
    Ok(with_isr(image, placed))
}

/// New partitions with those of their replicas that can lead.
pub(super) fn with_isr(image: &MetadataImage, placed: Vec<Vec<NodeId>>) -> Partitions {
    let partition = |replicas: Vec<NodeId>| {
        let isr = serving(image, &replicas);
        (replicas, isr)
    };
    placed.into_iter().map(partition).collect()
}

/// Those of the replicas that can lead.
pub(super) fn serving(image: &MetadataImage, replicas: &[NodeId]) -> Vec<NodeId> {
    let serves = |id: &&NodeId| {
        image
            .brokers
            .get(id)
            .is_some_and(|broker| !broker.is_fenced && !broker.is_shutting_down)
    };
    replicas.iter().filter(serves).copied().collect()
}

fn records_of(
    image: &MetadataImage,
    topic: &NewTopic,
    created: &CreatedTopic,
    partitions: Partitions,
) -> Vec<MetadataRecord> {
    let name = &topic.spec.name;
    let mut records = vec![
        TopicRecord {
            name: name.clone(),
            topic_id: topic.id.0,
        }
        .into(),
    ];
    records.extend(created.config.iter().map(|(key, value)| {
        MetadataRecord::from(ConfigRecord {
            resource_type: ConfigResource::TOPIC,
            resource_name: name.clone(),
            name: key.clone(),
            value: Some(value.clone()),
        })
    }));
    records.extend(partition_records(image, topic.id, 0, partitions));
    records
}

/// The records of new partitions, numbered from `first` on.
pub(super) fn partition_records(
    image: &MetadataImage,
    topic_id: TopicId,
    first: i32,
    partitions: Partitions,
) -> impl Iterator<Item = MetadataRecord> {
    (first..).zip(partitions).map(move |(partition_id, (replicas, isr))| {
        let record = PartitionRecord {
            partition_id,
            topic_id: topic_id.0,
            leader: isr.first().map_or(-1, |leader| leader.0),
            directories: replicas.iter().map(|replica| directory_of(image, *replica)).collect(),
            replicas: replicas.iter().map(|replica| replica.0).collect(),
            isr: isr.iter().map(|replica| replica.0).collect(),
            leader_epoch: 0,
            partition_epoch: 0,
            ..PartitionRecord::default()
        };
        record.into()
    })
}

/// The directory of a broker that has only one; a broker with several says later which it took.
fn directory_of(image: &MetadataImage, broker: NodeId) -> [u8; 16] {
    match image.brokers.get(&broker).map(|broker| broker.directories.as_slice()) {
        Some([directory]) => *directory,
        _ => [0; 16],
    }
}
