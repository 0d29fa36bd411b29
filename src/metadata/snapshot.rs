//! From an image to the bytes of a snapshot that stands for the log up to it. Source: `RecordsSnapshotWriter.java`, `ImageWriter.java`.

use duramen_wire::messages::kraft_version_record::KRaftVersionRecord;
use duramen_wire::messages::metadata::register_broker_record::{BrokerEndpoint, BrokerFeature};
use duramen_wire::messages::metadata::{
    ConfigRecord, FeatureLevelRecord, MetadataRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord,
    TopicRecord,
};
use duramen_wire::messages::snapshot_footer_record::SnapshotFooterRecord;
use duramen_wire::messages::snapshot_header_record::SnapshotHeaderRecord;
use duramen_wire::messages::voters_record::VotersRecord;
use duramen_wire::{EncodeError, Message, Writer};

use super::image::{Broker, MetadataImage, Partition, Topic};
use super::quorum::SnapshotId;
use super::record::encode_record;
use crate::base::ids::NodeId;
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::record::{BatchBuilder, BatchError, ControlType, Record};

/// A batch is ended when it has become this large; Kafka reads up to 8 MiB.
const BATCH_BYTES: usize = 1024 * 1024;

/// An image that the format cannot say.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SnapshotError {
    #[error(transparent)]
    Record(#[from] EncodeError),
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// The bytes of the snapshot `id` of `image`, in which no transaction is open.
///
/// # Errors
///
/// [`SnapshotError`].
pub fn encode_snapshot(image: &MetadataImage, id: SnapshotId, now: TimestampMs) -> Result<Vec<u8>, SnapshotError> {
    let mut writer = SnapshotWriter::begin(image, id, now)?;
    for record in records_of(image) {
        writer.push(&record)?;
    }
    writer.finish()
}

/// A snapshot on its way, for one who has other things to do between two records.
pub struct SnapshotWriter {
    id: SnapshotId,
    now: TimestampMs,
    bytes: Vec<u8>,
    next_offset: Offset,
    batch: BatchBuilder,
}

impl SnapshotWriter {
    /// Begins the snapshot `id` of `image`, whose [`records_of`] are to be pushed.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`].
    pub fn begin(image: &MetadataImage, id: SnapshotId, now: TimestampMs) -> Result<Self, SnapshotError> {
        let mut writer = Self {
            id,
            now,
            bytes: Vec::new(),
            next_offset: Offset::ZERO,
            batch: BatchBuilder::new(),
        };
        writer.header(image)?;
        writer.batch = writer.begin_batch();
        Ok(writer)
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`].
    pub fn push(&mut self, record: &MetadataRecord) -> Result<(), SnapshotError> {
        let value = encode_record(record)?;
        self.batch.append(&Record::new(self.now, None, Some(&value)))?;
        if self.batch.batch_bytes() >= BATCH_BYTES {
            self.end_records()?;
        }
        Ok(())
    }

    /// The bytes of the whole.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`].
    pub fn finish(mut self) -> Result<Vec<u8>, SnapshotError> {
        if self.batch.record_count() > 0 {
            self.end_records()?;
        }
        let footer = control_value(&SnapshotFooterRecord::default())?;
        self.control(&[(ControlType::SnapshotFooter, footer)])?;
        Ok(self.bytes)
    }

    fn end_records(&mut self) -> Result<(), SnapshotError> {
        let batch = std::mem::take(&mut self.batch);
        self.end_batch(batch)?;
        self.batch = self.begin_batch();
        Ok(())
    }

    fn begin_batch(&self) -> BatchBuilder {
        BatchBuilder::new()
            .base_offset(self.next_offset)
            .leader_epoch(self.id.epoch)
    }

    fn end_batch(&mut self, batch: BatchBuilder) -> Result<(), SnapshotError> {
        self.next_offset = self.next_offset.plus(i64::from(batch.record_count()));
        self.bytes.extend_from_slice(&batch.build()?);
        Ok(())
    }

    fn control(&mut self, records: &[(ControlType, bytes::Bytes)]) -> Result<(), SnapshotError> {
        let mut batch = self.begin_batch().control();
        for (kind, value) in records {
            batch.append(&Record::new(self.now, Some(&kind.key()), Some(value)))?;
        }
        self.end_batch(batch)
    }

    fn header(&mut self, image: &MetadataImage) -> Result<(), SnapshotError> {
        let header = SnapshotHeaderRecord {
            version: 0,
            last_contained_log_timestamp: self.now.0,
        };
        let mut records = vec![(ControlType::SnapshotHeader, control_value(&header)?)];
        let quorum = &image.quorum;
        if quorum.kraft_version > 0 {
            let version = KRaftVersionRecord {
                version: 0,
                kraft_version: quorum.kraft_version,
            };
            let voters = VotersRecord {
                version: 0,
                voters: quorum.voters.clone(),
            };
            records.push((ControlType::KRaftVersion, control_value(&version)?));
            records.push((ControlType::KRaftVoters, control_value(&voters)?));
        }
        self.control(&records)
    }
}

fn control_value(message: &impl Message) -> Result<bytes::Bytes, EncodeError> {
    let mut w = Writer::new();
    message.encode(&mut w, 0)?;
    w.into_bytes()
}

/// Records that make this image of an empty one.
pub fn records_of(image: &MetadataImage) -> impl Iterator<Item = MetadataRecord> + '_ {
    // The level of metadata.version says how what follows is to be read.
    let (versions, others): (Vec<_>, Vec<_>) = image.features.iter().partition(|(name, _)| *name == "metadata.version");
    let features = versions.into_iter().chain(others).map(|(name, level)| {
        MetadataRecord::from(FeatureLevelRecord {
            name: name.clone(),
            feature_level: *level,
        })
    });
    let brokers = image.brokers.values().map(|broker| broker_record(broker).into());
    let topics = image.topics().flat_map(|topic| topic_records(topic));
    let configs = image.configs.iter().flat_map(|(resource, config)| {
        config.iter().map(|(name, value)| {
            MetadataRecord::from(ConfigRecord {
                resource_type: resource.kind,
                resource_name: resource.name.clone(),
                name: name.clone(),
                value: Some(value.clone()),
            })
        })
    });
    let producer_ids = (image.producer_id_next > 0).then(|| {
        MetadataRecord::from(ProducerIdsRecord {
            broker_id: -1,
            broker_epoch: -1,
            next_producer_id: image.producer_id_next,
        })
    });
    let kept = image.kept.records().cloned();
    features
        .chain(brokers)
        .chain(topics)
        .chain(configs)
        .chain(producer_ids)
        .chain(kept)
}

fn topic_records(topic: &Topic) -> impl Iterator<Item = MetadataRecord> + '_ {
    let created = TopicRecord {
        name: topic.name.to_string(),
        topic_id: topic.id.0,
    };
    let partitions = topic
        .numbered()
        .map(|(partition_id, partition)| partition_record(topic, partition_id, partition).into());
    std::iter::once(created.into()).chain(partitions)
}

fn numbers(nodes: &[NodeId]) -> Vec<i32> {
    nodes.iter().map(|node| node.0).collect()
}

fn partition_record(topic: &Topic, partition_id: i32, partition: &Partition) -> PartitionRecord {
    let some = |nodes: &[NodeId]| (!nodes.is_empty()).then(|| numbers(nodes));
    PartitionRecord {
        partition_id,
        topic_id: topic.id.0,
        replicas: numbers(&partition.replicas),
        isr: numbers(&partition.isr),
        removing_replicas: numbers(&partition.removing_replicas),
        adding_replicas: numbers(&partition.adding_replicas),
        leader: partition.leader.map_or(-1, |leader| leader.0),
        leader_recovery_state: i8::from(partition.is_leader_recovering),
        leader_epoch: partition.leader_epoch.0,
        partition_epoch: partition.partition_epoch,
        directories: partition.directories.clone(),
        eligible_leader_replicas: some(&partition.eligible_leader_replicas),
        last_known_elr: some(&partition.last_known_leader_replicas),
    }
}

fn broker_record(broker: &Broker) -> RegisterBrokerRecord {
    let endpoints = broker.endpoints.iter().map(|endpoint| BrokerEndpoint {
        name: endpoint.listener.clone(),
        host: endpoint.host.clone(),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    });
    let features = broker.features.iter().map(|(name, (min, max))| BrokerFeature {
        name: name.clone(),
        min_supported_version: *min,
        max_supported_version: *max,
    });
    RegisterBrokerRecord {
        broker_id: broker.id.0,
        incarnation_id: broker.incarnation_id,
        broker_epoch: broker.epoch,
        end_points: endpoints.collect(),
        features: features.collect(),
        rack: broker.rack.clone(),
        fenced: broker.is_fenced,
        in_controlled_shutdown: broker.is_shutting_down,
        log_dirs: broker.directories.clone(),
        cordoned_log_dirs: broker.cordoned_directories.clone(),
        ..RegisterBrokerRecord::default()
    }
}
