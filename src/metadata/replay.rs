//! Applies metadata records to an image: the only code that changes one.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_wire::messages::metadata::{
    BrokerRegistrationChangeRecord, ConfigRecord, FeatureLevelRecord, MetadataRecord, PartitionChangeRecord,
    PartitionRecord, RegisterBrokerRecord, TopicRecord,
};

use crate::base::ids::{LeaderEpoch, NodeId, TopicId};

use super::controller::metric_name;
use super::image::{Broker, BrokerEndpoint, ConfigResource, MetadataImage, Partition, Topic};

/// The metadata log contradicts itself, or says what this broker does not understand. Going on would be guessing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    #[error("topic {0} does not exist")]
    UnknownTopic(TopicId),
    #[error("topic {name} exists already")]
    TopicExists { name: String },
    #[error("partition {partition} of topic {topic} does not exist")]
    UnknownPartition { topic: TopicId, partition: i32 },
    #[error("partition {partition} of topic {topic} comes before the ones below it")]
    PartitionOutOfOrder { topic: TopicId, partition: i32 },
    #[error("broker {0} with epoch {1} is not registered")]
    UnknownBroker(i32, i64),
    #[error("a metadata transaction begins within another, or ends without one")]
    TransactionOutOfOrder,
    #[error("topic {0} does not exist")]
    UnknownTopicName(String),
}

impl MetadataImage {
    /// Applies the next record of the log. After an error the image is of no use.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::Topic(record) => self.replay_topic(record)?,
            MetadataRecord::Partition(record) => self.replay_partition(record)?,
            MetadataRecord::PartitionChange(record) => self.replay_partition_change(record)?,
            MetadataRecord::RemoveTopic(record) => self.replay_remove_topic(TopicId(record.topic_id))?,
            MetadataRecord::Config(record) => self.replay_config(record),
            MetadataRecord::FeatureLevel(record) => self.replay_feature(record),
            MetadataRecord::ProducerIds(record) => self.producer_id_next = record.next_producer_id,
            MetadataRecord::RegisterBroker(record) => {
                self.brokers
                    .insert(NodeId(record.broker_id), Arc::new(registered(record)));
            }
            MetadataRecord::UnregisterBroker(record) => {
                self.broker_mut(record.broker_id, record.broker_epoch)?;
                self.brokers.remove(&NodeId(record.broker_id));
            }
            MetadataRecord::FenceBroker(record) => self.broker_mut(record.id, record.epoch)?.is_fenced = true,
            MetadataRecord::UnfenceBroker(record) => self.broker_mut(record.id, record.epoch)?.is_fenced = false,
            MetadataRecord::BrokerRegistrationChange(record) => self.replay_registration_change(record)?,
            MetadataRecord::BeginTransaction(_) => {
                let before = self.clone();
                if self.before_transaction.replace(Box::new(before)).is_some() {
                    return Err(ReplayError::TransactionOutOfOrder);
                }
            }
            MetadataRecord::EndTransaction(_) => drop(self.take_transaction()?),
            MetadataRecord::AbortTransaction(_) => *self = *self.take_transaction()?,
            MetadataRecord::ClearElr(record) => self.replay_clear_elr(&record.topic_name)?,
            MetadataRecord::NoOp(_) => {}
            MetadataRecord::AccessControlEntry(_)
            | MetadataRecord::RemoveAccessControlEntry(_)
            | MetadataRecord::ClientQuota(_)
            | MetadataRecord::UserScramCredential(_)
            | MetadataRecord::RemoveUserScramCredential(_)
            | MetadataRecord::DelegationToken(_)
            | MetadataRecord::RemoveDelegationToken(_)
            | MetadataRecord::RegisterController(_)
            | MetadataRecord::ZkMigrationState(_) => {
                let is_kept = self.kept.replay(record);
                crate::check!(is_kept, "a record that is to be kept is not: {record:?}");
            }
        }
        Ok(())
    }

    fn take_transaction(&mut self) -> Result<Box<Self>, ReplayError> {
        self.before_transaction.take().ok_or(ReplayError::TransactionOutOfOrder)
    }

    fn replay_topic(&mut self, record: &TopicRecord) -> Result<(), ReplayError> {
        let id = TopicId(record.topic_id);
        let name: Arc<str> = record.name.as_str().into();
        if self.topic_ids.insert(name.clone(), id).is_some() {
            return Err(ReplayError::TopicExists {
                name: record.name.clone(),
            });
        }
        if let Some(metric_name) = metric_name(&name) {
            self.metric_names.insert(metric_name.into(), name.clone());
        }
        let topic = Topic {
            id,
            name,
            partitions: Vec::new(),
        };
        self.topics.insert(id, Arc::new(topic));
        Ok(())
    }

    fn replay_remove_topic(&mut self, id: TopicId) -> Result<(), ReplayError> {
        let topic = self.topics.remove(&id).ok_or(ReplayError::UnknownTopic(id))?;
        self.topic_ids.remove(topic.name.as_ref());
        self.configs.remove(&ConfigResource::topic(&topic.name));
        if let Some(metric_name) = metric_name(&topic.name) {
            self.metric_names.remove(metric_name.as_str());
        }
        Ok(())
    }

    fn replay_partition(&mut self, record: &PartitionRecord) -> Result<(), ReplayError> {
        let id = TopicId(record.topic_id);
        let topic = self.topics.get_mut(&id).ok_or(ReplayError::UnknownTopic(id))?;
        let topic = Arc::make_mut(topic);
        let out_of_order = ReplayError::PartitionOutOfOrder {
            topic: id,
            partition: record.partition_id,
        };
        let index = usize::try_from(record.partition_id).map_err(|_| out_of_order.clone())?;
        let partition = Arc::new(created(record));
        match index.cmp(&topic.partitions.len()) {
            std::cmp::Ordering::Less => topic.partitions[index] = partition,
            std::cmp::Ordering::Equal => topic.partitions.push(partition),
            std::cmp::Ordering::Greater => return Err(out_of_order),
        }
        Ok(())
    }

    fn replay_partition_change(&mut self, record: &PartitionChangeRecord) -> Result<(), ReplayError> {
        let id = TopicId(record.topic_id);
        let topic = self.topics.get_mut(&id).ok_or(ReplayError::UnknownTopic(id))?;
        let topic = Arc::make_mut(topic);
        let index = usize::try_from(record.partition_id).ok();
        let partition = index.and_then(|index| topic.partitions.get_mut(index));
        let partition = partition.ok_or(ReplayError::UnknownPartition {
            topic: id,
            partition: record.partition_id,
        })?;
        change(Arc::make_mut(partition), record);
        Ok(())
    }

    /// Forgets the eligible leader replicas of one topic, or of all when the name is empty (KIP-966).
    fn replay_clear_elr(&mut self, name: &str) -> Result<(), ReplayError> {
        let ids: Vec<TopicId> = if name.is_empty() {
            self.topics.iter().map(|(id, _)| *id).collect()
        } else {
            let id = self.topic_ids.get(name);
            vec![*id.ok_or_else(|| ReplayError::UnknownTopicName(name.to_owned()))?]
        };
        for id in ids {
            let has_some = |partition: &Arc<Partition>| {
                !partition.eligible_leader_replicas.is_empty() || !partition.last_known_leader_replicas.is_empty()
            };
            if !self
                .topics
                .get(&id)
                .is_some_and(|topic| topic.partitions.iter().any(has_some))
            {
                continue;
            }
            let Some(topic) = self.topics.get_mut(&id) else {
                continue;
            };
            let partitions = &mut Arc::make_mut(topic).partitions;
            for partition in partitions.iter_mut().filter(|partition| has_some(partition)) {
                let cleared = PartitionChangeRecord {
                    eligible_leader_replicas: Some(Vec::new()),
                    last_known_elr: Some(Vec::new()),
                    ..PartitionChangeRecord::default()
                };
                change(Arc::make_mut(partition), &cleared);
            }
        }
        Ok(())
    }

    fn replay_config(&mut self, record: &ConfigRecord) {
        let resource = ConfigResource {
            kind: record.resource_type,
            name: record.resource_name.clone(),
        };
        let mut config: BTreeMap<String, String> = self.config(&resource).clone();
        match &record.value {
            Some(value) => config.insert(record.name.clone(), value.clone()),
            None => config.remove(&record.name),
        };
        if config.is_empty() {
            self.configs.remove(&resource);
        } else {
            self.configs.insert(resource, Arc::new(config));
        }
    }

    fn replay_feature(&mut self, record: &FeatureLevelRecord) {
        if record.feature_level == 0 {
            self.features.remove(&record.name);
        } else {
            self.features.insert(record.name.clone(), record.feature_level);
        }
    }

    fn replay_registration_change(&mut self, record: &BrokerRegistrationChangeRecord) -> Result<(), ReplayError> {
        let broker = self.broker_mut(record.broker_id, record.broker_epoch)?;
        match record.fenced {
            0 => {}
            fenced => broker.is_fenced = fenced > 0,
        }
        if record.in_controlled_shutdown > 0 {
            broker.is_shutting_down = true;
        }
        if !record.log_dirs.is_empty() {
            broker.directories.clone_from(&record.log_dirs);
        }
        if record.cordoned_log_dirs.is_some() {
            broker.cordoned_directories.clone_from(&record.cordoned_log_dirs);
        }
        Ok(())
    }

    fn broker_mut(&mut self, id: i32, epoch: i64) -> Result<&mut Broker, ReplayError> {
        let broker = self.brokers.get_mut(&NodeId(id)).filter(|broker| broker.epoch == epoch);
        broker.map(Arc::make_mut).ok_or(ReplayError::UnknownBroker(id, epoch))
    }
}

fn nodes(ids: &[i32]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

fn leader(id: i32) -> Option<NodeId> {
    (id >= 0).then_some(NodeId(id))
}

fn created(record: &PartitionRecord) -> Partition {
    Partition {
        leader: leader(record.leader),
        leader_epoch: LeaderEpoch(record.leader_epoch),
        partition_epoch: record.partition_epoch,
        replicas: nodes(&record.replicas),
        isr: nodes(&record.isr),
        adding_replicas: nodes(&record.adding_replicas),
        removing_replicas: nodes(&record.removing_replicas),
        eligible_leader_replicas: nodes(record.eligible_leader_replicas.as_deref().unwrap_or_default()),
        last_known_leader_replicas: nodes(record.last_known_elr.as_deref().unwrap_or_default()),
        directories: record.directories.clone(),
        is_leader_recovering: record.leader_recovery_state > 0,
    }
}

/// Kafka: `PartitionRegistration.merge`. A change that names a leader, be it the same, begins a new leader epoch.
fn change(partition: &mut Partition, record: &PartitionChangeRecord) {
    const LEADER_UNCHANGED: i32 = -2;
    let set = |field: &mut Vec<NodeId>, ids: &Option<Vec<i32>>| {
        if let Some(ids) = ids {
            *field = nodes(ids);
        }
    };
    set(&mut partition.isr, &record.isr);
    set(&mut partition.replicas, &record.replicas);
    set(&mut partition.adding_replicas, &record.adding_replicas);
    set(&mut partition.removing_replicas, &record.removing_replicas);
    set(
        &mut partition.eligible_leader_replicas,
        &record.eligible_leader_replicas,
    );
    set(&mut partition.last_known_leader_replicas, &record.last_known_elr);
    if let Some(directories) = &record.directories {
        partition.directories.clone_from(directories);
    }
    if record.leader != LEADER_UNCHANGED {
        partition.leader = leader(record.leader);
        partition.leader_epoch = LeaderEpoch(partition.leader_epoch.0.saturating_add(1));
    }
    if record.leader_recovery_state >= 0 {
        partition.is_leader_recovering = record.leader_recovery_state > 0;
    }
    partition.partition_epoch = partition.partition_epoch.saturating_add(1);
}

fn registered(record: &RegisterBrokerRecord) -> Broker {
    let endpoints = record.end_points.iter().map(|endpoint| BrokerEndpoint {
        listener: endpoint.name.clone(),
        host: endpoint.host.clone(),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    });
    let features = record.features.iter().map(|feature| {
        let levels = (feature.min_supported_version, feature.max_supported_version);
        (feature.name.clone(), levels)
    });
    Broker {
        id: NodeId(record.broker_id),
        epoch: record.broker_epoch,
        incarnation_id: record.incarnation_id,
        endpoints: endpoints.collect(),
        features: features.collect(),
        rack: record.rack.clone(),
        is_fenced: record.fenced,
        is_shutting_down: record.in_controlled_shutdown,
        directories: record.log_dirs.clone(),
        cordoned_directories: record.cordoned_log_dirs.clone(),
    }
}
